"""Requests about a text or a value that stands in the request itself: no file is needed."""

from __future__ import annotations

import random

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import change, deed, mark, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import string
from nimllm.agent.gym.schemas.subjects import ordinal
from nimllm.agent.gym.worlds import World


def _sentence(world: World, rng: random.Random, least: int = 3, most: int = 7) -> str:
    words = [word for word in world.words(most) if word.isalpha()][:max(least, rng.randint(least, most))]
    if len(words) < least:
        raise Unsuitable("few words")
    return " ".join(words)


@schema("say.word", "echo cut awk", weight=1.0)
def word(world: World, rng: random.Random) -> Draft:
    text = _sentence(world, rng)
    words = text.split()
    last = rng.random() < 0.3
    n = rng.randint(1, len(words))
    said = mark(rng, text, 1)
    if last:
        return show(rng, (*sought("the last word of (the text|the sentence|the string|) {x}"),
                          "what is the last word (of|in) {x}?", "last word of {x}"), f"echo {string(text)} | awk "
                          f"'{{ print $NF }}'", "print the last word", x=said)
    return show(rng, (*sought("the {o} word of (the text|the sentence|the string|) {x}", "word (number|) {n} of {x}"),
                      "what is the {o} word (of|in) {x}?", "(cut|pick|extract) word {n} out of {x}"),
                f"echo {string(text)} | cut -d ' ' -f {n}", f"print word {n}", x=said, n=n, o=ordinal(n))


@schema("say.replace", "echo sed", weight=1.0)
def replace(world: World, rng: random.Random) -> Draft:
    text = _sentence(world, rng)
    old, new = rng.choice(text.split()), world.word()
    if old == new:
        raise Unsuitable("same")
    return show(rng, (*sought("{x} with {a} replaced (by|with) {b}", "{x} with {b} instead of {a}"),
                      "replace {a} (by|with) {b} in (the text|the string|the sentence|) {x}",
                      "(turn|change) {a} into {b} in {x} (and print it|)", "what is {x} with {b} for {a}?"),
                f"echo {string(text)} | sed {string(f's/{old}/{new}/g')}", "print the changed text", x=mark(rng, text,
                                                                      1), a=mark(rng, old), b=mark(rng, new))


@schema("say.sort_words", "echo tr sort", weight=0.9)
def sort_words(world: World, rng: random.Random) -> Draft:
    numeric, comma = rng.random() < 0.4, rng.random() < 0.4
    if numeric:
        items = [str(value) for value in rng.sample(range(1, rng.choice((30, 999))), rng.randint(4, 7))]
        order, option = rng.choice((("(numerically|in ascending order|from small to large)", " -n"),
                                    ("(in descending order|largest first)", " -nr")))
        what = "numbers"
    else:
        items = _sentence(world, rng, 4).split()
        order, option = rng.choice((("(alphabetically|)", ""), ("in reverse (alphabetical|) order", " -r"),
                                    ("without duplicates", " -u")))
        if option == " -u":
            items.insert(rng.randrange(len(items)), rng.choice(items))
        what = "words"
    joined = ("," if comma else " ").join(items)
    said = joined.replace(",", ", ") if comma and rng.random() < 0.6 else joined
    if ", " in said:
        joined = said.replace(", ", ",")
    return show(rng, (f"sort the {what} {{x}} {order}, one per line", f"sort (these|the following) {what} {order} "
                      f"(one per line|): {{x}}", f"the {what} {{x}} sorted {order}, one per line",
                      f"(print|show) (these|the) {what} {order if 'without' in order else 'sorted ' + order}, one per "
                      f"line: {{x}}".replace("without duplicates", "sorted without duplicates"),
                      f"put (these|the) {what} in order "
                      f"{order if 'without' in order or 'desc' in order or 'rev' in order else ''}, one (each|per) "
                      f"line: {{x}}"),
                f"echo {string(joined)} | tr {string(',' if comma else ' ')} '\\n' | sort{option}", f"sort the {what}",
                x=said, protected=tuple(items))


@schema("say.split", "echo tr", weight=0.8)
def split(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice(((",", "commas"), (";", "semicolons"), (":", "colons"), ("-", "dashes"), (" ", "blanks"),
                             ("/", "slashes"), ("|", "pipes")))
    text = sign.join(_sentence(world, rng, 3, 6).split())
    return show(rng, (*sought(f"the parts of {{x}} (between the {name}|split at the {name}), one per line"),
                      f"split {{x}} at the {name} (, one part per line|)", f"(break|split) (the string|the text|) "
                      f"{{x}} (at|on) {name} into lines", f"replace the {name} in {{x}} (by|with) (newlines|line "
                      f"breaks)"),
                f"echo {string(text)} | tr {string(sign)} '\\n'", "print one part per line", x=mark(rng, text, 1))


@schema("say.translate", "echo tr", weight=0.8)
def translate(world: World, rng: random.Random) -> Draft:
    text = _sentence(world, rng, 2, 5)
    new, name = rng.choice((("_", "underscores"), ("-", "(dashes|hyphens)"), (".", "dots"), (",", "commas")))
    if rng.random() < 0.3:
        return show(rng, (*sought("{x} without (blanks|spaces)"), "(remove|delete|strip) (all|the) (blanks|spaces) "
                          "(from|in) {x}", "{x} but without the (blanks|spaces)"), f"echo {string(text)} | tr -d ' '",
                          "print it without blanks", x=mark(rng, text, 1))
    return show(rng, (*sought(f"{{x}} with {name} instead of (blanks|spaces)"), f"replace the (blanks|spaces) in "
                      f"{{x}} (by|with) {name}", f"(turn|change) (every|all) (blank|space) (in|of) {{x}} into "
                      f"{name}".replace("(every|all) (blank|space)", "the blanks"), f"{{x}}, {name} for blanks"),
                f"echo {string(text)} | tr ' ' {string(new)}", "print it with other signs", x=mark(rng, text, 1))


@schema("say.letters", "echo grep wc", weight=0.8)
def letters(world: World, rng: random.Random) -> Draft:
    text = rng.choice((world.word(), _sentence(world, rng, 2, 5)))
    letter = rng.choice([sign for sign in text if sign.isalpha()] or ["a"])
    return show(rng, ("how (often|many times) does (the letter|) {l} (occur|appear) in {x}?",
                      "how many {l}s are (there|) in {x}?".replace("(there|)", "there"),
                      "count the (letter|) {l} in {x}".replace("the (letter|) {l}", "the letter {l}"),
                      "number of times (the letter|) {l} (occurs|appears) in {x}", "how many times is the letter {l} "
                      "in the (word|text|string) {x}?"),
                f"echo {string(text)} | grep -o {string(letter)} | wc -l", f"count the letter {letter}", x=mark(rng,
                                                                      text, 1), l=letter)


@schema("say.slice", "echo cut", weight=0.7)
def slice_text(world: World, rng: random.Random) -> Draft:
    text = world.word() + world.word()
    if not text.isalnum() or len(text) < 6:
        raise Unsuitable("short")
    n = rng.randint(1, 5)
    m = rng.randint(n + 1, len(text))
    kind = rng.random()
    if kind < 0.5:
        return show(rng, (*sought("the first {n} (characters|letters) of {x}"), "what are the first {n} "
                          "(characters|letters) of {x}?", "(cut|shorten) {x} to {n} (characters|letters)"),
                          f"echo {string(text)} | cut -c 1-{n}", f"print the first {n} characters", x=mark(rng, text),
                          n=spelled(rng, n))
    return show(rng, (*sought("characters {n} to {m} of {x}", "the (substring|part) of {x} from character {n} to {m}"),
                      "(cut|take) characters {n}-{m} (of|out of|from) {x}"), f"echo {string(text)} | cut -c {n}-{m}",
                      f"print characters {n} to {m}", x=mark(rng, text), n=n, m=m)


@schema("say.capital", "echo sed", weight=0.7)
def capital(world: World, rng: random.Random) -> Draft:
    text = _sentence(world, rng, 1, 5).lower()
    if rng.random() < 0.5:
        return show(rng, (*sought("{x} with (each|every) word (capitalised|capitalized)", "{x} in title case"),
                          "(capitalise|capitalize) (each|every) word (of|in) {x}", "upper-case the first letter of "
                          "(each|every) word (of|in) {x}"), f"echo {string(text)} | sed 's/\\b./\\U&/g'",
                          "capitalise each word", x=mark(rng, text, 1))
    return show(rng, (*sought("{x} with a capital first letter", "{x} with its first letter (capitalised|in upper "
                              "case)"), "(capitalise|capitalize) the first letter of {x}",
                              "make the first letter of {x} (upper case|a capital)"), f"echo {string(text)} | sed "
                              f"'s/^./\\U&/'", "capitalise the text", x=mark(rng, text, 1))


@schema("say.repeat_sign", "printf seq", weight=0.7)
def repeat_sign(world: World, rng: random.Random) -> Draft:
    sign, n = rng.choice("-=*#_+~.x"), rng.choice((10, 20, 30, 40, 50, 60, 72, 80, rng.randint(5, 40)))
    return show(rng, ("(print|draw|show|output) a line of {n} {x} (signs|characters)", "(print|write|output) {x} {n} "
                      "times in (a row|one line|a line)", "a line of {n} times {x}", "repeat (the character|the "
                      "sign|) {x} {n} times on one line", "{n} {x} in a row"),
                f"printf '{sign}%.0s' $(seq {n}) && echo" if sign != "-" else f"printf -- '-%.0s' $(seq {n}) && echo",
                f"print {sign} {n} times", x=rng.choice((f'"{sign}"', f"'{sign}'")), n=n)


@schema("say.hash", "echo md5sum sha1sum sha256sum cut", weight=0.9)
def hashed(world: World, rng: random.Random) -> Draft:
    text, kind = rng.choice((world.word(), _sentence(world, rng, 2, 4),
                             f"{world.word()}{rng.randint(1, 99)}")), rng.choice(("md5", "sha1", "sha256", "sha256"))
    name = rng.choice((kind, kind.upper()))
    return show(rng, (*sought(f"(only|just) the {name} (hash|checksum|sum) of the (string|text) {{x}} (without a "
                              f"newline|, no newline at the end|)", f"the bare {name} (hash|checksum) of {{x}}"),
                              f"{name} of the (text|string) {{x}}, (hash only|only the hash)",
                              f"what is the {name} (hash|sum) of the (string|text) {{x}}? (hash only|just the hash)"),
                f"echo -n {string(text)} | {kind}sum | cut -d ' ' -f 1", f"compute the {kind} of the text", x=mark(rng,
                                                                      text, 1))


@schema("say.lines", "printf", weight=1.0)
def lines(world: World, rng: random.Random) -> Draft:
    words = [rng.choice((world.word(), " ".join(world.words(2)))) for _ in range(rng.randint(2, 5))]
    listed = ", ".join(mark(rng, text, 1 if " " in text else 0.3) for text in words[:-1]) + rng.choice((" and ",
                                                                      ", ")) + mark(rng, words[-1], 1
                                                                      if " " in words[-1] else 0.3)
    return show(rng, ("(print|show|output|echo) {x}, (one per line|each on its own line|on separate lines)",
                      "(print|write) the (lines|words|texts) {x} (on separate lines|one below the other)",
                      "(print|output) {n} lines: {x}", "use printf to print {x}, one per line"),
                f"printf '%s\\n' {' '.join(string(text) for text in words)}", "print the lines", x=listed,
                n=spelled(rng, len(words)), protected=tuple(words))


@schema("say.sequence_joined", "seq", weight=0.9)
def sequence_joined(world: World, rng: random.Random) -> Draft:
    a = rng.randint(0, 20)
    b = a + rng.randint(3, 12)
    kind = rng.random()
    if kind < 0.5:
        sign, name = rng.choice(((",", "commas"), (" ", "blanks"), ("-", "dashes"), (";", "semicolons"), ("+",
                                                                      "plus signs"), (":", "colons")))
        return show(rng, (*sought(f"the numbers (from|) {{a}} to {{b}} (on|in) one line, separated by {name}"),
                          f"(print|list) {{a}} to {{b}} on one line with {name} (between|in between)",
                          f"{{a}} to {{b}} joined (by|with) {name}", f"(count|go) from {{a}} to {{b}} on one line, "
                          f"{name} between the numbers"),
                    f"seq -s {string(sign)} {a} {b}", "print the numbers on one line", a=a, b=b)
    if kind < 0.75:
        b = rng.choice((10, 12, 15, 100, 20))
        return show(rng, (*sought("the numbers (from|) 1 to {b} (with leading zeros|padded with zeros|, "
                                  "zero-padded)".replace("(with leading zeros|padded with zeros|, zero-padded)",
                                                         "with leading zeros")), "(print|list|count) 1 to {b}, "
                                                         "(zero-padded|padded with zeros to equal width|with leading "
                                                         "zeros)", "seq 1 to {b} with equal width"), f"seq -w 1 {b}",
                                                         "print the padded numbers", b=b)
    even = rng.random() < 0.5
    first = a if (a % 2 == 0) == even else a + 1
    return show(rng, (*sought(f"the {'even' if even else 'odd'} numbers (between|from) {{a}} (and|to) "
                              f"{{b}}".replace("(between|from) {a} (and|to)", "from {a} to")),
                              f"(list|print) all {'even' if even else 'odd'} numbers from {{a}} (to|through) {{b}}",
                              f"{'even' if even else 'odd'} numbers {{a}} to {{b}}, one per line"),
                              f"seq {first} 2 {b}", f"print the {'even' if even else 'odd'} numbers", a=a, b=b)


@schema("say.pad", "printf", weight=0.7)
def pad(world: World, rng: random.Random) -> Draft:
    n, width = rng.randint(1, 999), rng.choice((4, 5, 6, 8))
    if rng.random() < 0.5:
        return show(rng, (*sought("{n} with leading zeros, {w} digits (long|wide|)", "{n} (zero-padded|padded with "
                                  "zeros) to {w} digits"), "pad {n} with zeros to {w} (digits|places)",
                                  "(print|format) {n} as a {w}-digit number (with leading zeros|)"),
                                  f"printf '%0{width}d\\n' {n}", "print it padded", n=n, w=width)
    value, places = f"{rng.randint(0, 999)}.{rng.randint(1000, 99999)}", rng.choice((2, 2, 3))
    return show(rng, (*sought("{n} (rounded|) to {w} (decimals|decimal places|digits after the point)",
                              "{n} with {w} (decimals|decimal places)"), "round {n} to {w} (decimals|decimal places)",
                              "(format|print) {n} with {w} digits after the (point|decimal point)"),
                              f"printf '%.{places}f\\n' {value}", "print it rounded", n=value, w=spelled(rng, places))


@schema("say.characters", "echo printf", weight=0.5)
def characters(world: World, rng: random.Random) -> Draft:
    letter = rng.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    kind = rng.random()
    if kind < 0.5:
        return show(rng, (*sought("the (ASCII|ascii) code of (the letter|the character|) {l}"),
                          "what is the (ASCII|ascii) (code|value|number) of {l}?", "(ASCII|ascii) (code|value) of {l}",
                          "which number is (the character|) {l} in (ASCII|ascii)?"), f"printf '%d\\n' \"'{letter}\"",
                          f"print the code of {letter}", l=mark(rng, letter))
    a, b = sorted(rng.sample("abcdefghijklmnopqrstuvwxyz", 2))
    return show(rng, (*sought("the letters from {a} to {b} on one line, separated by (blanks|spaces)"),
                      "(print|list) the alphabet from {a} to {b} (on one line|, separated by blanks)",
                      "(print|echo) all letters {a} to {b}, blanks between"), f"echo {{{a}..{b}}}",
                      f"print the letters {a} to {b}", a=a, b=b)


@schema("say.into_file", "echo printf seq", weight=1.6)
def into_file(world: World, rng: random.Random) -> Draft:
    target, kind = world.new_name("file", rng.choice(("txt", "md", "csv", "log", "lst", "cfg"))), rng.random()
    if kind < 0.45:
        words = [rng.choice((world.word(), " ".join(world.words(2)), world.name())) for _ in range(rng.randint(2, 5))]
        listed = ", ".join(mark(rng, text, 0.6) for text in words[:-1]) + rng.choice((" and ", ", ")) + mark(rng,
                                                                      words[-1], 0.6)
        return change(rng, (*deed("(write|put|save) the lines {x} (to|into) {t}", "(create|make) {t} with the "
                                  "(lines|entries) {x}, (one per line|each on its own line)",
                                  "(write|put|save) {x} (to|into) {t}, one per line", tool="printf"),
                                  "{t} should have {n} lines: {x}", "new file {t}, {n} lines: {x}"),
                      f"printf '%s\\n' {' '.join(string(text) for text in words)} > "
                      f"{string(target) if ' ' in target else target}", f"write the lines to {target}", t=target,
                      x=listed, n=spelled(rng, len(words)), protected=tuple(words))
    place = string(target) if " " in target else target
    if kind < 0.65:
        a = rng.choice((1, 1, 1, rng.randint(2, 50)))
        b = a + rng.choice((4, 9, 19, 99, rng.randint(3, 40)))
        return change(rng, (*deed("(write|put|save) the numbers (from|) {a} to {b} (to|into) {t}, one per line",
                                  "(create|make) {t} with the numbers {a} to {b} (, one per line|)",
                                  "fill {t} with the numbers from {a} to {b}, one per line", tool="seq"),
                                  "{t} should (contain|hold) the numbers from {a} to {b}, one per line"),
                      f"seq {a} {b} > {place}", f"write the numbers to {target}", t=target, a=a, b=b)
    if kind < 0.85:
        columns = [rng.choice(("name", "age", "city", "email", "id", "price", "date", "score")) for _ in range(3)]
        columns = list(dict.fromkeys(columns))
        if len(columns) < 2:
            raise Unsuitable("one column")
        header, row = ",".join(columns), ",".join(str(world.number()) if name in ("age", "id", "price", "score")
                                                  else world.word() for name in columns)
        if rng.random() < 0.5:
            return change(rng, (*deed("(create|make|start) (a|the) (csv|CSV) file {g} with the header {x}",
                                      "(write|put) the header line {x} into (a new file|) {g}", tool="echo"),
                                      "new csv {g} with the columns {x}"), f"echo {string(header)} > {place}",
                                      f"write the header to {target}", g=target, x=header)
        return change(rng, (*deed("(create|make) (a|the) (csv|CSV) file {g} with the header {x} and (one|the) row {y}",
                                  "(write|put) the header {x} and the row {y} into {g}", tool="printf"),
                                  "new csv {g}: header {x}, first row {y}"), f"printf '%s\\n' {string(header)} "
                                  f"{string(row)} > {place}", f"write header and row to {target}", g=target, x=header,
                                  y=row)
    text, n = rng.choice((world.word(), " ".join(world.words(2)))), rng.randint(2, 12)
    return change(rng, (*deed("(write|put) {x} {n} times into {t}, (one per line|each on its own line)",
                              "(create|make) {t} with {n} lines that (all|) (say|read) {x}",
                              "fill {t} with {n} lines of {x}"), "{t} should have {n} times the line {x}"),
                  f"for i in $(seq {n}); do echo {string(text)}; done > {place}", f"write the line {n} times", t=target,
                  n=spelled(rng, n), x=mark(rng, text, 0.8), protected=(text,))


