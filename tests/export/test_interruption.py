"""Ctrl-C where a library makes another error of it."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from ser_export.interruption import interrupts_kept


def interrupted_library() -> None:
    try:
        os.kill(os.getpid(), signal.SIGINT)
    except KeyboardInterrupt as error:
        raise ImportError("initialization failed") from error


def test_an_interrupt_stays_one_whatever_a_library_makes_of_it() -> None:
    with pytest.raises(KeyboardInterrupt) as raised, interrupts_kept():
        interrupted_library()
    assert isinstance(raised.value.__cause__, ImportError)


def test_an_interrupt_ends_the_block_at_once() -> None:
    after = []

    def interrupted() -> None:
        os.kill(os.getpid(), signal.SIGINT)
        after.append("reached")

    with pytest.raises(KeyboardInterrupt), interrupts_kept():
        interrupted()
    assert not after


def test_other_errors_pass_and_the_handler_is_put_back() -> None:
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(ValueError, match="broken"), interrupts_kept():
        raise ValueError("broken")
    assert signal.getsignal(signal.SIGINT) is before


def test_another_thread_is_left_alone() -> None:
    done = []

    def work() -> None:
        with interrupts_kept():
            done.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert done == [signal.getsignal(signal.SIGINT)]
