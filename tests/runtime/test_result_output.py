"""Results are whole files or none."""

from __future__ import annotations

from pathlib import Path

import pytest

from ser_runtime.errors import StorageError
from ser_runtime.result_output import results_to
from ser_runtime.result_output import write_standard_output


def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.csv"
    with results_to(path) as write:
        write("a,b\n")
        write("é\n")
        assert not path.exists()
    assert path.read_bytes() == "a,b\né\n".encode()
    assert list(path.parent.iterdir()) == [path]


def test_what_was_there_stays_after_an_error(tmp_path: Path) -> None:
    path = tmp_path / "rows.csv"
    path.write_text("old")

    def interrupted() -> None:
        with results_to(path) as write:
            write("new")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "rows.csv").symlink_to(tmp_path / "real.csv")
    with results_to(tmp_path / "rows.csv") as write:
        write("new")
    assert (tmp_path / "rows.csv").is_symlink()
    assert (tmp_path / "real.csv").read_text() == "new"


def test_a_place_that_cannot_be_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError), results_to(tmp_path / "file" / "rows.csv"):
        pass


def test_standard_output_gets_text_at_once(capfd: pytest.CaptureFixture[str]) -> None:
    with results_to(None) as write:
        write("row\n")
        assert capfd.readouterr().out == "row\n"


def test_a_closed_standard_output_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", None)
    write_standard_output("row\n")
