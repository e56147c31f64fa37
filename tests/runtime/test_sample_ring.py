"""The ring between the audio thread and the reader: order, gaps, counts."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from ser_runtime.sample_ring import SampleRing


def counting(start: int, count: int) -> NDArray[np.float32]:
    return np.arange(start, start + count, dtype=np.float32)


def read_all(ring: SampleRing) -> list[tuple[list[float], int]]:
    """Each run of samples that is there, with what was lost before it."""
    runs = []
    while len(ring):
        samples, lost = ring.read(timeout=0)
        runs.append((samples.tolist(), lost))
    return runs


def test_what_was_written_is_read_in_order() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 4))
    ring.write(counting(4, 6))
    assert read_all(ring) == [([*range(10)], 0)]


def test_order_is_kept_where_the_ring_wraps() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 7))
    ring.read(timeout=0)
    ring.write(counting(7, 9))
    assert read_all(ring) == [([*range(7, 16)], 0)]


def test_a_block_that_does_not_fit_is_lost_whole_and_told_where_it_is_missing() -> None:
    ring = SampleRing(10)
    ring.write(counting(0, 8))
    ring.write(counting(8, 3))
    ring.write(counting(11, 2))
    assert read_all(ring) == [([*range(8)], 0), ([11, 12], 3)]


def test_what_was_lost_is_told_once() -> None:
    ring = SampleRing(4)
    ring.add_lost(7)
    ring.write(counting(7, 2))
    ring.write(counting(9, 2))
    assert read_all(ring) == [([7, 8, 9, 10], 7)]
    ring.write(counting(11, 2))
    assert read_all(ring) == [([11, 12], 0)]


def test_what_is_lost_after_the_last_sample_is_kept_for_the_next() -> None:
    ring = SampleRing(4)
    ring.write(counting(0, 4))
    ring.write(counting(4, 3))
    ring.write(counting(7, 2))
    assert ring.lost_at_end == 5
    assert read_all(ring) == [([0, 1, 2, 3], 0)]
    ring.write(counting(9, 1))
    assert ring.lost_at_end == 0
    assert read_all(ring) == [([9], 5)]


def test_what_was_read_is_a_copy() -> None:
    ring = SampleRing(4)
    ring.write(counting(0, 4))
    samples, _ = ring.read(timeout=0)
    ring.write(counting(10, 4))
    assert samples.tolist() == [0, 1, 2, 3]


def test_an_empty_ring_gives_nothing_after_the_timeout() -> None:
    samples, lost = SampleRing(4).read(timeout=0.01)
    assert (len(samples), lost) == (0, 0)


def test_an_ended_ring_gives_what_is_left_and_then_nothing_at_once() -> None:
    ring = SampleRing(4)
    ring.write(counting(0, 2))
    ring.end()
    assert ring.read(timeout=600)[0].tolist() == [0, 1]
    assert len(ring.read(timeout=600)[0]) == 0


def test_a_reader_that_waits_gets_what_arrives() -> None:
    ring = SampleRing(4)
    writer = threading.Timer(0.05, ring.write, [counting(0, 2)])
    writer.start()
    assert ring.read(timeout=60)[0].tolist() == [0, 1]
    writer.join()


def test_a_reader_that_waits_is_let_go_at_the_end() -> None:
    ring = SampleRing(4)
    writer = threading.Timer(0.05, ring.end)
    writer.start()
    assert not ring.wait(timeout=600)
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


@settings(max_examples=50, deadline=None)
@given(
    capacity=st.integers(1, 20),
    steps=st.lists(
        st.one_of(
            st.just(("read", 0)),
            st.tuples(st.just("write"), st.integers(0, 25)),
            st.tuples(st.just("lose"), st.integers(0, 25)),
        ),
        max_size=40,
    ),
)
def test_every_sample_is_at_its_place_or_counted_before_the_next(
    capacity: int, steps: list[tuple[str, int]]
) -> None:
    ring, position, next_read = SampleRing(capacity), 0, 0

    def read_and_check() -> int:
        samples, lost = ring.read(timeout=0)
        start = next_read + lost
        np.testing.assert_array_equal(samples, counting(start, len(samples)))
        return start + len(samples)

    for step, count in steps:
        if step == "read":
            next_read = read_and_check()
        elif step == "write":
            room = capacity - len(ring)
            waiting = len(ring)
            ring.write(counting(position, count))
            assert len(ring) - waiting == (count if count <= room else 0)
            position += count
        else:
            ring.add_lost(count)
            position += count
    while len(ring):
        next_read = read_and_check()
    assert next_read + ring.lost_at_end == position


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads change places as often as Python can."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.mark.usefixtures("eager_switching")
@pytest.mark.parametrize("capacity", [64, 100_000])
def test_places_and_counts_hold_between_two_threads(capacity: int) -> None:
    ring, sizes = SampleRing(capacity), [1 + n * 7 % 40 for n in range(2_000)]

    def write() -> None:
        start = 0
        for size in sizes:
            ring.write(counting(start, size))
            start += size
        ring.end()

    writer = threading.Thread(target=write)
    writer.start()
    place, lost_in_all = 0, 0
    while ring.wait(timeout=60):
        samples, lost = ring.read(timeout=0)
        place += lost
        lost_in_all += lost
        np.testing.assert_array_equal(samples, counting(place, len(samples)))
        place += len(samples)
    writer.join()
    assert place + ring.lost_at_end == sum(sizes)
    assert capacity == 64 or lost_in_all == 0
