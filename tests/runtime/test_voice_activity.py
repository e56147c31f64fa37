"""Voice activity: noise and silence are no voice, speech is, on real clips too."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser_runtime.voice_activity import VoiceActivity
from ser_runtime.voice_activity import active_frames

RATE = 16_000
WINDOW = 48_000
STEP = 8_192
FIRST = WINDOW - 4 * STEP
FRAME = 320
SECONDS = 20


def colored(exponent: float) -> NDArray[np.float64]:
    """Noise of unit power whose power falls with that power of the frequency, from 20 Hz."""
    spectrum = np.fft.rfft(np.random.default_rng(0).standard_normal(SECONDS * RATE))
    frequency = np.fft.rfftfreq(SECONDS * RATE, 1 / RATE)
    spectrum[frequency < 20] = 0
    spectrum[1:] /= frequency[1:] ** (exponent / 2)
    noise = np.fft.irfft(spectrum)
    return noise / noise.std()


def hum(frequency: float) -> NDArray[np.float64]:
    time = np.arange(SECONDS * RATE) / RATE
    tone = sum(np.sin(2 * np.pi * frequency * k * time + k) / k for k in (1, 2, 3, 5))
    return tone / tone.std()


STEADY = {
    "white": lambda: colored(0),
    "pink": lambda: colored(1),
    "brown": lambda: colored(2),
    "hum of 50 Hz": lambda: hum(50),
    "hum of 60 Hz": lambda: hum(60),
    "tone of 440 Hz": lambda: hum(440),
    "silence": lambda: np.zeros(SECONDS * RATE),
    "an offset": lambda: np.ones(SECONDS * RATE),
}


def voices(audio: NDArray[np.floating]) -> dict[int, tuple[int, int] | None]:
    """End of the window -> the voice in it, for the windows of a stream."""
    activity, found, seen = VoiceActivity(RATE, WINDOW), {}, 0
    for end in [*range(FIRST, len(audio) + 1, STEP), len(audio)]:
        activity.append(audio[seen:end].astype(np.float32))
        found[end], seen = activity.voice(max(0, end - WINDOW)), end
    return found


@pytest.mark.parametrize("level_dbfs", [-80, -60, -40, -20, -6])
@pytest.mark.parametrize("noise", STEADY.values(), ids=STEADY)
def test_what_is_steady_from_the_start_is_never_a_voice(
    noise: Callable[[], NDArray[np.float64]], level_dbfs: float
) -> None:
    assert set(voices(noise() * 10 ** (level_dbfs / 20)).values()) == {None}


@pytest.mark.parametrize("rise_db", [10, 20, 40])
def test_noise_that_becomes_louder_is_no_voice_after_four_seconds(rise_db: float) -> None:
    noise = 0.001 * colored(1)
    noise[6 * RATE :] *= 10 ** (rise_db / 20)
    found = voices(noise)
    assert any(found.values())
    assert [end for end, voice in found.items() if voice and end > 10 * RATE] == []


def test_a_click_is_no_voice() -> None:
    noise = 0.001 * colored(1)
    noise[8 * RATE : 8 * RATE + RATE // 10] *= 300
    assert not any(voices(noise).values())


def test_a_dropout_does_not_turn_noise_into_a_voice() -> None:
    noise = 0.01 * colored(1)
    noise[8 * RATE : 8 * RATE + RATE // 20] = 0
    noise[9 * RATE : 9 * RATE + RATE // 10] *= 0.01
    assert not any(voices(noise).values())


@pytest.mark.parametrize("kind", ["white", "pink", "silence"])
def test_speech_is_a_voice_until_a_hangover_after_it(
    kind: str, speech_16k: NDArray[np.float32]
) -> None:
    start, end = 5 * RATE, 5 * RATE + len(speech_16k)
    audio = 0.002 * STEADY[kind]()
    audio[start:end] += 0.3 * speech_16k[: len(audio) - start]
    found = voices(audio)
    assert not any(voice for at, voice in found.items() if at < start)
    assert all(voice for at, voice in found.items() if start + RATE <= at <= end)
    assert not any(voice for at, voice in found.items() if at > end + 1.5 * RATE + FRAME)


@pytest.mark.parametrize("gain", [0.01, 0.1, 1.0])
def test_speech_at_once_is_a_voice_from_the_first_window_on(
    gain: float, speech_16k: NDArray[np.float32]
) -> None:
    loud = np.flatnonzero(np.abs(speech_16k) > 0.1)
    found = voices(gain * speech_16k[loud[0] : loud[-1]])
    assert all(found.values())


def test_the_voice_is_found_where_it_is() -> None:
    time = np.arange(RATE) / RATE
    audio = np.zeros(4 * RATE)
    audio[2 * RATE : 3 * RATE] = 0.1 * np.sin(2 * np.pi * 300 * time) * np.sin(np.pi * 4 * time)
    audio += 1e-4 * np.random.default_rng(0).standard_normal(len(audio))
    *_, (_, last) = voices(audio).items()
    assert last is not None
    assert last == pytest.approx((2 * RATE, 3 * RATE), abs=2 * FRAME)


@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 30_000), min_size=1, max_size=10).filter(any))
def test_the_levels_do_not_depend_on_the_chunks(sizes: list[int]) -> None:
    audio = (0.1 * np.random.default_rng(0).standard_normal(80_000)).astype(np.float32)
    once, chunked, start, turn = VoiceActivity(RATE, WINDOW), VoiceActivity(RATE, WINDOW), 0, 0
    once.append(audio)
    while start < len(audio):
        size = sizes[turn % len(sizes)]
        chunked.append(audio[start : start + size])
        start, turn = start + size, turn + 1
    np.testing.assert_array_equal(chunked._levels, once._levels)


@pytest.mark.parametrize("rate", [4_000, 8_000, 22_050, 48_000])
def test_other_rates_hear_the_same(rate: int) -> None:
    rng = np.random.default_rng(0)
    noise = 0.01 * rng.standard_normal(3 * rate)
    voice = noise.copy()
    voice[rate : 2 * rate : 1] += 0.3 * np.sin(2 * np.pi * 400 * np.arange(rate) / rate)
    for audio, voiced in ((noise, False), (voice, True)):
        activity = VoiceActivity(rate, 3 * rate)
        activity.append(audio.astype(np.float32))
        assert (activity.voice(0) is not None) == voiced


def test_activity_starts_at_8_db_and_ends_below_5() -> None:
    levels = np.full(100, -60, np.float32)
    levels[20:30] = [-54, -54, -51, -54, -56, -54, -54, -51.9, -54, -56]
    assert np.flatnonzero(active_frames(levels)).tolist() == [20, 21, 22, 23, 25, 26, 27, 28]
    levels[22] = levels[27] = -52.1
    assert not active_frames(levels).any()


def test_the_very_quiet_is_never_active() -> None:
    levels = np.full(100, -88, np.float32)
    levels[50:60] = -70.5
    assert not active_frames(levels).any()
    assert not active_frames(np.full(100, -120, np.float32)).any()
    assert not active_frames(np.zeros(0, np.float32)).any()


@pytest.mark.parametrize(
    ("pattern", "count"),
    [
        ("RAVDESS/*/*.opus", 1440),
        ("SAVEE/AudioData/*/*.opus", 480),
        ("TESS/*.opus", 2800),
        ("CREMA-D/AudioWAV/*.opus", 7442),
    ],
)
def test_real_clips_hold_a_voice(corpora: Path, pattern: str, count: int) -> None:
    clips = sorted(corpora.glob(pattern))
    assert len(clips) == count
    some = clips[:: count // 40]
    mute = [path.name for path in some if not any(voices(soundfile.read(path)[0]).values())]
    assert mute == []


def test_the_silent_clip_of_crema_d_holds_none(corpora: Path) -> None:
    audio, _rate = soundfile.read(corpora / "CREMA-D" / "AudioWAV" / "1076_MTI_SAD_XX.opus")
    assert not any(voices(audio).values())
