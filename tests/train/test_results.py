"""The committed results."""

from __future__ import annotations

import copy
import shutil
from pathlib import Path
from typing import Any

import pytest

from ser_runtime.errors import RunFolderError
from ser_train import cli
from ser_train.families import FAMILIES
from ser_train.results import KEPT
from ser_train.results import KEPT_OF_TUNING
from ser_train.results import publish
from ser_train.results import publish_tuning
from ser_train.results import results_table
from ser_train.results import row_name
from ser_train.results import show_results_table
from ser_train.run_folder import RunFolder


@pytest.fixture(scope="module")
def metrics(tiny_run: Path) -> dict[str, Any]:
    return RunFolder(tiny_run).read_json("metrics")


def test_it_is_known_what_is_kept_of_each_family() -> None:
    assert set(KEPT) == set(FAMILIES)


def test_a_run_is_kept_without_features(tiny_run: Path, tmp_path: Path) -> None:
    publish([RunFolder(tiny_run)], tmp_path)
    assert {path.name for path in (tmp_path / tiny_run.name).iterdir()} == set(KEPT["features"])
    assert not {"test.npz", "validation.npz", "calibration.npz"} & set(KEPT["features"])


def test_kept_files_are_those_of_the_run(tiny_run: Path, tmp_path: Path) -> None:
    publish([RunFolder(tiny_run)], tmp_path)
    for name in KEPT["features"]:
        assert (tmp_path / tiny_run.name / name).read_bytes() == (tiny_run / name).read_bytes()


def test_the_table_has_a_row_for_every_run_published_so_far(tiny_run: Path, tmp_path: Path) -> None:
    other = tmp_path / "runs" / "cnn-report-seed1"
    shutil.copytree(tiny_run, other)
    for name in ("config", "metrics"):
        content = RunFolder(other).read_json(name)
        RunFolder(other).write_json(name, content | {"seed": content["seed"] + 1})
    publish([RunFolder(tiny_run)], tmp_path / "results")
    table = publish([RunFolder(other)], tmp_path / "results")
    rows = [line for line in table.read_text(encoding="utf-8").splitlines() if "| cnn-" in line]
    assert "| cnn on report | seeds 0, 1 |" in table.read_text(encoding="utf-8")
    assert [row.split()[1] for row in rows] == ["cnn-report-seed0", "cnn-report-seed1"]


def test_a_row_says_parameters_epochs_and_accuracy(metrics: dict[str, Any]) -> None:
    row = results_table(["a-run"], [metrics]).splitlines()[2]
    assert "| 27,495 |" in row
    assert f"{metrics['epochs']['trained']} (of 3 searched) ³" in row
    assert f"{metrics['accuracy']:.3f} (" in row
    assert "0.67, 0.68" in row


def test_a_row_says_what_flatters(metrics: dict[str, Any]) -> None:
    row = results_table(["a-run"], [metrics]).splitlines()[2]
    assert "a-run ¹" in row
    assert row.rstrip(" |").endswith("²")


def test_a_run_that_hides_nothing_has_no_note(metrics: dict[str, Any]) -> None:
    epochs = metrics["epochs"] | {"search_stopped_by_hand": False}
    honest = {key: value for key, value in metrics.items() if key != "report"}
    honest |= {"speakers_shared": False, "epochs": epochs}
    row = results_table(["a-run"], [honest]).splitlines()[2]
    assert not set("¹²³") & set(row)


def test_a_row_says_the_accuracy_among_the_classes_that_are_there(metrics: dict[str, Any]) -> None:
    assert "among" not in results_table(["one"], [metrics])
    metrics = copy.deepcopy(metrics) | {"accuracy_among_tested_classes": 0.625}
    metrics["per_class"]["surprise"]["support"] = 0
    assert "); 0.625 among its 6 classes |" in results_table(["one"], [metrics])


def test_a_row_says_the_accuracy_one_clip_at_a_time(metrics: dict[str, Any]) -> None:
    assert "at a time" not in results_table(["one"], [metrics])
    alone = metrics | {"accuracy_one_at_a_time": 0.25}
    assert "); 0.250 one clip at a time |" in results_table(["one"], [alone])


def test_an_incomplete_run_is_refused(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with pytest.raises(RunFolderError, match="run is not a complete run folder"):
        publish([RunFolder(tmp_path / "run")], tmp_path / "results")


def test_nothing_is_published_if_one_of_the_runs_is_incomplete(
    tiny_run: Path, tmp_path: Path
) -> None:
    with pytest.raises(RunFolderError):
        publish([RunFolder(tiny_run), RunFolder(tmp_path / "none")], tmp_path / "results")
    assert not (tmp_path / "results").exists()


@pytest.fixture
def tuning(tmp_path: Path) -> Path:
    """A folder as a search over learning rates leaves it."""
    folder = tmp_path / "cnn-tuning-report-seed0"
    (folder / "trials").mkdir(parents=True)
    for name in KEPT_OF_TUNING:
        (folder / name).write_text(f"{name} of the search", encoding="utf-8")
    return folder


def test_of_a_tuning_recipe_history_and_table_are_kept(tuning: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(SystemExit) as ended:
        cli.main(["publish", str(tuning), "--out", str(out)])
    assert ended.value.code == 0
    kept = {path.relative_to(out).as_posix(): path.read_text() for path in out.rglob("*.*")}
    assert kept == {f"{tuning.name}/{name}": f"{name} of the search" for name in KEPT_OF_TUNING}


def test_a_tuning_that_is_not_at_its_end_is_refused(tuning: Path, tmp_path: Path) -> None:
    (tuning / "table.md").unlink()
    with pytest.raises(RunFolderError, match=r"not a complete search: it lacks table\.md"):
        publish_tuning(tuning, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_run_whose_figures_do_not_fit_its_predictions_is_refused(
    tiny_run: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    run.write_json("metrics", run.metrics() | {"accuracy": 0.999})
    with pytest.raises(RunFolderError, match=r"accuracy of 0\.999"):
        publish([run], tmp_path / "results")
    assert not (tmp_path / "results").exists()


def test_a_run_that_lost_a_file_is_refused_by_name(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "weights.npz").unlink()
    with pytest.raises(RunFolderError, match=r"weights\.npz"):
        publish([RunFolder(tmp_path / "run")], tmp_path / "results")


def test_a_run_that_had_teachers_is_marked(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    assert row_name(run) == "run"
    run.write_json("config", run.config() | {"teaching": {"teachers": [], "share": 0.5}})
    assert row_name(run) == "run ⁵"


def test_without_a_terminal_the_table_of_runs_is_markdown(
    tiny_run: Path, metrics: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    show_results_table([(RunFolder(tiny_run), metrics)])
    assert capsys.readouterr().out == results_table([tiny_run.name], [metrics])


def test_on_a_terminal_the_table_of_runs_has_no_markdown(
    tiny_run: Path,
    metrics: dict[str, Any],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in {"FORCE_COLOR": "1", "COLUMNS": "200"}.items():
        monkeypatch.setenv(name, value)
    show_results_table([(RunFolder(tiny_run), metrics)])
    shown = capsys.readouterr().out
    assert f"{metrics['accuracy']:.3f}" in shown
    assert "flattering" in shown
    assert "| ---" not in shown
