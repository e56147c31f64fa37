"""Standardizing features, and its journey through JSON."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import ModelFileError
from ser_runtime.standardization import Standardization

BY_COEFFICIENT = Standardization(
    np.array([[1.0], [-2.0]], np.float32), np.array([[2.0], [0.5]], np.float32)
)


def test_the_mean_is_subtracted_and_the_deviation_divides() -> None:
    features = np.array([[[3.0, 1.0, -1.0], [-2.0, -1.0, 0.0]]], np.float32)
    standardized = BY_COEFFICIENT(features)
    assert standardized.dtype == np.float32
    assert standardized.tolist() == [[[1.0, 0.0, -1.0], [0.0, 2.0, 4.0]]]


@pytest.mark.parametrize("shape", [(128, 1), (128, 94)])
def test_it_survives_json_bit_by_bit(shape: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    mean = rng.normal(size=shape).astype(np.float32)
    deviation = rng.uniform(0.1, 50, shape).astype(np.float32)
    fields = json.loads(json.dumps(Standardization(mean, deviation).to_dict()))
    back = Standardization.from_dict(fields)
    np.testing.assert_array_equal(back.mean, mean)
    np.testing.assert_array_equal(back.deviation, deviation)


def test_an_array_in_another_order_keeps_its_values() -> None:
    mean = np.asfortranarray(np.arange(6, dtype=np.float32).reshape(2, 3))
    back = Standardization.from_dict(Standardization(mean, mean + 1).to_dict())
    np.testing.assert_array_equal(back.mean, mean)


@pytest.mark.parametrize(
    "damage",
    [
        {"mean": "not base64!"},
        {"mean": ""},
        {"mean": "AAAA"},
        {"mean": None},
        {"shape": [3, 1]},
        {"shape": ["2", 1]},
        {"shape": "2x1"},
    ],
    ids=str,
)
def test_damaged_fields_are_refused(damage: dict[str, Any]) -> None:
    with pytest.raises(ModelFileError, match="standardization is damaged"):
        Standardization.from_dict(BY_COEFFICIENT.to_dict() | damage)


@pytest.mark.parametrize("name", ["shape", "mean", "deviation"])
def test_a_missing_field_is_refused_by_its_name(name: str) -> None:
    fields = BY_COEFFICIENT.to_dict()
    del fields[name]
    with pytest.raises(ModelFileError, match=name):
        Standardization.from_dict(fields)


@pytest.mark.parametrize("value", [0.0, -1.0, np.nan, np.inf])
def test_a_deviation_that_cannot_be_is_refused(value: float) -> None:
    wrong = Standardization(BY_COEFFICIENT.mean, np.array([[1.0], [value]], np.float32))
    with pytest.raises(ModelFileError, match="values that cannot be"):
        Standardization.from_dict(wrong.to_dict())


@pytest.mark.parametrize("value", [np.nan, -np.inf])
def test_a_mean_that_cannot_be_is_refused(value: float) -> None:
    wrong = Standardization(np.array([[1.0], [value]], np.float32), BY_COEFFICIENT.deviation)
    with pytest.raises(ModelFileError, match="values that cannot be"):
        Standardization.from_dict(wrong.to_dict())
