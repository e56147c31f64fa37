"""`--first-phase`: a last phase behind a run that was complete before its recipe had one."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from ser_runtime.errors import RunFolderError
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.first_phase import read_first_phase

Command = Callable[..., "object"]

FINISH = {"epochs": 1, "learning_rate": 1e-3, "augmentation": {"noisy": 0.0}}


def test_it_is_read_with_its_history_and_the_hash_of_its_weights(tiny_run: Path) -> None:
    first = read_first_phase(tiny_run)
    assert list(first.history) == ["search", "retrain"]
    assert set(first.to_dict()) == {"sha256"}
    assert len(first.sha256) == 64


@pytest.mark.parametrize("name", ["metrics.json", "history.json", "weights.npz"])
def test_a_run_that_is_not_whole_is_refused(tiny_run: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / name).unlink()
    with pytest.raises(RunFolderError, match=name.partition(".")[0]):
        read_first_phase(tmp_path / "run")


def test_it_is_of_one_seed(ser_train: Command, tiny_corpora: Path, tiny_run: Path) -> None:
    done = ser_train(
        "compact", "--corpora", tiny_corpora, "--first-phase", tiny_run, "--repeat", 2
    )  # fmt: skip
    assert done.returncode == 2
    assert "--first-phase is of one seed" in done.stderr


def test_only_a_recipe_with_a_last_phase_has_a_first(ser_train: Command, tiny_run: Path) -> None:
    done = ser_train("cnn", "--corpora", "x", "--first-phase", tiny_run)
    assert done.returncode == 2
    assert "--first-phase" in done.stderr


def test_the_last_phase_alone_is_trained_and_the_run_is_that_of_the_whole_recipe(
    ser_train: Command,
    small_compact: Experiment,
    tiny_corpora: Path,
    cache: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    options = ("--corpora", tiny_corpora, "--cache", cache, "--max-epochs", 2, "--threads", 1)

    def trained(finish: dict, out: str, *more: object) -> tuple[Path, str]:
        row = dataclasses.replace(small_compact, finish=finish)
        monkeypatch.setitem(EXPERIMENTS, "compact", row)
        done = ser_train("compact", *options, "--out", tmp_path / out, *more)
        assert done.returncode == 0, done.stderr
        return tmp_path / out / "compact-report-seed0", done.stderr

    first, _ = trained({}, "first")
    whole, epochs_of_both = trained(FINISH, "whole")
    behind, epochs = trained(FINISH, "behind", "--first-phase", first)
    assert "search: epoch 2" in epochs_of_both
    assert "search: epoch" not in epochs
    assert "finish: epoch 1" in epochs
    for name in ("predictions.csv", "standardization.json"):
        assert (behind / name).read_bytes() == (whole / name).read_bytes()
    assert (behind / "predictions.csv").read_bytes() != (first / "predictions.csv").read_bytes()
    metrics = [json.loads((run / "metrics.json").read_text()) for run in (whole, behind)]
    assert metrics[0]["epochs"] == {
        "trained": 3,
        "searched": 3,
        "search_stopped_by_hand": True,
    }
    for figures in metrics:
        del figures["minutes"]
    assert metrics[0] == metrics[1]
    assert not list(behind.glob("*checkpoint*"))
    done = ser_train(
        "compact", *options, "--out", tmp_path / "other", "--seed", 1, "--first-phase", first
    )
    assert done.returncode == 9
    assert "of another training: another seed" in done.stderr
