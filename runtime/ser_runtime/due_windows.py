"""Which windows of a stream are due, and what is in them: all of a stream but the model.

Window `j` ends at sample `window + j * step` (at the model's rate) and holds the audio before
that: one full window, or, while there is less, all of it, with zeros after its end. The last
window starts where the next one would have, and is filled with zeros in the same way.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import fit_window
from ser_runtime.voice_activity import VoiceActivity
from ser_runtime.window_buffer import WindowBuffer

_LOWEST_LEVEL_DBFS = -120.0


@dataclass(frozen=True)
class DueWindow:
    """A window that is complete, or the last of its stream.

    Attributes:
        start: In seconds, in the stream.
        end: Of the audio in it.
        input: Of the model: float32 [coefficients, frames], features, or [window_samples], audio;
            valid until the next window is asked for. None without voice: nothing was computed.
        voice: Where the first voice in it starts and the last one ends, in seconds in the stream;
            None without voice.
        complete: Whether it is full of audio.
        level_dbfs: Root mean square since the window before it.
        segment_start: Whether it is the first one after a change of the sample rate or a loss.
    """

    start: float
    end: float
    input: NDArray[np.float32] | None
    voice: tuple[float, float] | None
    complete: bool
    level_dbfs: float
    segment_start: bool


class WindowCutter:
    """Cuts samples at the model's rate into windows, each with what goes into the model."""

    def __init__(
        self,
        spec: FeatureSpec,
        step_samples: int,
        min_samples: int,
        gated: bool,
        changed_at: int | None = None,
        as_waveform: bool = False,
    ) -> None:
        """Prepare.

        Args:
            spec: Of the features.
            step_samples: From window to window: a multiple of the hop, at most one window.
            min_samples: In the first window, at least.
            gated: Whether windows without voice get no input.
            changed_at: Where in the stream the sample rate changed, or audio was lost, and this
                cutter begins, in samples; None for the beginning of the stream.
            as_waveform: Whether audio goes into the model, and not its features.
        """
        self._spec = spec
        self._step = step_samples
        self._offset = changed_at or 0
        self._changed = changed_at is not None
        self._as_waveform = as_waveform
        self._buffer = WindowBuffer(spec)
        self._activity = VoiceActivity(spec.sample_rate, spec.window_samples) if gated else None
        self._judged = 0  # samples that the voice activity has seen
        self._covered = 0  # samples up to the last window that was cut
        self._next_end = spec.window_samples
        while self._next_end - step_samples >= min_samples:
            self._next_end -= step_samples

    @property
    def end(self) -> int:
        """Of the newest sample in the stream, in samples."""
        return self._offset + self._buffer.total

    def push(self, samples: NDArray[np.float32], latest_only: bool = False) -> Iterator[DueWindow]:
        """Take samples in, as far as the windows are asked for: exhaust the iterator.

        Args:
            samples: float32 [samples], any number.
            latest_only: Leave out all windows that they complete but the last.
        """
        windows = (self._buffer.total + len(samples) - self._next_end) // self._step
        wanted = self._next_end + windows * self._step if latest_only else 0
        while len(samples):
            missing = self._next_end - self._buffer.total
            part, samples = samples[:missing], samples[missing:]
            self._append(part)
            if self._buffer.total == self._next_end:
                self._judge()
                if self._buffer.total >= wanted:
                    yield self._cut()
                self._next_end += self._step

    def flush(self) -> Iterator[DueWindow]:
        """The last window.

        A rest of less than one hop makes no window of its own, unless the window holds all.
        """
        rest = self._buffer.total - self._covered
        whole = self._buffer.total <= self._spec.window_samples
        if rest >= self._spec.hop or (rest and whole):
            self._judge()
            yield self._cut()

    def _append(self, samples: NDArray[np.float32]) -> None:
        size = self._spec.window_samples
        for start in range(0, len(samples), size):
            self._buffer.append(samples[start : start + size])

    def _judge(self) -> None:
        """Show the voice activity what is new: at every window's end, whatever the pushes."""
        if self._activity is not None:
            self._activity.append(self._buffer.newest(self._buffer.total - self._judged))
        self._judged = self._buffer.total

    def _cut(self) -> DueWindow:
        """The window that would end at `_next_end`, with the audio there is."""
        size, rate = self._spec.window_samples, self._spec.sample_rate
        start, end = max(0, self._next_end - size), self._buffer.total
        voice = (start, end) if self._activity is None else self._activity.voice(start)
        in_stream = None
        if voice is not None:
            in_stream = (self._offset + voice[0]) / rate, (self._offset + voice[1]) / rate
        newest = self._buffer.newest(min(end - self._covered, size))
        window = DueWindow(
            start=(self._offset + start) / rate,
            end=(self._offset + end) / rate,
            input=None if voice is None else self._input(start),
            voice=in_stream,
            complete=end - start == size,
            level_dbfs=_level_dbfs(newest),
            segment_start=self._changed,
        )
        self._covered, self._changed = end, False
        return window

    def _input(self, start: int) -> NDArray[np.float32]:
        if self._as_waveform:
            audio = self._buffer.newest(self._buffer.total - start)
            return fit_window(audio, self._spec.window_samples)
        return self._buffer.features(start)


def step_in_samples(step: float, spec: FeatureSpec) -> int:
    """A step of so many seconds, in samples.

    Raises:
        UsageError: If it is no multiple of the hop within one window; the nearest are named.
    """
    samples = step * spec.sample_rate
    hops = round(samples / spec.hop) if math.isfinite(samples) else 0
    if not math.isclose(hops * spec.hop, samples, abs_tol=1e-6) or hops < 1:
        below = max(1, math.floor(samples / spec.hop)) if math.isfinite(samples) else 1
        near = " or ".join(f"{n * spec.hop / spec.sample_rate:g}" for n in (below, below + 1))
        raise UsageError(
            f"a step of {step:g} s is no multiple of the feature hop "
            f"({spec.hop / spec.sample_rate:g} s); the nearest are {near}"
        )
    if hops * spec.hop > spec.window_samples:
        raise UsageError(f"a step of {step:g} s exceeds the window of {spec.window_seconds:g} s")
    return hops * spec.hop


def _level_dbfs(samples: NDArray[np.float32]) -> float:
    squares = samples.astype(np.float64)
    np.multiply(squares, squares, out=squares)
    power = float(np.add.reduce(squares)) / max(len(squares), 1)
    return max(10 * math.log10(power), _LOWEST_LEVEL_DBFS) if power > 0 else _LOWEST_LEVEL_DBFS
