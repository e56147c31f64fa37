"""Progress bars of long work, on stderr; plain lines where that is no terminal."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn
from rich.progress import MofNCompleteColumn
from rich.progress import Progress
from rich.progress import TaskID
from rich.progress import TextColumn
from rich.progress import TimeElapsedColumn
from rich.progress import TimeRemainingColumn


def _bars(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=30),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[metrics]}"),
        console=console,
        disable=not console.is_terminal,
        transient=True,
    )


@contextmanager
def reading_progress() -> Iterator[Callable[[int, int], None]]:
    """A bar for reading the clips; yields what to call with clips done and in all."""
    with _bars(Console(stderr=True)) as bars:
        task = bars.add_task("reading clips", metrics="")
        yield lambda done, total: bars.update(task, completed=done, total=total)


class TrainingProgress:
    """Bars for features and epochs; each finished epoch leaves a line."""

    def __init__(self) -> None:
        self._console = Console(stderr=True)
        self._bars = _bars(self._console)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self) -> TrainingProgress:
        self._bars.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._bars.stop()

    def note(self, text: str) -> None:
        """A line that stays."""
        self._console.print(text, highlight=False, markup=False, soft_wrap=True)

    def features(self, done: int, total: int) -> None:
        """Clips whose features are computed."""
        self._update("features", "computing features", done, total, "")

    def batch(
        self, phase: str, epoch: int, done: int, total: int, metrics: dict[str, float]
    ) -> None:
        """A batch of an epoch; see `ser_train.training.BatchProgress`."""
        running = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        self._update("epoch", f"{phase}: epoch {epoch}", done, total, running)

    def epoch(self, phase: str, epoch: int, metrics: dict[str, float]) -> None:
        """The end of an epoch."""
        values = "  ".join(f"{name} {value:.3f}" for name, value in metrics.items())
        self.note(f"{phase}: epoch {epoch}  {values}")

    def _update(self, key: str, text: str, done: int, total: int, metrics: str) -> None:
        if key not in self._tasks:
            self._tasks[key] = self._bars.add_task(text, metrics="")
        task = self._tasks[key]
        self._bars.update(task, description=text, completed=done, total=total, metrics=metrics)
