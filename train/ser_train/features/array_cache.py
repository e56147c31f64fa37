"""Large arrays, computed once and kept on disk: one folder each, whole or not there.

An entry is named after the hash of what its array is made from. The array carries a checksum; a
damaged entry is named and made again, never used.
"""

from __future__ import annotations

import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
import zlib
from collections.abc import Callable
from collections.abc import Iterator
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from numpy.typing import NDArray

from ser_runtime.atomic_file import place_errors
from ser_runtime.atomic_file import storage_errors
from ser_runtime.errors import TrainingError
from ser_train.cores import available_cores
from ser_train.corpora import Clip
from ser_train.interrupts import interrupts_blocked

log = logging.getLogger(__name__)

_CLIPS_PER_TASK = 32
_CHECKSUM_BYTES = 1 << 24
_ABANDONED_SECONDS = 600
"""Since something was last written to an entry that is being made."""

_WATCH_SECONDS = 1.0

Progress = Callable[[int, int], None]
"""Called with clips done, and in all."""


@dataclass(frozen=True)
class Computation:
    """How an array is made, a few rows at a time.

    Attributes:
        rows_of: Rows of a task; a function of a module where processes of their own compute it.
        tasks: In the order of the rows.
        shape: Of the array.
        dtype: Of the array.
    """

    rows_of: Callable[[Any], NDArray[Any]]
    tasks: Sequence[Any]
    shape: tuple[int, ...]
    dtype: DTypeLike


def cached_array(
    entry: Path,
    key: dict[str, Any],
    computation: Computation,
    progress: Progress | None = None,
    workers: int | None = None,
) -> NDArray[Any]:
    """An array from the cache, or computed into it.

    Args:
        entry: Its folder.
        key: What it is made from, as plain JSON values; kept in the entry for the reader.
        computation: How it is made.
        progress: Called while it is computed.
        workers: Processes that compute it; 0: this one; default: one a core.

    Returns:
        Read-only, mapped from disk.

    Raises:
        StorageError: If the disk is full; nothing half-written stays.
        TrainingError: If a process was killed.
    """
    if entry.exists():
        fault = _fault(entry, computation)
        if fault is None:
            return _load(entry)
        log.warning("feature cache %s is damaged (%s): computing it again", entry, fault)
        shutil.rmtree(entry)
    with place_errors(entry):
        entry.parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(entry)
        made = Path(tempfile.mkdtemp(prefix=f".{entry.name}-", dir=entry.parent))
    with storage_errors(entry):
        try:
            count = available_cores() if workers is None else workers
            _compute(made / "values.npy", computation, progress, count)
            checksum = _checksum(made / "values.npy")
            (made / "key.json").write_text(json.dumps({**key, "checksum": checksum}, indent=1))
            _put(made, entry, computation)
        finally:
            shutil.rmtree(made, ignore_errors=True)
    return _load(entry)


def _remove_abandoned(entry: Path) -> None:
    """What a process left that was killed while it made the entry; another may be making it now."""
    for made in entry.parent.glob(f".{entry.name}-*"):
        written = [path.stat().st_mtime for path in (made, *made.glob("*")) if path.exists()]
        if time.time() - max(written, default=0.0) > _ABANDONED_SECONDS:
            shutil.rmtree(made, ignore_errors=True)


def in_tasks(clips: Sequence[Clip]) -> list[Sequence[Clip]]:
    """Clips, as many at a time as a task shall have."""
    starts = range(0, len(clips), _CLIPS_PER_TASK)
    return [clips[start : start + _CLIPS_PER_TASK] for start in starts]


def key_digest(key: dict[str, Any]) -> str:
    """Twelve hexadecimal digits that name an entry made from `key`."""
    return hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:12]


def _load(entry: Path) -> NDArray[Any]:
    return np.load(entry / "values.npy", mmap_mode="r", allow_pickle=False)


def _put(made: Path, entry: Path, computation: Computation) -> None:
    """Move a new entry into its place, unless another process was faster."""
    try:
        made.replace(entry)
    except OSError:
        if _fault(entry, computation) is not None:
            raise


def _compute(path: Path, computation: Computation, progress: Progress | None, workers: int) -> None:
    dtype, shape = np.dtype(computation.dtype).newbyteorder("<"), computation.shape
    descr = np.lib.format.dtype_to_descr(dtype)
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    blocks = _in_processes(computation, workers) if workers else _here(computation)
    with path.open("wb") as file, closing(blocks):
        np.lib.format.write_array_header_1_0(file, header)
        done = 0
        for block in blocks:
            file.write(block.astype(dtype, copy=False).tobytes())
            done += len(block)
            if progress:
                progress(done, shape[0])


def _here(computation: Computation) -> Iterator[NDArray[Any]]:
    for task in computation.tasks:
        yield computation.rows_of(task)


def _in_processes(computation: Computation, workers: int) -> Iterator[NDArray[Any]]:
    # "spawn": a forked child of a process with TensorFlow's threads can hang.
    context = multiprocessing.get_context("spawn")
    end_with = (os.getpid(),)
    with ProcessPoolExecutor(workers, context, _end_with_parent, end_with) as pool:
        try:
            with interrupts_blocked():
                blocks = pool.map(computation.rows_of, computation.tasks)
            yield from blocks
        except BrokenProcessPool as error:
            raise TrainingError(
                "a process that computed features was killed: is there enough memory?"
            ) from error
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise


def _end_with_parent(parent: int) -> None:
    """Of a worker: without its parent, which was killed, it would wait for tasks for ever."""

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(_WATCH_SECONDS)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _fault(entry: Path, computation: Computation) -> str | None:
    """What is wrong with an entry, or None."""
    try:
        key = json.loads((entry / "key.json").read_text())
        values = _load(entry)
    except (OSError, ValueError, EOFError) as error:
        return str(error)
    if not isinstance(key, dict):
        return "its key.json holds no mapping"
    if values.shape != computation.shape or values.dtype != computation.dtype:
        wanted = f"{np.dtype(computation.dtype)} {computation.shape}"
        return f"{values.dtype} {values.shape} instead of {wanted}"
    if key.get("checksum") != _checksum(entry / "values.npy"):
        return "its checksum differs"
    return None


def _checksum(path: Path) -> int:
    value = 0
    with path.open("rb") as file:
        while block := file.read(_CHECKSUM_BYTES):
            value = zlib.crc32(block, value)
    return value
