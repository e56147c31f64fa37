"""Which files a command finds."""

from __future__ import annotations

import os
import socket
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ser_runtime.audio_folder import find_audio

NOBODY = 65_534


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def paths_of(*arguments: Path) -> list[Path]:
    inputs, errors = find_audio(arguments)
    assert errors == []
    return [file.path for file in inputs]


def test_folders_are_searched_to_any_depth_and_sorted(tmp_path: Path) -> None:
    wanted = [touch(tmp_path / name) for name in ("a/b/c.opus", "a/x.WAV", "b.flac")]
    for name in ("notes.txt", "a/cover.jpg", ".hidden.wav", ".git/x.wav", "wav"):
        touch(tmp_path / name)
    assert paths_of(tmp_path) == wanted


def test_arguments_keep_their_order_and_come_once(tmp_path: Path) -> None:
    b, a = touch(tmp_path / "folder" / "b.wav"), touch(tmp_path / "folder" / "a.wav")
    assert paths_of(b, tmp_path / "folder", b) == [b, a]


def test_a_file_that_is_named_needs_no_suffix_and_need_not_be(tmp_path: Path) -> None:
    files = [touch(tmp_path / "audio"), tmp_path / "none.wav"]
    assert paths_of(*files) == files


def test_names_are_paths_below_the_folder(tmp_path: Path) -> None:
    touch(tmp_path / "folder" / "sub" / "a.wav")
    inputs, _ = find_audio([tmp_path / "folder", touch(tmp_path / "b.wav")])
    assert [file.name for file in inputs] == [Path("sub/a.wav"), Path("b.wav")]


def test_links_that_lead_in_a_circle_end(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "a" / "x.wav")
    (tmp_path / "a" / "up").symlink_to(tmp_path)
    (tmp_path / "a" / "self").symlink_to(".")
    (tmp_path / "z").symlink_to(tmp_path / "a")
    assert paths_of(tmp_path) == [wanted]


def test_a_linked_folder_and_a_linked_file_are_found(tmp_path: Path) -> None:
    elsewhere = touch(tmp_path / "elsewhere" / "x.wav")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "linked").symlink_to(elsewhere.parent)
    (tmp_path / "folder" / "y.wav").symlink_to(elsewhere)
    folder = tmp_path / "folder"
    assert paths_of(folder) == [folder / "linked" / "x.wav", folder / "y.wav"]


def test_a_folder_without_audio_is_an_error(tmp_path: Path) -> None:
    touch(tmp_path / "empty" / "notes.txt")
    wanted = touch(tmp_path / "a.wav")
    inputs, (error,) = find_audio([tmp_path / "empty", wanted])
    assert [file.path for file in inputs] == [wanted]
    assert str(tmp_path / "empty") in str(error)
    assert ".flac" in str(error)


def test_a_link_to_nowhere_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "a.wav").symlink_to(tmp_path / "none")
    assert paths_of(tmp_path) == [tmp_path / "a.wav"]


@pytest.fixture
def not_root() -> Iterator[Path]:
    """A folder of a user who may not read everything, as whom the test runs."""
    if os.geteuid() != 0:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
        return
    with tempfile.TemporaryDirectory() as folder:
        os.chown(folder, NOBODY, -1)
        os.seteuid(NOBODY)
        try:
            yield Path(folder)
        finally:
            os.seteuid(0)


def test_a_folder_that_may_not_be_read_is_an_error(not_root: Path) -> None:
    wanted = touch(not_root / "a.wav")
    (not_root / "closed").mkdir(mode=0)
    inputs, (error,) = find_audio([not_root])
    assert [file.path for file in inputs] == [wanted]
    assert f"{not_root / 'closed'}: Permission denied" in str(error)


def test_pipes_and_sockets_in_a_folder_are_left_out(tmp_path: Path) -> None:
    wanted = touch(tmp_path / "a.wav")
    os.mkfifo(tmp_path / "b.wav")
    with socket.socket(socket.AF_UNIX) as endpoint:
        endpoint.bind(str(tmp_path / "c.wav"))
        assert paths_of(tmp_path) == [wanted]


def test_a_pipe_among_several_files_is_an_error(tmp_path: Path) -> None:
    wanted, pipe = touch(tmp_path / "a.wav"), tmp_path / "b.wav"
    os.mkfifo(pipe)
    inputs, (error,) = find_audio([wanted, pipe])
    assert [file.path for file in inputs] == [wanted]
    assert f"{pipe} is no regular file: recognize it by itself" in str(error)


def test_a_name_that_is_too_long_is_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / ("a" * 300)
    assert paths_of(path) == [path]
