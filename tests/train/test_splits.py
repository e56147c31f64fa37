"""The protocols: who trains, validates and tests."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
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

Speakers = set[tuple[str, str]]


def crema_d(actors: Sequence[int]) -> Speakers:
    return {("CREMA-D", str(actor)) for actor in actors}


def ravdess(actors: Sequence[int]) -> Speakers:
    return {("RAVDESS", f"{actor:02d}") for actor in actors}


def speakers(index: CorpusIndex, ids: Sequence[str]) -> Speakers:
    wanted = set(ids)
    return {(clip.corpus, clip.speaker) for clip in index.clips if clip.id in wanted}


def supports(index: CorpusIndex, split: Split, name: str = "test") -> list[int]:
    wanted = set(getattr(split, name))
    counts = Counter(label_of(clip, split.protocol) for clip in index.clips if clip.id in wanted)
    return [counts[emotion] for emotion in EMOTIONS]


@pytest.fixture(scope="module")
def splits(real_index: CorpusIndex) -> dict[str, Split]:
    """All nine splits of the real clips, by name."""
    made = [make_split(real_index.clips, *which) for which in ALL_SPLITS]
    return {split.name: split for split in made}


@pytest.mark.parametrize("name", ["report", "report-labels"])
def test_report_protocols_divide_80_10_10(splits: dict[str, Split], name: str) -> None:
    sizes = [len(getattr(splits[name], which)) for which in SETS]
    assert sizes == [9_728, 1_217, 1_217]


def test_report_labels_test_supports_are_the_reports(
    splits: dict[str, Split], real_index: CorpusIndex
) -> None:
    found = supports(real_index, splits["report-labels"])
    assert found == [187, 186, 186, 187, 178, 186, 107]


def test_report_test_set_holds_a_tenth_of_each_right_class(
    splits: dict[str, Split], real_index: CorpusIndex
) -> None:
    clips = [1923, 1923, 1923, 1923, 1895, 1923, 652]
    found = supports(real_index, splits["report"])
    assert all(abs(test - count / 10) < 1.5 for test, count in zip(found, clips, strict=True))


@pytest.mark.parametrize("name", [Split(*which, (), (), ()).name for which in ALL_SPLITS])
def test_every_clip_is_in_exactly_one_set(
    splits: dict[str, Split], real_index: CorpusIndex, name: str
) -> None:
    split = splits[name]
    everywhere = [*split.train, *split.validation, *split.test]
    assert sorted(everywhere) == [clip.id for clip in real_index.clips]


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_tests_the_designed_speakers(
    splits: dict[str, Split], real_index: CorpusIndex, fold: str
) -> None:
    savee = {("SAVEE", speaker) for speaker in SAVEE_TEST[fold]}
    wanted = crema_d(CREMA_D_TEST[fold]) | ravdess(RAVDESS_TEST[fold]) | savee
    assert speakers(real_index, splits[f"speaker-independent-{fold}"].test) == wanted


@pytest.mark.parametrize("fold", FOLDS)
def test_a_fold_validates_on_the_designed_speakers(
    splits: dict[str, Split], real_index: CorpusIndex, fold: str
) -> None:
    following = NEXT[fold]
    wanted = crema_d(CREMA_D_TEST[following][::4]) | ravdess(RAVDESS_TEST[following][:2])
    assert speakers(real_index, splits[f"speaker-independent-{fold}"].validation) == wanted


@pytest.mark.parametrize("fold", FOLDS + TESS_FOLDS)
def test_sets_of_a_fold_share_no_speaker(
    splits: dict[str, Split], real_index: CorpusIndex, fold: str
) -> None:
    split = splits[f"speaker-independent-{fold}"]
    train, validation, test = (speakers(real_index, getattr(split, name)) for name in SETS)
    assert not train & validation
    assert not train & test
    assert not validation & test


def test_every_clip_but_tess_is_tested_in_exactly_one_fold(
    splits: dict[str, Split], real_index: CorpusIndex
) -> None:
    tested = Counter(
        clip_id for fold in FOLDS for clip_id in splits[f"speaker-independent-{fold}"].test
    )
    assert tested == {clip.id: 1 for clip in real_index.clips if clip.corpus != "TESS"}


@pytest.mark.parametrize("fold", FOLDS)
def test_tess_trains_in_every_fold(
    splits: dict[str, Split], real_index: CorpusIndex, fold: str
) -> None:
    tess = {clip.id for clip in real_index.clips if clip.corpus == "TESS"}
    assert tess <= set(splits[f"speaker-independent-{fold}"].train)


@pytest.mark.parametrize("speaker", ["OAF", "YAF"])
def test_a_tess_fold_tests_one_of_its_speakers(
    splits: dict[str, Split], real_index: CorpusIndex, speaker: str
) -> None:
    split = splits[f"speaker-independent-tess-{speaker}"]
    assert speakers(real_index, split.test) == {("TESS", speaker)}


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_a_split_does_not_depend_on_the_order_of_clips(
    tiny_index: CorpusIndex, protocol: str, fold: str | None
) -> None:
    shuffled = random.Random(0).sample(tiny_index.clips, len(tiny_index.clips))
    assert make_split(shuffled, protocol, fold) == make_split(tiny_index.clips, protocol, fold)


@pytest.mark.parametrize(("protocol", "fold"), ALL_SPLITS)
def test_ids_of_each_set_are_sorted(
    tiny_index: CorpusIndex, protocol: str, fold: str | None
) -> None:
    split = make_split(tiny_index.clips, protocol, fold)
    assert all(list(getattr(split, name)) == sorted(getattr(split, name)) for name in SETS)


def test_hashes_of_all_splits_differ(splits: dict[str, Split]) -> None:
    assert len({split.hash for split in splits.values()}) == len(ALL_SPLITS)


def test_hash_changes_when_a_clip_changes_its_set() -> None:
    split = Split("report", None, ("a", "b"), ("c",), ("d",))
    moved = replace(split, train=("a",), validation=("b", "c"))
    assert moved.hash != split.hash


def test_report_labels_call_all_of_savee_surprise(tiny_index: CorpusIndex) -> None:
    savee = [clip for clip in tiny_index.clips if clip.corpus == "SAVEE"]
    assert {label_of(clip, "report-labels") for clip in savee} == {"surprise"}


@pytest.mark.parametrize("protocol", ["report", "speaker-independent"])
def test_other_protocols_have_the_right_labels(tiny_index: CorpusIndex, protocol: str) -> None:
    assert all(label_of(clip, protocol) == clip.emotion for clip in tiny_index.clips)


def test_report_labels_leave_other_corpora_alone(tiny_index: CorpusIndex) -> None:
    others = [clip for clip in tiny_index.clips if clip.corpus != "SAVEE"]
    assert all(label_of(clip, "report-labels") == clip.emotion for clip in others)


def test_only_speaker_independent_says_that_speakers_are_not_shared() -> None:
    shared = {name: protocol.shared_speakers for name, protocol in PROTOCOLS.items()}
    assert shared == {"report": True, "report-labels": True, "speaker-independent": False}


@pytest.mark.parametrize("count", [1, 8])
def test_too_few_clips_for_a_random_split_are_refused(
    tiny_index: CorpusIndex, count: int
) -> None:
    with pytest.raises(CorporaError, match=f"{count} clips are too few to split by emotion"):
        make_split(tiny_index.clips[:count], "report")


@pytest.mark.parametrize(
    ("corpora", "fold"),
    [
        ({"TESS"}, "1"),
        ({"SAVEE"}, "5"),
        ({"RAVDESS", "CREMA-D"}, "tess-OAF"),
        ({"CREMA-D"}, "4"),
    ],
)
def test_missing_corpora_are_refused(
    tiny_index: CorpusIndex, corpora: set[str], fold: str
) -> None:
    clips: list[Clip] = [clip for clip in tiny_index.clips if clip.corpus in corpora]
    with pytest.raises(CorporaError, match=r"set of speaker-independent-.* is empty"):
        make_split(clips, "speaker-independent", fold)


@pytest.mark.parametrize(
    ("protocol", "fold"),
    [
        ("speaker-independent", None),
        ("speaker-independent", "6"),
        ("report", "1"),
        ("report-labels", "tess-OAF"),
        ("random", None),
    ],
)
def test_an_unknown_protocol_or_fold_is_refused(
    tiny_index: CorpusIndex, protocol: str, fold: str | None
) -> None:
    with pytest.raises(ValueError, match=repr(fold)):
        make_split(tiny_index.clips, protocol, fold)
