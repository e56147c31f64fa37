"""Accuracy in every condition, and how often the runtime would answer there."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.prediction import SummaryMaker
from ser_runtime.stream import Stream
from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.clip_progress import ClipProgress
from ser_train.corpora.clip import read_indexed
from ser_train.features.crop import scored_window
from ser_train.metrics import expected_calibration_error
from ser_train.model_clips import ModelClips
from ser_train.robustness.babble import Babble
from ser_train.robustness.conditions import CONDITIONS
from ser_train.robustness.conditions import OTHER_WINDOWS
from ser_train.robustness.conditions import WHOLE
from ser_train.robustness.conditions import in_every_condition


def recognize_in_every_condition(
    model: Model, clips: ModelClips, babble: Babble, seed: int, progress: ClipProgress | None = None
) -> NDArray[np.float32]:
    """Probabilities of each clip's window in each of `CONDITIONS`, of all of it in `WHOLE`.

    Args:
        model: Opened.
        clips: To recognize.
        babble: To take voices from.
        seed: Of the noise.
        progress: Called with clips done and clips in all.

    Returns:
        float32 [conditions, clips, labels], calibrated by the model's temperature; all 0 of a clip
        in which no voice was found.

    Raises:
        CorporaError: If a clip cannot be read any more, or there is but one speaker.
    """
    spec, rate = model.spec, model.spec.sample_rate
    probabilities = np.empty((len(CONDITIONS), len(clips), len(model.labels)), np.float32)
    for column, clip in enumerate(clips.clips):
        audio = read_indexed(clip, rate)
        window = scored_window(audio, spec, model.metadata.crop)
        sounds = in_every_condition(clip, window, babble, rate, spec.window_samples, seed)
        for row, sound in enumerate(sounds):
            probabilities[row, column] = model.recognize(sound)
        for condition, crop in OTHER_WINDOWS.items():
            row = CONDITIONS.index(condition)
            probabilities[row, column] = model.recognize(scored_window(audio, spec, crop))
        probabilities[CONDITIONS.index(WHOLE), column] = _of_whole_clip(model, audio)
        if progress:
            progress(column + 1, len(clips))
    return probabilities


def score_conditions(
    model: Model, clips: ModelClips, probabilities: NDArray[np.float32]
) -> list[dict[str, Any]]:
    """Figures of each of `CONDITIONS`.

    Args:
        model: Whose thresholds count.
        clips: That were recognized.
        probabilities: As `recognize_in_every_condition` gives them.

    Returns:
        For each condition `name`, `noise` and `snr_db`; `accuracy`, `minus_clean` (paired) and
        their `*_interval`; `unweighted_accuracy` (mean recall); `ece`; `shown` (the share of
        clips whose label the runtime shows by default and does not call `uncertain`) and
        `accuracy_shown`; `per_corpus` accuracy. The accuracy of no clip is None.
    """
    confidence = probabilities.max(axis=2)
    right = (probabilities.argmax(axis=2) == clips.classes) & (confidence > 0)
    shown = confidence >= np.float64(Stream(model).min_confidence)
    draws = resampled_sums(right.T, clips.clusters)
    counts = resampled_sums(np.ones((len(clips), 1)), clips.clusters)
    shares = None if draws is None or counts is None else draws / counts
    corpora = np.array([clip.corpus for clip in clips.clips])
    rows = []
    for row, condition in enumerate(CONDITIONS):
        own = None if shares is None else shares[:, row]
        paired = None if shares is None else shares[:, row] - shares[:, 0]
        rows.append(
            {
                "name": condition.name,
                "noise": condition.noise,
                "snr_db": condition.snr_db,
                "accuracy": float(right[row].mean()),
                "accuracy_interval": interval(own),
                "minus_clean": float(right[row].mean() - right[0].mean()),
                "minus_clean_interval": interval(paired),
                "unweighted_accuracy": _mean_recall(right[row], clips.classes),
                "ece": expected_calibration_error(clips.classes, probabilities[row]),
                "shown": float(shown[row].mean()),
                "accuracy_shown": _share(right[row], shown[row]),
                "per_corpus": {
                    str(corpus): _share(right[row], corpora == corpus)
                    for corpus in np.unique(corpora)
                },
            }
        )
    return rows


def _of_whole_clip(model: Model, audio: NDArray[np.float32]) -> NDArray[np.float32]:
    """Probabilities of what `ser-listen` sums a file up to; zeros without voice."""
    stream, summary = Stream(model), SummaryMaker()
    summary.add(stream.push(audio, model.spec.sample_rate))
    summary.add(stream.flush())
    found = summary.summary().probabilities or dict.fromkeys(model.labels, 0.0)
    return np.array([found[label] for label in model.labels], np.float32)


def _mean_recall(right: NDArray[np.bool_], classes: NDArray[np.int64]) -> float:
    return float(np.mean([right[classes == own].mean() for own in np.unique(classes)]))


def _share(right: NDArray[np.bool_], among: NDArray[np.bool_]) -> float | None:
    return float(right[among].mean()) if among.any() else None
