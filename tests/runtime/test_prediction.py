"""Predictions as JSON, and the summary of a recording."""

from __future__ import annotations

import dataclasses
import json

import pytest

from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import Prediction
from ser_runtime.prediction import Summary
from ser_runtime.prediction import SummaryMaker


def with_answer(prediction: Prediction, label: str, share: float, complete: bool) -> Prediction:
    rest = (1 - share) / (len(EMOTIONS) - 1)
    return dataclasses.replace(
        prediction,
        label=label,
        probabilities=dict.fromkeys(EMOTIONS, rest) | {label: share},
        complete=complete,
    )


def without_voice(prediction: Prediction) -> Prediction:
    return dataclasses.replace(
        prediction,
        label=None,
        confidence=0.0,
        certain=False,
        probabilities=None,
        smoothed=None,
        voice=False,
        voice_start=None,
        voice_end=None,
    )


def test_json_holds_every_field_rounded(prediction: Prediction) -> None:
    fields = json.loads(json.dumps(prediction.to_dict()))
    assert set(fields) == {field.name for field in dataclasses.fields(Prediction)}
    assert (fields["end"], fields["level_dbfs"], fields["dropped_ms"]) == (63.235, -30.0, 12.3)
    assert fields["probabilities"] == prediction.probabilities
    assert (fields["voice_start"], fields["voice_end"]) == (61.5, 63.2)


def test_json_of_a_window_without_voice_holds_nulls(prediction: Prediction) -> None:
    fields = json.loads(json.dumps(without_voice(prediction).to_dict()))
    assert set(fields) == {field.name for field in dataclasses.fields(Prediction)}
    nulls = {name for name, value in fields.items() if value is None}
    assert nulls == {"label", "probabilities", "smoothed", "voice_start", "voice_end"}
    assert fields["voice"] is False


def test_there_is_no_summary_of_nothing() -> None:
    maker = SummaryMaker()
    maker.add([])
    assert maker.summary() == Summary(None, None, 0, 0.0)


def test_the_summary_is_the_mean_of_the_complete_windows(prediction: Prediction) -> None:
    maker = SummaryMaker()
    maker.add([with_answer(prediction, "angry", 0.9, complete=False)])
    maker.add([with_answer(prediction, "happy", 0.4, complete=True)])
    maker.add([with_answer(prediction, "happy", 0.6, complete=True)])
    maker.add([with_answer(prediction, "angry", 0.9, complete=False)])
    summary = maker.summary()
    assert summary is not None
    assert (summary.label, summary.windows) == ("happy", 2)
    assert summary.probabilities["happy"] == pytest.approx(0.5)
    assert sum(summary.probabilities.values()) == pytest.approx(1)


def test_without_a_complete_window_the_last_one_counts(prediction: Prediction) -> None:
    maker = SummaryMaker()
    maker.add(
        [
            with_answer(prediction, "angry", 0.9, complete=False),
            with_answer(prediction, "fear", 0.5, complete=False),
        ]
    )
    summary = maker.summary()
    assert summary is not None
    assert (summary.label, summary.windows) == ("fear", 1)
    assert summary.seconds == prediction.end


def test_windows_without_voice_do_not_count(prediction: Prediction) -> None:
    maker = SummaryMaker()
    maker.add([with_answer(prediction, "happy", 0.6, complete=True)])
    maker.add([dataclasses.replace(without_voice(prediction), end=99.0)] * 3)
    summary = maker.summary()
    assert summary is not None
    assert (summary.label, summary.windows, summary.seconds) == ("happy", 1, 99.0)


def test_the_summary_of_silence_says_so(prediction: Prediction) -> None:
    maker = SummaryMaker()
    maker.add([without_voice(prediction)])
    assert maker.summary() == Summary(None, None, 0, prediction.end)
