"""The text of results in every format, by known answers and by parsers of the formats."""

from __future__ import annotations

import csv
import dataclasses
import io
import json
import os
import re
from pathlib import Path

import pytest

from ser_runtime.labels import EMOTIONS
from ser_runtime.output_formats import FORMATS
from ser_runtime.output_formats import WINDOW_COLUMNS
from ser_runtime.output_formats import Rows
from ser_runtime.output_formats import audacity_label
from ser_runtime.output_formats import csv_line
from ser_runtime.output_formats import srt_subtitle
from ser_runtime.prediction import Prediction
from ser_runtime.segments import Segment

HOUR = 3600.0


@pytest.fixture
def silent(prediction: Prediction) -> Prediction:
    """What follows `prediction`: no voice."""
    return dataclasses.replace(
        prediction, start=prediction.start + 3, end=prediction.end + 3, label=None, confidence=0.0,
        certain=False, probabilities=None, smoothed=None, voice=False, voice_start=None,
        voice_end=None,
    )  # fmt: skip


def text_of(rows: Rows, predictions: list[Prediction]) -> str:
    return rows.begin() + "".join(map(rows.add, predictions)) + rows.end()


def test_json_lines_are_the_fields_of_the_predictions(
    prediction: Prediction, silent: Prediction
) -> None:
    text = text_of(Rows("jsonl", EMOTIONS), [prediction, silent])
    assert text.endswith("\n")
    lines = [json.loads(line) for line in text.splitlines()]
    assert lines == [prediction.to_dict(), silent.to_dict()]


def test_csv_has_a_header_and_a_cell_for_every_field(
    prediction: Prediction, silent: Prediction
) -> None:
    text = text_of(Rows("csv", EMOTIONS), [prediction, silent])
    voiced, quiet = csv.DictReader(io.StringIO(text))
    fields = prediction.to_dict()
    probabilities = fields.pop("probabilities")
    smoothed = fields.pop("smoothed")
    assert set(fields) == set(WINDOW_COLUMNS)
    assert voiced["label"] == "sad"
    assert (float(voiced["start"]), float(voiced["end"])) == (61.0, 63.235)
    assert (voiced["voice"], quiet["voice"]) == ("true", "false")
    for emotion in EMOTIONS:
        assert float(voiced[f"probability_{emotion}"]) == probabilities[emotion]
        assert float(voiced[f"smoothed_{emotion}"]) == smoothed[emotion]
        assert quiet[f"probability_{emotion}"] == quiet[f"smoothed_{emotion}"] == ""
    assert quiet["label"] == quiet["voice_start"] == ""


def test_the_header_of_csv_does_not_change() -> None:
    header = Rows("csv", ["a", "b"]).begin()
    assert header == (
        "start,end,label,confidence,certain,voice,voice_start,voice_end,complete,level_dbfs,"
        "dropped_ms,segment_start,probability_a,probability_b,smoothed_a,smoothed_b\n"
    )


@pytest.mark.parametrize("name", ["a,b.wav", 'say "so".wav', "two\nlines.wav", "ümlaut.wav"])
def test_any_file_name_stands_in_rows(prediction: Prediction, name: str) -> None:
    for segments in (False, True):
        path = Path("folder") / name
        table = text_of(Rows("csv", EMOTIONS, segments, path), [prediction])
        (row,) = csv.DictReader(io.StringIO(table))
        (line,) = text_of(Rows("jsonl", EMOTIONS, segments, path), [prediction]).splitlines()
        assert row["file"] == json.loads(line)["file"] == str(path)


def test_a_file_name_that_is_no_utf8_can_be_written(prediction: Prediction) -> None:
    path = Path(os.fsdecode(b"caf\xe9.wav"))
    for name in ("csv", "jsonl"):
        text = text_of(Rows(name, EMOTIONS, path=path), [prediction])
        assert "caf" in text.encode("utf-8").decode("utf-8")


@pytest.mark.parametrize(
    ("start", "end", "times"),
    [
        (0.0, 0.61, "00:00:00,000 --> 00:00:00,610"),
        (59.9996, 61.0, "00:01:00,000 --> 00:01:01,000"),
        (HOUR - 0.0004, HOUR + 0.25, "01:00:00,000 --> 01:00:00,250"),
        (99 * HOUR, 100 * HOUR + 83.5, "99:00:00,000 --> 100:01:23,500"),
    ],
)
def test_subtitle_times_are_rounded_to_milliseconds(start: float, end: float, times: str) -> None:
    assert srt_subtitle(7, Segment(start, end, "fear", 0.724)) == f"7\n{times}\nfear (72%)\n\n"


def test_subtitles_are_numbered_and_parse_as_subrip(
    prediction: Prediction, silent: Prediction
) -> None:
    later = dataclasses.replace(
        prediction, start=100.0, end=103.0, label="happy", voice_start=100.5, voice_end=102.5,
        smoothed=dict.fromkeys(EMOTIONS, 0.0) | {"happy": 1.0},
    )  # fmt: skip
    text = text_of(Rows("srt", EMOTIONS), [prediction, silent, later])
    time = r"\d\d:[0-5]\d:[0-5]\d,\d{3}"
    blocks = re.findall(rf"(\d+)\n({time}) --> ({time})\n([^\n]+)\n\n", text)
    assert "".join(f"{n}\n{a} --> {b}\n{t}\n\n" for n, a, b, t in blocks) == text
    assert [(int(n), t.split()[0]) for n, _, _, t in blocks] == [(1, "sad"), (2, "happy")]
    assert all(start < end for _, start, end, _ in blocks)


def test_a_label_of_audacity_is_three_fields_with_tabs_between() -> None:
    segment = Segment(0.0, HOUR + 1 / 3, "uncertain", 0.3)
    assert audacity_label(segment) == "0.000000\t3600.333333\tuncertain\n"


@pytest.mark.parametrize("name", FORMATS)
def test_a_segment_comes_when_it_has_ended(
    prediction: Prediction, silent: Prediction, name: str
) -> None:
    rows = Rows(name, EMOTIONS, segments=True)
    rows.begin()
    assert rows.add(prediction) == ""
    assert "sad" in rows.add(silent)
    assert rows.end() == ""


@pytest.mark.parametrize("name", FORMATS)
def test_the_last_segment_comes_at_the_end(prediction: Prediction, name: str) -> None:
    rows = Rows(name, EMOTIONS, segments=True)
    rows.add(prediction)
    assert "sad" in rows.end()


def test_rows_of_segments_have_the_fields_of_segments(prediction: Prediction) -> None:
    (line,) = text_of(Rows("jsonl", EMOTIONS, segments=True), [prediction]).splitlines()
    (row,) = csv.DictReader(
        io.StringIO(text_of(Rows("csv", EMOTIONS, segments=True), [prediction]))
    )
    segment = json.loads(line)
    assert list(segment) == list(row) == ["start", "end", "label", "confidence"]
    assert [str(value) for value in segment.values()] == list(row.values())


def test_csv_escapes_what_would_break_a_row() -> None:
    cells = ["a,b", 'c"d', "e\nf", None, True, 0.5]
    assert next(csv.reader(io.StringIO(csv_line(cells)))) == [
        "a,b", 'c"d', "e\nf", "", "true", "0.5",
    ]  # fmt: skip
