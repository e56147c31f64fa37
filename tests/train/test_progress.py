"""Progress on stderr, where that is no terminal."""

from __future__ import annotations

import pytest

from ser_train.progress import TrainingProgress
from ser_train.progress import reading_progress

METRICS = {"loss": 1.23456, "val_accuracy": 0.5}


def test_a_finished_epoch_leaves_a_line(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        progress.epoch("search", 3, METRICS)
    assert capfd.readouterr().err == "search: epoch 3  loss 1.235  val_accuracy 0.500\n"


def test_a_note_is_printed_as_it_is(capfd: pytest.CaptureFixture[str]) -> None:
    text = f"runs/[bold]/{'x' * 200} is complete"
    with TrainingProgress() as progress:
        progress.note(text)
    assert capfd.readouterr().err == f"{text}\n"


def test_bars_are_silent_where_there_is_no_terminal(capfd: pytest.CaptureFixture[str]) -> None:
    with reading_progress() as progress:
        progress(1, 2)
    with TrainingProgress() as training:
        training.features(1, 2)
        training.batch("search", 1, 1, 2, METRICS)
        training.batch("search", 1, 2, 2, METRICS)
    heard = capfd.readouterr()
    assert heard.out == ""
    assert heard.err.strip() == ""


def test_nothing_goes_to_stdout(capfd: pytest.CaptureFixture[str]) -> None:
    with TrainingProgress() as progress:
        progress.note("a note")
        progress.epoch("search", 1, METRICS)
    assert capfd.readouterr().out == ""
