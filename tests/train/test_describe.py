"""The layers of a network as a table and as a drawing, and the command that shows them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from ser_train.experiments import ABLATIONS
from ser_train.experiments import EXPERIMENTS

Command = Callable[..., CompletedProcess[str]]
KERAS = {"cnn", "two_cnn", "parallel", "compact"}
PNG = b"\x89PNG\r\n\x1a\n"


@pytest.fixture(scope="module")
def rows(tensorflow: None) -> dict[str, Any]:
    """The layers of the parallel model on MFCC, by name."""
    from ser_train.architectures import parallel
    from ser_train.describe import layer_rows

    return {row.name: row for row in layer_rows(parallel((128, 94)))}


def test_a_row_has_kind_shape_parameters_and_inputs(rows: dict[str, Any]) -> None:
    row = rows["block1_conv2"]
    assert (row.kind, row.shape) == ("Conv2D", (47, 64, 32))
    assert (row.parameters, row.inputs) == (16 * 32 * 9 + 32, ("block1_dropout1",))


def test_the_input_is_fed_by_nothing(rows: dict[str, Any]) -> None:
    assert rows["features"].inputs == ()


def test_a_layer_that_joins_is_fed_by_every_block(rows: dict[str, Any]) -> None:
    assert rows["concatenated"].inputs == ("block1_flatten", "block2_flatten", "over_time")


def test_a_layer_comes_after_those_that_feed_it(rows: dict[str, Any]) -> None:
    names = list(rows)
    for row in rows.values():
        assert all(names.index(source) < names.index(row.name) for source in row.inputs)


def test_the_rows_parameters_are_those_of_the_model(rows: dict[str, Any]) -> None:
    assert sum(row.parameters for row in rows.values()) == 848_967


@pytest.mark.parametrize(
    "name", [row.id for row in (EXPERIMENTS | ABLATIONS).values() if row.architecture in KERAS]
)
def test_every_network_can_be_described_and_drawn(
    tensorflow: None, name: str, tmp_path: Path
) -> None:
    from ser_train.architectures import make_architecture
    from ser_train.describe import draw_architecture
    from ser_train.describe import layer_rows

    row = (EXPERIMENTS | ABLATIONS)[name]
    found = layer_rows(make_architecture(row.architecture, row.spec.shape, row.options))
    before: set[str] = set()
    for layer in found:
        assert set(layer.inputs) <= before
        assert layer.inputs or layer.kind == "InputLayer"
        before.add(layer.name)
    draw_architecture(found, row.title, tmp_path / "network.png")


@pytest.fixture(scope="module")
def drawings(rows: dict[str, Any], tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The same network drawn twice."""
    from ser_train.describe import draw_architecture

    folder = tmp_path_factory.mktemp("drawings")
    paths = [folder / "new" / "one.png", folder / "two.png"]
    for path in paths:
        draw_architecture(list(rows.values()), "a title", path)
    return paths


def test_the_drawing_is_a_png(drawings: list[Path]) -> None:
    assert drawings[0].read_bytes().startswith(PNG)


def test_the_same_network_gives_the_same_drawing(drawings: list[Path]) -> None:
    assert drawings[0].read_bytes() == drawings[1].read_bytes()


@pytest.fixture(scope="module")
def described(
    ser_train: Command, tmp_path_factory: pytest.TempPathFactory
) -> tuple[CompletedProcess[str], Path]:
    """`ser-train describe parallel-mel-aug`, run in a folder of its own."""
    folder = tmp_path_factory.mktemp("described")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        return ser_train("describe", "parallel-mel-aug"), folder


@pytest.mark.parametrize(
    "count",
    [
        "total parameters: 860,943",
        "trainable parameters: 859,723",
        "non-trainable parameters: 1,220",
    ],
)
def test_describe_counts_the_parameters(
    described: tuple[CompletedProcess[str], Path], count: str
) -> None:
    done, _ = described
    assert done.returncode == 0, done.stderr
    assert count in done.stdout.splitlines()


@pytest.mark.parametrize("layer", ["block1_conv1", "block2_conv3", "encoder4", "probabilities"])
def test_describe_shows_every_layer(
    described: tuple[CompletedProcess[str], Path], layer: str
) -> None:
    assert any(line.strip().startswith(layer) for line in described[0].stdout.splitlines())


def test_describe_draws_into_a_file_named_after_the_experiment(
    described: tuple[CompletedProcess[str], Path],
) -> None:
    done, folder = described
    assert (folder / "parallel-mel-aug.png").read_bytes().startswith(PNG)
    assert "parallel-mel-aug.png" in done.stderr


def test_describe_draws_where_it_is_told_to(ser_train: Command, tmp_path: Path) -> None:
    done = ser_train("describe", "cnn", "--plot", tmp_path / "new/cnn.png")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "new/cnn.png").read_bytes().startswith(PNG)


def test_a_drawing_does_not_take_the_place_of_another_file(
    ser_train: Command, tmp_path: Path
) -> None:
    (tmp_path / "README.md").write_text("mine")
    done = ser_train("describe", "cnn", "--plot", tmp_path / "README.md")
    assert done.returncode == 2
    assert "README.md does not end in .png" in done.stderr
    assert (tmp_path / "README.md").read_text() == "mine"


def test_without_a_terminal_no_layer_is_cut(ser_train: Command) -> None:
    done = ser_train("describe", "parallel", "--no-plot")
    assert "…" not in done.stdout
    assert "parallel-mfcc-aug" in done.stdout


def test_describe_without_a_plot_writes_nothing(
    ser_train: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert ser_train("describe", "cnn", "--no-plot").returncode == 0
    assert not list(tmp_path.iterdir())


def test_describing_what_does_not_exist_ends_with_2(ser_train: Command) -> None:
    done = ser_train("describe", "paralel-mfcc", "--no-plot")
    assert done.returncode == 2
    assert "did you mean parallel-mfcc" in done.stderr


def test_describing_what_a_missing_package_is_needed_for_ends_with_7(
    ser_train: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    needy = dataclasses.replace(EXPERIMENTS["cnn"], id="needy", needs=("no_such_package",))
    monkeypatch.setitem(EXPERIMENTS, "needy", needy)
    done = ser_train("describe", "needy", "--no-plot")
    assert done.returncode == 7
    assert "no_such_package" in done.stderr


def test_a_tuning_is_described_by_its_experiment(ser_train: Command) -> None:
    done = ser_train("describe", "cnn-tuning")
    assert done.returncode == 2
    assert "cnn-tuning tunes the network of cnn: describe that one" in done.stderr
