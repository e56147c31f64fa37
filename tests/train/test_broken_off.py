"""A training that is broken off: by a kill, by Ctrl-C, or by a full disk."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from files_being_written import sizes_below

Command = Callable[..., CompletedProcess[str]]


def left_behind(folder: Path) -> list[str]:
    """Temporary files anywhere below a folder."""
    return [str(path) for path in folder.rglob(".*")]


class Training:
    """A `ser-train` in a process group of its own, as a terminal starts it."""

    def __init__(self, arguments: list[object]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "ser_train", *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        self._heard: list[str] = []

    def wait_for_line(self, start: str) -> None:
        for line in self.process.stderr:
            self._heard.append(line)
            if line.startswith(start):
                return
        raise AssertionError("".join(self._heard))

    def wait_until(self, condition: Callable[[], object]) -> None:
        while not condition():
            assert self.process.poll() is None, self.process.stderr.read()
            time.sleep(0.01)

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal to the group, as Ctrl-C does; returns exit code and stderr."""
        os.killpg(self.process.pid, number)
        _, rest = self.process.communicate(timeout=60)
        return self.process.returncode, "".join(self._heard) + rest


@contextmanager
def started(arguments: list[object]) -> Iterator[Training]:
    """A training that does not outlive the block."""
    training = Training(arguments)
    try:
        yield training
    finally:
        if training.process.poll() is None:
            training.end(signal.SIGKILL)


@pytest.fixture(scope="module")
def interrupted(
    train_cnn: list[object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, int, str]:
    """A training that was killed after an epoch, taken up again, and ended by Ctrl-C.

    Folder of the runs, and the exit code and stderr of the second part.
    """
    runs = tmp_path_factory.mktemp("interrupted")
    with started([*train_cnn, "--out", runs]) as training:
        training.wait_for_line("search: epoch 1")
        training.end(signal.SIGKILL)
    with started([*train_cnn, "--out", runs]) as training:
        training.wait_for_line("search: epoch 2")
        return runs, *training.end(signal.SIGINT)


@pytest.fixture
def go_on(
    interrupted: tuple[Path, int, str], run_module: Command, train_cnn: list[object], tmp_path: Path
) -> Command:
    """Goes on with a copy of the interrupted training, in `tmp_path`."""
    shutil.copytree(interrupted[0], tmp_path, dirs_exist_ok=True)
    return partial(run_module, "ser_train", *train_cnn, "--out", tmp_path)


def test_a_training_that_was_killed_and_interrupted_ends_as_the_unbroken_one(
    go_on: Command, tiny_run: Path, tmp_path: Path
) -> None:
    done = go_on()
    assert done.returncode == 0, done.stderr
    predictions = (tmp_path / tiny_run.name / "predictions.csv").read_bytes()
    assert predictions == (tiny_run / "predictions.csv").read_bytes()


def test_a_training_that_was_killed_goes_on_and_says_so(
    interrupted: tuple[Path, int, str],
) -> None:
    assert "going on from" in interrupted[2]
    assert "search: epoch 1 " not in interrupted[2]


def test_ctrl_c_in_a_training_ends_with_130_and_no_traceback(
    interrupted: tuple[Path, int, str],
) -> None:
    runs, code, heard = interrupted
    assert code == 130
    assert "interrupted" in heard.splitlines()[-1]
    assert "Traceback" not in heard
    assert not left_behind(runs)


def test_a_training_that_was_broken_off_can_be_made_longer_and_not_shorter_than_it_is(
    go_on: Command, tiny_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / tiny_run.name
    before = json.loads((run / "config.json").read_text())
    shorter = go_on("--max-epochs", 1)
    assert shorter.returncode == 9
    assert re.search(r"another max_epochs that has searched \d epochs", shorter.stderr)
    assert json.loads((run / "config.json").read_text()) == before
    longer = go_on("--max-epochs", 4)
    assert longer.returncode == 0, longer.stderr
    assert "going on from" in longer.stderr
    assert json.loads((run / "config.json").read_text()) == before | {"max_epochs": 4}
    assert len(json.loads((run / "history.json").read_text())["search"]["val_loss"]) == 4


@pytest.mark.parametrize("written", [0, 1_000_000], ids=["workers start", "workers compute"])
def test_ctrl_c_while_features_are_computed_ends_with_130_and_leaves_nothing(
    train_cnn: list[object], tmp_path: Path, written: int
) -> None:
    features = tmp_path / "features"
    with started([*train_cnn, "--cache", tmp_path, "--out", tmp_path / "runs"]) as training:
        training.wait_until(
            lambda: any(
                path.name == "values.npy" and path.parent.name.startswith(".") and size >= written
                for path, size in sizes_below(features).items()
            )
        )
        code, heard = training.end(signal.SIGINT)
    assert code == 130
    assert "Traceback" not in heard
    assert not left_behind(tmp_path)


def limit_files(size: int) -> Callable[[], None]:
    """For a child process: no file may grow larger, as with `ulimit -f`."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def test_a_full_disk_while_features_are_written_ends_with_8(
    run_module: Command, train_cnn: list[object], tmp_path: Path
) -> None:
    done = run_module(
        "ser_train", *train_cnn, "--cache", tmp_path, "--out", tmp_path / "runs",
        preexec_fn=limit_files(1_000_000),
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    assert "the file-size limit is reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list((tmp_path / "features").iterdir())


def test_a_full_disk_while_a_checkpoint_is_written_ends_with_8(
    run_module: Command, train_cnn: list[object], tmp_path: Path
) -> None:
    done = run_module("ser_train", *train_cnn, "--out", tmp_path, preexec_fn=limit_files(200_000))
    assert done.returncode == 8, done.stderr
    assert "checkpoint.npz: the file-size limit is reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not left_behind(tmp_path)
    assert not (tmp_path / "cnn-report-seed0/checkpoint.npz").exists()


@pytest.fixture(scope="module")
def almost_complete(
    run_module: Command, train_cnn: list[object], tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, CompletedProcess[str]]:
    """A training of one epoch whose calibration clips the disk did not take."""
    runs = tmp_path_factory.mktemp("full")
    done = run_module(
        "ser_train", *train_cnn, "--max-epochs", 1, "--out", runs, preexec_fn=limit_files(600_000)
    )
    return runs, done


def test_a_full_disk_while_results_are_written_ends_with_8(
    almost_complete: tuple[Path, CompletedProcess[str]],
) -> None:
    runs, done = almost_complete
    assert done.returncode == 8, done.stderr
    assert "calibration.npz: the file-size limit is reached" in done.stderr
    assert not left_behind(runs)
    assert not (runs / "cnn-report-seed0/metrics.json").exists()


def test_a_full_disk_while_weights_are_written_ends_with_8(
    run_module: Command,
    train_cnn: list[object],
    almost_complete: tuple[Path, CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    shutil.copytree(almost_complete[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "cnn-report-seed0/weights.npz").unlink()
    done = run_module(
        "ser_train", *train_cnn, "--max-epochs", 1, "--out", tmp_path,
        preexec_fn=limit_files(100_000),
    )  # fmt: skip
    assert done.returncode == 8, done.stderr
    assert "weights.npz: the file-size limit is reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not left_behind(tmp_path)
    assert not (tmp_path / "cnn-report-seed0/weights.npz").exists()


def test_a_run_goes_on_when_there_is_room_again(
    ser_train: Command,
    train_cnn: list[object],
    almost_complete: tuple[Path, CompletedProcess[str]],
    tmp_path: Path,
) -> None:
    shutil.copytree(almost_complete[0], tmp_path, dirs_exist_ok=True)
    done = ser_train(*train_cnn, "--max-epochs", 1, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "epoch 1 " not in done.stderr
    assert (tmp_path / "cnn-report-seed0/metrics.json").exists()
