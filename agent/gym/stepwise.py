"""How people say several things in a row: with "then", with numbers, as a list, as sentences, with "before"."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence

_TWO = ("{a} and then {b}", "{a}, then {b}", "first {a}, then {b}", "{a}; {b}", "1. {a} 2. {b}", "{a} and {b}",
        "step 1: {a}, step 2: {b}", "{a}, (afterwards|after that) {b}", "{a}. (Then|After that|Afterwards) {b}.",
        "(two things|two steps): {a}, then {b}", "{a}, (and when that is done|once that is done|when done), {b}",
        "1) {a} 2) {b}", "- {a} - {b}", "{a}, (and|) (finally|lastly) {b}", "do this: {a}; then {b}",
        "(start by this|start with this): {a}. (Then|Next) {b}.", "{a} (&|+) {b}")
_THREE = ("first {a}, then {b}, (finally|and finally|and at last) {c}", "{a}, {b} and {c}", "{a}, then {b}, then {c}",
          "1. {a} 2. {b} 3. {c}", "{a}; {b}; {c}", "{a}. (Then|Next) {b}. (Finally|At the end|Then) {c}.",
          "step 1: {a}, step 2: {b}, step 3: {c}", "three (things|steps): {a}, {b}, {c}", "{a}, {b}, and then {c}",
          "1) {a} 2) {b} 3) {c}", "- {a} - {b} - {c}", "{a}, after that {b}, (finally|and in the end) {c}",
          "(start with this|begin with this): {a}; next {b}; last {c}", "{a}, {b}, {c}",
          "do the following: {a}, then {b}, and {c} (at the end|)")


def stepwise(rng: random.Random, parts: Sequence[str], number: int = 6) -> tuple[str, ...]:
    """``number`` templates that name the parts (templates of imperatives) one after the other."""
    if len(parts) not in (2, 3):
        raise ValueError(f"{len(parts)} parts: two or three can be joined")
    forms = _TWO if len(parts) == 2 else _THREE
    named = dict(zip("abc", parts, strict=False))  # in one pass: a part may have a slot {a} of its own
    return tuple(re.sub(r"\{([abc])\}", lambda found: named[found[1]], form)
                 for form in rng.sample(forms, min(number, len(forms))))
