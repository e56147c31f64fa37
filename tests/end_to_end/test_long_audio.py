"""Hours of audio take no more memory than minutes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
MOST_GROWTH_MB = 16
PROGRAM = """
import resource, sys
from ser_runtime.cli import _main
_main(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, file=sys.stderr)
"""


def listen(path: Path, model: Path) -> tuple[int, float]:
    """Number of windows, and peak memory in MB, of recognizing a file."""
    command = [sys.executable, "-c", PROGRAM, path, "--model", model, "--step", "2.976"]
    done = subprocess.run([*map(str, command)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return len(done.stdout.splitlines()), float(done.stderr.split()[-1])


def write_hum(path: Path, hours: float) -> Path:
    """A quiet hum as FLAC, written piece by piece."""
    minute = 0.01 * np.sin(2 * np.pi * 200 * np.arange(60 * RATE) / RATE)
    with soundfile.SoundFile(path, "w", RATE, 1, format="FLAC") as file:
        for _ in range(round(hours * 60)):
            file.write(minute)
    return path


def test_ten_hours_take_constant_memory(tmp_path: Path, made_up_model: Path) -> None:
    _, short_mb = listen(write_hum(tmp_path / "minute.flac", 1 / 60), made_up_model)
    windows, long_mb = listen(write_hum(tmp_path / "hours.flac", 10), made_up_model)
    assert windows == pytest.approx(10 * 3600 / 2.976, abs=2)
    assert long_mb - short_mb < MOST_GROWTH_MB
