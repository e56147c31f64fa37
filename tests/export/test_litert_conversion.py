"""Keras to LiteRT: what a device's interpreter makes of it."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from ser_runtime.errors import VerificationError


@pytest.fixture(scope="module")
def files(small_cnn: Any, small_inputs: NDArray[np.float32]) -> dict[str, bytes]:
    """`small_cnn` in every kind."""
    from ser_export.litert_conversion import KINDS
    from ser_export.litert_conversion import convert_to_litert

    return {
        kind: convert_to_litert(small_cnn, kind, small_inputs if kind == "int8" else None)
        for kind in KINDS
    }


def interpreter(content: bytes) -> Any:
    from ai_edge_litert.interpreter import Interpreter

    made = Interpreter(model_content=content, num_threads=1)
    made.allocate_tensors()
    return made


def answer(content: bytes, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    made, answers = interpreter(content), []
    for window in inputs:
        made.set_tensor(made.get_input_details()[0]["index"], window[None])
        made.invoke()
        answers.append(made.get_tensor(made.get_output_details()[0]["index"])[0])
    return np.array(answers)


def test_the_float_file_computes_what_keras_does(
    files: dict[str, bytes], small_cnn: Any, small_inputs: NDArray[np.float32]
) -> None:
    wanted = small_cnn.predict(small_inputs, verbose=0)
    assert wanted.std(axis=0).max() > 1e-3, "the weights are there"
    np.testing.assert_allclose(answer(files["fp32"], small_inputs), wanted, atol=1e-5)


@pytest.mark.parametrize(("kind", "most"), [("fp16", 2e-3), ("dynamic", 0.03), ("int8", 0.1)])
def test_a_smaller_file_answers_much_as_keras_does(
    files: dict[str, bytes],
    small_cnn: Any,
    small_inputs: NDArray[np.float32],
    kind: str,
    most: float,
) -> None:
    wanted = small_cnn.predict(small_inputs, verbose=0)
    assert 0 < np.abs(answer(files[kind], small_inputs) - wanted).max() < most
    assert len(files[kind]) < 0.7 * len(files["fp32"])


def test_the_full_int8_file_computes_in_integers_between_floats(files: dict[str, bytes]) -> None:
    made = interpreter(files["int8"])
    assert made.get_input_details()[0]["dtype"] == np.float32
    assert made.get_output_details()[0]["dtype"] == np.float32
    inside = {np.dtype(tensor["dtype"]).name for tensor in made.get_tensor_details()}
    assert inside <= {"int8", "int32", "float32", "int64"}
    floats = [t for t in made.get_tensor_details() if np.dtype(t["dtype"]) == np.float32]
    assert len(floats) == 2, "its input and its output"


def test_only_the_dynamic_file_keeps_float_activations(files: dict[str, bytes]) -> None:
    details = interpreter(files["dynamic"]).get_tensor_details()
    kinds = [np.dtype(tensor["dtype"]).name for tensor in details]
    assert kinds.count("int8") >= 2
    assert kinds.count("float32") > 2


def test_the_same_model_gives_the_same_bytes(files: dict[str, bytes], small_cnn: Any) -> None:
    from ser_export.litert_conversion import convert_to_litert

    assert convert_to_litert(small_cnn, "dynamic") == files["dynamic"]


def test_an_operator_that_litert_has_not_is_refused_by_name(tensorflow: None) -> None:
    import keras

    from ser_export.litert_conversion import convert_to_litert

    features = keras.layers.Input((4, 4), name="features")
    model = keras.Model(features, keras.ops.erf(features))
    with pytest.raises(VerificationError, match="LiteRT cannot run Erf"):
        convert_to_litert(model)


def test_calibration_belongs_to_int8_alone(
    small_cnn: Any, small_inputs: NDArray[np.float32]
) -> None:
    from ser_export.litert_conversion import convert_to_litert

    with pytest.raises(ValueError, match="calibration"):
        convert_to_litert(small_cnn, "int8")
    with pytest.raises(ValueError, match="calibration"):
        convert_to_litert(small_cnn, "fp16", small_inputs)
    with pytest.raises(ValueError, match="kind must be one of"):
        convert_to_litert(small_cnn, "w8a16")
