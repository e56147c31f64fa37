"""Features of all clips, computed once in parallel and kept on disk.

A cache entry is a folder named after the hash of what it holds: feature spec, corpus content and
noise. Each array carries a checksum; a damaged entry is named and made again, never used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
import zlib
from collections.abc import Callable
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser_runtime.atomic_file import place_errors
from ser_runtime.atomic_file import storage_errors
from ser_runtime.errors import CorporaError
from ser_runtime.errors import TrainingError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_clip
from ser_train.features.awgn import add_noise
from ser_train.features.awgn import noise_generator
from ser_train.interrupts import interrupts_blocked

log = logging.getLogger(__name__)

_CLIPS_PER_TASK = 32
_CHECKSUM_BYTES = 1 << 24
_VERSION = 1
_OFFSET_SECONDS = 0.5

CROPS = ("start", "offset", "centre")
"""Which 3 s of a clip: its first ones, as in the report and on the device; those from 0.5 s on, as
in the architecture that the report copies; or the middle, with zeros on both sides of a shorter
clip. The last two are there to be compared with the first."""

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class ClipFeatures:
    """Features of all clips of an index.

    Attributes:
        ids: Clip ids, one per row.
        values: float32 [clips, 1 + noisy copies, coefficients, frames], not standardized; copy 0
            is the clean clip. Read-only, mapped from disk.
    """

    ids: tuple[str, ...]
    values: NDArray[np.float32]

    def rows(self, ids: Sequence[str]) -> NDArray[np.int64]:
        """Row numbers of clips."""
        row_of = {clip_id: row for row, clip_id in enumerate(self.ids)}
        return np.array([row_of[clip_id] for clip_id in ids], np.int64)


def default_cache_folder() -> Path:
    """`$SER_EDGE_CACHE`, or `ser-edge` in the user's cache folder."""
    if folder := os.environ.get("SER_EDGE_CACHE"):
        return Path(folder)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "ser-edge"


def cached_features(
    index: CorpusIndex,
    spec: FeatureSpec,
    folder: Path,
    noisy_copies: int = 0,
    noise_seed: int = 0,
    progress: Progress | None = None,
    workers: int = 2,
    crop: str = "start",
) -> ClipFeatures:
    """Features of every clip, from the cache or computed into it.

    Noisy copies are drawn once, from `noise_seed` and the clip's id alone, so that all splits
    share them.

    Raises:
        StorageError: If the disk is full; nothing half-written stays.
    """
    key = {
        "version": _VERSION,
        "spec": spec.to_dict(),
        "corpora": index.content_hash,
        "noisy_copies": noisy_copies,
        "noise_seed": noise_seed if noisy_copies else None,
        **({"crop": crop} if crop != "start" else {}),
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    name = f"{spec.hash}-{digest[:12]}"
    entry = folder / "features" / name
    ids = tuple(clip.id for clip in index.clips)
    shape = (len(ids), 1 + noisy_copies, *spec.shape)
    if entry.exists():
        fault = _fault(entry, shape)
        if fault is None:
            return ClipFeatures(ids, np.load(entry / "values.npy", mmap_mode="r"))
        log.warning("feature cache %s is damaged (%s): computing it again", entry, fault)
        shutil.rmtree(entry)
    with place_errors(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{name}-", dir=entry.parent))
    with storage_errors(entry):
        try:
            tasks = _tasks(index.clips, spec, shape[1], noise_seed, crop)
            _compute(made / "values.npy", tasks, shape, progress, workers)
            checksum = _checksum(made / "values.npy")
            (made / "key.json").write_text(json.dumps({**key, "checksum": checksum}, indent=1))
            _put(made, entry, shape)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return ClipFeatures(ids, np.load(entry / "values.npy", mmap_mode="r"))


def _put(made: Path, entry: Path, shape: tuple[int, ...]) -> None:
    """Move a new entry into its place, unless another process was faster."""
    try:
        made.replace(entry)
    except OSError:
        if _fault(entry, shape) is not None:
            raise


_Task = tuple[Sequence[Clip], FeatureSpec, int, int, str]


def _tasks(
    clips: Sequence[Clip], spec: FeatureSpec, copies: int, noise_seed: int, crop: str
) -> list[_Task]:
    return [
        (clips[start : start + _CLIPS_PER_TASK], spec, copies, noise_seed, crop)
        for start in range(0, len(clips), _CLIPS_PER_TASK)
    ]


def _compute(
    path: Path,
    tasks: Sequence[_Task],
    shape: tuple[int, ...],
    progress: Progress | None,
    workers: int,
) -> None:
    # "spawn": a forked child of a process with TensorFlow's threads can hang.
    context = multiprocessing.get_context("spawn")
    header = {"descr": "<f4", "fortran_order": False, "shape": shape}
    with path.open("wb") as file, ProcessPoolExecutor(workers, context) as pool:
        np.lib.format.write_array_header_1_0(file, header)
        try:
            done = 0
            with interrupts_blocked():
                blocks = pool.map(_features_of, tasks)
            for block in blocks:
                file.write(block.astype("<f4", copy=False).tobytes())
                done += len(block)
                if progress:
                    progress(done, shape[0])
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that computed features was killed: is there enough memory?"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _features_of(task: _Task) -> NDArray[np.float32]:
    """float32 [clips, copies, coefficients, frames] of a few clips; runs in a worker."""
    clips, spec, copies, noise_seed, crop = task
    block = np.empty((len(clips), copies, *spec.shape), np.float32)
    for row, clip in zip(block, clips, strict=True):
        try:
            audio = read_clip(clip.path, spec.sample_rate)
        except (soundfile.LibsndfileError, OSError) as error:
            raise CorporaError(f"cannot read {clip.path} any more: {error}") from error
        window = fit_window(_cropped(audio, spec, crop), spec.window_samples)
        row[0] = compute_features(window, spec)
        for copy in range(1, copies):
            noisy, _ = add_noise(window, noise_generator(noise_seed, clip.id, copy))
            row[copy] = compute_features(noisy, spec)
    return block


def _cropped(audio: NDArray[np.float32], spec: FeatureSpec, crop: str) -> NDArray[np.float32]:
    """What `fit_window` shall begin with."""
    if crop == "offset":
        return audio[round(_OFFSET_SECONDS * spec.sample_rate) :]
    if crop == "centre":
        surplus = len(audio) - spec.window_samples
        if surplus >= 0:
            return audio[surplus // 2 :]
        return np.concatenate([np.zeros(-surplus // 2, np.float32), audio])
    return audio


def _fault(entry: Path, shape: tuple[int, ...]) -> str | None:
    """What is wrong with a cache entry, or None."""
    try:
        key = json.loads((entry / "key.json").read_text())
        values = np.load(entry / "values.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        return str(error)
    if not isinstance(key, dict):
        return "its key.json holds no mapping"
    if values.shape != shape:
        return f"shape {values.shape} instead of {shape}"
    if key.get("checksum") != _checksum(entry / "values.npy"):
        return "its checksum differs"
    return None


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(_CHECKSUM_BYTES):
            value = zlib.crc32(block, value)
    return value
