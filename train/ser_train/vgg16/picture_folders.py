"""Pictures as PNG files in folders, one for each set and emotion, as the report kept them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.image import imsave

from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_train.features.array_cache import Progress
from ser_train.splits import SETS
from ser_train.vgg16.picture_cache import ClipDataset


def write_pictures(data: ClipDataset, folder: Path, progress: Progress | None = None) -> int:
    """Write `folder/set/emotion/clip.png`.

    Args:
        data: Pictures of a split.
        folder: New, or empty.
        progress: Called with files done and in all.

    Returns:
        How many were written.

    Raises:
        UsageError: If the folder holds something: two splits in one would mix their sets.
        StorageError: If the disk is full.
    """
    if folder.exists() and any(folder.iterdir()):
        raise UsageError(f"--out {folder} is not empty: name another folder")
    total = sum(len(getattr(data, name)) for name in SETS)
    done = 0
    for name in SETS:
        samples = getattr(data, name)
        for row, clip_id, right in zip(samples.rows, samples.ids, samples.classes, strict=True):
            path = folder / name / EMOTIONS[right] / f"{clip_id.replace('/', '_')}.png"
            with atomic_path(path) as temporary:
                # Without the software's name and version the same clip gives the same bytes.
                imsave(
                    temporary,
                    samples.arrays.values[row],
                    format="png",
                    metadata={"Software": None},
                )
            done += 1
            if progress:
                progress(done, total)
    return done
