"""Corpus, speaker and emotion of a clip from its file name, in every layout that is around.

Taken are the official layouts, Kaggle's copies (SAVEE flat as `DC_a01`, TESS in folders per
emotion, doubled folders) and any extension: only the stem counts, and for SAVEE's official
layout the folder, which is the speaker.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath

_RAVDESS = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")
_CREMA_D = re.compile(r"(\d{4})_[A-Z]{3}_(ANG|DIS|FEA|HAP|NEU|SAD)_[A-Z]{1,2}")
_TESS = re.compile(r"(O|Y)AF?_([a-z]+)_(angry|disgust|fear|happy|neutral|ps|sad)", re.IGNORECASE)
_SAVEE = re.compile(r"(?:(DC|JE|JK|KL)_)?(a|d|f|h|n|sa|su)(\d\d)")
_SAVEE_SPEAKERS = ("DC", "JE", "JK", "KL")
# The actresses, counted from 1000, as in CREMA-D's VideoDemographics.csv.
# fmt: off
_CREMA_D_WOMEN = frozenset((
    2, 3, 4, 6, 7, 8, 9, 10, 12, 13, 18, 20, 21, 24, 25,
    28, 29, 30, 37, 43, 46, 47, 49, 52, 53, 54, 55, 56, 58, 60,
    61, 63, 72, 73, 74, 75, 76, 78, 79, 82, 84, 89, 91,
))
# fmt: on

_RAVDESS_EMOTIONS = {
    "01": "neutral",
    "02": "neutral",  # calm: with it the four corpora give the report's 12,162 clips
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fear",
    "07": "disgust",
    "08": "surprise",
}
_RAVDESS_SPEECH_ONLY = ("03", "01")
_CREMA_D_EMOTIONS = {
    "ANG": "angry",
    "DIS": "disgust",
    "FEA": "fear",
    "HAP": "happy",
    "NEU": "neutral",
    "SAD": "sad",
}
_SAVEE_EMOTIONS = {
    "a": "angry",
    "d": "disgust",
    "f": "fear",
    "h": "happy",
    "n": "neutral",
    "sa": "sad",
    "su": "surprise",
}


@dataclass(frozen=True)
class ClipName:
    """What a file's name says: see `ser_train.corpora.Clip`."""

    id: str
    corpus: str
    speaker: str
    emotion: str


def parse_clip(path: PurePath) -> ClipName | str:
    """What a file's name and folder say.

    Args:
        path: Path of an audio file.

    Returns:
        The clip's name, or the reason why the file is none of the report's clips.
    """
    stem = path.stem
    if match := _RAVDESS.fullmatch(stem):
        return _ravdess(stem, match)
    if match := _CREMA_D.fullmatch(stem):
        speaker, emotion = match.groups()
        return ClipName(f"CREMA-D/{stem}", "CREMA-D", speaker, _CREMA_D_EMOTIONS[emotion])
    if match := _TESS.fullmatch(stem):
        initial, word, emotion = (part.lower() for part in match.groups())
        speaker = f"{initial.upper()}AF"
        label = "surprise" if emotion == "ps" else emotion
        return ClipName(f"TESS/{speaker}_{word}_{emotion}", "TESS", speaker, label)
    if match := _SAVEE.fullmatch(stem):
        speaker = match.group(1) or path.parent.name
        if speaker not in _SAVEE_SPEAKERS:
            return "looks like SAVEE, but neither name nor folder says which speaker"
        code, number = match.group(2), match.group(3)
        return ClipName(f"SAVEE/{speaker}_{code}{number}", "SAVEE", speaker, _SAVEE_EMOTIONS[code])
    return "not a file name of RAVDESS, SAVEE, TESS or CREMA-D"


def _ravdess(stem: str, match: re.Match[str]) -> ClipName | str:
    modality, channel, emotion = match.group(1, 2, 3)
    if (modality, channel) != _RAVDESS_SPEECH_ONLY:
        return "RAVDESS song or video (only audio-only speech is used)"
    if emotion not in _RAVDESS_EMOTIONS:
        return f"RAVDESS emotion code {emotion} does not exist"
    return ClipName(f"RAVDESS/{stem}", "RAVDESS", match.group(7), _RAVDESS_EMOTIONS[emotion])


def speaker_sex(corpus: str, speaker: str) -> str:
    """`female` or `male`, as the corpora's own documentation has it.

    Args:
        corpus: One of `ser_train.corpora.clip.CORPORA`.
        speaker: As in `ClipName`.
    """
    female = {
        "RAVDESS": lambda: int(speaker) % 2 == 0,
        "SAVEE": lambda: False,
        "TESS": lambda: True,
        "CREMA-D": lambda: int(speaker) - 1000 in _CREMA_D_WOMEN,
    }[corpus]()
    return "female" if female else "male"
