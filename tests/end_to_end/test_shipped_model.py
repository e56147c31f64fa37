"""The models in the package, on the real clips: does the device say what training measured?"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_runtime.audio_file import AudioFile
from ser_runtime.features import compute_features
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.model import packaged_models
from ser_runtime.stream import Stream
from ser_train.corpora import parse_clip
from ser_train.corpora.clip import read_clip
from ser_train.features.crop import scored_window

ROOT = Path(__file__).resolve().parents[2]
MODELS = ROOT / "runtime" / "ser_runtime" / "models"
ROUNDING = 1e-4


@pytest.fixture(scope="module", params=packaged_models())
def model(request: pytest.FixtureRequest) -> Model:
    return Model.open(request.param)


@pytest.fixture(scope="module")
def record(model: Model) -> dict[str, Any]:
    """What `ser-export` measured of the file."""
    return json.loads((MODELS / f"{model.source}.export.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def clip_paths(corpora: Path) -> dict[str, Path]:
    return {parse_clip(path).id: path for path in corpora.rglob("*.opus")}


@pytest.fixture(scope="module")
def test_rows(record: dict[str, Any]) -> list[dict[str, str]]:
    """Rows of the test clips in the committed predictions of the model's run."""
    path = ROOT / "train" / "results" / record["run"] / "predictions.csv"
    with path.open(newline="") as lines:
        return [row for row in csv.DictReader(lines) if row["set"] == "test"]


def test_every_test_clip_gets_what_training_measured_as_closely_as_export_found(
    model: Model,
    record: dict[str, Any],
    clip_paths: dict[str, Path],
    test_rows: list[dict[str, str]],
) -> None:
    assert len(test_rows) == 1217
    bound = record["verification"]["largest_difference"] + ROUNDING
    right = 0
    for row in test_rows:
        audio = read_clip(clip_paths[row["clip"]], model.spec.sample_rate)
        window = scored_window(audio, model.spec, model.metadata.crop)
        probabilities = model.raw_probabilities(compute_features(window, model.spec)[None])[0]
        measured = [float(row[emotion]) for emotion in EMOTIONS]
        np.testing.assert_allclose(probabilities, measured, atol=bound, err_msg=row["clip"])
        right += model.labels[probabilities.argmax()] == row["emotion"]
    assert model.metadata.test_accuracy == pytest.approx(right / len(test_rows), abs=1e-9)


def test_the_file_loses_a_point_of_what_training_measured_at_most(
    model: Model, test_rows: list[dict[str, str]]
) -> None:
    right = np.mean([row["emotion"] == row["recognized"] for row in test_rows])
    assert model.metadata.test_accuracy >= right - 0.01


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
