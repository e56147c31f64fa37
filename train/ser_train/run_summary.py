"""A run's figures beside the report's, on the terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from ser_runtime.labels import EMOTIONS
from ser_train.report_tables import report_table
from ser_train.results import show_results_table
from ser_train.run_folder import RunFolder


def show_results(metrics: dict[str, Any], console: Console | None = None) -> None:
    """Print precision, recall and F1 of each class beside the report's, and the summary.

    Args:
        metrics: Content of a metrics.json.
        console: Where to; default stdout.
    """
    console = console or Console()
    printed = report_table(metrics["experiment"])
    split = metrics["protocol"] + (f" fold {metrics['fold']}" if metrics["fold"] else "")
    title = f"{metrics['experiment']} on {split}, seed {metrics['seed']}"
    table = Table(title=title, box=None, padding=(0, 1, 0, 0))
    table.add_column("")
    for name in ("precision", "recall", "F1", "support"):
        table.add_column(name, justify="right")
        if printed:
            table.add_column("report", justify="right", style="dim")
    for emotion in EMOTIONS:
        rows = [_class_row(metrics["per_class"][emotion])]
        if printed:
            rows.append(_class_row(printed.per_class[emotion]))
        table.add_row(emotion, *(cell for cells in zip(*rows, strict=True) for cell in cells))
    console.print(table)
    for name in ("accuracy", "unweighted_accuracy", "macro_f1"):
        line = f"{name.replace('_', ' ')}: {metrics[name]:.3f}"
        if interval := metrics[f"{name}_interval"]:
            line += f" (95 %: {interval[0]:.3f} to {interval[1]:.3f})"
        if "report" in metrics and name in metrics["report"]:
            line += f"; report {metrics['report'][name]:.2f}"
        console.print(line, highlight=False)
    if (among := metrics.get("accuracy_among_tested_classes")) is not None:
        console.print(
            f"accuracy choosing only among the classes of the test clips: {among:.3f}",
            highlight=False,
        )
    if (alone := metrics.get("accuracy_one_at_a_time")) is not None:
        together = metrics["scored_at_once"]
        console.print(
            f"accuracy one clip at a time: {alone:.3f} (above: {together} together)",
            highlight=False,
        )
    if report := metrics.get("report"):
        low, high = report["interval"]
        chance = "within" if report["within_chance"] else "beyond"
        console.print(
            f"accuracy minus the report's: {report['difference']:+.3f} "
            f"(95 %: {low:+.3f} to {high:+.3f}; {chance} chance)",
            highlight=False,
        )
    for warning in warnings_of(metrics):
        console.print(warning, style="yellow", soft_wrap=True, highlight=False)


def show_repeated(
    runs: Sequence[tuple[RunFolder, dict[str, Any]]], console: Console | None = None
) -> None:
    """Print every seed of an experiment, and how far they lie apart.

    Args:
        runs: Each with the content of its metrics.json.
        console: Where the summary goes; default stdout.
    """
    show_results_table(runs)
    accuracies = np.array([metrics["accuracy"] for _, metrics in runs])
    (console or Console()).print(
        f"accuracy of {len(runs)} seeds: {accuracies.min():.3f} to {accuracies.max():.3f}, "
        f"mean {accuracies.mean():.3f}, standard deviation {accuracies.std(ddof=1):.3f}",
        soft_wrap=True,
        highlight=False,
    )


def warnings_of(metrics: dict[str, Any]) -> list[str]:
    """What must be known to read a run's figures.

    Args:
        metrics: Content of a metrics.json.
    """
    warnings = []
    if not metrics["standard_split"]:
        warnings.append("other clips than the corpora's 12,162: compare with no other figure")
    if metrics["speakers_shared"]:
        warnings.append(
            "flattering: the same speakers are in training and test "
            "(--protocol speaker-independent gives the number to believe)"
        )
        if "report" in metrics and not metrics["report"]["like_for_like"]:
            warnings.append(
                "not like for like: the report labelled all SAVEE clips surprise, which "
                f"flatters it (--protocol {metrics['protocol']}-labels compares alike)"
            )
    elif "report" in metrics:
        warnings.append(
            "not like for like: the report tested speakers that it had trained on, which "
            "flatters it, and other clips"
        )
    return warnings


def _class_row(figures: dict[str, float]) -> list[str]:
    values = [f"{figures[name]:.2f}" for name in ("precision", "recall", "f1")]
    return [*values, str(int(figures["support"]))]
