"""One page over several runs: everything in it, nothing fetched, names taken literally."""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from subprocess import CompletedProcess

import pytest

from ser_runtime.errors import RunFolderError
from ser_train.report_page import write_report
from ser_train.run_folder import RunFolder

Command = Callable[..., CompletedProcess[str]]
PNG = b"\x89PNG\r\n\x1a\n"
ODD_NAME = 'run <script>alert("1")</script> & co'
WITHOUT_END = {"html", "meta", "img", "!doctype"}


class Page(HTMLParser):
    """What a browser makes of a page: tags, addresses, text and headings."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.addresses: list[str] = []
        self.text: list[str] = []
        self.unclosed: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [value or "" for name, value in attributes if name in ("src", "href")]
        if tag not in WITHOUT_END:
            self.unclosed.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in WITHOUT_END:
            assert self.unclosed.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text.append(data)


@pytest.fixture(scope="module")
def written(tiny_run: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The files of a report over the tiny run and a copy of it under an odd name."""
    folder = tmp_path_factory.mktemp("report")
    odd = folder / ODD_NAME.replace("/", "∕")
    shutil.copytree(tiny_run, odd)
    return write_report([RunFolder(tiny_run), RunFolder(odd)], folder / "new" / "report.html")


@pytest.fixture(scope="module")
def page(written: list[Path]) -> Page:
    return Page(written[0].read_text(encoding="utf-8"))


def test_page_and_markdown_are_written_side_by_side(written: list[Path]) -> None:
    assert [path.name for path in written] == ["report.html", "report.md"]
    assert all(path.is_file() for path in written)


def test_every_tag_that_is_opened_is_closed(page: Page) -> None:
    assert page.unclosed == []


def test_every_image_is_in_the_page(page: Page) -> None:
    # Of each run: confusion matrix, learning curves, reliability diagram.
    assert page.tags.count("img") == len(page.addresses) == 6
    for address in page.addresses:
        kind, content = address.split(",", 1)
        assert kind == "data:image/png;base64"
        assert base64.b64decode(content, validate=True).startswith(PNG)


def test_nothing_is_fetched(written: list[Path]) -> None:
    text = written[0].read_text(encoding="utf-8")
    assert not any(word in text for word in ("http:", "https:", "url(", "@import"))


@pytest.mark.parametrize("tag", ["script", "link", "iframe"])
def test_no_tag_that_fetches_or_runs_is_in_the_page(page: Page, tag: str) -> None:
    assert tag not in page.tags


def test_a_runs_name_is_shown_as_it_is(page: Page) -> None:
    assert ODD_NAME.replace("/", "∕") in page.text


@pytest.mark.parametrize(
    "heading",
    ["Classes, beside the report's table", "By corpus", "By the speaker's sex", "Most confused"],
)
def test_every_run_has_its_sections_in_both_files(
    written: list[Path], page: Page, heading: str
) -> None:
    assert page.text.count(heading) == 2
    assert written[1].read_text(encoding="utf-8").count(f"### {heading}\n") == 2


def test_the_accuracy_by_sex_covers_all_test_clips(written: list[Path], tiny_run: Path) -> None:
    section = written[1].read_text(encoding="utf-8").split("### By the speaker's sex\n")[1]
    rows = [line.split("|") for line in section.strip().splitlines()[2:4]]
    assert [row[1].strip() for row in rows] == ["female", "male"]
    assert sum(int(row[3]) for row in rows) == RunFolder(tiny_run).metrics()["clips"]


def test_the_reports_figures_stand_beside_ours(written: list[Path]) -> None:
    text = written[1].read_text(encoding="utf-8")
    row = next(line for line in text.splitlines() if line.startswith("| angry |"))
    cells = [cell.strip() for cell in row.strip("|").split("|")]
    assert [cells[number] for number in (2, 4, 6, 8)] == ["0.63", "0.92", "0.75", "187"]


def test_an_experiment_without_a_printed_table_stands_alone(tiny_run: Path, tmp_path: Path) -> None:
    run = RunFolder(tmp_path / "run")
    shutil.copytree(tiny_run, run.path)
    metrics = run.metrics() | {"experiment": "ours"}
    del metrics["report"]
    run.write_json("metrics", metrics)
    config = run.config()
    config["experiment"]["id"] = "ours"
    run.write_json("config", config)
    _, markdown = write_report([run], tmp_path / "report.html")
    text = markdown.read_text(encoding="utf-8")
    assert "| emotion | precision | recall | F1 | support |" in text


def test_a_run_without_its_plots_has_its_tables(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    for name in ("confusion_matrix.png", "learning_curves.png"):
        (tmp_path / "run" / name).unlink()
    page, _ = write_report([RunFolder(tmp_path / "run")], tmp_path / "report.html")
    parsed = Page(page.read_text(encoding="utf-8"))
    assert (parsed.tags.count("img"), parsed.unclosed) == (1, [])


def test_a_damaged_run_is_refused_and_nothing_written(tiny_run: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_run, tmp_path / "run")
    (tmp_path / "run" / "predictions.csv").unlink()
    with pytest.raises(RunFolderError, match=r"predictions\.csv"):
        write_report([RunFolder(tmp_path / "run")], tmp_path / "report.html")
    assert not list(tmp_path.glob("report.*"))


def test_report_says_what_it_wrote(ser_train: Command, tiny_run: Path, tmp_path: Path) -> None:
    done = ser_train("report", tiny_run, "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [str(tmp_path / "page.html"), str(tmp_path / "page.md")]


@pytest.fixture
def incomplete(tmp_path: Path) -> Path:
    """A run folder in which a training has just begun."""
    path = tmp_path / "incomplete"
    path.mkdir()
    (path / "config.json").write_text(json.dumps({"version": 1}))
    return path


def test_report_refuses_an_incomplete_run(
    ser_train: Command, incomplete: Path, tmp_path: Path
) -> None:
    done = ser_train("report", incomplete, "--out", tmp_path / "page.html")
    assert done.returncode == 9
    assert done.stderr == f"error: {incomplete} is not a complete run folder\n"
    assert not (tmp_path / "page.html").exists()


def test_report_leaves_an_incomplete_run_out_beside_others(
    ser_train: Command, tiny_run: Path, incomplete: Path, tmp_path: Path
) -> None:
    done = ser_train("report", tiny_run, incomplete, "--out", tmp_path / "page.html")
    assert done.returncode == 0, done.stderr
    assert done.stderr == f"left out: {incomplete} is not a complete run folder\n"
    assert (tmp_path / "page.html").exists()


def test_a_page_that_would_take_the_markdowns_place_is_refused(
    ser_train: Command, tiny_run: Path, tmp_path: Path
) -> None:
    done = ser_train("report", tiny_run, "--out", tmp_path / "report.md")
    assert done.returncode == 2
    assert not list(tmp_path.iterdir())


def test_somebodys_notes_are_not_replaced_by_the_markdown(
    ser_train: Command, tiny_run: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.md"
    notes.write_text("mine")
    done = ser_train("report", tiny_run, "--out", tmp_path / "notes.html")
    assert done.returncode == 2
    assert f"{notes} is no report of ser-train" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["notes.md"]
    assert notes.read_text() == "mine"
    assert ser_train("report", tiny_run, "--out", tmp_path / "page.html").returncode == 0
    assert ser_train("report", tiny_run, "--out", tmp_path / "page.html").returncode == 0


def test_what_flatters_a_run_stands_in_its_section(written: list[Path]) -> None:
    for path in written:
        section = path.read_text(encoding="utf-8").split("Classes, beside the report's table")[0]
        assert "flattering: the same speakers are in training and test" in section


def test_a_name_with_dollars_is_no_formula(tiny_run: Path, tmp_path: Path) -> None:
    from ser_train.report_page import write_report

    run = tmp_path / "a$b_$"
    shutil.copytree(tiny_run, run)
    page, _ = write_report([RunFolder(run)], tmp_path / "page.html")
    assert "a$b_$" in page.read_text(encoding="utf-8")
