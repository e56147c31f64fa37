"""How many processors there are to spread work over."""

from __future__ import annotations

import os

_MOST = 16
"""Each process takes memory."""


def available_cores() -> int:
    """Processors that this process may use, at most 16."""
    affinity = getattr(os, "sched_getaffinity", None)  # Linux alone has it
    return min(len(affinity(0)) if affinity else os.cpu_count() or 1, _MOST)
