"""Memory that a process needs to recognize with a model file: `python -m ser_export.peak_memory F`.

A process of its own: what the exporter has loaded does not count.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np

from ser_runtime.errors import VerificationError

_STATUS = Path("/proc/self/status")
_PREDICTIONS = 5


def peak_memory(path: Path) -> float | None:
    """Peak resident memory in MiB of a process that opens a file and recognizes with it.

    Interpreter and libraries included. None where the system does not tell (it needs Linux).

    Raises:
        VerificationError: If that process cannot use the file.
    """
    if not _STATUS.exists():
        return None
    command = [sys.executable, "-m", "ser_export.peak_memory", str(path)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        cause = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise VerificationError(f"nothing published: a process of its own cannot use it: {cause}")
    return json.loads(done.stdout)


def main(path: Path) -> None:
    """Recognize a few times, and print the peak so far in MiB."""
    from ser_runtime.model import Model

    model = Model.open(path)
    for _ in range(_PREDICTIONS):
        model.recognize(np.zeros(model.spec.window_samples, np.float32))
    (line,) = (line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM:"))
    sys.stdout.write(json.dumps(int(line.split()[1]) / 1024))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
