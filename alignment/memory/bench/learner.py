"""A method at its work, in a process of its own: ``python -m nimllm.alignment.memory.bench.learner SPEC``.

It hands the stream's items to the method one by one up to a point, notes each call in ``updates.jsonl``, and leaves the
weights of the point. Killed at any moment, it goes on with the item that was not noted.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nimllm.alignment.memory.bench import prepare
from nimllm.alignment.memory.bench.examine import guarded, say
from nimllm.alignment.memory.bench.method import Answers, Context, Method, Update
from nimllm.alignment.memory.bench.prepare import Prepared
from nimllm.alignment.memory.bench.questions import Question
from nimllm.errors import CONFIG, NimError
from nimllm.llm.checkpoint import fingerprint, write_tensors


@dataclass(frozen=True)
class Note:
    """One line of ``updates.jsonl``: an item and what the method did with it; ``slept``: its consolidation after it."""

    place: int
    kind: str
    fact: str  # "" when the item tells none
    update: Update
    slept: Update | None = None

    def line(self) -> str:
        return json.dumps(asdict(self)) + "\n"

    @staticmethod
    def of(text: str) -> Note:
        data = json.loads(text)
        slept = Update(**data["slept"]) if data["slept"] else None
        return Note(data["place"], data["kind"], data["fact"], Update(**data["update"]), slept)


def notes(folder: Path) -> list[Note]:
    """What was noted so far; the half line of a kill is left out."""
    try:
        text = (folder / "updates.jsonl").read_text("utf-8")
    except OSError:
        return []
    return [Note.of(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]


def _append(folder: Path, known: Sequence[Note], note: Note) -> None:
    path = folder / "updates.jsonl"
    whole = sum(len(one.line()) for one in known)
    with open(path, "r+b" if path.exists() else "w+b") as file:
        file.truncate(whole)  # the half line of a kill
        file.seek(whole)
        file.write(note.line().encode())
        file.flush()
        os.fsync(file.fileno())


def state_folder(folder: Path) -> Path:
    return folder / "state"


def weights_file(folder: Path) -> Path:
    """The weights of the last point; a point's are replaced by the next one's."""
    return folder / "weights.safetensors"


def learn(method: Method, prepared: Prepared, folder: Path, count: int) -> None:
    """The items that were not noted yet, up to ``count``; then the weights and what a point reports of the method."""
    known = notes(folder)
    if len(known) > count:
        raise NimError(f"{folder} has learnt {len(known)} items", f"what it knew after {count} cannot be had again",
                       "give points beyond that, or another --out", CONFIG)
    for item in prepared.stream.items[len(known) : count]:
        update = method.learn(prepared.episode(item))
        note = Note(item.place, item.kind, item.fact.id if item.fact else "", update, method.sleep())
        _append(folder, known, note)
        known.append(note)
        say(learnt=len(known))
    tensors = dict(method.tensors())
    write_tensors(weights_file(folder), tensors)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    prepare.write_json(folder / f"point-{count}.json", {
        "weights": fingerprint(tensors), "side_bytes": method.side_bytes(), "added_bytes": method.added_bytes,
        "peak_bytes": peak, "kind": "answers" if isinstance(method, Answers) else
        "context" if isinstance(method, Context) else "weights"})


def speak(method: Method, questions: Sequence[Question], path: Path) -> None:
    """The answers, or the turns to stand before each question, of a method that is no weights."""
    if isinstance(method, Answers):
        texts = method.answer([question.turns() for question in questions])
        prepare.write_json(path, {question.id: text for question, text in zip(questions, texts, strict=True)})
    elif isinstance(method, Context):
        prepare.write_json(path, {question.id: [(turn.role, turn.text) for turn in method.context(question.turns())]
                                  for question in questions if not question.task})


def rebuilt(run: Path, state: Path, without: Sequence[str]) -> str | None:
    """Fingerprint of the base and the sum of all accepted deltas but those of ``without``, from the ledger and the
    delta files alone, in int64 sums of its own; None when ``state`` holds no memory store."""
    import numpy as np

    from nimllm.alignment.memory.store import MemoryStore
    from nimllm.llm.checkpoint import read_tensors

    if not (state / "memory").is_dir():
        return None
    with MemoryStore(run, state, writable=False) as store:
        tensors, grid = read_tensors(run / "model.safetensors"), store.grid
        sums: dict[str, Any] = {}
        for record in store.records():
            if record.state == "accepted" and record.id not in without:
                for name, (index, value) in store.delta(record.id).items():
                    total = sums.setdefault(name, np.zeros(tensors[name].size, np.int64))
                    np.add.at(total, index, value.astype(np.int64))
    for name, total in sums.items():
        flat = tensors[name].reshape(-1).copy()
        moved = total != 0
        flat[moved] = (flat[moved].astype(np.float64) + total[moved] * 2.0 ** grid[name]).astype(np.float32)
        tensors[name] = flat.reshape(tensors[name].shape)
    return fingerprint(tensors)


def make(spec: dict[str, Any], state: Path) -> Method:
    """NimError or UsageError where the method cannot be made."""
    from nimllm.alignment.memory.bench.methods import registry
    from nimllm.alignment.memory.bench.stream import seed_of

    state.mkdir(mode=0o700, parents=True, exist_ok=True)
    return registry.make(spec["method"], Path(spec["run"]), state, seed_of(spec["seed"]) % 2**31)


def reverted(spec: dict[str, Any], folder: Path, ids: Sequence[str]) -> str:
    """Takes updates out of a copy of the state in the given order and writes ``reverted.safetensors``; its fingerprint.
    NotImplementedError is passed on."""
    copy = folder / "reverted-state"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(state_folder(folder), copy)
    try:
        method = make(spec, copy)
        for id in ids:
            method.revert(id)
        tensors = dict(method.tensors())
    finally:
        shutil.rmtree(copy, ignore_errors=True)
    write_tensors(folder / "reverted.safetensors", tensors)
    return fingerprint(tensors)


def _work(spec: dict[str, Any]) -> None:
    folder = Path(spec["folder"])
    if "revert" in spec:
        try:
            weights = [reverted(spec, folder, order) for order in (spec["revert"], spec["revert"][::-1])]
        except NotImplementedError:
            say(reverted=False)
        else:
            say(reverted=True, weights=weights,
                rebuilt=rebuilt(Path(spec["run"]), state_folder(folder), spec["revert"]))
        return
    method = make(spec, state_folder(folder))
    if "questions" in spec:
        questions = [Question.of(data) for data in prepare.read_json(Path(spec["questions"]))]
        speak(method, questions, Path(spec["spoken"]))
    else:
        learn(method, prepare.read(Path(spec["stream"]), spec["shuffle"]), folder, spec["count"])


if __name__ == "__main__":
    sys.exit(guarded(lambda: _work(json.loads(sys.argv[1]))))
