"""The figures of a stored run, computed again."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest
import soundfile

from ser_runtime.errors import RunFolderError
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.run_folder import RunFolder

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def today(tensorflow: None, tiny_run: Path, tiny_index: CorpusIndex, cache: Path) -> Any:
    """What the tiny run gives when it is evaluated again."""
    from ser_train.reevaluation import reevaluate

    return reevaluate(RunFolder(tiny_run), tiny_index, cache)


def test_the_metrics_are_the_stored_ones(today: Any, tiny_run: Path) -> None:
    stored = RunFolder(tiny_run).metrics()
    assert list(today.metrics) == list(stored)
    for name in ("accuracy", "macro_f1", "confusion", "accuracy_interval", "report", "epochs"):
        assert today.metrics[name] == stored[name]
    assert today.metrics["temperature"] == pytest.approx(stored["temperature"], rel=1e-4)


def test_the_probabilities_are_the_stored_ones(today: Any) -> None:
    # predictions.csv has six digits.
    assert today.largest_difference < 2e-6


@pytest.fixture
def copy(tiny_run: Path, tmp_path: Path) -> RunFolder:
    """A copy of the tiny run that a test may change."""
    shutil.copytree(tiny_run, tmp_path / "run")
    return RunFolder(tmp_path / "run")


def change_config(run: RunFolder, **changes: object) -> None:
    content = json.loads((run.path / "config.json").read_text())
    content["experiment"] |= changes
    run.write_json("config", content)


def test_the_row_of_the_registry_is_read_as_it_was(copy: RunFolder) -> None:
    from ser_train.stored_experiment import stored_experiment

    change_config(copy, learning_rate=0.5)
    row = stored_experiment(copy.config()["experiment"], copy)
    assert row.learning_rate == 0.5
    assert row.spec == EXPERIMENTS["cnn"].spec


def test_a_run_from_before_these_fields_has_their_defaults(copy: RunFolder) -> None:
    from ser_train.stored_experiment import stored_experiment

    row = copy.config()["experiment"]
    for name in ("standardization", "crop", "options", "needs"):
        del row[name]
    assert stored_experiment(row, copy) == EXPERIMENTS["cnn"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mixup": 0.2}, "another version: mixup is unknown here"),
        ({"architecture": "lstm"}, "another version: architecture 'lstm' is unknown here"),
    ],
)
def test_what_this_version_does_not_know_is_refused(
    tiny_index: CorpusIndex, cache: Path, copy: RunFolder, changes: dict, message: str
) -> None:
    from ser_train.reevaluation import reevaluate

    change_config(copy, **changes)
    with pytest.raises(RunFolderError, match=message):
        reevaluate(copy, tiny_index, cache)


def test_a_row_that_lacks_a_field_is_damaged(copy: RunFolder) -> None:
    from ser_train.stored_experiment import stored_experiment

    row = copy.config()["experiment"]
    del row["patience"]
    with pytest.raises(RunFolderError, match=r"config\.json is damaged: .*patience"):
        stored_experiment(row, copy)


@pytest.fixture
def evaluate(ser_train: Command, tiny_corpora: Path, cache: Path) -> Command:
    """Runs `ser-train evaluate` on the made-up corpora."""

    def run(folder: Path, corpora: Path = tiny_corpora) -> CompletedProcess[str]:
        return ser_train("evaluate", folder, "--corpora", corpora, "--cache", cache)

    return run


def test_evaluate_says_that_the_figures_hold(evaluate: Command, tiny_run: Path) -> None:
    done = evaluate(tiny_run)
    assert done.returncode == 0, done.stderr
    assert done.stderr.splitlines()[-1] == "the stored figures hold"
    assert f"accuracy: {RunFolder(tiny_run).metrics()['accuracy']:.3f}" in done.stdout


def test_evaluate_does_not_change_the_run(evaluate: Command, copy: RunFolder) -> None:
    before = {path.name: path.read_bytes() for path in copy.path.iterdir() if path.is_file()}
    evaluate(copy.path)
    after = {path.name: path.read_bytes() for path in copy.path.iterdir() if path.is_file()}
    assert after == before


def test_a_published_result_can_be_evaluated(
    evaluate: Command, tiny_run: Path, tmp_path: Path
) -> None:
    from ser_train.results import publish

    publish([RunFolder(tiny_run)], tmp_path)
    done = evaluate(tmp_path / tiny_run.name)
    assert done.returncode == 0, done.stderr


def test_changed_weights_are_noticed_with_9(evaluate: Command, copy: RunFolder) -> None:
    with np.load(copy.weights) as stored:
        arrays = dict(stored)
    (kernel,) = [name for name in arrays if name.endswith("probabilities/kernel")]
    np.savez(copy.weights, **(arrays | {kernel: -arrays[kernel]}))
    done = evaluate(copy.path)
    assert done.returncode == 9
    assert f"its metrics.json says {copy.metrics()['accuracy']:.4f}" in done.stderr
    assert "the stored figures hold" not in done.stderr


def test_other_corpora_are_refused_with_9(
    evaluate: Command, tiny_run: Path, tiny_corpora: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_corpora, tmp_path, dirs_exist_ok=True)
    shutil.rmtree(tmp_path / "SAVEE/AudioData/JE")
    done = evaluate(tiny_run, tmp_path)
    assert done.returncode == 9
    assert "was trained on other clips" in done.stderr


def test_a_run_that_is_not_complete_is_refused_with_9(evaluate: Command, copy: RunFolder) -> None:
    (copy.path / "metrics.json").unlink()
    done = evaluate(copy.path)
    assert done.returncode == 9
    assert "is not a complete run folder" in done.stderr


def test_predictions_of_other_clips_are_refused_with_9(evaluate: Command, copy: RunFolder) -> None:
    path = copy.path / "predictions.csv"
    path.write_text("\n".join(path.read_text().splitlines()[:-1]) + "\n")
    done = evaluate(copy.path)
    assert done.returncode == 9
    assert "predictions.csv holds other clips than its split" in done.stderr


def test_other_audio_under_the_same_names_is_said(
    ser_train: Command, tiny_run: Path, tiny_corpora: Path, tmp_path: Path
) -> None:
    quieter = tmp_path / "corpora"
    for path in tiny_corpora.rglob("*.*"):
        samples, rate = soundfile.read(path)
        place = quieter / path.relative_to(tiny_corpora)
        place.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(place, samples / 2, rate)
    done = ser_train("evaluate", tiny_run, "--corpora", quieter, "--cache", tmp_path / "cache")
    assert done.returncode == 0, done.stderr
    assert "other copies of the clips than the run was trained on" in done.stderr
    assert "the stored figures hold" not in done.stderr


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"protocol": "of-tomorrow"}, "the protocol 'of-tomorrow' is unknown here"),
        ({"options": {"depth": 3}}, "its options are unknown here"),
        ({"standardization": "band"}, "standardization 'band' is unknown here"),
    ],
)
def test_a_run_of_another_version_ends_with_9_and_one_line(
    evaluate: Command, copy: RunFolder, changes: dict[str, Any], message: str
) -> None:
    config = copy.read_json("config")
    for name, value in changes.items():
        place = config if name in config else config["experiment"]
        place[name] = value
    copy.write_json("config", config)
    copy.write_json("metrics", copy.read_json("metrics") | {"protocol": config["protocol"]})
    done = evaluate(copy.path)
    assert done.returncode == 9
    assert message in done.stderr
    assert "Traceback" not in done.stderr


def test_a_history_without_epochs_is_damaged(evaluate: Command, copy: RunFolder) -> None:
    copy.write_json("history", {})
    done = evaluate(copy.path)
    assert done.returncode == 9
    assert "history.json is damaged" in done.stderr
