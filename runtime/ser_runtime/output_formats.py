"""Results as text: JSON lines, CSV, SubRip subtitles, and label tracks for Audacity."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_runtime.prediction import Prediction
from ser_runtime.segments import Segment
from ser_runtime.segments import SegmentMaker

WINDOW_COLUMNS = (
    "start", "end", "label", "confidence", "certain", "voice", "voice_start", "voice_end",
    "complete", "level_dbfs", "dropped_ms", "segment_start",
)  # fmt: skip
"""Of CSV; after them come `probability_EMOTION` and `smoothed_EMOTION` of every emotion."""

SEGMENT_COLUMNS = ("start", "end", "label", "confidence")


def json_line(fields: dict[str, Any]) -> str:
    """One JSON object on a line of its own."""
    return json.dumps(fields) + "\n"


def csv_line(cells: Sequence[Any]) -> str:
    """A row of comma-separated values; None is an empty cell, true and false are as in JSON."""
    line = io.StringIO()
    plain = [str(cell).lower() if isinstance(cell, bool) else cell for cell in cells]
    csv.writer(line, lineterminator="\n").writerow(plain)
    return line.getvalue()


def srt_subtitle(number: int, segment: Segment) -> str:
    """A SubRip subtitle: its number from 1, `HH:MM:SS,mmm --> HH:MM:SS,mmm`, text, empty line."""
    times = f"{_srt_time(segment.start)} --> {_srt_time(segment.end)}"
    return f"{number}\n{times}\n{segment.label} ({segment.confidence:.0%})\n\n"


def audacity_label(segment: Segment) -> str:
    """A line of a label track: start, end and label, with tabs between; seconds as Audacity's."""
    return f"{segment.start:.6f}\t{segment.end:.6f}\t{segment.label}\n"


@dataclass(frozen=True)
class OutputFormat:
    """A row of `FORMATS`.

    Attributes:
        suffix: Of its files.
        by_window: Whether it can have a row for each window; else it has segments alone.
        what: For the help.
    """

    suffix: str
    by_window: bool
    what: str


FORMATS = {
    "jsonl": OutputFormat(".jsonl", True, "JSON lines"),
    "csv": OutputFormat(".csv", True, "CSV with a header"),
    "srt": OutputFormat(".srt", False, "subtitles of the emotion segments"),
    "audacity": OutputFormat(".txt", False, "Audacity labels of the emotion segments"),
}


class Rows:
    """The text of one recording in one format: whole lines, by window or by emotion segment."""

    def __init__(
        self,
        output_format: str,
        labels: Sequence[str],
        segments: bool = False,
        path: Path | None = None,
    ) -> None:
        """Start a recording.

        Args:
            output_format: Key of `FORMATS`.
            labels: The model's.
            segments: A row for each segment also in the formats that have rows for windows.
            path: Stands first in each JSON or CSV row, for outputs of several recordings.
        """
        segments = segments or not FORMATS[output_format].by_window
        self._segments = SegmentMaker() if segments else None
        self._format = output_format
        self._labels = labels
        # What is not UTF-8 in a name becomes replacement characters: so is the output.
        self._file = [] if path is None else [os.fsencode(path).decode("utf-8", "replace")]
        self._written = 0

    def begin(self) -> str:
        """What comes before the first row: once, however many recordings follow."""
        if self._format != "csv":
            return ""
        columns = ["file"] * len(self._file)
        if self._segments is not None:
            return csv_line([*columns, *SEGMENT_COLUMNS])
        emotions = [
            f"{kind}_{name}" for kind in ("probability", "smoothed") for name in self._labels
        ]
        return csv_line([*columns, *WINDOW_COLUMNS, *emotions])

    def add(self, prediction: Prediction) -> str:
        """The rows that a prediction completes, which may be none."""
        if self._segments is None:
            return self._window(prediction)
        return "".join(map(self._segment, self._segments.add(prediction)))

    def end(self) -> str:
        """The rows that waited for the end of the recording."""
        if self._segments is None:
            return ""
        return "".join(map(self._segment, self._segments.flush()))

    def _window(self, prediction: Prediction) -> str:
        fields = prediction.to_dict()
        if self._format == "jsonl":
            return json_line(self._named(fields))
        cells = [fields[column] for column in WINDOW_COLUMNS]
        for probabilities in (fields["probabilities"], fields["smoothed"]):
            cells += [(probabilities or {}).get(label) for label in self._labels]
        return csv_line([*self._file, *cells])

    def _segment(self, segment: Segment) -> str:
        self._written += 1
        if self._format == "srt":
            return srt_subtitle(self._written, segment)
        if self._format == "audacity":
            return audacity_label(segment)
        fields = segment.to_dict()
        if self._format == "jsonl":
            return json_line(self._named(fields))
        return csv_line([*self._file, *(fields[column] for column in SEGMENT_COLUMNS)])

    def _named(self, fields: dict[str, Any]) -> dict[str, Any]:
        return {"file": self._file[0], **fields} if self._file else fields


def _srt_time(seconds: float) -> str:
    rest, milliseconds = divmod(round(seconds * 1000), 1000)
    rest, whole_seconds = divmod(rest, 60)
    hours, minutes = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{whole_seconds:02d},{milliseconds:03d}"
