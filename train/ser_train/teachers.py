"""Which complete runs a network learns from beside the labels, and how much.

Distillation (Hinton et al. 2015, arXiv:1503.02531). A teacher was trained on the very clips that
its pupil is trained on: one of another split may know the pupil's test clips.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_train.experiments import Experiment
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.stored_experiment import stored_experiment

SHARE, VIEWS = 0.7, 16


@dataclass(frozen=True, eq=False)
class Teacher:
    """A network that was trained before.

    Attributes:
        run: Where it is.
        experiment: Its row of the registry, as it was then.
        sha256: Of its weights; it tells runs apart.
    """

    run: RunFolder
    experiment: Experiment
    sha256: str


@dataclass(frozen=True)
class Teaching:
    """What a training learns from teachers.

    Attributes:
        teachers: Whose probabilities are averaged.
        share: Of them in a target; the rest is the label's.
        views: Windows of each training clip that they judge, once; an epoch trains on one of them.
    """

    teachers: tuple[Teacher, ...]
    share: float = SHARE
    views: int = VIEWS

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; paths are left out, for they say nothing elsewhere."""
        teachers = [
            {"experiment": teacher.experiment.id, "sha256": teacher.sha256}
            for teacher in self.teachers
        ]
        return {"teachers": teachers, "share": self.share, "views": self.views}


def find_teachers(
    folders: Sequence[Path], split: Split, experiment: Experiment
) -> tuple[Teacher, ...]:
    """The runs that a user named, checked before any other work.

    Args:
        folders: Complete runs.
        split: Of the pupil.
        experiment: Of the pupil.

    Raises:
        RunFolderError: If a run is incomplete, damaged or of another version, or was trained on
            other clips or features.
        UsageError: If one is named twice, or is of a family that does not see the same windows.
    """
    teachers = [_teacher(RunFolder(folder), split, experiment) for folder in folders]
    if len({teacher.sha256 for teacher in teachers}) < len(teachers):
        raise UsageError("two of the --teachers have the same weights: name each once")
    return tuple(teachers)


def _teacher(run: RunFolder, split: Split, pupil: Experiment) -> Teacher:
    config = run.config()
    run.metrics()
    experiment = stored_experiment(config["experiment"], run)
    if experiment.family != pupil.family:
        raise UsageError(
            f"{run.path} is a run of {experiment.id}: {pupil.id} learns from runs of the family "
            f"{pupil.family} alone"
        )
    if config["split_hash"] != split.hash:
        raise RunFolderError(
            f"{run.path} was trained on other clips than {split.name}: what it knows of their test "
            "clips would reach its pupil"
        )
    if experiment.spec != pupil.spec:
        raise RunFolderError(f"{run.path} was trained on other features than {pupil.id}")
    run.standardization()
    try:
        digest = hashlib.sha256(run.weights.read_bytes()).hexdigest()
    except OSError as error:
        raise RunFolderError(f"cannot read the weights {run.weights}: {error}") from error
    return Teacher(run, experiment, digest)
