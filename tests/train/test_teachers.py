"""Learning from teachers: who may teach, what they judge, and the training on it."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_train.compact.augmentation import Augmentation
from ser_train.corpora import CorpusIndex
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import Experiment
from ser_train.run_folder import RunFolder
from ser_train.splits import Split
from ser_train.splits import make_split

Command = Callable[..., CompletedProcess[str]]
VIEWS, SHARE, EPOCHS = 3, 0.75, 2


@pytest.fixture(scope="module")
def split(tiny_index: CorpusIndex) -> Split:
    return make_split(tiny_index.clips, "report", None)


@pytest.fixture(scope="module")
def teacher_run(
    tensorflow: None,
    tiny_index: CorpusIndex,
    split: Split,
    small_compact: Experiment,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:
    """A complete run of one epoch."""
    from ser_train.families import family
    from ser_train.run import Run
    from ser_train.run import complete_run
    from ser_train.training import Recipe

    folder = RunFolder(tmp_path_factory.mktemp("teacher") / "run")
    run = Run(Recipe(small_compact, 5, 1), tiny_index, split, folder)
    kind = family("compact")
    complete_run(run, lambda: kind.load_data(tiny_index, split, small_compact, cache))
    return folder


@pytest.fixture
def teaching(teacher_run: RunFolder, split: Split, small_compact: Experiment) -> Any:
    from ser_train.teachers import Teaching
    from ser_train.teachers import find_teachers

    return Teaching(find_teachers([teacher_run.path], split, small_compact), SHARE, VIEWS)


@pytest.fixture(scope="module")
def data(
    tensorflow: None,
    tiny_index: CorpusIndex,
    split: Split,
    small_compact: Experiment,
    tmp_path_factory: pytest.TempPathFactory,
) -> Any:
    from ser_train.families import family

    cache = tmp_path_factory.mktemp("cache")
    return family("compact").load_data(tiny_index, split, small_compact, cache)


@pytest.fixture(scope="module")
def views(data: Any) -> Any:
    from ser_train.compact.augmentation import WindowAugmenter
    from ser_train.compact.taught_batches import Views

    return Views(data.train, WindowAugmenter(data.clips, Augmentation()))


def test_a_view_has_every_clip_once_and_is_the_same_each_time(views: Any, data: Any) -> None:
    drawn = [views.draw(1, group) for group in range(views.groups)]
    samples = np.concatenate([which for which, _ in drawn])
    assert sorted(samples) == list(range(len(data.train)))
    for group, (which, windows) in enumerate(drawn):
        again, same = views.draw(1, group)
        np.testing.assert_array_equal(which, again)
        np.testing.assert_array_equal(windows, same)
    assert not np.array_equal(views.draw(2, 0)[0], drawn[0][0])


def epoch_of(data: Any, views: Any, judgements: np.ndarray, epoch: int) -> Any:
    from ser_train.compact.taught_batches import TaughtBatches

    settings = Augmentation(mixed=0.0, masks=0, label_smoothing=0.1)
    return TaughtBatches(data.train, views, judgements, settings, SHARE, 32, (0, epoch))


def test_targets_are_what_the_teachers_say_and_the_label(views: Any, data: Any) -> None:
    rng = np.random.default_rng(0)
    judgements = rng.dirichlet(np.ones(7), (1, len(data.train))).astype(np.float16)
    batches = epoch_of(data, views, judgements, 1)
    place_of = {}
    for group in range(views.groups):
        which, windows = views.draw(0, group)
        for sample, place, window in zip(which, views.places(group), windows, strict=True):
            place_of[data.train.standardization(window[None]).tobytes()] = sample, place
    met = []
    for number in range(len(batches)):
        for window, target in zip(*batches[number], strict=True):
            sample, place = place_of[window[None].tobytes()]
            label = np.full(7, 0.1 / 7)
            label[data.train.classes[sample]] += 0.9
            wanted = SHARE * judgements[0, place].astype(np.float64) + (1 - SHARE) * label
            np.testing.assert_allclose(target, wanted, atol=1e-6)
            met.append(sample)
    assert sorted(met) == list(range(len(data.train)))


def test_all_views_are_met_before_one_comes_again(views: Any, data: Any) -> None:
    marked = np.zeros((VIEWS, len(data.train), len(EMOTIONS)), np.float16)
    marked[np.arange(VIEWS), :, np.arange(VIEWS)] = 1
    viewed = []
    for epoch in range(1, 2 * VIEWS + 1):
        _, targets = epoch_of(data, views, marked, epoch)[0]
        viewed.append(int(targets.mean(axis=0).argmax()))
    for start in (0, VIEWS):
        assert sorted(viewed[start : start + VIEWS]) == list(range(VIEWS))


def test_a_taught_training_that_was_stopped_ends_as_the_unbroken_one(
    teaching: Any, data: Any, small_compact: Experiment, teacher_run: RunFolder, tmp_path: Path
) -> None:
    from ser_train.families import family
    from ser_train.training import Recipe

    class Stopped(Exception):  # noqa: N818
        pass

    def stop(phase: str, epoch: int, batch: int, batches: int, metrics: dict) -> None:
        if (phase, epoch, batch) == ("search", 2, 2):
            raise Stopped

    kind, recipe = family("compact"), Recipe(small_compact, 0, EPOCHS, teaching=teaching)
    unbroken, _ = kind.train(recipe, data, tmp_path / "unbroken.npz")
    on_labels, _ = kind.train(Recipe(small_compact, 0, EPOCHS), data, tmp_path / "labels.npz")
    aside = teacher_run.weights.with_suffix(".aside")
    teacher_run.weights.rename(aside)
    try:
        with pytest.raises(Stopped):
            kind.train(recipe, data, tmp_path / "checkpoint.npz", progress=stop)
        # What the teachers said is in the cache: they are not asked again.
        resumed, _ = kind.train(recipe, data, tmp_path / "checkpoint.npz")
    finally:
        aside.rename(teacher_run.weights)
    for weights, wanted in zip(resumed.get_weights(), unbroken.get_weights(), strict=True):
        np.testing.assert_array_equal(weights, wanted)
    assert any(
        not np.array_equal(*pair)
        for pair in zip(unbroken.get_weights(), on_labels.get_weights(), strict=True)
    )


def test_teachers_teach_in_the_last_phase_alone(
    teaching: Any, teacher_run: RunFolder, data: Any, small_compact: Experiment, tmp_path: Path
) -> None:
    from ser_train.families import family
    from ser_train.first_phase import read_first_phase
    from ser_train.training import Recipe

    kind = family("compact")
    finish = {"epochs": 1, "learning_rate": 1e-3, "augmentation": {"noisy": 0.0}}
    row = dataclasses.replace(small_compact, finish=finish)

    def trained(name: str, **given: Any) -> list[Any]:
        model, _ = kind.train(Recipe(row, 5, 1, **given), data, tmp_path / f"{name}.npz")
        return model.get_weights()

    # The teacher's own training is the first phase: it had no teachers.
    first = read_first_phase(teacher_run.path)
    behind = trained("behind", teaching=teaching, first_phase=first)
    for weights, wanted in zip(trained("whole", teaching=teaching), behind, strict=True):
        np.testing.assert_array_equal(weights, wanted)
    on_labels = trained("labels", first_phase=first)
    assert any(not np.array_equal(*pair) for pair in zip(behind, on_labels, strict=True))


def test_judgements_are_the_teachers_probabilities(
    teaching: Any, views: Any, data: Any, small_compact: Experiment, tmp_path: Path
) -> None:
    from ser_train.compact.taught_batches import cached_judgements
    from ser_train.families import family

    shape = small_compact.spec.shape
    judged = cached_judgements(teaching, views, {}, shape, tmp_path)
    assert judged.shape == (VIEWS, len(data.train), len(EMOTIONS))
    teacher = teaching.teachers[0]
    _, model = family("compact").restore(teacher.run, teacher.experiment, data)
    _, windows = views.draw(2, 1)
    answer = model.predict_on_batch(teacher.run.standardization()(windows))
    np.testing.assert_allclose(judged[2, views.places(1)], answer, atol=1e-3)


def test_the_configuration_tells_who_taught(
    teaching: Any,
    teacher_run: RunFolder,
    tiny_index: CorpusIndex,
    split: Split,
    small_compact: Experiment,
) -> None:
    from ser_train.run import Run
    from ser_train.training import Recipe

    taught = Run(Recipe(small_compact, 5, 1, teaching=teaching), tiny_index, split, teacher_run)
    (teacher,) = taught.config()["teaching"]["teachers"]
    assert teacher["experiment"] == "compact"
    assert taught.differs_in() == ["teaching"]


@pytest.fixture
def copy(teacher_run: RunFolder, tmp_path: Path) -> RunFolder:
    shutil.copytree(teacher_run.path, tmp_path / "copy")
    return RunFolder(tmp_path / "copy")


def test_the_same_weights_do_not_count_twice(
    teacher_run: RunFolder, copy: RunFolder, split: Split, small_compact: Experiment
) -> None:
    from ser_train.teachers import find_teachers

    with pytest.raises(UsageError, match="the same weights"):
        find_teachers([teacher_run.path, copy.path], split, small_compact)


def test_a_teacher_of_other_training_clips_is_refused(
    teacher_run: RunFolder, tiny_index: CorpusIndex, small_compact: Experiment
) -> None:
    from ser_train.teachers import find_teachers

    other = make_split(tiny_index.clips, "speaker-independent", "1")
    with pytest.raises(RunFolderError, match="other clips than speaker-independent-1"):
        find_teachers([teacher_run.path], other, small_compact)


def test_a_teacher_of_other_features_is_refused(teacher_run: RunFolder, split: Split) -> None:
    from ser_train.teachers import find_teachers

    with pytest.raises(RunFolderError, match="other features than compact"):
        find_teachers([teacher_run.path], split, EXPERIMENTS["compact"])


def test_a_teacher_without_weights_is_refused(
    copy: RunFolder, split: Split, small_compact: Experiment
) -> None:
    from ser_train.teachers import find_teachers

    copy.weights.unlink()
    with pytest.raises(RunFolderError, match="cannot read the weights"):
        find_teachers([copy.path], split, small_compact)


def test_an_unfinished_run_does_not_teach(
    copy: RunFolder, split: Split, small_compact: Experiment
) -> None:
    from ser_train.teachers import find_teachers

    (copy.path / "metrics.json").unlink()
    with pytest.raises(RunFolderError, match=r"metrics\.json"):
        find_teachers([copy.path], split, small_compact)


def test_the_command_refuses_a_teacher_of_another_family(
    ser_train: Command, tiny_run: Path, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    done = ser_train(
        "compact",
        "--teachers",
        tiny_run,
        "--corpora",
        tiny_corpora,
        "--cache",
        cache,
        "--out",
        tmp_path / "runs",
    )
    assert done.returncode == UsageError.exit_code
    assert "compact learns from runs of the family compact alone" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_a_candidate_that_is_taught_needs_teachers(tensorflow: None) -> None:
    from ser_train.recipe_search import SEARCHES

    candidate = SEARCHES["compact"].candidates["compact-taught"]
    with pytest.raises(UsageError, match="name them with --teachers"):
        candidate.recipe()
