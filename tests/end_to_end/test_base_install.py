"""What a user gets who installs the base package alone, in a fresh virtual environment."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LARGEST_INSTALL_MB = 170


def size_mb(folder: Path) -> float:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """Programs of a fresh environment with the base package; and the MB that it added."""
    folder = tmp_path_factory.mktemp("base")
    subprocess.run([sys.executable, "-m", "venv", folder / "venv"], check=True)
    before = size_mb(folder / "venv")
    programs = folder / "venv" / "bin"
    # A copy: a build leaves its folders in the source tree.
    source = folder / "source"
    files = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.split(b"\0")
    for name in filter(None, map(bytes.decode, files)):
        if (ROOT / name).is_file():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_bytes((ROOT / name).read_bytes())
    subprocess.run([programs / "pip", "install", "--quiet", source], check=True)
    return programs, size_mb(folder / "venv") - before


def test_base_install_is_small(fresh: tuple[Path, float]) -> None:
    assert fresh[1] <= LARGEST_INSTALL_MB


def test_base_install_recognizes_a_file_with_its_own_model(
    fresh: tuple[Path, float], speech: Path, tmp_path: Path
) -> None:
    done = subprocess.run(
        [fresh[0] / "ser-listen", speech], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    windows = [json.loads(line) for line in done.stdout.splitlines()]
    assert windows[-1]["end"] == pytest.approx(9.203, abs=0.002)
    assert "whole recording" in done.stderr


def test_base_install_has_no_training_framework(fresh: tuple[Path, float]) -> None:
    listed = subprocess.run([fresh[0] / "pip", "list"], capture_output=True, text=True, check=True)
    names = {line.split()[0].lower() for line in listed.stdout.splitlines() if line.strip()}
    assert not names & {"tensorflow", "keras", "torch", "jax", "librosa", "scipy", "scikit-learn"}


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (["ser-train", "cnn", "--corpora", "."], "train"),
        (["ser-export", "--model", "cnn"], "export"),
    ],
)
def test_commands_of_other_extras_say_what_to_install(
    fresh: tuple[Path, float], command: list[str], extra: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        [fresh[0] / command[0], *command[1:]], capture_output=True, text=True, cwd=tmp_path
    )
    assert done.returncode == 7
    assert f"pip install 'ser-edge[{extra}]'" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_of_all_commands_needs_no_extra(fresh: tuple[Path, float]) -> None:
    for command in ("ser-train", "ser-export", "ser-listen"):
        done = subprocess.run([fresh[0] / command, "--help"], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        assert "examples:" in done.stdout
