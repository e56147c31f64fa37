"""VGG16 with the report's classifier (section 5.2.2), whole and in the parts that are trained.

Inputs are pictures, uint8 [side, side, 3] in red, green and blue. The report prints neither the
dropout rate nor the strength of the augmentation, nor how pictures are scaled. Ours are those of
the textbook whose method and words its chapter follows (Chollet, Deep Learning with Python, 2nd
edition, section 8.3): 0.5, flips, rotations by up to 0.1 turns, zooms by up to 20 %, and the
preprocessing that VGG16's weights were trained with. That one, and not a division by 255, also
makes the loss of the first epoch stand out, as the report observes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
from keras import layers

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS

BLOCK5 = ("block5_conv1", "block5_conv2", "block5_conv3")
"""The convolution layers that the experiments unfreeze, from the last on."""


@dataclass(frozen=True)
class Vgg16Options:
    """What `Experiment.options` may say.

    Attributes:
        unfrozen: Convolution layers of block 5 that are trained, counted from the end.
        augment: Whether pictures are flipped, rotated and zoomed at random in training.
        units: Of the two dense layers.
        dropout: Between them.
        side: Pixels of each side.
    """

    unfrozen: int = 0
    augment: bool = False
    units: tuple[int, int] = (512, 192)
    dropout: float = 0.5
    side: int = 224

    @classmethod
    def from_dict(cls, fields: dict[str, Any]) -> Vgg16Options:
        """The options of a row of the registry, as it is or as JSON gives it back.

        Raises:
            RunFolderError: If this version does not know them all.
        """
        try:
            options = cls(**fields)
        except TypeError as error:
            raise RunFolderError(f"a VGG16 of another version: {error}") from error
        return dataclasses.replace(options, units=tuple(options.units))

    @property
    def last_kept(self) -> str | None:
        """The last layer of VGG16 whose output no training changes; None if all pictures differ.

        Its outputs are computed once. Experiments that train layers of block 5 share the input of
        that block: each layer's own input would cost 4.9 GB more, to save a convolution.
        """
        if self.augment:
            return None
        return "block5_pool" if self.unfrozen == 0 else "block4_pool"


@dataclass(frozen=True, eq=False)
class Vgg16Network:
    """A network and its parts, which share their layers.

    Attributes:
        whole: From pictures to probabilities.
        base: VGG16 without its own classifier.
        kept: From pictures to what is computed once; None if nothing is.
        trained: From there to probabilities; `whole` if nothing is computed once.
    """

    whole: keras.Model
    base: keras.Model
    kept: keras.Model | None
    trained: keras.Model


class ImageNetScaling(layers.Layer):
    """From red, green, blue in 0..255 to blue, green, red minus the means of ImageNet."""

    def call(self, pictures: Any) -> Any:
        """As `keras.applications.vgg16.preprocess_input`."""
        return keras.applications.vgg16.preprocess_input(pictures, data_format="channels_last")

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """That of the input."""
        return input_shape


def make_network(options: Vgg16Options) -> Vgg16Network:
    """VGG16 and the report's classifier, with random weights.

    27,660,103 parameters with the report's options. Its text says that experiments 3 to 5 unfreeze
    one, two and three blocks; its counts of trainable parameters say layers: 2,359,808 each.
    """
    side = options.side
    with _float32():
        # Kept features are float32 whatever the policy, for one cache serves all.
        base = keras.applications.VGG16(
            include_top=False, weights=None, input_shape=(side, side, 3)
        )
        scaling = ImageNetScaling(name="imagenet_scaling")
    for layer in base.layers:
        layer.trainable = layer.name in BLOCK5[len(BLOCK5) - options.unfrozen :]
    classify = _classifier(options)
    pictures = layers.Input((side, side, 3), name="pictures")
    x = pictures
    for layer in _augmentation() if options.augment else ():
        x = layer(x)
    whole = keras.Model(pictures, classify(base(scaling(x))), name="vgg16_classifier")
    if options.last_kept is None:
        return Vgg16Network(whole, base, None, whole)
    cut = base.get_layer(options.last_kept)
    kept_layers = keras.Model(base.inputs, cut.output)
    kept = keras.Model(pictures, kept_layers(scaling(pictures)), name="kept_layers")
    features = layers.Input(cut.output.shape[1:], name="kept_features")
    x = features
    for layer in base.layers[base.layers.index(cut) + 1 :]:
        x = layer(x)
    return Vgg16Network(whole, base, kept, keras.Model(features, classify(x), name="trained"))


def _augmentation() -> Iterator[layers.Layer]:
    """Active in training alone."""
    yield layers.RandomFlip("horizontal", name="random_flip")
    yield layers.RandomRotation(0.1, name="random_rotation")
    yield layers.RandomZoom(0.2, name="random_zoom")


def _classifier(options: Vgg16Options) -> Callable[[Any], Any]:
    """Applies the report's classifier, each time the same layers."""
    first, second = options.units
    chain = [
        layers.Flatten(name="flatten"),
        layers.Dense(first, activation="relu", name="dense"),
        layers.Dropout(options.dropout, name="dropout"),
        layers.Dense(second, activation="relu", name="dense_1"),
        # float32 whatever the policy: a softmax in half precision loses digits.
        layers.Dense(len(EMOTIONS), activation="softmax", dtype="float32", name="probabilities"),
    ]

    def apply(x: Any) -> Any:
        for layer in chain:
            x = layer(x)
        return x

    return apply


@contextmanager
def _float32() -> Iterator[None]:
    """Layers made inside compute in float32, whatever the policy."""
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("float32")
    try:
        yield
    finally:
        keras.config.set_dtype_policy(policy)
