"""CREMA-D's crowd: how many listeners heard which emotion in the voice alone.

`tabulatedVotes.csv` (Cao et al., 2014) has a row for each clip and way of presenting it; the first
digit of a row's number says which: 1 voice alone, 2 face alone, 3 both.
"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS

_VOICE_ALONE = "1"
_EMOTION_OF_COLUMN = {
    "A": "angry",
    "D": "disgust",
    "F": "fear",
    "H": "happy",
    "N": "neutral",
    "S": "sad",
}
_WHERE = (
    "it comes with CREMA-D (github.com/CheyneyComputerScience/CREMA-D) as "
    "processedResults/tabulatedVotes.csv"
)

Votes = dict[str, NDArray[np.int64]]
"""Clip id to int64 [classes]: votes for each of `EMOTIONS`; none could be for surprise."""


def read_votes(path: Path) -> Votes:
    """The votes of those who heard the voice alone.

    Args:
        path: CREMA-D's `tabulatedVotes.csv`.

    Raises:
        CorporaError: If it is missing, damaged or another file; it says where the file is from.
    """
    votes: Votes = {}
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            for row in csv.DictReader(lines):
                if row[""].startswith(_VOICE_ALONE):
                    votes[f"CREMA-D/{row['fileName']}"] = _counts(row)
    except FileNotFoundError as error:
        raise CorporaError(f"no file {path}: {_WHERE}") from error
    except OSError as error:
        raise CorporaError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, AttributeError, TypeError, csv.Error) as error:
        raise CorporaError(f"{path} is not CREMA-D's table of votes: {_WHERE}") from error
    if not votes:
        raise CorporaError(f"{path} holds no votes on voices: {_WHERE}")
    return votes


def _counts(row: dict[str, str]) -> NDArray[np.int64]:
    counts = np.zeros(len(EMOTIONS), np.int64)
    for column, emotion in _EMOTION_OF_COLUMN.items():
        counts[EMOTIONS.index(emotion)] = int(row[column])
    if counts.min() < 0 or not counts.any():
        raise ValueError(f"impossible votes for {row['fileName']}")
    return counts
