"""Files are whole or not there, whatever happens while they are written."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from ser_runtime.atomic_file import atomic_path
from ser_runtime.atomic_file import place_errors
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import StorageError

LIMITED = """
import resource
import sys
from pathlib import Path
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import run_command
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
run_command(lambda: write_text(Path(sys.argv[1]), "x" * int(sys.argv[2])))
"""


def test_text_is_written_as_utf_8(tmp_path: Path) -> None:
    write_text(tmp_path / "a.txt", "Größe\n")
    assert (tmp_path / "a.txt").read_bytes() == "Größe\n".encode()


def test_missing_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "c.txt", "new")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "new"


def test_an_old_file_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    write_text(tmp_path / "a.txt", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o077, 0o600)])
def test_a_new_file_may_be_read_by_whom_the_umask_lets(
    tmp_path: Path, mask: int, mode: int
) -> None:
    before = os.umask(mask)
    try:
        write_text(tmp_path / "a.txt", "new")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == mode


def test_an_old_files_permissions_stay(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    (tmp_path / "a.txt").chmod(0o640)
    write_text(tmp_path / "a.txt", "new")
    assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o640


def test_a_name_may_be_as_long_as_names_can_be(tmp_path: Path) -> None:
    path = tmp_path / f"{'a' * 249}.jsonl"
    write_text(path, "new")
    assert path.read_text() == "new"


def test_the_old_file_stays_until_the_block_ends(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("old")
    with atomic_path(tmp_path / "a.txt") as temporary:
        temporary.write_text("new")
        assert (tmp_path / "a.txt").read_text() == "old"
        assert temporary.parent == tmp_path
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_error_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, error: type[BaseException]
) -> None:
    def interrupted() -> None:
        with atomic_path(tmp_path / "a.txt") as temporary:
            temporary.write_text("half")
            raise error

    (tmp_path / "a.txt").write_text("old")
    with pytest.raises(error):
        interrupted()
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(("size", "code"), [(900, 0), (5_000, 8), (500_000, 8)])
def test_a_file_size_limit_ends_with_8_and_leaves_nothing_behind(
    tmp_path: Path, size: int, code: int
) -> None:
    (tmp_path / "a.txt").write_text("old")
    command = [sys.executable, "-c", LIMITED, str(tmp_path / "a.txt"), str(size)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == code, done.stderr
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
    if code:
        assert done.stderr == (
            f"error: cannot write {tmp_path / 'a.txt'}: the file-size limit is reached\n"
        )
        assert (tmp_path / "a.txt").read_text() == "old"


@pytest.mark.parametrize(
    ("number", "reason"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
    ],
)
def test_a_storage_error_names_file_and_cause(number: int, reason: str) -> None:
    with (
        pytest.raises(StorageError, match=rf"cannot write run/model\.onnx: .*{reason}"),
        place_errors(Path("run/model.onnx")),
    ):
        raise OSError(number, os.strerror(number))


def test_another_error_of_the_system_stays_as_it_is() -> None:
    with pytest.raises(InterruptedError), place_errors(Path("a.txt")):
        raise OSError(errno.EINTR, "interrupted")


def test_a_folder_that_is_a_file_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "runs").write_text("not a folder")
    with pytest.raises(StorageError, match=r"a\.txt"):
        write_text(tmp_path / "runs" / "a.txt", "new")


def test_a_target_that_is_a_folder_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(StorageError, match=r"a\.txt"):
        write_text(tmp_path / "a.txt", "new")
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]
