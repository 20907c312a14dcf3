"""Two texts: what differs, what both have, and how they are put together."""

from __future__ import annotations

import random
from dataclasses import replace

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, number, show, sought
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import list_file, text_file
from nimllm.agent.gym.worlds import World


def _two(world: World, rng: random.Random, ordered: bool = False) -> tuple[str, str, list[str], list[str]]:
    """Two new lists without repetitions that share some lines."""
    pool = list(dict.fromkeys(world.words(14) if rng.random() < 0.7 else rng.sample(names.FIRST, 12)))
    first, second = rng.sample(pool, 7), rng.sample(pool, 7)
    if not set(first) & set(second) or not set(first) - set(second) or not set(second) - set(first):
        raise Unsuitable("too alike")
    if ordered:
        first, second = sorted(first), sorted(second)
    a, b = world.new_name("file", rng.choice(("txt", "lst"))), world.new_name("file", rng.choice(("txt", "list")))
    if a == b:
        raise Unsuitable("one name")
    world.add_file(a, "\n".join(first) + "\n")
    world.add_file(b, "\n".join(second) + "\n")
    return a, b, first, second


_LINES = "(lines|entries|names|items)"


@schema("two.missing", "grep", weight=1.3)
def missing(world: World, rng: random.Random) -> Draft:
    a, b, _, _ = _two(world, rng)
    kind = rng.random()
    order = "(unsorted|not sorted|in no order)"
    if kind < 0.45:
        return show(rng, (*sought(f"the {_LINES} of {{f}} that are (missing|not) in {{g}} (, the files are {order}|)",
                                  f"the {_LINES} that are in {{f}} but not in {{g}} (, in the order of the file|)",
                                  tool="grep"),
                          f"which {_LINES} of {{f}} does {{g}} (lack|not have)?", "what is in {f} but not in {g}? "
                          "keep the order"),
                    f"grep -vxFf {quoted(b, a)}", f"show the lines of {a} that {b} lacks", ordered=False, f=a, g=b)
    if kind < 0.75:
        return show(rng, (*sought(f"the {_LINES} of {{f}} that (are|occur) also in {{g}} (, the files are {order}|)",
                                  f"the {_LINES} of {{f}} which {{g}} (has|contains), too", tool="grep"),
                          f"which {_LINES} of {{f}} are also in {{g}}?", "what is both in {f} and in {g}? (keep the "
                          "order of the first|in the order of the first)"),
                    f"grep -xFf {quoted(b, a)}", f"show the lines of {a} that {b} has", ordered=False, f=a, g=b)
    inverted = rng.random() < 0.5
    return show(rng, number(f"{_LINES} of {{f}} that are {'not ' if inverted else 'also '}in {{g}}"),
                f"grep -c{'v' if inverted else ''}xFf {quoted(b, a)}", "count them", f=a, g=b)


@schema("two.sorted_sets", "comm wc", weight=0.9)
def sorted_sets(world: World, rng: random.Random) -> Draft:
    a, b, _, _ = _two(world, rng, True)
    kind = rng.random()
    both = "both files are sorted"
    if kind < 0.3:
        return show(rng, (*sought(f"the {_LINES} (only in|that only) {{g}} (has|) (and not in|not) {{f}}, "
                                  f"{both}".replace("(only in|that only) {g} (has|) (and not in|not) {f}",
                                                    "that are in {g} but not in {f}"), tool="comm"),
                                                    f"which {_LINES} of the sorted list {{g}} are missing in {{f}}?"),
                    f"comm -13 {quoted(a, b)}", f"find the lines only in {b}", ordered=False, f=a, g=b)
    if kind < 0.6:
        return show(rng, (*number(f"{_LINES} that {{f}} and {{g}} (share|have in common)"),
                          f"how many {_LINES} are in both {{f}} and {{g}}? ({both}|they are sorted)"),
                    f"comm -12 {quoted(a, b)} | wc -l", "count the common lines", f=a, g=b)
    target = world.new_name("file", "txt")
    sign, what = rng.choice((("-12", f"the {_LINES} that both {{f}} and {{g}} have"), ("-23",
                                                                      f"the {_LINES} of {{f}} that are not in {{g}}")))
    return change(rng, (*deed(f"(save|write|store) {what} (to|into) {{t}} (, {both}|)", tool="comm"),
                        f"{{t}} should (hold|contain) {what} (, {both}|)"),
                  f"comm {sign} {quoted(a, b)} > {quoted(target)}", f"write them to {target}", f=a, g=b, t=target)


@schema("two.differ", "diff cmp", weight=1.1)
def differ(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 3, 25), world.new_name("file", rng.choice(("txt", "md", "bak")))
    lines, kind = rows(world, a), rng.random()
    if kind < 0.4:
        if rng.random() < 0.5:
            lines[rng.randrange(len(lines))] = " ".join(world.words(3))
        world.add_file(b, "\n".join(lines) + "\n")
        return show(rng, ("do {f} and {g} differ? (yes or no|answer yes or no)", "is {f} different from {g}? yes or no",
                          "(check|tell me) (if|whether) {f} and {g} differ, yes or no",
                          "(print|say) yes if {f} and {g} differ, (otherwise|else) no"),
                    f"cmp -s {quoted(a, b)} && echo no || echo yes", f"compare {a} and {b}", f=a, g=b)
    if kind < 0.7:
        for at in rng.sample(range(len(lines)), rng.randint(1, 2)):
            lines[at] = " ".join(world.words(3))
        world.add_file(b, "\n".join(lines) + "\n")
        made = show(rng, (*sought("(a|the) unified diff (of|between) {f} and {g}", "the differences (between|of) {f} "
                                  "and {g} (in unified format|as a unified diff|with context)", tool="diff"),
                                  "diff -u {f} {g}", "compare {f} and {g}, (unified format|with context lines)"),
                    f"diff -u {quoted(a, b)}", f"compare {a} and {b}", f=a, g=b)
        return replace(made, fails=frozenset({0}))
    world.add_file(b, "\n".join(line.swapcase() if rng.random() < 0.4 else line for line in lines) + "\n"
                   + (f"{world.word()}\n" if rng.random() < 0.5 else ""))
    return show(rng, ("are {f} and {g} the same (if case is ignored|apart from upper and lower case|ignoring case)? "
                      "(same or different|print same or different)", "(compare|check) {f} and {g} ignoring case, "
                      "(print|say) same or different", "do {f} and {g} differ in more than case? (print|say) same or "
                      "different"),
                f"diff -qi {quoted(a, b)} > /dev/null && echo same || echo different", f"compare {a} and {b} without "
                f"case", f=a, g=b)


@schema("two.same_lines", "diff sort", weight=0.6)
def same_lines(world: World, rng: random.Random) -> Draft:
    a, b, first, _ = _two(world, rng)
    if rng.random() < 0.5:
        lines = first[:]
        rng.shuffle(lines)
        world.add_file(b, "\n".join(lines) + "\n")
    return show(rng, ("do {f} and {g} have the same lines, (in any order|whatever the order)? (yes or no|answer yes "
                      "or no)", "(check|tell me) (if|whether) {f} and {g} contain the same lines (in any "
                      "order|regardless of order), yes or no", "apart from the order, are {f} and {g} equal? yes or "
                      "no"),
                f"diff <(sort {quoted(a)}) <(sort {quoted(b)}) > /dev/null && echo yes || echo no",
                "compare the sorted lines", f=a, g=b)


@schema("two.beside", "paste", weight=1.0)
def beside(world: World, rng: random.Random) -> Draft:
    a = list_file(world, rng, 3)
    b = world.new_name("file", "txt")
    world.add_file(b, world.word_list(len(rows(world, a))))
    sign, name = rng.choice(((",", "(a comma|commas)"), (";", "(a semicolon|semicolons)"), (":", "(a colon|colons)"),
                             ("=", "(an equals sign|equals signs)"), (" ", "(a blank|blanks|a space)"), ("-",
                                                                      "(a dash|dashes)")))
    if rng.random() < 0.35:
        target = world.new_name("file", rng.choice(("csv", "txt")))
        return change(rng, deed(f"(join|combine|merge) {{f}} and {{g}} line by line into {{t}}, with {name} between",
                                f"(make|create) {{t}} from {{f}} and {{g}} side by side, separated by {name}",
                                tool="paste"),
                      f"paste -d {string(sign)} {quoted(a, b)} > {quoted(target)}", f"write both side by side to "
                      f"{target}", f=a, g=b, t=target)
    return show(rng, (*sought(f"the lines of {{f}} and {{g}} side by side, (with|separated by) {name} "
                              f"(between|)".replace("(with|separated by)", "separated by").replace("(between|)", ""),
                              tool="paste"), f"(join|merge|combine) {{f}} and {{g}} line by line with {name} "
                              f"(between|in between)", f"(paste|put) {{f}} and {{g}} next to each other, {name} as "
                              f"separator"),
                f"paste -d {string(sign)} {quoted(a, b)}", "show both side by side", f=a, g=b)


@schema("two.interleave", "paste", weight=0.5)
def interleave(world: World, rng: random.Random) -> Draft:
    a = list_file(world, rng, 3)
    b = world.new_name("file", "txt")
    world.add_file(b, world.word_list(len(rows(world, a))))
    return show(rng, (*sought("the lines of {f} and {g} (alternating|interleaved|in turn)", tool="paste"),
                      "(interleave|alternate) the lines of {f} and {g}", "a line of {f}, then a line of {g}, and so "
                      "on"),
                f"paste -d '\\n' {quoted(a, b)}", "show the lines in turn", f=a, g=b)


@schema("two.join", "join", weight=0.9)
def joined(world: World, rng: random.Random) -> Draft:
    keys = sorted({word for word in world.words(9) if word.isalnum()})
    if len(keys) < 5:
        raise Unsuitable("few keys")
    a, b = world.new_name("file", "txt"), world.new_name("file", rng.choice(("txt", "dat")))
    first, second = sorted(rng.sample(keys, len(keys) - 1)), sorted(rng.sample(keys, len(keys) - 1))
    comma = rng.random() < 0.3
    sign = "," if comma else " "
    if a == b:
        raise Unsuitable("one name")
    world.add_file(a, "".join(f"{key}{sign}{world.number()}\n" for key in first))
    world.add_file(b, "".join(f"{key}{sign}{world.word().replace(' ', '')}\n" for key in second))
    how = "(on|by) (the|their) first (column|field)" + (" (, comma-separated|, separated by commas)" if comma else "")
    return show(rng, (*sought(f"{{f}} and {{g}} joined {how}", f"the (join|inner join) of {{f}} and {{g}} {how}",
                              tool="join"), f"join {{f}} and {{g}} {how} (, both are sorted|)",
                              f"(combine|match) the rows of {{f}} and {{g}} {how}"),
                f"join {'-t , ' if comma else ''}{quoted(a, b)}", f"join {a} and {b}", f=a, g=b)


@schema("two.around", "cat", weight=0.9)
def around(world: World, rng: random.Random) -> Draft:
    a, b, c = (text_file(world, rng, 1, 12) for _ in range(3))
    if len({a, b, c}) < 3:
        raise Unsuitable("one file")
    if rng.random() < 0.5:
        return show(rng, (*sought("{f}, {g} and {c} one after the other", "the contents of {f}, {g} and {c} (in this "
                                  "order|)", tool="cat"), "(print|show|cat) {f}, {g} and {c} (in this order|one after "
                                  "the other)", "cat {f} {g} {c}"),
                    f"cat {quoted(a, b, c)}", "show the three files", f=a, g=b, c=c)
    target = world.new_name("file", "txt")
    return change(rng, (*deed("(concatenate|combine|merge|join) {f}, {g} and {c} into {t}",
                              "(make|create) {t} out of {f}, {g} and {c}, in this order", tool="cat"),
                              "{t} should be {f}, {g} and {c} one after the other"),
                  f"cat {quoted(a, b, c)} > {quoted(target)}", f"join the three into {target}", f=a, g=b, c=c, t=target)


@schema("two.prepend_file", "cat mv", weight=0.6)
def prepend_file(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1, 20), text_file(world, rng, 1, 20)
    if a == b:
        raise Unsuitable("one file")
    return change(rng, (*deed("(put|insert|add) (the contents of|) {f} (at the top|at the beginning|before the first "
                              "line) of {g}", "prepend (the contents of|) {f} to {g}"),
                              "{g} should start with the contents of {f}, then its own"),
                  f"cat {quoted(a, b)} > tmp.txt && mv tmp.txt {quoted(b)}", f"put {a} before {b}", f=a, g=b)


@schema("two.split", "split", weight=0.7)
def split(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6), rng.randint(2, 5)
    prefix = rng.choice((f"{world.word()}_", f"{world.word()}-", "part_", "chunk_"))
    if any(name.startswith(prefix) for name in world.entries):
        raise Unsuitable("taken")
    if rng.random() < 0.3:
        return change(rng, deed("split {f} into {n} (parts|files|pieces) (of about equal size|) without "
                                "(breaking|cutting) lines", "(cut|divide) {f} into {n} (parts|pieces), lines whole",
                                tool="split"),
                      f"split -n l/{n} {quoted(path)}", f"split {path} into {n} parts", f=path, n=n)
    return change(rng, (*deed("split {f} into (files|pieces) of {n} lines (each|) (called|named|with names starting "
                              "with) {x}aa, {x}ab and so on".replace("(called|named|with names starting with) {x}aa",
                                                                     "called {x}aa"), "split {f} every {n} lines, "
                                                                     "(with|using) the prefix {x}", tool="split"),
                                                                     "split {f}, {n} lines per file, file names "
                                                                     "starting with {x}"),
                  f"split -l {n} {quoted(path)} {prefix}", f"split {path} every {n} lines", f=path, n=n, x=prefix)
