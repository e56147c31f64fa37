"""Whether a converted model is the one that was trained, by hand."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_export.verification import FLOORS
from ser_export.verification import LARGEST_DIFFERENCE
from ser_export.verification import WAVEFORM_FLOOR
from ser_export.verification import compare
from ser_export.verification import measured_probabilities
from ser_export.verification import require_as_measured
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import VerificationError

EXACT, INT8 = FLOORS["fp32"], FLOORS["int8"]
CLASSES = np.array([0, 1, 2, 3])
MANY = np.arange(700) % 7


def sure(predicted: list[int] | NDArray[np.int64]) -> NDArray[np.float32]:
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


def wrong(count: int) -> NDArray[np.int64]:
    """`MANY` with so many mistakes."""
    recognized = MANY.copy()
    recognized[:count] = (recognized[:count] + 1) % 7
    return recognized


def test_an_equal_model_passes() -> None:
    result = compare(CLASSES, sure([0, 1, 2, 0]), sure([0, 1, 2, 0]))
    result.require(EXACT)
    assert (result.clips, result.largest_difference, result.disagreements) == (4, 0.0, 0)
    assert (result.accuracy, result.agreement) == (0.75, 1.0)


@pytest.mark.parametrize("floor", [EXACT, WAVEFORM_FLOOR])
def test_a_difference_below_the_floor_passes(floor: object) -> None:
    original = sure([0, 1, 2, 3])
    by = 0.9 * floor.largest_difference
    result = compare(CLASSES, original, moved(original, by))
    result.require(floor)
    assert result.largest_difference == pytest.approx(by, rel=1e-3)
    assert result.mean_difference == pytest.approx(result.largest_difference / 28)


@pytest.mark.parametrize("by", [1.1 * LARGEST_DIFFERENCE, -0.01])
def test_a_difference_above_the_floor_is_refused(by: float) -> None:
    original = sure([0, 1, 2, 3])
    with pytest.raises(
        VerificationError, match="nothing published: a probability differs from the trained"
    ):
        compare(CLASSES, original, moved(original, by)).require(EXACT)


def test_another_best_class_is_refused() -> None:
    result = compare(CLASSES, sure([0, 1, 2, 3]), sure([0, 1, 2, 4]))
    assert (result.disagreements, result.agreement) == (1, 0.75)
    with pytest.raises(VerificationError, match="the best class differs in 1 of 4 clips"):
        result.require(EXACT)


def test_a_tie_may_fall_either_way() -> None:
    original = np.concatenate([tie(0, 1, LARGEST_DIFFERENCE / 2), sure([1, 2, 3])])
    converted = np.concatenate([tie(1, 0, 0.0), sure([1, 2, 3])])
    converted[0, 1] += LARGEST_DIFFERENCE / 4
    result = compare(np.array([1, 1, 2, 3]), original, converted)
    result.require(EXACT)
    assert (result.ties, result.disagreements, result.agreement) == (1, 0, 1.0)


def test_two_classes_that_are_further_apart_are_no_tie() -> None:
    original = np.concatenate([tie(0, 1, 3 * LARGEST_DIFFERENCE), sure([1, 2, 3])])
    assert compare(CLASSES, original, original).ties == 0
    assert compare(CLASSES, original, original, tie=1e-3).ties == 1


def test_a_model_of_ties_alone_still_has_to_agree_within_the_floor() -> None:
    original = np.full((4, 7), 1 / 7, np.float32)
    with pytest.raises(VerificationError):
        compare(CLASSES, original, moved(original, 0.1)).require(EXACT)


@pytest.mark.parametrize("floor", FLOORS.values(), ids=FLOORS)
@pytest.mark.parametrize("both", [False, True])
def test_a_probability_that_is_not_a_number_is_refused(floor: object, both: bool) -> None:
    original = sure([0, 1, 2, 3])
    broken = moved(original, float("nan"))
    result = compare(CLASSES, broken if both else original, broken)
    for allowed in (None, 0.5):
        with pytest.raises(VerificationError):
            result.require(floor, allowed)


def test_int8_may_move_probabilities_but_lose_a_point_at_most() -> None:
    original = sure(MANY)
    passing = compare(MANY, original, sure(wrong(7)))
    assert passing.accuracy_loss == pytest.approx(0.01)
    compare(MANY, original, sure(wrong(6))).require(INT8)
    with pytest.raises(VerificationError, match=r"1\.14 points of accuracy are lost \(at most 1\)"):
        compare(MANY, original, sure(wrong(8))).require(INT8)


def test_losing_a_class_is_refused_by_macro_f1() -> None:
    # Two clips in 700 are of class 6: to lose them costs 0.3 points of accuracy.
    classes = np.concatenate([np.arange(698) % 6, [6, 6]])
    recognized = classes.copy()
    recognized[-2:] = 0
    with pytest.raises(VerificationError, match="of macro-F1 are lost") as refused:
        compare(classes, sure(classes), sure(recognized)).require(INT8)
    assert "accuracy" not in str(refused.value)


def test_a_file_that_is_better_than_its_origin_passes() -> None:
    result = compare(MANY, sure(wrong(70)), sure(MANY))
    assert result.accuracy_loss == pytest.approx(-0.1)
    result.require(INT8)


def test_an_allowed_loss_takes_the_place_of_the_floors() -> None:
    result = compare(MANY, sure(MANY), sure(wrong(21)))
    assert result.faults(EXACT)
    result.require(EXACT, allowed_loss=0.04)
    result.require(INT8, allowed_loss=0.04)
    with pytest.raises(VerificationError, match=r"3\.00 points of accuracy .*at most 2"):
        result.require(INT8, allowed_loss=0.02)


def test_figures_are_of_the_converted_model() -> None:
    result = compare(CLASSES, sure([0, 1, 2, 3]), sure([0, 1, 4, 4]))
    assert result.accuracy == 0.5
    assert result.macro_f1 == pytest.approx(2 / 5)
    assert result.f1["angry"] == result.f1["disgust"] == 1.0
    assert result.f1["fear"] == 0.0


def test_other_weights_than_those_that_were_measured_are_refused() -> None:
    original = sure([0, 1, 2, 3])
    assert require_as_measured(original, moved(original, 0.9e-4)) == pytest.approx(0.9e-4, rel=1e-2)
    with pytest.raises(VerificationError, match="differs from the run's own predictions"):
        require_as_measured(original, moved(original, 0.01))
    with pytest.raises(VerificationError, match="differs from the run's own predictions"):
        require_as_measured(original, moved(original, float("nan")))


def test_of_a_training_in_mixed_precision_the_best_classes_have_to_be_the_same() -> None:
    original = sure(MANY)
    require_as_measured(original, moved(original, 0.01), exact=False)
    require_as_measured(original, sure(wrong(35)), exact=False)
    for measured in (sure(wrong(36)), moved(original, float("nan"))):
        with pytest.raises(VerificationError, match="the best class is the run's own in"):
            require_as_measured(original, measured, exact=False)


def test_measured_probabilities_come_in_the_order_of_the_clips() -> None:
    predictions = dict(zip("ab", sure([0, 1]), strict=True))
    np.testing.assert_array_equal(measured_probabilities(predictions, ["b", "a"]), sure([1, 0]))


def test_a_clip_without_a_measured_probability_is_named() -> None:
    with pytest.raises(RunFolderError, match=r"predictions\.csv lacks 1 clips, such as b"):
        measured_probabilities({"a": sure([0])[0]}, ["a", "b"])
