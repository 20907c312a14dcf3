"""Counting what a text holds: lines of a kind, words, characters, columns."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import commented, rows
from nimllm.agent.gym.schemas.frames import mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import list_file, ordinal, pattern_in, table, text_file, word_in
from nimllm.agent.gym.worlds import World

_IN = "(in|of)"


@schema("count.blank", "grep", weight=1.2)
def blank(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4, 40)
    if "\n\n" not in world.read(path):
        raise Unsuitable("no blank line")
    return show(rng, number(f"(blank|empty) lines {_IN} {{f}}", "lines in {f} that are (blank|empty)"),
                f"grep -c '^$' {quoted(path)}", f"count the blank lines of {path}", f=path)


@schema("count.nonblank", "grep", weight=1.2)
def nonblank(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4, 40)
    if "\n\n" not in world.read(path):
        raise Unsuitable("no blank line")
    return show(rng, number(f"non-(blank|empty) lines {_IN} {{f}}", "lines in {f} that are not (blank|empty)",
                            f"lines {_IN} {{f}}, not counting (blank|empty) ones", f"lines with (text|something) "
                            f"{_IN} {{f}}"),
                f"grep -c . {quoted(path)}", f"count the lines of {path} that are not blank", f=path)


@schema("count.bytes", "wc", weight=1.0)
def size(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return show(rng, (*number(f"bytes {_IN} {{f}}"), "how (big|large) is {f} in bytes?", "size of {f} in bytes",
                      "how many bytes does {f} (have|take|contain)?", "byte count of {f}"),
                f"wc -c < {quoted(path)}", f"count the bytes of {path}", f=path)


@schema("count.all", "wc", weight=0.8)
def everything(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return show(rng, (*sought("(the number of|) lines, words and (bytes|characters) (of|in) {f}",
                              "the (line, word and byte|wc) counts of {f}", tool="wc"),
                      "how many lines, words and bytes (does {f} have|are in {f})?", "count lines, words and bytes "
                      "(of|in) {f}",
                      "wc {f}", "run wc on {f}"),
                f"wc {quoted(path)}", f"count lines, words and bytes of {path}", f=path)


@schema("count.two_files", "wc", weight=1.0)
def two_files(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1), text_file(world, rng, 1)
    if a == b:
        raise Unsuitable("one file")
    unit, option = rng.choice((("lines", "-l"), ("lines", "-l"), ("words", "-w")))
    if rng.random() < 0.5:
        return show(rng, (f"how many {unit} do {{f}} and {{g}} have (together|in total|combined|altogether)?",
                          f"(total|combined) number of {unit} (in|of) {{f}} and {{g}}",
                          f"(count|add up) the {unit} of {{f}} and {{g}} (together|in total)",
                          f"(show|give me|I need) the total (number of {unit}|{unit[:-1]} count) (of|for) {{f}} and "
                          f"{{g}}"
                          ", (just the sum|one number|only the total)", f"{{f}} plus {{g}}: how many {unit} in total?"),
                    f"cat {quoted(a, b)} | wc {option}", f"count the {unit} of both together", f=a, g=b)
    return show(rng, (f"how many {unit} (do|does) (each of|) {{f}} and {{g}} have?".replace("(do|does) (each of|)",
                                                                      "do"),
                      f"count the {unit} (of|in) {{f}} and {{g}}", f"{unit[:-1]} counts of {{f}} and {{g}}",
                      f"(show|print|give me) the number of {unit} in {{f}} and in {{g}}",
                      f"which has more {unit}, {{f}} or {{g}}?", f"compare the {unit[:-1]} counts of {{f}} and {{g}}"),
                f"wc {option} {quoted(a, b)}", f"count the {unit} of both", f=a, g=b)


@schema("count.per_file", "wc", weight=1.0)
def per_file(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in world.texts() if "/" not in path and "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    unit, option = rng.choice((("lines", "-l"), ("lines", "-l"), ("words", "-w")))
    return show(rng, (f"how many {unit} (has|are in) (each|every) {{e}} file (here|)?",
                      f"count the {unit} (of|in) (all|the|each of the) {{e}} files (here|in this folder|)",
                      f"{unit[:-1]} counts (of|for) (all|the) {{e}} files", f"wc {option} (on|of|for) (all|the) "
                      f"{{e}} files",
                      f"(show|list|print) the number of {unit} (per|for each|of every) {{e}} file",
                      f"(all|the) {{e}} files with their {unit[:-1]} counts"),
                f"wc {option} *.{ext}", f"count the {unit} of the .{ext} files", ordered=False, e=rng.choice((f".{ext}",
                                                                      ext,
                                                                                                 f"*.{ext}")))


@schema("count.any_case", "grep wc", weight=1.2)
def any_case(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = rng.choice((str.lower, str.upper, str.capitalize))(word_in(world, rng, path))
    case = ("(ignoring case|case-insensitively|in any case|whatever the case|upper or lower case|no matter how it is "
            "capitalised|case does not matter|case insensitive)")
    if rng.random() < 0.5:
        return show(rng, (*number(f"lines {_IN} {{f}} (with|containing|that mention) {{w}}, {case}"),
                          f"how many lines of {{f}} (contain|mention|have) {{w}}, {case}?"),
                    f"grep -ic {string(word)} {quoted(path)}", f"count the lines with {word} in any case", f=path,
                    w=mark(rng, word))
    return show(rng, (*number(f"(times|occurrences of) {{w}} in {{f}}, {case}".replace("(times|occurrences of)",
                                                                                     "occurrences of")),
                      f"how (often|many times) does {{w}} (occur|appear|turn up) in {{f}}, {case}?",
                      f"how (often|many times) does {{f}} (say|mention|contain) {{w}}, {case}?"),
                f"grep -oi {string(word)} {quoted(path)} | wc -l", f"count {word} in any case", f=path, w=mark(rng,
                                                                      word))


@schema("count.whole_word", "grep wc", weight=0.9)
def whole_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = word_in(world, rng, path, 2)
    if not re.search(rf"\b{word}\b", world.read(path)):
        raise Unsuitable("inside other words only")
    whole = "(as a whole word|as a word of its own|as a separate word|whole words only|not inside other words)"
    if rng.random() < 0.5:
        return show(rng, (*number(f"lines {_IN} {{f}} (with|containing) {{w}} {whole}",
                                  f"lines {_IN} {{f}} (with|containing) the whole word {{w}}"),
                          f"how many lines of {{f}} have {{w}} {whole}?"),
                    f"grep -cw {string(word)} {quoted(path)}", f"count the lines with the word {word}", f=path,
                    w=mark(rng, word))
    return show(rng, (*number("occurrences of the whole word {w} in {f}", f"occurrences of {{w}} {whole} in {{f}}"),
                      f"how (often|many times) does {{w}} (occur|appear) in {{f}} {whole}?",
                      "how (often|many times) is the exact word {w} in {f}? (not|don't count it) inside longer words"),
                f"grep -ow {string(word)} {quoted(path)} | wc -l", f"count the word {word}", f=path, w=mark(rng, word))


@schema("count.without", "grep", weight=1.1)
def without(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    word = pattern_in(world, rng, path)
    return show(rng, (*number(f"lines {_IN} {{f}} (without|that do not contain|not containing|that don't mention) "
                              f"{{w}}"),
                      "how many lines of {f} (do not|don't) (contain|have|mention) {w}?",
                      "in how many lines of {f} (is there no|does not occur) {w}?".replace("(is there no|does not "
                                                                      "occur)",
                                                                                         "is there no")),
                f"grep -cv {string(word)} {quoted(path)}", f"count the lines without {word}", f=path, w=mark(rng, word))


@schema("count.starting", "grep", weight=1.1)
def starting(world: World, rng: random.Random) -> Draft:
    path, end = text_file(world, rng), rng.random() < 0.35
    words = sorted({row.split()[-1 if end else 0] for row in rows(world, path)
                    if row.strip() and row[-1 if end else 0].isalnum()})
    words = [word for word in words if word.isalnum()]
    if not words:
        raise Unsuitable("no word")
    word = rng.choice(words)
    if not end and rng.random() < 0.4:
        word = word[0]
    how = "(ending|that end|which end) (with|in)" if end else "(starting|that start|beginning|that begin) with"
    return show(rng, (*number(f"lines {_IN} {{f}} {how} {{w}}", f"lines {how} {{w}} in {{f}}"),
                      f"how many lines of {{f}} {'end' if end else '(start|begin)'} with {{w}}?"),
                f"grep -c {string(word + '$' if end else '^' + word)} {quoted(path)}",
                f"count the lines {'ending' if end else 'starting'} with {word}", f=path, w=mark(rng, word))


@schema("count.sign", "grep wc", weight=0.9)
def sign(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    names = {",": "commas", ".": "(dots|periods|full stops)", ":": "colons", "?": "question marks",
             "-": "(dashes|hyphens)",
             ";": "semicolons", "/": "slashes", "=": "equals signs", "#": "(hashes|# signs)", "@": "(at signs|@ signs)"}
    found = [mark for mark in names if mark in world.read(path)]
    letters = sorted(set(re.findall("[A-Za-z]", world.read(path))))
    if rng.random() < 0.5 and letters:
        letter = rng.choice(letters)
        return show(rng, (*number(f"(letters|occurrences of the letter|times the letter) {{w}} {_IN} {{f}}".replace(
            "(letters|occurrences of the letter|times the letter)", "occurrences of the letter")),
            "how (often|many times) does the letter {w} (occur|appear) in {f}?",
            "how many {w} (characters|letters) (are there|) in {f}?".replace("(are there|)", "are there")),
            f"grep -o {string(letter)} {quoted(path)} | wc -l", f"count the letter {letter}", f=path, w=mark(rng,
                                                                      letter, 0.7))
    if not found:
        raise Unsuitable("no signs")
    one = rng.choice(found)
    return show(rng, (*number(f"{names[one]} {_IN} {{f}}"), f"how many {names[one]} does {{f}} (have|contain)?"),
                f"grep -oF {string(one)} {quoted(path)} | wc -l", "count them", f=path)


@schema("count.comments", "grep", weight=0.8)
def comments(world: World, rng: random.Random) -> Draft:
    path = commented(world, rng)
    if rng.random() < 0.6:
        return show(rng, number(f"(comments|comment lines) {_IN} {{f}}", "lines in {f} (starting|that start) with #",
                                f"(commented|commented-out|commented out) lines {_IN} {{f}}"),
                    f"grep -c '^#' {quoted(path)}", f"count the comments of {path}", f=path)
    return show(rng, number(f"lines {_IN} {{f}} (without|not counting|excluding) comments and (blank|empty) lines",
                            f"(real|active|effective) lines {_IN} {{f}}, no comments and no (blank|empty) lines"),
                f"grep -cvE '^(#|$)' {quoted(path)}", "count the lines that are neither comments nor blank", f=path)


@schema("count.distinct_words", "tr sort wc", weight=0.7)
def distinct_words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 20)
    if re.search(r"^ | $|^$|\t", world.read(path).rstrip("\n"), re.MULTILINE):
        raise Unsuitable("blanks")
    return show(rng, (*number(f"(different|distinct|unique) words {_IN} {{f}}"),
                      "how many different words does {f} (use|contain|have)?", "size of the vocabulary of {f}"),
                f"tr -s ' ' '\\n' < {quoted(path)} | sort -u | wc -l", f"count the different words of {path}", f=path)


@schema("count.repeated", "sort uniq wc", weight=0.8)
def repeated(world: World, rng: random.Random) -> Draft:
    path, once = list_file(world, rng, 6), rng.random() < 0.4
    found = rows(world, path)
    if not [row for row in set(found) if (found.count(row) == 1) == once]:
        raise Unsuitable("none")
    if once:
        return show(rng, (*number("(lines|entries) that (occur|appear) (only|exactly|just) once in {f}",
                                  f"(lines|entries) {_IN} {{f}} without a (duplicate|repetition)"),
                          "how many (lines|entries) of {f} are not repeated?"),
                    f"sort {quoted(path)} | uniq -u | wc -l", "count the lines that occur once", f=path)
    return show(rng, (*number("(different|distinct|) (lines|entries) that (occur|appear) (more than once|several "
                              "times|at "
                              "least twice) in {f}", f"(duplicated|repeated) (lines|entries|values) {_IN} {{f}}"),
                      "how many (lines|entries) of {f} have duplicates?"),
                f"sort {quoted(path)} | uniq -d | wc -l", "count the repeated lines", f=path)


@schema("count.with_digits", "grep", weight=0.7)
def with_digits(world: World, rng: random.Random) -> Draft:
    path, invert = text_file(world, rng, 4), rng.random() < 0.3
    if all(bool(re.search("[0-9]", row)) == invert for row in rows(world, path)):
        raise Unsuitable("none")
    how = ("(without|that have no|containing no) (digits|numbers)" if invert else
           "(with|containing|that have|that contain) (digits|a digit|numbers|a number)")
    return show(rng, (*number(f"lines {_IN} {{f}} {how}"), f"in {{f}}, how many lines are {how}?".replace("are ",
                                                                      "are there ")),
                f"grep -c{'v' if invert else ''} '[0-9]' {quoted(path)}", "count the lines by their digits", f=path)


@schema("count.longer", "awk wc", weight=0.8)
def longer(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.choice(sorted({len(row) for row in rows(world, path)})[:-1] or [0])
    if n < 5:
        raise Unsuitable("short lines")
    return show(rng, (*number(f"lines {_IN} {{f}} (longer than|over|with more than|exceeding) {{n}} characters"),
                      "how many lines of {f} (are longer than|exceed|have more than) {n} characters?"),
                f"awk 'length > {n}' {quoted(path)} | wc -l", f"count the lines over {n} characters", f=path, n=n)


@schema("count.in_line", "sed wc", weight=0.8)
def in_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3, 40)
    n = rng.randint(1, len(rows(world, path)))
    if not rows(world, path)[n - 1].strip():
        raise Unsuitable("empty line")
    place = "(line {n}|line number {n}|the {o} line) (of|in) {f}"
    return show(rng, (*number(f"words in {place}"), f"how many words (are|does it have) (on|in) {place}?".replace(
        "(are|does it have) (on|in)", "are in"), "{f}: word count of line {n}"),
        f"sed -n {n}p {quoted(path)} | wc -w", f"count the words of line {n}", f=path, n=n, o=ordinal(n))


@schema("count.characters_in_line", "awk", weight=0.6)
def characters_in_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3, 40)
    n = rng.randint(1, len(rows(world, path)))
    return show(rng, (*sought("the length of (line {n}|the {o} line) (of|in) {f} (in characters|)", tool="awk"),
                      "how long is (line {n}|the {o} line) (of|in) {f}?", "how many characters (has|are in) line {n} "
                      "of {f}?",
                      "number of characters in line {n} of {f}"),
                f"awk 'NR == {n} {{ print length }}' {quoted(path)}", f"measure line {n} of {path}", f=path, n=n,
                o=ordinal(n))


@schema("count.words_per_line", "awk", weight=0.6)
def words_per_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 25)
    return show(rng, (*sought("the number of words (in|of) (each|every) line (of|in) {f}",
                              "(the|) word (count|counts) (per|of"
                              " every|for each) line (of|in) {f}", tool="awk"),
                      "how many words (has|are in) (each|every) line of {f}?", "count the words (per|in each) line of "
                      "{f}"),
                f"awk '{{ print NF }}' {quoted(path)}", f"count the words of each line of {path}", f=path)


@schema("count.wordiest", "awk", weight=0.5)
def wordiest(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3, 30)
    sizes = sorted(len(row.split()) for row in rows(world, path))
    if sizes[-1] == sizes[-2]:
        raise Unsuitable("a tie")
    return show(rng, (*sought("the line (of|in) {f} with the most words", "the (line|row) that has the most words in "
                              "{f}",
                              tool="awk"), "which line (of|in) {f} has (the|) most words?",
                              "{f}: line with most words"),
                f"awk 'NF > max {{ max = NF; line = $0 }} END {{ print line }}' {quoted(path)}",
                "find the line with the most words", f=path)


@schema("count.average_length", "awk", weight=0.5)
def average_length(world: World, rng: random.Random) -> Draft:
    path, words = text_file(world, rng, 3), rng.random() < 0.4
    if words:
        return show(rng, (*sought("the (average|mean) number of words per line (in|of) {f}", tool="awk"),
                          "how many words (does a line of {f} have on average|per line has {f} on average)?",
                          "average words per line (in|of) {f}"),
                    f"awk '{{ s += NF }} END {{ print s / NR }}' {quoted(path)}", "average the words per line", f=path)
    return show(rng, (*sought("the (average|mean) line length (in|of) {f}", "the (average|mean) (length|number of "
                              "characters)"
                              " of (the|a) lines in {f}".replace("(the|a) lines", "the lines"), tool="awk"),
                      "how long are the lines of {f} on average?", "average line length of {f}"),
                f"awk '{{ s += length }} END {{ print s / NR }}' {quoted(path)}", "average the line lengths", f=path)


@schema("count.either", "grep", weight=0.8)
def either(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng)
    a, b = word_in(world, rng, path), word_in(world, rng, path)
    if a == b:
        raise Unsuitable("one word")
    return show(rng, (*number(f"lines {_IN} {{f}} (with|containing|that mention) (either|) {{a}} or {{b}}"),
                      "how many lines of {f} (contain|mention|have) {a} or {b}?"),
                f"grep -cE {string(f'{a}|{b}')} {quoted(path)}", f"count the lines with {a} or {b}", f=path,
                a=mark(rng, a), b=mark(rng, b))


@schema("count.everywhere", "grep wc", weight=0.9)
def everywhere(world: World, rng: random.Random) -> Draft:
    word = word_in(world, rng, world.pick_text())
    if rng.random() < 0.5:
        return show(rng, (*number("files (here|in this folder|in here|below this folder|) that (contain|mention|have) "
                                  "{w}",
                                  "files (with|containing|mentioning) {w}"), "in how many files does {w} "
                                  "(occur|appear)?"),
                    f"grep -rl {string(word)} . | wc -l", f"count the files with {word}", w=mark(rng, word))
    return show(rng, (*number("occurrences of {w} in all files (here|below this folder|together|)",
                              "occurrences of {w} (in the whole folder|in this directory and below)"),
                      "how (often|many times) does {w} (occur|appear) in (all the files|all files|the whole folder)"
                      " (together|in total|)?"),
                f"grep -ro {string(word)} . | wc -l", f"count {word} in all files", w=mark(rng, word))


@schema("count.columns", "awk", weight=0.9)
def columns(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng)
    return show(rng, (*number(f"(columns|fields) {_IN} {{f}}"), "how many (columns|fields) does {f} have?",
                      "how wide is the table {f}, in columns?"),
                f"awk -F , '{{ print NF; exit }}' {quoted(path)}", f"count the columns of {path}", f=path)


@schema("count.lines_exact", "grep", weight=0.7)
def exact(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 5)
    line = rng.choice(rows(world, path))
    return show(rng, (*number(f"lines {_IN} {{f}} that are (exactly|equal to) {{w}}", f"lines {_IN} {{f}} (consisting "
                              f"of|that"
                              " read) (just|only|exactly) {w}"),
                      "how (often|many times) does the (exact|) line {w} occur in {f}?",
                      "how (often|many times) is {w} listed in {f}, (exact lines only|as a whole line)?"),
                f"grep -cx {string(line)} {quoted(path)}", f"count the lines that are {line}", f=path, w=mark(rng,
                                                                      line),
                protected=(line,))


@schema("count.at_least", "sort uniq awk", weight=0.8)
def at_least(world: World, rng: random.Random) -> Draft:
    path, n = list_file(world, rng, 8), rng.choice((1, 2, 2, 3))
    found = rows(world, path)
    if not any(found.count(row) > n for row in found):
        raise Unsuitable("none so often")
    return show(rng, (*sought("(lines|entries|values) that (occur|appear) more than {n} times in {f}, with "
                              "(their|the) counts",
                              "(lines|entries) (of|in) {f} with more than {n} (occurrences|repetitions) and "
                              "(their|the) counts",
                              tool="uniq"),
                      "which (lines|entries) (occur|appear) more than {n} times in {f}? (show the counts|with counts)",
                      "what is in {f} more than {n} times, and how often?"),
                f"sort {quoted(path)} | uniq -c | awk '$1 > {n}'", f"find the lines that occur more than {n} times",
                ordered=False, f=path, n=spelled(rng, n))
