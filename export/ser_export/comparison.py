"""Model files at hand, scored on the same clips and timed in turn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ser_export.converter_output import quiet_converters
from ser_export.export_clips import TEST
from ser_export.export_clips import ClipSet
from ser_export.export_clips import ExportClips
from ser_export.export_clips import find_split
from ser_export.export_clips import read_audio
from ser_export.int8_choice import SLOWER
from ser_export.latency import Latency
from ser_export.latency import measure_latencies
from ser_export.peak_memory import peak_memory
from ser_export.progress import Progress
from ser_export.record import recorded_parameters
from ser_export.verification import Verification
from ser_export.verification import compare
from ser_export.workbench import probabilities
from ser_runtime.errors import UsageError
from ser_runtime.feature_spec import FeatureSpec
from ser_runtime.features import compute_features
from ser_runtime.model import Model
from ser_train.corpora import read_corpora
from ser_train.model_clips import split_named
from ser_train.run_folder import RunFolder

_TIMED_WINDOWS = 32

COLUMNS = (
    "file",
    "size",
    "parameters",
    "accuracy",
    "macro-F1",
    "– first",
    "largest difference",
    "same best class",
    "p50",
    "p95",
    "peak memory",
)
NOTE = (
    "On the test clips; differences from the first file: of macro-F1, of a probability. p50 and "
    "p95: times of one window at one thread, by those of the first file, measured in turn. Peak "
    "memory: of a process that recognizes with it, interpreter and libraries included."
)


@dataclass(frozen=True)
class Compared:
    """A file among others.

    Attributes:
        path: The file.
        bytes: Its size.
        parameters: Of the network, as the record beside the file has them; None without one.
        verification: Against the first file.
        latency: Relative to the first file.
        peak_memory_mib: Of a process that recognizes with it; None where the system does not tell.
    """

    path: Path
    bytes: int
    parameters: int | None
    verification: Verification
    latency: Latency
    peak_memory_mib: float | None


def compare_files(
    paths: Sequence[Path],
    run: Path | None,
    corpora: Path | None,
    cache: Path,
    progress: Progress,
) -> list[Compared]:
    """Set model files beside the first of them.

    Args:
        paths: Of the files; made from runs on the same split.
        run: Folder that holds the features of the test clips; else `corpora` is needed.
        corpora: Folder of the corpora.
        cache: Of what is known of the clips.
        progress: Told what is being done.

    Raises:
        ModelFileError: If a file cannot be used.
        UsageError: If the files, or the run, are of different splits, or the run does not hold what
            a file takes.
        RunFolderError: If the run is damaged, or the corpora are others than the files'.
    """
    for path in paths:
        if not path.is_file():
            # Names of the package's models are no files, which size and memory are measured on.
            raise UsageError(f"no model file {path}")
    with quiet_converters():
        models = [Model.open(path) for path in paths]
    _require_one_split(paths, models, run)
    clips = _of_run(paths, models, run) if run else _of_corpora(models, corpora, cache, progress)
    found = []
    for path, model, taken in zip(paths, models, clips, strict=True):
        progress.step(f"scoring the test clips with {path}")
        found.append(probabilities(model, taken.inputs))
    progress.step("timing the files")
    names = [f"{number} {path}" for number, path in enumerate(paths)]
    windows = [taken.inputs[:_TIMED_WINDOWS] for taken in clips]
    latencies = measure_latencies(
        dict(zip(names, models, strict=True)), dict(zip(names, windows, strict=True))
    )
    return [
        Compared(
            path=path,
            bytes=path.stat().st_size,
            parameters=recorded_parameters(path),
            verification=compare(taken.classes, found[0], answers),
            latency=latencies[name],
            peak_memory_mib=peak_memory(path),
        )
        for path, taken, answers, name in zip(paths, clips, found, names, strict=True)
    ]


def rows(compared: Sequence[Compared]) -> list[list[str]]:
    """A row of `COLUMNS` for each file."""
    first = compared[0].verification
    return [
        [
            item.path.name,
            f"{item.bytes / 1e6:.3f} MB",
            "–" if item.parameters is None else f"{item.parameters:,}",
            f"{item.verification.accuracy:.4f}",
            f"{item.verification.macro_f1:.4f}",
            f"{item.verification.macro_f1 - first.macro_f1:+.4f}",
            f"{item.verification.largest_difference:.1e}",
            f"{item.verification.agreement:.2%}",
            f"{item.latency.relative:.2f}" + (" slower" if item.latency.relative > SLOWER else ""),
            f"{item.latency.relative_p95:.2f}",
            "–" if item.peak_memory_mib is None else f"{item.peak_memory_mib:.0f} MiB",
        ]
        for item in compared
    ]


def _require_one_split(paths: Sequence[Path], models: Sequence[Model], run: Path | None) -> None:
    """Figures of different test clips, or labels, compare with nothing."""
    splits = [(str(path), _split_of(model)) for path, model in zip(paths, models, strict=True)]
    if run is not None:
        config = RunFolder(run).config()
        fold = f"-{config['fold']}" if config["fold"] else ""
        splits.append((str(run), (config["protocol"] + fold, config["split_hash"])))
    (name, first), *others = splits
    for other, split in others:
        if split != first:
            raise UsageError(
                f"{name} is of the split {' '.join(first)}, {other} of {' '.join(split)}: only "
                "files of one split can be compared"
            )


def _split_of(model: Model) -> tuple[str, str]:
    return model.metadata.protocol, model.metadata.split_hash


def _of_run(paths: Sequence[Path], models: Sequence[Model], run: Path) -> list[ClipSet]:
    folder = RunFolder(run)
    for path, model in zip(paths, models, strict=True):
        if model.takes_waveform or model.spec != folder.spec():
            what = "audio" if model.takes_waveform else "other features"
            raise UsageError(
                f"{path} takes {what}, which {run} does not hold: compare with --corpora DIR"
            )
    clips = ExportClips(folder).features(TEST)
    return [clips] * len(models)


def _of_corpora(
    models: Sequence[Model], corpora: Path | None, cache: Path, progress: Progress
) -> list[ClipSet]:
    """What each model takes, of the audio of the test clips."""
    assert corpora is not None
    index = read_corpora(corpora, cache / "corpora.json", progress.clips)
    protocol, fold = _protocol(models[0])
    split_hash = models[0].metadata.split_hash
    index, split = find_split(index, protocol, fold, split_hash, models[0].source)
    progress.step("reading the test clips")
    made: dict[object, ClipSet] = {}
    for model in models:
        key = _inputs(model)
        if key not in made:
            audio = read_audio(index, split, split.test, model.spec, model.metadata.crop)
            inputs = audio.inputs if model.takes_waveform else _features(audio.inputs, model)
            made[key] = ClipSet(audio.ids, audio.classes, inputs)
    return [made[_inputs(model)] for model in models]


def _inputs(model: Model) -> tuple[bool, FeatureSpec, str]:
    """Models of which this is equal take the same inputs."""
    return model.takes_waveform, model.spec, model.metadata.crop


def _protocol(model: Model) -> tuple[str, str | None]:
    """Key of `PROTOCOLS` and fold that a file's metadata names."""
    name = model.metadata.protocol
    if (named := split_named(name)) is None:
        raise UsageError(f"{model.source} is of the protocol {name!r}, unknown to this version")
    return named


def _features(audio: NDArray[np.float32], model: Model) -> NDArray[np.float32]:
    return np.stack([compute_features(window, model.spec) for window in audio])
