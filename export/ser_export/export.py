"""One model file from one run: converted, verified, stamped, tried in the runtime, published."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray

from ser_export.latency import measure_latency
from ser_export.onnx_conversion import convert_to_onnx
from ser_export.onnx_conversion import stamp
from ser_export.verification import Verification
from ser_export.verification import compare
from ser_export.verification import measured_probabilities
from ser_runtime.atomic_file import atomic_path
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import VerificationError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_runtime.model_metadata import ModelMetadata
from ser_train.architectures import ARCHITECTURES
from ser_train.architectures import make_architecture
from ser_train.run_folder import RunFolder
from ser_train.run_folder import StoredSet
from ser_train.weights import load_weights

LICENCE = (
    "Weights for research and non-commercial use only: trained on RAVDESS (CC BY-NC-SA 4.0), "
    "TESS (CC BY-NC-ND 4.0), SAVEE (research only) and CREMA-D (ODbL 1.0)."
)
_MODEL_VERSION = "1"
_BATCH = 64


@dataclass(frozen=True)
class Exported:
    """A published model file.

    Attributes:
        path: The file.
        bytes: Its size.
        sha256: Its hash.
        verification: Against Keras, on the test clips.
        run_accuracy: The run's own, on the same clips.
        run_macro_f1: As `run_accuracy`.
        report: The run's comparison with the report; None if it printed no table.
        latency_ms: Median and 95th percentile of one window at one thread.
    """

    path: Path
    bytes: int
    sha256: str
    verification: Verification
    run_accuracy: float
    run_macro_f1: float
    report: dict[str, Any] | None
    latency_ms: tuple[float, float]


def export_onnx(run: RunFolder, path: Path) -> Exported:
    """Write a run's model as an fp32 ONNX file, if it is the model that was trained.

    Args:
        run: A complete run folder.
        path: Of the file; `<stem>.export.json` is written beside it.

    Raises:
        RunFolderError: If the run is missing, incomplete or damaged.
        VerificationError: If the file does not agree with Keras; nothing is published then.
        StorageError: If the disk is full.
    """
    metrics, test = run.metrics(), run.read_set("test")
    measured = measured_probabilities(run.read_predictions("test"), test.ids)
    model = load_model(run)
    graph = convert_to_onnx(model)
    inputs = run.standardization()(test.features)
    original = np.asarray(model.predict(inputs, batch_size=_BATCH, verbose=0), np.float32)
    verification = compare(test.classes, original, measured, _run_graph(graph, inputs))
    verification.require()
    stamp(graph, _metadata(run, metrics, verification))
    record_path = path.with_suffix(".export.json")
    # Both or neither: the record is written before the model takes its place.
    with atomic_path(record_path) as record, atomic_path(path) as temporary:
        onnx.save(graph, temporary)
        opened = Model.open(temporary)
        _require_same_in_runtime(opened, test, original)
        content = temporary.read_bytes()
        exported = Exported(
            path=path,
            bytes=len(content),
            sha256=hashlib.sha256(content).hexdigest(),
            verification=verification,
            run_accuracy=metrics["accuracy"],
            run_macro_f1=metrics["macro_f1"],
            report=metrics.get("report"),
            latency_ms=measure_latency(opened, test.features[:32]),
        )
        facts = asdict(exported) | {"path": path.name, "format": "onnx-fp32", "run": run.path.name}
        record.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return exported


def load_model(run: RunFolder) -> keras.Model:
    """The trained Keras model of a run.

    Raises:
        RunFolderError: If the weights are missing, damaged, or of another architecture.
    """
    experiment = run.config()["experiment"]
    name = experiment["architecture"]
    if name not in ARCHITECTURES:
        raise RunFolderError(f"{run.path} has the architecture {name!r}, unknown to this version")
    model = make_architecture(name, run.spec().shape, experiment.get("options"))
    load_weights(run.weights, model)
    return model


def _run_graph(graph: onnx.ModelProto, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    session = onnxruntime.InferenceSession(
        graph.SerializeToString(), providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    blocks = range(0, len(inputs), _BATCH)
    return np.concatenate([session.run(None, {name: inputs[i : i + _BATCH]})[0] for i in blocks])


def _metadata(run: RunFolder, metrics: dict[str, Any], verification: Verification) -> ModelMetadata:
    epochs = metrics["epochs"]
    note = f"Trained for {epochs['trained']} epochs, the best of {epochs['searched']} searched"
    if epochs["search_stopped_by_hand"]:
        note += " (stopped by hand, before the recipe's own end)"
    fold = f"-{metrics['fold']}" if metrics["fold"] else ""
    return ModelMetadata(
        name=metrics["experiment"],
        model_version=_MODEL_VERSION,
        spec=run.spec(),
        standardization=run.standardization(),
        labels=EMOTIONS,
        quantization="none",
        protocol=metrics["protocol"] + fold,
        split_hash=metrics["split_hash"],
        test_accuracy=verification.accuracy,
        test_macro_f1=verification.macro_f1,
        report_accuracy=metrics.get("report", {}).get("accuracy"),
        temperature=metrics["temperature"],
        confidence_threshold=metrics["confidence_threshold"],
        licence=LICENCE,
        note=f"{note}.",
    )


def _require_same_in_runtime(model: Model, test: StoredSet, original: NDArray[np.float32]) -> None:
    """The stamped file, opened as the device opens it, window by window."""
    count = min(len(test.ids), _BATCH)
    probabilities = np.concatenate(
        [model.raw_probabilities(test.features[i : i + 1]) for i in range(count)]
    )
    try:
        first = original[:count]
        compare(test.classes[:count], first, first, probabilities).require()
    except VerificationError as error:
        raise VerificationError(f"in the runtime itself: {error}") from error
