"""What the report claims of its models, beside what the committed runs say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ser_runtime.errors import RunFolderError
from ser_train.report_tables import report_table
from ser_train.run_folder import RunFolder
from ser_train.run_report import read_test_clips

_NORMAL_95 = 1.959964
_PROTOCOLS = ("report-labels", "report")


@dataclass(frozen=True)
class Claim:
    """That one experiment is more accurate than another.

    Attributes:
        text: As the report puts it, and where.
        better: An experiment.
        worse: The one that it is compared with.
    """

    text: str
    better: str
    worse: str


CLAIMS = (
    Claim("MFCC are better than mel spectrograms (4.6)", "parallel-mfcc", "parallel-mel"),
    Claim("the same, with noise (4.6)", "parallel-mfcc-aug", "parallel-mel-aug"),
    Claim("noisy copies help: MFCC (4.5.2)", "parallel-mfcc-aug", "parallel-mfcc"),
    Claim("noisy copies help: mel (4.5.2)", "parallel-mel-aug", "parallel-mel"),
    Claim("a second CNN adds little (4.4.1)", "two-cnn", "cnn"),
    Claim("the Transformer makes up for noise (4.5.2)", "parallel-mfcc", "two-cnn"),
)
_EASY = "surprise"


def claims_table(runs: Sequence[RunFolder]) -> str:
    """Every claim as Markdown, with what is there; pairs that are not are said to be open.

    Differences are of the same test clips and paired; their 95 % interval is over clips, of one
    training seed each.

    Args:
        runs: Complete; of several seeds of an experiment the lowest counts, and no run on other
            clips than the protocol's.

    Raises:
        RunFolderError: If a run is damaged.
    """
    chosen = _by_experiment(runs)
    lines = [
        "| the report says | its figures | "
        + " | ".join(f"`{name}`" for name in _PROTOCOLS)
        + " |",
        "| --- | --- | --- | --- |",
    ]
    for claim in CLAIMS:
        cells = [
            _difference(chosen.get((claim.better, name)), chosen.get((claim.worse, name)))
            for name in _PROTOCOLS
        ]
        better, worse = report_table(claim.better), report_table(claim.worse)
        printed = f"{better.accuracy - worse.accuracy:+.2f}" if better and worse else "–"
        lines.append(
            f"| {claim.text}: {claim.better} − {claim.worse} | {printed} | {' | '.join(cells)} |"
        )
    experiments = sorted({experiment for experiment, _ in chosen})
    for experiment in experiments:
        if (printed_table := report_table(experiment)) is None:
            continue  # the report says nothing of it
        cells = [_easy(chosen.get((experiment, name))) for name in _PROTOCOLS]
        printed = f"F1 {printed_table.per_class[_EASY]['f1']:.2f}"
        lines.append(f"| {_EASY} is easy (4.6): {experiment} | {printed} | {' | '.join(cells)} |")
    note = (
        "Accuracy, paired over the same test clips, 95 % interval over clips; one seed. With "
        "`report-labels` all SAVEE clips are called surprise, as in the report; with `report` "
        f"every clip has its right label.{_stopped(chosen)}"
    )
    return "\n".join([*lines, "", note]) + "\n"


def _stopped(chosen: dict[tuple[str, str], RunFolder]) -> str:
    """What must be known of searches that had no time to end."""
    if not any(run.metrics()["epochs"]["search_stopped_by_hand"] for run in chosen.values()):
        return ""
    return (
        " Searches for the best epoch were stopped by hand, after different numbers of epochs "
        "(`table.md`): a longer one may turn a difference round."
    )


def _by_experiment(runs: Sequence[RunFolder]) -> dict[tuple[str, str], RunFolder]:
    chosen: dict[tuple[str, str], tuple[int, RunFolder]] = {}
    for run in runs:
        metrics = run.metrics()
        if not metrics["standard_split"]:
            continue  # other clips: nothing to pair
        key, seed = (metrics["experiment"], metrics["protocol"]), metrics["seed"]
        if key not in chosen or seed < chosen[key][0]:
            chosen[key] = (seed, run)
    return {key: run for key, (_, run) in chosen.items()}


def _difference(better: RunFolder | None, worse: RunFolder | None) -> str:
    if better is None or worse is None:
        return "open"
    first, second = read_test_clips(better), read_test_clips(worse)
    right = dict(zip(second.ids, second.right, strict=True))
    if set(first.ids) != set(right):
        raise RunFolderError(f"{better.path} and {worse.path} were tested on other clips")
    gains = np.array(
        [float(a) - float(right[i]) for i, a in zip(first.ids, first.right, strict=True)]
    )
    mean = float(gains.mean())
    margin = _NORMAL_95 * float(gains.std(ddof=1)) / math.sqrt(len(gains))
    return f"{mean:+.3f} ({mean - margin:+.3f} to {mean + margin:+.3f})"


def _easy(run: RunFolder | None) -> str:
    if run is None:
        return "open"
    figures = run.metrics()["per_class"][_EASY]
    low, high = figures["f1_interval"]
    return f"F1 {figures['f1']:.2f} ({low:.2f}–{high:.2f})"
