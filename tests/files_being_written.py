"""What another process has written so far."""

from __future__ import annotations

import os
from pathlib import Path


def sizes_below(folder: Path) -> dict[Path, int]:
    """Bytes of each file below a folder, without those that vanish while it is looked through.

    `Path.glob` raises when a folder goes away between its being listed and its being entered.
    """
    sizes = {}
    for place, _, names in os.walk(folder):
        for name in names:
            path = Path(place, name)
            try:
                sizes[path] = path.stat().st_size
            except FileNotFoundError:
                continue
    return sizes
