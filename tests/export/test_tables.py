"""What an export shows and commits."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from ser_export.int8_choice import Tried
from ser_export.latency import Latency
from ser_export.record import Decisions
from ser_export.record import Published
from ser_export.report_figures import beside_report
from ser_export.tables import COLUMNS
from ser_export.tables import class_rows
from ser_export.tables import published_rows
from ser_export.tables import report_line
from ser_export.tables import results_page
from ser_export.verification import compare
from ser_runtime.labels import EMOTIONS

RUN_F1 = dict.fromkeys(EMOTIONS, 0.5)


@pytest.fixture
def published() -> Published:
    classes = np.arange(70) % 7
    rows = np.eye(7, dtype=np.float32)[classes]
    verification = compare(classes, rows, rows)
    return Published(
        path=Path("out/cnn-int8.onnx"),
        decisions=Decisions("onnx-int8-static", "cnn-int8.onnx"),
        bytes=39_000,
        sha256="0" * 64,
        parameters=27_495,
        run="cnn-report-seed0",
        run_accuracy=0.99,
        run_macro_f1=1.0,
        verification=verification,
        latency=Latency(0.6, 0.8, 1.62, 1.5),
        peak_memory_mib=71.2,
        report=beside_report({"experiment": "cnn", "protocol": "report"}, verification),
        tried=(),
        waived=(),
    )


def test_a_row_holds_what_was_measured(published: Published) -> None:
    (row,) = published_rows([published])
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "format": "ONNX int8 static",
        "size": "0.039 MB",
        "parameters": "27,495",
        "accuracy": "1.0000",
        "– run": "+0.0000",
        "macro-F1": "1.0000",
        "– report": "+0.330 beyond chance",
        "largest difference (mean)": "0.0e+00 (0.0e+00)",
        "same best class": "100.00%",
        "p50": "1.62 slower",
        "p95": "1.50",
        "peak memory": "71 MiB",
    }
    assert "+0.0100" in row


def test_what_is_not_slower_than_fp32_is_not_marked(published: Published) -> None:
    (row,) = published_rows([replace(published, latency=Latency(0.4, 0.5, 0.96, 1.0))])
    assert row[COLUMNS.index("p50")] == "0.96"


def test_a_file_that_makes_its_features_is_marked_so(published: Published) -> None:
    decisions = Decisions("onnx-waveform", "cnn-waveform.onnx")
    (row,) = published_rows([replace(published, decisions=decisions)])
    assert row[COLUMNS.index("p50")] == "1.62 with features"


def test_what_int8_chose_is_marked_so(published: Published) -> None:
    tried = (Tried("onnx-fp32", 9, 0.6, 0.6, 1.0),)
    (row,) = published_rows([replace(published, tried=tried)])
    assert row[0] == "ONNX int8 static, chosen"


def test_without_a_figure_of_the_report_the_cell_stays_open(published: Published) -> None:
    (row,) = published_rows([replace(published, report=None)])
    assert row[COLUMNS.index("– report")] == "–"


def test_memory_that_the_system_does_not_tell_is_left_open(published: Published) -> None:
    (row,) = published_rows([replace(published, peak_memory_mib=None)])
    assert row[COLUMNS.index("peak memory")] == "–"


def test_classes_stand_beside_the_run_and_the_report(published: Published) -> None:
    first = class_rows(published, RUN_F1)[0]
    assert first[:3] == ["angry", "1.000", "0.500"]
    assert float(first[3]) == published.report["f1"]["angry"]
    assert class_rows(replace(published, report=None), RUN_F1)[0][3] == "–"


def test_the_report_is_stamped_in_words(published: Published) -> None:
    line = report_line(published)
    assert line.startswith("the report: 0.67; difference +0.330 (95 %: ")
    assert "beyond chance; right labels: not like for like)" in line
    alike = published.report | {"like_for_like": True, "within_chance": True}
    assert "within chance; its own labels)" in report_line(replace(published, report=alike))
    assert report_line(replace(published, report=None)) == ""


def test_a_page_holds_every_table(published: Published) -> None:
    tried = [Tried("onnx-fp32", 115_000, 0.6, 0.61, 1.0), Tried("litert-int8", 9, 0.6, 0.6, 2, "x")]
    page = results_page("cnn", [published, published], tried, RUN_F1)
    assert page.startswith("# cnn\n\n| format | size |")
    assert "| ONNX fp32 | 0.115 MB | 0.6000 | 0.6100 | 1.00 |  |" in page
    assert "| F1 | onnx-int8-static | run | report |" in page, "each format once"
    assert "| angry | 1.000 | 0.500 |" in page
    assert "onnx-int8-static, beside the report: 0.67; difference +0.330" in page
    tables = [line for line in page.splitlines() if line.startswith("|")]
    assert len(tables) == (2 + 2) + (2 + 2) + (2 + 7)
