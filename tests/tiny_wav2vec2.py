"""A wav2vec 2.0 of 26,423 parameters with its head, as a folder that transformers saves."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

# As `ser_train.wav2vec2` does, which not every test imports before transformers.
os.environ.setdefault("USE_TF", "0")

TINY: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "conv_dim": (16,) * 7,
    "num_conv_pos_embeddings": 16,
    "num_conv_pos_embedding_groups": 4,
}
PARAMETERS = 26_423


def save_tiny_backbone(folder: Path, seed: int = 0, **changes: Any) -> Path:
    """Write random weights of a seed; `changes` are of the configuration."""
    import torch
    from transformers import Wav2Vec2Config
    from transformers import Wav2Vec2Model

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        Wav2Vec2Model(Wav2Vec2Config(**(TINY | changes))).save_pretrained(folder)
    return folder
