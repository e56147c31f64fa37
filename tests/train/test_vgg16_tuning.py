"""`vgg16-0`: units and learning rate by Hyperband, on features that are computed once."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from ser_train.experiments import EXPERIMENTS
from ser_train.report_tables import report_units
from ser_train.tunings import TUNINGS
from ser_train.tunings import Tuning

Command = Callable[..., CompletedProcess[str]]
UNITS = ((8, 16, 8), (4, 8, 4))
RATES = (1e-4, 1e-3)


@pytest.fixture(scope="module")
def tuning() -> Iterator[Tuning]:
    """`vgg16-0` on pictures of 32 x 32, among eight choices, the best of them for two epochs."""
    row = dataclasses.replace(
        TUNINGS["vgg16-0"], units=UNITS, learning_rates=RATES, max_epochs=2, factor=2
    )
    base = dataclasses.replace(EXPERIMENTS["vgg16-1"], options={"side": 32}, learning_rate=1e-3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "vgg16-1", base)
        patch.setitem(TUNINGS, "vgg16-0", row)
        yield row


@pytest.fixture(scope="module")
def tune(
    tuning: Tuning, ser_train: Command, tiny_corpora: Path, cache: Path, vgg16_file: Path
) -> Command:
    """Runs `ser-train vgg16-0` on the made-up corpora."""

    def run(out: Path, weights: Path = vgg16_file) -> CompletedProcess[str]:
        return ser_train(
            "vgg16-0", "--corpora", tiny_corpora, "--cache", cache, "--out", out,
            "--weights", weights,
        )  # fmt: skip

    return run


@pytest.fixture(scope="module")
def tuned(
    tune: Command, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompletedProcess[str], Path]:
    """A tuning from nothing, and its folder."""
    out = tmp_path_factory.mktemp("tuned")
    return tune(out), out / "vgg16-0-report-seed0"


def trials(folder: Path) -> dict[str, Any]:
    from ser_train.tuning import read_history

    return read_history(folder)


def test_trials_are_of_the_units_and_rates_that_were_given(
    tuned: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = tuned
    assert done.returncode == 0, done.stderr
    every = {f"{a}-{b}-{rate:.0e}" for a in (8, 16) for b in (4, 8) for rate in RATES}
    assert len(trials(folder)) > 1
    assert set(trials(folder)) <= every


def test_every_trial_is_told_in_words(tuned: tuple[CompletedProcess[str], Path]) -> None:
    for trial in trials(tuned[1]):
        first, second, rate = trial.split("-", 2)
        assert f"{first} and {second} units, learning rate {rate}: epoch 1" in tuned[0].stderr


def test_the_table_has_every_trial_the_best_first(
    tuned: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = tuned
    assert done.stdout == (folder / "table.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1:-1] for line in done.stdout.splitlines() if line[2:3].isdigit()]
    named = ["-".join(cell.split()[0] for cell in row[:3]) for row in rows]
    assert sorted(named) == sorted(trials(folder))
    accuracies = [float(row[-1]) for row in rows]
    assert accuracies == sorted(accuracies, reverse=True)
    assert ["chosen" in row[2] for row in rows] == [True] + [False] * (len(rows) - 1)


def test_a_choice_of_the_report_that_was_not_tried_is_told(
    tuned: tuple[CompletedProcess[str], Path],
) -> None:
    assert "The report chose 512-192-1e-05, which was not among the trials." in tuned[0].stdout


def test_the_choice_of_the_report_is_marked(tensorflow: None) -> None:
    from ser_train.tuning import units_table

    metrics = {"1": {"val_accuracy": 0.5}}
    history = {report_units(): metrics, "64-32-1e-03": {"1": {"val_accuracy": 0.6}}}
    lines = units_table(TUNINGS["vgg16-0"], history, report_units()).splitlines()
    assert "| 64 | 32 | 1e-03 **chosen** | 1 | 0.600 |" in lines
    assert "| 512 | 192 | 1e-05 [report] | 1 | 0.500 |" in lines


def test_a_finished_tuning_is_only_read(
    tuned: tuple[CompletedProcess[str], Path], tune: Command
) -> None:
    again = tune(tuned[1].parent)
    assert again.stdout == tuned[0].stdout
    assert "epoch 1" not in again.stderr


def test_other_weights_do_not_go_on_in_the_folder(
    tuned: tuple[CompletedProcess[str], Path], tune: Command, vgg16_file: Path, tmp_path: Path
) -> None:
    import h5py

    other = tmp_path / "other.h5"
    other.write_bytes(vgg16_file.read_bytes())
    with h5py.File(other, "a") as file:
        file["block1_conv1/block1_conv1/block1_conv1_b_1:0"][:] = 1
    done = tune(tuned[1].parent, other)
    assert done.returncode == 9
    assert "made of another weights" in done.stderr
