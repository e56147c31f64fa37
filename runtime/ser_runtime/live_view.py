"""The live panel: the newest prediction of a microphone or pipe, and the minute before it."""

from __future__ import annotations

import time
from collections import Counter
from collections import deque
from contextlib import suppress
from itertools import groupby
from types import TracebackType

from rich.console import Console
from rich.console import Group
from rich.console import RenderableType
from rich.control import Control
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from ser_runtime.live_loop import LiveCounts
from ser_runtime.lost_output import lost_output
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.terminal import bar
from ser_runtime.terminal import clock
from ser_runtime.terminal import color

TIMELINE_SECONDS = 60.0
_MOST_COLUMNS = 78
_LEAST_COLUMNS = 40
_LEAST_ROWS = 15
_LEVEL_RANGE_DBFS = (-60.0, 0.0)
_WIDEST_VALUE = "-120 dBFS"
_STATUS_SECONDS = 10.0


class LiveView:
    """A panel that shows the newest prediction of a stream without end; opened by `with`.

    It draws when it is told something, in the caller's thread: an idle stream costs nothing. Where
    the terminal is too small for the panel, it is one line; it follows the terminal's size.
    """

    def __init__(
        self,
        console: Console,
        source: str,
        model: str,
        labels: tuple[str, ...],
        counts: LiveCounts | None = None,
    ) -> None:
        """Prepare a panel.

        Args:
            console: A terminal.
            source: What is listened to.
            model: Name of the model.
            labels: The model's.
            counts: Of the live loop, as it goes on.
        """
        self._console = console
        self._title = Text(f"{source} · {model}")
        self._labels = labels
        self._counts = counts or LiveCounts()
        self._newest: Prediction | None = None
        self._status, self._status_at = "", 0.0
        self._minute: deque[tuple[float, str | None]] = deque()
        self._cpu = CpuShare()
        self._size = console.size
        self._live = Live(self._drawing(), console=console, auto_refresh=False)

    def __enter__(self) -> LiveView:
        with lost_output():
            self._live.start(refresh=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        # After an error it is that error that is told, not that the terminal is gone as well.
        with suppress(OSError) if error else lost_output():
            self._live.stop()

    def show(self, prediction: Prediction) -> None:
        """Draw a prediction.

        Raises:
            BrokenPipeError: If the terminal is gone.
        """
        self._newest = prediction
        self._minute.append((prediction.end, prediction.label))
        while self._minute[0][0] <= prediction.end - TIMELINE_SECONDS:
            self._minute.popleft()
        if time.monotonic() - self._status_at > _STATUS_SECONDS:
            self._status = ""
        self._draw()

    def status(self, text: str) -> None:
        """Show a line about the source: until the next one, or until predictions go on.

        Raises:
            BrokenPipeError: If the terminal is gone.
        """
        self._status, self._status_at = text, time.monotonic()
        self._draw()

    def _draw(self) -> None:
        with lost_output():
            if self._console.size != self._size:
                # The terminal has wrapped what was drawn: nobody knows where that is now.
                self._size = self._console.size
                self._console.control(Control.home(), Control.clear())
            self._live.update(self._drawing(), refresh=True)

    def _drawing(self) -> RenderableType:
        columns, rows = self._size
        if columns < _LEAST_COLUMNS or rows < _LEAST_ROWS:
            return _no_wrap(Text.assemble(self._headline(), "  ", self._facts()))
        width = min(columns, _MOST_COLUMNS)
        lines = [self._headline()]
        if self._newest is not None:
            lines += [*self._meters(self._newest, width - 4), self._facts()]
        # One text, not a table: that takes three times as long to draw, more than a step to score.
        parts = [_no_wrap(Text("\n").join(lines))]
        if self._status:
            parts.append(Text(self._status, "yellow"))
        return Panel(Group(*parts), title=self._title, width=width)

    def _headline(self) -> Text:
        newest = self._newest
        if newest is None:
            return Text("listening …")
        if newest.label is None:
            return Text("NO VOICE", "dim")
        certain = newest.certain or newest.label == UNCERTAIN
        return Text.assemble(
            (newest.label.upper(), f"bold {color(newest.label)}"),
            f"  {newest.confidence:.0%}",
            ("" if certain else "  (unsure)", "dim"),
        )

    def _meters(self, newest: Prediction, width: int) -> list[Text]:
        """The bars of the probabilities, the level, and the timeline."""
        names = max(len(name) for name in (*self._labels, "level"))
        room = width - names - len(_WIDEST_VALUE) - 2

        def line(name: str, meter: Text, value: str) -> Text:
            return Text.assemble(f"{name:{names}} ", meter, f" {value:>{len(_WIDEST_VALUE)}}")

        lines = []
        for emotion in self._labels:
            share = (newest.smoothed or {}).get(emotion, 0.0)
            lines.append(line(emotion, bar(share, color(emotion), room), f"{share:.0%}"))
        low, high = _LEVEL_RANGE_DBFS
        level = min(max((newest.level_dbfs - low) / (high - low), 0.0), 1.0)
        lines.append(line("level", bar(level, "", room), f"{newest.level_dbfs:.0f} dBFS"))
        lines.append(line("-60 s", self._timeline(newest.end, room), "now"))
        return lines

    def _timeline(self, now: float, columns: int) -> Text:
        """The last minute, each column in the color of the label that was there most often."""
        # Counted from the start of the stream, so that what is drawn moves without flickering.
        seconds = TIMELINE_SECONDS / columns
        first = int(now / seconds) - columns + 1
        labels: list[Counter[str | None]] = [Counter() for _ in range(columns)]
        before = int(self._minute[0][0] / seconds)
        for end, label in self._minute:
            column = int(end / seconds)
            # A step that is longer than a column fills those that it skips, too.
            for filled in range(max(min(before + 1, column), first), column + 1):
                labels[filled - first][label] += 1
            before = column
        line = Text()
        most = (counted.most_common(1)[0][0] if counted else None for counted in labels)
        for label, run in groupby(most):
            mark = {None: "·", UNCERTAIN: "▒"}.get(label, "█")
            line.append(mark * len(list(run)), color(label))
        return line

    def _facts(self) -> Text:
        if self._newest is None:
            return Text()
        dropped, overloads = self._newest.dropped_ms, self._counts.overloads
        return Text.assemble(
            (f"{clock(self._newest.end)}  ", "dim"),
            (f"dropped {dropped:.0f} ms", "yellow" if dropped else "dim"),
            (f"  overloads {overloads}", "yellow" if overloads else "dim"),
            (f"  CPU {self._cpu():.1%}  Ctrl-C ends", "dim"),
        )


class CpuShare:
    """The share of one core that this process has used over the last seconds."""

    SECONDS = 5.0

    def __init__(self) -> None:
        self._times = deque([(time.monotonic(), time.process_time())])

    def __call__(self) -> float:
        """The share until now; above 1 where several cores were busy."""
        now, used = time.monotonic(), time.process_time()
        self._times.append((now, used))
        while len(self._times) > 2 and self._times[1][0] <= now - self.SECONDS:
            self._times.popleft()
        then, used_then = self._times[0]
        return (used - used_then) / (now - then) if now > then else 0.0


def _no_wrap(text: Text) -> Text:
    text.no_wrap, text.overflow = True, "crop"
    return text
