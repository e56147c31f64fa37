"""Predictions beside what listeners heard: the emotion that was perceived, not the one intended."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.atomic_file import write_text
from ser_runtime.errors import CorporaError
from ser_runtime.model import Model
from ser_train.bootstrap import interval
from ser_train.bootstrap import resampled_sums
from ser_train.clip_progress import ClipProgress
from ser_train.corpora.clip import read_indexed
from ser_train.crowd_votes import Votes
from ser_train.features.crop import scored_window
from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval
from ser_train.model_clips import ModelClips
from ser_train.pooled_predictions import PooledPredictions

_CORPUS = "CREMA-D"
_LEAST_PROBABILITY = 1e-12


@dataclass(frozen=True, eq=False)
class Perceiver:
    """Predictions of test clips of CREMA-D.

    Attributes:
        name: Of the model, or the runs.
        protocol: Of the split.
        ids: Clip ids.
        clusters: What the bootstrap draws.
        classes: int64 [clips], the intended emotions.
        probabilities: float32 [clips, classes], calibrated.
    """

    name: str
    protocol: str
    ids: tuple[str, ...]
    clusters: tuple[str, ...]
    classes: NDArray[np.int64]
    probabilities: NDArray[np.float32]


def perceiver_of_runs(pool: PooledPredictions) -> Perceiver:
    """The stored predictions of runs.

    Raises:
        CorporaError: If none of their test clips is of CREMA-D.
    """
    rows = _rows_of_corpus(pool.ids)
    return Perceiver(
        ", ".join(pool.runs),
        pool.protocol,
        tuple(pool.ids[row] for row in rows),
        tuple(pool.clusters[row] for row in rows),
        pool.classes[rows],
        pool.calibrated[rows],
    )


def perceive_with_model(
    model: Model, clips: ModelClips, progress: ClipProgress | None = None
) -> Perceiver:
    """Recognize the clips of CREMA-D among a model's test clips: a window of each.

    Raises:
        CorporaError: If there are none, or one cannot be read any more.
    """
    clips = clips.rows(_rows_of_corpus([clip.id for clip in clips.clips]))
    probabilities = np.empty((len(clips), len(model.labels)), np.float32)
    for row, clip in enumerate(clips.clips):
        audio = read_indexed(clip, model.spec.sample_rate)
        probabilities[row] = model.recognize(scored_window(audio, model.spec, model.metadata.crop))
        if progress:
            progress(row + 1, len(clips))
    return Perceiver(
        Path(model.source).name,
        model.metadata.protocol,
        tuple(clip.id for clip in clips.clips),
        clips.clusters,
        clips.classes,
        probabilities,
    )


def measure_perceived(perceiver: Perceiver, votes: Votes) -> dict[str, Any]:
    """How far predictions agree with listeners, and listeners with each other.

    Args:
        perceiver: Predictions.
        votes: Of the listeners.

    Returns:
        `name`, `protocol`, `clips`, `votes`, `without_majority` (clips whose most named emotions
        have equally many votes), and `figures`: name to `value` and `interval`.

    Raises:
        CorporaError: If there are no votes on a clip.
    """
    if missing := [clip_id for clip_id in perceiver.ids if clip_id not in votes]:
        raise CorporaError(f"the table of votes has none on {missing[0]} ({len(missing)} clips)")
    counts = np.array([votes[clip_id] for clip_id in perceiver.ids])
    shares = counts / counts.sum(axis=1, keepdims=True)
    everyone = np.ones(len(counts), bool)
    decided = (counts == counts.max(axis=1, keepdims=True)).sum(axis=1) == 1
    majority, intended = counts.argmax(axis=1), perceiver.classes
    predicted = perceiver.probabilities.argmax(axis=1)
    rows = np.arange(len(counts))
    logs = np.log(np.maximum(perceiver.probabilities.astype(np.float64), _LEAST_PROBABILITY))
    figures = {
        "prediction is the majority's": (predicted == majority, decided),
        "a listener's vote is the majority's of the others": _against_the_others(counts),
        "listeners who agree with the prediction": (shares[rows, predicted], everyone),
        "listeners who agree with the intended emotion": (shares[rows, intended], everyone),
        "majority is the intended emotion": (majority == intended, decided),
        "prediction is the intended emotion": (predicted == intended, everyone),
        "cross-entropy of the votes and the prediction (nats)": (
            -(shares * logs).sum(axis=1),
            everyone,
        ),
        "the same, of one answer to all clips: the mean of their votes": (
            -(shares * _log(shares.mean(axis=0))).sum(axis=1),
            everyone,
        ),
        "the same, of the votes themselves (the least there can be)": (
            -(shares * _log(shares)).sum(axis=1),
            everyone,
        ),
    }
    return {
        "name": perceiver.name,
        "protocol": perceiver.protocol,
        "clips": len(counts),
        "votes": int(counts.sum()),
        "without_majority": int((~decided).sum()),
        "figures": {
            name: _mean(values, among, perceiver.clusters)
            for name, (values, among) in figures.items()
        },
    }


def perceived_table(figures: dict[str, Any]) -> str:
    """The figures as Markdown."""
    rows = (
        [name, with_interval(row["value"], row["interval"])]
        for name, row in figures["figures"].items()
    )
    return (
        f"# What listeners heard, beside `{figures['name']}`\n\n"
        f"{figures['clips']} test clips of CREMA-D on `{figures['protocol']}`, {figures['votes']} "
        "votes of listeners who heard the voice alone. On "
        f"{figures['without_majority']} clips the listeners were divided equally: they have no "
        "majority, and are left out where one is asked for. Cross-entropies are the lower the "
        "better.\n\n" + markdown_table(("", "value (95 %)"), rows)
    )


def write_perceived(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Write `table.md` and `perceived.json`; returns them.

    Raises:
        StorageError: If they cannot be written.
    """
    paths = [folder / "table.md", folder / "perceived.json"]
    write_text(paths[0], perceived_table(figures))
    write_text(paths[1], json.dumps(figures, indent=1) + "\n")
    return paths


def _rows_of_corpus(ids: Sequence[str]) -> NDArray[np.int64]:
    rows = np.flatnonzero([clip_id.startswith(f"{_CORPUS}/") for clip_id in ids])
    if not len(rows):
        raise CorporaError(f"none of the {len(ids)} test clips is of {_CORPUS}: nobody voted")
    return rows


def _against_the_others(
    counts: NDArray[np.int64],
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """For each clip, the share of listeners who named what most of the others did.

    Of the listeners whose vote leaves the others with one majority; and which clips have any.
    """
    agreeing, asked = np.zeros(len(counts)), np.zeros(len(counts))
    for emotion in range(counts.shape[1]):
        voters = counts[:, emotion]
        others = counts.copy()
        others[:, emotion] -= voters > 0
        most = others.max(axis=1)
        decided = (others == most[:, None]).sum(axis=1) == 1
        asked += voters * decided
        agreeing += voters * (decided & (others[:, emotion] == most))
    among = asked > 0
    return agreeing / np.maximum(asked, 1), among


def _log(shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """The logarithm where there is a share, else 0: nothing times anything is nothing."""
    return np.log(np.where(shares > 0, shares, 1.0))


def _mean(
    values: NDArray[Any], among: NDArray[np.bool_], clusters: Sequence[str]
) -> dict[str, Any]:
    """Mean over some of the clips, with its interval; None if there are none."""
    columns = np.stack([np.where(among, values, 0.0), among], axis=1)
    total, count = columns.sum(axis=0)
    draws = resampled_sums(columns, clusters)
    if not count:
        return {"value": None, "interval": None}
    spread = None
    if draws is not None:
        spread = interval(draws[:, 0] / np.where(draws[:, 1] > 0, draws[:, 1], np.nan))
    return {"value": float(total / count), "interval": spread}
