"""The pictures: PNG files, drawn without a display."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from ser_runtime.errors import StorageError
from ser_runtime.labels import EMOTIONS
from ser_train.plots import plot_class_distribution
from ser_train.plots import plot_confusion
from ser_train.plots import plot_learning_curves

PNG = b"\x89PNG\r\n\x1a\n"
METRICS = ("loss", "accuracy", "val_loss", "val_accuracy")
EPOCHS = {name: [0.5, 0.4] for name in METRICS}

PLOTS: dict[str, Callable[[Path], None]] = {
    "classes": lambda path: plot_class_distribution({"TESS": {"sad": 3}, "SAVEE": {}}, path),
    "confusion": lambda path: plot_confusion([[1] * 7] * 7, "a title", path),
    "empty confusion": lambda path: plot_confusion([[0] * 7] * 7, "a title", path),
    "one phase": lambda path: plot_learning_curves({"search": EPOCHS}, 1, "a title", path),
    "two phases": lambda path: plot_learning_curves(
        {"search": EPOCHS, "retrain": EPOCHS}, 2, "a title", path
    ),
    "no best epoch": lambda path: plot_learning_curves({"search": EPOCHS}, None, "t", path),
}

every_plot = pytest.mark.parametrize("plot", PLOTS.values(), ids=PLOTS)


@every_plot
def test_a_png_is_written(tmp_path: Path, plot: Callable[[Path], None]) -> None:
    plot(tmp_path / "new" / "plot.png")
    assert (tmp_path / "new" / "plot.png").read_bytes().startswith(PNG)


@every_plot
def test_the_same_data_gives_the_same_bytes(tmp_path: Path, plot: Callable[[Path], None]) -> None:
    plot(tmp_path / "one.png")
    plot(tmp_path / "two.png")
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_another_confusion_is_another_picture(tmp_path: Path) -> None:
    size = len(EMOTIONS)
    for name, value in (("one", 1), ("two", 2)):
        confusion = [
            [value if row == column else 0 for column in range(size)] for row in range(size)
        ]
        plot_confusion(confusion, "a title", tmp_path / name)
    assert (tmp_path / "one").read_bytes() != (tmp_path / "two").read_bytes()


def test_a_picture_that_cannot_be_written_is_a_storage_error() -> None:
    with pytest.raises(StorageError):
        plot_confusion([[1] * 7] * 7, "a title", Path("/sys/plot.png"))
