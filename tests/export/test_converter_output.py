"""What converters print: held back, and only what may matter shown."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import warnings

import pytest

from ser_export.converter_output import quiet_converters


def test_what_is_printed_logged_and_warned_is_held_back(capfd: pytest.CaptureFixture[str]) -> None:
    with quiet_converters() as matter:
        os.write(2, b"printed by C\n")
        subprocess.run([sys.executable, "-c", "print('printed by a child')"], check=True)
        logging.getLogger("tf2onnx").warning("logged %d", 1)
        warnings.warn("warned", UserWarning, stacklevel=1)
    assert set(matter) == {
        "printed by C",
        "printed by a child",
        "warning: logged 1",
        "warned",
    }
    os.write(2, b"after\n")
    out, err = capfd.readouterr()
    assert (out, err) == ("", "after\n")


def test_lines_with_nothing_to_act_on_are_dropped() -> None:
    with quiet_converters() as matter:
        os.write(2, b"fully_quantize: 0, inference_type: 6\n\n")
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\n")
        logging.getLogger().warning("Please consider to run pre-processing before quantization.")
        warnings.warn("Statistics for quantized inputs were expected", UserWarning, stacklevel=1)
    assert matter == []


def test_a_line_is_told_once() -> None:
    with quiet_converters() as matter:
        for _ in range(3):
            os.write(1, b"the same\n")
    assert matter == ["the same"]


def test_an_error_passes_with_what_was_printed_before_it() -> None:
    matter: list[str] = []

    def fail() -> None:
        nonlocal matter
        with quiet_converters() as matter:
            os.write(2, b"the cause\n")
            raise ValueError("broken")

    with pytest.raises(ValueError, match="broken"):
        fail()
    assert matter == ["the cause"]
