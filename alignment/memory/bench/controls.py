"""What shows that a score is a memory of what was told: permuted values, and updates taken out again."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING, Any

from nimllm.alignment.memory.bench.examine import child, examine
from nimllm.alignment.memory.bench.learner import notes
from nimllm.alignment.memory.bench.prepare import read_json, write_json
from nimllm.alignment.memory.bench.questions import Answer, judge, of_fact
from nimllm.alignment.memory.bench.stream import seed_of
from nimllm.llm.checkpoint import fingerprint, read_tensors

if TYPE_CHECKING:
    from nimllm.alignment.memory.bench.runner import Bench, Track

MOST_LOST = 0.01  # share of the other facts that a revert may cost


def shuffle_check(bench: Bench, track: Track) -> dict[str, Any]:
    """The same stream with the values of each relation passed on: the new values must be held about as often as the
    old ones were, and the old ones, which nobody told, about never. Only facts whose value changed are looked at."""
    from nimllm.alignment.memory.bench.runner import Track

    count = min(bench.plan.count, bench.plan.sizes.control_items)
    other = Track(track.seed, track.method, shuffle=True)
    result = bench.point(other, count)
    straight, swapped = bench.prepared(track.seed), bench.prepared(track.seed, True)
    first = {fact.id: fact for fact in straight.stream.facts(count)}
    moved = {fact.id for fact in swapped.stream.facts(count) if fact.value != first[fact.id].value}
    stored = read_json(bench.folder(other) / f"answers-{count}.json")
    answers = {id: Answer(text, ended) for id, (text, ended) in stored.items()}
    before = {verdict.id for verdict in judge(straight.stream, count, bench.plan.wordings, answers)  # type: ignore
              if verdict.recalled}
    return {"items": count, "moved": len(moved), "held": len(moved & set(result["held"])),
            "recalled": len(moved & set(result["recalled"])), "original_recalled": len(moved & before)}


def revert_check(bench: Bench, track: Track) -> dict[str, Any]:
    """Some updates, none the last one, are taken out in two orders. Both must give the same weights, bit for bit, and
    those of a rebuild from the ledger without them; their facts must be gone, and the others kept but 1 %."""
    folder, count = bench.folder(track), bench.plan.count
    path = folder / f"reverts-{count}.json"
    if path.exists():
        return read_json(path)
    result = bench.point(track, count)
    told: dict[str, list[str]] = {}
    noted = notes(folder)[:count]
    for note in noted:
        if note.fact and note.update.accepted and note.update.id:
            told.setdefault(note.fact, []).append(note.update.id)
    last = noted[-1].update.id
    # of facts told once: one that was corrected has two updates
    once = [(id, ids[0]) for id, ids in sorted(told.items()) if len(ids) == 1 and ids[0] != last]
    once = [pair for pair in once if pair[0] in result["recalled"]] or once
    rng = Random(f"{seed_of(track.seed)}/revert")
    chosen = rng.sample(once, min(bench.plan.sizes.reverted, len(once)))
    found: dict[str, Any] = {"reverted": len(chosen), "possible": False}
    if chosen:
        said: dict[str, Any] = {}
        child("nimllm.alignment.memory.bench.learner",
              bench.spec(track, revert=[update for _, update in chosen]), tell=said.update)
        if said.get("reverted"):
            first, second = said["weights"]
            found = {**found, "possible": True, "same_in_both_orders": first == second,
                     "rebuilt": None if said["rebuilt"] is None else first == second == said["rebuilt"],
                     **_asked_again(bench, track, {id for id, _ in chosen})}
    (folder / "reverted.safetensors").unlink(missing_ok=True)
    assert fingerprint(read_tensors(folder / "weights.safetensors")) == result["weights"], "the state was changed"
    write_json(path, found)
    return found


def _asked_again(bench: Bench, track: Track, gone: set[str]) -> dict[str, Any]:
    """All facts, on the weights without the reverted ones."""
    stream, count = bench.prepared(track.seed).stream, bench.plan.count
    result = bench.point(track, count)
    wordings: Any = bench.plan.wordings
    questions = [question for fact in stream.facts(count) for question in of_fact(stream, fact, wordings)]
    answers = examine(bench.plan.run, bench.folder(track) / "reverted.safetensors", questions).answers
    after = {verdict.id for verdict in judge(stream, count, wordings, answers) if verdict.recalled}
    before = set(result["recalled"])
    others = before - gone
    lost = len(others - after)
    return {"recalled_before": len(before & gone), "recalled_after": len(after & gone), "others": len(others),
            "others_lost": lost, "gone": not after & gone, "others_kept": lost <= MOST_LOST * len(others)}
