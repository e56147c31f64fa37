"""Features computed once and kept on disk."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from synthetic_corpora import voice
from synthetic_corpora import write_corpora

from ser_runtime.errors import StorageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.features import fit_window
from ser_runtime.model_metadata import CROPS
from ser_train.corpora import CorpusIndex
from ser_train.corpora import read_corpora
from ser_train.corpora.clip import read_clip
from ser_train.features.awgn import add_noise
from ser_train.features.awgn import noise_generator
from ser_train.features.cache import ClipFeatures
from ser_train.features.cache import cached_features
from ser_train.features.cache import default_cache_folder

SPEC = FeatureSpec(window_samples=8_192, n_fft=512, win_length=512, n_mels=16)
NOISY_COPIES = 2


@pytest.fixture(scope="module")
def index(tmp_path_factory: pytest.TempPathFactory) -> CorpusIndex:
    """40 made-up clips: two blocks of work."""
    folder = tmp_path_factory.mktemp("corpora")
    write_corpora(folder)
    found = read_corpora(folder)
    return dataclasses.replace(found, clips=found.clips[:40])


@pytest.fixture(scope="module")
def computed(index: CorpusIndex, tmp_path_factory: pytest.TempPathFactory) -> ClipFeatures:
    """What a first computation gives."""
    return cached_features(index, SPEC, tmp_path_factory.mktemp("first"), NOISY_COPIES)


@pytest.fixture
def entry(index: CorpusIndex, computed: ClipFeatures, tmp_path: Path) -> Path:
    """A whole entry of the cache in `tmp_path`, made without computing."""
    first = Path(computed.values.filename).parent
    copy = tmp_path / "features" / first.name
    copy.mkdir(parents=True)
    for file in first.iterdir():
        (copy / file.name).write_bytes(file.read_bytes())
    return copy


def refuse(done: int, total: int) -> None:
    raise AssertionError("features are computed")


def test_values_have_a_row_for_each_clip_and_copy(
    computed: ClipFeatures, index: CorpusIndex
) -> None:
    assert computed.values.shape == (40, 1 + NOISY_COPIES, *SPEC.shape)
    assert computed.values.dtype == np.float32
    assert computed.ids == tuple(clip.id for clip in index.clips)


def test_copy_0_is_the_clean_clip(computed: ClipFeatures, index: CorpusIndex) -> None:
    for clip, values in zip(index.clips, computed.values, strict=True):
        wanted = compute_features(read_clip(clip.path, SPEC.sample_rate), SPEC)
        np.testing.assert_array_equal(values[0], wanted)


@pytest.mark.parametrize("copy", [1, 2])
def test_other_copies_have_the_noise_of_their_clip(
    computed: ClipFeatures, index: CorpusIndex, copy: int
) -> None:
    clip = index.clips[35]
    window = fit_window(read_clip(clip.path, SPEC.sample_rate), SPEC.window_samples)
    noisy, _ = add_noise(window, noise_generator(0, clip.id, copy))
    np.testing.assert_array_equal(computed.values[35, copy], compute_features(noisy, SPEC))


def test_rows_finds_clips_by_id(computed: ClipFeatures) -> None:
    wanted = [computed.ids[7], computed.ids[0]]
    np.testing.assert_array_equal(computed.rows(wanted), [7, 0])


def test_a_second_call_computes_nothing(
    index: CorpusIndex, computed: ClipFeatures, entry: Path, tmp_path: Path
) -> None:
    again = cached_features(index, SPEC, tmp_path, NOISY_COPIES, progress=refuse)
    np.testing.assert_array_equal(again.values, computed.values)


def test_values_cannot_be_changed(
    index: CorpusIndex, entry: Path, tmp_path: Path, computed: ClipFeatures
) -> None:
    for features in (computed, cached_features(index, SPEC, tmp_path, NOISY_COPIES)):
        assert not features.values.flags.writeable


def flip_a_byte(entry: Path) -> None:
    content = bytearray((entry / "values.npy").read_bytes())
    content[-1000] ^= 1
    (entry / "values.npy").write_bytes(content)


def truncate(entry: Path) -> None:
    os.truncate(entry / "values.npy", 10_000)


def empty(entry: Path) -> None:
    os.truncate(entry / "values.npy", 0)


def remove_values(entry: Path) -> None:
    (entry / "values.npy").unlink()


def remove_key(entry: Path) -> None:
    (entry / "key.json").unlink()


def break_key(entry: Path) -> None:
    (entry / "key.json").write_text('{"version": 1')


def replace_key(entry: Path) -> None:
    (entry / "key.json").write_text("[]")


def store_another_shape(entry: Path) -> None:
    np.save(entry / "values.npy", np.zeros((2, 3), np.float32))


@pytest.mark.parametrize(
    "damage",
    [
        flip_a_byte,
        truncate,
        empty,
        remove_values,
        remove_key,
        break_key,
        replace_key,
        store_another_shape,
    ],
)
def test_a_damaged_entry_is_named_and_computed_again(
    index: CorpusIndex,
    computed: ClipFeatures,
    entry: Path,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    damage: Callable[[Path], None],
) -> None:
    damage(entry)
    with caplog.at_level(logging.WARNING):
        again = cached_features(index, SPEC, tmp_path, NOISY_COPIES)
    assert f"feature cache {entry} is damaged" in caplog.text
    np.testing.assert_array_equal(again.values, computed.values)


def test_a_cache_in_order_gives_no_warning(
    index: CorpusIndex, entry: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    cached_features(index, SPEC, tmp_path, NOISY_COPIES)
    assert not caplog.records


@pytest.mark.parametrize(
    "changed",
    [
        {"spec": dataclasses.replace(SPEC, hop=256)},
        {"noise_seed": 1},
        {"noisy_copies": 1},
        {"index": "another"},
    ],
    ids=lambda changed: next(iter(changed)),
)
def test_another_input_makes_another_entry(
    index: CorpusIndex, entry: Path, tmp_path: Path, changed: dict[str, object]
) -> None:
    if "index" in changed:
        other = dataclasses.replace(index.clips[0], sha256="other content")
        changed = {"index": dataclasses.replace(index, clips=(other, *index.clips[1:]))}
    arguments = {"index": index, "spec": SPEC, "folder": tmp_path, "noisy_copies": NOISY_COPIES}
    cached_features(**(arguments | changed), workers=1)
    assert len(list(entry.parent.iterdir())) == 2


@pytest.fixture(scope="module")
def index_to_crop(tmp_path_factory: pytest.TempPathFactory) -> CorpusIndex:
    """Clips shorter than the offset, shorter than the window, as long as it, and longer."""
    folder = tmp_path_factory.mktemp("to-crop") / "DC"
    folder.mkdir()
    for number, samples in enumerate((5_000, 8_100, 8_191, 8_192, 20_001), 1):
        audio = voice("sad", number, seconds=samples / 16_000)
        soundfile.write(folder / f"sa{number:02d}.wav", audio, 16_000, subtype="FLOAT")
    return read_corpora(folder.parent)


@pytest.fixture(scope="module")
def crops(
    index_to_crop: CorpusIndex, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, dict[str, np.ndarray]]:
    """The cache folder, and the clean features of every crop."""
    folder = tmp_path_factory.mktemp("crops")
    return folder, {
        crop: cached_features(index_to_crop, SPEC, folder, workers=1, crop=crop).values[:, 0]
        for crop in CROPS
    }


def window_of(audio: np.ndarray, crop: str) -> np.ndarray:
    """The 8,192 samples that a crop takes, sample by sample."""
    first = {"start": 0, "offset": 8_000, "centre": (len(audio) - 8_192) // 2, "loudest": 0}[crop]
    if crop == "loudest" and len(audio) > 8_192:
        power = np.square(audio.astype(np.float64))
        first = max(range(len(audio) - 8_191), key=lambda n: power[n : n + 8_192].sum())
    if crop == "centre" and len(audio) < 8_192:
        first = -((8_192 - len(audio)) // 2)
    places = range(first, first + 8_192)
    return np.array([audio[n] if 0 <= n < len(audio) else 0 for n in places], np.float32)


@pytest.mark.parametrize("crop", CROPS)
def test_a_crop_takes_these_samples(
    index_to_crop: CorpusIndex, crops: tuple[Path, dict[str, np.ndarray]], crop: str
) -> None:
    for clip, values in zip(index_to_crop.clips, crops[1][crop], strict=True):
        window = window_of(read_clip(clip.path, SPEC.sample_rate), crop)
        np.testing.assert_array_equal(values, compute_features(window, SPEC), err_msg=clip.id)


def test_every_crop_has_an_entry_of_its_own(
    crops: tuple[Path, dict[str, np.ndarray]],
) -> None:
    assert len(list((crops[0] / "features").iterdir())) == len(CROPS)


def test_the_crop_from_the_start_is_not_in_the_key_so_that_old_entries_stay_valid(
    index: CorpusIndex, computed: ClipFeatures
) -> None:
    key = {
        "version": 1,
        "spec": SPEC.to_dict(),
        "corpora": index.content_hash,
        "noisy_copies": NOISY_COPIES,
        "noise_seed": 0,
    }
    digest = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()
    assert Path(computed.values.filename).parent.name == f"{SPEC.hash}-{digest[:12]}"


def test_noise_seed_does_not_matter_without_noisy_copies(
    index: CorpusIndex, tmp_path: Path
) -> None:
    cached_features(index, SPEC, tmp_path, 0, noise_seed=0, workers=1)
    cached_features(index, SPEC, tmp_path, 0, noise_seed=1, progress=refuse)


def test_the_number_of_workers_does_not_matter(
    index: CorpusIndex, computed: ClipFeatures, tmp_path: Path
) -> None:
    alone = cached_features(index, SPEC, tmp_path, NOISY_COPIES, workers=1)
    np.testing.assert_array_equal(alone.values, computed.values)


def test_progress_ends_with_all_clips(index: CorpusIndex, tmp_path: Path) -> None:
    calls = []
    cached_features(index, SPEC, tmp_path, progress=lambda *call: calls.append(call), workers=1)
    assert calls == [(32, 40), (40, 40)]


def test_an_interrupted_computation_leaves_nothing_behind(
    index: CorpusIndex, tmp_path: Path
) -> None:
    def interrupt(done: int, total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        cached_features(index, SPEC, tmp_path, progress=interrupt, workers=1)
    assert not list((tmp_path / "features").iterdir())


def test_what_a_killed_process_left_is_removed_and_what_another_is_writing_is_not(
    index: CorpusIndex, tmp_path: Path
) -> None:
    cached_features(index, SPEC, tmp_path, workers=1)
    (entry,) = (tmp_path / "features").iterdir()
    left, written = (entry.with_name(f".{entry.name}-{name}") for name in ("left", "written"))
    for made in (left, written):
        made.mkdir()
        (made / "values.npy").write_bytes(b"half")
    for path in (left / "values.npy", left):
        os.utime(path, (1, 1))
    shutil.rmtree(entry)
    cached_features(index, SPEC, tmp_path, workers=1)
    assert set((tmp_path / "features").iterdir()) == {entry, written}


def test_a_worker_ends_with_the_process_that_it_computes_for() -> None:
    code = (
        "import os, time\n"
        "from ser_train.features.array_cache import _end_with_parent\n"
        "if not os.fork():\n"
        "    _end_with_parent(os.getppid())\n"
        "    print('working', flush=True)\n"
        "time.sleep(600)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout.readline() == b"working\n"
    process.kill()
    process.communicate(timeout=60)  # until the worker, too, has closed its end


def test_an_entry_that_another_process_finished_first_is_no_error(
    index: CorpusIndex, tmp_path: Path
) -> None:
    def other_process(done: int, total: int) -> None:
        if done == total:
            cached_features(index, SPEC, tmp_path, workers=1)

    slower = cached_features(index, SPEC, tmp_path, progress=other_process, workers=1)
    assert slower.values.shape == (40, 1, *SPEC.shape)
    assert len(list((tmp_path / "features").iterdir())) == 1


def test_a_folder_that_cannot_be_written_is_a_storage_error(index: CorpusIndex) -> None:
    with pytest.raises(StorageError, match="cannot write /sys/"):
        cached_features(index, SPEC, Path("/sys"))


@pytest.mark.parametrize(
    ("variables", "folder"),
    [
        ({"SER_EDGE_CACHE": "/a/cache"}, "/a/cache"),
        ({"XDG_CACHE_HOME": "/xdg"}, "/xdg/ser-edge"),
        ({"HOME": "/home/me"}, "/home/me/.cache/ser-edge"),
    ],
)
def test_the_default_folder_follows_the_environment(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], folder: str
) -> None:
    for name in ("SER_EDGE_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert default_cache_folder() == Path(folder)
