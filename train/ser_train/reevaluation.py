"""The metrics of a stored run, computed again from its weights and the corpora."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ser_runtime.errors import RunFolderError
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.evaluation import evaluate
from ser_train.families import family
from ser_train.features.cache import Progress
from ser_train.run_folder import RunFolder
from ser_train.splits import PROTOCOLS
from ser_train.splits import Split
from ser_train.splits import make_split
from ser_train.stored_experiment import stored_experiment
from ser_train.training import Recipe


@dataclass(frozen=True)
class Reevaluation:
    """What a stored run gives today.

    Attributes:
        metrics: As in metrics.json.
        largest_difference: Between its stored probabilities of the test clips and today's.
        same_audio: Whether the corpora are, to the byte, those that it was trained on.
    """

    metrics: dict[str, Any]
    largest_difference: float
    same_audio: bool


def reevaluate(
    run: RunFolder, index: CorpusIndex, cache: Path, progress: Progress | None = None
) -> Reevaluation:
    """Score the test clips with the stored weights.

    Args:
        run: Complete.
        index: The clips that it was trained and tested on.
        cache: Of features.
        progress: Called with clips done and in all while features are computed.

    Raises:
        RunFolderError: If the run is incomplete or damaged, or the clips of its split are not
            those of these corpora.
    """
    config, stored = run.config(), run.metrics()
    experiment = stored_experiment(config["experiment"], run)
    index, split = _clips_of(run, config, index)
    history = run.read_json("history")
    best_epoch = history.pop("best_epoch", None)
    if not history:
        raise RunFolderError(f"{run.path}/history.json is damaged: it holds no epoch")
    kind = family(experiment.family)
    # Only training sees noise: its copies would be computed for nothing.
    clean = dataclasses.replace(experiment, noisy_copies=0)
    data = kind.load_data(index, split, clean, cache, progress)
    data, model = kind.restore(run, experiment, data)
    recipe = Recipe(experiment, config["seed"], config["max_epochs"])
    state = TrainingState(list(history)[-1], history, best_epoch)
    evaluation = evaluate(recipe, index, data, model, state)
    before = run.read_predictions("test")
    if set(before) != set(data.test.ids):
        raise RunFolderError(f"{run.path}/predictions.csv holds other clips than its split")
    differences = np.abs(evaluation.test - np.array([before[name] for name in data.test.ids]))
    metrics = {**evaluation.metrics, "minutes": stored.get("minutes", 0.0)}
    same_audio = index.content_hash == config.get("corpora_hash")
    return Reevaluation(metrics, float(differences.max()), same_audio)


def _clips_of(
    run: RunFolder, config: dict[str, Any], index: CorpusIndex
) -> tuple[CorpusIndex, Split]:
    """The clips that a run was trained on, with or without the odd ones, and its split."""
    if config["protocol"] not in PROTOCOLS:
        raise RunFolderError(
            f"{run.path} was made by another version: the protocol {config['protocol']!r} is "
            "unknown here"
        )
    for clips in (index, index.without_odd()):
        split = make_split(clips.clips, config["protocol"], config["fold"])
        if split.hash == config["split_hash"]:
            return clips, split
    raise RunFolderError(
        f"{run.path} was trained on other clips: the hash of its split is "
        f"{config['split_hash']}, and these corpora give another"
    )
