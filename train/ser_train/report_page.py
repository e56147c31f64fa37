"""One page over several runs: Markdown, and HTML with every plot inside."""

from __future__ import annotations

import base64
import html
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ser_runtime.atomic_file import write_text
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_train.plots import plot_reliability
from ser_train.report_tables import report_table
from ser_train.results import results_table
from ser_train.results import row_name
from ser_train.run_folder import RunFolder
from ser_train.run_report import accuracy_by_sex
from ser_train.run_report import most_confused
from ser_train.run_report import read_test_clips
from ser_train.run_report import reliability
from ser_train.run_summary import warnings_of

_TITLE = "# Runs\n"
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem;
  color: #222; }
table { border-collapse: collapse; margin: .7rem 0; font-variant-numeric: tabular-nums; }
td, th { padding: .15rem .7rem; border-bottom: 1px solid #ddd; text-align: left; }
.side { display: flex; flex-wrap: wrap; gap: .5rem; }
.side figure { margin: 0; flex: 1 1 30rem; max-width: 42rem; }
img { max-width: 100%; }
"""


@dataclass(frozen=True)
class _Table:
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def write_report(runs: Sequence[RunFolder], page: Path) -> list[Path]:
    """Write the page, and the same as Markdown beside it (without plots).

    Args:
        runs: Complete.
        page: HTML file.

    Returns:
        What was written.

    Raises:
        RunFolderError: If a run is incomplete or damaged.
        StorageError: If the disk is full.
        UsageError: If something else than a report stands in the place of the Markdown.
    """
    markdown = page.with_suffix(".md")
    if markdown.exists() and not _is_ours(markdown):
        raise UsageError(
            f"{markdown} is no report of ser-train, and the Markdown would take its place: choose "
            "another --out"
        )
    metrics = [run.metrics() for run in runs]
    overview = results_table([row_name(run) for run in runs], metrics)
    sections = [(run, _sections(run, figures)) for run, figures in zip(runs, metrics, strict=True)]
    write_text(markdown, _markdown(overview, sections))
    write_text(page, _page(overview, sections))
    return [page, markdown]


def _is_ours(markdown: Path) -> bool:
    try:
        return markdown.read_text(encoding="utf-8").startswith(_TITLE)
    except (OSError, ValueError):
        return False


def _sections(run: RunFolder, metrics: dict[str, Any]) -> list[tuple[str, _Table]]:
    """Tables of one run, each with its heading."""
    clips = read_test_clips(run)
    corpora = tuple(
        (name, f"{row['accuracy']:.3f}", _interval(row["accuracy_interval"]), str(row["clips"]))
        for name, row in metrics["per_corpus"].items()
    )
    sexes = tuple(
        (name, f"{accuracy:.3f}", str(count))
        for name, (accuracy, count) in accuracy_by_sex(clips).items()
    )
    confused = tuple(
        (cell["right"], cell["recognized"], str(cell["clips"]), f"{cell['share']:.0%}")
        for cell in most_confused(metrics["confusion"])
    )
    calibration = (
        ("before", f"{metrics['ece']:.3f}"),
        ("after", f"{metrics['ece_calibrated']:.3f}"),
    )
    return [
        ("Classes, beside the report's table", _classes(metrics)),
        ("By corpus", _Table(("corpus", "accuracy", "95 %", "clips"), corpora)),
        ("By the speaker's sex", _Table(("sex", "accuracy", "clips"), sexes)),
        (
            "Most confused",
            _Table(("labelled", "recognized", "clips", "of the labelled"), confused),
        ),
        (
            f"Expected calibration error (temperature {metrics['temperature']:.2f})",
            _Table(("temperature", "ECE, 15 bins"), calibration),
        ),
    ]


def _classes(metrics: dict[str, Any]) -> _Table:
    printed = report_table(metrics["experiment"])
    header = ["emotion"]
    for name in ("precision", "recall", "F1", "support"):
        header += [name, "report"] if printed else [name]
    rows = []
    for emotion in EMOTIONS:
        tables = [metrics["per_class"][emotion]]
        if printed:
            tables.append(printed.per_class[emotion])
        row = [emotion]
        for name in ("precision", "recall", "f1"):
            row += [f"{table[name]:.2f}" for table in tables]
        rows.append((*row, *(str(int(table["support"])) for table in tables)))
    return _Table(tuple(header), tuple(rows))


def _interval(interval: Sequence[float] | None) -> str:
    return f"{interval[0]:.3f}–{interval[1]:.3f}" if interval else "–"


def _markdown(overview: str, sections: Sequence[tuple[RunFolder, list[tuple[str, _Table]]]]) -> str:
    parts = [_TITLE, overview]
    for run, tables in sections:
        parts.append(f"\n## {run.name}\n")
        parts += [f"\n{warning}.\n" for warning in warnings_of(run.metrics())]
        for heading, table in tables:
            rows = [table.header, tuple("---" for _ in table.header), *table.rows]
            lines = "\n".join(f"| {' | '.join(row)} |" for row in rows)
            parts.append(f"\n### {heading}\n\n{lines}\n")
    return "\n".join(parts)


def _page(overview: str, sections: Sequence[tuple[RunFolder, list[tuple[str, _Table]]]]) -> str:
    matrices = "".join(_figure(run.confusion_plot, run.name) for run, _ in sections)
    parts = [
        "<!doctype html>",
        f'<html lang="en"><meta charset="utf-8"><title>ser-train report</title>'
        f"<style>{_STYLE}</style>",
        "<h1>Runs</h1>",
        _overview_html(overview),
        f'<h2>Confusion matrices</h2><div class="side">{matrices}</div>',
    ]
    for run, tables in sections:
        parts.append(f"<h2>{html.escape(run.name)}</h2>")
        parts += [f"<p>{html.escape(text)}.</p>" for text in warnings_of(run.metrics())]
        parts += [f"<h3>{html.escape(name)}</h3>{_html_table(table)}" for name, table in tables]
        plots = _figure(run.curves_plot, "learning curves") + _reliability_figure(run)
        parts.append(f'<div class="side">{plots}</div>')
    return "\n".join(parts) + "\n</html>\n"


def _overview_html(overview: str) -> str:
    """The Markdown table of results, and its notes, as HTML."""
    lines = [line for line in overview.splitlines() if line]
    cells = [tuple(cell.strip() for cell in line.strip("|").split(" | ")) for line in lines]
    rows = [row for row, line in zip(cells, lines, strict=True) if line.startswith("|")]
    notes = [line for line in lines if not line.startswith("|")]
    text = "".join(f"<p>{html.escape(note)}</p>" for note in notes)
    return _html_table(_Table(rows[0], tuple(rows[2:]))) + text


def _html_table(table: _Table) -> str:
    head = "".join(f"<th>{html.escape(cell)}</th>" for cell in table.header)
    body = "".join(
        "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
        for row in table.rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"


def _figure(path: Path, caption: str) -> str:
    if not path.is_file():
        return ""
    content = base64.b64encode(path.read_bytes()).decode()
    name = html.escape(caption)
    return f'<figure><img alt="{name}" src="data:image/png;base64,{content}"></figure>'


def _reliability_figure(run: RunFolder) -> str:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "reliability.png"
        plot_reliability(reliability(read_test_clips(run)), run.name, path)
        return _figure(path, "reliability diagram")
