"""The state of a training between two epochs, in one file: plain arrays, nothing to execute."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import RunFolderError
from ser_train.checkpoint import TrainingState


def save_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, state: TrainingState
) -> None:
    """Write weights, optimizer and state.

    Raises:
        StorageError: If the disk is full; an earlier checkpoint stays as it was.
    """
    arrays = {f"weight{i}": value for i, value in enumerate(get_weights(network))}
    for i, parameter in enumerate(network.parameters()):
        # One that got no gradient yet, as of a layer that was always dropped, has no state.
        for name, value in optimizer.state.get(parameter, {}).items():
            arrays[f"optimizer{i} {name}"] = value.detach().cpu().numpy()
    for i, value in enumerate(state.best_weights or []):
        arrays[f"best{i}"] = value
    facts = {"phase": state.phase, "history": state.history, "best_epoch": state.best_epoch}
    arrays["state"] = np.array(json.dumps(facts))
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def load_checkpoint(
    path: Path, network: nn.Module, optimizer: torch.optim.Optimizer
) -> TrainingState:
    """Read a checkpoint into a network and its optimizer.

    Raises:
        RunFolderError: If the file is damaged or of another network.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            arrays = dict(stored)
        facts: dict[str, Any] = json.loads(str(arrays.pop("state")))
        count = len(network.state_dict())
        set_weights(network, [arrays.pop(f"weight{i}") for i in range(count)])
        best = [arrays.pop(f"best{i}") for i in range(count)] if "best0" in arrays else None
        parameters = list(network.parameters())
        for key, value in arrays.items():
            number, name = key.removeprefix("optimizer").split(" ")
            parameter = parameters[int(number)]
            # Adam keeps its count of steps on the CPU.
            device = "cpu" if name == "step" else parameter.device
            optimizer.state[parameter][name] = torch.from_numpy(value).to(device)
        return TrainingState(facts["phase"], facts["history"], facts["best_epoch"], best)
    except (
        OSError,
        ValueError,
        KeyError,
        IndexError,
        TypeError,
        EOFError,
        zipfile.BadZipFile,
    ) as error:
        raise RunFolderError(
            f"the checkpoint {path} is damaged or of another network ({error}): "
            "remove it, or start anew with --fresh"
        ) from error


def get_weights(network: nn.Module) -> list[NDArray[Any]]:
    """Copies of all weights, in the order of the network's `state_dict`."""
    return [value.detach().cpu().numpy().copy() for value in network.state_dict().values()]


def set_weights(network: nn.Module, weights: list[NDArray[Any]]) -> None:
    """Put weights of `get_weights` into a network of the same architecture.

    Raises:
        ValueError: If they are of another one.
    """
    own = network.state_dict().values()
    if [tuple(value.shape) for value in own] != [value.shape for value in weights]:
        raise ValueError("its weights have other shapes")
    for value, stored in zip(own, weights, strict=True):
        value.copy_(torch.from_numpy(stored))
