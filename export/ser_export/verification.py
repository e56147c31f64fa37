"""Whether a converted model is the model that was trained: on the test clips, within floors."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import VerificationError
from ser_runtime.labels import EMOTIONS
from ser_train.metrics import confusion_figures

LARGEST_DIFFERENCE = 1e-4
"""Of any probability: from the trained network to an fp32 file, and to what the run measured."""


@dataclass(frozen=True)
class Floor:
    """What a file must keep of the network that it was made from.

    Attributes:
        largest_difference: Of any probability, where every clip that is no tie must keep its best
            class too; None where the figures alone count.
        loss: Of accuracy, and of macro-F1, at most.
    """

    largest_difference: float | None
    loss: float


FLOORS = {
    "fp32": Floor(LARGEST_DIFFERENCE, 0.01),
    "fp16": Floor(None, 0.005),
    "int8": Floor(None, 0.01),
}
"""By precision."""

WAVEFORM_FLOOR = Floor(1e-3, 0.01)
"""Of a file that computes its features itself, in float32."""


@dataclass(frozen=True)
class Verification:
    """A converted model beside its origin, on the same clips.

    Attributes:
        clips: Number of test clips.
        largest_difference: Of any probability, from the trained network.
        mean_difference: Of all probabilities, absolute, from the trained network.
        ties: Clips whose two best classes lie closer than the floor may move them.
        disagreements: Clips, no ties, with another best class than by the trained network.
        accuracy: Of the converted model.
        macro_f1: Of the converted model.
        f1: Of each class, by the converted model.
        accuracy_loss: Accuracy of the trained network minus that of the converted model.
        macro_f1_loss: As `accuracy_loss`.
    """

    clips: int
    largest_difference: float
    mean_difference: float
    ties: int
    disagreements: int
    accuracy: float
    macro_f1: float
    f1: dict[str, float]
    accuracy_loss: float
    macro_f1_loss: float

    @property
    def agreement(self) -> float:
        """Share of the clips, ties left out, with the same best class as the trained network's."""
        return 1.0 - self.disagreements / max(self.clips - self.ties, 1)

    def faults(self, floor: Floor, allowed_loss: float | None = None) -> list[str]:
        """Which floors the file lies below, in words with both figures.

        Args:
            floor: Of its format.
            allowed_loss: In place of the floor: what may be lost of accuracy and macro-F1.
        """
        exact = floor.largest_difference if allowed_loss is None else None
        faults = []
        # Comparisons are written so that a NaN is a fault.
        if exact is not None:
            if not self.largest_difference <= exact:
                faults.append(
                    f"a probability differs from the trained network's by "
                    f"{self.largest_difference:.2e} (at most {exact:.0e})"
                )
            if self.disagreements:
                faults.append(
                    f"the best class differs in {self.disagreements} of {self.clips} clips"
                )
        elif not np.isfinite(self.largest_difference):
            faults.append("a probability is not a number")
        allowed = floor.loss if allowed_loss is None else allowed_loss
        for name, loss in (("accuracy", self.accuracy_loss), ("macro-F1", self.macro_f1_loss)):
            if not loss <= allowed:
                faults.append(
                    f"{100 * loss:.2f} points of {name} are lost (at most {100 * allowed:g})"
                )
        return faults

    def require(self, floor: Floor, allowed_loss: float | None = None) -> None:
        """Refuse a file below a floor; arguments as `faults`.

        Raises:
            VerificationError: Saying which floors.
        """
        if faults := self.faults(floor, allowed_loss):
            raise VerificationError(f"nothing published: {'; '.join(faults)}")


def compare(
    classes: NDArray[np.int64],
    original: NDArray[np.float32],
    converted: NDArray[np.float32],
    tie: float | None = None,
) -> Verification:
    """Set a converted model beside its origin.

    Args:
        classes: int64 [clips], the right classes.
        original: float32 [clips, classes], probabilities by the trained network, now.
        converted: As `original`, by the file.
        tie: Difference of any probability that the floor allows; default `LARGEST_DIFFERENCE`.
    """
    difference = np.abs(original - converted)
    two_best = np.sort(original, axis=1)[:, -2:]
    ties = two_best[:, 1] - two_best[:, 0] <= 2 * (tie or LARGEST_DIFFERENCE)
    best = converted.argmax(axis=1)
    before, after = (_figures(classes, guess) for guess in (original.argmax(axis=1), best))
    return Verification(
        clips=len(classes),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        ties=int(ties.sum()),
        disagreements=int((original.argmax(axis=1) != best)[~ties].sum()),
        accuracy=float(after["accuracy"][0]),
        macro_f1=float(after["macro_f1"][0]),
        f1={name: float(value) for name, value in zip(EMOTIONS, after["f1"][0], strict=True)},
        accuracy_loss=float(before["accuracy"][0] - after["accuracy"][0]),
        macro_f1_loss=float(before["macro_f1"][0] - after["macro_f1"][0]),
    )


def _figures(
    classes: NDArray[np.int64], recognized: NDArray[np.int64]
) -> dict[str, NDArray[np.float64]]:
    confusion = confusion_matrix(classes, recognized, labels=range(len(EMOTIONS)))
    return confusion_figures(confusion[None])


def require_as_measured(
    original: NDArray[np.float32], measured: NDArray[np.float32], exact: bool = True
) -> float:
    """Check that weights and clips are those that the run's figures come from.

    Args:
        original: float32 [clips, classes], probabilities by the trained network, now.
        measured: As `original`, by the run, when it was trained.
        exact: Whether it was trained in float32; mixed precision rounds otherwise than what is
            computed now, and then only the best classes must be the same in 95 % of the clips.

    Returns:
        The largest difference of a probability.

    Raises:
        VerificationError: If they are others.
    """
    difference = float(np.abs(original - measured).max())
    if exact and not difference <= LARGEST_DIFFERENCE:
        raise VerificationError(
            f"nothing published: a probability differs from the run's own predictions by "
            f"{difference:.2e} (at most {LARGEST_DIFFERENCE:.0e}): other weights, or other copies "
            "of the clips, than the run was scored with"
        )
    same = float((original.argmax(axis=1) == measured.argmax(axis=1)).mean())
    if not (np.isfinite(difference) and same >= 0.95):
        raise VerificationError(
            f"nothing published: the best class is the run's own in {same:.1%} of the clips alone"
        )
    return difference


def measured_probabilities(
    predictions: Mapping[str, NDArray[np.float32]], ids: Sequence[str]
) -> NDArray[np.float32]:
    """What a run measured of some clips: float32 [clips, classes].

    Raises:
        RunFolderError: If a clip is missing from the run's predictions.
    """
    if missing := [clip_id for clip_id in ids if clip_id not in predictions]:
        raise RunFolderError(f"predictions.csv lacks {len(missing)} clips, such as {missing[0]}")
    return np.array([predictions[clip_id] for clip_id in ids], np.float32)
