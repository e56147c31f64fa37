"""Calibration by hand: error, threshold, risk against coverage, what is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_train.calibration_report import calibration_error_by_chance
from ser_train.calibration_report import calibration_table
from ser_train.calibration_report import measure_calibration
from ser_train.calibration_report import risk_coverage
from ser_train.calibration_report import write_calibration
from ser_train.cli import main
from ser_train.metrics import NEVER
from ser_train.metrics import expected_calibration_error
from ser_train.pooled_predictions import PooledPredictions
from ser_train.run_folder import RunFolder

PNG = b"\x89PNG\r\n\x1a\n"
COMMITTED = Path(__file__).resolve().parents[2] / "train" / "results"
PRECISE = "90 % precision on validation clips"


def pool(
    confidence: list[float],
    right: list[bool],
    thresholds: tuple[float, ...] = (0.6,),
    run_of: list[int] | None = None,
    clusters: tuple[str, ...] | None = None,
    raw: list[float] | None = None,
) -> PooledPredictions:
    """Clips of class 0, recognized as 0 or 1 with a confidence."""

    def rows(values: list[float]) -> np.ndarray:
        made = np.array([np.full(7, (1 - value) / 6) for value in values], np.float32)
        made[range(len(values)), np.where(right, 0, 1)] = values
        return made

    ids = tuple(f"SAVEE/DC_a{number:02d}" for number in range(len(confidence)))
    return PooledPredictions(
        experiment="cnn",
        protocol="speaker-independent",
        runs=tuple(f"run{number}" for number in range(len(thresholds))),
        run_of=np.array(run_of or [0] * len(ids)),
        ids=ids,
        clusters=clusters or ids,
        classes=np.zeros(len(ids), np.int64),
        raw=rows(raw or confidence),
        calibrated=rows(confidence),
        temperatures=(1.0,) * len(thresholds),
        thresholds=thresholds,
    )


def test_errors_are_those_of_the_metrics_before_and_after() -> None:
    made = pool([0.9, 0.8, 0.5, 0.4], [True, True, False, True], raw=[0.99, 0.99, 0.9, 0.9])
    ece = measure_calibration(made)["ece"]
    assert ece["before"]["value"] == expected_calibration_error(made.classes, made.raw)
    assert ece["after"]["value"] == expected_calibration_error(made.classes, made.calibrated)
    assert ece["before"]["value"] != ece["after"]["value"]


def test_the_interval_of_clips_that_are_all_alike_is_a_point() -> None:
    ece = measure_calibration(pool([0.75] * 8, [True] * 8))["ece"]["after"]
    assert ece["value"] == pytest.approx(0.25)
    assert ece["interval"] == pytest.approx([0.25, 0.25])


def test_the_interval_is_wider_where_speakers_are_drawn() -> None:
    right = [number // 10 % 2 == 0 for number in range(100)]
    speakers = tuple(f"SAVEE {number // 10}" for number in range(100))
    widths = []
    for clusters in (None, speakers):
        low, high = measure_calibration(pool([0.5] * 100, right, clusters=clusters))["ece"][
            "after"
        ]["interval"]
        widths.append(high - low)
    assert widths[1] > 2 * widths[0]


def test_one_speaker_has_no_interval() -> None:
    figures = measure_calibration(pool([0.9, 0.3], [True, False], clusters=("SAVEE DC",) * 2))
    assert figures["ece"]["after"]["interval"] is None
    assert figures["thresholds"][PRECISE]["coverage_interval"] is None
    assert f"| {PRECISE} | 0.60 | 1.000 | 0.500 |" in calibration_table(figures)


def test_an_honest_confidence_has_the_error_of_chance() -> None:
    rng = np.random.default_rng(1)
    confidence = rng.uniform(0.3, 0.95, 2000)
    made = pool(confidence.tolist(), (rng.random(2000) < confidence).tolist())
    error = measure_calibration(made)["ece"]["after"]["value"]
    assert error == pytest.approx(calibration_error_by_chance(made.calibrated), rel=0.4)
    overconfident = pool(confidence.tolist(), (rng.random(2000) < confidence - 0.2).tolist())
    error = measure_calibration(overconfident)["ece"]["after"]["value"]
    assert error > 5 * calibration_error_by_chance(overconfident.calibrated)


def test_each_run_has_its_own_threshold() -> None:
    made = pool(
        [0.7, 0.5, 0.7, 0.5],
        [True, False, False, True],
        thresholds=(0.4, 0.6),
        run_of=[0, 0, 1, 1],
    )
    row = measure_calibration(made)["thresholds"][PRECISE]
    assert row["precision"] == pytest.approx(1 / 3)  # 0.7 and 0.5 of the first, 0.7 of the second
    assert row["coverage"] == 0.75


def test_a_threshold_for_every_model_stands_beside_the_runs_own() -> None:
    figures = measure_calibration(pool([0.35, 0.9], [True, True], thresholds=(0.3,)))
    row = figures["thresholds"]["the same for every model"]
    assert (row["thresholds"], row["coverage"]) == ([0.4], 0.5)


def test_a_threshold_that_nothing_reaches_answers_nothing() -> None:
    figures = measure_calibration(
        pool([0.9, *[0.3] * 4], [True, *[False] * 4], thresholds=(NEVER,))
    )
    row = figures["thresholds"][PRECISE]
    assert (row["precision"], row["coverage"]) == (None, 0.0)
    assert f"| {PRECISE} | none | – | 0.000 (0.000–0.000) |" in calibration_table(figures)


def test_risk_by_hand() -> None:
    confidence, right = np.array([0.5, 0.9, 0.7, 0.6]), np.array([False, True, False, True])
    assert risk_coverage(confidence, right) == [
        (0.25, 0.0),
        (0.5, 0.5),
        (0.75, pytest.approx(1 / 3)),
        (1.0, 0.5),
    ]


def test_clips_of_equal_confidence_come_in_together() -> None:
    confidence, right = np.array([0.8, 0.8, 0.8, 0.2]), np.array([True, False, False, True])
    assert risk_coverage(confidence, right) == [(0.75, pytest.approx(2 / 3)), (1.0, 0.5)]


def test_the_table_has_the_risk_of_at_least_so_many_clips() -> None:
    table = calibration_table(
        measure_calibration(pool([0.8, 0.8, 0.8, 0.2], [True, False, False, True]))
    )
    assert "| 10 % | 0.667 |" in table
    assert "| 70 % | 0.667 |" in table
    assert "| 80 % | 0.500 |" in table


def test_files_are_written(tmp_path: Path) -> None:
    figures = measure_calibration(
        pool([0.9, *[0.3] * 4], [True, *[False] * 4], thresholds=(NEVER,))
    )
    paths = write_calibration(figures, tmp_path / "new")
    assert [path.name for path in paths] == [
        "table.md", "calibration.json", "reliability.png", "risk_coverage.png",
    ]  # fmt: skip
    assert all(path.read_bytes().startswith(PNG) for path in paths[2:])
    assert json.loads(paths[1].read_text(encoding="utf-8"))["clips"] == 5


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ser_train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `ser-train` in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return (ended.value.code, *capsys.readouterr())

    return run


@pytest.mark.parametrize("name", ["cnn-report-seed0", "cnn-speaker-independent-1-seed0"])
def test_the_command_finds_the_figures_of_a_committed_run(
    ser_train: Run, tmp_path: Path, name: str
) -> None:
    code, out, err = ser_train("calibration", COMMITTED / name, "--out", tmp_path)
    assert code == 0, err
    stored: dict[str, Any] = RunFolder(COMMITTED / name).metrics()
    figures = json.loads((tmp_path / "calibration.json").read_text(encoding="utf-8"))
    assert figures["accuracy"] == pytest.approx(stored["accuracy"], abs=1e-9)
    assert figures["clusters"] == stored["clusters"]
    # predictions.csv has six digits: a clip may change bins.
    assert figures["ece"]["before"]["value"] == pytest.approx(stored["ece"], abs=2e-3)
    assert figures["ece"]["after"]["value"] == pytest.approx(stored["ece_calibrated"], abs=2e-3)
    (run,) = figures["runs"]
    assert run["threshold"] == pytest.approx(stored["confidence_threshold"], abs=1e-4)
    assert out == (tmp_path / "table.md").read_text(encoding="utf-8")


def test_the_same_clips_twice_end_with_2(ser_train: Run, tmp_path: Path) -> None:
    run = COMMITTED / "cnn-report-seed0"
    code, _, err = ser_train("calibration", run, run, "--out", tmp_path / "out")
    assert code == 2
    assert "would count twice" in err
    assert not (tmp_path / "out").exists()


def test_a_folder_that_is_no_run_ends_with_9(ser_train: Run, tmp_path: Path) -> None:
    code, _, err = ser_train("calibration", tmp_path)
    assert code == RunFolderError.exit_code
    assert "is not a complete run folder" in err
