"""What runs a network for `Model`: one such class per format of model files."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Backend(Protocol):
    """An opened network. Threads may share it."""

    def run(self, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        """Outputs of a batch of windows.

        Args:
            inputs: float32 [windows, coefficients, frames], standardized.

        Returns:
            float32 [windows, labels].
        """
        ...


def reason(error: Exception) -> str:
    """What a library gave as its reason, in one line."""
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else "no reason given"
