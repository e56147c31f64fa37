"""What a clip looks like: waveform, mel spectrogram, MFCC, clean and with noise."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_train.features.awgn import add_noise
from ser_train.plots import new_figure
from ser_train.plots import save_figure


@dataclass(frozen=True, eq=False)
class ClipViews:
    """A clip's first window, clean and noisy.

    Attributes:
        clean: float32 [samples] in [-1, 1].
        noisy: The same with white noise.
        snr_db: Of the noise.
    """

    clean: NDArray[np.float32]
    noisy: NDArray[np.float32]
    snr_db: float


def make_views(audio: NDArray[np.float32], rng: np.random.Generator) -> ClipViews:
    """A clip's first 3 s, and the same with noise as training draws it (15 to 30 dB)."""
    clean = fit_window(audio, MFCC.window_samples)
    noisy, snr_db = add_noise(clean, rng)
    return ClipViews(clean, noisy, snr_db)


def draw_clip(views: ClipViews, title: str, path: Path) -> None:
    """Three rows, clean on the left and noisy on the right (the report's figures 2 to 4).

    Args:
        views: Of `make_views`.
        title: Over the drawing.
        path: PNG file.
    """
    figure = new_figure(11, 8)
    figure.suptitle(title, parse_math=False, fontsize=10)
    grid: Any = figure.subplots(3, 2, sharey="row")
    columns = ((views.clean, "clean"), (views.noisy, f"white noise, {views.snr_db:.1f} dB SNR"))
    for column, (audio, name) in enumerate(columns):
        seconds = np.arange(len(audio)) / MFCC.sample_rate
        axes = grid[0][column]
        axes.plot(seconds, audio, linewidth=0.4)
        axes.set_title(name, parse_math=False, fontsize=9)
        axes.set_xlim(0, seconds[-1])
        for row, (spec, what) in enumerate(((MEL, "mel band (dB)"), (MFCC, "MFCC")), 1):
            _draw_features(figure, grid[row][column], audio, spec, what)
    grid[0][0].set_ylabel("amplitude")
    save_figure(figure, path)


def _draw_features(
    figure: Any, axes: Any, audio: NDArray[np.float32], spec: FeatureSpec, what: str
) -> None:
    values = compute_features(audio, spec)
    # Coefficient 0 is the level, in the hundreds: with it in the scale nothing else shows.
    scale = values if spec.n_mfcc is None else values[1:]
    low, high = np.percentile(scale, (1, 99))
    image = axes.imshow(
        values,
        origin="lower",
        aspect="auto",
        extent=(0, spec.window_seconds, 0, spec.coefficients),
        cmap="magma",
        vmin=low,
        vmax=max(high, low + 1e-3),
    )
    axes.set_ylabel(what)
    axes.set_xlabel("seconds")
    figure.colorbar(image, ax=axes, fraction=0.04)
