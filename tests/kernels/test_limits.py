"""The machine's limits: the loops are not removed, their sums are checked, nonsense is refused."""

from __future__ import annotations

import time

import pytest

from nimllm.kernels import limits

pytestmark = pytest.mark.skipif(limits.available() is not None, reason=str(limits.available()))


@pytest.mark.parametrize("size", [4096, 70_001, 3_000_000])
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_bandwidth_is_of_this_world(size: int, threads: int) -> None:
    rate = limits.read_bandwidth(size, threads, 0.01)
    assert 1e8 < rate < 3e12  # a removed loop once showed 17e12


def test_bandwidth_lasts_as_long_as_asked() -> None:
    began = time.perf_counter()
    limits.read_bandwidth(1 << 20, 1, 0.2)
    assert time.perf_counter() - began > 0.2


def test_out_of_cache_is_not_faster_than_in_it() -> None:
    small = max(limits.read_bandwidth(16 << 10, 1, 0.02) for _ in range(3))
    large = min(limits.read_bandwidth(256 << 20, 1, 0.02) for _ in range(3))
    assert small > large


@pytest.mark.parametrize("arguments", [(0, 1, 0.1), (-1, 1, 0.1), (4095, 1, 0.1), (1 << 20, 0, 0.1), (1 << 20, -3, 0.1),
                                       (1 << 20, 1025, 0.1), (1 << 20, 1, 0.0), (1 << 20, 1, -1.0),
                                       (1 << 20, 1, float("nan")), (1 << 20, 1, 61.0), (1 << 62, 1, 0.1)])  # fmt: skip
def test_nonsense_is_refused(arguments: tuple[int, int, float]) -> None:
    with pytest.raises((ValueError, MemoryError)):
        limits.read_bandwidth(*arguments)


def test_every_instruction_of_this_processor_has_a_peak() -> None:
    names = limits.instructions()
    assert "portable" in names
    for name in names:
        rate = limits.peak(name, 1, 0.01)
        assert 1e8 < rate < 1e14, name


def test_wider_instructions_do_more() -> None:
    """But avx512-bf16: a Sapphire Rapids core does half as much with it as with two fp32 units."""
    have = limits.instructions()
    for slow, fast in (("portable", "avx2"), ("avx2", "avx512"), ("avx512", "avx512-vnni")):
        if slow in have and fast in have:
            # the best of several: the machine may be busy
            assert max(limits.peak(slow, 1, 0.01) for _ in range(5)) < 1.2 * max(
                limits.peak(fast, 1, 0.01) for _ in range(5)), (slow, fast)


def test_unknown_instructions_and_threads_are_refused() -> None:
    with pytest.raises(KeyError):
        limits.peak("mmx", 1)
    with pytest.raises(ValueError):
        limits.peak("portable", 0)
    with pytest.raises(ValueError):
        limits.peak("portable", 1, float("inf"))
