"""The ring between the audio thread and the reader, and what happens without a microphone."""

from __future__ import annotations

import ctypes.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from synthetic_corpora import voice

from ser_runtime.errors import MicrophoneError
from ser_runtime.labels import EMOTIONS
from ser_runtime.microphone import Microphone
from ser_runtime.microphone import SampleRing

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


def counting(start: int, count: int) -> NDArray[np.float32]:
    return np.arange(start, start + count, dtype=np.float32)


def test_what_was_written_is_read_in_order() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 4))
    ring.write(counting(4, 6))
    samples, lost = ring.read(timeout=0)
    assert samples.tolist() == list(range(10))
    assert lost == 0


def test_order_is_kept_where_the_ring_wraps() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 7))
    ring.read(timeout=0)
    ring.write(counting(7, 9))
    assert ring.read(timeout=0)[0].tolist() == list(range(7, 16))


def test_a_block_that_does_not_fit_is_lost_whole_and_counted() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 8))
    ring.write(counting(8, 3))
    ring.write(counting(11, 2))
    samples, lost = ring.read(timeout=0)
    assert samples.tolist() == [*range(8), 11, 12]
    assert lost == 3


def test_losses_are_told_once() -> None:
    ring = SampleRing(4)
    ring.write(counting(0, 5))
    ring.add_lost(7)
    assert ring.read(timeout=0)[1] == 12
    assert ring.read(timeout=0)[1] == 0


def test_what_was_read_is_a_copy() -> None:
    ring = SampleRing(4)
    ring.write(counting(0, 4))
    samples, _ = ring.read(timeout=0)
    ring.write(counting(10, 4))
    assert samples.tolist() == [0, 1, 2, 3]


def test_an_empty_ring_gives_nothing_after_the_timeout() -> None:
    samples, lost = SampleRing(4).read(timeout=0.01)
    assert (len(samples), lost) == (0, 0)


def test_a_reader_that_waits_gets_what_arrives() -> None:
    ring = SampleRing(4)
    writer = threading.Timer(0.05, ring.write, [counting(0, 2)])
    writer.start()
    assert ring.read(timeout=60)[0].tolist() == [0, 1]
    writer.join()


def test_a_write_during_a_read_does_not_cut_the_next_wait_short() -> None:
    class WriteAtClear(threading.Event):
        """The audio thread's block, at the worst moment of a read."""

        def clear(self) -> None:
            super().clear()
            if not self.written:
                self.written = True
                ring.write(counting(2, 2))

        written = False

    ring = SampleRing(8)
    ring._arrived = WriteAtClear()
    ring.write(counting(0, 2))
    seen = ring.read(timeout=0)[0].tolist()
    writer = threading.Timer(0.05, ring.write, [counting(4, 2)])
    writer.start()
    while len(seen) < 6:
        samples, _ = ring.read(timeout=60)
        assert len(samples), "the microphone would be taken for unplugged"
        seen += samples.tolist()
    writer.join()
    assert seen == [0, 1, 2, 3, 4, 5]


@settings(max_examples=25, deadline=None)
@given(
    capacity=st.integers(1, 20),
    steps=st.lists(st.one_of(st.none(), st.integers(0, 25)), max_size=40),
)
def test_every_sample_is_read_once_or_counted_as_lost(
    capacity: int, steps: list[int | None]
) -> None:
    ring, kept, read, lost, written = SampleRing(capacity), [], [], 0, 0
    for step in [*steps, None]:
        if step is None:
            samples, newly_lost = ring.read(timeout=0)
            read += samples.tolist()
            lost += newly_lost
            continue
        fits = step <= capacity - (len(kept) - len(read))
        ring.write(counting(written, step))
        kept += range(written, written + step) if fits else []
        written += step
    assert read == kept
    assert lost == written - len(kept)


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads change places as often as Python can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("capacity", [64, 100_000])
def test_order_and_counts_hold_between_two_threads(capacity: int) -> None:
    ring, sizes = SampleRing(capacity), [1 + n * 7 % 40 for n in range(2_000)]
    done = threading.Event()

    def write() -> None:
        start = 0
        for size in sizes:
            ring.write(counting(start, size))
            start += size
        done.set()

    writer = threading.Thread(target=write)
    writer.start()
    parts, lost, ended = [], 0, False
    while not ended:
        ended = done.is_set()
        samples, newly_lost = ring.read(timeout=0.01)
        parts.append(samples)
        lost += newly_lost
    writer.join()
    read = np.concatenate(parts)
    assert (np.diff(read) > 0).all()
    assert len(read) + lost == sum(sizes)
    assert lost == 0 or capacity == 64


def callback(microphone: Microphone, samples: NDArray[np.float32], overflow: bool) -> None:
    microphone._callback(samples, len(samples), None, SimpleNamespace(input_overflow=overflow))


def test_the_callback_only_copies_into_the_ring() -> None:
    microphone = Microphone()
    microphone._ring = SampleRing(100)
    block = counting(0, 6).reshape(-1, 1)
    callback(microphone, block, overflow=False)
    block[:] = -1  # PortAudio uses its buffer again
    samples, lost = microphone._ring.read(timeout=0)
    assert samples.tolist() == [0, 1, 2, 3, 4, 5]
    assert lost == 0


def test_an_overflow_of_the_device_counts_as_a_lost_block() -> None:
    microphone = Microphone()
    microphone._ring = SampleRing(100)
    callback(microphone, counting(0, 6).reshape(-1, 1), overflow=True)
    assert microphone._ring.read(timeout=0)[1] == 6


def test_blocks_tell_what_was_lost_in_milliseconds() -> None:
    microphone = Microphone()
    microphone.sample_rate, microphone._ring = 1_000, SampleRing(10)
    callback(microphone, counting(0, 8).reshape(-1, 1), overflow=False)
    callback(microphone, counting(8, 25).reshape(-1, 1), overflow=False)
    blocks = microphone.blocks()
    samples, lost_ms = next(blocks)
    assert (samples.tolist(), lost_ms) == (list(range(8)), 0.0)
    callback(microphone, counting(33, 4).reshape(-1, 1), overflow=False)
    samples, lost_ms = next(blocks)
    assert (samples.tolist(), lost_ms) == (list(range(33, 37)), 25.0)


def test_a_device_that_delivers_nothing_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser_runtime.microphone._SILENT_DEVICE_SECONDS", 0.01)
    microphone = Microphone()
    microphone.name, microphone._ring = "USB microphone", SampleRing(10)
    with pytest.raises(MicrophoneError, match=r"USB microphone.*unplugged"):
        next(microphone.blocks())


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
    command = [sys.executable, "-m", "ser_runtime", "--model", made_up_model, "--device", "played"]
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
