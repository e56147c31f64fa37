"""The report's claims beside committed runs, from predictions with known answers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from made_up_metrics import made_up_metrics

from ser_runtime.errors import RunFolderError
from ser_runtime.labels import EMOTIONS
from ser_train.claims import claims_table
from ser_train.run_folder import VERSION
from ser_train.run_folder import RunFolder

CLIPS = tuple(f"SAVEE/DC_a{number:02d}" for number in range(1, 21))


def made_up(
    folder: Path, experiment: str, right: int, seed: int = 0, **changes: object
) -> RunFolder:
    """A run that recognizes the first `right` of 20 angry clips, and calls the rest sad."""
    run = RunFolder(folder / f"{experiment}-{seed}")
    row = {"id": experiment, "architecture": "cnn", "spec": {}}
    config = {"version": VERSION, "experiment": row, "protocol": "report", "fold": None}
    run.write_json("config", config | {"seed": seed, "max_epochs": 1, "split_hash": "0"})
    metrics = made_up_metrics(
        run.config(),
        clips=len(CLIPS),
        accuracy=right / len(CLIPS),
        standard_split=changes.get("standard_split", True),
        epochs={"trained": 1, "searched": 1, "search_stopped_by_hand": changes.get("cut", False)},
    )
    metrics["per_class"]["surprise"] |= {"f1": 0.875, "f1_interval": [0.8, 0.95]}
    run.write_json("metrics", metrics)
    best = np.where(np.arange(len(CLIPS)) < right, EMOTIONS.index("angry"), EMOTIONS.index("sad"))
    probabilities = np.eye(len(EMOTIONS), dtype=np.float32)[best]
    ids = changes.get("ids", CLIPS)
    run.write_predictions([("test", ids, np.zeros(len(CLIPS), np.int64), probabilities)])
    return run


def row_of(table: str, start: str) -> list[str]:
    (line,) = [line for line in table.splitlines() if line.startswith(f"| {start}")]
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def test_a_claim_has_its_difference_with_the_interval_of_paired_clips(tmp_path: Path) -> None:
    runs = [made_up(tmp_path, "two-cnn", 15), made_up(tmp_path, "cnn", 10)]
    cells = row_of(claims_table(runs), "a second CNN adds little")
    # 5 of 20 clips gained: 0.25, its deviation sqrt(0.25 * 0.75 * 20 / 19) / sqrt(20) * 1.96.
    assert cells[1:] == ["+0.03", "open", "+0.250 (+0.055 to +0.445)"]


def test_a_pair_that_is_not_there_is_open(tmp_path: Path) -> None:
    table = claims_table([made_up(tmp_path, "cnn", 10)])
    assert row_of(table, "MFCC are better")[1:] == ["+0.07", "open", "open"]


def test_the_lowest_seed_counts(tmp_path: Path) -> None:
    runs = [made_up(tmp_path, "cnn", 5, seed=1), made_up(tmp_path, "cnn", 10)]
    cells = row_of(claims_table([*runs, made_up(tmp_path, "two-cnn", 10)]), "a second CNN")
    assert cells[3] == "+0.000 (+0.000 to +0.000)"


def test_surprise_stands_beside_the_reports(tmp_path: Path) -> None:
    cells = row_of(claims_table([made_up(tmp_path, "cnn", 10)]), "surprise is easy (4.6): cnn")
    assert cells[1:] == ["F1 0.96", "open", "F1 0.88 (0.80–0.95)"]


def test_an_experiment_that_is_not_the_reports_has_no_row(tmp_path: Path) -> None:
    runs = [made_up(tmp_path, "cnn", 10), made_up(tmp_path, "compact", 10)]
    assert "compact" not in claims_table(runs)


def test_runs_of_other_test_clips_are_not_compared(tmp_path: Path) -> None:
    others = tuple(clip.replace("DC", "JE") for clip in CLIPS)
    runs = [made_up(tmp_path, "two-cnn", 15, ids=others), made_up(tmp_path, "cnn", 10)]
    with pytest.raises(RunFolderError, match="tested on other clips"):
        claims_table(runs)


def test_runs_on_no_split_of_the_protocol_are_left_out(tmp_path: Path) -> None:
    runs = [
        made_up(tmp_path, "two-cnn", 15, standard_split=False),
        made_up(tmp_path, "cnn", 10),
    ]
    assert row_of(claims_table(runs), "a second CNN adds little")[1:] == ["+0.03", "open", "open"]


def test_searches_that_were_cut_are_told_of(tmp_path: Path) -> None:
    whole = made_up(tmp_path, "two-cnn", 15)
    assert "stopped by hand" not in claims_table([whole])
    assert "stopped by hand" in claims_table([whole, made_up(tmp_path, "cnn", 10, cut=True)])
