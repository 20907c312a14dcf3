"""Reviewing: what a memory changes, which one an answer comes from, the weights of then, carrying memories over."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from memory_samples import some_delta, some_record, write_run

from nimllm import cli
from nimllm.agent import repeated
from nimllm.agent.records import MemoryRecord, TaskRecord
from nimllm.alignment.memory import exchange, figures, past, upkeep
from nimllm.alignment.memory.answers import Voice
from nimllm.alignment.memory.deltas import Delta
from nimllm.alignment.memory.differences import difference
from nimllm.alignment.memory.events import Form, Probe, Record
from nimllm.alignment.memory.influence import why
from nimllm.alignment.memory.store import MemoryStore, quantise
from nimllm.errors import MEMORY, NimError, UsageError
from nimllm.llm.checkpoint import fingerprint, read_tensors
from nimllm.llm.tokenizer import Tokenizer

QUESTION = "Where does Mira live?"


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "nimllm"


def about(number: int, question: str = QUESTION) -> Record:
    return Record(title=f"memory {number}", facts=[("Mira", f"thing {number}", "Oslo")],
                  forms=[Form(question=question, answer="Mira lives in Oslo.")], perplexity_ratio=1.001,
                  probes=[Probe(question=question, expected="Mira lives in Oslo.")])


def larger(store: MemoryStore, seed: int, size: float) -> Delta:
    rng = np.random.default_rng(seed)
    name = "model.embed_tokens.weight"  # moves every answer, also of an untrained model
    shape = store.base_tensors()[name].shape
    return quantise({name: np.where(rng.random(shape) < 0.05, rng.normal(0, size, shape), 0)}, store.grid)


@pytest.fixture
def store(blank_run: Path, state: Path) -> Iterator[MemoryStore]:
    """Four memories of different strength in the weights, one that waits, one that was rejected."""
    with MemoryStore(blank_run) as store:
        for number, size in enumerate((0.002, 0.2, 0.02, 0.1)):
            store.commit(about(number), larger(store, number, size))
        store.commit(some_record("it waits"), larger(store, 8, 0.1), "pending")
        store.commit(some_record("refused"), larger(store, 9, 0.1), "pending")
        store.reject("m0006")
        yield store


def run(words: str, capsys: pytest.CaptureFixture[str], model: Path) -> tuple[int, str, str]:
    code = cli.main(["memory", *words.split("|"), "--model", str(model)])
    out, err = capsys.readouterr()
    return code, out, err


def test_why_measures_what_taking_a_memory_out_does(store: MemoryStore, blank_run: Path, tmp_path: Path) -> None:
    """The exact effect equals that of a store which never had the memory; the estimate finds the strong ones."""
    found = why(store, QUESTION, exact=24)
    assert found.memories == found.measured == 4 and all(one.exact for one in found.influences)
    order = [abs(one.effect) for one in found.influences]
    assert order == sorted(order, reverse=True)
    strongest = found.influences[0]
    with MemoryStore(blank_run, tmp_path / "without") as other:
        for id in ("m0001", "m0002", "m0003", "m0004"):
            if id != strongest.id:
                other.commit(some_record(), store.delta(id))
        voice = Voice(other, other.current())
        prompt = voice.prompt(QUESTION)
        answer = Voice(store, store.current()).writes(QUESTION)
        expected = found.likelihood - float(voice.log_likelihood(prompt, answer))
        assert strongest.effect == pytest.approx(expected, abs=1e-4)
        assert strongest.without in ("", voice.answer(QUESTION))
    few = why(store, QUESTION, exact=2)
    assert [one.exact for one in few.influences] == [True, True, False, False] and few.measured == 2
    assert {one.id for one in few.influences[:2]} <= {"m0002", "m0003", "m0004"}  # never the faintest
    given = why(store, QUESTION, answer="Mira lives in Oslo.")
    assert given.answer == "Mira lives in Oslo." and given.likelihood != found.likelihood
    # a small change moves the likelihood by what its gradient says
    faint = next(one for one in found.influences if one.id == "m0001")
    assert faint.estimate == pytest.approx(faint.effect, rel=0.2, abs=2e-3)


def test_why_when_nothing_touches_it(blank_run: Path, state: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = run(f"why|{QUESTION}", capsys, blank_run)
    assert code == 0 and "no memory is in the weights" in out
    with MemoryStore(blank_run) as store:
        name = "model.layers.0.mlp.down_proj.weight"
        store.commit(some_record(), {name: (np.array([3], np.int32), np.array([1], np.int16))})
    code, out, _ = run(f"why|{QUESTION}", capsys, blank_run)
    assert code == 0 and "no memory touches this answer" in out
    code, out, _ = run(f"why|{QUESTION}|--json", capsys, blank_run)
    assert json.loads(out)["touching"] == []
    for wrong, message in ((f"why|{QUESTION}|--exact|0", "--exact"), (f"why|{'word ' * 400}", "context"),
                           (f"why|{QUESTION}|--answer| ", "--answer")):
        code, _, err = run(wrong, capsys, blank_run)
        assert code == 2 and message in err and "Traceback" not in err


def test_diff_compares_the_weights_without_and_with(store: MemoryStore) -> None:
    found = difference(store, "m0002", ["Who are you?"], ["count the files"], ["Hello!"])
    json.dumps(found.data(), allow_nan=False)
    assert found.weights_after == store.hash()
    without = store.apply(store.sums_of(["m0001", "m0003", "m0004"]))
    assert found.weights_before == fingerprint(without)
    assert [row.about for row in found.said] == ["asked", "asked", "probe", "general"] and found.said[1].request
    assert any(row.changed for row in found.said)
    voice = Voice(store, without)
    assert found.said[0].before == voice.answer("Who are you?") and len(found.said) == 4
    waiting = difference(store, "m0005", general=[])
    assert waiting.weights_before == store.hash() != waiting.weights_after
    slept = store.swap(["m0002", "m0004"], some_record("sleep"), larger(store, 20, 0.1))
    once = difference(store, "m0002", general=[])
    assert slept.id in once.when and once.weights_after == store.get("m0002").weights_after
    members = difference(store, slept.id, general=[])
    assert members.weights_after == store.hash() and members.weights_before == slept.weights_before


def test_the_commands_print_for_people_and_for_programs(store: MemoryStore, blank_run: Path,
                                                        capsys: pytest.CaptureFixture[str]) -> None:
    store.close()
    for words, told in (("diff|m0002|--ask|Who are you?", "answers differ"), (f"why|{QUESTION}", "log-likelihood"),
                        ("plot", "recall by age"), ("gc|--dry-run", ""), ("compact", "packed"), ("verify", "right")):
        code, out, err = run(words, capsys, blank_run)
        assert code == 0 and told in out, err
    for words in ("plot|--json", "gc|--json", "compact|--json", "verify|--json", "inbox|--json", "show|m0002|--json"):
        code, out, err = run(words, capsys, blank_run)
        assert code == 0 and json.loads(out) is not None, err
    code, _, err = run("diff|m0099", capsys, blank_run)
    assert code == MEMORY and "no memory m0099" in err


def test_the_weights_of_then(store: MemoryStore, blank_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    store.revert("m0001")
    store.swap(["m0002", "m0003"], some_record("sleep"), larger(store, 20, 0.1))
    now = store.hash()
    for id in ("m0001", "m0002", "m0003", "m0004"):
        file = past.weights_at(store, id)
        assert fingerprint(read_tensors(file)) == store.get(id).weights_after
    assert past.weights_at(store, "m0007") == store.head and store.hash() == now
    file = past.weights_at(store, "m0002")
    raw = file.read_bytes()
    file.write_bytes(raw[:-3] + b"\0\0\0")
    assert any("past" in problem for problem in store.verify().problems)
    assert past.weights_at(store, "m0002").read_bytes()[-3:] == raw[-3:]  # damage is made again
    for id, why_not in (("m0005", "never been in them"), ("m0009", "no memory m0009")):
        with pytest.raises(NimError, match=why_not) as caught:
            past.weights_at(store, id)
        assert caught.value.code == MEMORY
    assert upkeep.gc(store).files["head of the past"] == 4 and not store.verify().problems


def test_a_session_at_a_memory_learns_nothing(store: MemoryStore, blank_run: Path,
                                              capsys: pytest.CaptureFixture[str]) -> None:
    from nimllm.agent import equipment

    words = ["chat", "--model", str(blank_run), "--memory-at", "m0002", "--threads", "1"]
    args = cli.parser(["chat"]).parse_args(words)
    equipment.hold_memory(args)
    assert args.memory == "off" and "nothing is learnt" in capsys.readouterr().err
    model = equipment.load_model(args, args.memory != "off")
    assert model.memories == 2 and equipment.memory_word(args, model) == "at m0002"
    voice = Voice(store, read_tensors(past.weights_at(store, "m0002")))
    ids, answer = voice.prompt(QUESTION), voice.writes(QUESTION)
    score = model.generator.score([*ids, *answer], len(ids))
    assert score == pytest.approx(float(voice.log_likelihood(ids, answer)), abs=1e-2)
    present = equipment.load_model(Namespace(**{**vars(args), "memory_at": None}), True)
    assert present.memories == 4
    assert abs(present.generator.score([*ids, *answer], len(ids)) - score) > 0.05
    with pytest.raises(NimError, match="never been in them"):
        equipment.load_model(Namespace(**{**vars(args), "memory_at": "m0006"}), False)


def test_memories_go_to_a_sibling_and_no_further(store: MemoryStore, blank_run: Path, tmp_path: Path,
                                                 tokenizer: Tokenizer) -> None:
    file = tmp_path / "memories.nimllm"
    assert exchange.export(store, file) == ["m0001", "m0002", "m0003", "m0004"]
    with pytest.raises(UsageError, match="exists"):
        exchange.export(store, file)
    with MemoryStore(blank_run, tmp_path / "sibling") as sibling:
        sibling.commit(some_record(), store.delta("m0003"))
        done = exchange.apply(sibling, file)
        assert done.known == ["m0003"] and len(done.waiting) == 3 and not done.accepted
        arrived = sibling.get(done.waiting[0])
        assert arrived.state == "pending" and "memories.nimllm" in arrived.reason and arrived.probes
        again = exchange.apply(sibling, file)
        assert len(again.known) == 4 and not again.waiting
        for id in done.waiting:
            sibling.approve(id)
        assert sibling.hash() == store.hash() and not sibling.verify().problems
        assert exchange.export(store, file, ["m0005"], force=True) == ["m0005"]
        assert exchange.apply(sibling, file, accept=True).accepted  # of no kind that could be asked: measured and fine
    # answers that are not given here are not believed: the gate holds them back
    exchange.export(store, file, ["m0002"], force=True)
    with MemoryStore(blank_run, tmp_path / "careful") as careful:
        done = exchange.apply(careful, file, accept=True)
        assert not done.accepted and "the gate: answered" in careful.get(done.waiting[0]).reason
    tensors = read_tensors(blank_run / "model.safetensors")
    tensors["model.norm.weight"][7] += 1
    other = write_run(tmp_path / "other", store.config, tensors, tokenizer)
    with MemoryStore(other, tmp_path / "other-state") as stranger, \
            pytest.raises(NimError, match="memories of another base") as caught:
        exchange.apply(stranger, file)
    assert caught.value.code == MEMORY


def test_a_damaged_or_forged_export_is_refused(store: MemoryStore, blank_run: Path, tmp_path: Path) -> None:
    file = tmp_path / "memories"
    store.revert("m0001")
    record = about(7).model_copy(update={"title": "\x1b]0;you\x07 are told"})
    store.commit(record, larger(store, 30, 0.1))
    exchange.export(store, file)
    raw = file.read_bytes()
    rng = np.random.default_rng(3)
    with MemoryStore(blank_run, tmp_path / "sibling") as sibling:
        for place in [0, 8, 60, len(raw) - 1, *rng.integers(0, len(raw), 25).tolist()]:
            file.write_bytes(raw[:place] + bytes([raw[place] ^ 1 << int(rng.integers(8))]) + raw[place + 1:])
            with pytest.raises(NimError) as caught:
                exchange.apply(sibling, file)
            assert caught.value.code == MEMORY and caught.value.mend
        for content in (b"", b"junk", raw[: len(raw) // 2], (blank_run / "model.safetensors").read_bytes()):
            file.write_bytes(content)
            with pytest.raises(NimError):
                exchange.apply(sibling, file)
        with pytest.raises(NimError, match="cannot read"):
            exchange.apply(sibling, tmp_path / "none")
        assert sibling.records() == []
        file.write_bytes(raw)
        exchange.apply(sibling, file)
        assert all("\x1b" not in known.title for known in sibling.records())


def test_compact_and_gc_keep_every_revert_exact(store: MemoryStore, blank_run: Path, tmp_path: Path) -> None:
    hashed = store.hash()
    assert upkeep.compact(store)[0] == 6 and not store.archive.loose()
    store.commit(some_record(), larger(store, 40, 0.1))
    dry = upkeep.gc(store, 0.0, dry_run=True)
    assert dry.records == ["m0006"] and store.delta("m0006")
    assert upkeep.gc(store, 0.0).records == ["m0006"] and upkeep.gc(store, 0.0).records == []
    with pytest.raises(NimError, match="the delta of m0006 was deleted"):
        store.delta("m0006")
    assert "m0006" not in store.archive.packed() and store.get("m0006").state == "rejected"
    with pytest.raises(NimError):
        store.approve("m0006")
    store.revert("m0007")
    assert store.hash() == hashed
    for id in ("m0003", "m0001", "m0004", "m0002"):
        store.revert(id)
    assert store.hash() == store.base
    store.approve("m0005")
    assert store.hash() != store.base
    assert not store.verify().problems and not MemoryStore(blank_run, writable=False).verify().problems


def test_figures(store: MemoryStore, tmp_path: Path) -> None:
    found = figures.measure(store)
    assert [one.age for one in found.recalled] == [3, 2, 1, 0] and found.superseded == 0
    assert found.perplexity[-1] == (4, pytest.approx(1.001**4))
    store.commit(about(0), larger(store, 50, 0.01))
    assert figures.measure(store).superseded == 1
    found.attempts = [(1, 0.5, 4, 0.25, 4), (2, 1.0, 4, 0.25, 4)]
    text = figures.chart(found)
    for part in ("recall by age", "success on repeated tasks", "attempt 2: with memory 100 % of 4"):
        assert part in text
    json.dumps(found.data(), allow_nan=False)
    pytest.importorskip("matplotlib")
    figures.save_png(found, tmp_path / "plot.png")
    assert (tmp_path / "plot.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(NimError, match="cannot write"):
        figures.save_png(found, tmp_path / "none" / "plot.png")


def test_repeated_tasks_are_counted_by_attempt() -> None:
    def task(request: str, right: bool, memory: str, by: str = "check") -> TaskRecord:
        return TaskRecord.model_validate({
            "id": "x", "time": "", "request": request, "outcome": "success" if right else "failure", "by": by,
            "memory": MemoryRecord.model_validate({"state": memory})})

    log = [task("Deploy it", False, "accepted"), task("deploy  it", True, "pending"), task("once", True, "accepted"),
           task("deploy it", False, "off"), task("deploy it", False, "off"), task("count", True, "off"),
           task("count", True, "off"), task("deploy it", True, "accepted", "nobody")]
    rows = repeated.attempts(log)
    assert rows == [(1, 0.0, 1, 0.5, 2), (2, 1.0, 1, 0.5, 2)]
    assert repeated.attempts([]) == []


@pytest.mark.slow
def test_what_was_told_is_what_why_names(talking_run: Path, tmp_path: Path) -> None:
    """With a model that has learnt to answer: three facts told, and the answer comes from the one it is about."""
    from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome
    from nimllm.alignment.memory.update import Session

    told = ["My dog is called Rex.", "Mira lives in Oslo.", "I am allergic to walnuts."]
    with MemoryStore(talking_run, tmp_path) as store:
        session = Session(store)
        made = [session.learn(Episode(id=f"e{number}", kind="chat", outcome=Outcome(kind="success", by="user"), turns=[
            EpisodeTurn(role="user", text=text, learn=True), EpisodeTurn(role="assistant", text="Noted.")]))
            for number, text in enumerate(told)]
        for record in made:
            if record.state == "pending":
                store.approve(record.id)
        for record in made:
            assert why(store, record.probes[0].question).influences[0].id == record.id
        found = difference(store, made[1].id)
        assert any(row.changed for row in found.said if row.about == "probe")


def test_an_old_ledger_is_read(blank_run: Path, tmp_path: Path) -> None:
    """Lines written before records had members, and deltas of the first version."""
    import hashlib

    from safetensors.numpy import save

    with MemoryStore(blank_run, tmp_path) as store:
        store.commit(some_record("old"), some_delta(store, 1))
        hashed, delta = store.hash(), store.delta("m0001")
    ledger = store.ledger.path
    raw = save({f"{name}::{part}": array for name, pair in delta.items()
                for part, array in zip(("index", "value"), pair, strict=True)}, {"id": "m0001"})
    store.archive.path("m0001").write_bytes(raw)
    previous, lines = "0" * 64, []
    for line in ledger.read_bytes().splitlines():
        body = json.loads(line)
        if body["record"]:
            del body["record"]["members"]
            body["delta"] = hashlib.sha256(raw).hexdigest()
        del body["hash"]
        body["previous"] = previous
        text = json.dumps(body, sort_keys=True, ensure_ascii=False)
        previous = body["hash"] = hashlib.sha256(text.encode()).hexdigest()
        lines.append(json.dumps(body, ensure_ascii=False).encode() + b"\n")
    ledger.write_bytes(b"".join(lines))
    store.head.unlink()
    with MemoryStore(blank_run, tmp_path) as again:
        assert again.hash() == hashed and again.get("m0001").members == [] and not again.verify().problems
        again.commit(some_record("new"), some_delta(again, 2))
        again.revert("m0001")
        assert not again.verify().problems


def test_caches_from_before_the_seal_are_old_and_not_damaged(blank_run: Path, tmp_path: Path) -> None:
    import hashlib

    from safetensors.numpy import save

    with MemoryStore(blank_run, tmp_path) as store:
        store.commit(some_record(), some_delta(store, 1))
        sums, digest = store.sums_of(["m0001"]), hashlib.sha256()
        for name in sorted(sums):
            digest.update(name.encode() + b"\0" + sums[name].tobytes())
        old = {"position": store.ledger.weights_tip, "sha256": digest.hexdigest()}
        (store.folder / "sums.safetensors").write_bytes(save(sums, old))
        (store.folder / "curvature-base.safetensors").write_bytes(save({"0": np.eye(3)}, {"base": "b", "judged": "[]"}))
        assert not store.verify().problems
        old["position"] = "0" * 64
        (store.folder / "sums.safetensors").write_bytes(save(sums, {**old, "sha256": "1" + old["sha256"][1:]}))
        assert any("sums" in problem for problem in store.verify().problems)
