"""Which run folder `--model` means."""

from __future__ import annotations

import sys
from pathlib import Path

from ser_runtime.errors import RunFolderError
from ser_train.experiments import EXPERIMENTS
from ser_train.experiments import SHORT_NAMES
from ser_train.experiments import find_experiment
from ser_train.run_folder import RunFolder

_WEIGHTS = ("weights.npz", "model.safetensors")


def choose_run(model: str, runs: Path) -> RunFolder:
    """The run that a name or a path means.

    Args:
        model: An experiment id or short name, the path of a run folder (`./cnn` for one of that
            name), or of the weights in one.
        runs: Where run folders are. Of an experiment's complete runs, that on its own protocol
            (right labels) with the lowest seed is taken.

    Raises:
        RunFolderError: If there is no such run, or it is not complete.
        SerError: If `model` is neither a folder nor an experiment.
    """
    model = SHORT_NAMES.get(model, model)
    if model not in EXPERIMENTS:
        path = Path(model)
        if path.name in _WEIGHTS and path.is_file():
            # wav2vec2 has its weights in a folder of their own.
            path = path.parent.parent if path.parent.name == "model" else path.parent
        if path.is_dir():
            return _complete(RunFolder(path))
        if len(Path(model).parts) > 1:
            raise RunFolderError(f"no run folder {model}")
    experiment = find_experiment(model)
    candidates = sorted(runs.glob(f"{experiment.id}-{experiment.protocol}-seed*"), key=_seed)
    for path in candidates:
        if RunFolder(path).complete:
            return RunFolder(path)
    if candidates:
        return _complete(RunFolder(candidates[0]))
    raise RunFolderError(
        f"no run of {experiment.id} on the protocol `{experiment.protocol}` in {runs}: "
        f"train one with `ser-train {experiment.id} --corpora DIR`, or give a run folder, "
        "or the folder of such by --runs (in a clone: train/results, with --corpora DIR)"
    )


def _seed(path: Path) -> tuple[int, str]:
    seed = path.name.rpartition("seed")[2]
    return (int(seed) if seed.isdigit() else sys.maxsize, path.name)


def _complete(run: RunFolder) -> RunFolder:
    if not run.started:
        raise RunFolderError(f"{run.path} is not a run folder: it has no config.json")
    if not run.complete:
        raise RunFolderError(
            f"the training in {run.path} is not complete: run the same `ser-train` again, "
            "it goes on where it stopped"
        )
    return run
