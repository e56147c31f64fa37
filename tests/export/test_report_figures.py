"""An exported file beside the report."""

from __future__ import annotations

import numpy as np
import pytest

from ser_export.report_figures import beside_report
from ser_export.report_figures import require_report
from ser_export.verification import Verification
from ser_export.verification import compare
from ser_runtime.errors import VerificationError

CLASSES = np.arange(1400) % 7


def reached(share: float) -> Verification:
    """A file with this accuracy on 1,400 clips."""
    recognized = CLASSES.copy()
    count = round((1 - share) * len(CLASSES))
    recognized[:count] = (recognized[:count] + 1) % 7
    rows = np.eye(7, dtype=np.float32)[recognized]
    return compare(CLASSES, rows, rows)


def metrics(experiment: str = "cnn", protocol: str = "report") -> dict[str, str]:
    return {"experiment": experiment, "protocol": protocol}


def test_the_difference_is_that_of_the_file() -> None:
    report = beside_report(metrics(), reached(0.60))
    assert report["accuracy"] == 0.67
    assert report["difference"] == pytest.approx(-0.07)
    assert not report["within_chance"]
    assert report["f1"]["surprise"] > 0.5


@pytest.mark.parametrize(("protocol", "alike"), [("report", False), ("report-labels", True)])
def test_whose_labels_were_taken_is_said(protocol: str, alike: bool) -> None:
    assert beside_report(metrics(protocol=protocol), reached(0.6))["like_for_like"] is alike


def test_without_a_table_of_the_report_there_is_nothing_beside_it() -> None:
    assert beside_report(metrics("compact"), reached(0.6)) is None
    with pytest.raises(VerificationError, match="the report printed no table"):
        require_report(None)


@pytest.mark.parametrize("share", [0.66, 0.67, 0.9])
def test_a_file_that_reaches_the_report_within_chance_passes_its_floor(share: float) -> None:
    require_report(beside_report(metrics(), reached(share)))


def test_a_file_that_is_worse_beyond_chance_does_not() -> None:
    with pytest.raises(VerificationError, match=r"0\.67, and the difference -0\.070 .*chance"):
        require_report(beside_report(metrics(), reached(0.60)))
