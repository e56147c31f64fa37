"""Which run `--model` means."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_export.run_choice import choose_run
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_train.run_folder import RunFolder


def make_run(folder: Path, complete: bool = True) -> Path:
    run = RunFolder(folder)
    run.write_json("config", {"version": 1})
    if complete:
        run.write_json("metrics", {})
    return folder


@pytest.mark.parametrize("seeds", [(0, 1), (2, 10), (7,)])
def test_an_experiment_means_its_run_with_the_lowest_seed(
    tmp_path: Path, seeds: tuple[int, ...]
) -> None:
    for seed in seeds:
        make_run(tmp_path / f"cnn-report-seed{seed}")
    assert choose_run("cnn", tmp_path).path == tmp_path / f"cnn-report-seed{seeds[0]}"


def test_parallel_is_short_for_the_reports_best(tmp_path: Path) -> None:
    run = make_run(tmp_path / "parallel-mfcc-aug-report-seed0")
    assert choose_run("parallel", tmp_path).path == run


@pytest.mark.parametrize("name", ["weights.npz", "model/model.safetensors"])
def test_weights_mean_the_run_that_they_lie_in(tmp_path: Path, name: str) -> None:
    run = make_run(tmp_path / "cnn-report-seed3")
    weights = run / name
    weights.parent.mkdir(exist_ok=True)
    weights.write_bytes(b"")
    assert choose_run(str(weights), tmp_path / "runs").path == run


def test_weights_that_lie_alone_are_refused(tmp_path: Path) -> None:
    (tmp_path / "weights.npz").write_bytes(b"")
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no config\.json"):
        choose_run(str(tmp_path / "weights.npz"), tmp_path / "runs")


def test_other_protocols_are_not_chosen(tmp_path: Path) -> None:
    for name in ("cnn-report-labels-seed0", "cnn-speaker-independent-1-seed0", "cnn-report-seed3"):
        make_run(tmp_path / name)
    assert choose_run("cnn", tmp_path).path.name == "cnn-report-seed3"


def test_complete_runs_go_before_others(tmp_path: Path) -> None:
    make_run(tmp_path / "cnn-report-seed0", complete=False)
    make_run(tmp_path / "cnn-report-seed1")
    assert choose_run("cnn", tmp_path).path.name == "cnn-report-seed1"


def test_a_path_means_the_run_there(tmp_path: Path) -> None:
    run = make_run(tmp_path / "cnn-report-labels-seed4")
    assert choose_run(str(run), tmp_path / "runs").path == run


@pytest.mark.parametrize("by_path", [True, False])
def test_an_incomplete_run_is_refused_with_how_to_go_on(tmp_path: Path, by_path: bool) -> None:
    run = make_run(tmp_path / "cnn-report-seed0", complete=False)
    with pytest.raises(RunFolderError, match=r"not complete: run the same `ser-train` again"):
        choose_run(str(run) if by_path else "cnn", tmp_path)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"is not a run folder: it has no config\.json"):
        choose_run(str(tmp_path), tmp_path)


def test_a_path_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match=r"no run folder .*nowhere"):
        choose_run(str(tmp_path / "nowhere"), tmp_path)


def test_an_experiment_without_runs_says_how_to_train_one(tmp_path: Path) -> None:
    with pytest.raises(RunFolderError, match="train one with `ser-train cnn --corpora DIR`"):
        choose_run("cnn", tmp_path / "nowhere")


def test_an_unknown_name_is_answered_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"no experiment or command 'cnm'; did you mean .*cnn"):
        choose_run("cnm", tmp_path)
