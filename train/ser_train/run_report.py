"""What a run's predictions say beyond its metrics: by sex, calibration, confusions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train.corpora.naming import parse_clip
from ser_train.corpora.naming import speaker_sex
from ser_train.pooled_predictions import read_scored
from ser_train.run_folder import RunFolder

CALIBRATION_BINS = 15


@dataclass(frozen=True, eq=False)
class ScoredClips:
    """The test clips of a run as it recognized them.

    Attributes:
        ids: Clip ids.
        classes: int64 [clips], the right indices into `EMOTIONS`.
        probabilities: float32 [clips, classes], calibrated by the run's temperature.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each clip was recognized."""
        return self.probabilities.argmax(axis=1) == self.classes


def read_test_clips(run: RunFolder) -> ScoredClips:
    """The predictions of a run's test clips.

    Raises:
        RunFolderError: If they are missing or damaged.
    """
    test, temperature = read_scored(run, "test"), run.metrics()["temperature"]
    return ScoredClips(test.ids, test.classes, apply_temperature(test.probabilities, temperature))


def accuracy_by_sex(clips: ScoredClips) -> dict[str, tuple[float, int]]:
    """Accuracy and number of clips of women and of men."""
    groups: dict[str, list[bool]] = defaultdict(list)
    for clip_id, right in zip(clips.ids, clips.right, strict=True):
        groups[_sex(clip_id)].append(bool(right))
    return {name: (float(np.mean(group)), len(group)) for name, group in sorted(groups.items())}


def _sex(clip_id: str) -> str:
    corpus, stem = clip_id.split("/", 1)
    parsed = parse_clip(PurePath(corpus) / f"{stem}.wav")
    if isinstance(parsed, str):
        raise RunFolderError(f"predictions.csv names a clip that is none: {clip_id}")
    return speaker_sex(parsed.corpus, parsed.speaker)


def reliability(clips: ScoredClips) -> list[tuple[float, float, int]]:
    """Mean confidence, accuracy and number of clips of each of 15 equal-width bins with clips."""
    confidence = clips.probabilities.max(axis=1).astype(np.float64)
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        (float(confidence[here].mean()), float(clips.right[here].mean()), int(here.sum()))
        for here in (bins == number for number in range(CALIBRATION_BINS))
        if here.any()
    ]


def most_confused(confusion: Sequence[Sequence[int]], count: int = 6) -> list[dict[str, Any]]:
    """The largest cells off the diagonal of a confusion matrix (rows right).

    Returns:
        `right`, `recognized`, `clips`, and `share` of the right class's clips.
    """
    matrix = np.asarray(confusion)
    cells = [
        (int(matrix[row, column]), row, column)
        for row in range(len(matrix))
        for column in range(len(matrix))
        if row != column and matrix[row, column]
    ]
    return [
        {
            "right": EMOTIONS[row],
            "recognized": EMOTIONS[column],
            "clips": clips,
            "share": clips / int(matrix[row].sum()),
        }
        for clips, row, column in sorted(cells, reverse=True)[:count]
    ]
