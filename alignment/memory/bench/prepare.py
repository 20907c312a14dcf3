"""What a base makes of a stream, before anything is learnt: ``python -m nimllm.alignment.memory.bench.prepare SPEC``.

Facts that the base gets right by itself are given another value, until it is wrong on every wording; its replies to the
user's messages become the assistant's turns, as the product would have recorded them. And the windows of general text.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.alignment.episodes import Episode
from nimllm.alignment.memory.bench import stream as streams
from nimllm.alignment.memory.bench.examine import guarded, say
from nimllm.alignment.memory.bench.questions import Answer, Question, Wordings, holds, of_fact, standing
from nimllm.alignment.memory.bench.stream import Item, Stream, Told
from nimllm.errors import CONFIG, NimError
from nimllm.llm.checkpoint import replacing
from nimllm.llm.turns import Turn

if TYPE_CHECKING:
    from nimllm.llm.model import GPT
    from nimllm.llm.tokenizer import Tokenizer

REPLY_TOKENS = 40
REPLY_FAILED = "Ok."  # in the place of a reply that did not come to its end


@dataclass(frozen=True)
class Prepared:
    """A stream with the base's replies to each item's messages. ``refused``: values that the base knew."""

    stream: Stream
    replies: dict[int, list[str]]
    refused: list[tuple[str, str]]

    def episode(self, item: Item) -> Episode:
        return streams.episode(self.stream, item, self.replies.get(item.place, []))

    def read_share(self) -> float:
        """Share of the told facts that the product's own rules read in their conversations."""
        from nimllm.alignment.memory.lessons import conversation_facts

        told = [item for item in self.stream.items if item.fact is not None]
        read = sum(any(fact.value == item.fact.value for fact in conversation_facts(self.episode(item))[0])
                   for item in told if item.fact is not None)
        return read / len(told) if told else 0.0


def write_json(path: Path, data: object) -> None:
    """Whole or not at all. NimError when the disk is full."""
    with replacing(path) as file:
        file.write(json.dumps(data, ensure_ascii=False, indent=1).encode())


def read_json(path: Path) -> Any:
    """NimError when the file is missing or no JSON."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        raise NimError(f"cannot read {path}", str(error), "start the bench in an empty folder", CONFIG) from None


def read(path: Path, shuffle: bool = False) -> Prepared:
    """What :func:`prepare` wrote. ``shuffle``: with the values of the control."""
    about = read_json(path)
    try:
        refused = [(id, value) for id, value in about["refused"]]
        stream = streams.draw(about["seed"], about["count"], about["mix"], frozenset(refused))
        replies = {int(place): said for place, said in about["replies"].items()}
        known = about["hash"]
    except (KeyError, TypeError, ValueError) as error:
        raise NimError(f"{path} is damaged", str(error), "start the bench in an empty folder", CONFIG) from None
    if stream.hash() != known:
        raise NimError(f"{path} is of another bank", "its stream cannot be drawn again",
                       "start the bench in an empty folder", CONFIG)
    if not shuffle:
        return Prepared(stream, replies, refused)
    swapped = streams.shuffled(stream)
    return Prepared(swapped, _swapped(stream, swapped, replies), refused)


def _swapped(stream: Stream, other: Stream, replies: Mapping[int, list[str]]) -> dict[int, list[str]]:
    """Replies that repeat a value repeat the other one."""
    out = dict(replies)
    for old, new in zip(stream.items, other.items, strict=True):
        if old.fact is not None and new.fact is not None:
            out[old.place] = [said.replace(old.fact.value, new.fact.value) for said in replies[old.place]]
    return out


class _Base:
    """The base, asked each question once."""

    def __init__(self, run: Path) -> None:
        from nimllm.llm.model import load
        from nimllm.llm.tokenizer import Tokenizer

        self.tokenizer: Tokenizer = Tokenizer.load(run)
        self.model: GPT = load(run).eval()
        self._answers: dict[Question, Answer] = {}
        self._done = 0

    def _tell(self, count: int) -> None:
        self._done += count
        say(answered=self._done)

    def answers(self, questions: Sequence[Question]) -> dict[str, Answer]:
        from nimllm.alignment.memory.bench.speaker import answer_all

        new = [question for question in questions if question not in self._answers]
        found = answer_all(self.model, self.tokenizer, new, self._tell)
        self._answers |= {question: found[question.id] for question in new}
        return {question.id: self._answers[question] for question in questions}

    def replies(self, stream: Stream) -> dict[int, list[str]]:
        from nimllm.alignment.memory.bench.speaker import answer

        talks = [item for item in stream.items if item.says]
        out: dict[int, list[str]] = {item.place: [] for item in talks}
        for turn in range(max((len(item.says) for item in talks), default=0)):
            some = [item for item in talks if len(item.says) > turn]
            asked = [_so_far(item, out[item.place]) for item in some]
            for item, said in zip(some, answer(self.model, self.tokenizer, asked, "assistant", REPLY_TOKENS,
                                               self._tell), strict=True):
                out[item.place].append(said.text if said.ended and said.text else REPLY_FAILED)
        return out


def _so_far(item: Item, replies: Sequence[str]) -> list[Turn]:
    turns: list[Turn] = []
    for message, reply in zip(item.says, replies, strict=False):
        turns += [Turn("user", message), Turn("assistant", reply)]
    return [*turns, Turn("user", item.says[len(replies)])]


def _known(stream: Stream, base: _Base, wordings: Wordings) -> set[tuple[str, str]]:
    """(fact, value) pairs that the base gets right in some wording. Every value a fact ever has is looked at."""
    told: list[Told] = [item.fact for item in stream.items if item.fact is not None]
    questions = {question.id: question for fact in told for question in _forms(fact, stream, wordings)}
    answers = base.answers(list(questions.values()))
    found = set()
    for fact in told:
        for question in _forms(fact, stream, wordings):
            wanted = fact.subject if question.id.endswith("/reverse") else fact.value
            if holds(answers[question.id], wanted):
                found.add((fact.id, fact.value))
    return found


def _forms(fact: Told, stream: Stream, wordings: Wordings) -> list[Question]:
    """The wordings that ask for it, with ids that differ where the words do (the reverse names the value)."""
    out = [question for question in of_fact(stream, fact, wordings) if question.id.rpartition("/")[2].isdecimal()]
    if wordings != "dev":
        last = out[-1]
        out[-1] = Question(f"{last.id}/{fact.value}/reverse", last.text, last.before)
    return out


def prepare(base: _Base, path: Path, seed: str, count: int, mix: str, wordings: Wordings) -> None:
    """Writes what :func:`read` reads."""
    refused = set[tuple[str, str]]()
    while True:
        stream = streams.draw(seed, count, mix, frozenset(refused))
        found = _known(stream, base, wordings) - refused
        if not found:
            break
        refused |= found
    write_json(path, {"seed": seed, "count": count, "mix": mix, "wordings": wordings, "hash": stream.hash(),
                      "refused": sorted(refused), "replies": base.replies(stream)})


def prepare_common(base: _Base, run: Path, out: Path, count: int, length: int, text: Path | None,
                   every: int) -> None:
    """What all streams share, where it is not there yet: ``windows.json`` and ``text-windows.json`` (lists of ids, the
    latter with the hash of the user's text), ``standing.json`` (the base's answers to what no stream changes)."""
    from nimllm.alignment.memory.bench.general import text_windows, windows

    if not (out / "windows.json").exists():
        write_json(out / "windows.json", windows(run, base.model, base.tokenizer, count, length))
    if text is not None and not (out / "text-windows.json").exists():
        rows, digest = text_windows(text, base.tokenizer, min(length, base.model.config.context))
        write_json(out / "text-windows.about.json", {"sha256": digest, "tokens": sum(map(len, rows))})
        write_json(out / "text-windows.json", rows)
    if not (out / "standing.json").exists():
        answers = base.answers(standing(every))
        write_json(out / "standing.json", {id: [answer.text, answer.ended] for id, answer in answers.items()})


def _work(spec: dict[str, Any]) -> None:
    run, base = Path(spec["run"]), _Base(Path(spec["run"]))
    prepare_common(base, run, Path(spec["out"]), spec["windows"], spec["length"],
                   Path(spec["text"]) if spec["text"] else None, spec["every"])
    prepare(base, Path(spec["path"]), spec["seed"], spec["count"], spec["mix"], spec["wordings"])


if __name__ == "__main__":
    sys.exit(guarded(lambda: _work(json.loads(sys.argv[1]))))
