"""Trained wav2vec2 networks as stock classes of transformers load them."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import safetensors.torch
import torch
from synthetic_corpora import voice
from transformers import AutoFeatureExtractor
from transformers import AutoModelForAudioClassification
from transformers import Wav2Vec2ForSequenceClassification
from transformers import pipeline

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS
from ser_train.wav2vec2.inputs import encode
from ser_train.wav2vec2.inputs import make_feature_extractor
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.saving import load_model
from ser_train.wav2vec2.saving import save_model
from ser_train.wav2vec2.weights import load_pretrained

FULL = [voice(emotion, number, seconds=3.0) for number, emotion in enumerate(EMOTIONS)]
SHORT = [voice("fear", 1, seconds=1.0), voice("sad", 2, seconds=2.0)]


@pytest.fixture(scope="module")
def network(tiny_backbone: Path) -> Wav2Vec2Classifier:
    """With a head large enough that probabilities differ from 1/7."""
    network = load_pretrained(tiny_backbone)
    with torch.no_grad():
        network.head.weight.normal_(0, 1, generator=torch.Generator().manual_seed(0))
        network.head.bias.normal_(0, 1, generator=torch.Generator().manual_seed(1))
    return network.eval()


@pytest.fixture(scope="module")
def saved(network: Wav2Vec2Classifier, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("run") / "model"
    save_model(folder, network)
    return folder


def probabilities(network: Wav2Vec2Classifier, audio: list[np.ndarray]) -> np.ndarray:
    batch = encode(make_feature_extractor(), audio)
    with torch.inference_mode():
        return torch.softmax(network(batch.input_values, batch.attention_mask), dim=1).numpy()


def stock_probabilities(saved: Path, audio: list[np.ndarray], masked: bool) -> np.ndarray:
    stock = AutoModelForAudioClassification.from_pretrained(saved)
    extractor = AutoFeatureExtractor.from_pretrained(saved)
    inputs = extractor(
        audio, sampling_rate=16_000, padding="max_length", max_length=48_000, return_tensors="pt"
    )
    if not masked:
        inputs.pop("attention_mask")
    with torch.inference_mode():
        return torch.softmax(stock(**inputs).logits, dim=1).numpy()


def test_the_stock_class_is_chosen(saved: Path) -> None:
    stock = AutoModelForAudioClassification.from_pretrained(saved)
    assert type(stock) is Wav2Vec2ForSequenceClassification
    assert stock.config.id2label == dict(enumerate(EMOTIONS))
    assert stock.config.classifier_proj_size == 7


@pytest.mark.parametrize("masked", [False, True])
def test_full_windows_have_equal_probabilities_in_the_stock_class(
    network: Wav2Vec2Classifier, saved: Path, masked: bool
) -> None:
    wanted = probabilities(network, FULL)
    assert np.ptp(wanted, axis=0).max() > 0.01
    np.testing.assert_allclose(stock_probabilities(saved, FULL, masked), wanted, atol=1e-5)


def test_shorter_clips_differ_in_the_stock_class_as_the_documentation_says(
    network: Wav2Vec2Classifier, saved: Path
) -> None:
    wanted = probabilities(network, SHORT)
    for masked in (False, True):
        assert np.abs(stock_probabilities(saved, SHORT, masked) - wanted).max() > 1e-4


def test_the_pipeline_gives_the_same_probabilities(
    network: Wav2Vec2Classifier, saved: Path
) -> None:
    classify = pipeline("audio-classification", model=str(saved), top_k=len(EMOTIONS))
    wanted = probabilities(network, FULL)
    for audio, row in zip(FULL, wanted, strict=True):
        found = {entry["label"]: entry["score"] for entry in classify(audio)}
        np.testing.assert_allclose([found[emotion] for emotion in EMOTIONS], row, atol=1e-5)


def test_a_model_is_loaded_as_it_was_saved(network: Wav2Vec2Classifier, saved: Path) -> None:
    again = load_model(saved)
    own, loaded = network.state_dict(), again.state_dict()
    assert set(own) == set(loaded)
    assert all(torch.equal(own[name], loaded[name]) for name in own)
    clips = FULL + SHORT
    np.testing.assert_array_equal(probabilities(again, clips), probabilities(network, clips))


def test_a_saved_model_can_be_trained_on(network: Wav2Vec2Classifier, saved: Path) -> None:
    again = load_pretrained(saved)
    for name, value in network.wav2vec2.state_dict().items():
        assert torch.equal(again.wav2vec2.state_dict()[name], value), name


def test_saving_replaces_what_was_there(network: Wav2Vec2Classifier, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old.txt").touch()
    save_model(folder, network)
    names = {path.name for path in folder.iterdir()}
    assert names == {"config.json", "model.safetensors", "preprocessor_config.json"}
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_saving_prints_nothing(
    network: Wav2Vec2Classifier, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    save_model(tmp_path / "model", network)
    assert capfd.readouterr() == ("", "")


def test_a_full_disk_is_a_storage_error_and_leaves_nothing(saved: Path, tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path\n"
        "from ser_runtime.errors import run_command\n"
        "from ser_train.wav2vec2.saving import load_model, save_model\n"
        "run_command(lambda: save_model(Path(sys.argv[2]), load_model(Path(sys.argv[1]))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(saved), str(tmp_path / "model")],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000)),
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 8, done.stderr
    assert "cannot write" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


def truncate(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 30_000)


def remove_weights(folder: Path) -> None:
    (folder / "model.safetensors").unlink()


def break_config(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def change_the_classifier(folder: Path) -> None:
    path = folder / "model.safetensors"
    tensors = safetensors.torch.load_file(path)
    tensors["classifier.weight"] = 2 * tensors["classifier.weight"]
    safetensors.torch.save_file(tensors, path, metadata={"format": "pt"})


def change_the_size(folder: Path) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"intermediate_size": 48}))


@pytest.mark.parametrize(
    "damage",
    [truncate, remove_weights, break_config, change_the_classifier, change_the_size],
)
def test_a_damaged_model_is_a_run_folder_error(
    network: Wav2Vec2Classifier, tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    save_model(tmp_path / "model", network)
    damage(tmp_path / "model")
    with pytest.raises(RunFolderError, match=r"/model"):
        load_model(tmp_path / "model")


def test_a_model_that_is_not_there_is_a_run_folder_error(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"cannot read the model .*/model"):
        load_model(tmp_path / "model")
