"""`ser-listen`, the microphone, and `ser-listen -`, a pipe: recognized live."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from collections.abc import Iterable
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from numpy.typing import NDArray

from ser_runtime.commands.output import REPLACED
from ser_runtime.commands.output import Output
from ser_runtime.commands.output import draw_plot
from ser_runtime.errors import AudioError
from ser_runtime.errors import UsageError
from ser_runtime.live_loop import LiveCounts
from ser_runtime.live_loop import run_live
from ser_runtime.live_view import LiveView
from ser_runtime.lost_output import HangUp
from ser_runtime.lost_output import lost_output
from ser_runtime.microphone import Microphone
from ser_runtime.pcm_stream import CutOffError
from ser_runtime.pcm_stream import PcmFormat
from ser_runtime.pcm_stream import PcmStream
from ser_runtime.prediction import Prediction
from ser_runtime.result_output import results_to
from ser_runtime.stream import Stream
from ser_runtime.terminal import PlainConsole
from ser_runtime.timeline import Timeline

Blocks = Iterable[tuple[NDArray[Any], int, float]]


def listen_to_pipe(stream: Stream, pcm_format: PcmFormat, output: Output) -> int:
    """Recognize PCM from standard input until it ends.

    Raises:
        AudioError: If standard input is closed, or holds no PCM.
        UsageError: If it is a terminal, or the output cannot be.
        SerError: If a result cannot be written.
    """
    if sys.stdin is None:
        raise AudioError("standard input is closed")
    if sys.stdin.isatty():
        raise UsageError("standard input is a terminal: pipe PCM into it (arecord | ser-listen -)")
    descriptor = sys.stdin.fileno()
    # A pipe that does not block reads as ended whenever nothing is there yet.
    if os.name != "nt":
        os.set_blocking(descriptor, True)
    output = output.of_one(descriptor)
    source = PcmStream(sys.stdin.buffer, pcm_format)
    blocks = ((block, source.format.sample_rate, 0.0) for block in source.blocks())
    _listen(stream, blocks, "standard input", output, _Status())
    return 0


def listen_to_microphone(stream: Stream, device: str | int | None, output: Output) -> int:
    """Recognize a microphone until Ctrl-C.

    Raises:
        MicrophoneError: If there is none, or it refuses.
        UsageError: If the output cannot be.
        SerError: If a result cannot be written.
    """
    if output.plot is not None:
        raise UsageError("--plot draws a file or a pipe, not a microphone, which has no end")
    output = output.of_one()
    status = _Status()
    with Microphone(device, on_status=status) as microphone:
        status(f"listening to {microphone.name} at {microphone.sample_rate} Hz")
        _listen(
            stream, microphone.blocks(), microphone.name, output, status,
            backlog=lambda: microphone.backlog,
        )  # fmt: skip
    return 0


class _Status:
    """Tells of the source: in the panel while there is one, else on standard error."""

    view: LiveView | None = None

    def __call__(self, text: str) -> None:
        if self.view is not None:
            self.view.status(text)
            return
        with lost_output():
            print(text, file=sys.stderr)


def _listen(
    stream: Stream,
    blocks: Blocks,
    source: str,
    output: Output,
    status: _Status,
    backlog: Callable[[], float] | None = None,
) -> None:
    """Recognize blocks until they end, or a signal or the loss of the terminal ends it.

    These are how a stream without end ends: the results until then are whole.
    """
    results = output.results(stream.model.labels)
    timeline = None if output.plot is None else Timeline(stream.model.labels)
    ended: BaseException | None = None
    try:
        with results_to(output.out) as write:
            write(results.begin())
            try:
                if timeline is not None:
                    blocks = _watched(blocks, timeline)
                with _shown(stream, source, output, status, counts := LiveCounts()) as view:

                    def show(prediction: Prediction) -> None:
                        if view is None or output.row_format is not None:
                            write(results.add(prediction))
                        if timeline is not None:
                            timeline.add(prediction)
                        if view is not None:
                            view.show(prediction)

                    run_live(stream, blocks, show, backlog, counts)
            except (KeyboardInterrupt, SystemExit, HangUp, BrokenPipeError, CutOffError) as error:
                ended = error
            write(results.end())
        if timeline is not None and output.plot is not None:
            draw_plot(timeline, source, output.plot)
    finally:
        if count := stream.replaced_samples:
            status(f"warning: {REPLACED.format(count)}")
    if ended is not None:
        raise ended


@contextmanager
def _shown(
    stream: Stream, source: str, output: Output, status: _Status, counts: LiveCounts
) -> Iterator[LiveView | None]:
    """The panel, where the terminal can show one."""
    console = PlainConsole()
    if not output.draws or console.is_dumb_terminal:
        yield None
        return
    model = stream.model
    with LiveView(console, source, model.metadata.name, model.labels, counts) as view:
        status.view = view
        try:
            yield view
        finally:
            status.view = None


def _watched(blocks: Blocks, timeline: Timeline) -> Iterator[tuple[NDArray[Any], int, float]]:
    for samples, sample_rate, dropped_ms in blocks:
        timeline.add_samples(samples, sample_rate)
        yield samples, sample_rate, dropped_ms
