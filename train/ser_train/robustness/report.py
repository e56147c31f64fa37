"""The robustness of a model as Markdown, JSON and a plot."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ser_runtime.atomic_file import write_text
from ser_train.markdown_table import markdown_table
from ser_train.markdown_table import with_interval
from ser_train.plots import new_figure
from ser_train.plots import save_figure
from ser_train.robustness.babble import VOICES
from ser_train.robustness.channels import CHANNELS
from ser_train.robustness.conditions import BABBLE
from ser_train.robustness.conditions import CLEAN
from ser_train.robustness.conditions import SNR_DB
from ser_train.robustness.noises import NOISES
from ser_train.robustness.speaking import LEVEL_DBFS
from ser_train.robustness.speaking import SECONDS

_WINDOWS = {
    "start": "The first {:g} s",
    "offset": "{:g} s from 0.5 s on",
    "centre": "The middle {:g} s",
    "loudest": "The loudest {:g} s",
}
_NOTE = (
    "A noise's level is against that of the clip in the window, its pauses included, and the noise "
    f"fills the window. Babble is made of {VOICES} other speakers of the same set, hum of 50 Hz "
    "and its harmonics, clicks come eight a second. Where the corpora are stored in a lossy "
    "format, the codecs here work on what was coded once before. A whole clip is what the runtime "
    "sums a file up to: the mean over its complete windows with voice."
)


def write_robustness(figures: dict[str, Any], folder: Path) -> list[Path]:
    """Write `table.md`, `robustness.json` and `robustness.png`.

    Args:
        figures: Of `ser_train.robustness.measure.measure_robustness`.
        folder: Is made if it is not there.

    Returns:
        The three files.

    Raises:
        StorageError: If they cannot be written.
    """
    paths = [folder / name for name in ("table.md", "robustness.json", "robustness.png")]
    write_text(paths[0], robustness_tables(figures))
    write_text(paths[1], json.dumps(figures, indent=1) + "\n")
    _plot(figures, paths[2])
    return paths


def robustness_tables(figures: dict[str, Any]) -> str:
    """Accuracy by condition, and how often it speaks where nobody does, as Markdown."""
    return (
        f"# How `{figures['model']}` does outside the corpora\n\n"
        f"{_WINDOWS[figures['crop']].format(figures['window_seconds'])} of "
        f"{figures['clips']} {figures['set']} clips "
        f"of the split `{figures['protocol']}`, noise drawn with seed {figures['seed']}. The file "
        f"itself says {figures['test_accuracy_in_file']:.3f} of all its test clips. 95 % "
        f"intervals over {figures['clusters']}; `minus clean` is paired. *Shown* are the labels "
        "that the runtime by default does not call uncertain (confidence from "
        f"{figures['min_confidence']:.2f} on), beside them how many are right.\n\n"
        f"{_conditions_table(figures['conditions'])}\n"
        f"{_NOTE}\n\n"
        "## How often it speaks where nobody does\n\n"
        f"{SECONDS} s of each sound through the runtime with its voice activity detection, at "
        f"{LEVEL_DBFS:g} dBFS: share of the windows that are judged at all, that show an emotion, "
        "and of the judged ones that do.\n\n"
        f"{_sounds_table(figures['sounds'])}"
    )


def _conditions_table(conditions: Sequence[dict[str, Any]]) -> str:
    header = (
        "condition",
        "accuracy (95 %)",
        "minus clean (95 %)",
        "shown",
        "right of these",
    )
    return markdown_table(header, (_condition_row(row) for row in conditions))


def _condition_row(row: dict[str, Any]) -> list[str]:
    difference = "–"
    if row["name"] != CLEAN.name:
        difference = with_interval(row["minus_clean"], row["minus_clean_interval"], "+.3f")
    return [
        row["name"],
        with_interval(row["accuracy"], row["accuracy_interval"]),
        difference,
        *(_percent(row[name]) for name in ("shown", "accuracy_shown")),
    ]


def _sounds_table(sounds: Sequence[dict[str, Any]]) -> str:
    header = ("sound", "windows", "judged", "shown", "shown of the judged")
    rows = (
        [
            row["name"],
            str(row["windows"]),
            *(_percent(row[name]) for name in ("voice", "shown")),
            _percent(row["shown"] / row["voice"] if row["voice"] else None),
        ]
        for row in sounds
    )
    return markdown_table(header, rows)


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{share:.0%}".replace("%", " %")


def _plot(figures: dict[str, Any], path: Path) -> None:
    """Accuracy against the signal-to-noise ratio, and in the conditions without noise."""
    conditions = figures["conditions"]
    clean = conditions[0]["accuracy"]
    figure = new_figure(11.0, 4.6)
    figure.suptitle(
        f"{figures['model']}, {figures['clips']} {figures['set']} clips of {figures['protocol']}",
        parse_math=False,
        fontsize=10,
    )
    in_noise, in_channels = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    for noise in (BABBLE, *NOISES):
        rows = [row for row in conditions if row["noise"] == noise]
        ratios = [row["snr_db"] for row in rows]
        in_noise.plot(ratios, [row["accuracy"] for row in rows], marker="o", ms=4, label=noise)
    in_noise.invert_xaxis()
    in_noise.set_xticks(SNR_DB)
    in_noise.set_xlabel("signal-to-noise ratio in dB")
    in_noise.set_ylabel("accuracy")
    rows = [row for row in conditions if row["name"] in CHANNELS]
    places = range(len(rows))
    in_channels.bar(places, [row["accuracy"] for row in rows], color="#9ec5ea")
    for place, row in zip(places, rows, strict=True):
        if row["accuracy_interval"]:
            in_channels.vlines(place, *row["accuracy_interval"], color="#333333")
    in_channels.set_xticks(places, [row["name"] for row in rows], rotation=30, ha="right")
    in_channels.tick_params(axis="x", labelsize=8)
    for axes in (in_noise, in_channels):
        axes.axhline(clean, color="gray", ls=":", label="clean")
        axes.set_ylim(0, 1)
        axes.spines[["top", "right"]].set_visible(False)
    in_noise.legend(frameon=False, fontsize=8)
    save_figure(figure, path)
