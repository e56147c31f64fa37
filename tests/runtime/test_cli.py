"""`ser-listen` as its users run it: files, pipes, terminals, signals and exit codes."""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path
from typing import Any
from typing import BinaryIO

import numpy as np
import onnx
import pytest
import soundfile
from conftest import made_up_graph
from synthetic_corpora import voice

from ser_runtime.audio_file import AudioFile
from ser_runtime.feature_spec import MFCC
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream

Run = Callable[..., subprocess.CompletedProcess]
KEYS = {field.name for field in dataclasses.fields(Prediction)}
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[a-zA-Z]")


@pytest.fixture
def listen(run_module: Run, made_up_model: Path) -> Run:
    """Runs `ser-listen` with the made-up model; what it says holds no traceback."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess:
        done = run_module("ser_runtime", "--model", made_up_model, *arguments, **options)
        errors = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        assert "Traceback" not in errors
        assert "Exception ignored" not in errors
        return done

    return run


@pytest.fixture
def listening(made_up_model: Path) -> Callable[..., subprocess.Popen[bytes]]:
    """Starts `ser-listen` with the made-up model, its three streams being pipes."""

    def start(*arguments: object) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, *arguments]
        pipe = subprocess.PIPE
        return subprocess.Popen(list(map(str, command)), stdin=pipe, stdout=pipe, stderr=pipe)

    return start


@pytest.fixture
def on_a_terminal(made_up_model: Path) -> Callable[..., tuple[int, str]]:
    """Runs `ser-listen` on a terminal of 100 columns: exit code, and what was drawn."""

    def run(
        *arguments: object, stdin: bytes | None = None, stdout: BinaryIO | None = None
    ) -> tuple[int, str]:
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, *arguments]
        process = subprocess.Popen(
            list(map(str, command)),
            stdin=theirs if stdin is None else subprocess.PIPE,
            stdout=stdout or theirs,
            stderr=theirs,
            env=os.environ | {"TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8"},
        )
        os.close(theirs)
        if process.stdin is not None:
            process.stdin.write(stdin or b"")
            process.stdin.close()
        drawn = b""
        while part := _read_terminal(ours):
            drawn += part
        os.close(ours)
        return process.wait(timeout=60), drawn.decode()

    return run


def _read_terminal(handle: int) -> bytes:
    try:
        return os.read(handle, 65_536)
    except OSError:  # Linux says so when the last writer is gone
        return b""


def json_lines(text: str) -> list[dict[str, Any]]:
    assert text == "" or text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


def pcm(seconds: float) -> bytes:
    return (voice("angry", seed=5, seconds=seconds) * 32_767).astype("<i2").tobytes()


def test_a_file_gives_one_json_line_for_each_window(
    listen: Run, wav: Path, made_up_model: Path
) -> None:
    done = listen(wav)
    stream = Stream(Model.open(made_up_model))
    with AudioFile(wav) as audio:
        wanted = [p for block in audio.blocks() for p in stream.push(block, audio.sample_rate)]
    wanted += stream.flush()
    assert done.returncode == 0
    assert json_lines(done.stdout) == [prediction.to_dict() for prediction in wanted]
    assert all(set(line) == KEYS for line in json_lines(done.stdout))


def test_the_summary_of_a_file_is_on_stderr(listen: Run, wav: Path) -> None:
    done = listen(wav)
    assert done.stderr.count("\n") == 1
    assert re.fullmatch(r"whole recording: \w+ +\(.*; 2 windows, 4\.0 s\)\n", done.stderr)


def test_stereo_at_another_rate_is_taken(listen: Run, tmp_path: Path) -> None:
    stereo = np.stack([voice("sad", 1, 2.2, 44_100), voice("fear", 2, 2.2, 44_100)], axis=1)
    soundfile.write(tmp_path / "a.flac", stereo, 44_100)
    assert json_lines(listen(tmp_path / "a.flac").stdout)[-1]["end"] == 2.2


def test_a_step_sets_the_distance_of_the_windows(listen: Run, wav: Path) -> None:
    ends = [line["end"] for line in json_lines(listen(wav, "--step", 0.256).stdout)]
    assert np.diff(ends[:-1]).round(3).tolist() == [0.256] * (len(ends) - 2)


@pytest.mark.parametrize("extra", [b"", b"\x01"], ids=["whole samples", "half a sample more"])
def test_raw_pcm_from_a_pipe_is_recognized(listen: Run, extra: bytes) -> None:
    done = listen("-", input=pcm(2.2) + extra, text=False)
    lines = json_lines(done.stdout.decode())
    assert done.returncode == 0
    assert [line["end"] for line in lines] == [0.952, 1.464, 1.976, 2.2]


def test_the_format_of_raw_pcm_can_be_told(listen: Run) -> None:
    stereo = np.stack([voice("angry", 5, 2.2, 8_000)] * 2, axis=1).astype("<f4")
    done = listen(
        "-", "--rate", 8_000, "--channels", 2, "--sample-type", "f32le", input=stereo.tobytes(),
        text=False,
    )  # fmt: skip
    assert json_lines(done.stdout.decode())[-1]["end"] == 2.2


def test_a_wav_file_from_a_pipe_gives_the_lines_of_the_file(listen: Run, wav: Path) -> None:
    piped = listen("-", input=wav.read_bytes(), text=False)
    assert json_lines(piped.stdout.decode()) == json_lines(listen(wav).stdout)


def test_packaged_models_are_listed(listen: Run) -> None:
    assert listen("--list-models").stdout.splitlines() == packaged_models()


def test_help_names_the_exit_codes(listen: Run) -> None:
    done = listen("--help")
    assert done.returncode == 0
    assert "exit codes:" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("--step 0.5", "0.48 or 0.512"),
        ("--step 0", "0.032"),
        ("--step nan", "step"),
        ("--step fast", "--step"),
        ("--nonesuch", "--nonesuch"),
        ("- --channels 0", "channels"),
        ("- --channels -1", "channels"),
        ("- --sample-type u8", "u8"),
    ],
)
def test_wrong_usage_ends_with_2(listen: Run, arguments: str, named: str) -> None:
    done = listen(*arguments.split(), input=pcm(0.1), text=False)
    assert (done.returncode, done.stdout) == (2, b"")
    assert named in done.stderr.decode()


@pytest.mark.parametrize("rate", [0, -16_000, 10_000_000])
def test_an_impossible_rate_of_a_pipe_is_an_error(listen: Run, rate: int) -> None:
    done = listen("-", "--rate", rate, input=pcm(0.1), text=False)
    assert done.returncode in (2, 3)
    assert done.stderr.startswith(b"error: ")


def test_a_missing_file_ends_with_3(listen: Run, tmp_path: Path) -> None:
    done = listen(tmp_path / "none.wav")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"error: no such file: {tmp_path / 'none.wav'}\n"


def test_a_file_that_is_no_audio_ends_with_3(listen: Run, tmp_path: Path) -> None:
    (tmp_path / "notes.wav").write_text("not audio\n")
    done = listen(tmp_path / "notes.wav")
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr.startswith("error: ")
    assert "notes.wav" in done.stderr


@pytest.mark.parametrize("suffix", [".wav", ".flac"])
def test_a_truncated_file_ends_with_3(listen: Run, tmp_path: Path, suffix: str) -> None:
    path = (tmp_path / "cut").with_suffix(suffix)
    soundfile.write(path, voice("sad", 1, 4.0), 16_000)
    path.write_bytes(path.read_bytes()[:-5_000])
    done = listen(path)
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")
    assert path.name in done.stderr


@pytest.mark.parametrize("content", [b"", b"\x01", b"RIFF\x00\x00\x00\x00WAVEfmt "])
def test_a_pipe_without_audio_ends_with_3(listen: Run, content: bytes) -> None:
    done = listen("-", input=content, text=False)
    assert (done.returncode, done.stdout) == (3, b"")
    assert done.stderr.startswith(b"error: ")


def test_a_closed_standard_input_is_an_error(listen: Run) -> None:
    done = listen("-", preexec_fn=lambda: os.close(0))
    assert done.returncode == 3
    assert done.stderr.startswith("error: ")


def test_a_missing_model_ends_with_5(run_module: Run, wav: Path) -> None:
    done = run_module("ser_runtime", "--model", "nonesuch.onnx", wav)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("error: no model file nonesuch.onnx")


@pytest.mark.parametrize("kind", ["corrupt", "foreign"])
def test_a_model_that_cannot_be_used_ends_with_5(
    run_module: Run, tmp_path: Path, wav: Path, kind: str
) -> None:
    path = tmp_path / f"{kind}.onnx"
    path.write_bytes(b"no model")
    if kind == "foreign":
        onnx.save(made_up_graph(MFCC.shape), path)
    done = run_module("ser_runtime", "--model", path, wav)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("error: ")
    assert done.stderr.count("\n") == 1
    assert path.name in done.stderr


def test_a_full_disk_ends_with_8(listen: Run, wav: Path) -> None:
    with Path("/dev/full").open("w") as full:
        done = listen(wav, stdout=full, stderr=subprocess.PIPE, capture_output=False)
    assert done.returncode == 8
    assert done.stderr.startswith("error: cannot write")


def test_a_closed_standard_output_is_no_traceback(listen: Run, wav: Path) -> None:
    listen(wav, preexec_fn=lambda: os.close(1))


def test_a_reader_that_goes_away_ends_it_with_141(
    listening: Callable[..., subprocess.Popen[bytes]], tmp_path: Path
) -> None:
    soundfile.write(tmp_path / "long.wav", voice("happy", 1, 120.0), 16_000)
    with listening(tmp_path / "long.wav", "--step", "0.032") as process:
        assert process.stdout is not None
        assert process.stderr is not None
        json.loads(process.stdout.readline())
        process.stdout.close()
        errors = process.stderr.read()
    assert (process.returncode, errors) == (141, b"")


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_pipe_in_order(
    listening: Callable[..., subprocess.Popen[bytes]], sent: signal.Signals, code: int
) -> None:
    with listening("-") as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdin.write(pcm(2.0))
        process.stdin.flush()
        first = process.stdout.readline()
        process.send_signal(sent)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert process.returncode == code
    assert len(json_lines((first + rest).decode())) >= 1
    assert b"Traceback" not in errors


def test_samples_that_are_not_finite_are_counted_on_stderr(listen: Run, tmp_path: Path) -> None:
    samples = voice("sad", 1, 4.0)
    samples[20_000:20_005] = np.nan
    samples[30_000] = np.inf
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    done = listen(tmp_path / "nan.wav")
    assert done.returncode == 0
    assert "warning: 6 values were NaN" in done.stderr


def test_samples_of_a_last_rest_are_counted_too(listen: Run, tmp_path: Path) -> None:
    samples = voice("sad", 1, 3.1)
    samples[48_100:48_103] = np.nan  # of a second window that is 1,600 samples long
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    assert "warning: 3 values were NaN" in listen(tmp_path / "nan.wav").stderr


def test_forced_colors_do_not_change_what_a_pipe_gets(listen: Run, wav: Path) -> None:
    done = listen(wav, env=os.environ | {"FORCE_COLOR": "1"})
    assert all(set(line) == KEYS for line in json_lines(done.stdout))


def test_a_file_is_drawn_as_rows_on_a_terminal(
    on_a_terminal: Callable[..., tuple[int, str]], listen: Run, wav: Path
) -> None:
    code, drawn = on_a_terminal(wav)
    rows = ESCAPES.sub("", drawn).splitlines()
    assert code == 0
    assert len(rows) == len(json_lines(listen(wav).stdout)) + 1
    assert all("█" in row for row in rows[:-1])
    assert rows[-1].startswith("whole recording: ")


def test_json_can_be_had_on_a_terminal(
    on_a_terminal: Callable[..., tuple[int, str]], listen: Run, wav: Path
) -> None:
    code, drawn = on_a_terminal(wav, "--json")
    assert code == 0
    assert all(line in ESCAPES.sub("", drawn) for line in listen(wav).stdout.splitlines())


def test_json_goes_to_the_pipe_while_errors_go_to_a_terminal(
    listen: Run, on_a_terminal: Callable[..., tuple[int, str]], wav: Path, tmp_path: Path
) -> None:
    with (tmp_path / "lines").open("wb") as piped:
        code, drawn = on_a_terminal(wav, stdout=piped)
    assert code == 0
    assert json_lines((tmp_path / "lines").read_text()) == json_lines(listen(wav).stdout)
    assert "whole recording" in drawn
    assert '"label"' not in drawn


def test_a_pipe_is_drawn_as_a_live_panel_on_a_terminal(
    on_a_terminal: Callable[..., tuple[int, str]],
) -> None:
    code, drawn = on_a_terminal("-", stdin=pcm(2.2))
    text = ESCAPES.sub("", drawn)
    assert code == 0
    assert "standard input · made-up" in text
    assert re.search(r"surprise +[█░]+ +\d+%", text)
    assert "dBFS" in text
    assert "00:02.20  dropped 0 ms" in text


def test_an_error_on_a_terminal_is_one_line(
    on_a_terminal: Callable[..., tuple[int, str]], tmp_path: Path
) -> None:
    code, drawn = on_a_terminal(tmp_path / "none.wav")
    assert code == 3
    assert drawn.splitlines() == [f"error: no such file: {tmp_path / 'none.wav'}"]
