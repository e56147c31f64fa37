"""What people see of files: a progress bar, a line per window or segment, and summaries."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from collections.abc import Sequence
from contextlib import contextmanager
from typing import Any
from typing import NoReturn

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import ProgressColumn
from rich.progress import TextColumn
from rich.progress import TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from ser_runtime.audio_file import AudioFile
from ser_runtime.lost_output import lost_output
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.segments import Segment
from ser_runtime.segments import SegmentMaker

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
_UNLIMITED = 100_000
Block = NDArray[np.float32]


class PlainConsole(Console):
    """A console that colors nothing on its own, wraps only on a terminal, and breaks no pipe."""

    def __init__(self, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, highlight=False)
        if not self.is_terminal:
            self.width = _UNLIMITED

    def print(self, *objects: Any, **options: Any) -> None:
        """As rich's.

        Raises:
            BrokenPipeError: If the output is gone.
        """
        with lost_output():
            super().print(*objects, **options)

    def on_broken_pipe(self) -> NoReturn:
        """Let `run_command` end the command, where rich would end the process with 1.

        Raises:
            BrokenPipeError: Always.
        """
        raise BrokenPipeError


@contextmanager
def file_progress(
    console: Console, audio: AudioFile, hidden: bool
) -> Iterator[Callable[[Iterable[Block]], Iterator[Block]]]:
    """A progress bar over an open file; yields what wraps its blocks.

    Args:
        console: Where to; nothing is drawn where that is no terminal.
        audio: The file.
        hidden: Draw nothing in any case.
    """
    with _progress(console, hidden, TimeRemainingColumn()) as progress:
        task = progress.add_task(audio.path.name, total=audio.seconds)

        def counted(blocks: Iterable[Block]) -> Iterator[Block]:
            for block in blocks:
                yield block
                progress.advance(task, len(block) / audio.sample_rate)

        yield counted


@contextmanager
def files_progress(console: Console, files: int, hidden: bool) -> Iterator[Callable[[], None]]:
    """A progress bar over many files; yields what is to be called when one of them is done.

    Args:
        console: As in `file_progress`.
        files: How many there are.
        hidden: As in `file_progress`.
    """
    with _progress(console, hidden, MofNCompleteColumn(), TimeRemainingColumn()) as progress:
        task = progress.add_task("files", total=files)
        yield lambda: progress.advance(task)


@contextmanager
def _progress(console: Console, hidden: bool, *columns: ProgressColumn) -> Iterator[Progress]:
    progress = Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        *columns,
        console=console,
        disable=hidden or not console.is_terminal,
        transient=True,
        # Standard output is left alone: it is the result, and may be a pipe.
        redirect_stdout=False,
        redirect_stderr=False,
    )
    with lost_output():
        progress.start()
    try:
        yield progress
    finally:
        with lost_output():
            progress.stop()


class Lines:
    """Results of a file as lines for eyes: of its windows, or of its emotion segments."""

    def __init__(self, console: Console, segments: bool) -> None:
        """Start a recording.

        Args:
            console: Whose width and colors the lines are made for.
            segments: A line for each segment, not for each window.
        """
        self._console = console
        self._segments = SegmentMaker() if segments else None

    def begin(self) -> str:
        """Nothing: lines have no header."""
        return ""

    def add(self, prediction: Prediction) -> str:
        """The lines that a prediction completes, which may be none."""
        if self._segments is None:
            return self._text(_window_line(prediction))
        return "".join(map(self._text, map(_segment_line, self._segments.add(prediction))))

    def end(self) -> str:
        """The lines that waited for the end of the recording."""
        ended = self._segments.flush() if self._segments else []
        return "".join(map(self._text, map(_segment_line, ended)))

    def _text(self, line: Text) -> str:
        with self._console.capture() as captured:
            self._console.print(line)
        return captured.get()


def _window_line(prediction: Prediction) -> Text:
    line = _line(prediction.start, prediction.end, prediction.label, prediction.confidence)
    if prediction.voice and not prediction.certain and prediction.label != UNCERTAIN:
        line.append(" unsure", "dim")
    if not prediction.complete:
        line.append(" (partial)", "dim")
    return line


def _segment_line(segment: Segment) -> Text:
    return _line(segment.start, segment.end, segment.label, segment.confidence)


def _line(start: float, end: float, label: str | None, confidence: float) -> Text:
    return Text.assemble(
        f"{clock(start)} – {clock(end)}  ",
        (f"{label or 'no voice':9}", color(label)),
        f"{confidence:4.0%}  ",
        bar(confidence, color(label), _BAR_WIDTH),
    )


def show_summary(console: Console, summary: Summary) -> None:
    """Print the one answer for a recording."""
    text = Text(f"whole recording: no voice  ({summary.seconds:.1f} s)")
    if summary.label is not None:
        windows = f"{summary.windows} window{'s' if summary.windows > 1 else ''}"
        text = Text.assemble(
            "whole recording: ",
            (summary.label, f"bold {color(summary.label)}"),
            f"  ({_best(summary)}; {windows}, {summary.seconds:.1f} s)",
        )
    console.print(text)


def show_summary_table(console: Console, summaries: Sequence[tuple[str, Summary | None]]) -> None:
    """Print the one answer for each of many recordings.

    Args:
        console: Where to.
        summaries: Name of a recording, and its answer; None where there is none.
    """
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("file", overflow="fold")
    table.add_column("seconds", justify="right", no_wrap=True)
    table.add_column("label", no_wrap=True)
    table.add_column("mean probabilities")
    for name, summary in summaries:
        if summary is None:
            table.add_row(Text(name), "–", Text("not read", "dim"), "")
            continue
        label = Text(summary.label or "no voice", color(summary.label))
        table.add_row(Text(name), f"{summary.seconds:.1f}", label, _best(summary))
    console.print(table)
    read = [summary for _, summary in summaries if summary is not None]
    total = sum(summary.seconds for summary in read)
    console.print(
        f"{len(summaries)} files, {clock(total)} of audio"
        + (f", {len(summaries) - len(read)} not read" if len(read) < len(summaries) else "")
    )


def _best(summary: Summary) -> str:
    ranked = sorted((summary.probabilities or {}).items(), key=lambda item: -item[1])
    return ", ".join(f"{name} {value:.0%}" for name, value in ranked[:3])


def bar(share: float, style: str, width: int) -> Text:
    """A bar of `width` columns, filled by a share of 0 to 1."""
    filled = round(share * width)
    return Text("█" * filled + "░" * (width - filled), style)


def color(label: str | None) -> str:
    """The style of a label; of none, of `uncertain` and of other models' labels too."""
    if label is None or label == UNCERTAIN:
        return "dim"
    return COLORS.get(label, "white")


def clock(seconds: float) -> str:
    """Minutes and seconds, with hundredths."""
    minutes, rest = divmod(seconds, 60)
    return f"{int(minutes):02d}:{rest:05.2f}"
