"""Pretrained weights of wav2vec2: what is loaded, and every way in which they can be wrong."""

from __future__ import annotations

import hashlib
import json
import logging
import os
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from tiny_wav2vec2 import PARAMETERS
from tiny_wav2vec2 import TINY
from tiny_wav2vec2 import save_tiny_backbone
from transformers import HubertConfig
from transformers import HubertModel
from transformers import Wav2Vec2Config
from transformers import Wav2Vec2ForPreTraining
from transformers import Wav2Vec2ForSequenceClassification

from ser_runtime.errors import WeightsError
from ser_train.wav2vec2.weights import find_weights
from ser_train.wav2vec2.weights import load_pretrained

Tensors = dict[str, torch.Tensor]


@pytest.fixture
def folder(tiny_backbone: Path, tmp_path: Path) -> Path:
    """A copy to be damaged."""
    return Path(shutil.copytree(tiny_backbone, tmp_path / "copy"))


def tensors_of(folder: Path) -> Tensors:
    return safetensors.torch.load_file(folder / "model.safetensors")


def rewrite(folder: Path, change: Callable[[Tensors], Tensors]) -> None:
    path = folder / "model.safetensors"
    safetensors.torch.save_file(change(tensors_of(folder)), path, metadata={"format": "pt"})


def change_config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def assert_backbone_is(loaded: torch.nn.Module, tensors: Tensors) -> None:
    own = loaded.wav2vec2.state_dict()
    assert set(own) == set(tensors)
    for name, value in tensors.items():
        assert torch.equal(own[name], value), name


def test_every_tensor_of_the_backbone_is_loaded(tiny_backbone: Path) -> None:
    assert_backbone_is(load_pretrained(tiny_backbone), tensors_of(tiny_backbone))


def test_pytorchs_format_is_loaded_too(folder: Path) -> None:
    tensors = tensors_of(folder)
    torch.save(tensors, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    assert_backbone_is(load_pretrained(folder), tensors)


def test_older_names_of_the_normalized_convolution_are_known(folder: Path) -> None:
    tensors = tensors_of(folder)
    here = "encoder.pos_conv_embed.conv."
    old = {f"{here}parametrizations.weight.original{n}": f"{here}weight_{'gv'[n]}" for n in (0, 1)}
    rewrite(folder, lambda found: {old.get(name, name): value for name, value in found.items()})
    assert_backbone_is(load_pretrained(folder), tensors)


@pytest.mark.parametrize("kind", [Wav2Vec2ForPreTraining, Wav2Vec2ForSequenceClassification])
def test_the_backbone_of_a_model_with_another_head_is_loaded(kind: type, tmp_path: Path) -> None:
    other = kind(Wav2Vec2Config(**TINY))
    other.save_pretrained(tmp_path)
    assert_backbone_is(load_pretrained(tmp_path), other.wav2vec2.state_dict())


def test_half_precision_becomes_float32(folder: Path) -> None:
    rewrite(folder, lambda found: {name: value.half() for name, value in found.items()})
    dtypes = {parameter.dtype for parameter in load_pretrained(folder).parameters()}
    assert dtypes == {torch.float32}


def test_weights_without_the_vector_of_specaugment_will_do(folder: Path) -> None:
    rewrite(folder, lambda found: {k: v for k, v in found.items() if k != "masked_spec_embed"})
    assert load_pretrained(folder).num_parameters() == PARAMETERS


def test_found_weights_have_the_hash_of_their_file(tiny_backbone: Path) -> None:
    found = find_weights(str(tiny_backbone))
    content = (tiny_backbone / "model.safetensors").read_bytes()
    assert found.path == tiny_backbone
    assert found.sha256 == hashlib.sha256(content).hexdigest()
    assert found.to_dict() == {"source": tiny_backbone.name, "sha256": found.sha256}


def test_another_size_than_the_reports_is_told(
    tiny_backbone: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        find_weights(str(tiny_backbone))
    assert "26,423 parameters; the report's wav2vec2-base has 94,377,095" in caplog.text


def test_loading_prints_nothing(tiny_backbone: Path, capfd: pytest.CaptureFixture[str]) -> None:
    load_pretrained(tiny_backbone)
    assert capfd.readouterr() == ("", "")


def truncate(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 20_000)


def empty(folder: Path) -> None:
    os.truncate(folder / "model.safetensors", 0)


def put_a_page_in_its_place(folder: Path) -> None:
    (folder / "model.safetensors").write_text("<html>please log in</html>")


def leave_one_out(folder: Path) -> None:
    name = "encoder.layers.1.attention.k_proj.weight"
    rewrite(folder, lambda found: {key: value for key, value in found.items() if key != name})


def change_a_shape(folder: Path) -> None:
    change_config(folder, intermediate_size=48)


def add_layers(folder: Path) -> None:
    change_config(folder, num_hidden_layers=3)


def truncate_bin(folder: Path) -> None:
    torch.save(tensors_of(folder), folder / "pytorch_model.bin")
    os.truncate(folder / "pytorch_model.bin", 20_000)
    (folder / "model.safetensors").unlink()


@pytest.mark.parametrize(
    "damage",
    [
        truncate,
        empty,
        put_a_page_in_its_place,
        leave_one_out,
        change_a_shape,
        add_layers,
        truncate_bin,
    ],
)
def test_damaged_weights_are_named(folder: Path, damage: Callable[[Path], None]) -> None:
    damage(folder)
    with pytest.raises(WeightsError, match=r"copy/(model\.safetensors|pytorch_model\.bin)"):
        find_weights(str(folder))


def test_what_is_missing_of_the_backbone_is_named(folder: Path) -> None:
    leave_one_out(folder)
    with pytest.raises(WeightsError, match=r"1 of its tensors .*layers\.1\.attention\.k_proj"):
        find_weights(str(folder))


class _Runs:
    """Unpickled, it makes a file."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str, ...]]:
        return os.system, (f"touch '{self._path}'",)


@pytest.mark.parametrize(
    "save", [torch.save, lambda what, path: path.write_bytes(pickle.dumps(what))]
)
def test_code_in_a_file_of_weights_does_not_run(
    folder: Path, tmp_path: Path, save: Callable[[Any, Path], object]
) -> None:
    save({"masked_spec_embed": _Runs(tmp_path / "ran")}, folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"pytorch_model\.bin"):
        find_weights(str(folder))
    assert not (tmp_path / "ran").exists()


def test_another_architecture_is_named(tmp_path: Path) -> None:
    HubertModel(HubertConfig(**TINY)).save_pretrained(tmp_path)
    with pytest.raises(WeightsError, match="of the type 'hubert', not wav2vec2"):
        find_weights(str(tmp_path))


def test_an_adapter_is_refused(tmp_path: Path) -> None:
    save_tiny_backbone(tmp_path, add_adapter=True)
    with pytest.raises(WeightsError, match="with an adapter"):
        find_weights(str(tmp_path))


def test_a_folder_without_a_configuration_is_told(folder: Path) -> None:
    (folder / "config.json").unlink()
    with pytest.raises(WeightsError, match=r"has no config\.json"):
        find_weights(str(folder))


@pytest.mark.parametrize("content", ["{", "[]", '{"model_type": "wav2vec2", "hidden_size": "x"}'])
def test_a_damaged_configuration_is_named(folder: Path, content: str) -> None:
    (folder / "config.json").write_text(content)
    with pytest.raises(WeightsError, match=r"config\.json"):
        find_weights(str(folder))


def test_a_folder_without_weights_is_told(folder: Path) -> None:
    (folder / "model.safetensors").unlink()
    with pytest.raises(WeightsError, match=r"has no weights: neither model\.safetensors nor"):
        find_weights(str(folder))


def test_a_file_is_answered_with_its_folder(tiny_backbone: Path) -> None:
    with pytest.raises(WeightsError, match="is a file: give the folder"):
        find_weights(str(tiny_backbone / "model.safetensors"))


@pytest.mark.parametrize("source", ["./nonesuch", "/a/b/c", "~/weights", "", "a/b/c"])
def test_a_path_to_nowhere_is_told_without_asking_a_hub(source: str) -> None:
    with pytest.raises(WeightsError, match=r"there is no folder|has no config"):
        find_weights(source)
