"""Time and memory of a training step and of an evaluation batch of the networks of 5 and 6.

At full size, with random weights and inputs, each in a process of its own, on Keras' TensorFlow
backend (VGG16) or PyTorch (wav2vec2): `python benchmarks/transfer_learning.py [--threads N]`.
Peak memory is that of the whole process, libraries included; "before" is after the model was made.
"""

from __future__ import annotations

import argparse
import json
import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

BATCH = 32
STEPS = 3


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=CASES, default=list(CASES))
    parser.add_argument("--one", choices=CASES)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(CASES[arguments.one](arguments.threads)))
        return
    print(
        "| network | clips at once | training step, s | evaluation batch, s | memory before, MB "
        "| peak, MB |\n| --- | --- | --- | --- | --- | --- |"
    )
    for name in arguments.only:
        command = [sys.executable, __file__, "--one", name, "--threads", str(arguments.threads)]
        done = subprocess.run(command, check=True, capture_output=True, text=True)
        row = json.loads(done.stdout.splitlines()[-1])
        print(
            f"| {name} | {row['batch']} | {row['step']:.2f} | {row['evaluation']:.2f} "
            f"| {row['before']:.0f} | {row['peak']:.0f} |",
            flush=True,
        )


def vgg16_case(unfrozen: int, augment: bool, kept: bool) -> Callable[[int], dict[str, float]]:
    """Measures what is trained: from kept features, or from pictures through the whole network."""

    def measure_vgg16(threads: int) -> dict[str, float]:
        from ser_train.backend import use_backend

        use_backend("tensorflow", threads)
        import numpy as np

        from ser_train.training import compile_model
        from ser_train.vgg16.architecture import Vgg16Options
        from ser_train.vgg16.architecture import make_network

        network = make_network(Vgg16Options(unfrozen=unfrozen, augment=augment))
        model = network.trained if kept else network.whole
        compile_model(model, 1e-5)
        rng = np.random.default_rng(0)
        shape = (BATCH, *model.inputs[0].shape[1:])
        pictures = rng.integers(0, 256, shape, np.uint8)
        inputs = pictures.astype(np.float32) if kept else pictures
        classes = rng.integers(0, 7, BATCH)
        return measure(
            lambda: model.train_on_batch(inputs, classes),
            lambda: model.predict_on_batch(inputs),
            BATCH,
        )

    return measure_vgg16


def wav2vec2_case(precision: str) -> Callable[[int], dict[str, float]]:
    """Measures a step as training makes it: gradient checkpointing, and Adam on all parameters."""

    def measure_wav2vec2(threads: int) -> dict[str, float]:
        from ser_train.backend import use_backend

        use_backend("torch", threads, precision)
        import numpy as np
        import torch
        from transformers import Wav2Vec2Config

        from ser_train.experiments import EXPERIMENTS
        from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES
        from ser_train.wav2vec2.inputs import encode
        from ser_train.wav2vec2.inputs import make_feature_extractor
        from ser_train.wav2vec2.network import Wav2Vec2Classifier
        from ser_train.wav2vec2.network import classifier_config
        from ser_train.wav2vec2.training import PREDICTED_AT_ONCE
        from ser_train.wav2vec2.training import make_optimizer
        from ser_train.wav2vec2.training import training_step

        network = Wav2Vec2Classifier(classifier_config(Wav2Vec2Config().to_dict()))
        network.checkpoint_gradients()
        optimizer = make_optimizer(network, EXPERIMENTS["wav2vec2"])
        noise = np.random.default_rng(0).standard_normal((BATCH, WINDOW_SAMPLES), np.float32)
        batch = encode(make_feature_extractor(), list(noise))
        inputs = batch.input_values, batch.attention_mask
        classes = torch.arange(BATCH) % 7

        def evaluate() -> None:
            with torch.inference_mode():
                for at in range(0, BATCH, PREDICTED_AT_ONCE):
                    network.eval()(*(part[at : at + PREDICTED_AT_ONCE] for part in inputs))

        return measure(
            lambda: training_step(network.train(), optimizer, inputs, classes), evaluate, BATCH
        )

    return measure_wav2vec2


def measure(
    step: Callable[[], object], evaluate: Callable[[], object], batch: int
) -> dict[str, float]:
    """Medians in seconds, the first call of each left out; memory in MB."""
    before = resident()
    row = {"batch": batch, "before": before, "step": median(step), "evaluation": median(evaluate)}
    return {**row, "peak": resident()}


def median(call: Callable[[], object]) -> float:
    call()  # builds the graph
    seconds = []
    for _ in range(STEPS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return statistics.median(seconds)


def resident() -> float:
    """Largest resident memory of this process so far, in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


CASES: dict[str, Callable[[int], dict[str, float]]] = {
    "vgg16-1, frozen features": vgg16_case(0, augment=False, kept=True),
    "vgg16-1, whole": vgg16_case(0, augment=False, kept=False),
    "vgg16-2, whole": vgg16_case(0, augment=True, kept=False),
    "vgg16-3, from block 5 on": vgg16_case(1, augment=False, kept=True),
    "vgg16-3, whole": vgg16_case(1, augment=False, kept=False),
    "vgg16-5, from block 5 on": vgg16_case(3, augment=False, kept=True),
    "vgg16-5, whole": vgg16_case(3, augment=False, kept=False),
    "wav2vec2": wav2vec2_case("float32"),
    "wav2vec2, training in bfloat16": wav2vec2_case("mixed_bfloat16"),
}
"""Each on its own."""

if __name__ == "__main__":
    main()
