"""Finding and checking every clip under a folder; what was learnt of a file is remembered."""

from __future__ import annotations

import hashlib
import json
import logging
from collections import defaultdict
from collections.abc import Callable
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from ser_runtime.atomic_file import write_text
from ser_runtime.errors import CorporaError
from ser_runtime.errors import StorageError
from ser_runtime.path_facts import walk_once
from ser_runtime.truncation import truncation
from ser_train.cores import available_cores
from ser_train.corpora.clip import Clip
from ser_train.corpora.naming import ClipName
from ser_train.corpora.naming import parse_clip

log = logging.getLogger(__name__)

AUDIO_SUFFIXES = {".wav", ".flac", ".opus", ".ogg", ".aif", ".aiff", ".mp3"}
_MEMORY_VERSION = 2
_FACTS = {"sha256", "sample_rate", "channels", "seconds", "peak", "audio_hash"}

Progress = Callable[[int, int], None]


@dataclass(frozen=True, order=True)
class LeftOut:
    """A file that is not used, and why."""

    reason: str
    path: Path


@dataclass(frozen=True)
class CorpusIndex:
    """The clips under a folder, sorted by id, and the files that were left out."""

    folder: Path
    clips: tuple[Clip, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def content_hash(self) -> str:
        """Hash of all clip ids and file contents: a changed corpus has another."""
        digest = hashlib.sha256()
        for clip in self.clips:
            digest.update(f"{clip.id} {clip.sha256}\n".encode())
        return digest.hexdigest()

    @property
    def silent(self) -> list[Clip]:
        """Clips with nothing in them. They stay in: the report's 12,162 clips include one."""
        return [clip for clip in self.clips if clip.silent]

    @property
    def same_audio(self) -> list[list[Clip]]:
        """Groups of clips with the same samples. They stay in: as the silent ones."""
        groups = defaultdict(list)
        for clip in self.clips:
            groups[clip.audio_hash].append(clip)
        return [group for group in groups.values() if len(group) > 1]

    def without_odd(self) -> CorpusIndex:
        """The index without silent clips, and without audio that stands under two labels."""
        doubtful = {clip.id for clip in self.silent}
        for group in self.same_audio:
            # The same audio under one label is merely doubled: one copy stays.
            one_label = len({clip.emotion for clip in group}) == 1
            doubtful.update(clip.id for clip in group[1 if one_label else 0 :])
        clips = tuple(clip for clip in self.clips if clip.id not in doubtful)
        gone = (
            LeftOut("silent, or the same audio twice", clip.path)
            for clip in self.clips
            if clip.id in doubtful
        )
        return CorpusIndex(self.folder, clips, tuple(sorted((*self.left_out, *gone))))


def read_corpora(
    folder: Path,
    memory: Path | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> CorpusIndex:
    """Find the clips under a folder by their file names, and decode each once.

    Args:
        folder: Holds one or more of the corpora, in any layout that `naming` knows.
        memory: A file that remembers, by content, what was learnt of each clip.
        progress: Called with clips done and clips in all.
        workers: Threads that decode; default: one a core.

    Raises:
        CorporaError: If the folder does not exist or holds no clip of the four corpora.
    """
    if not folder.is_dir():
        raise CorporaError(f"no such corpora folder: {folder}")
    named, left_out = _named_files(folder)
    remembered = _recall(memory)
    clips = []
    with ThreadPoolExecutor(workers or available_cores()) as pool:
        try:
            facts = pool.map(lambda item: _examine(item[1], remembered), named)
            for done, ((name, path), fact) in enumerate(zip(named, facts, strict=True), 1):
                if "error" in fact:
                    left_out.append(LeftOut(fact["error"], path))
                else:
                    own = (name.id, name.corpus, name.speaker, name.emotion)
                    clips.append(Clip(*own, path, **fact))
                if progress:
                    progress(done, len(named))
        except BaseException:
            # Else Ctrl-C would wait until every clip is decoded.
            pool.shutdown(cancel_futures=True)
            raise
    if not clips:
        raise CorporaError(
            f"no clip of RAVDESS, SAVEE, TESS or CREMA-D in {folder}"
            f" ({len(left_out)} other audio files there)"
        )
    clips, duplicates = _first_of_each(clips)
    _remember(memory, remembered, clips)
    return CorpusIndex(folder, tuple(sorted(clips)), tuple(sorted(left_out + duplicates)))


def _named_files(folder: Path) -> tuple[list[tuple[ClipName, Path]], list[LeftOut]]:
    named, left_out = [], []
    found = [
        place / name for place, folders, names in walk_once(folder) for name in (*names, *folders)
    ]
    for path in sorted(found):
        if path.suffix.lower() not in AUDIO_SUFFIXES or path.name.startswith("."):
            continue
        name = parse_clip(path)
        if isinstance(name, str):
            left_out.append(LeftOut(name, path))
        else:
            named.append((name, path))
    return named, left_out


def _first_of_each(clips: Iterable[Clip]) -> tuple[list[Clip], list[LeftOut]]:
    """One clip per id: the first by path whose file decodes. Doubled folders are common."""
    first: dict[str, Clip] = {}
    left_out = []
    for clip in sorted(clips, key=lambda clip: (clip.id, len(clip.path.parts), clip.path)):
        kept = first.setdefault(clip.id, clip)
        if kept is not clip:
            same = "same" if kept.audio_hash == clip.audio_hash else "OTHER"
            left_out.append(LeftOut(f"duplicate name ({same} audio as the one used)", clip.path))
    return list(first.values()), left_out


def _examine(path: Path, remembered: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Facts of one file, as fields of `Clip`; or `error`."""
    try:
        content = path.read_bytes()
    except OSError as error:
        return {"error": f"unreadable: {error.strerror}"}
    if missing := truncation(path):
        return {"error": f"truncated: {missing}"}
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 in remembered:
        return remembered[sha256]
    try:
        samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:
        return {"error": f"undecodable: {error.error_string.rstrip('.')}"}
    if not samples.size:
        return {"error": "undecodable: no samples in it"}
    return {
        "sha256": sha256,
        "sample_rate": rate,
        "channels": samples.shape[1],
        "seconds": len(samples) / rate,
        "peak": float(np.abs(np.nan_to_num(samples)).max()),
        "audio_hash": hashlib.sha256(samples.tobytes()).hexdigest()[:16],
    }


def _recall(memory: Path | None) -> dict[str, dict[str, Any]]:
    """What an earlier reading learnt; nothing, if that cannot be read: it is only a saving."""
    if memory is None or not memory.exists():
        return {}
    try:
        stored = json.loads(memory.read_text(encoding="utf-8"))
        facts: dict[str, dict[str, Any]] = stored["facts"]
        known = stored["version"] == _MEMORY_VERSION and stored["checksum"] == _checksum(facts)
        return facts if known else {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def _remember(
    memory: Path | None, remembered: dict[str, dict[str, Any]], clips: list[Clip]
) -> None:
    if memory is None:
        return
    facts = remembered | {
        clip.sha256: {name: getattr(clip, name) for name in sorted(_FACTS)} for clip in clips
    }
    content = {"version": _MEMORY_VERSION, "checksum": _checksum(facts), "facts": facts}
    try:
        write_text(memory, json.dumps(content))
    except StorageError as error:
        log.warning("the clips will be decoded again next time: %s", error)


def _checksum(facts: dict[str, dict[str, Any]]) -> str:
    return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
