"""Networks of the other families through the whole export, on made-up corpora and tiny networks."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tiny_wav2vec2 import save_tiny_backbone

from ser_export.export_clips import ExportClips
from ser_export.progress import Progress
from ser_runtime.model import Model
from ser_runtime.stream import Stream
from ser_train.corpora import read_corpora
from ser_train.experiments import EXPERIMENTS
from ser_train.run_folder import RunFolder
from ser_train.splits import make_split


@pytest.fixture(scope="module")
def wav2vec2_run(
    tiny_corpora: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory, run_module: Any
) -> RunFolder:
    """Two epochs of a tiny wav2vec2."""
    folder = tmp_path_factory.mktemp("wav2vec2")
    backbone = save_tiny_backbone(folder / "tiny")
    done = run_module(
        "ser_train", "wav2vec2", "--weights", backbone, "--corpora", tiny_corpora,
        "--cache", cache, "--out", folder / "runs", "--max-epochs", 1, "--threads", 1,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return RunFolder(folder / "runs" / "wav2vec2-report-90-5-5-seed0")


@pytest.fixture(scope="module")
def vgg16_run(
    tensorflow: None,
    tiny_corpora: Path,
    tiny_run: Path,
    cache: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> RunFolder:
    """A small VGG16 with random weights, as if it had been trained."""
    import keras

    from ser_train.vgg16.architecture import Vgg16Options
    from ser_train.vgg16.architecture import make_network
    from ser_train.vgg16.family import TrainedVgg16
    from ser_train.vgg16.family import Vgg16Family

    experiment = dataclasses.replace(
        EXPERIMENTS["vgg16-1"], options={"side": 32, "units": [32, 16]}
    )
    keras.utils.set_random_seed(0)
    whole = make_network(Vgg16Options.from_dict(experiment.options)).whole
    index = read_corpora(tiny_corpora)
    family = Vgg16Family()
    data = family.load_data(index, make_split(index.clips, "report", None), experiment, cache)
    model = TrainedVgg16(whole, whole)
    run = RunFolder(tmp_path_factory.mktemp("vgg16") / "vgg16-1-report-seed0")
    row = dataclasses.asdict(experiment) | {"spec": experiment.spec.to_dict()}
    like = RunFolder(tiny_run)
    run.write_json("config", like.config() | {"experiment": row})
    family.begin(run, data)
    family.store(run, data, model)
    run.write_predictions(
        [
            (name, part.ids, part.classes, family.predict(model, part, 16))
            for name, part in (("validation", data.validation), ("test", data.test))
        ]
    )
    changes = {"experiment": "vgg16-1", "parameters": whole.count_params()}
    run.write_json("metrics", like.metrics() | changes)
    return run


def published(
    export: Any, run: RunFolder, corpora: Path, cache: Path, out: Path, *formats: str
) -> list[Any]:
    request = export.Request(formats=formats, allowed_loss=0.2)
    clips = ExportClips(run, corpora, cache)
    outcome = export.export(run, clips, request, out, "model", Progress())
    assert not outcome.refused
    return outcome.published


def test_wav2vec2_takes_audio_and_agrees_with_pytorch(
    export: Any, wav2vec2_run: RunFolder, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    exact, small = published(
        export, wav2vec2_run, tiny_corpora, cache, tmp_path, "onnx-fp32", "onnx-int8-dynamic"
    )
    assert exact.verification.largest_difference < 1e-4
    assert small.bytes < exact.bytes
    model = Model.open(small.path)
    assert model.takes_waveform
    sound = np.random.default_rng(0).normal(0, 0.1, 48_000).astype(np.float32)
    (*_, last) = Stream(model, vad="off").push(sound, 16_000)
    assert sum(last.probabilities.values()) == pytest.approx(1, abs=1e-4)


def test_vgg16_draws_its_pictures_in_the_file(
    export: Any, vgg16_run: RunFolder, tiny_corpora: Path, cache: Path, tmp_path: Path
) -> None:
    exact, small = published(
        export, vgg16_run, tiny_corpora, cache, tmp_path, "onnx-fp32", "litert-dynamic"
    )
    assert exact.verification.largest_difference < 1e-4
    assert small.bytes < 0.3 * exact.bytes
    assert Model.open(exact.path).spec == EXPERIMENTS["vgg16-1"].spec
