"""Segments: stretches of one label, with hysteresis."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ser_runtime.labels import EMOTIONS
from ser_runtime.prediction import UNCERTAIN
from ser_runtime.prediction import Prediction
from ser_runtime.segments import Segment
from ser_runtime.segments import SegmentMaker

OTHER = 0.05


def said(end: float, label: str | None, **changes: object) -> Prediction:
    """A prediction of the 3 s before `end`, all of them voice; ("sad", 0.6) sets a confidence."""
    share = changes.pop("share", 0.45)
    smoothed = None if label is None else dict.fromkeys(EMOTIONS, OTHER)
    if smoothed is not None and label != UNCERTAIN:
        smoothed[str(label)] = float(str(share))
    if smoothed is not None and "against" in changes:
        smoothed[str(changes.pop("against"))] = 0.3
    fields: dict[str, object] = {
        "start": end - 3.0,
        "end": end,
        "label": label,
        "confidence": 0.0 if smoothed is None else max(smoothed.values()),
        "certain": False,
        "probabilities": smoothed,
        "smoothed": smoothed,
        "voice": label is not None,
        "complete": True,
        "level_dbfs": -20.0,
        "dropped_ms": 0.0,
        "segment_start": False,
        "voice_start": None if label is None else end - 3.0,
        "voice_end": None if label is None else end,
    }
    return Prediction(**(fields | changes))  # type: ignore[arg-type]


def segments(*predictions: Prediction) -> list[Segment]:
    maker = SegmentMaker()
    return [s for p in predictions for s in maker.add(p)] + maker.flush()


def test_one_label_is_one_segment_from_first_to_last_voice() -> None:
    first = said(3.0, "sad", voice_start=0.5, share=0.5)
    (only,) = segments(first, said(3.5, "sad", share=0.7), said(4.0, "sad", voice_end=3.75))
    assert (only.start, only.end, only.label) == (0.5, 3.75, "sad")
    assert only.confidence == pytest.approx((0.5 + 0.7 + 0.45) / 3)


def test_a_segment_is_given_when_it_ends() -> None:
    maker = SegmentMaker()
    assert maker.add(said(3.0, "sad")) == []
    assert [s.label for s in maker.add(said(3.5, None))] == ["sad"]
    assert maker.add(said(4.0, None)) == []
    assert maker.flush() == []


def test_silence_ends_a_segment_and_the_same_label_begins_another() -> None:
    first, second = segments(
        said(3.0, "sad", voice_start=1.0, voice_end=2.0),
        said(3.5, None),
        said(6.0, "sad", voice_start=5.0),
    )
    assert (first.start, first.end, second.start, second.end) == (1.0, 2.0, 5.0, 6.0)


def test_one_window_of_another_label_changes_nothing() -> None:
    rival = said(3.5, "fear", against="sad")
    (only,) = segments(said(3.0, "sad"), rival, said(4.0, "sad"))
    assert only.label == "sad"
    assert only.confidence == pytest.approx((0.45 + 0.3 + 0.45) / 3)


def test_two_windows_in_a_row_change_the_label_in_the_middle_of_the_first() -> None:
    rivals = [said(end, "fear", against="sad") for end in (3.5, 4.0)]
    sad, fear = segments(said(3.0, "sad"), *rivals)
    assert (sad.label, sad.start, sad.end) == ("sad", 0.0, 2.0)
    assert (fear.label, fear.start, fear.end) == ("fear", 2.0, 4.0)


def test_two_different_rivals_in_a_row_do_not_change_the_label() -> None:
    fear, happy = (said(e, r, against="sad") for e, r in ((3.5, "fear"), (4.0, "happy")))
    assert [s.label for s in segments(said(3.0, "sad"), fear, happy, said(4.5, "sad"))] == ["sad"]


def test_a_clear_lead_changes_the_label_at_once() -> None:
    sad, fear = segments(said(3.0, "sad"), said(3.5, "fear", share=OTHER + 0.26))
    assert (sad.end, fear.start, fear.label) == (2.0, 2.0, "fear")


def test_a_label_follows_uncertainty_only_after_two_windows() -> None:
    doubt = said(3.0, UNCERTAIN)
    assert [s.label for s in segments(doubt, said(3.5, "sad"))] == [UNCERTAIN]
    both = segments(doubt, said(3.5, "sad"), said(4.0, "sad"))
    assert [s.label for s in both] == [UNCERTAIN, "sad"]
    assert both[0].confidence == pytest.approx(OTHER)


def test_a_change_of_rate_ends_a_segment() -> None:
    first, second = segments(said(3.0, "sad"), said(6.0, "sad", segment_start=True))
    assert (first.end, second.start) == (3.0, 3.0)


def test_voice_that_a_segment_holds_is_not_in_the_next() -> None:
    first, second = segments(
        said(3.0, "sad", voice_end=2.5), said(3.5, None), said(4.0, "fear", voice_start=2.0)
    )
    assert (first.end, second.start) == (2.5, 2.5)


def test_where_nothing_was_said_there_is_no_segment() -> None:
    assert segments() == []
    assert segments(said(3.0, None), said(3.5, None)) == []


@given(st.lists(st.sampled_from([None, UNCERTAIN, "sad", "fear", "happy"]), max_size=40))
def test_segments_are_in_order_and_never_overlap(labels: list[str | None]) -> None:
    found = segments(*(said(3.0 + 0.5 * n, label) for n, label in enumerate(labels)))
    assert all(s.start < s.end for s in found)
    assert all(a.end <= b.start for a, b in pairwise(found))
    assert {s.label for s in found} <= set(labels)
    assert bool(found) == any(labels)


def test_json_holds_every_field_rounded() -> None:
    segment = Segment(1.00049, 2.5, "sad", 0.123456)
    wanted = {"start": 1.0, "end": 2.5, "label": "sad", "confidence": 0.1235}
    assert segment.to_dict() == wanted
