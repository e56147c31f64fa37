"""The errors that a user can cause, each kind with the exit code that the commands end with."""

from __future__ import annotations

import _thread
import errno
import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

INTERRUPTED_EXIT_CODE = 130
TERMINATED_EXIT_CODE = 143
CLOSED_OUTPUT_EXIT_CODE = 141

_AGAIN_SECONDS = 0.05

_STORAGE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS}


class SerError(Exception):
    """Base of every error that a user can cause; its message says what to do about it."""

    exit_code = 1


class UsageError(SerError):
    """A value of an option or argument that cannot be."""

    exit_code = 2


class AudioError(SerError):
    """Audio that is missing, empty, truncated, not audio, or of an impossible format."""

    exit_code = 3


class MicrophoneError(SerError):
    """No microphone, one that refuses, or no PortAudio library."""

    exit_code = 4


class ModelFileError(SerError):
    """A model file that is missing, corrupt, foreign, or needs what this version cannot compute."""

    exit_code = 5


class FeatureSpecError(ModelFileError):
    """A feature specification that this version cannot compute."""


class CorporaError(SerError):
    """A corpora folder that is missing, or with nothing usable in it."""

    exit_code = 6


class MissingExtraError(SerError):
    """A command whose extra is not installed."""

    exit_code = 7


class StorageError(SerError):
    """A disk that is full, a quota or file-size limit that is reached, a read-only target."""

    exit_code = 8


class RunFolderError(SerError):
    """A run folder that is missing, incomplete, corrupt, or of another configuration."""

    exit_code = 9


class VerificationError(SerError):
    """An exported file that does not agree with the model that it was made from."""

    exit_code = 10


class TrainingError(SerError):
    """A training that cannot go on, such as one whose loss is not a number."""

    exit_code = 11


class WeightsError(SerError):
    """Pretrained weights that are missing, damaged, of another architecture, or out of reach."""

    exit_code = 12


EXIT_CODES_HELP = """exit codes:
  0 success    2 wrong usage    3 audio    4 microphone    5 model file    6 corpora folder
  7 missing extra    8 disk full or not writable    9 run folder    10 export not verified
  11 training failed    12 pretrained weights
  130 interrupted    141 output closed    143 terminated"""


def run_command(command: Callable[[], int | None]) -> NoReturn:
    """Run a command and end the process: user errors as one line on stderr, never a traceback.

    Raises:
        SystemExit: Always; with 0, the command's own code, or the code of the error's kind.
    """
    if sys.stderr is None:
        # Closed from outside: `print` would take standard output in its place.
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115
    if threading.current_thread() is threading.main_thread():
        # As an exception, so that files and devices are closed on the way out.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED_EXIT_CODE))
        sys.unraisablehook = _signalled_again
    try:
        code = command() or 0
        if sys.stdout is not None:
            sys.stdout.flush()
    except SerError as error:
        code = _fail(f"error: {error}", error.exit_code)
    except KeyboardInterrupt:
        code = _fail("interrupted", INTERRUPTED_EXIT_CODE)
    except BrokenPipeError:
        code = CLOSED_OUTPUT_EXIT_CODE
    except OSError as error:
        if error.errno not in _STORAGE_ERRNOS:
            raise
        where = f" ({error.filename})" if error.filename else ""
        code = _fail(f"error: cannot write: {error.strerror}{where}", StorageError.exit_code)
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        # Nothing more can be written there: Python would complain while it flushes at exit.
        sys.stdout = None  # type: ignore[assignment]
    sys.exit(code)


def _signalled_again(lost: sys.UnraisableHookArgs) -> None:
    """Ctrl-C or SIGTERM that hit a destructor or a callback of one, where Python drops exceptions.

    Until the signal comes again, a moment later, the program goes on.
    """
    for kind, number in ((KeyboardInterrupt, signal.SIGINT), (SystemExit, signal.SIGTERM)):
        if issubclass(lost.exc_type, kind):
            # Not from here: what a hook raises is dropped too.
            again = threading.Timer(_AGAIN_SECONDS, _signal_main_thread, (number,))
            again.daemon = True
            again.start()
            return
    sys.__unraisablehook__(lost)


def _signal_main_thread(number: signal.Signals) -> None:
    if hasattr(signal, "pthread_kill"):
        # To that thread: else a call of the system that it waits in would not be ended.
        signal.pthread_kill(threading.main_thread().ident, number)
    else:  # Windows
        _thread.interrupt_main(number)


def _fail(message: str, code: int) -> int:
    try:
        print(message, file=sys.stderr, flush=True)  # noqa: T201
    except OSError:
        # Nobody hears it; Python would try again at exit, and end with a code of its own.
        sys.stderr = None  # type: ignore[assignment]
    return code
