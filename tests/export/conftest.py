"""Fixtures of the export tests: Keras set up once, and runs of one's own to damage."""

from __future__ import annotations

import importlib
import os
import shutil
import site
import subprocess
import sys
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


@pytest.fixture
def run_without(tmp_path: Path) -> Command:
    """Runs `python -m module` where a package is truly absent: the others are linked to."""

    def run(package: str, module: str, *arguments: object) -> subprocess.CompletedProcess[str]:
        installed = tmp_path / "installed"
        installed.mkdir()
        for folder in site.getsitepackages():
            for entry in Path(folder).iterdir():
                if entry.name.split("-")[0].split(".")[0] != package:
                    (installed / entry.name).symlink_to(entry)
        rooms = [str(ROOT / room) for room in ("runtime", "train", "export")]
        # -S: without the environment's own site-packages.
        return subprocess.run(
            [sys.executable, "-S", "-m", module, *map(str, arguments)],
            env=os.environ | {"PYTHONPATH": os.pathsep.join([*rooms, str(installed)])},
            capture_output=True,
            text=True,
            timeout=300,
        )

    return run
