"""The protocols: who trains, validates and tests."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import CORPORA
from ser_train.corpora import Clip
from ser_train.split_manifest import ALL_SPLITS
from ser_train.splits import FOLDS
from ser_train.splits import PROTOCOLS
from ser_train.splits import SETS
from ser_train.splits import TESS_FOLDS
from ser_train.splits import Split
from ser_train.splits import label_of
from ser_train.splits import make_split

# DESIGN.md, "Protocols".
CREMA_D_TEST = {
    "1": range(1001, 1019),
    "2": range(1019, 1037),
    "3": range(1037, 1055),
    "4": range(1055, 1073),
    "5": range(1073, 1092),
}
RAVDESS_TEST = {
    "1": (2, 5, 14, 15, 16),
    "2": (3, 6, 7, 13, 18),
    "3": (10, 11, 12, 19, 20),
    "4": (8, 17, 21, 23, 24),
    "5": (1, 4, 9, 22),
}
SAVEE_TEST = {"1": {"DC"}, "2": {"JE"}, "3": {"JK"}, "4": {"KL"}, "5": set()}
NEXT = {"1": "2", "2": "3", "3": "4", "4": "5", "5": "1"}

Clips = tuple[Clip, ...]
Speakers = set[tuple[str, str]]


def crema_d(actors: Sequence[int]) -> Speakers:
    return {("CREMA-D", str(actor)) for actor in actors}


def ravdess(actors: Sequence[int]) -> Speakers:
    return {("RAVDESS", f"{actor:02d}") for actor in actors}


def speakers(clips: Clips, ids: Sequence[str]) -> Speakers:
    wanted = set(ids)
    return {(clip.corpus, clip.speaker) for clip in clips if clip.id in wanted}


def supports(clips: Clips, split: Split, name: str = "test") -> list[int]:
    wanted = set(getattr(split, name))
    counts = Counter(label_of(clip, split.protocol) for clip in clips if clip.id in wanted)
    return [counts[emotion] for emotion in EMOTIONS]


@pytest.fixture(scope="module")
def splits(named_clips: Clips) -> dict[str, Split]:
    """All splits, by name."""
    made = [make_split(named_clips, *which) for which in ALL_SPLITS]
    return {split.name: split for split in made}


@pytest.mark.parametrize("name", ["report", "report-labels"])
def test_report_protocols_divide_80_10_10(splits: dict[str, Split], name: str) -> None:
    sizes = [len(getattr(splits[name], which)) for which in SETS]
    assert sizes == [9_728, 1_217, 1_217]


def test_report_labels_test_supports_are_the_reports(
    splits: dict[str, Split], named_clips: Clips
) -> None:
    found = supports(named_clips, splits["report-labels"])
    assert found == [187, 186, 186, 187, 178, 186, 107]


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("train", [1538, 1538, 1539, 1538, 1515, 1538, 522]),
        ("validation", [192, 193, 192, 192, 190, 193, 65]),
        ("test", [193, 192, 192, 193, 190, 192, 65]),
    ],
)
def test_report_sets_hold_each_right_class_in_proportion(
    splits: dict[str, Split], named_clips: Clips, name: str, wanted: list[int]
) -> None:
    assert supports(named_clips, splits["report"], name) == wanted


def test_wav2vec2s_protocols_divide_90_5_5(splits: dict[str, Split]) -> None:
    sizes = [len(getattr(splits["report-90-5-5"], which)) for which in SETS]
    assert sizes == [10_945, 609, 608]


def test_wav2vec2s_protocols_differ_in_labels_alone(splits: dict[str, Split]) -> None:
    right, faulty = splits["report-90-5-5"], splits["report-90-5-5-labels"]
    assert all(getattr(right, name) == getattr(faulty, name) for name in SETS)


def test_wav2vec2s_test_clips_are_not_stratified(
    splits: dict[str, Split], named_clips: Clips
) -> None:
    found = supports(named_clips, splits["report-90-5-5-labels"])
    assert found == [86, 114, 88, 92, 75, 100, 53]


@pytest.mark.parametrize("name", [Split(*which, (), (), ()).name for which in ALL_SPLITS])
def test_every_clip_is_in_exactly_one_set(
    splits: dict[str, Split], named_clips: Clips, name: str
) -> None:
    split = splits[name]
    everywhere = [*split.train, *split.validation, *split.test]
    assert sorted(everywhere) == [clip.id for clip in named_clips]


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_tests_the_designed_speakers(
    splits: dict[str, Split], named_clips: Clips, fold: str
) -> None:
    savee = {("SAVEE", speaker) for speaker in SAVEE_TEST[fold]}
    wanted = crema_d(CREMA_D_TEST[fold]) | ravdess(RAVDESS_TEST[fold]) | savee
    assert speakers(named_clips, splits[f"speaker-independent-{fold}"].test) == wanted


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_validates_on_the_designed_speakers(
    splits: dict[str, Split], named_clips: Clips, fold: str
) -> None:
    following = NEXT[fold]
    wanted = crema_d(CREMA_D_TEST[following][::4]) | ravdess(RAVDESS_TEST[following][:2])
    assert speakers(named_clips, splits[f"speaker-independent-{fold}"].validation) == wanted


@pytest.mark.parametrize("fold", FOLDS + TESS_FOLDS)
def test_sets_of_a_fold_share_no_speaker(
    splits: dict[str, Split], named_clips: Clips, fold: str
) -> None:
    split = splits[f"speaker-independent-{fold}"]
    train, validation, test = (speakers(named_clips, getattr(split, name)) for name in SETS)
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_every_clip_but_tess_is_tested_in_exactly_one_fold(
    splits: dict[str, Split], named_clips: Clips
) -> None:
    tested = Counter(
        clip_id for fold in FOLDS for clip_id in splits[f"speaker-independent-{fold}"].test
    )
    assert tested == {clip.id: 1 for clip in named_clips if clip.corpus != "TESS"}


@pytest.mark.parametrize("fold", FOLDS)
def test_tess_trains_in_every_fold(splits: dict[str, Split], named_clips: Clips, fold: str) -> None:
    tess = {clip.id for clip in named_clips if clip.corpus == "TESS"}
    assert tess <= set(splits[f"speaker-independent-{fold}"].train)


@pytest.mark.parametrize("speaker", ["OAF", "YAF"])
def test_a_tess_fold_tests_one_of_its_speakers(
    splits: dict[str, Split], named_clips: Clips, speaker: str
) -> None:
    split = splits[f"speaker-independent-tess-{speaker}"]
    assert speakers(named_clips, split.test) == {("TESS", speaker)}


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_fold_tests_a_corpus_that_no_other_set_holds(
    splits: dict[str, Split], named_clips: Clips, corpus: str
) -> None:
    split = splits[f"corpus-independent-{corpus}"]
    assert set(split.test) == {clip.id for clip in named_clips if clip.corpus == corpus}
    train, validation = (speakers(named_clips, getattr(split, name)) for name in SETS[:2])
    assert not train & validation


@pytest.mark.parametrize("corpus", CORPORA)
def test_a_corpus_fold_validates_on_speakers_of_the_other_corpora(
    splits: dict[str, Split], named_clips: Clips, corpus: str
) -> None:
    everyone = crema_d(CREMA_D_TEST["2"][::4]) | ravdess(RAVDESS_TEST["2"]) | {("SAVEE", "JE")}
    wanted = {speaker for speaker in everyone if speaker[0] != corpus}
    assert speakers(named_clips, splits[f"corpus-independent-{corpus}"].validation) == wanted


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_a_split_does_not_depend_on_the_order_of_clips(
    named_clips: Clips, protocol: str, fold: str | None
) -> None:
    shuffled = random.Random(0).sample(named_clips, len(named_clips))
    assert make_split(shuffled, protocol, fold) == make_split(named_clips, protocol, fold)


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_ids_of_each_set_are_sorted(named_clips: Clips, protocol: str, fold: str | None) -> None:
    split = make_split(named_clips, protocol, fold)
    assert all(list(getattr(split, name)) == sorted(getattr(split, name)) for name in SETS)


def test_hashes_of_all_splits_of_other_clips_differ(splits: dict[str, Split]) -> None:
    hashes = {split.name: split.hash for split in splits.values()}
    assert hashes.pop("report-90-5-5-labels") == hashes["report-90-5-5"]
    assert len(set(hashes.values())) == len(hashes) == len(ALL_SPLITS) - 1


def test_hash_changes_when_a_clip_changes_its_set() -> None:
    split = Split("report", None, ("a", "b"), ("c",), ("d",))
    moved = replace(split, train=("a",), validation=("b", "c"))
    assert moved.hash != split.hash


@pytest.mark.parametrize("protocol", ["report-labels", "report-90-5-5-labels"])
def test_report_labels_call_all_of_savee_surprise(named_clips: Clips, protocol: str) -> None:
    savee = [clip for clip in named_clips if clip.corpus == "SAVEE"]
    assert {label_of(clip, protocol) for clip in savee} == {"surprise"}


@pytest.mark.parametrize(
    "protocol", ["report", "report-90-5-5", "speaker-independent", "corpus-independent"]
)
def test_other_protocols_have_the_right_labels(named_clips: Clips, protocol: str) -> None:
    assert all(label_of(clip, protocol) == clip.emotion for clip in named_clips)


def test_report_labels_leave_other_corpora_alone(named_clips: Clips) -> None:
    others = [clip for clip in named_clips if clip.corpus != "SAVEE"]
    assert all(label_of(clip, "report-labels") == clip.emotion for clip in others)


def test_only_two_protocols_say_that_speakers_are_not_shared() -> None:
    shared = {name for name, protocol in PROTOCOLS.items() if protocol.shared_speakers}
    assert set(PROTOCOLS) - shared == {"speaker-independent", "corpus-independent"}


@pytest.mark.parametrize("count", [1, 8])
def test_too_few_clips_for_a_random_split_are_refused(named_clips: Clips, count: int) -> None:
    for protocol, message in (("report", "to split by emotion"), ("report-90-5-5", "to split")):
        with pytest.raises(CorporaError, match=f"{count} clips are too few {message}"):
            make_split(named_clips[:count], protocol)


@pytest.mark.parametrize(
    ("corpora", "fold"),
    [
        ({"TESS"}, "1"),
        ({"SAVEE"}, "5"),
        ({"RAVDESS", "CREMA-D"}, "tess-OAF"),
        ({"SAVEE", "CREMA-D"}, "tess-YAF"),
    ],
)
def test_missing_corpora_are_refused(named_clips: Clips, corpora: set[str], fold: str) -> None:
    clips = [clip for clip in named_clips if clip.corpus in corpora]
    with pytest.raises(CorporaError, match=r"set of speaker-independent-.* is empty"):
        make_split(clips, "speaker-independent", fold)


@pytest.mark.parametrize(
    ("protocol", "fold"),
    [
        ("speaker-independent", None),
        ("speaker-independent", "6"),
        ("corpus-independent", None),
        ("corpus-independent", "1"),
        ("report", "1"),
        ("report-labels", "tess-OAF"),
        ("random", None),
    ],
)
def test_an_unknown_protocol_or_fold_is_refused(
    named_clips: Clips, protocol: str, fold: str | None
) -> None:
    with pytest.raises(ValueError, match=repr(fold)):
        make_split(named_clips, protocol, fold)
