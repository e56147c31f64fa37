"""The protocols: which clips train, validate and test. Pure functions of the clips' names.

The report's (`report…`) share speakers between the sets and flatter every model;
`speaker-independent` does not, and is the number to believe. `corpus-independent` is harder still:
other speakers, sentences, rooms and microphones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from collections.abc import Sequence
from dataclasses import dataclass

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import CORPORA
from ser_train.corpora import Clip

SETS = ("train", "validation", "test")
FOLDS = ("1", "2", "3", "4", "5")
TESS_FOLDS = ("tess-OAF", "tess-YAF")

# The seed whose stratified draw has the report's test supports, to the clip, under its labels.
_REPORT_SEED = 42
_REPORT_FRACTION = 0.1

_CREMA_D_TEST = tuple(
    tuple(str(actor) for actor in range(first, last + 1))
    for first, last in ((1001, 1018), (1019, 1036), (1037, 1054), (1055, 1072), (1073, 1091))
)
_RAVDESS_TEST = (
    ("02", "05", "14", "15", "16"),
    ("03", "06", "07", "13", "18"),
    ("10", "11", "12", "19", "20"),
    ("08", "17", "21", "23", "24"),
    ("01", "04", "09", "22"),
)
_SAVEE_TEST = (("DC",), ("JE",), ("JK",), ("KL",), ())

_BY_SPEAKER = "speaker-independent"
_BY_CORPUS = "corpus-independent"


@dataclass(frozen=True)
class Protocol:
    """A way to divide the clips.

    Attributes:
        id: Name on the command line and in results.
        shared_speakers: Whether the same voices are in training and test.
        report_labels: Whether SAVEE is labelled as the report mislabelled it.
        note: One line for tables.
        folds: What may be tested in turn; the first is the default. Empty for a single split.
    """

    id: str
    shared_speakers: bool
    report_labels: bool
    note: str
    folds: tuple[str, ...] = ()


PROTOCOLS: dict[str, Protocol] = {
    protocol.id: protocol
    for protocol in (
        Protocol(
            "report", True, False, "random 80/10/10, right labels; speakers shared: flattering"
        ),
        Protocol(
            "report-labels",
            True,
            True,
            "random 80/10/10 with the report's labelling fault (all SAVEE clips as surprise)",
        ),
        Protocol(
            "report-90-5-5",
            True,
            False,
            "random 90/5/5, not stratified, as for wav2vec2; flattering",
        ),
        Protocol(
            "report-90-5-5-labels",
            True,
            True,
            "the same clips with the report's labelling fault",
        ),
        Protocol(
            _BY_SPEAKER,
            False,
            False,
            "no speaker of the test clips in training: the number to believe",
            FOLDS + TESS_FOLDS,
        ),
        Protocol(
            _BY_CORPUS,
            False,
            False,
            "a whole corpus unseen in training: other speakers, sentences, rooms and microphones",
            CORPORA,
        ),
    )
}


@dataclass(frozen=True)
class Split:
    """Clip ids of the three sets of one protocol and fold, each sorted.

    Attributes:
        protocol: Key of `PROTOCOLS`.
        fold: One of the folds of the protocol; None if it has none.
        train: Ids of the clips that weights and standardization come from.
        validation: Ids of the clips that every choice is made on.
        test: Ids of the clips that are scored once.
    """

    protocol: str
    fold: str | None
    train: tuple[str, ...]
    validation: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def name(self) -> str:
        """`report`, or `speaker-independent-1`."""
        return self.protocol if self.fold is None else f"{self.protocol}-{self.fold}"

    @property
    def hash(self) -> str:
        """Hash over the ids of each set."""
        digest = hashlib.sha256()
        for name in SETS:
            digest.update(f"{name}\n{chr(10).join(getattr(self, name))}\n".encode())
        return digest.hexdigest()[:16]


def label_of(clip: Clip, protocol: str) -> str:
    """The emotion of a clip under a protocol's labels."""
    if PROTOCOLS[protocol].report_labels and clip.corpus == "SAVEE":
        return "surprise"
    return clip.emotion


def classes_by_id(clips: Iterable[Clip], protocol: str) -> dict[str, int]:
    """The class of each clip under a protocol's labels: clip id -> index into `EMOTIONS`."""
    return {clip.id: EMOTIONS.index(label_of(clip, protocol)) for clip in clips}


def make_split(clips: Sequence[Clip], protocol: str, fold: str | None = None) -> Split:
    """Divide clips.

    Args:
        clips: In any order.
        protocol: Key of `PROTOCOLS`.
        fold: One of the folds of the protocol; None if it has none.

    Raises:
        CorporaError: If a set would be empty, such as when corpora are missing.
        ValueError: If `protocol` or `fold` is not known.
    """
    if protocol not in PROTOCOLS:
        raise ValueError(f"no protocol {protocol!r} with fold {fold!r}")
    folds = PROTOCOLS[protocol].folds
    if fold not in (folds or (None,)):
        raise ValueError(f"fold of {protocol} must be {' or '.join(folds) or None}, not {fold!r}")
    clips = sorted(clips)
    if protocol == _BY_CORPUS:
        split = _corpus_fold(clips, fold)
    elif fold in FOLDS:
        split = _speaker_fold(clips, fold)
    elif fold in TESS_FOLDS:
        split = _tess_fold(clips, fold)
    else:
        split = (_twentieths if "90-5-5" in protocol else _random)(clips, protocol)
    for name in SETS:
        if not getattr(split, name):
            raise CorporaError(f"the {name} set of {split.name} is empty: are corpora missing?")
    return split


def _random(clips: Sequence[Clip], protocol: str) -> Split:
    """A tenth for test, as large a set of the rest for validation, both stratified."""
    # Here, not above: the command line reads this module's tables without the extra `train`.
    from sklearn.model_selection import train_test_split

    ids = [clip.id for clip in clips]
    labels = {clip.id: label_of(clip, protocol) for clip in clips}
    try:
        rest, test = train_test_split(
            ids,
            test_size=_REPORT_FRACTION,
            stratify=[labels[i] for i in ids],
            random_state=_REPORT_SEED,
        )
        train, validation = train_test_split(
            rest,
            test_size=len(test),
            stratify=[labels[i] for i in rest],
            random_state=_REPORT_SEED,
        )
    except ValueError as error:
        raise CorporaError(
            f"{len(clips)} clips are too few to split by emotion: {error}"
        ) from error
    return _split(protocol, None, train, validation, test)


def _twentieths(clips: Sequence[Clip], protocol: str) -> Split:
    """A tenth, halved into test and validation; not stratified, as the report's supports show.

    The report's 608 test clips (100 angry, 78 neutral, 61 surprise) cannot be drawn again: without
    strata a draw depends on the order in which it read the files.
    """
    from sklearn.model_selection import train_test_split

    ids = [clip.id for clip in clips]
    try:
        train, rest = train_test_split(ids, test_size=_REPORT_FRACTION, random_state=_REPORT_SEED)
        test, validation = train_test_split(rest, test_size=0.5, random_state=_REPORT_SEED)
    except ValueError as error:
        raise CorporaError(f"{len(clips)} clips are too few to split: {error}") from error
    return _split(protocol, None, train, validation, test)


def _speaker_fold(clips: Sequence[Clip], fold: str) -> Split:
    """Speakers of one fold test; every fourth of the next fold's CREMA-D actors, and its first
    two of RAVDESS, validate; the rest train, TESS in all five."""
    here = FOLDS.index(fold)
    following = (here + 1) % len(FOLDS)
    test = {
        *(("CREMA-D", speaker) for speaker in _CREMA_D_TEST[here]),
        *(("RAVDESS", speaker) for speaker in _RAVDESS_TEST[here]),
        *(("SAVEE", speaker) for speaker in _SAVEE_TEST[here]),
    }
    validation = {
        *(("CREMA-D", speaker) for speaker in _CREMA_D_TEST[following][::4]),
        *(("RAVDESS", speaker) for speaker in _RAVDESS_TEST[following][:2]),
    }
    return _by_speaker(clips, fold, validation, test)


def _tess_fold(clips: Sequence[Clip], fold: str) -> Split:
    """One of the two speakers of TESS tests; validation as in fold 1."""
    validation = {
        *(("CREMA-D", speaker) for speaker in _CREMA_D_TEST[1][::4]),
        *(("RAVDESS", speaker) for speaker in _RAVDESS_TEST[1][:2]),
    }
    return _by_speaker(clips, fold, validation, {("TESS", fold.removeprefix("tess-"))})


def _corpus_fold(clips: Sequence[Clip], fold: str) -> Split:
    """A corpus tests; of the others, the speakers that fold 2 tests validate, in CREMA-D every
    fourth of them."""
    validation = {
        *(("CREMA-D", speaker) for speaker in _CREMA_D_TEST[1][::4]),
        *(("RAVDESS", speaker) for speaker in _RAVDESS_TEST[1]),
        *(("SAVEE", speaker) for speaker in _SAVEE_TEST[1]),
    }
    test = {(clip.corpus, clip.speaker) for clip in clips if clip.corpus == fold}
    return _by_speaker(clips, fold, validation, test, _BY_CORPUS)


def _by_speaker(
    clips: Sequence[Clip],
    fold: str,
    validation: set[tuple[str, str]],
    test: set[tuple[str, str]],
    protocol: str = _BY_SPEAKER,
) -> Split:
    sets: dict[str, list[str]] = {name: [] for name in SETS}
    for clip in clips:
        speaker = (clip.corpus, clip.speaker)
        name = "test" if speaker in test else "validation" if speaker in validation else "train"
        sets[name].append(clip.id)
    return _split(protocol, fold, **sets)


def _split(
    protocol: str,
    fold: str | None,
    train: Iterable[str],
    validation: Iterable[str],
    test: Iterable[str],
) -> Split:
    return Split(
        protocol, fold, tuple(sorted(train)), tuple(sorted(validation)), tuple(sorted(test))
    )
