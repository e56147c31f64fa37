"""What the features are: one frozen description shared by training, export and the device."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from typing import Any

from ser_runtime.errors import FeatureSpecError

WINDOW_SHAPES = ("hann", "hamming")
MEL_SCALES = ("slaney", "htk")
MEL_NORMS = ("slaney", None)
LOG_SCALES = ("db", "ln")
# A damaged or hostile file shall not take all memory: 256 M values are 2 GB.
_LARGEST_COUNT = 1 << 28


@dataclass(frozen=True)
class FeatureSpec:
    """A log-mel spectrogram or its cepstral coefficients, over windows of fixed length.

    Definitions are those of librosa 0.11 (`librosa.feature.melspectrogram`, `power_to_db` with
    `ref=1.0`, `librosa.feature.mfcc` with an orthonormal DCT-II and no liftering).

    Attributes:
        sample_rate: Hz of the audio that the features are computed from.
        window_samples: Samples of one recognition window (48,000 = 3 s at 16 kHz).
        n_fft: Length of the Fourier transform in samples.
        win_length: Length of the analysis window in samples, centred in `n_fft`.
        window: Shape of the (periodic) analysis window, `hann` or `hamming`.
        hop: Samples between frames. Frames are centred; the edges are padded with zeros.
        n_mels: Number of mel bands.
        mel_scale: `slaney` (librosa's default) or `htk`.
        mel_norm: `slaney` (each band has unit area) or None.
        fmin: Lowest frequency of the mel bands in Hz.
        fmax: Highest frequency of the mel bands in Hz.
        log: `db`: 10 log10(max(power, floor)), or `ln`: ln(power + floor).
        floor: The smallest power (`db`), or what is added to it (`ln`).
        top_db: For `db`: nothing lies further than this below the window's maximum. None: no clip.
        n_mfcc: Number of cepstral coefficients; None keeps the log-mel bands.
    """

    sample_rate: int = 16_000
    window_samples: int = 48_000
    n_fft: int = 2048
    win_length: int = 2048
    window: str = "hann"
    hop: int = 512
    n_mels: int = 128
    mel_scale: str = "slaney"
    mel_norm: str | None = "slaney"
    fmin: float = 0.0
    fmax: float = 8_000.0
    log: str = "db"
    floor: float = 1e-10
    top_db: float | None = 80.0
    n_mfcc: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be computed.

        Raises:
            FeatureSpecError: With the name and the value of the field that is wrong.
        """
        for name in ("sample_rate", "window_samples", "n_fft", "win_length", "hop", "n_mels"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise FeatureSpecError(f"{name} must be a positive integer, not {value!r}")
            if value > _LARGEST_COUNT:
                raise FeatureSpecError(f"{name} {value} is more than this version computes")
        for name, known in (
            ("window", WINDOW_SHAPES),
            ("mel_scale", MEL_SCALES),
            ("mel_norm", MEL_NORMS),
            ("log", LOG_SCALES),
        ):
            if getattr(self, name) not in known:
                raise FeatureSpecError(
                    f"{name} {getattr(self, name)!r} is not one that this version computes: "
                    f"{', '.join(map(str, known))}"
                )
        for name in ("fmin", "fmax", "floor", "top_db"):
            value = getattr(self, name)
            if name == "top_db" and value is None:
                continue
            if (
                not isinstance(value, int | float)
                or isinstance(value, bool)
                or not math.isfinite(value)
            ):
                raise FeatureSpecError(f"{name} must be a finite number, not {value!r}")
        if self.n_fft % 2:
            raise FeatureSpecError(f"n_fft must be even, not {self.n_fft}")
        if self.win_length > self.n_fft:
            raise FeatureSpecError(f"win_length {self.win_length} exceeds n_fft {self.n_fft}")
        if not 0 <= self.fmin < self.fmax <= self.sample_rate / 2:
            raise FeatureSpecError(
                f"mel bands from {self.fmin} to {self.fmax} Hz do not lie within "
                f"0 to {self.sample_rate / 2} Hz"
            )
        if not self.floor > 0:
            raise FeatureSpecError(f"floor must be positive, not {self.floor}")
        if self.top_db is not None and (self.log != "db" or not self.top_db > 0):
            raise FeatureSpecError(f"top_db {self.top_db} needs a positive value and log 'db'")
        if self.n_mfcc is not None and not (
            isinstance(self.n_mfcc, int) and 1 <= self.n_mfcc <= self.n_mels
        ):
            raise FeatureSpecError(f"n_mfcc {self.n_mfcc!r} must lie within 1 to {self.n_mels}")

        if max(self.n_fft, self.n_mels) * self.frames > _LARGEST_COUNT:
            raise FeatureSpecError(
                f"{self.frames} frames of n_fft {self.n_fft} and {self.n_mels} bands are more "
                "than this version computes"
            )

    @property
    def frames(self) -> int:
        """Frames of one window."""
        return 1 + self.window_samples // self.hop

    @property
    def coefficients(self) -> int:
        """Rows of a feature matrix: cepstral coefficients, or mel bands."""
        return self.n_mels if self.n_mfcc is None else self.n_mfcc

    @property
    def shape(self) -> tuple[int, int]:
        """Shape of a window's features: (coefficients, frames)."""
        return self.coefficients, self.frames

    @property
    def window_seconds(self) -> float:
        """Length of one recognition window in seconds."""
        return self.window_samples / self.sample_rate

    def to_dict(self) -> dict[str, Any]:
        """The fields as plain JSON values."""
        return dataclasses.asdict(self)

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> FeatureSpec:
        """The spec of `to_dict`.

        Raises:
            FeatureSpecError: If a field is unknown (a later version's), missing, or wrong.
        """
        if not isinstance(fields, dict):
            raise FeatureSpecError(f"a feature spec is a mapping, not {type(fields).__name__}")
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(fields) - known):
            raise FeatureSpecError(f"features need {', '.join(unknown)}, unknown to this version")
        if missing := sorted(known - set(fields)):
            raise FeatureSpecError(f"the feature spec lacks {', '.join(missing)}")
        return cls(**fields)

    @property
    def hash(self) -> str:
        """Twelve hexadecimal digits that name this spec in feature caches."""
        text = json.dumps(self.to_dict(), sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]


MFCC = FeatureSpec(n_mfcc=128)
"""128 MFCC x 94 frames: the report's section 4.1.2."""

MEL = FeatureSpec(hop=256)
"""128 mel bands in dB x 188 frames: the report's section 4.5.2."""

LOG_MEL = FeatureSpec(
    n_fft=1024, win_length=1024, hop=256, n_mels=64, log="ln", floor=1e-7, top_db=None
)
"""64 mel bands in natural logarithm x 188 frames: what `compact` hears."""
