"""Telling which extra is missing."""

from __future__ import annotations

import subprocess
import sys

import pytest

from ser_runtime.errors import MissingExtraError
from ser_runtime.extras import require_extra


def test_an_installed_extra_passes() -> None:
    require_extra("train", ["numpy", "json"])


def test_a_missing_extra_is_named_with_how_to_install_it() -> None:
    with pytest.raises(MissingExtraError) as raised:
        require_extra("train", ["numpy", "nonesuch_one", "nonesuch_two"])
    message = str(raised.value)
    assert "nonesuch_one, nonesuch_two not installed" in message
    assert "pip install 'ser-edge[train]'" in message


def test_nothing_is_imported_by_looking() -> None:
    code = (
        "import sys; from ser_runtime.extras import require_extra; "
        "require_extra('dev', ['librosa']); sys.exit('librosa' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
