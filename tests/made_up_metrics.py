"""Figures of runs that were never trained, as metrics.json has them."""

from __future__ import annotations

from typing import Any

from ser_runtime.labels import EMOTIONS
from ser_train.run_folder import METRICS


def made_up_metrics(config: dict[str, Any], **figures: Any) -> dict[str, Any]:
    """Every figure of a complete run.

    Args:
        config: Of the run.
        figures: That matter; the others are zeros.
    """
    of_class = dict.fromkeys(("precision", "recall", "f1", "support"), 0)
    rows = [[0] * len(EMOTIONS) for _ in EMOTIONS]
    known = {
        "experiment": config["experiment"]["id"],
        **{name: config[name] for name in ("protocol", "fold", "seed")},
        "split_hash": config["split_hash"],
        "epochs": {"trained": 1, "searched": 1, "search_stopped_by_hand": False},
        "temperature": 1.0,
        "per_class": {emotion: dict(of_class) for emotion in EMOTIONS},
        "per_corpus": {},
        "confusion": rows,
        "accuracy_interval": None,
        "macro_f1_interval": None,
        "standard_split": False,
        "speakers_shared": True,
    }
    return dict.fromkeys(METRICS, 0) | known | figures
