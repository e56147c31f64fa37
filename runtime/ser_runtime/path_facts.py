"""What stands at a path. What may not be looked at counts as missing.

The methods of `Path` raise errors there until Python 3.14: of a folder that is closed to the user,
a name that is too long, a loop of links. The cause is told when the file is opened or written.
"""

# ruff: noqa: PTH110, PTH112, PTH113, PTH116

from __future__ import annotations

import os
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path


def exists(path: Path) -> bool:
    """Whether there is anything, through links."""
    return os.path.exists(path)


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one."""
    return os.path.isdir(path)


def is_regular(path: Path) -> bool:
    """Whether it is a regular file, or a link to one: no folder, pipe or device."""
    return os.path.isfile(path)


def followed(path: Path) -> Path:
    """The path that links lead to, as far as they lead."""
    return Path(os.path.realpath(path))


def same_file(path: Path, other: Path | int) -> bool:
    """Whether both are there, and are one file.

    Args:
        path: One.
        other: The other, or the descriptor of an open file.
    """
    try:
        return os.path.samestat(os.stat(path), os.stat(other))
    except OSError:
        return False


def walk_once(
    folder: Path, on_error: Callable[[OSError], object] | None = None
) -> Iterator[tuple[Path, list[str], list[str]]]:
    """As `os.walk`, through links too, but each folder once; folders in the order of their names.

    Args:
        folder: Where to begin.
        on_error: Told of each folder that cannot be read.

    Yields:
        A folder, the names of the folders in it (what the caller removes is not entered), and
        those of its files.
    """
    seen: set[tuple[int, int]] = set()
    for place, folders, names in os.walk(folder, followlinks=True, onerror=on_error):
        facts = Path(place).stat()
        if (facts.st_dev, facts.st_ino) in seen:
            folders.clear()
            continue
        seen.add((facts.st_dev, facts.st_ino))
        folders.sort()  # of two ways to one folder the same is always taken
        yield Path(place), folders, names
