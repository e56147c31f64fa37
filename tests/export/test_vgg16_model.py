"""VGG16 from features to probabilities: ser_train's own pictures and network, in one graph."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import pytest
from synthetic_corpora import voice

from ser_runtime.errors import RunFolderError
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_runtime.standardization import Standardization
from ser_train.experiments import EXPERIMENTS
from ser_train.run_folder import VERSION
from ser_train.run_folder import RunFolder
from ser_train.vgg16.pictures import PictureSpec
from ser_train.vgg16.pictures import draw_picture

# With augmentation, which must be gone.
EXPERIMENT = dataclasses.replace(
    EXPERIMENTS["vgg16-2"], options={"augment": True, "side": 32, "units": [32, 16]}
)
PICTURES = PictureSpec(EXPERIMENT.spec, side=32)
CLIPS = [
    voice("happy", 0, 3.0),
    voice("sad", 1, 1.5),
    0.01 * voice("angry", 2, 3.0),
    np.zeros(100, np.float32),
    np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32),
]


@pytest.fixture(scope="module")
def network(tensorflow: None) -> Any:
    """From pictures to probabilities, with random weights that tell the clips apart."""
    import keras

    from ser_train.vgg16.architecture import Vgg16Options
    from ser_train.vgg16.architecture import make_network

    keras.utils.set_random_seed(0)
    return make_network(Vgg16Options.from_dict(EXPERIMENT.options)).whole


@pytest.fixture(scope="module")
def run(network: Any, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """As much of a run as the model needs; tests do not change it."""
    from ser_train.weights import save_weights

    folder = RunFolder(tmp_path_factory.mktemp("run"))
    experiment = dataclasses.asdict(EXPERIMENT) | {"spec": EXPERIMENT.spec.to_dict()}
    folder.write_json(
        "config",
        {"version": VERSION, "experiment": experiment, "protocol": "report", "fold": None}
        | {"seed": 0, "max_epochs": 1, "split_hash": "0"},
    )
    folder.write_json("pictures", PICTURES.to_dict())
    save_weights(folder.weights, network)
    return folder


@pytest.fixture(scope="module")
def model(run: RunFolder) -> Any:
    from ser_export.vgg16_model import load_vgg16

    return load_vgg16(run)


@pytest.fixture(scope="module")
def graph(model: Any) -> onnx.ModelProto:
    from ser_export.onnx_conversion import convert_to_onnx

    return convert_to_onnx(model)


@pytest.fixture(scope="module")
def features() -> np.ndarray:
    return np.stack([compute_features(clip, EXPERIMENT.spec) for clip in CLIPS])


@pytest.fixture(scope="module")
def wanted(network: Any, features: np.ndarray) -> np.ndarray:
    """By ser_train's own pictures."""
    pictures = np.stack([draw_picture(window, PICTURES) for window in features])
    probabilities = network.predict_on_batch(pictures)
    assert np.ptp(probabilities, axis=0).max() > 0.01
    return probabilities


@pytest.mark.parametrize("side", [32, 224])
def test_pictures_are_ser_trains_to_the_pixel(
    tensorflow: None, features: np.ndarray, side: int
) -> None:
    from ser_export.vgg16_model import PictureLayer

    spec = dataclasses.replace(PICTURES, side=side)
    drawn = np.asarray(PictureLayer(spec)(features))
    np.testing.assert_array_equal(drawn, [draw_picture(window, spec) for window in features])


def test_every_colour_and_what_lies_beyond_the_limits_is_drawn(tensorflow: None) -> None:
    from ser_export.vgg16_model import PictureLayer

    log_mel = np.linspace(-120, 60, 128 * 188, dtype=np.float32).reshape(1, 128, 188)
    drawn = np.asarray(PictureLayer(PICTURES)(log_mel))
    np.testing.assert_array_equal(drawn[0], draw_picture(log_mel[0], PICTURES))


def test_the_model_is_the_trained_network(
    model: Any, features: np.ndarray, wanted: np.ndarray
) -> None:
    np.testing.assert_allclose(model.predict_on_batch(features), wanted, atol=1e-5)


def test_the_onnx_file_is_the_trained_network(
    graph: onnx.ModelProto, features: np.ndarray, wanted: np.ndarray
) -> None:
    session = onnxruntime.InferenceSession(graph.SerializeToString())
    for batch in (slice(0, 1), slice(None)):
        found = session.run(None, {"features": features[batch]})[0]
        np.testing.assert_allclose(found, wanted[batch], atol=1e-5)


def test_the_litert_file_is_the_trained_network(
    model: Any, features: np.ndarray, wanted: np.ndarray
) -> None:
    from ai_edge_litert.interpreter import Interpreter

    from ser_export.litert_conversion import convert_to_litert

    interpreter = Interpreter(model_content=convert_to_litert(model), num_threads=1)
    interpreter.allocate_tensors()
    taken, given = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    for window, row in zip(features, wanted, strict=True):
        interpreter.set_tensor(taken["index"], window[None])
        interpreter.invoke()
        np.testing.assert_allclose(interpreter.get_tensor(given["index"])[0], row, atol=1e-5)


def test_the_whole_way_from_audio_is_a_graph(graph: onnx.ModelProto, wanted: np.ndarray) -> None:
    from ser_export.waveform_graph import add_features

    bands = EXPERIMENT.spec.coefficients
    as_it_is = Standardization(np.zeros((bands, 1), np.float32), np.ones((bands, 1), np.float32))
    whole = add_features(graph, EXPERIMENT.spec, as_it_is)
    session = onnxruntime.InferenceSession(whole.SerializeToString())
    audio = np.stack([fit_window(clip, 48_000) for clip in CLIPS])
    # A value at the limit between two colours may get the other one.
    np.testing.assert_allclose(session.run(None, {"waveform": audio})[0], wanted, atol=1e-4)


def change_pictures(folder: Path, **changes: Any) -> None:
    path = folder / "pictures.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("changes", "match"),
    [
        ({"gamma": 2.0}, "pictures.json is of another version"),
        ({"features": {"n_mels": 128}}, "pictures.json is of another version"),
        ({"features": EXPERIMENTS["cnn"].spec.to_dict()}, "not those that its network takes"),
        ({"side": 64}, "not those that its network takes"),
    ],
)
def test_other_pictures_are_refused(
    run: RunFolder, tmp_path: Path, changes: dict[str, Any], match: str
) -> None:
    from ser_export.vgg16_model import load_vgg16

    for name in ("config.json", "pictures.json"):
        (tmp_path / name).write_bytes((run.path / name).read_bytes())
    change_pictures(tmp_path, **changes)
    with pytest.raises(RunFolderError, match=match):
        load_vgg16(RunFolder(tmp_path))
