"""What was exported, and what was tried, as tables for the terminal and as Markdown."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from ser_export.formats import FORMATS
from ser_export.int8_choice import SLOWER
from ser_export.int8_choice import Tried
from ser_export.record import Published
from ser_runtime.labels import EMOTIONS

Rows = Sequence[Sequence[str]]

COLUMNS = (
    "format",
    "size",
    "parameters",
    "accuracy",
    "– run",
    "macro-F1",
    "– run",
    "– report",
    "largest difference (mean)",
    "same best class",
    "p50",
    "p95",
    "peak memory",
)
NOTE = (
    "Accuracy and macro-F1 on the test clips, and minus those of the run; accuracy minus the "
    "report's, and whether chance explains that; difference of a probability from the trained "
    "network. p50 and p95: times of one window at one thread, by "
    "those of ONNX fp32, measured in turn. Peak memory: of a process that recognizes with it, "
    "interpreter and libraries included."
)
_TRIED_COLUMNS = ("tried", "size", "accuracy", "macro-F1", "p50", "")
TRIED_NOTE = "On the validation clips; p50 by that of ONNX fp32."


def published_rows(published: Sequence[Published]) -> list[list[str]]:
    """A row of `COLUMNS` for each file."""
    return [
        [
            FORMATS[item.decisions.format].title + (", chosen" if item.tried else ""),
            f"{item.bytes / 1e6:.3f} MB",
            f"{item.parameters:,}",
            f"{item.verification.accuracy:.4f}",
            f"{item.verification.accuracy - item.run_accuracy:+.4f}",
            f"{item.verification.macro_f1:.4f}",
            f"{item.verification.macro_f1 - item.run_macro_f1:+.4f}",
            _minus_report(item),
            f"{item.verification.largest_difference:.1e} ({item.verification.mean_difference:.1e})",
            f"{item.verification.agreement:.2%}",
            _time(item),
            f"{item.latency.relative_p95:.2f}",
            "–" if item.peak_memory_mib is None else f"{item.peak_memory_mib:.0f} MiB",
        ]
        for item in published
    ]


def _minus_report(item: Published) -> str:
    if (report := item.report) is None:
        return "–"
    chance = "within chance" if report["within_chance"] else "beyond chance"
    return f"{report['difference']:+.3f} {chance}"


def _time(item: Published) -> str:
    """Median by that of fp32; a file that makes its features too is not slower for it."""
    relative = item.latency.relative
    if FORMATS[item.decisions.format].from_waveform:
        return f"{relative:.2f} with features"
    return f"{relative:.2f}" + (" slower" if relative > SLOWER else "")


def tried_rows(tried: Sequence[Tried]) -> list[list[str]]:
    """A row for each int8 variant, and ONNX fp32."""
    return [
        [
            FORMATS[item.format].title,
            f"{item.bytes / 1e6:.3f} MB",
            f"{item.accuracy:.4f}",
            f"{item.macro_f1:.4f}",
            f"{item.relative:.2f}",
            item.verdict,
        ]
        for item in tried
    ]


def class_rows(published: Published, run_f1: dict[str, float]) -> list[list[str]]:
    """F1 of each class: the file's, the run's and the report's."""
    report = published.report["f1"] if published.report else {}
    return [
        [
            emotion,
            f"{published.verification.f1[emotion]:.3f}",
            f"{run_f1[emotion]:.3f}",
            f"{report[emotion]:.2f}" if emotion in report else "–",
        ]
        for emotion in EMOTIONS
    ]


CLASS_COLUMNS = ("F1", "file", "run", "report")


def report_line(published: Published) -> str:
    """The file's accuracy beside the report's, in a sentence; empty if it printed none."""
    if (report := published.report) is None:
        return ""
    low, high = report["interval"]
    chance = "within" if report["within_chance"] else "beyond"
    alike = "its own labels" if report["like_for_like"] else "right labels: not like for like"
    return (
        f"the report: {report['accuracy']:.2f}; difference {report['difference']:+.3f} "
        f"(95 %: {low:+.3f} to {high:+.3f}; {chance} chance; {alike})"
    )


def markdown(columns: Sequence[str], rows: Rows) -> str:
    """A table."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def results_page(
    title: str,
    published: Sequence[Published],
    tried: Sequence[Tried],
    run_f1: dict[str, float],
) -> str:
    """All tables of an export, as Markdown."""
    parts = [f"# {title}\n", markdown(COLUMNS, published_rows(published)), f"{NOTE}\n"]
    if tried:
        parts += [
            "## Which int8 variant\n",
            markdown(_TRIED_COLUMNS, tried_rows(tried)),
            f"{TRIED_NOTE}\n",
        ]
    if published:
        parts += ["## Each class\n"]
        once = list({item.decisions.format: item for item in published}.values())
        columns = ["F1", *(item.decisions.format for item in once), "run", "report"]
        by_file = [class_rows(item, run_f1) for item in once]
        rows = [
            [lines[0][0], *(line[1] for line in lines), lines[0][2], lines[0][3]]
            for lines in zip(*by_file, strict=True)
        ]
        parts += [markdown(columns, rows)]
        if line := report_line(published[0]):
            parts += [f"{published[0].decisions.format}, beside {line}.\n"]
    return "\n".join(parts)


def show(console: Console, columns: Sequence[str], rows: Rows) -> None:
    """A table on the terminal, or where output is no terminal, as wide as it is."""
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    if not console.is_terminal:
        console = Console(file=console.file, width=200, highlight=False, markup=False)
    console.print(table)


def show_tried(console: Console, tried: Sequence[Tried]) -> None:
    """The int8 variants."""
    show(console, _TRIED_COLUMNS, tried_rows(tried))
    console.print(TRIED_NOTE, soft_wrap=True)
