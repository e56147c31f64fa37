"""What is drawn on a terminal."""

from __future__ import annotations

import dataclasses
import io
import re
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from ser_runtime.audio_file import AudioFile
from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.terminal import COLORS
from ser_runtime.terminal import LiveView
from ser_runtime.terminal import file_progress
from ser_runtime.terminal import show_line
from ser_runtime.terminal import show_summary

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
    show_line(screen.console, prediction)
    assert screen.text == f"01:01.00 – 01:03.23  sad       70%  {'█' * 17}{'░' * 7}\n"


@pytest.mark.parametrize(
    ("changes", "remark"),
    [({"certain": False}, "unsure"), ({"complete": False}, "(partial)")],
)
def test_a_line_remarks_what_to_doubt(
    screen: Screen, prediction: Prediction, changes: dict[str, bool], remark: str
) -> None:
    show_line(screen.console, dataclasses.replace(prediction, **changes))
    assert screen.text.endswith(f" {remark}\n")


@pytest.mark.parametrize(("windows", "counted"), [(1, "1 window,"), (4, "4 windows,")])
def test_the_summary_ranks_three_emotions(screen: Screen, windows: int, counted: str) -> None:
    shares = dict.fromkeys(EMOTIONS, 0.0) | {"fear": 0.5, "sad": 0.3, "angry": 0.2}
    show_summary(screen.console, Summary("fear", shares, windows, 3.25))
    assert screen.text == (
        f"whole recording: fear  (fear 50%, sad 30%, angry 20%; {counted} 3.2 s)\n"
    )


def test_the_live_panel_shows_the_newest_prediction(screen: Screen, prediction: Prediction) -> None:
    with LiveView(screen.console, "USB microphone", "cnn") as view:
        view.show(dataclasses.replace(prediction, label="happy", certain=False))
    for shown in ("USB microphone · cnn", "HAPPY  70%  (unsure)", "-30 dBFS", "dropped 12 ms"):
        assert shown in screen.text
    for emotion in EMOTIONS:
        assert re.search(rf"{emotion} +[█░]{{24}}", screen.text)


def test_the_live_panel_says_that_it_listens_until_then(screen: Screen) -> None:
    with LiveView(screen.console, "USB microphone", "cnn"):
        pass
    assert "listening" in screen.text


@pytest.mark.parametrize(("level", "filled"), [(-120.0, 0), (-30.0, 12), (20.0, 24)])
def test_the_level_bar_stays_within_its_range(
    screen: Screen, prediction: Prediction, level: float, filled: int
) -> None:
    with LiveView(screen.console, "microphone", "cnn") as view:
        view.show(dataclasses.replace(prediction, level_dbfs=level))
    assert re.search(rf"level +{'█' * filled}{'░' * (24 - filled)} ", screen.text)


def test_the_cursor_comes_back_after_an_error(screen: Screen) -> None:
    def interrupted() -> None:
        with LiveView(screen.console, "microphone", "cnn"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    drawn = screen.console.file.getvalue()  # type: ignore[attr-defined]
    assert drawn.rindex("\x1b[?25h") > drawn.rindex("\x1b[?25l")


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
