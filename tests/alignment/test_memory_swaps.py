"""One record in the place of others: what a sleep writes, and how it is undone."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_samples import some_delta, some_record

from nimllm.alignment.memory.ledger import Ledger
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors


def test_a_swap_is_one_event_and_its_undoing_brings_the_old_ones_back(blank_run: Path, tmp_path: Path) -> None:
    with MemoryStore(blank_run, tmp_path / "a") as store:
        deltas = [some_delta(store, seed, 0.2) for seed in range(5)]
        for delta in deltas[:4]:
            store.commit(some_record(), delta)
        before, events = store.hash(), len(store.ledger.entries)
        slept = store.swap(["m0001", "m0003"], some_record("sleep"), deltas[4])
        assert len(store.ledger.entries) == events + 1 and slept.members == ["m0001", "m0003"]
        assert store.hash() == slept.weights_after == fingerprint(read_tensors(store.head))
        assert store.ledger.alive() == ["m0001", "m0002", "m0003", "m0004"]
        assert store.ledger.accepted() == ["m0002", "m0004", slept.id] and store.ledger.part_of("m0003") == slept.id
        with MemoryStore(blank_run, tmp_path / "b") as other:
            for index in (1, 3, 4):
                other.commit(some_record(), deltas[index])
            assert other.hash() == store.hash()
        with pytest.raises(NimError, match=f"revert {slept.id} brings the single") as caught:
            store.revert("m0001")
        assert caught.value.code == MEMORY
        store.revert("m0002")  # one that is no member goes as ever
        store.approve("m0002")
        store.revert(slept.id)
        assert store.hash() == before and store.get("m0001").state == "accepted"
        store.revert("m0001")
        with pytest.raises(NimError, match="m0001 cannot be replaced now"):
            store.approve(slept.id)
        store.approve("m0001")
        store.approve(slept.id)
        assert store.hash() == slept.weights_after and store.get("m0001").state == "consolidated"
        assert not store.verify().problems


def test_a_swap_may_wait_and_may_hold_another(blank_run: Path, tmp_path: Path) -> None:
    with MemoryStore(blank_run, tmp_path) as store:
        for seed in range(3):
            store.commit(some_record(), some_delta(store, seed))
        first = store.swap(["m0001", "m0002"], some_record(), some_delta(store, 9), "pending")
        assert store.get("m0001").state == "accepted" and first.state == "pending"
        expected = first.weights_after
        store.approve(first.id)
        assert store.hash() == expected
        second = store.swap([first.id, "m0003"], some_record(), some_delta(store, 10))
        assert store.ledger.accepted() == [second.id] and store.ledger.part_of(first.id) == second.id
        assert store.ledger.alive() == ["m0001", "m0002", "m0003"]
        with pytest.raises(NimError, match=f"revert {second.id}"):
            store.revert(first.id)
        store.revert(second.id)
        assert store.hash() == expected and store.get("m0001").state == "consolidated"
        for wrong in ([], ["m0003", "m0003"]):
            with pytest.raises(ValueError):
                store.swap(wrong, some_record(), some_delta(store, 1))
        with pytest.raises(NimError, match="m0001 cannot be consolidated"):
            store.swap(["m0001"], some_record(), some_delta(store, 1))


@given(st.lists(st.tuples(st.sampled_from(["commit", "propose", "swap", "propose swap", "approve", "reject", "revert"]),
                          st.integers(0, 63)), max_size=16))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_history_with_swaps_equals_a_store_of_what_is_accepted(
        blank_run: Path, tmp_path_factory: pytest.TempPathFactory, moves: list[tuple[str, int]]) -> None:
    """Whatever was swapped, reverted and approved, in whatever order: the weights are those of the accepted deltas
    alone, and refused moves change nothing."""
    state = tmp_path_factory.mktemp("swaps")
    with MemoryStore(blank_run, state) as store:
        for number, (move, pick) in enumerate(moves):
            ids, before = list(store.ledger.states()), (store.ledger.tip, store.hash())
            accepted = store.ledger.accepted()
            try:
                if move in ("commit", "propose"):
                    kind = "accepted" if move == "commit" else "pending"
                    store.commit(some_record(), some_delta(store, number), kind)
                elif move.endswith("swap"):
                    chosen = [id for place, id in enumerate(accepted) if pick >> place & 1]
                    if chosen:
                        state_of = "pending" if move.startswith("propose") else "accepted"
                        store.swap(chosen, some_record(), some_delta(store, number), state_of)
                elif ids:
                    getattr(store, move)(ids[pick % len(ids)])
            except NimError:
                assert (store.ledger.tip, store.hash()) == before
            states = store.ledger.states()
            for sleep in states:
                if states[sleep] in ("accepted", "consolidated"):
                    assert all(states[member] == "consolidated" for member in store.ledger.members(sleep))
        assert not store.verify().problems
        live, accepted = store.hash(), store.ledger.accepted()
        deltas = [store.delta(id) for id in accepted]
        again = Ledger(store.ledger.path)
        assert again.states() == store.ledger.states() and again.alive() == store.ledger.alive()
    with MemoryStore(blank_run, tmp_path_factory.mktemp("plain")) as plain:
        for delta in reversed(deltas):
            plain.commit(some_record(), delta)
        assert plain.hash() == live
