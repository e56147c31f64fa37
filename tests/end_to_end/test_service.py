"""The systemd unit of the examples, against the command that it starts."""

from __future__ import annotations

import configparser
import shlex
from pathlib import Path

import pytest

from ser_runtime import errors
from ser_runtime.cli import main

UNIT = Path(__file__).resolve().parents[2] / "examples" / "ser-listen.service"


@pytest.fixture
def service() -> configparser.SectionProxy:
    unit = configparser.ConfigParser(interpolation=None)
    unit.optionxform = str
    unit.read_string(UNIT.read_text())
    return unit["Service"]


def test_it_starts_a_command_that_takes_its_options(service: configparser.SectionProxy) -> None:
    program, *options = shlex.split(service["ExecStart"])
    assert program.endswith("/bin/ser-listen")
    with pytest.raises(SystemExit) as ended:
        main([*options, "--help"])
    assert ended.value.code == 0


def test_it_knows_what_the_exit_codes_mean(service: configparser.SectionProxy) -> None:
    assert int(service["SuccessExitStatus"]) == errors.TERMINATED_EXIT_CODE
    hopeless = (errors.UsageError, errors.ModelFileError, errors.MissingExtraError)
    assert [int(code) for code in service["RestartPreventExitStatus"].split()] == [
        kind.exit_code for kind in hopeless
    ]
