"""Reading and writing run folders."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_metrics import made_up_metrics

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.labels import EMOTIONS
from ser_runtime.standardization import Standardization
from ser_train.run_folder import VERSION
from ser_train.run_folder import RunFolder
from ser_train.run_folder import StoredSet

SPEC = FeatureSpec(window_samples=4_096, n_mels=8)
EXPERIMENT = {"id": "cnn", "architecture": "cnn", "spec": SPEC.to_dict()}
CONFIG = {
    "version": VERSION,
    "experiment": EXPERIMENT,
    "protocol": "report",
    "fold": None,
    "seed": 0,
    "max_epochs": 1,
    "split_hash": "0",
}


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run folder with all that can be read from it."""
    folder = RunFolder(tmp_path / "cnn-report-seed0")
    folder.write_json("config", CONFIG)
    mean, deviation = np.full((8, 1), -3, np.float32), np.full((8, 1), 2, np.float32)
    folder.write_json("standardization", Standardization(mean, deviation).to_dict())
    folder.write_set("test", made_up_set())
    folder.write_json("metrics", {"accuracy": 0.5})
    return folder


def made_up_set(clips: int = 3, shape: tuple[int, ...] = SPEC.shape) -> StoredSet:
    rng = np.random.default_rng(0)
    ids = tuple(f"SAVEE/DC_a{i:02d}" for i in range(clips))
    return StoredSet(ids, np.arange(clips), rng.standard_normal((clips, *shape), np.float32))


def test_a_folder_that_is_not_there_is_neither_started_nor_complete(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path / "none")
    assert (folder.started, folder.complete) == (False, False)


def test_a_folder_with_a_configuration_is_started(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    folder.write_json("config", CONFIG)
    assert (folder.started, folder.complete) == (True, False)


def test_a_folder_with_metrics_is_complete(run: RunFolder) -> None:
    assert run.complete


@pytest.mark.parametrize("name", ["protocol", "fold", "seed", "max_epochs", "split_hash"])
def test_a_configuration_without_a_field_is_refused_by_its_name(run: RunFolder, name: str) -> None:
    run.write_json("config", {key: value for key, value in CONFIG.items() if key != name})
    with pytest.raises(RunFolderError, match=f"config.json is damaged: no {name}"):
        run.config()


def test_the_name_of_the_folder_one_is_in_is_not_empty(
    run: RunFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(run.path)
    assert RunFolder(Path()).name == "cnn-report-seed0"


def test_json_comes_back(run: RunFolder) -> None:
    assert run.config() == CONFIG


def test_spec_comes_back(run: RunFolder) -> None:
    assert run.spec() == SPEC


def test_standardization_comes_back(run: RunFolder) -> None:
    assert (run.standardization().mean == -3).all()
    assert (run.standardization().deviation == 2).all()


def test_a_set_comes_back(run: RunFolder) -> None:
    stored, wanted = run.read_set("test"), made_up_set()
    assert stored.ids == wanted.ids
    np.testing.assert_array_equal(stored.classes, wanted.classes)
    np.testing.assert_array_equal(stored.features, wanted.features)


READERS: dict[str, Callable[[RunFolder], object]] = {
    "config.json": RunFolder.config,
    "standardization.json": RunFolder.standardization,
    "metrics.json": lambda run: run.read_json("metrics"),
    "test.npz": lambda run: run.read_set("test"),
}


@pytest.mark.parametrize("name", READERS)
def test_a_missing_file_is_named(run: RunFolder, name: str) -> None:
    (run.path / name).unlink()
    with pytest.raises(RunFolderError, match=name):
        READERS[name](run)


@pytest.mark.parametrize("content", [b"", b'{"version": 1', b"\xff\xfe\x00", b"[]", b"null"])
@pytest.mark.parametrize("name", READERS)
def test_a_damaged_file_is_named(run: RunFolder, name: str, content: bytes) -> None:
    (run.path / name).write_bytes(content)
    with pytest.raises(RunFolderError, match=name):
        READERS[name](run)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.99])
def test_a_truncated_set_is_refused(run: RunFolder, keep: float) -> None:
    path = run.path / "test.npz"
    path.write_bytes(path.read_bytes()[: int(keep * path.stat().st_size)])
    with pytest.raises(RunFolderError, match=r"test\.npz is damaged"):
        run.read_set("test")


@pytest.mark.parametrize("place", [0.2, 0.6])
def test_a_set_with_a_changed_byte_is_refused(run: RunFolder, place: float) -> None:
    path = run.path / "test.npz"
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 0xFF
    path.write_bytes(content)
    with pytest.raises(RunFolderError, match=r"test\.npz"):
        run.read_set("test")


def test_a_set_without_an_array_is_refused(run: RunFolder) -> None:
    np.savez(run.path / "test.npz", ids=np.array(["a"]), classes=np.array([0]))
    with pytest.raises(RunFolderError, match=r"test\.npz is damaged"):
        run.read_set("test")


@pytest.mark.parametrize(
    "stored",
    [
        made_up_set(shape=(8, 7)),
        StoredSet(("a",), np.array([0]), made_up_set().features),
        StoredSet(made_up_set().ids, np.array([0]), made_up_set().features),
    ],
    ids=["features", "ids", "classes"],
)
def test_a_set_whose_shapes_do_not_fit_is_refused(run: RunFolder, stored: StoredSet) -> None:
    run.write_set("test", stored)
    with pytest.raises(RunFolderError, match=r"test\.npz"):
        run.read_set("test")


@pytest.mark.parametrize("version", [None, 0, VERSION + 1, "1"])
def test_another_version_is_refused(run: RunFolder, version: object) -> None:
    run.write_json("config", CONFIG | {"version": version})
    with pytest.raises(RunFolderError, match=f"version {version}, not {VERSION}"):
        run.config()


@pytest.mark.parametrize(
    "experiment",
    [{}, None, *({**EXPERIMENT, "spec": spec} for spec in ({}, SPEC.to_dict() | {"hop": -1}, [1]))],
)
def test_a_spec_that_cannot_be_computed_is_refused(run: RunFolder, experiment: object) -> None:
    run.write_json("config", CONFIG | {"experiment": experiment})
    with pytest.raises(RunFolderError, match="no usable feature spec"):
        run.spec()


def test_predictions_hold_a_row_for_each_clip_with_its_probabilities(run: RunFolder) -> None:
    probabilities = np.full((1, 7), 0.05, np.float32)
    probabilities[0, 5] = 0.7
    run.write_predictions([("test", ["SAVEE/DC_a01"], np.array([0]), probabilities)])
    with (run.path / "predictions.csv").open(encoding="utf-8", newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["set"], row["clip"]) == ("test", "SAVEE/DC_a01")
    assert (row["emotion"], row["recognized"]) == ("angry", "sad")
    assert [float(row[emotion]) for emotion in EMOTIONS] == pytest.approx(probabilities[0])


def test_a_file_that_cannot_be_written_is_a_storage_error() -> None:
    with pytest.raises(StorageError, match=r"cannot write /sys/"):
        RunFolder(Path("/sys")).write_json("config", {})


def test_metrics_are_plain_json(run: RunFolder) -> None:
    assert json.loads((run.path / "metrics.json").read_text()) == {"accuracy": 0.5}


def test_predictions_come_back_by_clip(run: RunFolder) -> None:
    probabilities = np.full((2, 7), 1 / 7, np.float32)
    run.write_predictions(
        [
            ("validation", ["a"], np.array([0]), probabilities[:1]),
            ("test", ["b", "c"], np.array([0, 1]), probabilities),
        ]
    )
    stored = run.read_predictions("test")
    assert list(stored) == ["b", "c"]
    np.testing.assert_allclose(stored["c"], probabilities[1], atol=1e-6)


def test_missing_predictions_are_named(run: RunFolder) -> None:
    with pytest.raises(RunFolderError, match=r"predictions\.csv"):
        run.read_predictions("test")


@pytest.mark.parametrize("content", ["set,clip\n", "set,clip,angry\ntest,a,much\n"])
def test_damaged_predictions_are_named(run: RunFolder, content: str) -> None:
    (run.path / "predictions.csv").write_text(f"{content}test,a\n")
    with pytest.raises(RunFolderError, match=r"predictions\.csv"):
        run.read_predictions("test")


@pytest.mark.parametrize("lost", ["accuracy", "temperature", "epochs"])
def test_metrics_without_a_figure_are_refused_by_its_name(
    run: RunFolder, tiny_run: Path, lost: str
) -> None:
    metrics = RunFolder(tiny_run).metrics()
    del metrics[lost]
    run.write_json("metrics", metrics)
    with pytest.raises(RunFolderError, match=rf"metrics\.json is damaged: no {lost}"):
        run.metrics()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("accuracy", None),
        ("accuracy", "0.9"),
        ("temperature", float("nan")),
        ("clips", True),
        ("per_class", {"angry": {"precision": 1, "recall": 1, "f1": 1, "support": 1}}),
        ("per_class", []),
        ("confusion", [[1]]),
        ("confusion", [[0.5] * 7] * 7),
        ("epochs", {"trained": 1}),
    ],
)
def test_a_figure_that_cannot_be_is_refused_by_its_name(
    run: RunFolder, name: str, value: object
) -> None:
    run.write_json("metrics", made_up_metrics(CONFIG))
    assert run.metrics()["accuracy"] == 0
    run.write_json("metrics", made_up_metrics(CONFIG, **{name: value}))
    with pytest.raises(RunFolderError, match=rf"metrics\.json is damaged: {name}"):
        run.metrics()


@pytest.mark.parametrize(
    ("name", "value"),
    [("experiment", "two-cnn"), ("protocol", "speaker-independent"), ("fold", "1"), ("seed", 1)],
)
def test_figures_of_another_run_are_refused(run: RunFolder, name: str, value: object) -> None:
    run.write_json("metrics", made_up_metrics(CONFIG, **{name: value}))
    with pytest.raises(RunFolderError, match=rf"of another {name} than its config\.json"):
        run.metrics()


@pytest.mark.parametrize("name", ["seed", "max_epochs"])
def test_a_configuration_that_cannot_be_is_refused(run: RunFolder, name: str) -> None:
    run.write_json("config", CONFIG | {name: None})
    with pytest.raises(RunFolderError, match=rf"config\.json is damaged: {name} is None"):
        run.config()
