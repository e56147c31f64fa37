"""Reliability before and after the temperature, and risk against coverage, as pictures."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path

from ser_train.plots import new_figure
from ser_train.plots import save_figure


def plot_reliability_before_and_after(
    bins: Mapping[str, Sequence[tuple[float, float, int]]], title: str, path: Path
) -> None:
    """Accuracy against confidence, and how the clips spread over it.

    Args:
        bins: `before` and `after` to mean confidence, accuracy and number of clips.
        title: Over the drawing.
        path: PNG file.
    """
    figure = new_figure(6.0, 6.2)
    figure.suptitle(title, parse_math=False, fontsize=10)
    diagram, spread = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
    diagram.plot([0, 1], [0, 1], color="gray", ls=":", label="calibrated")
    for name, rows in bins.items():
        confidence, accuracy, count = zip(*rows, strict=True)
        share = [clips / sum(count) for clips in count]
        diagram.plot(confidence, accuracy, marker="o", ms=4, label=f"{name} the temperature")
        spread.plot(confidence, share, marker="o", ms=3)
    diagram.set_ylabel("accuracy")
    diagram.set_ylim(0, 1)
    diagram.legend(frameon=False, fontsize=8)
    spread.set_xlabel("confidence")
    spread.set_ylabel("share of clips")
    spread.set_xlim(0, 1)
    spread.set_ylim(0, None)
    for axes in (diagram, spread):
        axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def plot_risk_coverage(
    curve: Sequence[tuple[float, float]],
    threshold: tuple[float, float] | None,
    title: str,
    path: Path,
) -> None:
    """Share of wrong answers against the share of clips that are answered.

    Args:
        curve: Coverage and risk.
        threshold: Coverage and precision at the threshold for 90 % precision; None if no clip
            reaches it.
        title: Over the drawing.
        path: PNG file.
    """
    figure = new_figure(6.0, 4.4)
    axes = figure.add_subplot()
    axes.plot(*zip(*curve, strict=True))
    axes.axhline(0.1, color="gray", ls=":", label="90 % right")
    if threshold:
        coverage, precision = threshold
        axes.plot(coverage, 1 - precision, "o", label="threshold of the validation clips")
    axes.set_xlabel("coverage: share of clips answered, most confident first")
    axes.set_ylabel("risk: share of them wrong")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, None)
    axes.set_title(title, parse_math=False, fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)
