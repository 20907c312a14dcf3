"""Two files beside each other, many lines in one."""

from __future__ import annotations

import random

from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.frames import sought
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, list_file, text_file
from nimllm.agent.gym.worlds import World


@schema("text.join", "paste", weight=1.0)
def join(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    sign, name = rng.choice(((",", "(a comma|commas)"), (" ", "(a blank|blanks|spaces)"), (";",
        "(a semicolon|semicolons)"), ("+", "(a plus|plus signs)"), ("-", "(a dash|dashes)"), (":", "(a colon|colons)")))
    return single(rng, (*sought(f"(all|the) lines of {{f}} (on|in) one line, joined (with|by) {name}", tool="paste"),
            
        f"join (all|the|all the|) lines of {{f}} with {name}",
        f"{PRINT} the lines of {{f}} as one line, separated by {name}",
        f"make one line of {{f}}, with {name} between the lines",
        f"{PRINT} {{f}} (in|on) one line with {name} (between|in between)",
        f"(put|merge) all lines of {{f}} (in|into) one line separated by {name}", f"lines of {{f}} joined by {name}"),
        f"paste -sd {string(sign)} {quoted(path)}", f"join the lines of {path}", True, ordered=True, f=path)


@schema("text.paste", "paste", weight=0.7)
def paste(world: World, rng: random.Random) -> Draft:
    a, n = list_file(world, rng, 3), 0
    n = world.read(a).count("\n")
    b = world.new_name("file", "txt")
    world.add_file(b, world.word_list(n))
    return single(rng, (*sought("the lines of {f2} and {g2} (next to each other|side by side)".replace("{f2}",
                                                                      "{a}").replace("{g2}", "{b}"), tool="paste"),
            
        "(put|paste|print|show) {a} and {b} side by side", "merge {a} and {b} line by line",
        "(show|print) {a} next to {b}", "paste {a} {b}",
        "combine the lines of {a} and {b} (side by side|in two columns)",
        "(join|show) the lines of {a} with those of {b}, (side by side|line by line)"),
        f"paste {quoted(a, b)}", f"show {a} and {b} side by side", True, ordered=True, a=a, b=b)


@schema("compare.diff", "diff", weight=1.2)
def diff(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 3, 25), world.new_name("file", "txt")
    rows = world.read(a).splitlines()
    for _ in range(rng.randint(1, 2)):
        rows[rng.randrange(len(rows))] = " ".join(world.words(3))
    world.add_file(b, "\n".join(rows) + "\n")
    made = single(rng, (
        "I need to see what is different in {a} and {b}",
        "line by line, how do {a} and {b} differ?",
        "{a} vs {b}: differences?",
        "show me a diff of {a} and {b}",
        "what has been changed in {b} compared with {a}?",
        "(show|tell) me (how|where) {a} and {b} differ", "diff of {a} and {b}",
                        "I edited {a} and got {b}: what is different?", "compare {a} with {b} line by line",
                        "(use|run) diff on {a} and {b}", "(find|spot) the differences between {a} and {b}",
            
        "(compare|diff) {a} and {b}", "(what is the difference|what are the differences) between {a} and {b}?",
        "how (do|does) {a} (and {b} differ|differ from {b})?".replace("(do|does) {a} (and {b} differ|differ from {b})",
        "(do {a} and {b} differ|does {a} differ from {b})"),
        "(show|list|print) the differences between {a} and {b}", "diff {a} {b}",
        "which lines differ (between|in) {a} and {b}?", "what changed (from {a} to {b}|between {a} and {b})?"),
        f"diff {quoted(a, b)}", f"compare {a} and {b}", True, ordered=True, a=a, b=b)
    from dataclasses import replace
    return replace(made, fails=frozenset({0}))


@schema("compare.same", "cmp", weight=0.8)
def same(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 2), world.new_name("file")
    text = world.read(a)
    world.add_file(b, text if rng.random() < 0.5 else text + f"{world.word()}\n")
    return single(rng, (
        "I need to know if {a} and {b} are (identical|the same)",
        "{a} = {b}? say same or different",
        "is there any difference between {a} and {b}? say same or different",
        "has {b} the same content as {a}?",
        "(are the files|do) {a} and {b} (the same|identical)? (same or different|say same or "
                        "different)".replace("(are the files|do)", "are the files"), "(compare|check) {a} and {b}, "
                        "(print|say) same or different",
            
        "are {a} and {b} (identical|the same|equal)?", "is {a} (identical to|the same as) {b}?",
        "do {a} and {b} have the same (contents|content)?",
        "check (whether|if) {a} and {b} are (identical|the same|equal)", "(tell me|check) if {a} equals {b}",
        "{a} and {b}: same or different?"),
        f"cmp -s {quoted(a, b)} && echo same || echo different", f"compare {a} and {b}", True, a=a, b=b)


@schema("compare.common", "comm sort", weight=0.8)
def common(world: World, rng: random.Random) -> Draft:
    pool = sorted({*world.words(12)})
    a, b = world.new_name("file", "txt"), world.new_name("file", "lst")
    first, second = sorted(rng.sample(pool, 6)), sorted(rng.sample(pool, 6))
    world.add_file(a, "\n".join(first) + "\n")
    world.add_file(b, "\n".join(second) + "\n")
    at = rng.random()
    if at < 0.5:
        return single(rng, (
        "I need the lines that {a} and {b} (share|have in common)",
        "intersection of {a} and {b}",
        "{a} and {b}: lines in both",
        "shared lines of {a} and {b}",
        *sought("the lines (that are in|which occur in|found in) both {a} and {b}",
                                    "the lines {a} and {b} (share|have in common)", tool="comm"),
                                    "what do both {a} and {b} contain?",
            
            "which lines (are in both|are common to|occur in both) {a} and {b}?",
            "(show|list|print) the lines (common to|shared by|in both) {a} and {b}", "common lines of {a} and {b}",
            "what do {a} and {b} have in common?", "lines that {a} and {b} share",
            "find the lines (that are in|in) both {a} and {b}"),
            f"comm -12 {quoted(a, b)}", f"find the common lines of {a} and {b}", True, a=a, b=b)
    return single(rng, (*sought("the lines of {a} (that are not in|missing in|which are not in|absent from) {b}",
                                "what {a} has and {b} has not".replace("what {a} has and {b} has not",
                                                                      "the lines only {a} has, not {b}"), tool="comm"),
            
        "which lines (are|occur) only in {a} (and not in|but not in) {b}?",
        "(show|list|print) the lines of {a} (that are missing in|that are not in|missing from) {b}",
        "lines (of|in) {a} that {b} (does not have|lacks)", "what is in {a} but not in {b}?",
        "what does {b} (lack|miss) that {a} has?", "find the lines of {a} that (do not occur|are not) in {b}"),
        f"comm -23 {quoted(a, b)}", f"find the lines only in {a}", True, a=a, b=b)
