"""From real clips to a recognized file: train, export and listen, as a user would."""

from __future__ import annotations

import json
from collections import defaultdict
from pathlib import Path

import pytest
from conftest import Command

from ser_runtime.labels import EMOTIONS
from ser_train.corpora import parse_clip

CLIPS_PER_CLASS = 5


@pytest.fixture(scope="module")
def some_clips(corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Links to a few clips of each corpus and emotion, in the shared layout."""
    folder = tmp_path_factory.mktemp("some")
    taken: dict[tuple[str, str], int] = defaultdict(int)
    for path in sorted(corpora.rglob("*.opus")):
        name = parse_clip(path)
        key = (name.corpus, name.emotion)
        if taken[key] < CLIPS_PER_CLASS:
            taken[key] += 1
            link = folder / path.relative_to(corpora)
            link.parent.mkdir(parents=True, exist_ok=True)
            link.symlink_to(path)
    return folder


def test_train_export_and_listen_on_real_clips(
    some_clips: Path, tmp_path: Path, run_module: Command
) -> None:
    trained = run_module(
        "ser_train", "cnn", "--corpora", some_clips, "--cache", tmp_path / "cache",
        "--out", tmp_path / "runs", "--max-epochs", 2,
    )  # fmt: skip
    assert trained.returncode == 0, trained.stderr
    assert "precision" in trained.stdout
    assert "report" in trained.stdout
    exported = run_module(
        "ser_export", "--model", "cnn", "--runs", tmp_path / "runs", "--out", tmp_path / "exports"
    )
    assert exported.returncode == 0, exported.stderr
    clip = next(some_clips.rglob("*.opus"))
    heard = run_module("ser_runtime", clip, "--model", tmp_path / "exports" / "cnn.onnx")
    assert heard.returncode == 0, heard.stderr
    last = json.loads(heard.stdout.splitlines()[-1])
    assert set(last["probabilities"]) == set(EMOTIONS)
    assert sum(last["probabilities"].values()) == pytest.approx(1, abs=1e-3)
