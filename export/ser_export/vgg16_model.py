"""VGG16 from mel features to probabilities: pictures are drawn in the graph."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import layers
from keras import ops

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import SerError
from ser_runtime.feature_spec import FeatureSpec
from ser_train.run_folder import RunFolder
from ser_train.vgg16.architecture import Vgg16Options
from ser_train.vgg16.architecture import make_network
from ser_train.vgg16.pictures import PictureSpec
from ser_train.vgg16.pictures import color_table
from ser_train.vgg16.pictures import nearest_cells
from ser_train.weights import load_weights


class PictureLayer(layers.Layer):
    """Draws spectrograms as `ser_train.vgg16.pictures.draw_picture` does, by look-ups alone.

    The colours come first, since there are fewer values than pixels.
    """

    def __init__(self, spec: PictureSpec, **options: Any) -> None:
        super().__init__(dtype="float32", **options)
        self.spec = spec
        self._colors = color_table(spec.color_map).astype(np.float32)
        bands, frames = spec.features.shape
        # Low frequencies at the bottom.
        self._rows = nearest_cells(bands, spec.side)[::-1].astype(np.int32)
        self._columns = nearest_cells(frames, spec.side).astype(np.int32)

    def call(self, log_mel: Any) -> Any:
        """From float32 [batch, bands, frames] in dB to [batch, side, side, 3] in 0..255."""
        last, low = len(self._colors) - 1, self.spec.low_db
        scaled = (log_mel - low) / (self.spec.high_db - low) * float(last + 1)
        numbers = ops.cast(ops.clip(scaled, 0.0, float(last)), "int32")
        colors = ops.take(self._colors, numbers, axis=0)
        return ops.take(ops.take(colors, self._rows, axis=1), self._columns, axis=2)

    def compute_output_shape(self, input_shape: tuple[int | None, ...]) -> tuple[int | None, ...]:
        """One picture for each spectrogram."""
        return (input_shape[0], *self.spec.shape)


def load_vgg16(run: RunFolder) -> keras.Model:
    """The trained model of a run, behind the drawing of its pictures.

    Returns:
        Takes float32 [batch, bands, frames], log-mel features in dB as they are: pictures need no
        standardization. Gives float32 [batch, classes].

    Raises:
        RunFolderError: If something is missing, damaged, or of another version.
    """
    options = Vgg16Options.from_dict(run.config()["experiment"].get("options", {}))
    spec = _picture_spec(run)
    if spec.side != options.side or spec.features != run.spec():
        raise RunFolderError(f"{run.path}: its pictures are not those that its network takes")
    whole = make_network(options).whole
    load_weights(run.weights, whole)
    features = layers.Input(spec.features.shape, name="features")
    return keras.Model(features, whole(PictureLayer(spec, name="picture")(features)))


def _picture_spec(run: RunFolder) -> PictureSpec:
    fields = run.read_json("pictures")
    try:
        return PictureSpec(**fields | {"features": FeatureSpec.from_dict(fields["features"])})
    except (KeyError, TypeError, SerError) as error:
        raise RunFolderError(f"{run.path}/pictures.json is of another version: {error}") from error
