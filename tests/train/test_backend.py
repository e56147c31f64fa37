"""Choosing Keras' backend: once in a process, hence each in its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from ser_train.backend import BACKENDS


def python(code: str, variables: Mapping[str, str] | None = None) -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "XLA_FLAGS")}
    done = subprocess.run(
        [sys.executable, "-c", f"from ser_train.backend import use_backend\n{code}"],
        env=environment | dict(variables or {}),
        capture_output=True,
        text=True,
        timeout=300,
    )
    return done.stdout + done.stderr


def test_all_three_backends_of_keras_are_offered() -> None:
    assert BACKENDS == ("tensorflow", "jax", "torch")


def test_tensorflow_is_the_default_and_starts_without_a_word() -> None:
    code = "print(use_backend(threads=1))\nimport keras\nprint(keras.backend.backend())"
    assert python(code).split() == ["tensorflow", "tensorflow"]


@pytest.mark.parametrize("backend", ["jax", "torch"])
def test_the_environment_may_choose(backend: str) -> None:
    assert python("print(use_backend())", {"KERAS_BACKEND": backend}).split() == [backend]


def test_a_name_goes_before_the_environment() -> None:
    assert python("print(use_backend('jax'))", {"KERAS_BACKEND": "torch"}).split() == ["jax"]


def test_threads_of_torch_are_set() -> None:
    code = "use_backend('torch', 1)\nimport torch\nprint(torch.get_num_threads())"
    assert python(code).split() == ["1"]


def test_a_second_backend_in_one_process_is_an_error(tensorflow: None) -> None:
    from ser_train.backend import use_backend

    with pytest.raises(RuntimeError, match="Keras already runs on tensorflow"):
        use_backend("jax")


def test_the_same_backend_may_be_chosen_again(tensorflow: None) -> None:
    from ser_train.backend import use_backend

    assert use_backend("tensorflow", 1) == "tensorflow"


def test_on_a_cpu_the_automatic_precision_is_float32() -> None:
    code = (
        "use_backend('jax', precision='auto')\n"
        "import keras\nprint(keras.config.dtype_policy().name)"
    )
    assert python(code, {"JAX_PLATFORMS": "cpu"}).split() == ["float32"]


@pytest.mark.parametrize(
    ("backend", "which", "passed"), [("torch", "", "4 passed"), ("jax", "float32-two", "1 passed")]
)
def test_a_training_that_was_stopped_ends_as_the_unbroken_one(
    backend: str, which: str, passed: str
) -> None:
    file = Path(__file__).with_name("training_elsewhere.py")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", str(file), "-k", which],
        env={**os.environ, "KERAS_BACKEND": backend},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert passed in done.stdout, done.stdout
