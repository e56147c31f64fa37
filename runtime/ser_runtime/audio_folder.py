"""The audio files that the arguments of a command name: files, and all that folders hold."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_runtime.errors import AudioError
from ser_runtime.path_facts import exists
from ser_runtime.path_facts import is_folder
from ser_runtime.path_facts import is_regular
from ser_runtime.path_facts import walk_once

# Of files in folders; a file that is named itself may have any.
AUDIO_SUFFIXES = frozenset(
    {
        ".aif", ".aifc", ".aiff", ".au", ".caf", ".flac", ".mp3", ".oga", ".ogg", ".opus", ".rf64",
        ".snd", ".w64", ".wav", ".wave",
    }
)  # fmt: skip


@dataclass(frozen=True)
class AudioInput:
    """A file to recognize.

    Attributes:
        path: As given, or within the folder that was given.
        name: Its place in a folder of results: its name, or its path below the given folder.
    """

    path: Path
    name: Path


def find_audio(arguments: Sequence[str | Path]) -> tuple[list[AudioInput], list[AudioError]]:
    """The files of the arguments, in their order; those of a folder are sorted by path.

    Folders are searched to any depth, through links too, each folder once; hidden files are left
    out, and so are pipes and devices: who waits for the other end of one cannot be interrupted in
    a thread. A file that two arguments name comes once.

    Returns:
        The files; and an error for each folder that cannot be read, or without an audio file, and
        for each argument that is a pipe or a device.
    """
    found: dict[Path, AudioInput] = {}
    errors: list[AudioError] = []
    for argument in map(Path, arguments):
        if exists(argument) and not (is_folder(argument) or is_regular(argument)):
            errors.append(AudioError(f"{argument} is no regular file: recognize it by itself"))
            continue
        if not is_folder(argument):
            found.setdefault(argument, AudioInput(argument, Path(argument.name)))
            continue
        errors_before = len(errors)
        paths = sorted(_audio_below(argument, errors))
        for path in paths:
            found.setdefault(path, AudioInput(path, path.relative_to(argument)))
        if not paths and len(errors) == errors_before:
            known = ", ".join(sorted(AUDIO_SUFFIXES))
            errors.append(AudioError(f"{argument} holds no audio file ({known})"))
    return list(found.values()), errors


def _audio_below(folder: Path, errors: list[AudioError]) -> Iterator[Path]:
    def unreadable(error: OSError) -> None:
        errors.append(AudioError(f"cannot read {error.filename}: {error.strerror}"))

    for place, folders, names in walk_once(folder, unreadable):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = place / name
            audio = path.suffix.lower() in AUDIO_SUFFIXES and not name.startswith(".")
            # To open a pipe would wait for its other end. What does not exist is told when it is
            # read.
            if audio and (is_regular(path) or not exists(path)):
                yield path
