"""`ser-train`, as a user meets it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from synthetic_corpora import write_corpora

Command = Callable[..., CompletedProcess[str]]
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def train_small(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    """The arguments of one epoch on 62 made-up clips of RAVDESS and SAVEE, but for `--out`."""
    folder = tmp_path_factory.mktemp("small")
    write_corpora(folder)
    for corpus in ("TESS", "CREMA-D"):
        shutil.rmtree(folder / corpus)
    cache = tmp_path_factory.mktemp("small-cache")
    return [
        "cnn", "--corpora", folder, "--cache", cache, "--max-epochs", 1, "--threads", 1,
    ]  # fmt: skip


def test_corpora_shows_the_clips(ser_train: Command, tiny_corpora: Path, cache: Path) -> None:
    done = ser_train("corpora", tiny_corpora, "--cache", cache)
    assert done.returncode == 0
    assert "226 clips in" in done.stdout
    assert "left out: nothing" in done.stdout


def test_corpora_draws_the_class_distribution(
    ser_train: Command, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    plot = tmp_path / "plots/classes.png"
    done = ser_train("corpora", tiny_corpora, "--cache", cache, "--plot", plot)
    assert done.returncode == 0
    assert plot.read_bytes().startswith(PNG)


def test_experiments_are_listed_with_the_reports_accuracy(ser_train: Command) -> None:
    done = ser_train("experiments")
    assert done.returncode == 0
    (row,) = [line for line in done.stdout.splitlines() if line.split()[:1] == ["cnn"]]
    assert "27,495" in row
    assert "0.67" in row


def test_splits_of_the_corpora_are_written(
    ser_train: Command, corpora_of_all_speakers: Path, cache: Path, tmp_path: Path
) -> None:
    done = ser_train("splits", corpora_of_all_speakers, "--cache", cache, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == [str(tmp_path / "splits.csv"), str(tmp_path / "splits.json")]


@pytest.fixture(scope="module")
def corpora_of_all_speakers(tiny_corpora: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The made-up corpora with actors for the folds that they lack."""
    folder = tmp_path_factory.mktemp("all")
    shutil.copytree(tiny_corpora, folder, dirs_exist_ok=True)
    for source in sorted((folder / "CREMA-D/AudioWAV").glob("1001_*")):
        for actor in (1055, 1056, 1073, 1074):
            shutil.copy(source, source.with_name(source.name.replace("1001", str(actor))))
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["cnm", "--corpora", "x"], "no experiment or command 'cnm'; did you mean cnn or two-cnn"),
        (["zzzz"], "no experiment or command 'zzzz'; known: cnn"),
        (["cnn", "--corpora", "x", "--fold", "1"], "--fold 1: report has no folds"),
        (
            ["cnn", "--corpora", "x", "--protocol", "corpus-independent", "--fold", "1"],
            "--fold 1: corpus-independent has one of RAVDESS, SAVEE, TESS, CREMA-D",
        ),
    ],
)
def test_wrong_use_ends_with_2_and_one_line(
    ser_train: Command, arguments: list[str], message: str
) -> None:
    done = ser_train(*arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.parametrize(
    "option",
    [
        ["--max-epochs", "0"],
        ["--max-epochs", "many"],
        ["--seed", "-1"],
        ["--threads", "0"],
        ["--protocol", "random"],
        ["--backend", "numpy"],
    ],
)
def test_an_impossible_value_ends_with_2_and_names_the_option(
    ser_train: Command, option: list[str]
) -> None:
    done = ser_train("cnn", "--corpora", "x", *option)
    assert done.returncode == 2
    assert f"argument {option[0]}" in done.stderr


def test_no_command_ends_with_2(ser_train: Command) -> None:
    assert ser_train().returncode == 2


@pytest.mark.parametrize("command", ["corpora", "splits", "cnn"])
def test_a_folder_without_clips_ends_with_6(
    ser_train: Command, tmp_path: Path, command: str
) -> None:
    arguments = {
        "corpora": ["corpora", tmp_path],
        "splits": ["splits", tmp_path, "--out", tmp_path],
        "cnn": ["cnn", "--corpora", tmp_path],
    }
    done = ser_train(*arguments[command], "--cache", tmp_path)
    assert done.returncode == 6
    assert f"no clip of RAVDESS, SAVEE, TESS or CREMA-D in {tmp_path}" in done.stderr


def test_missing_corpora_for_a_fold_end_with_6(
    ser_train: Command, tiny_corpora: Path, tmp_path: Path, cache: Path
) -> None:
    shutil.copytree(tiny_corpora / "TESS", tmp_path / "TESS")
    done = ser_train(
        "cnn", "--corpora", tmp_path, "--protocol", "speaker-independent", "--cache", tmp_path
    )
    assert done.returncode == 6
    assert "set of speaker-independent-1 is empty" in done.stderr


@pytest.mark.parametrize("package", ["keras", "sklearn", "tensorflow"])
def test_a_missing_package_ends_with_7_and_names_the_extra(
    run_without: Command, tiny_corpora: Path, cache: Path, tmp_path: Path, package: str
) -> None:
    done = run_without(
        package, "ser_train", "cnn", "--corpora", tiny_corpora, "--cache", cache,
        "--out", tmp_path / "runs",
    )  # fmt: skip
    assert done.returncode == 7, done.stderr
    assert package in done.stderr
    assert "pip install 'ser-edge[train]'" in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_a_complete_run_is_not_trained_again(
    ser_train: Command, train_cnn: list[object], tiny_run: Path
) -> None:
    before = (tiny_run / "metrics.json").stat().st_mtime_ns
    done = ser_train(*train_cnn, "--out", tiny_run.parent)
    assert done.returncode == 0
    assert "is complete: nothing to train" in done.stderr
    assert "accuracy" in done.stdout
    assert (tiny_run / "metrics.json").stat().st_mtime_ns == before


def test_another_configuration_in_the_same_folder_ends_with_9(
    ser_train: Command, train_cnn: list[object], tiny_run: Path
) -> None:
    done = ser_train(*train_cnn, "--out", tiny_run.parent, "--max-epochs", 2)
    assert done.returncode == 9
    assert "holds a run with another max_epochs" in done.stderr
    assert "--fresh" in done.stderr


def test_fresh_forgets_an_earlier_run(
    ser_train: Command, train_small: list[object], tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / tiny_run.name)
    done = ser_train(*train_small, "--out", tmp_path, "--fresh")
    assert done.returncode == 0, done.stderr
    assert '"max_epochs": 1' in (tmp_path / tiny_run.name / "config.json").read_text()


def test_a_damaged_configuration_ends_with_9(
    ser_train: Command, train_cnn: list[object], tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / tiny_run.name)
    (tmp_path / tiny_run.name / "config.json").write_text("{")
    done = ser_train(*train_cnn, "--out", tmp_path)
    assert done.returncode == 9
    assert "config.json is damaged" in done.stderr


@pytest.mark.parametrize(
    ("backend", "options", "folder"),
    [
        ("jax", ["--protocol", "speaker-independent"], "cnn-speaker-independent-1-seed0"),
        ("torch", ["--protocol", "report-labels", "--seed", 5], "cnn-report-labels-seed5"),
    ],
)
def test_other_backends_and_protocols_train_to_the_end(
    run_module: Command,
    train_small: list[object],
    tmp_path: Path,
    backend: str,
    options: list[object],
    folder: str,
) -> None:
    done = run_module(
        "ser_train", *train_small, "--out", tmp_path, "--backend", backend,
        *options,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (tmp_path / folder / "metrics.json").exists()
