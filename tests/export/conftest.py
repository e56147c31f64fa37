"""Fixtures of the export tests: Keras set up once, and runs of one's own to damage."""

from __future__ import annotations

import importlib
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from ser_train.run_folder import RunFolder

ROOT = Path(__file__).resolve().parent.parent.parent

Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="session")
def tensorflow() -> None:
    """Keras on TensorFlow with one thread: it can be set up only once in a process."""
    from ser_train.backend import use_backend

    use_backend("tensorflow", 1)


@pytest.fixture(scope="session")
def export(tensorflow: None) -> ModuleType:
    """`ser_export.export`, which imports Keras."""
    return importlib.import_module("ser_export.export")


@pytest.fixture
def run_copy(tiny_run: Path, tmp_path: Path) -> RunFolder:
    """A copy of `tiny_run` that a test may change."""
    shutil.copytree(tiny_run, tmp_path / "runs" / tiny_run.name)
    return RunFolder(tmp_path / "runs" / tiny_run.name)
