"""A microphone without hardware: the monitor of a PulseAudio null sink, where files are played.

The server is one of the test's own, with its own folders; nothing of the machine's sound is used.
"""

from __future__ import annotations

import ctypes.util
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import soxr
from numpy.typing import NDArray

from ser_runtime.model import Model
from ser_runtime.stream import Stream

# What PortAudio takes for the own rate of any of ALSA's PulseAudio devices.
RATE = 44_100
NULL_SINK = ["module-null-sink", "sink_name=vmic", f"rate={RATE}", "channels=1", "format=s16le"]
ALSA = Path("/usr/share/alsa/alsa.conf")
ALSA_CONFIGURATION = f"""
<{ALSA}>
pcm.vmic {{
  type pulse
  device "vmic.monitor"
}}
"""
LISTENER = """
import json, sys
import numpy as np
from ser_runtime import Microphone, Model, Stream
from ser_runtime.errors import run_command
from ser_runtime.live_loop import run_live

def tell(**line):
    print(json.dumps(line), flush=True)

def captured(microphone):
    for samples, rate, dropped_ms in microphone.blocks():
        kept.append(samples)
        tell(block=[len(samples), rate, dropped_ms])
        yield samples, rate, dropped_ms

def listen():
    model, samples_path, device = sys.argv[1:]
    try:
        with Microphone(device, on_status=lambda text: tell(status=text)) as microphone:
            run_live(
                Stream(Model.open(model), vad="off"),
                captured(microphone),
                lambda p: tell(prediction=[p.end, list(p.probabilities.values()), p.dropped_ms]),
                backlog=lambda: microphone.backlog,
            )
    finally:
        np.save(samples_path, np.concatenate(kept))

kept = []
run_command(listen)
"""
PROGRAMS = ("pulseaudio", "pactl", "paplay", "arecord")

pytestmark = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS))
    or ctypes.util.find_library("portaudio") is None
    or not list(Path("/usr/lib").glob("*/alsa-lib/libasound_module_pcm_pulse.so")),
    reason="needs Debian packages: see `test-packages` in the Makefile",
)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The environment of a PulseAudio server with the null sink `vmic`."""
    folder = tmp_path_factory.mktemp("pulse")
    (folder / "asound.conf").write_text(ALSA_CONFIGURATION)
    environment = os.environ | {
        "HOME": str(folder),
        "XDG_RUNTIME_DIR": str(folder),
        "XDG_CONFIG_HOME": str(folder),
        "PULSE_SERVER": f"unix:{folder}/pulse/native",
        "ALSA_CONFIG_PATH": str(folder / "asound.conf"),
    }
    modules = ["module-native-protocol-unix", " ".join(NULL_SINK)]
    options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--log-level=error"]
    loaded = [f"--load={module}" for module in modules]
    with subprocess.Popen(["pulseaudio", *options, *loaded], env=environment) as server:
        deadline = time.monotonic() + 30
        while subprocess.run(["pactl", "info"], env=environment, capture_output=True).returncode:
            assert server.poll() is None, "pulseaudio has ended"
            assert time.monotonic() < deadline, "pulseaudio does not answer"
            time.sleep(0.1)
        yield environment
        server.terminate()


@pytest.fixture(scope="module")
def played(speech: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, NDArray[Any]]:
    """A WAV file of synthesized speech at the sink's rate, after silence; and the speech in it."""
    audio, rate = soundfile.read(speech, dtype="float32", frames=4 * 22_050)
    samples = (soxr.resample(audio, rate, RATE, quality="HQ") * 32_767).astype(np.int16)
    path = tmp_path_factory.mktemp("played") / "speech.wav"
    # A sound that starts is mixed into what the monitor has given out before.
    soundfile.write(path, np.concatenate([np.zeros(RATE // 2, np.int16), samples]), RATE)
    return path, samples


class Listener:
    """The live loop at the microphone `vmic`, in a process of its own."""

    def __init__(self, environment: dict[str, str], model: Path, folder: Path) -> None:
        self._environment = environment
        self._samples = folder / "captured.npy"
        command = [sys.executable, "-c", LISTENER, str(model), str(self._samples), "vmic"]
        self.process = subprocess.Popen(
            command, env=environment, stdout=subprocess.PIPE, text=True, bufsize=1
        )
        self.told: list[dict[str, Any]] = []

    def next(self, kind: str) -> Any:
        """Wait for the next status, block or prediction."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.told.append(json.loads(line))
            if kind in self.told[-1]:
                return self.told[-1][kind]
        raise AssertionError(f"the listener has ended: {self.told[-3:]}")

    def all(self, kind: str) -> list[Any]:
        return [line[kind] for line in self.told if kind in line]

    def hear(self, path: Path) -> None:
        """Play a file, and wait until its end must have come through."""
        subprocess.run(["paplay", "--device=vmic", path], env=self._environment, check=True)
        seconds = 0.0
        while seconds < 0.7:
            count, rate, _ = self.next("block")
            seconds += count / rate

    def end(self) -> NDArray[np.float32]:
        """Press Ctrl-C; float32 [samples], all that was captured."""
        self.process.send_signal(signal.SIGINT)
        assert self.process.stdout is not None
        self.told += [json.loads(line) for line in self.process.stdout]
        assert self.process.wait(timeout=60) == 130
        return np.load(self._samples)


@pytest.fixture
def listener(sound: dict[str, str], made_up_model: Path, tmp_path: Path) -> Iterator[Listener]:
    """A live loop that has captured its first block."""
    listener = Listener(sound, made_up_model, tmp_path)
    try:
        listener.next("block")
        yield listener
    finally:
        listener.process.kill()
        listener.process.wait()
        assert listener.process.stdout is not None
        listener.process.stdout.close()


def place_of(sought: NDArray[Any], captured: NDArray[np.float32]) -> int:
    """Where the correlation is largest."""
    size = len(captured) + len(sought)
    spectrum = np.fft.rfft(captured, size) * np.fft.rfft(sought.astype(np.float64), size).conj()
    return int(np.fft.irfft(spectrum, size).argmax())


def assert_heard(played: NDArray[Any], captured: NDArray[np.float32]) -> None:
    """The captured samples hold the played ones, to the bit."""
    place = place_of(played, captured)
    np.testing.assert_array_equal(
        captured[place : place + len(played)] * 32_768, played, err_msg=f"from {place}"
    )


def test_what_is_played_is_captured_bit_by_bit_and_predicted_as_from_memory(
    listener: Listener, played: tuple[Path, NDArray[Any]], made_up_model: Path
) -> None:
    path, samples = played
    listener.hear(path)
    captured = listener.end()
    blocks, live = listener.all("block"), listener.all("prediction")
    assert {rate for _, rate, _ in blocks} == {RATE}
    assert sum(count for count, _, _ in blocks) == len(captured)
    assert [dropped_ms for _, _, dropped_ms in blocks] == [0.0] * len(blocks)
    assert_heard(samples, captured)

    stream = Stream(Model.open(made_up_model), vad="off")
    predictions = stream.push(captured, RATE) + stream.flush()
    assert [end for end, _, _ in live] == [p.end for p in predictions]
    np.testing.assert_allclose(
        [probabilities for _, probabilities, _ in live],
        [list(p.probabilities.values()) for p in predictions],
        atol=1e-5,
    )
    assert listener.all("status") == []


def test_what_arecord_pipes_is_recognized_to_its_end(
    sound: dict[str, str], made_up_model: Path
) -> None:
    """Its WAV header is honoured: the rate is not the default one of pipes."""
    options = ["-q", "-D", "vmic", "-f", "S16_LE", "-r", "48000", "-c", "1", "-d", "2"]
    command = [sys.executable, "-m", "ser_runtime", "-", "--model", str(made_up_model)]
    with subprocess.Popen(["arecord", *options], env=sound, stdout=subprocess.PIPE) as recorder:
        done = subprocess.run(command, stdin=recorder.stdout, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    assert [row["end"] for row in rows] == [0.952, 1.464, 1.976, 2.0]


def test_a_device_that_goes_away_is_told_and_captured_again_when_it_is_back(
    listener: Listener, sound: dict[str, str], played: tuple[Path, NDArray[Any]]
) -> None:
    before = time.monotonic()
    subprocess.run(["pactl", "unload-module", "module-null-sink"], env=sound, check=True)
    gone = time.monotonic()
    assert listener.next("status").startswith("the microphone 'vmic' is gone")
    subprocess.run(
        ["pactl", "load-module", *NULL_SINK], env=sound, check=True, stdout=subprocess.DEVNULL
    )
    loaded = time.monotonic()
    assert listener.next("status").startswith(f"listening again to 'vmic' at {RATE} Hz, after ")
    _, rate, dropped_ms = listener.next("block")
    back = time.monotonic()
    path, samples = played
    listener.hear(path)
    captured = listener.end()
    assert rate == RATE
    # Less what its last block and its first new one may hold of the time between.
    assert 1000 * (loaded - gone) - 200 <= dropped_ms <= 1000 * (back - before) + 200
    assert listener.all("prediction")[-1][2] == dropped_ms
    assert len(listener.all("status")) == 2
    assert_heard(samples, captured)
