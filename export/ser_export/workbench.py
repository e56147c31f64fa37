"""Converted files on trial: each made once, stamped, opened in the runtime, and scored."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_export.converter_output import quiet_converters
from ser_export.export_clips import VALIDATION
from ser_export.export_clips import ClipSet
from ser_export.formats import BASELINE
from ser_export.formats import Format
from ser_export.formats import find_format
from ser_export.interruption import interrupts_kept
from ser_export.latency import Latency
from ser_export.latency import measure_latencies
from ser_export.model_file import describe
from ser_export.model_file import stamped
from ser_export.model_file import with_settings
from ser_export.progress import Progress
from ser_export.record import Decisions
from ser_export.source import Source
from ser_export.verification import WAVEFORM_FLOOR
from ser_export.verification import Verification
from ser_export.verification import compare
from ser_runtime.atomic_file import storage_errors
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata

_BATCH = 64
_TIMED_WINDOWS = 32


@dataclass(frozen=True, eq=False)
class Candidate:
    """A converted file that is not published yet.

    Attributes:
        kind: Its format.
        content: Without metadata.
        metadata: Without the figures that are measured on the file.
        path: Of the stamped file, in a temporary folder.
        model: The same, opened.
    """

    kind: Format
    content: bytes
    metadata: ModelMetadata
    path: Path
    model: Model

    @property
    def bytes(self) -> int:
        """Size of the stamped file."""
        return self.path.stat().st_size


class Workbench:
    """Converts a model to formats, each once, and measures them."""

    def __init__(self, source: Source, folder: Path, progress: Progress) -> None:
        """Prepare.

        Args:
            source: The model.
            folder: For the files; removed by whoever made it.
            progress: Told what is being done, and what converters warn of.
        """
        self.source = source
        self._folder, self._progress = folder, progress
        self._made: dict[str, Candidate] = {}
        self.clips = cache(self._clips)
        self.original = cache(self._original)

    def candidate(self, name: str) -> Candidate:
        """The file of a format, converted and opened.

        Raises:
            VerificationError: If the model has operators that the format has not.
            ModelFileError: If the runtime cannot use the file.
            MissingExtraError: If the runtime lacks the extra that it needs.
        """
        if name not in self._made:
            self._made[name] = self._make(find_format(name))
        return self._made[name]

    def with_settings(self, candidate: Candidate, decided: Decisions) -> Candidate:
        """The file as it is opened with what was decided: what is verified is what is published.

        Raises:
            ModelFileError: If the runtime cannot use it so.
        """
        metadata = with_settings(candidate.metadata, decided.graph_optimization, decided.threads)
        if metadata == candidate.metadata:
            return candidate
        path = candidate.path.with_name(f"decided-{candidate.path.name}")
        with storage_errors(path):
            path.write_bytes(stamped(candidate.content, candidate.kind, metadata))
        return dataclasses.replace(candidate, metadata=metadata, path=path, model=Model.open(path))

    def verify(self, candidate: Candidate, name: str) -> Verification:
        """A file beside the trained network, by the runtime, on the clips of a set."""
        self._progress.step(f"scoring the {name} clips with {candidate.kind.id}")
        clips = self.clips(name, candidate.kind.from_waveform)
        original = self.original(name, candidate.kind.from_waveform)
        answers = probabilities(candidate.model, clips.inputs)
        tie = WAVEFORM_FLOOR.largest_difference if candidate.kind.from_waveform else None
        return compare(clips.classes, original, answers, tie)

    def latencies(self, candidates: list[Candidate]) -> dict[str, Latency]:
        """Times relative to ONNX fp32, which is measured too, on validation clips."""
        timed = {BASELINE: self.candidate(BASELINE)}
        timed |= {candidate.kind.id: candidate for candidate in candidates}
        self._progress.step(f"timing {', '.join(timed)}")
        windows = {
            name: self.clips(VALIDATION, item.kind.from_waveform).inputs[:_TIMED_WINDOWS]
            for name, item in timed.items()
        }
        return measure_latencies({name: item.model for name, item in timed.items()}, windows)

    def _make(self, kind: Format) -> Candidate:
        self._progress.step(f"converting to {kind.id}")
        with self._telling(kind.id):
            content = kind.convert(self.source)
        metadata = describe(self.source, kind)
        path = self._folder / kind.file_name(self.source.run.name)
        with storage_errors(path):
            path.write_bytes(stamped(content, kind, metadata))
        with self._telling(kind.id):
            model = Model.open(path)
        return Candidate(kind, content, metadata, path, model)

    @contextmanager
    def _telling(self, what: str) -> Iterator[None]:
        """Keep libraries quiet; then tell what they said that may matter."""
        lines: list[str] = []
        try:
            with interrupts_kept(), quiet_converters() as lines:
                yield
        finally:
            for line in lines:
                self._progress.note(f"warning: {what}: {line}")

    def _clips(self, name: str, from_waveform: bool) -> ClipSet:
        return self.source.inputs(name, from_waveform)

    def _original(self, name: str, from_waveform: bool) -> NDArray[np.float32]:
        clips = self.clips(name, from_waveform)
        with self._telling("the trained network"):
            return self.source.probabilities(name, clips)


def probabilities(model: Model, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """What a file says of clips, without temperature: float32 [clips, classes]."""
    blocks = range(0, len(inputs), _BATCH)
    return np.concatenate([model.raw_probabilities(inputs[i : i + _BATCH]) for i in blocks])


def restamped(candidate: Candidate, **changes: object) -> Candidate:
    """A candidate with other metadata; its file stays as it is."""
    return dataclasses.replace(
        candidate, metadata=dataclasses.replace(candidate.metadata, **changes)
    )
