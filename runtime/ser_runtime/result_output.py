"""Where results go: standard output as they come, or a file that appears when it is whole."""

from __future__ import annotations

import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ser_runtime.atomic_file import atomic_path
from ser_runtime.lost_output import lost_output
from ser_runtime.path_facts import followed

Write = Callable[[str], object]


@contextmanager
def results_to(path: Path | None) -> Iterator[Write]:
    """A function that writes text to a file, or to standard output where `path` is None.

    Raises:
        StorageError: If the file cannot be written; nothing is left behind.
        BrokenPipeError: If standard output is gone.
    """
    if path is None:
        yield write_standard_output
        return
    # Through a link to what it names: the link stays.
    with (
        atomic_path(followed(path)) as temporary,
        temporary.open("w", encoding="utf-8", newline="") as file,
    ):
        yield file.write


def write_standard_output(text: str) -> None:
    """Write text at once.

    Raises:
        BrokenPipeError: If its reader, or its terminal, is gone.
    """
    if text and sys.stdout is not None:
        with lost_output():
            sys.stdout.write(text)
            sys.stdout.flush()
