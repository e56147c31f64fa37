"""Which int8 variant is published, by hand."""

from __future__ import annotations

import pytest

from ser_export.int8_choice import Tried
from ser_export.int8_choice import choose_int8
from ser_export.int8_choice import verdict
from ser_runtime.errors import VerificationError

FP32 = Tried("onnx-fp32", 1000, 0.70, 0.70, 1.0)


def tried(
    name: str, relative: float, size: int = 500, macro_f1: float = 0.70, accuracy: float = 0.70
) -> Tried:
    return Tried(name, size, accuracy, macro_f1, relative)


def test_the_fastest_is_chosen() -> None:
    assert choose_int8([tried("a", 0.9), tried("b", 0.5), tried("c", 0.7)], FP32).format == "b"


def test_of_times_within_ten_percent_the_smaller_file_is_chosen() -> None:
    variants = [tried("a", 0.50, 600), tried("b", 0.54, 500), tried("c", 0.56, 100)]
    assert choose_int8(variants, FP32).format == "b"


def test_of_equal_times_and_sizes_the_better_is_chosen() -> None:
    variants = [tried("a", 0.50, 500, 0.695), tried("b", 0.52, 549, 0.705)]
    assert choose_int8(variants, FP32).format == "b"
    variants = [tried("a", 0.50, 500, 0.695), tried("b", 0.52, 551, 0.705)]
    assert choose_int8(variants, FP32).format == "a"


def test_of_equally_good_ones_the_smaller_is_chosen() -> None:
    variants = [tried("a", 0.50, 501), tried("b", 0.52, 500)]
    assert choose_int8(variants, FP32).format == "b"


def test_what_is_not_smaller_than_fp32_is_out() -> None:
    variants = [tried("a", 0.3, 1000), tried("b", 0.9, 999)]
    chosen = choose_int8(variants, FP32)
    assert chosen.format == "b"
    assert verdict(variants[0], chosen, FP32) == "not smaller than fp32"


def test_what_loses_more_than_a_point_of_macro_f1_is_out() -> None:
    variants = [tried("a", 0.3, macro_f1=0.689), tried("b", 0.9, macro_f1=0.691)]
    chosen = choose_int8(variants, FP32)
    assert chosen.format == "b"
    assert verdict(variants[0], chosen, FP32) == "loses 1.1 points of macro-F1"


def test_a_macro_f1_that_is_not_a_number_is_out() -> None:
    variants = [tried("a", 0.3, macro_f1=float("nan")), tried("b", 0.9)]
    assert choose_int8(variants, FP32).format == "b"


def test_what_is_slower_than_fp32_is_marked_chosen_or_not() -> None:
    slow, slower = tried("a", 1.4), tried("b", 2.0)
    assert choose_int8([slow, slower], FP32) == slow
    assert verdict(slow, slow, FP32) == "chosen; slower than fp32 (1.40 of its time)"
    assert verdict(slower, slow, FP32) == "slower than fp32 (2.00 of its time)"
    assert not tried("c", 1.02).slower


def test_where_no_variant_will_do_each_is_named_with_its_fault() -> None:
    variants = [tried("a", 0.3, 2000), tried("b", 0.9, macro_f1=0.5)]
    with pytest.raises(
        VerificationError, match=r"a not smaller than fp32; b loses 20\.0 points of macro-F1"
    ):
        choose_int8(variants, FP32)
