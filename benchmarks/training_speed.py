"""Seconds per 1000 samples and epoch of every experiment's network, on each backend of Keras.

    python benchmarks/training_speed.py [--threads 1] [--backends jax torch:mixed_bfloat16]

Each row has a process of its own; beside it stands, from the same process, how long a matrix
product takes for the same multiplications: numpy's in float32, or on a GPU the backend's own in the
precision of the row. Prints a Markdown table; median of the repeats.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time

import numpy as np

REPEATS = 3
MATRIX, MATRIX_ON_GPU = 1024, 8192


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--backends",
        nargs="+",
        default=["tensorflow", "tensorflow:mixed_bfloat16", "jax", "torch", "torch:mixed_bfloat16"],
        metavar="BACKEND[:PRECISION]",
    )
    parser.add_argument("--samples", type=int, default=192, help="on a GPU rather 12800")
    parser.add_argument("--one", nargs=2, metavar=("EXPERIMENT", "BACKEND"), help="this row alone")
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(*arguments.one, arguments.threads, arguments.samples)))
        return
    from ser_train.experiments import EXPERIMENTS

    # Experiments that differ in their data alone train equally fast.
    networks = {
        (row.architecture, row.spec): row.id
        for row in reversed(EXPERIMENTS.values())
        if row.family in ("features", "compact")
    }
    print(
        "| network | backend | s per 1000 samples | GMAC per sample | same multiplications "
        "as a matrix product | ratio |\n| --- | --- | --- | --- | --- | --- |"
    )
    for experiment in reversed(networks.values()):
        for backend in arguments.backends:
            row = in_process(experiment, backend, arguments.threads, arguments.samples)
            print(
                f"| {experiment} | {backend} | {row['seconds']:.3g} | {row['gmac']:.3f} "
                f"| {row['matmul']:.2g} s | {row['seconds'] / row['matmul']:.1f} |",
                flush=True,
            )


def in_process(experiment: str, backend: str, threads: int, samples: int) -> dict[str, float]:
    """`measure` in a process of its own: Keras knows one backend, BLAS one number of threads."""
    options = ["--threads", str(threads), "--samples", str(samples)]
    command = [sys.executable, __file__, *options, "--one", experiment, backend]
    limits = {f"{name}_NUM_THREADS": str(threads) for name in ("OMP", "OPENBLAS", "MKL")}
    done = subprocess.run(
        command, env={**os.environ, **limits}, capture_output=True, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def measure(name: str, backend: str, threads: int, count: int) -> dict[str, float]:
    """Seconds and multiplications for 1000 samples, forward and backward."""
    from ser_train.backend import has_gpu
    from ser_train.backend import use_backend
    from ser_train.experiments import EXPERIMENTS

    backend, _, precision = backend.partition(":")
    use_backend(backend, threads, precision or "auto")
    on_gpu = has_gpu(backend)
    from ser_train.compact.training import build_compact
    from ser_train.training import build_model

    experiment = EXPERIMENTS[name]
    of_compact = experiment.family == "compact"
    model = build_compact(experiment, 0, 1000, 1) if of_compact else build_model(experiment, 0)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((count, *experiment.spec.shape), np.float32)
    classes = rng.integers(0, 7, count)
    targets = np.eye(7, dtype=np.float32)[classes] if of_compact else classes
    # The backward pass multiplies twice for each multiplication of the forward one.
    gmac = 3 * sum(map(multiplications, model.layers)) / 1e9
    seconds, products = [], []
    for repeat in range(1 + REPEATS):
        started = time.perf_counter()
        model.fit(inputs, targets, batch_size=experiment.batch_size, verbose=0)
        if repeat:  # the first one builds the graph
            seconds.append(1000 / count * (time.perf_counter() - started))
            products.append(1000 * gmac * seconds_per_gmac(on_gpu))
    return {
        "seconds": float(np.median(seconds)),
        "matmul": float(np.median(products)),
        "gmac": gmac,
    }


def multiplications(layer: object) -> int:
    """Multiply-adds of a layer's forward pass, per sample."""
    kind = type(layer).__name__
    shape = layer.output.shape  # type: ignore[attr-defined]
    if kind == "Conv2D":
        kernel = layer.kernel.shape  # type: ignore[attr-defined]
        return int(shape[1] * shape[2] * np.prod(kernel))
    if kind == "Dense":
        return int(np.prod(layer.kernel.shape))  # type: ignore[attr-defined]
    if kind == "TransformerEncoder":
        frames, width = shape[1], shape[2]
        inner = layer.intermediate_dim  # type: ignore[attr-defined]
        return frames * (4 * width**2 + 2 * width * inner) + 2 * frames**2 * width
    return 0


def seconds_per_gmac(on_gpu: bool) -> float:
    """Of a float32 matrix product in numpy, or of one of the backend on its GPU, right now."""
    if not on_gpu:
        left = np.ones((MATRIX, MATRIX), np.float32)
        started = time.perf_counter()
        left @ left
        return (time.perf_counter() - started) / (MATRIX**3 / 1e9)
    import keras

    # Random: a GPU multiplies zeros and ones faster.
    random = np.random.default_rng(0).standard_normal((MATRIX_ON_GPU, MATRIX_ON_GPU), np.float32)
    left = keras.ops.convert_to_tensor(random, keras.config.dtype_policy().compute_dtype)
    times = []
    for _ in range(4):
        started = time.perf_counter()
        product = keras.ops.matmul(left, left)
        float(product[0, 0])  # waits for it
        times.append(time.perf_counter() - started)
    return float(np.median(times)) / (MATRIX_ON_GPU**3 / 1e9)


if __name__ == "__main__":
    main()
