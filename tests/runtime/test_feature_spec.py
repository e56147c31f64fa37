"""What a feature spec refuses, and how it travels."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ser_runtime.errors import FeatureSpecError
from ser_runtime.feature_spec import MEL
from ser_runtime.feature_spec import MFCC
from ser_runtime.feature_spec import FeatureSpec

LN = FeatureSpec(n_fft=1024, win_length=512, window="hamming", log="ln", top_db=None)
OTHER_VALUES: dict[str, Any] = {
    "sample_rate": 22_050,
    "window_samples": 32_000,
    "n_fft": 4096,
    "win_length": 1024,
    "window": "hamming",
    "hop": 256,
    "n_mels": 200,
    "mel_scale": "htk",
    "mel_norm": None,
    "fmin": 50.0,
    "fmax": 7_600.0,
    "log": "ln",
    "floor": 1e-6,
    "top_db": None,
    "n_mfcc": 40,
}


@pytest.mark.parametrize(("spec", "shape"), [(MFCC, (128, 94)), (MEL, (128, 188))])
def test_the_reports_specs_have_its_shapes(spec: FeatureSpec, shape: tuple[int, int]) -> None:
    assert spec.shape == shape


def test_window_seconds_follow_samples_and_rate() -> None:
    assert MFCC.window_seconds == 3.0


@pytest.mark.parametrize("name", ["sample_rate", "window_samples", "n_fft", "hop", "n_mels"])
@pytest.mark.parametrize("value", [0, -1, 512.0, "512", True, None])
def test_a_count_that_is_no_positive_integer_is_refused(name: str, value: Any) -> None:
    with pytest.raises(FeatureSpecError, match=name):
        FeatureSpec(**{name: value})


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("window", "kaiser"),
        ("window", None),
        ("mel_scale", "bark"),
        ("mel_norm", "l2"),
        ("log", "log10"),
        ("n_fft", 2049),
        ("win_length", 4096),
        ("fmin", "0"),
        ("fmax", None),
        ("floor", 0.0),
        ("floor", -1e-10),
        ("floor", float("nan")),
        ("floor", "1e-10"),
        ("top_db", 0.0),
        ("top_db", -80.0),
        ("top_db", float("nan")),
        ("n_mfcc", 0),
        ("n_mfcc", 129),
        ("n_mfcc", 12.0),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(name: str, value: Any) -> None:
    with pytest.raises(FeatureSpecError, match=name):
        FeatureSpec(**{name: value})


def test_a_top_db_that_is_no_number_is_refused() -> None:
    with pytest.raises(FeatureSpecError, match="top_db"):
        FeatureSpec(top_db="80")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["floor", "top_db"])
def test_an_infinite_value_is_refused(name: str) -> None:
    with pytest.raises(FeatureSpecError, match=name):
        FeatureSpec(**{name: float("inf")}, n_mfcc=128)


def test_top_db_needs_decibels() -> None:
    with pytest.raises(FeatureSpecError, match="top_db"):
        FeatureSpec(log="ln", top_db=80.0)


@pytest.mark.parametrize("band", [{"fmin": -1.0}, {"fmin": 8_000.0}, {"fmax": 8_001.0}])
def test_mel_bands_beyond_the_spectrum_are_refused(band: dict[str, float]) -> None:
    with pytest.raises(FeatureSpecError, match="mel bands"):
        FeatureSpec(**band)


@pytest.mark.parametrize("spec", [MFCC, MEL, LN])
def test_a_spec_survives_json(spec: FeatureSpec) -> None:
    assert FeatureSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec


def test_a_field_of_a_later_version_is_refused_by_its_name() -> None:
    with pytest.raises(FeatureSpecError, match="pre_emphasis"):
        FeatureSpec.from_dict(MFCC.to_dict() | {"pre_emphasis": 0.97})


@pytest.mark.parametrize("name", list(OTHER_VALUES))
def test_a_missing_field_is_refused_by_its_name(name: str) -> None:
    fields = MFCC.to_dict()
    del fields[name]
    with pytest.raises(FeatureSpecError, match=name):
        FeatureSpec.from_dict(fields)


def test_what_is_no_mapping_is_refused() -> None:
    with pytest.raises(FeatureSpecError, match="list"):
        FeatureSpec.from_dict([])  # type: ignore[arg-type]


def test_the_other_values_cover_every_field() -> None:
    assert set(OTHER_VALUES) == {field.name for field in dataclasses.fields(FeatureSpec)}


@pytest.mark.parametrize(("name", "value"), OTHER_VALUES.items())
def test_any_changed_field_changes_the_hash(name: str, value: Any) -> None:
    without_clip = dataclasses.replace(MFCC, top_db=None) if name == "log" else MFCC
    assert dataclasses.replace(without_clip, **{name: value}).hash != without_clip.hash


def test_equal_specs_have_equal_hashes() -> None:
    assert FeatureSpec(n_mfcc=128).hash == MFCC.hash
