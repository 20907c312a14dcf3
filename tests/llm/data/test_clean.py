"""Cleaning steps: what each changes, what none of them may touch, and their order."""

from __future__ import annotations

import ast
import inspect
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.errors import UsageError
from nimllm.llm.data import clean
from nimllm.llm.data.clean import NAMES, Cleaner


@pytest.mark.parametrize(("step", "before", "after"), [
    ("quotes", "“Yes”, she said: „das ‚hier‘“, «да» and it’s", "\"Yes\", she said: \"das 'hier'\", \"да\" and it's"),
    ("dashes", "a–b — c ‑ −5", "a-b - c - -5"),
    ("ellipsis", "well… no", "well... no"),
    ("yo", "Ёлка, ещё, е\u0308ж", "Елка, еще, еж"),
    ("nfc", "Gro\u0308ße", "Größe"),
    ("controls", "a\x00b\x1b[0m\r\nc\rd\u200be\ufefff\xadg\tz", "ab[0m\nc\ndefg\tz"),
    ("spaces", "a\xa0b \t\nc\u2028d\n\n\n\n\n  e  ", "a b\nc\nd\n\n\n  e"),
    ("runs", "  def  f(x):\tpass\n\tx   y", "  def f(x): pass\n\tx y"),
    ("urls", "see https://a.b/c?d=1 or www.x.org/y now, me@x.org (ftp://h/i)", "see  or  now,  ()"),
    ("html", "<!doctype html><html><body><p>a &amp; b<br>c</p><script>var x = '<p>';</script><!-- n --></body></html>",
     "\na & b\nc\n"),
    ("html", "if (a < b && c > d) x = vector<int>(3); AT&T &unknown; &#228;",
     "if (a < b && c > d) x = vector<int>(3); AT&T &unknown; ä"),
    ("gutenberg", "The Project Gutenberg eBook\n*** START OF THE PROJECT GUTENBERG EBOOK X ***\n\nText.\n"
     "*** END OF THE PROJECT GUTENBERG EBOOK X ***\nlicence", "Text.\n"),
    ("gutenberg", "A text that mentions Project Gutenberg.\n", None),
])
def test_a_step(step: str, before: str, after: str | None) -> None:
    assert Cleaner([step]).apply(before) == (before if after is None else after)


def test_the_order_is_fixed_and_effects_are_counted() -> None:
    cleaner = Cleaner(["ellipsis", "html", "quotes"])
    assert cleaner.names == ("html", "quotes", "ellipsis")
    effects: dict[str, list[int]] = {}
    assert cleaner.apply("<b>&ldquo;x&rdquo;&hellip;</b>", effects) == '"x"...'
    assert effects["html"] == [1, 26] and effects["quotes"] == [1, 0] and effects["ellipsis"] == [1, -2]
    with pytest.raises(UsageError, match=r"no cleaning step is called 'qoutes'.*quotes"):
        Cleaner(["qoutes"])


def test_the_text_steps_leave_programs_alone() -> None:
    source = inspect.getsource(inspect)
    cleaned = Cleaner(["nfc", "controls", "quotes", "dashes", "ellipsis", "yo", "spaces"]).apply(source)
    assert ast.dump(ast.parse(cleaned)) == ast.dump(ast.parse(source))
    shell = "for f in *.txt; do\n\tsed -i 's/a  b/c\\td/' \"$f\"  &&  echo \"--$f--\"\ndone\n"
    assert Cleaner(["nfc", "controls", "quotes", "dashes", "ellipsis", "spaces"]).apply(shell) == shell


@settings(max_examples=200, deadline=None)
@given(st.text(st.sampled_from("<>&;!-p/ab \t\n\r“”…–ё\u0308\xa0\u200b*@:.w") | st.characters(codec="utf-8"),
               max_size=200), st.sets(st.sampled_from(NAMES)))
def test_any_text_stays_text(text: str, steps: set[str]) -> None:
    cleaned = Cleaner(steps).apply(text)
    cleaned.encode()
    if not steps:
        assert cleaned == text
    if steps and steps <= {"quotes", "dashes", "ellipsis", "yo", "nfc", "spaces", "controls"}:
        assert Cleaner(steps).apply(cleaned) == cleaned, "a second time changes nothing"


@pytest.mark.parametrize("text", ["<!--" * 20_000, "<script>" * 20_000, " " * 300_000 + "x", "\n" * 300_000 + "x",
                                  "a." * 100_000, "<p " * 50_000, "&#" * 100_000, "*** \n" * 50_000 + "GUTENBERG"])
def test_hostile_text_takes_no_long_time(text: str) -> None:
    began = time.process_time()
    Cleaner(NAMES).apply(text)
    assert time.process_time() - began < 8


def test_the_help_names_every_step() -> None:
    from argparse import ArgumentParser

    from nimllm.llm.data.options import add

    parser = ArgumentParser()
    add(parser)
    text = " ".join(parser.format_help().split())
    assert ", ".join(step.name for step in clean.STEPS) in text.replace("- ", "-")
