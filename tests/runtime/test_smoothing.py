"""Smoothing in log-probabilities, by time."""

from __future__ import annotations

import numpy as np
import pytest

from ser_runtime.smoothing import LogSmoother

A = np.array([0.7, 0.2, 0.1], np.float32)
B = np.array([0.1, 0.3, 0.6], np.float32)


def test_the_first_window_stays_as_it_is() -> None:
    smoother = LogSmoother(2.0)
    np.testing.assert_array_equal(smoother(A, 1.0), A)
    smoother(B, 1.5)
    smoother.reset()
    np.testing.assert_array_equal(smoother(B, 2.0), B)


def test_a_window_weighs_by_the_time_since_the_one_before() -> None:
    smoother = LogSmoother(2.0)
    smoother(A, 1.0)
    weight = 1 - np.exp(-0.5 / 2.0)
    mean = A ** (1 - weight) * B**weight
    np.testing.assert_allclose(smoother(B, 1.5), mean / mean.sum(), rtol=1e-6)


def test_two_steps_are_one_of_twice_the_length() -> None:
    fine, coarse = LogSmoother(1.0), LogSmoother(1.0)
    fine(A, 0.0)
    coarse(A, 0.0)
    fine(B, 0.25)
    np.testing.assert_allclose(fine(B, 0.5), coarse(B, 0.5), rtol=1e-9)


def test_without_a_time_constant_nothing_changes() -> None:
    smoother = LogSmoother(0)
    smoother(A, 1.0)
    np.testing.assert_array_equal(smoother(B, 1.5), B)


def test_a_probability_of_0_is_no_veto_for_ever() -> None:
    smoother = LogSmoother(1.0)
    smoother(np.array([1.0, 0.0], np.float32), 0.0)
    for time in range(1, 20):
        smoothed = smoother(np.array([0.0, 1.0], np.float32), float(time))
    assert smoothed.sum() == pytest.approx(1)
    assert smoothed[1] > 0.99
