"""The committed results: what of a run folder is kept, and the table over all of them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from ser_runtime.atomic_file import atomic_path
from ser_runtime.atomic_file import write_text
from ser_runtime.errors import RunFolderError
from ser_train.claims import claims_table
from ser_train.pooled_predictions import read_scored
from ser_train.repeated_runs import means_table
from ser_train.run_folder import RunFolder

_KEPT_OF_ALL = (
    "config.json",
    "history.json",
    "predictions.csv",
    "confusion_matrix.png",
    "learning_curves.png",
    "metrics.json",
)

_KEPT_OF_FEATURES = (*_KEPT_OF_ALL, "standardization.json", "weights.npz")

KEPT = {
    "features": _KEPT_OF_FEATURES,
    "compact": _KEPT_OF_FEATURES,
    # Weights of 110 MB and 380 MB are too large for a repository.
    "vgg16": (*_KEPT_OF_ALL, "pictures.json"),
    "wav2vec2": _KEPT_OF_ALL,
}
"""What is kept of a run of each family: no features and no audio, since the corpora's licences do
not allow to pass them on."""

KEPT_OF_TUNING = ("recipe.json", "history.json", "table.md")
"""What is kept of a search over learning rates; its table comes last, when it is at its end."""

_COLUMNS = (
    "run",
    "parameters",
    "epochs",
    "minutes",
    "accuracy (95 %)",
    "macro-F1 (95 %)",
    "report: accuracy, macro-F1",
    "accuracy minus report (95 %)",
)

_NOTES = (
    "¹ flattering: speakers are shared between training and test. "
    "² not like for like: the report's labels call all SAVEE clips surprise, and its speakers "
    "are shared, both of which flatter it. "
    "³ search for the best epoch stopped by hand, before the recipe's own end. "
    "⁴ other clips than the 12,162: no split of the protocol. "
    "⁵ learnt from other networks of the same split beside the labels (`teaching` in config.json)."
)


def publish(runs: Sequence[RunFolder], folder: Path) -> Path:
    """Copy what is kept of complete runs into the results, and write the tables anew.

    Args:
        runs: Complete run folders.
        folder: Holds one folder per run, `table.md` and `claims.md`.

    Returns:
        The table.

    Raises:
        RunFolderError: If a run is not complete, or its figures do not fit its predictions.
        StorageError: If the disk is full.
    """
    for run in runs:
        if not run.complete:
            raise RunFolderError(f"{run.path} is not a complete run folder")
        if missing := [name for name in _kept(run) if not (run.path / name).is_file()]:
            raise RunFolderError(f"{run.path} lacks {', '.join(missing)}")
        read_scored(run, "test")  # refuses figures that do not fit the predictions
    for run in runs:
        _copy(run.path, _kept(run), folder)
    table = folder / "table.md"
    published = [RunFolder(path.parent) for path in sorted(folder.glob("*/metrics.json"))]
    names = [row_name(run) for run in published]
    all_runs = results_table(names, [run.metrics() for run in published])
    means = means_table(published)
    write_text(table, f"{all_runs}\n{means}" if means else all_runs)
    write_text(folder / "claims.md", claims_table(published))
    return table


def is_tuning(folder: Path) -> bool:
    """Whether a folder is one of `ser_train.tuning`, and not a run."""
    return (folder / "trials").is_dir() and (folder / "recipe.json").is_file()


def publish_tuning(source: Path, folder: Path) -> Path:
    """Copy what is kept of a search over learning rates into the results.

    Args:
        source: Folder of the search.
        folder: Holds one folder per run or search.

    Returns:
        Its table.

    Raises:
        RunFolderError: If the search is not at its end.
        StorageError: If the disk is full.
    """
    if missing := [name for name in KEPT_OF_TUNING if not (source / name).is_file()]:
        raise RunFolderError(f"{source} is not a complete search: it lacks {', '.join(missing)}")
    _copy(source, KEPT_OF_TUNING, folder)
    return folder / source.name / "table.md"


def _copy(source: Path, names: Sequence[str], folder: Path) -> None:
    """Copy files into the folder of the same name in `folder`, each as a whole or not at all."""
    for name in names:
        with atomic_path(folder / source.name / name) as temporary:
            shutil.copyfile(source / name, temporary)


def _kept(run: RunFolder) -> tuple[str, ...]:
    return KEPT[run.config()["experiment"].get("family", "features")]


def show_results_table(runs: Sequence[tuple[RunFolder, dict[str, Any]]]) -> None:
    """Print the table of runs, each with the content of its metrics.json, on stdout."""
    names = [row_name(run) for run, _ in runs]
    if not Console().is_terminal:
        print(results_table(names, [metrics for _, metrics in runs]), end="")  # noqa: T201
        return
    table = Table(*_COLUMNS, box=None)
    for name, (_, metrics) in zip(names, runs, strict=True):
        table.add_row(*_row(name, metrics))
    Console().print(table)
    Console().print(_NOTES, style="dim", soft_wrap=True, highlight=False)


def row_name(run: RunFolder) -> str:
    """A run's name in the table, marked if it had teachers."""
    return run.name + (" ⁵" if run.config().get("teaching") else "")


def results_table(names: Sequence[str], metrics: Sequence[dict[str, Any]]) -> str:
    """One row per run, as Markdown, with what must be known to read it.

    Args:
        names: Of `row_name`.
        metrics: Content of each metrics.json.
    """
    lines = [" | ".join(_COLUMNS), " | ".join("---" for _ in _COLUMNS)]
    lines += [" | ".join(_row(*pair)) for pair in zip(names, metrics, strict=True)]
    notes = [
        "",
        _NOTES,
    ]
    return "\n".join([*(f"| {line} |" for line in lines), *notes]) + "\n"


def _row(name: str, metrics: dict[str, Any]) -> list[str]:
    report = metrics.get("report")
    epochs = metrics["epochs"]
    return [
        name
        + (" ¹" if metrics["speakers_shared"] else "")
        + ("" if metrics["standard_split"] else " ⁴"),
        f"{metrics['parameters']:,}",
        f"{epochs['trained']} (of {epochs['searched']} searched)"
        + (" ³" if epochs["search_stopped_by_hand"] else ""),
        f"{metrics['minutes']:.0f}",
        _with_interval(metrics, "accuracy") + _among_tested(metrics) + _one_at_a_time(metrics),
        _with_interval(metrics, "macro_f1"),
        f"{report['accuracy']:.2f}, {report['macro_f1']:.2f}" if report else "–",
        _difference(report) if report else "–",
    ]


def _with_interval(metrics: dict[str, Any], name: str) -> str:
    if (interval := metrics[f"{name}_interval"]) is None:
        return f"{metrics[name]:.3f} (too few speakers for an interval)"
    return f"{metrics[name]:.3f} ({interval[0]:.3f}–{interval[1]:.3f})"


def _among_tested(metrics: dict[str, Any]) -> str:
    """Of a corpus without some of the classes: the accuracy of the likeliest one that it has."""
    if (accuracy := metrics.get("accuracy_among_tested_classes")) is None:
        return ""
    tested = sum(figures["support"] > 0 for figures in metrics["per_class"].values())
    return f"; {accuracy:.3f} among its {tested} classes"


def _one_at_a_time(metrics: dict[str, Any]) -> str:
    """Of a network that looks across the clips of a batch: what a device would get from it."""
    if (accuracy := metrics.get("accuracy_one_at_a_time")) is None:
        return ""
    return f"; {accuracy:.3f} one clip at a time"


def _difference(report: dict[str, Any]) -> str:
    low, high = report["interval"]
    note = "" if report["like_for_like"] else " ²"
    return f"{report['difference']:+.3f} ({low:+.3f} to {high:+.3f}){note}"
