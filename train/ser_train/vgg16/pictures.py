"""Mel spectrograms as RGB pictures, to the pixel those that matplotlib's `imshow` draws of them.

The report plots each clip's mel spectrogram without axes, with fixed limits and a fixed colour map
(section 5.1). Drawing is a look-up: of a colour for each value, and of the nearest frame and band
for each pixel.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec

_COLORS = 256


@dataclass(frozen=True)
class PictureSpec:
    """How a spectrogram becomes a picture.

    The report says that limits and colour map are fixed, not which they are. The map is the one
    that librosa's `specshow` takes for sequential data. Of the spectrogram values in 1,200 of the
    12,162 clips, 4 % lie below the limits and 0.1 % above them.

    Attributes:
        features: Of the spectrogram; no MFCC.
        side: Pixels of each side; VGG16 was made for 224.
        low_db: What has the first colour, and everything below.
        high_db: What has the last colour, and everything above.
        color_map: One of matplotlib's.
    """

    features: FeatureSpec
    side: int = 224
    low_db: float = -70.0
    high_db: float = 20.0
    color_map: str = "magma"

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of a picture: (rows, columns, colours)."""
        return self.side, self.side, 3

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return {**vars(self), "features": self.features.to_dict()}


def draw_picture(log_mel: NDArray[np.float32], spec: PictureSpec) -> NDArray[np.uint8]:
    """One picture, low frequencies at the bottom.

    Args:
        log_mel: float32 [bands, frames] in dB.
        spec: How to draw it.

    Returns:
        uint8 [side, side, 3], red, green and blue.
    """
    low, high = np.float32(spec.low_db), np.float32(spec.high_db)
    scaled = (log_mel - low) / (high - low) * np.float32(_COLORS)
    colors = np.clip(scaled, 0, _COLORS - 1).astype(np.intp)
    rows = nearest_cells(log_mel.shape[0], spec.side)[::-1]
    columns = nearest_cells(log_mel.shape[1], spec.side)
    return color_table(spec.color_map)[colors[rows[:, None], columns]]


@cache
def color_table(color_map: str) -> NDArray[np.uint8]:
    """The colours of one of matplotlib's maps: uint8 [256, 3]."""
    import matplotlib

    return matplotlib.colormaps[color_map](np.arange(_COLORS), bytes=True)[:, :3].copy()


@cache
def nearest_cells(count: int, pixels: int) -> NDArray[np.intp]:
    """The row or column under the centre of each pixel: intp [pixels], of `count` of them."""
    return ((np.arange(pixels) + 0.5) * count / pixels).astype(np.intp)
