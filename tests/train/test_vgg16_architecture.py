"""VGG16 with the report's classifier: its counts, its parts, and what happens only in training."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment

OF_VGG16 = {name: row for name, row in EXPERIMENTS.items() if row.family == "vgg16"}
every_experiment = pytest.mark.parametrize("experiment", OF_VGG16.values(), ids=OF_VGG16)
CONVOLUTION = 2_359_808


@pytest.fixture(scope="module")
def architecture(tensorflow: None) -> ModuleType:
    """`ser_train.vgg16.architecture`, which imports Keras."""
    import ser_train.vgg16.architecture

    return ser_train.vgg16.architecture


@pytest.fixture(scope="module")
def pictures() -> np.ndarray:
    """Noise: uint8 [3, 32, 32, 3]."""
    return np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), np.uint8)


def count(weights: list[Any]) -> int:
    return sum(int(np.prod(weight.shape)) for weight in weights)


@every_experiment
def test_counts_are_those_of_the_report_whole_and_in_the_part_that_is_trained(
    architecture: ModuleType, experiment: Experiment
) -> None:
    network = architecture.make_network(architecture.Vgg16Options.from_dict(experiment.options))
    assert network.whole.count_params() == experiment.parameters == 27_660_103
    for model in (network.whole, network.trained):
        assert count(model.trainable_weights) == experiment.trainable_parameters


@pytest.mark.parametrize("unfrozen", [0, 1, 2, 3])
def test_the_last_convolution_layers_are_trained(architecture: ModuleType, unfrozen: int) -> None:
    network = architecture.make_network(architecture.Vgg16Options(unfrozen=unfrozen, side=32))
    trained = [layer for layer in network.base.layers if layer.trainable_weights]
    expected = ["block5_conv1", "block5_conv2", "block5_conv3"][3 - unfrozen :]
    assert [layer.name for layer in trained] == expected
    assert {layer.count_params() for layer in trained} <= {CONVOLUTION}


@pytest.mark.parametrize(("unfrozen", "side"), [(0, 7), (1, 14), (2, 14), (3, 14)])
def test_what_is_kept_of_full_pictures(architecture: ModuleType, unfrozen: int, side: int) -> None:
    network = architecture.make_network(architecture.Vgg16Options(unfrozen=unfrozen))
    assert network.kept.output.shape[1:] == (side, side, 512)
    assert not network.kept.trainable_weights


def test_nothing_is_kept_where_every_epoch_has_other_pictures(architecture: ModuleType) -> None:
    network = architecture.make_network(architecture.Vgg16Options(augment=True, side=32))
    assert network.kept is None
    assert network.trained is network.whole


@pytest.mark.parametrize("unfrozen", [0, 1, 3])
def test_the_parts_are_the_whole(
    architecture: ModuleType, pictures: np.ndarray, unfrozen: int
) -> None:
    network = architecture.make_network(architecture.Vgg16Options(unfrozen=unfrozen, side=32))
    kept = network.kept.predict_on_batch(pictures)
    parts, whole = network.trained.predict_on_batch(kept), network.whole.predict_on_batch(pictures)
    np.testing.assert_allclose(parts, whole, rtol=1e-6)
    assert np.ptp(whole, axis=0).max() > 0


def test_pictures_are_scaled_as_for_imagenet(
    architecture: ModuleType, pictures: np.ndarray
) -> None:
    scaled = np.asarray(architecture.ImageNetScaling()(pictures.astype(np.float32)))
    blue_green_red = pictures[..., ::-1] - np.array([103.939, 116.779, 123.68])
    np.testing.assert_allclose(scaled, blue_green_red, atol=1e-4)


@pytest.fixture(scope="module")
def augmented(architecture: ModuleType) -> Any:
    """A network that changes its pictures in training, with nothing else at random in it."""
    options = architecture.Vgg16Options(augment=True, side=32, dropout=0.0)
    return architecture.make_network(options).whole


def augment(network: Any, pictures: np.ndarray, training: bool) -> np.ndarray:
    x = pictures.astype(np.float32)
    for name in ("random_flip", "random_rotation", "random_zoom"):
        x = network.get_layer(name)(x, training=training)
    return np.asarray(x)


def test_pictures_are_changed_in_training_alone(augmented: Any, pictures: np.ndarray) -> None:
    np.testing.assert_array_equal(augment(augmented, pictures, training=False), pictures)
    assert not np.array_equal(augment(augmented, pictures, training=True), pictures)


def test_augmentation_is_drawn_from_the_keys_of_the_epoch(
    training: ModuleType, augmented: Any, pictures: np.ndarray
) -> None:
    drawn = []
    for keys in ((0, 1), (0, 1), (0, 2), (1, 1)):
        training._seed_dropout(augmented, keys)
        drawn.append(augment(augmented, pictures, training=True))
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.array_equal(drawn[0], drawn[2])
    assert not np.array_equal(drawn[0], drawn[3])


def test_every_picture_of_a_batch_is_changed_in_its_own_way(
    augmented: Any, pictures: np.ndarray
) -> None:
    same = np.repeat(pictures[:1], 8, axis=0)
    changed = augment(augmented, same, training=True)
    assert len(np.unique(changed.reshape(8, -1), axis=0)) == 8


def test_options_of_another_version_are_refused(architecture: ModuleType) -> None:
    with pytest.raises(RunFolderError, match=r"another version.*colour"):
        architecture.Vgg16Options.from_dict({"colour": "red"})


def test_the_table_of_layers_is_the_reports(tensorflow: None) -> None:
    from ser_train.families import family

    rows = family("vgg16").layers(EXPERIMENTS["vgg16-1"]).rows
    printed = [
        ("Functional", (7, 7, 512), 14_714_688),
        ("Flatten", (25_088,), 0),
        ("Dense", (512,), 12_845_568),
        ("Dropout", (512,), 0),
        ("Dense", (192,), 98_496),
        ("Dense", (7,), 1_351),
    ]
    assert [(row.kind, row.shape, row.parameters) for row in rows[-6:]] == printed
    assert rows[0].shape == (224, 224, 3)
