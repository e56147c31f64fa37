"""The committed splits: one row per clip, one column per split, and the hashes of all."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

from ser_runtime.atomic_file import write_text
from ser_train.corpora import Clip
from ser_train.splits import PROTOCOLS
from ser_train.splits import SETS
from ser_train.splits import Split
from ser_train.splits import make_split

ALL_SPLITS: tuple[tuple[str, str | None], ...] = (
    *((protocol.id, fold) for protocol in PROTOCOLS.values() for fold in protocol.folds or (None,)),
)


def write_manifest(clips: Sequence[Clip], folder: Path) -> list[Path]:
    """Write `splits.csv` (clip id, then the set it is in, for each split) and `splits.json`.

    Args:
        clips: All clips.
        folder: Where to.

    Returns:
        The two files.

    Raises:
        CorporaError: If corpora are missing.
        StorageError: If the disk is full.
    """
    splits = [make_split(clips, protocol, fold) for protocol, fold in ALL_SPLITS]
    set_of = [
        {clip_id: name for name in SETS for clip_id in getattr(split, name)} for split in splits
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["clip", *(split.name for split in splits)])
    for clip in sorted(clips):
        writer.writerow([clip.id, *(sets[clip.id] for sets in set_of)])
    facts = {
        split.name: {"hash": split.hash, **{name: len(getattr(split, name)) for name in SETS}}
        for split in splits
    }
    paths = [folder / "splits.csv", folder / "splits.json"]
    write_text(paths[0], text.getvalue())
    write_text(paths[1], json.dumps(facts, indent=1) + "\n")
    return paths


def is_standard(split: Split) -> bool:
    """Whether a split is the committed one: made from all 12,162 clips, and by the same draw."""
    try:
        return split == committed_split(split.protocol, split.fold)
    except KeyError:
        return False


def committed_split(protocol: str, fold: str | None = None) -> Split:
    """A split as it stands in the committed manifest.

    Raises:
        KeyError: If the manifest has no such split.
    """
    column = protocol if fold is None else f"{protocol}-{fold}"
    sets: dict[str, list[str]] = {name: [] for name in SETS}
    file = resources.files("ser_train") / "data" / "splits.csv"
    with file.open(encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            sets[row[column]].append(row["clip"])
    return Split(protocol, fold, **{name: tuple(sorted(ids)) for name, ids in sets.items()})
