"""`ser-train wav2vec2` and what comes after it, on made-up corpora and a tiny network."""

from __future__ import annotations

import csv
import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_wav2vec2 import PARAMETERS
from tiny_wav2vec2 import save_tiny_backbone

from ser_runtime.labels import EMOTIONS
from ser_train.run_folder import RunFolder

Command = Callable[..., subprocess.CompletedProcess[str]]

FILES = {
    "config.json",
    "split.json",
    "history.json",
    "predictions.csv",
    "model",
    "confusion_matrix.png",
    "learning_curves.png",
    "metrics.json",
    "tensorboard",
}


@pytest.fixture(scope="module")
def arguments(tiny_backbone: Path, tiny_corpora: Path, cache: Path) -> list[object]:
    """But for `--out`; Keras is set up on TensorFlow in the tests' process."""
    return [
        "wav2vec2", "--weights", tiny_backbone, "--corpora", tiny_corpora, "--cache", cache,
        "--backend", "tensorflow", "--threads", 1,
    ]  # fmt: skip


@pytest.fixture(scope="module")
def trained(
    ser_train: Command, arguments: list[object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """A run of two epochs, and what the command said."""
    runs = tmp_path_factory.mktemp("runs")
    torch.set_num_threads(2)
    done = ser_train(*arguments, "--out", runs, "--max-epochs", 2)
    assert done.returncode == 0, done.stderr
    return runs / "wav2vec2-report-90-5-5-seed0", done


@pytest.fixture(scope="module")
def metrics(trained: tuple[Path, Any]) -> dict[str, Any]:
    return RunFolder(trained[0]).metrics()


def test_a_run_holds_these_files_and_no_others(trained: tuple[Path, Any]) -> None:
    assert {path.name for path in trained[0].iterdir()} == FILES


def test_the_split_is_90_5_5_unless_another_is_asked_for(
    trained: tuple[Path, Any], metrics: dict[str, Any]
) -> None:
    assert metrics["protocol"] == "report-90-5-5"
    split = json.loads((trained[0] / "split.json").read_text())
    assert [len(split[name]) for name in ("train", "validation", "test")] == [203, 12, 11]


def test_the_protocol_that_compares_alike_is_named(
    trained: tuple[Path, subprocess.CompletedProcess[str]],
) -> None:
    assert "--protocol report-90-5-5-labels compares alike" in trained[1].stdout


def test_metrics_are_compared_with_the_reports_table(metrics: dict[str, Any]) -> None:
    assert metrics["report"]["accuracy"] == 0.81
    assert metrics["report"]["like_for_like"] is False
    assert metrics["parameters"] == PARAMETERS


def test_the_run_says_which_weights_and_which_framework_it_began_with(
    trained: tuple[Path, Any], tiny_backbone: Path
) -> None:
    config = RunFolder(trained[0]).config()
    assert config["weights"]["source"] == tiny_backbone.name
    assert len(config["weights"]["sha256"]) == 64
    assert config["backend"] == "torch"
    assert {"torch", "transformers"} <= set(config["versions"])


def test_the_saved_model_gives_the_predictions(
    trained: tuple[Path, Any], tiny_index: Any, cache: Path
) -> None:
    from ser_train.splits import make_split
    from ser_train.wav2vec2.audio_data import load_audio
    from ser_train.wav2vec2.saving import load_model
    from ser_train.wav2vec2.training import predict

    data = load_audio(tiny_index, make_split(tiny_index.clips, "report-90-5-5"), cache)
    with (trained[0] / "predictions.csv").open(newline="") as lines:
        rows = {row["clip"]: row for row in csv.DictReader(lines) if row["set"] == "test"}
    stored = [[float(rows[name][emotion]) for emotion in EMOTIONS] for name in data.test.ids]
    found = predict(load_model(trained[0] / "model"), data.test)
    np.testing.assert_allclose(found, stored, atol=2e-6)


def test_a_complete_run_is_only_read(
    ser_train: Command, arguments: list[object], trained: tuple[Path, Any]
) -> None:
    done = ser_train(*arguments, "--out", trained[0].parent, "--max-epochs", 2)
    assert done.returncode == 0, done.stderr
    assert "is complete: nothing to train" in done.stderr
    assert "epoch 1" not in done.stderr


def test_other_weights_are_another_configuration(
    ser_train: Command, arguments: list[object], trained: tuple[Path, Any], tmp_path: Path
) -> None:
    other = save_tiny_backbone(tmp_path / "other", seed=1)
    done = ser_train(*arguments, "--out", trained[0].parent, "--max-epochs", 2, "--weights", other)
    assert done.returncode == 9
    assert "another weights" in done.stderr


def test_a_run_is_evaluated_again(
    ser_train: Command, trained: tuple[Path, Any], tiny_corpora: Path, cache: Path
) -> None:
    done = ser_train(
        "evaluate", trained[0], "--corpora", tiny_corpora, "--cache", cache,
        "--backend", "tensorflow",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "the stored figures hold" in done.stderr


def test_evaluating_a_damaged_model_is_a_run_folder_error(
    ser_train: Command, trained: tuple[Path, Any], tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    copy = Path(shutil.copytree(trained[0], tmp_path / "copy"))
    (copy / "model" / "model.safetensors").unlink()
    done = ser_train(
        "evaluate", copy, "--corpora", tiny_corpora, "--cache", cache, "--backend", "tensorflow"
    )
    assert done.returncode == 9
    assert "cannot read the model" in done.stderr


def test_a_run_is_published_without_its_weights(
    ser_train: Command, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    done = ser_train("publish", trained[0], "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    published = {path.name for path in (tmp_path / trained[0].name).iterdir()}
    assert published == FILES - {"model", "split.json", "tensorboard"}


def test_a_run_has_its_place_in_the_report(
    ser_train: Command, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    done = ser_train("report", trained[0], "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert trained[0].name in (tmp_path / "page.html").read_text(encoding="utf-8")


def test_exporting_a_run_asks_for_its_clips(
    run_module: Command, trained: tuple[Path, Any], tmp_path: Path
) -> None:
    done = run_module("ser_export", "--model", trained[0], "--out", tmp_path)
    assert done.returncode == 2
    assert "name the corpora with --corpora DIR" in done.stderr
    assert not list(tmp_path.iterdir())


def test_the_network_is_described(ser_train: Command, tmp_path: Path) -> None:
    done = ser_train("describe", "wav2vec2", "--plot", tmp_path / "wav2vec2.png")
    assert done.returncode == 0, done.stderr
    assert "total parameters: 94,377,095" in done.stdout
    assert (tmp_path / "wav2vec2.png").stat().st_size > 10_000


def test_a_training_alone_runs_on_pytorch_and_gives_the_same(
    run_module: Command, arguments: list[object], trained: tuple[Path, Any], tmp_path: Path
) -> None:
    place = arguments.index("--backend")
    alone = arguments[:place] + arguments[place + 2 :]
    done = run_module("ser_train", *alone, "--out", tmp_path, "--max-epochs", 2)
    assert done.returncode == 0, done.stderr
    assert RunFolder(tmp_path / trained[0].name).config()["backend"] == "torch"
    predictions = (tmp_path / trained[0].name / "predictions.csv").read_bytes()
    assert predictions == (trained[0] / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("./nonesuch", "there is no folder ./nonesuch"),
        ("/etc/hostname", "is a file: give the folder"),
    ],
)
def test_wrong_weights_end_with_12_before_the_corpora_are_read(
    ser_train: Command, arguments: list[object], tmp_path: Path, source: str, message: str
) -> None:
    wrong = [*arguments, "--weights", source, "--out", tmp_path, "--corpora", tmp_path / "none"]
    done = ser_train(*wrong)
    assert done.returncode == 12, done.stderr
    assert message in done.stderr
    assert not list(tmp_path.iterdir())


def test_weights_must_be_named(ser_train: Command, tiny_corpora: Path) -> None:
    done = ser_train("wav2vec2", "--corpora", tiny_corpora)
    assert done.returncode == 2
    assert "--weights" in done.stderr


def test_all_leaves_it_out_without_weights(
    ser_train: Command, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    done = ser_train(
        "all", "--only", "wav2vec2", "--corpora", tiny_corpora, "--cache", cache, "--out", tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "left out: wav2vec2: needs --wav2vec2-weights" in done.stderr


def test_all_trains_it_beside_keras_in_one_process(
    ser_train: Command,
    tiny_corpora: Path,
    cache: Path,
    tiny_backbone: Path,
    trained: tuple[Path, Any],
    tmp_path: Path,
) -> None:
    done = ser_train(
        "all", "--only", "wav2vec2", "cnn", "--wav2vec2-weights", tiny_backbone,
        "--corpora", tiny_corpora, "--cache", cache, "--out", tmp_path,
        "--max-epochs", 2, "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {trained[0].name, "cnn-report-seed0"}
    predictions = (tmp_path / trained[0].name / "predictions.csv").read_bytes()
    assert predictions == (trained[0] / "predictions.csv").read_bytes()


def test_without_the_extra_it_says_which_to_install(
    run_without: Command, tiny_corpora: Path, tiny_backbone: Path
) -> None:
    done = run_without(
        "transformers", "ser_train", "wav2vec2", "--weights", tiny_backbone,
        "--corpora", tiny_corpora,
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert "transformers not installed): pip install 'ser-edge[wav2vec2]'" in done.stderr


def test_threads_are_those_asked_for(trained: tuple[Path, Any]) -> None:
    assert torch.get_num_threads() == 1
