"""What a clip looks like, and the command that draws it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice

from ser_train.clip_plots import draw_clip
from ser_train.clip_plots import make_views

Command = Callable[..., CompletedProcess[str]]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def audio() -> np.ndarray:
    """4 s of a tone."""
    return voice("sad", 0, seconds=4.0)


def test_the_clean_view_is_the_first_window(audio: np.ndarray) -> None:
    views = make_views(audio, np.random.default_rng(0))
    np.testing.assert_array_equal(views.clean, audio[:48_000])


def test_a_short_clip_is_followed_by_zeros(audio: np.ndarray) -> None:
    views = make_views(audio[:16_000], np.random.default_rng(0))
    assert len(views.clean) == 48_000
    assert not views.clean[16_000:].any()


def test_the_noise_has_the_ratio_that_the_view_says(audio: np.ndarray) -> None:
    views = make_views(audio, np.random.default_rng(0))
    noise = views.noisy.astype(np.float64) - views.clean
    ratio = 10 * np.log10(np.mean(views.clean.astype(np.float64) ** 2) / np.mean(noise**2))
    assert ratio == pytest.approx(views.snr_db, abs=0.1)


@pytest.fixture(scope="module")
def drawings(audio: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """A clip drawn twice, with other noise, and silence."""
    folder = tmp_path_factory.mktemp("drawings")
    clips = {"one": (audio, 0), "two": (audio, 0), "noise": (audio, 1), "silence": (audio * 0, 0)}
    for name, (samples, seed) in clips.items():
        views = make_views(samples, np.random.default_rng(seed))
        draw_clip(views, "a title", folder / "new" / f"{name}.png")
    return {name: (folder / "new" / f"{name}.png").read_bytes() for name in clips}


@pytest.mark.parametrize("name", ["one", "silence"])
def test_the_drawing_is_a_png(drawings: dict[str, bytes], name: str) -> None:
    assert drawings[name].startswith(PNG)


def test_the_same_noise_gives_the_same_drawing(drawings: dict[str, bytes]) -> None:
    assert drawings["one"] == drawings["two"]


def test_other_noise_gives_another_drawing(drawings: dict[str, bytes]) -> None:
    assert drawings["one"] != drawings["noise"]


def test_show_draws_beside_the_reader_under_the_clips_name(
    ser_train: Command, speech: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = ser_train("show", speech)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "speech.png").read_bytes().startswith(PNG)


def test_show_does_not_draw_over_the_clip(ser_train: Command, speech: Path, tmp_path: Path) -> None:
    clip = tmp_path / "clip.png"  # its content is audio
    shutil.copy(speech, clip)
    done = ser_train("show", clip, "--out", clip)
    assert done.returncode == 2
    assert "would take the place of the clip" in done.stderr
    assert clip.read_bytes() == speech.read_bytes()


def test_show_draws_where_it_is_told_to(ser_train: Command, speech: Path, tmp_path: Path) -> None:
    done = ser_train("show", speech, "--out", tmp_path / "new/clip.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new/clip.png").read_bytes().startswith(PNG)


def missing(path: Path) -> None:
    """Leaves nothing there."""


def folder(path: Path) -> None:
    path.mkdir()


def empty(path: Path) -> None:
    path.touch()


def without_samples(path: Path) -> None:
    soundfile.write(path, np.zeros(0, np.float32), 16_000)


def not_audio(path: Path) -> None:
    path.write_text("Once upon a time " * 100)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, "no file"),
        (folder, "no file"),
        (empty, "cannot read"),
        (without_samples, "holds no audio"),
        (not_audio, "cannot read"),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_what_is_no_clip_ends_with_3_and_one_line(
    ser_train: Command, tmp_path: Path, make: Callable[[Path], None], message: str
) -> None:
    clip = tmp_path / "clip.wav"
    make(clip)
    done = ser_train("show", clip, "--out", tmp_path / "clip.png")
    assert done.returncode == 3
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert str(clip) in line


def test_what_is_no_clip_leaves_no_drawing(ser_train: Command, tmp_path: Path) -> None:
    ser_train("show", tmp_path / "clip.wav", "--out", tmp_path / "clip.png")
    assert not list(tmp_path.iterdir())
