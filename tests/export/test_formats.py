"""The table of formats, and who reads it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from ser_export.formats import BASELINE
from ser_export.formats import FORMATS
from ser_export.formats import find_format
from ser_export.formats import formats_of
from ser_export.formats import formats_table
from ser_export.verification import FLOORS
from ser_runtime.errors import UsageError
from ser_train.families import FAMILIES

RESULTS = Path(__file__).resolve().parents[2] / "export" / "results" / "README.md"


@pytest.mark.parametrize("row", FORMATS.values(), ids=FORMATS)
def test_a_row_is_about_what_there_is(row: object) -> None:
    assert set(row.families) <= set(FAMILIES)
    assert row.suffix in (".onnx", ".tflite")
    assert row.precision in FLOORS
    assert row.convert.__name__ == row.id.replace("-", "_")
    assert row.title
    assert row.purpose


def test_no_two_formats_share_a_file_or_the_record_beside_it() -> None:
    stems = [Path(row.file_name("cnn")).stem for row in FORMATS.values()]
    assert len(set(stems)) == len(stems)
    assert FORMATS[BASELINE].file_name("cnn") == "cnn.onnx"
    assert "cnn-int8" not in stems, "that is the name of what --int8 chooses"


@pytest.mark.parametrize("family", FAMILIES)
def test_every_family_has_the_baseline_and_an_int8_format(family: str) -> None:
    rows = formats_of(family)
    assert rows[0].id == BASELINE
    assert [row for row in rows if row.precision == "int8" and row.runtime == "onnx"]


def test_an_unknown_format_is_answered_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"no format 'litert-in8'; did you mean litert-int8"):
        find_format("litert-in8")


def test_the_documents_hold_the_table() -> None:
    assert formats_table() in RESULTS.read_text(encoding="utf-8")


def test_the_table_needs_no_framework() -> None:
    program = (
        "import sys, ser_export.formats;"
        "print([n for n in ('tensorflow', 'keras', 'torch', 'onnx') if n in sys.modules])"
    )
    command = [sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"
