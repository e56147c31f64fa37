"""Windows, mel filters and the DCT against librosa and scipy."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
import scipy.fft
import scipy.signal

from ser_runtime.filterbank import analysis_window
from ser_runtime.filterbank import dct_matrix
from ser_runtime.filterbank import mel_filters


@pytest.mark.parametrize("norm", ["slaney", None])
@pytest.mark.parametrize("scale", ["slaney", "htk"])
@pytest.mark.parametrize(
    ("sample_rate", "n_fft", "n_mels", "fmin", "fmax"),
    [
        (16_000, 2048, 128, 0.0, 8_000.0),
        (16_000, 1024, 64, 0.0, 8_000.0),
        (16_000, 400, 40, 125.0, 7_500.0),
        (22_050, 2048, 80, 1_000.0, 11_025.0),
    ],
)
def test_mel_filters_are_bit_equal_to_librosas(
    sample_rate: int,
    n_fft: int,
    n_mels: int,
    fmin: float,
    fmax: float,
    scale: str,
    norm: str | None,
) -> None:
    oracle = librosa.filters.mel(
        sr=sample_rate, n_fft=n_fft, n_mels=n_mels, fmin=fmin, fmax=fmax, htk=scale == "htk",
        norm=norm,
    )  # fmt: skip
    filters = mel_filters(sample_rate, n_fft, n_mels, fmin, fmax, scale, norm)
    assert filters.dtype == np.float32
    np.testing.assert_array_equal(filters, oracle)


@pytest.mark.parametrize("shape", ["hann", "hamming"])
@pytest.mark.parametrize("length", [512, 2048, 401])
def test_a_window_is_scipys_periodic_one(shape: str, length: int) -> None:
    oracle = scipy.signal.get_window(shape, length, fftbins=True)
    np.testing.assert_allclose(analysis_window(shape, length, length), oracle, atol=1e-15)


@pytest.mark.parametrize(("length", "n_fft"), [(512, 1024), (400, 512), (401, 512)])
def test_a_shorter_window_is_centred_as_by_librosa(length: int, n_fft: int) -> None:
    oracle = librosa.util.pad_center(scipy.signal.get_window("hann", length), size=n_fft)
    np.testing.assert_allclose(analysis_window("hann", length, n_fft), oracle, atol=1e-15)


@pytest.mark.parametrize(("n_mfcc", "n_mels"), [(128, 128), (40, 64), (1, 7)])
def test_the_dct_is_scipys_orthonormal_one(n_mfcc: int, n_mels: int) -> None:
    oracle = scipy.fft.dct(np.eye(n_mels), type=2, norm="ortho", axis=0)[:n_mfcc]
    np.testing.assert_allclose(dct_matrix(n_mfcc, n_mels), oracle, atol=1e-13)
