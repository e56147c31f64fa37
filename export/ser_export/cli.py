"""`ser-export`: turns a trained model into verified model files."""

from __future__ import annotations

import argparse
import sys
from typing import NoReturn

from ser_export.commands import compare
from ser_export.commands import export
from ser_export.commands.formats import show_formats
from ser_runtime.errors import EXIT_CODES_HELP
from ser_runtime.errors import run_command

_EXAMPLES = """examples:
  ser-export --model cnn                          the run in runs/, to exports/cnn.onnx
  ser-export --model parallel --int8              the int8 file that is worth having
  ser-export --model runs/cnn-report-seed1 --format litert-dynamic --out /tmp
  ser-export --model cnn --all --corpora ~/corpora --results export/results
  ser-export --model train/results/cnn-report-seed0 --corpora ~/corpora
  ser-listen --model exports/cnn.onnx speech.wav  use the file

further commands:
  ser-export formats                              what there is, and what for
  ser-export compare FILES... --run RUN           files at hand, side by side"""


def main(argv: list[str] | None = None) -> NoReturn:
    """Entry point of the console script."""
    run_command(lambda: _main(sys.argv[1:] if argv is None else argv))


def _main(argv: list[str]) -> int:
    if argv[:1] == ["compare"]:
        parser = argparse.ArgumentParser(prog="ser-export compare", description=compare.DESCRIPTION)
        compare.add_arguments(parser)
        return compare.run(parser.parse_args(argv[1:]))
    if argv[:1] == ["formats"]:
        argparse.ArgumentParser(
            prog="ser-export formats", description="Prints the formats and what each is for."
        ).parse_args(argv[1:])
        show_formats()
        return 0
    parser = argparse.ArgumentParser(
        prog="ser-export",
        description="Export a trained model to ONNX or LiteRT files that describe themselves. Each "
        "is verified on the run's test clips against the trained network, and is not published "
        "where it does not agree.",
        epilog=f"{_EXAMPLES}\n\n{EXIT_CODES_HELP}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    export.add_arguments(parser)
    return export.run(parser.parse_args(argv))
