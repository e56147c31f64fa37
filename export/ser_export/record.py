"""`export.json`: what was decided and measured, beside the file that came of it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_export.formats import find_format
from ser_export.int8_choice import Tried
from ser_export.latency import Latency
from ser_export.verification import Verification
from ser_runtime.errors import UsageError

RECORD_SUFFIX = ".export.json"


@dataclass(frozen=True)
class Decisions:
    """What the bytes of a file depend on beside the run.

    Attributes:
        format: Id of its format.
        name: Of the file.
        graph_optimization: Level that the runtime opens it with.
        threads: Likewise.
    """

    format: str
    name: str
    graph_optimization: str = "all"
    threads: int = 1


@dataclass(frozen=True)
class Published:
    """A published model file.

    Attributes:
        path: The file.
        decisions: What it was made by.
        bytes: Its size.
        sha256: Its hash.
        parameters: Of the network.
        run: Name of the run folder.
        run_accuracy: The run's own, on the same clips.
        run_macro_f1: As `run_accuracy`.
        verification: Against the trained network, on the test clips.
        latency: Relative to ONNX fp32.
        peak_memory_mib: Of a process that recognizes with it; None where the system does not tell.
        report: Its accuracy beside the report's; None if it printed no table.
        tried: The int8 variants that it was chosen from, and ONNX fp32; none if it was asked for.
        waived: Floors that it lies below, and was published in spite of.
    """

    path: Path
    decisions: Decisions
    bytes: int
    sha256: str
    parameters: int
    run: str
    run_accuracy: float
    run_macro_f1: float
    verification: Verification
    latency: Latency
    peak_memory_mib: float | None
    report: dict[str, Any] | None
    tried: tuple[Tried, ...]
    waived: tuple[str, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self) | {"path": self.path.name, "format": self.decisions.format}


def record_path(path: Path) -> Path:
    """Of the record beside a model file."""
    return path.with_suffix(RECORD_SUFFIX)


def recorded_parameters(path: Path) -> int | None:
    """Parameters of the network in a model file; None where no record of this very file is beside.

    Raises:
        UsageError: If the record is damaged.
    """
    record = record_path(path)
    if not record.is_file():
        return None
    try:
        content = json.loads(record.read_text(encoding="utf-8"))
        same = content["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
        return int(content["parameters"]) if same else None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UsageError(f"{record} is damaged: {error!r}") from error


def read_decisions(path: Path) -> list[Decisions]:
    """Decisions of an earlier export.

    Args:
        path: Its record; or the one of a results folder, with the records of several files.

    Raises:
        UsageError: If the file is missing, damaged, or of a format unknown to this version.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        records = content.get("files", [content])
        decisions = [Decisions(**record["decisions"]) for record in records]
    except FileNotFoundError as error:
        raise UsageError(f"no decisions in {path}: there is no such file") from error
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{path} holds no decisions of an export: {error!r}") from error
    for decided in decisions:
        find_format(decided.format)
        if Path(decided.name).name != decided.name:
            raise UsageError(f"{path} is damaged: {decided.name!r} is no file name")
    return decisions
