"""A converted file that has been verified, put into its place with its record."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ser_export.int8_choice import Tried
from ser_export.latency import Latency
from ser_export.model_file import stamped
from ser_export.model_file import with_figures
from ser_export.peak_memory import peak_memory
from ser_export.record import Decisions
from ser_export.record import Published
from ser_export.record import record_path
from ser_export.report_figures import beside_report
from ser_export.runtime_trial import try_in_runtime
from ser_export.verification import Verification
from ser_export.workbench import Candidate
from ser_export.workbench import Workbench
from ser_runtime.atomic_file import atomic_path


@dataclass(frozen=True, eq=False)
class Verified:
    """A file that may be published.

    Attributes:
        candidate: The file.
        decisions: What it was made by.
        verification: On the test clips.
        tried: The int8 variants that it was chosen from; none if it was asked for.
        waived: Floors that it lies below.
    """

    candidate: Candidate
    decisions: Decisions
    verification: Verification
    tried: tuple[Tried, ...]
    waived: Sequence[str]


def publish(bench: Workbench, item: Verified, latency: Latency, out: Path) -> Published:
    """Stamp a file with its figures, try it in the runtime, and put it into a folder.

    Raises:
        VerificationError: If the runtime answers otherwise than what was verified.
        StorageError: If the disk is full; neither the file nor its record is there then.
    """
    candidate, decided, verification = item.candidate, item.decisions, item.verification
    metrics, run = bench.source.run.metrics(), bench.source.run
    metadata = with_figures(candidate.metadata, verification.accuracy, verification.macro_f1)
    content = stamped(candidate.content, candidate.kind, metadata)
    path = out / decided.name
    published = Published(
        path=path,
        decisions=decided,
        bytes=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        parameters=bench.source.parameters,
        run=run.name,
        run_accuracy=metrics["accuracy"],
        run_macro_f1=metrics["macro_f1"],
        verification=verification,
        latency=latency,
        peak_memory_mib=peak_memory(candidate.path),
        report=beside_report(metrics, verification),
        tried=item.tried,
        waived=tuple(item.waived),
    )
    # Both or neither: the record is written before the model takes its place.
    with atomic_path(record_path(path)) as record, atomic_path(path) as temporary:
        temporary.write_bytes(content)
        try_in_runtime(temporary, bench, candidate)
        text = json.dumps(published.to_dict(), indent=1)
        record.write_text(text + "\n", encoding="utf-8")
    return published
