"""The content of a model file, with what it says of itself."""

from __future__ import annotations

import dataclasses
from typing import Any

import onnx

from ser_export.formats import Format
from ser_export.source import Source
from ser_runtime.labels import EMOTIONS
from ser_runtime.litert_metadata import write_litert_metadata
from ser_runtime.model_metadata import ModelMetadata

LICENCE = (
    "Weights for research and non-commercial use only: trained on RAVDESS (CC BY-NC-SA 4.0), "
    "TESS (CC BY-NC-ND 4.0), SAVEE (research only) and CREMA-D (ODbL 1.0)."
)
_MODEL_VERSION = "1"


def stamped(content: bytes, kind: Format, metadata: ModelMetadata) -> bytes:
    """The content of a file with its metadata, in place of any that it has."""
    properties = metadata.to_properties()
    if kind.runtime == "litert":
        return write_litert_metadata(content, properties)
    graph = onnx.ModelProto.FromString(content)
    onnx.helper.set_model_props(graph, properties)
    return graph.SerializeToString(deterministic=True)


def describe(source: Source, kind: Format) -> ModelMetadata:
    """What a file says of itself, but for the figures that are measured on it: zeros so far.

    Raises:
        RunFolderError: If the run is damaged.
    """
    run, metrics = source.run, source.run.metrics()
    fold = f"-{metrics['fold']}" if metrics["fold"] else ""
    return ModelMetadata(
        name=metrics["experiment"],
        model_version=_MODEL_VERSION,
        spec=run.spec(),
        standardization=source.standardization,
        labels=EMOTIONS,
        quantization="none" if kind.precision == "fp32" else kind.id,
        protocol=metrics["protocol"] + fold,
        split_hash=metrics["split_hash"],
        test_accuracy=0.0,
        test_macro_f1=0.0,
        report_accuracy=metrics.get("report", {}).get("accuracy"),
        temperature=metrics["temperature"],
        confidence_threshold=metrics["confidence_threshold"],
        licence=LICENCE,
        note=_note(metrics),
        input="waveform" if kind.from_waveform or source.takes_audio else "features",
        crop=run.crop(),
    )


def with_figures(metadata: ModelMetadata, accuracy: float, macro_f1: float) -> ModelMetadata:
    """The metadata with what the file itself reached on the test clips."""
    return dataclasses.replace(metadata, test_accuracy=accuracy, test_macro_f1=macro_f1)


def with_settings(metadata: ModelMetadata, level: str, threads: int) -> ModelMetadata:
    """The metadata with how ONNX Runtime is to open the file; by default nothing is written."""
    return dataclasses.replace(metadata, graph_optimization=level, threads=threads)


def _note(metrics: dict[str, Any]) -> str:
    epochs = metrics["epochs"]
    note = f"Trained for {epochs['trained']} epochs, the best of {epochs['searched']} searched"
    if epochs["search_stopped_by_hand"]:
        note += " (stopped by hand, before the recipe's own end)"
    return f"{note}."
