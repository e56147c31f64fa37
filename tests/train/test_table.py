"""The table of what the corpora hold."""

from __future__ import annotations

import shutil
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
import soundfile
from rich.console import Console

from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora
from ser_train.corpora.table import class_counts
from ser_train.corpora.table import show_corpora


def shown(index: CorpusIndex) -> str:
    console = Console(file=StringIO(), width=200, highlight=False)
    show_corpora(index, console)
    return console.file.getvalue()


def row(text: str, start: str) -> list[str]:
    return next(line for line in text.splitlines() if line.startswith(start)).split()


@pytest.fixture(scope="module")
def odd_corpora(tiny_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> CorpusIndex:
    """RAVDESS and SAVEE with oddities."""
    folder = tmp_path_factory.mktemp("odd")
    shutil.copytree(tiny_corpora / "SAVEE", folder / "SAVEE")
    shutil.copy(folder / "SAVEE/AudioData/DC/a01.wav", folder / "KL_d01.wav")
    soundfile.write(folder / "KL_n01.wav", np.zeros(8_000), 8_000)
    for number in range(7):
        soundfile.write(folder / f"music{number}.wav", np.zeros(8_000), 8_000)
    return read_corpora(folder)


def test_counts_are_by_corpus_and_emotion(tiny_index: CorpusIndex) -> None:
    counts = class_counts(tiny_index)
    assert list(counts) == ["RAVDESS", "SAVEE", "TESS", "CREMA-D"]
    assert counts["RAVDESS"]["neutral"] == 24
    assert counts["CREMA-D"]["surprise"] == 0


def test_rows_hold_clips_of_each_class_clips_speakers_and_hours(tiny_index: CorpusIndex) -> None:
    text = shown(tiny_index)
    assert row(text, "RAVDESS") == [
        "RAVDESS",
        "12",
        "12",
        "12",
        "12",
        "24",
        "12",
        "12",
        "96",
        "6",
        "0.03",
    ]
    assert row(text, "CREMA-D") == [
        "CREMA-D",
        "10",
        "10",
        "10",
        "10",
        "10",
        "10",
        "–",
        "60",
        "5",
        "0.02",
    ]


def test_last_row_sums_up(tiny_index: CorpusIndex) -> None:
    assert row(shown(tiny_index), "all")[-3:] == ["226", "15", "0.06"]


def test_rates_and_clips_of_each_speaker_are_shown(odd_corpora: CorpusIndex) -> None:
    text = shown(odd_corpora)
    assert "16000 Hz: 29, 8000 Hz: 1" in text
    assert "2 speakers: 14 each; KL: 2" in text


def test_missing_corpora_are_named(odd_corpora: CorpusIndex) -> None:
    assert "CREMA-D: not there" in shown(odd_corpora)


def test_silent_clips_are_named(odd_corpora: CorpusIndex) -> None:
    assert "silent, kept: SAVEE/KL_n01" in shown(odd_corpora)


def test_the_same_audio_under_two_labels_is_named(odd_corpora: CorpusIndex) -> None:
    assert "SAVEE/DC_a01 = SAVEE/KL_d01  (different labels)" in shown(odd_corpora)


def test_files_left_out_are_counted_with_the_first_five_names(odd_corpora: CorpusIndex) -> None:
    text = shown(odd_corpora)
    assert "not a file name of RAVDESS, SAVEE, TESS or CREMA-D: 7" in text
    assert "music0.wav, music1.wav, music2.wav, music3.wav, music4.wav and 2 more" in text


def test_nothing_left_out_is_said(tiny_index: CorpusIndex) -> None:
    assert "left out: nothing" in shown(tiny_index)


def test_names_with_brackets_are_printed_as_they_are(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "KL_n01.wav", np.full(800, 0.5), 8_000)
    soundfile.write(tmp_path / "tune [bold].wav", np.full(800, 0.5), 8_000)
    assert "tune [bold].wav" in shown(read_corpora(tmp_path))
