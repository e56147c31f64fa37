"""The learning rate by Hyperband: every rate tried, the best trained longest, resumed by trial."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_runtime.errors import TrainingError
from ser_train.dataset import Dataset
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.recipe_file import claim_folder
from ser_train.recipe_file import remove_claimed
from ser_train.report_tables import report_tuning
from ser_train.tunings import TUNINGS
from ser_train.tunings import Tuning

Command = Callable[..., CompletedProcess[str]]
RATES = {"1e-03", "1e-02"}
SHORT, LONG = 1, 2


@pytest.fixture(scope="module")
def tuning(small_experiment: Experiment) -> Iterator[Tuning]:
    """Two learning rates of `cnn` at 32 x 32: one epoch each, and one more for the better one."""
    row = dataclasses.replace(
        TUNINGS["cnn-tuning"],
        experiment="small",
        learning_rates=(1e-3, 1e-2),
        max_epochs=LONG,
        factor=2,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "small", dataclasses.replace(small_experiment, id="small"))
        patch.setitem(TUNINGS, "cnn-tuning", row)
        yield row


@pytest.fixture(scope="module")
def tuned(
    tensorflow: None, tuning: Tuning, small_data: Dataset, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, Any], list[tuple[str, int]]]:
    """Folder and history of a tuning, and what it told of its epochs."""
    from ser_train.tuning import tune

    folder, told = tmp_path_factory.mktemp("tuned"), []
    history = tune(tuning, small_data, 0, folder, lambda *call: told.append(call[:2]))
    return folder, history, told


def test_every_learning_rate_is_tried(tuned: tuple[Path, dict[str, Any], list]) -> None:
    assert set(tuned[1]) == RATES


def test_the_best_learning_rate_alone_is_trained_longest(
    tuned: tuple[Path, dict[str, Any], list],
) -> None:
    _, history, _ = tuned
    best = max(history, key=lambda rate: history[rate]["1"]["val_accuracy"])
    epochs = {rate: len(metrics) for rate, metrics in history.items()}
    assert epochs == {**dict.fromkeys(RATES, SHORT), best: LONG}


def test_no_epoch_is_trained_twice(tuned: tuple[Path, dict[str, Any], list]) -> None:
    told = tuned[2]
    assert len(told) == len(set(told)) == SHORT + LONG


def test_every_epoch_has_its_four_figures(tuned: tuple[Path, dict[str, Any], list]) -> None:
    for epochs in tuned[1].values():
        for metrics in epochs.values():
            assert set(metrics) == {"loss", "accuracy", "val_loss", "val_accuracy"}


def test_the_history_is_kept(tuned: tuple[Path, dict[str, Any], list]) -> None:
    from ser_train.tuning import read_history

    assert read_history(tuned[0]) == tuned[1]


def test_every_learning_rate_has_its_curves_for_tensorboard(
    tuned: tuple[Path, dict[str, Any], list],
) -> None:
    folder = tuned[0] / "tensorboard"
    assert {path.name for path in folder.iterdir()} == RATES
    assert all(list((folder / rate).rglob("events.out.tfevents.*")) for rate in RATES)


@pytest.fixture(scope="module")
def resumed(
    tuned: tuple[Path, dict[str, Any], list],
    tuning: Tuning,
    small_data: Dataset,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[list[tuple[str, int]], list[tuple[str, int]], dict[str, Any]]:
    """A tuning broken off in its second trial, then taken up: epochs of both parts, and history."""
    from ser_train.tuning import tune

    folder, before, after = tmp_path_factory.mktemp("resumed"), [], []

    def interrupt(rate: str, epoch: int, metrics: dict[str, float]) -> None:
        before.append((rate, epoch))
        if len(before) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        tune(tuning, small_data, 0, folder, interrupt)
    history = tune(tuning, small_data, 0, folder, lambda *call: after.append(call[:2]))
    return before, after, history


def test_a_tuning_that_was_broken_off_does_not_train_finished_trials_again(
    resumed: tuple[list, list, dict[str, Any]],
) -> None:
    before, after, _ = resumed
    assert before[0] not in after


def test_a_trial_that_was_broken_off_is_trained_anew(
    resumed: tuple[list, list, dict[str, Any]],
) -> None:
    before, after, _ = resumed
    assert before[1] in after


def test_a_tuning_that_was_broken_off_has_every_learning_rate_at_the_end(
    resumed: tuple[list, list, dict[str, Any]], tuned: tuple[Path, dict[str, Any], list]
) -> None:
    assert resumed[2] == tuned[1]


def test_a_finished_tuning_is_only_read(
    tuned: tuple[Path, dict[str, Any], list], tuning: Tuning, small_data: Dataset
) -> None:
    from ser_train.tuning import tune

    told = []
    again = tune(tuning, small_data, 0, tuned[0], lambda *call: told.append(call))
    assert (again, told) == (tuned[1], [])


def test_a_damaged_history_is_refused(tensorflow: None, tmp_path: Path) -> None:
    from ser_train.tuning import read_history

    (tmp_path / "history.json").write_text("{")
    with pytest.raises(RunFolderError, match=f"remove {tmp_path}"):
        read_history(tmp_path)


def made_up(**accuracies: list[float]) -> dict[str, Any]:
    """A history from the validation accuracies of each learning rate; the rest follows them."""
    return {
        rate: {
            str(epoch): {
                "accuracy": value / 2,
                "val_accuracy": value,
                "loss": 2 - value,
                "val_loss": 3 - value,
            }
            for epoch, value in enumerate(values, 1)
        }
        for rate, values in accuracies.items()
    }


@pytest.fixture
def table(tensorflow: None) -> dict[str, list[str]]:
    """Cells of a made-up tuning's table by learning rate."""
    from ser_train.tuning import tuning_table

    history = made_up(**{"1e-02": [0.1, 0.2, 0.9], "1e-05": [0.3, 0.4], "1e-03": [0.5, 0.25]})
    text = tuning_table(TUNINGS["cnn-tuning"], history, report_tuning())
    rows = [line for line in text.splitlines() if line.startswith("| 1e")]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0]: row[1:] for row in cells}


def test_the_table_is_sorted_by_learning_rate_and_marks_the_best(
    table: dict[str, list[str]],
) -> None:
    assert list(table) == ["1e-05", "1e-03", "1e-02 **chosen**"]


def test_figures_are_of_the_last_epoch_that_all_have_with_the_reports_in_brackets(
    table: dict[str, list[str]],
) -> None:
    assert table["1e-03"][:4] == [
        "0.125 [0.437]", "0.250 [0.496]", "1.750 [1.42]", "2.750 [1.28]",
    ]  # fmt: skip


def test_the_number_of_epochs_and_the_best_of_them_are_told(table: dict[str, list[str]]) -> None:
    assert table["1e-02 **chosen**"][4:] == ["3", "0.900"]
    assert table["1e-03"][4:] == ["2", "0.500"]


def test_a_learning_rate_that_the_report_did_not_try_has_no_brackets(tensorflow: None) -> None:
    from ser_train.tuning import tuning_table

    text = tuning_table(TUNINGS["cnn-tuning"], made_up(**{"5e-01": [0.5]}), report_tuning())
    (row,) = [line for line in text.splitlines() if line.startswith("| 5e-01")]
    assert "[" not in row


@pytest.fixture(scope="module")
def command(
    ser_train: Command,
    tuning: Tuning,
    tiny_corpora: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[CompletedProcess[str], Path]:
    """`ser-train cnn-tuning` on the made-up corpora, and its folder."""
    out = tmp_path_factory.mktemp("tunings")
    done = ser_train("cnn-tuning", "--corpora", tiny_corpora, "--cache", cache, "--out", out)
    return done, out / "cnn-tuning-report-seed0"


def test_the_command_prints_and_keeps_the_table(
    command: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = command
    assert done.returncode == 0, done.stderr
    assert done.stdout == (folder / "table.md").read_text(encoding="utf-8")


def test_the_commands_table_has_every_learning_rate(
    command: tuple[CompletedProcess[str], Path],
) -> None:
    rows = [line for line in command[0].stdout.splitlines() if line.startswith("| 1e")]
    assert {row.split()[1] for row in rows} == RATES


def test_the_command_says_where_the_curves_are(
    command: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = command
    assert done.stderr.splitlines()[-1] == f"tensorboard --logdir {folder / 'tensorboard'}"


def test_the_tuning_is_among_the_experiments(ser_train: Command) -> None:
    assert any("cnn-tuning" in line for line in ser_train("experiments").stdout.splitlines())


def test_a_folder_of_another_tuning_is_refused(
    tuned: tuple[Path, dict[str, Any], list], tuning: Tuning, small_data: Dataset
) -> None:
    from ser_train.tuning import tune

    with pytest.raises(RunFolderError, match="was made of another seed"):
        tune(tuning, small_data, 1, tuned[0])


def test_what_prevents_an_epoch_from_being_kept_ends_the_tuning(
    tensorflow: None, tuning: Tuning, small_data: Dataset, tmp_path: Path
) -> None:
    from ser_train.tuning import tune

    def damage(*_: object) -> None:
        (tmp_path / "history.json").write_text("{")

    with pytest.raises(RunFolderError, match="is damaged"):
        tune(tuning, small_data, 0, tmp_path, damage)


def test_a_search_on_other_audio_is_refused(
    tuned: tuple[Path, dict[str, Any], list], tuning: Tuning, small_data: Dataset, tmp_path: Path
) -> None:
    from ser_train.tuning import tune

    folder = tmp_path / "tuned"
    shutil.copytree(tuned[0], folder)
    with pytest.raises(RunFolderError, match="was made of another corpora"):
        tune(tuning, small_data, 0, folder, corpora_hash="other")


@pytest.mark.parametrize("name", ["oracle.json", "trial_*/trial.json"])
@pytest.mark.parametrize("content", ["", '{"half'])
def test_a_trial_that_a_kill_left_half_written_is_named(
    tuned: tuple[Path, dict[str, Any], list],
    tuning: Tuning,
    small_data: Dataset,
    tmp_path: Path,
    name: str,
    content: str,
) -> None:
    from ser_train.tuning import tune

    folder = tmp_path / "tuned"
    shutil.copytree(tuned[0], folder)
    path = next((folder / "trials").glob(name))
    path.write_text(content)
    with pytest.raises(RunFolderError, match=rf"{path.name} is damaged .* --fresh"):
        tune(tuning, small_data, 0, folder)


def test_a_full_disk_under_keras_tuner_is_a_storage_error(
    tensorflow: None,
    tuning: Tuning,
    small_data: Dataset,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import keras_tuner

    from ser_train.tuning import tune

    def fill(*_: object, **__: object) -> None:
        raise RuntimeError("oracle.json; No space left on device")  # TensorFlow's is no OSError

    monkeypatch.setattr(keras_tuner.Hyperband, "search", fill)
    with pytest.raises(StorageError, match="the disk is full"):
        tune(tuning, small_data, 0, tmp_path)


def test_a_loss_that_is_not_finite_ends_the_tuning_and_names_trial_and_epoch(
    tensorflow: None, tuning: Tuning, small_data: Dataset, tmp_path: Path
) -> None:
    from ser_train.tuning import tune

    values = small_data.train.features.values * np.float32("nan")
    features = dataclasses.replace(small_data.train.features, values=values)
    broken = dataclasses.replace(small_data.train, features=features)
    with pytest.raises(TrainingError, match=r"loss is not finite in epoch 1 of learning rate 1e-0"):
        tune(tuning, dataclasses.replace(small_data, train=broken), 0, tmp_path)
    assert not (tmp_path / "history.json").exists()


def test_fresh_removes_a_search_and_nothing_else(tmp_path: Path) -> None:
    search, other = tmp_path / "search", tmp_path / "other"
    claim_folder(search, {"seed": 0})
    (search / "trials").mkdir()
    remove_claimed(search)
    assert not search.exists()
    other.mkdir()
    (other / "mine.txt").write_text("mine")
    with pytest.raises(RunFolderError, match="holds no search"):
        remove_claimed(other)
    assert (other / "mine.txt").exists()
