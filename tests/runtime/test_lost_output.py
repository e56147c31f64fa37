"""A terminal or reader that goes away is a closed pipe, whatever the system calls it."""

from __future__ import annotations

import errno
import os
import pty
import signal

import pytest

from ser_runtime.lost_output import hang_up_ends
from ser_runtime.lost_output import lost_output


def test_a_terminal_that_is_gone_is_a_closed_pipe() -> None:
    ours, theirs = pty.openpty()
    os.close(ours)
    with pytest.raises(BrokenPipeError), lost_output():
        os.write(theirs, b"text")
    os.close(theirs)


def test_a_closed_pipe_stays_one() -> None:
    read, write = os.pipe()
    os.close(read)
    with pytest.raises(BrokenPipeError), lost_output():
        os.write(write, b"text")
    os.close(write)


def test_other_errors_stay_what_they_are() -> None:
    with pytest.raises(OSError, match="full") as caught, lost_output():
        raise OSError(errno.ENOSPC, "full")
    assert caught.value.errno == errno.ENOSPC


@pytest.mark.usefixtures("hang_up_is_heard")
def test_a_hang_up_ends_as_a_closed_pipe_does() -> None:
    with pytest.raises(BrokenPipeError), hang_up_ends():
        signal.raise_signal(signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_DFL


def test_an_ignored_hang_up_stays_ignored() -> None:
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with hang_up_ends():
            signal.raise_signal(signal.SIGHUP)
    finally:
        signal.signal(signal.SIGHUP, before)
