"""Temperature scaling: confidence made honest on validation clips, the answer unchanged."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST = np.float32(1e-12)


def apply_temperature(
    probabilities: NDArray[np.float32], temperature: float
) -> NDArray[np.float32]:
    """Softmax of logits / temperature, from the softmax of the logits (Guo et al., 2017).

    Args:
        probabilities: float32 [..., classes].
        temperature: Above 1 lowers the confidence.

    Returns:
        float32 [..., classes], summing to 1.
    """
    if temperature == 1.0:
        return probabilities
    logs = np.log(np.maximum(probabilities, _LEAST)) / np.float32(temperature)
    # The methods `max` and `sum` get here by way of Python code, which costs as much as all else.
    powers = np.exp(logs - np.maximum.reduce(logs, axis=-1, keepdims=True))
    return powers / np.add.reduce(powers, axis=-1, keepdims=True)
