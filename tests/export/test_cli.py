"""`ser-export`, as a user meets it."""

from __future__ import annotations

import resource
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ser_export.cli import main
from ser_runtime.model import Model
from ser_train.run_folder import RunFolder

Command = Callable[..., CompletedProcess[str]]


@pytest.fixture
def ser_export(tensorflow: None, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs `ser-export` in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> CompletedProcess[str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return CompletedProcess(arguments, ended.value.code, *capsys.readouterr())

    return run


def test_an_export_ends_with_a_table_and_the_path(
    run_module: Command, tiny_run: Path, tmp_path: Path
) -> None:
    done = run_module("ser_export", "--model", "cnn", "--runs", tiny_run.parent, "--out", tmp_path)
    assert done.returncode == 0, done.stderr
    assert "ONNX fp32" in done.stdout
    assert "+0.0000" in done.stdout
    assert done.stdout.splitlines()[-1] == f"published: {tmp_path / 'cnn.onnx'}"
    assert f"run folder: {tiny_run}" in done.stderr


def test_an_exported_file_can_be_opened(tiny_model: Path) -> None:
    assert Model.open(tiny_model).metadata.name == "cnn"


def test_no_model_ends_with_2(ser_export: Command) -> None:
    assert ser_export().returncode == 2


def test_an_unknown_experiment_ends_with_2_and_the_nearest_name(ser_export: Command) -> None:
    done = ser_export("--model", "cnm")
    assert done.returncode == 2
    assert "did you mean cnn" in done.stderr


def test_an_incomplete_run_ends_with_9_and_how_to_go_on(
    ser_export: Command, run_copy: RunFolder, tmp_path: Path
) -> None:
    (run_copy.path / "metrics.json").unlink()
    done = ser_export("--model", run_copy.path, "--out", tmp_path / "out")
    assert done.returncode == 9
    assert "run the same `ser-train` again" in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("name", ["weights.npz", "test.npz", "config.json"])
@pytest.mark.parametrize("content", [b"", b"{}"])
def test_a_damaged_run_ends_with_9_and_publishes_nothing(
    ser_export: Command, run_copy: RunFolder, tmp_path: Path, name: str, content: bytes
) -> None:
    (run_copy.path / name).write_bytes(content)
    done = ser_export("--model", run_copy.path, "--out", tmp_path / "out")
    assert done.returncode == 9
    assert len(done.stderr.splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_a_configuration_without_an_experiment_ends_with_9(
    ser_export: Command, run_copy: RunFolder, tmp_path: Path
) -> None:
    (run_copy.path / "config.json").write_text('{"version": 1}')
    assert ser_export("--model", run_copy.path, "--out", tmp_path / "out").returncode == 9


def test_a_folder_that_cannot_be_written_ends_with_8(ser_export: Command, tiny_run: Path) -> None:
    done = ser_export("--model", tiny_run, "--out", "/sys/exports")
    assert done.returncode == 8
    assert "cannot write /sys/exports/" in done.stderr


def test_a_full_disk_ends_with_8_and_leaves_nothing(
    run_module: Command, tiny_run: Path, tmp_path: Path
) -> None:
    def limit_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))

    done = run_module("ser_export", "--model", tiny_run, "--out", tmp_path, preexec_fn=limit_files)
    assert done.returncode == 8, done.stderr
    assert "the file-size limit is reached" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("package", ["tf2onnx", "keras"])
def test_a_missing_package_ends_with_7_and_names_the_extra(
    run_without: Command, tiny_run: Path, tmp_path: Path, package: str
) -> None:
    done = run_without(package, "ser_export", "--model", tiny_run, "--out", tmp_path / "out")
    assert done.returncode == 7, done.stderr
    assert package in done.stderr
    assert "pip install 'ser-edge[export]'" in done.stderr
