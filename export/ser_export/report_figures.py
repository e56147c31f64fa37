"""An exported file's accuracy beside the report's."""

from __future__ import annotations

from typing import Any

from ser_export.verification import Verification
from ser_runtime.errors import VerificationError
from ser_train.metrics import difference_from_report
from ser_train.report_tables import report_table
from ser_train.splits import PROTOCOLS


def beside_report(metrics: dict[str, Any], verification: Verification) -> dict[str, Any] | None:
    """The report's row of an experiment, and how far a file is from it; None if there is none.

    Args:
        metrics: Content of the run's metrics.json.
        verification: Of the file, on the run's test clips.

    Returns:
        `accuracy`, `macro_f1` and `f1` of each class as printed; `difference` of the accuracy, its
        95 % `interval`, `within_chance`; `like_for_like`, whether the labels are the report's too.
    """
    table = report_table(metrics["experiment"])
    if table is None:
        return None
    return {
        "accuracy": table.accuracy,
        "macro_f1": table.macro_f1,
        "f1": {emotion: figures["f1"] for emotion, figures in table.per_class.items()},
        "like_for_like": PROTOCOLS[metrics["protocol"]].report_labels,
        **difference_from_report(
            verification.accuracy,
            metrics.get("accuracy_interval"),
            verification.clips,
            table.accuracy,
            table.support,
        ),
    }


def require_report(report: dict[str, Any] | None) -> None:
    """Refuse a file that is worse than the report beyond chance.

    Raises:
        VerificationError: With both figures; or if the report printed none.
    """
    if report is None:
        raise VerificationError("nothing published: the report printed no table to compare with")
    if report["difference"] < 0 and not report["within_chance"]:
        low, high = report["interval"]
        raise VerificationError(
            f"nothing published: the report's accuracy is {report['accuracy']:.2f}, and the "
            f"difference {report['difference']:+.3f} (95 %: {low:+.3f} to {high:+.3f}) is beyond "
            "chance"
        )
