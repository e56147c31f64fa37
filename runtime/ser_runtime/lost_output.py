"""An output that is gone: a reader that closed its pipe, a terminal that was closed."""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# What a write says: on Unix EIO of a terminal that hung up, on Windows EINVAL of a closed pipe.
_GONE = {errno.EINVAL} if os.name == "nt" else {errno.EIO}


class HangUp(BaseException):
    """SIGHUP: as an exception, so that files and devices are closed on the way out."""


@contextmanager
def lost_output() -> Iterator[None]:
    """Around writes to a terminal or pipe: one that is gone is always a `BrokenPipeError`.

    Raises:
        BrokenPipeError: If the output is gone; `run_command` ends quietly with its exit code.
    """
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
        raise BrokenPipeError(errno.EPIPE, "the output is gone") from error


@contextmanager
def hang_up_ends() -> Iterator[None]:
    """Within, a terminal that is closed (SIGHUP) ends the command as a closed pipe does.

    Under `nohup` the signal stays ignored.

    Raises:
        BrokenPipeError: On SIGHUP, in the main thread.
    """
    hang_up = getattr(signal, "SIGHUP", None)  # Windows has none
    in_main = threading.current_thread() is threading.main_thread()
    if hang_up is None or not in_main or signal.getsignal(hang_up) is not signal.SIG_DFL:
        yield
        return
    signal.signal(hang_up, _raise_hang_up)
    try:
        yield
    except HangUp as error:
        raise BrokenPipeError(errno.EPIPE, "the terminal is gone") from error
    finally:
        signal.signal(hang_up, signal.SIG_DFL)


def _raise_hang_up(_signal: int, _frame: FrameType | None) -> None:
    raise HangUp
