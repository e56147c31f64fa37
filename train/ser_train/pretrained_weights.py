"""Which pretrained weights an experiment starts from: what was asked for, and what was found."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class PretrainedWeights:
    """Weights that a user gave.

    Attributes:
        source: As given: a file, a folder, or a name that a library knows.
        path: Where it is on this machine, if it is a file or folder.
        sha256: Of the file, or of the weights file in the folder; it tells runs apart.
    """

    source: str
    path: Path | None
    sha256: str

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values; the path is left out, for it says nothing elsewhere."""
        return {"source": Path(self.source).name, "sha256": self.sha256}
