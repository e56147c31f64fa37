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
"""Of any probability, from Keras and from the run's own predictions to an fp32 file."""


@dataclass(frozen=True)
class Verification:
    """A converted model beside its origin, on the same clips.

    Attributes:
        clips: Number of test clips.
        largest_difference: Of any probability, from Keras.
        mean_difference: Of all probabilities, absolute, from Keras.
        run_difference: Of any probability, from what the run measured when it was trained.
        ties: Clips whose two best classes lie closer than `LARGEST_DIFFERENCE` may move them.
        disagreements: Clips, no ties, with another best class than by Keras.
        accuracy: Of the converted model.
        macro_f1: Of the converted model.
    """

    clips: int
    largest_difference: float
    mean_difference: float
    run_difference: float
    ties: int
    disagreements: int
    accuracy: float
    macro_f1: float

    @property
    def agreement(self) -> float:
        """Share of the clips, ties left out, with the same best class as by Keras."""
        return 1.0 - self.disagreements / max(self.clips - self.ties, 1)

    def require(self) -> None:
        """Refuse a file below the floors.

        Within them, accuracy and macro-F1 can differ from the run's only by ties.

        Raises:
            VerificationError: Saying which floor, with both figures.
        """
        faults = []
        for name, value in (
            ("Keras", self.largest_difference),
            ("the run's own predictions", self.run_difference),
        ):
            # Written so that a NaN is a fault.
            if not value <= LARGEST_DIFFERENCE:
                faults.append(
                    f"a probability differs from {name} by {value:.2e} "
                    f"(at most {LARGEST_DIFFERENCE:.0e})"
                )
        if self.disagreements:
            faults.append(f"the best class differs in {self.disagreements} of {self.clips} clips")
        if faults:
            raise VerificationError(f"nothing published: {'; '.join(faults)}")


def compare(
    classes: NDArray[np.int64],
    original: NDArray[np.float32],
    measured: NDArray[np.float32],
    converted: NDArray[np.float32],
) -> Verification:
    """Set a converted model beside its origin.

    Args:
        classes: int64 [clips], the right classes.
        original: float32 [clips, classes], probabilities by Keras, now.
        measured: As `original`, by the run, when it was trained.
        converted: As `original`, by the file.
    """
    difference = np.abs(original - converted)
    two_best = np.sort(original, axis=1)[:, -2:]
    ties = two_best[:, 1] - two_best[:, 0] <= 2 * LARGEST_DIFFERENCE
    best = converted.argmax(axis=1)
    figures = confusion_figures(confusion_matrix(classes, best, labels=range(len(EMOTIONS)))[None])
    return Verification(
        clips=len(classes),
        largest_difference=float(difference.max()),
        mean_difference=float(difference.mean()),
        run_difference=float(np.abs(measured - converted).max()),
        ties=int(ties.sum()),
        disagreements=int((original.argmax(axis=1) != best)[~ties].sum()),
        accuracy=float(figures["accuracy"][0]),
        macro_f1=float(figures["macro_f1"][0]),
    )


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
