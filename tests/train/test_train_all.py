"""`ser-train all`: every experiment in order, what was left out, and one table."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from types import ModuleType

import pytest

from ser_train.corpora import CorpusIndex
from ser_train.dataset import load_dataset
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.run_folder import RunFolder
from ser_train.splits import make_split
from ser_train.tunings import TUNINGS

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture(scope="module")
def registry(small_experiment: Experiment) -> Iterator[None]:
    """Four small experiments, a tuning, and no others: one lacks a package, one's loss is NaN."""
    row = dataclasses.replace(small_experiment, retrain=False, max_epochs=1)
    changes = {
        "first": {},
        "failing": {"learning_rate": 1e30},
        "needy": {"needs": ("no_such_package",)},
        "second": {"architecture": "two_cnn"},
    }
    before, tunings_before = dict(EXPERIMENTS), dict(TUNINGS)
    EXPERIMENTS.clear()
    TUNINGS.clear()
    for name, changed in changes.items():
        EXPERIMENTS[name] = dataclasses.replace(row, id=name, title=f"the {name} one", **changed)
    tuning = tunings_before["cnn-tuning"]
    TUNINGS["tuned"] = dataclasses.replace(tuning, id="tuned", experiment="first")
    yield
    for registry, rows in ((EXPERIMENTS, before), (TUNINGS, tunings_before)):
        registry.clear()
        registry.update(rows)


@pytest.fixture(scope="module")
def train_all(registry: None, ser_train: Command, tiny_corpora: Path, cache: Path) -> Command:
    """Runs `ser-train all` on the made-up corpora."""

    def run(out: Path, *arguments: object) -> CompletedProcess[str]:
        return ser_train(
            "all", "--corpora", tiny_corpora, "--cache", cache, "--out", out, *arguments
        )

    return run


@pytest.fixture(scope="module")
def done(
    train_all: Command, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompletedProcess[str], Path]:
    """All four experiments from nothing, and the folder of their runs."""
    runs = tmp_path_factory.mktemp("all")
    return train_all(runs), runs


def started(done: CompletedProcess[str]) -> list[str]:
    """The experiments that were begun, in order."""
    return [
        line.split()[1].rstrip(":") for line in done.stderr.splitlines() if line.startswith("[")
    ]


def table_rows(done: CompletedProcess[str]) -> list[str]:
    """The run of each row of the table."""
    table, *_ = done.stdout.split("\n\n")
    rows = [line for line in table.splitlines() if line.startswith("| ")]
    return [row.split()[1] for row in rows[2:]]


def test_experiments_are_trained_in_the_order_of_the_registry(
    done: tuple[CompletedProcess[str], Path],
) -> None:
    assert started(done[0]) == ["first", "failing", "second", "tuned"]


def test_one_table_at_the_end_has_every_run(done: tuple[CompletedProcess[str], Path]) -> None:
    assert table_rows(done[0]) == ["first-report-seed0", "second-report-seed0"]


def test_the_tables_of_tunings_follow(done: tuple[CompletedProcess[str], Path]) -> None:
    result, runs = done
    table = (runs / "tuned-report-seed0" / "table.md").read_text(encoding="utf-8")
    assert result.stdout.endswith(table)


def test_a_failed_experiment_does_not_stop_the_next(
    done: tuple[CompletedProcess[str], Path],
) -> None:
    assert RunFolder(done[1] / "second-report-seed0").complete


def test_a_failed_experiment_is_told_and_gives_the_exit_code(
    done: tuple[CompletedProcess[str], Path],
) -> None:
    result, _ = done
    assert result.returncode == 11
    assert "error: failing: the loss is not a number" in result.stderr


def test_what_needs_a_missing_package_is_left_out_with_the_reason(
    done: tuple[CompletedProcess[str], Path],
) -> None:
    result, runs = done
    told = "left out: needy: needs no_such_package, which is not installed"
    assert told in result.stderr.splitlines()
    assert not (runs / "needy-report-seed0").exists()


@pytest.fixture(scope="module")
def again(
    done: tuple[CompletedProcess[str], Path],
    train_all: Command,
    tmp_path_factory: pytest.TempPathFactory,
) -> CompletedProcess[str]:
    """The complete two once more, in the other order, and the one that lacks a package."""
    runs = tmp_path_factory.mktemp("again")
    shutil.copytree(done[1], runs, dirs_exist_ok=True)
    return train_all(runs, "--only", "second", "needy", "first", "--max-epochs", "7")


def test_only_those_that_were_named_are_trained_in_that_order(
    again: CompletedProcess[str],
) -> None:
    assert table_rows(again) == ["second-report-seed0", "first-report-seed0"]


def test_complete_experiments_are_only_read(again: CompletedProcess[str]) -> None:
    assert again.stderr.count("is complete: nothing to train") == 2
    # Each may have been stopped elsewhere.
    assert again.stderr.count("made with another max_epochs") == 2
    assert "epoch 1" not in again.stderr


def test_an_experiment_that_was_left_out_is_no_failure(again: CompletedProcess[str]) -> None:
    assert again.returncode == 0


def test_an_experiment_that_is_not_known_ends_with_2_before_anything_is_trained(
    train_all: Command, tmp_path: Path
) -> None:
    result = train_all(tmp_path, "--only", "first", "frist")
    assert result.returncode == 2
    assert "did you mean first" in result.stderr
    assert not list(tmp_path.iterdir())


@pytest.fixture
def broken_off(
    registry: None, training: ModuleType, tiny_index: CorpusIndex, cache: Path, tmp_path: Path
) -> Path:
    """The folder of a run of `first` that was interrupted after its epoch."""
    from ser_train.run import Run
    from ser_train.run import complete_run

    def interrupt(phase: str, epoch: int, metrics: dict[str, float]) -> None:
        raise KeyboardInterrupt

    experiment, split = EXPERIMENTS["first"], make_split(tiny_index.clips, "report")
    folder = RunFolder(tmp_path / "first-report-seed0")
    run = Run(training.Recipe(experiment, 0, 1), tiny_index, split, folder)
    with pytest.raises(KeyboardInterrupt):
        complete_run(
            run, lambda: load_dataset(tiny_index, split, experiment, cache), on_epoch=interrupt
        )
    return folder.path


def test_an_experiment_that_was_broken_off_goes_on(
    done: tuple[CompletedProcess[str], Path], train_all: Command, broken_off: Path
) -> None:
    result = train_all(broken_off.parent, "--only", "first")
    assert result.returncode == 0, result.stderr
    assert "going on from" in result.stderr
    assert "search: epoch 1 " not in result.stderr
    unbroken = (done[1] / broken_off.name / "predictions.csv").read_bytes()
    assert (broken_off / "predictions.csv").read_bytes() == unbroken
