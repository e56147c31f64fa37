"""Audio files of any kind that libsndfile reads, block by block in constant memory."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser_runtime.errors import AudioError
from ser_runtime.samples import HIGHEST_RATE
from ser_runtime.samples import LOWEST_RATE
from ser_runtime.samples import MOST_CHANNELS
from ser_runtime.truncation import truncation

_BLOCK_SECONDS = 1.0
# Of these libsndfile knows the length from the header; that of MP3 may be a guess.
_EXACT_FORMATS = {"WAV", "WAVEX", "RF64", "W64", "FLAC", "AIFF", "CAF", "AU"}
# What libsndfile says of a file whose end it cannot see.
_NO_LENGTH = np.iinfo(np.int64).max // 2


class AudioFile:
    """An audio file; opened by `with`.

    Attributes:
        path: The file.
        sample_rate: Hz, once open.
        channels: Once open.
        seconds: Duration by the file's header, once open.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.sample_rate = 0
        self.channels = 0
        self.seconds = 0.0

    def __enter__(self) -> AudioFile:
        """Open the file.

        Raises:
            AudioError: If it is missing, empty, truncated (as far as its header tells), or not
                audio that libsndfile reads, or of a rate or number of channels beyond the limits.
        """
        path = self.path
        try:
            facts = path.stat()
        except FileNotFoundError as error:
            raise AudioError(f"no such file: {path}") from error
        except OSError as error:
            raise AudioError(f"cannot read {path}: {error.strerror}") from error
        if stat.S_ISDIR(facts.st_mode):
            raise AudioError(f"{path} is a folder, not an audio file")
        if stat.S_ISREG(facts.st_mode) and facts.st_size == 0:
            raise AudioError(f"{path} is empty")
        try:
            self._file = self._opened()
        except (soundfile.LibsndfileError, OSError) as error:
            if not os.access(path, os.R_OK):
                raise AudioError(f"cannot read {path}: permission denied") from error
            reason = getattr(error, "error_string", str(error)).rstrip(".")
            raise AudioError(f"{path} is not audio that can be read: {reason}") from error
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        self.seconds = self._file.frames / self.sample_rate
        try:
            self._check(stat.S_ISREG(facts.st_mode))
        except AudioError:
            self._close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _opened(self) -> soundfile.SoundFile:
        if os.name == "nt":
            self._handle = None
            return soundfile.SoundFile(self.path)
        # By descriptor: of a name it wants UTF-8, and takes what is called `.raw` for headerless.
        self._handle = self.path.open("rb")
        try:
            return soundfile.SoundFile(self._handle.fileno(), closefd=False)
        except BaseException:
            self._handle.close()
            raise

    def _close(self) -> None:
        self._file.close()
        if self._handle is not None:
            self._handle.close()

    def _check(self, regular: bool) -> None:
        if not LOWEST_RATE <= self.sample_rate <= HIGHEST_RATE:
            raise AudioError(
                f"{self.path} has {self.sample_rate} Hz; {LOWEST_RATE} to {HIGHEST_RATE} are taken"
            )
        if self.channels > MOST_CHANNELS:
            raise AudioError(
                f"{self.path} has {self.channels} channels; {MOST_CHANNELS} at most are taken"
            )
        if regular and (missing := truncation(self.path)):
            raise AudioError(f"{self.path} is truncated: {missing}")

    def blocks(self) -> Iterator[NDArray[np.float32]]:
        """The samples, about a second at a time: float32 [samples, channels].

        Raises:
            AudioError: If there are none, or decoding fails or ends before the file says.
        """
        file = self._file
        size = max(1, int(self.sample_rate * _BLOCK_SECONDS))
        done = 0
        while True:
            try:
                block = file.read(size, dtype="float32", always_2d=True)
            except soundfile.LibsndfileError as error:
                reason = error.error_string.rstrip(".")
                raise AudioError(
                    f"{self.path} is damaged after {done / self.sample_rate:.1f} s: {reason}"
                ) from error
            done += len(block)
            if len(block):
                yield block
            if len(block) < size:
                break
        if not done:
            raise AudioError(f"{self.path} has no audio in it")
        if file.format in _EXACT_FORMATS and done < file.frames < _NO_LENGTH:
            raise AudioError(
                f"{self.path} is truncated: {done / self.sample_rate:.1f} s "
                f"of the {self.seconds:.1f} s that its header says"
            )
