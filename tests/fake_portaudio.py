"""A device for the microphone: it calls the real callback, as PortAudio's audio thread does.

`FakePortAudio` stands where the sounddevice module does. Like PortAudio, it knows only the devices
that were plugged in when it was started.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Plugged:
    """A device that is there."""

    name: str
    rate: int = 1_000
    inputs: int = 1
    host_api: int = 0


class FakeStream:
    """An opened device: blocks are delivered, or it fails, when the test says so."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.closed = False
        self.position = 0

    def start(self) -> None:
        """Nothing is delivered by itself."""

    def close(self) -> None:
        if not self.closed:
            self.closed = True
            self.options["finished_callback"]()

    def fail(self) -> None:
        """The audio thread ends, as where a device is unplugged."""
        self.options["finished_callback"]()

    def deliver(
        self,
        blocks: int = 1,
        overflow: bool = False,
        sound: NDArray[np.float32] | None = None,
    ) -> None:
        """Call the callback with samples of a sound, or such as count up from 0."""
        for _ in range(blocks):
            count = self.options["blocksize"]
            start = self.position + count * overflow  # a block was lost before this one
            block = counting(start, count) if sound is None else sound[start : start + count].copy()
            self.options["callback"](
                block.reshape(-1, 1), count, None, SimpleNamespace(input_overflow=overflow)
            )
            block[:] = -1  # PortAudio uses its buffer again
            self.position = start + count

    def deliver_in_real_time(
        self, blocks: int, sound: NDArray[np.float32] | None = None
    ) -> threading.Thread:
        """Start an audio thread that delivers a block each 0.1 s."""

        def run() -> None:
            start = time.monotonic()
            for number in range(blocks):
                time.sleep(max(0.0, start + 0.1 * number - time.monotonic()))
                self.deliver(sound=sound)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return thread

    def wait_for(self, blocks: int) -> None:
        """Stand still until so many blocks more were delivered."""
        position = self.position + blocks * self.options["blocksize"]
        until(lambda: self.position >= position)


class FakePortAudio:
    """What the microphone uses of sounddevice."""

    class PortAudioError(Exception):
        """Its own error."""

    def __init__(self, *plugged: Plugged) -> None:
        self.plugged = list(plugged)
        self.streams: list[FakeStream] = []
        self.starts = 0
        self.on_open: Callable[[FakeStream], None] = lambda stream: None
        self._initialized = 0
        self._looked_up = 0
        self._initialize()

    def _initialize(self) -> None:
        self._initialized += 1
        self.starts += 1
        self._listed = list(self.plugged)

    def _terminate(self) -> None:
        self._initialized -= 1
        for stream in self.streams:
            stream.close()

    def query_hostapis(self, index: int) -> dict[str, Any]:
        return {"name": ("ALSA", "JACK")[index]}

    def query_devices(self, device: str | int | None = None, kind: str | None = None) -> Any:
        self._looked_up += 1
        assert self._looked_up < 1_000, "the device is looked for without end"
        listed = [
            {
                "index": index,
                "name": each.name,
                "hostapi": each.host_api,
                "max_input_channels": each.inputs,
                "default_samplerate": float(each.rate),
            }
            for index, each in enumerate(self._listed)
        ]
        if kind is None:
            return listed
        if isinstance(device, int):
            chosen = listed[device : device + 1]
        else:
            chosen = [each for each in listed if (device or "").lower() in each["name"].lower()]
        if not chosen:
            raise ValueError(f"No input device matching {device!r}")
        return chosen[0]

    def InputStream(self, **options: Any) -> FakeStream:  # noqa: N802
        if self._listed[options["device"]] not in self.plugged:
            raise self.PortAudioError("Device unavailable")
        stream = FakeStream(**options)
        self.streams.append(stream)
        assert len(self.streams) < 8, "the device is opened without end"
        self.on_open(stream)
        return stream


def delivering(stream: FakeStream) -> None:
    """A device that delivers its first block soon after it was opened."""
    threading.Timer(0.05, stream.deliver).start()


def until(condition: Callable[[], bool]) -> None:
    """Wait for another thread."""
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "what was waited for does not happen"
        time.sleep(0.005)


def counting(start: int, count: int) -> NDArray[np.float32]:
    """Samples that tell their own place."""
    return np.arange(start, start + count, dtype=np.float32)


USB = Plugged("USB microphone: Audio (hw:1,0)")
OTHER = Plugged("Built-in: Analog (hw:0,0)", rate=2_000)
