"""Finding lines in files."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import number, sought
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import (
    below,
    kind,
    pattern_in,
    scope,
    text_file,
    word_in,
)
from nimllm.agent.gym.worlds import World

_FIND = "(find|list|show|show me|give me|search for|print)"
_LINES = "(lines|the lines|all lines|all the lines|every line)"


@schema("grep.lines", "grep", weight=2.2)
def lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (*sought("(the|all|all the|) (lines|rows|entries) (of|in|from) {f} (with|containing|that "
                                "contain|that mention|mentioning|having) {w}", tool="grep"), "{f}: lines with {w}",
                                "{w} in {f}", "(filter|scan|check) {f} for {w}", "what does {f} contain about {w}?",
                                "are there (lines|entries) with {w} in {f}? show them",
            
        f"(show|print|find|give me|list) {_LINES} (with|containing|that contain|that mention) {{w}} in {{f}}",
        "which lines of {f} (contain|have|mention) {w}?",
        "grep (for|) {w} in {f}",
        "(search|look) for {w} in {f}",
        "search {f} for {w}",
        "where does {f} mention {w}?",
        "(find|show) {w} in (the file|) {f}",
        "what does {f} say about {w}?"),
        f"grep {string(word)} {quoted(path)}", f"search {path} for {word}", True, ordered=True, f=path,
        protected=(word,), w=rng.choice((word, word, f'"{word}"', f"'{word}'")))


@schema("grep.ignore_case", "grep", weight=1.0)
def ignore_case(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = rng.choice((str.lower, str.upper, str.lower))(word_in(world, rng, path))
    no_case = "(ignoring case|case-insensitively|in upper or lower case|in any case|no matter the case)"
    return single(rng, (*sought(f"(the|all|) lines (of|in) {{f}} (with|containing|mentioning) {{w}}, {no_case}",
                                tool="grep"), "(case-insensitive|case insensitive) search for {w} in {f}",
                                "find {w} in {f}, case does not matter",
            
        f"(show|print|find) {_LINES} (with|containing) {{w}} {no_case} in {{f}}",
        f"(search|look) for {{w}} in {{f}}, {no_case}",
        f"grep {{w}} in {{f}} {no_case}",
        f"search {{f}} for {{w}}, {no_case}",
        f"which lines of {{f}} (contain|have) {{w}}, {no_case}?",
        f"find {{w}} in {{f}} {no_case}"),
        f"grep -i {string(word)} {quoted(path)}", f"search {path} for {word} in any case", True, ordered=True, f=path,
        w=word)


@schema("grep.numbers", "grep", weight=1.2)
def numbers(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (with|containing|mentioning) {w} (and|with) their line "
                                "numbers", tool="grep"), "{f}: {w} with line numbers", "where in {f} is {w}? "
                                "(give|with) (the|) line numbers",
            
        "(on which lines|in which lines|in which line|on which line) (of|in) {f} (is|does) {w}(| occur)?".replace(
            "(is|does) {w}(| occur)", "(is {w}|does {w} occur|does {w} appear)"),
        f"(show|print|find) {_LINES} (with|containing) {{w}} in {{f}} with (their|) line numbers",
        "(give me|show|tell me) the line numbers of {w} in {f}",
        "grep {w} in {f} with line numbers",
        "at (which|what) line does {w} (appear|occur) in {f}?",
        "(search|look) for {w} in {f} (and show|with) (the|) line numbers"),
        f"grep -n {string(word)} {quoted(path)}", f"search {path} for {word} with line numbers", True, ordered=True,
        f=path, protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.invert", "grep", weight=1.2)
def invert(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (without|that lack|not containing|that don't mention) "
                                "{w}", "{f} without the (lines with|) {w} lines".replace("(lines with|) ", ""),
                                tool="grep"), "{f} minus the lines with {w}", "(filter|leave|throw) out the lines "
                                "with {w} from {f} (and show the rest|)".replace("(filter|leave|throw)",
                                                                      "(filter|leave)"), "{f}: everything without {w}",
            
        f"(show|print|list|give me) {_LINES} (of|in|from) {{f}} (without|not containing|that do not contain) {{w}}",
        "which lines of {f} (do not|don't) (contain|have|mention) {w}?",
        f"{_LINES} (of|in) {{f}} that (lack|do not have|don't have) {{w}}",
        "everything in {f} except (the|) lines (with|containing) {w}",
        "(print|show) {f} without the lines (that contain|containing|with) {w}",
        "(hide|leave out|skip) the lines with {w} (in|of) {f}"),
        f"grep -v {string(word)} {quoted(path)}", f"show the lines of {path} without {word}", True, ordered=True,
        f=path,
        protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.count", "grep", weight=2.0)
def count(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return single(rng, (*number("lines (of|in) {f} (with|containing|that mention|mentioning|matching) {w}",
                                "{w} lines (of|in) {f}"), "{f}: number of lines with {w}",
            
        "how many lines (of|in) {f} (contain|have|mention|match) {w}?",
        "count (the|) lines (with|containing|that contain) {w} in {f}",
        "(number|count) of lines (with|containing) {w} in {f}",
        "in how many lines (of {f} does {w} occur|does {w} occur in {f})?",
        "(tell me|show me) how many lines (of|in) {f} have {w}",
        "how many {w} lines (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)",
            "(are in {f}|does {f} have)"),
        "lines with {w} in {f}: how many?"),
        f"grep -c {string(word)} {quoted(path)}", f"count the lines with {word} in {path}", True,
        f"{{output}} lines contain {word}.", f=path, protected=(word,), w=rng.choice((word, word, f'"{word}"')))


@schema("grep.occurrences", "grep wc", weight=1.0)
def occurrences(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = word_in(world, rng, path)
    return single(rng, (*number("occurrences of {w} (in|inside) {f}", "{w}s in {f}".replace("{w}s",
                                                                      "occurrences of the word {w}")),
                                                                      "how often is the word {w} used in {f}? "
                                                                      "(count|count all|every occurrence, also "
                                                                      "several in a line)", "{f}: how many times {w}?",
            
        "how (often|many times) does {w} (occur|appear) in {f}?",
        "count (the|all|) occurrences of {w} in {f}",
        "how many (times|occurrences of) {w} (are there|) in {f}?".replace("(times|occurrences of) {w} (are there|)",
                                                                          "occurrences of {w} are there"),
        "(number|count) of occurrences of {w} in {f}",
        "how (often|many times) is {w} (in|mentioned in|used in) {f}?",
        "count how (often|many times) {w} (occurs|appears) in {f}"),
        f"grep -o {string(word)} {quoted(path)} | wc -l", f"count the occurrences of {word} in {path}", True,
        f"{word} occurs {{output}} times.", f=path, w=word)


@schema("grep.files_with", "grep", weight=2.2)
def files_with(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    path = world.pick_text(under="" if folder == "." else folder)
    word = word_in(world, rng, path)
    return single(rng, (*sought(f"(the|all|) (files|names of the files) {where} (with|containing|that mention|that "
                                f"contain) {{w}}"), f"(names of|list) the files {where} (with|containing) {{w}}",
                                f"{{w}}: which files {where} have it?", f"I forgot which file {where} mentions {{w}}, "
                                f"find it",
            
        f"which files {where} (contain|mention|have) (the word|the text|) {{w}}?",
        f"{_FIND} (all|the|) files {where} (containing|that contain|with) (the word|the text|) {{w}}",
        f"(find|search) (for|) {{w}} in all files {where} (and list the file names|, only the names)",
        f"in which files {where} (does {{w}} occur|is {{w}}|does {{w}} appear)?",
        f"files {where} (that mention|mentioning|containing) {{w}}",
        f"(what|which) files (talk about|mention) {{w}} {where}?",
        f"where is {{w}} mentioned {where}?"),
        f"grep -rl {string(word)} {below(folder)}", f"find the files that contain {word}", True, protected=(word,),
        w=rng.choice((word, word, word, f'"{word}"')), **slots)


@schema("grep.files_without", "grep", weight=0.8)
def files_without(world: World, rng: random.Random) -> Draft:
    word = word_in(world, rng, world.pick_text())
    return single(rng, (*sought("(the|all|) files (without|that do not mention|that don't contain|lacking) {w}"),
                        "(names of|list) the files without {w}",
            
        "which files (do not|don't) (contain|mention|have) (the word|the text|) {w}?",
        f"{_FIND} (all|the|) files (not containing|that do not contain|without|that don't contain) (the word|) {{w}}",
        "(which|what) files (lack|miss) (the word|) {w}?",
        "files (without|not mentioning) (the word|) {w}",
        "in which files (does {w} not occur|is there no {w})?",
        f"{_FIND} files (where|in which) {{w}} (does not|doesn't) (occur|appear)"),
        f"grep -rL {string(word)} .", f"find the files without {word}", True, w=word)


@schema("grep.recursive", "grep", weight=1.5)
def recursive(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    path = world.pick_text(under="" if folder == "." else folder)
    word = word_in(world, rng, path, 4)
    return single(rng, (*sought(f"(all|every one of the) lines (with|containing|that mention) {{w}} {where}, in any "
                                f"file, with line numbers".replace("every one of the", "all the")),
                                f"search recursively {where} for {{w}}", f"(search|look) through all files {where} "
                                f"for {{w}}",
            
        f"(search|look) for {{w}} in all files {where} (with line numbers|)",
        f"grep (for|) {{w}} (recursively|in all files|everywhere) {where}",
        f"(show|print|find) {_LINES} (with|containing) {{w}} in (all|any of the|) files {where}",
        f"(search|look) for {{w}} (everywhere|recursively) {where}",
        f"where (exactly|) does {{w}} (occur|appear) {where}?",
        f"find every (line with|occurrence of|mention of) {{w}} {where}"),
        f"grep -rn {string(word)} {below(folder)}", f"search all files for {word}", True, w=word, **slots)


@schema("grep.starts", "grep", weight=1.0)
def starts(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    firsts = sorted({line.split()[0] for line in world.read(path).splitlines() if line[:1].isalnum()})
    firsts = [word for word in firsts if word.isalnum()]
    if not firsts:
        raise Unsuitable("no word")
    start = rng.choice(firsts)
    if rng.random() < 0.4:
        start = start[0]
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (starting|that start|beginning|that begin) with {w}",
                                tool="grep"), "{f}: lines starting with {w}",
            
        f"(show|print|find|list) {_LINES} (of|in) {{f}} (that start|starting|that begin|beginning) with {{w}}",
        "which lines (of|in) {f} (start|begin) with {w}?",
        f"{_LINES} (starting|beginning) with {{w}} in {{f}}",
        "grep lines that (start|begin) with {w} (in|from) {f}",
        "what lines of {f} have {w} at the (start|beginning)?",
        "lines of {f} that (begin|start) with {w}"),
        f"grep {string('^' + start)} {quoted(path)}", f"search {path} for lines starting with {start}", True,
        ordered=True, f=path, w=start)


@schema("grep.ends", "grep", weight=0.8)
def ends(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    lasts = sorted({line.split()[-1] for line in world.read(path).splitlines() if line[-1:].isalnum()})
    lasts = [word for word in lasts if word.isalnum()]
    if not lasts:
        raise Unsuitable("no word")
    end = rng.choice(lasts)
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (ending|that end) (with|in) {w}", tool="grep"),
                        "{f}: lines ending in {w}",
            
        f"(show|print|find|list) {_LINES} (of|in) {{f}} (that end|ending|which end) (with|in) {{w}}",
        "which lines (of|in) {f} end (with|in) {w}?",
        f"{_LINES} (ending|that end) (with|in) {{w}} in {{f}}",
        "grep lines that end (with|in) {w} (in|from) {f}",
        "what lines of {f} have {w} at the end?",
        "lines of {f} that end (with|in) {w}"),
        f"grep {string(end + '$')} {quoted(path)}", f"search {path} for lines ending with {end}", True, ordered=True,
        f=path, w=end)


@schema("grep.either", "grep", weight=1.0)
def either(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    a, b = word_in(world, rng, path), word_in(world, rng, path)
    if a == b:
        raise Unsuitable("one word")
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (with|containing|mentioning) (either|) {a} or {b}",
                                tool="grep"), "{f}: lines with {a} or {b}",
            
        f"(show|print|find|list) {_LINES} (with|containing|that contain) {{a}} or {{b}} in {{f}}",
        "which lines (of|in) {f} (contain|have|mention) {a} or {b}?",
        "(search|look) for {a} or {b} in {f}",
        "grep {a} or {b} in {f}",
        "(search|look) for both {a} and {b} in {f}",
        f"{_LINES} (of|in) {{f}} that (have|mention) either {{a}} or {{b}}"),
        f"grep -E {string(f'{a}|{b}')} {quoted(path)}", f"search {path} for {a} or {b}", True, ordered=True, f=path,
        a=a, b=b)


@schema("grep.both", "grep", weight=0.7)
def both(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    rows = [row for row in ([word for word in line.split() if word.isalpha() and len(word) > 2]
                            for line in world.read(path).splitlines()) if len(set(row)) > 1]
    if not rows:
        raise Unsuitable("short lines")
    a, b = rng.sample(sorted(set(rng.choice(rows))), 2)
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (with|containing|mentioning) both {a} and {b}",
                                tool="grep"), "{f}: lines with {a} and {b} together",
            
        f"(show|print|find|list) {_LINES} (with|containing|that contain) both {{a}} and {{b}} in {{f}}",
        "which lines (of|in) {f} (contain|have|mention) both {a} and {b}?",
        f"{_LINES} (of|in) {{f}} that (have|mention|contain) {{a}} and also {{b}}",
        f"{_LINES} in {{f}} (with|containing) {{a}} as well as {{b}}",
        "in {f}, (show|find) the lines where {a} and {b} (occur|appear) together",
        "lines of {f} with {a} and {b} in them"),
        f"grep {string(a)} {quoted(path)} | grep {string(b)}", f"search {path} for {a} and {b}", True, ordered=True,
        f=path, a=a, b=b)


@schema("grep.context", "grep", weight=0.7)
def context(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6), rng.randint(1, 3)
    word, after = word_in(world, rng, path), rng.random() < 0.6
    side = "after" if after else "before"
    return single(rng, (
        f"(show|print|find) (the|) lines (with|containing) {{w}} in {{f}} and {{n}} "
        f"{'line' if n == 1 else 'lines'} {side} (it|each|them)",
        f"(search|look) for {{w}} in {{f}} with {{n}} {'line' if n == 1 else 'lines'} {side} (it|the match)",
        f"grep {{w}} in {{f}} with {{n}} {'line' if n == 1 else 'lines'} of context {side} (it|the match)",
        f"what comes {side} {{w}} in {{f}}? show {{n}} {'line' if n == 1 else 'lines'}",
        f"show {{w}} in {{f}} and the {{n}} {'line' if n == 1 else 'lines'} {side} (it|each match)",
        f"find {{w}} in {{f}}, (also show|with) the {{n}} {'line' if n == 1 else 'lines'} {side} (it|)"),
        f"grep -{'A' if after else 'B'} {n} {string(word)} {quoted(path)}", f"search {path} for {word} with context",
        True,
        ordered=True, f=path, w=word, n=n)


@schema("grep.extract", "grep", weight=0.9)
def extract(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "log", "md", "csv")))
    what, pattern, values = rng.choice((
        ("(email addresses|emails|e-mail addresses)", r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+",
         [f"{rng.choice(names.FIRST).lower()}@{names.word(rng).lower()}.com" for _ in range(3)]),
        ("(dates|ISO dates)", r"[0-9]{4}-[0-9]{2}-[0-9]{2}", [names.date(rng) for _ in range(3)]),
        ("(IP addresses|ip addresses|IPs)", r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+",
         [".".join(str(rng.randint(1, 254)) for _ in range(4)) for _ in range(3)]),
        ("(URLs|links|web addresses)", r"https?://[^ ]+",
            [f"https://{names.word(rng).lower()}.org/{names.word(rng)}" for _ in range(3)]),
        ("(numbers|all numbers)", r"[0-9]+", [str(rng.randint(1, 9999)) for _ in range(3)])))
    rows = world.text(rng.randint(2, 6)).splitlines() + [f"{' '.join(world.words(2))} {value}" for value in values]
    rng.shuffle(rows)
    world.add_file(path, "\n".join(rows) + "\n")
    return single(rng, (
        f"(extract|get|list|find|show) (all|the|all the|) {what} (from|in) {{f}}",
        f"(which|what) {what} (are|occur) in {{f}}?",
        f"(print|show) only the {what} (from|of|in) {{f}}",
        f"{what} in {{f}}",
        f"pull (all|the) {what} out of {{f}}",
        f"grep (the|all|) {what} (from|in) {{f}}"),
        f"grep -oE {string(pattern)} {quoted(path)}", f"extract them from {path}", True, ordered=True, f=path)


@schema("grep.per_file", "grep", weight=0.6)
def per_file(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in world.texts() if "/" not in path and "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    path = rng.choice([path for path in world.texts() if "/" not in path and path.endswith("." + ext)])
    word = word_in(world, rng, path)
    what, slots = kind(ext)
    return single(rng, (
        f"how many lines (with|containing) {{w}} (does each|do each) of the {what} have?".replace("(does each|do each)",
            "does each"),
        f"count (the|) lines with {{w}} in (each|every) one of the {what}",
        f"for (each|every) one of the {what}, how many lines (contain|have) {{w}}?",
        f"(show|list) the number of {{w}} lines (per file|for each file) in (all|the) {what}",
        f"(count|number of) lines (with|containing) {{w}} per file in (the|all) {what}",
        f"{{w}} lines per file in the {what}"),
        f"grep -c {string(word)} *.{ext}", f"count the lines with {word} in each .{ext} file", True, w=word, **slots)
