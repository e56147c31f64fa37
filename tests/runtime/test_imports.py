"""What the device has to load: none of the packages of training, export and tests."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

HEAVY = {
    "tensorflow", "keras", "torch", "jax", "librosa", "scipy", "sklearn", "numba", "matplotlib",
    "onnx", "sounddevice", "ai_edge_litert", "flatbuffers", "ser_train", "ser_export",
}  # fmt: skip
RECOGNIZE = """
import json
import sys
from ser_runtime import AudioFile, Model, Stream
stream = Stream(Model.open(sys.argv[1]))
with AudioFile(sys.argv[2]) as audio:
    count = sum(len(stream.push(block, audio.sample_rate)) for block in audio.blocks())
count += len(stream.flush())
print(json.dumps([count, sorted(sys.modules)]))
"""


def test_recognizing_a_file_loads_nothing_heavy(made_up_model: Path, wav: Path) -> None:
    command = [sys.executable, "-c", RECOGNIZE, str(made_up_model), str(wav)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    count, modules = json.loads(done.stdout)
    assert count > 1
    assert HEAVY & {module.partition(".")[0] for module in modules} == set()


def test_the_command_loads_nothing_heavy(made_up_model: Path, wav: Path) -> None:
    code = (
        "import atexit, sys; from ser_runtime.cli import main; "
        "atexit.register(lambda: print(*sys.modules, file=sys.stderr)); main(sys.argv[1:])"
    )
    command = [sys.executable, "-c", code, "--model", str(made_up_model), str(wav)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    modules = done.stderr.splitlines()[-1].split()
    assert "ser_runtime.stream" in modules
    assert HEAVY & {module.partition(".")[0] for module in modules} == set()


def test_everything_public_is_there() -> None:
    code = "import ser_runtime; [getattr(ser_runtime, name) for name in ser_runtime.__all__]"
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0
