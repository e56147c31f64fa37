"""Ctrl-C at the right moment: inside a framework, or a starting process, it can do harm."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


@contextmanager
def interrupts_held() -> Iterator[Callable[[], None]]:
    """Hold Ctrl-C back; yields what to call where an interrupt may happen.

    A second Ctrl-C is not held. In other threads than the main one nothing is changed, since
    signals do not reach them.

    Raises:
        KeyboardInterrupt: From the yielded function, or at the end of the block, if there was one.
    """
    held = False

    def hold(_number: int, _frame: Any) -> None:
        nonlocal held
        if held:
            raise KeyboardInterrupt
        held = True

    def allow() -> None:
        nonlocal held
        if held:
            held = False
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield allow
        return
    before = signal.signal(signal.SIGINT, hold)
    try:
        yield allow
    finally:
        signal.signal(signal.SIGINT, before)
    allow()


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Hold Ctrl-C back, and start processes that never get it: it reaches all of a terminal.

    Raises:
        KeyboardInterrupt: At the end of the block, if there was one.
    """
    with interrupts_held():
        if not hasattr(signal, "pthread_sigmask"):  # Windows
            yield
            return
        # A new process inherits the mask. Here it is not enough: another thread may get the signal.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
