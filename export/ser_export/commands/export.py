"""`ser-export --model MODEL`: model files from a run."""

from __future__ import annotations

import argparse
import json
import math
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import Any

from ser_export.formats import BASELINE
from ser_export.formats import FORMATS
from ser_export.formats import Format
from ser_export.formats import find_format
from ser_export.formats import formats_of
from ser_export.run_choice import choose_run
from ser_runtime.errors import UsageError
from ser_runtime.errors import VerificationError
from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.commands.arguments import add_cache
from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS
from ser_train.splits import PROTOCOLS

if TYPE_CHECKING:
    from ser_export.export import Outcome
    from ser_train.run_folder import RunFolder

RUNTIMES = {"onnx": ("onnx",), "litert": ("litert",), "any": ("onnx", "litert")}
_PACKAGES = ("keras", "tensorflow", "onnx", "tf2onnx", "sklearn", "scipy")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command."""
    parser.add_argument(
        "--model",
        required=True,
        help="experiment id (parallel: the report's best), a run folder, a folder of committed "
        "results, or the weights in one of these",
    )
    parser.add_argument(
        "--format",
        action="append",
        default=[],
        metavar="ID",
        help=f"of `ser-export formats`, as often as you like (default: {BASELINE})",
    )
    parser.add_argument(
        "--int8",
        action="store_true",
        help="the fastest int8 variant that is smaller than fp32 and keeps its macro-F1 within a "
        "point, by measurement on validation clips",
    )
    parser.add_argument(
        "--runtime",
        choices=RUNTIMES,
        default="any",
        help="whose variants --int8 and --all choose from (default: any; devices with the base "
        "install have onnx)",
    )
    parser.add_argument("--fp16", action="store_true", help="the same as --format litert-fp16")
    parser.add_argument("--all", action="store_true", help="every format that the model has")
    parser.add_argument(
        "--corpora",
        type=Path,
        metavar="DIR",
        help="clips for what the run folder does not hold: audio, or features beside weights",
    )
    add_cache(parser)
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("exports"), metavar="DIR")
    parser.add_argument("--name", help="that the files' names begin with (default: the model's)")
    parser.add_argument(
        "--plain-name",
        action="store_true",
        help="call the file NAME.onnx or NAME.tflite whatever its format, as the models in the "
        "runtime's package are; for one file",
    )
    parser.add_argument(
        "--results",
        type=Path,
        metavar="DIR",
        help="write tables and records into DIR/NAME too: table.md, export.json",
    )
    parser.add_argument(
        "--decisions",
        type=Path,
        metavar="FILE",
        help="repeat the decisions of an earlier export (its .export.json): the same bytes",
    )
    parser.add_argument(
        "--allow-loss",
        type=_points,
        metavar="X",
        help="publish in spite of the floors a file that loses at most X points (percent) of "
        "accuracy and macro-F1",
    )
    parser.add_argument(
        "--require-report",
        action="store_true",
        help="refuse a file that is worse than the report beyond chance",
    )


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    if arguments.decisions and (
        arguments.format or arguments.int8 or arguments.fp16 or arguments.all
    ):
        raise UsageError(
            "--decisions says which formats: leave out --format, --int8, --fp16, --all"
        )
    for name in arguments.format:
        find_format(name)
    require_extra("export", _PACKAGES)
    folder = choose_run(arguments.model, arguments.runs)
    config = folder.config()
    experiment = config["experiment"]
    require_extra(experiment.get("extra", "train"), experiment.get("needs", ()))
    metrics = folder.metrics()
    formats, with_litert = _formats(arguments, experiment.get("family", "features"))
    use_backend("tensorflow")
    from ser_export.export import Request
    from ser_export.export import export
    from ser_export.export_clips import ExportClips
    from ser_export.progress import Progress
    from ser_export.record import read_decisions

    print(f"run folder: {folder.path}", file=sys.stderr)
    if PROTOCOLS[metrics["protocol"]].report_labels:
        print("warning: this run learnt the report's faulty labels: never ship it", file=sys.stderr)
    runtimes = RUNTIMES[arguments.runtime] if with_litert else ("onnx",)
    request = Request(
        formats=tuple(kind.id for kind in formats),
        int8=arguments.int8 or arguments.all,
        runtimes=runtimes,
        decisions=tuple(read_decisions(arguments.decisions)) if arguments.decisions else (),
        allowed_loss=arguments.allow_loss,
        report_is_floor=arguments.require_report,
        plain_name=arguments.plain_name,
    )
    name = arguments.name or _name(folder, metrics)
    if arguments.plain_name and len(request.formats) + request.int8 != 1:
        raise UsageError("--plain-name is for one file: one --format, or --int8")
    with Progress() as progress:
        clips = ExportClips(folder, arguments.corpora, arguments.cache, progress.clips)
        outcome = export(folder, clips, request, arguments.out, name, progress)
    _show(outcome, folder)
    if arguments.results and outcome.published:
        _write_results(outcome, folder, arguments.results / name, name)
    if outcome.refused:
        raise VerificationError(
            "; ".join(f"{kind}: {reason}" for kind, reason in outcome.refused.items())
        )
    return 0


def _name(run: RunFolder, metrics: dict[str, Any]) -> str:
    """That of the experiment for a run on its own split with the right labels, else the run's."""
    row = (EXPERIMENTS | ABLATIONS).get(metrics["experiment"])
    plain = row is not None and metrics["protocol"] == row.protocol
    return metrics["experiment"] if plain else run.name


def _formats(arguments: argparse.Namespace, family: str) -> tuple[list[Format], bool]:
    """The formats asked for by name, and whether LiteRT's can be made here.

    Raises:
        MissingExtraError: If one was asked for whose extra is not installed.
    """
    ids = [*arguments.format, *(["litert-fp16"] if arguments.fp16 else [])]
    if arguments.all:
        runtimes = RUNTIMES[arguments.runtime]
        ids += [row.id for row in formats_of(family) if row.runtime in runtimes]
        if arguments.corpora is None:
            left_out = [name for name in ids if FORMATS[name].from_waveform]
            ids = [name for name in ids if name not in left_out]
            if left_out:
                print(
                    f"left out: {', '.join(left_out)}, which is checked on audio "
                    "(name the corpora with --corpora DIR)",
                    file=sys.stderr,
                )
    if not ids and not arguments.int8 and not arguments.decisions:
        ids = [BASELINE]
    kinds = [find_format(name) for name in dict.fromkeys(ids)]
    for kind in kinds:
        if kind.extra:
            require_extra(kind.extra, ("ai_edge_litert",))
    return kinds, _has_litert(arguments)


def _has_litert(arguments: argparse.Namespace) -> bool:
    """Whether the interpreter that LiteRT files are verified with is installed.

    Raises:
        MissingExtraError: If it is not, and --runtime litert needs it.
    """
    from ser_runtime.errors import MissingExtraError

    try:
        require_extra("litert", ("ai_edge_litert",))
    except MissingExtraError as error:
        if arguments.int8 and arguments.runtime == "litert":
            raise
        if arguments.int8 and arguments.runtime == "any":
            print(f"LiteRT's variants are not tried: {error}", file=sys.stderr)
        return False
    return True


def _points(text: str) -> float:
    value = float(text)
    if not 0 <= value < 100 or not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"must lie within 0 to 100 points, not {text}")
    return value / 100


def _show(outcome: Outcome, run: RunFolder) -> None:
    from rich.console import Console

    from ser_export import tables

    console = Console(highlight=False, markup=False)
    if outcome.tried:
        tables.show_tried(console, outcome.tried)
        console.print()
    if not outcome.published:
        return
    tables.show(console, tables.COLUMNS, tables.published_rows(outcome.published))
    console.print(tables.NOTE, soft_wrap=True)
    console.print()
    for item in outcome.published:
        for waived in item.waived:
            console.print(f"warning: {item.path.name} lies below a floor: {waived}", soft_wrap=True)
    first = outcome.published[0]
    if line := tables.report_line(first):
        console.print(f"{first.path.name}, beside {line}", soft_wrap=True)
    if len(outcome.published) == 1:
        run_f1 = {name: row["f1"] for name, row in run.metrics()["per_class"].items()}
        tables.show(console, tables.CLASS_COLUMNS, tables.class_rows(first, run_f1))
    extras = {FORMATS[item.decisions.format].extra for item in outcome.published} - {""}
    for extra in sorted(extras):
        console.print(
            f"a device runs .tflite files with pip install 'ser-edge[{extra}]'; --runtime onnx "
            "chooses among what the base install runs",
            soft_wrap=True,
        )
    for item in outcome.published:
        console.print(f"published: {item.path}", soft_wrap=True)


def _write_results(outcome: Outcome, run: RunFolder, folder: Path, name: str) -> None:
    from dataclasses import asdict

    from ser_export.tables import results_page
    from ser_runtime.atomic_file import write_text

    run_f1 = {emotion: row["f1"] for emotion, row in run.metrics()["per_class"].items()}
    page = results_page(
        f"{name}, exported from {run.name}", outcome.published, outcome.tried, run_f1
    )
    content = {
        "run": run.name,
        "files": [item.to_dict() for item in outcome.published],
        "tried": [asdict(item) for item in outcome.tried],
        "refused": outcome.refused,
    }
    write_text(folder / "table.md", page)
    write_text(folder / "export.json", json.dumps(content, indent=1) + "\n")
