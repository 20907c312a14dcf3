"""The store: exact sums, exact reverts, recovery, locking, damage."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_samples import some_delta, some_record

from nimllm.alignment.memory.ledger import Ledger
from nimllm.alignment.memory.store import MAX_INT, MemoryStore, grid_of, quantise
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def bits(path: Path) -> str:
    return fingerprint(read_tensors(path))


def test_an_empty_memory_is_the_base(blank_run: Path, state: Path) -> None:
    with MemoryStore(blank_run, state) as store:
        assert store.weights() == blank_run / "model.safetensors"
        assert store.records() == [] and store.hash() == store.base == bits(store.weights())
        assert not store.verify().problems
        with pytest.raises(NimError, match="no memory m0001") as caught:
            store.get("m0001")
        assert caught.value.code == MEMORY


def test_reverting_in_any_order_is_bit_exact(blank_run: Path, state: Path, tmp_path: Path) -> None:
    """Twelve overlapping deltas; taking five out in a random order equals a store that never had them."""
    with MemoryStore(blank_run, state) as store:
        deltas = [some_delta(store, seed, 0.2) for seed in range(12)]
        for number, delta in enumerate(deltas):
            record = store.commit(some_record(), delta)
            assert record.id == f"m{number + 1:04d}" and record.state == "accepted"
            assert record.weights_after == store.hash() == bits(store.weights())
        gone = [7, 2, 11, 0, 5]
        for index in gone:
            store.revert(f"m{index + 1:04d}")
        kept = [index for index in range(12) if index not in gone]
        with MemoryStore(blank_run, tmp_path / "other") as other:
            for index in reversed(kept):
                other.commit(some_record(), deltas[index])
            assert other.hash() == store.hash() == bits(store.head)
        assert not store.verify().problems
        for index in kept:
            store.revert(f"m{index + 1:04d}")
        assert store.hash() == store.base == bits(store.head)
        assert np.signbit(read_tensors(store.head)["model.norm.weight"][:3]).all()  # negative zeros survived
        store.approve("m0003")  # undoing an undoing
        assert store.get("m0003").state == "accepted" and store.hash() != store.base


def test_pending_changes_nothing_until_approved(blank_run: Path, state: Path) -> None:
    with MemoryStore(blank_run, state) as store:
        first = store.commit(some_record(), some_delta(store, 1), "pending")
        second = store.commit(some_record(), some_delta(store, 2), "pending")
        assert store.hash() == store.base and store.weights() == blank_run / "model.safetensors"
        store.reject(second.id)
        approved = store.approve(first.id)
        assert approved.state == "accepted" and store.hash() == first.weights_after
        for move in (store.approve, store.reject):
            with pytest.raises(NimError, match="cannot be"):
                move(first.id)
        with pytest.raises(NimError, match="it is rejected"):
            store.revert(second.id)
    again = MemoryStore(blank_run, state, writable=False)
    assert [record.state for record in again.records()] == ["accepted", "rejected"]
    assert not again.verify().problems


def test_quantising_keeps_what_the_grid_can_hold(blank_run: Path, state: Path) -> None:
    store = MemoryStore(blank_run, state, writable=False)
    base, grid = store.base_tensors(), store.grid
    name = "model.layers.0.mlp.down_proj.weight"
    step = 2.0 ** grid[name]
    change = np.zeros(base[name].shape, np.float32)
    change[0, 0], change[1, 1], change[2, 2], change[3, 3] = 3 * step, -0.4 * step, 1e9, -1e9
    delta = quantise({name: change}, grid)
    assert delta[name][1].tolist() == [3, MAX_INT, -MAX_INT]
    assert grid_of({"z": np.zeros(4, np.float32)}) == {"z": -16}
    flat = quantise({name: np.zeros_like(change)}, grid)
    assert flat == {}


def test_a_second_writer_opens_for_reading_and_says_so(blank_run: Path, state: Path) -> None:
    with MemoryStore(blank_run, state) as first:
        first.commit(some_record(), some_delta(first, 1))
        second = MemoryStore(blank_run, state)
        assert not second.writable and "another nimllm" in second.notice
        assert second.weights() == first.weights() and len(second.records()) == 1
        for write in (lambda: second.commit(some_record(), {}), lambda: second.revert("m0001"),
                      lambda: second.approve("m0001"), lambda: second.reject("m0001")):
            with pytest.raises(NimError, match="cannot be written now") as caught:
                write()
            assert caught.value.code == MEMORY
    with MemoryStore(blank_run, state) as third:
        assert third.writable
        third.revert("m0001")


def test_a_torn_ledger_line_is_dropped_and_the_head_rebuilt(blank_run: Path, state: Path) -> None:
    with MemoryStore(blank_run, state) as store:
        store.commit(some_record(), some_delta(store, 1))
        before = store.hash()
        shutil.copy(store.head, state / "old_head")
        store.commit(some_record(), some_delta(store, 2))
    ledger = store.folder / "ledger.jsonl"
    whole = ledger.read_bytes()
    end = whole[:-1].rfind(b"\n") + 1
    for cut in (end + 1, end + 40, len(whole) - 1):
        ledger.write_bytes(whole[:cut])
        with MemoryStore(blank_run, state) as again:
            assert again.hash() == before == bits(again.head) and len(again.records()) == 1
            assert not again.verify().problems
        assert not (store.folder / "deltas" / "m0002.safetensors").exists()
        assert ledger.read_bytes() == whole[:end]
    ledger.write_bytes(whole[:end] + bytes(50) + b"\n")  # a block that never reached the disk
    with MemoryStore(blank_run, state) as again:
        assert again.hash() == before
        again.commit(some_record(), some_delta(again, 3))
        after = again.hash()
    shutil.copy(state / "old_head", store.head)  # killed between the ledger and the head
    assert bits(MemoryStore(blank_run, state, writable=False).weights()) == after


@pytest.mark.parametrize("damage", ["ledger", "chain", "delta", "missing delta", "head", "base event"])
def test_damage_is_named_and_nothing_is_lost(blank_run: Path, state: Path, damage: str) -> None:
    with MemoryStore(blank_run, state) as store:
        for seed in range(3):
            store.commit(some_record(), some_delta(store, seed))
    ledger, delta = store.folder / "ledger.jsonl", store.folder / "deltas" / "m0002.safetensors"
    lines = ledger.read_bytes().splitlines(keepends=True)
    if damage == "ledger":
        ledger.write_bytes(lines[0] + b"{nonsense}\n" + b"".join(lines[2:]))
    elif damage == "chain":
        ledger.write_bytes(lines[0] + lines[2] + lines[3])
    elif damage == "base event":
        event = json.loads(lines[0])
        event["base"] = "0" * 64
        ledger.write_bytes(json.dumps(event).encode() + b"\n" + b"".join(lines[1:]))
    elif damage == "delta":
        raw = bytearray(delta.read_bytes())
        raw[-1] ^= 1
        delta.write_bytes(raw)
    elif damage == "missing delta":
        delta.unlink()
    else:
        raw = bytearray(store.head.read_bytes())
        raw[-1] ^= 1
        store.head.write_bytes(raw)
    left = {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()}
    if damage in ("ledger", "chain", "base event"):
        with pytest.raises(NimError, match="damaged") as caught:
            MemoryStore(blank_run, state)
        assert caught.value.code == MEMORY and caught.value.mend
    else:
        problems = MemoryStore(blank_run, state, writable=False).verify().problems
        assert len(problems) >= 1 and ("m0002" in problems[0] or damage == "head")
    assert {path: path.read_bytes() for path in store.folder.rglob("*") if path.is_file()} == left


def test_another_base_has_another_folder(blank_run: Path, state: Path, tmp_path: Path) -> None:
    with MemoryStore(blank_run, state) as store:
        store.commit(some_record(), some_delta(store, 1))
    run = tmp_path / "run"
    shutil.copytree(blank_run, run)
    from nimllm.llm.checkpoint import write_tensors

    tensors = read_tensors(run / "model.safetensors")
    tensors["model.norm.weight"][5] += 1
    write_tensors(run / "model.safetensors", tensors)
    other = MemoryStore(run, state, writable=False)
    assert other.folder != store.folder and other.records() == []


def test_a_state_folder_that_cannot_be_written_is_one_clear_error(blank_run: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "state"
    blocked.write_text("a file where a folder should be")
    with pytest.raises(NimError, match="cannot make the memory folder") as caught:
        MemoryStore(blank_run, blocked)
    assert caught.value.code == MEMORY


@given(st.lists(st.tuples(st.sampled_from(["commit", "propose", "approve", "reject", "revert"]), st.integers(0, 5)),
                max_size=14))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_equals_its_accepted_deltas(blank_run: Path, tmp_path_factory: pytest.TempPathFactory,
                                                moves: list[tuple[str, int]]) -> None:
    """After any sequence of operations, allowed or refused, the head is base + the accepted deltas, also after
    reopening and from a ledger read anew."""
    state = tmp_path_factory.mktemp("history")
    expected: dict[str, str] = {}
    with MemoryStore(blank_run, state) as store:
        for number, (move, pick) in enumerate(moves):
            if move in ("commit", "propose"):
                kind = "accepted" if move == "commit" else "pending"
                expected[store.commit(some_record(), some_delta(store, number), kind).id] = kind
                continue
            id = f"m{pick + 1:04d}"
            allowed = {"approve": ("pending", "reverted"), "reject": ("pending",), "revert": ("accepted",)}[move]
            if expected.get(id) in allowed:
                getattr(store, move)(id)
                expected[id] = {"approve": "accepted", "reject": "rejected", "revert": "reverted"}[move]
            else:
                with pytest.raises(NimError):
                    getattr(store, move)(id)
        assert {record.id: record.state for record in store.records()} == expected
        assert not store.verify().problems
        live = store.hash()
        store._sums = None
        (store.folder / "sums.safetensors").unlink(missing_ok=True)
        assert fingerprint(store.current()) == live
    assert MemoryStore(blank_run, state, writable=False).hash() == live
    assert Ledger(store.folder / "ledger.jsonl").states() == expected
