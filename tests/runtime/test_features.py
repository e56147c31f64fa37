"""Features against librosa 0.11, on speech and on what is hard for float32."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import librosa
import numpy as np
import pytest
import soundfile
from feature_oracles import TOLERANCE
from feature_oracles import librosa_features
from numpy.typing import NDArray

from ser_runtime.feature_spec import LOG_MEL
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import FeatureExtractor
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window

RATE = 16_000
LN = FeatureSpec(
    n_fft=1024,
    win_length=512,
    window="hamming",
    hop=256,
    n_mels=64,
    log="ln",
    floor=1e-10,
    top_db=None,
)
KINDS = {"mfcc": MFCC, "mel": MEL, "log mel": LOG_MEL, "ln": LN}
ODD_SPECS = {
    "fewer coefficients than bands": FeatureSpec(n_mfcc=13, n_mels=40, n_fft=512, win_length=512),
    "htk scale": FeatureSpec(mel_scale="htk", n_mels=80, n_mfcc=40),
    "no norm": FeatureSpec(mel_norm=None, n_mfcc=20),
    "speech band": FeatureSpec(fmin=80.0, fmax=7_600.0, n_mels=64),
    "no clip": FeatureSpec(n_mfcc=20, top_db=None),
    "lower clip": FeatureSpec(top_db=30.0),
    "higher floor": FeatureSpec(floor=1e-5),
    "cepstrum of ln": FeatureSpec(log="ln", top_db=None, floor=1e-6, n_mfcc=20, n_mels=64),
    "short odd window": FeatureSpec(
        window_samples=20_001, n_fft=512, win_length=399, hop=160, n_mels=40
    ),
    "hop beyond window": FeatureSpec(n_fft=256, win_length=256, hop=400, n_mels=20),
    "fewer bands than groups": FeatureSpec(n_mels=3, n_mfcc=2),
    "another rate": FeatureSpec(sample_rate=22_050, window_samples=66_150, fmax=11_025.0),
}


def assert_as_librosa(audio: NDArray[np.float32], spec: FeatureSpec) -> None:
    features = compute_features(audio, spec)
    assert features.dtype == np.float32
    assert features.shape == spec.shape
    np.testing.assert_allclose(features, librosa_features(audio, spec), rtol=0, atol=TOLERANCE)


def made_up_audio() -> dict[str, NDArray[np.float32]]:
    rng = np.random.default_rng(0)
    noise = rng.standard_normal(48_000).astype(np.float32)
    time = np.arange(48_000) / RATE
    click = np.zeros(48_000, np.float32)
    click[24_000] = 1.0
    return {
        "white noise": 0.1 * noise,
        "digital silence": np.zeros(48_000, np.float32),
        "near silence": 1e-6 * noise,
        "full-scale noise": np.clip(noise, -1, 1),
        "full-scale tone": np.sin(2 * np.pi * 440 * time).astype(np.float32),
        "full-scale square": np.sign(np.sin(2 * np.pi * 100 * time)).astype(np.float32),
        "click": click,
        "offset": np.full(48_000, 0.5, np.float32),
        "noise after silence": np.concatenate([np.zeros(24_000, np.float32), 0.1 * noise[:24_000]]),
    }


MADE_UP = made_up_audio()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", MADE_UP)
def test_made_up_audio_has_librosas_features(name: str, kind: str) -> None:
    assert_as_librosa(MADE_UP[name], KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
def test_speech_has_librosas_features(speech_16k: NDArray[np.float32], kind: str) -> None:
    for start in range(0, len(speech_16k), 48_000):
        assert_as_librosa(speech_16k[start : start + 48_000], KINDS[kind])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("corpus", ["RAVDESS", "SAVEE", "TESS", "CREMA-D"])
def test_clips_of_the_corpora_have_librosas_features(corpora: Path, corpus: str, kind: str) -> None:
    files = (file for file in (corpora / corpus).rglob("*") if file.suffix in (".opus", ".wav"))
    for path in sorted(files)[:2]:
        audio, rate = soundfile.read(path, dtype="float32", always_2d=True)
        mono = librosa.resample(audio.mean(axis=1), orig_sr=rate, target_sr=RATE)
        assert_as_librosa(mono, KINDS[kind])


@pytest.mark.parametrize("name", ODD_SPECS)
def test_odd_specs_have_librosas_features(speech_16k: NDArray[np.float32], name: str) -> None:
    assert_as_librosa(speech_16k[:60_000], ODD_SPECS[name])


def test_features_are_a_new_array_each_time() -> None:
    extractor = FeatureExtractor(MEL)
    first = extractor(MADE_UP["white noise"])
    kept = first.copy()
    extractor(MADE_UP["full-scale tone"])
    np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("kind", KINDS)
def test_the_window_before_leaves_no_trace(kind: str) -> None:
    extractor = FeatureExtractor(KINDS[kind])
    extractor(MADE_UP["full-scale noise"])
    after = extractor(MADE_UP["near silence"])
    np.testing.assert_array_equal(after, FeatureExtractor(KINDS[kind])(MADE_UP["near silence"]))


@pytest.mark.parametrize("shape", [(0,), (47_999,), (48_001,), (48_000, 1), (1, 48_000)])
def test_a_window_of_another_shape_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="shape"):
        FeatureExtractor(MFCC)(np.zeros(shape, np.float32))


def test_threads_at_once_compute_equal_features() -> None:
    jobs = [(audio, spec) for audio in MADE_UP.values() for spec in (MFCC, LN)] * 4
    alone = [compute_features(*job) for job in jobs]
    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(lambda job: compute_features(*job), jobs))
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("count", [0, 1, 4, 5])
def test_shorter_audio_gets_zeros_at_its_end(count: int) -> None:
    fitted = fit_window(np.ones(count), 5)
    assert fitted.dtype == np.float32
    assert fitted.tolist() == [1.0] * count + [0.0] * (5 - count)


def test_longer_audio_keeps_its_beginning() -> None:
    assert fit_window(np.arange(9), 5).tolist() == [0, 1, 2, 3, 4]


def test_float64_audio_has_the_features_of_float32() -> None:
    audio = MADE_UP["white noise"]
    np.testing.assert_array_equal(
        compute_features(audio.astype(np.float64), MEL), compute_features(audio, MEL)
    )
