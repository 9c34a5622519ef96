import pytest
from hypothesis import given
from hypothesis import strategies as st

from vadamon.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "size"),
    [("4KiB", 4096), ("1.5GiB", 3 << 29), ("512B", 512), ("64M", 64 << 20), ("2 gib", 2 << 30), (" 0B ", 0)],
)
def test_sizes_are_read(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "5", "GiB", "-1KiB", "1MB", "1e3B", "4KiB x", "5ms", "٣KiB2"])
def test_what_is_no_size_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a size with its unit, such as 4KiB") as caught:
        parse_size(text)
    assert repr(text) in str(caught.value)


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("5ms", 5_000_000),
        ("100us", 100_000),
        ("100µs", 100_000),
        ("1.5s", 1_500_000_000),
        ("2min", 120_000_000_000),
        ("1h", 3_600_000_000_000),
        ("3 ns", 3),
    ],
)
def test_times_are_read(text: str, ns: int) -> None:
    assert parse_duration(text) == ns


def test_unit_may_be_given_for_plain_numbers() -> None:
    assert parse_duration("10", default_unit="s") == 10_000_000_000
    assert parse_duration("10ms", default_unit="s") == 10_000_000
    with pytest.raises(ValueError, match="'10' is not a time with its unit, such as"):
        parse_duration("10")


def test_parts_are_rounded() -> None:
    assert parse_size("1.01KiB") == 1034
    assert parse_duration("1.6ns") == 2


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (4096, "4 KiB"),
        (1536, "1.5 KiB"),
        (1 << 28, "256 MiB"),
        (int(17.23 * 2**40), "17.2 TiB"),
        ((1 << 30) - 1, "1024 MiB"),
        (2**64 - 1, "16 EiB"),
    ],
)
def test_sizes_are_written(size: int, text: str) -> None:
    assert format_size(size) == text


@pytest.mark.parametrize(
    ("ns", "text"),
    [
        (0, "0 s"),
        (17, "17 ns"),
        (5_000_000, "5 ms"),
        (1_530_000_000, "1.53 s"),
        (59_400_000_000, "59.4 s"),
        (125_000_000_000, "2 min 5 s"),
        (11_520_000_000_000, "3 h 12 min"),
        (532_800_000_000_000, "6 d 4 h"),
    ],
)
def test_times_are_written(ns: int, text: str) -> None:
    assert format_duration(ns) == text


@given(st.integers(0, 2**64 - 1))
def test_what_is_written_is_read_to_three_digits(size: int) -> None:
    assert parse_size(format_size(size)) == pytest.approx(size, rel=0.006)
