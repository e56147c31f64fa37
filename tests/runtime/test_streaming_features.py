"""Features of a stream's windows are those of each window alone, however they were come by."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from feature_oracles import TOLERANCE
from feature_oracles import assert_as_offline
from feature_oracles import librosa_features
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser_runtime.feature_spec import LOG_MEL
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.streaming_features import StreamingFeatures
from ser_runtime.window_buffer import WindowBuffer

SPECS = {
    "mfcc": MFCC,
    "mel": MEL,
    "log mel": LOG_MEL,
    "ln": FeatureSpec(
        n_fft=1024, win_length=512, window="hamming", hop=256, n_mels=64, log="ln", top_db=None
    ),
    "odd": FeatureSpec(
        window_samples=20_001, n_fft=512, win_length=399, hop=160, n_mels=40, n_mfcc=13
    ),
}


@st.composite
def small_specs(draw: st.DrawFn) -> FeatureSpec:
    n_fft = draw(st.sampled_from([16, 64, 130, 256]))
    log = draw(st.sampled_from(["db", "ln"]))
    n_mels = draw(st.integers(1, 40))
    return FeatureSpec(
        window_samples=draw(st.integers(1, 3_000)),
        n_fft=n_fft,
        win_length=draw(st.one_of(st.just(n_fft), st.integers(1, n_fft))),
        window=draw(st.sampled_from(["hann", "hamming"])),
        hop=draw(st.integers(30, 400)),
        n_mels=n_mels,
        log=log,
        floor=draw(st.sampled_from([1e-10, 1e-6])),
        top_db=draw(st.sampled_from([None, 30.0, 80.0])) if log == "db" else None,
        n_mfcc=draw(st.one_of(st.none(), st.integers(1, n_mels))),
    )


def sound(kind: str, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    noise = rng.standard_normal(count)
    samples = {
        "noise": 0.1 * noise,
        "silence": np.zeros(count),
        "near silence": 1e-6 * noise,
        "clipping": np.clip(3 * noise, -1, 1),
        "square": np.sign(np.sin(0.04 * np.arange(count))),
        "offset": np.full(count, 0.5),
        "tone": np.sin(0.17 * np.arange(count)),
    }
    return samples[kind].astype(np.float32)


KINDS = ["noise", "silence", "near silence", "clipping", "square", "offset", "tone"]


def made_up(data: st.DataObject, count: int) -> NDArray[np.float32]:
    """Audio whose kind changes at random places."""
    rng = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=4), "kinds")
    edges = np.sort(rng.integers(0, count, len(kinds) - 1))
    sizes = np.diff([0, *edges, count])
    return np.concatenate([sound(*part, rng) for part in zip(kinds, sizes, strict=True)])


@settings(max_examples=150, deadline=None)
@given(spec=small_specs(), data=st.data())
def test_windows_a_step_apart_have_the_features_of_each_alone(
    spec: FeatureSpec, data: st.DataObject
) -> None:
    hops = data.draw(st.integers(1, max(1, spec.window_samples // spec.hop)), "hops")
    step = min(hops * spec.hop, spec.window_samples)
    audio = made_up(data, spec.window_samples + 6 * step)
    first = spec.window_samples - step * data.draw(st.integers(0, 3), "partial windows")
    buffer, size = WindowBuffer(spec), spec.window_samples
    ends = [*range(max(1, first), len(audio), step), len(audio)]
    for end in ends:
        for start in range(buffer.total, end, size):
            buffer.append(audio[start : min(start + size, end)])
        start = max(0, end - size)
        assert_as_offline(buffer.features(start), audio[start:end], spec)
    for later in range(start, len(audio) + 1, step):
        assert_as_offline(buffer.features(later), audio[later:], spec)


@settings(max_examples=150, deadline=None)
@given(spec=small_specs(), data=st.data())
def test_any_window_after_chunks_of_any_sizes_has_the_features_of_it_alone(
    spec: FeatureSpec, data: st.DataObject
) -> None:
    size = spec.window_samples
    audio = made_up(data, 4 * size)
    buffer = WindowBuffer(spec)
    while buffer.total < len(audio):
        count = data.draw(st.integers(0, min(size, len(audio) - buffer.total)), "chunk")
        buffer.append(audio[buffer.total :][: max(1, count)])
        if data.draw(st.booleans(), "look"):
            start = data.draw(st.integers(max(0, buffer.total - size), buffer.total), "start")
            if data.draw(st.booleans(), "on the grid"):
                start = min(-(-start // spec.hop) * spec.hop, buffer.total)
            features = buffer.features(start)
            assert_as_offline(features, audio[start : buffer.total], spec)


@pytest.mark.parametrize("name", SPECS)
@pytest.mark.parametrize("hops", [1, 5, 16])
def test_speech_in_steps_has_the_features_of_each_window(
    speech_16k: NDArray[np.float32], name: str, hops: int
) -> None:
    spec = SPECS[name]
    step, size, buffer = hops * spec.hop, spec.window_samples, WindowBuffer(spec)
    buffer.append(speech_16k[:size])
    for start in range(0, min(40 * step, len(speech_16k) - size), step):
        features = buffer.features(start)
        assert_as_offline(features, speech_16k[start : start + size], spec)
        buffer.append(speech_16k[start + size : start + size + step])


@pytest.mark.parametrize("name", SPECS)
def test_a_stream_that_gets_silent_and_loud_again_has_librosas_features(
    speech_16k: NDArray[np.float32], name: str
) -> None:
    spec = SPECS[name]
    step, size, buffer = 20 * spec.hop, spec.window_samples, WindowBuffer(spec)
    rng = np.random.default_rng(0)
    parts = [speech_16k[:size], *(sound(kind, size, rng) for kind in KINDS), speech_16k[:size]]
    audio = np.concatenate(parts)
    for end in range(step, len(audio), step):
        buffer.append(audio[end - step : end])
        start = max(0, -(-(end - size) // step) * step)
        wanted = librosa_features(audio[start:end], spec)
        np.testing.assert_allclose(buffer.features(start), wanted, rtol=0, atol=TOLERANCE)


def test_features_are_a_new_array_each_time(speech_16k: NDArray[np.float32]) -> None:
    for spec in (MFCC, MEL):
        buffer = WindowBuffer(spec)
        buffer.append(speech_16k[:48_000])
        first = buffer.features(0)
        kept = first.copy()
        buffer.append(speech_16k[48_000:56_192])
        buffer.features(8_192)
        np.testing.assert_array_equal(first, kept)


@pytest.mark.parametrize("name", SPECS)
def test_what_the_last_window_shares_is_not_computed_again(
    speech_16k: NDArray[np.float32], name: str
) -> None:
    spec = SPECS[name]
    size, step = spec.window_samples, 16 * spec.hop
    audio = speech_16k[: size + step]
    samples = np.append(audio, np.zeros(spec.win_length, np.float32))
    streaming = StreamingFeatures(spec)
    streaming(np.append(audio[:size], np.zeros(spec.win_length, np.float32)), 0, size, 0)
    samples[step + spec.win_length : size - spec.n_fft] = np.nan
    assert_as_offline(streaming(samples, step, size, step), audio[step:], spec)
    assert np.isnan(streaming(samples, step + 1, size - 1, step + 1)).any()


def test_streams_of_several_threads_do_not_disturb_each_other(
    speech_16k: NDArray[np.float32],
) -> None:
    def features(first: int) -> list[NDArray[np.float32]]:
        buffer, results = WindowBuffer(MFCC), []
        for start in range(first, first + 20 * 8_192, 8_192):
            buffer.append(np.take(speech_16k, np.arange(start, start + 8_192), mode="wrap"))
            results.append(buffer.features(max(0, buffer.total - 48_000)))
        return results

    firsts = [0, 30_000, 60_000, 90_000]
    alone = [features(first) for first in firsts]
    with ThreadPoolExecutor(max_workers=4) as threads:
        together = list(threads.map(features, firsts))
    np.testing.assert_array_equal(together, alone)


def test_a_stream_may_change_its_thread(speech_16k: NDArray[np.float32]) -> None:
    buffer = WindowBuffer(MFCC)
    for start in range(0, 65_536, 8_192):
        with ThreadPoolExecutor(max_workers=1) as thread:
            buffer.append(speech_16k[start : start + 8_192])
            window = max(0, start + 8_192 - 48_000)
            features = thread.submit(buffer.features, window).result()
        assert_as_offline(features, speech_16k[window : start + 8_192], MFCC)
