"""`ser-listen -` on pipes and terminals: how it ends, and what it then leaves."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from typing import IO
from typing import Any

import pytest
from synthetic_corpora import voice

ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")
Run = Callable[..., subprocess.CompletedProcess]


def pcm(seconds: float, seed: int = 5) -> bytes:
    return (voice("angry", seed, seconds) * 32_767).astype("<i2").tobytes()


def waiting_in(pipe: IO[bytes]) -> int:
    """Bytes that its reader has not taken."""
    return struct.unpack("i", fcntl.ioctl(pipe, termios.FIONREAD, b"\0" * 4))[0]


class OnTerminal:
    """`ser-listen -` on a terminal of its own; standard error goes to a file."""

    def __init__(self, model: Path, errors: Path, *arguments: object, term: str = "xterm") -> None:
        self._ours, theirs = pty.openpty()
        self.resize(100, 40)
        self.errors = errors
        command = [sys.executable, "-m", "ser_runtime", "--model", model, "-", *arguments]
        with errors.open("wb") as file:
            self.process = subprocess.Popen(
                list(map(str, command)),
                stdin=subprocess.PIPE,
                stdout=theirs,
                stderr=file,
                env=os.environ | {"TERM": term, "PYTHONIOENCODING": "utf-8"},
                start_new_session=True,
                preexec_fn=lambda: fcntl.ioctl(1, termios.TIOCSCTTY, 0),
            )
        os.close(theirs)

    def resize(self, columns: int, rows: int) -> None:
        size = struct.pack("HHHH", rows, columns, 0, 0)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, size)

    def push(self, samples: bytes) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(samples)
        self.process.stdin.flush()

    def drawn_until(self, pattern: str) -> str:
        """What is drawn, up to a first match."""
        drawn = ""
        while not re.search(pattern, ESCAPES.sub("", drawn)):
            assert select.select([self._ours], [], [], 60)[0], drawn
            drawn += os.read(self._ours, 65_536).decode(errors="replace")
        return drawn

    def close_terminal(self) -> None:
        os.close(self._ours)
        self._ours = -1

    def end(self) -> int:
        if self.process.stdin is not None:
            self.process.stdin.close()
        while self._ours >= 0:
            try:
                if not os.read(self._ours, 65_536):
                    break
            except OSError:  # Linux says so when the last writer is gone
                break
        return self.process.wait(timeout=60)


@pytest.fixture
def on_terminal(made_up_model: Path, tmp_path: Path) -> Iterator[Callable[..., OnTerminal]]:
    """Starts `ser-listen -` with the made-up model."""
    started: list[OnTerminal] = []

    def start(*arguments: object, **options: Any) -> OnTerminal:
        terminal = OnTerminal(made_up_model, tmp_path / "errors", *arguments, **options)
        started.append(terminal)
        return terminal

    yield start
    for terminal in started:
        terminal.process.kill()
        terminal.process.communicate()


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def test_a_terminal_may_change_its_size(on_terminal: Callable[..., OnTerminal]) -> None:
    terminal = on_terminal()
    terminal.push(pcm(1.0))
    terminal.drawn_until(r"00:00\.95")
    for columns, rows, seconds in ((4, 2, 2.2), (1, 1, 1.1), (120, 50, 2.2)):
        terminal.resize(columns, rows)
        terminal.push(pcm(seconds))
    drawn = terminal.drawn_until(r"CPU \d")
    assert "standard input · made-up" in ESCAPES.sub("", drawn)
    assert (terminal.end(), terminal.errors.read_text()) == (0, "")


@pytest.mark.usefixtures("hang_up_is_heard")
def test_a_terminal_that_is_closed_ends_it_and_its_results_are_whole(
    on_terminal: Callable[..., OnTerminal], tmp_path: Path
) -> None:
    terminal = on_terminal("--out", tmp_path / "log.jsonl")
    terminal.push(pcm(3.1))
    terminal.drawn_until(r"00:03\.00")
    terminal.close_terminal()
    assert (terminal.process.wait(timeout=60), terminal.errors.read_text()) == (141, "")
    ends = [line["end"] for line in json_lines((tmp_path / "log.jsonl").read_text())]
    assert ends[:5] == [0.952, 1.464, 1.976, 2.488, 3.0]


@pytest.mark.usefixtures("hang_up_is_heard")
def test_rows_on_a_terminal_that_is_closed_end_it_too(
    on_terminal: Callable[..., OnTerminal],
) -> None:
    terminal = on_terminal("--json")
    terminal.push(pcm(1.0))
    terminal.drawn_until(r'"end": 0\.952')
    terminal.close_terminal()
    assert (terminal.process.wait(timeout=60), terminal.errors.read_text()) == (141, "")


def test_a_terminal_that_cannot_draw_gets_lines(on_terminal: Callable[..., OnTerminal]) -> None:
    terminal = on_terminal(term="dumb")
    terminal.push(pcm(1.0))
    drawn = terminal.drawn_until("partial")
    assert re.fullmatch(r"00:00\.00 – 00:00\.95  .{9} +\d+%  [█░]{24}.*", drawn.splitlines()[0])
    assert terminal.end() == 0


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_live_stream_that_is_ended_leaves_whole_results(
    made_up_model: Path, tmp_path: Path, sent: signal.Signals
) -> None:
    command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, "-"]
    command += ["--out", tmp_path / "log.srt", "--vad", "off", "--min-confidence", "0"]
    command += ["--plot", tmp_path / "plot.png"]
    pipes = {"stdin": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(list(map(str, command)), **pipes) as process:
        assert process.stdin is not None
        process.stdin.write(pcm(2.0))
        process.stdin.flush()
        while waiting_in(process.stdin):
            assert process.poll() is None
        process.send_signal(sent)
        errors = process.stderr.read() if process.stderr else b""
    assert process.returncode == {signal.SIGINT: 130, signal.SIGTERM: 143}[sent]
    assert b"Traceback" not in errors
    assert {path.name for path in tmp_path.iterdir()} == {"log.srt", "plot.png"}
    assert (tmp_path / "log.srt").read_text().startswith("1\n00:00:00,000 --> 00:00:0")


def test_a_pipe_gives_every_format(run_module: Run, made_up_model: Path, tmp_path: Path) -> None:
    def listen(*arguments: object) -> str:
        command = ["ser_runtime", "--model", made_up_model, "-", "--vad", "off", *arguments]
        done = run_module(*command, input=pcm(4.0), text=False)
        assert done.returncode == 0, done.stderr
        return done.stdout.decode()

    assert listen("--format", "csv").startswith("start,end,label")
    assert re.match(r"1\n00:00:00,000 --> ", listen("--format", "srt"))
    segments = json_lines(listen("--segments", "--plot", tmp_path / "plot.png"))
    assert segments[-1]["end"] == pytest.approx(4.0, abs=0.01)
    assert (tmp_path / "plot.png").stat().st_size > 10_000


def test_a_picture_of_a_pipe_that_never_had_audio_is_not_drawn(
    run_module: Run, made_up_model: Path, tmp_path: Path
) -> None:
    command = ["ser_runtime", "--model", made_up_model, "-", "--plot", tmp_path / "plot.png"]
    done = run_module(*command, input=b"", text=False)
    assert done.returncode == 3
    assert list(tmp_path.iterdir()) == []


def test_a_pipe_that_does_not_block_is_read_to_its_end(made_up_model: Path, tmp_path: Path) -> None:
    theirs, ours = os.pipe()
    os.set_blocking(theirs, False)
    command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, "-", "--vad", "off"]
    with subprocess.Popen(list(map(str, command)), stdin=theirs, stdout=subprocess.PIPE) as process:
        os.close(theirs)
        with os.fdopen(ours, "wb") as pipe:
            pipe.write(pcm(1.0))
            pipe.flush()
            assert process.stdout is not None
            first = process.stdout.readline()
            pipe.write(pcm(2.0))
        rows = json_lines((first + process.stdout.read()).decode())
    assert process.returncode == 0
    assert rows[-1]["end"] == 3.0


def test_a_stream_that_is_cut_off_leaves_its_results_and_ends_with_3(
    run_module: Run, made_up_model: Path, wav: Path, tmp_path: Path
) -> None:
    out = tmp_path / "log.jsonl"
    command = ["ser_runtime", "--model", made_up_model, "-", "--out", out, "--vad", "off"]
    done = run_module(*command, input=wav.read_bytes()[:-60_000], text=False)
    assert done.returncode == 3
    assert b"60000 bytes less than its WAV header says" in done.stderr
    assert json_lines(out.read_text())


def test_a_recording_is_not_replaced_by_its_own_results(
    run_module: Run, made_up_model: Path, wav: Path
) -> None:
    before = wav.read_bytes()
    with wav.open("rb") as recording:
        command = ["ser_runtime", "--model", made_up_model, "-", "--out", wav, "--format", "csv"]
        done = run_module(*command, stdin=recording)
    assert done.returncode == 2
    assert "would take the place of the recording" in done.stderr
    assert wav.read_bytes() == before
