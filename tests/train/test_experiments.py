"""The registry of experiments."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import FeatureSpec
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.experiments import find_experiment

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The report's tables as committed."""
    file = resources.files("ser_train") / "data" / "report_tables.json"
    return json.loads(file.read_text(encoding="utf-8"))["experiments"]


@every_experiment
def test_parameters_are_those_of_the_report(experiment: Experiment, report: dict[str, Any]) -> None:
    printed = report[experiment.id]
    assert experiment.parameters == printed["parameters"]
    assert experiment.trainable_parameters == printed["trainable_parameters"]


@every_experiment
def test_the_section_is_that_of_the_report(experiment: Experiment, report: dict[str, Any]) -> None:
    assert experiment.section == report[experiment.id]["section"]


@every_experiment
def test_a_row_is_known_by_its_id(experiment: Experiment) -> None:
    assert find_experiment(experiment.id) is experiment


@every_experiment
def test_a_row_survives_json(experiment: Experiment) -> None:
    stored = json.loads(json.dumps(experiment.to_dict()))
    spec = FeatureSpec.from_dict(stored.pop("spec"))
    assert Experiment(spec=spec, **stored) == experiment


@pytest.mark.parametrize("name", ["cnm", "cnn1", "cn"])
def test_a_typo_is_answered_with_the_nearest_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"no experiment or command '{name}'; did you mean .*cnn"):
        find_experiment(name)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(UsageError, match=f"known: {', '.join(EXPERIMENTS)}"):
        find_experiment("zzzz")
