"""Learning curves for TensorBoard, whichever backend trains."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.event_file_writer import EventFileWriter

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
                writer = EventFileWriter(str(place))
                for epoch, metrics in epochs:
                    values = [
                        Summary.Value(tag=f"epoch_{name}", simple_value=value)
                        for name, value in _of_group(group, metrics).items()
                    ]
                    summary = Summary(value=values)
                    writer.add_event(Event(summary=summary, step=epoch, wall_time=time.time()))
                writer.close()


def _of_group(group: str, metrics: Mapping[str, float]) -> dict[str, float]:
    if group == "validation":
        return {
            name.removeprefix(_VALIDATION): value
            for name, value in metrics.items()
            if name.startswith(_VALIDATION)
        }
    return {name: value for name, value in metrics.items() if not name.startswith(_VALIDATION)}
