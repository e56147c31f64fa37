"""The search for what the report's figures rest on: a few short trainings, compared on validation.

The report leaves open how its features were scaled, cut and pooled. Each candidate changes what
one experiment leaves open and trains for a few epochs; the test clips are not scored.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from dataclasses import field
from pathlib import Path
from typing import Any

import keras

from ser_runtime.atomic_file import write_text
from ser_runtime.errors import RunFolderError
from ser_runtime.feature_spec import MFCC
from ser_train.corpora import CorpusIndex
from ser_train.dataset import load_dataset
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.progress import TrainingProgress
from ser_train.recipe_file import claim_folder
from ser_train.recipe_file import read_object
from ser_train.splits import Split
from ser_train.training import SEARCH
from ser_train.training import Recipe
from ser_train.training import train

SEED = 0
_WORDING = (
    "title",
    "section",
    "note",
    "parameters",
    "trainable_parameters",
    "needs",
    "pretrained",
)
_SHORT_WINDOW = dataclasses.replace(MFCC, n_fft=1024, win_length=512, window="hamming")


@dataclass(frozen=True)
class Candidate:
    """A recipe to try.

    Attributes:
        id: Name in tables and of its folder.
        what: One line for tables.
        experiment: Whose recipe is changed.
        epochs: It is trained for.
        changes: Fields of `Experiment` that differ.
    """

    id: str
    what: str
    experiment: str
    epochs: int
    changes: dict[str, Any] = field(default_factory=dict)

    def recipe(self) -> Recipe:
        """What to train: no noisy copies, no retraining, no early end."""
        row = dataclasses.replace(
            EXPERIMENTS[self.experiment],
            **{
                "noisy_copies": 0,
                "retrain": False,
                "patience": self.epochs,
                "max_epochs": self.epochs,
                **self.changes,
            },
        )
        return Recipe(row, SEED, self.epochs)


def _of_cnn(name: str, what: str, **changes: Any) -> Candidate:
    # At the report's 1e-2 the validation loss swings by more than the candidates differ.
    return Candidate(name, what, "cnn", 10, {"learning_rate": 1e-3, **changes})


def _of_parallel(name: str, what: str, **changes: Any) -> Candidate:
    return Candidate(name, what, "parallel-mfcc", 6, changes)


CANDIDATES: dict[str, Candidate] = {
    candidate.id: candidate
    for candidate in (
        _of_cnn("cnn-coefficient", "standardized per coefficient (as the experiments are)"),
        _of_cnn("cnn-element", "standardized per coefficient and frame", standardization="element"),
        _of_cnn("cnn-raw", "raw MFCC", standardization="none"),
        _of_cnn("cnn-all", "one mean and deviation for everything", standardization="all"),
        _of_cnn("cnn-channels", "BatchNorm over channels", options={"norm": "channels"}),
        _of_cnn("cnn-hamming", "n_fft 1024, 512-sample Hamming window", spec=_SHORT_WINDOW),
        _of_cnn("cnn-offset", "3 s from 0.5 s on", crop="offset"),
        _of_cnn("cnn-centre", "centred 3 s, zeros on both sides", crop="centre"),
        _of_parallel("parallel-coefficient", "standardized per coefficient (as the experiments)"),
        _of_parallel("parallel-raw", "raw MFCC", standardization="none"),
        _of_parallel(
            "parallel-element", "standardized per coefficient and frame", standardization="element"
        ),
        _of_parallel("parallel-max", "the encoder's maximum over time", options={"pooling": "max"}),
    )
}
"""A dozen at most; the order is that of training."""


def run_candidate(
    candidate: Candidate,
    index: CorpusIndex,
    split: Split,
    cache: Path,
    folder: Path,
    progress: TrainingProgress,
) -> dict[str, list[float]]:
    """Train a candidate, or read what it gave; an unfinished one goes on.

    Args:
        candidate: What to train.
        index: The clips.
        split: Its training and validation clips.
        cache: Of features.
        folder: Of all candidates.
        progress: Where it is shown.

    Returns:
        Losses and accuracies of each epoch.

    Raises:
        RunFolderError: If the folder holds a candidate of this name with another recipe.
    """
    place = folder / candidate.id
    recipe = candidate.recipe()
    claim_folder(
        place,
        {
            "recipe": _plain(recipe.experiment),
            "split": split.hash,
            "corpora": index.content_hash,
        },
    )
    if (history := stored_history(candidate, folder)) is not None:
        return history
    data = load_dataset(index, split, recipe.experiment, cache, progress.features)
    _, state = train(recipe, data, place / "checkpoint.npz", progress.batch, progress.epoch)
    history = state.history[SEARCH]
    write_text(place / "history.json", json.dumps({"history": history}, indent=1) + "\n")
    (place / "checkpoint.npz").unlink()
    keras.backend.clear_session()
    return history


def stored_history(candidate: Candidate, folder: Path) -> dict[str, list[float]] | None:
    """What a candidate gave in an earlier call; None if it has not ended.

    Raises:
        RunFolderError: If the file is damaged.
    """
    path = folder / candidate.id / "history.json"
    if not path.exists():
        return None
    try:
        return read_object(path)["history"]
    except KeyError as error:
        raise RunFolderError(f"{path} is damaged: remove {path.parent}") from error


def _plain(experiment: Experiment) -> dict[str, Any]:
    """The row without wording, as JSON gives it back."""
    row = experiment.to_dict()
    for name in _WORDING:
        del row[name]
    return json.loads(json.dumps(row))


def search_table(histories: dict[str, dict[str, list[float]]], split: Split) -> str:
    """The log of the search as Markdown, losers included."""
    lines = [
        f"Validation clips of `{split.name}` ({len(split.validation)}), seed {SEED}, no noisy "
        f"copies, {len(split.train)} training clips; the test clips were not scored. "
        "`ser-train recipe-search` wrote this.",
        "",
        "| candidate | what | epochs | best accuracy | at epoch | lowest loss | training |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, history in _ranked(histories):
        accuracies = history["val_accuracy"]
        best = max(accuracies)
        epoch = accuracies.index(best)
        lines.append(
            f"| {name} | {CANDIDATES[name].what} | {len(accuracies)} | {best:.3f} | {epoch + 1} "
            f"| {min(history['val_loss']):.3f} | {history['accuracy'][epoch]:.3f} |"
        )
    return "\n".join(lines) + "\n"


def _ranked(
    histories: dict[str, dict[str, list[float]]],
) -> Sequence[tuple[str, dict[str, list[float]]]]:
    """By experiment, the best first."""
    return sorted(
        histories.items(),
        key=lambda item: (CANDIDATES[item[0]].experiment, -max(item[1]["val_accuracy"])),
    )
