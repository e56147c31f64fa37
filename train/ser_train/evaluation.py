"""The figures of a trained model: choices on validation clips, test clips scored once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.temperature import apply_temperature
from ser_train.checkpoint import TrainingState
from ser_train.corpora import CorpusIndex
from ser_train.families import FamilyData
from ser_train.families import SampleSet
from ser_train.families import family
from ser_train.metrics import confidence_threshold
from ser_train.metrics import difference_from_report
from ser_train.metrics import expected_calibration_error
from ser_train.metrics import fit_temperature
from ser_train.metrics import score
from ser_train.report_tables import report_table
from ser_train.split_manifest import is_standard
from ser_train.splits import PROTOCOLS
from ser_train.training import EVALUATION_BATCH
from ser_train.training import FINISH
from ser_train.training import RETRAIN
from ser_train.training import SEARCH
from ser_train.training import Recipe


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What a model says of the validation and the test clips, and how right it is.

    Attributes:
        metrics: Content of metrics.json.
        validation: float32 [clips, classes], probabilities without temperature.
        test: As `validation`.
    """

    metrics: dict[str, Any]
    validation: NDArray[np.float32]
    test: NDArray[np.float32]


def evaluate(
    recipe: Recipe, index: CorpusIndex, data: FamilyData, model: Any, state: TrainingState
) -> Evaluation:
    """Fit temperature and threshold on the validation clips, then score the test clips.

    Args:
        recipe: What was trained.
        index: All clips.
        data: What it was trained on.
        model: Trained.
        state: How the training went.
    """
    protocol = PROTOCOLS[data.split.protocol]
    at_once = recipe.experiment.scored_at_once
    kind = family(recipe.experiment.family)
    validation, test = (kind.predict(model, part, at_once) for part in (data.validation, data.test))
    temperature = fit_temperature(data.validation.classes, validation)
    calibrated = apply_temperature(validation, temperature)
    metrics: dict[str, Any] = {
        "experiment": recipe.experiment.id,
        "protocol": protocol.id,
        "fold": data.split.fold,
        "seed": recipe.seed,
        "speakers_shared": protocol.shared_speakers,
        **score(data.test.classes, test, *_clusters(index, data.test, protocol.shared_speakers)),
        "ece_calibrated": expected_calibration_error(
            data.test.classes, apply_temperature(test, temperature)
        ),
        "temperature": temperature,
        "confidence_threshold": confidence_threshold(data.validation.classes, calibrated),
        "validation": {
            "clips": len(data.validation),
            "accuracy": float((validation.argmax(axis=1) == data.validation.classes).mean()),
        },
        "parameters": kind.parameters(model),
        "split_hash": data.split.hash,
        "standard_split": is_standard(data.split),
        **_training_facts(recipe, state),
    }
    present = np.unique(data.test.classes)
    if len(present) < test.shape[1]:
        answers = present[test[:, present].argmax(axis=1)]
        metrics["accuracy_among_tested_classes"] = float((answers == data.test.classes).mean())
    if at_once != EVALUATION_BATCH:
        alone = kind.predict(model, data.test, 1).argmax(axis=1)
        metrics["scored_at_once"] = at_once
        metrics["accuracy_one_at_a_time"] = float((alone == data.test.classes).mean())
    if (table := report_table(recipe.experiment.id)) is not None:
        metrics["report"] = {
            "accuracy": table.accuracy,
            "macro_f1": table.macro_f1,
            "like_for_like": protocol.report_labels,
            **difference_from_report(
                metrics["accuracy"],
                metrics["accuracy_interval"],
                metrics["clips"],
                table.accuracy,
                table.support,
            ),
        }
    return Evaluation(metrics, validation, test)


def _training_facts(recipe: Recipe, state: TrainingState) -> dict[str, Any]:
    seconds = [value for phase in state.history.values() for value in phase["seconds"]]
    searched = len(state.val_losses(SEARCH))
    trained = len(state.val_losses(RETRAIN)) if recipe.experiment.retrain else state.best_epoch
    by_hand = recipe.max_epochs < recipe.experiment.max_epochs and searched == recipe.max_epochs
    if recipe.experiment.finish:
        trained = searched = searched + len(state.val_losses(FINISH))
    return {
        "epochs": {"trained": trained, "searched": searched, "search_stopped_by_hand": by_hand},
        "minutes": sum(seconds) / 60,
    }


def _clusters(
    index: CorpusIndex, samples: SampleSet, shared_speakers: bool
) -> tuple[list[str], list[str]]:
    """What the bootstrap draws, and the corpus, of each clip."""
    clip_of = {clip.id: clip for clip in index.clips}
    clips = [clip_of[clip_id] for clip_id in samples.ids]
    drawn = [clip.id if shared_speakers else f"{clip.corpus} {clip.speaker}" for clip in clips]
    return drawn, [clip.corpus for clip in clips]
