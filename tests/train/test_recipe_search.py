"""The searches for a recipe: candidates, their trainings, and the tables."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.feature_spec import MFCC
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.splits import Split
from ser_train.splits import make_split

Command = Callable[..., CompletedProcess[str]]
SHORTENED = {"noisy_copies", "retrain", "patience", "max_epochs", "learning_rate"}
BASES = {"cnn-coefficient", "parallel-coefficient"}
CHANGES = {
    "cnn-element": {"standardization": "element"},
    "cnn-raw": {"standardization": "none"},
    "cnn-all": {"standardization": "all"},
    "cnn-channels": {"options": {"norm": "channels"}},
    "cnn-offset": {"crop": "offset"},
    "cnn-centre": {"crop": "centre"},
    "parallel-raw": {"standardization": "none"},
    "parallel-element": {"standardization": "element"},
    "parallel-max": {"options": {"pooling": "max"}},
}


@pytest.fixture(scope="module")
def candidates(tensorflow: None) -> dict[str, Any]:
    """Of what the report leaves open."""
    from ser_train.recipe_search import SEARCHES

    return SEARCHES["report"].candidates


def differing(candidate: Any) -> dict[str, Any]:
    """Fields in which a candidate differs from its experiment, but for its being short."""
    recipe, base = candidate.recipe().experiment, EXPERIMENTS[candidate.experiment]
    return {
        field.name: getattr(recipe, field.name)
        for field in dataclasses.fields(Experiment)
        if getattr(recipe, field.name) != getattr(base, field.name) and field.name not in SHORTENED
    }


def test_every_candidate_is_covered_here(candidates: dict[str, Any]) -> None:
    assert set(candidates) == {*BASES, *CHANGES, "cnn-hamming"}


@pytest.mark.parametrize("name", CHANGES)
def test_a_candidate_differs_from_its_experiment_in_one_thing(
    candidates: dict[str, Any], name: str
) -> None:
    assert differing(candidates[name]) == CHANGES[name]


@pytest.mark.parametrize("name", sorted(BASES))
def test_what_the_others_are_compared_with_is_the_experiment(
    candidates: dict[str, Any], name: str
) -> None:
    assert differing(candidates[name]) == {}


def test_the_hamming_candidate_has_other_windows_and_as_many_features(
    candidates: dict[str, Any],
) -> None:
    (spec,) = differing(candidates["cnn-hamming"]).values()
    assert (spec.n_fft, spec.win_length, spec.window) == (1024, 512, "hamming")
    assert spec.shape == MFCC.shape


def test_candidates_of_one_experiment_train_alike(candidates: dict[str, Any]) -> None:
    for experiment in ("cnn", "parallel-mfcc"):
        rows = [row.recipe() for row in candidates.values() if row.experiment == experiment]
        assert len({(row.experiment.learning_rate, row.max_epochs, row.seed) for row in rows}) == 1


def test_a_candidate_is_trained_for_its_epochs_on_clean_clips(candidates: dict[str, Any]) -> None:
    for candidate in candidates.values():
        row = candidate.recipe().experiment
        assert (row.noisy_copies, row.retrain) == (0, False)
        assert row.patience == row.max_epochs == candidate.epochs


@pytest.fixture(scope="module")
def tiny_candidate(candidates: dict[str, Any], small_experiment: Experiment) -> Iterator[Any]:
    """One epoch of `cnn` at 32 x 32, cut from the middle of the clips."""
    from ser_train.recipe_search import Candidate

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, "small", dataclasses.replace(small_experiment, id="small"))
        candidate = Candidate("tiny", "a tiny candidate", "small", 1, {"crop": "centre"})
        patch.setitem(candidates, "tiny", candidate)
        yield candidate


@pytest.fixture(scope="module")
def split(tiny_index: CorpusIndex) -> Split:
    """A split without test clips: whoever scores them finds none."""
    return dataclasses.replace(make_split(tiny_index.clips, "report-labels"), test=())


@pytest.fixture(scope="module")
def run(tiny_index: CorpusIndex, split: Split, cache: Path) -> Callable[..., dict[str, Any]]:
    """Trains a candidate into a folder."""
    from ser_train.progress import TrainingProgress
    from ser_train.recipe_search import run_candidate

    def run(candidate: Any, folder: Path, cache: Path = cache) -> dict[str, Any]:
        return run_candidate(candidate, tiny_index, split, cache, folder, TrainingProgress())

    return run


@pytest.fixture(scope="module")
def trained(
    run: Callable[..., dict[str, Any]],
    tiny_candidate: Any,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[Path, dict[str, Any]]:
    """Folder and history of the tiny candidate; there were no test clips."""
    folder = tmp_path_factory.mktemp("search")
    return folder, run(tiny_candidate, folder)


def test_a_candidate_is_trained_without_any_test_clip(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    assert {name: len(values) for name, values in trained[1].items()} == dict.fromkeys(
        (
            "loss",
            "accuracy",
            "val_loss",
            "val_accuracy",
            "seconds",
            "kept_val_loss",
            "kept_val_accuracy",
        ),
        1,
    )


def test_a_trained_candidate_leaves_recipe_and_history_alone(
    trained: tuple[Path, dict[str, Any]],
) -> None:
    names = {path.name for path in (trained[0] / "tiny").iterdir()}
    assert names == {"recipe.json", "history.json"}


def test_the_recipe_that_was_trained_is_kept(
    trained: tuple[Path, dict[str, Any]], split: Split
) -> None:
    kept = json.loads((trained[0] / "tiny/recipe.json").read_text())
    assert kept["split"] == split.hash
    assert (kept["recipe"]["crop"], kept["recipe"]["max_epochs"]) == ("centre", 1)


def test_a_trained_candidate_is_only_read(
    run: Callable[..., dict[str, Any]],
    trained: tuple[Path, dict[str, Any]],
    tiny_candidate: Any,
    tmp_path: Path,
) -> None:
    again = run(tiny_candidate, trained[0], cache=tmp_path / "no cache")
    assert again == trained[1]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "changes", [{"epochs": 2}, {"changes": {"crop": "start"}}], ids=["epochs", "crop"]
)
def test_another_recipe_of_the_same_name_is_refused(
    run: Callable[..., dict[str, Any]],
    trained: tuple[Path, dict[str, Any]],
    tiny_candidate: Any,
    changes: dict[str, Any],
) -> None:
    with pytest.raises(RunFolderError, match="tiny was made of another recipe"):
        run(dataclasses.replace(tiny_candidate, **changes), trained[0])


def made_up(*accuracies: float) -> dict[str, list[float]]:
    return {
        "val_accuracy": list(accuracies),
        "val_loss": [2 - value for value in accuracies],
        "accuracy": [value / 2 for value in accuracies],
    }


@pytest.fixture
def table(candidates: dict[str, Any], split: Split) -> list[str]:
    """Rows of the table over three made-up candidates."""
    from ser_train.recipe_search import SEARCHES
    from ser_train.recipe_search import search_table

    histories = {
        "parallel-raw": made_up(0.9),
        "cnn-raw": made_up(0.25, 0.5, 0.5),
        "cnn-element": made_up(0.75, 0.625)
        | {"kept_val_accuracy": [0.625], "kept_val_loss": [0.875]},
    }
    return search_table(SEARCHES["report"], histories, split).splitlines()


def test_a_row_says_the_best_epoch_and_what_training_had_there(table: list[str]) -> None:
    (row,) = [line for line in table if line.startswith("| cnn-raw")]
    assert row == "| cnn-raw | raw MFCC | 3 | – | – | 0.500 | 2 | 1.500 | 0.250 |"


def test_a_row_says_what_the_kept_weights_reach(table: list[str]) -> None:
    (row,) = [line for line in table if line.startswith("| cnn-element")]
    assert row.split(" | ")[3:5] == ["0.625", "0.875"]


def test_candidates_stand_by_experiment_the_best_first(table: list[str]) -> None:
    names = [line.split()[1] for line in table if line.startswith(("| cnn", "| parallel"))]
    assert names == ["cnn-element", "cnn-raw", "parallel-raw"]


def test_the_table_says_that_the_test_clips_were_not_scored(table: list[str]) -> None:
    assert "the test clips were not scored" in table[0]


def test_the_command_prints_and_keeps_the_table(
    ser_train: Command, tiny_candidate: Any, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    done = ser_train(
        "recipe-search", "--corpora", tiny_corpora, "--cache", cache, "--only", "tiny",
        "--out", tmp_path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "| tiny | a tiny candidate | 1 |" in done.stdout
    assert done.stdout == (tmp_path / "experiments.md").read_text(encoding="utf-8")


def test_an_unknown_candidate_ends_with_2_and_names_the_known(ser_train: Command) -> None:
    done = ser_train("recipe-search", "--corpora", "x", "--only", "cnn-raw", "cnn-cooked")
    assert done.returncode == 2
    assert "no candidate cnn-cooked; known: cnn-coefficient" in done.stderr


def test_a_candidate_that_needs_teachers_is_refused_before_any_training(
    ser_train: Command, tiny_corpora: Path, tmp_path: Path
) -> None:
    names = ("--only", "compact-start", "compact-taught", "--out", tmp_path / "out")
    ended = ser_train("recipe-search", "--search", "compact", "--corpora", tiny_corpora, *names)
    assert ended.returncode == 2
    assert "compact-taught learns from teachers: name them with --teachers" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_a_candidate_that_begins_with_a_run_is_refused_before_any_training(
    ser_train: Command, tiny_corpora: Path, tmp_path: Path
) -> None:
    names = ("--only", "compact-finish", "--out", tmp_path / "out")
    ended = ser_train("recipe-search", "--search", "compact", "--corpora", tiny_corpora, *names)
    assert ended.returncode == 2
    assert "compact-finish begins with a run: name it with --first-phase" in ended.stderr
    assert not (tmp_path / "out").exists()


def test_candidates_of_compact_differ_in_one_thing_from_what_they_build_on(
    tensorflow: None,
) -> None:
    from ser_train.recipe_search import SEARCHES

    candidates = {
        name: candidate
        for name, candidate in SEARCHES["compact"].candidates.items()
        if not candidate.finish
    }
    long, first = candidates.pop("compact-long"), candidates.pop("compact-centre")
    wider = candidates.pop("compact-wider")
    builds_on = {
        "compact-relative": wider,
        "compact-batch": candidates["compact-relative"],
        "compact-taught": candidates["compact-relative"],
        "compact-fine": candidates["compact-relative"],
        "compact-low": candidates["compact-relative"],
        "compact-taught-alone": candidates["compact-taught"],
    }
    assert long.epochs > first.epochs
    for name, candidate in candidates.items():
        base = builds_on.get(name, first)
        changed = [
            name for name, value in candidate.changes.items() if value != base.changes.get(name)
        ]
        if candidate.taught != base.taught:
            changed.append("taught")
        # Other bands are changed by as much of the spectrum.
        assert len(set(changed) - ({"augmentation"} if "spec" in changed else set())) == 1
        assert first.epochs == candidate.epochs


def test_a_candidate_is_trained_with_its_own_augmentation(
    tensorflow: None,
    run: Callable[..., dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ser_train.compact import family
    from ser_train.compact.augmentation import Augmentation
    from ser_train.recipe_search import Candidate

    used = []
    augmenter = family.WindowAugmenter
    monkeypatch.setattr(
        family, "WindowAugmenter", lambda *given: used.append(given[1]) or augmenter(*given)
    )
    row = EXPERIMENTS["compact"]
    spec = dataclasses.replace(row.spec, n_mels=32, hop=512)
    changes = {"options": {"widths": [4, 4, 8, 8]}, "finish": {}}
    small = dataclasses.replace(row, id="small", spec=spec, **changes)
    monkeypatch.setitem(EXPERIMENTS, "small", small)
    augmentation = Augmentation(mixed=0.25, gain_db=(-1.0, 1.0))
    run(Candidate("plain", "", "small", 1, {"augmentation": augmentation.to_dict()}), tmp_path)
    assert used == [augmentation]
    claim = json.loads((tmp_path / "plain/recipe.json").read_text())
    assert claim["recipe"]["augmentation"]["mixed"] == 0.25
