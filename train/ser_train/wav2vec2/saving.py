"""A trained network as stock transformers classes load it.

`Wav2Vec2ForSequenceClassification` projects every frame, takes the mean, and classifies. With our
dense layer as the projector and the identity as the classifier it is the same function, since the
mean of projected frames is the projection of their mean: `AutoModelForAudioClassification`,
`pipeline("audio-classification")` and optimum's exporter need no code of ours.

For 3 s of audio without a mask the probabilities are equal. For shorter clips they differ: ours are
padded with zeros that the backbone sees and the mean leaves out, while the pipeline passes a single
clip unpadded, and with a mask the stock class also keeps the backbone from attending to padding. Of
longer clips we take the first 3 s, the pipeline takes all. The calibration temperature of
metrics.json is not in the model.
"""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import torch
from safetensors import SafetensorError
from transformers import Wav2Vec2Config
from transformers import Wav2Vec2ForSequenceClassification

from ser_runtime.atomic_file import place_errors
from ser_runtime.atomic_file import storage_errors
from ser_runtime.backend import reason
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import StorageError
from ser_runtime.labels import EMOTIONS
from ser_train.wav2vec2.inputs import make_feature_extractor
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.quiet import quiet_transformers


def to_stock(network: Wav2Vec2Classifier) -> Wav2Vec2ForSequenceClassification:
    """The same function as a class of transformers, on the CPU."""
    settings = network.config.to_dict() | {"classifier_proj_size": len(EMOTIONS)}
    stock = Wav2Vec2ForSequenceClassification(Wav2Vec2Config.from_dict(settings))
    stock.wav2vec2.load_state_dict(network.wav2vec2.state_dict())
    stock.projector.load_state_dict(network.head.state_dict())
    with torch.no_grad():
        torch.nn.init.eye_(stock.classifier.weight)
        torch.nn.init.zeros_(stock.classifier.bias)
    return stock.eval()


def save_model(folder: Path, network: Wav2Vec2Classifier) -> None:
    """Write configuration, weights and feature extractor; all of them, or nothing.

    Raises:
        StorageError: If the disk is full; what was there before stays.
    """
    with place_errors(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        with storage_errors(folder), quiet_transformers():
            to_stock(network).save_pretrained(made)
            make_feature_extractor().save_pretrained(made)
            made.chmod(0o755)
            shutil.rmtree(folder, ignore_errors=True)
            made.replace(folder)
    except SafetensorError as error:
        raise StorageError(f"cannot write {folder}: {reason(error)}") from error
    finally:
        shutil.rmtree(made, ignore_errors=True)


def load_model(folder: Path) -> Wav2Vec2Classifier:
    """The network of `save_model`, in evaluation mode on the CPU.

    Raises:
        RunFolderError: If it is missing or damaged.
    """
    try:
        with quiet_transformers():
            stock, loaded = Wav2Vec2ForSequenceClassification.from_pretrained(
                folder,
                local_files_only=True,
                use_safetensors=True,
                dtype=torch.float32,
                output_loading_info=True,
            )
    # Each library that reads a part of it raises errors of its own.
    except Exception as error:
        raise RunFolderError(f"cannot read the model {folder}: {reason(error)}") from error
    eye = torch.eye(len(EMOTIONS))
    if loaded["missing_keys"] or not torch.equal(stock.classifier.weight.detach(), eye):
        raise RunFolderError(f"{folder} holds another model than this project saves")
    network = Wav2Vec2Classifier(stock.config)
    network.wav2vec2.load_state_dict(stock.wav2vec2.state_dict())
    network.head.load_state_dict(stock.projector.state_dict())
    return network.eval()
