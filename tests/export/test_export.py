"""One model file from one run."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

from ser_export.export_clips import ExportClips
from ser_export.formats import FORMATS
from ser_export.formats import formats_of
from ser_export.progress import Progress
from ser_export.record import Decisions
from ser_export.record import record_path
from ser_export.verification import Floor
from ser_runtime.errors import RunFolderError
from ser_runtime.errors import UsageError
from ser_runtime.errors import VerificationError
from ser_runtime.labels import EMOTIONS
from ser_runtime.model import Model
from ser_train.run_folder import RunFolder

Export = Callable[..., Any]


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> Model:
    return Model.open(tiny_model)


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> RunFolder:
    return RunFolder(tiny_run)


def rewrite_weights(run: RunFolder, change: Any) -> None:
    """Change the arrays of a run's weights."""
    with np.load(run.weights) as stored:
        arrays = {name: change(stored[name]) for name in stored.files}
    with run.weights.open("wb") as file:
        np.savez(file, **arrays)


def test_the_file_takes_the_features_of_the_run(model: Model, run: RunFolder) -> None:
    assert model.spec == run.spec()


def test_the_file_standardizes_as_the_run_did(model: Model, run: RunFolder) -> None:
    wanted = run.standardization()
    np.testing.assert_array_equal(model.metadata.standardization.mean, wanted.mean)
    np.testing.assert_array_equal(model.metadata.standardization.deviation, wanted.deviation)


def test_the_file_names_the_emotions_in_their_order(model: Model) -> None:
    assert model.labels == EMOTIONS


@pytest.mark.parametrize(
    ("field", "metric"),
    [
        ("name", "experiment"),
        ("protocol", "protocol"),
        ("split_hash", "split_hash"),
        ("temperature", "temperature"),
        ("confidence_threshold", "confidence_threshold"),
        ("test_accuracy", "accuracy"),
        ("test_macro_f1", "macro_f1"),
    ],
)
def test_the_file_says_what_the_metrics_of_the_run_say(
    model: Model, run: RunFolder, field: str, metric: str
) -> None:
    assert getattr(model.metadata, field) == pytest.approx(run.read_json("metrics")[metric])


def test_the_file_says_the_reports_accuracy(model: Model) -> None:
    assert model.metadata.report_accuracy == 0.67


def test_the_file_says_that_it_is_for_research(model: Model) -> None:
    assert "research and non-commercial use only" in model.metadata.licence


def test_the_file_says_that_its_training_was_cut_short(model: Model) -> None:
    assert "stopped by hand" in model.metadata.note


def test_the_file_gives_the_predictions_of_the_run(model: Model, run: RunFolder) -> None:
    test = run.read_set("test")
    recognized = model.raw_probabilities(test.features).argmax(axis=1)
    accuracy = run.read_json("metrics")["accuracy"]
    assert (recognized == test.classes).mean() == pytest.approx(accuracy)


def test_the_record_beside_the_file_has_its_hash_and_size(tiny_model: Path) -> None:
    record = json.loads(tiny_model.with_suffix(".export.json").read_text(encoding="utf-8"))
    content = tiny_model.read_bytes()
    assert record["sha256"] == hashlib.sha256(content).hexdigest()
    assert record["bytes"] == len(content)
    assert (record["path"], record["format"]) == ("cnn.onnx", "onnx-fp32")
    assert record["decisions"]["format"] == "onnx-fp32"
    assert record["latency"]["relative"] > 0


def test_the_same_run_gives_the_same_bytes(
    export_to: Export, run: RunFolder, tiny_model: Path, tmp_path: Path
) -> None:
    (published,) = export_to(run, tmp_path).published
    assert published.path.read_bytes() == tiny_model.read_bytes()


def test_another_fold_is_named_in_the_file(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    split = {"protocol": "speaker-independent", "fold": "3"}
    for name in ("config", "metrics"):
        run_copy.write_json(name, run_copy.read_json(name) | split)
    (published,) = export_to(run_copy, tmp_path).published
    assert Model.open(published.path).metadata.protocol == "speaker-independent-3"


# One of 23 test clips is worth four points: no int8 file could lose one within the floor.
GENEROUS = {"allowed_loss": 0.2}


@pytest.fixture(scope="module")
def smaller(export_to: Export, run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Every format that needs no audio, and the int8 variant that is worth having."""
    ids = [row.id for row in formats_of("features") if not row.from_waveform]
    return export_to(run, tmp_path_factory.mktemp("all"), *ids, int8=True, **GENEROUS)


def test_every_format_is_published_with_its_record(smaller: Any) -> None:
    assert not smaller.refused
    assert len(smaller.published) == 11
    for published in smaller.published:
        assert published.path.stat().st_size == published.bytes
        record = json.loads(record_path(published.path).read_text(encoding="utf-8"))
        assert record["sha256"] == hashlib.sha256(published.path.read_bytes()).hexdigest()


def test_every_file_opens_in_the_runtime_and_says_what_it_is(
    smaller: Any, run: RunFolder, speech: Path
) -> None:
    for published in smaller.published:
        opened = Model.open(published.path)
        kind = FORMATS[published.decisions.format]
        assert opened.metadata.quantization == ("none" if kind.precision == "fp32" else kind.id)
        assert opened.metadata.test_accuracy == published.verification.accuracy
        assert opened.spec == run.spec()


def test_float_formats_agree_and_small_ones_are_small(smaller: Any) -> None:
    size = {item.decisions.format: item.bytes for item in smaller.published}
    for item in smaller.published:
        kind = FORMATS[item.decisions.format]
        if kind.precision == "fp32":
            assert item.verification.largest_difference < 1e-4
        else:
            assert item.bytes < 0.95 * size[f"{kind.runtime}-fp32"]
        assert item.verification.largest_difference < 0.2


def test_what_was_tried_is_told_with_what_became_of_it(smaller: Any) -> None:
    baseline, *tried = smaller.tried
    assert baseline.format == "onnx-fp32"
    assert [item.format for item in tried] == [
        row.id for row in formats_of("features") if row.precision == "int8"
    ]
    (chosen,) = (item for item in tried if item.verdict.startswith("chosen"))
    last = smaller.published[-1]
    assert last.decisions.format == chosen.format
    assert last.path.suffix == FORMATS[chosen.format].suffix
    assert last.tried == smaller.tried


def test_the_chosen_int8_file_has_the_name_of_no_format(export: ModuleType) -> None:
    """Else `--all` would put it in that one's place, and tell of both."""
    of_formats = {row.file_name("model") for row in FORMATS.values()}
    chosen = {f"model{export.INT8_NAMES[row.runtime]}{row.suffix}" for row in FORMATS.values()}
    assert not of_formats & chosen
    records = {record_path(Path(name)) for name in of_formats | chosen}
    assert len(records) == len(of_formats | chosen)


def test_an_int8_variant_is_chosen_by_validation_clips(
    smaller: Any, run: RunFolder, tmp_path: Path
) -> None:
    validation = run.read_set("validation")
    fp32 = Model.open(smaller.published[0].path)
    right = fp32.raw_probabilities(validation.features).argmax(axis=1) == validation.classes
    assert smaller.tried[0].accuracy == pytest.approx(right.mean())


def test_decisions_are_repeated_to_the_byte(
    export_to: Export, run: RunFolder, smaller: Any, tmp_path: Path
) -> None:
    decided = [item.decisions for item in smaller.published]
    again = export_to(run, tmp_path, decisions=tuple(decided), **GENEROUS)
    assert [item.decisions for item in again.published] == decided
    for first, second in zip(smaller.published, again.published, strict=True):
        assert second.path.read_bytes() == first.path.read_bytes(), first.path.name
    assert not again.tried


def test_session_settings_of_the_decisions_stand_in_the_file_and_work(
    export_to: Export, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser_export import workbench

    opened = []
    compare = workbench.probabilities
    monkeypatch.setattr(
        workbench,
        "probabilities",
        lambda model, *rest: opened.append(model) or compare(model, *rest),
    )
    decided = Decisions("onnx-fp32", "set.onnx", graph_optimization="basic", threads=2)
    (published,) = export_to(run, tmp_path, decisions=(decided,)).published
    # It is verified as it will be opened.
    assert opened[-1].metadata.graph_optimization == "basic"
    metadata = Model.open(published.path).metadata
    assert (metadata.graph_optimization, metadata.threads) == ("basic", 2)


def test_default_settings_do_not_stand_in_the_file(tiny_model: Path) -> None:
    properties = onnx.load(tiny_model).metadata_props
    assert not [p.key for p in properties if p.key.endswith((".threads", ".graph_optimization"))]


def test_variants_of_other_runtimes_are_not_tried(
    export_to: Export, run: RunFolder, tmp_path: Path
) -> None:
    done = export_to(run, tmp_path, "onnx-fp32", int8=True, runtimes=("onnx",), **GENEROUS)
    assert {FORMATS[item.format].runtime for item in done.tried} == {"onnx"}
    assert done.published[-1].path.name == "model-int8.onnx"


def test_a_file_below_its_floor_is_not_published_but_the_others_are(
    export: ModuleType,
    export_to: Export,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    strict = export.FLOORS | {"fp16": Floor(0.0, -1.0)}
    monkeypatch.setattr(export, "FLOORS", strict)
    done = export_to(run, tmp_path, "litert-fp16", "onnx-fp32")
    assert [item.decisions.format for item in done.published] == ["onnx-fp32"]
    assert "nothing published" in done.refused["litert-fp16"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["model.export.json", "model.onnx"]


def test_an_allowed_loss_publishes_it_and_tells_of_the_floor(
    export: ModuleType,
    export_to: Export,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(export, "FLOORS", export.FLOORS | {"fp16": Floor(0.0, -1.0)})
    (published,) = export_to(run, tmp_path, "litert-fp16", allowed_loss=0.5).published
    assert any("are lost" in waived for waived in published.waived)


def test_the_reports_figure_is_a_floor_where_it_is_asked_for(
    export_to: Export, run_copy: RunFolder, run: RunFolder, tmp_path: Path
) -> None:
    (published,) = export_to(run, tmp_path, "onnx-fp32").published
    assert published.report["accuracy"] == 0.67
    worse = published.report["difference"] < 0 and not published.report["within_chance"]
    done = export_to(run, tmp_path / "strict", "onnx-fp32", report_is_floor=True)
    assert ("onnx-fp32" in done.refused) == worse


def test_a_format_that_takes_audio_needs_the_corpora(
    export_to: Export, run: RunFolder, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="name the corpora with --corpora DIR"):
        export_to(run, tmp_path, "onnx-waveform")


def test_audio_goes_in_where_the_corpora_are(
    export: ModuleType, run: RunFolder, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    clips = ExportClips(run, tiny_corpora, cache)
    request = export.Request(formats=("onnx-waveform",))
    (published,) = export.export(run, clips, request, tmp_path, "model", Progress()).published
    opened = Model.open(published.path)
    assert opened.takes_waveform
    audio = clips.audio("test")
    recognized = opened.raw_probabilities(audio.inputs).argmax(axis=1)
    assert published.verification.accuracy == pytest.approx((recognized == audio.classes).mean())


def test_a_format_of_another_family_is_refused_with_those_that_it_has(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    config = run_copy.config()
    config["experiment"]["family"] = "vgg16"
    run_copy.write_json("config", config)
    with pytest.raises(UsageError, match=r"family vgg16, which cannot become onnx-waveform"):
        export_to(run_copy, tmp_path, "onnx-waveform")


def test_weights_that_are_not_those_of_the_metrics_are_refused(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    rng = np.random.default_rng(0)
    rewrite_weights(run_copy, lambda array: array + rng.normal(0, 1, array.shape).astype("f4") ** 2)
    with pytest.raises(VerificationError, match="the run's own predictions"):
        export_to(run_copy, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_weights_that_are_not_numbers_are_refused(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    rewrite_weights(run_copy, lambda array: np.full_like(array, np.nan))
    with pytest.raises(VerificationError):
        export_to(run_copy, tmp_path / "out")
    assert not list(tmp_path.glob("out/*"))


def test_a_graph_that_was_tampered_with_does_not_verify(
    export_to: Export, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser_export import onnx_conversion

    convert = onnx_conversion.convert_to_onnx

    def tampered(model: Any) -> Any:
        graph = convert(model)
        largest = max(graph.graph.initializer, key=lambda tensor: len(tensor.raw_data))
        weights = onnx.numpy_helper.to_array(largest)
        largest.CopyFrom(onnx.numpy_helper.from_array(weights + np.float32(0.05), largest.name))
        return graph

    monkeypatch.setattr(onnx_conversion, "convert_to_onnx", tampered)
    done = export_to(run, tmp_path / "out", "onnx-fp32")
    assert "differs from the trained network's" in done.refused["onnx-fp32"]
    assert not list(tmp_path.glob("out/*"))


def test_a_file_that_the_runtime_computes_otherwise_is_refused(
    export_to: Export, run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ser_export import runtime_trial

    class Other(Model):
        def raw_probabilities(self, inputs: np.ndarray) -> np.ndarray:
            return super().raw_probabilities(inputs)[:, ::-1]

    monkeypatch.setattr(runtime_trial, "Model", Other)
    done = export_to(run, tmp_path / "out")
    assert not done.published
    assert "in the runtime itself a test window gives other" in done.refused["onnx-fp32"]
    assert not list(tmp_path.glob("out/*"))


def test_an_interrupted_export_leaves_nothing(
    export_to: Export,
    run: RunFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from ser_export import publishing

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(publishing, "try_in_runtime", interrupted)
    with pytest.raises(KeyboardInterrupt):
        export_to(run, tmp_path)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "name", ["weights.npz", "test.npz", "metrics.json", "standardization.json"]
)
def test_a_missing_file_of_the_run_is_named(
    export_to: Export, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    (run_copy.path / name).unlink()
    with pytest.raises(RunFolderError, match=name):
        export_to(run_copy, tmp_path)


@pytest.mark.parametrize("name", ["weights.npz", "test.npz", "metrics.json", "config.json"])
def test_a_damaged_file_of_the_run_is_named(
    export_to: Export, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    content = (run_copy.path / name).read_bytes()
    (run_copy.path / name).write_bytes(content[: len(content) // 2])
    with pytest.raises(RunFolderError, match=name):
        export_to(run_copy, tmp_path)


@pytest.mark.parametrize("name", ["metrics.json", "config.json"])
def test_a_file_of_the_run_that_lacks_its_content_is_refused(
    export_to: Export, run_copy: RunFolder, tmp_path: Path, name: str
) -> None:
    (run_copy.path / name).write_text('{"version": 1}')
    with pytest.raises(RunFolderError):
        export_to(run_copy, tmp_path)


def test_weights_of_another_architecture_are_refused(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    rewrite_weights(run_copy, lambda array: array[..., :-1] if array.ndim > 1 else array)
    with pytest.raises(RunFolderError, match="another architecture"):
        export_to(run_copy, tmp_path)


def test_an_unknown_architecture_is_refused(
    export_to: Export, run_copy: RunFolder, tmp_path: Path
) -> None:
    config = run_copy.config()
    config["experiment"]["architecture"] = "of-tomorrow"
    run_copy.write_json("config", config)
    with pytest.raises(RunFolderError, match="'of-tomorrow', unknown to this version"):
        export_to(run_copy, tmp_path)
