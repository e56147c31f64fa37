"""The predictions of several runs together, such as five folds: each test clip once."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train.corpora.naming import parse_clip
from ser_train.experiments import recipe_of
from ser_train.metrics import confidence_threshold
from ser_train.run_folder import RunFolder
from ser_train.splits import PROTOCOLS

_MOST_TIES = 1.5


@dataclass(frozen=True, eq=False)
class ScoredSet:
    """One set of a run's clips, as it recognized them.

    Attributes:
        ids: Clip ids.
        classes: int64 [clips], the right indices into `EMOTIONS`.
        probabilities: float32 [clips, classes], without temperature.
    """

    ids: tuple[str, ...]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class PooledPredictions:
    """Test clips of one or more runs of one experiment and protocol, one after the other.

    Attributes:
        experiment: Id.
        protocol: Key of `PROTOCOLS`.
        runs: Name of each run.
        run_of: int64 [clips], which run recognized each clip.
        ids: Clip ids; one stands here several times only if runs of several seeds recognized it.
        clusters: What the bootstrap draws: the speakers where they are held out, else the clips.
        classes: int64 [clips], the right indices into `EMOTIONS`.
        raw: float32 [clips, classes], probabilities without temperature.
        calibrated: As `raw`, each run's by its own temperature.
        temperatures: Of each run, fitted on its validation clips.
        thresholds: Of each run: the least confidence that 90 % of its validation clips above are
            right at, `ser_train.metrics.NEVER` if there is none.
    """

    experiment: str
    protocol: str
    runs: tuple[str, ...]
    run_of: NDArray[np.int64]
    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    classes: NDArray[np.int64]
    raw: NDArray[np.float32]
    calibrated: NDArray[np.float32]
    temperatures: tuple[float, ...]
    thresholds: tuple[float, ...]

    @property
    def right(self) -> NDArray[np.bool_]:
        """Whether each clip was recognized."""
        return self.raw.argmax(axis=1) == self.classes

    @property
    def confidence(self) -> NDArray[np.float64]:
        """Of each clip's answer, calibrated."""
        return self.calibrated.max(axis=1).astype(np.float64)


def pool_predictions(runs: Sequence[RunFolder]) -> PooledPredictions:
    """Put the test clips of runs together, and choose each run's threshold on validation clips.

    Raises:
        RunFolderError: If a run is incomplete or damaged.
        UsageError: If they are not of one recipe and protocol, or a clip was tested twice by
            runs of one seed: it would count twice.
    """
    configs = [run.config() for run in runs]
    kinds = {(config["experiment"]["id"], config["protocol"]) for config in configs}
    if len(kinds) > 1:
        names = ", ".join(sorted(f"{experiment} on {protocol}" for experiment, protocol in kinds))
        raise UsageError(f"only runs of one experiment and protocol go together, not {names}")
    ((experiment, protocol),) = kinds
    if len({recipe_key(config) for config in configs}) > 1:
        raise UsageError(
            f"these runs of {experiment} were trained by different recipes: only those of one go "
            "together"
        )
    if protocol not in PROTOCOLS:
        raise RunFolderError(f"{runs[0].path}: the protocol {protocol!r} is unknown here")
    tests = [read_scored(run, "test") for run in runs]
    _refuse_doubled(runs, [config["seed"] for config in configs], tests)
    temperatures = tuple(float(run.metrics()["temperature"]) for run in runs)
    calibrated = [
        apply_temperature(test.probabilities, temperature)
        for test, temperature in zip(tests, temperatures, strict=True)
    ]
    ids = tuple(clip_id for test in tests for clip_id in test.ids)
    shared = PROTOCOLS[protocol].shared_speakers
    return PooledPredictions(
        experiment=experiment,
        protocol=protocol,
        runs=tuple(run.name for run in runs),
        run_of=np.repeat(np.arange(len(runs)), [len(test.ids) for test in tests]),
        ids=ids,
        clusters=ids if shared else tuple(_speaker(clip_id) for clip_id in ids),
        classes=np.concatenate([test.classes for test in tests]),
        raw=np.concatenate([test.probabilities for test in tests]),
        calibrated=np.concatenate(calibrated),
        temperatures=temperatures,
        thresholds=tuple(
            _threshold(read_scored(run, "validation"), temperature)
            for run, temperature in zip(runs, temperatures, strict=True)
        ),
    )


def recipe_key(config: dict[str, Any]) -> str:
    """Equal for runs that differ in fold, seed and wording alone.

    Args:
        config: Of a run.
    """
    recipe = [recipe_of(config["experiment"]), config["protocol"], _taught(config)]
    # A run that got its last phase under way has its fields in another order.
    return json.dumps(recipe, sort_keys=True)


def _taught(config: dict[str, Any]) -> list[Any] | None:
    """What runs of one recipe share of their teaching; the teachers of each fold are its own."""
    teaching = config.get("teaching")
    if not teaching:
        return None
    teachers = [teacher["experiment"] for teacher in teaching["teachers"]]
    return [teachers, teaching["share"], teaching["views"]]


def read_scored(run: RunFolder, name: str) -> ScoredSet:
    """The predictions of a run's `validation` or `test` clips.

    Raises:
        RunFolderError: If they, or some of them, are missing or damaged, or do not fit the run's
            figures.
    """
    path = run.path / "predictions.csv"
    try:
        with path.open(newline="", encoding="utf-8") as lines:
            rows = [row for row in csv.DictReader(lines) if row["set"] == name]
        classes = np.array([EMOTIONS.index(row["emotion"]) for row in rows], np.int64)
        values = np.array([[row[emotion] for emotion in EMOTIONS] for row in rows], np.float32)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunFolderError(f"cannot read {path}: {error}") from error
    if not rows:
        raise RunFolderError(f"{path} holds no {name} clip")
    if name == "test":
        metrics, right = run.metrics(), int((values.argmax(axis=1) == classes).sum())
        if len(rows) != (wanted := metrics["clips"]):
            raise RunFolderError(f"{path} is damaged: {len(rows)} test clips of {wanted}")
        # Six digits can make two likeliest emotions of one.
        if abs(right - metrics["accuracy"] * wanted) > _MOST_TIES:
            raise RunFolderError(
                f"{run.path}: metrics.json says an accuracy of {metrics['accuracy']}, "
                f"predictions.csv has {right / wanted:.4f}"
            )
    return ScoredSet(tuple(row["clip"] for row in rows), classes, values)


def _refuse_doubled(
    runs: Sequence[RunFolder], seeds: Sequence[int], tests: Sequence[ScoredSet]
) -> None:
    first: dict[tuple[int, str], RunFolder] = {}
    for run, seed, test in zip(runs, seeds, tests, strict=True):
        for clip_id in test.ids:
            if (seed, clip_id) in first:
                other = first[seed, clip_id]
                raise UsageError(
                    f"{clip_id} would count twice: {other.path} and {run.path}, both of seed "
                    f"{seed}, tested it"
                )
            first[seed, clip_id] = run


def _threshold(validation: ScoredSet, temperature: float) -> float:
    calibrated = apply_temperature(validation.probabilities, temperature)
    return confidence_threshold(validation.classes, calibrated)


def _speaker(clip_id: str) -> str:
    corpus, stem = clip_id.split("/", 1)
    parsed = parse_clip(PurePath(corpus) / f"{stem}.wav")
    if isinstance(parsed, str):
        raise RunFolderError(f"predictions.csv names a clip that is none: {clip_id}")
    return f"{parsed.corpus} {parsed.speaker}"
