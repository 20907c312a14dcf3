"""Results of a reading kept in a file: what is wanted, where from, and where to, drawn apart from each other."""

from __future__ import annotations

import random
from typing import Any

from nimllm.agent.gym import contents, records
from nimllm.agent.gym.contents import NUMERIC
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import commented, rows
from nimllm.agent.gym.schemas.frames import change, deed, mark
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.sorting import grid
from nimllm.agent.gym.schemas.subjects import list_file, number_file, ordinal, table, text_file, word_in
from nimllm.agent.gym.worlds import World

_SAVE = "(save|write|store|put|keep|record)"


def _kept(rng: random.Random, world: World, path: str, noun: str, command: str, more: bool = False,
          **slots: Any) -> Draft:
    """Write (or, with ``more``, append) what a command prints; ``noun`` names it without an article problem."""
    target = world.new_name("file", rng.choice(("txt", "txt", "out", "log", "lst", "md")))
    if more:
        world.add_file(target, world.text(rng.randint(1, 4)))
        orders = (f"append {noun} to {{t}}", f"add {noun} (at the end of|to) {{t}}", f"(write|put) {noun} at the end "
                  f"of {{t}}")
        return change(rng, (*deed(*orders), f"{{t}} should also (have|get) {noun} (at the end|)"),
                      f"{command} >> {quoted(target)}", f"append it to {target}", f=path, t=target, **slots)
    saving = (f"{_SAVE} {noun} (to|into|in) {{t}}", f"(create|make) {{t}} with {noun}",
              f"redirect {noun} (to|into) {{t}}", f"{_SAVE} {noun} in a (new|) file (called|named|) {{g}}")
    return change(rng, (*deed(*saving), f"{{t}} should (contain|hold|have) {noun}", f"I need {noun} in a file {{g}}",
                        f"{noun} (to|into|>) {{t}}", f"{noun}, (saved|written) (to|as) {{t}}"),
                  f"{command} > {quoted(target)}", f"write it to {target}", f=path, t=target, g=target, **slots)


@schema("keep.count", "wc grep", weight=1.4)
def count(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    word = word_in(world, rng, path)
    noun, command = rng.choice((
        ("the number of lines (in|of) {f}", f"wc -l < {quoted(path)}"), ("the (word count|number of words) (in|of) {f}",
                                                                      f"wc -w < {quoted(path)}"),
        ("the (character count|number of characters) (in|of) {f}", f"wc -m < {quoted(path)}"),
        ("the size of {f} in bytes", f"wc -c < {quoted(path)}"),
        ("the number of lines (with|containing) {w} (in|of) {f}", f"grep -c {string(word)} {quoted(path)}")))
    return _kept(rng, world, path, noun, command, rng.random() < 0.3, w=mark(rng, word))


@schema("keep.order", "sort uniq head", weight=1.4)
def order(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.4:
        path = number_file(world, rng, 5)
        n = rng.randint(2, 4)
        noun, command = rng.choice((
            ("the numbers of {f} (sorted|in order), smallest first", f"sort -n {quoted(path)}"),
            ("the numbers of {f} (sorted|in order), largest first", f"sort -nr {quoted(path)}"),
            ("the {n} (largest|highest|biggest) numbers of {f}", f"sort -nr {quoted(path)} | head -n {n}"),
            ("the {n} (smallest|lowest) numbers of {f}", f"sort -n {quoted(path)} | head -n {n}"),
            ("the (sum|total) of the numbers in {f}", f"awk '{{ s += $1 }} END {{ print s }}' {quoted(path)}")))
        return _kept(rng, world, path, noun, command, n=n)
    path = list_file(world, rng, 6)
    found = rows(world, path)
    options = [("the lines of {f} in reverse alphabetical order", f"sort -r {quoted(path)}"),
               ("the sorted unique lines of {f}", f"sort -u {quoted(path)}"),
               ("the lines of {f} (from last to first|in reverse order, last line first)", f"tac {quoted(path)}"),
               ("the lines of {f} without duplicates, in the original order", f"awk '!seen[$0]++' {quoted(path)}"),
               ("{f} with line numbers", f"cat -n {quoted(path)}")]
    if len(set(found)) < len(found):
        options.append(("the lines that occur more than once in {f}", f"sort {quoted(path)} | uniq -d"))
    noun, command = rng.choice(options)
    return _kept(rng, world, path, noun, command)


@schema("keep.part", "sed head tail grep cut", weight=1.3)
def part(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 6)
    total = len(rows(world, path))
    a = rng.randint(2, total - 2)
    b = rng.randint(a + 1, min(total, a + 6))
    word = word_in(world, rng, path)
    options = [("lines {a} to {b} of {f}", f"sed -n {a},{b}p {quoted(path)}"), ("line {a} of {f}",
                                                                      f"sed -n {a}p {quoted(path)}"),
               ("(everything|all lines) from line {a} on (in|of) {f}", f"tail -n +{a} {quoted(path)}"),
               ("the first word of (each|every) line of {f}", f"awk '{{ print $1 }}' {quoted(path)}"),
               ("the first {b} characters of (each|every) line of {f}", f"cut -c 1-{b} {quoted(path)}"),
               ("the lines of {f} (with|containing) {w} in any case", f"grep -i {string(word)} {quoted(path)}"),
               ("the lines of {f} (with|containing) {w}, with line numbers,", f"grep -n {string(word)} {quoted(path)}")]
    if any(word not in row for row in rows(world, path)):
        options.append(("the lines of {f} without {w}", f"grep -v {string(word)} {quoted(path)}"))
    noun, command = rng.choice(options)
    return _kept(rng, world, path, noun, command, rng.random() < 0.15, a=a, b=b, w=mark(rng, word))


@schema("keep.clean", "grep sed tr", weight=1.0)
def clean(world: World, rng: random.Random) -> Draft:
    path = commented(world, rng)
    noun, command = rng.choice((
        ("{f} without comments (and|or) (blank|empty) lines", f"grep -vE '^(#|$)' {quoted(path)}"),
        ("{f} without (the|) comment lines", f"grep -v '^#' {quoted(path)}"), ("the comments (of|in) {f}",
                                                                      f"grep '^#' {quoted(path)}"),
        ("a copy of {f} without (blank|empty) lines", f"grep . {quoted(path)}"),
        ("(an|the) upper-case version of {f}", f"tr 'a-z' 'A-Z' < {quoted(path)}"),
        ("a copy of {f} without (any|) digits", f"tr -d '0-9' < {quoted(path)}"),
        ("a copy of {f} with dashes for underscores", f"tr '_' '-' < {quoted(path)}")))
    return _kept(rng, world, path, noun, command)


@schema("keep.columns", "cut awk sort", weight=1.3)
def columns(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        path, found = table(world, rng, 5)
        texts = [name for name in found if name not in NUMERIC]
        amounts = [name for name in found if name in NUMERIC and name != "id"]
        n, m = found.index(rng.choice(texts or found)) + 1, found.index(rng.choice(amounts)) + 1
        if n == m:
            raise Unsuitable("one column")
        a, b = sorted((n, m))
        noun, command = rng.choice((
            ("columns {a} and {b} of {f}", f"cut -d , -f {a},{b} {quoted(path)}"), ("{f} without (the|its) header",
                                                                      f"tail -n +2 {quoted(path)}"),
            ("the different values (in|of) column {n} of {f}, without the header,", f"tail -n +2 {quoted(path)} | cut "
             f"-d , -f {n} | sort -u"),
            ("the (sum|total) of column {m} of {f}", f"awk -F , 'NR > 1 {{ s += ${m} }} END {{ print s }}' "
             f"{quoted(path)}"),
            ("(the|) column {m} of {f} without the header", f"tail -n +2 {quoted(path)} | cut -d , -f {m}"),
            ("the header of {f}", f"head -n 1 {quoted(path)}")))
        return _kept(rng, world, path, noun, command, n=n, m=m, a=a, b=b)
    path, numeric = grid(world, rng)
    n = rng.randint(1, len(numeric))
    k = numeric.index(True) + 1
    limit = sorted(int(row.split()[k - 1]) for row in rows(world, path))[1]
    noun, command = rng.choice((
        ("the {o} (column|field) of {f}", f"awk '{{ print ${n} }}' {quoted(path)}"), ("the last (column|field) of {f}",
                                                                      f"awk '{{ print $NF }}' {quoted(path)}"),
        ("the lines of {f} where column {k} is (over|above|greater than) {v}", f"awk '${k} > {limit}' {quoted(path)}"),
        ("the (sum|total) of column {k} of {f}", f"awk '{{ s += ${k} }} END {{ print s }}' {quoted(path)}"),
        ("{f} sorted by the number in column {k}", f"sort -k {k},{k}n {quoted(path)}")))
    return _kept(rng, world, path, noun, command, n=n, k=k, v=limit, o=ordinal(n))


@schema("keep.log", "grep awk sort uniq", weight=1.2)
def log(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        path = world.new_name("file", "log")
        world.add_file(path, contents.log(rng, rng.randint(8, 18)))
        levels = [row.split()[2] for row in rows(world, path)]
        if "ERROR" not in levels:
            raise Unsuitable("no errors")
        noun, command = rng.choice((
            ("the number of (errors|ERROR lines) (in|of) {f}", f"grep -c 'ERROR' {quoted(path)}"),
            ("the last (error|ERROR line) (in|of) {f}", f"grep 'ERROR' {quoted(path)} | tail -n 1"),
            ("the line counts per log level (in|of) {f}, most frequent first,", f"awk '{{ print $3 }}' {quoted(path)} "
             f"| sort | uniq -c | sort -nr"),
            ("the last 5 lines of {f}", f"tail -n 5 {quoted(path)}")))
        return _kept(rng, world, path, noun, command, rng.random() < 0.2)
    path = world.new_name("file", "log")
    world.add_file(path, records.web_log(rng, rng.randint(8, 18)))
    code = rng.choice([row.split()[8] for row in rows(world, path)])
    noun, command = rng.choice((
        ("the (distinct|unique|different) (IPs|IP addresses|addresses) (in|of|from) {f}",
         f"awk '{{ print $1 }}' {quoted(path)} | sort -u"),
        ("the requests with status {c} (in|of|from) {f}", f"awk '$9 == {code}' {quoted(path)}"),
        ("the request counts per status code (in|of) {f}, highest first,", f"awk '{{ print $9 }}' {quoted(path)} | "
         f"sort | uniq -c | sort -nr"),
        ("the (distinct|unique|different) (paths|URLs) (in|of|from) {f}", f"awk '{{ print $7 }}' {quoted(path)} | "
         f"sort -u")))
    return _kept(rng, world, path, noun, command, c=code)
