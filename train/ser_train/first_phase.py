"""A complete run that ends where another's last phase begins: its epochs need no training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_runtime.errors import RunFolderError
from ser_train.run_folder import RunFolder


@dataclass(frozen=True, eq=False)
class FirstPhase:
    """The run, once it is known to be of the same training.

    Attributes:
        run: Where it is.
        sha256: Of its weights.
        history: Phase -> metric -> value of each of its epochs.
    """

    run: RunFolder
    sha256: str
    history: dict[str, dict[str, list[float]]]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; its path is left out, for it says nothing elsewhere."""
        return {"sha256": self.sha256}


def read_first_phase(folder: Path) -> FirstPhase:
    """Read a complete run; `Run.check_first_phase` says whether it is of the same training.

    Raises:
        RunFolderError: If it is incomplete or damaged.
    """
    run = RunFolder(folder)
    run.metrics()
    history = run.read_json("history")
    history.pop("best_epoch", None)
    try:
        digest = hashlib.sha256(run.weights.read_bytes()).hexdigest()
    except OSError as error:
        raise RunFolderError(f"cannot read the weights {run.weights}: {error}") from error
    return FirstPhase(run, digest, history)
