"""Augmentation of `compact`: windows of the right shape, and changes of the stated size."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from ser_runtime.feature_spec import FeatureSpec
from ser_train.compact.augmentation import FIRST_RECIPE
from ser_train.compact.augmentation import Augmentation
from ser_train.compact.augmentation import WindowAugmenter
from ser_train.compact.augmentation import mask
from ser_train.compact.augmentation import mix
from ser_train.compact.clip_spectrograms import ClipSpectrograms

SPEC = FeatureSpec(
    n_fft=1024,
    win_length=1024,
    hop=256,
    n_mels=64,
    log="ln",
    floor=1e-7,
    top_db=None,
    window_samples=40 * 256,
)
FRAMES, BANDS = SPEC.frames, SPEC.n_mels
NOTHING = Augmentation(
    speed=(1.0, 1.0),
    from_start=1.0,
    shift=0,
    gain_db=(0.0, 0.0),
    tilt_db=(0.0, 0.0),
    band_limited=0.0,
    damped_below=(0.0, 0.0),
    limited_after_noise=0.0,
    reverberant=0.0,
    noisy=0.0,
    swinging=0.0,
    masks=0,
    mixed=0.0,
    label_smoothing=0.0,
)
LOWEST = np.float32(np.log(SPEC.floor))


@pytest.fixture
def clips() -> ClipSpectrograms:
    """A clip longer than a window, and one of half a window."""
    lengths = np.array([2 * FRAMES, FRAMES // 2])
    values = np.random.default_rng(0).uniform(-8, -2, (2, 2 * FRAMES, BANDS)).astype(np.float16)
    values[1, lengths[1] :] = LOWEST
    return ClipSpectrograms(values, lengths, SPEC)


def windows(clips: ClipSpectrograms, rows: list[int], **settings: object) -> np.ndarray:
    augmenter = WindowAugmenter(clips, dataclasses.replace(NOTHING, **settings))
    return augmenter(np.array(rows), np.random.default_rng(1))


def test_without_changes_a_window_is_the_clips_first(clips: ClipSpectrograms) -> None:
    long, short = windows(clips, [0, 1])
    assert long.shape == (BANDS, FRAMES)
    assert long.dtype == np.float32
    np.testing.assert_allclose(long, clips.values[0, :FRAMES].T, atol=1e-3)
    np.testing.assert_allclose(short[:, : FRAMES // 2], clips.values[1, : FRAMES // 2].T, atol=1e-3)
    np.testing.assert_allclose(short[:, FRAMES // 2 :], LOWEST, atol=1e-3)


def test_the_same_draws_give_the_same_windows(clips: ClipSpectrograms) -> None:
    augmenter = WindowAugmenter(clips, Augmentation())
    rows = np.array([0, 1, 0])
    first = augmenter(rows, np.random.default_rng(3))
    np.testing.assert_array_equal(first, augmenter(rows, np.random.default_rng(3)))
    assert not np.array_equal(first, augmenter(rows, np.random.default_rng(4)))
    assert np.isfinite(first).all()


def test_windows_begin_anywhere_in_a_longer_clip_and_around_a_shorter_one(
    clips: ClipSpectrograms,
) -> None:
    cut = windows(clips, [0] * 50 + [1] * 50, from_start=0.0)
    starts = {
        int(np.abs(clips.values[0, :, 0][:, None] - window[0, 0]).argmin()) for window in cut[:50]
    }
    assert len(starts) > 10
    assert max(starts) <= FRAMES
    leading = [int((window[0] > LOWEST + 1).argmax()) for window in cut[50:]]
    assert len(set(leading)) > 5
    assert max(leading) <= FRAMES - FRAMES // 2 + 1
    for window in cut[50:]:
        assert (window[0] > LOWEST + 1).sum() == FRAMES // 2


def test_speed_changes_the_duration(clips: ClipSpectrograms) -> None:
    (short,) = windows(clips, [1], speed=(0.5, 0.5))
    assert (short[0] > LOWEST + 1).sum() == 2 * (FRAMES // 2)


def test_gain_moves_every_band_by_as_much(clips: ClipSpectrograms) -> None:
    difference = windows(clips, [0], gain_db=(6.0, 6.0)) - windows(clips, [0])
    np.testing.assert_allclose(difference, 0.6 * np.log(10), atol=1e-3)


def test_a_tilt_is_as_steep_as_stated(clips: ClipSpectrograms) -> None:
    (difference,) = windows(clips, [0], tilt_db=(6.0, 6.0)) - windows(clips, [0])
    np.testing.assert_allclose((difference[-1] - difference[0]) * 10 / np.log(10), 6.0, atol=0.05)


def test_a_band_limit_damps_the_highest_bands_alone(clips: ClipSpectrograms) -> None:
    difference = windows(clips, [0] * 20, band_limited=1.0) - windows(clips, [0] * 20)
    np.testing.assert_allclose(difference[:, : int(0.6 * BANDS)], 0.0, atol=1e-3)
    assert (difference[:, -1] < -1).mean() > 0.8


def test_a_telephone_damps_the_lowest_bands_too(clips: ClipSpectrograms) -> None:
    limits = {"band_limited": 1.0, "damped_below": (0.2, 0.2)}
    difference = windows(clips, [0] * 20, **limits) - windows(clips, [0] * 20)
    edge = int(0.2 * BANDS)
    assert (difference[:, : edge - 2] < -1).all()
    np.testing.assert_allclose(difference[:, edge : int(0.6 * BANDS)], 0.0, atol=1e-3)


def test_a_channel_damps_the_noise_of_the_stated_share(clips: ClipSpectrograms) -> None:
    noise = {"noisy": 1.0, "snr_db": (0.0, 0.0)}
    limits = {"band_limited": 1.0, "damped_below": (0.2, 0.2), "limited_after_noise": 0.5}
    lowest = windows(clips, [0] * 200, **noise, **limits)[:, 0].mean(axis=1)
    clean = windows(clips, [0])[0, 0].mean()
    assert 0.4 < (lowest < clean - 4).mean() < 0.6


@pytest.mark.parametrize("snr_db", [0.0, 20.0])
@pytest.mark.parametrize("swinging", [0.0, 1.0])
def test_noise_has_the_stated_power(
    clips: ClipSpectrograms, snr_db: float, swinging: float
) -> None:
    clean = np.exp(windows(clips, [0] * 20))
    noise = {"noisy": 1.0, "snr_db": (snr_db, snr_db), "swinging": swinging}
    noisy = np.exp(windows(clips, [0] * 20, **noise))
    ratio = 10 * np.log10(clean.mean() / (noisy - clean).mean())
    assert ratio == pytest.approx(snr_db, abs=0.3)


def test_a_swinging_noise_comes_and_goes(clips: ClipSpectrograms) -> None:
    def deviation_db(swinging: float) -> float:
        noise = {"noisy": 1.0, "snr_db": (-20.0, -20.0), "swinging": swinging}
        swings = {"swing_db": (8.0, 8.0), "swing_hz": (12.0, 12.0)}
        noisy = windows(clips, [0] * 50, **noise, **swings)
        return float((noisy.mean(axis=1).std(axis=1) * 10 / np.log(10)).mean())

    assert deviation_db(0.0) < 1.0
    assert 3.0 < deviation_db(1.0) < 8.0


def test_a_configuration_without_the_later_fields_means_what_it_did() -> None:
    fields = dataclasses.replace(FIRST_RECIPE, gain_db=(-30.0, 12.0)).to_dict()
    assert "swinging" not in fields
    assert "damped_below" not in fields
    settings = Augmentation.from_dict(fields)
    assert settings.damped_below == (0.0, 0.0)
    assert settings.swinging == 0.0
    assert settings.gain_db == (-30.0, 12.0)
    assert Augmentation.from_dict(Augmentation().to_dict()) == Augmentation()


def test_a_shift_moves_the_bands(clips: ClipSpectrograms) -> None:
    plain = windows(clips, [0])[0]
    moved = {
        next(s for s in (-1, 0, 1) if np.allclose(w[2:-2], np.roll(plain, s, axis=0)[2:-2]))
        for w in windows(clips, [0] * 20, shift=1)
    }
    assert moved == {-1, 0, 1}


def test_a_reverberant_tail_decays_by_60_db(clips: ClipSpectrograms) -> None:
    values = np.full_like(clips.values, LOWEST)
    values[0, 3] = 0.0
    impulse = dataclasses.replace(clips, values=values)
    seconds = 20 * SPEC.hop / SPEC.sample_rate
    (wet,) = windows(impulse, [0], reverberant=1.0, decay_seconds=(seconds, seconds))
    tail = np.exp(wet[0, 4:]) - SPEC.floor
    assert 10 * np.log10(tail[0] / tail[10]) == pytest.approx(30, abs=0.1)
    assert tail.sum() == pytest.approx(np.exp(wet[0, 3]), rel=0.01)
    np.testing.assert_allclose(wet[:, :3], LOWEST, atol=1e-3)


def test_masks_blank_stripes_of_at_most_their_width() -> None:
    inputs = np.ones((50, BANDS, FRAMES), np.float32)
    settings = dataclasses.replace(Augmentation(), masks=1, mask_bands=5, mask_frames=7)
    mask(inputs, settings, np.random.default_rng(0))
    bands = (inputs == 0).all(axis=2).sum(axis=1)
    frames = (inputs == 0).all(axis=1).sum(axis=1)
    assert set(bands) == set(range(6))
    assert set(frames) == set(range(8))


def test_mixup_mixes_inputs_and_targets_alike() -> None:
    inputs = np.eye(7, dtype=np.float32)[:, :, None] * np.ones(5, np.float32)
    targets = np.eye(7, dtype=np.float32)
    settings = dataclasses.replace(Augmentation(), mixed=1.0, mix_beta=1.0)
    mixed, labels = mix(inputs, targets, settings, np.random.default_rng(0))
    np.testing.assert_allclose(mixed[:, :, 0], labels, atol=1e-6)
    np.testing.assert_allclose(labels.sum(axis=1), 1.0, atol=1e-6)
    assert ((labels > 0.01) & (labels < 0.99)).any()
    never = dataclasses.replace(settings, mixed=0.0)
    assert mix(inputs, targets, never, np.random.default_rng(0))[0] is inputs
