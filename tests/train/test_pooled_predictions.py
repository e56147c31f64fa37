"""Hand-made predictions of several runs, put together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from made_up_metrics import made_up_metrics

from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.labels import EMOTIONS
from ser_runtime.temperature import apply_temperature
from ser_train.metrics import NEVER
from ser_train.pooled_predictions import pool_predictions
from ser_train.pooled_predictions import read_scored
from ser_train.run_folder import RunFolder

ANGRY, SAD = EMOTIONS.index("angry"), EMOTIONS.index("sad")
Row = tuple[str, int, int, float]
MakeRun = Callable[..., RunFolder]


def probabilities(rows: list[Row]) -> np.ndarray:
    """The recognized emotion at its confidence, the rest shared by the others."""
    values = np.array([np.full(7, (1 - row[3]) / 6) for row in rows], np.float32)
    values[range(len(rows)), [row[2] for row in rows]] = [row[3] for row in rows]
    return values


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run of test rows (id, right, recognized, confidence), and of validation rows."""

    def make(
        name: str,
        test: list[Row],
        validation: list[Row] | None = None,
        temperature: float = 1.0,
        **facts: object,
    ) -> RunFolder:
        run = RunFolder(tmp_path / name)
        validation = validation or [("TESS/YAF_back_sad", SAD, SAD, 0.7)]
        config = {"protocol": "speaker-independent", "fold": "1", "seed": 0, "max_epochs": 1}
        config |= {"experiment": {"id": "cnn", "architecture": "cnn", "spec": {}}}
        config = {"version": 1, "split_hash": "0", **config, **facts}
        run.write_json("config", config)
        figures = {"temperature": temperature, "clips": len(test)}
        figures["accuracy"] = float(np.mean([row[1] == row[2] for row in test]))
        run.write_json("metrics", made_up_metrics(config, **figures))
        run.write_predictions(
            [
                (which, [r[0] for r in rows], np.array([r[1] for r in rows]), probabilities(rows))
                for which, rows in (("validation", validation), ("test", test))
            ]
        )
        return run

    return make


ONE: Row = ("SAVEE/DC_sa01", SAD, SAD, 0.9)
TWO: Row = ("SAVEE/JE_a01", ANGRY, SAD, 0.5)


def test_test_clips_of_all_runs_stand_one_after_the_other(make_run: MakeRun) -> None:
    pool = pool_predictions([make_run("one", [ONE]), make_run("two", [TWO])])
    assert (pool.experiment, pool.protocol) == ("cnn", "speaker-independent")
    assert pool.runs == ("one", "two")
    assert pool.ids == (ONE[0], TWO[0])
    assert pool.run_of.tolist() == [0, 1]
    assert pool.right.tolist() == [True, False]


def test_each_run_has_its_own_temperature(make_run: MakeRun) -> None:
    pool = pool_predictions([make_run("one", [ONE], temperature=2.0), make_run("two", [TWO])])
    wanted = apply_temperature(probabilities([ONE]), 2.0)[0]
    np.testing.assert_allclose(pool.calibrated[0], wanted, atol=1e-5)
    np.testing.assert_array_equal(pool.calibrated[1], pool.raw[1])
    assert pool.confidence[0] == pytest.approx(wanted.max(), abs=1e-5)


def test_each_runs_threshold_is_chosen_on_its_validation_clips(make_run: MakeRun) -> None:
    good = [("TESS/YAF_back_sad", SAD, SAD, 0.8), ("TESS/YAF_dog_sad", SAD, ANGRY, 0.6)]
    bad = [("TESS/YAF_back_sad", SAD, ANGRY, 0.8)]
    pool = pool_predictions([make_run("one", [ONE], good), make_run("two", [TWO], bad)])
    assert pool.thresholds == (pytest.approx(0.8), NEVER)


def test_the_threshold_is_of_calibrated_confidence(make_run: MakeRun) -> None:
    validation = [("TESS/YAF_back_sad", SAD, SAD, 0.8)]
    pool = pool_predictions([make_run("one", [ONE], validation, temperature=2.0)])
    wanted = apply_temperature(probabilities(validation), 2.0).max()
    assert pool.thresholds == (pytest.approx(wanted, abs=1e-5),)


def test_held_out_speakers_are_the_clusters(make_run: MakeRun) -> None:
    assert pool_predictions([make_run("one", [ONE, TWO])]).clusters == ("SAVEE DC", "SAVEE JE")


def test_shared_speakers_are_no_clusters(make_run: MakeRun) -> None:
    pool = pool_predictions([make_run("one", [ONE, TWO], protocol="report", fold=None)])
    assert pool.clusters == pool.ids


def test_predictions_that_do_not_fit_the_accuracy_are_refused(make_run: MakeRun) -> None:
    run = make_run("one", [ONE, TWO, ("SAVEE/JE_a02", ANGRY, SAD, 0.5)])
    run.write_json("metrics", run.metrics() | {"accuracy": 1.0})
    with pytest.raises(RunFolderError, match=r"accuracy of 1\.0, predictions\.csv has 0\.3333"):
        read_scored(run, "test")


def test_runs_of_different_recipes_are_refused(make_run: MakeRun) -> None:
    wider = {"id": "cnn", "architecture": "cnn", "spec": {}, "options": {"widths": [32]}}
    runs = [make_run("one", [ONE]), make_run("two", [TWO], experiment=wider)]
    with pytest.raises(UsageError, match="different recipes"):
        pool_predictions(runs)
    teaching = {"teachers": [{"experiment": "cnn", "sha256": "a"}], "share": 1, "views": 2}
    runs = [make_run("three", [ONE]), make_run("four", [TWO], teaching=teaching)]
    with pytest.raises(UsageError, match="different recipes"):
        pool_predictions(runs)


def test_a_recipe_is_the_same_in_whatever_order_it_is_written(make_run: MakeRun) -> None:
    experiment = {"id": "cnn", "architecture": "cnn", "spec": {}}
    otherwise = dict(reversed(experiment.items()))
    runs = [make_run("one", [ONE]), make_run("two", [TWO], experiment=otherwise)]
    assert pool_predictions(runs).runs == ("one", "two")


def test_a_clip_that_two_runs_of_one_seed_tested_is_refused(make_run: MakeRun) -> None:
    runs = [make_run("one", [ONE, TWO]), make_run("two", [TWO])]
    with pytest.raises(UsageError, match=r"SAVEE/JE_a01 would count twice: .*one and .*two"):
        pool_predictions(runs)


def test_a_run_that_is_given_twice_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(UsageError, match="would count twice"):
        pool_predictions([make_run("one", [ONE])] * 2)


def test_other_seeds_may_test_a_clip_again(make_run: MakeRun) -> None:
    pool = pool_predictions([make_run("one", [ONE]), make_run("two", [ONE], seed=1)])
    assert pool.ids == (ONE[0], ONE[0])


@pytest.mark.parametrize(
    "facts",
    [
        {"experiment": {"id": "two-cnn", "architecture": "two-cnn", "spec": {}}},
        {"protocol": "report"},
    ],
    ids=["experiment", "protocol"],
)
def test_runs_of_different_kinds_are_refused(make_run: MakeRun, facts: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="only runs of one experiment and protocol go together"):
        pool_predictions([make_run("one", [ONE]), make_run("two", [TWO], **facts)])


def test_an_unknown_protocol_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(RunFolderError, match="'random' is unknown"):
        pool_predictions([make_run("one", [ONE], protocol="random")])


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot read"),
        ("set,clip\ntest,x\n", "cannot read"),
        (f"set,clip,emotion,{','.join(EMOTIONS)}\ntest,x,bored,1,0,0,0,0,0,0\n", "cannot read"),
        (f"set,clip,emotion,{','.join(EMOTIONS)}\n", "holds no test clip"),
    ],
    ids=["missing", "without columns", "unknown emotion", "without test clips"],
)
def test_damaged_predictions_are_refused(
    make_run: MakeRun, content: str | None, message: str
) -> None:
    run = make_run("one", [ONE])
    (run.path / "predictions.csv").unlink()
    if content is not None:
        (run.path / "predictions.csv").write_text(content)
    with pytest.raises(RunFolderError, match=message):
        read_scored(run, "test")


def test_a_name_that_is_no_clip_is_refused(make_run: MakeRun) -> None:
    with pytest.raises(RunFolderError, match="SAVEE/nobody"):
        pool_predictions([make_run("one", [("SAVEE/nobody", SAD, SAD, 0.9)])])


def test_predictions_that_lack_clips_are_refused(make_run: MakeRun) -> None:
    run = make_run("one", [ONE, TWO])
    path = run.path / "predictions.csv"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:-1]))
    with pytest.raises(RunFolderError, match="1 test clips of 2"):
        read_scored(run, "test")
