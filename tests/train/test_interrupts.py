"""Ctrl-C is held until it may happen, once."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from ser_train.interrupts import interrupts_blocked
from ser_train.interrupts import interrupts_held


def press_ctrl_c() -> None:
    signal.raise_signal(signal.SIGINT)


def test_an_interrupt_waits_until_it_is_allowed() -> None:
    with interrupts_held() as allow:
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            allow()


def test_an_interrupt_comes_at_the_end_of_the_block_at_the_latest() -> None:
    reached = []

    def work() -> None:
        with interrupts_held():
            press_ctrl_c()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end"]


def test_a_second_interrupt_is_not_held() -> None:
    with interrupts_held() as allow:
        press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            press_ctrl_c()
        with pytest.raises(KeyboardInterrupt):
            allow()


def test_without_an_interrupt_nothing_happens() -> None:
    with interrupts_held() as allow:
        allow()


def test_afterwards_ctrl_c_is_what_it_was() -> None:
    with interrupts_held():
        pass
    with pytest.raises(KeyboardInterrupt):
        press_ctrl_c()


def test_another_thread_leaves_signals_alone() -> None:
    before = signal.getsignal(signal.SIGINT)
    seen = []

    def work() -> None:
        with interrupts_held() as allow:
            allow()
            seen.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]


def test_a_blocked_interrupt_comes_at_the_end_of_the_block() -> None:
    reached = []

    def work() -> None:
        with interrupts_blocked():
            press_ctrl_c()
            reached.append("end")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert reached == ["end"]


def test_a_process_that_starts_while_interrupts_are_blocked_ignores_them() -> None:
    program = "import os, signal; os.kill(os.getpid(), signal.SIGINT); print('alive')"
    with interrupts_blocked():
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "alive\n"
