"""The model in the package, on the real clips: does the device say what training measured?"""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from ser_runtime.audio_file import AudioFile
from ser_runtime.features import compute_features
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.stream import Stream
from ser_train.corpora import parse_clip
from ser_train.corpora.clip import read_clip

ROOT = Path(__file__).resolve().parents[2]
PREDICTIONS = ROOT / "train" / "results" / "cnn-report-seed0" / "predictions.csv"


@pytest.fixture(scope="module")
def model() -> Model:
    return Model.open("cnn")


@pytest.fixture(scope="module")
def clip_paths(corpora: Path) -> dict[str, Path]:
    return {parse_clip(path).id: path for path in corpora.rglob("*.opus")}


@pytest.fixture(scope="module")
def test_rows() -> list[dict[str, str]]:
    """Rows of the test clips in the committed predictions."""
    with PREDICTIONS.open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["set"] == "test"]


def test_every_test_clip_gets_the_probabilities_that_training_measured(
    model: Model, clip_paths: dict[str, Path], test_rows: list[dict[str, str]]
) -> None:
    for row in test_rows:
        audio = read_clip(clip_paths[row["clip"]], model.spec.sample_rate)
        probabilities = model.raw_probabilities(compute_features(audio, model.spec)[None])[0]
        measured = [float(row[emotion]) for emotion in EMOTIONS]
        np.testing.assert_allclose(probabilities, measured, atol=1e-4, err_msg=row["clip"])


def test_metadata_states_the_accuracy_of_the_committed_predictions(
    model: Model, test_rows: list[dict[str, str]]
) -> None:
    right = np.mean([row["emotion"] == row["recognized"] for row in test_rows])
    assert model.metadata.test_accuracy == pytest.approx(right, abs=1e-9)
    assert len(test_rows) == 1217


def test_a_streamed_clip_ends_with_the_answer_for_the_whole_clip(
    model: Model, clip_paths: dict[str, Path], test_rows: list[dict[str, str]]
) -> None:
    compared = 0
    for row in test_rows[::20]:
        with AudioFile(clip_paths[row["clip"]]) as audio:
            if audio.seconds > model.spec.window_seconds:
                continue
            stream = Stream(model)
            blocks = np.concatenate(list(audio.blocks()))
            predictions = [
                p
                for i in range(0, len(blocks), 777)
                for p in stream.push(blocks[i : i + 777], audio.sample_rate)
            ] + stream.flush()
        whole = model.recognize(blocks[:, 0])
        streamed = list(predictions[-1].probabilities.values())
        np.testing.assert_allclose(streamed, whole, atol=1e-6, err_msg=row["clip"])
        compared += 1
    assert compared >= 20
