"""Learning curves for TensorBoard, whichever backend trains."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

from ser_runtime.atomic_file import storage_errors

_VALIDATION = "val_"


class TensorBoardLog:
    """Scalars in `folder/{phase}/{train,validation}`, under the tags that Keras' callback uses."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def epoch(self, phase: str, epoch: int, metrics: Mapping[str, float]) -> None:
        """Append one epoch's metrics.

        Raises:
            StorageError: If the disk is full.
        """
        self._write(phase, [(epoch, metrics)])

    def rewrite(self, history: Mapping[str, Mapping[str, Sequence[float]]]) -> None:
        """Replace everything by a whole history (phase -> metric -> epochs).

        Raises:
            StorageError: If the disk is full.
        """
        shutil.rmtree(self._folder, ignore_errors=True)
        for phase, metrics in history.items():
            columns = zip(*metrics.values(), strict=True)
            rows = [dict(zip(metrics, column, strict=True)) for column in columns]
            self._write(phase, list(enumerate(rows, 1)))

    def _write(self, phase: str, epochs: Sequence[tuple[int, Mapping[str, float]]]) -> None:
        for group in ("train", "validation"):
            place = self._folder / phase / group
            with storage_errors(place):
                place.mkdir(parents=True, exist_ok=True)
                # TensorBoard takes the files of a folder by name, as if they were one.
                name = f"events.out.tfevents.{time.time_ns():020d}.{os.getpid()}"
                # Not its EventFileWriter: that one writes through TensorFlow where it is installed.
                with (place / name).open("wb") as file:
                    writer = RecordWriter(file)
                    for event in _events(group, epochs):
                        writer.write(event.SerializeToString())


def _events(group: str, epochs: Sequence[tuple[int, Mapping[str, float]]]) -> Iterator[Event]:
    yield Event(file_version="brain.Event:2", wall_time=time.time())
    for epoch, metrics in epochs:
        values = [
            Summary.Value(tag=f"epoch_{name}", simple_value=value)
            for name, value in _of_group(group, metrics).items()
        ]
        yield Event(summary=Summary(value=values), step=epoch, wall_time=time.time())


def _of_group(group: str, metrics: Mapping[str, float]) -> dict[str, float]:
    if group == "validation":
        return {
            name.removeprefix(_VALIDATION): value
            for name, value in metrics.items()
            if name.startswith(_VALIDATION)
        }
    return {name: value for name, value in metrics.items() if not name.startswith(_VALIDATION)}
