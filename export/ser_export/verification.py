"""Whether a converted model is the model that was trained: on the test clips, within floors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import f1_score

from ser_runtime.errors import VerificationError
from ser_runtime.labels import EMOTIONS

LARGEST_DIFFERENCE = 1e-4
"""Of any probability, from Keras to an fp32 file."""

LARGEST_LOSS = 1e-9
"""Of accuracy and macro-F1, from the run's own figures to an fp32 file; ties are left out."""


@dataclass(frozen=True)
class Verification:
    """A converted model beside its origin, on the same clips.

    Attributes:
        clips: Number of test clips.
        largest_difference: Of any probability.
        mean_difference: Of all probabilities, absolute.
        ties: Clips whose two best classes lie closer than `largest_difference` may move them.
        disagreements: Clips, no ties, with another best class.
        accuracy: Of the converted model.
        macro_f1: Of the converted model.
        accuracy_loss: Of the original minus of the converted, ties left out.
        macro_f1_loss: As `accuracy_loss`.
    """

    clips: int
    largest_difference: float
    mean_difference: float
    ties: int
    disagreements: int
    accuracy: float
    macro_f1: float
    accuracy_loss: float
    macro_f1_loss: float

    @property
    def agreement(self) -> float:
        """Share of the clips, ties left out, with the same best class."""
        return 1.0 - self.disagreements / max(self.clips - self.ties, 1)

    def require(self) -> None:
        """Refuse a file below the floors.

        Raises:
            VerificationError: Saying which floor, with both figures.
        """
        faults = []
        # Written so that a NaN is a fault.
        if not self.largest_difference <= LARGEST_DIFFERENCE:
            faults.append(
                f"a probability differs by {self.largest_difference:.2e} "
                f"(at most {LARGEST_DIFFERENCE:.0e})"
            )
        if self.disagreements:
            faults.append(f"the best class differs in {self.disagreements} of {self.clips} clips")
        for name in ("accuracy", "macro_f1"):
            loss = getattr(self, f"{name}_loss")
            if not loss <= LARGEST_LOSS:
                faults.append(f"{name} is {loss:.4f} lower")
        if faults:
            raise VerificationError(f"nothing published: {'; '.join(faults)}")


def compare(
    classes: NDArray[np.int64],
    original: NDArray[np.float32],
    converted: NDArray[np.float32],
) -> Verification:
    """Set a converted model beside its origin.

    Args:
        classes: int64 [clips], the right classes.
        original: float32 [clips, classes], probabilities by Keras.
        converted: float32 [clips, classes], probabilities by the file.
    """
    difference = np.abs(original - converted)
    two_best = np.sort(original, axis=1)[:, -2:]
    ties = two_best[:, 1] - two_best[:, 0] <= 2 * LARGEST_DIFFERENCE
    best, converted_best = original.argmax(axis=1), converted.argmax(axis=1)
    before, after = (_figures(classes[~ties], chosen[~ties]) for chosen in (best, converted_best))
    accuracy, macro_f1 = _figures(classes, converted_best)
    return Verification(
        clips=len(classes),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        ties=int(ties.sum()),
        disagreements=int((best != converted_best)[~ties].sum()),
        accuracy=accuracy,
        macro_f1=macro_f1,
        accuracy_loss=before[0] - after[0],
        macro_f1_loss=before[1] - after[1],
    )


def _figures(classes: NDArray[np.int64], chosen: NDArray[np.int64]) -> tuple[float, float]:
    if not len(classes):
        return 0.0, 0.0
    labels: Any = range(len(EMOTIONS))
    macro_f1 = f1_score(classes, chosen, labels=labels, average="macro", zero_division=0)
    return float((classes == chosen).mean()), float(macro_f1)
