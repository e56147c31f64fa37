"""Robustness of a model: conditions, figures by hand, what is written, and the command."""

from __future__ import annotations

import dataclasses
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import helper

from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.prediction import SummaryMaker
from ser_runtime.stream import Stream
from ser_train.cli import main
from ser_train.corpora import Clip
from ser_train.corpora import CorpusIndex
from ser_train.corpora.clip import read_indexed
from ser_train.metrics import score
from ser_train.model_clips import ModelClips
from ser_train.model_clips import model_clips
from ser_train.robustness.babble import Babble
from ser_train.robustness.conditions import CLEAN
from ser_train.robustness.conditions import CONDITIONS
from ser_train.robustness.conditions import OTHER_WINDOWS
from ser_train.robustness.conditions import WHOLE
from ser_train.robustness.conditions import in_every_condition
from ser_train.robustness.report import robustness_tables
from ser_train.robustness.scoring import recognize_in_every_condition
from ser_train.robustness.scoring import score_conditions
from ser_train.robustness.speaking import speaking
from ser_train.splits import make_split

RATE, WINDOW = 16_000, 48_000
PNG = b"\x89PNG\r\n\x1a\n"
SPEECH = Path(__file__).resolve().parents[2] / "examples" / "speech.flac"
COMMITTED = Path(__file__).resolve().parents[2] / "train" / "results" / "robustness" / "cnn"


@pytest.fixture(scope="module")
def model_file(
    made_up_model: Path,
    metadata: ModelMetadata,
    tiny_index: CorpusIndex,
    tmp_path_factory: pytest.TempPathFactory,
) -> Path:
    """The made-up model, as of the made-up corpora's split."""
    split_hash = make_split(tiny_index.clips, "report").hash
    return stamped(
        made_up_model,
        dataclasses.replace(metadata, split_hash=split_hash),
        tmp_path_factory.mktemp("model") / "tiny.onnx",
    )


def stamped(source: Path, metadata: ModelMetadata | None, path: Path) -> Path:
    graph = onnx.load(source)
    del graph.metadata_props[:]
    if metadata:
        helper.set_model_props(graph, metadata.to_properties())
    onnx.save(graph, path)
    return path


@pytest.fixture(scope="module")
def model(model_file: Path) -> Model:
    return Model.open(model_file)


@pytest.fixture(scope="module")
def clips(model: Model, tiny_index: CorpusIndex) -> ModelClips:
    return model_clips(model, tiny_index)


@pytest.fixture(scope="module")
def babble(clips: ModelClips) -> Babble:
    return Babble(clips.clips, RATE)


def test_every_condition_has_its_own_name() -> None:
    assert len({condition.name for condition in CONDITIONS}) == len(CONDITIONS)


def test_a_clip_comes_in_every_condition_and_in_their_order(
    clips: ModelClips, babble: Babble
) -> None:
    clip = clips.clips[0]
    audio = read_indexed(clip, RATE)
    sounds = list(in_every_condition(clip, audio, babble, RATE, WINDOW, seed=0))
    assert CONDITIONS[-1] == WHOLE
    heard_elsewhere = len(OTHER_WINDOWS) + 1
    assert len(sounds) == len(CONDITIONS) - heard_elsewhere
    np.testing.assert_array_equal(sounds[0], audio)
    for condition, sound in zip(CONDITIONS[:-heard_elsewhere], sounds, strict=True):
        if condition.snr_db is not None:
            noise = sound.copy()
            noise[: len(audio)] -= audio
            ratio = np.mean(np.square(audio)) / np.mean(np.square(noise))
            assert 10 * np.log10(ratio) == pytest.approx(condition.snr_db, abs=0.05), condition


def test_a_clips_noise_does_not_depend_on_the_other_clips(
    model: Model, clips: ModelClips, babble: Babble
) -> None:
    pair = recognize_in_every_condition(model, clips.rows(np.array([3, 4])), babble, seed=0)
    fresh = Babble(clips.clips, RATE)
    alone = recognize_in_every_condition(model, clips.rows(np.array([4])), fresh, seed=0)
    np.testing.assert_array_equal(pair[:, 1], alone[:, 0])


def test_a_whole_clip_gets_what_the_runtime_sums_its_file_up_to(
    model: Model, clips: ModelClips, babble: Babble, tmp_path: Path
) -> None:
    speech, _ = soundfile.read(SPEECH, dtype="float32")
    paths = tmp_path / "long.wav", tmp_path / "noise.wav"
    steady = np.random.default_rng(0).normal(0, 1e-3, 4 * RATE)
    for path, audio in zip(paths, (np.resize(speech, 5 * RATE), steady), strict=True):
        soundfile.write(path, audio, RATE, subtype="FLOAT")
    long, noise = (dataclasses.replace(clips.clips[0], id=path.stem, path=path) for path in paths)
    pair = ModelClips((long, noise), np.array([0, 0]), ("1", "2"))
    probabilities = recognize_in_every_condition(model, pair, babble, seed=0)
    stream, summary = Stream(model), SummaryMaker()
    summary.add(stream.push(read_indexed(long, RATE), RATE))
    summary.add(stream.flush())
    whole = dict(zip(model.labels, probabilities[-1, 0].tolist(), strict=True))
    assert summary.summary().windows > 1
    assert whole == pytest.approx(summary.summary().probabilities, abs=1e-6)
    assert not probabilities[-1, 1].any()
    *_, found = score_conditions(model, pair, probabilities)
    assert found["accuracy"] == float(np.argmax(probabilities[-1, 0]) == 0) / 2


@pytest.mark.parametrize("crop", ["start", "loudest"])
def test_a_clip_is_recognized_in_the_window_that_the_file_names(
    model: Model, clips: ModelClips, babble: Babble, tmp_path: Path, crop: str
) -> None:
    speech, _ = soundfile.read(SPEECH, dtype="float32")
    path = tmp_path / "late.wav"
    late = np.concatenate([np.zeros(RATE), speech[: 2 * RATE], speech[: 2 * RATE]])
    soundfile.write(path, late, RATE, subtype="FLOAT")
    clip = dataclasses.replace(clips.clips[0], id="late", path=path)
    other = stamped(
        Path(model.source), dataclasses.replace(model.metadata, crop=crop), tmp_path / "m.onnx"
    )
    one = ModelClips((clip,), np.array([0]), ("1",))
    probabilities = recognize_in_every_condition(Model.open(other), one, babble, seed=0)[:, 0]
    row = {condition.name: number for number, condition in enumerate(CONDITIONS)}
    clean = probabilities[row[CLEAN.name]]
    same = {
        name: np.array_equal(clean, probabilities[row[name]])
        for name in ("the first 3 s", "the loudest 3 s")
    }
    assert same == {"the first 3 s": crop == "start", "the loudest 3 s": crop == "loudest"}


def test_another_seed_is_another_noise(model: Model, clips: ModelClips, babble: Babble) -> None:
    one = clips.rows(np.array([0]))
    first, second = (recognize_in_every_condition(model, one, babble, seed) for seed in (0, 1))
    same = [np.array_equal(*pair) for pair in zip(first, second, strict=True)]
    noisy = [condition.noise is not None for condition in CONDITIONS]
    assert not any(equal for equal, drawn in zip(same, noisy, strict=True) if drawn)
    assert same[0]


def test_progress_counts_the_clips(model: Model, clips: ModelClips, babble: Babble) -> None:
    heard: list[tuple[int, int]] = []
    two = clips.rows(np.array([0, 1]))
    recognize_in_every_condition(model, two, babble, 0, lambda *counts: heard.append(counts))
    assert heard == [(1, 2), (2, 2)]


class TestFigures:
    """Of two times four clips and made-up probabilities; the model's threshold is 0.6."""

    @pytest.fixture
    def rows(self, model: Model, make_clip: Callable[..., Clip]) -> list[dict[str, Any]]:
        names = ("TESS/OAF_back_sad", "TESS/OAF_dog_sad", "SAVEE/DC_a01", "SAVEE/DC_a02")
        names += ("TESS/YAF_back_sad", "TESS/YAF_dog_sad", "SAVEE/JE_a01", "SAVEE/JE_a02")
        made = tuple(make_clip(name) for name in names)
        clips = ModelClips(made, np.array([5, 5, 0, 0] * 2), names)
        probabilities = np.full((len(CONDITIONS), 8, 7), 1e-3, np.float32)
        probabilities[0, range(8), [5, 5, 0, 5] * 2] = [0.9, 0.5, 0.5, 0.3] * 2  # three of four
        probabilities[1:, range(8), [5, 0, 5, 5] * 2] = [0.3, 0.3, 0.7, 0.7] * 2  # one of four
        return score_conditions(model, clips, probabilities)

    def test_accuracy_is_the_share_of_right_answers(self, rows: list[dict[str, Any]]) -> None:
        assert [row["accuracy"] for row in rows[:2]] == [0.75, 0.25]

    def test_the_difference_is_from_clean(self, rows: list[dict[str, Any]]) -> None:
        assert (rows[0]["minus_clean"], rows[1]["minus_clean"]) == (0.0, -0.5)
        assert rows[0]["minus_clean_interval"] == [0.0, 0.0]

    def test_the_difference_is_paired(self, rows: list[dict[str, Any]]) -> None:
        # Clip by clip it is 0, -1, -1 and 0: an interval of unpaired accuracies would hold 0.25.
        low, high = rows[1]["minus_clean_interval"]
        assert -1.0 <= low < -0.5
        assert high <= 0.0

    def test_shown_is_a_share_of_all_clips(self, rows: list[dict[str, Any]]) -> None:
        assert (rows[0]["shown"], rows[0]["accuracy_shown"]) == (0.25, 1.0)
        assert (rows[1]["shown"], rows[1]["accuracy_shown"]) == (0.5, 0.0)

    def test_each_corpus_has_its_accuracy(self, rows: list[dict[str, Any]]) -> None:
        assert rows[0]["per_corpus"] == {"SAVEE": 0.5, "TESS": 1.0}

    def test_the_mean_recall_is_over_classes(self, rows: list[dict[str, Any]]) -> None:
        assert rows[0]["unweighted_accuracy"] == pytest.approx((1.0 + 0.5) / 2)


def test_figures_are_those_of_the_metrics(model: Model, clips: ModelClips) -> None:
    rng = np.random.default_rng(0)
    probabilities = rng.dirichlet(np.ones(7), (len(CONDITIONS), len(clips))).astype(np.float32)
    row = score_conditions(model, clips, probabilities)[5]
    corpora = [clip.corpus for clip in clips.clips]
    wanted = score(clips.classes, probabilities[5], clips.clusters, corpora)
    for name in ("accuracy", "unweighted_accuracy", "ece", "accuracy_interval"):
        assert row[name] == pytest.approx(wanted[name], abs=1e-12), name


@pytest.fixture(scope="module")
def sounds(model: Model, babble: Babble) -> dict[str, dict[str, Any]]:
    return {row["name"]: row for row in speaking(model, babble, seed=0)}


@pytest.mark.parametrize("name", ["silence", "pink", "brown", "white", "hum"])
def test_steady_noise_alone_is_not_judged(sounds: dict[str, Any], name: str) -> None:
    assert sounds[name]["windows"] == 117  # from 0.952 s to 60 s, one each 0.512 s, and the rest
    assert sounds[name]["voice"] == sounds[name]["shown"] == 0


def test_what_changes_as_voices_do_is_judged(sounds: dict[str, Any]) -> None:
    assert sounds["one voice, for comparison"]["voice"] > 0.9


def test_no_more_is_shown_than_judged(sounds: dict[str, Any]) -> None:
    for row in sounds.values():
        assert row["shown"] <= row["voice"]


def test_a_sound_without_judged_windows_has_no_share_of_them(sounds: dict[str, Any]) -> None:
    figures = json.loads((COMMITTED / "robustness.json").read_text(encoding="utf-8"))
    figures["sounds"] = [sounds["silence"]]
    assert robustness_tables(figures).splitlines()[-1] == ("| silence | 117 | 0 % | 0 % | – |")


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ser_train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `ser-train` in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return (ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture
def robustness(ser_train: Run, model_file: Path, tiny_corpora: Path, cache: Path) -> Run:
    """The command on two clips of the made-up corpora, other arguments to be added."""
    return lambda *more: ser_train(
        "robustness", model_file, "--corpora", tiny_corpora, "--cache", cache, "--clips", 2, *more
    )


def test_the_command_writes_table_figures_and_plot(robustness: Run, tmp_path: Path) -> None:
    code, out, err = robustness("--out", tmp_path / "new")
    assert code == 0, err
    names = ("table.md", "robustness.json", "robustness.png")
    assert err.splitlines() == [str(tmp_path / "new" / name) for name in names]
    assert out == (tmp_path / "new/table.md").read_text(encoding="utf-8")
    assert [line for line in out.splitlines() if line.startswith("| babble, 5 dB |")]
    figures = json.loads((tmp_path / "new/robustness.json").read_text(encoding="utf-8"))
    assert (figures["clips"], figures["set"], figures["model"]) == (2, "test", "tiny.onnx")
    assert (tmp_path / "new/robustness.png").read_bytes().startswith(PNG)


def test_the_same_command_gives_the_same_files(robustness: Run, tmp_path: Path) -> None:
    for folder in "ab":
        assert robustness("--out", tmp_path / folder)[0] == 0
    for path in (tmp_path / "a").iterdir():
        assert path.read_bytes() == (tmp_path / "b" / path.name).read_bytes(), path.name


def test_the_validation_clips_can_be_asked_for(robustness: Run, tmp_path: Path) -> None:
    code, out, err = robustness("--set", "validation", "--out", tmp_path)
    assert code == 0, err
    assert "2 validation clips of the split `report`" in out


@pytest.mark.parametrize(
    ("wanted", "code", "message"),
    [
        ("no such model", 5, "no model file"),
        ("no metadata", 5, "carries no ser-edge metadata"),
        ("other split", 6, "was measured on other clips"),
        ("unknown split", 5, "'random', which this version does not know"),
        ("no corpora", 6, "no such corpora folder"),
    ],
)
def test_wrong_use_is_one_line_and_leaves_nothing(
    ser_train: Run,
    made_up_model: Path,
    model_file: Path,
    metadata: ModelMetadata,
    tiny_corpora: Path,
    cache: Path,
    tmp_path: Path,
    wanted: str,
    code: int,
    message: str,
) -> None:
    source = {
        "no such model": lambda: tmp_path / "none.onnx",
        "no metadata": lambda: stamped(made_up_model, None, tmp_path / "bare.onnx"),
        "other split": lambda: made_up_model,
        "unknown split": lambda: stamped(
            made_up_model, dataclasses.replace(metadata, protocol="random"), tmp_path / "x.onnx"
        ),
        "no corpora": lambda: model_file,
    }[wanted]()
    corpora = tmp_path / "none" if wanted == "no corpora" else tiny_corpora
    found, _, err = ser_train(
        "robustness", source, "--corpora", corpora, "--cache", cache, "--out", tmp_path / "out"
    )
    assert found == code, err
    assert message in err
    assert len(err.splitlines()) == 1
    assert not (tmp_path / "out").exists()


def test_ctrl_c_ends_with_130_and_leaves_nothing(
    model_file: Path, tiny_corpora: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    arguments = ("--corpora", tiny_corpora, "--cache", cache, "--out", tmp_path / "out")
    process = subprocess.Popen(
        [sys.executable, "-m", "ser_train", "robustness", model_file, *arguments],
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    while not (cache / "corpora.json").exists():  # then recognition begins
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    os.killpg(process.pid, signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "interrupted\n")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["compact", "cnn"])
def test_the_committed_table_is_of_the_packaged_model(name: str) -> None:
    folder = COMMITTED.parent / name
    figures = json.loads((folder / "robustness.json").read_text(encoding="utf-8"))
    model = Model.open(name)
    clean = figures["conditions"][0]
    assert clean["accuracy"] == pytest.approx(model.metadata.test_accuracy, abs=1e-9)
    assert figures["clips"] == 1217
    assert figures["min_confidence"] == Stream(model).min_confidence
    for fact in ("split_hash", "protocol", "model_version"):
        assert figures[fact] == getattr(model.metadata, fact), fact
    assert (folder / "table.md").read_text(encoding="utf-8") == robustness_tables(figures)
    assert [row["name"] for row in figures["conditions"]] == [row.name for row in CONDITIONS]
