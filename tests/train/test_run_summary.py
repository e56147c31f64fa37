"""A run's figures beside the report's."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from ser_train.run_folder import RunFolder
from ser_train.run_summary import show_results


@pytest.fixture(scope="module")
def metrics(tiny_run: Path) -> dict[str, Any]:
    return RunFolder(tiny_run).read_json("metrics")


def shown(metrics: dict[str, Any]) -> str:
    console = Console(file=StringIO(), width=120)
    show_results(metrics, console)
    return console.file.getvalue()


def test_the_title_says_experiment_protocol_and_seed(metrics: dict[str, Any]) -> None:
    assert "cnn on report, seed 0" in shown(metrics)


def test_the_title_says_the_fold(metrics: dict[str, Any]) -> None:
    changed = metrics | {"protocol": "speaker-independent", "fold": "3"}
    assert "cnn on speaker-independent fold 3" in shown(changed)


def test_each_class_stands_beside_the_reports(metrics: dict[str, Any]) -> None:
    row = next(line.split() for line in shown(metrics).splitlines() if "angry" in line)
    own = metrics["per_class"]["angry"]
    assert row[1:] == [
        f"{own['precision']:.2f}", "0.63", f"{own['recall']:.2f}", "0.92", f"{own['f1']:.2f}",
        "0.75", str(own["support"]), "187",
    ]  # fmt: skip


def test_accuracy_has_its_interval_and_the_reports_figure(metrics: dict[str, Any]) -> None:
    low, high = metrics["accuracy_interval"]
    line = f"accuracy: {metrics['accuracy']:.3f} (95 %: {low:.3f} to {high:.3f}); report 0.67"
    assert line in shown(metrics)


def test_right_labels_are_called_not_like_for_like(metrics: dict[str, Any]) -> None:
    assert "not like for like" in shown(metrics)


def test_the_reports_labels_are_like_for_like(metrics: dict[str, Any]) -> None:
    changed = metrics | {"report": metrics["report"] | {"like_for_like": True}}
    assert "not like for like" not in shown(changed)


@pytest.mark.parametrize(("within", "word"), [(True, "within"), (False, "beyond")])
def test_chance_is_named(metrics: dict[str, Any], within: bool, word: str) -> None:
    changed = metrics | {"report": metrics["report"] | {"within_chance": within}}
    assert f"{word} chance" in shown(changed)


@pytest.mark.parametrize("shared", [True, False])
def test_shared_speakers_are_called_flattering(metrics: dict[str, Any], shared: bool) -> None:
    assert ("flattering:" in shown(metrics | {"speakers_shared": shared})) is shared


def test_an_experiment_without_a_printed_table_stands_alone(metrics: dict[str, Any]) -> None:
    changed = {key: value for key, value in metrics.items() if key != "report"}
    text = shown(changed | {"experiment": "compact", "protocol": "p", "speakers_shared": False})
    assert "report" not in text
