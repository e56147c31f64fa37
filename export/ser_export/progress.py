"""What an export is doing, on stderr: a line that changes on a terminal, else only what stays."""

from __future__ import annotations

import os
import sys
from types import TracebackType

from rich.console import Console
from rich.status import Status


class Progress:
    """Tells of the steps of an export."""

    def __init__(self) -> None:
        self._status: Status | None = None
        if sys.stderr.isatty():
            # A stream of its own: what converters print is held back while this goes on.
            self._stream = os.fdopen(os.dup(sys.stderr.fileno()), "w")
            self._console = Console(file=self._stream)
            self._status = self._console.status("starting")

    def __enter__(self) -> Progress:
        if self._status:
            self._status.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._status:
            self._status.stop()
            self._stream.close()

    def step(self, text: str) -> None:
        """What is being done now."""
        if self._status:
            self._status.update(text)

    def clips(self, done: int, total: int) -> None:
        """Clips that are read, or whose features are computed."""
        self.step(f"clips: {done} of {total}")

    def note(self, text: str) -> None:
        """A line that stays."""
        if self._status:
            self._console.print(text, highlight=False, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr)  # noqa: T201
