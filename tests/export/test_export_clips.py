"""The clips of an export: from the run folder, or made of the corpora."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_corpora import write_corpora

from ser_export.export_clips import CALIBRATION
from ser_export.export_clips import TEST
from ser_export.export_clips import VALIDATION
from ser_export.export_clips import ExportClips
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.features import compute_features
from ser_train.run_folder import RunFolder


@pytest.fixture
def bare_run(run_copy: RunFolder) -> RunFolder:
    """A run without features, as committed results are."""
    for name in (CALIBRATION, VALIDATION, TEST):
        (run_copy.path / f"{name}.npz").unlink()
    return run_copy


@pytest.mark.parametrize("name", [CALIBRATION, VALIDATION, TEST])
def test_features_made_of_the_corpora_are_those_that_the_run_keeps(
    tiny_run: Path, bare_run: RunFolder, tiny_corpora: Path, cache: Path, name: str
) -> None:
    stored = ExportClips(RunFolder(tiny_run)).features(name)
    made = ExportClips(bare_run, tiny_corpora, cache).features(name)
    assert made.ids == stored.ids
    np.testing.assert_array_equal(made.classes, stored.classes)
    np.testing.assert_array_equal(made.inputs, stored.inputs)


def test_calibration_clips_are_training_clips_of_every_class(
    bare_run: RunFolder, tiny_corpora: Path, cache: Path
) -> None:
    clips = ExportClips(bare_run, tiny_corpora, cache).features(CALIBRATION)
    split = bare_run.read_json("split")
    assert set(clips.ids) <= set(split["train"])
    assert set(clips.classes.tolist()) == set(range(7))


def test_audio_is_what_the_features_were_made_of(
    tiny_run: Path, tiny_corpora: Path, cache: Path
) -> None:
    clips = ExportClips(RunFolder(tiny_run), tiny_corpora, cache)
    audio, features = clips.audio(TEST), clips.features(TEST)
    assert audio.ids == features.ids
    np.testing.assert_array_equal(audio.classes, features.classes)
    spec = RunFolder(tiny_run).spec()
    made = np.stack([compute_features(window, spec) for window in audio.inputs])
    np.testing.assert_array_equal(made, features.inputs)


def test_what_is_missing_is_asked_for(bare_run: RunFolder) -> None:
    clips = ExportClips(bare_run)
    with pytest.raises(RunFolderError, match=r"lacks test\.npz: name the corpora with --corpora"):
        clips.features(TEST)
    with pytest.raises(UsageError, match="name the corpora with --corpora DIR"):
        clips.audio(TEST)


def test_other_corpora_than_those_of_the_run_are_refused(
    bare_run: RunFolder, tmp_path: Path
) -> None:
    write_corpora(tmp_path / "others", per_emotion=1)
    clips = ExportClips(bare_run, tmp_path / "others", tmp_path / "cache")
    split_hash = bare_run.config()["split_hash"]
    with pytest.raises(RunFolderError, match=f"other clips: the hash of its split is {split_hash}"):
        clips.features(TEST)
