"""Conditions: what they mean, that their errors name the place, and that arrow's answers are ours."""

from __future__ import annotations

from typing import Any

import pyarrow
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import NimError, UsageError
from nimllm.llm.data.filters import Where, WrongType
from nimllm.llm.data.tables import Unsupported, mask

ROW = {"overall_score": 7, "safety": 8.5, "pii_leak": False, "lang": "de", "note": None, "meta": {"lang": "en"},
       "odd name": 3, "a.b": 1, "tags": ["x", "y"]}


@pytest.mark.parametrize(("source", "wanted"), [
    ("overall_score>=6 and safety>=8 and pii_leak=0", True),
    ("overall_score >= 8 or lang = 'de'", True),
    ("not (overall_score = 7)", False),
    ("NOT pii_leak AND lang IN ('de', \"fr\")", True),
    ("lang not in ['de']", False),
    ("overall_score in (7, 7.5)", True),
    ("pii_leak = false and pii_leak != true and false = pii_leak", True),
    ("note is null and lang is not null and missing is null", True),
    ("note = 3", False), ("not note = 3", False), ("note != 3", False), ("not (note = 3) or lang = 'de'", True),
    ("note in (1, 2)", False), ("note not in (1, 2)", False),
    ("meta.lang == 'en' and a.b <> 2 and `odd name` < 4", True),
    ("length(lang) = 2 and length(tags) > 1 and length(note) is null", True),
    ("overall_score > -1e3 and 5 < overall_score", True),
    ("lang < 'e' and lang = 'd\\e'", True),
    ("true", True), ("not true or lang='de'", True),
    ("overall_score = 7 and overall_score = 8 or lang = 'de'", True),
])
def test_meaning(source: str, wanted: bool) -> None:
    assert Where(source).test(ROW) is wanted


def test_columns_are_known() -> None:
    assert Where("b = 1 and (a.c in (1) or length(d) > 2) and b < 3").columns == ["b", "a.c", "d"]


@pytest.mark.parametrize(("source", "complaint"), [
    ("", "is empty"), ("   ", "is empty"), ("score >=", "it ends where a column or a value should"),
    ("score >= 6 safety > 2", "character 12, 'safety' stands where and, or"), ("score % 2", "character 7, '%'"),
    ("(score > 2", "closing bracket"), ("1 < score < 5", "1 < x and x < 5"), ("lang in 'de'", "a list in brackets"),
    ("lang in ('de', 3)", "mixes"), ("lang in (de)", "character 10"), ("x = null", "is null"), ("1 = 1", "no column"),
    ("'text'", "a comparison"), ("x is 3", "null"), ("x not 3", "where in should"),
    ("__import__('os')", "stands where"),
    ("and", "a column or a value"), ("x = 'open", "means nothing"), ("(" * 300 + "x" + ")" * 300, "nested too deep"),
    ("not " * 500 + "x", "nested too deep"), ("x = " + "9" * 5000, "too many digits"),
])
def test_errors_say_where(source: str, complaint: str) -> None:
    with pytest.raises(UsageError) as caught:
        Where(source)
    assert complaint in caught.value.message() and caught.value.code == 2


@pytest.mark.parametrize("source", ["lang > 3", "overall_score = 'x'", "lang", "meta = 3", "lang in (1, 2)",
                                    "overall_score in ('a')", "length(overall_score) > 2", "tags > 2"])
def test_a_value_that_does_not_compare_is_named(source: str) -> None:
    with pytest.raises(WrongType, match=r"lang|overall_score|meta|tags"):
        Where(source).test(ROW)


@settings(max_examples=300, deadline=None)
@given(st.text(st.sampled_from("ab1 ()'\"<>=!,.`[]-\\") | st.characters(), max_size=30)
       | st.lists(st.sampled_from(["a", "and", "or", "not", "in", "is", "null", "(", ")", "1", "'x'", "<", "=", ",",
                                   "length", "true"]), max_size=12).map(" ".join))
def test_any_text_is_a_condition_or_an_error(source: str) -> None:
    try:
        where = Where(source)
    except NimError:
        return
    try:
        assert where.test({"a": 1, "b": "x"}) in (True, False)
    except WrongType:
        pass


NUMBERS = st.none() | st.integers(-3, 3) | st.sampled_from([2**53, 2**53 + 1, -2**63, 2**63 - 1])
FLOATS = st.none() | st.sampled_from([0.0, -0.0, 1.0, 2.5, float("nan"), float("inf"), 0.1])
ATOM = st.one_of(
    st.builds("{} {} {}".format, st.sampled_from(["i", "f", "b"]), st.sampled_from(["=", "!=", "<", "<=", ">", ">="]),
              st.sampled_from(["0", "1", "-2", "2.5", "9007199254740993", "1e30", "true", "'x'"])),
    st.builds("s {} {}".format, st.sampled_from(["=", "!=", "<", ">="]), st.sampled_from(["'a'", "'ä'", "''", "3"])),
    st.sampled_from(["b", "i", "s", "i in (1, 2)", "f in (1, 2.5)", "s in ('a', 'ä')", "s not in ('a')", "i is null",
                     "f is not null", "length(s) > 1", "length(s) = 0", "i < f", "b in (1)", "i in (1, 0.5)"]))
CONDITION = st.recursive(ATOM, lambda inner: st.one_of(
    st.builds("({} and {})".format, inner, inner), st.builds("({} or {})".format, inner, inner),
    st.builds("not {}".format, inner)), max_leaves=5)


@settings(max_examples=300, deadline=None)
@given(st.lists(st.fixed_dictionaries({"i": NUMBERS, "f": FLOATS, "b": st.none() | st.booleans(),
                                       "s": st.none() | st.sampled_from(["", "a", "ä", "b\0"])}), max_size=6),
       CONDITION)
def test_arrow_says_what_the_rows_say(rows: list[dict[str, Any]], source: str) -> None:
    batch = pyarrow.RecordBatch.from_pylist(rows, pyarrow.schema(
        [("i", pyarrow.int64()), ("f", pyarrow.float64()), ("b", pyarrow.bool_()), ("s", pyarrow.string())]))
    where = Where(source)
    try:
        got = mask(where.node, batch).to_pylist()
    except Unsupported:
        return
    assert got == [where.test(row) for row in rows]


def test_the_usual_conditions_are_not_left_to_the_rows() -> None:
    batch = pyarrow.RecordBatch.from_pydict({"score": pyarrow.array([5, 6, None], pyarrow.int8()),
                                             "quality": pyarrow.array([0.5, 0.9, 0.9], pyarrow.float32()),
                                             "lang": ["de", "en", "de"], "leak": [False, False, True]})
    where = Where("score >= 6 and quality > 0.25 and lang in ('en', 'de') and leak = 0 and length(lang) = 2")
    assert mask(where.node, batch).to_pylist() == [False, True, False]
