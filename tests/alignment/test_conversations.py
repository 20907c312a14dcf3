"""Conversations: the forms of rows, exact masks, and a way back from ids to turns."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.alignment import rows
from nimllm.alignment.conversations import Rule, flaw, rendered, rule_of, turns_of, without_oldest
from nimllm.errors import NimError
from nimllm.llm.data import streams
from nimllm.llm.data.tally import Tally
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import LEARNED, ROLES, Turn

SYSTEM, ASKED, SAID = Turn("system", "be kind"), Turn("user", "hi"), Turn("assistant", "hello")


@pytest.mark.parametrize(("row", "turns"), [
    ({"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}]}, (ASKED, SAID)),
    ({"turns": [{"role": "user", "text": "hi"}, {"role": "assistant", "text": "hello"}]}, (ASKED, SAID)),
    ({"conversations": [{"from": "system", "value": "be kind"}, {"from": "human", "value": "hi"},
                        {"from": "gpt", "value": "hello"}]}, (SYSTEM, ASKED, SAID)),
    ({"messages": [{"role": "developer", "content": "be kind"}, {"role": "user", "content": [
        {"type": "text", "text": "h"}, {"type": "text", "text": "i"}]},
        {"role": "assistant", "content": "hello", "tool_calls": None}]}, (SYSTEM, ASKED, SAID)),
    ({"prompt": "hi", "completion": "hello"}, (ASKED, SAID)),
    ({"prompt": [{"role": "system", "content": "be kind"}, {"role": "user", "content": "hi"}],
      "completion": [{"role": "assistant", "content": "hello"}]}, (SYSTEM, ASKED, SAID)),
    ({"prompt": "hi", "response": "hello", "system": "be kind", "label": True}, (SYSTEM, ASKED, SAID)),
    ({"instruction": "hi", "input": "", "output": "hello"}, (ASKED, SAID)),
    ({"instruction": "add", "input": "1 2", "output": "3"}, (Turn("user", "add\n\n1 2"), Turn("assistant", "3"))),
    ({"messages": [{"role": "user", "content": "hi"}, {"role": "tool", "content": "x"}]},
     (ASKED, Turn("output", "x", True))),
    ({"messages": None, "prompt": "hi", "completion": "hello"}, (ASKED, SAID)),
])
def test_forms_of_rows(row: dict, turns: tuple[Turn, ...]) -> None:
    assert turns_of(row, "line 1") == turns


@pytest.mark.parametrize("row", [
    {}, {"text": "hi"}, {"messages": []}, {"messages": [3]}, {"messages": {"role": "user"}}, {"messages": "hi"},
    {"messages": [{"role": "assistant", "content": None}]}, {"messages": [{"role": 3, "content": "x"}]},
    {"prompt": 3, "completion": "x"}, {"prompt": "x", "completion": {}}, {"instruction": [], "output": []},
    {"prompt": "a", "completion": "b", "label": False}, {"prompt": "a\0", "completion": "b"},
    {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    {"instruction": ["add"], "input": ["x"], "output": "y"},
])
def test_rows_that_are_none(row: dict) -> None:
    with pytest.raises(NimError, match="line 7"):
        turns_of(row, "line 7")


JSON = st.recursive(st.none() | st.booleans() | st.integers() | st.text(max_size=5),
                    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
                        st.sampled_from(["role", "content", "from", "value", "text", "x"]), inner, max_size=4))


@settings(max_examples=150, deadline=None)
@given(st.dictionaries(st.sampled_from(["messages", "turns", "conversations", "prompt", "completion", "response",
                                        "instruction", "input", "output", "system", "label"]), JSON, max_size=5))
def test_any_row_is_turns_or_an_error(row: dict) -> None:
    try:
        turns = turns_of(row, "here")
    except NimError as error:
        assert "here" in error.message()
    else:
        assert turns and all(turn.role in ROLES and isinstance(turn.text, str) for turn in turns)


def told(turns: list[Turn], tokenizer: Tokenizer, rule: Rule = "auto") -> list[tuple[str, bool]]:
    """(id as text, is it learnt)."""
    made = rendered(turns, tokenizer, rule)
    return [(tokenizer.decode([index]), flag) for index, flag in zip(made.ids, made.learn, strict=True)]


def spelled(tokenizer: Tokenizer, *parts: tuple[str, bool]) -> list[tuple[str, bool]]:
    """Parts of text and markers as single ids."""
    found = []
    for text, flag in parts:
        if text.startswith("<"):
            found.append((text, flag))
        else:
            found += [(tokenizer.decode([index]), flag) for index in tokenizer.encode(text)]
    return found


def bos(tokenizer: Tokenizer) -> tuple[str, bool]:
    return tokenizer.decode([tokenizer.bos]), False


def test_exact_masks(tokenizer: Tokenizer) -> None:
    talk = [SYSTEM, ASKED, SAID, Turn("user", "what is it?"), Turn("assistant", "it is 3")]
    assert told(talk, tokenizer) == [bos(tokenizer), *spelled(
        tokenizer, ("<|system|>", False), ("be kind", False), ("<|end|>", False), ("<|user|>", False), ("hi", False),
        ("<|end|>", False), ("<|assistant|>", False), ("hello", True), ("<|end|>", True), ("<|user|>", False),
        ("what is it?", False), ("<|end|>", False), ("<|assistant|>", False), ("it is 3", True), ("<|end|>", True))]
    task = [Turn("system", "files: a", True), ASKED, Turn("plan", "look"), Turn("bash", "ls"),
            Turn("output", "a", True), Turn("assistant", "one file", True)]
    assert told(task, tokenizer) == [bos(tokenizer), *spelled(
        tokenizer, ("<|system|>", False), ("files: a", False), ("<|end|>", False), ("<|user|>", False), ("hi", False),
        ("<|end|>", False), ("<|plan|>", True), ("look", True), ("<|end|>", True), ("<|bash|>", True), ("ls", True),
        ("<|end|>", True), ("<|output|>", False), ("a", False), ("<|end|>", False), ("<|assistant|>", False),
        ("one file", False), ("<|end|>", False))]
    assert [flag for _, flag in told(task, tokenizer, "assistant")].count(True) == 0
    model = told([ASKED, SAID], tokenizer, "model")
    assert model[-len(tokenizer.encode("hello")) - 2] == ("<|assistant|>", True)


@pytest.mark.parametrize(("turns", "rule", "what"), [
    ([ASKED], "auto", "writes none of it (user)"), ([], "auto", "none"), ([ASKED, SAID], "auto", ""),
    ([ASKED, Turn("assistant", " ")], "auto", "empty"), ([ASKED, SAID, ASKED, Turn("assistant", "")], "auto", "empty"),
    ([ASKED, Turn("assistant", "x", True)], "auto", "none of it"), ([ASKED, Turn("plan", "")], "auto", "empty"),
    ([ASKED, Turn("bash", "ls"), SAID], "assistant", ""), ([ASKED, Turn("bash", "ls")], "assistant", "none of it"),
    ([ASKED, Turn("plan", ""), Turn("bash", "ls"), Turn("assistant", "", True)], "auto", ""),
])
def test_why_there_is_nothing_to_learn(turns: list[Turn], rule: Rule, what: str) -> None:
    found = flaw(turns, rule)
    assert what in found and bool(found) == bool(what)


def test_oldest_exchange() -> None:
    more = (Turn("user", "and?"), Turn("assistant", "so."))
    assert without_oldest((SYSTEM, ASKED, SAID, *more)) == (SYSTEM, *more)
    assert without_oldest((SYSTEM, *more)) == (SYSTEM, *more) and without_oldest(()) == ()
    assert without_oldest((SAID, *more)) == more  # an answer before the first question


TURNS = st.lists(st.builds(Turn, st.sampled_from(ROLES), st.text(max_size=40).filter(lambda text: "\0" not in text),
                           st.booleans()), min_size=1, max_size=6)


@settings(max_examples=150, deadline=None)
@given(TURNS, st.sampled_from(["auto", "assistant", "model"]))
def test_ids_lead_back_to_the_turns_and_masks_to_the_answers(tokenizer: Tokenizer, turns: list[Turn], rule: Rule
                                                             ) -> None:
    made = rendered(turns, tokenizer, rule)
    assert made.ids[0] == tokenizer.bos and not made.learn[0] and len(made.ids) == len(made.learn)
    markers = {tokenizer.marker(role): role for role in ROLES}
    end = tokenizer.marker("end")
    back, at = [], 1
    chosen = rule_of(turns, rule)
    while at < len(made.ids):
        stop = made.ids.index(end, at)
        role = markers[made.ids[at]]
        turn = turns[len(back)]
        back.append((role, tokenizer.decode(made.ids[at + 1:stop])))
        own = not turn.tainted and role in (LEARNED if chosen == "model" else {"assistant"})
        assert made.learn[at + 1:stop + 1] == [own] * (stop - at)
        assert made.learn[at] == (own and chosen == "model")
        at = stop + 1
    assert back == [(turn.role, turn.text) for turn in turns]


def test_files_that_cannot_be_read_and_rows_that_are_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, content in (("a.jsonl.gz", b"not gzip"), ("b.parquet", b"PAR1"), ("c.jsonl.xz", b"\xfd7zXZ\0")):
        (tmp_path / name).write_bytes(content)
    for path in (*tmp_path.iterdir(), tmp_path, tmp_path / "missing.jsonl"):
        with pytest.raises(NimError, match=re.escape(str(path))):
            list(rows.json_rows(path, Tally()))
    monkeypatch.setattr(streams, "LONGEST_ROW", 30)
    with gzip.open(tmp_path / "d.jsonl.gz", "wb") as file:
        file.write(b'\xef\xbb\xbf{"a": 1}\r\n\n{"b": "' + b"x" * 100 + b'"}\n{"c": 3}')
    tally = Tally()
    found = list(rows.json_rows(tmp_path / "d.jsonl.gz", tally))
    assert [(where.rsplit(" ", 1)[1], row) for where, row in found] == [("1", {"a": 1}), ("4", {"c": 3})]
    place = f"{tmp_path / 'd.jsonl.gz'} line 3"
    assert list(tally.describe().values()) == [{"count": 1, "bad": True, "first": [place]}]
    assert "line 3)" in rows.places(tally)
    with pytest.raises(NimError, match="line 3 is longer"):
        list(rows.json_rows(tmp_path / "d.jsonl.gz", Tally(strict=True)))
