"""Model files from one run: converted, chosen, verified, tried in the runtime, published."""

from __future__ import annotations

import dataclasses
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ser_export.export_clips import TEST
from ser_export.export_clips import VALIDATION
from ser_export.export_clips import ExportClips
from ser_export.formats import BASELINE
from ser_export.formats import FORMATS
from ser_export.formats import Format
from ser_export.formats import find_format
from ser_export.formats import formats_of
from ser_export.int8_choice import Tried
from ser_export.int8_choice import choose_int8
from ser_export.int8_choice import verdict
from ser_export.latency import Latency
from ser_export.progress import Progress
from ser_export.publishing import Verified
from ser_export.publishing import publish
from ser_export.record import Decisions
from ser_export.record import Published
from ser_export.report_figures import beside_report
from ser_export.report_figures import require_report
from ser_export.session_settings import choose_settings
from ser_export.source import Source
from ser_export.verification import FLOORS
from ser_export.verification import WAVEFORM_FLOOR
from ser_export.verification import Floor
from ser_export.verification import measured_probabilities
from ser_export.verification import require_as_measured
from ser_export.workbench import Candidate
from ser_export.workbench import Workbench
from ser_runtime.errors import UsageError
from ser_runtime.errors import VerificationError
from ser_train.families import SCORED_IN_FLOAT32
from ser_train.run_folder import RunFolder

RUNTIMES = ("onnx", "litert")
INT8_NAMES = {"onnx": "-int8", "litert": "-int8-litert"}
"""What the chosen int8 file has behind the model's name: of no format that can be asked for."""


@dataclass(frozen=True)
class Request:
    """What to export.

    Attributes:
        formats: Ids of formats.
        int8: Whether to choose an int8 variant too.
        runtimes: Which runtimes' variants it is chosen from.
        decisions: Of an earlier export, to be repeated without measuring.
        allowed_loss: Of accuracy and macro-F1, in place of the floors; a share, not points.
        report_is_floor: Whether a file that is worse than the report beyond chance is refused.
        plain_name: Whether the file's name leaves its format out.
    """

    formats: tuple[str, ...] = (BASELINE,)
    int8: bool = False
    runtimes: tuple[str, ...] = RUNTIMES
    decisions: tuple[Decisions, ...] = ()
    allowed_loss: float | None = None
    report_is_floor: bool = False
    plain_name: bool = False


@dataclass(frozen=True)
class Outcome:
    """What came of an export.

    Attributes:
        published: The files.
        refused: Why others were not published, by format.
        tried: The int8 variants that one was chosen from, and ONNX fp32 first; none if none was.
    """

    published: list[Published]
    refused: dict[str, str]
    tried: tuple[Tried, ...]


@dataclass(frozen=True, eq=False)
class _Wanted:
    """A file to be published, if it passes."""

    candidate: Candidate
    decisions: Decisions
    tried: tuple[Tried, ...] = ()


def export(
    run: RunFolder,
    clips: ExportClips,
    request: Request,
    out: Path,
    name: str,
    progress: Progress,
) -> Outcome:
    """Write a run's model as files of the formats asked for, each if it is what was trained.

    Args:
        run: A complete run folder.
        clips: Its clips.
        request: What to export.
        out: Folder for the files; each has its record, `<stem>.export.json`, beside it.
        name: Of the model, which the files' names begin with.
        progress: Told what is being done.

    Raises:
        RunFolderError: If the run is missing, incomplete or damaged.
        UsageError: If its family has not the format, or the format needs audio and there is none.
        VerificationError: If the weights are not those that the run's figures come from.
        StorageError: If the disk is full.
    """
    source = Source(run, clips)
    _refuse_impossible(source, request)
    with tempfile.TemporaryDirectory() as folder:
        bench = Workbench(source, Path(folder), progress)
        progress.step("scoring the test clips with the trained network")
        _require_trained_network(bench)
        wanted, refused = _convert(bench, request, name, progress)
        passed = []
        for item in wanted:
            try:
                passed.append(_verified(bench, item, request))
            except VerificationError as error:
                refused[item.decisions.format] = str(error)
        latencies = bench.latencies([item.candidate for item in passed]) if passed else {}
        published = []
        for item in passed:
            progress.step(f"publishing {item.decisions.name}")
            try:
                published.append(publish(bench, item, latencies[item.candidate.kind.id], out))
            except VerificationError as error:
                refused[item.decisions.format] = str(error)
    tried = next((item.tried for item in wanted if item.tried), ())
    return Outcome(published, refused, tried)


def _refuse_impossible(source: Source, request: Request) -> None:
    kinds = [find_format(name) for name in request.formats]
    kinds += [find_format(decided.format) for decided in request.decisions]
    for kind in kinds:
        if source.family not in kind.families:
            possible = ", ".join(row.id for row in formats_of(source.family))
            raise UsageError(
                f"{source.run.path} is a run of the family {source.family}, which cannot become "
                f"{kind.id}; it can become {possible}"
            )
        if (kind.from_waveform or source.takes_audio) and not source.clips.have_audio:
            raise UsageError(
                f"{kind.id} takes audio and is checked on audio: name the corpora with "
                "--corpora DIR"
            )


def _require_trained_network(bench: Workbench) -> None:
    """The weights, and the clips, are those that the run's figures come from."""
    source = bench.source
    test = bench.clips(TEST, source.takes_audio)
    measured = measured_probabilities(source.run.read_predictions(TEST), test.ids)
    float32 = source.run.config().get("precision", "float32") == "float32"
    exact = float32 or source.family in SCORED_IN_FLOAT32
    require_as_measured(bench.original(TEST, source.takes_audio), measured, exact)


def _convert(
    bench: Workbench, request: Request, name: str, progress: Progress
) -> tuple[list[_Wanted], dict[str, str]]:
    """The files asked for, that which int8 chose last, and why others cannot be, by format."""
    wanted, refused = [], {}
    for decided in _decided(request, name):
        try:
            candidate = bench.candidate(decided.format)
        except VerificationError as error:
            refused[decided.format] = str(error)
            continue
        if not request.decisions:
            decided = _with_settings(bench, candidate, decided)
        wanted.append(_Wanted(bench.with_settings(candidate, decided), decided))
    if request.int8:
        try:
            wanted.append(_choose(bench, request, name, progress))
        except VerificationError as error:
            refused["int8"] = str(error)
    return wanted, refused


def _decided(request: Request, name: str) -> list[Decisions]:
    """The formats asked for, and what their files are to be called."""
    if request.decisions:
        return list(request.decisions)
    rows = [FORMATS[kind] for kind in dict.fromkeys(request.formats)]
    return [
        Decisions(row.id, f"{name}{row.suffix}" if request.plain_name else row.file_name(name))
        for row in rows
    ]


def _with_settings(bench: Workbench, candidate: Candidate, decided: Decisions) -> Decisions:
    """Decisions with the session settings that are fastest for the file."""
    if candidate.kind.runtime != "onnx":
        return decided
    inputs = bench.clips(VALIDATION, candidate.kind.from_waveform).inputs[:16]
    if not candidate.model.takes_waveform:
        inputs = bench.source.standardization(inputs)
    level, threads = choose_settings(candidate.path, inputs)
    return dataclasses.replace(decided, graph_optimization=level, threads=threads)


def _choose(bench: Workbench, request: Request, name: str, progress: Progress) -> _Wanted:
    """The int8 variant that is worth having, by the validation clips."""
    kinds = [
        kind
        for kind in formats_of(bench.source.family)
        if kind.precision == "int8" and kind.runtime in request.runtimes
    ]
    variants = []
    for kind in kinds:
        try:
            variants.append(bench.candidate(kind.id))
        except VerificationError as error:
            progress.note(f"not tried: {kind.id}: {error}")
    latencies = bench.latencies(variants)
    baseline, *tried = [
        _tried(bench, item, latencies[item.kind.id])
        for item in (bench.candidate(BASELINE), *variants)
    ]
    chosen = choose_int8(tried, baseline)
    shown = tuple(
        dataclasses.replace(item, verdict=verdict(item, chosen, baseline)) for item in tried
    )
    candidate = bench.candidate(chosen.format)
    # Of their own for each runtime: the records beside the files go by it.
    stem = name if request.plain_name else f"{name}{INT8_NAMES[candidate.kind.runtime]}"
    decided = Decisions(chosen.format, f"{stem}{candidate.kind.suffix}")
    decided = _with_settings(bench, candidate, decided)
    return _Wanted(bench.with_settings(candidate, decided), decided, (baseline, *shown))


def _tried(bench: Workbench, candidate: Candidate, latency: Latency) -> Tried:
    scored = bench.verify(candidate, VALIDATION)
    return Tried(
        candidate.kind.id, candidate.bytes, scored.accuracy, scored.macro_f1, latency.relative
    )


def _verified(bench: Workbench, item: _Wanted, request: Request) -> Verified:
    """A file with its figures on the test clips.

    Raises:
        VerificationError: If it lies below a floor.
    """
    verification = bench.verify(item.candidate, TEST)
    floor = floor_of(item.candidate.kind)
    verification.require(floor, request.allowed_loss)
    if request.report_is_floor:
        require_report(beside_report(bench.source.run.metrics(), verification))
    waived = verification.faults(floor)
    return Verified(item.candidate, item.decisions, verification, item.tried, waived)


def floor_of(kind: Format) -> Floor:
    """What a file of a format must keep."""
    return WAVEFORM_FLOOR if kind.from_waveform else FLOORS[kind.precision]
