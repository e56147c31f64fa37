"""What people see: a live panel for microphones and pipes, a line per window for files."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from numpy.typing import NDArray
from rich.console import Console
from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.progress import BarColumn
from rich.progress import Progress
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ser_runtime.audio_file import AudioFile
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary

COLORS = {
    "angry": "red",
    "disgust": "green",
    "fear": "magenta",
    "happy": "yellow",
    "neutral": "white",
    "sad": "blue",
    "surprise": "cyan",
}
_BAR_WIDTH = 24
_LEVEL_RANGE_DBFS = (-60.0, 0.0)


class LiveView:
    """A panel that shows the newest prediction of a stream without end."""

    def __init__(self, console: Console, source: str, model: str) -> None:
        self._title = Text(f"{source} · {model}")
        self._live = Live(
            Panel(Text("listening …"), title=self._title, width=58),
            console=console,
            refresh_per_second=8,
        )

    def __enter__(self) -> LiveView:
        self._live.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._live.stop()

    def show(self, prediction: Prediction) -> None:
        """Draw a prediction."""
        headline = Text.assemble(
            (prediction.label.upper(), f"bold {_color(prediction.label)}"),
            f"  {prediction.confidence:.0%}",
            ("" if prediction.certain else "  (unsure)", "dim"),
        )
        bars = Table.grid(padding=(0, 1))
        for emotion, probability in prediction.probabilities.items():
            bars.add_row(emotion, _bar(probability, emotion), f"{probability:4.0%}")
        low, high = _LEVEL_RANGE_DBFS
        level = min(max((prediction.level_dbfs - low) / (high - low), 0.0), 1.0)
        bars.add_row("", "", "")
        bars.add_row("level", _bar(level, ""), f"{prediction.level_dbfs:.0f} dBFS")
        facts = f"{_clock(prediction.end)}  dropped {prediction.dropped_ms:.0f} ms  Ctrl-C ends"
        self._live.update(
            Panel(Group(headline, bars, Text(facts, "dim")), title=self._title, width=58)
        )


@contextmanager
def file_progress(
    console: Console, audio: AudioFile, hidden: bool
) -> Iterator[Callable[[Iterable[NDArray[Any]]], Iterator[NDArray[Any]]]]:
    """A progress bar over an open file; yields what wraps its blocks.

    Args:
        console: Where to; nothing is drawn where that is no terminal.
        audio: The file.
        hidden: Draw nothing in any case.
    """
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), TimeRemainingColumn())
    disable = hidden or not console.is_terminal
    # Standard output is left alone: it is the result, and may be a pipe.
    options = {"transient": True, "redirect_stdout": False, "redirect_stderr": False}
    with Progress(*columns, console=console, disable=disable, **options) as progress:
        task = progress.add_task(audio.path.name, total=audio.seconds)

        def counted(blocks: Iterable[NDArray[Any]]) -> Iterator[NDArray[Any]]:
            for block in blocks:
                yield block
                progress.advance(task, len(block) / audio.sample_rate)

        yield counted


def show_line(console: Console, prediction: Prediction) -> None:
    """Print a prediction of a file as one line."""
    line = Text.assemble(
        f"{_clock(prediction.start)} – {_clock(prediction.end)}  ",
        (f"{prediction.label:9}", _color(prediction.label)),
        f"{prediction.confidence:4.0%}  ",
        _bar(prediction.confidence, prediction.label),
        ("" if prediction.certain else " unsure", "dim"),
        ("" if prediction.complete else " (partial)", "dim"),
    )
    console.print(line)


def show_summary(console: Console, summary: Summary) -> None:
    """Print the one answer for a recording."""
    ranked = sorted(summary.probabilities.items(), key=lambda item: -item[1])
    text = Text.assemble(
        "whole recording: ",
        (summary.label, f"bold {_color(summary.label)}"),
        f"  ({', '.join(f'{name} {value:.0%}' for name, value in ranked[:3])}; "
        f"{summary.windows} window{'s' if summary.windows > 1 else ''}, {summary.seconds:.1f} s)",
    )
    console.print(text)


def _bar(share: float, emotion: str) -> Text:
    filled = round(share * _BAR_WIDTH)
    return Text("█" * filled + "░" * (_BAR_WIDTH - filled), _color(emotion))


def _color(emotion: str) -> str:
    return COLORS.get(emotion, "white")


def _clock(seconds: float) -> str:
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:05.2f}"
