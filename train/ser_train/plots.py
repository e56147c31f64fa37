"""The pictures of a run and of the corpora, drawn without a display."""

from __future__ import annotations

from collections.abc import Mapping
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ser_runtime.atomic_file import atomic_path
from ser_runtime.labels import EMOTIONS


def plot_class_distribution(counts: Mapping[str, Mapping[str, int]], path: Path) -> None:
    """Clips of each emotion, stacked by corpus (the report's figure 1).

    Args:
        counts: Corpus -> emotion -> clips.
        path: PNG file.
    """
    figure = new_figure(7.5, 4.2)
    axes = figure.add_subplot()
    bottom = np.zeros(len(EMOTIONS))
    for corpus, of_emotion in counts.items():
        heights = np.array([of_emotion.get(emotion, 0) for emotion in EMOTIONS])
        axes.bar(EMOTIONS, heights, bottom=bottom, label=corpus, width=0.7)
        bottom += heights
    for x, total in enumerate(bottom):
        axes.text(x, total, f"{int(total)}", ha="center", va="bottom", fontsize=9)
    axes.set_ylabel("clips")
    axes.set_title(f"Class distribution: {int(bottom.sum())} clips")
    axes.set_ylim(0, bottom.max() * 1.25)
    axes.legend(ncols=len(counts), loc="upper center", frameon=False)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def plot_confusion(confusion: Sequence[Sequence[int]], title: str, path: Path) -> None:
    """A confusion matrix: counts, coloured by the share of each row."""
    matrix = np.asarray(confusion)
    share = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = new_figure(6.8, 5.6)
    axes = figure.add_subplot()
    image = axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    ticks = range(len(EMOTIONS))
    axes.set_xticks(ticks, EMOTIONS, rotation=40, ha="right")
    axes.set_yticks(ticks, EMOTIONS)
    axes.set_xlabel("recognized")
    axes.set_ylabel("labelled")
    axes.set_title(title, parse_math=False, fontsize=10)
    for row in ticks:
        for column in ticks:
            color = "white" if share[row, column] > 0.55 else "black"
            axes.text(column, row, str(matrix[row, column]), ha="center", va="center", color=color)
    figure.colorbar(image, ax=axes, label="share of the row", fraction=0.046)
    save_figure(figure, path)


def plot_learning_curves(
    history: Mapping[str, Mapping[str, Sequence[float]]],
    best_epoch: int | None,
    title: str,
    path: Path,
) -> None:
    """Loss and accuracy of training and validation clips, one row for each phase."""
    figure = new_figure(9.5, 3.4 * len(history) + 0.4)
    figure.suptitle(title, parse_math=False, fontsize=10)
    grid: Any = figure.subplots(len(history), 2, squeeze=False)
    for row, (phase, metrics) in zip(grid, history.items(), strict=True):
        for axes, name in zip(row, ("loss", "accuracy"), strict=True):
            epochs = range(1, len(metrics[name]) + 1)
            axes.plot(epochs, metrics[name], label="training (with dropout)")
            axes.plot(epochs, metrics[f"val_{name}"], label="validation")
            if phase == "search" and best_epoch:
                axes.axvline(best_epoch, color="gray", ls=":", label=f"best epoch: {best_epoch}")
            axes.set_xlabel("epoch")
            axes.set_ylabel(f"{name} ({phase})")
            axes.xaxis.set_major_locator(MaxNLocator(integer=True))
            axes.spines[["top", "right"]].set_visible(False)
        row[0].legend(frameon=False, fontsize=8)
    save_figure(figure, path)


def plot_reliability(bins: Sequence[tuple[float, float, int]], title: str, path: Path) -> None:
    """Accuracy against confidence, with the share of clips in each bin.

    Args:
        bins: Mean confidence, accuracy and number of clips.
        title: Over the drawing.
        path: PNG file.
    """
    confidence, accuracy, count = (np.array(column) for column in zip(*bins, strict=True))
    figure = new_figure(6.0, 5.2)
    axes = figure.add_subplot()
    axes.plot([0, 1], [0, 1], color="gray", ls=":", label="calibrated")
    axes.bar(confidence, count / count.sum(), width=0.04, color="#cfe3f7", label="share of clips")
    axes.plot(confidence, accuracy, marker="o", label="accuracy")
    axes.set_xlabel("confidence (after temperature)")
    axes.set_xlim(0, 1)
    axes.set_ylim(0, 1)
    axes.set_title(f"Reliability: {title}", parse_math=False, fontsize=10)
    axes.legend(frameon=False, fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)
    save_figure(figure, path)


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, in inches, without a window of any kind."""
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG.

    Raises:
        StorageError: If the disk is full; a file that was there stays as it was.
    """
    with atomic_path(path) as temporary:
        # Without the software's name and version the same data gives the same bytes.
        figure.savefig(temporary, format="png", dpi=120, metadata={"Software": None})
