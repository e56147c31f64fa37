"""The examples, run as their docstrings say."""

from __future__ import annotations

import ast
import io
import json
import re
import runpy
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from fake_portaudio import FakePortAudio
from fake_portaudio import Plugged
from numpy.typing import NDArray

from ser_runtime.audio_file import AudioFile
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.prediction import Prediction
from ser_runtime.segments import SegmentMaker
from ser_runtime.stream import Stream

ROOT = Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / "examples"


def commands(example: str) -> list[list[str]]:
    """The command lines in an example's docstring."""
    docstring = ast.get_docstring(ast.parse((EXAMPLES / example).read_text("utf-8"))) or ""
    lines = [line.strip() for line in docstring.splitlines()]
    shown = [shlex.split(line) for line in lines if line.startswith("python ")]
    assert shown, f"{example} does not show how it is run"
    assert all(command[1] == f"examples/{example}" for command in shown)
    return [[sys.executable, *command[1:]] for command in shown]


def run(command: list[str]) -> list[str]:
    done = subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


@pytest.fixture(scope="module")
def predictions(speech: Path) -> list[Prediction]:
    """What a stream of the packaged model says about the examples' speech."""
    stream = Stream(Model.open())
    with AudioFile(speech) as audio:
        told = [p for block in audio.blocks() for p in stream.push(block, audio.sample_rate)]
    return told + stream.flush()


def test_every_example_shows_how_it_is_run() -> None:
    for path in EXAMPLES.glob("*.py"):
        assert commands(path.name)


def test_a_file_is_recognized(predictions: list[Prediction]) -> None:
    (command,) = commands("recognize_file.py")
    windows = [line for line in run(command) if "%" in line]
    assert len(windows) == sum(p.voice for p in predictions)
    last = predictions[-1]
    told = [f"{last.end:.2f}", "s", last.label, f"{last.confidence:.0%}"]
    assert windows[-1].split() == told


def test_the_microphone_is_recognized_until_ctrl_c(
    monkeypatch: pytest.MonkeyPatch, speech_16k: NDArray[np.float32]
) -> None:
    class CtrlC(io.StringIO):
        """Standard output; whoever watches it presses Ctrl-C at the first emotion."""

        def write(self, text: str) -> int:
            count = super().write(text)
            if "%" in text:
                signal.raise_signal(signal.SIGINT)
            return count

    threads, device = [], FakePortAudio(Plugged("microphone", rate=16_000))
    device.on_open = lambda stream: threads.append(stream.deliver_in_real_time(20, speech_16k))
    monkeypatch.setitem(sys.modules, "sounddevice", device)
    monkeypatch.setattr(sys, "stdout", CtrlC())
    with pytest.raises(KeyboardInterrupt):
        runpy.run_path(str(EXAMPLES / "recognize_microphone.py"))
    threads[0].join()
    assert re.match(r"\w+  \d+%", sys.stdout.getvalue())  # type: ignore[attr-defined]


def test_a_callback_is_told_every_segment(predictions: list[Prediction]) -> None:
    maker = SegmentMaker()
    segments = [s for p in predictions for s in maker.add(p)] + maker.flush()
    (command,) = commands("callback.py")
    assert [line.split()[-2] for line in run(command)] == [s.label for s in segments]


def test_streams_in_an_event_loop_say_what_one_alone_says(predictions: list[Prediction]) -> None:
    (command,) = commands("asyncio_streams.py")
    lines = run(command)
    alone = [f"{p.end:.2f} s {p.label}" for p in predictions if p.voice]
    for number in ("1", "2"):
        told = [line.split()[2:5] for line in lines if line.startswith(number)]
        assert [" ".join(words) for words in told] == alone


@pytest.fixture
def port() -> Iterator[int]:
    """A running `wav_over_socket.py serve`, on a port that is free."""
    serve, _send = commands("wav_over_socket.py")
    serve[serve.index("--port") + 1] = "0"
    server = subprocess.Popen(serve, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert server.stdout is not None
    try:
        yield int(server.stdout.readline().split("port ")[1].split(";")[0])
    finally:
        server.terminate()
        server.wait(30)
        server.stdout.close()


def test_a_socket_answers_wav_with_json_lines(port: int, predictions: list[Prediction]) -> None:
    _serve, send = commands("wav_over_socket.py")
    send[send.index("--port") + 1] = str(port)
    lines = [json.loads(line) for line in run(send)]
    assert [line["end"] for line in lines] == [round(p.end, 3) for p in predictions]
    assert {line["label"] for line in lines} <= {None, "uncertain", *EMOTIONS}
    assert [line["label"] for line in lines] == [p.label for p in predictions]


def test_a_socket_that_sends_no_wav_is_told_why(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        connection.sendall(b"fLaC and so on")
        connection.shutdown(socket.SHUT_WR)
        answer = json.loads(connection.makefile("r").read())
    assert "FLAC" in answer["error"]
