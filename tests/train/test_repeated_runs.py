"""Means over runs of one recipe."""

from __future__ import annotations

from collections.abc import Callable
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from made_up_metrics import made_up_metrics

from ser_train.repeated_runs import means_table
from ser_train.run_folder import RunFolder

SPEAKERS = [f"CREMA-D/{1001 + number}_IEO_ANG_HI" for number in range(20)]
MakeRun = Callable[..., RunFolder]


@pytest.fixture
def make_run(tmp_path: Path) -> MakeRun:
    """Writes a run on 20 clips, of 20 speakers, of which so many are right."""

    def make(
        right: int,
        seed: int = 0,
        fold: str | None = None,
        protocol: str = "report",
        ids: Sequence[str] = SPEAKERS,
        **recipe: str,
    ) -> RunFolder:
        run = RunFolder(tmp_path / f"{protocol}-{fold}-{seed}{''.join(recipe.values())}")
        experiment = {"id": "cnn", "architecture": "cnn", "spec": {}, **recipe}
        config = {"protocol": protocol, "fold": fold, "seed": seed, "max_epochs": 1}
        config |= {"version": 1, "split_hash": "0", "experiment": experiment}
        run.write_json("config", config)
        classes = np.zeros(20, np.int64)
        probabilities = np.zeros((20, 7), np.float32)
        probabilities[range(20), [0] * right + [1] * (20 - right)] = 1.0
        figures = {"accuracy": right / 20, "macro_f1": 0.5, "clips": 20}
        run.write_json("metrics", made_up_metrics(config, **figures))
        run.write_predictions(
            [(name, ids, classes, probabilities) for name in ("validation", "test")]
        )
        return run

    return make


def cells(table: str) -> list[list[str]]:
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]


def test_seeds_of_one_recipe_have_a_mean(make_run: MakeRun) -> None:
    runs = [make_run(10), make_run(14, seed=1), make_run(12, seed=2)]
    ((name, which, mean, ends, _),) = cells(means_table(runs))
    assert (name, which, ends) == ("cnn on report", "seeds 0, 1, 2", "0.500–0.700")
    assert mean.startswith("0.600 (0.")
    low, high = (float(end) for end in mean[7:-1].split("–"))
    # Clips 11 to 14 are right in some of the runs: 20 draws of the mean's own spread.
    assert low == pytest.approx(0.6 - 1.96 * spread_of_the_mean(), abs=0.04)
    assert high == pytest.approx(0.6 + 1.96 * spread_of_the_mean(), abs=0.04)


def spread_of_the_mean() -> float:
    of_clip = np.array([3] * 10 + [2] * 2 + [1] * 2 + [0] * 6) / 3
    return float(of_clip.std() / np.sqrt(20))


def test_folds_go_together_and_protocols_do_not(make_run: MakeRun) -> None:
    others = [name.replace("/1", "/2") for name in SPEAKERS]
    folds = [
        make_run(10, fold=fold, protocol="speaker-independent", ids=ids)
        for fold, ids in (("1", SPEAKERS), ("2", others))
    ]
    rows = cells(means_table([make_run(9), *folds]))
    assert [row[:2] for row in rows] == [["cnn on speaker-independent", "folds 1, 2"]]


@pytest.mark.filterwarnings("error")
def test_folds_of_few_speakers_are_in_every_draw(make_run: MakeRun) -> None:
    def fold_of(first: int, speakers: int) -> RunFolder:
        sentences = ("IEO", "TIE", "IOM", "IWW", "TAI")
        ids = [
            f"CREMA-D/{first + n % speakers}_{sentences[n // speakers]}_ANG_HI" for n in range(20)
        ]
        return make_run(10, fold=str(first), protocol="speaker-independent", ids=ids)

    ((_, _, mean, *_),) = cells(means_table([fold_of(1001, 5), fold_of(2001, 20)]))
    low, high = (float(end) for end in mean.removeprefix("0.500 (").removesuffix(")").split("–"))
    assert low < 0.5 < high
    ((_, _, mean, *_),) = cells(means_table([fold_of(1001, 4), fold_of(2001, 20)]))
    assert mean == "0.500"


def test_another_recipe_is_no_repetition_but_other_words_are(make_run: MakeRun) -> None:
    first = make_run(10)
    assert means_table([first, make_run(12, seed=1, crop="centre")]) == ""
    assert "seeds 0, 2" in means_table([first, make_run(12, seed=2, title="other words")])


def test_what_was_taught_is_another_recipe_whoever_taught_it(make_run: MakeRun) -> None:
    runs = [make_run(10), make_run(12, seed=1), make_run(14, seed=2)]
    for run, digest in zip(runs[1:], ("a", "b"), strict=True):
        teaching = {"teachers": [{"experiment": "cnn", "sha256": digest}], "share": 1, "views": 2}
        run.write_json("config", run.config() | {"teaching": teaching})
    ((name, which, *_),) = cells(means_table(runs))
    assert (name, which) == ("cnn, taught, on report", "seeds 1, 2")


def test_a_run_alone_has_no_mean(make_run: MakeRun) -> None:
    assert means_table([make_run(10)]) == means_table([]) == ""
