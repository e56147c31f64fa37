"""What the layers that no training changes make of each picture: computed once, kept on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from ser_train.features.array_cache import Computation
from ser_train.features.array_cache import Progress
from ser_train.features.array_cache import cached_array
from ser_train.features.array_cache import key_digest
from ser_train.vgg16.picture_cache import ClipArrays

PICTURES_AT_ONCE = 32
"""As many as two cores compute fastest; block 1 alone takes 13 MB a picture."""

_VERSION = 1


def frozen_features(
    pictures: ClipArrays,
    kept: keras.Model,
    made_by: dict[str, Any],
    cache: Path,
    progress: Progress | None = None,
) -> ClipArrays:
    """Outputs of the frozen layers for every picture, from the cache or computed into it.

    They are float32, equal to what the layers give while the network is trained: half of it would
    do for features of weights that were looked at, but weights are the user's.

    Args:
        pictures: Of all clips.
        kept: The frozen layers, from pictures to features.
        made_by: What tells these layers apart, as plain JSON values: weights and last layer.
        cache: Folder for them.
        progress: Called with clips done and in all.

    Returns:
        float32 [clips, rows, columns, channels].

    Raises:
        StorageError: If the disk is full; nothing half-written stays.
    """
    key = {
        "version": _VERSION,
        "pictures": pictures.key,
        "backend": keras.backend.backend(),
        **made_by,
    }

    def rows_of(start: int) -> NDArray[np.float32]:
        return np.asarray(
            kept.predict_on_batch(pictures.values[start : start + PICTURES_AT_ONCE]), np.float32
        )

    count = len(pictures.ids)
    computation = Computation(
        rows_of, range(0, count, PICTURES_AT_ONCE), (count, *kept.output.shape[1:]), np.float32
    )
    values = cached_array(cache / "vgg16" / key_digest(key), key, computation, progress, workers=0)
    return ClipArrays(pictures.ids, values, key)
