"""Which int8 variant is worth having: measured on validation clips, never on test clips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ser_runtime.errors import VerificationError

LARGEST_LOSS = 0.01
"""Of macro-F1 on the validation clips, against fp32."""

TIE = 1.1
"""Times that differ by less than this factor count as equal; so do sizes."""

SLOWER = 1.05
"""From this ratio to the time of fp32 on, a variant is called slower; two measurements of one
file differ by less."""


@dataclass(frozen=True)
class Tried:
    """A variant, as measured.

    Attributes:
        format: Id of its format.
        bytes: Size of the file.
        accuracy: On the validation clips.
        macro_f1: On the validation clips.
        relative: Its time by that of ONNX fp32; median of turns.
        verdict: What became of it.
    """

    format: str
    bytes: int
    accuracy: float
    macro_f1: float
    relative: float
    verdict: str = ""

    @property
    def slower(self) -> bool:
        """Whether it is slower than fp32."""
        return self.relative > SLOWER


def objection(tried: Tried, baseline: Tried) -> str:
    """Why a variant is out of the question; empty if it is not."""
    if not tried.bytes < baseline.bytes:
        return "not smaller than fp32"
    loss = baseline.macro_f1 - tried.macro_f1
    if not loss <= LARGEST_LOSS:
        return f"loses {100 * loss:.1f} points of macro-F1"
    return ""


def choose_int8(variants: Sequence[Tried], baseline: Tried) -> Tried:
    """The fastest variant that is smaller than fp32 and loses at most a point of macro-F1.

    Of those within 10 % of the fastest, which is no difference to rely on, the smallest; of those
    within 10 % of its size the one with the highest macro-F1.

    Args:
        variants: As measured.
        baseline: ONNX fp32, likewise.

    Raises:
        VerificationError: If no variant will do; it says what is wrong with each.
    """
    fit = [tried for tried in variants if not objection(tried, baseline)]
    if not fit:
        reasons = "; ".join(f"{tried.format} {objection(tried, baseline)}" for tried in variants)
        raise VerificationError(f"nothing published: no int8 variant will do: {reasons}")
    fastest = min(tried.relative for tried in fit)
    fast = [tried for tried in fit if tried.relative <= TIE * fastest]
    smallest = min(tried.bytes for tried in fast)
    small = [tried for tried in fast if tried.bytes <= TIE * smallest]
    return min(small, key=lambda tried: (-tried.macro_f1, tried.bytes, tried.format))


def verdict(tried: Tried, chosen: Tried, baseline: Tried) -> str:
    """What became of a variant, in words."""
    reason = objection(tried, baseline)
    if tried == chosen:
        reason = "chosen"
    slower = f"slower than fp32 ({tried.relative:.2f} of its time)" if tried.slower else ""
    return "; ".join(part for part in (reason, slower) if part)
