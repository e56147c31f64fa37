"""Learning curves for TensorBoard, read back with TensorBoard's own reader."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from ser_train.run_folder import RunFolder
from ser_train.tensorboard_log import TensorBoardLog

FIRST = {"loss": 2.0, "accuracy": 0.25, "val_loss": 1.5, "val_accuracy": 0.5}
SECOND = {"loss": 1.0, "accuracy": 0.75, "val_loss": 1.25, "val_accuracy": 0.625}
HISTORY = {name: [FIRST[name], SECOND[name]] for name in FIRST}


def scalars(folder: Path) -> dict[str, list[tuple[int, float]]]:
    """Step and value of every tag in a folder."""
    events = EventAccumulator(str(folder)).Reload()
    return {
        tag: [(event.step, event.value) for event in events.Scalars(tag)]
        for tag in events.Tags()["scalars"]
    }


@pytest.fixture
def log(tmp_path: Path) -> TensorBoardLog:
    """A log in `tmp_path/log` with two epochs of a search."""
    log = TensorBoardLog(tmp_path / "log")
    log.epoch("search", 1, FIRST)
    log.epoch("search", 2, SECOND)
    return log


def test_epochs_are_appended(log: TensorBoardLog, tmp_path: Path) -> None:
    assert scalars(tmp_path / "log/search/train") == {
        "epoch_loss": [(1, 2.0), (2, 1.0)],
        "epoch_accuracy": [(1, 0.25), (2, 0.75)],
    }


def test_validation_has_the_same_tags_in_a_folder_of_its_own(
    log: TensorBoardLog, tmp_path: Path
) -> None:
    assert scalars(tmp_path / "log/search/validation") == {
        "epoch_loss": [(1, 1.5), (2, 1.25)],
        "epoch_accuracy": [(1, 0.5), (2, 0.625)],
    }


def test_phases_have_folders_of_their_own(log: TensorBoardLog, tmp_path: Path) -> None:
    log.epoch("retrain", 1, FIRST)
    assert scalars(tmp_path / "log/retrain/train")["epoch_loss"] == [(1, 2.0)]
    assert len(scalars(tmp_path / "log/search/train")["epoch_loss"]) == 2


def test_rewriting_replaces_what_was_there(log: TensorBoardLog, tmp_path: Path) -> None:
    log.epoch("search", 2, SECOND)
    log.epoch("retrain", 1, FIRST)
    log.rewrite({"search": HISTORY})
    assert scalars(tmp_path / "log/search/train")["epoch_loss"] == [(1, 2.0), (2, 1.0)]
    assert not (tmp_path / "log/retrain").exists()


def test_rewriting_what_is_not_there_writes_it(tmp_path: Path) -> None:
    TensorBoardLog(tmp_path / "log").rewrite({"retrain": HISTORY})
    assert scalars(tmp_path / "log/retrain/validation")["epoch_accuracy"] == [(1, 0.5), (2, 0.625)]


def test_a_complete_run_has_the_curves_of_its_history_once(tiny_run: Path) -> None:
    history = RunFolder(tiny_run).read_json("history")
    for phase in ("search", "retrain"):
        curve = scalars(tiny_run / "tensorboard" / phase / "validation")["epoch_loss"]
        wanted = [
            (epoch, pytest.approx(v)) for epoch, v in enumerate(history[phase]["val_loss"], 1)
        ]
        assert curve == wanted


def test_a_full_disk_is_told_with_the_place(tmp_path: Path) -> None:
    code = (
        "import resource, signal, sys; from pathlib import Path\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (64, 64))\n"
        "from ser_runtime.errors import StorageError\n"
        "from ser_train.tensorboard_log import TensorBoardLog\n"
        "try: TensorBoardLog(Path(sys.argv[1])).epoch('search', 1, {'loss': 0.5})\n"
        "except StorageError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "board")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert str(tmp_path / "board") in done.stdout


def test_no_framework_is_loaded() -> None:
    code = "import sys; import ser_train.tensorboard_log; print('tensorflow' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
