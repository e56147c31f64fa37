"""What features are compared with: librosa 0.11, and the offline features of one window."""

from __future__ import annotations

import platform

import librosa
import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features

TOLERANCE = 5e-4
# The BLAS kernels of x86-64 were tried: features are equal to the bit. Elsewhere two float32 steps
# (at the largest values) are allowed.
ON_X86 = platform.machine() in ("x86_64", "AMD64")


def librosa_features(audio: NDArray[np.float32], spec: FeatureSpec) -> NDArray[np.float32]:
    """Features of `audio`, padded or cut to the spec's window."""
    power = librosa.feature.melspectrogram(
        y=librosa.util.fix_length(audio, size=spec.window_samples),
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        hop_length=spec.hop,
        win_length=spec.win_length,
        window=spec.window,
        center=True,
        pad_mode="constant",
        power=2.0,
        n_mels=spec.n_mels,
        fmin=spec.fmin,
        fmax=spec.fmax,
        htk=spec.mel_scale == "htk",
        norm=spec.mel_norm,
    )
    if spec.log == "ln":
        log_mel = np.log(power + spec.floor)
    else:
        log_mel = librosa.power_to_db(power, ref=1.0, amin=spec.floor, top_db=spec.top_db)
    if spec.n_mfcc is None:
        return log_mel
    return librosa.feature.mfcc(S=log_mel, n_mfcc=spec.n_mfcc, dct_type=2, norm="ortho", lifter=0)


def assert_as_offline(
    features: NDArray[np.float32], audio: NDArray[np.float32], spec: FeatureSpec
) -> None:
    """Fail unless `features` are those of `audio` with zeros after it."""
    tolerance = 2e-5 if spec.n_mfcc is None else 2.5e-4
    wanted = compute_features(audio, spec)
    np.testing.assert_allclose(features, wanted, rtol=0, atol=0 if ON_X86 else tolerance)
