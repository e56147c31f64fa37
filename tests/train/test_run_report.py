"""What hand-made predictions say by sex, by confidence, and by confusion."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_metrics import made_up_metrics

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train import run_report
from ser_train.run_folder import RunFolder

ANGRY, SAD = EMOTIONS.index("angry"), EMOTIONS.index("sad")


def probabilities(rows: list[tuple[int, float]]) -> np.ndarray:
    """Rows with one emotion at a confidence, and the rest shared by the others."""
    values = [np.full(7, (1 - confidence) / 6, np.float32) for _, confidence in rows]
    for row, (recognized, confidence) in zip(values, rows, strict=True):
        row[recognized] = confidence
    return np.array(values)


def clips(rows: list[tuple[str, int, int, float]]) -> run_report.ScoredClips:
    """Test clips from id, right class, recognized class and confidence."""
    ids, classes, recognized, confidence = zip(*rows, strict=True)
    values = probabilities(list(zip(recognized, confidence, strict=True)))
    return run_report.ScoredClips(ids, np.array(classes), values)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    """A run with two test clips and one validation clip, and a temperature of 2."""
    folder = RunFolder(tmp_path / "run")
    config = {"protocol": "report", "fold": None, "seed": 0, "max_epochs": 1, "version": 1}
    config |= {"split_hash": "0", "experiment": {"id": "cnn", "architecture": "cnn", "spec": {}}}
    folder.write_json("config", config)
    figures = {"temperature": 2.0, "clips": 2, "accuracy": 0.5}
    folder.write_json("metrics", made_up_metrics(config, **figures))
    validation = ("validation", ["SAVEE/DC_a01"], np.array([SAD]), probabilities([(SAD, 0.5)]))
    test_ids = ["TESS/OAF_back_sad", "SAVEE/DC_a02"]
    test = probabilities([(SAD, 0.9), (SAD, 0.4)])
    folder.write_predictions([validation, ("test", test_ids, np.array([SAD, ANGRY]), test)])
    return folder


def test_the_test_clips_are_read_and_no_others(run: RunFolder) -> None:
    read = run_report.read_test_clips(run)
    assert read.ids == ("TESS/OAF_back_sad", "SAVEE/DC_a02")
    assert read.classes.tolist() == [SAD, ANGRY]


def test_probabilities_are_read_with_the_runs_temperature(run: RunFolder) -> None:
    wanted = apply_temperature(probabilities([(SAD, 0.9), (SAD, 0.4)]), 2.0)
    read = run_report.read_test_clips(run)
    np.testing.assert_allclose(read.probabilities, wanted, atol=1e-5)


def test_a_clip_is_right_if_its_class_is_the_likeliest(run: RunFolder) -> None:
    assert run_report.read_test_clips(run).right.tolist() == [True, False]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        ("set,clip\ntest,x\n", "cannot read"),
        (f"set,clip,emotion,{','.join(EMOTIONS)}\ntest,x,bored,1,0,0,0,0,0,0\n", "cannot read"),
        (f"set,clip,emotion,{','.join(EMOTIONS)}\ntest,x,sad,1,0,0,0,many,0,0\n", "cannot read"),
        (f"set,clip,emotion,{','.join(EMOTIONS)}\n", "holds no test clip"),
    ],
    ids=["missing", "without columns", "unknown emotion", "no number", "without test clips"],
)
def test_damaged_predictions_are_refused(run: RunFolder, content: str | None, message: str) -> None:
    path = run.path / "predictions.csv"
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(RunFolderError, match=message):
        run_report.read_test_clips(run)


def test_accuracy_is_that_of_women_and_of_men() -> None:
    made = clips(
        [
            ("TESS/OAF_back_sad", SAD, SAD, 0.9),
            ("CREMA-D/1002_DFA_SAD_XX", SAD, ANGRY, 0.9),
            ("RAVDESS/03-01-04-01-01-01-02", SAD, SAD, 0.9),
            ("RAVDESS/03-01-04-01-01-01-01", SAD, SAD, 0.9),
            ("SAVEE/DC_sa01", SAD, ANGRY, 0.9),
        ]
    )
    assert run_report.accuracy_by_sex(made) == {
        "female": (pytest.approx(2 / 3), 3),
        "male": (0.5, 2),
    }


def test_a_sex_without_clips_has_no_row() -> None:
    made = clips([("SAVEE/DC_sa01", SAD, SAD, 0.9)])
    assert list(run_report.accuracy_by_sex(made)) == ["male"]


def test_a_name_that_is_no_clip_is_refused() -> None:
    made = clips([("SAVEE/nobody", SAD, SAD, 0.9)])
    with pytest.raises(RunFolderError, match="SAVEE/nobody"):
        run_report.accuracy_by_sex(made)


def test_bins_have_confidence_accuracy_and_count() -> None:
    made = clips(
        [
            ("SAVEE/DC_sa01", SAD, SAD, 0.90),
            ("SAVEE/DC_sa02", SAD, ANGRY, 0.92),
            ("SAVEE/DC_sa03", SAD, SAD, 0.50),
        ]
    )
    assert run_report.reliability(made) == [
        (pytest.approx(0.50), 1.0, 1),
        (pytest.approx(0.91), 0.5, 2),
    ]


def test_certainty_is_in_the_last_bin() -> None:
    made = clips([("SAVEE/DC_sa01", SAD, SAD, 1.0), ("SAVEE/DC_sa02", SAD, SAD, 0.95)])
    assert run_report.reliability(made) == [(pytest.approx(0.975), 1.0, 2)]


def test_bins_are_fifteenths() -> None:
    confidences = [0.2 + 1e-3, 4 / 15 - 1e-3, 4 / 15 + 1e-3]
    made = clips([("SAVEE/DC_sa01", SAD, SAD, value) for value in confidences])
    assert [count for _, _, count in run_report.reliability(made)] == [2, 1]


@pytest.fixture
def confusion() -> list[list[int]]:
    """Rows right: 8 angry clips, of which 2 are called sad; 3 of 10 sad ones called angry."""
    matrix = [[0] * 7 for _ in range(7)]
    matrix[ANGRY][ANGRY], matrix[ANGRY][SAD] = 6, 2
    matrix[SAD][SAD], matrix[SAD][ANGRY] = 7, 3
    return matrix


def test_the_most_confused_come_first_with_their_share(confusion: list[list[int]]) -> None:
    assert run_report.most_confused(confusion) == [
        {"right": "sad", "recognized": "angry", "clips": 3, "share": pytest.approx(0.3)},
        {"right": "angry", "recognized": "sad", "clips": 2, "share": pytest.approx(0.25)},
    ]


def test_no_more_are_listed_than_asked_for(confusion: list[list[int]]) -> None:
    assert [cell["clips"] for cell in run_report.most_confused(confusion, 1)] == [3]


def test_a_perfect_model_confuses_nothing() -> None:
    assert run_report.most_confused(np.eye(7, dtype=int).tolist()) == []
