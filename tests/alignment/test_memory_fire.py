"""The store under fire: kills, flipped bits, full disks, two writers, a clock that jumps, folders that cannot be
written. Whatever happens, the weights are exactly those before or exactly those after, and damage is named."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from memory_samples import some_delta, some_record

from nimllm.alignment.memory import bases, past, sealed, upkeep
from nimllm.alignment.memory.ledger import Ledger
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import MEMORY, NimError
from nimllm.llm.checkpoint import fingerprint, read_tensors

FORK = multiprocessing.get_context("fork")


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "state"


def bits(path: Path) -> str:
    return fingerprint(read_tensors(path))


# -- kill -9 -----------------------------------------------------------------------------------------------------------


def _writer(run: Path, state: Path, log: Path) -> None:
    """Every kind of write for ever, noting the hash before and the one to come before each of them."""
    with MemoryStore(run, state, wait=5) as store, open(log, "a", encoding="utf-8") as out:
        turn = len(store.ledger.entries)
        while True:
            turn += 1
            accepted, delta = store.ledger.accepted(), some_delta(store, turn % 50)
            waiting = [id for id, known in store.ledger.states().items() if known == "pending"]
            kind = turn % 7
            if kind == 1 and accepted:
                members = [(store.delta(id), 1) for id in store.ledger.members(accepted[0])]
                coming = store.changed(store.delta(accepted[0]), -1, members)
            elif kind == 2 and len(accepted) > 1:
                coming = store.changed(delta, 1, [(store.delta(id), -1) for id in accepted[:2]])
            elif kind == 4 and waiting:
                coming = store.changed(store.delta(waiting[0]), 1)
            elif kind in (3, 5, 6):
                coming = store.sums_of(accepted)
            else:
                coming = store.changed(delta, 1)
            out.write(f"{store.hash()} {fingerprint(store.apply(coming))}\n")
            out.flush()
            if kind == 1 and accepted:
                store.revert(accepted[0])
            elif kind == 2 and len(accepted) > 1:
                store.swap(accepted[:2], some_record("sleep"), delta)
            elif kind == 3:
                store.commit(some_record(), delta, "pending")
            elif kind == 4 and waiting:
                store.approve(waiting[0])
            elif kind == 5:
                upkeep.compact(store)
            elif kind == 6:
                if waiting:
                    store.reject(waiting[-1])
                upkeep.gc(store, 0.0)
            else:
                store.commit(some_record(), delta)


def _kills(run: Path, state: Path, log: Path, count: int) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    log.touch()
    for _ in range(count):
        written = log.stat().st_size
        process = FORK.Process(target=_writer, args=(run, state, log))
        process.start()
        while log.stat().st_size == written and process.is_alive():
            time.sleep(0.001)
        time.sleep(float(rng.uniform(0, 0.12)))
        process.kill()
        process.join()
        assert process.exitcode == -9
        lines = [line.split() for line in log.read_text().splitlines() if len(line) == 129]
        with MemoryStore(run, state) as store:
            found = bits(store.weights())
            assert store.writable and found in lines[-1], "neither before nor after"
            assert store.hash() == found and not store.verify().problems
            assert set(store.archive.loose()) | set(store.archive.packed()) >= store.kept()
            assert set(store.archive.loose()) <= store.kept()
            assert not list(store.folder.rglob(".*.tmp"))


def test_kill_9_at_random_moments_leaves_exactly_before_or_exactly_after(blank_run: Path, state: Path, tmp_path: Path
                                                                         ) -> None:
    _kills(blank_run, state, tmp_path / "log", 12)


@pytest.mark.slow
def test_kill_9_at_a_hundred_random_moments(blank_run: Path, state: Path, tmp_path: Path) -> None:
    _kills(blank_run, state, tmp_path / "log", 100)


# -- two writers -------------------------------------------------------------------------------------------------------


def _session(run: Path, state: Path, name: str, count: int) -> None:
    for number in range(count):
        with MemoryStore(run, state, wait=120) as store:
            store.must_write()
            store.commit(some_record(f"{name} {number}"), some_delta(store, number))


def _together(run: Path, state: Path, count: int) -> None:
    sessions = [FORK.Process(target=_session, args=(run, state, name, count)) for name in ("one", "two")]
    for session in sessions:
        session.start()
    for session in sessions:
        session.join()
    assert [session.exitcode for session in sessions] == [0, 0]
    with MemoryStore(run, state) as store:
        records = store.records()
        assert [record.id for record in records] == [f"m{number + 1:04d}" for number in range(2 * count)]
        for name in ("one", "two"):
            assert [record.title for record in records if record.title.startswith(name)] == [
                f"{name} {number}" for number in range(count)]
        for before, after in itertools.pairwise(records):
            assert after.weights_before == before.weights_after
        assert not store.verify().problems and store.hash() == records[-1].weights_after


def test_two_sessions_lose_and_mix_nothing(blank_run: Path, state: Path) -> None:
    _together(blank_run, state, 6)


@pytest.mark.slow
def test_two_sessions_with_a_hundred_tasks_each(blank_run: Path, state: Path) -> None:
    _together(blank_run, state, 100)


# -- flipped bits ------------------------------------------------------------------------------------------------------


@pytest.fixture
def full_store(blank_run: Path, state: Path) -> Iterator[Path]:
    """A store that has a file of every kind."""
    with MemoryStore(blank_run, state) as store:
        for seed in range(3):
            store.commit(some_record("a “record” of 1e-05"), some_delta(store, seed))
        upkeep.compact(store)
        for seed in range(3, 5):
            store.commit(some_record(), some_delta(store, seed))
        matrices = {"0": np.eye(5, dtype=np.float32)}
        for name in ("curvature-base.safetensors", "curvature-memories.safetensors"):
            assert sealed.write(store.folder / name, matrices, {"base": store.base, "ids": "[]"})
        past.weights_at(store, "m0002")
        assert not store.verify().problems
        folder = store.folder
    kept = state.with_name("kept")
    shutil.copytree(state, kept)
    yield folder


def _named(run: Path, state: Path, name: str) -> bool:
    """The damage is named by what opening or ``verify`` say."""
    try:
        with MemoryStore(run, state) as store:
            return any(name in problem for problem in store.verify().problems)
    except NimError as error:
        return error.code == MEMORY and name in error.message()


def _flip_everywhere(run: Path, state: Path, folder: Path, each: int) -> None:
    rng = np.random.default_rng(int.from_bytes(os.urandom(4)))
    files = sorted(path for path in [*folder.rglob("*.*"), bases.cache_file(state)] if path.is_file())
    kinds = {path.name.split("-")[0] if path.name.startswith("pack-") else path.name for path in files}
    assert {"ledger.jsonl", "head.safetensors", "sums.safetensors", "m0004.safetensors", "pack", "bases.json",
            "curvature-base.safetensors", "curvature-memories.safetensors"} <= kinds and list(folder.glob("past/*"))
    for path in files:
        whole = path.read_bytes()
        places = {0, 9, len(whole) - 1, *rng.integers(0, len(whole), each).tolist()}
        for place in sorted(places):
            bit = int(rng.integers(8))
            path.write_bytes(whole[:place] + bytes([whole[place] ^ 1 << bit]) + whole[place + 1:])
            assert _named(run, state, path.name), f"bit {bit} of byte {place} of {path.name}: {whole[place]:#x}"
            shutil.rmtree(state)
            shutil.copytree(state.with_name("kept"), state)
    assert not MemoryStore(run, state, writable=False).verify().problems


def test_a_flipped_bit_in_any_file_is_named(blank_run: Path, state: Path, full_store: Path) -> None:
    _flip_everywhere(blank_run, state, full_store, 3)


@pytest.mark.slow
def test_two_hundred_flipped_bits_in_every_file(blank_run: Path, state: Path, full_store: Path) -> None:
    _flip_everywhere(blank_run, state, full_store, 200)


@given(st.integers(0, 10**9), st.integers(0, 7))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_flipped_bit_in_the_ledger_is_never_read_as_something_else(ledger_bytes: bytes, tmp_path: Path, place: int,
                                                                      bit: int) -> None:
    """Neither another state nor a torn end: the last record would be gone without a word."""
    place %= len(ledger_bytes)
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(ledger_bytes[:place] + bytes([ledger_bytes[place] ^ 1 << bit]) + ledger_bytes[place + 1:])
    with pytest.raises(NimError, match="damaged") as caught:
        Ledger(path)
    assert caught.value.code == MEMORY


@given(st.binary(max_size=300), st.integers(0, 10**9))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_the_ledger_holds_there_is_a_beginning_or_one_error(ledger_bytes: bytes, tmp_path: Path, junk: bytes,
                                                                     cut: int) -> None:
    path = tmp_path / "ledger.jsonl"
    whole = Ledger.__new__(Ledger)
    for content in (ledger_bytes[: cut % (len(ledger_bytes) + 1)], ledger_bytes + junk, junk,
                    ledger_bytes[: cut % len(ledger_bytes)] + junk):
        path.write_bytes(content)
        try:
            whole = Ledger(path)
        except NimError as error:
            assert error.code == MEMORY
            continue
        kept = content[: len(content) - whole.torn]
        assert ledger_bytes.startswith(kept) and kept[-1:] in (b"", b"\n")


@pytest.fixture(scope="module")
def ledger_bytes(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("ledger") / "ledger.jsonl"
    ledger = Ledger(path)
    ledger.append("base", base="b" * 64, grid={"x": -3})
    for number in range(1, 4):
        record = some_record("Zoë “1e-05” \x1f").model_copy(update={"norm": 1e-05, "perplexity_ratio": 1.25e16})
        ledger.append("propose" if number == 2 else "accept", id=f"m{number:04d}", record=record, delta="d" * 64)
    ledger.append("sleep", id="m0004", record=some_record().model_copy(update={"members": ["m0001", "m0003"]}),
                  delta="e" * 64)
    return path.read_bytes()


# -- no room -----------------------------------------------------------------------------------------------------------


def _write_under_a_limit(run: Path, state: Path, what: str, limit: int) -> None:
    """A file-size limit cuts a write in two, like a full disk does. Exit 0: it was written; 7: one clear error."""
    with MemoryStore(run, state) as store:
        delta = some_delta(store, 77)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
        try:
            if what == "commit":
                store.commit(some_record(), delta)
            elif what == "swap":
                store.swap(["m0001", "m0003"], some_record(), delta)
            elif what == "compact":
                upkeep.compact(store)
            else:
                store.revert("m0002")
        except NimError:
            os._exit(7)
    os._exit(0)


@pytest.mark.parametrize("what", ["commit", "swap", "revert", "compact"])
def test_no_room_leaves_before_or_after_and_says_so(blank_run: Path, state: Path, what: str) -> None:
    with MemoryStore(blank_run, state) as store:
        for seed in range(3):
            store.commit(some_record(), some_delta(store, seed))
        ledger, before = store.ledger.path.stat().st_size, store.hash()
        records = len(store.records())
    failed = 0
    for limit in (0, 100, ledger + 3, ledger + 400, ledger + 3000, 100_000, 1 << 30):
        process = FORK.Process(target=_write_under_a_limit, args=(blank_run, state, what, limit))
        process.start()
        process.join()
        assert process.exitcode in (0, 7)
        failed += process.exitcode == 7
        with MemoryStore(blank_run, state) as store:
            assert not store.verify().problems and bits(store.weights()) == store.hash()
            done = store.hash() != before or store.ledger.path.stat().st_size > ledger or store.archive.packs()
            if process.exitcode == 0:
                break
            if done:  # the ledger has it, the head could not be written: the next opening did that
                assert len(store.records()) == records + (what in ("commit", "swap"))
                break
    assert failed and done


def test_a_full_disk(blank_run: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    size = (blank_run / "model.safetensors").stat().st_size
    options = f"size={4 * size + 200_000}"
    if subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(disk)], capture_output=True).returncode:
        pytest.skip("cannot mount a small disk here")
    try:
        committed, filler = 0, disk / "filler"
        with pytest.raises(NimError, match="cannot write") as caught, MemoryStore(blank_run, disk) as store:
            filler.write_bytes(bytes(size))
            while True:
                store.commit(some_record(), some_delta(store, committed, 0.3))
                committed += 1
        assert caught.value.mend and committed
        with MemoryStore(blank_run, disk, writable=False) as store:
            assert committed <= len(store.records()) <= committed + 1
        filler.unlink()
        with MemoryStore(blank_run, disk) as store:
            assert not [found for found in store.verify().problems if "sums" not in found]
            store.revert("m0001")
            assert bits(store.weights()) == store.hash()
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=False)


# -- clocks, folders, strangers ----------------------------------------------------------------------------------------


def test_a_clock_that_jumps_changes_neither_order_nor_weights(blank_run: Path, state: Path,
                                                              monkeypatch: pytest.MonkeyPatch) -> None:
    real_gmtime, real_time, offset = time.gmtime, time.time, [0.0]
    monkeypatch.setattr(time, "time", lambda: real_time() + offset[0])
    monkeypatch.setattr(time, "gmtime", lambda *when: real_gmtime(*when) if when else real_gmtime(time.time()))
    with MemoryStore(blank_run, state) as store:
        for number, jump in enumerate((0.0, -400 * 86400.0, 3 * 86400.0, -10 * 86400.0)):
            offset[0] = jump
            store.commit(some_record(str(number)), some_delta(store, number))
        store.commit(some_record(), some_delta(store, 9), "pending")
        store.reject("m0005")
        offset[0] = -500 * 86400.0  # rejected in what is now the future: it stays
        assert not upkeep.gc(store, 1.0).records and "m0005" in store.kept()
        assert [record.title for record in store.records()][:4] == ["0", "1", "2", "3"]
        assert bits(past.weights_at(store, "m0002")) == store.get("m0002").weights_after
        hashed = store.hash()
        store.revert("m0001")
        store.approve("m0001")
        assert store.hash() == hashed and not store.verify().problems
        offset[0] = 20 * 86400.0
        assert upkeep.gc(store, 1.0).records == ["m0005"]


def test_the_ledger_of_another_base_is_refused_by_name(blank_run: Path, state: Path, tmp_path: Path) -> None:
    from nimllm.llm.checkpoint import write_tensors

    with MemoryStore(blank_run, state) as store:
        store.commit(some_record(), some_delta(store, 1))
    other = tmp_path / "other"
    shutil.copytree(blank_run, other)
    tensors = read_tensors(other / "model.safetensors")
    tensors["model.norm.weight"][5] += 1
    write_tensors(other / "model.safetensors", tensors)
    with MemoryStore(other, state) as sibling:
        shutil.copy(store.ledger.path, sibling.folder / "ledger.jsonl")
    with pytest.raises(NimError, match="belongs to another base") as caught:
        MemoryStore(other, state)
    assert caught.value.code == MEMORY and store.base[:16] in caught.value.message()


def test_a_folder_that_cannot_be_written_can_be_read(blank_run: Path, state: Path) -> None:
    with MemoryStore(blank_run, state) as store:
        for seed in range(2):
            store.commit(some_record(), some_delta(store, seed))
        expected = store.hash()
    code = (
        "import sys\nfrom pathlib import Path\nfrom nimllm.errors import NimError\n"
        "from nimllm.alignment.memory.store import MemoryStore\n"
        f"store = MemoryStore(Path({str(blank_run)!r}), Path({str(state)!r}))\n"
        "assert not store.writable and not store.verify().problems\n"
        "try:\n    store.revert('m0001')\n    sys.exit('it was written')\nexcept NimError as error:\n"
        "    assert error.code == 7\nprint(store.hash())\n")
    line = ["bwrap", "--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc", sys.executable, "-c", code]
    try:
        done = subprocess.run(line, capture_output=True, text=True, timeout=300)
    except FileNotFoundError:
        pytest.skip("bubblewrap is not installed")
    if "bwrap:" in done.stderr:
        pytest.skip(f"no read-only view here: {done.stderr}")
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == expected
