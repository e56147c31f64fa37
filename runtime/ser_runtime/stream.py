"""One stream of audio: samples in, predictions out, whatever the sizes of the chunks.

Window `j` ends at sample `window + j * step` of the stream (at the model's rate) and holds the
audio before that: one full window, or, while the stream is shorter than that, all of it, with
zeros after its end. The last window of a stream starts where the next one would have, and is
filled with zeros in the same way. Training pads clips by the same rule, so a clip of up to 3 s
gets, as its last prediction, exactly what the model was trained on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.samples import Resampler
from ser_runtime.samples import to_mono
from ser_runtime.window_buffer import WindowBuffer

DEFAULT_STEP = 0.512
DEFAULT_MIN_AUDIO = 0.95
_LOWEST_LEVEL_DBFS = -120.0
_SECONDS_AT_ONCE = 1.0


class Stream:
    """Recognizes a stream with a shared `Model`; one stream is used by one thread.

    Attributes:
        model: The model.
        step_samples: Samples, at the model's rate, between two predictions.
        replaced_samples: Values pushed so far that were no possible sample and were taken as 0.
    """

    def __init__(
        self, model: Model, step: float = DEFAULT_STEP, min_audio: float = DEFAULT_MIN_AUDIO
    ) -> None:
        """Prepare a stream.

        Args:
            model: May be shared with other streams and threads.
            step: Seconds between predictions: a multiple of the feature hop.
            min_audio: Seconds of audio before the first prediction of a stream; from one full
                window (3.0) on, no prediction is made from less.

        Raises:
            UsageError: If `step` is not a multiple of the hop (the nearest are named) or exceeds
                the window, or `min_audio` is not positive.
        """
        if not 0 < min_audio < math.inf:
            raise UsageError(f"min_audio must be a positive number, not {min_audio}")
        self.model = model
        self.step_samples = _whole_hops(step, model)
        self._min_samples = math.ceil(min_audio * model.spec.sample_rate)
        self.reset()

    def reset(self) -> None:
        """Forget everything: the next sample is the first of a new stream."""
        spec = self.model.spec
        self._buffer = WindowBuffer(spec)
        self._resampler: Resampler | None = None
        self._flushed = False
        self._covered = 0
        self._dropped_ms = 0.0
        self.replaced_samples = 0
        first = spec.window_samples
        while first - self.step_samples >= self._min_samples:
            first -= self.step_samples
        self._next_end = first

    def push(
        self, samples: NDArray[Any], sample_rate: int, dropped_ms: float = 0.0
    ) -> list[Prediction]:
        """Take samples in.

        Args:
            samples: float32 or float64 in [-1, 1], int16 or int32; [samples] or
                [samples, channels]; any number of them. What cannot be a
                sample (NaN, infinite, 80 dB above full scale) counts as 0.
            sample_rate: Of these samples, in Hz; the same for the whole stream.
            dropped_ms: Audio that was lost just before them, in milliseconds.

        Returns:
            The predictions of the windows that these samples completed.

        Raises:
            AudioError: If type, shape or rate of the samples is impossible, or the rate changed.
            RuntimeError: If the stream was flushed.
        """
        if self._flushed:
            raise RuntimeError("the stream was flushed: reset() starts a new one")
        if self._resampler is None:
            self._resampler = Resampler(sample_rate, self.model.spec.sample_rate)
        if sample_rate != self._resampler.sample_rate:
            raise AudioError(
                f"the sample rate changed from {self._resampler.sample_rate} to {sample_rate} Hz "
                "within a stream: flush() and reset() first"
            )
        samples = np.asarray(samples)
        self._dropped_ms += dropped_ms
        predictions = []
        block = max(int(sample_rate * _SECONDS_AT_ONCE), 1)
        for start in range(0, len(samples), block):
            mono, replaced = to_mono(samples[start : start + block])
            self.replaced_samples += replaced
            predictions += self._take(self._resampler.push(mono))
        return predictions

    def flush(self) -> list[Prediction]:
        """End the stream: predictions of what is left in it, the last partial window included.

        A rest of less than one feature hop makes no window of its own, unless the window holds
        the whole stream.
        """
        if self._flushed or self._resampler is None:
            return []
        predictions = self._take(self._resampler.flush())
        self._flushed = True
        rest = self._buffer.total - self._covered
        whole = self._buffer.total <= self.model.spec.window_samples
        if rest >= self.model.spec.hop or (rest and whole):
            predictions.append(
                self._predict(max(0, self._next_end - self.model.spec.window_samples))
            )
        return predictions

    def _take(self, samples: NDArray[np.float32]) -> list[Prediction]:
        """Append samples at the model's rate, with a prediction at each window's end."""
        predictions = []
        while len(samples):
            wanted = self._next_end - self._buffer.total
            part, samples = samples[:wanted], samples[wanted:]
            self._append(part)
            if self._buffer.total == self._next_end:
                start = max(0, self._next_end - self.model.spec.window_samples)
                predictions.append(self._predict(start))
                self._next_end += self.step_samples
        return predictions

    def _append(self, samples: NDArray[np.float32]) -> None:
        size = self.model.spec.window_samples
        for start in range(0, len(samples), size):
            self._buffer.append(samples[start : start + size])

    def _predict(self, start: int) -> Prediction:
        """The prediction of the window from sample `start` to the newest."""
        model, buffer = self.model, self._buffer
        probabilities = model.predict(buffer.features(start)[None])[0]
        best = int(probabilities.argmax())
        confidence = float(probabilities[best])
        newest = buffer.newest(min(buffer.total - self._covered, model.spec.window_samples))
        self._covered = buffer.total
        rate = model.spec.sample_rate
        return Prediction(
            start=start / rate,
            end=buffer.total / rate,
            label=model.labels[best],
            confidence=confidence,
            certain=confidence >= model.metadata.confidence_threshold,
            probabilities=dict(zip(model.labels, probabilities.tolist(), strict=True)),
            complete=buffer.total - start == model.spec.window_samples,
            level_dbfs=_level_dbfs(newest),
            dropped_ms=self._dropped_ms,
        )


def _whole_hops(step: float, model: Model) -> int:
    """The step in samples.

    Raises:
        UsageError: If it is no multiple of the hop within one window.
    """
    spec = model.spec
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
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return max(10 * math.log10(power), _LOWEST_LEVEL_DBFS) if power > 0 else _LOWEST_LEVEL_DBFS
