"""How a command ends: one line on stderr, and an exit code of its own for each kind of error."""

from __future__ import annotations

import errno
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from ser_runtime import errors
from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import SerError
from ser_runtime.errors import run_command

KINDS = [
    kind
    for kind in vars(errors).values()
    if isinstance(kind, type) and issubclass(kind, SerError) and kind is not SerError
]


@pytest.fixture(autouse=True)
def _process_state(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """`run_command` ends processes: what it changes in this one is undone."""
    handler = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(sys, "stdout", sys.stdout)
    monkeypatch.setattr(sys, "stderr", sys.stderr)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    yield
    signal.signal(signal.SIGTERM, handler)


def ends_with(command: Callable[[], int | None]) -> int:
    with pytest.raises(SystemExit) as ended:
        run_command(command)
    return ended.value.code  # type: ignore[return-value]


def raising(error: BaseException) -> Callable[[], int]:
    def command() -> int:
        raise error

    return command


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (0, 0), (1, 1)])
def test_a_command_ends_with_its_own_code(returned: int | None, code: int) -> None:
    assert ends_with(lambda: returned) == code


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_users_error_is_one_line_and_the_code_of_its_kind(
    kind: type[SerError], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ends_with(raising(kind("what to do"))) == kind.exit_code
    assert capsys.readouterr().err == "error: what to do\n"


def test_kinds_of_errors_have_codes_of_their_own() -> None:
    codes = {kind.exit_code for kind in KINDS}
    assert len(codes) == len([kind for kind in KINDS if SerError in kind.__bases__])
    assert not codes & {0, 1, 130, 141, 143}


def test_the_help_lists_every_code() -> None:
    listed = {int(code) for code in re.findall(r"(?<!\S)\d+(?= [a-z])", EXIT_CODES_HELP)}
    assert listed == {kind.exit_code for kind in KINDS} | {0, 130, 141, 143}


def test_ctrl_c_ends_with_130_without_a_traceback(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr().err.count("\n") == 1


def test_a_closed_output_ends_with_141_in_silence(capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(raising(BrokenPipeError(errno.EPIPE, "broken pipe"))) == 141
    assert capsys.readouterr().err == ""


def test_sigterm_ends_with_143_after_the_cleanup() -> None:
    cleaned = []

    def command() -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            signal.pause()
        finally:
            cleaned.append(True)

    assert ends_with(command) == 143
    assert cleaned == [True]


_SIGNALLED_IN_A_DESTRUCTOR = """
import os, signal, sys, time
from ser_runtime.errors import run_command

class Dropped:
    def __del__(self):
        os.kill(os.getpid(), int(sys.argv[1]))
        for _ in range(1000):
            pass  # the exception comes up here, and Python drops it

def command():
    dropped = Dropped()
    try:
        del dropped
        time.sleep(30)
    finally:
        print("cleaned")

run_command(command)
"""


@pytest.mark.parametrize(
    ("number", "code", "said"), [(signal.SIGINT, 130, "interrupted\n"), (signal.SIGTERM, 143, "")]
)
def test_a_signal_that_hits_a_destructor_is_not_lost(
    number: signal.Signals, code: int, said: str
) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _SIGNALLED_IN_A_DESTRUCTOR, str(int(number))],
        capture_output=True,
        text=True,
        timeout=20,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (code, "cleaned\n", said)


def test_other_errors_in_destructors_are_still_shown(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Faulty:
        def __del__(self) -> None:
            raise ValueError("a fault")

    def command() -> None:
        Faulty()

    assert ends_with(command) == 0
    assert "ValueError: a fault" in capsys.readouterr().err


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS])
def test_a_full_disk_ends_with_8(number: int, capsys: pytest.CaptureFixture[str]) -> None:
    assert ends_with(raising(OSError(number, os.strerror(number), "model.onnx"))) == 8
    message = capsys.readouterr().err
    assert os.strerror(number) in message
    assert "model.onnx" in message


@pytest.mark.parametrize("error", [ValueError("a fault"), OSError(errno.EIO, "a fault")])
def test_a_fault_of_the_program_is_not_hidden(error: Exception) -> None:
    with pytest.raises(type(error), match="a fault"):
        run_command(raising(error))


def test_errors_do_not_get_into_the_results_where_standard_error_is_closed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stderr", None)
    assert ends_with(raising(errors.AudioError("what to do"))) == 3
    assert capsys.readouterr().out == ""


def test_the_code_is_that_of_the_error_where_standard_error_is_full(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        assert ends_with(raising(errors.AudioError("what to do"))) == 3
        with suppress(OSError):
            full.close()
