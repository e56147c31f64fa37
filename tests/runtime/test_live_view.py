"""The live panel, on terminals of every size, and on one that goes away."""

from __future__ import annotations

import dataclasses
import io
import os
import pty
import re
import time
from contextlib import suppress
from typing import Any

import pytest
from rich.cells import cell_len
from rich.console import Console

from ser_runtime.labels import EMOTIONS
from ser_runtime.live_loop import LiveCounts
from ser_runtime.live_view import CpuShare
from ser_runtime.live_view import LiveView
from ser_runtime.prediction import Prediction
from ser_runtime.terminal import COLORS

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
CLEAR_SCREEN = "\x1b[H\x1b[2J"
SILENT = {
    "label": None, "confidence": 0.0, "certain": False, "probabilities": None, "smoothed": None,
    "voice": False, "voice_start": None, "voice_end": None,
}  # fmt: skip


class Screen:
    """A terminal whose output is kept."""

    def __init__(self, columns: int = 100, rows: int = 40, file: Any = None) -> None:
        self.console = Console(
            file=file or io.StringIO(),
            force_terminal=True,
            width=columns,
            height=rows,
            highlight=False,
            legacy_windows=False,
            color_system="standard",
        )

    def resize(self, columns: int, rows: int) -> None:
        self.console.size = (columns, rows)

    def view(self, counts: LiveCounts | None = None) -> LiveView:
        return LiveView(self.console, "USB microphone", "cnn", EMOTIONS, counts)

    @property
    def raw(self) -> str:
        return self.console.file.getvalue()  # type: ignore[attr-defined]

    @property
    def text(self) -> str:
        return ESCAPES.sub("", self.raw)


@pytest.fixture
def screen() -> Screen:
    return Screen()


def test_the_panel_shows_the_newest_prediction(screen: Screen, prediction: Prediction) -> None:
    with screen.view() as view:
        view.show(dataclasses.replace(prediction, label="happy", certain=False))
    for shown in ("USB microphone · cnn", "HAPPY  70%  (unsure)", "-30 dBFS", "dropped 12 ms"):
        assert shown in screen.text
    for emotion in EMOTIONS:
        assert re.search(rf"{emotion} +[█░]{{20,}} +\d+%", screen.text)
    assert re.search(r"CPU \d+\.\d%", screen.text)


def test_the_bars_are_the_smoothed_probabilities(screen: Screen, prediction: Prediction) -> None:
    smoothed = dict.fromkeys(EMOTIONS, 0.0) | {"fear": 1.0}
    with screen.view() as view:
        view.show(dataclasses.replace(prediction, smoothed=smoothed))
    assert re.search(r"fear +█+ +100%", screen.text)
    assert re.search(r"sad +░+ +0%", screen.text)


def test_the_panel_says_that_it_listens_until_then(screen: Screen) -> None:
    with screen.view():
        pass
    assert "listening" in screen.text


@pytest.mark.parametrize(
    ("changes", "headline"),
    [
        ({"label": "uncertain", "confidence": 0.31, "certain": False}, "UNCERTAIN  31% "),
        (SILENT, "NO VOICE "),
    ],
)
def test_the_panel_says_where_there_is_no_emotion(
    screen: Screen, prediction: Prediction, changes: dict[str, Any], headline: str
) -> None:
    with screen.view() as view:
        view.show(dataclasses.replace(prediction, **changes))
    assert headline in screen.text
    assert "unsure" not in screen.text


@pytest.mark.parametrize(("level", "share"), [(-120.0, 0.0), (-30.0, 0.5), (20.0, 1.0)])
def test_the_level_bar_stays_within_its_range(
    screen: Screen, prediction: Prediction, level: float, share: float
) -> None:
    with screen.view() as view:
        view.show(dataclasses.replace(prediction, level_dbfs=level))
    (found,) = set(re.findall(r"level +([█░]+) ", screen.text))
    assert found.count("█") == pytest.approx(share * len(found), abs=0.5)


def timeline_of(screen: Screen) -> str:
    return re.findall(r"-60 s +([█▒·]+) +now", screen.text)[-1]


def test_the_timeline_is_the_last_minute(screen: Screen, prediction: Prediction) -> None:
    with screen.view() as view:
        for second in range(1, 121):
            # Speech for 90 s, silence for 15, and 15 s that are uncertain.
            changes = SILENT if 90 < second <= 105 else {}
            label = {"label": "uncertain"} if second > 105 else {}
            view.show(dataclasses.replace(prediction, **{"end": float(second), **changes, **label}))
    line = timeline_of(screen)
    assert re.fullmatch(r"█+·+▒+", line)
    for mark, seconds in (("█", 30), ("·", 15), ("▒", 15)):
        assert line.count(mark) / len(line) * 60 == pytest.approx(seconds, abs=1.5)


def test_the_timeline_of_a_young_stream_is_empty_before_it(
    screen: Screen, prediction: Prediction
) -> None:
    with screen.view() as view:
        for second in range(1, 16):
            view.show(dataclasses.replace(prediction, end=float(second)))
    line = timeline_of(screen)
    assert re.fullmatch(r"·+█+", line)
    assert line.count("█") / len(line) * 60 == pytest.approx(15, abs=1.5)


def test_the_timeline_has_the_colors_of_the_labels(screen: Screen, prediction: Prediction) -> None:
    codes = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}
    with screen.view() as view:
        for index, emotion in enumerate(EMOTIONS):
            for step in range(8):
                end = 8.0 * index + step + 1
                view.show(dataclasses.replace(prediction, label=emotion, end=end))
    timeline = next(row for row in reversed(screen.raw.splitlines()) if "-60 s" in row)
    for emotion in set(EMOTIONS) - {"neutral"}:
        assert f"\x1b[{codes[COLORS[emotion]]}m█" in timeline


def test_what_was_lost_is_counted(screen: Screen, prediction: Prediction) -> None:
    counts = LiveCounts()
    with screen.view(counts) as view:
        counts.overloads = 3
        view.show(dataclasses.replace(prediction, dropped_ms=1234.0))
    assert "dropped 1234 ms  overloads 3" in screen.text


def test_a_status_is_shown_in_the_panel(screen: Screen, prediction: Prediction) -> None:
    with screen.view() as view:
        view.show(prediction)
        view.status("the microphone 'USB' is gone")
        assert "│ the microphone 'USB' is gone" in screen.text


@pytest.mark.parametrize("rows", [1, 2, 8, 40])
@pytest.mark.parametrize("columns", [1, 2, 3, 5, 10, 39, 40, 41, 60, 200])
def test_it_fits_every_size(prediction: Prediction, columns: int, rows: int) -> None:
    screen = Screen(columns, rows)
    with screen.view() as view:
        view.show(prediction)
        view.show(dataclasses.replace(prediction, **SILENT))
        drawn = screen.text
    assert max(map(cell_len, drawn.splitlines())) <= columns
    last = screen.raw[screen.raw.rindex("\x1b[2K") :]
    assert last.count("\n") < max(rows, 2)


def test_it_follows_the_size_of_the_terminal(screen: Screen, prediction: Prediction) -> None:
    with screen.view() as view:
        view.show(prediction)
        for columns, rows in ((4, 3), (1, 1), (50, 20), (100, 40)):
            screen.resize(columns, rows)
            before = len(screen.raw)
            view.show(prediction)
            drawn = screen.raw[before:]
            assert drawn.startswith(CLEAR_SCREEN)
            assert max(map(cell_len, ESCAPES.sub("", drawn).splitlines())) <= columns


def test_nothing_is_cleared_while_the_size_stays(screen: Screen, prediction: Prediction) -> None:
    with screen.view() as view:
        view.show(prediction)
        view.show(prediction)
    assert CLEAR_SCREEN not in screen.raw


def test_a_terminal_that_is_gone_is_a_closed_pipe(prediction: Prediction) -> None:
    ours, theirs = pty.openpty()
    file = os.fdopen(theirs, "w", encoding="utf-8")
    screen = Screen(file=file)

    def shown_until_it_is_gone() -> None:
        with screen.view() as view:
            view.show(prediction)
            os.close(ours)
            view.show(prediction)

    with pytest.raises(BrokenPipeError):
        shown_until_it_is_gone()
    with suppress(OSError):
        file.close()


def test_the_cursor_comes_back_after_an_error(screen: Screen) -> None:
    def interrupted() -> None:
        with screen.view():
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert screen.raw.rindex("\x1b[?25h") > screen.raw.rindex("\x1b[?25l")


def test_the_share_of_the_processor_is_that_of_the_time_since(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clocks = {"monotonic": 100.0, "process_time": 3.0}
    for name in clocks:
        monkeypatch.setattr(time, name, lambda name=name: clocks[name])
    share = CpuShare()
    assert share() == 0.0
    shares = []
    for second in range(1, 21):
        clocks["monotonic"] += 1.0
        clocks["process_time"] += 0.5 if second <= 10 else 0.1
        shares.append(share())
    assert shares[0] == pytest.approx(0.5)
    assert shares[9] == pytest.approx(0.5)
    assert shares[-1] == pytest.approx(0.1)
