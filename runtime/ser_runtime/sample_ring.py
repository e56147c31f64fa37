"""A bounded queue of samples between the audio thread and the reader, with the gaps in it."""

from __future__ import annotations

import threading
import time
from collections import deque

import numpy as np
from numpy.typing import NDArray


class SampleRing:
    """A bounded queue of mono samples between one writing and one reading thread.

    What does not fit is lost and counted, never waited for. No value is written by both threads.

    Attributes:
        first_at: When the first block came (`time.monotonic()`); None before it.
        last_at: When the last block came, whether it fitted or not; at first, when the ring was
            made.
        lost_at_end: Samples lost since the last one that was taken in.
        ended: Whether `end` was called.
    """

    def __init__(self, capacity: int) -> None:
        self.first_at: float | None = None
        self.last_at = time.monotonic()
        self.lost_at_end = 0
        self.ended = False
        self._samples = np.zeros(capacity, np.float32)
        self._written = 0
        self._read = 0
        self._gaps: deque[tuple[int, int]] = deque()  # position of the sample behind it, lost
        self._arrived = threading.Event()

    def __len__(self) -> int:
        """Samples that wait to be read."""
        return self._written - self._read

    def write(self, samples: NDArray[np.float32]) -> None:
        """Copy samples in: float32 [samples]. Called by the audio thread."""
        self.last_at = time.monotonic()
        if self.first_at is None:
            self.first_at = self.last_at
        capacity, count = len(self._samples), len(samples)
        if count > capacity - len(self):
            self.lost_at_end += count
            return
        if self.lost_at_end and count:
            self._gaps.append((self._written, self.lost_at_end))
            self.lost_at_end = 0
        start = self._written % capacity
        first = min(count, capacity - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: count - first] = samples[first:]
        # Last, so that the reader never sees samples without the gap before them.
        self._written += count
        self._arrived.set()

    def add_lost(self, samples: int) -> None:
        """Count samples that were lost before they came here. Called by the audio thread."""
        self.lost_at_end += samples

    def end(self) -> None:
        """Let a reader go that waits: nothing more will come. Called by the audio thread."""
        self.ended = True
        self._arrived.set()

    def wait(self, timeout: float) -> bool:
        """Wait for samples.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether there are any; False after the timeout, and when the ring has ended.
        """
        deadline = time.monotonic() + timeout
        while not len(self) and not self.ended:
            self._arrived.clear()
            # What came before the clearing is seen here, what comes after it ends the wait.
            if len(self) or self.ended:
                break
            if not self._arrived.wait(max(0.0, deadline - time.monotonic())):
                break
        return len(self) > 0

    def read(self, timeout: float) -> tuple[NDArray[np.float32], int]:
        """The samples up to the next gap, waiting for some; and how many were lost before them.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            float32 [samples], a copy, empty where `wait` is False; and the number lost.
        """
        self.wait(timeout)
        start, end, lost = self._read, self._written, 0
        if start == end:
            return np.zeros(0, np.float32), 0
        if self._gaps and self._gaps[0][0] == start:
            lost = self._gaps.popleft()[1]
        if self._gaps:
            end = min(end, self._gaps[0][0])
        samples = self._samples[np.arange(start, end) % len(self._samples)]
        self._read = end
        return samples, lost
