"""The report's own figures: its tables, as data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any


@dataclass(frozen=True)
class ReportTable:
    """One results table of the report.

    Attributes:
        accuracy: On its test clips, as printed (two digits).
        support: Number of test clips.
        macro_f1: Unweighted mean of the F1 scores, as printed.
        per_class: Emotion -> `precision`, `recall`, `f1`, `support`.
    """

    accuracy: float
    support: int
    macro_f1: float
    per_class: dict[str, dict[str, float]]


def report_table(experiment: str) -> ReportTable | None:
    """The report's table of an experiment; None if it printed none."""
    entry = _tables()["experiments"].get(experiment)
    if entry is None or entry.get("accuracy") is None:
        return None
    return ReportTable(
        accuracy=entry["accuracy"],
        support=entry["support"],
        macro_f1=entry["macro_avg"]["f1"],
        per_class=entry["per_class"],
    )


def report_tuning() -> dict[str, dict[str, float]]:
    """The report's table of learning rates (section 4.3.2).

    Returns:
        Learning rate, such as `1e-05`, to `accuracy`, `val_accuracy`, `loss` and `val_loss`.
    """
    return {
        f"{row['learning_rate']:.0e}": {
            "accuracy": row["train_accuracy"],
            "val_accuracy": row["validation_accuracy"],
            "loss": row["train_loss"],
            "val_loss": row["validation_loss"],
        }
        for row in _tables()["cnn_learning_rate_tuning"]
    }


def report_units() -> str:
    """The report's choice in the tuning of VGG16's classifier, as `ser_train.tuning` names it."""
    best = _tables()["vgg16_tuning_best"]
    units = f"{best['first_dense_units']}-{best['second_dense_units']}"
    return f"{units}-{best['learning_rate']:.0e}"


@cache
def _tables() -> dict[str, Any]:
    file = resources.files("ser_train") / "data" / "report_tables.json"
    return json.loads(file.read_text(encoding="utf-8"))
