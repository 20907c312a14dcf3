"""Reading, counting, cutting, sorting and changing the lines of text files."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW, list_file, ordinal, pattern_in, text_file, word_in
from nimllm.agent.gym.worlds import World


@schema("text.head", "head", weight=1.8)
def head(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12))
    path = text_file(world, rng, n + 1)
    if n == 1:
        return single(rng, (
            f"{PRINT} the first line of {{f}}", "what is the first line of {f}?", "first line of {f}", "(show|read) (me|) the (top|first) line (of|in) {f}",
            "how does {f} (start|begin)?", "head of {f}, one line", "what does the first line of {f} say?"),
            f"head -n 1 {quoted(path)}", f"show the first line of {path}", True, ordered=True, f=path)
    return single(rng, (
        f"{PRINT} the (first|top) {{n}} lines of {{f}}", "what are the first {n} lines of {f}?", "first {n} lines of {f}", "head -{n} {f}",
        "(show|read) (me|) the (first|top) {n} lines (of|in|from) {f}", "the {n} lines at the (top|beginning|start) of {f}", "{n} lines from the (top|start) of {f}"),
        f"head -n {n} {quoted(path)}", f"show the first {n} lines of {path}", True, ordered=True, f=path, n=n)


@schema("text.tail", "tail", weight=1.8)
def tail(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12))
    path = text_file(world, rng, n + 1)
    if n == 1:
        return single(rng, (
            f"{PRINT} the last line of {{f}}", "what is the last line of {f}?", "last line of {f}", "(show|read) (me|) the (bottom|last|final) line (of|in) {f}",
            "how does {f} end?", "what does the last line of {f} say?", "tail of {f}, one line"),
            f"tail -n 1 {quoted(path)}", f"show the last line of {path}", True, ordered=True, f=path)
    return single(rng, (
        f"{PRINT} the (last|bottom|final) {{n}} lines of {{f}}", "what are the last {n} lines of {f}?", "last {n} lines of {f}", "tail -{n} {f}",
        "(show|read) (me|) the (last|bottom) {n} lines (of|in|from) {f}", "the {n} lines at the (end|bottom) of {f}", "{n} lines from the (end|bottom) of {f}"),
        f"tail -n {n} {quoted(path)}", f"show the last {n} lines of {path}", True, ordered=True, f=path, n=n)


@schema("text.line", "sed", weight=1.8)
def line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    rows = world.read(path).splitlines()
    n = rng.randint(2, min(30, len(rows)))
    if not rows[n - 1].strip():
        raise Unsuitable("empty line")
    return single(rng, (
        f"{PRINT} line {{n}} of {{f}}", "what is (in|on) line {n} of {f}?", "line {n} of {f}", f"{PRINT} the {{o}} line of {{f}}", "what does line {n} of {f} say?",
        "(read|show) (me|) line (number|) {n} (of|in|from) {f}", "what is the {o} line (of|in) {f}?", "only line {n} of {f}"),
        f"sed -n {n}p {quoted(path)}", f"show line {n} of {path}", True, ordered=True, f=path, n=n, o=ordinal(n))


@schema("text.lines", "sed", weight=1.6)
def lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    total = world.read(path).count("\n")
    a = rng.randint(1, min(20, total - 1))
    b = rng.randint(a + 1, min(total, a + 8))
    return single(rng, (
        f"{PRINT} lines {{a}} to {{b}} of {{f}}", "lines {a}-{b} of {f}", f"{PRINT} lines {{a}} through {{b}} of {{f}}", "what (is in|are) lines {a} to {b} of {f}?",
        "(read|show) (me|) {f} from line {a} to (line|) {b}", "show {f}, lines {a} to {b}", "only (show|print) lines {a} to {b} (of|from) {f}", "{f} lines {a}-{b}"),
        f"sed -n {a},{b}p {quoted(path)}", f"show lines {a} to {b} of {path}", True, ordered=True, f=path, a=a, b=b)


@schema("text.from_line", "tail", weight=0.8)
def from_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.randint(2, min(12, world.read(path).count("\n")))
    skip = n - 1
    return single(rng, (
        f"{PRINT} {{f}} from line {{n}} on", f"{PRINT} everything (in|of) {{f}} from line {{n}} (on|to the end)", "{f} starting (at|with|from) line {n}", "lines {n} to the end of {f}",
        f"{PRINT} {{f}} without (the|its) first {'line' if skip == 1 else '{k} lines'}", f"skip the first {'line' if skip == 1 else '{k} lines'} of {{f}} and (show|print) the rest",
        "what comes from line {n} on in {f}?"),
        f"tail -n +{n} {quoted(path)}", f"show {path} from line {n} on", True, ordered=True, f=path, n=n, k=skip)


@schema("text.all_but_last", "head", weight=0.6)
def all_but_last(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.randint(1, 3)
    what = "last line" if n == 1 else "last {n} lines"
    return single(rng, (
        f"{PRINT} {{f}} without (the|its) {what}", f"{PRINT} (everything in|all of|) {{f}} (but|except) the {what}", f"all but the {what} of {{f}}", f"{{f}} (except|without) the {what}",
        f"leave out the {what} of {{f}} and (show|print) the rest", f"hide the {what} of {{f}}"),
        f"head -n -{n} {quoted(path)}", f"show all but the {'last line' if n == 1 else f'last {n} lines'} of {path}", True, ordered=True, f=path, n=n)


@schema("text.count_lines", "wc", weight=2.5)
def count_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (
        "how many lines (are in|are there in|does) {f}(| have)?".replace("(are in|are there in|does) {f}(| have)", "(are in {f}|are there in {f}|does {f} have)"),
        "count (the|) lines (in|of) {f}", "(number|count) of lines in {f}", "how long is {f} (in lines|)?", "line count (of|for) {f}", "count lines {f}", "how many lines has {f}?",
        "(tell me|show|give me) the number of lines (in|of) {f}"),
        f"wc -l < {quoted(path)}", f"count the lines of {path}", True, "{f} has {output} lines.".replace("{f}", path), f=path)


@schema("text.count_words", "wc", weight=1.8)
def count_words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (
        "how many words (are in|are there in) {f}?", "count (the|) words (in|of) {f}", "(number|count) of words in {f}", "word count (of|for) {f}", "how many words does {f} have?", "count words {f}",
        "(tell me|show|give me) the number of words (in|of) {f}"),
        f"wc -w < {quoted(path)}", f"count the words of {path}", True, "{f} has {output} words.".replace("{f}", path), f=path)


@schema("text.count_characters", "wc", weight=1.2)
def count_characters(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (
        "how many (characters|letters and signs) (are in|are there in) {f}?", "count (the|) (characters|chars) (in|of) {f}", "(number|count) of characters in {f}", "character count (of|for) {f}",
        "how many (characters|chars) does {f} have?", "(tell me|show|give me) the number of characters (in|of) {f}"),
        f"wc -m < {quoted(path)}", f"count the characters of {path}", True, "{f} has {output} characters.".replace("{f}", path), f=path)


@schema("text.longest", "awk", weight=1.0)
def longest(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    return single(rng, (
        "what is the longest line (of|in) {f}?", f"{PRINT} the longest line (of|in) {{f}}", "longest line (of|in) {f}", "find the longest line (of|in) {f}", "which line of {f} is (the|) longest?",
        "which line (of|in) {f} has (the|) most characters?"),
        f"awk 'length > max {{ max = length; line = $0 }} END {{ print line }}' {quoted(path)}", f"find the longest line of {path}", True, ordered=True, f=path)


@schema("text.long_lines", "awk", weight=0.7)
def long_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    lengths = sorted({len(row) for row in world.read(path).splitlines()})
    n = rng.choice(lengths[:-1] or [0])
    if n < 5:
        raise Unsuitable("short lines")
    return single(rng, (
        f"{SHOW} (the|all|) lines (of|in) {{f}} (longer than|with more than|over) {{n}} characters", "which lines (of|in) {f} (are longer than|have more than) {n} characters?",
        "lines (of|in) {f} (longer than|over) {n} characters", "find (the|all|) lines (of|in) {f} (longer than|with more than) {n} characters",
        "are there lines (longer than|with more than) {n} characters in {f}?", "too long lines in {f}: more than {n} characters"),
        f"awk 'length > {n}' {quoted(path)}", f"find lines of {path} over {n} characters", True, ordered=True, f=path, n=n)


@schema("text.replace", "sed", weight=2.5)
def replace_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    old = pattern_in(world, rng, path)
    new = rng.choice((world.word(), world.word(), str(world.number()), world.word().capitalize()))
    if new == old:
        raise Unsuitable("same")
    quote = rng.choice(("", "", "", '"', "'"))
    return single(rng, (
        "replace (all occurrences of|every|all|) {a} (with|by) {b} in {f}", "(change|turn) (every|each|) {a} (to|into) {b} in {f}", "in {f}, replace {a} (with|by) {b} (everywhere|)",
        "substitute {b} for {a} in {f}", "(change|replace) the (word|text) {a} (to|with) {b} in {f}", "{a} should (be|read) {b} in {f}", "sed {a} to {b} in {f}", "(swap|exchange) {a} for {b} in {f}"),
        f"sed -i {string(f's/{old}/{new}/g')} {quoted(path)}", f"replace {old} with {new} in {path}", False,
        protected=(old, new), f=path, a=f"{quote}{old}{quote}", b=f"{quote}{new}{quote}")


@schema("text.replace_shown", "sed", weight=0.8)
def replace_shown(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    old, new = word_in(world, rng, path), world.word()
    if new == old:
        raise Unsuitable("same")
    return single(rng, (
        f"{PRINT} {{f}} with {{a}} replaced (by|with) {{b}} (but do not change the file|without changing the file)", "what would {f} (look like|be) with {b} instead of {a}?",
        f"{PRINT} {{f}} with {{b}} instead of {{a}}", "show {f} as if {a} were {b}", "(print|show) the text of {f}, {a} replaced (by|with) {b}, (leave|keep) the file (as it is|unchanged)",
        "preview {f} with every {a} changed to {b}"),
        f"sed {string(f's/{old}/{new}/g')} {quoted(path)}", f"show {path} with {new} for {old}", True, ordered=True, f=path, a=old, b=new)


@schema("text.replace_first", "sed", weight=0.6)
def replace_line_number(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    n = rng.randint(1, min(15, world.read(path).count("\n")))
    text = " ".join(world.words(rng.randint(1, 3)))
    return single(rng, (
        "replace line {n} of {f} (with|by) {t}", "change line {n} (of|in) {f} to {t}", "line {n} of {f} should (be|say|read) {t}", "set line {n} (of|in) {f} to {t}", "put {t} on line {n} of {f} instead of what is there",
        "(overwrite|change) the {o} line of {f} (with|to) {t}"),
        f"sed -i {string(f'{n}s/.*/{text}/')} {quoted(path)}", f"change line {n} of {path}", False, protected=(text,), f=path, n=n, o=ordinal(n), t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("text.insert", "sed", weight=0.7)
def insert(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    n = rng.randint(1, min(12, world.read(path).count("\n")))
    text, after = " ".join(world.words(rng.randint(1, 3))), rng.random() < 0.6
    side = "after" if after else "before"
    return single(rng, (
        f"(insert|add|put) (the line|) {{t}} {side} line {{n}} (of|in) {{f}}", f"in {{f}}, (insert|add) {{t}} {side} line {{n}}", f"(add|insert) a (new|) line (with|) {{t}} {side} line {{n}} (of|in) {{f}}",
        f"put {{t}} {side} the {{o}} line of {{f}}", f"{{f}} needs the line {{t}} {side} line {{n}}", f"{side} line {{n}} of {{f}}, (insert|add) {{t}}"),
        f"sed -i {string(f'{n}{chr(97) if after else chr(105)} {text}')} {quoted(path)}", f"insert the line {side} line {n} of {path}", False, protected=(text,), f=path, n=n, o=ordinal(n),
        t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("text.delete_matching", "sed", weight=1.6)
def delete_matching(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    word = pattern_in(world, rng, path)
    return single(rng, (
        "(delete|remove) (all|the|all the|) lines (with|containing|that contain) {w} (from|in) {f}", "(delete|remove) every line (with|containing) {w} (from|in) {f}", "in {f}, (delete|drop|remove) (the|all) lines with {w}",
        "(get rid of|throw out) the lines (with|that mention) {w} in {f}", "{f} should have no lines (with|containing) {w}", "(clean|strip) {f} of (all|) lines (with|containing) {w}"),
        f"sed -i {string(f'/{word}/d')} {quoted(path)}", f"delete the lines with {word} from {path}", False, protected=(word,), f=path, w=rng.choice((word, word, f'"{word}"')))


@schema("text.delete_line", "sed", weight=1.2)
def delete_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    total = world.read(path).count("\n")
    at = rng.random()
    if at < 0.25:
        which, address, words = "last", "$d", "the last line"
    elif at < 0.45:
        which, address, words = "first", "1d", "the first line"
    else:
        n = rng.randint(2, min(20, total))
        return single(rng, (
            "(delete|remove) line {n} (of|from|in) {f}", "(delete|remove) the {o} line (of|from|in) {f}", "line {n} of {f} (can go|must go|should go)", "in {f}, (delete|drop|remove) line {n}",
            "drop line (number|) {n} (of|from) {f}", "(get rid of|throw away) line {n} (in|of) {f}"),
            f"sed -i {n}d {quoted(path)}", f"delete line {n} of {path}", False, f=path, n=n, o=ordinal(n))
    return single(rng, (
        f"(delete|remove) the {which} line (of|from|in) {{f}}", f"the {which} line of {{f}} (can go|must go|should go)", f"in {{f}}, (delete|drop|remove) the {which} line", f"drop the {which} line (of|from) {{f}}",
        f"(get rid of|throw away) the {which} line (in|of) {{f}}", f"cut off the {which} line of {{f}}"),
        f"sed -i '{address}' {quoted(path)}", f"delete {words} of {path}", False, f=path)


@schema("text.delete_lines", "sed", weight=0.8)
def delete_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    total = world.read(path).count("\n")
    a = rng.randint(1, min(15, total - 1))
    b = rng.randint(a + 1, min(total, a + 6))
    return single(rng, (
        "(delete|remove) lines {a} to {b} (of|from|in) {f}", "(delete|remove) lines {a}-{b} (of|from|in) {f}", "lines {a} to {b} of {f} (can go|must go|should go)", "in {f}, (delete|drop|remove) lines {a} (to|through) {b}",
        "drop lines {a} (to|through) {b} (of|from) {f}", "(cut|throw) lines {a} to {b} out of {f}"),
        f"sed -i {a},{b}d {quoted(path)}", f"delete lines {a} to {b} of {path}", False, f=path, a=a, b=b)


@schema("text.delete_empty", "sed", weight=1.0)
def delete_empty(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "md", "log")))
    rows = world.text(rng.randint(3, 9)).splitlines()
    for _ in range(rng.randint(1, 4)):
        rows.insert(rng.randint(0, len(rows)), "")
    world.add_file(path, "\n".join(rows) + "\n")
    return single(rng, (
        "(delete|remove) (all|the|all the|) (empty|blank) lines (from|in|of) {f}", "(get rid of|drop|strip) (the|all|) (blank|empty) lines in {f}", "{f} has (empty|blank) lines, (delete|remove) them",
        "{f} should have no (empty|blank) lines", "in {f}, (delete|remove) every (empty|blank) line", "clean {f} of (empty|blank) lines"),
        f"sed -i '/^$/d' {quoted(path)}", f"delete the empty lines of {path}", False, f=path)


@schema("text.sort", "sort", weight=1.6)
def sort(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng) if rng.random() < 0.7 else text_file(world, rng, 3, 20)
    reverse = rng.random() < 0.3
    if reverse:
        return single(rng, (
            f"{PRINT} (the lines of|) {{f}} sorted in reverse (order|)", "sort {f} in reverse (order|)", "sort {f} (from z to a|descending|backwards)", "sort the lines of {f} in (descending|reverse) order",
            "{f} (sorted|in order) from z to a", "reverse sort {f}"),
            f"sort -r {quoted(path)}", f"sort {path} in reverse", True, ordered=True, f=path)
    return single(rng, (
        f"{PRINT} (the lines of|) {{f}} sorted", "sort {f}", "sort (the lines of|the lines in) {f} (alphabetically|)", f"{PRINT} {{f}} in alphabetical order", "{f} in (alphabetical|sorted) order",
        "sort the file {f} (from a to z|)", "put the lines of {f} in order and show them"),
        f"sort {quoted(path)}", f"sort {path}", True, ordered=True, f=path)


@schema("text.sort_in_place", "sort", weight=1.0)
def sort_in_place(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (
        "sort {f} in place", "sort the lines of {f} (and save the file|and write them back|in the file itself)", "(make|rewrite) {f} (sorted|so that its lines are sorted)", "the lines of {f} should be sorted (in the file|), change the file",
        "sort {f} and (save|overwrite) it", "put the lines of {f} in order, in the file (itself|)"),
        f"sort -o {quoted(path, path)}", f"sort {path} in place", False, f=path)


@schema("text.sort_into", "sort", weight=1.0)
def sort_into(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    target = world.new_name("file", "txt")
    unique = rng.random() < 0.4
    if unique:
        return single(rng, (
            "sort {f} without duplicates into {t}", "write the (unique|distinct) lines of {f}, sorted, (to|into) {t}", "(save|store) the sorted (unique|distinct) lines of {f} (in|as|to) {t}",
            "(remove|drop) duplicates (of|from) {f}, sort it and (save|write) (the result|it) (to|as) {t}", "{t} should (hold|contain) the (unique|distinct) lines of {f}, sorted", "sort {f}, drop duplicates, write to {t}"),
            f"sort -u {quoted(path)} > {quoted(target)}", f"write the unique lines of {path} to {target}", False, f=path, t=target)
    return single(rng, (
        "sort {f} into {t}", "sort {f} and (save|write) (the result|it) (to|as|in) {t}", "write the sorted lines of {f} (to|into) {t}", "(save|store) {f} sorted (as|in) {t}",
        "{t} should (hold|contain) the lines of {f} in (sorted|alphabetical) order", "sort {f} to (a new file|the file) {t}"),
        f"sort {quoted(path)} > {quoted(target)}", f"write the sorted lines of {path} to {target}", False, f=path, t=target)


@schema("text.unique", "sort", weight=1.5)
def unique(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (
        f"{SHOW} the (unique|distinct|different) lines (of|in) {{f}}", "(which|what) (different|distinct|unique) lines (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)", "(are in {f}|does {f} have)"),
        f"{PRINT} {{f}} without (duplicates|duplicate lines|repeated lines)", "(unique|distinct) lines (of|in) {f}", "remove (the|) duplicates from {f} and (show|print) (it|the rest)", "{f} with every line (only|just) once",
        f"{SHOW} each (different|distinct) line of {{f}} once"),
        f"sort -u {quoted(path)}", f"show the unique lines of {path}", True, f=path)


@schema("text.count_unique", "sort wc", weight=1.2)
def count_unique(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (
        "how many (unique|distinct|different) lines (are in|are there in) {f}?", "count (the|) (unique|distinct|different) lines (of|in) {f}", "number of (unique|distinct|different) lines in {f}",
        "how many (different|distinct) (entries|lines|values) does {f} have?", "how many lines does {f} have without (duplicates|counting repetitions)?", "(unique|distinct) line count of {f}"),
        f"sort -u {quoted(path)} | wc -l", f"count the unique lines of {path}", True, "There are {output} different lines.", f=path)


@schema("text.duplicates", "sort uniq", weight=1.2)
def duplicates(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 6)
    return single(rng, (
        "which lines (occur|appear) more than once in {f}?", f"{SHOW} (the|all|) (duplicate|duplicated|repeated) lines (of|in) {{f}}", "(duplicates|duplicate lines|repeated lines) in {f}?", "find (the|) (duplicates|duplicate lines) in {f}",
        "does {f} have (duplicates|duplicate lines)? which?", "what is (in {f} twice or more|repeated in {f})?"),
        f"sort {quoted(path)} | uniq -d", f"find the duplicate lines of {path}", True, f=path)


@schema("text.frequency", "sort uniq", weight=1.5)
def frequency(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (
        "how often does (each|every) line (occur|appear) in {f}?", "count how (often|many times) (each|every) line (occurs|appears) in {f}", f"{SHOW} (a|the) frequency (table|list|count) of the lines (of|in) {{f}}",
        "frequency of (each|every) line in {f}", f"{SHOW} the lines of {{f}} with their counts, most frequent first", "(tally|count) the (lines|entries) of {f}"),
        f"sort {quoted(path)} | uniq -c | sort -nr", f"count each line of {path}", True, f=path)


@schema("text.most_common", "sort uniq head", weight=1.3)
def most_common(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 7)
    rows = world.read(path).splitlines()
    counts = sorted((rows.count(row) for row in set(rows)), reverse=True)
    if len(counts) < 2 or counts[0] == counts[1]:
        raise Unsuitable("a tie")
    return single(rng, (
        "(what is the most common|which is the most frequent|what is the most frequent) (line|entry) (of|in) {f}?", f"{SHOW} the most (common|frequent) (line|entry) (of|in) {{f}}", "which (line|entry) (occurs|appears) most often in {f}?",
        "most (common|frequent) (line|entry) (of|in) {f}", "find the (line|entry) that is most (common|frequent) in {f}", "what (occurs|appears) most often in {f}?"),
        f"sort {quoted(path)} | uniq -c | sort -nr | head -n 1", f"find the most common line of {path}", True, ordered=True, f=path)


@schema("text.top_words", "tr sort uniq head", weight=0.8)
def top_words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    words = re.findall(r"\S+", world.read(path))
    n = rng.randint(1, 5)
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    if len(counts) <= n or counts[n - 1] == counts[n]:
        raise Unsuitable("a tie")
    what = "most (common|frequent|used) word" if n == 1 else "{n} most (common|frequent|used) words"
    verb = "is" if n == 1 else "are"
    return single(rng, (
        f"what {verb} the {what} (of|in) {{f}}?", f"{SHOW} the {what} (of|in) {{f}}", f"{what} (of|in) {{f}}", f"find the {what} in {{f}}", f"which {'word occurs' if n == 1 else '{n} words occur'} most often in {{f}}?", f"the {what} in {{f}}, with {'its count' if n == 1 else 'counts'}"),
        f"tr -s ' ' '\\n' < {quoted(path)} | sort | uniq -c | sort -nr | head -n {n}", f"count the words of {path}", True, f=path, n=n)


@schema("text.upper", "tr", weight=1.2)
def upper(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 20)
    lower = rng.random() < 0.45
    case = "(lower case|lowercase|small letters)" if lower else "(upper case|uppercase|capitals|capital letters)"
    sets = "'A-Z' 'a-z'" if lower else "'a-z' 'A-Z'"
    return single(rng, (
        f"{PRINT} {{f}} in {case}", f"convert {{f}} to {case} and (show|print) it", f"{PRINT} (the text of|) {{f}} (in|with|converted to) {case}", f"{{f}} in {case}", f"(show|print) the contents of {{f}} all in {case}", f"what does {{f}} look like in {case}?"),
        f"tr {sets} < {quoted(path)}", f"show {path} in {'lower' if lower else 'upper'} case", True, ordered=True, f=path)


@schema("text.upper_into", "tr", weight=0.8)
def upper_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 1), world.new_name("file", "txt")
    lower = rng.random() < 0.45
    case = "(lower case|lowercase)" if lower else "(upper case|uppercase|capitals)"
    sets = "'A-Z' 'a-z'" if lower else "'a-z' 'A-Z'"
    return single(rng, (
        f"convert {{f}} to {case} and (save|write) (it|the result) (to|as|in) {{t}}", f"(write|save) (the text of|) {{f}} in {case} (to|into|as) {{t}}", f"{{t}} should be {{f}} in {case}", f"make {{t}}, a copy of {{f}} in {case}",
        f"(put|store) {{f}} in {case} (into|in) {{t}}", f"(turn|convert) {{f}} into {case}, output to {{t}}"),
        f"tr {sets} < {quoted(path)} > {quoted(target)}", f"write {path} in {'lower' if lower else 'upper'} case to {target}", False, f=path, t=target)


@schema("text.number", "nl cat", weight=1.0)
def number(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    return single(rng, (
        f"{PRINT} {{f}} with line numbers", "number the lines of {f}", "cat {f} with line numbers", "(show|print) {f} and number (its|the) lines", "{f} with (numbered lines|line numbers)", "(add|put) line numbers (to|in front of) the lines of {f} and show (it|them)"),
        f"cat -n {quoted(path)}", f"show {path} with line numbers", True, ordered=True, f=path)


@schema("text.reverse_lines", "tac", weight=1.0)
def reverse_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    return single(rng, (
        f"{PRINT} {{f}} (backwards|from the end), (line by line|last line first)", f"{PRINT} the lines of {{f}} in reverse order", "reverse the (order of the|) lines of {f}", "{f} with the last line first", "(show|print) {f} upside down",
        "tac {f}", "the lines of {f}, last one first"),
        f"tac {quoted(path)}", f"show {path}, last line first", True, ordered=True, f=path)


@schema("text.reverse_characters", "rev", weight=0.7)
def reverse_characters(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    return single(rng, (
        "reverse (each|every) line of {f}", f"{PRINT} (each|every) line of {{f}} (backwards|reversed|in reverse)", "rev {f}", "reverse the characters (in|of) (each|every) line of {f}", "mirror the lines of {f}",
        f"{PRINT} {{f}} with (each|every) line spelled backwards"),
        f"rev {quoted(path)}", f"reverse each line of {path}", True, ordered=True, f=path)


@schema("text.join", "paste", weight=1.0)
def join(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    sign, name = rng.choice(((",", "(a comma|commas)"), (" ", "(a blank|blanks|spaces)"), (";", "(a semicolon|semicolons)"), ("+", "(a plus|plus signs)"), ("-", "(a dash|dashes)"), (":", "(a colon|colons)")))
    return single(rng, (
        f"join (all|the|all the|) lines of {{f}} with {name}", f"{PRINT} the lines of {{f}} as one line, separated by {name}", f"make one line of {{f}}, with {name} between the lines", f"{PRINT} {{f}} (in|on) one line with {name} (between|in between)",
        f"(put|merge) all lines of {{f}} (in|into) one line separated by {name}", f"lines of {{f}} joined by {name}"),
        f"paste -sd {string(sign)} {quoted(path)}", f"join the lines of {path}", True, ordered=True, f=path)


@schema("text.paste", "paste", weight=0.7)
def paste(world: World, rng: random.Random) -> Draft:
    a, n = list_file(world, rng, 3), 0
    n = world.read(a).count("\n")
    b = world.new_name("file", "txt")
    world.add_file(b, world.word_list(n))
    return single(rng, (
        "(put|paste|print|show) {a} and {b} side by side", "merge {a} and {b} line by line", "(show|print) {a} next to {b}", "paste {a} {b}", "combine the lines of {a} and {b} (side by side|in two columns)", "(join|show) the lines of {a} with those of {b}, (side by side|line by line)"),
        f"paste {quoted(a, b)}", f"show {a} and {b} side by side", True, ordered=True, a=a, b=b)


@schema("text.concatenate", "cat", weight=1.2)
def concatenate(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1), text_file(world, rng, 1)
    if a == b:
        raise Unsuitable("one file")
    target = world.new_name("file", "txt")
    return single(rng, (
        "(concatenate|combine|merge) {a} and {b} into {t}", "(join|put together) {a} and {b} (as|in|into) {t}", "cat {a} {b} into {t}", "write {a} followed by {b} (to|into) {t}", "{t} should (contain|hold|be) {a} followed by {b}",
        "append {b} to {a} and (save|write) (the result|it) (as|to) {t}", "make {t} out of {a} and {b}"),
        f"cat {quoted(a, b)} > {quoted(target)}", f"join {a} and {b} into {target}", False, a=a, b=b, t=target)


@schema("text.append_file", "cat", weight=0.8)
def append_file(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1), text_file(world, rng, 1)
    if a == b:
        raise Unsuitable("one file")
    return single(rng, (
        "append (the contents of|) the file {a} to {b}", "add the (contents|lines|text) of {a} (to|at the end of) {b}", "put (all of|everything from|the contents of) {a} at the end of {b}", "append {a} to {b}", "{b} should also (contain|have) the (lines|contents) of {a} at the end",
        "extend {b} with the (contents|lines) of {a}"),
        f"cat {quoted(a)} >> {quoted(b)}", f"append {a} to {b}", False, a=a, b=b)


@schema("text.head_into", "head", weight=0.8)
def head_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 4), world.new_name("file", "txt")
    n = rng.randint(2, max(2, min(10, world.read(path).count("\n") - 1)))
    last = rng.random() < 0.4
    which = "last" if last else "first"
    return single(rng, (
        f"(save|write|store) the {which} {{n}} lines of {{f}} (to|into|in) {{t}}", f"(copy|put) the {which} {{n}} lines of {{f}} (to|into) {{t}}", f"{{t}} should (contain|have) the {which} {{n}} lines of {{f}}", f"make {{t}} (from|out of|with) the {which} {{n}} lines of {{f}}",
        f"{which} {{n}} lines of {{f}} (to|into) {{t}}", f"extract the {which} {{n}} lines of {{f}} (to|into) {{t}}"),
        f"{'tail' if last else 'head'} -n {n} {quoted(path)} > {quoted(target)}", f"write the {which} {n} lines to {target}", False, f=path, n=n, t=target)


@schema("text.grep_into", "grep", weight=1.2)
def grep_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 3), world.new_name("file", "txt")
    word = pattern_in(world, rng, path)
    return single(rng, (
        "(save|write|store) (the|all|) lines (with|containing) {w} (from|of|in) {f} (to|into|in) {t}", "(copy|put|extract) (all|the|) lines (with|that contain) {w} (from|of) {f} (to|into) {t}", "{t} should (contain|hold) the lines of {f} (with|that contain) {w}",
        "grep {w} in {f} (and save|and write) the result to {t}", "make {t} (from|out of) the {w} lines of {f}", "filter {f} for {w} into {t}"),
        f"grep {string(word)} {quoted(path)} > {quoted(target)}", f"write the lines with {word} to {target}", False, protected=(word,), f=path, t=target, w=rng.choice((word, word, f'"{word}"')))


@schema("text.remove_character", "tr", weight=0.7)
def remove_character(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    text = world.read(path)
    found = [(sign, name) for sign, name in ((",", "commas"), (".", "(dots|periods|full stops)"), (":", "colons"), (" ", "(spaces|blanks)"), ("-", "(dashes|hyphens)"), ("0-9", "digits")) if re.search(f"[{re.escape(sign) if len(sign) == 1 else sign}]", text)]
    if not found:
        raise Unsuitable("no signs")
    sign, name = rng.choice(found)
    return single(rng, (
        f"{PRINT} {{f}} without (the|) {name}", f"(remove|delete|strip) (all|the|) {name} from {{f}} and (show|print) (it|the result)", f"{{f}} without {name}", f"{PRINT} {{f}} with (all|) {name} (removed|deleted|stripped)", f"(show|print) {{f}} but leave out (the|all) {name}", f"what is {{f}} without (its|the) {name}?"),
        f"tr -d {string(sign)} < {quoted(path)}", f"show {path} without them", True, ordered=True, f=path)


@schema("text.prefix", "sed", weight=0.7)
def prefix(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    mark = rng.choice(("# ", "- ", "> ", "* ", f"{world.word()}: ", f"{world.word()}-"))
    return single(rng, (
        "(add|put) {m} (at the start of|at the beginning of|in front of|before) (each|every) line of {f}", "prefix (each|every|all) (line|lines) of {f} with {m}", "(each|every) line of {f} should (start|begin) with {m}", "in {f}, put {m} before (each|every) line",
        "insert {m} (at the beginning|at the start) of (all|the) lines (of|in) {f}", "prepend {m} to (each|every) line of {f}"),
        f"sed -i {string(f's/^/{mark}/')} {quoted(path)}", f"put it before each line of {path}", False, protected=(mark,), f=path, m=f'"{mark}"')


@schema("text.suffix", "sed", weight=0.6)
def suffix(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    mark = rng.choice((";", ",", ".", "!", f"-{world.word()}", f" {world.word()}"))
    return single(rng, (
        "(add|put) {m} (at the end of|to the end of|after) (each|every) line of {f}", "(each|every) line of {f} should end with {m}", "in {f}, put {m} after (each|every) line", "append {m} to (each|every|all) (line|lines) of {f}", "end (each|every) line of {f} with {m}",
        "suffix (each|every) line of {f} with {m}"),
        f"sed -i {string(f's/$/{mark}/')} {quoted(path)}", f"put it after each line of {path}", False, protected=(mark,), f=path, m=f'"{mark}"')


@schema("text.trailing", "sed", weight=0.7)
def trailing(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "py", "md", "c")))
    world.add_file(path, "".join(row + rng.choice(("", "  ", "   ", " ")) + "\n" for row in world.text(6).splitlines()) + "end  \n")
    return single(rng, (
        "(remove|delete|strip) (the|all|) trailing (spaces|whitespace|blanks) (from|in) {f}", "{f} has trailing (whitespace|spaces), (remove|strip) (it|them)".replace("(it|them)", "that"), "clean up trailing whitespace in {f}", "strip (blanks|whitespace|spaces) at the (ends of lines|line ends) (of|in) {f}",
        "no line of {f} should end with (a space|blanks|whitespace)", "trim the line ends (of|in) {f}"),
        f"sed -i 's/[ \\t]*$//' {quoted(path)}", f"strip trailing blanks in {path}", False, f=path)


@schema("compare.diff", "diff", weight=1.2)
def diff(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 3, 25), world.new_name("file", "txt")
    rows = world.read(a).splitlines()
    for _ in range(rng.randint(1, 2)):
        rows[rng.randrange(len(rows))] = " ".join(world.words(3))
    world.add_file(b, "\n".join(rows) + "\n")
    made = single(rng, (
        "(compare|diff) {a} and {b}", "(what is the difference|what are the differences) between {a} and {b}?", "how (do|does) {a} (and {b} differ|differ from {b})?".replace("(do|does) {a} (and {b} differ|differ from {b})", "(do {a} and {b} differ|does {a} differ from {b})"),
        "(show|list|print) the differences between {a} and {b}", "diff {a} {b}", "which lines differ (between|in) {a} and {b}?", "what changed (from {a} to {b}|between {a} and {b})?"),
        f"diff {quoted(a, b)}", f"compare {a} and {b}", True, ordered=True, a=a, b=b)
    from dataclasses import replace
    return replace(made, fails=frozenset({0}))


@schema("compare.same", "cmp", weight=0.8)
def same(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 2), world.new_name("file")
    text = world.read(a)
    world.add_file(b, text if rng.random() < 0.5 else text + f"{world.word()}\n")
    return single(rng, (
        "are {a} and {b} (identical|the same|equal)?", "is {a} (identical to|the same as) {b}?", "do {a} and {b} have the same (contents|content)?", "check (whether|if) {a} and {b} are (identical|the same|equal)", "(tell me|check) if {a} equals {b}",
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
            "which lines (are in both|are common to|occur in both) {a} and {b}?", "(show|list|print) the lines (common to|shared by|in both) {a} and {b}", "common lines of {a} and {b}", "what do {a} and {b} have in common?", "lines that {a} and {b} share", "find the lines (that are in|in) both {a} and {b}"),
            f"comm -12 {quoted(a, b)}", f"find the common lines of {a} and {b}", True, a=a, b=b)
    return single(rng, (
        "which lines (are|occur) only in {a} (and not in|but not in) {b}?", "(show|list|print) the lines of {a} (that are missing in|that are not in|missing from) {b}", "lines (of|in) {a} that {b} (does not have|lacks)", "what is in {a} but not in {b}?",
        "what does {b} (lack|miss) that {a} has?", "find the lines of {a} that (do not occur|are not) in {b}"),
        f"comm -23 {quoted(a, b)}", f"find the lines only in {a}", True, a=a, b=b)


@schema("text.split", "split", weight=0.5)
def split(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 6)
    n = rng.randint(2, 5)
    return single(rng, (
        "split {f} into (files|pieces|parts) of {n} lines (each|)", "(cut|divide|break) {f} into (files|pieces) of {n} lines (each|)", "split {f} every {n} lines", "make (files|pieces) of {n} lines out of {f}", "split the file {f}, {n} lines per (file|piece)",
        "divide {f} (up|) so that each piece has {n} lines"),
        f"split -l {n} {quoted(path)}", f"split {path} every {n} lines", False, f=path, n=n)


@schema("text.tabs", "expand sed", weight=0.5)
def tabs(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "py", "c", "tsv")))
    world.add_file(path, "".join("\t".join(world.words(3)) + "\n" for _ in range(rng.randint(2, 6))))
    return single(rng, (
        "replace (the|all|) tabs (in|of) {f} (with|by) (a space|spaces|blanks)", "(turn|convert|change) (the|all|) tabs (in|of) {f} (to|into) spaces", "{f} should have (spaces|a space) instead of (tabs|every tab)", "no tabs in {f}, use (spaces|blanks)", "in {f}, (change|replace) (every|each) tab (to|with|by) a (space|blank)",
        "tabs to spaces in {f}"),
        f"sed -i 's/\\t/ /g' {quoted(path)}", f"replace tabs by blanks in {path}", False, f=path)
