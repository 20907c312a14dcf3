"""The files of deltas: exact, small, and never trusted; packs of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from memory_samples import some_delta, some_record
from safetensors.numpy import save

from nimllm.alignment.memory.archive import Archive, pack_problem
from nimllm.alignment.memory.deltas import MAX_INT, Delta, content_hash, decode, encode, entries, quantise
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import NimError

SHAPES: dict[str, tuple[int, ...]] = {"a.weight": (24, 40), "b.weight": (7,), "c.weight": (3, 1), "d.weight": (1, 5)}


@st.composite
def deltas(draw: st.DrawFn) -> Delta:
    delta: Delta = {}
    for name in draw(st.sets(st.sampled_from(sorted(SHAPES)))):
        size = int(np.prod(SHAPES[name]))
        index = sorted(draw(st.sets(st.integers(0, size - 1), min_size=1, max_size=60)))
        step = draw(st.sampled_from([1, 1, 2, 64]))
        value = [step * draw(st.integers(1, MAX_INT // step)) * draw(st.sampled_from([-1, 1])) for _ in index]
        delta[name] = (np.array(index, np.int32), np.array(value, np.int16))
    return delta


def same(one: Delta, two: Delta) -> bool:
    return one.keys() == two.keys() and all(
        np.array_equal(one[name][part], two[name][part]) and one[name][part].dtype == two[name][part].dtype
        for name in one for part in (0, 1))


@given(deltas())
@settings(max_examples=80, deadline=None)
def test_a_file_gives_back_the_delta_bit_for_bit(delta: Delta) -> None:
    raw = encode(delta, SHAPES, {"id": "m0001"})
    found = decode(raw)
    assert same(found, delta) and content_hash(found) == content_hash(delta)


@given(deltas(), st.integers(0, 10**9), st.integers(0, 7), st.binary(max_size=80))
@settings(max_examples=150, deadline=None)
def test_whatever_the_bytes_are_there_is_a_delta_or_one_error(delta: Delta, at: int, bit: int, junk: bytes) -> None:
    raw = bytearray(encode(delta, SHAPES, {"id": "m0001"}))
    raw[at % len(raw)] ^= 1 << bit
    for damaged in (bytes(raw), bytes(raw[: at % len(raw)]), junk, bytes(raw) + junk):
        try:
            found = decode(damaged)
        except ValueError:
            continue
        for index, value in found.values():
            assert len(index) == len(value) and np.abs(value.astype(int)).max(initial=0) <= MAX_INT


def test_a_small_file_makes_nothing_large() -> None:
    """A row of zeros deflates a thousandfold; the layout says how long it may be."""
    import json
    import zlib

    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = np.frombuffer(packer.compress(bytes(50_000_000)) + packer.flush(), np.uint8)
    parts = {"places": bomb, "low": bomb, "high": bomb}
    for layout in ([["a", 10, 100, 10, 0]], [["a", 2**40, 2**41, 1, 0]], [["a", -1, 5, 1, 0]], {}, [["a"]], [[1] * 5]):
        about = {"format": "nimllm-delta", "version": "2", "layout": json.dumps(layout)}
        with pytest.raises(ValueError):
            decode(save(parts, about))
    with pytest.raises(ValueError, match="version 3"):
        decode(save({}, {"format": "nimllm-delta", "version": "3", "layout": "[]"}))


def test_files_of_the_first_version_are_read(blank_run: Path, tmp_path: Path) -> None:
    with MemoryStore(blank_run, tmp_path) as store:
        delta = some_delta(store, 3)
        parts = {f"{name}::{part}": array for name, pair in delta.items()
                 for part, array in zip(("index", "value"), pair, strict=True)}
        assert same(decode(save(parts, {"id": "m0001"})), delta)


def test_a_delta_costs_little_more_than_its_entropy() -> None:
    """One per cent of a matrix at random places, values of a bell: within a tenth of the Shannon bound."""
    rng = np.random.default_rng(0)
    shape = (384, 1024)
    mask = rng.random(shape) < 0.01
    change = np.where(mask, rng.normal(0, 0.01, shape), 0)
    delta = quantise({"x": change}, {"x": -16})
    count = entries(delta)
    place = -(np.log2(0.01) + 0.99 / 0.01 * np.log2(0.99))
    _, occurrences = np.unique(delta["x"][1], return_counts=True)
    value = 0.5 * np.log2(2 * np.pi * np.e * (0.01 * 2**16) ** 2)
    bound = count * (place + value) / 8
    size = len(encode(delta, {"x": shape}, {}))
    assert bound * 0.97 < size < 1.1 * bound
    coarse = len(encode(quantise({"x": change}, {"x": -16}, coarse=4), {"x": shape}, {}))
    assert size - coarse > 0.9 * 4 * count / 8
    assert len(occurrences) > 100


def test_packing_keeps_every_byte(tmp_path: Path) -> None:
    archive = Archive(tmp_path)
    rng = np.random.default_rng(0)
    contents = {f"m{number:04d}": rng.bytes(int(rng.integers(1, 500))) for number in range(1, 40)}
    checksums = {id: hashlib.sha256(raw).hexdigest() for id, raw in contents.items()}
    for count, id in enumerate(sorted(contents)):
        archive.write(id, contents[id])
        if count % 3 == 2:
            known = {id: checksums[id] for id in sorted(contents)[: count + 1]}
            moved, _ = archive.pack(known)
            assert moved and not archive.loose() and set(archive.packed()) == set(known)
        for seen in sorted(contents)[: count + 1]:
            assert archive.read(seen) == contents[seen]
    assert len(archive.packs()) <= 9
    assert archive.pack(checksums) == (0, 0)
    with pytest.raises(OSError):
        archive.read("m9999")
    # a record whose delta need not stay leaves its pack
    del checksums["m0002"]
    archive.pack(checksums)
    assert set(archive.packed()) == set(checksums)
    # killed between the pack and the deleting: both are there, and the next packing takes one away
    archive.write("m0001", contents["m0001"])
    archive.pack(checksums)
    assert not archive.loose() and archive.read("m0001") == contents["m0001"]


def test_a_damaged_pack_is_named_and_a_damaged_file_is_never_packed(blank_run: Path, tmp_path: Path) -> None:
    with MemoryStore(blank_run, tmp_path) as store:
        for seed in range(4):
            store.commit(some_record(), some_delta(store, seed))
        raw = store.archive.path("m0002").read_bytes()
        store.archive.path("m0002").write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
        checksums = {id: store.ledger.delta(id) for id in store.kept()}
        with pytest.raises(ValueError, match="m0002"):
            store.archive.pack(checksums)
        assert len(store.archive.loose()) == 4 and not store.archive.packs()
        store.archive.path("m0002").write_bytes(raw)
        store.archive.pack(checksums)
        assert not store.verify().problems and not store.archive.loose()
        [pack] = store.archive.packs()
        whole = pack.read_bytes()
        at = whole.index(raw[-40:])
        pack.write_bytes(whole[:at] + bytes([whole[at] ^ 4]) + whole[at + 1:])
        assert pack_problem(pack)
        problems = store.verify().problems
        assert any(pack.name in problem for problem in problems) and any("m0002" in problem for problem in problems)
        with pytest.raises(NimError, match="m0002"):
            store.delta("m0002")
        assert store.delta("m0003")
