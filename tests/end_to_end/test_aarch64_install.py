"""What a Raspberry Pi would install: wheels only, and no more than the README says."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[2] / "benchmarks" / "aarch64_install.py"
LARGEST_INSTALL_MB = 170


@pytest.fixture(scope="module")
def package_index(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Skips where pip reaches no package index."""
    command = [
        sys.executable, "-m", "pip", "install", "--quiet", "--dry-run", "--no-deps",
        "--ignore-installed", "--target", tmp_path_factory.mktemp("none"), "rich",
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"needs a package index: {done.stderr.strip().splitlines()[-1]}")


@pytest.mark.usefixtures("package_index")
@pytest.mark.parametrize("python", ["3.11", "3.12", "3.13"])
def test_base_install_on_64_bit_arm_is_wheels_alone_and_small(python: str) -> None:
    done = subprocess.run([sys.executable, SCRIPT, python], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    # Not `linux_x86_64`, not sources: for every machine, or for this one.
    others = [n for n in found["wheels"] if not n.endswith(("-any.whl", "_aarch64.whl"))]
    assert others == []
    assert any(name.startswith("onnxruntime-") for name in found["wheels"])
    assert found["download_mb"] < found["installed_mb"] <= LARGEST_INSTALL_MB


@pytest.mark.usefixtures("package_index")
def test_litert_extra_on_64_bit_arm_is_wheels_alone() -> None:
    command = [sys.executable, SCRIPT, "--extra", "litert", "3.13"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    names = json.loads(done.stdout)["wheels"]
    assert [name.endswith("_aarch64.whl") for name in names if "litert" in name] == [True]
