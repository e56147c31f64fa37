"""What stands at paths, also at those that may not be looked at."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_runtime.path_facts import exists
from ser_runtime.path_facts import followed
from ser_runtime.path_facts import is_folder
from ser_runtime.path_facts import is_regular
from ser_runtime.path_facts import same_file


@pytest.fixture
def loop(tmp_path: Path) -> Path:
    """A link to itself."""
    path = tmp_path / "loop"
    path.symlink_to(path)
    return path


def test_what_may_not_be_looked_at_counts_as_missing(tmp_path: Path, loop: Path) -> None:
    for path in (loop, tmp_path / ("a" * 300), tmp_path / "missing"):
        assert not any(look(path) for look in (exists, is_folder, is_regular))
        assert not same_file(path, path)
    assert followed(loop).name == "loop"


def test_links_are_followed(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    link = tmp_path / "link"
    link.symlink_to(file)
    assert exists(link)
    assert is_regular(link)
    assert not is_folder(link)
    assert is_folder(tmp_path)
    assert followed(link) == followed(file)
    with link.open() as opened:
        assert same_file(file, opened.fileno())
    assert not same_file(file, tmp_path)
