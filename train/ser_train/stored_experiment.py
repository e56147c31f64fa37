"""The experiment of a stored run, as its configuration has it."""

from __future__ import annotations

import dataclasses
from typing import Any

from ser_runtime.errors import RunFolderError
from ser_train.architectures import ARCHITECTURES
from ser_train.experiments import Experiment
from ser_train.families import FAMILIES
from ser_train.features.standardize import SCALES
from ser_train.run_folder import RunFolder


def stored_experiment(row: dict[str, Any], run: RunFolder) -> Experiment:
    """The row of the registry as it was when the run was trained.

    Raises:
        RunFolderError: If it has fields, or an architecture, unknown to this version.
    """
    known = {field.name for field in dataclasses.fields(Experiment)}
    unknown = set(row) - known
    values = {"family": FAMILIES, "standardization": SCALES}
    if row.get("family", "features") in ("features", "compact"):
        values["architecture"] = ARCHITECTURES
    for name, known_values in values.items():
        if name in row and row[name] not in known_values:
            unknown.add(f"{name} {row[name]!r}")
    if unknown:
        what = ", ".join(sorted(unknown))
        raise RunFolderError(f"{run.path} was made by another version: {what} is unknown here")
    try:
        return Experiment(**{**row, "spec": run.spec(), "needs": tuple(row.get("needs", ()))})
    except TypeError as error:
        raise RunFolderError(f"{run.path}/config.json is damaged: {error}") from error
