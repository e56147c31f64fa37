"""Settings of ONNX Runtime that a file may have of its own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from ser_export.session_settings import DEFAULT
from ser_export.session_settings import LEVELS
from ser_export.session_settings import best_setting
from ser_export.session_settings import choose_settings
from ser_runtime.model import Model


def test_a_gain_of_ten_percent_and_less_changes_nothing() -> None:
    assert best_setting({DEFAULT: 1.0, ("basic", 1): 0.9, ("all", 2): 0.95}) == DEFAULT


def test_the_fastest_setting_replaces_the_default_where_it_gains_more() -> None:
    relative = {DEFAULT: 1.0, ("basic", 1): 0.85, ("extended", 2): 0.5}
    assert best_setting(relative) == ("extended", 2)


def test_settings_are_measured_on_a_file(made_up_model: Path) -> None:
    inputs = np.zeros((3, *Model.open(made_up_model).spec.shape), np.float32)
    level, threads = choose_settings(made_up_model, inputs)
    assert level in LEVELS
    assert threads in range(1, (os.cpu_count() or 1) + 1)
