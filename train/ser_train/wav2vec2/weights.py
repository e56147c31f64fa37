"""Pretrained wav2vec 2.0 weights: found, checked, and loaded without running anything in them."""

from __future__ import annotations

import hashlib
import json
import logging
from pathlib import Path
from typing import Any

import torch
from transformers import Wav2Vec2Config

from ser_runtime.backend import reason
from ser_runtime.errors import WeightsError
from ser_train.pretrained_weights import PretrainedWeights
from ser_train.wav2vec2.hub import CONFIG_FILE
from ser_train.wav2vec2.hub import WEIGHTS_FILES
from ser_train.wav2vec2.hub import hub_folder
from ser_train.wav2vec2.hub import is_hub_id
from ser_train.wav2vec2.network import HEAD
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.network import classifier_config
from ser_train.wav2vec2.quiet import quiet_transformers

log = logging.getLogger(__name__)

# Only SpecAugment would use it, and that is off; wav2vec2-base-960h comes without it.
_NOT_NEEDED = {"wav2vec2.masked_spec_embed"}
_REPORTS_PARAMETERS = 94_377_095


def find_weights(source: str) -> PretrainedWeights:
    """The weights that a user named, loaded once to see that they can be.

    Args:
        source: A folder with config.json and model.safetensors (or pytorch_model.bin), or the id of
            a model on the Hugging Face hub.

    Raises:
        WeightsError: If they are missing, damaged, of another architecture, or out of reach.
    """
    folder = Path(source)
    if folder.is_file():
        raise WeightsError(f"{source} is a file: give the folder that holds it and {CONFIG_FILE}")
    if not folder.is_dir():
        if not is_hub_id(source):
            raise WeightsError(
                f"there is no folder {source}: give one with {CONFIG_FILE} and {WEIGHTS_FILES[0]}, "
                "or the id of a model on the Hugging Face hub, such as facebook/wav2vec2-base"
            )
        folder = hub_folder(source)
    network = load_pretrained(folder)
    count = network.num_parameters()
    if count != _REPORTS_PARAMETERS:
        log.warning(
            "%s makes a network of %s parameters; the report's wav2vec2-base has %s",
            source,
            f"{count:,}",
            f"{_REPORTS_PARAMETERS:,}",
        )
    with _weights_file(folder).open("rb") as file:
        return PretrainedWeights(source, folder, hashlib.file_digest(file, "sha256").hexdigest())


def load_pretrained(folder: Path) -> Wav2Vec2Classifier:
    """The network with pretrained weights and a head that is not trained.

    Args:
        folder: With config.json and weights; of safetensors, or of PyTorch's format, of which
            nothing but tensors is read.

    Returns:
        In float32 on the CPU.

    Raises:
        WeightsError: If something of the backbone is missing, or cannot be read.
    """
    config, weights = _config(folder), _weights_file(folder)
    try:
        with quiet_transformers():
            network, loaded = Wav2Vec2Classifier.from_pretrained(
                folder,
                config=config,
                local_files_only=True,
                use_safetensors=weights.suffix == ".safetensors",
                weights_only=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    # Each library that reads a part of it raises errors of its own.
    except Exception as error:
        raise WeightsError(
            f"cannot load {weights}: it is damaged, or not of the network that {CONFIG_FILE} "
            f"beside it describes ({reason(error)}); fetch it again"
        ) from error
    missing = sorted(set(loaded["missing_keys"]) - set(HEAD) - _NOT_NEEDED)
    other = sorted(str(key) for key in loaded["mismatched_keys"])
    if missing or other:
        raise WeightsError(
            f"{weights} holds no wav2vec 2.0 as {CONFIG_FILE} beside it describes: "
            f"{len(missing)} of its tensors are missing and {len(other)} of another shape, such as "
            f"{(missing + other)[0]}"
        )
    return network


def _config(folder: Path) -> Wav2Vec2Config:
    path = folder / CONFIG_FILE
    try:
        content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        kind = content.get("model_type")
    except FileNotFoundError as error:
        raise WeightsError(
            f"{folder} has no {CONFIG_FILE}: give a folder as transformers saves a model"
        ) from error
    except (OSError, ValueError, AttributeError) as error:
        raise WeightsError(f"cannot read {path}: {reason(error)}") from error
    if kind != "wav2vec2":
        raise WeightsError(f"{folder} holds a model of the type {kind!r}, not wav2vec2")
    if content.get("add_adapter"):
        raise WeightsError(f"{folder} holds a wav2vec2 with an adapter, which this cannot train")
    try:
        with quiet_transformers():
            return classifier_config(content)
    # transformers 4 and 5 check fields differently, each with errors of its own.
    except Exception as error:
        raise WeightsError(f"{path} describes no wav2vec 2.0: {reason(error)}") from error


def _weights_file(folder: Path) -> Path:
    for name in WEIGHTS_FILES:
        if (folder / name).is_file():
            return folder / name
    raise WeightsError(f"{folder} has no weights: neither {' nor '.join(WEIGHTS_FILES)}")
