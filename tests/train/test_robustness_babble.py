"""Babble of tones: who is in it, how loud, and who is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from ser_runtime.errors import CorporaError
from ser_train.corpora import Clip
from ser_train.robustness.babble import Babble

RATE = 8_000
PITCHES = {"DC": 400, "JE": 700, "JK": 1100, "KL": 1700}
LEVELS = {"DC": 0.5, "JE": 0.5, "JK": 0.005, "KL": 0.5}


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory, make_clip: Callable[..., Clip]) -> list[Clip]:
    """Two clips of each of four speakers: a tone for each speaker, one of them very quiet."""
    folder, made = tmp_path_factory.mktemp("tones"), []
    for speaker, pitch in PITCHES.items():
        for number, seconds in (("01", 0.5), ("02", 0.25)):
            time = np.arange(int(seconds * RATE)) / RATE
            path = folder / f"{speaker}_a{number}.wav"
            tone = LEVELS[speaker] * np.sin(2 * np.pi * pitch * time)
            soundfile.write(path, tone, RATE, subtype="FLOAT")
            made.append(make_clip(f"SAVEE/{speaker}_a{number}", speaker, path=path))
    return made


def tone_powers(babble: NDArray[np.float32]) -> dict[str, float]:
    power = np.abs(np.fft.rfft(babble * np.hanning(len(babble)))) ** 2
    bins = np.fft.rfftfreq(len(babble), 1 / RATE)
    return {
        speaker: float(power[np.abs(bins - pitch) < 40].sum() / power.sum())
        for speaker, pitch in PITCHES.items()
    }


def test_the_speaker_who_is_left_out_is_not_heard(clips: list[Clip]) -> None:
    noise = Babble(clips, RATE).noise(np.random.default_rng(0), 3 * RATE, without=("SAVEE", "JE"))
    assert tone_powers(noise)["JE"] < 1e-3


def test_all_others_are_heard_equally_however_loud_they_were_recorded(clips: list[Clip]) -> None:
    noise = Babble(clips, RATE).noise(np.random.default_rng(0), 3 * RATE, without=("SAVEE", "JE"))
    heard = [tone_powers(noise)[speaker] for speaker in ("DC", "JK", "KL")]
    assert heard == pytest.approx([1 / 3] * 3, abs=0.02)


def test_no_more_voices_than_asked_for(clips: list[Clip]) -> None:
    noise = Babble(clips, RATE).noise(np.random.default_rng(0), 3 * RATE, voices=1)
    assert sorted(tone_powers(noise).values())[-2:] == pytest.approx([0, 1], abs=0.02)


def test_power_is_one_all_along(clips: list[Clip]) -> None:
    noise = Babble(clips, RATE).noise(np.random.default_rng(0), 3 * RATE)
    assert (noise.dtype, len(noise)) == (np.float32, 3 * RATE)
    assert np.mean(np.square(noise)) == pytest.approx(1, abs=1e-4)
    assert np.mean(np.square(noise[-RATE:])) == pytest.approx(1, abs=0.1)


def test_the_same_random_numbers_make_the_same_babble(clips: list[Clip]) -> None:
    babble = Babble(clips, RATE)
    first, second = (babble.noise(np.random.default_rng(3), RATE) for _ in range(2))
    np.testing.assert_array_equal(first, second)
    fresh = Babble(list(reversed(clips)), RATE).noise(np.random.default_rng(3), RATE)
    np.testing.assert_array_equal(first, fresh)


def test_silent_clips_are_left_out(clips: list[Clip], make_clip: Callable[..., Clip]) -> None:
    silent = make_clip("TESS/OAF_back_sad", "OAF", peak=0.0, path=Path("is never read"))
    noise = Babble([*clips, silent], RATE).noise(np.random.default_rng(0), RATE, voices=10)
    assert np.isfinite(noise).all()


def test_one_speaker_alone_makes_no_babble_for_himself(clips: list[Clip]) -> None:
    babble = Babble(clips[:2], RATE)
    with pytest.raises(CorporaError, match="there is but one"):
        babble.noise(np.random.default_rng(0), RATE, without=("SAVEE", "DC"))


def test_a_clip_that_is_gone_is_named(clips: list[Clip], make_clip: Callable[..., Clip]) -> None:
    gone = make_clip("SAVEE/DC_a01", path=Path("gone.wav"))
    with pytest.raises(CorporaError, match=r"cannot read gone\.wav any more"):
        Babble([gone], RATE).noise(np.random.default_rng(0), RATE)
