"""The network on top of wav2vec 2.0: its size, its mean over frames, its randomness."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_wav2vec2 import PARAMETERS
from tiny_wav2vec2 import TINY

from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS
from ser_train.wav2vec2.layers import base_layers
from ser_train.wav2vec2.network import Wav2Vec2Classifier
from ser_train.wav2vec2.network import classifier_config
from ser_train.wav2vec2.network import frame_count
from ser_train.wav2vec2.network import initialize_head
from ser_train.wav2vec2.network import mean_over_frames
from ser_train.wav2vec2.weights import load_pretrained


@pytest.fixture
def network(tiny_backbone: Path) -> Wav2Vec2Classifier:
    network = load_pretrained(tiny_backbone)
    initialize_head(network, 0)
    return network


@pytest.fixture(scope="module")
def values() -> torch.Tensor:
    """Noise of three clips of 1 s."""
    return torch.from_numpy(np.random.default_rng(0).standard_normal((3, 16_000), np.float32))


def test_parameters_at_base_size_are_the_reports() -> None:
    network = base_layers(EXPERIMENTS["wav2vec2"])
    assert network.parameters == network.trainable_parameters == 94_377_095


def test_the_layers_of_the_table_hold_all_parameters() -> None:
    network = base_layers(EXPERIMENTS["wav2vec2"])
    assert sum(row.parameters for row in network.rows) == network.parameters
    assert network.rows[-1].shape == (7,)


def test_every_layer_of_the_table_is_fed_by_the_one_before() -> None:
    rows = base_layers(EXPERIMENTS["wav2vec2"]).rows
    assert [row.inputs for row in rows] == [(), *((row.name,) for row in rows[:-1])]


def test_a_frozen_feature_encoder_is_not_trained() -> None:
    network = base_layers(ABLATIONS["wav2vec2-frozen-encoder"])
    convolutions = sum(row.parameters for row in network.rows if row.name.startswith("conv_"))
    assert network.parameters - network.trainable_parameters == convolutions
    assert network.trainable_parameters == ABLATIONS["wav2vec2-frozen-encoder"].trainable_parameters


def test_an_option_that_is_not_known_is_refused() -> None:
    experiment = dataclasses.replace(EXPERIMENTS["wav2vec2"], options={"freeze": True})
    with pytest.raises(ValueError, match="wav2vec2 has no option freeze"):
        base_layers(experiment)


def test_a_tiny_network_has_its_parameters(network: Wav2Vec2Classifier) -> None:
    assert network.num_parameters() == PARAMETERS


@pytest.mark.parametrize("samples", [400, 719, 720, 16_000, 48_000])
def test_frames_are_counted_as_the_convolutions_make_them(
    network: Wav2Vec2Classifier, samples: int
) -> None:
    with torch.inference_mode():
        hidden = network.wav2vec2(torch.zeros(1, samples)).last_hidden_state
    assert frame_count(network.config, samples) == hidden.shape[1]


def test_the_mean_is_over_the_first_frames_of_each_clip() -> None:
    hidden = torch.arange(24.0).reshape(2, 4, 3)
    mean = mean_over_frames(hidden, torch.tensor([2, 4]))
    wanted = torch.stack([hidden[0, :2].mean(dim=0), hidden[1].mean(dim=0)])
    torch.testing.assert_close(mean, wanted)


def test_frames_behind_the_masks_end_do_not_matter_whatever_they_are() -> None:
    hidden = torch.ones(1, 4, 3)
    hidden[0, 2:] = torch.nan
    assert mean_over_frames(hidden, torch.tensor([2])).tolist() == [[1.0, 1.0, 1.0]]


@pytest.mark.parametrize("frames", [0, -1])
def test_a_clip_shorter_than_a_frame_has_the_first_one(frames: int) -> None:
    hidden = torch.arange(6.0).reshape(1, 2, 3)
    assert mean_over_frames(hidden, torch.tensor([frames])).tolist() == [[0.0, 1.0, 2.0]]


def test_logits_are_the_head_over_the_unmasked_mean_of_a_backbone_without_a_mask(
    network: Wav2Vec2Classifier, values: torch.Tensor
) -> None:
    mask = torch.zeros(values.shape, dtype=torch.int64)
    mask[:, :8_000] = 1
    network.eval()
    with torch.inference_mode():
        hidden = network.wav2vec2(values).last_hidden_state
        wanted = network.head(hidden[:, : frame_count(network.config, 8_000)].mean(dim=1))
        torch.testing.assert_close(network(values, mask), wanted)


def test_a_clip_is_scored_the_same_alone_and_among_others(
    network: Wav2Vec2Classifier, values: torch.Tensor
) -> None:
    mask = torch.ones(values.shape, dtype=torch.int64)
    network.eval()
    with torch.inference_mode():
        together = network(values, mask)
        alone = torch.cat([network(values[i : i + 1], mask[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)


def test_training_masks_nothing_of_the_input(values: torch.Tensor) -> None:
    quiet = {"hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"}
    still = dict.fromkeys({*quiet, "layerdrop"}, 0.0)
    network = Wav2Vec2Classifier(
        classifier_config({**TINY, **still, "mask_time_prob": 0.9, "apply_spec_augment": True})
    )
    network.train()
    network.dropout.p = 0.0
    mask = torch.ones(values.shape, dtype=torch.int64)
    with torch.no_grad():
        torch.testing.assert_close(network(values, mask), network(values, mask))


def test_the_head_drops_half_of_the_means_while_it_is_trained(
    network: Wav2Vec2Classifier,
) -> None:
    assert network.dropout.p == 0.5


def test_the_head_depends_on_the_seed_alone(network: Wav2Vec2Classifier) -> None:
    torch.manual_seed(1)
    heads = []
    for seed in (5, 5, 6):
        initialize_head(network, seed)
        heads.append(network.head.weight.detach().clone())
    assert torch.equal(heads[0], heads[1])
    assert not torch.equal(heads[0], heads[2])
    assert not network.head.bias.any()


def test_gradients_are_the_same_with_checkpointing(
    network: Wav2Vec2Classifier, values: torch.Tensor
) -> None:
    mask = torch.ones(values.shape, dtype=torch.int64)

    def gradient() -> torch.Tensor:
        torch.manual_seed(0)
        network.zero_grad()
        network(values, mask).square().sum().backward()
        return network.wav2vec2.feature_extractor.conv_layers[0].conv.weight.grad.clone()

    network.train()
    kept = gradient()
    network.checkpoint_gradients()
    torch.testing.assert_close(gradient(), kept)
