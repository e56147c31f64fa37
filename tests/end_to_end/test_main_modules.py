"""`python -m` of each package is its console script."""

from __future__ import annotations

import pytest
from conftest import Command


@pytest.mark.parametrize(
    ("module", "program"),
    [("ser_runtime", "ser-listen"), ("ser_train", "ser-train"), ("ser_export", "ser-export")],
)
def test_the_module_runs_the_command(run_module: Command, module: str, program: str) -> None:
    done = run_module(module, "--help")
    assert done.returncode == 0
    assert done.stdout.startswith(f"usage: {program}")
