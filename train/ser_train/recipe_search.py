"""Searches for a recipe: a few short trainings that differ in one thing, compared on validation.

`report`: what the report's figures rest on, since it leaves open how its features were scaled, cut
and pooled. `compact`: what our own network gains by. The test clips are not scored.
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
from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import LOG_MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_train.compact.augmentation import FIRST_RECIPE
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.experiments import recipe_of
from ser_train.families import family
from ser_train.first_phase import FirstPhase
from ser_train.progress import TrainingProgress
from ser_train.recipe_file import claim_folder
from ser_train.recipe_file import read_object
from ser_train.run import Run
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.teachers import Teacher
from ser_train.teachers import Teaching
from ser_train.training import Recipe
from ser_train.training import validation_metrics

SEED = 0
KEPT, KEPT_LOSS = "kept_val_accuracy", "kept_val_loss"
"""In a history: what the weights that a training keeps reach on validation, each a list of one."""

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
        taught: Share of the teachers in its targets; 0: it learns from labels alone.
        finish: Of its last phase, if it is that phase that differs; it begins with a run of the
            registry's recipe, whose first phase it shares.
    """

    id: str
    what: str
    experiment: str
    epochs: int
    changes: dict[str, Any] = field(default_factory=dict)
    taught: float = 0.0
    finish: dict[str, Any] = field(default_factory=dict)

    def recipe(
        self, teachers: tuple[Teacher, ...] = (), first_phase: FirstPhase | None = None
    ) -> Recipe:
        """What to train: no noisy copies, no retraining, no early end.

        Raises:
            UsageError: If it learns from teachers, or begins with a first phase, and there is none.
        """
        if self.taught and not teachers:
            raise UsageError(f"{self.id} learns from teachers: name them with --teachers")
        teaching = Teaching(teachers, self.taught) if self.taught else None
        if self.finish:
            if not first_phase:
                raise UsageError(f"{self.id} begins with a run: name it with --first-phase")
            row = EXPERIMENTS[self.experiment]
            finished = dataclasses.replace(row, finish=self.finish)
            return Recipe(
                finished, SEED, row.max_epochs, teaching=teaching, first_phase=first_phase
            )
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
        return Recipe(row, SEED, self.epochs, teaching=teaching)


def _of_cnn(name: str, what: str, **changes: Any) -> Candidate:
    # At the report's 1e-2 the validation loss swings by more than the candidates differ.
    return Candidate(name, what, "cnn", 10, {"learning_rate": 1e-3, **changes})


def _of_parallel(name: str, what: str, **changes: Any) -> Candidate:
    return Candidate(name, what, "parallel-mfcc", 6, changes)


def _of_compact(
    name: str,
    what: str,
    augmented: dict[str, Any] | None = None,
    epochs: int = 25,
    taught: float = 0.0,
    **changes: Any,
) -> Candidate:
    augmentation = dataclasses.replace(FIRST_RECIPE, **(augmented or {})).to_dict()
    first = {"crop": "centre", "options": {"widths": [20, 40, 80, 120]}, "finish": {}}
    changes = first | {"augmentation": augmentation} | changes
    return Candidate(name, what, "compact", epochs, changes, taught)


def _finishing(
    name: str,
    what: str,
    taught: float = 0.0,
    phase: dict[str, Any] | None = None,
    **augmented: Any,
) -> Candidate:
    finish = EXPERIMENTS["compact"].finish | (phase or {})
    finish["augmentation"] = finish["augmentation"] | augmented
    return Candidate(name, what, "compact", finish["epochs"], taught=taught, finish=finish)


_WIDER = "24-48-96-144 channels, no mixup, gain from -30 to +12 dB"
_BROAD: dict[str, Any] = {
    "augmented": {"mixed": 0.0, "gain_db": (-30.0, 12.0), "from_start": 0.5},
    "crop": "start",
    "options": {"widths": [24, 48, 96, 144]},
}
_RELATIVE = {**_BROAD, "options": {**_BROAD["options"], "relative": True}}


def _with_bands(spec: FeatureSpec) -> dict[str, Any]:
    """`_RELATIVE` on other bands, changed by as much of the spectrum."""
    scale = spec.n_mels / LOG_MEL.n_mels
    augmented = {
        **_RELATIVE["augmented"],
        "shift": round(scale * FIRST_RECIPE.shift),
        "mask_bands": round(scale * FIRST_RECIPE.mask_bands),
    }
    return {**_RELATIVE, "augmented": augmented, "spec": spec}


_FINE = _with_bands(dataclasses.replace(LOG_MEL, n_mels=96))
_LOW = _with_bands(dataclasses.replace(LOG_MEL, n_mels=80, fmax=5500.0))
_TAUGHT = "compact-relative, taught by the two recipes' networks"


_FINISHED = "the registry's, whose last phase has half the noise, rooms and band limits"


@dataclass(frozen=True)
class Search:
    """Candidates that are compared with each other.

    Attributes:
        protocol: Whose training and validation clips are used.
        note: On all of them, for the table.
        candidates: By id, in the order of training.
    """

    protocol: str
    note: str
    candidates: dict[str, Candidate]


def _by_id(*candidates: Candidate) -> dict[str, Candidate]:
    return {candidate.id: candidate for candidate in candidates}


SEARCHES: dict[str, Search] = {
    "report": Search(
        "report-labels",
        "no noisy copies",
        _by_id(
            _of_cnn("cnn-coefficient", "standardized per coefficient (as the experiments are)"),
            _of_cnn(
                "cnn-element", "standardized per coefficient and frame", standardization="element"
            ),
            _of_cnn("cnn-raw", "raw MFCC", standardization="none"),
            _of_cnn("cnn-all", "one mean and deviation for everything", standardization="all"),
            _of_cnn("cnn-channels", "BatchNorm over channels", options={"norm": "channels"}),
            _of_cnn("cnn-hamming", "n_fft 1024, 512-sample Hamming window", spec=_SHORT_WINDOW),
            _of_cnn("cnn-offset", "3 s from 0.5 s on", crop="offset"),
            _of_cnn("cnn-centre", "centred 3 s, zeros on both sides", crop="centre"),
            _of_parallel(
                "parallel-coefficient", "standardized per coefficient (as the experiments)"
            ),
            _of_parallel("parallel-raw", "raw MFCC", standardization="none"),
            _of_parallel(
                "parallel-element",
                "standardized per coefficient and frame",
                standardization="element",
            ),
            _of_parallel(
                "parallel-max", "the encoder's maximum over time", options={"pooling": "max"}
            ),
        ),
    ),
    "compact": Search(
        "report",
        "a one-cycle schedule of their own length",
        _by_id(
            _of_compact("compact-centre", "centred 3 s, zeros on both sides"),
            _of_compact("compact-start", "the first 3 s", crop="start"),
            _of_compact(
                "compact-narrow",
                "16-32-64-96 channels, as the first lab net",
                options={"widths": [16, 32, 64, 96]},
            ),
            _of_compact(
                "compact-wide", "24-48-96-128 channels", options={"widths": [24, 48, 96, 128]}
            ),
            _of_compact("compact-no-mixup", "no mixup", {"mixed": 0.0}),
            _of_compact("compact-no-masks", "no SpecAugment", {"masks": 0}),
            _of_compact("compact-hard-labels", "no label smoothing", {"label_smoothing": 0.0}),
            _of_compact(
                "compact-mild",
                "no rooms, tilts and band limits; gain within 5 dB, noise from 10 dB on",
                {
                    "gain_db": (-5.0, 5.0),
                    "tilt_db": (0.0, 0.0),
                    "band_limited": 0.0,
                    "reverberant": 0.0,
                    "snr_db": (10.0, 40.0),
                    "noise_tilt_db": (0.0, 0.0),
                },
            ),
            _of_compact("compact-gain", "gain from -30 to +12 dB", {"gain_db": (-30.0, 12.0)}),
            _of_compact("compact-slow", "half the learning rate", learning_rate=1e-3),
            _of_compact(
                "compact-long",
                "100 epochs, no mixup, gain from -30 to +12 dB",
                {"mixed": 0.0, "gain_db": (-30.0, 12.0)},
                epochs=100,
            ),
            _of_compact("compact-wider", f"{_WIDER}, windows from the start", **_BROAD),
            _of_compact(
                "compact-relative",
                f"{_WIDER}, windows from the start, features below the loudest frame too",
                **_RELATIVE,
            ),
            _of_compact("compact-batch", "the same in batches of 32", **_RELATIVE, batch_size=32),
            _of_compact("compact-fine", "compact-relative with 96 bands", **_FINE),
            _of_compact("compact-low", "compact-relative with 80 bands below 5.5 kHz", **_LOW),
            _of_compact("compact-taught", f"{_TAUGHT}, 0.7 of the target", **_RELATIVE, taught=0.7),
            _of_compact("compact-taught-alone", f"{_TAUGHT}, no labels", **_RELATIVE, taught=1.0),
            _finishing("compact-finish", f"{_FINISHED} and no masks"),
            _finishing("compact-finish-masked", f"{_FINISHED} and half of the masks", masks=1),
            _finishing(
                "compact-second-cycle",
                f"{_FINISHED} and half of the masks, 40 epochs at 1e-3",
                phase={"epochs": 40, "learning_rate": 1e-3},
                masks=1,
            ),
            _finishing(
                "compact-finish-taught",
                f"{_FINISHED} and no masks, 0.7 of the target from the networks of three recipes",
                taught=0.7,
            ),
            _finishing(
                "compact-second-cycle-taught",
                f"{_FINISHED} and half of the masks, 24 epochs at 1e-3, 0.7 of the target from "
                "the networks of three recipes",
                taught=0.7,
                phase={"epochs": 24, "learning_rate": 1e-3},
                masks=1,
            ),
        ),
    ),
}
"""The order is that of training."""


def run_candidate(
    candidate: Candidate,
    index: CorpusIndex,
    split: Split,
    cache: Path,
    folder: Path,
    progress: TrainingProgress,
    teachers: tuple[Teacher, ...] = (),
    first_phase: FirstPhase | None = None,
) -> dict[str, list[float]]:
    """Train a candidate, or read what it gave; an unfinished one goes on.

    Args:
        candidate: What to train.
        index: The clips.
        split: Its training and validation clips.
        cache: Of features.
        folder: Of all candidates.
        progress: Where it is shown.
        teachers: What it may learn from.
        first_phase: What it may begin with.

    Returns:
        Losses and accuracies of each epoch (of the last phase, if it is that which differs), `KEPT`
        and `KEPT_LOSS`.

    Raises:
        RunFolderError: If the folder holds a candidate of this name with another recipe, or the
            first phase is of another training.
        UsageError: If it learns from teachers, or begins with a first phase, and there is none.
    """
    place = folder / candidate.id
    recipe = candidate.recipe(teachers, first_phase)
    Run(recipe, index, split, RunFolder(place)).check_first_phase()
    claim = {
        "recipe": _plain(recipe.experiment),
        "split": split.hash,
        "corpora": index.content_hash,
    }
    if recipe.teaching:
        claim["teaching"] = recipe.teaching.to_dict()
    if recipe.first_phase:
        claim["first_phase"] = recipe.first_phase.to_dict()
    claim_folder(place, claim)
    if (history := stored_history(candidate, folder)) is not None:
        return history
    kind = family(recipe.experiment.family)
    data = kind.load_data(index, split, recipe.experiment, cache, progress.features)
    model, state = kind.train(
        recipe, data, place / "checkpoint.npz", progress.batch, progress.epoch
    )
    probabilities = kind.predict(model, data.validation, recipe.experiment.scored_at_once)
    kept = validation_metrics(probabilities, data.validation.classes)
    history = state.history[state.phase] | {f"kept_{name}": [value] for name, value in kept.items()}
    write_text(place / "history.json", json.dumps({"history": history}, indent=1) + "\n")
    for checkpoint in RunFolder(place).checkpoints():
        checkpoint.unlink()
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
    return json.loads(json.dumps(recipe_of(experiment.to_dict())))


def search_table(search: Search, histories: dict[str, dict[str, list[float]]], split: Split) -> str:
    """The log of a search as Markdown, losers included.

    Args:
        search: What was looked for.
        histories: Of `run_candidate`, by candidate; some may be missing.
        split: What they were trained on.
    """
    lines = [
        f"Validation clips of `{split.name}` ({len(split.validation)}), seed {SEED}, "
        f"{len(split.train)} training clips, {search.note}; the test clips were not scored. "
        '`ser-train recipe-search` wrote this. "Kept": the weights that the training ends with, '
        "scored in float32; epochs are scored in the precision of the training.",
        "",
        "| candidate | what | epochs | kept | its loss | best accuracy | at epoch | lowest loss "
        "| training |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, history in _ranked(search, histories):
        accuracies = history["val_accuracy"]
        best = max(accuracies)
        epoch = accuracies.index(best)
        kept, loss = (f"{history[x][0]:.3f}" if x in history else "–" for x in (KEPT, KEPT_LOSS))
        lines.append(
            f"| {name} | {search.candidates[name].what} | {len(accuracies)} | {kept} | {loss} "
            f"| {best:.3f} | {epoch + 1} | {min(history['val_loss']):.3f} "
            f"| {history['accuracy'][epoch]:.3f} |"
        )
    return "\n".join(lines) + "\n"


def _ranked(
    search: Search, histories: dict[str, dict[str, list[float]]]
) -> Sequence[tuple[str, dict[str, list[float]]]]:
    """By experiment, the best first."""

    def place(item: tuple[str, dict[str, list[float]]]) -> tuple[str, float]:
        name, history = item
        best = history.get(KEPT, [max(history["val_accuracy"])])
        return search.candidates[name].experiment, -best[0]

    return sorted(histories.items(), key=place)
