"""Memories on their way to a sibling of the same base: one file with the deltas and their evidence.

safetensors: a row of bytes per record (its delta, as the store keeps it), and in the metadata the records as JSON, the
base's fingerprint and a checksum over all of it. Nothing in such a file is believed: the base must be this one, every
delta is decoded with its limits, and every record waits for approval or passes the gate here.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from safetensors.numpy import save

from nimllm.alignment.memory import sealed
from nimllm.alignment.memory.deltas import Delta, content_hash, decode, encode
from nimllm.alignment.memory.events import Record
from nimllm.alignment.memory.store import MemoryStore
from nimllm.errors import MEMORY, NimError, UsageError
from nimllm.llm.checkpoint import replacing

if TYPE_CHECKING:
    from nimllm.alignment.memory.answers import Voice
    from nimllm.alignment.memory.events import Check

FORMAT, VERSION = "nimllm-memories", "1"
LARGEST = 4 << 30  # bytes of a file that is read
OLD_PROBES = 20
Show = Callable[[int, int], None]


@dataclass
class Applied:
    """What became of a file's records: ids here of those that were accepted and that wait, ids there of those that are
    here already."""

    accepted: list[str] = field(default_factory=list)
    waiting: list[str] = field(default_factory=list)
    known: list[str] = field(default_factory=list)


def export(store: MemoryStore, path: Path, ids: Sequence[str] = (), force: bool = False) -> list[str]:
    """Writes the records ``ids`` (default: all whose deltas make the weights); the ids. NimError: one does not exist or
    is damaged, or the file cannot be written; UsageError: it exists, or there is nothing to write."""
    if path.exists() and not force:
        raise UsageError(f"{path} exists", "", "give another name, or --force")
    chosen = list(dict.fromkeys(ids)) or store.ledger.accepted()
    if not chosen:
        raise UsageError("there is nothing to export", "no memory is in the weights", "see nimllm memory list")
    records, parts = [], {}
    for id in chosen:
        delta = store.delta(id)
        shapes = {name: store.base_tensors()[name].shape for name in delta}
        raw = encode(delta, shapes, {"id": id, "base": store.base})
        parts[id] = np.frombuffer(raw, np.uint8)
        records.append({**store.get(id).model_dump(mode="json"), "content": content_hash(delta)})
    about = {"format": FORMAT, "version": VERSION, "base": store.base, "records": json.dumps(records)}
    raw = save(parts, {**about, sealed.SEAL: sealed.seal(parts, about)})
    with replacing(path) as file:
        file.write(raw)
    return chosen


def _open(path: Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    try:
        if path.stat().st_size > LARGEST:
            raise NimError(f"{path} is too large", f"more than {LARGEST >> 30} GB", "export fewer records", MEMORY)
        path.open("rb").close()
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), "give a file made by nimllm memory export",
                       MEMORY) from None
    found = sealed.read(path)
    if found is None or found[1].get("format") != FORMAT:
        raise NimError(f"{path} is no export of memories, or it is damaged", "its checksum is not right",
                       "export it again: nimllm memory export FILE", MEMORY)
    if found[1].get("version") != VERSION:
        raise NimError(f"{path} is of version {found[1].get('version')}", f"this nimllm reads version {VERSION}",
                       "use the newer nimllm that wrote it", MEMORY)
    return found


def _plain(data: object) -> object:
    """Without characters that a terminal would obey: the texts were written by somebody else."""
    if isinstance(data, str):
        return "".join(letter if letter.isprintable() or letter in "\n\t" else "\ufffd" for letter in data)
    if isinstance(data, list):
        return [_plain(item) for item in data]
    return {key: _plain(value) for key, value in data.items()} if isinstance(data, dict) else data


def read(store: MemoryStore, path: Path) -> list[tuple[Record, Delta]]:
    """The records of a file with their deltas, checked. NimError 7: not such a file, damaged, of another base."""
    tensors, about = _open(path)
    if about.get("base") != store.base:
        raise NimError(f"{path} holds memories of another base",
                       f"they were made on {str(about.get('base'))[:16]}, and this model's base is {store.base[:16]}",
                       "a delta only means something on the weights it was made on: use the same base, or teach it "
                       "again", MEMORY)
    found = []
    try:
        for row in json.loads(about["records"]):
            content = row.pop("content")
            record, delta = Record.model_validate(_plain(row)), decode(tensors[row["id"]].tobytes())
            sizes = {name: tensor.size for name, tensor in store.base_tensors().items()}
            for name, (index, _) in delta.items():
                if name not in sizes or index[-1] >= sizes[name] or index[0] < 0:
                    raise ValueError(f"{record.id} changes {name}, which is not in this model")
            if content_hash(delta) != content:
                raise ValueError(f"the delta of {record.id} is not the one it says")
            found.append((record, delta))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        raise NimError(f"{path} cannot be used", " ".join(str(error).split())[:200],
                       "export it again: nimllm memory export FILE", MEMORY) from None
    return found


def apply(store: MemoryStore, path: Path, accept: bool = False, show: Show | None = None) -> Applied:
    """Takes a file's records over, each as one that waits; ``accept``: those that pass the gate here enter the weights.
    What is here already is left out, so that a stopped apply goes on when it is run again. NimError 7: see
    :func:`read`; not writable."""
    store.must_write()
    incoming = read(store, path)
    done = Applied()
    sizes = {store.get(id).entries for id in store.kept()}
    wanted = {sum(len(index) for index, _ in delta.values()) for _, delta in incoming}
    here = {content_hash(store.delta(id)) for id in sorted(store.kept())
            if store.get(id).entries in wanted} if sizes & wanted else set()
    examiner = Examiner(store) if accept else None
    for number, (record, delta) in enumerate(incoming):
        content = content_hash(delta)
        if content in here:
            done.known.append(record.id)
        else:
            here.add(content)
            made = _take(store, record, delta, path.name, examiner)
            (done.accepted if made.state == "accepted" else done.waiting).append(made.id)
        if show is not None:
            show(number + 1, len(incoming))
    return done


def _take(store: MemoryStore, record: Record, delta: Delta, source: str, examiner: Examiner | None) -> Record:
    reason, state = f"it came from {source}, where it was {record.id}", "pending"
    fresh = record.model_copy(update={"id": "", "members": [], "reason": reason})
    if examiner is not None:
        checks, ratio = examiner.examine(record, delta)
        failed = [f"{check.name}: {check.detail}" for check in checks if not check.passed]
        state = "pending" if failed else "accepted"
        reason += ". the gate: " + "; ".join(failed) if failed else ""
        fresh = fresh.model_copy(update={"checks": checks, "perplexity_ratio": ratio, "reason": reason})
    made = store.commit(fresh, delta, state, reason)
    if examiner is not None and state == "accepted":
        examiner.moved()
    return made


class Examiner:
    """The gate for records that were learnt elsewhere: are they answered here, and does what is here stay?"""

    def __init__(self, store: MemoryStore) -> None:
        from nimllm.alignment.memory.answers import Voice

        self.store = store
        self.voice: Voice = Voice(store, store.current())
        self.general = self._tried = self.voice.general_loss()

    def moved(self) -> None:
        """The weights that :meth:`examine` last tried are the ones in use now."""
        self.general = self._tried
        self.voice.put(self.store.current())

    def examine(self, record: Record, delta: Delta) -> tuple[list[Check], float]:
        """(the gate's verdicts, perplexity ratio) of one record more."""
        from random import Random

        from nimllm.alignment.memory import lessons
        from nimllm.alignment.memory.gate import Evidence, judge, verdicts

        store, voice, tokenizer = self.store, self.voice, self.voice.tokenizer
        context = store.config.context
        told = [lessons.form_lesson(tokenizer, form) for form in record.forms if form.question]
        probes = [lessons.question_lesson(tokenizer, probe.question, probe.expected) for probe in record.probes
                  if probe.expected and record.kind == "chat"]
        told, probes = ([lesson for lesson in part if len(lesson.ids) <= context] for part in (told, probes))
        old = lessons.old_lessons(store.records(), tokenizer, context, Random(0), OLD_PROBES)
        judged = [*told, *probes, *old]
        losses, before = judge(voice.model, judged) if judged else ([], [])
        voice.put(store.with_delta(delta))
        losses_after, after = judge(voice.model, judged) if judged else ([], [])
        self._tried = voice.general_loss()
        ratio = 1.0 if math.isnan(self._tried) else math.exp(self._tried - self.general)
        count, kept = len(told), len(told) + len(probes)
        mean = [sum(part[:count]) / max(1, count) for part in (losses, losses_after)]
        moved = math.sqrt(sum(float(np.square(np.ldexp(value.astype(np.float64), store.grid[name])).sum())
                              for name, (_, value) in delta.items()))
        whole = math.sqrt(sum(float(np.square(store.base_tensors()[name], dtype=np.float64).sum()) for name in delta))
        checks = verdicts(Evidence(
            told=after[:count], probes=after[count:kept], old_before=before[kept:], old_after=after[kept:], controls=[],
            values=[fact[2] for fact in record.facts], perplexity_ratio=ratio, norm=moved / whole if whole else 0.0,
            loss_before=mean[0], loss_after=mean[1], is_task=not told))
        voice.put(store.current())
        return checks, ratio
