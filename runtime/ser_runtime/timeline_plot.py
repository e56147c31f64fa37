"""The picture of a recording: its waveform in the colors of its emotions, and their curves.

Needs matplotlib (extra `plot`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter
from matplotlib.ticker import MultipleLocator

from ser_runtime.atomic_file import atomic_path
from ser_runtime.path_facts import followed
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.timeline import Timeline

# The hues of the terminal, as dark as a white page needs them.
COLORS = {
    "angry": "tab:red",
    "disgust": "tab:green",
    "fear": "tab:purple",
    "happy": "goldenrod",
    "neutral": "dimgray",
    "sad": "tab:blue",
    "surprise": "darkturquoise",
    UNCERTAIN: "darkgray",
}
_OTHER_COLOR = "tab:pink"
_SILENCE_COLOR = "lightgray"
_LINE = 0.4
_MOST_POINTS = 500
# Segments narrower than this share of the picture are not labelled in it.
_LEAST_LABELLED = 0.06
_TICK_STEPS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21_600)


def plot_timeline(timeline: Timeline, title: str, path: Path) -> None:
    """Draw a recording that has ended.

    Args:
        timeline: What was gathered of it.
        title: Above the picture.
        path: Its suffix tells the kind of picture: `.png`, `.svg` or `.pdf`.

    Raises:
        StorageError: If it cannot be written.
    """
    figure = Figure(figsize=(11, 5.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    waveform, curves = figure.subplots(2, 1, sharex=True, height_ratios=(1, 1.2))
    waveform.set_title(title, fontsize=10, parse_math=False)
    _draw_segments(waveform, timeline)
    _draw_waveform(waveform, timeline)
    _draw_curves(curves, timeline)
    waveform.set_xlim(0, max(timeline.seconds, 0.1))
    with atomic_path(followed(path)) as temporary:
        figure.savefig(temporary, format=path.suffix.lower().lstrip("."))


def _draw_segments(axes: Axes, timeline: Timeline) -> None:
    for label in dict.fromkeys(segment.label for segment in timeline.segments):
        spans = [(s.start, s.end - s.start) for s in timeline.segments if s.label == label]
        axes.broken_barh(
            spans,
            (0, 1),
            transform=axes.get_xaxis_transform(),
            color=_color(label),
            alpha=0.3,
            lw=0,
        )
    for segment in timeline.segments:
        if segment.end - segment.start >= _LEAST_LABELLED * timeline.seconds:
            axes.text(
                (segment.start + segment.end) / 2,
                0.97,
                segment.label,
                transform=axes.get_xaxis_transform(),
                ha="center",
                va="top",
                fontsize=8,
                parse_math=False,
            )


def _draw_waveform(axes: Axes, timeline: Timeline) -> None:
    starts, low, high = timeline.waveform()
    axes.fill_between(starts, low, high, step="post", color=_SILENCE_COLOR, lw=_LINE)
    # One collection for each label: a day of segments is drawn as fast as a minute's.
    for label in dict.fromkeys(segment.label for segment in timeline.segments):
        inside = np.zeros(len(starts), bool)
        for segment in timeline.segments:
            if segment.label == label:
                inside[slice(*np.searchsorted(starts, (segment.start, segment.end)))] = True
        color = _color(label)
        axes.fill_between(starts, low, high, where=inside, step="post", color=color, lw=_LINE)
    largest = max(np.abs(low).max(initial=0.0), np.abs(high).max(initial=0.0), 0.01)
    axes.set_ylim(-1.25 * largest, 1.25 * largest)
    axes.set_ylabel("waveform")


def _draw_curves(axes: Axes, timeline: Timeline) -> None:
    middles, probabilities = timeline.probabilities(_MOST_POINTS)
    alone = len(middles) == 1
    for label, values in zip(timeline.labels, probabilities.T, strict=True):
        axes.plot(middles, values, color=_color(label), label=label, marker="o" if alone else None)
    axes.set_ylim(0, 1)
    axes.set_ylabel("smoothed probability\nat the middle of its window")
    axes.set_xlabel("time")
    step = next((step for step in _TICK_STEPS if timeline.seconds / step <= 12), _TICK_STEPS[-1])
    axes.xaxis.set_major_locator(MultipleLocator(step))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.grid(alpha=0.3)
    axes.legend(
        ncols=len(timeline.labels),
        loc="upper center",
        bbox_to_anchor=(0.5, -0.2),
        frameon=False,
        fontsize=8,
    )


def _color(label: str) -> str:
    return COLORS.get(label, _OTHER_COLOR)


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
