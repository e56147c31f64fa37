"""Pictures of mel spectrograms: matplotlib's to the pixel, cached, and written as PNG folders."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.image import imread

from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.features import compute_features
from ser_runtime.labels import EMOTIONS
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_clip
from ser_train.splits import SETS
from ser_train.splits import Split
from ser_train.splits import make_split
from ser_train.vgg16.picture_cache import ClipArrays
from ser_train.vgg16.picture_cache import cached_pictures
from ser_train.vgg16.picture_cache import make_clip_dataset
from ser_train.vgg16.pictures import PictureSpec
from ser_train.vgg16.pictures import draw_picture

Command = Callable[..., CompletedProcess[str]]
FULL = PictureSpec(MEL)
SMALL = PictureSpec(MEL, side=32)


def drawn_by_matplotlib(log_mel: np.ndarray, spec: PictureSpec) -> np.ndarray:
    """The picture that `imshow` draws into a figure of as many pixels, without axes."""
    figure = Figure(figsize=(spec.side / 100, spec.side / 100), dpi=100)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.axis("off")
    axes.imshow(
        log_mel,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=spec.color_map,
        vmin=spec.low_db,
        vmax=spec.high_db,
    )
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3]


@pytest.mark.parametrize("spec", [FULL, SMALL, PictureSpec(MEL, 100, color_map="viridis")])
@pytest.mark.parametrize("frames", [MEL.frames, MFCC.frames])
def test_a_picture_is_matplotlibs_to_the_pixel(spec: PictureSpec, frames: int) -> None:
    log_mel = np.random.default_rng(frames).uniform(-90, 40, (128, frames)).astype(np.float32)
    np.testing.assert_array_equal(draw_picture(log_mel, spec), drawn_by_matplotlib(log_mel, spec))


def test_values_on_the_limits_of_colours_are_matplotlibs_too() -> None:
    steps = np.linspace(FULL.low_db, FULL.high_db, 257, dtype=np.float32)
    edges = [np.nextafter(steps, np.float32(-np.inf)), steps, np.nextafter(steps, np.float32(99))]
    log_mel = np.resize(np.concatenate(edges), (128, 188))
    np.testing.assert_array_equal(draw_picture(log_mel, FULL), drawn_by_matplotlib(log_mel, FULL))


def test_pictures_of_real_clips_are_matplotlibs(corpora: Path) -> None:
    for path in sorted((corpora / "TESS").glob("OAF_b*.opus"))[::20]:
        log_mel = compute_features(read_clip(path, MEL.sample_rate), MEL)
        np.testing.assert_array_equal(
            draw_picture(log_mel, FULL), drawn_by_matplotlib(log_mel, FULL), err_msg=path.name
        )


def test_low_frequencies_are_at_the_bottom() -> None:
    log_mel = np.full((128, 188), FULL.low_db, np.float32)
    log_mel[:8] = FULL.high_db
    brightness = draw_picture(log_mel, FULL).astype(int).sum(axis=(1, 2))
    assert brightness.argmax() >= 224 - 14


def test_colours_are_the_same_in_every_picture() -> None:
    rng = np.random.default_rng(0)
    quiet, loud = (rng.uniform(low, low + 30, (128, 188)).astype(np.float32) for low in (-70, -20))
    quiet[0, 0] = loud[0, 0] = -30
    corners = [draw_picture(values, FULL)[-1, 0] for values in (quiet, loud)]
    np.testing.assert_array_equal(*corners)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache folder."""
    return tmp_path_factory.mktemp("pictures")


@pytest.fixture(scope="module")
def pictures(tiny_index: CorpusIndex, folder: Path) -> ClipArrays:
    """Small pictures of the made-up clips."""
    return cached_pictures(tiny_index, SMALL, folder)


def test_every_clip_has_its_picture(tiny_index: CorpusIndex, pictures: ClipArrays) -> None:
    assert pictures.values.dtype == np.uint8
    assert pictures.ids == tuple(clip.id for clip in tiny_index.clips)
    for clip, picture in zip(tiny_index.clips, pictures.values, strict=True):
        log_mel = compute_features(read_clip(clip.path, MEL.sample_rate), MEL)
        np.testing.assert_array_equal(picture, draw_picture(log_mel, SMALL))


@pytest.fixture(scope="module")
def five_clips(tiny_index: CorpusIndex) -> CorpusIndex:
    """The first five of the made-up clips."""
    return dataclasses.replace(tiny_index, clips=tiny_index.clips[:5])


def refuse(done: int, total: int) -> None:
    raise AssertionError("pictures are drawn")


def test_a_second_call_draws_nothing(
    tiny_index: CorpusIndex, folder: Path, pictures: ClipArrays
) -> None:
    again = cached_pictures(tiny_index, SMALL, folder, refuse)
    np.testing.assert_array_equal(again.values, pictures.values)


@pytest.mark.parametrize(
    "other",
    [
        PictureSpec(MEL, side=33),
        PictureSpec(MEL, side=32, low_db=-69.0),
        PictureSpec(MEL, side=32, color_map="viridis"),
        PictureSpec(dataclasses.replace(MEL, hop=MFCC.hop), side=32),
    ],
)
def test_other_pictures_have_an_entry_of_their_own(
    five_clips: CorpusIndex, tmp_path: Path, other: PictureSpec
) -> None:
    before = cached_pictures(five_clips, SMALL, tmp_path, workers=0).values
    values = cached_pictures(five_clips, other, tmp_path, workers=0).values
    assert values.shape == (5, *other.shape)
    assert not np.array_equal(values[..., :32, :32, :], before)


def test_a_damaged_picture_is_drawn_again(five_clips: CorpusIndex, tmp_path: Path) -> None:
    before = np.array(cached_pictures(five_clips, SMALL, tmp_path, workers=0).values)
    (file,) = tmp_path.rglob("values.npy")
    content = bytearray(file.read_bytes())
    content[-7] ^= 1
    file.write_bytes(content)
    after = cached_pictures(five_clips, SMALL, tmp_path, workers=0).values
    np.testing.assert_array_equal(after, before)


@pytest.fixture(scope="module")
def split(tiny_index: CorpusIndex) -> Split:
    """Of the made-up clips, under the report's labels."""
    return make_split(tiny_index.clips, "report-labels")


def test_a_split_has_its_clips_with_the_labels_of_its_protocol(
    tiny_index: CorpusIndex, pictures: ClipArrays, split: Split, folder: Path
) -> None:
    data = make_clip_dataset(tiny_index.clips, split, pictures, folder)
    for name in SETS:
        samples = getattr(data, name)
        assert samples.ids == getattr(split, name)
        assert [pictures.ids[row] for row in samples.rows] == list(samples.ids)
        savee = [clip_id.startswith("SAVEE") for clip_id in samples.ids]
        assert {EMOTIONS[right] for right in samples.classes[savee]} <= {"surprise"}


@pytest.fixture(scope="module")
def written(
    ser_train: Command, tiny_corpora: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompletedProcess[str], Path, Path]:
    """`ser-train pictures` on the made-up corpora: what it said, its folder, its cache."""
    out, cache = tmp_path_factory.mktemp("png") / "out", tmp_path_factory.mktemp("cache")
    done = ser_train("pictures", "--corpora", tiny_corpora, "--cache", cache, "--out", out)
    return done, out, cache


def test_the_command_writes_a_png_for_every_clip(
    written: tuple[CompletedProcess[str], Path, Path], tiny_index: CorpusIndex
) -> None:
    done, out, _ = written
    assert done.returncode == 0, done.stderr
    expected = {
        f"{name}/{clip.emotion}/{clip.id.replace('/', '_')}.png"
        for name in SETS
        for clip in tiny_index.clips
        if clip.id in getattr(make_split(tiny_index.clips, "report"), name)
    }
    assert {str(path.relative_to(out)) for path in out.rglob("*.png")} == expected


def test_a_png_holds_the_picture_to_the_pixel(
    written: tuple[CompletedProcess[str], Path, Path], tiny_index: CorpusIndex
) -> None:
    _, out, cache = written
    pictures = cached_pictures(tiny_index, FULL, cache, refuse)
    for path in sorted(out.rglob("*.png"))[::25]:
        (row,) = [n for n, name in enumerate(pictures.ids) if name.replace("/", "_") == path.stem]
        pixels = np.rint(imread(path)[..., :3] * 255).astype(np.uint8)
        np.testing.assert_array_equal(pixels, pictures.values[row], err_msg=path.name)


def test_a_folder_that_is_not_empty_is_refused(
    written: tuple[CompletedProcess[str], Path, Path], ser_train: Command, tiny_corpora: Path
) -> None:
    _, out, cache = written
    again = ser_train("pictures", "--corpora", tiny_corpora, "--cache", cache, "--out", out)
    assert again.returncode == 2
    assert f"--out {out} is not empty" in again.stderr
