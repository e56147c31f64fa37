"""The microphone: samples as they are captured, with what was lost, and back after it was away."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from collections.abc import Iterator
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from ser_runtime.capture_device import CaptureDevice
from ser_runtime.capture_device import open_device
from ser_runtime.capture_device import portaudio
from ser_runtime.capture_device import reason
from ser_runtime.capture_device import reopen_device
from ser_runtime.errors import MicrophoneError

_SILENT_DEVICE_SECONDS = 5.0
_RETRY_SECONDS = 2.0


class Microphone:
    """A capture device, at its own rate; opened by `with`.

    PortAudio's callback copies into a bounded ring and does nothing else: a slow reader loses
    samples, which are counted, but never holds up the audio thread.

    A device that goes away is waited for and opened again. PortAudio is started anew for that,
    which ends other PortAudio streams of the process, such as a playback through sounddevice;
    other microphones are spared.

    Attributes:
        name: Of the device, once open.
        sample_rate: The device's own, in Hz, once open.
    """

    def __init__(
        self,
        device: str | int | None = None,
        on_status: Callable[[str], None] | None = None,
    ) -> None:
        """Choose a device.

        Args:
            device: Part of a name, or an index of `list_microphones`; None: the default one. After
                a loss a name is looked up anew, and the device of an index by its name.
            on_status: Called with a line of text when the device goes away, and when it is back,
                by the thread that reads `blocks`. None: a warning of `logging`.
        """
        self._device = device
        self._on_status = on_status or logging.getLogger(__name__).warning
        self._closing = threading.Event()
        self.name = ""
        self.sample_rate = 0

    def __enter__(self) -> Microphone:
        """Open the device and start capturing.

        Raises:
            MicrophoneError: If there is no PortAudio, no such device, or it refuses.
        """
        self._closing.clear()
        self._use(open_device(self._device))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._closing.set()
        self._capture.close()

    @property
    def backlog(self) -> float:
        """Seconds of captured audio that wait to be read."""
        return len(self._capture.ring) / self.sample_rate

    def blocks(self) -> Iterator[tuple[NDArray[np.float32], int, float]]:
        """Captured audio, until the microphone is closed.

        Yields:
            All samples that are there, up to the next gap: float32 [samples]; their rate in Hz,
            which may be another after the device was away; and the milliseconds lost just
            before them, the time away included.
        """
        away_ms = 0.0
        while not self._closing.is_set():
            samples, lost = self._capture.ring.read(_SILENT_DEVICE_SECONDS)
            if len(samples):
                yield samples, self.sample_rate, away_ms + 1000 * lost / self.sample_rate
                away_ms = 0.0
            elif not self._closing.is_set():
                away_ms += self._come_back()

    def _come_back(self) -> float:
        """Open the lost device again, however long that takes; how many milliseconds it took.

        Counted from its last block to its first new one, with what its ring had no room for.
        """
        lost = self._capture
        why = (
            "is gone"
            if lost.ring.ended
            else f"has delivered nothing for {_SILENT_DEVICE_SECONDS:g} s"
        )
        self._on_status(f"the microphone {self.name!r} {why}: waiting for it to come back")
        lost.close()
        unread_ms = 1000 * lost.ring.lost_at_end / lost.sample_rate
        while (capture := self._delivering()) is None:
            if self._closing.wait(_RETRY_SECONDS):
                return unread_ms
        self._use(capture)
        if self._closing.is_set():  # meanwhile, by another thread, which knew only the lost one
            capture.close()
        first_sample_at = capture.ring.first_at - capture.block_samples / capture.sample_rate
        away = max(0.0, first_sample_at - lost.ring.last_at)
        self._on_status(
            f"listening again to {self.name!r} at {self.sample_rate} Hz, after {away:.1f} s"
        )
        return unread_ms + 1000 * away

    def _delivering(self) -> CaptureDevice | None:
        """The device, opened again, if it is there and delivers."""
        try:
            capture = reopen_device(self._again)
        except MicrophoneError:
            return None  # it is not back yet, which was told when it went
        if capture.ring.wait(_SILENT_DEVICE_SECONDS) and not self._closing.is_set():
            return capture
        capture.close()
        return None

    def _use(self, capture: CaptureDevice) -> None:
        self._capture = capture
        self.name, self.sample_rate = capture.known.name, capture.sample_rate
        # By then an index may be another device's.
        self._again = capture.known if isinstance(self._device, int) else self._device


def list_microphones() -> list[tuple[int, str, int]]:
    """Index, name and native rate of every capture device.

    Raises:
        MicrophoneError: If there is no PortAudio library, or it cannot tell.
    """
    sounddevice = portaudio()
    try:
        devices = sounddevice.query_devices()
    except sounddevice.PortAudioError as error:
        raise MicrophoneError(f"cannot list the capture devices: {reason(error)}") from error
    return [
        (device["index"], device["name"], int(device["default_samplerate"]))
        for device in devices
        if device["max_input_channels"] > 0
    ]
