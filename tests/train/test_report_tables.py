"""The report's figures as data."""

from __future__ import annotations

import json
from importlib import resources

import pytest

from ser_runtime.labels import EMOTIONS
from ser_train.report_tables import ReportTable
from ser_train.report_tables import report_table
from ser_train.report_tables import report_tuning

_FILE = resources.files("ser_train") / "data" / "report_tables.json"
PRINTED = [
    name
    for name, entry in json.loads(_FILE.read_text(encoding="utf-8"))["experiments"].items()
    if entry.get("accuracy") is not None
]


def printed(name: str) -> ReportTable:
    table = report_table(name)
    assert table is not None
    return table


def test_the_single_cnn_has_its_printed_figures() -> None:
    table = printed("cnn")
    assert (table.accuracy, table.support, table.macro_f1) == (0.67, 1217, 0.68)


@pytest.mark.parametrize("name", PRINTED)
def test_every_table_has_the_seven_classes_in_order(name: str) -> None:
    assert tuple(printed(name).per_class) == EMOTIONS


@pytest.mark.parametrize("name", PRINTED)
def test_supports_of_the_classes_sum_to_that_of_the_table(name: str) -> None:
    table = printed(name)
    assert sum(row["support"] for row in table.per_class.values()) == table.support


@pytest.mark.parametrize("name", PRINTED)
def test_the_mean_of_the_printed_f1_scores_is_the_printed_mean(name: str) -> None:
    table = printed(name)
    mean = sum(row["f1"] for row in table.per_class.values()) / 7
    assert mean == pytest.approx(table.macro_f1, abs=0.011)


@pytest.mark.parametrize("name", ["no-such-experiment", "compact"])
def test_an_experiment_without_a_table_has_none(name: str) -> None:
    assert report_table(name) is None


def test_the_tuned_learning_rates_have_their_printed_figures() -> None:
    printed = {"accuracy": 0.481, "val_accuracy": 0.565, "loss": 1.32, "val_loss": 1.16}
    assert report_tuning()["1e-02"] == printed


def test_four_learning_rates_are_printed() -> None:
    assert list(report_tuning()) == ["1e-05", "1e-04", "1e-03", "1e-02"]
