"""The registry of tunings: one row per search of the report for a recipe."""

from __future__ import annotations

from dataclasses import dataclass

from ser_train.experiments import VGG16_WEIGHTS


@dataclass(frozen=True)
class Tuning:
    """A search over the learning rates of an experiment, and over what else it names.

    Attributes:
        id: Name on the command line.
        title: One line for tables.
        section: Where the report describes it.
        experiment: Whose learning rate is tuned.
        learning_rates: To choose from.
        max_epochs: Of the longest trial.
        factor: Of Hyperband: each round keeps one trial in so many, and trains it so many times
            as long.
        note: What is ours and not the report's.
        units: Of each of its dense layers: smallest number, largest, and step.
        pretrained: As in its experiment.
    """

    id: str
    title: str
    section: str
    experiment: str
    learning_rates: tuple[float, ...]
    max_epochs: int
    factor: int
    note: str
    units: tuple[tuple[int, int, int], ...] = ()
    pretrained: str = ""


TUNINGS: dict[str, Tuning] = {
    row.id: row
    for row in (
        Tuning(
            id="cnn-tuning",
            title="Hyperband over the single CNN's learning rate",
            section="4.3.2",
            experiment="cnn",
            learning_rates=(1e-5, 1e-4, 1e-3, 1e-2),
            # KerasTuner's first bracket then begins with as many trials as there are rates.
            max_epochs=4,
            factor=2,
            note="Ours: the length of the trials; the report prints none.",
        ),
        Tuning(
            id="vgg16-0",
            title="Hyperband over the classifier of the frozen VGG16",
            section="5.2.1",
            experiment="vgg16-1",
            learning_rates=(1e-5, 1e-4, 1e-3),
            # The report trained its choice for 15 epochs.
            max_epochs=15,
            factor=3,
            note="Ours: Hyperband, as for the single CNN, and the length of the trials; the "
            "report prints neither, nor any figure but its choice.",
            units=((64, 512, 64), (32, 256, 32)),
            pretrained=VGG16_WEIGHTS,
        ),
    )
}
