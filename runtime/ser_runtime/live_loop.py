"""The live loop: blocks of a microphone or pipe into a stream, predictions out, until the end."""

from __future__ import annotations

import signal
import threading
from collections import deque
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import ExitStack
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from ser_runtime.lost_output import HangUp
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

# Sound servers deliver in bursts: that much beyond a step is not yet being behind.
_BURST_SECONDS = 0.3
_ENDING_SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")  # Windows lacks the last


@dataclass
class LiveCounts:
    """What a live loop has done so far.

    Attributes:
        predictions: Shown.
        overloads: Times that more than a step was waiting, and only the newest window of it was
            scored: the step was longer there.
    """

    predictions: int = 0
    overloads: int = 0


def run_live(
    stream: Stream,
    blocks: Iterable[tuple[NDArray[Any], int, float]],
    show: Callable[[Prediction], None],
    backlog: Callable[[], float] | None = None,
    counts: LiveCounts | None = None,
) -> LiveCounts:
    """Push blocks into a stream and show its predictions, to the end of the blocks or Ctrl-C.

    At the end the stream is flushed; also when a signal ends it by an exception (Ctrl-C; SIGTERM as
    `run_command` has it, SIGHUP as `hang_up_ends`), which then goes on.

    Args:
        stream: Takes the blocks in.
        blocks: Samples as `Stream.push` takes them, their rate in Hz, and the milliseconds lost
            just before them.
        show: Called with each prediction.
        backlog: Tells the seconds of audio that wait behind the block just given. Where they are
            more than a step, the loop catches up: all of it is taken in, and only the newest
            window scored. None: the source waits for the loop, and every window is scored.
        counts: Counted up while the loop runs, for those who watch.

    Returns:
        `counts`, or new ones.

    Raises:
        SerError: From the blocks or the stream.
    """
    counts = counts or LiveCounts()
    ready: deque[Prediction] = deque()

    def show_ready() -> None:
        while ready:
            counts.predictions += 1
            show(ready.popleft())

    def finish() -> None:
        with _signals_held():
            ready.extend(stream.flush())
        show_ready()

    step = stream.step_samples / stream.model.spec.sample_rate
    try:
        for samples, sample_rate, dropped_ms in blocks:
            behind = False
            if backlog is not None:
                behind = len(samples) / sample_rate + backlog() > step + _BURST_SECONDS
            with _signals_held():
                counts.overloads += behind
                ready.extend(stream.push(samples, sample_rate, dropped_ms, latest_only=behind))
            show_ready()
    except (KeyboardInterrupt, SystemExit, HangUp):
        finish()
        raise
    finish()
    return counts


@contextmanager
def _signals_held() -> Iterator[None]:
    """Hold signals back: a stream that is broken off within a push could not be flushed."""
    held: list[int] = []
    if threading.current_thread() is not threading.main_thread():
        yield  # signals do not reach it
        return
    with ExitStack() as restored:
        for number in (getattr(signal, name) for name in _ENDING_SIGNALS if hasattr(signal, name)):
            if callable(handler := signal.getsignal(number)):
                restored.callback(signal.signal, number, handler)
                signal.signal(number, lambda caught, _frame: held.append(caught))
        yield
    for number in held:
        signal.raise_signal(number)
