"""Choosing the Keras backend and its threads, before Keras is imported for the first time."""

from __future__ import annotations

import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from contextlib import nullcontext

from ser_runtime.errors import MissingExtraError

BACKENDS = ("tensorflow", "jax", "torch")
PRECISIONS = ("auto", "float32", "mixed_bfloat16")

chosen_threads: int | None = None
"""What `use_backend` was told, for a framework that is used beside Keras."""


def use_backend(
    name: str | None = None, threads: int | None = None, precision: str = "float32"
) -> str:
    """Select the backend for this process, and import Keras.

    Args:
        name: One of `BACKENDS`; default `$KERAS_BACKEND`, else TensorFlow.
        threads: Threads of the backend (JAX: 1, or all); default: its own choice.
        precision: One of `PRECISIONS`; `auto` takes mixed bfloat16 on a GPU, float32 on a CPU.

    Returns:
        The backend's name.

    Raises:
        MissingExtraError: If the backend is not installed.
    """
    global chosen_threads
    chosen_threads = threads
    name = name or os.environ.get("KERAS_BACKEND") or "tensorflow"
    for package in ("keras", name, "sklearn"):
        if importlib.util.find_spec(package) is None:
            raise MissingExtraError(
                f"training needs {package}: pip install 'ser-edge[train]'"
                + (f" and {name}" if package == name and name != "tensorflow" else "")
            )
    if "keras" in sys.modules and sys.modules["keras"].backend.backend() != name:
        raise RuntimeError(f"Keras already runs on {sys.modules['keras'].backend.backend()}")
    os.environ["KERAS_BACKEND"] = name
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if name == "tensorflow":
        with quiet_start():
            _set_up_tensorflow(threads)
            import keras
    elif threads and name == "jax":
        # XLA on the CPU knows one thread or all.
        flag = f"--xla_cpu_multi_thread_eigen={str(threads > 1).lower()}"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flag}"
    elif threads and name == "torch":
        import torch

        torch.set_num_threads(threads)
    import keras

    if precision == "auto":
        precision = "mixed_bfloat16" if has_gpu(name) else "float32"
    keras.config.set_dtype_policy(precision)
    return name


def set_random_seed(seed: int) -> None:
    """Seed Python, numpy and Keras' backend."""
    import keras

    # Keras loads TensorFlow for it wherever that is installed.
    with nullcontext() if "tensorflow" in sys.modules else quiet_start():
        keras.utils.set_random_seed(seed)


def has_gpu(backend: str) -> bool:
    """Whether a backend computes on a GPU."""
    if backend == "tensorflow":
        import tensorflow

        return bool(tensorflow.config.list_physical_devices("GPU"))
    if backend == "jax":
        import jax

        return jax.default_backend() == "gpu"
    import torch

    return torch.cuda.is_available()


@contextmanager
def quiet_start() -> Iterator[None]:
    """Keep what libraries print while they load off the screen, unless loading fails.

    TensorFlow's C++ start-up lines ignore its log level, and say nothing to act on.
    """
    sys.stderr.flush()
    with tempfile.TemporaryFile() as heard:
        stderr = os.dup(2)
        os.dup2(heard.fileno(), 2)
        failed = True
        try:
            yield
            failed = False
        finally:
            os.dup2(stderr, 2)
            os.close(stderr)
            if failed:
                heard.seek(0)
                sys.stderr.write(heard.read().decode(errors="replace"))


def _set_up_tensorflow(threads: int | None) -> None:
    import tensorflow

    if threads:
        tensorflow.config.threading.set_intra_op_parallelism_threads(threads)
        tensorflow.config.threading.set_inter_op_parallelism_threads(threads)
    # Without it, two trainings from one seed differ; it costs no measurable time on a CPU.
    tensorflow.config.experimental.enable_op_determinism()
