"""Energy-based voice activity: whether a window holds enough of what stands out of the noise.

Audio is judged in frames of 20 ms by the level of the differences of 0.25 ms averages: a band-pass
around 1 kHz, where voices are loud, that removes DC, takes 24 dB off mains hum, and makes
low-pitched noise as steady as white noise, at the price of a few additions a sample. The noise
floor is a low percentile of the levels of the last 4 s (minimum statistics, Martin 2001, with a
percentile for the minimum, so that a dropout of a few frames does not lower it): at once down,
within 4 s up. So steady noise is its own floor, from the first window on, while speech, which
never goes 4 s without short pauses, stands out of its own, even where it starts a stream.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FRAME_SECONDS = 0.02
HISTORY_SECONDS = 4.0
FLOOR_PERCENTILE = 5.0
ON_DB = 8.0
"""Above the floor: where activity starts. White to brown noise and hum stay within 4 dB of it."""
OFF_DB = 5.0
"""Above the floor: where activity that started ends."""
QUIETEST_DBFS = -70.0
"""What is quieter is never active; the quietest clip of the corpora reaches -64."""
DIGITAL_SILENCE_DBFS = -90.0
"""What is quieter tells nothing of the room, and does not count for the floor."""
LEAST_VOICE_SECONDS = 0.3
HANGOVER_SECONDS = 1.5


class VoiceActivity:
    """Follows the levels of a stream, and tells which windows are voiced.

    A window is voiced if at least 0.3 s of it are active and the last of them is at most 1.5 s
    old (the hangover: pauses between words and sentences do not interrupt). Frames are active
    from 8 dB above the noise floor until they fall below 5 dB, and never below -70 dBFS.
    """

    def __init__(self, sample_rate: int, window_samples: int) -> None:
        """Prepare for one stream.

        Args:
            sample_rate: In Hz.
            window_samples: The longest window that `voice` will be asked about.
        """
        self._block = max(1, round(sample_rate / 4_000))
        self._frame = self._block * round(FRAME_SECONDS * sample_rate / self._block)
        self._least = LEAST_VOICE_SECONDS * sample_rate / self._frame
        self._hangover = HANGOVER_SECONDS * sample_rate / self._frame
        history = max(round(HISTORY_SECONDS * sample_rate), window_samples)
        self._kept = -(-history // self._frame)
        self._levels = np.zeros(0, np.float32)
        self._frames = 0
        self._rest = np.zeros(0, np.float32)
        self._last_average: np.float32 | None = None

    def append(self, samples: NDArray[np.float32]) -> None:
        """Take samples in: float32 [samples] in [-1, 1], any number."""
        samples = np.concatenate([self._rest, samples])
        whole = len(samples) - len(samples) % self._frame
        self._rest = samples[whole:].copy()
        if whole:
            levels = self._frame_levels(samples[:whole])
            self._frames += len(levels)
            self._levels = np.concatenate([self._levels, levels])[-self._kept :]

    def voice(self, start: int) -> tuple[int, int] | None:
        """The voice in the window from sample `start` to the newest.

        Returns:
            The samples where its first active frame starts and its last one ends; None if the
            window is not voiced.
        """
        first = max(-(-start // self._frame) - (self._frames - len(self._levels)), 0)
        active = np.flatnonzero(active_frames(self._levels)[first:])
        if len(active) < self._least:
            return None
        begin, end = active[0] + first, active[-1] + first + 1
        if len(self._levels) - end > self._hangover:
            return None
        oldest = self._frames - len(self._levels)
        return int(oldest + begin) * self._frame, int(oldest + end) * self._frame

    def _frame_levels(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """In dBFS: float32 [frames] of whole frames."""
        block = self._block
        # One average more than blocks: the first is the one before these samples.
        averages = np.empty(1 + len(samples) // block, np.float32)
        sums = averages[1:]
        sums[:] = samples[::block]
        for offset in range(1, block):
            sums += samples[offset::block]
        sums *= np.float32(1 / block)
        averages[0] = sums[0] if self._last_average is None else self._last_average
        self._last_average = averages[-1]
        differences = (sums - averages[:-1]).reshape(-1, self._frame // block)
        power = np.einsum("fb,fb->f", differences, differences) / differences.shape[1]
        return 10 * np.log10(power + np.float32(1e-12))


def active_frames(levels: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Which frames stand out of the noise floor.

    Args:
        levels: float32 [frames] in dBFS, the last few seconds of a stream.

    Returns:
        bool [frames].
    """
    heard = levels[levels > DIGITAL_SILENCE_DBFS]
    if not len(heard):
        return np.zeros(len(levels), bool)
    rank = int(len(heard) * FLOOR_PERCENTILE / 100)
    floor = max(np.partition(heard, rank)[rank], QUIETEST_DBFS - ON_DB)
    above = levels > floor + OFF_DB
    # Runs of frames above the lower threshold count if any of their frames is above the upper.
    runs = np.cumsum(above & ~np.concatenate([[False], above[:-1]]))
    reached = np.zeros(len(levels) + 1, bool)
    reached[runs[levels > floor + ON_DB]] = True
    return above & reached[runs] & (levels > QUIETEST_DBFS)
