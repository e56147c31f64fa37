"""What a process needs up to its first prediction: the runtime is for small devices."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

MOST_MIB = 90
PROGRAM = """
import sys
from ser_runtime import AudioFile, Model, Stream
stream = Stream(Model.open())
with AudioFile(sys.argv[1]) as audio:
    predictions = [p for block in audio.blocks() for p in stream.push(block, audio.sample_rate)]
assert predictions[-1].complete and predictions[-1].probabilities
print(open("/proc/self/status").read())
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_recognizing_a_file_takes_little_memory(speech: Path) -> None:
    command = [sys.executable, "-c", PROGRAM, str(speech)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    (peak,) = (line for line in done.stdout.splitlines() if line.startswith("VmHWM:"))
    assert int(peak.split()[1]) / 1024 <= MOST_MIB, peak
