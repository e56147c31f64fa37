"""The clips that an export is calibrated, chosen and verified on."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import fit_window
from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora
from ser_train.corpora.clip import read_indexed
from ser_train.dataset import Dataset
from ser_train.dataset import calibration_rows
from ser_train.dataset import load_dataset
from ser_train.features.cache import Progress
from ser_train.features.crop import scored_window
from ser_train.model_clips import clips_of_split
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.splits import classes_by_id
from ser_train.stored_experiment import stored_experiment
from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES
from ser_train.wav2vec2.audio_data import AudioDataset
from ser_train.wav2vec2.audio_data import AudioSamples
from ser_train.wav2vec2.audio_data import load_audio

CALIBRATION, VALIDATION, TEST = "calibration", "validation", "test"


@dataclass(frozen=True, eq=False)
class ClipSet:
    """Clips of one set.

    Attributes:
        ids: Clip ids.
        classes: int64 [clips], indices into `EMOTIONS`.
        inputs: float32 [clips, coefficients, frames], not standardized, or [clips, samples].
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    inputs: NDArray[np.float32]


class ExportClips:
    """Training clips to calibrate with, validation clips to choose on, test clips to verify on.

    Features are those that the run folder keeps, or made of the corpora where it keeps none.
    """

    def __init__(
        self,
        run: RunFolder,
        corpora: Path | None = None,
        cache: Path | None = None,
        progress: Progress | None = None,
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            run: Complete.
            corpora: Folder of the corpora.
            cache: Of features; needed with `corpora`.
            progress: Called with clips done and in all while features are computed.
        """
        self._run, self._corpora, self._cache, self._progress = run, corpora, cache, progress

    @property
    def have_audio(self) -> bool:
        """Whether there are corpora to take audio from."""
        return self._corpora is not None

    def features(self, name: str) -> ClipSet:
        """Features of a set: of the clips without noise.

        Raises:
            RunFolderError: If the run folder lacks them and no corpora were named, if what it has
                is damaged, or if the corpora are others than the run's.
        """
        path = self._run.path / f"{name}.npz"
        if path.is_file():
            stored = self._run.read_set(name)
            return ClipSet(stored.ids, stored.classes, stored.features)
        if self._corpora is None:
            raise RunFolderError(
                f"{self._run.path} lacks {path.name}: name the corpora with --corpora DIR, "
                "and it is computed"
            )
        samples = self._dataset.train if name == CALIBRATION else getattr(self._dataset, name)
        which = (
            calibration_rows(samples.classes) if name == CALIBRATION else np.arange(len(samples))
        )
        ids = tuple(samples.ids[i] for i in which)
        return ClipSet(ids, samples.classes[which], samples.raw(which))

    def audio(self, name: str) -> ClipSet:
        """Windows of audio of the validation or test clips: float32 [clips, window_samples].

        Raises:
            UsageError: If no corpora were named.
            RunFolderError: If the corpora are others than the run's.
        """
        self._require_corpora()
        ids = getattr(self._split, name)
        return read_audio(self._index, self._split, ids, self._run.spec(), self._run.crop())

    def _require_corpora(self) -> None:
        if self._corpora is None:
            raise UsageError(
                "a file that takes audio is checked on audio: name the corpora with --corpora DIR"
            )

    def audio_as_trained(self, name: str) -> tuple[ClipSet, AudioSamples]:
        """Windows of audio as wav2vec2 was trained on them, in 16 bits, and with their lengths.

        Raises:
            UsageError: If no corpora were named.
            RunFolderError: If the corpora are others than the run's.
        """
        self._require_corpora()
        samples = getattr(self._audio, name)
        windows = [
            fit_window(wave, WINDOW_SAMPLES) for wave in samples.waveforms(range(len(samples)))
        ]
        return ClipSet(samples.ids, samples.classes, np.stack(windows)), samples

    @cached_property
    def _audio(self) -> AudioDataset:
        assert self._cache is not None
        return load_audio(self._index, self._split, self._cache, self._progress)

    @cached_property
    def _dataset(self) -> Dataset:
        row = stored_experiment(self._run.config()["experiment"], self._run)
        # Only training sees noise: its copies would be computed for nothing.
        clean = dataclasses.replace(row, noisy_copies=0)
        assert self._cache is not None
        return load_dataset(self._index, self._split, clean, self._cache, self._progress)

    @property
    def _index(self) -> CorpusIndex:
        return self._clips_of_run[0]

    @property
    def _split(self) -> Split:
        return self._clips_of_run[1]

    @cached_property
    def _clips_of_run(self) -> tuple[CorpusIndex, Split]:
        assert self._corpora is not None
        assert self._cache is not None
        config = self._run.config()
        index = read_corpora(self._corpora, self._cache / "corpora.json", self._progress)
        return find_split(
            index, config["protocol"], config["fold"], config["split_hash"], str(self._run.path)
        )


def find_split(
    index: CorpusIndex, protocol: str, fold: str | None, split_hash: str, what: str
) -> tuple[CorpusIndex, Split]:
    """The split that something was trained on, and its clips: with or without the odd ones.

    Args:
        index: The clips of the corpora.
        protocol: Key of `PROTOCOLS`.
        fold: Of the protocol, if it has any.
        split_hash: Of the split.
        what: Was trained on it, for the error.

    Raises:
        RunFolderError: If it was trained on other clips.
    """
    if found := clips_of_split(index, protocol, fold, split_hash):
        return found
    raise RunFolderError(
        f"{what} was trained on other clips: the hash of its split is {split_hash}, and these "
        "corpora give another"
    )


def read_audio(
    index: CorpusIndex, split: Split, ids: Sequence[str], spec: FeatureSpec, crop: str
) -> ClipSet:
    """Windows of audio of some clips: float32 [clips, window_samples].

    Args:
        index: The clips of the corpora.
        split: For its labels.
        ids: Of the clips.
        spec: For window and sample rate.
        crop: One of `ser_runtime.model_metadata.CROPS`.
    """
    clip_of = {clip.id: clip for clip in index.clips}
    class_of = classes_by_id(index.clips, split.protocol)
    windows = np.empty((len(ids), spec.window_samples), np.float32)
    for window, clip_id in zip(windows, ids, strict=True):
        audio = read_indexed(clip_of[clip_id], spec.sample_rate)
        window[:] = fit_window(scored_window(audio, spec, crop), spec.window_samples)
    return ClipSet(tuple(ids), np.array([class_of[name] for name in ids], np.int64), windows)
