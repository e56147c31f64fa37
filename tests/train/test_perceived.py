"""Predictions beside made-up votes, by hand and by brute force."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import CorporaError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_train.cli import main
from ser_train.corpora import CorpusIndex
from ser_train.model_clips import ModelClips
from ser_train.perceived import Perceiver
from ser_train.perceived import measure_perceived
from ser_train.perceived import perceive_with_model
from ser_train.perceived import perceived_table

ANGRY, HAPPY, SAD = (EMOTIONS.index(name) for name in ("angry", "happy", "sad"))
COMMITTED = Path(__file__).resolve().parents[2] / "train" / "results"
HEADER = '"","A","D","F","H","N","S","fileName","numResponses"'


def votes_for(**counts: int) -> np.ndarray:
    return np.array([counts.get(emotion, 0) for emotion in EMOTIONS])


def figures(
    probabilities: list[list[float]], intended: list[int], votes: list[np.ndarray]
) -> dict[str, Any]:
    ids = tuple(f"CREMA-D/{number}" for number in range(len(intended)))
    perceiver = Perceiver(
        "made up", "report", ids, ids, np.array(intended), np.array(probabilities, np.float32)
    )
    return measure_perceived(perceiver, dict(zip(ids, votes, strict=True)))


def sure(emotion: int, confidence: float = 0.94) -> list[float]:
    return [confidence if n == emotion else (1 - confidence) / 6 for n in range(7)]


@pytest.fixture
def three() -> dict[str, float]:
    """Listeners hear anger, are divided, and hear sadness where joy was meant."""
    measured = figures(
        [sure(ANGRY), sure(SAD), sure(HAPPY)],
        [ANGRY, SAD, HAPPY],
        [votes_for(angry=8, sad=2), votes_for(angry=5, sad=5), votes_for(sad=9, happy=1)],
    )
    assert (measured["clips"], measured["votes"], measured["without_majority"]) == (3, 30, 1)
    return {name: row["value"] for name, row in measured["figures"].items()}


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("prediction is the majority's", 1 / 2),
        ("majority is the intended emotion", 1 / 2),
        ("listeners who agree with the prediction", (0.8 + 0.5 + 0.1) / 3),
        ("listeners who agree with the intended emotion", (0.8 + 0.5 + 0.1) / 3),
        ("prediction is the intended emotion", 1.0),
        # Of the divided five and five, each is outvoted by the others.
        ("a listener's vote is the majority's of the others", (0.8 + 0.0 + 0.9) / 3),
    ],
)
def test_agreement_by_hand(three: dict[str, float], name: str, wanted: float) -> None:
    assert three[name] == pytest.approx(wanted)


def test_cross_entropies_by_hand() -> None:
    measured = figures(
        [[0.5, 0, 0, 0, 0, 0.5, 0], [0.25, 0, 0, 0, 0, 0.75, 0]],
        [ANGRY, SAD],
        [votes_for(angry=5, sad=5), votes_for(sad=4)],
    )
    values = [row["value"] for name, row in measured["figures"].items() if "ame, " in name]
    prediction = measured["figures"]["cross-entropy of the votes and the prediction (nats)"]
    assert prediction["value"] == pytest.approx((math.log(2) - math.log(0.75)) / 2)
    mean_votes = (0.5 * math.log(1 / 0.25) + 0.5 * math.log(1 / 0.75) + math.log(1 / 0.75)) / 2
    assert values == pytest.approx([mean_votes, math.log(2) / 2])


def test_a_sure_and_wrong_prediction_has_a_finite_cross_entropy() -> None:
    measured = figures([[1, 0, 0, 0, 0, 0, 0]], [SAD], [votes_for(sad=3)])
    value = measured["figures"]["cross-entropy of the votes and the prediction (nats)"]["value"]
    assert 20 < value < 40


def test_listeners_against_the_others_is_what_counting_each_one_gives() -> None:
    rng = np.random.default_rng(0)
    counts = [rng.multinomial(7, rng.dirichlet(np.ones(7))) for _ in range(60)]
    shares = []
    for row in counts:
        listeners = [emotion for emotion, votes in enumerate(row) for _ in range(votes)]
        agreeing = []
        for number, vote in enumerate(listeners):
            others = Counter(listeners[:number] + listeners[number + 1 :]).most_common()
            if len(others) == 1 or others[0][1] > others[1][1]:
                agreeing.append(vote == others[0][0])
        if agreeing:
            shares.append(np.mean(agreeing))
    measured = figures([sure(SAD)] * 60, [SAD] * 60, counts)["figures"]
    found = measured["a listener's vote is the majority's of the others"]["value"]
    assert found == pytest.approx(np.mean(shares))


def test_without_any_majority_there_is_no_figure_of_one() -> None:
    measured = figures([sure(SAD)] * 2, [SAD] * 2, [votes_for(sad=1, angry=1)] * 2)
    assert measured["figures"]["prediction is the majority's"]["value"] is None
    assert "| prediction is the majority's | – |" in perceived_table(measured)


def test_a_figure_lies_within_its_interval() -> None:
    rng = np.random.default_rng(0)
    measured = figures(
        rng.dirichlet(np.ones(7), 50).tolist(),
        rng.integers(6, size=50).tolist(),
        [rng.multinomial(10, [1 / 6] * 6 + [0]) for _ in range(50)],
    )
    for name, row in measured["figures"].items():
        low, high = row["interval"]
        assert low < row["value"] < high, name


def test_a_clip_without_votes_is_named() -> None:
    perceiver = Perceiver(
        "x", "report", ("CREMA-D/1",), ("CREMA-D/1",), np.array([SAD]), np.array([sure(SAD)])
    )
    with pytest.raises(CorporaError, match=r"none on CREMA-D/1 \(1 clips\)"):
        measure_perceived(perceiver, {})


def test_a_model_recognizes_the_clips_of_crema_d_alone(
    made_up_model: Path, tiny_index: CorpusIndex
) -> None:
    chosen = tiny_index.clips[:2] + tiny_index.clips[-2:]
    assert {clip.corpus for clip in chosen} == {"CREMA-D", "TESS"}
    clips = ModelClips(chosen, np.arange(4), tuple(clip.id for clip in chosen))
    heard: list[tuple[int, int]] = []
    model = Model.open(made_up_model)
    perceiver = perceive_with_model(model, clips, lambda *counts: heard.append(counts))
    assert perceiver.ids == tuple(clip.id for clip in chosen[:2])
    assert perceiver.classes.tolist() == [0, 1]
    assert heard == [(1, 2), (2, 2)]
    np.testing.assert_allclose(perceiver.probabilities.sum(axis=1), 1, atol=1e-5)


def test_clips_without_votes_of_any_kind_are_refused(
    made_up_model: Path, tiny_index: CorpusIndex
) -> None:
    clips = ModelClips(tiny_index.clips[-2:], np.arange(2), ("a", "b"))
    with pytest.raises(CorporaError, match="none of the 2 test clips is of CREMA-D"):
        perceive_with_model(Model.open(made_up_model), clips)


Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def ser_train(capsys: pytest.CaptureFixture[str]) -> Run:
    """Runs `ser-train` in this process; returns exit code, stdout and stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(argument) for argument in arguments])
        return (ended.value.code, *capsys.readouterr())

    return run


@pytest.fixture(scope="module")
def votes_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Votes on every CREMA-D clip of the committed run, all for what was intended."""
    columns = {"ANG": 0, "DIS": 1, "FEA": 2, "HAP": 3, "NEU": 4, "SAD": 5}
    lines = [HEADER]
    rows = (COMMITTED / "cnn-report-seed0" / "predictions.csv").read_text().splitlines()
    names = [row.split(",")[1] for row in rows if row.startswith("test,CREMA-D/")]
    for number, name in enumerate(names):
        stem = name.split("/")[1]
        counts = [9 if column == columns[stem.split("_")[2]] else 0 for column in range(6)]
        lines.append(f'"{100_000 + number}",{",".join(map(str, counts))},"{stem}",9')
    path = tmp_path_factory.mktemp("votes") / "tabulatedVotes.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


def test_the_command_compares_a_run_with_the_votes(
    ser_train: Run, votes_file: Path, tmp_path: Path
) -> None:
    run = COMMITTED / "cnn-report-seed0"
    code, out, err = ser_train("perceived", run, "--votes", votes_file, "--out", tmp_path)
    assert code == 0, err
    assert out == (tmp_path / "table.md").read_text(encoding="utf-8")
    stored = json.loads((tmp_path / "perceived.json").read_text(encoding="utf-8"))["figures"]
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    wanted = metrics["per_corpus"]["CREMA-D"]["accuracy"]
    assert stored["prediction is the intended emotion"]["value"] == pytest.approx(wanted)
    assert stored["listeners who agree with the prediction"]["value"] == pytest.approx(wanted)
    assert stored["majority is the intended emotion"]["value"] == 1.0


def test_a_missing_table_of_votes_ends_with_6(ser_train: Run, tmp_path: Path) -> None:
    run = COMMITTED / "cnn-report-seed0"
    code, _, err = ser_train("perceived", run, "--votes", tmp_path / "none.csv")
    assert code == 6
    assert "processedResults/tabulatedVotes.csv" in err
    assert len(err.splitlines()) == 1


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        (["cnn"], "a model file needs --corpora DIR"),
        (["cnn", COMMITTED / "cnn-report-seed0"], "give one model file, or run folders alone"),
        (["cnn", "cnn"], "give one model file, or run folders alone"),
    ],
    ids=["no corpora", "model and run", "two models"],
)
def test_wrong_use_ends_with_2(
    ser_train: Run, votes_file: Path, sources: list[object], message: str
) -> None:
    code, _, err = ser_train("perceived", *sources, "--votes", votes_file)
    assert code == 2
    assert message in err
