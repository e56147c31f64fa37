"""The microphone: PortAudio's callback copies into a bounded ring, and does nothing else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from types import ModuleType
from types import TracebackType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import MicrophoneError

# Small blocks at low latency cost more than the inference, and lose samples.
_BLOCK_SECONDS = 0.1
_RING_SECONDS = 4.0
_SILENT_DEVICE_SECONDS = 5.0
_NO_PORTAUDIO = (
    "the microphone needs the PortAudio library, which is not installed: "
    "`sudo apt install libportaudio2` (Debian, Ubuntu, Raspberry Pi OS), "
    "`brew install portaudio` (macOS). Files work without it: ser-listen FILE"
)


class SampleRing:
    """A bounded queue of mono samples between one writing and one reading thread.

    What does not fit is lost and counted, never waited for. Each counter is written by one thread
    alone, and only counts up.
    """

    def __init__(self, capacity: int) -> None:
        self._samples = np.zeros(capacity, np.float32)
        self._written = 0
        self._read = 0
        self._lost = 0
        self._lost_told = 0
        self._arrived = threading.Event()

    def write(self, samples: NDArray[np.float32]) -> None:
        """Copy samples in: float32 [samples]. Called by the audio thread."""
        capacity = len(self._samples)
        free = capacity - (self._written - self._read)
        if len(samples) > free:
            self._lost += len(samples)
        else:
            start = self._written % capacity
            first = min(len(samples), capacity - start)
            self._samples[start : start + first] = samples[:first]
            self._samples[: len(samples) - first] = samples[first:]
            self._written += len(samples)
        self._arrived.set()

    def add_lost(self, samples: int) -> None:
        """Count samples that were lost before they came here. Called by the audio thread."""
        self._lost += samples

    def read(self, timeout: float) -> tuple[NDArray[np.float32], int]:
        """All samples that are there, waiting for some; and how many were lost since.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            float32 [samples], a copy, empty after the timeout; and the number lost.
        """
        deadline = time.monotonic() + timeout
        while self._written == self._read and self._lost == self._lost_told:
            self._arrived.clear()
            # What arrived before the clearing is seen here, what arrives after it ends the wait.
            if self._written != self._read or self._lost != self._lost_told:
                break
            if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                break
        written, lost = self._written, self._lost
        positions = np.arange(self._read, written) % len(self._samples)
        samples = self._samples[positions]
        self._read = written
        newly_lost, self._lost_told = lost - self._lost_told, lost
        return samples, newly_lost


class Microphone:
    """A capture device, at its own rate; opened by `with`.

    Attributes:
        name: Of the device, once open.
        sample_rate: The device's own, in Hz, once open.
    """

    def __init__(self, device: str | int | None = None) -> None:
        """Choose a device.

        Args:
            device: Part of a name, or an index of `list_microphones`; None: the default one.
        """
        self._device = device
        self.name = ""
        self.sample_rate = 0

    def __enter__(self) -> Microphone:
        """Open the device and start capturing.

        Raises:
            MicrophoneError: If there is no PortAudio, no such device, or it refuses.
        """
        sounddevice = _portaudio()
        try:
            info = sounddevice.query_devices(self._device, "input")
        except (ValueError, sounddevice.PortAudioError) as error:
            wanted = (
                "no microphone found" if self._device is None else f"no microphone {self._device!r}"
            )
            raise MicrophoneError(
                f"{wanted} ({_reason(error)}); `ser-listen --list-devices` shows what is there"
            ) from error
        self.name = info["name"]
        self.sample_rate = int(info["default_samplerate"])
        self._ring = SampleRing(int(self.sample_rate * _RING_SECONDS))
        try:
            self._stream = sounddevice.InputStream(
                device=self._device,
                samplerate=self.sample_rate,
                channels=1,
                dtype="float32",
                blocksize=int(self.sample_rate * _BLOCK_SECONDS),
                latency="high",
                callback=self._callback,
            )
            try:
                self._stream.start()
            except sounddevice.PortAudioError:
                self._stream.close()
                raise
        except sounddevice.PortAudioError as error:
            raise MicrophoneError(
                f"the microphone {self.name!r} cannot be opened ({_reason(error)}): "
                "is it in use, or not permitted?"
            ) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stream.close()

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], float]]:
        """Captured samples, without end: float32 [samples], and milliseconds lost before them.

        Raises:
            MicrophoneError: If the device stops delivering.
        """
        lost_before = 0
        while True:
            samples, lost = self._ring.read(_SILENT_DEVICE_SECONDS)
            if not len(samples) and not lost:
                raise MicrophoneError(
                    f"the microphone {self.name!r} has delivered nothing for "
                    f"{_SILENT_DEVICE_SECONDS:g} s: was it unplugged?"
                )
            # A full ring loses what comes after its content: it belongs to the next block.
            yield samples, 1000 * lost_before / self.sample_rate
            lost_before = lost

    def _callback(self, samples: NDArray[np.float32], frames: int, _time: Any, status: Any) -> None:
        self._ring.write(samples[:, 0])
        if status.input_overflow:
            # PortAudio does not say how much it lost; at least a block.
            self._ring.add_lost(frames)


def list_microphones() -> list[tuple[int, str, int]]:
    """Index, name and native rate of every capture device.

    Raises:
        MicrophoneError: If there is no PortAudio library, or it cannot tell.
    """
    sounddevice = _portaudio()
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"cannot list the capture devices: {_reason(error)}") from error
    return [
        (device["index"], device["name"], int(device["default_samplerate"]))
        for device in devices
        if device["max_input_channels"] > 0
    ]


def _portaudio() -> ModuleType:
    """The sounddevice module, imported only where a microphone is wanted."""
    try:
        import sounddevice
    except OSError as error:
        raise MicrophoneError(_NO_PORTAUDIO) from error
    except Exception as error:  # its own PortAudioError, which cannot be named before the import
        raise MicrophoneError(f"PortAudio does not start: {_reason(error)}") from error
    return sounddevice


def _reason(error: Exception) -> str:
    return str(error.args[0] if error.args else error).rstrip(".")
