"""Models that take the waveform: the answers of the same model behind features."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from conftest import made_up_graph
from numpy.typing import NDArray
from onnx import helper
from stream_inputs import AUDIO
from stream_inputs import MIXED
from stream_inputs import RATE
from stream_inputs import at_once
from stream_inputs import in_chunks
from stream_inputs import scoring_all

from ser_runtime.errors import ModelFileError
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.prediction import Prediction
from ser_runtime.stream import Stream
from ser_runtime.stream_batch import Push
from ser_runtime.stream_batch import push_many
from ser_runtime.window_buffer import WindowBuffer

# Features of a graph are computed in float32.
CLOSE = 1e-5


@pytest.fixture(scope="module")
def waveform_file(
    made_up_model: Path, metadata: ModelMetadata, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """The made-up model with its features inside."""
    from ser_export.waveform_graph import add_features

    graph = add_features(onnx.load(made_up_model), metadata.spec, metadata.standardization)
    properties = dataclasses.replace(metadata, input="waveform").to_properties()
    helper.set_model_props(graph, properties)
    path = tmp_path_factory.mktemp("waveform") / "waveform.onnx"
    onnx.save(graph, path)
    return path


@pytest.fixture(scope="module")
def waveform_model(waveform_file: Path) -> Model:
    return Model.open(waveform_file)


def values(prediction: Prediction) -> NDArray[np.float32]:
    assert prediction.probabilities is not None
    return np.array(list(prediction.probabilities.values()), np.float32)


@pytest.mark.parametrize("samples", [0, 1, 20_000, 48_000, 60_000])
def test_audio_gets_the_probabilities_that_its_features_get(
    waveform_model: Model, model: Model, speech_16k: NDArray[np.float32], samples: int
) -> None:
    wanted = model.recognize(speech_16k[:samples])
    found = waveform_model.recognize(speech_16k[:samples])
    np.testing.assert_allclose(found, wanted, rtol=0, atol=CLOSE)


def test_a_stream_gives_the_predictions_of_its_windows(waveform_model: Model) -> None:
    for prediction in at_once(scoring_all(waveform_model), AUDIO):
        start, end = round(prediction.start * RATE), round(prediction.end * RATE)
        wanted = waveform_model.recognize(AUDIO[start:end])
        np.testing.assert_array_equal(values(prediction), wanted)


def test_a_stream_says_what_that_of_the_features_says(waveform_model: Model, model: Model) -> None:
    found, wanted = at_once(Stream(waveform_model), MIXED), at_once(Stream(model), MIXED)
    assert [(p.start, p.end, p.voice, p.label) for p in found] == [
        (p.start, p.end, p.voice, p.label) for p in wanted
    ]
    assert {p.voice for p in found} == {True, False}
    for p, q in zip(found, wanted, strict=True):
        if p.voice:
            np.testing.assert_allclose(values(p), values(q), rtol=0, atol=CLOSE)


@pytest.mark.parametrize("sizes", [[1_000], [17, 40_000], [100_000]])
def test_predictions_do_not_depend_on_chunk_sizes(waveform_model: Model, sizes: list[int]) -> None:
    whole = at_once(Stream(waveform_model), MIXED)
    assert in_chunks(Stream(waveform_model), MIXED, RATE, sizes) == whole


def test_no_features_are_computed(waveform_model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise AssertionError("features are computed")

    monkeypatch.setattr(WindowBuffer, "features", refuse)
    monkeypatch.setattr("ser_runtime.model.compute_features", refuse)
    assert at_once(scoring_all(waveform_model), AUDIO)
    waveform_model.recognize(AUDIO)


def test_many_streams_are_scored_in_batches(waveform_model: Model) -> None:
    streams = [scoring_all(waveform_model) for _ in range(3)]
    sounds = [AUDIO, MIXED, AUDIO[:20_000]]
    together = push_many(map(Push, streams, sounds, [RATE] * 3))
    for got, sound in zip(together, sounds, strict=True):
        wanted = scoring_all(waveform_model).push(sound, RATE)
        assert [(p.start, p.end, p.label) for p in got] == [
            (p.start, p.end, p.label) for p in wanted
        ]
        for p, q in zip(got, wanted, strict=True):
            np.testing.assert_allclose(values(p), values(q), rtol=0, atol=1e-6)


def test_ser_listen_takes_the_file(
    run_module: Callable[..., Any], waveform_file: Path, made_up_model: Path, wav: Path
) -> None:
    waveform, features = (
        run_module("ser_runtime", "--model", path, wav, "--json")
        for path in (waveform_file, made_up_model)
    )
    assert (waveform.returncode, waveform.stderr) == (0, features.stderr)
    lines, wanted = (
        [json.loads(line) for line in done.stdout.splitlines()] for done in (waveform, features)
    )
    facts = ("start", "end", "label")
    assert [[line[f] for f in facts] for line in lines] == [[w[f] for f in facts] for w in wanted]


def test_a_graph_that_takes_features_is_refused(metadata: ModelMetadata, tmp_path: Path) -> None:
    graph = made_up_graph(metadata.spec.shape)
    properties = dataclasses.replace(metadata, input="waveform").to_properties()
    helper.set_model_props(graph, properties)
    onnx.save(graph, tmp_path / "model.onnx")
    with pytest.raises(ModelFileError, match=r"model\.onnx.*does not take its own waveform"):
        Model.open(tmp_path / "model.onnx")
