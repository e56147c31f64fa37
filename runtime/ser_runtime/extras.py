"""Telling which extra a command needs, before it starts any work."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence

from ser_runtime.errors import MissingExtraError


def require_extra(extra: str, packages: Sequence[str]) -> None:
    """Check that an extra of `ser-edge` is installed, without importing any of it.

    Args:
        extra: Such as `train`.
        packages: Import names of what the command will use.

    Raises:
        MissingExtraError: Naming what is missing and how to install it.
    """
    missing = [package for package in packages if importlib.util.find_spec(package) is None]
    if missing:
        raise MissingExtraError(
            f"this needs the extra '{extra}' ({', '.join(missing)} not installed): "
            f"pip install 'ser-edge[{extra}]'"
        )
