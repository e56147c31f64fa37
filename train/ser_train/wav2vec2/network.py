"""The network of the report's section 6.2: wav2vec 2.0, mean over time, dropout, one dense layer.

It follows the Keras example that the report follows. The backbone sees the zeros that pad a short
clip, and no attention mask; the mask says over which frames the mean is taken.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import nn
from transformers import Wav2Vec2Config
from transformers import Wav2Vec2Model
from transformers import Wav2Vec2PreTrainedModel

from ser_runtime.labels import EMOTIONS

HEAD = ("head.weight", "head.bias")
"""Parameters that no pretrained weights hold."""

_DROPOUT = 0.5


class Wav2Vec2Classifier(Wav2Vec2PreTrainedModel):
    """wav2vec 2.0 with a dense layer over the mean of its frames."""

    def __init__(self, config: Wav2Vec2Config) -> None:
        super().__init__(config)
        self.wav2vec2 = Wav2Vec2Model(config)
        self.dropout = nn.Dropout(_DROPOUT)
        self.head = nn.Linear(config.hidden_size, len(EMOTIONS))
        self.post_init()

    def forward(self, input_values: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        """Logits: float32 [clips, classes].

        Args:
            input_values: float32 [clips, samples], normalized and padded with zeros.
            attention_mask: int [clips, samples], 1 where there is audio.
        """
        hidden = self.wav2vec2(input_values).last_hidden_state.float()
        frames = frame_count(self.config, attention_mask.sum(dim=1))
        return self.head(self.dropout(mean_over_frames(hidden, frames))).float()

    def checkpoint_gradients(self) -> None:
        """Compute activations again in the backward pass instead of keeping them."""
        # transformers 5 has a new name for it, and warns of the old one.
        enable = getattr(
            self, "activation_checkpointing_enable", self.gradient_checkpointing_enable
        )
        enable({"use_reentrant": False})


def mean_over_frames(hidden: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """The mean of the first frames of each clip.

    Args:
        hidden: float32 [clips, frames, width].
        frames: int [clips], how many count; at least one does.

    Returns:
        float32 [clips, width].
    """
    frames = frames.clamp(1, hidden.shape[1])
    counts = torch.arange(hidden.shape[1], device=hidden.device) < frames[:, None]
    return torch.where(counts[:, :, None], hidden, 0.0).sum(dim=1) / frames[:, None]


def frame_count(config: Wav2Vec2Config, samples: Any) -> Any:
    """Frames that the convolutions make of so many samples: an int, or a tensor of them."""
    for kernel, stride in zip(config.conv_kernel, config.conv_stride, strict=True):
        samples = (samples - kernel) // stride + 1
    return samples


def freeze_as_asked(network: Wav2Vec2Classifier, options: dict[str, Any]) -> None:
    """Keep the convolutions of the feature encoder as they are, if an experiment wants it so.

    Args:
        network: To be trained.
        options: Of the experiment: `freeze_feature_encoder`, or nothing.

    Raises:
        ValueError: If there are others.
    """
    if unknown := set(options) - {"freeze_feature_encoder"}:
        raise ValueError(f"wav2vec2 has no option {', '.join(sorted(unknown))}")
    if options.get("freeze_feature_encoder"):
        network.wav2vec2.freeze_feature_encoder()


def initialize_head(network: Wav2Vec2Classifier, seed: int) -> None:
    """Draw the head's weights from a seed, as Keras does for the report's dense layer."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        nn.init.xavier_uniform_(network.head.weight, generator=generator)
        nn.init.zeros_(network.head.bias)


def classifier_config(config: dict[str, Any]) -> Wav2Vec2Config:
    """The configuration of a pretrained backbone, for this task.

    Args:
        config: Content of its config.json.
    """
    task = {
        # As in the example that the report follows. The vector that SpecAugment would mask with
        # stays in the network, unused: the report's parameter count holds it.
        "apply_spec_augment": False,
        "id2label": dict(enumerate(EMOTIONS)),
        "label2id": {label: index for index, label in enumerate(EMOTIONS)},
        "problem_type": "single_label_classification",
    }
    return Wav2Vec2Config.from_dict(config | task)
