"""One recording of a corpus, and reading its samples."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from ser_runtime.errors import CorporaError
from ser_runtime.samples import to_mono

CORPORA: tuple[str, ...] = ("RAVDESS", "SAVEE", "TESS", "CREMA-D")


@dataclass(frozen=True, order=True)
class Clip:
    """One recording.

    Attributes:
        id: Name that is the same in every layout: `corpus/stem`, such as `SAVEE/DC_a01`.
        corpus: One of `CORPORA`.
        speaker: The corpus' own name of the speaker: `05`, `DC`, `OAF`, `1001`.
        emotion: One of `ser_runtime.labels.EMOTIONS`; RAVDESS's calm counts as neutral.
        path: The file.
        sha256: Hash of the file's bytes.
        sample_rate: Hz, as stored.
        channels: As stored.
        seconds: Duration.
        peak: Largest absolute sample, 1.0 being full scale.
        audio_hash: Hash of the decoded samples: equal for the same recording under two names.
    """

    id: str
    corpus: str
    speaker: str
    emotion: str
    path: Path
    sha256: str
    sample_rate: int
    channels: int
    seconds: float
    peak: float
    audio_hash: str

    @property
    def silent(self) -> bool:
        """Whether nothing in it exceeds -80 dBFS."""
        return self.peak < 1e-4


def read_indexed(clip: Clip, sample_rate: int) -> NDArray[np.float32]:
    """The samples of a clip of the index, as `read_clip` gives them.

    Raises:
        CorporaError: If the file, which could be read once, cannot be read any more.
    """
    try:
        return read_clip(clip.path, sample_rate)
    except (soundfile.LibsndfileError, OSError) as error:
        raise CorporaError(f"cannot read {clip.path} any more: {error}") from error


def read_clip(path: Path, sample_rate: int) -> NDArray[np.float32]:
    """The samples of a clip as mono at a given rate.

    Args:
        path: Any file that libsndfile reads.
        sample_rate: Hz of the result; other rates are resampled (soxr, HQ).

    Returns:
        float32 [samples] in [-1, 1]; channels are averaged, impossible samples are 0, as in the
        runtime.

    Raises:
        soundfile.LibsndfileError: If the file cannot be decoded.
    """
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono, _ = to_mono(samples)
    return mono if rate == sample_rate else soxr.resample(mono, rate, sample_rate, quality="HQ")
