"""Which run folder `--model` means."""

from __future__ import annotations

from pathlib import Path

from ser_runtime.errors import RunFolderError
from ser_train.experiments import find_experiment
from ser_train.run_folder import RunFolder


def choose_run(model: str, runs: Path) -> RunFolder:
    """The run that a name or a path means.

    Args:
        model: An experiment id, or the path of a run folder.
        runs: Where run folders are. Of an experiment's complete runs, that on the protocol
            `report` (right labels) with the lowest seed is taken.

    Raises:
        RunFolderError: If there is no such run, or it is not complete.
        SerError: If `model` is neither a folder nor an experiment.
    """
    if Path(model).is_dir():
        return _complete(RunFolder(Path(model)))
    if "/" in model:
        raise RunFolderError(f"no run folder {model}")
    experiment = find_experiment(model)
    candidates = sorted(runs.glob(f"{experiment.id}-report-seed*"))
    for path in candidates:
        if RunFolder(path).complete:
            return RunFolder(path)
    if candidates:
        return _complete(RunFolder(candidates[0]))
    raise RunFolderError(
        f"no run of {experiment.id} on the protocol `report` in {runs}: "
        f"train one with `ser-train {experiment.id} --corpora DIR`, or give a run folder"
    )


def _complete(run: RunFolder) -> RunFolder:
    if not run.started:
        raise RunFolderError(f"{run.path} is not a run folder: it has no config.json")
    if not run.complete:
        raise RunFolderError(
            f"the training in {run.path} is not complete: run the same `ser-train` again, "
            "it goes on where it stopped"
        )
    return run
