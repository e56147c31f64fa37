"""A model's self-description: there and back, and what is refused."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import numpy as np
import pytest

from ser_runtime.errors import FeatureSpecError
from ser_runtime.errors import ModelFileError
from ser_runtime.model_metadata import ModelMetadata
from ser_runtime.standardization import Standardization


def changed(metadata: ModelMetadata, field: str, value: Any) -> dict[str, str]:
    return metadata.to_properties() | {f"ser_edge.{field}": json.dumps(value)}


REQUIRED = [
    field.name
    for field in dataclasses.fields(ModelMetadata)
    if field.default is dataclasses.MISSING
]


@pytest.fixture(scope="module")
def waveform(metadata: ModelMetadata) -> ModelMetadata:
    return dataclasses.replace(metadata, input="waveform")


def test_properties_hold_every_field(waveform: ModelMetadata) -> None:
    names = {field.name for field in dataclasses.fields(ModelMetadata)} | {"format_version"}
    other = dataclasses.replace(waveform, graph_optimization="basic", threads=2, crop="loudest")
    assert set(other.to_properties()) == {f"ser_edge.{name}" for name in names}


def test_a_field_at_its_default_is_left_out_for_earlier_versions(
    metadata: ModelMetadata, waveform: ModelMetadata
) -> None:
    names = {*REQUIRED, "format_version"}
    assert set(metadata.to_properties()) == {f"ser_edge.{name}" for name in names}
    assert metadata.to_properties()["ser_edge.format_version"] == "1"
    assert waveform.to_properties()["ser_edge.format_version"] == "2"


def test_what_the_model_takes_survives_the_model_file(
    metadata: ModelMetadata, waveform: ModelMetadata
) -> None:
    inputs = [ModelMetadata.from_properties(m.to_properties()).input for m in (metadata, waveform)]
    assert inputs == ["features", "waveform"]


def test_metadata_survive_the_model_file(metadata: ModelMetadata) -> None:
    back = ModelMetadata.from_properties(metadata.to_properties() | {"others": "ignored"})
    assert back.to_properties() == metadata.to_properties()
    assert back.spec == metadata.spec
    assert back.labels == metadata.labels


def test_a_figure_that_the_report_does_not_print_may_be_none(metadata: ModelMetadata) -> None:
    back = ModelMetadata.from_properties(changed(metadata, "report_accuracy", None))
    assert back.report_accuracy is None


@pytest.mark.parametrize("properties", [{}, {"author": "somebody"}])
def test_a_file_without_metadata_is_refused(properties: dict[str, str]) -> None:
    with pytest.raises(ModelFileError, match="no ser-edge metadata"):
        ModelMetadata.from_properties(properties)


@pytest.mark.parametrize("text", ["", "{", "nan", "'one'", "[" * 100_000])
def test_a_value_that_is_no_json_is_refused(metadata: ModelMetadata, text: str) -> None:
    with pytest.raises(ModelFileError, match="damaged"):
        ModelMetadata.from_properties(metadata.to_properties() | {"ser_edge.note": text})


@pytest.mark.parametrize("field", REQUIRED)
def test_a_missing_field_is_refused_by_its_name(metadata: ModelMetadata, field: str) -> None:
    properties = metadata.to_properties()
    del properties[f"ser_edge.{field}"]
    with pytest.raises(ModelFileError, match=field):
        ModelMetadata.from_properties(properties)


def test_an_unknown_field_is_refused_by_its_name(metadata: ModelMetadata) -> None:
    with pytest.raises(ModelFileError, match="speaker_model"):
        ModelMetadata.from_properties(changed(metadata, "speaker_model", 1))


def test_metadata_without_a_version_are_refused(metadata: ModelMetadata) -> None:
    properties = metadata.to_properties()
    del properties["ser_edge.format_version"]
    with pytest.raises(ModelFileError, match="format_version"):
        ModelMetadata.from_properties(properties)


@pytest.mark.parametrize("version", [0, 3, "1", None])
def test_another_version_is_refused(metadata: ModelMetadata, version: Any) -> None:
    with pytest.raises(ModelFileError, match="version"):
        ModelMetadata.from_properties(changed(metadata, "format_version", version))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", 0),
        ("temperature", 1e-40),
        ("temperature", -1.0),
        ("temperature", "1.5"),
        ("temperature", None),
        ("temperature", float("nan")),
        ("temperature", float("inf")),
        ("confidence_threshold", -0.1),
        ("confidence_threshold", [0.5]),
        ("test_accuracy", "high"),
        ("labels", []),
        ("labels", [1, 2, 3]),
        ("labels", 7),
        ("labels", None),
        ("standardization", None),
        ("standardization", {}),
        ("input", "spectrogram"),
        ("input", None),
        ("input", ["waveform"]),
    ],
)
def test_a_value_that_cannot_be_is_refused_by_its_field(
    metadata: ModelMetadata, field: str, value: Any
) -> None:
    with pytest.raises(ModelFileError, match=field):
        ModelMetadata.from_properties(changed(metadata, field, value))


@pytest.mark.parametrize("shape", [(94, 1), (1, 94), (128, 93), (128,), ()])
def test_standardization_of_another_shape_is_refused(
    metadata: ModelMetadata, shape: tuple[int, ...]
) -> None:
    wrong = Standardization(np.zeros(shape, np.float32), np.ones(shape, np.float32))
    with pytest.raises(ModelFileError, match="standardization has shape"):
        ModelMetadata.from_properties(changed(metadata, "standardization", wrong.to_dict()))


@pytest.mark.parametrize("spec", [None, [], {"n_mels": 128}])
def test_a_damaged_spec_is_refused(metadata: ModelMetadata, spec: Any) -> None:
    with pytest.raises(FeatureSpecError):
        ModelMetadata.from_properties(changed(metadata, "spec", spec))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("graph_optimization", "most"),
        ("threads", 0),
        ("threads", 17),
        ("threads", 1.5),
        ("crop", "end"),
    ],
)
def test_optional_fields_that_cannot_be_are_refused(
    metadata: ModelMetadata, field: str, value: object
) -> None:
    properties = dataclasses.replace(metadata, **{field: value}).to_properties()
    with pytest.raises(ModelFileError, match=field):
        ModelMetadata.from_properties(properties)
