"""`ser-export`, as a user meets it."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from files_being_written import sizes_below

from ser_export.cli import main
from ser_export.formats import FORMATS
from ser_export.verification import Floor
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


@pytest.fixture(scope="module")
def two_files(
    tiny_run: Path, tmp_path_factory: pytest.TempPathFactory, run_module: Command
) -> tuple[CompletedProcess[str], Path]:
    """ONNX fp32 and what `--int8` chose among ONNX's; what was printed, and the folder."""
    folder = tmp_path_factory.mktemp("two")
    done = run_module(
        "ser_export", "--model", tiny_run / "weights.npz", "--out", folder / "files",
        "--format", "onnx-fp32", "--int8", "--runtime", "onnx", "--allow-loss", 20,
        "--results", folder / "results",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, folder


def test_what_was_tried_and_what_was_published_are_shown(
    two_files: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = two_files
    for title in ("ONNX int8 weights", "ONNX int8 static + dynamic", "chosen"):
        assert title in done.stdout
    published = [line for line in done.stdout.splitlines() if line.startswith("published: ")]
    assert published == [
        f"published: {folder / 'files' / n}" for n in ("cnn.onnx", "cnn-int8.onnx")
    ]
    assert "cnn.onnx, beside the report: 0.67; difference" in done.stdout


def test_converters_do_not_flood_the_screen(
    two_files: tuple[CompletedProcess[str], Path],
) -> None:
    assert len(two_files[0].stderr.splitlines()) == 1, two_files[0].stderr
    assert two_files[0].stderr.startswith("run folder: ")


def test_results_are_a_page_and_a_record_without_a_model(
    two_files: tuple[CompletedProcess[str], Path],
) -> None:
    folder = two_files[1] / "results" / "cnn"
    assert {path.name for path in folder.iterdir()} == {"table.md", "export.json"}
    page = (folder / "table.md").read_text(encoding="utf-8")
    for part in ("| ONNX fp32 |", "## Which int8 variant", "| surprise |", "the report: 0.67"):
        assert part in page
    record = json.loads((folder / "export.json").read_text(encoding="utf-8"))
    assert [item["path"] for item in record["files"]] == ["cnn.onnx", "cnn-int8.onnx"]


def test_decisions_of_the_results_give_the_same_bytes(
    ser_export: Command,
    two_files: tuple[CompletedProcess[str], Path],
    tiny_run: Path,
    tmp_path: Path,
) -> None:
    decisions = two_files[1] / "results" / "cnn" / "export.json"
    done = ser_export(
        "--model", tiny_run, "--out", tmp_path, "--decisions", decisions, "--allow-loss", 20
    )
    assert done.returncode == 0, done.stderr
    for name in ("cnn.onnx", "cnn-int8.onnx"):
        assert (tmp_path / name).read_bytes() == (two_files[1] / "files" / name).read_bytes()


def test_an_int8_file_runs_in_ser_listen(
    two_files: tuple[CompletedProcess[str], Path], run_module: Command, speech: Path
) -> None:
    model = two_files[1] / "files" / "cnn-int8.onnx"
    done = run_module("ser_runtime", speech, "--model", model)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["probabilities"]


def test_files_at_hand_are_compared(
    ser_export: Command,
    two_files: tuple[CompletedProcess[str], Path],
    tiny_run: Path,
    tmp_path: Path,
) -> None:
    files = [two_files[1] / "files" / name for name in ("cnn.onnx", "cnn-int8.onnx")]
    done = ser_export("compare", *files, "--run", tiny_run, "--out", tmp_path / "table.md")
    assert (done.returncode, done.stderr) == (0, "")
    assert "cnn-int8.onnx" in done.stdout
    assert "| cnn.onnx | " in (tmp_path / "table.md").read_text(encoding="utf-8")


def test_the_formats_are_listed(ser_export: Command) -> None:
    done = ser_export("formats")
    assert done.returncode == 0
    assert all(f"`{name}`" in done.stdout for name in FORMATS)


@pytest.mark.parametrize("command", [(), ("formats",), ("compare",)])
def test_help_says_what_there_is(ser_export: Command, command: tuple[str, ...]) -> None:
    done = ser_export(*command, "--help")
    assert done.returncode == 0
    assert "usage: ser-export" in done.stdout
    if not command:
        assert "ser-export --model parallel --int8" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--format", "onnx-fp33"], "did you mean onnx-fp32"),
        (["--allow-loss", "nan"], "must lie within 0 to 100 points"),
        (["--decisions", "a.json", "--int8"], "leave out --format, --int8"),
        (["--decisions", "nowhere.json"], "no decisions in nowhere.json"),
        (["--format", "onnx-waveform"], "name the corpora with --corpora DIR"),
        (["--runtime", "tensorrt"], "invalid choice"),
    ],
)
def test_what_cannot_be_asked_for_ends_with_2(
    ser_export: Command, tiny_run: Path, tmp_path: Path, arguments: list[str], message: str
) -> None:
    done = ser_export("--model", tiny_run, "--out", tmp_path / "out", *arguments)
    assert done.returncode == 2
    assert message in done.stderr
    assert not (tmp_path / "out").exists()


def test_a_file_below_its_floor_ends_with_10_and_leaves_nothing(
    ser_export: Command, tiny_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser_export import export

    monkeypatch.setattr(export, "FLOORS", dict.fromkeys(export.FLOORS, Floor(None, -1.0)))
    done = ser_export("--model", tiny_run, "--out", tmp_path / "out")
    assert done.returncode == 10
    assert "error: onnx-fp32: nothing published: 0.00 points of accuracy" in done.stderr
    assert not (tmp_path / "out").exists()


def test_an_interrupted_export_ends_with_130_and_leaves_nothing(
    tiny_run: Path, tmp_path: Path
) -> None:
    command = [sys.executable, "-m", "ser_export", "--model", str(tiny_run), "--all"]
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    process = subprocess.Popen(
        [*command, "--out", str(tmp_path / "out")],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    assert process.stderr is not None
    deadline = time.monotonic() + 300
    while not any(path.suffix == ".tflite" for path in sizes_below(temporary)):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert not (tmp_path / "out").exists()
    assert not list(temporary.iterdir())


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


def test_litert_without_its_interpreter_ends_with_7(
    run_without: Command, tiny_run: Path, tmp_path: Path
) -> None:
    done = run_without(
        "ai_edge_litert", "ser_export", "--model", tiny_run, "--fp16", "--out", tmp_path / "out"
    )
    assert done.returncode == 7, done.stderr
    assert "pip install 'ser-edge[litert]'" in done.stderr


@pytest.mark.parametrize("package", ["tf2onnx", "keras"])
def test_a_missing_package_ends_with_7_and_names_the_extra(
    run_without: Command, tiny_run: Path, tmp_path: Path, package: str
) -> None:
    done = run_without(package, "ser_export", "--model", tiny_run, "--out", tmp_path / "out")
    assert done.returncode == 7, done.stderr
    assert package in done.stderr
    assert "pip install 'ser-edge[export]'" in done.stderr
