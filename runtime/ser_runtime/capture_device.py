"""A capture device, opened through PortAudio; and how it is found again after it was lost."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ser_runtime.errors import MicrophoneError
from ser_runtime.sample_ring import SampleRing

# Small blocks at low latency cost more than the inference, and lose samples.
_BLOCK_SECONDS = 0.1
_RING_SECONDS = 4.0
_ALSA_CARD = re.compile(r" \(hw:\d+,\d+\)$")
_NO_PORTAUDIO = (
    "the microphone needs the PortAudio library, which is not installed: "
    "`sudo apt install libportaudio2` (Debian, Ubuntu, Raspberry Pi OS), "
    "`brew install portaudio` (macOS). Files work without it: ser-listen FILE"
)


@dataclass(frozen=True)
class KnownDevice:
    """A device that was open before: its index may be another's by now.

    Attributes:
        name: In PortAudio's list.
        host_api: Name of the sound system that it was opened through.
    """

    name: str
    host_api: str


class CaptureDevice:
    """An open device that fills a ring, at its own rate.

    Attributes:
        known: What it is found by again.
        sample_rate: Its own, in Hz.
        block_samples: In each call of its callback.
        ring: What was captured; ended when the device stops by itself or is closed.
    """

    def __init__(self, sounddevice: ModuleType, info: dict[str, Any]) -> None:
        """Open and start it.

        Args:
            sounddevice: The module.
            info: Of the device, as `query_devices` gives it.

        Raises:
            MicrophoneError: If it refuses.
        """
        host_api = sounddevice.query_hostapis(info["hostapi"])["name"]
        self.known = KnownDevice(info["name"], host_api)
        self.sample_rate = int(info["default_samplerate"])
        self.block_samples = int(self.sample_rate * _BLOCK_SECONDS)
        self.ring = SampleRing(int(self.sample_rate * _RING_SECONDS))
        try:
            self._stream = sounddevice.InputStream(
                device=info["index"],
                samplerate=self.sample_rate,
                channels=1,
                dtype="float32",
                blocksize=self.block_samples,
                latency="high",
                callback=self._callback,
                finished_callback=self.ring.end,
            )
            try:
                self._stream.start()
            except sounddevice.PortAudioError:
                self._stream.close()
                raise
        except sounddevice.PortAudioError as error:
            raise MicrophoneError(
                f"the microphone {self.known.name!r} cannot be opened ({reason(error)}): "
                "is it in use, or not permitted?"
            ) from error
        _open.add(self)

    def close(self) -> None:
        """Stop capturing; a second time nothing happens."""
        with _lock:
            if self in _open:
                _open.remove(self)
                self._stream.close()

    def _callback(self, samples: NDArray[np.float32], frames: int, _time: Any, status: Any) -> None:
        if status.input_overflow:
            # Lost before these samples. PortAudio does not say how much; at least a block.
            self.ring.add_lost(frames)
        self.ring.write(samples[:, 0])


_lock = threading.Lock()
_open: set[CaptureDevice] = set()


def open_device(device: str | int | None) -> CaptureDevice:
    """Open a device.

    Args:
        device: Part of a name, or an index; None: the default one.

    Raises:
        MicrophoneError: If there is no PortAudio, no such device, or it refuses.
    """
    sounddevice = portaudio()
    with _lock:
        return _opened(sounddevice, device)


def reopen_device(device: str | KnownDevice | None) -> CaptureDevice:
    """Open a device that was lost, and closed.

    PortAudio makes its list of devices when it starts, so it is started anew. That would end the
    capture of another microphone: while there is one, the list stays as it is.

    Args:
        device: Part of a name, or one known from before; None: the default one.

    Raises:
        MicrophoneError: If it is not back.
    """
    sounddevice = portaudio()
    # PortAudio and ALSA print each failure, and there is one with each attempt.
    with _lock, _stderr_silenced():
        if not _open:
            _restart(sounddevice)
        return _opened(sounddevice, device)


def _opened(sounddevice: ModuleType, device: str | int | KnownDevice | None) -> CaptureDevice:
    try:
        if isinstance(device, KnownDevice):
            return CaptureDevice(sounddevice, _find_again(sounddevice, device))
        return CaptureDevice(sounddevice, sounddevice.query_devices(device, "input"))
    except (ValueError, OverflowError, sounddevice.PortAudioError) as error:
        wanted = "no microphone found" if device is None else f"no microphone {device!r}"
        raise MicrophoneError(
            f"{wanted} ({reason(error)}); `ser-listen --list-devices` shows what is there"
        ) from error


def _find_again(sounddevice: ModuleType, known: KnownDevice) -> dict[str, Any]:
    """The device of the same name; or else the only one that differs in its ALSA card number.

    Raises:
        ValueError: If there is none, or the choice is not clear.
    """
    devices = [
        info
        for info in sounddevice.query_devices()
        if info["max_input_channels"] > 0
        and sounddevice.query_hostapis(info["hostapi"])["name"] == known.host_api
    ]
    same = [info for info in devices if info["name"] == known.name]
    # A USB device may get another number when it is plugged in again.
    alike = [info for info in devices if _without_card(info["name"]) == _without_card(known.name)]
    if same:
        return same[0]
    if len(alike) == 1:
        return alike[0]
    raise ValueError(f"{len(alike)} devices have its name")


def _without_card(name: str) -> str:
    return _ALSA_CARD.sub("", name)


def _restart(sounddevice: ModuleType) -> None:
    try:
        # Not running where the last attempt got no further than to stop it.
        if sounddevice._initialized:
            sounddevice._terminate()
        sounddevice._initialize()
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"PortAudio does not start: {reason(error)}") from error


@contextmanager
def _stderr_silenced() -> Iterator[None]:
    """Send what libraries write to standard error nowhere."""
    try:
        before = os.dup(2)
    except OSError:  # it is closed
        yield
        return
    try:
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, 2)
        os.close(nowhere)
        yield
    finally:
        os.dup2(before, 2)
        os.close(before)


def portaudio() -> ModuleType:
    """The sounddevice module, imported only where a microphone is wanted.

    Raises:
        MicrophoneError: If there is no PortAudio library, or it does not start.
    """
    try:
        import sounddevice
    except OSError as error:
        raise MicrophoneError(_NO_PORTAUDIO) from error
    except Exception as error:  # its own PortAudioError, which cannot be named before the import
        raise MicrophoneError(f"PortAudio does not start: {reason(error)}") from error
    return sounddevice


def reason(error: Exception) -> str:
    """What PortAudio says."""
    return str(error.args[0] if error.args else error).rstrip(".")
