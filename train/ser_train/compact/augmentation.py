"""What a clip might have sounded like: another room, microphone, voice, level and moment.

Everything is done on mel powers, where a window costs a few microseconds: gains and spectral
tilts multiply them, noise and reverberation add power.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_kernels import mel_filters_of
from ser_train.compact.clip_spectrograms import ClipSpectrograms


@dataclass(frozen=True)
class Augmentation:
    """How far windows are changed. Ranges are uniform, one draw per window.

    Attributes:
        speed: Of the frames; changes duration, not pitch.
        from_start: Share of the windows that begin where the clip does, as the device's first
            complete window; others begin anywhere, silence around a shorter clip included.
        shift: Bands that the spectrum is moved up or down at most, as by another vocal tract.
        gain_db: Level.
        tilt_db: From the lowest to the highest band.
        band_limited: Share whose highest bands are damped, from a random band on, and whose lowest
            are, as by a telephone.
        damped_below: Of these: where the lowest ones end, as a share of all bands (300 Hz: 0.1).
        limited_after_noise: Of these: the share whose noise is band-limited with them.
        reverberant: Share with an exponential tail.
        decay_seconds: Of that tail, to -60 dB.
        noisy: Share with noise.
        snr_db: Of the noise, against the mean power of the window.
        noise_tilt_db: Of the noise, from the lowest to the highest band.
        swinging: Share of the noises that come and go, not the same in all bands, as traffic, steps
            and other people do; the rest are steady.
        swing_db: Standard deviation of a swinging noise's level at the moments between which it is
            interpolated.
        swing_hz: How many of these a second; equal ratios are equally probable.
        masks: Stripes of SpecAugment (Park et al. 2019, arXiv:1904.08779), over bands and frames.
        mask_bands: Widest stripe of bands.
        mask_frames: Widest stripe of frames.
        mixed: Share of the batches with mixup (Zhang et al. 2018, arXiv:1710.09412).
        mix_beta: Both parameters of its beta distribution.
        label_smoothing: Probability that is spread over all classes.
    """

    speed: tuple[float, float] = (0.88, 1.14)
    from_start: float = 0.5
    shift: int = 2
    gain_db: tuple[float, float] = (-30.0, 12.0)
    tilt_db: tuple[float, float] = (-6.0, 6.0)
    band_limited: float = 0.3
    damped_below: tuple[float, float] = (0.0, 0.16)
    limited_after_noise: float = 0.5
    reverberant: float = 0.2
    decay_seconds: tuple[float, float] = (0.1, 0.6)
    noisy: float = 0.6
    snr_db: tuple[float, float] = (0.0, 40.0)
    noise_tilt_db: tuple[float, float] = (-30.0, 10.0)
    swinging: float = 0.5
    swing_db: tuple[float, float] = (3.0, 12.0)
    swing_hz: tuple[float, float] = (1.0, 12.0)
    masks: int = 2
    mask_bands: int = 10
    mask_frames: int = 28
    mixed: float = 0.0
    mix_beta: float = 0.3
    label_smoothing: float = 0.1

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Augmentation:
        """From `to_dict`, of this version or one whose augmentation had fewer fields."""
        pairs = {name: tuple(value) for name, value in fields.items() if isinstance(value, list)}
        return dataclasses.replace(FIRST_RECIPE, **{**fields, **pairs})

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it.

        Without the fields that earlier configurations lack, if none of them does anything: a recipe
        stays equal to what was written of it then.
        """
        fields = dataclasses.asdict(self)
        if all(fields[name] == getattr(FIRST_RECIPE, name) for name in _LATER_FIELDS):
            fields = {name: value for name, value in fields.items() if name not in _LATER_FIELDS}
        return {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in fields.items()
        }


FIRST_RECIPE = Augmentation(
    from_start=0.25,
    gain_db=(-10.0, 10.0),
    band_limited=0.15,
    damped_below=(0.0, 0.0),
    limited_after_noise=0.0,
    snr_db=(5.0, 40.0),
    swinging=0.0,
    mixed=0.5,
)
"""Of every run from before the augmentation stood in its configuration; and what fields meant that
a later configuration lacks.
"""

_LATER_FIELDS = ("damped_below", "limited_after_noise", "swinging", "swing_db", "swing_hz")

DONE_TO_INPUTS = ("masks", "mask_bands", "mask_frames", "mixed", "mix_beta", "label_smoothing")
"""Fields of what is done to standardized windows and targets: teachers judge windows before it."""

_SWING_BANDS = 4
"""Bands, evenly spaced, at which a swinging noise has a level of its own."""


class WindowAugmenter:
    """Cuts windows from clips and changes them."""

    def __init__(self, clips: ClipSpectrograms, settings: Augmentation) -> None:
        self._clips, self._settings = clips, settings
        self._spec = clips.spec
        filters = mel_filters_of(self._spec).astype(np.float64)
        # Of white noise: the relative deviation of a band's power within one frame.
        bins = filters.sum(axis=1) ** 2 / np.maximum((filters**2).sum(axis=1), 1e-30)
        self._ripple = (1.0 / np.sqrt(np.maximum(bins, 1.0))).astype(np.float32)

    def __call__(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """One changed window of each clip.

        Args:
            rows: int64 [windows], rows of the clips.
            rng: What every draw is made from.

        Returns:
            float32 [windows, bands, frames]: ln(power + floor), not standardized.
        """
        settings, floor = self._settings, np.float32(self._spec.floor)
        power = np.maximum(np.exp(self._cut(rows, rng)) - floor, 0.0)
        _shift_bands(power, settings.shift, rng)
        power *= self._response(len(rows), rng)
        chosen = np.flatnonzero(rng.random(len(rows)) < settings.reverberant)
        frame_rate = self._spec.sample_rate / self._spec.hop
        decay = rng.uniform(*settings.decay_seconds, len(chosen)) * frame_rate
        power[chosen] = _reverberant(power[chosen], decay)
        limits = self._band_limits(len(rows), rng)
        after_noise = rng.random(len(rows)) < settings.limited_after_noise
        power[~after_noise] *= limits[~after_noise]
        chosen = np.flatnonzero(rng.random(len(rows)) < settings.noisy)
        power[chosen] += self._noise(power[chosen], rng)
        power[after_noise] *= limits[after_noise]
        return np.log(power + floor).transpose(0, 2, 1)

    def _cut(self, rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 [windows, frames, bands]: windows at random places and speeds."""
        frames = self._spec.frames
        cut = np.full((len(rows), frames, self._spec.n_mels), np.log(self._spec.floor), np.float32)
        for window, row in zip(cut, rows, strict=True):
            speed = rng.uniform(*self._settings.speed)
            place, anywhere = rng.random(), rng.random() >= self._settings.from_start
            room = self._clips.lengths[row] - frames * speed
            start = room * place if anywhere else 0.0
            wanted = np.floor(start + speed * np.arange(frames)).astype(np.int64)
            there = (wanted >= 0) & (wanted < self._clips.lengths[row])
            window[there] = self._clips.values[row, wanted[there]]
        return cut

    def _response(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 [windows, 1, bands]: what level and microphone multiply powers by."""
        bands = self._spec.n_mels
        gain_db = rng.uniform(*self._settings.gain_db, (count, 1))
        gain_db = gain_db + rng.uniform(*self._settings.tilt_db, (count, 1)) * np.linspace(
            -0.5, 0.5, bands
        )
        return (10 ** (gain_db / 10)).astype(np.float32)[:, None]

    def _band_limits(self, count: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 [windows, 1, bands]: what a channel multiplies powers by; 1 without limits."""
        bands = self._spec.n_mels
        limited = rng.random((count, 1)) < self._settings.band_limited
        first_damped = rng.uniform(0.6, 1.0, (count, 1)) * bands
        last_damped = rng.uniform(*self._settings.damped_below, (count, 1)) * bands - 1
        beyond = np.maximum(np.arange(bands) - first_damped, last_damped - np.arange(bands))
        damping_db = limited * 12.0 * np.maximum(beyond, 0.0)
        return (10 ** (-damping_db / 10)).astype(np.float32)[:, None]

    def _noise(self, power: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
        """Noise for windows of float32 [windows, frames, bands]; of that shape."""
        count, _, bands = power.shape
        tilt_db = rng.uniform(*self._settings.noise_tilt_db, (count, 1)) * np.linspace(
            0.0, 1.0, bands
        )
        noise = np.tile((10 ** (tilt_db / 10)).astype(np.float32)[:, None], (1, power.shape[1], 1))
        for window in np.flatnonzero(rng.random(count) < self._settings.swinging):
            noise[window] *= self._swing(power.shape[1], bands, rng)
        snr = 10 ** (rng.uniform(*self._settings.snr_db, count) / 10)
        scale = power.mean(axis=(1, 2)) / snr / noise.mean(axis=(1, 2))
        noise *= scale.astype(np.float32)[:, None, None]
        ripple = rng.standard_normal(power.shape, np.float32)
        ripple *= self._ripple
        return noise * np.maximum(1.0 + ripple, 0.05)

    def _swing(self, frames: int, bands: int, rng: np.random.Generator) -> NDArray[np.float32]:
        """float32 [frames, bands]: what the power of a swinging noise is multiplied by."""
        slowest, fastest = np.log(self._settings.swing_hz)
        rate = np.exp(rng.uniform(slowest, fastest)) * self._spec.hop / self._spec.sample_rate
        places = rng.random() + np.arange(frames) * rate
        knots = np.arange(int(places[-1]) + 2)
        # Half of the variance is shared by all bands.
        levels = rng.standard_normal((len(knots), 1)) + rng.standard_normal(
            (len(knots), _SWING_BANDS)
        )
        over_time = np.stack([np.interp(places, knots, own) for own in levels.T], axis=1)
        shares = np.stack(
            [
                np.interp(np.linspace(0, _SWING_BANDS - 1, bands), np.arange(_SWING_BANDS), own)
                for own in np.eye(_SWING_BANDS)
            ]
        )
        level_db = rng.uniform(*self._settings.swing_db) / np.sqrt(2) * (over_time @ shares)
        return (10 ** (level_db / 10)).astype(np.float32)


def mask(inputs: NDArray[np.float32], settings: Augmentation, rng: np.random.Generator) -> None:
    """Blank stripes of standardized windows, in place.

    Args:
        inputs: float32 [windows, bands, frames]; 0 is the mean.
        settings: How many, how wide.
        rng: What every draw is made from.
    """
    bands, frames = inputs.shape[1:]
    for window in inputs:
        for _ in range(settings.masks):
            width = rng.integers(settings.mask_bands + 1)
            first = rng.integers(bands - width + 1)
            window[first : first + width] = 0.0
            width = rng.integers(settings.mask_frames + 1)
            first = rng.integers(frames - width + 1)
            window[:, first : first + width] = 0.0


def mix(
    inputs: NDArray[np.float32],
    targets: NDArray[np.float32],
    settings: Augmentation,
    rng: np.random.Generator,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mixup of a batch, or the batch as it is.

    Args:
        inputs: float32 [windows, bands, frames].
        targets: float32 [windows, classes].
        settings: How often, and how much.
        rng: What every draw is made from.
    """
    if rng.random() >= settings.mixed:
        return inputs, targets
    share = rng.beta(settings.mix_beta, settings.mix_beta, len(inputs)).astype(np.float32)
    other = rng.permutation(len(inputs))
    of_inputs, of_targets = share[:, None, None], share[:, None]
    return (
        of_inputs * inputs + (1 - of_inputs) * inputs[other],
        of_targets * targets + (1 - of_targets) * targets[other],
    )


def _shift_bands(power: NDArray[np.float32], most: int, rng: np.random.Generator) -> None:
    """Move spectra of [windows, frames, bands] by up to `most` bands; the edge band is repeated."""
    for window, bands in zip(power, rng.integers(-most, most + 1, len(power)), strict=True):
        if bands > 0:
            window[:, bands:] = window[:, :-bands].copy()
            window[:, :bands] = window[:, bands : bands + 1]
        elif bands < 0:
            window[:, :bands] = window[:, -bands:].copy()
            window[:, bands:] = window[:, bands - 1 : bands]


def _reverberant(
    power: NDArray[np.float32], decay_frames: NDArray[np.float64]
) -> NDArray[np.float32]:
    """Powers with an exponential tail that holds as much power as the direct sound.

    Args:
        power: float32 [windows, frames, bands].
        decay_frames: [windows]: frames until the tail has fallen by 60 dB.
    """
    kept = (10 ** (-6.0 / decay_frames)).astype(np.float32)[:, None]
    share = (1 - kept) / kept
    tail = np.zeros_like(power[:, 0])
    wet = np.empty_like(power)
    for frame in range(power.shape[1]):
        tail *= kept
        wet[:, frame] = power[:, frame] + share * tail
        tail += power[:, frame]
    return wet
