"""Ctrl-C inside libraries that make another error of it."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_kept() -> Iterator[None]:
    """Within the block Ctrl-C stays what it is, whatever error a library turns it into.

    Converters call back into Python from C++, and extension modules fail to load, with errors of
    their own, where an interrupt comes in between. In other threads than the main one nothing is
    changed, since signals do not reach them.

    Raises:
        KeyboardInterrupt: If the block was interrupted and ended by any error.
    """
    interrupted = False

    def interrupt(_number: int, _frame: Any) -> None:
        nonlocal interrupted
        interrupted = True
        raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, interrupt)
    try:
        yield
    except Exception as error:
        if interrupted:
            raise KeyboardInterrupt from error
        raise
    finally:
        signal.signal(signal.SIGINT, before)
