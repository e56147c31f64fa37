"""Corpus, speaker and emotion from file names."""

from __future__ import annotations

import csv
from pathlib import Path
from pathlib import PurePath

import pytest

from ser_train.corpora.naming import ClipName
from ser_train.corpora.naming import parse_clip
from ser_train.corpora.naming import speaker_sex

LAYOUTS = {
    "RAVDESS/Actor_05/03-01-05-02-01-01-05": ("RAVDESS/03-01-05-02-01-01-05", "05", "angry"),
    "audio_speech_actors_01-24/Actor_05/03-01-05-02-01-01-05": (
        "RAVDESS/03-01-05-02-01-01-05",
        "05",
        "angry",
    ),
    "SAVEE/AudioData/DC/a01": ("SAVEE/DC_a01", "DC", "angry"),
    "ALL/DC_a01": ("SAVEE/DC_a01", "DC", "angry"),
    "TESS/OAF_back_angry": ("TESS/OAF_back_angry", "OAF", "angry"),
    "TESS Toronto emotional speech set data/YAF_fear/YAF_neat_fear": (
        "TESS/YAF_neat_fear",
        "YAF",
        "fear",
    ),
    "CREMA-D/AudioWAV/1001_DFA_ANG_XX": ("CREMA-D/1001_DFA_ANG_XX", "1001", "angry"),
    "1001_DFA_ANG_XX": ("CREMA-D/1001_DFA_ANG_XX", "1001", "angry"),
}
ODD_NAMES = {
    "TESS/OA_bite_neutral": ("TESS/OAF_bite_neutral", "OAF", "neutral"),
    "TESS/OAF_Pleasant_surprise/OAF_back_ps": ("TESS/OAF_back_ps", "OAF", "surprise"),
    "AudioWAV/1040_ITH_SAD_X": ("CREMA-D/1040_ITH_SAD_X", "1040", "sad"),
    "TESS/YAF_germ_ANGRY": ("TESS/YAF_germ_angry", "YAF", "angry"),
    "TESS/yaf_germ_Angry": ("TESS/YAF_germ_angry", "YAF", "angry"),
}


def parsed(name: str, suffix: str = ".wav") -> ClipName:
    result = parse_clip(PurePath(f"/data/{name}{suffix}"))
    assert isinstance(result, ClipName), result
    return result


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".opus", ".WAV"])
@pytest.mark.parametrize("name", LAYOUTS)
def test_every_layout_and_extension_gives_the_same_clip(name: str, suffix: str) -> None:
    result = parsed(name, suffix)
    assert (result.id, result.speaker, result.emotion) == LAYOUTS[name]


@pytest.mark.parametrize("name", ODD_NAMES)
def test_odd_names_of_the_corpora_are_known(name: str) -> None:
    result = parsed(name)
    assert (result.id, result.speaker, result.emotion) == ODD_NAMES[name]


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("01", "neutral"),
        ("02", "neutral"),
        ("03", "happy"),
        ("04", "sad"),
        ("05", "angry"),
        ("06", "fear"),
        ("07", "disgust"),
        ("08", "surprise"),
    ],
)
def test_ravdess_emotion_codes_with_calm_as_neutral(code: str, emotion: str) -> None:
    assert parsed(f"03-01-{code}-01-01-01-02").emotion == emotion


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("a", "angry"),
        ("d", "disgust"),
        ("f", "fear"),
        ("h", "happy"),
        ("n", "neutral"),
        ("sa", "sad"),
        ("su", "surprise"),
    ],
)
def test_savee_emotion_codes(code: str, emotion: str) -> None:
    assert parsed(f"KL/{code}15").emotion == emotion


@pytest.mark.parametrize(
    ("code", "emotion"),
    [
        ("ANG", "angry"),
        ("DIS", "disgust"),
        ("FEA", "fear"),
        ("HAP", "happy"),
        ("NEU", "neutral"),
        ("SAD", "sad"),
    ],
)
def test_crema_d_emotion_codes(code: str, emotion: str) -> None:
    assert parsed(f"1091_WSI_{code}_LO").emotion == emotion


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("Actor_05/03-02-05-02-01-01-05", "song or video"),
        ("Actor_05/01-01-05-02-01-01-05", "song or video"),
        ("Actor_05/03-01-09-02-01-01-05", "emotion code 09 does not exist"),
        ("AudioData/a01", "neither name nor folder says which speaker"),
        ("music", "not a file name of"),
        ("1001_DFA_ANG", "not a file name of"),
        ("OAF_back_bored", "not a file name of"),
        ("DC/a001", "not a file name of"),
    ],
)
def test_a_file_that_is_no_clip_is_refused_with_the_reason(name: str, reason: str) -> None:
    result = parse_clip(PurePath(f"/data/{name}.wav"))
    assert isinstance(result, str)
    assert reason in result


@pytest.mark.parametrize(
    ("corpus", "speaker", "sex"),
    [
        ("RAVDESS", "01", "male"),
        ("RAVDESS", "24", "female"),
        ("SAVEE", "DC", "male"),
        ("TESS", "OAF", "female"),
        ("TESS", "YAF", "female"),
        ("CREMA-D", "1001", "male"),
        ("CREMA-D", "1002", "female"),
        ("CREMA-D", "1091", "female"),
    ],
)
def test_a_speakers_sex_is_that_of_the_corpus(corpus: str, speaker: str, sex: str) -> None:
    assert speaker_sex(corpus, speaker) == sex


def test_the_sexes_of_crema_d_are_those_of_its_own_table(corpora: Path) -> None:
    table = next(corpora.rglob("VideoDemographics.csv"), None)
    if table is None:
        pytest.skip(f"needs CREMA-D's VideoDemographics.csv, which is not in {corpora}")
    with table.open(newline="", encoding="utf-8") as lines:
        printed = {row["ActorID"]: row["Sex"].lower() for row in csv.DictReader(lines)}
    assert len(printed) == 91
    assert {actor: speaker_sex("CREMA-D", actor) for actor in printed} == printed
