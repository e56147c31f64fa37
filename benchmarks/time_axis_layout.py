"""Training speed of the `cnn` with time on different axes: why ours is on axis 1.

    python benchmarks/time_axis_layout.py [--threads 1]

Prints a Markdown table; seconds per 1000 samples and epoch, median of the repeats, interleaved.
"""

from __future__ import annotations

import argparse
import time

import numpy as np

from ser_train.backend import use_backend

SAMPLES, REPEATS, BATCH = 960, 3, 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    threads = parser.parse_args().threads
    use_backend("tensorflow", threads)
    import keras
    from keras import layers

    def build(time_axis: int) -> keras.Model:
        features = x = layers.Input((128, 94, 1))
        if time_axis == 1:
            x = layers.Permute((2, 1, 3))(x)
        for filters, pool in ((16, 2), (32, 4), (64, 4)):
            x = layers.Conv2D(filters, 3, padding="same")(x)
            x = layers.BatchNormalization(axis=time_axis)(x)
            x = layers.ReLU()(x)
            x = layers.Dropout(0.3)(layers.MaxPooling2D(pool)(x))
        x = layers.Dense(7, activation="softmax")(layers.Flatten()(x))
        model = keras.Model(features, x)
        model.compile("adam", "sparse_categorical_crossentropy", jit_compile=False)
        return model

    keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((SAMPLES, 128, 94, 1), np.float32)
    classes = rng.integers(0, 7, SAMPLES)
    names = {
        2: "axis 2: (coefficients, frames, channels)",
        1: "axis 1: (frames, coefficients, channels)",
    }
    models = {axis: build(axis) for axis in names}
    seconds: dict[int, list[float]] = {axis: [] for axis in names}
    for repeat in range(1 + REPEATS):
        for axis, model in models.items():
            started = time.perf_counter()
            model.fit(inputs, classes, batch_size=BATCH, verbose=0)
            if repeat:  # the first one builds the graph
                seconds[axis].append(1000 / SAMPLES * (time.perf_counter() - started))
    slowest = np.median(seconds[2])
    print("| time on | s per 1000 samples | relative |\n| --- | --- | --- |")
    for axis, name in names.items():
        median = np.median(seconds[axis])
        print(f"| {name} | {median:.1f} | {median / slowest:.2f} |")


if __name__ == "__main__":
    main()
