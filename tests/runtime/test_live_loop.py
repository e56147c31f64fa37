"""The live loop: everything shown, steps that grow under overload, clean ends."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fake_portaudio import FakePortAudio
from fake_portaudio import Plugged
from numpy.typing import NDArray

from ser_runtime.errors import AudioError
from ser_runtime.live_loop import LiveCounts
from ser_runtime.live_loop import run_live
from ser_runtime.lost_output import HangUp
from ser_runtime.lost_output import hang_up_ends
from ser_runtime.microphone import Microphone
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

RATE = 16_000
LISTENER = """
import sys
from ser_runtime import Model, Stream
from ser_runtime.errors import run_command
from ser_runtime.live_loop import run_live
from ser_runtime.pcm_stream import PcmFormat, PcmStream

def listen():
    source = PcmStream(sys.stdin.buffer, PcmFormat())
    blocks = ((block, source.format.sample_rate, 0.0) for block in source.blocks())
    stream = Stream(Model.open(sys.argv[1]), vad="off")
    run_live(stream, blocks, lambda p: print(f"{p.end:.3f} {p.complete}", flush=True))

run_command(listen)
"""


def cut(
    audio: NDArray[np.float32], *sizes: int
) -> Iterator[tuple[NDArray[np.float32], int, float]]:
    """Blocks of these sizes, and of the rest."""
    for block in np.split(audio, np.cumsum(sizes)):
        yield block, RATE, 0.0


def at_once(stream: Stream, audio: NDArray[np.float32]) -> list[Prediction]:
    return stream.push(audio, RATE) + stream.flush()


@pytest.mark.parametrize("sizes", [(), (1_600,) * 50, (20_000, 40_000)])
def test_every_window_of_a_source_that_waits_is_shown_up_to_the_flushed_end(
    model: Model, speech_16k: NDArray[np.float32], sizes: tuple[int, ...]
) -> None:
    shown: list[Prediction] = []
    counts = run_live(Stream(model), cut(speech_16k, *sizes), shown.append)
    whole = at_once(Stream(model), speech_16k)
    assert [(p.start, p.end, p.label) for p in shown] == [(p.start, p.end, p.label) for p in whole]
    assert counts == LiveCounts(predictions=len(whole), overloads=0)


def test_losses_reach_the_predictions(model: Model, speech_16k: NDArray[np.float32]) -> None:
    shown: list[Prediction] = []
    blocks = [(speech_16k[:RATE], RATE, 0.0), (speech_16k[RATE : 2 * RATE], RATE, 250.0)]
    run_live(Stream(model), blocks, shown.append)
    assert [p.dropped_ms for p in shown] == [0.0, 250.0, 250.0, 250.0]


def test_what_more_than_a_step_waits_is_taken_in_at_once_with_the_newest_window_scored(
    model: Model, speech_16k: NDArray[np.float32]
) -> None:
    """The first and the last block alone are more than a step; a second waits behind the other."""
    audio = speech_16k[: 8 * RATE]
    sizes = (3 * RATE, 2 * RATE, RATE // 2)
    waiting = iter([0.0, 1.0, 0.0])
    shown: list[Prediction] = []
    stream = Stream(model, vad="off")
    stream.push(audio[: sizes[0]], RATE)
    counts = run_live(
        stream, cut(audio[sizes[0] :], sizes[1], sizes[2]), shown.append, lambda: next(waiting)
    )
    assert counts == LiveCounts(predictions=4, overloads=3)
    assert [p.end for p in shown] == [4.536, 5.048, 7.608, 8.0]
    whole = {p.end: p.probabilities for p in at_once(Stream(model, vad="off"), audio)}
    for prediction in shown:
        assert prediction.probabilities == pytest.approx(whole[prediction.end], abs=1e-5)


@pytest.mark.parametrize("step", [0.032, 0.512])
def test_the_bursts_of_a_sound_server_are_no_overload(
    model: Model, speech_16k: NDArray[np.float32], step: float
) -> None:
    audio = speech_16k[: 4 * RATE]
    shown: list[Prediction] = []
    bursts = cut(audio, *[4_800] * 13)
    counts = run_live(Stream(model, step=step), bursts, shown.append, lambda: 0.0)
    assert counts.overloads == 0
    assert len(shown) == len(at_once(Stream(model, step=step), audio))


class HookedModel:
    """The model; before each inference a function is called with its number."""

    def __init__(self, model: Model, hook: Callable[[int], None]) -> None:
        self._model = model
        self._hook = hook
        self._number = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._model, name)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        self._number += 1
        self._hook(self._number)
        return self._model.predict(features)


def test_a_slow_model_makes_the_step_longer_and_not_the_backlog(
    model: Model, speech_16k: NDArray[np.float32], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Real cadence: the callback is called each 0.1 s while the model stands still."""
    portaudio = FakePortAudio(Plugged("microphone", rate=RATE))
    monkeypatch.setitem(sys.modules, "sounddevice", portaudio)
    speech = speech_16k[: 4 * RATE]
    shown: list[Prediction] = []
    of_push: list[list[Prediction]] = []
    held_up: list[int] = []  # pushes
    counts = LiveCounts()

    def slow(inference: int) -> None:
        if inference <= 2:
            held_up.append(len(of_push))
            device.wait_for(blocks=11)

    def captured() -> Iterator[tuple[NDArray[np.float32], int, float]]:
        taken = 0
        for block, rate, dropped_ms in microphone.blocks():
            before = len(shown)
            yield block, rate, dropped_ms
            of_push.append(shown[before:])
            taken += len(block)
            if taken == len(speech):
                return

    with Microphone() as microphone:
        device = portaudio.streams[0]
        audio_thread = device.deliver_in_real_time(blocks=40, sound=speech)
        stream = Stream(HookedModel(model, slow), vad="off")
        run_live(stream, captured(), shown.append, lambda: microphone.backlog, counts)
        audio_thread.join()
    assert counts.overloads >= len(set(held_up)) >= 1
    assert counts.predictions == len(shown)
    assert [p.dropped_ms for p in shown] == [0.0] * len(shown)
    for push in set(held_up):
        (caught_up,) = of_push[push + 1]
        assert caught_up.end - of_push[push][-1].end > 1.0  # two steps or more
    assert shown[-1].end == 4.0
    whole = {p.end: p.probabilities for p in at_once(Stream(model, vad="off"), speech)}
    for prediction in shown:
        assert prediction.probabilities == pytest.approx(whole[prediction.end], abs=1e-5)


@pytest.fixture
def handlers_of_a_command(hang_up_is_heard: None) -> Iterator[None]:
    """As `run_command` and `hang_up_ends` set them."""
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with hang_up_ends():
        yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.usefixtures("handlers_of_a_command")
@pytest.mark.parametrize(
    ("number", "end"),
    [
        (signal.SIGINT, KeyboardInterrupt),
        (signal.SIGTERM, SystemExit),
        pytest.param(
            getattr(signal, "SIGHUP", None),
            HangUp,
            marks=pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="Windows has none"),
        ),
    ],
)
def test_a_signal_within_a_push_waits_for_its_end_and_the_rest_is_flushed(
    model: Model,
    speech_16k: NDArray[np.float32],
    number: signal.Signals,
    end: type[BaseException],
) -> None:
    def interrupted(inference: int) -> None:
        if inference == 5:
            signal.raise_signal(number)

    stream = Stream(HookedModel(model, interrupted), vad="off")
    shown: list[Prediction] = []
    handlers = [signal.getsignal(each) for each in signal.valid_signals()]
    with pytest.raises(end):
        run_live(stream, cut(speech_16k, 70_000, 1_600), shown.append)
    assert [signal.getsignal(each) for each in signal.valid_signals()] == handlers
    whole = at_once(Stream(model, vad="off"), speech_16k[:70_000])
    assert [(p.end, p.probabilities) for p in shown] == [(p.end, p.probabilities) for p in whole]


def test_ctrl_c_while_a_prediction_is_shown_loses_none_of_the_others(
    model: Model, speech_16k: NDArray[np.float32]
) -> None:
    shown: list[float] = []

    def show(prediction: Prediction) -> None:
        shown.append(prediction.end)
        if len(shown) == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_live(Stream(model), cut(speech_16k, 70_000), show)
    assert shown == [p.end for p in at_once(Stream(model), speech_16k[:70_000])]


@pytest.mark.parametrize("error", [BrokenPipeError(), AudioError("damaged")])
def test_after_an_error_nothing_more_is_shown(
    model: Model, speech_16k: NDArray[np.float32], error: Exception
) -> None:
    shown = []

    def show(prediction: Prediction) -> None:
        shown.append(prediction)
        raise error

    with pytest.raises(type(error)):
        run_live(Stream(model), cut(speech_16k), show)
    assert len(shown) == 1


def test_it_runs_in_other_threads_too(model: Model, speech_16k: NDArray[np.float32]) -> None:
    shown: list[Prediction] = []
    worker = threading.Thread(target=lambda: run_live(Stream(model), cut(speech_16k), shown.append))
    worker.start()
    worker.join()
    assert len(shown) == len(at_once(Stream(model), speech_16k))


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (None, 0)]
)
def test_a_command_that_is_ended_flushes_what_there_is(
    made_up_model: Path, speech_16k: NDArray[np.float32], number: int | None, code: int
) -> None:
    """4 s are piped in; a last, partial window is shown when the end comes, not before.

    When the window to 3.512 s is shown, the block to 3.6 s is in: 1408 samples are left to flush.
    """
    pcm = (speech_16k[: 4 * RATE] * 32_767).astype("<i2").tobytes()
    with subprocess.Popen(
        [sys.executable, "-c", LISTENER, str(made_up_model)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(pcm)
        process.stdin.flush()
        lines = []
        while not lines or not lines[-1].startswith(b"3.512"):
            lines.append(process.stdout.readline())
        if number is None:
            process.stdin.close()
        else:
            process.send_signal(number)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == code, errors
    end, complete = rest.split()
    assert 3.6 <= float(end) <= 4.0
    assert complete == b"False"
    assert errors == (b"interrupted\n" if number == signal.SIGINT else b"")
