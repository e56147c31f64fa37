"""What `ser-listen` writes, and where: the options of its results, checked before any work."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import replace
from pathlib import Path

from ser_runtime.errors import UsageError
from ser_runtime.extras import require_extra
from ser_runtime.output_formats import FORMATS
from ser_runtime.output_formats import Rows
from ser_runtime.path_facts import exists
from ser_runtime.path_facts import followed
from ser_runtime.path_facts import is_folder
from ser_runtime.path_facts import is_regular
from ser_runtime.path_facts import same_file
from ser_runtime.terminal import Lines
from ser_runtime.terminal import PlainConsole
from ser_runtime.timeline import Timeline

REPLACED = "{} values were NaN, infinite or far too large, and count as 0"
PLOT_SUFFIXES = (".png", ".svg", ".pdf")


@dataclass(frozen=True)
class Output:
    """The results of one recording, or of many.

    Attributes:
        row_format: Key of `FORMATS`; None: no rows, but what is drawn on the terminal.
        segments: Rows, or lines, for emotion segments instead of windows.
        out: File, or folder, that the rows go to; None: standard output.
        plot: Picture to draw.
        on_terminal: Whether standard output is a terminal.
    """

    row_format: str | None
    segments: bool
    out: Path | None
    plot: Path | None
    on_terminal: bool

    @classmethod
    def of_options(
        cls, row_format: str | None, segments: bool, out: Path | None, plot: Path | None
    ) -> Output:
        """Choose what the options leave open.

        Raises:
            UsageError: If no picture has such a suffix.
            MissingExtraError: If a picture is wanted, and there is no matplotlib.
        """
        if plot is not None:
            if plot.suffix.lower() not in PLOT_SUFFIXES:
                raise UsageError(f"--plot {plot}: the suffix must be {' or '.join(PLOT_SUFFIXES)}")
            require_extra("plot", ["matplotlib"])
        # rich's own idea of a terminal can be forced from outside.
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        if row_format is None and out is None and not on_terminal:
            row_format = "jsonl"
        return cls(row_format, segments, out, plot, on_terminal)

    @property
    def draws(self) -> bool:
        """Whether standard output is for drawing: a terminal that gets no rows."""
        return self.on_terminal and (self.row_format is None or self.out is not None)

    @property
    def rows_on_terminal(self) -> bool:
        """Whether a progress bar would come between rows or lines."""
        return self.on_terminal and self.out is None

    def of_one(self, source: Path | int | None = None) -> Output:
        """The output of one recording: its format may be told by the suffix of its file.

        Args:
            source: What must not be written over: a file, or the descriptor of one.

        Raises:
            UsageError: If it is not, or a result's place is a folder, a device, or an input.
        """
        for option, path in (("--out", self.out), ("--plot", self.plot)):
            if path is not None:
                _check_new_file(option, path, source)
        if self.out and self.plot and followed(self.out) == followed(self.plot):
            raise UsageError(f"--out and --plot are both {self.plot}")
        if self.row_format is None and self.out is not None:
            return replace(self, row_format=_format_of(self.out))
        return self

    def results(self, labels: Sequence[str]) -> Rows | Lines:
        """What makes the text of one recording's results.

        Args:
            labels: The model's.
        """
        if self.row_format is None:
            return Lines(PlainConsole(), self.segments)
        return Rows(self.row_format, labels, self.segments)


def draw_plot(timeline: Timeline, title: str, path: Path) -> None:
    """Draw a recording that has ended.

    Raises:
        StorageError: If the picture cannot be written.
    """
    # Only here: it takes longer to import than a file to recognize.
    from ser_runtime.timeline_plot import plot_timeline

    timeline.end()
    plot_timeline(timeline, title, path)


def _format_of(path: Path) -> str:
    for name, output_format in FORMATS.items():
        if path.suffix.lower() == output_format.suffix:
            return name
    known = ", ".join(f"{known.suffix} is {name}" for name, known in FORMATS.items())
    raise UsageError(f"--out {path}: its suffix tells no format ({known}): say --format too")


def _check_new_file(option: str, path: Path, source: Path | int | None) -> None:
    if is_folder(path):
        raise UsageError(f"{option} {path} is a folder: name a file in it")
    if exists(path) and not is_regular(path):
        raise UsageError(f"{option} {path} is no regular file: redirect standard output to it")
    if source is not None and same_file(path, source):
        raise UsageError(f"{option} {path} would take the place of the recording itself")
