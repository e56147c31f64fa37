"""What the content of a folder was made of: a later call with another recipe is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from ser_runtime.atomic_file import write_text
from ser_runtime.errors import RunFolderError

_NAME = "recipe.json"


def claim_folder(folder: Path, made_of: dict[str, Any]) -> None:
    """Write down what a folder is made of, or check that it still is.

    Args:
        folder: Made if it is not there.
        made_of: JSON values.

    Raises:
        RunFolderError: If the folder holds something made of something else, or a damaged file.
        StorageError: If the disk is full.
    """
    path = folder / _NAME
    wanted = json.loads(json.dumps(made_of))
    if not path.exists():
        write_text(path, json.dumps(made_of, indent=1) + "\n")
        return
    stored = read_object(path)
    if differing := sorted(key for key in wanted if stored.get(key) != wanted[key]):
        raise RunFolderError(
            f"{folder} was made of another {', '.join(differing)}: "
            "remove it, or choose another --out"
        )


def remove_claimed(folder: Path) -> None:
    """Delete a folder that `claim_folder` wrote down; any other is left alone.

    Raises:
        RunFolderError: If the folder holds something else.
    """
    if (folder / _NAME).is_file():
        shutil.rmtree(folder)
    elif any(folder.iterdir()):
        raise RunFolderError(f"{folder} holds no search: remove it yourself, or choose --out")


def read_object(path: Path) -> dict[str, Any]:
    """A JSON object.

    Raises:
        RunFolderError: If the file is missing, damaged, or holds something else.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{path} is damaged ({error}): remove {path.parent}") from error
    if not isinstance(content, dict):
        raise RunFolderError(f"{path} is damaged (it holds no object): remove {path.parent}")
    return content
