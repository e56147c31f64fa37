"""What is shown of files."""

from __future__ import annotations

import dataclasses
import io
import os
import re
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from ser_runtime.audio_file import AudioFile
from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.terminal import COLORS
from ser_runtime.terminal import Lines
from ser_runtime.terminal import PlainConsole
from ser_runtime.terminal import file_progress
from ser_runtime.terminal import files_progress
from ser_runtime.terminal import show_summary
from ser_runtime.terminal import show_summary_table

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


class Screen:
    """A terminal of 100 columns whose output is kept."""

    def __init__(self) -> None:
        self.console = Console(
            file=io.StringIO(),
            force_terminal=True,
            width=100,
            highlight=False,
            legacy_windows=False,
        )

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.console.file.getvalue())  # type: ignore[attr-defined]


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_every_emotion_has_a_color_of_its_own() -> None:
    assert set(COLORS) == set(EMOTIONS)
    assert len(set(COLORS.values())) == len(EMOTIONS)


def test_a_line_tells_time_emotion_and_confidence(screen: Screen, prediction: Prediction) -> None:
    line = Lines(screen.console, segments=False).add(prediction)
    assert ESCAPES.sub("", line) == f"01:01.00 – 01:03.23  sad       70%  {'█' * 17}{'░' * 7}\n"


@pytest.mark.parametrize(
    ("changes", "remark"),
    [({"certain": False}, "unsure"), ({"complete": False}, "(partial)")],
)
def test_a_line_remarks_what_to_doubt(
    screen: Screen, prediction: Prediction, changes: dict[str, bool], remark: str
) -> None:
    line = Lines(screen.console, segments=False).add(dataclasses.replace(prediction, **changes))
    assert ESCAPES.sub("", line).endswith(f" {remark}\n")


@pytest.mark.parametrize(
    ("changes", "shown"),
    [
        ({"label": "uncertain", "confidence": 0.3, "certain": False}, "uncertain 30%"),
        (
            {"label": None, "confidence": 0.0, "certain": False, "voice": False,
             "probabilities": None, "smoothed": None},
            "no voice   0%",
        ),
    ],
)  # fmt: skip
def test_a_line_without_an_emotion_is_dim(
    screen: Screen, prediction: Prediction, changes: dict[str, Any], shown: str
) -> None:
    line = Lines(screen.console, segments=False).add(dataclasses.replace(prediction, **changes))
    assert shown in ESCAPES.sub("", line)
    assert "\x1b[2m" in line
    assert "unsure" not in line


def test_lines_of_segments_come_when_these_have_ended(
    screen: Screen, prediction: Prediction
) -> None:
    lines = Lines(screen.console, segments=True)
    assert lines.begin() + lines.add(prediction) == ""
    assert ESCAPES.sub("", lines.end()).startswith("01:01.50 – 01:03.20  sad       70%  █")


def test_lines_write_nothing_themselves(screen: Screen, prediction: Prediction) -> None:
    Lines(screen.console, segments=False).add(prediction)
    assert screen.text == ""


@pytest.mark.parametrize(("windows", "counted"), [(1, "1 window,"), (4, "4 windows,")])
def test_the_summary_ranks_three_emotions(screen: Screen, windows: int, counted: str) -> None:
    shares = dict.fromkeys(EMOTIONS, 0.0) | {"fear": 0.5, "sad": 0.3, "angry": 0.2}
    show_summary(screen.console, Summary("fear", shares, windows, 3.25))
    assert screen.text == (
        f"whole recording: fear  (fear 50%, sad 30%, angry 20%; {counted} 3.2 s)\n"
    )


def test_a_summary_without_voice_says_so(screen: Screen) -> None:
    show_summary(screen.console, Summary(None, None, 0, 3.25))
    assert screen.text == "whole recording: no voice  (3.2 s)\n"


def test_a_table_has_a_row_for_each_recording(screen: Screen) -> None:
    shares = dict.fromkeys(EMOTIONS, 0.0) | {"fear": 0.5, "sad": 0.3, "angry": 0.2}
    answers = [
        ("a.wav", Summary("fear", shares, 4, 70.0)),
        ("quiet.wav", Summary(None, None, 0, 2.0)),
        ("[bold]bad.wav", None),
    ]
    show_summary_table(screen.console, answers)
    rows = [re.split(r"  +", row.strip()) for row in screen.text.splitlines()]
    assert rows == [
        ["file", "seconds", "label", "mean probabilities"],
        ["a.wav", "70.0", "fear", "fear 50%, sad 30%, angry 20%"],
        ["quiet.wav", "2.0", "no voice"],
        ["[bold]bad.wav", "–", "not read"],
        ["3 files, 01:12.00 of audio, 1 not read"],
    ]


def test_where_there_is_no_terminal_nothing_is_wrapped(capsys: pytest.CaptureFixture[str]) -> None:
    show_summary_table(PlainConsole(), [("x" * 300, None)])
    assert "x" * 300 in capsys.readouterr().out


def test_a_reader_that_goes_away_is_a_closed_pipe(monkeypatch: pytest.MonkeyPatch) -> None:
    read, write = os.pipe()
    os.close(read)
    monkeypatch.setattr(sys, "stderr", os.fdopen(write, "w", buffering=1))
    with pytest.raises(BrokenPipeError):
        PlainConsole(stderr=True).print("text")
    with suppress(BrokenPipeError):
        sys.stderr.close()


def test_files_are_counted(screen: Screen) -> None:
    with files_progress(screen.console, 3, hidden=False) as one_done:
        one_done()
        one_done()
    assert "2/3" in screen.text


@pytest.mark.parametrize("hidden", [True, False])
def test_progress_passes_every_block_on(screen: Screen, wav: Path, hidden: bool) -> None:
    with AudioFile(wav) as audio, file_progress(screen.console, audio, hidden) as bar:
        samples = np.concatenate(list(bar(audio.blocks())))
    assert samples.shape == (64_000, 1)
    assert ("voice.wav" in screen.text) == (not hidden)


def test_progress_is_not_drawn_where_there_is_no_terminal(wav: Path) -> None:
    console = Console(file=io.StringIO(), force_terminal=False)
    with AudioFile(wav) as audio, file_progress(console, audio, hidden=False) as bar:
        list(bar(audio.blocks()))
    assert console.file.getvalue() == ""  # type: ignore[attr-defined]


def test_progress_leaves_standard_output_alone(
    screen: Screen, wav: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with AudioFile(wav) as audio, file_progress(screen.console, audio, hidden=False):
        print('{"label": "sad"}')  # noqa: T201
    assert capsys.readouterr().out == '{"label": "sad"}\n'
