"""Files that are either whole or not there: written beside their place, then moved into it."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from collections.abc import Mapping
from contextlib import contextmanager
from pathlib import Path

from ser_runtime.errors import StorageError
from ser_runtime.path_facts import exists
from ser_runtime.path_facts import is_regular

_FULL = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file-size limit is reached",
}
_NO_PLACE = {
    **_FULL,
    errno.EROFS: "the file system is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.ENOENT: "its folder cannot be made",
    errno.ENOTDIR: "a part of the path is no folder",
    errno.EISDIR: "it is a folder",
    errno.ENAMETOOLONG: "its name is too long",
    errno.EEXIST: "a part of the path is no folder",
}


@contextmanager
def storage_errors(path: Path) -> Iterator[None]:
    """Turn a full disk, while something is written to `path`, into an error that says so.

    Raises:
        StorageError: Naming `path` and the cause.
    """
    with _told(path, _FULL):
        yield


@contextmanager
def place_errors(path: Path) -> Iterator[None]:
    """As `storage_errors`, for making `path` or its folder: it may also not be possible there.

    Raises:
        StorageError: Naming `path` and the cause.
    """
    with _told(path, _NO_PLACE):
        yield


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` that takes its place when the block ends without an error.

    Its suffix is that of `path`; who may read it is what it was of the file before, or else what
    the process gives new files.

    Raises:
        StorageError: If the disk is full or the folder cannot be written; nothing is left behind.
    """
    if exists(path) and not is_regular(path):
        raise StorageError(f"cannot write {path}: it is a folder, a device or a pipe")
    with place_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        # Not beside its name, which may be as long as names can be.
        temporary = path.with_name(f".{secrets.token_hex(6)}{path.suffix}")
        # By `tempfile` it would be readable by its owner alone.
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o666))
        if exists(path):
            temporary.chmod(stat.S_IMODE(path.stat().st_mode))
    try:
        with storage_errors(path):
            yield temporary
            with temporary.open("r+b") as written:
                os.fsync(written.fileno())
        with place_errors(path):
            temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def _told(path: Path, reasons: Mapping[int, str]) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in reasons:
            raise
        raise StorageError(f"cannot write {path}: {reasons[error.errno]}") from error


def write_text(path: Path, text: str) -> None:
    """Write a text file atomically.

    Raises:
        StorageError: As `atomic_path`.
    """
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")
