"""An experiment's network as a table of layers and as a diagram, as the report prints them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch

from ser_train.plots import new_figure
from ser_train.plots import save_figure

_COLORS = {
    "Conv2D": "#cfe3f7",
    "BatchNormalization": "#e6e6e6",
    "ReLU": "#fdeacc",
    "MaxPooling2D": "#d9efd5",
    "Dropout": "#f3d9e4",
    "TransformerEncoder": "#dcd3ef",
    "Dense": "#f7cfcf",
}
_BOX_WIDTH, _BOX_HEIGHT = 0.92, 0.62


@dataclass(frozen=True)
class LayerRow:
    """One layer of a network.

    Attributes:
        name: Of the layer.
        kind: Its class.
        shape: Of its output, without the batch.
        parameters: In it.
        inputs: Names of the layers that feed it.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    parameters: int
    inputs: tuple[str, ...]


@dataclass(frozen=True)
class NetworkLayers:
    """A network, layer by layer.

    Attributes:
        rows: Each after those that feed it.
        parameters: In all.
        trainable_parameters: Those that are trained.
    """

    rows: tuple[LayerRow, ...]
    parameters: int
    trainable_parameters: int


def network_layers(model: keras.Model) -> NetworkLayers:
    """The layers of a functional Keras model."""
    trainable = sum(math.prod(weight.shape) for weight in model.trainable_weights)
    return NetworkLayers(tuple(layer_rows(model)), model.count_params(), trainable)


def layer_rows(model: keras.Model) -> list[LayerRow]:
    """The layers of a functional model, each after those that feed it."""
    return [
        LayerRow(
            layer.name,
            type(layer).__name__,
            tuple(layer.output.shape[1:]),
            layer.count_params(),
            tuple(dict.fromkeys(_feeding(layer))),
        )
        for layer in model.layers
    ]


def _feeding(operation: keras.Operation) -> list[str]:
    """Names of the layers that feed an operation, through `keras.ops`, which are none."""
    names = []
    for node in operation._inbound_nodes[:1]:
        for parent in _parents(node):
            is_layer = isinstance(parent, keras.Layer)
            names += [parent.name] if is_layer else _feeding(parent)
    return names


def _parents(node: object) -> list[keras.Operation]:
    tensors = node.input_tensors  # type: ignore[attr-defined]
    return [tensor._keras_history.operation for tensor in tensors]


def draw_architecture(rows: Sequence[LayerRow], title: str, path: Path) -> None:
    """Boxes from top to bottom, side by side where the network is (the report's figures 5, 8).

    Args:
        rows: Of `layer_rows`.
        title: Over the drawing.
        path: PNG file.
    """
    place = _places(rows)
    columns = max(x for x, _ in place.values()) + 1
    depth = max(y for _, y in place.values()) + 1
    figure = new_figure(2.6 * columns + 0.6, 0.52 * depth + 0.8)
    axes = figure.add_subplot()
    for row in rows:
        x, y = place[row.name]
        corner = (x - _BOX_WIDTH / 2, y - _BOX_HEIGHT / 2)
        color = _COLORS.get(row.kind, "white")
        axes.add_patch(
            FancyBboxPatch(
                corner,
                _BOX_WIDTH,
                _BOX_HEIGHT,
                boxstyle="round,pad=0,rounding_size=0.08",
                facecolor=color,
                edgecolor="#555555",
                linewidth=0.7,
            )
        )
        shape = " × ".join(str(size) for size in row.shape)
        count = f"   {row.parameters:,}" if row.parameters else ""
        axes.text(x, y - 0.12, row.name, ha="center", va="center", fontsize=7.5)
        axes.text(
            x, y + 0.15, f"{row.kind}   {shape}{count}", ha="center", va="center", fontsize=5.5
        )
        for source in row.inputs:
            _draw_arrow(axes, place[source], (x, y))
    axes.set_xlim(-0.6, columns - 0.4)
    axes.set_ylim(depth - 0.4, -0.7)
    axes.set_title(title, parse_math=False, fontsize=9)
    axes.axis("off")
    save_figure(figure, path)


def _draw_arrow(axes: Axes, source: tuple[float, float], target: tuple[float, float]) -> None:
    """Down the column of the source, then across, so that no box is crossed."""
    top, bottom = target[1] - _BOX_HEIGHT / 2, source[1] + _BOX_HEIGHT / 2
    turn = top - (1 - _BOX_HEIGHT) * 0.6
    style = {"color": "#555555", "linewidth": 0.7}
    axes.plot(
        [source[0], source[0], target[0]], [bottom, turn, turn], solid_joinstyle="round", **style
    )
    axes.annotate(
        "", (target[0], top), (target[0], turn), arrowprops={"arrowstyle": "-|>", **style}
    )


def _places(rows: Sequence[LayerRow]) -> dict[str, tuple[float, float]]:
    """Column and row of each layer: a row below its lowest input, a column for each branch."""
    depth: dict[str, int] = {}
    column: dict[str, float] = {}
    feeds: dict[str, int] = {}
    used = -1
    for row in rows:
        depth[row.name] = 1 + max((depth[name] for name in row.inputs), default=-1)
        if not row.inputs:
            used += 1
            column[row.name] = used
        elif len(row.inputs) == 1:
            source = row.inputs[0]
            # The first layer that a tensor feeds stays below it; every other opens a column.
            if feeds.get(source):
                used += 1
                column[row.name] = used
            else:
                column[row.name] = column[source]
            feeds[source] = feeds.get(source, 0) + 1
        else:
            column[row.name] = sum(column[name] for name in row.inputs) / len(row.inputs)
    return {row.name: (column[row.name], float(depth[row.name])) for row in rows}
