"""grep's other habits: whole words and lines, fixed text, several patterns, several files, what is matched."""

from __future__ import annotations

import random
import re
from typing import Any

from nimllm.agent.gym import names, records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import called, mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import KINDS, list_file, pattern_in, some_ext, text_file, word_in
from nimllm.agent.gym.worlds import World

_LINES = "(lines|the lines|all lines|every line)"
_WITH = "(with|containing|that contain|that mention)"


@schema("grep.word", "grep", weight=1.2)
def whole_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = word_in(world, rng, path, 2)
    if not re.search(rf"\b{word}\b", world.read(path)):
        raise Unsuitable("inside other words only")
    whole = "(as a whole word|as a word of its own|as a separate word|as a whole word only|but not inside other words)"
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} {_WITH} {{w}} {whole}",
                              f"{_LINES} (of|in) {{f}} {_WITH} the (whole|exact) word {{w}}", tool="grep"),
                      "(search|look) in {f} for the (whole|exact) word {w} (only|)",
                      "grep {f} for {w}, whole words only", "which lines of {f} have the exact word {w}?",
                      "find {w} in {f}, (complete words only|not as part of a longer word)"),
                f"grep -w {string(word)} {quoted(path)}", f"search {path} for the word {word}", f=path, w=mark(rng,
                                                                      word))


@schema("grep.line", "grep", weight=0.7)
def whole_line(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 5)
    line = rng.choice(rows(world, path))
    return show(rng, (f"{_LINES} (of|in) {{f}} that (are|is) exactly {{w}}, with (line numbers|their numbers)".replace(
        "(are|is)", "are"), "on which lines of {f} is there exactly {w} (and nothing else|)?",
        "(search|grep) {f} for lines that are exactly {w}, with line numbers",
        "line numbers and lines of {f} that (equal|are equal to) {w}",
        "in which lines does {f} say {w} and nothing else? (show|with) line numbers",
        "exact line matches of {w} in {f} with line numbers"),
        f"grep -nx {string(line)} {quoted(path)}", f"search {path} for the line {line}", f=path, w=mark(rng, line),
        protected=(line,))


@schema("grep.around", "grep", weight=0.9)
def around(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6), rng.randint(1, 3)
    word = word_in(world, rng, path)
    lines = "line" if n == 1 else "lines"
    return show(rng, (*sought(f"(the|all|) lines {_WITH} {{w}} in {{f}} and {{n}} {lines} (around|before and after) "
                              f"(each|them)",
                              f"(the|every) (match|occurrence) of {{w}} in {{f}} with {{n}} {lines} of context (on "
                              f"both sides|)",
                              tool="grep"),
                      f"(search|grep) {{f}} for {{w}} with {{n}} {lines} of context",
                      f"what (stands|is) around {{w}} in {{f}}? show {{n}} {lines} (before and after|on either side)",
                      f"show {{w}} in {{f}} in its context, {{n}} {lines} (above and below|each way)"),
                f"grep -C {n} {string(word)} {quoted(path)}", f"search {path} for {word} with context", f=path,
                w=mark(rng, word), n=spelled(rng, n))


@schema("grep.include", "grep", weight=1.6)
def include(world: World, rng: random.Random) -> Draft:
    ext = some_ext(world, rng)
    found = [path for path in world.texts() if path.endswith("." + ext)]
    if not found:
        raise Unsuitable("no text")
    word = word_in(world, rng, rng.choice(found), 4)
    kinds = f"({{e}} files|{{e}} files|files ending in {{e}}|{KINDS.get(ext, '{e}')} files)"
    slots: dict[str, Any] = {"w": mark(rng, word), "e": rng.choice((f".{ext}", f"*.{ext}", f".{ext}"))}
    what = rng.random()
    if what < 0.45:
        return show(rng, (f"(which|what) {kinds} (contain|mention|have) {{w}}?",
                          f"(list|find|show|name) (the|all|) {kinds} (containing|that contain|with|that mention) {{w}}",
                          f"{kinds} (with|containing|mentioning) {{w}}, (only the names|names only|just the paths)",
                          f"in which {kinds} (does {{w}} occur|is {{w}} used|is {{w}} mentioned)?",
                          f"(search|grep) (all|the|only) {kinds} for {{w}} and (list|print) (only|just) the file names",
                          f"I need the names of all {kinds} {_WITH} {{w}}"),
                    f"grep -rl --include='*.{ext}' {string(word)} .", f"find the .{ext} files with {word}",
                    ordered=False,
                    **slots)
    return show(rng, (f"(search|look|grep) for {{w}} in (all|the|only) {kinds} (with line numbers|and show line "
                      f"numbers)",
                      f"(find|show) {{w}} in (all|the) {kinds}, with line numbers",
                      f"(search|grep) (all|the|only) {kinds} (recursively|) for {{w}}, with line numbers",
                      f"where (exactly|) do the {kinds} (mention|use|contain) {{w}}? (files and line numbers|with "
                      f"line numbers)",
                      f"grep -rn {{w}} but only in {kinds}",
                      f"every line {_WITH} {{w}} in (any of the|the) {kinds}, (with|and) its line number".replace(
                          "that contain|that mention", "that contains|that mentions")),
                f"grep -rn --include='*.{ext}' {string(word)} .", f"search the .{ext} files for {word}", ordered=False,
                **slots)


@schema("grep.no_names", "grep", weight=0.6)
def no_names(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in world.texts() if "/" not in path and "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    word = word_in(world, rng, rng.choice([path for path in world.texts() if "/" not in path and path.endswith("."
                                                                      + ext)]))
    bare = "(without|leaving out|but not) the file names"
    return show(rng, (f"{_LINES} {_WITH} {{w}} in (all|the) {{e}} files (here|), {bare}",
                      f"(search|grep) (all|the) {{e}} files (here|in this folder|) for {{w}}, {bare}",
                      f"(show|print) (just|only) the (matching|) lines for {{w}} in (all|the) {{e}} files, {bare}",
                      "grep {w} in the {e} files, no file names (please|in the output|)",
                      f"what do the {{e}} files say about {{w}}? {bare}",
                      f"find {{w}} in (all|the) {{e}} files and (print|show) the lines {bare}"),
                f"grep -h {string(word)} *.{ext}", f"search the .{ext} files for {word}", ordered=False, w=mark(rng,
                                                                      word),
                e=rng.choice((f".{ext}", f"*.{ext}")))


def special(world: World, rng: random.Random) -> tuple[str, str]:
    """A file and a text in it that a regular expression would read in another way."""
    text = rng.choice((
        f"[{rng.choice(('error', 'warn', 'info', world.word()))}]", f"${rng.randint(2, 99)}.{rng.randint(10, 99)}",
        f"{world.word()}()", f"*{world.word()}*", f"{rng.randint(1, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}",
        f"{world.word()}.{world.word()}", f"({world.word()})", f"{world.word()}[{rng.randint(0, 9)}]",
        f"{world.word()}?",
        f"^{world.word()}", f"{rng.randint(1, 9)} * {rng.randint(1, 9)}", f"C:\\{world.word()}", f"{world.word()}++",
        "a.*b"))
    path = world.new_name("file", rng.choice(("txt", "log", "md", "c", "py")))
    lines = world.text(rng.randint(4, 9)).splitlines()
    for _ in range(rng.randint(1, 3)):
        lines.insert(rng.randint(0, len(lines)), f"{world.word()} {text} {world.word()}")
    world.add_file(path, "\n".join(lines) + "\n")
    return path, text


@schema("grep.fixed", "grep", weight=1.2)
def fixed(world: World, rng: random.Random) -> Draft:
    path, text = special(world, rng)
    literal = "(literally|as plain text|as a fixed string|not as a (regex|pattern)|exactly as written|)"
    if rng.random() < 0.3:
        return show(rng, (*number("lines (of|in) {f} (with|containing) (the text|) {w}"),
                          f"how many lines of {{f}} contain {{w}} {literal}?"),
                    f"grep -cF {string(text)} {quoted(path)}", f"count the lines with {text}", f=path, w=mark(rng,
                                                                      text))
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} {_WITH} (the text|) {{w}} {literal}", tool="grep"),
                      f"(search|grep) {{f}} for (the string|the text|) {{w}} {literal}",
                      "where in {f} does it say {w}? (the lines|show the lines)",
                      f"(find|look for) {{w}} in {{f}}, {literal}", "which lines of {f} have {w} in them?"),
                f"grep -F {string(text)} {quoted(path)}", f"search {path} for the text {text}", f=path, w=mark(rng,
                                                                      text))


@schema("grep.first_number", "grep head cut", weight=0.6)
def first_matches(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 6)
    word = word_in(world, rng, path)
    if not any(word in row for row in rows(world, path)[1:]):
        raise Unsuitable("rare")
    return show(rng, (*sought("the line number of the first (line with|match for|occurrence of) {w} in {f}",
                              "the number of the first line (of|in) {f} (with|that contains) {w}"),
                      "(at|on|in) (which|what) line does {w} (first|) (appear|occur|show up) first in {f}?".replace(
                          "(first|) ", ""), "where does {w} first (occur|appear) in {f}? (just the|only the) line "
                          "number",
                      "first line number of {w} in {f}", "which line of {f} is the first with {w}? number only"),
                f"grep -n {string(word)} {quoted(path)} | head -n 1 | cut -d : -f 1", f"find the first line with "
                f"{word}",
                f=path, w=mark(rng, word))


@schema("grep.numbers_only", "grep cut", weight=0.8)
def numbers_only(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    word = pattern_in(world, rng, path)
    return show(rng, (*sought("(only|just) the line numbers (of|in) {f} where {w} (occurs|appears|is)",
                              f"the numbers of the lines (of|in) {{f}} {_WITH} {{w}}, (not|without) the lines "
                              f"themselves"),
                      "on which lines of {f} is {w}? (only|just) the numbers", "{f}: line numbers of {w}, nothing else",
                      "(just|only) the numbers of the lines with {w} in {f}",
                      "which line numbers in {f} (have|contain) {w}? numbers only"),
                f"grep -n {string(word)} {quoted(path)} | cut -d : -f 1", f"list the line numbers of {word}", f=path,
                w=mark(rng, word))


@schema("grep.neither", "grep", weight=0.8)
def neither(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    a, b = word_in(world, rng, path), word_in(world, rng, path)
    if a == b:
        raise Unsuitable("one word")
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} (with|that contain) neither {{a}} nor {{b}}",
                              f"{_LINES} (of|in) {{f}} without {{a}} (and|or) {{b}}",
                              "{f} without the lines that (contain|mention) {a} or {b}", tool="grep"),
                      "(leave out|skip|filter out|hide) the lines with {a} or {b} (from|in) {f} and (show|print) the "
                      "rest",
                      "which lines of {f} (mention|contain) neither {a} nor {b}?",
                      "everything in {f} except lines with {a} or {b}"),
                f"grep -vE {string(f'{a}|{b}')} {quoted(path)}", f"show the lines without {a} and {b}", f=path,
                a=mark(rng, a), b=mark(rng, b))


@schema("grep.one_not_other", "grep", weight=1.1)
def one_not_other(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    a, b = word_in(world, rng, path), word_in(world, rng, path)
    if a == b or not any(a in row and b not in row for row in rows(world, path)):
        raise Unsuitable("no line")
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} (with|that contain|containing) {{a}} but not {{b}}",
                              f"{_LINES} (of|in) {{f}} that (mention|have) {{a}} (and not|but no|but don't have) "
                              f"{{b}}".replace(
                                  "and not|but no|but don't have", "and not|but not"), tool="grep"),
                      "(search|grep) {f} for {a}, (excluding|leaving out|without) lines with {b}",
                      "which lines of {f} (contain|mention) {a} but not {b}?", "{a} lines of {f} except those with {b}",
                      "find {a} in {f} but (ignore|skip) (lines|anything) with {b}"),
                f"grep {string(a)} {quoted(path)} | grep -v {string(b)}", f"search {path} for {a} without {b}", f=path,
                a=mark(rng, a), b=mark(rng, b))


@schema("grep.three", "grep", weight=0.7)
def three(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    words = list(dict.fromkeys(word_in(world, rng, path) for _ in range(6)))[:3]
    if len(words) < 3:
        raise Unsuitable("few words")
    a, b, c = words
    case = rng.random() < 0.3
    how = " (in any case|ignoring case|case-insensitively)" if case else ""
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} {_WITH} {{a}}, {{b}} or {{c}}{how}",
                              f"{_LINES} (of|in) {{f}} (with|containing) any of {{a}}, {{b}}, {{c}}{how}", tool="grep"),
                      f"(search|grep) {{f}} for {{a}}, {{b}} (or|and) {{c}}{how}",
                      f"which lines of {{f}} have (at least|) one of the words {{a}}, {{b}} and {{c}}{how}?"),
                f"grep -{'i' if case else ''}E {string('|'.join(words))} {quoted(path)}",
                f"search {path} for three words",
                f=path, a=a, b=b, c=c)


@schema("grep.exists", "grep", weight=1.2)
def contained(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = word_in(world, rng, path) if rng.random() < 0.6 else world.word()
    yes = "(yes or no|answer yes or no|just yes or no|(print|say) yes or no)"
    return show(rng, (f"does {{f}} (contain|mention|have) (the word|) {{w}}? {yes}",
                      f"is {{w}} (in|mentioned in|anywhere in|somewhere in) {{f}}? {yes}",
                      f"(check|test|find out|tell me) (if|whether) {{f}} (contains|mentions) {{w}}, {yes}",
                      "{w} in {f}: yes or no?", "(print|say|echo) yes if {f} contains {w}, (otherwise|else) "
                      "no",
                      f"(can|do) you (find|see) {{w}} in {{f}}? {yes}".replace("(can|do) you (find|see)",
                                                                      "can you find")),
                f"grep -q {string(word)} {quoted(path)} && echo yes || echo no", f"check whether {path} contains "
                f"{word}",
                f=path, w=mark(rng, word))


@schema("grep.kind_of_line", "grep", weight=1.1)
def kind_of_line(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "lst", "dat", "log")))
    lines = [rng.choice((world.word(), world.word().upper(), str(world.number()), world.word().capitalize(),
                         f"{world.word()} {world.number()}", f"{world.word()}{rng.randint(1, 99)}",
                         f"-{rng.randint(1, 99)}",
                         f"{world.word()} {world.word()}", f"{rng.randint(1, 99)}.{rng.randint(0, 99)}"))
             for _ in range(rng.randint(6, 13))]
    world.add_file(path, "\n".join(lines) + "\n")
    what, option, pattern = rng.choice((
        ("(with a digit|with digits|that contain a digit|containing numbers|with a number in them)", "", "[0-9]"),
        ("(without digits|that contain no digits|without any digit|that have no numbers)", "-v", "[0-9]"),
        ("(starting|that start|beginning) with (a capital letter|an upper-case letter|an uppercase letter|a capital)",
         "",
         "^[A-Z]"),
        ("(starting|that start|beginning) with a (lower-case|lowercase|small) letter", "", "^[a-z]"),
        ("(starting|that start|beginning) with a (digit|number)", "", "^[0-9]"),
        ("(ending|that end) (with|in) a (digit|number)", "", "[0-9]$"),
        ("(that are|consisting of|made of|with) (only|nothing but) digits", "-E", "^[0-9]+$"),
        ("(that are|made of|consisting of|with) only (upper-case|uppercase|capital) letters", "-E", "^[A-Z]+$"),
        ("(that are|made of|consisting of|with) only (lower-case|lowercase|small) letters", "-E", "^[a-z]+$"),
        ("(with|containing|that contain) a (blank|space)", "", " "),
        ("(without|that have no|that contain no) (blank|blanks|space|spaces)", "-v", " "),
        ("(starting|that start) with a vowel", "-iE", "^[aeiou]"),
        ("of exactly {n} characters", "-E", f"^.{{{len(rng.choice(lines))}}}$"),
        ("of at least {n} characters", "-E", f"^.{{{len(rng.choice(lines))},}}$")))
    size = re.search(r"\d+(?=,?\}\$$)", pattern)
    command = " ".join(part for part in ("grep", option, string(pattern), quoted(path)) if part)
    said = (*sought(f"{_LINES} (of|in|from) {{f}} {what}", f"{_LINES} {what} (from|in) {{f}}", tool="grep"),
            f"which lines (of|in) {{f}} are (there|) {what}?".replace("are (there|) ", "are there "),
            f"(grep|filter|search) {{f}} for lines {what}", f"{{f}}: lines {what}")
    return show(rng, said, command, f"search {path} for such lines", f=path, n=size.group() if size else "")


_FORMS = {
    "(email addresses|emails|e-mail addresses|mail addresses)": r"[A-Za-z0-9._-]+@[A-Za-z0-9.-]+",
    "(dates|ISO dates)": r"[0-9]{4}-[0-9]{2}-[0-9]{2}",
    "(IP addresses|ip addresses|IPs|ips|IPv4 addresses)": r"[0-9]+\.[0-9]+\.[0-9]+\.[0-9]+",
    "(URLs|links|urls|web addresses)": r"https?://[^ ]+",
    "(times|times of day|clock times)": r"[0-9]{2}:[0-9]{2}:[0-9]{2}",
    "(hashtags|tags starting with #)": r"#[A-Za-z0-9_]+",
    "(quoted strings|strings in double quotes|texts in double quotes)": r'"[^"]*"',
    "(hex colors|hex colours|color codes)": r"#[0-9a-fA-F]{6}",
}


def _forms(world: World, rng: random.Random, what: str) -> str:
    host = f"{names.word(rng).lower()}.{rng.choice(('org', 'com', 'net'))}"
    key = list(_FORMS).index(what)
    return (f"{rng.choice(names.FIRST).lower()}@{host}", names.date(rng), records.ip(rng),
            f"https://{host}/{world.word()}",
            f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}",
            f"#{names.word(rng).replace('-', '_')}", f'"{world.word()}"', f"#{rng.randint(0, 0xffffff):06x}")[key]


@schema("grep.extract_distinct", "grep sort wc", weight=1.2)
def extract_distinct(world: World, rng: random.Random) -> Draft:
    what = rng.choice(list(_FORMS))
    path = world.new_name("file", rng.choice(("txt", "log", "md", "html", "css")))
    values = [_forms(world, rng, what) for _ in range(3)]
    lines = ["".join(letter for letter in row if letter not in '#"') for row in world.text(5).splitlines()]
    lines += [f"{world.word()} {value} {world.word()}" for value in values + rng.choices(values, k=rng.randint(1, 4))]
    rng.shuffle(lines)
    world.add_file(path, "\n".join(lines) + "\n")
    grep, kind = f"grep -oE {string(_FORMS[what])} {quoted(path)}", rng.random()
    if kind < 0.4:
        return show(rng, (*sought(f"(the|all|all the|) (unique|distinct|different) {what} (in|from) {{f}}",
                                  f"(the|all|) {what} (in|from) {{f}}, (each|every one) (only|just|) once",
                                  f"(the|all|) {what} (in|from) {{f}} without duplicates", tool="grep"),
                          f"(which|what) (different|distinct|unique) {what} (are|occur) in {{f}}?"),
                    f"{grep} | sort -u", f"extract the different ones from {path}", ordered=False, f=path)
    if kind < 0.6:
        return show(rng, (*number(f"(unique|distinct|different) {what} in {{f}}"),
                          f"how many different {what} does {{f}} (mention|contain)?"),
                    f"{grep} | sort -u | wc -l", f"count the different ones in {path}", f=path)
    if kind < 0.8:
        return show(rng, (*number(f"{what} in {{f}}"), f"how many {what} does {{f}} (contain|mention)? (count "
                          f"repetitions, too|"
                          "with repetitions|)"), f"{grep} | wc -l", f"count them in {path}", f=path)
    return show(rng, (*sought(f"(the|all|) {what} (in|from) {{f}} with (their|the) counts, most frequent first",
                              f"how often each of the {what} (occurs|appears) in {{f}}, most frequent first",
                              tool="grep"),
                      f"(count|tally) the {what} in {{f}}, most frequent first",
                      f"which {what} are most frequent in {{f}}? (counts|show counts), highest first"),
                f"{grep} | sort | uniq -c | sort -nr", f"count each of them in {path}", ordered=False, f=path)


@schema("grep.extract_more", "grep", weight=1.2)
def extract_more(world: World, rng: random.Random) -> Draft:
    what = rng.choice(list(_FORMS))
    path = world.new_name("file", rng.choice(("txt", "log", "md", "html", "css")))
    lines = ["".join(letter for letter in row if letter not in '#"') for row in world.text(5).splitlines()]
    lines += [f"{world.word()} {_forms(world, rng, what)} {world.word()}" for _ in range(rng.randint(2, 4))]
    rng.shuffle(lines)
    world.add_file(path, "\n".join(lines) + "\n")
    return show(rng, (*sought(f"(the|all|all the|every one of the|) {what} (in|from|of) {{f}}",
                              f"(only|just|nothing but) the {what} (in|from|of) {{f}}, one per line", tool="grep"),
                      f"(which|what) {what} (are|occur|stand) in {{f}}?", f"(extract|pull|get|fish) (all|the) {what} "
                      f"(from|out of)"
                      f" {{f}}", f"{{f}}: {what}, one per line", f"are there {what} in {{f}}? (list|print|show) them",
                      f"we need to contact people, get the {what} out of {{f}}" if "mail" in what else
                      f"collect the {what} from {{f}}"),
                f"grep -oE {string(_FORMS[what])} {quoted(path)}", f"extract them from {path}", f=path)


@schema("grep.files_any_case", "grep", weight=0.9)
def files_any_case(world: World, rng: random.Random) -> Draft:
    word = rng.choice((str.lower, str.upper))(word_in(world, rng, world.pick_text()))
    case = "(ignoring case|in any case|case-insensitively|upper or lower case|whatever the case)"
    return show(rng, (f"which files (here|) (contain|mention|have) {{w}}, {case}?",
                      f"(list|find|show) (the|all|) files {_WITH} {{w}} {case}",
                      f"in which files (does {{w}} occur|is {{w}} mentioned), {case}?",
                      f"(search|grep) all files for {{w}} {case} and (list|print) (only|just) the (file|) names",
                      f"file names only: where is {{w}} mentioned, {case}?"),
                f"grep -ril {string(word)} .", f"find the files with {word} in any case", ordered=False, w=mark(rng,
                                                                      word))


@schema("grep.words_starting", "grep", weight=0.6)
def words_starting(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    word = word_in(world, rng, path, 4)
    if not re.search(rf"\b{word}", world.read(path)):
        raise Unsuitable("inside")
    start = word[:rng.randint(1, 3)]
    return show(rng, (*sought("(all|the|) words (in|of|from) {f} (that start|starting|beginning) with {w}",
                              tool="grep"),
                      "(which|what) words (in|of) {f} (start|begin) with {w}?",
                      "(extract|find|list) (every|each|all) (word|words) (starting|beginning) with {w} (from|in) "
                      "{f}".replace(
                          "(every|each|all) (word|words)", "all words"), "words beginning with {w} in {f}"),
                f"grep -oE {string(chr(92) + 'b' + start + '[A-Za-z]*')} {quoted(path)}",
                f"list the words starting with {start}", f=path, w=mark(rng, start))


@schema("grep.pattern_file", "grep", weight=0.7)
def pattern_file(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    words = sorted({word for row in rng.sample(rows(world, path), 2) for word in re.findall("[A-Za-z]{3,}", row)})[:3]
    if not words:
        raise Unsuitable("no words")
    patterns = world.new_name("file", rng.choice(("txt", "lst", "pat")))
    world.add_file(patterns, "\n".join(words) + "\n")
    invert = rng.random() < 0.35
    if invert and all(any(word in row for word in words) for row in rows(world, path)):
        raise Unsuitable("all lines")
    how = "(with none of|without any of)" if invert else "(with one of|that contain any of|with any of)"
    return show(rng, (*sought(f"{_LINES} (of|in) {{f}} {how} the (words|patterns|entries) (listed|) in {{g}}",
                              f"{_LINES} (of|in) {{f}} that {'do not match' if invert else 'match'} (any|a) "
                              f"(pattern|line) (from|in)"
                              " {g}", tool="grep"),
                      f"(search|grep|filter) {{f}} {'for lines without' if invert else 'for'} the words in {{g}}",
                      f"which lines of {{f}} {'mention none' if invert else 'mention any'} of the words in {{g}}?"),
                f"grep -{'v' if invert else ''}f {quoted(patterns, path)}", f"search {path} for the words of "
                f"{patterns}",
                f=path, g=patterns)


@schema("grep.blank_numbers", "grep", weight=0.5)
def blank_numbers(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4, 40)
    if "\n\n" not in world.read(path):
        raise Unsuitable("no blank line")
    return show(rng, (*sought("the line numbers of the (blank|empty) lines (in|of) {f}",
                              "the numbers of (all|the) (blank|empty) lines in {f}"),
                      "which lines (of|in) {f} are (blank|empty)?", "where are (blank|empty) lines in {f}?",
                      "(at|on) which line numbers is {f} (blank|empty)?"),
                f"grep -n '^$' {quoted(path)} | cut -d : -f 1", f"list the numbers of the blank lines of {path}",
                f=path)


@schema("grep.under", "grep", weight=1.1)
def under(world: World, rng: random.Random) -> Draft:
    """Occurrences below a folder, counted or shown, with the folder named first or last."""
    folder = world.pick_dir()
    texts = world.texts(under=folder)
    if not texts:
        raise Unsuitable("no text")
    word = word_in(world, rng, rng.choice(texts))
    slots: dict[str, Any] = {"d": called(rng, folder), "w": mark(rng, word)}
    if rng.random() < 0.4:
        return show(rng, (*number("files (in|under|below) {d} (that contain|containing|that mention|with) {w}"),
                          "in how many files (in|under|below) {d} does {w} (occur|appear)?"),
                    f"grep -rl {string(word)} {quoted(folder)} | wc -l", f"count the files with {word}", **slots)
    return show(rng, ("(search|grep|look) (in|under|below|through) {d} for {w}, case-insensitively, with line numbers",
                      "(search|grep) (recursively|) for {w} (in|under) {d}, (ignoring|ignore) case, with line numbers",
                      "where (in|under) {d} is {w} mentioned, in any case? with line numbers",
                      "in {d}, find every line (with|that mentions) {w}, upper or lower case, with line numbers",
                      "{d}: all lines with {w} in any case, with line numbers",
                      "grep -rin {w} in {d}"),
                f"grep -rin {string(word)} {quoted(folder)}", f"search {folder} for {word}", ordered=False, **slots)


@schema("grep.assignment", "grep cut", weight=1.0)
def assignment(world: World, rng: random.Random) -> Draft:
    path, kinds = world.new_name("file", "log"), ("user", "action", "level")
    world.add_file(path, records.pair_log(rng, rng.randint(5, 14)))
    key = rng.choice(kinds)
    cut = f"grep -oE '{key}=[^ ]+' {quoted(path)} | cut -d = -f 2"
    at = rng.random()
    if at < 0.4:
        return show(rng, (*sought("(the|all|) (different|distinct|unique) values of {k} in {f}",
                                  "(every|each) (different|distinct) {k} (in|from) {f}, once"),
                          "(which|what) {k}s (are|occur) in {f}? (every one once|no duplicates|distinct only)",
                          "(which|what) different values does {k} (have|take) in {f}?"),
                    f"{cut} | sort -u", f"list the values of {key}", ordered=False, f=path, k=key)
    if at < 0.7:
        return show(rng, (*sought("the number of lines per {k} in {f}, most frequent first",
                                  "how often each {k} (occurs|appears) in {f}, (highest|most frequent) first"),
                          "(count|tally) the lines of {f} by {k}, (most frequent|highest count) first",
                          "lines per {k} in {f}, (busiest|most frequent) first"),
                    f"{cut} | sort | uniq -c | sort -nr", f"count the lines by {key}", ordered=False, f=path, k=key)
    return show(rng, (*sought("the value of {k} (in|on) (each|every) line of {f}", "(all|the) {k} values (in|of|from) "
                              "{f}, in order"),
                      "(extract|pull|get) (just|only|) the {k} (out of|from) (each|every) line of {f}"),
                cut, f"extract {key} from each line", f=path, k=key)
