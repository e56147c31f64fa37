"""A file that is about to be published, opened and used once as a device would."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ser_export.converter_output import quiet_converters
from ser_export.export_clips import TEST
from ser_export.workbench import Candidate
from ser_export.workbench import Workbench
from ser_runtime.errors import VerificationError
from ser_runtime.model import Model
from ser_runtime.stream import Stream

_ROUNDING = 1e-5
_TRIED_WINDOWS = 8


def try_in_runtime(path: Path, bench: Workbench, candidate: Candidate) -> None:
    """Check that the runtime recognizes with a file what was verified, and streams with it.

    Args:
        path: The file as it will be.
        bench: With the clips.
        candidate: What was verified.

    Raises:
        ModelFileError: If the runtime does not open it.
        VerificationError: If it answers otherwise.
    """
    with quiet_converters():
        model = Model.open(path)
    windows = bench.clips(TEST, candidate.kind.from_waveform).inputs[:_TRIED_WINDOWS]
    _require_equal(
        "a test window",
        model.raw_probabilities(windows),
        candidate.model.raw_probabilities(windows),
    )
    audio = _sound(model)
    predictions = Stream(model, vad="off").push(audio, model.spec.sample_rate)
    if not predictions or predictions[-1].probabilities is None:
        raise VerificationError("nothing published: the runtime recognizes nothing with the file")
    streamed = np.array(list(predictions[-1].probabilities.values()), np.float32)
    _require_equal("a stream", streamed, model.recognize(audio))


def _require_equal(what: str, found: np.ndarray, wanted: np.ndarray) -> None:
    difference = float(np.abs(found - wanted).max())
    if not difference <= _ROUNDING:
        raise VerificationError(
            f"nothing published: in the runtime itself {what} gives other probabilities, by "
            f"{difference:.2e}"
        )


def _sound(model: Model) -> np.ndarray:
    """One window of a rising tone in noise: float32 [window_samples]."""
    spec = model.spec
    time = np.arange(spec.window_samples) / spec.sample_rate
    tone = 0.2 * np.sin(2 * np.pi * (150 * time + 100 * time**2))
    noise = 0.01 * np.random.default_rng(0).standard_normal(spec.window_samples)
    return (tone + noise).astype(np.float32)
