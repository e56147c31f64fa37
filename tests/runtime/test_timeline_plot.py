"""The picture of a recording."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_rgb
from matplotlib.image import imread

from ser_runtime.errors import StorageError
from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.timeline import Timeline
from ser_runtime.timeline_plot import COLORS
from ser_runtime.timeline_plot import plot_timeline

RATE = 16_000


def recording(prediction: Prediction, label: str) -> Timeline:
    """Ten seconds: silence, and from 2 to 8 s a sound and one label."""
    timeline = Timeline(EMOTIONS)
    sound = np.zeros(10 * RATE, np.float32)
    sound[2 * RATE : 8 * RATE] = 0.5 * np.sin(np.arange(6 * RATE))
    timeline.add_samples(sound, RATE)
    smoothed = dict.fromkeys(EMOTIONS, 0.1) | {label: 0.4}
    window = dataclasses.replace(prediction, label=label, smoothed=smoothed, voice_start=2.0)
    for end in (5.0, 6.0, 7.0, 8.0):
        timeline.add(dataclasses.replace(window, start=end - 3, end=end, voice_end=end))
    timeline.end()
    return timeline


def share_of_color(path: Path, color: str) -> float:
    pixels = imread(path)[..., :3]
    return float((np.abs(pixels - np.array(to_rgb(color))).max(axis=-1) < 0.02).mean())


def test_every_label_has_a_color_of_its_own() -> None:
    assert set(COLORS) == {*EMOTIONS, UNCERTAIN}
    assert len(set(COLORS.values())) == len(COLORS)


@pytest.mark.parametrize("label", [*EMOTIONS, UNCERTAIN])
def test_the_sound_of_a_segment_has_the_color_of_its_label(
    prediction: Prediction, tmp_path: Path, label: str
) -> None:
    plot_timeline(recording(prediction, label), "voice.wav", tmp_path / "plot.png")
    shares = {name: share_of_color(tmp_path / "plot.png", color) for name, color in COLORS.items()}
    assert max(shares, key=shares.__getitem__) == label
    assert shares[label] > 0.05


@pytest.mark.parametrize(
    ("suffix", "magic"), [(".png", b"\x89PNG"), (".svg", b"<?xml"), (".PDF", b"%PDF")]
)
def test_the_suffix_tells_the_kind_of_picture(
    prediction: Prediction, tmp_path: Path, suffix: str, magic: bytes
) -> None:
    path = tmp_path / f"plot{suffix}"
    plot_timeline(recording(prediction, "sad"), "voice.wav", path)
    assert path.read_bytes().startswith(magic)


def test_a_recording_without_any_prediction_can_be_drawn(tmp_path: Path) -> None:
    timeline = Timeline(EMOTIONS)
    timeline.add_samples(np.zeros(RATE, np.float32), RATE)
    timeline.end()
    plot_timeline(timeline, "silence.wav", tmp_path / "plot.png")
    assert imread(tmp_path / "plot.png").ndim == 3


def test_a_place_that_cannot_be_is_an_error(prediction: Prediction, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError):
        plot_timeline(recording(prediction, "sad"), "voice.wav", tmp_path / "file" / "plot.png")


def test_a_title_is_no_formula(prediction: Prediction, tmp_path: Path) -> None:
    plot_timeline(recording(prediction, "sad"), "a_$b_$c^$d.wav", tmp_path / "plot.svg")
    assert (tmp_path / "plot.svg").stat().st_size
