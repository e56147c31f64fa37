"""Many streams at once: one inference for the due windows of all of them, for servers.

Batches are meant for models of large weights, and for backends where a call is dear. With `cnn` on
one CPU core they do not pay: a window of a batch of 8 was measured to cost 1.8 times what it costs
alone. There, push each stream by itself, or set `largest_batch` to 1.
"""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ser_runtime.due_windows import DueWindow
from ser_runtime.errors import UsageError
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

LARGEST_BATCH = 64


class Push(NamedTuple):
    """Samples for one stream, as the arguments of `Stream.push`."""

    stream: Stream
    samples: NDArray[Any]
    sample_rate: int
    dropped_ms: float = 0.0
    latest_only: bool = False


def push_many(pushes: Iterable[Push], largest_batch: int = LARGEST_BATCH) -> list[list[Prediction]]:
    """Push samples into many streams of one model, and score their due windows together.

    Args:
        pushes: One for each stream.
        largest_batch: Windows in one inference, at most.

    Returns:
        For each push, in their order, what `Stream.push` would have returned; probabilities may
        differ in the last digit of float32.

    Raises:
        UsageError: If the streams do not share one `Model`, or `largest_batch` is below 1.
        AudioError: If the samples of a push are impossible; no stream has taken anything in.
        RuntimeError: As by `Stream.push`, and for a stream that is there twice; likewise.
    """
    if largest_batch < 1:
        raise UsageError(f"largest_batch must be 1 or more, not {largest_batch}")
    pushes = [Push(*push) for push in pushes]
    if len({id(push.stream.model) for push in pushes}) > 1:
        raise UsageError("push_many takes streams of one and the same Model")
    predictions: list[list[Prediction]] = [[] for _ in pushes]
    with ExitStack() as held:
        sources = [held.enter_context(push.stream.taking(*push[1:])) for push in pushes]
        waiting = list(range(len(pushes)))
        while waiting:
            due: list[tuple[int, DueWindow]] = []
            for index in waiting:
                window = _next_voiced(pushes[index].stream, sources[index], predictions[index])
                if window is not None:
                    due.append((index, window))
            for start in range(0, len(due), largest_batch):
                _score(pushes, due[start : start + largest_batch], predictions)
            waiting = [index for index, _ in due]
    return predictions


def _next_voiced(
    stream: Stream, windows: Iterator[DueWindow], predictions: list[Prediction]
) -> DueWindow | None:
    """The stream's next window for the model; those without voice before it are predicted."""
    for window in windows:
        if window.input is not None:
            return window
        predictions.append(stream.prediction(window, None))
    return None


def _score(
    pushes: list[Push], due: list[tuple[int, DueWindow]], predictions: list[list[Prediction]]
) -> None:
    """Predict one window of each of these streams in one inference."""
    inputs = np.stack([window.input for _, window in due])
    scores = pushes[due[0][0]].stream.model.predict(inputs)
    for (index, window), probabilities in zip(due, scores, strict=True):
        predictions[index].append(pushes[index].stream.prediction(window, probabilities))
