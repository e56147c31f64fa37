"""Zero mean and unit deviation of the features, as measured on the training clips of a split."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import ModelFileError


@dataclass(frozen=True, eq=False)
class Standardization:
    """What is subtracted from features, and what they are divided by.

    Attributes:
        mean: float32 [coefficients, 1] or [coefficients, frames].
        deviation: float32 of the same shape, all positive.
    """

    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]

    def __call__(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Standardized features: float32 [..., coefficients, frames]."""
        standardized = features - self.mean
        return np.divide(standardized, self.deviation, out=standardized)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values: little-endian float32 in base64, with the shape."""
        return {
            "shape": list(self.mean.shape),
            "mean": _encode(self.mean),
            "deviation": _encode(self.deviation),
        }

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Standardization:
        """The standardization of `to_dict`.

        Raises:
            ModelFileError: If the fields are damaged.
        """
        try:
            mean, deviation = (
                np.frombuffer(base64.b64decode(fields[name], validate=True), "<f4")
                .reshape(fields["shape"])
                .astype(np.float32)
                for name in ("mean", "deviation")
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"the standardization is damaged: {error}") from error
        if not (np.isfinite(mean).all() and np.isfinite(deviation).all() and (deviation > 0).all()):
            raise ModelFileError("the standardization is damaged: values that cannot be")
        return cls(mean, deviation)


def _encode(array: NDArray[np.float32]) -> str:
    return base64.b64encode(np.ascontiguousarray(array, "<f4").tobytes()).decode()
