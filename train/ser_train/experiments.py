"""The registry: one row per experiment. Adding an experiment is adding a row."""

from __future__ import annotations

import dataclasses
import difflib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec


@dataclass(frozen=True)
class Experiment:
    """A model and its recipe.

    Attributes:
        id: Name on the command line, in run folders and in results.
        title: One line for tables.
        section: Where the report describes it.
        architecture: Name of a function in `ser_train.architectures`.
        spec: Its features.
        noisy_copies: Copies with white noise that join every training clip.
        learning_rate: Of Adam.
        batch_size: Clips a step. The report does not print it; 32 is ours (Keras' default).
        max_epochs: No training is longer.
        patience: Epochs without a lower validation loss after which training stops.
        retrain: Whether the model is trained anew for the best number of epochs, as the report
            does for its CNN; else the weights of the best epoch are kept.
        parameters: All parameters, as the report prints them.
        trainable_parameters: Those that are trained.
        note: What is ours and not the report's.
    """

    id: str
    title: str
    section: str
    architecture: str
    spec: FeatureSpec
    noisy_copies: int
    learning_rate: float
    batch_size: int
    max_epochs: int
    patience: int
    retrain: bool
    parameters: int
    trainable_parameters: int
    note: str

    def to_dict(self) -> dict[str, Any]:
        """The row as plain JSON values."""
        return dataclasses.asdict(self)


EXPERIMENTS: dict[str, Experiment] = {
    row.id: row
    for row in (
        Experiment(
            id="cnn",
            title="single CNN on MFCC, 2-fold AWGN",
            section="4.3",
            architecture="cnn",
            spec=MFCC,
            noisy_copies=2,
            learning_rate=1e-2,
            batch_size=32,
            max_epochs=100,
            patience=12,
            retrain=True,
            parameters=27_495,
            trainable_parameters=27_191,
            note=(
                "Ours: the batch size, the patience (the report allowed 100 epochs and found its "
                "best at 67) and the standardized input; the best epoch is the one of lowest "
                "validation loss."
            ),
        ),
    )
}


def find_experiment(name: str, also: Iterable[str] = ()) -> Experiment:
    """The row of a name.

    Args:
        name: An experiment id.
        also: Other words that may have been meant.

    Raises:
        UsageError: If there is none; it names the nearest ones.
    """
    if name in EXPERIMENTS:
        return EXPERIMENTS[name]
    near = difflib.get_close_matches(name, [*EXPERIMENTS, *also], n=3, cutoff=0.4)
    hint = f"did you mean {' or '.join(near)}?" if near else f"known: {', '.join(EXPERIMENTS)}"
    raise UsageError(f"no experiment or command {name!r}; {hint}")
