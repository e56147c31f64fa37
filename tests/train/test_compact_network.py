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


def test_untrained_a_network_that_knows_the_bands_answers_as_one_that_does_not(
    compact: Callable[..., Any],
) -> None:
    import keras

    features = np.random.default_rng(0).normal(size=(2, *SHAPE)).astype(np.float32)
    answers = []
    for located in (False, True):
        keras.utils.set_random_seed(0)
        answers.append(np.asarray(compact(SHAPE, WIDTHS, located=located)(features)))
    np.testing.assert_allclose(*answers, atol=1e-6)


def test_the_same_sound_in_another_band_is_another_only_for_who_knows_the_bands(
    compact: Callable[..., Any],
) -> None:
    import keras

    model = compact(SHAPE, WIDTHS, located=True)
    stem = keras.Model(model.input, model.get_layer("stem_relu").output)
    bands = model.get_layer("stem_bands")
    low, high = np.zeros((2, 1, *SHAPE), np.float32)
    low[0, 5], high[0, 9] = 1.0, 1.0
    for known in (False, True):
        if known:
            rng = np.random.default_rng(1)
            bands.bias.assign(rng.normal(size=bands.bias.shape).astype(np.float32))
        # Four bands further up are two after the stem's stride of two.
        of_low, of_high = (np.asarray(stem(x))[0] for x in (low, high))
        assert np.allclose(of_low[1:5], of_high[3:7], atol=1e-6) != known


def test_bands_are_weighed_one_by_one(tensorflow: None) -> None:
    from ser_train.compact.network import BandWeights

    x = np.random.default_rng(0).normal(size=(2, 3, 5, 4)).astype(np.float32)
    layer = BandWeights()
    np.testing.assert_allclose(np.asarray(layer(x)), x.mean(axis=1), atol=1e-6)
    weights = np.zeros((3, 1, 4), np.float32)
    weights[1, 0, 2] = 2.0
    layer.kernel.assign(weights)
    wanted = np.zeros((2, 5, 4), np.float32)
    wanted[..., 2] = 2 * x[:, 1, :, 2]
    np.testing.assert_allclose(np.asarray(layer(x)), wanted, atol=1e-6)
