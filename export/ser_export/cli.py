"""`ser-export`: turns a run folder into a verified model file."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING
from typing import NoReturn

from ser_export.run_choice import choose_run
from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import UsageError
from ser_runtime.errors import run_command
from ser_runtime.extras import require_extra
from ser_train.backend import use_backend
from ser_train.splits import PROTOCOLS

if TYPE_CHECKING:
    from ser_export.export import Exported
    from ser_train.run_folder import RunFolder

_EXAMPLES = """examples:
  ser-export --model cnn                          the run in runs/, to exports/cnn.onnx
  ser-export --model runs/cnn-report-seed1 --out /tmp
  ser-listen --model exports/cnn.onnx speech.wav  use the file"""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main(argv))


def _main(argv: list[str] | None) -> int:
    parser = argparse.ArgumentParser(
        prog="ser-export",
        description="Export a trained model to ONNX, verified on the run's test clips against "
        "Keras. A file that does not agree is not published.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--model", required=True, help="experiment id, or path of a run folder")
    parser.add_argument("--runs", type=Path, default=Path("runs"), metavar="DIR")
    parser.add_argument("--out", type=Path, default=Path("exports"), metavar="DIR")
    arguments = parser.parse_args(argv)
    require_extra("export", ("keras", "tensorflow", "onnx", "tf2onnx", "sklearn", "scipy"))
    run = choose_run(arguments.model, arguments.runs)
    _refuse_other_families(run)
    use_backend("tensorflow")
    from ser_export.export import export_onnx

    print(f"run folder: {run.path}", file=sys.stderr)
    metrics = run.metrics()
    if PROTOCOLS[metrics["protocol"]].report_labels:
        print("warning: this run learnt the report's faulty labels: never ship it", file=sys.stderr)
    # Only a run on the right labels and the common split gets the plain name.
    name = metrics["experiment"] if metrics["protocol"] == "report" else run.path.name
    _show(export_onnx(run, arguments.out / f"{name}.onnx"))
    return 0


def _refuse_other_families(run: RunFolder) -> None:
    family = run.config()["experiment"].get("family", "features")
    if family == "wav2vec2":
        raise UsageError(
            f"{run.path / 'model'} is a model of transformers: export it by "
            f"`optimum-cli export onnx --task audio-classification --model {run.path / 'model'} "
            "OUT` (pip install optimum-onnx, which wants transformers 4)"
        )
    if family != "features":
        raise UsageError(f"{run.path} is a run of {family}, which this version does not export")


def _show(exported: Exported) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False, markup=False)
    checked = exported.verification
    columns = ("format", "size", "accuracy", "– run", "macro-F1", "– run", "p50", "p95")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    table.add_row(
        "ONNX fp32",
        f"{exported.bytes / 1e6:.3f} MB",
        f"{checked.accuracy:.4f}",
        f"{checked.accuracy - exported.run_accuracy:+.4f}",
        f"{checked.macro_f1:.4f}",
        f"{checked.macro_f1 - exported.run_macro_f1:+.4f}",
        *(f"{value:.2f} ms" for value in exported.latency_ms),
    )
    console.print(table)
    console.print(
        f"against Keras on {checked.clips} test clips: largest difference of a probability "
        f"{checked.largest_difference:.1e}, mean {checked.mean_difference:.1e}; same best class "
        f"in {checked.agreement:.2%} ({checked.ties} ties left out); largest difference from the "
        f"run's own predictions {checked.run_difference:.1e}",
        soft_wrap=True,
    )
    if report := exported.report:
        low, high = report["interval"]
        alike = "like for like" if report["like_for_like"] else "not like for like"
        console.print(
            f"the report: {report['accuracy']:.2f}; difference {report['difference']:+.3f} "
            f"(95 %: {low:+.3f} to {high:+.3f}; {alike})",
            soft_wrap=True,
        )
    console.print(f"published: {exported.path}", soft_wrap=True)
