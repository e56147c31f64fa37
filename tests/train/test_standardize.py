"""Mean and deviation of a split's training clips."""

from __future__ import annotations

import json

import numpy as np
import pytest

from ser_runtime.standardization import Standardization
from ser_train.features.cache import ClipFeatures
from ser_train.features.standardize import SCALES
from ser_train.features.standardize import measure_standardization

CLIPS = 600


@pytest.fixture
def features() -> ClipFeatures:
    """Random features around -300 with a deviation of 50, in a clean and a noisy copy."""
    values = np.random.default_rng(0).normal(-300, 50, (CLIPS, 2, 5, 7)).astype(np.float32)
    return ClipFeatures(tuple(f"clip{i}" for i in range(CLIPS)), values)


def test_mean_and_deviation_are_those_of_the_clean_training_clips(features: ClipFeatures) -> None:
    rows = np.arange(0, CLIPS, 2)
    clean = features.values[rows, 0].astype(np.float64)
    measured = measure_standardization(features, rows)
    np.testing.assert_allclose(measured.mean[:, 0], clean.mean(axis=(0, 2)), rtol=1e-6)
    np.testing.assert_allclose(measured.deviation[:, 0], clean.std(axis=(0, 2)), rtol=1e-6)


def test_training_clips_become_standard(features: ClipFeatures) -> None:
    rows = np.arange(100)
    result = measure_standardization(features, rows)(features.values[rows, 0])
    np.testing.assert_allclose(result.mean(axis=(0, 2)), 0, atol=1e-4)
    np.testing.assert_allclose(result.std(axis=(0, 2)), 1, rtol=1e-4)


def test_other_clips_have_no_influence(features: ClipFeatures) -> None:
    rows = np.arange(100)
    before = measure_standardization(features, rows)
    features.values[100:] = 1e6
    np.testing.assert_array_equal(measure_standardization(features, rows).mean, before.mean)


def test_noisy_copies_have_no_influence(features: ClipFeatures) -> None:
    rows = np.arange(100)
    before = measure_standardization(features, rows)
    features.values[:, 1] = 1e6
    np.testing.assert_array_equal(measure_standardization(features, rows).mean, before.mean)


def test_a_constant_coefficient_is_not_divided_by_zero(features: ClipFeatures) -> None:
    features.values[:, :, 2] = 4.0
    measured = measure_standardization(features, np.arange(CLIPS))
    assert measured.deviation[2, 0] == 1.0
    assert not measured(features.values[:, 0])[:, 2].any()


def test_a_constant_coefficient_that_float_cannot_hold_is_not_blown_up(
    features: ClipFeatures,
) -> None:
    features.values[:, :, 2] = np.float32(-1131.3709)
    standardized = measure_standardization(features, np.arange(CLIPS))(features.values[:, 0])
    assert np.abs(standardized[:, 2]).max() < 1


def test_arrays_are_float32_columns(features: ClipFeatures) -> None:
    measured = measure_standardization(features, np.arange(10))
    assert (measured.mean.shape, measured.mean.dtype) == ((5, 1), np.float32)
    assert (measured.deviation.shape, measured.deviation.dtype) == ((5, 1), np.float32)


def directly(clean: np.ndarray, scale: str) -> tuple[np.ndarray, np.ndarray]:
    """Mean and deviation of [clips, 5, 7] as numpy has them, broadcast to [5, 7]."""
    if scale == "none":
        return np.zeros((5, 7)), np.ones((5, 7))
    axes = {"coefficient": (0, 2), "element": (0,), "all": None}[scale]
    mean, deviation = clean.mean(axis=axes, keepdims=True), clean.std(axis=axes, keepdims=True)
    return np.broadcast_to(mean, (1, 5, 7))[0], np.broadcast_to(deviation, (1, 5, 7))[0]


every_scale = pytest.mark.parametrize("scale", SCALES)


@every_scale
def test_what_shares_a_mean_and_a_deviation_is_what_the_scale_says(
    features: ClipFeatures, scale: str
) -> None:
    features.values[:] += np.arange(35, dtype=np.float32).reshape(5, 7) ** 2
    rows = np.arange(0, CLIPS, 2)
    mean, deviation = directly(features.values[rows, 0].astype(np.float64), scale)
    measured = measure_standardization(features, rows, scale)
    np.testing.assert_allclose(measured.mean - np.zeros((5, 7)), mean, rtol=1e-6)
    np.testing.assert_allclose(measured.deviation - np.zeros((5, 7)), deviation, rtol=1e-6)


@every_scale
def test_every_scale_survives_json(features: ClipFeatures, scale: str) -> None:
    measured = measure_standardization(features, np.arange(10), scale)
    stored = Standardization.from_dict(json.loads(json.dumps(measured.to_dict())))
    values = features.values[:3, 0]
    np.testing.assert_array_equal(stored(values), measured(values))


def test_with_the_scale_none_features_stay_as_they_are(features: ClipFeatures) -> None:
    measured = measure_standardization(features, np.arange(10), "none")
    np.testing.assert_array_equal(measured(features.values[:, 0]), features.values[:, 0])


def test_a_constant_element_is_not_divided_by_zero(features: ClipFeatures) -> None:
    features.values[:, :, 2, 3] = 4.0
    measured = measure_standardization(features, np.arange(CLIPS), "element")
    assert not measured(features.values[:, 0])[:, 2, 3].any()
