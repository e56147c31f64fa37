"""Folders that are tied to what they were made of."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_runtime.errors import RunFolderError
from ser_train.recipe_file import claim_folder


def test_the_same_recipe_may_come_again(tmp_path: Path) -> None:
    claim_folder(tmp_path / "new", {"seed": 0, "rates": (1, 2)})
    claim_folder(tmp_path / "new", {"seed": 0, "rates": [1, 2]})


def test_another_recipe_is_refused_by_what_differs(tmp_path: Path) -> None:
    claim_folder(tmp_path, {"seed": 0, "split": "a"})
    with pytest.raises(RunFolderError, match="was made of another split: remove it"):
        claim_folder(tmp_path, {"seed": 0, "split": "b"})


@pytest.mark.parametrize("content", ["", "{", "[1]"])
def test_a_damaged_recipe_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "recipe.json").write_text(content)
    with pytest.raises(RunFolderError, match="is damaged"):
        claim_folder(tmp_path, {"seed": 0})
