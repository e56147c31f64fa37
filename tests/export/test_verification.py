"""Whether a converted model is the one that was trained, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_export.verification import LARGEST_DIFFERENCE
from ser_export.verification import Verification
from ser_export.verification import compare
from ser_export.verification import measured_probabilities
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import VerificationError

CLASSES = np.array([0, 1, 2, 3])


def compared(
    classes: NDArray[np.int64], original: NDArray[np.float32], converted: NDArray[np.float32]
) -> Verification:
    """Where the run measured what Keras computes now."""
    return compare(classes, original, original, converted)


def sure(predicted: list[int]) -> NDArray[np.float32]:
    """Probability 0.7 for a class, 0.05 for the others."""
    rows = np.full((len(predicted), 7), 0.05, np.float32)
    rows[np.arange(len(predicted)), predicted] = 0.7
    return rows


def moved(probabilities: NDArray[np.float32], by: float) -> NDArray[np.float32]:
    """One probability of the first clip moved."""
    result = probabilities.copy()
    result[0, 6] += by
    return result


def tie(first: int, second: int, gap: float) -> NDArray[np.float32]:
    """One clip whose two best classes are this close."""
    row = np.full((1, 7), 0.02, np.float32)
    row[0, first], row[0, second] = 0.45 + gap, 0.45
    return row


def test_an_equal_model_passes() -> None:
    result = compared(CLASSES, sure([0, 1, 2, 0]), sure([0, 1, 2, 0]))
    result.require()
    assert (result.clips, result.largest_difference, result.disagreements) == (4, 0.0, 0)
    assert (result.accuracy, result.agreement) == (0.75, 1.0)


def test_a_difference_below_the_floor_passes() -> None:
    original = sure([0, 1, 2, 3])
    result = compared(CLASSES, original, moved(original, 0.9 * LARGEST_DIFFERENCE))
    result.require()
    assert result.largest_difference == pytest.approx(0.9 * LARGEST_DIFFERENCE, rel=1e-3)
    assert result.mean_difference == pytest.approx(result.largest_difference / 28)


@pytest.mark.parametrize("by", [1.1 * LARGEST_DIFFERENCE, -0.01])
def test_a_difference_above_the_floor_is_refused(by: float) -> None:
    original = sure([0, 1, 2, 3])
    with pytest.raises(
        VerificationError, match="nothing published: a probability differs from Keras"
    ):
        compared(CLASSES, original, moved(original, by)).require()


def test_another_best_class_is_refused() -> None:
    result = compared(CLASSES, sure([0, 1, 2, 3]), sure([0, 1, 2, 4]))
    assert (result.disagreements, result.agreement) == (1, 0.75)
    with pytest.raises(VerificationError, match="the best class differs in 1 of 4 clips"):
        result.require()


def test_predictions_of_the_run_that_differ_are_refused() -> None:
    original = sure([0, 1, 2, 3])
    result = compare(CLASSES, original, moved(original, 0.01), original)
    assert result.run_difference == pytest.approx(0.01, rel=1e-3)
    with pytest.raises(VerificationError, match="differs from the run's own predictions"):
        result.require()


def test_a_tie_may_fall_either_way() -> None:
    original = np.concatenate([tie(0, 1, LARGEST_DIFFERENCE / 2), sure([1, 2, 3])])
    converted = np.concatenate([tie(1, 0, 0.0), sure([1, 2, 3])])
    converted[0, 1] += LARGEST_DIFFERENCE / 4
    result = compared(CLASSES, original, converted)
    result.require()
    assert (result.ties, result.disagreements, result.agreement) == (1, 0, 1.0)


def test_two_classes_that_are_further_apart_are_no_tie() -> None:
    original = np.concatenate([tie(0, 1, 3 * LARGEST_DIFFERENCE), sure([1, 2, 3])])
    assert compared(CLASSES, original, original).ties == 0


def test_a_model_of_ties_alone_still_has_to_agree_within_the_floor() -> None:
    original = np.full((4, 7), 1 / 7, np.float32)
    with pytest.raises(VerificationError):
        compared(CLASSES, original, moved(original, 0.1)).require()


@pytest.mark.parametrize("both", [False, True])
def test_a_probability_that_is_not_a_number_is_refused(both: bool) -> None:
    original = sure([0, 1, 2, 3])
    broken = moved(original, float("nan"))
    with pytest.raises(VerificationError):
        compared(CLASSES, broken if both else original, broken).require()


def test_figures_are_of_the_converted_model() -> None:
    result = compared(CLASSES, sure([0, 1, 2, 3]), sure([0, 1, 4, 4]))
    assert result.accuracy == 0.5
    assert result.macro_f1 == pytest.approx(2 / 5)


def test_measured_probabilities_come_in_the_order_of_the_clips() -> None:
    predictions = dict(zip("ab", sure([0, 1]), strict=True))
    np.testing.assert_array_equal(measured_probabilities(predictions, ["b", "a"]), sure([1, 0]))


def test_a_clip_without_a_measured_probability_is_named() -> None:
    with pytest.raises(RunFolderError, match=r"predictions\.csv lacks 1 clips, such as b"):
        measured_probabilities({"a": sure([0])[0]}, ["a", "b"])
