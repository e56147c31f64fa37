"""The network of `compact`: what its options change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

SHAPE = (16, 12)
WIDTHS = (4, 4, 8, 8)


@pytest.fixture
def compact(tensorflow: None) -> Callable[..., Any]:
    from ser_train.compact.network import compact

    return compact


def test_what_lies_below_the_loudest_frame_does_not_change_with_the_level(
    compact: Callable[..., Any],
) -> None:
    import keras

    model = compact(SHAPE, WIDTHS, relative=True)
    levels = keras.Model(model.input, model.get_layer("levels").output)
    features = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    as_given, below = np.moveaxis(np.asarray(levels(features)), -1, 0)
    np.testing.assert_array_equal(as_given, features)
    np.testing.assert_allclose(below.mean(axis=1).max(axis=1), 0.0, atol=1e-6)
    _, below_when_louder = np.moveaxis(np.asarray(levels(features + 3.0)), -1, 0)
    np.testing.assert_allclose(below_when_louder, below, atol=1e-5)


def test_without_the_option_the_network_has_no_such_layer(compact: Callable[..., Any]) -> None:
    model = compact(SHAPE, WIDTHS)
    assert "levels" not in {layer.name for layer in model.layers}
