"""The arithmetic of features: what it gives for a frame depends on the frame alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.fft
from feature_oracles import ON_X86
from numpy.typing import NDArray

from ser_runtime.feature_kernels import FeatureKernels
from ser_runtime.feature_kernels import as_features
from ser_runtime.feature_kernels import kernels_of_this_thread
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec

SPECS = {
    "mfcc": MFCC,
    "mel": MEL,
    "ln": FeatureSpec(n_fft=1024, win_length=512, hop=256, n_mels=64, log="ln", top_db=None),
    "40 bands": FeatureSpec(n_fft=512, win_length=399, hop=160, n_mels=40, n_mfcc=13),
    "3 bands": FeatureSpec(n_fft=256, win_length=256, n_mels=3, n_mfcc=2),
}


@pytest.fixture(params=SPECS)
def kernels(request: pytest.FixtureRequest) -> FeatureKernels:
    return FeatureKernels(SPECS[request.param])


def noise(frames: int, kernels: FeatureKernels) -> NDArray[np.float32]:
    rng = np.random.default_rng(frames)
    return rng.standard_normal((frames, kernels.frame_length)).astype(np.float32)


def log_mel(kernels: FeatureKernels, *groups: NDArray[np.float32]) -> NDArray[np.float32]:
    values = np.empty((sum(map(len, groups)), kernels.spec.n_mels), np.float32)
    kernels.log_mel(list(groups), values)
    return values


@pytest.mark.skipif(not ON_X86, reason="equality to the bit is known of x86-64 only")
def test_log_mel_of_a_frame_is_the_same_alone_and_at_any_place(kernels: FeatureKernels) -> None:
    frames = noise(60, kernels)
    together = log_mel(kernels, frames)
    for place in range(60):
        np.testing.assert_array_equal(
            log_mel(kernels, frames[place : place + 1])[0], together[place]
        )


@pytest.mark.skipif(not ON_X86, reason="equality to the bit is known of x86-64 only")
@pytest.mark.parametrize("name", [name for name in SPECS if SPECS[name].n_mfcc])
def test_mfcc_of_a_frame_is_the_same_alone_and_at_any_place(name: str) -> None:
    kernels = FeatureKernels(SPECS[name])
    values = log_mel(kernels, noise(60, kernels))
    together = np.empty((60, kernels.spec.n_mfcc), np.float32)
    kernels.mfcc(values, -20.0, together)
    for place in range(60):
        alone = np.empty((1, kernels.spec.n_mfcc), np.float32)
        kernels.mfcc(values[place : place + 1], -20.0, alone)
        np.testing.assert_array_equal(alone[0], together[place])


@pytest.mark.parametrize(
    ("n_mels", "n_mfcc"), [(128, 128), (64, 64), (64, 33), (40, 13), (7, 7), (6, 6), (3, 2), (1, 1)]
)
def test_mfcc_are_scipys_orthonormal_dct_of_the_clipped_bands(n_mels: int, n_mfcc: int) -> None:
    kernels = FeatureKernels(FeatureSpec(n_mels=n_mels, n_mfcc=n_mfcc))
    values = np.random.default_rng(n_mels).uniform(-100, 0, (9, n_mels)).astype(np.float32)
    cepstra = np.empty((9, n_mfcc), np.float32)
    kernels.mfcc(values, -80.0, cepstra)
    clipped = np.maximum(values.astype(np.float64), -80.0)
    oracle = scipy.fft.dct(clipped, type=2, norm="ortho", axis=1)[:, :n_mfcc]
    np.testing.assert_allclose(cepstra, oracle, rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize("sizes", [(2, 16, 2), (0, 1, 0), (24, 1), (23, 2), (50, 3, 70)])
def test_groups_of_frames_are_computed_in_order(
    kernels: FeatureKernels, sizes: tuple[int, ...]
) -> None:
    frames = noise(sum(sizes), kernels)
    groups = np.split(frames, np.cumsum(sizes)[:-1])
    np.testing.assert_array_equal(log_mel(kernels, *groups), log_mel(kernels, frames))


def test_a_frame_of_zeros_lies_at_the_floor() -> None:
    kernels = FeatureKernels(MFCC)
    silence = log_mel(kernels, np.zeros((1, 2048), np.float32))
    np.testing.assert_allclose(silence, np.full((1, 128), -100.0), rtol=0, atol=1e-5)


def test_the_threshold_lies_top_db_below_the_loudest_band() -> None:
    values = np.array([[3.0, -200.0], [10.5, 0.0]], np.float32)
    assert FeatureKernels(FeatureSpec(n_mels=2, top_db=30.0)).threshold(values) == -19.5
    assert FeatureKernels(FeatureSpec(n_mels=2, top_db=None)).threshold(values) == 0.0


def test_log_mel_features_are_clipped_at_the_threshold() -> None:
    values = np.array([[3.0, -200.0], [10.5, 0.0], [1.0, -20.0]], np.float32)
    clipped = FeatureKernels(FeatureSpec(n_mels=2, top_db=30.0)).clipped(values, -19.5)
    assert clipped.tolist() == [[3.0, 10.5, 1.0], [-19.5, 0.0, -19.5]]
    whole = FeatureKernels(FeatureSpec(n_mels=2, top_db=None)).clipped(values, 0.0)
    assert whole.tolist() == [[3.0, 10.5, 1.0], [-200.0, 0.0, -20.0]]


@pytest.mark.parametrize("frames", [1, 63, 64, 65, 188])
def test_features_have_a_row_for_each_coefficient(frames: int) -> None:
    values = np.arange(frames * 5, dtype=np.float32).reshape(frames, 5)
    features = as_features(values)
    assert features.flags.c_contiguous
    np.testing.assert_array_equal(features, values.T)


def test_a_thread_has_kernels_of_its_own() -> None:
    mine = kernels_of_this_thread(MFCC)
    with ThreadPoolExecutor(max_workers=1) as threads:
        assert threads.submit(kernels_of_this_thread, MFCC).result() is not mine
    assert kernels_of_this_thread(MFCC) is mine
    assert kernels_of_this_thread(MEL) is not mine


def test_frames_beyond_float32_do_not_disturb_later_ones() -> None:
    kernels, fresh = FeatureKernels(MFCC), FeatureKernels(MFCC)
    with np.errstate(all="ignore"):
        log_mel(kernels, np.full((24, 2048), 1e30, np.float32))
    with np.errstate(all="raise"):
        values = log_mel(kernels, noise(1, kernels))
    np.testing.assert_array_equal(values, log_mel(fresh, noise(1, fresh)))
