"""Opening a capture device, and finding it again after it was lost."""

from __future__ import annotations

import os
import sys
import threading

import pytest
from fake_portaudio import OTHER
from fake_portaudio import USB
from fake_portaudio import FakePortAudio
from fake_portaudio import FakeStream
from fake_portaudio import Plugged
from fake_portaudio import delivering

from ser_runtime.microphone import Microphone


@pytest.mark.parametrize("back", [USB, Plugged("USB microphone: Audio (hw:2,0)")])
def test_a_device_chosen_by_index_is_found_again_by_its_name(
    portaudio: FakePortAudio, back: Plugged
) -> None:
    decoys = [
        Plugged("USB microphone: Audio", host_api=1),
        Plugged(USB.name, inputs=0),
        Plugged("USB microphone: Audio 2 (hw:3,0)"),
        OTHER,
    ]
    with Microphone(0, on_status=lambda text: None) as microphone:
        portaudio.plugged, portaudio.on_open = [*decoys, back], delivering
        portaudio.streams[0].fail()
        next(microphone.blocks())
        assert microphone.name == back.name
        assert portaudio.streams[-1].options["device"] == len(decoys)


def test_of_two_devices_like_the_lost_one_none_is_taken(portaudio: FakePortAudio) -> None:
    alike = [Plugged(f"USB microphone: Audio (hw:{card},0)") for card in (2, 3)]
    with Microphone(0, on_status=lambda text: None) as microphone:
        portaudio.plugged, portaudio.on_open = alike, delivering
        portaudio.streams[0].fail()
        starts = portaudio.starts
        right = threading.Timer(0.2, lambda: portaudio.plugged.append(USB))
        right.start()
        next(microphone.blocks())
        assert portaudio.starts > starts + 1
        assert microphone.name == USB.name


def test_another_open_microphone_is_spared(portaudio: FakePortAudio) -> None:
    with Microphone() as other, Microphone(on_status=lambda text: None) as microphone:
        portaudio.on_open = delivering
        portaudio.streams[1].fail()
        next(microphone.blocks())
        portaudio.streams[0].deliver()
        assert len(next(other.blocks())[0]) == 100
        assert portaudio.starts == 1


def test_portaudio_that_did_not_start_is_started_at_the_next_attempt(
    portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch
) -> None:
    working = portaudio._initialize

    def fails_once() -> None:
        monkeypatch.setattr(portaudio, "_initialize", working)
        raise portaudio.PortAudioError("Host error")

    with Microphone(on_status=lambda text: None) as microphone:
        portaudio.on_open = delivering
        monkeypatch.setattr(portaudio, "_initialize", fails_once)
        portaudio.streams[0].fail()
        next(microphone.blocks())
    assert portaudio._initialized == 1


def test_attempts_to_reopen_print_nothing(
    portaudio: FakePortAudio, capfd: pytest.CaptureFixture[str]
) -> None:
    def noisy(stream: FakeStream) -> None:
        os.write(2, b"ALSA lib: noise\n")
        delivering(stream)

    with Microphone(on_status=lambda text: sys.stderr.write(f"{text}\n")) as microphone:
        portaudio.on_open = noisy
        portaudio.streams[0].fail()
        next(microphone.blocks())
    assert [line.split()[0] for line in capfd.readouterr().err.splitlines()] == ["the", "listening"]
