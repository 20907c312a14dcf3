"""Preference data: rows of both kinds, bad ones counted by file and line, nothing cut, held out by prompt."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.alignment import preferences
from nimllm.alignment.preferences import Judged, Pair
from nimllm.errors import NimError
from nimllm.llm.tokenizer import Tokenizer
from nimllm.llm.turns import Turn, render

PAIRS = [{"prompt": f"what is {n}?", "chosen": f"it is {n}", "rejected": "no idea"} for n in range(20)]
LABELS = [{"prompt": f"say {n // 2}", "completion": f"it is {n}", "label": bool(n % 2)} for n in range(20)]


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((row if isinstance(row, str) else json.dumps(row)) + "\n" for row in rows), "utf-8")
    return path


def test_both_kinds_of_rows_and_every_spelling_of_turns(tmp_path: Path) -> None:
    episode = {"prompt": [{"role": "user", "text": "list"}, {"role": "plan", "text": "list"}],
               "chosen": [{"role": "bash", "text": "ls"}, {"role": "output", "text": "a"},
                          {"role": "assistant", "text": "a"}],
               "rejected": {"role": "bash", "content": "rm a"}}
    whole = {"chosen": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "hello"}],
             "rejected": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "what"}]}
    rows = preferences.read([write(tmp_path / "a.jsonl", [PAIRS[0], LABELS[1], episode, whole])])
    assert not rows.bad and len(rows.pairs) == 3
    assert rows.pairs[0].prompt == (Turn("user", "what is 0?"),)
    assert rows.pairs[0].chosen == (Turn("assistant", "it is 0"),)
    assert [turn.role for turn in rows.pairs[1].chosen] == ["bash", "output", "assistant"]
    assert rows.pairs[1].chosen[1].tainted and rows.pairs[1].rejected == (Turn("bash", "rm a"),)
    assert rows.pairs[2].prompt == (Turn("user", "hi"),) and rows.pairs[2].rejected == (Turn("assistant", "what"),)
    assert rows.judged[0].good and rows.judged[0].where.endswith("a.jsonl line 2")


@pytest.mark.parametrize(("row", "what"), [
    ("{not json", "is not JSON"),
    ("[" * 100_000, "is not JSON"),
    ("[1]", "is not an object"),
    ({"prompt": "a", "chosen": "b"}, "is no preference"),
    ({"prompt": "a", "chosen": "b", "rejected": 3}, "rejected is neither a text nor turns"),
    ({"prompt": "a", "chosen": "b", "rejected": "b"}, "prefers an answer to itself"),
    ({"prompt": "a", "chosen": "b", "rejected": " "}, "has an empty answer"),
    ({"prompt": "", "chosen": "b", "rejected": "c"}, "has no prompt"),
    ({"prompt": None, "completion": "b", "label": True}, "prompt is neither a text nor turns"),
    ({"prompt": "a", "completion": "b", "label": "yes"}, "a label that is not true or false"),
    ({"prompt": "a", "completion": "b\0", "label": True}, "holds a NUL"),
    ('{"prompt": "a", "completion": "\\ud800", "label": true}', "is not Unicode text"),
    ({"prompt": "a", "completion": [{"role": "king", "text": "b"}], "label": True}, "is not a conversation"),
    ({"prompt": "a", "completion": [{"role": "user", "text": "b"}], "label": True}, "the model does not write"),
    ({"prompt": "a", "completion": [{"role": "output", "text": "b"}], "label": True}, "begins with an output"),
    ({"prompt": "a", "completion": [{"role": "bash", "text": "b", "tainted": True}], "label": True},
     "a tainted answer"),
])
def test_bad_rows_are_counted_and_named_and_stop_only_a_strict_run(tmp_path: Path, row: Any, what: str) -> None:
    path = write(tmp_path / "rows.jsonl", [*PAIRS[:2], row, PAIRS[2]])
    rows = preferences.read([path])
    assert len(rows.pairs) == 3 and len(rows.bad) == 1
    assert "rows.jsonl line 3" in rows.bad[0] and what in rows.bad[0] and "1 bad rows left out" in rows.report()
    with pytest.raises(NimError, match="line 3"):
        preferences.read([path], strict=True)


def test_a_line_without_end_is_one_bad_row(tmp_path: Path) -> None:
    import gzip

    path = tmp_path / "rows.jsonl.gz"
    with gzip.open(path, "wt", 1, encoding="utf-8") as file:
        file.write(json.dumps({"prompt": "x" * 10_000_005, "chosen": "a", "rejected": "b"}) + "\n")
        file.write(json.dumps(PAIRS[0]) + "\n")
    rows = preferences.read([path])
    assert len(rows.pairs) == 1 and "line 1 is longer than 10 MB" in rows.bad[0] and rows.pairs[0].where.endswith("2")


def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    with pytest.raises(NimError, match="cannot read"):
        preferences.read([tmp_path / "none.jsonl"])
    with pytest.raises(NimError, match="no preference data"):
        preferences.read([write(tmp_path / "empty.jsonl", ["{}"])])
    (tmp_path / "x.parquet").write_bytes(b"PAR1 but not really")
    with pytest.raises(NimError, match="cannot read"):
        preferences.read([tmp_path / "x.parquet"])


def test_parquet_is_read_like_jsonl(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    rows = [*PAIRS[:3], *LABELS[:3]]
    columns = sorted({name for row in rows for name in row})
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist([{name: row.get(name) for name in columns} for row in rows]),
                                tmp_path / "a.parquet")
    one, two = (preferences.read([path]) for path in (tmp_path / "a.parquet", write(tmp_path / "a.jsonl", rows)))
    assert len(one.pairs) == len(one.judged) == 3
    assert [replace(row, where="") for row in [*one.pairs, *one.judged]] == [
        replace(row, where="") for row in [*two.pairs, *two.judged]]


@given(st.binary(max_size=200))
@settings(max_examples=60, deadline=None)
def test_any_bytes_are_rows_or_bad_rows(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.mktemp("bytes") / "rows.jsonl"
    path.write_bytes(json.dumps(PAIRS[0]).encode() + b"\n" + data)
    rows = preferences.read([path])
    assert len(rows.pairs) == 1 and len(rows.bad) == sum(bool(line.strip()) for line in data.split(b"\n"))


def test_answers_that_do_not_fit_are_an_error_or_counted_never_cut(tmp_path: Path, tokenizer: Tokenizer) -> None:
    long = {"prompt": "a", "chosen": "x " * 300, "rejected": "b"}
    rows = preferences.read([write(tmp_path / "rows.jsonl", [PAIRS[0], long, PAIRS[1]])])
    with pytest.raises(NimError, match="line 2 is longer than the context"):
        preferences.fitting(rows, tokenizer, 128, skip_long=False)
    kept = preferences.fitting(rows, tokenizer, 128, skip_long=True)
    assert kept.long == 1 and [pair.where[-1] for pair in kept.pairs] == ["1", "3"]
    answer = preferences.tokenised(rows.pairs[0].prompt, rows.pairs[0].chosen, tokenizer)
    both = render(rows.pairs[0].prompt + rows.pairs[0].chosen, tokenizer)
    assert list(answer.prompt + answer.ids) == both.ids and answer.count == sum(both.learn)


def test_held_out_prompts_are_not_trained_on(tmp_path: Path, tokenizer: Tokenizer) -> None:
    twice = [dict(row, rejected="never") for row in PAIRS]
    rows = preferences.read([write(tmp_path / "rows.jsonl", [*PAIRS, *twice, *LABELS])])
    data = preferences.split(rows, tokenizer, 100, 3)
    assert data.prompts == len(data.held_out) == 6  # a fifth of 30 prompts
    trained = {tuple(render(row.prompt, tokenizer).ids) for row in [*data.pairs, *data.judged]}
    assert not trained & {pair.chosen.prompt for pair in data.held_out} and len(trained) == 24
    again = preferences.split(rows, tokenizer, 100, 3)
    assert again.held_out == data.held_out and again.held_out != preferences.split(rows, tokenizer, 100, 4).held_out


def test_labels_become_pairs_and_pairs_labels(tmp_path: Path, tokenizer: Tokenizer) -> None:
    more = [{"prompt": "say 0", "completion": "it is 77", "label": True}]
    rows = preferences.read([write(tmp_path / "rows.jsonl", [*LABELS, *more])])
    data = preferences.Preferences([], rows.judged, [], 0, rows)
    pairs = preferences.paired(data)
    assert len(pairs) == 11 and all(pair.chosen[0].text in ("it is 77", *(f"it is {n}" for n in range(1, 20, 2)))
                                    for pair in pairs)
    pair = Pair("x", (Turn("user", "a"),), (Turn("bash", "b"),), (Turn("bash", "c"),))
    data = preferences.Preferences([pair], [], [], 0, rows)
    assert [(row.answer[0].text, row.good) for row in preferences.labelled(data)] == [("b", True), ("c", False)]
    with pytest.raises(NimError, match="all labels are true"):
        preferences.labelled(preferences.Preferences([], [row for row in rows.judged if row.good], [], 0, rows))
    with pytest.raises(NimError, match="DPO needs pairs"):
        preferences.paired(preferences.Preferences([], [row for row in rows.judged if row.good], [], 0, rows))


def test_labels_without_common_prompts_are_compared_across_prompts(tokenizer: Tokenizer) -> None:
    judged = [Judged(str(n), (Turn("user", f"say {n}"),), (Turn("assistant", f"it is {n}"),), bool(n % 2))
              for n in range(40)]
    data = preferences.split(preferences.Rows(judged=judged), tokenizer, 8, 0)
    assert data.prompts == 8 and data.held_out and all(pair.crossed for pair in data.held_out)
    with pytest.raises(NimError, match="too little"):
        preferences.split(preferences.Rows(judged=judged[:1]), tokenizer, 8, 0)


def test_answers_to_a_prompt_meet_in_a_batch_but_not_side_by_side() -> None:
    judged = [Judged(f"{n} {good}", (Turn("user", f"say {n}"),), (Turn("assistant", f"{good} {n}"),), good)
              for n in range(40) for good in (True, False)]
    found = preferences.batched(judged, 16, 0)
    assert sorted(row.where for row in found) == sorted(row.where for row in judged)
    for start in range(0, len(found), 16):
        part = found[start:start + 16]
        assert len({row.prompt for row in part}) == 8 and [row.good for row in part] == [True] * 8 + [False] * 8
        assert all(one.prompt != two.prompt for one, two in zip(part, part[-1:] + part[:-1], strict=True))
    assert preferences.batched(judged, 16, 1) != found and preferences.batched(judged, 16, 0) == found
    lonely = [row for row in judged if row.good]
    assert sorted(row.where for row in preferences.batched(lonely, 7, 0)) == sorted(row.where for row in lonely)
