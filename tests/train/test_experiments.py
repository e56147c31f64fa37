"""The registry of experiments."""

from __future__ import annotations

import json
from importlib import resources
from typing import Any

import pytest

from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import FeatureSpec
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.experiments import find_experiment
from ser_train.report_tables import report_tuning
from ser_train.report_tables import report_units
from ser_train.tunings import TUNINGS
from ser_train.tunings import Tuning

every_experiment = pytest.mark.parametrize("experiment", EXPERIMENTS.values(), ids=EXPERIMENTS)
of_the_report = {name: row for name, row in EXPERIMENTS.items() if row.section}
each_of_the_report = pytest.mark.parametrize(
    "experiment", of_the_report.values(), ids=of_the_report
)
every_tuning = pytest.mark.parametrize("tuning", TUNINGS.values(), ids=TUNINGS)


@pytest.fixture(scope="module")
def report() -> dict[str, Any]:
    """The report's tables as committed."""
    file = resources.files("ser_train") / "data" / "report_tables.json"
    return json.loads(file.read_text(encoding="utf-8"))["experiments"]


@each_of_the_report
def test_parameters_are_those_of_the_report(experiment: Experiment, report: dict[str, Any]) -> None:
    printed = report[experiment.id]
    if printed["parameters"] is None:
        assert experiment.spec == MEL
        assert (experiment.parameters, experiment.trainable_parameters) == (860_943, 859_723)
    else:
        assert experiment.parameters == printed["parameters"]
        assert experiment.trainable_parameters == printed["trainable_parameters"]


@each_of_the_report
def test_the_section_is_that_of_the_report(experiment: Experiment, report: dict[str, Any]) -> None:
    assert experiment.section == report[experiment.id]["section"]


def test_all_of_the_report_is_there(report: dict[str, Any]) -> None:
    assert set(of_the_report) | set(TUNINGS) >= set(report)


@every_experiment
def test_a_row_is_known_by_its_id(experiment: Experiment) -> None:
    assert find_experiment(experiment.id) is experiment


@every_experiment
def test_a_row_survives_json(experiment: Experiment) -> None:
    stored = json.loads(json.dumps(experiment.to_dict()))
    spec, needs = FeatureSpec.from_dict(stored.pop("spec")), tuple(stored.pop("needs"))
    assert Experiment(spec=spec, needs=needs, **stored) == experiment


@every_tuning
def test_a_tuning_is_of_an_experiment_and_tries_its_learning_rate(tuning: Tuning) -> None:
    assert EXPERIMENTS[tuning.experiment].learning_rate in tuning.learning_rates


@every_tuning
def test_a_tuning_starts_from_the_weights_of_its_experiment(tuning: Tuning) -> None:
    assert tuning.pretrained == EXPERIMENTS[tuning.experiment].pretrained


@every_tuning
def test_a_tunings_name_is_no_experiments(tuning: Tuning) -> None:
    assert tuning.id not in EXPERIMENTS


def test_the_units_of_the_report_are_among_those_that_are_tried() -> None:
    first, second = (range(low, high + 1, step) for low, high, step in TUNINGS["vgg16-0"].units)
    *units, rate = report_units().split("-", 2)
    assert int(units[0]) in first
    assert int(units[1]) in second
    assert float(rate) in TUNINGS["vgg16-0"].learning_rates


def test_the_tuned_learning_rates_are_those_of_the_report() -> None:
    assert {f"{rate:.0e}" for rate in TUNINGS["cnn-tuning"].learning_rates} == set(report_tuning())


@pytest.mark.parametrize("name", ["cnm", "cnn1", "cn"])
def test_a_typo_is_answered_with_the_nearest_name(name: str) -> None:
    with pytest.raises(UsageError, match=f"no experiment or command '{name}'; did you mean .*cnn"):
        find_experiment(name)


def test_a_name_like_no_other_is_answered_with_all() -> None:
    with pytest.raises(UsageError, match=f"known: {', '.join(EXPERIMENTS)}"):
        find_experiment("zzzz")
