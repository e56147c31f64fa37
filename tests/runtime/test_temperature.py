"""Temperature scaling against the softmax of scaled logits."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.special

from ser_runtime.temperature import apply_temperature

LOGITS = np.random.default_rng(0).normal(0, 3, (50, 7))
PROBABILITIES = scipy.special.softmax(LOGITS, axis=1).astype(np.float32)


@pytest.mark.parametrize("temperature", [0.5, 1.5, 4.0])
def test_it_is_the_softmax_of_the_divided_logits(temperature: float) -> None:
    scaled = apply_temperature(PROBABILITIES, temperature)
    assert scaled.dtype == np.float32
    np.testing.assert_allclose(
        scaled, scipy.special.softmax(LOGITS / temperature, axis=1), atol=1e-6
    )


def test_a_temperature_of_1_changes_no_bit() -> None:
    np.testing.assert_array_equal(apply_temperature(PROBABILITIES, 1.0), PROBABILITIES)


@pytest.mark.parametrize("temperature", [0.3, 2.0])
def test_the_answer_stays(temperature: float) -> None:
    scaled = apply_temperature(PROBABILITIES, temperature)
    np.testing.assert_array_equal(scaled.argmax(axis=1), PROBABILITIES.argmax(axis=1))


@pytest.mark.parametrize("temperature", [0.01, 0.5, 2.0, 100.0])
def test_a_certain_answer_stays_finite_and_sums_to_1(temperature: float) -> None:
    scaled = apply_temperature(np.eye(7, dtype=np.float32), temperature)
    assert np.isfinite(scaled).all()
    np.testing.assert_allclose(scaled.sum(axis=1), 1, atol=1e-6)
