"""The microphone: its callback, its losses, a device that goes away, and none at all."""

from __future__ import annotations

import ctypes.util
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_portaudio import OTHER
from fake_portaudio import USB
from fake_portaudio import FakePortAudio
from fake_portaudio import FakeStream
from fake_portaudio import Plugged
from fake_portaudio import counting
from fake_portaudio import delivering
from fake_portaudio import until
from synthetic_corpora import voice

from ser_runtime.errors import MicrophoneError
from ser_runtime.labels import EMOTIONS
from ser_runtime.microphone import Microphone
from ser_runtime.microphone import list_microphones

Command = Callable[..., subprocess.CompletedProcess[str]]

NO_LIBRARY = """
import ctypes.util
import sys
ctypes.util.find_library = lambda name: None
from ser_runtime.cli import main
main(sys.argv[1:])
"""
ALSA = Path("/usr/share/alsa/alsa.conf")
# Cards cannot be opened by this configuration, whatever is plugged in.
NO_CARDS = f"<{ALSA}>\npcm.!hw {{ type none }}\nctl.!hw {{ type none }}\n"
# A capture device that reads a file, as fast as it is asked.
FILE_DEVICE = """
pcm.played {{ type file slave.pcm null file /dev/null infile "{path}" format raw }}
"""


def environment(folder: Path, configuration: str) -> dict[str, str]:
    """Of a machine whose sound devices are those of an ALSA configuration."""
    (folder / "asound.conf").write_text(configuration)
    alsa = {"ALSA_CONFIG_PATH": str(folder / "asound.conf")} if ALSA.exists() else {}
    others = {"PULSE_SERVER": "unix:/nonexistent", "JACK_NO_START_SERVER": "1"}
    return os.environ | alsa | others


def without_library(*arguments: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", NO_LIBRARY, *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_the_device_is_opened_at_its_own_rate_with_blocks_of_a_tenth_of_a_second(
    portaudio: FakePortAudio,
) -> None:
    portaudio.plugged = [Plugged("48k", rate=48_000)]
    portaudio._initialize()
    with Microphone() as microphone:
        assert (microphone.name, microphone.sample_rate) == ("48k", 48_000)
    options = portaudio.streams[0].options
    assert (options["samplerate"], options["blocksize"], options["channels"]) == (48_000, 4_800, 1)


def test_blocks_hold_all_that_is_there(portaudio: FakePortAudio) -> None:
    with Microphone() as microphone:
        portaudio.streams[0].deliver(blocks=3)
        assert microphone.backlog == pytest.approx(0.3)
        samples, rate, dropped_ms = next(microphone.blocks())
        assert microphone.backlog == 0
    assert (rate, dropped_ms) == (1_000, 0.0)
    np.testing.assert_array_equal(samples, counting(0, 300))


def test_an_overflow_of_the_device_counts_as_a_block_lost_before_its_samples(
    portaudio: FakePortAudio,
) -> None:
    with Microphone() as microphone:
        portaudio.streams[0].deliver()
        portaudio.streams[0].deliver(overflow=True)
        blocks = microphone.blocks()
        first, second = next(blocks), next(blocks)
    assert (first[2], second[2]) == (0.0, 100.0)
    np.testing.assert_array_equal(second[0], counting(200, 100))


def test_no_callback_waits_for_a_slow_reader_and_every_lost_sample_is_counted(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader stands still until 8 blocks more were delivered, and the ring holds 5.

    A callback that waited for room would never return, and the reader would stand still for ever.
    """
    monkeypatch.setattr("ser_runtime.capture_device._RING_SECONDS", 0.5)
    place, dropped, stalls = 0, 0.0, 0
    with Microphone() as microphone:
        stream = portaudio.streams[0]
        audio = stream.deliver_in_real_time(blocks=24)
        for samples, rate, dropped_ms in microphone.blocks():
            place += round(dropped_ms * rate / 1000)
            np.testing.assert_array_equal(samples, counting(place, len(samples)))
            place += len(samples)
            dropped += dropped_ms
            if place == 2_400:
                break
            if stalls < 2:
                stalls += 1
                stream.wait_for(blocks=8)
        audio.join()
    assert dropped >= 2 * 200


def test_a_lost_device_is_told_once_and_opened_again_when_it_is_back(
    portaudio: FakePortAudio,
) -> None:
    told: list[str] = []
    with Microphone(on_status=told.append) as microphone:
        blocks = microphone.blocks()
        portaudio.streams[0].deliver()
        next(blocks)
        portaudio.plugged, portaudio.on_open = [], delivering
        lost_at = time.monotonic()
        portaudio.streams[0].fail()
        comes_back = threading.Timer(0.3, lambda: setattr(portaudio, "plugged", [OTHER]))
        comes_back.start()
        samples, rate, dropped_ms = next(blocks)
        away = time.monotonic() - lost_at
        portaudio.streams[-1].deliver()
        after = next(blocks)
    assert told == [
        f"the microphone {USB.name!r} is gone: waiting for it to come back",
        f"listening again to {OTHER.name!r} at 2000 Hz, after {dropped_ms / 1000:.1f} s",
    ]
    assert (microphone.name, rate) == (OTHER.name, 2_000)
    np.testing.assert_array_equal(samples, counting(0, 200))
    # From its last block to the start of its first new one, of 0.1 s.
    assert 200 <= dropped_ms <= 1000 * away
    assert after[2] == 0.0
    assert portaudio.streams[0].closed


def test_what_the_ring_had_no_room_for_counts_when_the_device_is_back(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ser_runtime.capture_device._RING_SECONDS", 60.0)
    dropped = []
    for lost_blocks in (0, 500):
        with Microphone(on_status=lambda text: None) as microphone:
            blocks = microphone.blocks()
            portaudio.streams[-1].deliver(blocks=600)
            portaudio.streams[-1].deliver(blocks=lost_blocks)
            next(blocks)
            portaudio.on_open = delivering
            portaudio.streams[-1].fail()
            dropped.append(next(blocks)[2])
            portaudio.on_open = lambda stream: None
    assert dropped[1] - 50_000 == pytest.approx(dropped[0], abs=5_000)


def test_a_device_that_delivers_nothing_is_opened_again(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ser_runtime.microphone._SILENT_DEVICE_SECONDS", 0.1)
    told: list[str] = []
    with Microphone(on_status=told.append) as microphone:
        portaudio.on_open = delivering
        samples, _, dropped_ms = next(microphone.blocks())
    assert told[0].startswith(f"the microphone {USB.name!r} has delivered nothing for 0.1 s")
    assert len(told) == 2
    assert len(samples) == 100
    assert dropped_ms > 0


def test_a_device_that_opens_and_delivers_nothing_is_not_yet_back(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ser_runtime.microphone._SILENT_DEVICE_SECONDS", 0.1)

    def at_the_third_time(stream: FakeStream) -> None:
        if len(portaudio.streams) == 4:
            delivering(stream)

    told: list[str] = []
    with Microphone(on_status=told.append) as microphone:
        portaudio.on_open = at_the_third_time
        portaudio.streams[0].fail()
        next(microphone.blocks())
    assert len(told) == 2
    assert all(stream.closed for stream in portaudio.streams)


@pytest.mark.parametrize("plugged", [[], [USB]])
def test_a_closed_microphone_ends_its_blocks(
    portaudio: FakePortAudio, plugged: list[Plugged]
) -> None:
    told: list[str] = []
    with Microphone(on_status=told.append) as microphone:
        portaudio.plugged = plugged
        reader = threading.Thread(target=lambda: list(microphone.blocks()))
        reader.start()
        if not plugged:  # closed while it waits for the device
            portaudio.streams[0].fail()
            until(lambda: bool(told))
    reader.join(timeout=60)
    assert not reader.is_alive()
    assert len(told) == (0 if plugged else 1)


def test_without_a_listener_a_loss_is_a_warning(
    portaudio: FakePortAudio, caplog: pytest.LogCaptureFixture
) -> None:
    with Microphone() as microphone, caplog.at_level(logging.WARNING):
        portaudio.on_open = delivering
        portaudio.streams[0].fail()
        next(microphone.blocks())
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING"]
    assert "is gone" in caplog.text


@pytest.mark.parametrize("device", [None, 3, "nothing like it"])
def test_a_device_that_is_missing_at_first_is_an_error_at_once(
    portaudio: FakePortAudio, device: str | int | None
) -> None:
    portaudio.plugged = []
    portaudio._initialize()
    with pytest.raises(MicrophoneError, match=r"no microphone.*--list-devices"), Microphone(device):
        pass


def test_a_device_that_refuses_at_first_is_an_error_at_once(portaudio: FakePortAudio) -> None:
    portaudio.plugged = []
    with pytest.raises(MicrophoneError, match="cannot be opened"), Microphone():
        pass


def test_only_capture_devices_are_listed(portaudio: FakePortAudio) -> None:
    portaudio.plugged = [Plugged("speaker", inputs=0), OTHER]
    portaudio._initialize()
    assert list_microphones() == [(1, OTHER.name, 2_000)]


@pytest.mark.parametrize("arguments", [[], ["--list-devices"]])
def test_without_the_library_the_package_to_install_is_named(
    made_up_model: Path, arguments: list[str]
) -> None:
    done = without_library("--model", made_up_model, *arguments)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: ")
    assert "libportaudio2" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_the_library_files_are_recognized(made_up_model: Path, wav: Path) -> None:
    done = without_library("--model", made_up_model, wav)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) > 1


@pytest.mark.parametrize("device", ["no microphone has this name", "987654"])
def test_a_microphone_that_is_not_there_is_an_error(
    made_up_model: Path, run_module: Command, device: str
) -> None:
    done = run_module("ser_runtime", "--model", made_up_model, "--device", device)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


def test_a_machine_without_a_microphone_is_an_error(
    made_up_model: Path, run_module: Command, tmp_path: Path
) -> None:
    env = environment(tmp_path, NO_CARDS)
    done = run_module("ser_runtime", "--model", made_up_model, env=env)
    assert (done.returncode, done.stdout) == (4, "")
    assert done.stderr.startswith("error: ")
    assert "Traceback" not in done.stderr


@pytest.mark.skipif(
    ctypes.util.find_library("portaudio") is None or not ALSA.exists(),
    reason="needs libportaudio2 and ALSA",
)
def test_a_microphone_is_recognized_until_ctrl_c(made_up_model: Path, tmp_path: Path) -> None:
    samples = np.tile(voice("happy", seed=1, seconds=2.0, rate=44_100), 100)
    (samples * 32_767).astype("<i2").tofile(tmp_path / "sound.raw")
    configuration = NO_CARDS + FILE_DEVICE.format(path=tmp_path / "sound.raw")
    options = ["--model", made_up_model, "--device", "played", "--vad", "off"]
    command = [sys.executable, "-m", "ser_runtime", *options, "--min-confidence", "0"]
    with subprocess.Popen(
        list(map(str, command)),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(tmp_path, configuration),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        first = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        rest, errors = process.stdout.read(), process.stderr.read()
    assert first["label"] in EMOTIONS
    assert all(json.loads(line)["label"] in EMOTIONS for line in rest.splitlines())
    assert process.returncode == 130, errors
    assert errors.startswith("listening to played at ")
    assert "Traceback" not in errors
