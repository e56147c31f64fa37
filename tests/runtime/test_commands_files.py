"""`ser-listen` on files and folders: formats, places, pictures, errors, signals."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from files_being_written import sizes_below
from synthetic_corpora import voice

from ser_runtime.labels import EMOTIONS
from ser_runtime.output_formats import FORMATS

Run = Callable[..., subprocess.CompletedProcess]
SUBTITLE = re.compile(r"\d+\n\d\d:\d\d:\d\d,\d{3} --> \d\d:\d\d:\d\d,\d{3}\n\w+ \(\d+%\)\n\n")
LABEL = re.compile(r"\d+\.\d{6}\t\d+\.\d{6}\t\w+\n")


@pytest.fixture
def listen(run_module: Run, made_up_model: Path, tmp_path: Path) -> Run:
    """Runs `ser-listen` with the made-up model; what it says holds no traceback."""

    def run(*arguments: object, **options: Any) -> subprocess.CompletedProcess:
        done = run_module("ser_runtime", "--model", made_up_model, *arguments, **options)
        errors = done.stderr if isinstance(done.stderr, str) else done.stderr.decode()
        assert "Traceback" not in errors
        return done

    return run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """`b.flac`, a stereo file below it, and one that is no audio."""
    path = tmp_path / "clips"
    (path / "sub").mkdir(parents=True)
    soundfile.write(path / "b.flac", voice("happy", 0, 4.0), 16_000)
    soundfile.write(path / "sub" / "a.wav", voice("sad", 1, 2.2, 44_100), 44_100)
    (path / "sub" / "bad.wav").write_text("no audio")
    return path


def json_lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.parametrize("name", FORMATS)
def test_out_gets_what_standard_output_would(
    listen: Run, wav: Path, tmp_path: Path, name: str
) -> None:
    out = tmp_path / "new" / f"results{FORMATS[name].suffix}"
    printed = listen(wav, "--format", name)
    written = listen(wav, "--out", out)
    assert (printed.returncode, written.returncode) == (0, 0)
    assert written.stdout == ""
    assert out.read_text() == printed.stdout != ""
    assert list(out.parent.iterdir()) == [out]
    assert printed.stderr == written.stderr


def test_subtitles_and_labels_are_well_formed(listen: Run, speech: Path) -> None:
    subtitles, labels = (listen(speech, "--format", f).stdout for f in ("srt", "audacity"))
    assert SUBTITLE.sub("", subtitles) == LABEL.sub("", labels) == ""
    segments = json_lines(listen(speech, "--segments").stdout)
    assert len(segments) == len(SUBTITLE.findall(subtitles)) == len(LABEL.findall(labels)) > 0


def test_csv_rows_are_the_json_lines(listen: Run, wav: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(listen(wav, "--format", "csv").stdout)))
    lines = json_lines(listen(wav, "--json").stdout)
    assert [float(row["end"]) for row in rows] == [line["end"] for line in lines]
    assert [row["label"] for row in rows] == [line["label"] or "" for line in lines]
    assert set(EMOTIONS) == {key.removeprefix("smoothed_") for key in rows[0]} & set(EMOTIONS)


def test_the_options_of_recognition_reach_the_stream(listen: Run, tmp_path: Path) -> None:
    soundfile.write(tmp_path / "silence.wav", [0.0] * 64_000, 16_000)
    soundfile.write(tmp_path / "voice.wav", voice("happy", 0, 6.0), 16_000)
    gated, always = (
        json_lines(listen(tmp_path / "silence.wav", "--vad", vad).stdout)
        for vad in ("energy", "off")
    )
    assert {line["voice"] for line in gated} == {False}
    assert {line["voice"] for line in always} == {True}
    certain = json_lines(listen(tmp_path / "voice.wav", "--min-confidence", 1).stdout)
    assert {line["label"] for line in certain} <= {"uncertain", None}
    plain = json_lines(listen(tmp_path / "voice.wav", "--smoothing", 0, "--vad", "off").stdout)
    assert all(line["smoothed"] == line["probabilities"] for line in plain)


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_a_picture_is_drawn(listen: Run, speech: Path, tmp_path: Path, suffix: str) -> None:
    done = listen(speech, "--plot", tmp_path / f"plot{suffix}")
    assert done.returncode == 0
    assert len(json_lines(done.stdout)) > 10
    assert (tmp_path / f"plot{suffix}").stat().st_size > 10_000


def test_a_picture_without_matplotlib_says_what_to_install(
    run_without: Run, made_up_model: Path, wav: Path, tmp_path: Path
) -> None:
    done = run_without(
        "matplotlib", "ser_runtime", "--model", made_up_model, wav, "--plot", tmp_path / "a.png"
    )
    assert (done.returncode, done.stdout) == (7, "")
    assert "pip install 'ser-edge[plot]'" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("{wav} --out {folder}/sub", "is a folder"),
        ("{wav} --out {wav} --format csv", "would take the place of the recording"),
        ("{wav} --out /dev/null --format csv", "is no regular file"),
        ("{wav} --out both.svg --format csv --plot both.svg", "are both both.svg"),
        ("{wav} {wav}.txt --format audacity --out {wav.parent}", "would take the place of"),
        ("{wav} --out results.xml", ".srt is srt"),
        ("{wav} --format xml", "--format"),
        ("{wav} --plot plot.jpg", ".png"),
        ("{wav} --jobs 0", "1 or more"),
        ("{wav} --smoothing -1", "smoothing"),
        ("{wav} --min-confidence 2", "min_confidence"),
        ("{wav} --vad silero", "--vad"),
        ("{wav} -", "standard input"),
        ("--plot plot.png", "not a microphone"),
        ("{folder} --device 1", "--device"),
        ("{folder} --plot plot.png", "one recording"),
        ("{folder} --format srt", "--out FOLDER"),
        ("{folder} --out {wav}", "is no folder"),
        ("{folder} {folder.parent}/b.flac --out {folder}/out", "would both be"),
    ],
)
def test_wrong_usage_ends_with_2_before_any_work(
    listen: Run, wav: Path, folder: Path, arguments: str, named: str
) -> None:
    before = wav.read_bytes()
    done = listen(*arguments.format(wav=wav, folder=folder).split())
    assert (done.returncode, done.stdout) == (2, "")
    assert named in done.stderr
    assert wav.read_bytes() == before


def test_many_files_give_rows_with_their_names_and_a_table(
    listen: Run, folder: Path, wav: Path
) -> None:
    done = listen(wav, folder, "--jobs", 3)
    assert done.returncode == 3
    lines = json_lines(done.stdout)
    files = [str(path) for path in (wav, folder / "b.flac", folder / "sub" / "a.wav")]
    assert list(dict.fromkeys(line["file"] for line in lines)) == files
    for path in files:
        alone = [{"file": path, **line} for line in json_lines(listen(path).stdout)]
        assert [line for line in lines if line["file"] == path] == alone
    assert done.stderr.count("error: ") == 1
    assert f"error: {folder / 'sub' / 'bad.wav'} is not audio" in done.stderr
    table = done.stderr.splitlines()[1:]
    assert [row.split()[0] for row in table[1:5]] == [*files, str(folder / "sub" / "bad.wav")]
    assert table[-1] == "4 files, 00:10.20 of audio, 1 not read"


def test_csv_of_many_files_has_one_header(listen: Run, folder: Path) -> None:
    rows = list(csv.DictReader(io.StringIO(listen(folder, "--format", "csv").stdout)))
    assert {row["file"] for row in rows} == {str(folder / "b.flac"), str(folder / "sub/a.wav")}
    assert all(float(row["end"]) > 0 for row in rows)


@pytest.mark.parametrize("name", FORMATS)
def test_many_files_to_a_folder_give_a_file_each(
    listen: Run, folder: Path, tmp_path: Path, name: str
) -> None:
    out, suffix = tmp_path / "out", FORMATS[name].suffix
    done = listen(folder, "--format", name, "--out", out)
    assert (done.returncode, done.stdout) == (3, "")
    written = {str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()}
    assert written == {f"b.flac{suffix}", f"sub/a.wav{suffix}"}
    alone = listen(folder / "b.flac", "--format", name).stdout
    assert (out / f"b.flac{suffix}").read_text() == alone


def test_the_exit_code_is_0_when_all_files_could_be_read(listen: Run, wav: Path) -> None:
    assert listen(wav, wav.parent).returncode == 0


def test_a_folder_without_audio_ends_with_3(listen: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    done = listen(tmp_path / "empty")
    assert (done.returncode, done.stdout) == (3, "")
    assert "holds no audio file" in done.stderr


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("inputs", [1, 3])
def test_a_signal_leaves_no_half_written_output(
    made_up_model: Path, tmp_path: Path, sent: signal.Signals, code: int, inputs: int
) -> None:
    files = [tmp_path / f"{name}.wav" for name in "abc"[:inputs]]
    for path in files:
        soundfile.write(path, voice("happy", 1, 600.0), 16_000)
    out = tmp_path / "out"
    place = out / "results.jsonl" if inputs == 1 else out
    command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, *files]
    command += ["--step", "0.032", "--out", place]
    with subprocess.Popen(list(map(str, command)), stderr=subprocess.PIPE, text=True) as process:
        while not any(sizes_below(out).values()):
            assert process.poll() is None
            time.sleep(0.01)
        process.send_signal(sent)
        assert process.stderr is not None
        errors = process.stderr.read()
    assert process.returncode == code
    assert "Traceback" not in errors
    assert list(out.iterdir()) == []


def test_a_recording_too_short_for_a_prediction_has_no_voice(listen: Run, tmp_path: Path) -> None:
    for name in ("a.wav", "b.wav"):
        soundfile.write(tmp_path / name, np.zeros(1, np.float32), 48_000)
    done = listen(tmp_path)
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr.count("no voice") == 2
    assert "not read" not in done.stderr


def test_names_that_are_too_long_end_with_the_code_of_their_kind(listen: Run, wav: Path) -> None:
    long = wav.with_name("a" * 300)
    assert listen(long).returncode == 3
    assert listen(wav, long, "--format", "csv").stdout.count("voice.wav") > 1
    assert listen(wav, "--out", long, "--format", "csv").returncode == 8
    assert listen(wav, "--plot", f"{long}.png").returncode == 8


def test_a_name_beyond_the_locale_is_written_as_utf_8(listen: Run, tmp_path: Path) -> None:
    folder = tmp_path / "日本語"
    folder.mkdir()
    soundfile.write(folder / "a.wav", voice("happy", 0, 4.0), 16_000)
    done = listen(
        folder, "--format", "csv", env={**os.environ, "PYTHONIOENCODING": "latin-1"}, text=False
    )
    assert done.returncode == 0
    assert "日本語/a.wav" in done.stdout.decode("utf-8")
