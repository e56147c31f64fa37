"""One stream of audio: samples in, predictions out, whatever the sizes of the chunks.

The windows are those of `due_windows`. Training pads clips by the same rule, so a clip of up to
3 s gets, as its last prediction, exactly what the model was trained on. Windows without voice
(`voice_activity`) get neither features nor inference, and a prediction that says so.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ser_runtime.due_windows import DueWindow
from ser_runtime.due_windows import WindowCutter
from ser_runtime.due_windows import step_in_samples
from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.samples import Resampler
from ser_runtime.samples import check_rate
from ser_runtime.samples import check_samples
from ser_runtime.samples import resampling_delay
from ser_runtime.samples import to_mono
from ser_runtime.smoothing import LogSmoother

DEFAULT_STEP = 0.512
DEFAULT_MIN_AUDIO = 0.95
DEFAULT_SMOOTHING = 1.0
DEFAULT_MIN_CONFIDENCE = 0.4
VAD_MODES = ("energy", "off")
_SECONDS_AT_ONCE = 1.0
_BREAKING_LOSS_MS = 500.0
"""Lost audio from which on a window would join what was never one utterance."""


class Stream:
    """Recognizes a stream with a shared `Model`; one thread at a time uses a stream.

    Attributes:
        model: The model.
        step_samples: Samples, at the model's rate, between two predictions.
        min_confidence: Below it, labels are `uncertain`.
        replaced_samples: Values pushed so far that were no possible sample and were taken as 0.
    """

    def __init__(
        self,
        model: Model,
        step: float = DEFAULT_STEP,
        min_audio: float = DEFAULT_MIN_AUDIO,
        vad: Literal["energy", "off"] = "energy",
        smoothing: float = DEFAULT_SMOOTHING,
        min_confidence: float | None = None,
    ) -> None:
        """Prepare a stream.

        Args:
            model: May be shared with other streams and threads.
            step: Seconds between predictions: a multiple of the feature hop.
            min_audio: Seconds of audio before the first prediction of a stream; from one full
                window (3.0) on, no prediction is made from less.
            vad: `energy` makes no inference where there is no voice, `off` makes one for every
                window.
            smoothing: Time constant in seconds of the smoothing of labels and confidences, 0 for
                none. It starts anew after silence.
            min_confidence: Smoothed confidence below which a label is `uncertain`, 0 for never.
                By default the model's own threshold, from which on 90 % of the validation clips
                were right: on test clips `compact` then shows 7 labels of 10, `cnn` 4. 0.4 for a
                model that is never so precise; there `compact` shows 19 of 20, four fifths of
                them right (`train/results/calibration/compact-report/`).

        Raises:
            UsageError: If `step` is not a multiple of the hop (the nearest are named) or exceeds
                the window, or another value cannot be.
        """
        if not 0 < min_audio < math.inf:
            raise UsageError(f"min_audio must be a positive number, not {min_audio}")
        if vad not in VAD_MODES:
            raise UsageError(f"vad must be one of {', '.join(VAD_MODES)}, not {vad!r}")
        if not 0 <= smoothing < math.inf:
            raise UsageError(f"smoothing must be 0 or more seconds, not {smoothing}")
        if min_confidence is None:
            threshold = model.metadata.confidence_threshold
            min_confidence = threshold if threshold <= 1 else DEFAULT_MIN_CONFIDENCE
        elif not 0 <= min_confidence <= 1:
            raise UsageError(f"min_confidence must lie within 0 to 1, not {min_confidence}")
        self.model = model
        self.step_samples = step_in_samples(step, model.spec)
        self.min_confidence = min_confidence
        self._min_samples = math.ceil(min_audio * model.spec.sample_rate)
        self._gated = vad == "energy"
        self._smoother = LogSmoother(smoothing)
        self._in_use = threading.Lock()
        self.reset()

    @property
    def algorithmic_latency(self) -> float:
        """Seconds, at most, from a sound to the first prediction of a window that holds it.

        One step, since the sound may come just after a window's end, and the delay of the
        resampler (37 ms from 48 kHz, 0 before the first push). What the caller adds comes on top:
        the length of its blocks, the time of the inference. A changed emotion takes the label
        later than that: when it outweighs the rest of the window, after about half a window, and
        of the smoothing's time constant.
        """
        rate = self.model.spec.sample_rate
        source_rate = rate if self._resampler is None else self._resampler.sample_rate
        return self.step_samples / rate + resampling_delay(source_rate, rate)

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream.

        Raises:
            RuntimeError: If another thread is using the stream.
        """
        with self._exclusively():
            self._resampler: Resampler | None = None
            self._cutter = self._new_cutter()
            self._smoother.reset()
            self._flushed = False
            self._dropped_ms = 0.0
            self._just_lost_ms = 0.0
            self.replaced_samples = 0

    def push(
        self,
        samples: NDArray[Any],
        sample_rate: int,
        dropped_ms: float = 0.0,
        latest_only: bool = False,
    ) -> list[Prediction]:
        """Take samples in.

        A sample rate other than before starts a new segment, and so does a loss of half a second
        or more: what is left of the old one is predicted as by `flush`, windows and smoothing
        start anew, and time goes on (without what was lost).

        Args:
            samples: float32 or float64 in [-1, 1], int16 or int32; [samples] or
                [samples, channels]; any number of them. What cannot be a
                sample (NaN, infinite, 80 dB above full scale) counts as 0.
            sample_rate: Of these samples, in Hz.
            dropped_ms: Audio that was lost just before them, in milliseconds.
            latest_only: Of the windows that these samples complete, score the last one alone: for
                who has fallen behind. The last one of a segment that they end is scored too.

        Returns:
            The predictions of the windows that these samples completed.

        Raises:
            AudioError: If type, shape or rate of the samples is impossible; nothing was taken.
            UsageError: If `dropped_ms` is impossible; likewise.
            RuntimeError: If the stream was flushed, or another thread is using it: two threads
                that push have no order, so that waiting would hide a mistake.
        """
        with self.taking(samples, sample_rate, dropped_ms, latest_only) as windows:
            return [self._scored(window) for window in windows]

    def flush(self) -> list[Prediction]:
        """End the stream: predictions of what is left in it, the last partial window included.

        A rest of less than one feature hop makes no window of its own, unless the window holds
        the whole stream.

        Raises:
            RuntimeError: If another thread is using the stream.
        """
        with self._exclusively():
            if self._flushed or self._resampler is None:
                return []
            self._flushed = True
            return [self._scored(window) for window in self._rest(self._resampler)]

    @contextmanager
    def taking(
        self,
        samples: NDArray[Any],
        sample_rate: int,
        dropped_ms: float = 0.0,
        latest_only: bool = False,
    ) -> Iterator[Iterator[DueWindow]]:
        """As `push`, for who scores the windows: gives those that are due, one by one.

        All of them must be asked for, and each handed to `prediction` before the next one.
        """
        samples = np.asarray(samples)
        check_samples(samples)
        check_rate(sample_rate)
        if not 0 <= dropped_ms < math.inf:
            raise UsageError(f"dropped_ms must be 0 or more milliseconds, not {dropped_ms}")
        with self._exclusively():
            if self._flushed:
                raise RuntimeError("the stream was flushed: reset() starts a new one")
            yield self._due(samples, sample_rate, dropped_ms, latest_only)

    def prediction(
        self, window: DueWindow, probabilities: NDArray[np.float32] | None
    ) -> Prediction:
        """What a window of `taking` comes to.

        Args:
            window: The last one that it gave.
            probabilities: float32 [labels] by the model; None without voice.
        """
        if probabilities is None or window.segment_start:
            self._smoother.reset()
        smoothed = None
        confidence, label = 0.0, None
        if probabilities is not None:
            smoothed = self._smoother(probabilities, window.end)
            best = int(smoothed.argmax())
            confidence = float(smoothed[best])
            label = self.model.labels[best] if confidence >= self.min_confidence else UNCERTAIN
        return Prediction(
            start=window.start,
            end=window.end,
            label=label,
            confidence=confidence,
            certain=label is not None and confidence >= self.model.metadata.confidence_threshold,
            probabilities=self._by_label(probabilities),
            smoothed=self._by_label(smoothed),
            voice=label is not None,
            complete=window.complete,
            level_dbfs=window.level_dbfs,
            dropped_ms=self._dropped_ms,
            segment_start=window.segment_start,
            voice_start=window.voice and window.voice[0],
            voice_end=window.voice and window.voice[1],
        )

    def _scored(self, window: DueWindow) -> Prediction:
        if window.input is None:
            return self.prediction(window, None)
        return self.prediction(window, self.model.predict(window.input[None])[0])

    def _by_label(self, probabilities: NDArray[np.floating] | None) -> dict[str, float] | None:
        if probabilities is None:
            return None
        return dict(zip(self.model.labels, probabilities.tolist(), strict=True))

    def _due(
        self, samples: NDArray[Any], sample_rate: int, dropped_ms: float, latest_only: bool
    ) -> Iterator[DueWindow]:
        """The windows that these samples complete, those of a segment that they end first."""
        self._just_lost_ms += dropped_ms
        if not len(samples):
            return
        if self._resampler and (
            sample_rate != self._resampler.sample_rate or self._just_lost_ms >= _BREAKING_LOSS_MS
        ):
            yield from self._rest(self._resampler)
            self._cutter = self._new_cutter(self._cutter.end)
            self._resampler = None
        self._dropped_ms += self._just_lost_ms
        self._just_lost_ms = 0.0
        if self._resampler is None:
            self._resampler = Resampler(sample_rate, self.model.spec.sample_rate)
        parts = self._resampled(samples, self._resampler)
        if latest_only:
            yield from self._cutter.push(np.concatenate(list(parts)), latest_only=True)
        else:
            for part in parts:
                yield from self._cutter.push(part)

    def _resampled(
        self, samples: NDArray[Any], resampler: Resampler
    ) -> Iterator[NDArray[np.float32]]:
        """Mono samples at the model's rate, a second at once, so that long arrays take little."""
        block = max(int(resampler.sample_rate * _SECONDS_AT_ONCE), 1)
        for start in range(0, len(samples), block):
            mono, replaced = to_mono(samples[start : start + block])
            self.replaced_samples += replaced
            yield resampler.push(mono)

    def _rest(self, resampler: Resampler) -> Iterator[DueWindow]:
        yield from self._cutter.push(resampler.flush())
        yield from self._cutter.flush()

    def _new_cutter(self, start: int | None = None) -> WindowCutter:
        return WindowCutter(
            self.model.spec,
            self.step_samples,
            self._min_samples,
            self._gated,
            start,
            self.model.takes_waveform,
        )

    @contextmanager
    def _exclusively(self) -> Iterator[None]:
        if not self._in_use.acquire(blocking=False):
            raise RuntimeError(
                "another thread, or an earlier push of the same call, is using this stream: "
                "give each source of samples its own"
            )
        try:
            yield
        finally:
            self._in_use.release()
