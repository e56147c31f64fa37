"""Many files at once: the order, the errors, and what an interruption leaves."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice

from ser_runtime.audio_file import AudioFile
from ser_runtime.errors import AudioError
from ser_runtime.errors import StorageError
from ser_runtime.many_files import ManyFiles
from ser_runtime.many_files import recognize_blocks
from ser_runtime.model import Model
from ser_runtime.output_formats import Rows
from ser_runtime.stream import Stream


def write_voice(path: Path, seconds: float, seed: int = 0) -> Path:
    soundfile.write(path, voice("happy", seed, seconds), 16_000)
    return path


def alone(model: Model, path: Path) -> str:
    """The rows of a file that is recognized by itself."""
    rows = Rows("jsonl", model.labels, path=path)
    with AudioFile(path) as audio:
        predictions = recognize_blocks(Stream(model), audio.blocks(), audio.sample_rate)
        return "".join(map(rows.add, predictions))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """A long file, then many short ones, which are done before it."""
    short = [write_voice(tmp_path / f"short{i}.wav", 1.5 + 0.1 * i, i) for i in range(20)]
    return [write_voice(tmp_path / "long.wav", 60.0), *short]


def many(model: Model, **options: object) -> ManyFiles:
    def rows_of(path: Path) -> Rows:
        return Rows("jsonl", model.labels, path=path)

    return ManyFiles(lambda: Stream(model), rows_of, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("jobs", [1, 4])
def test_rows_are_those_of_each_file_alone_in_the_order_of_the_inputs(
    model: Model, files: list[Path], jobs: int
) -> None:
    text: list[str] = []
    results = list(many(model, write=text.append).recognize(files, jobs))
    assert [result.path for result in results] == files
    assert all(result.error is None for result in results)
    assert "".join(text) == "".join(alone(model, path) for path in files)


def test_rows_of_a_file_come_with_its_result(model: Model, files: list[Path]) -> None:
    text: list[str] = []
    for result in many(model, write=text.append).recognize(files[:3], jobs=2):
        assert "".join(text).endswith(alone(model, result.path))


def test_an_error_of_a_file_stops_no_other(model: Model, tmp_path: Path) -> None:
    good = [write_voice(tmp_path / f"{name}.wav", 3.5) for name in "ac"]
    cut = tmp_path / "cut.flac"
    soundfile.write(cut, voice("sad", 1, 8.0), 16_000)
    cut.write_bytes(cut.read_bytes()[:-5_000])
    text: list[str] = []
    paths = [good[0], cut, tmp_path / "none.wav", good[1]]
    results = list(many(model, write=text.append).recognize(paths, jobs=2))
    assert [type(result.error) for result in results] == [
        type(None), AudioError, AudioError, type(None),
    ]  # fmt: skip
    assert all(str(r.path) in str(r.error) for r in results if r.error)
    assert "".join(text) == alone(model, good[0]) + alone(model, good[1])


def test_a_file_each_is_whole_or_not_there(model: Model, tmp_path: Path) -> None:
    good, bad = write_voice(tmp_path / "good.wav", 3.5), tmp_path / "bad.wav"
    bad.write_text("no audio")
    out = tmp_path / "out"
    places = {good: out / "sub" / "good.jsonl", bad: out / "bad.jsonl"}
    list(many(model, places=places).recognize([bad, good], jobs=2))
    assert [path for path in out.rglob("*") if path.is_file()] == [places[good]]
    assert places[good].read_text() == alone(model, good)


def test_results_that_cannot_be_written_end_it(model: Model, tmp_path: Path) -> None:
    good = write_voice(tmp_path / "good.wav", 3.5)
    (tmp_path / "file").touch()
    places = {good: tmp_path / "file" / "good.jsonl"}
    with pytest.raises(StorageError):
        list(many(model, places=places).recognize([good], jobs=2))


def test_values_that_are_no_samples_are_counted_for_each_file(model: Model, tmp_path: Path) -> None:
    samples = voice("sad", 1, 2.0)
    samples[100:103] = np.nan
    soundfile.write(tmp_path / "nan.wav", samples, 16_000, subtype="FLOAT")
    paths = [tmp_path / "nan.wav", write_voice(tmp_path / "good.wav", 2.0)]
    results = list(ManyFiles(lambda: Stream(model)).recognize(paths, jobs=2))
    assert [result.replaced_samples for result in results] == [3, 0]
    assert [round(result.summary.seconds, 1) for result in results if result.summary] == [2.0, 2.0]


def test_who_stops_early_leaves_no_thread_and_no_half_file(
    model: Model, files: list[Path], tmp_path: Path
) -> None:
    before = set(threading.enumerate())
    out = tmp_path / "out"
    places = {path: out / f"{path.name}.jsonl" for path in files}
    results = many(model, places=places).recognize([files[1], files[0], *files[2:]], jobs=2)
    next(results)
    results.close()
    assert set(threading.enumerate()) == before
    assert {path.read_text() for path in out.iterdir()} <= {alone(model, path) for path in files}
    assert not [path for path in out.iterdir() if path.name.startswith(".")]
