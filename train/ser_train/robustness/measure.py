"""The whole of a robustness report, as plain values."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ser_runtime.model import Model
from ser_runtime.stream import Stream
from ser_train.clip_progress import ClipProgress
from ser_train.model_clips import ModelClips
from ser_train.robustness.babble import Babble
from ser_train.robustness.scoring import recognize_in_every_condition
from ser_train.robustness.scoring import score_conditions
from ser_train.robustness.speaking import speaking


def measure_robustness(
    model: Model,
    clips: ModelClips,
    name: str,
    most: int | None,
    seed: int,
    progress: ClipProgress | None = None,
) -> dict[str, Any]:
    """Recognize clips in every condition, and listen to what is no speech.

    Args:
        model: Opened.
        clips: Of the model's split; babble is mixed from all of them.
        name: Of the set that they are.
        most: How many of them to recognize; None for all.
        seed: Of the choice and the noise.
        progress: Called with clips done and clips in all.

    Returns:
        As `ser_train.robustness.report.write_robustness` takes it.

    Raises:
        CorporaError: If a clip cannot be read any more, or there is but one speaker.
    """
    babble = Babble(clips.clips, model.spec.sample_rate)
    chosen = clips if most is None else clips.sample(most, seed)
    probabilities = recognize_in_every_condition(model, chosen, babble, seed, progress)
    by_speaker = len(set(clips.clusters)) < len(clips)
    return {
        # A path would say where it lay on the machine that measured it.
        "model": Path(model.source).name,
        "name": model.metadata.name,
        "model_version": model.metadata.model_version,
        "quantization": model.metadata.quantization,
        "protocol": model.metadata.protocol,
        "split_hash": model.metadata.split_hash,
        "set": name,
        "clips": len(chosen),
        "clusters": f"{len(set(chosen.clusters))} {'speakers' if by_speaker else 'clips'}",
        "seed": seed,
        "window_seconds": model.spec.window_seconds,
        "crop": model.metadata.crop,
        "min_confidence": Stream(model).min_confidence,
        "test_accuracy_in_file": model.metadata.test_accuracy,
        "conditions": score_conditions(model, chosen, probabilities),
        "sounds": speaking(model, babble, seed),
    }
