"""From waveforms to what the network takes in: normalized, padded, with an attention mask."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import Wav2Vec2FeatureExtractor

from ser_train.wav2vec2.audio_data import SAMPLE_RATE
from ser_train.wav2vec2.audio_data import WINDOW_SAMPLES


@dataclass(frozen=True, eq=False)
class Batch:
    """What the network takes in.

    Attributes:
        input_values: float32 [clips, WINDOW_SAMPLES]; each clip normalized over its own samples to
            mean 0 and variance 1, then padded with zeros.
        attention_mask: int [clips, WINDOW_SAMPLES], 1 where there is audio.
    """

    input_values: torch.Tensor
    attention_mask: torch.Tensor


def make_feature_extractor() -> Wav2Vec2FeatureExtractor:
    """What normalizes and pads; in code, since the one of a hub's model may be out of reach."""
    return Wav2Vec2FeatureExtractor(
        feature_size=1,
        sampling_rate=SAMPLE_RATE,
        padding_value=0.0,
        do_normalize=True,
        return_attention_mask=True,
    )


def encode(extractor: Wav2Vec2FeatureExtractor, waveforms: Sequence[NDArray[np.float32]]) -> Batch:
    """Normalize waveforms and pad them to 3 s; of a longer one the first 3 s count.

    Args:
        extractor: Of `make_feature_extractor`.
        waveforms: float32 [samples] each, at `SAMPLE_RATE`.
    """
    encoded = extractor(
        list(waveforms),
        sampling_rate=SAMPLE_RATE,
        padding="max_length",
        max_length=WINDOW_SAMPLES,
        truncation=True,
        return_tensors="pt",
    )
    return Batch(encoded["input_values"], encoded["attention_mask"])
