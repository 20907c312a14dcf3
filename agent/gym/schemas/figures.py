"""More about files of numbers and of words: medians, spans, parity, running totals, letters, long words."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import list_file, number_file, text_file
from nimllm.agent.gym.worlds import World


@schema("figure.median", "sort awk", weight=0.7)
def median(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng, 5)
    values = rows(world, path)
    if len(values) % 2 == 0:
        world.add_file(path, "\n".join(values[:-1]) + "\n")
    return show(rng, (*sought("the median of (the numbers in|) {f}", "the (middle|central) value of the numbers in "
                              "{f}, sorted", tool="awk"),
                      "what is the median (of|in) {f}?", "(compute|calculate|find) the median of (the numbers in|) {f}",
                      "{f}: median"),
                f"sort -n {quoted(path)} | awk '{{ a[NR] = $1 }} END {{ print a[(NR + 1) / 2] }}'",
                f"find the median of {path}", f=path)


@schema("figure.span", "awk sort", weight=0.7)
def span(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng, 4)
    if rng.random() < 0.5:
        return show(rng, (*sought("the (difference between|distance of) the largest and the smallest number (in|of) "
                                  "{f}", "the (range|spread) of the numbers in {f}, (that is maximum|maximum) minus "
                                  "minimum", tool="awk"),
                          "what is max minus min (in|of) {f}?", "by how much do the largest and smallest number in "
                          "{f} differ?"),
                    f"sort -n {quoted(path)} | awk 'NR == 1 {{ min = $1 }} {{ max = $1 }} END {{ print max - min }}'",
                    "subtract the smallest from the largest", f=path)
    return show(rng, (*sought("the smallest and the largest number (in|of) {f}, one per line",
                              "(minimum and maximum|min and max) of {f}, (one per line|each on its own line)",
                              tool="sort and sed"),
                      "what are the smallest and the largest number in {f}? (one per line|smallest first)"),
                f"sort -n {quoted(path)} | sed -n '1p;$p'", "show the smallest and the largest", f=path)


@schema("figure.kinds", "awk wc", weight=0.8)
def kinds(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng, 6)
    values = [int(row) for row in rows(world, path)]
    k = rng.choice((2, 2, 2, 3, 5, 10))
    rest = rng.random() < 0.5 if k == 2 else False
    word = "odd" if rest else "even" if k == 2 else "(divisible by|multiples of)"
    some = f"{word} numbers" if k == 2 else "numbers (divisible by|that are multiples of) {k}"
    if not any((value % k != 0) == rest for value in values):
        raise Unsuitable("none")
    test = f"$1 % {k} == {1 if rest else 0}"
    if rng.random() < 0.45:
        return show(rng, (*number(f"{some} (in|of) {{f}}"), f"how many (of the|) numbers in {{f}} are "
                          f"{word if k == 2 else 'divisible by {k}'}?".replace("(of the|) ", "")),
                    f"awk '{test}' {quoted(path)} | wc -l", "count those numbers", f=path, k=k)
    return show(rng, (*sought(f"(the|all|all the|) {some} (in|of|from) {{f}}", tool="awk"),
                      f"which numbers in {{f}} are {word if k == 2 else 'divisible by {k}'}?"),
                f"awk '{test}' {quoted(path)}", "show those numbers", f=path, k=k)


@schema("figure.count_over", "awk wc", weight=0.9)
def count_over(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng, 6)
    values = sorted({int(row) for row in rows(world, path)})
    if len(values) < 4:
        raise Unsuitable("few values")
    a, b = values[1], values[-2]
    if rng.random() < 0.35:
        return show(rng, (*sought("(the|all|) numbers (in|of) {f} (between {a} and {b}|from {a} to {b}), (both "
                                  "included|inclusive)", tool="awk"), "which numbers in {f} are between {a} and {b} "
                                  "(inclusive|, both included)?"),
                    f"awk '$1 >= {a} && $1 <= {b}' {quoted(path)}", f"show the numbers from {a} to {b}", f=path, a=a,
                    b=b)
    sign, word = rng.choice(((">", "(greater than|above|over|larger than|more than)"), ("<",
                                                                      "(less than|below|under|smaller than)"), (">=",
                                                                      "(at least|not less than)")))
    limit = rng.choice(values[1:-1])
    return show(rng, (*number(f"numbers (in|of) {{f}} (that are|) {word} {{v}}".replace("(that are|) ", "")),
                      f"how many numbers in {{f}} are {word} {{v}}?"),
                f"awk '$1 {sign} {limit}' {quoted(path)} | wc -l", f"count the numbers by {limit}", f=path, v=limit)


@schema("figure.computed", "awk", weight=0.8)
def computed(world: World, rng: random.Random) -> Draft:
    path, k, kind = number_file(world, rng, 3), rng.randint(2, 20), rng.random()
    if kind < 0.3:
        return show(rng, (*sought("the running (total|sum) of the numbers in {f}", "the cumulative (sum|sums) of {f}",
                                  tool="awk"), "after each number in {f}, the sum so far",
                                  "(add up|sum) {f} and (print|show) the sum after every line"),
                    f"awk '{{ s += $1; print s }}' {quoted(path)}", "show the running total", f=path)
    if kind < 0.6:
        return show(rng, (*sought("(each|every) number (in|of) {f} (times|multiplied by) {k}",
                                  "the numbers in {f} multiplied by {k}", tool="awk"), "multiply (each|every) number "
                                  "in {f} by {k} and (print|show) the results"),
                    f"awk '{{ print $1 * {k} }}' {quoted(path)}", f"multiply the numbers by {k}", f=path, k=k)
    if kind < 0.8:
        return show(rng, (*sought("(each|every) number (in|of) {f} plus {k}", "the numbers in {f} increased by {k}",
                                  tool="awk"), "add {k} to (each|every) number in {f} and (print|show) the results"),
                    f"awk '{{ print $1 + {k} }}' {quoted(path)}", f"add {k} to the numbers", f=path, k=k)
    target = world.new_name("file", "txt")
    return change(rng, deed("(write|save) (each|every) number of {f} (doubled|times two|multiplied by 2) (to|into) {t}",
                            "double the numbers in {f} and (write|save) them (to|into) {t}", tool="awk"),
                  f"awk '{{ print $1 * 2 }}' {quoted(path)} > {quoted(target)}", f"write the doubled numbers to "
                  f"{target}", f=path, t=target)


@schema("figure.joined", "paste", weight=0.7)
def joined(world: World, rng: random.Random) -> Draft:
    path, (sign, name) = number_file(world, rng, 3), rng.choice(((",", "commas"), (" ", "blanks"), ("+", "plus signs"),
                                                                 (";", "semicolons")))
    return show(rng, (*sought(f"the numbers of {{f}} (on|in) one line, separated by {name}", tool="paste"),
                      f"(join|put) the numbers in {{f}} (on|into) one line with {name} (between|in between)",
                      f"{{f}} as one line, {name} between the numbers"),
                f"paste -sd {string(sign)} {quoted(path)}", "join the numbers", f=path)


# words


def _plain(world: World, rng: random.Random) -> str:
    """A text whose lines have single blanks between words, no empty lines."""
    path = text_file(world, rng, 2, 25)
    if re.search(r"^ | $|^$|\t|  ", world.read(path).rstrip("\n"), re.MULTILINE):
        raise Unsuitable("blanks")
    return path


@schema("words.any_case", "tr sort uniq head", weight=0.8)
def any_case(world: World, rng: random.Random) -> Draft:
    path = _plain(world, rng)
    words = world.read(path).lower().split()
    n = rng.choice((1, 2, 3, 5))
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    if len(counts) <= n or counts[n - 1] == counts[n]:
        raise Unsuitable("a tie")
    case = "(ignoring case|upper and lower case alike|case-insensitively|case does not matter)"
    what = "most (common|frequent|used) word" + ("" if n == 1 else "s")
    some = what if n == 1 else "{n} " + what
    return show(rng, (*sought(f"the {some} (in|of) {{f}} with {'its count' if n == 1 else 'counts'}, {case}"),
                      f"which {'word is' if n == 1 else '{n} words are'} most (common|frequent) in {{f}}, {case}? "
                      f"with {'count' if n == 1 else 'counts'}"),
                f"tr 'A-Z' 'a-z' < {quoted(path)} | tr -s ' ' '\\n' | sort | uniq -c | sort -nr | head -n {n}",
                "count the words", ordered=False, f=path, n=spelled(rng, n))


@schema("words.counts", "tr sort uniq", weight=0.9)
def counts(world: World, rng: random.Random) -> Draft:
    path = _plain(world, rng)
    if len(set(world.read(path).split())) > 60:
        raise Unsuitable("long")
    return show(rng, (*sought("how often each word (occurs|appears) in {f}, (most frequent|highest) first",
                              "(all|the|) words (of|in) {f} with (their|the) counts, (most frequent|highest) first",
                              "the word frequencies (of|in) {f}, (most frequent|highest) first", tool="uniq"),
                      "(count|tally) the words (of|in) {f} one by one, most frequent first",
                      "word frequency (table|list|) of {f}, highest first"),
                f"tr -s ' ' '\\n' < {quoted(path)} | sort | uniq -c | sort -nr", "count each word", ordered=False,
                f=path)


@schema("words.letters", "grep sort uniq head", weight=0.6)
def letters(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3)
    if rng.random() < 0.6:
        return show(rng, (*sought("how often each (character|letter|sign) (occurs|appears) in {f}, (most "
                                  "frequent|highest) first", "the (character|letter) frequencies (of|in) {f}, most "
                                  "frequent first", tool="uniq"), "(count|tally) the (characters|letters) (of|in) "
                                  "{f}, most frequent first"),
                    f"grep -o . {quoted(path)} | sort | uniq -c | sort -nr", "count each character", ordered=False,
                    f=path)
    return show(rng, (*sought("the characters of {f}, one per line", "each character of {f} on its own line",
                              tool="grep"), "(split|break) {f} into single characters, one per line"),
                f"grep -o . {quoted(path)}", "print one character per line", f=path)


@schema("words.long", "tr awk sort grep", weight=0.7)
def long(world: World, rng: random.Random) -> Draft:
    path = _plain(world, rng)
    n = rng.randint(4, 8)
    words = world.read(path).split()
    if not any(len(word) > n for word in words):
        raise Unsuitable("short words")
    if rng.random() < 0.4:
        return show(rng, number("words (in|of) {f} (with more than|longer than|of more than) {n} (letters|characters)"),
                    f"tr -s ' ' '\\n' < {quoted(path)} | awk 'length > {n}' | wc -l", "count the long words", f=path,
                    n=n)
    return show(rng, (*sought("(the|all|) words (in|of) {f} (with more than|longer than) {n} (letters|characters), "
                              "one per line", tool="awk"), "which words in {f} (have more than|are longer than) {n} "
                              "(letters|characters)?"),
                f"tr -s ' ' '\\n' < {quoted(path)} | awk 'length > {n}'", "show the long words", f=path, n=n)


@schema("words.of_line", "sed awk cut", weight=0.9)
def of_line(world: World, rng: random.Random) -> Draft:
    path = _plain(world, rng)
    found = rows(world, path)
    m = rng.randint(1, len(found))
    words = found[m - 1].split()
    if not words:
        raise Unsuitable("an empty line")
    n = rng.randint(1, len(words))
    last = rng.random() < 0.25
    which = "last" if last else ("first", "second", "third", "fourth", "fifth")[n - 1] if n < 6 else f"{n}th"
    return show(rng, (*sought("the {o} word (of|in|on) line {m} (of|in) {f}", tool="awk"),
                      "what is the {o} word (of|in|on) line {m} of {f}?", "{f}: line {m}, {o} word",
                      "line {m} of {f}, only the {o} word"),
                f"awk 'NR == {m} {{ print ${'NF' if last else n} }}' {quoted(path)}", f"show the {which} word of line "
                f"{m}", f=path, m=m, o=which)


@schema("words.encoding", "file iconv", weight=0.6)
def encoding(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "csv", "md")))
    text = "".join(f"{world.word()} {rng.choice(('café', 'Müller', 'señor', 'naïve', 'Österreich', 'façade'))} "
                   f"{world.word()}\n" for _ in range(rng.randint(2, 5)))
    kind = rng.choice(("utf-8", "iso-8859-1"))
    world.add_file(path, text.encode(kind))
    if rng.random() < 0.4:
        return show(rng, (*sought("the (character encoding|encoding|charset) of {f} (, just the name|, name only|)"),
                          "(which|what) (encoding|charset|character set) does {f} (have|use)?", "how is {f} encoded?",
                          "is {f} utf-8? (show|print) its encoding"),
                    f"file -b --mime-encoding {quoted(path)}", f"look up the encoding of {path}", f=path)
    if kind == "utf-8":
        raise Unsuitable("is utf-8")
    if rng.random() < 0.5:
        target = world.new_name("file", "txt")
        return change(rng, (*deed("convert {f} from (latin1|iso-8859-1|ISO-8859-1) to (utf-8|UTF-8|utf8) and "
                                  "(save|write) it (to|as) {t}", "(write|save) {f}, which is (latin1|iso-8859-1), as "
                                  "(utf-8|UTF-8) (to|into) {t}", tool="iconv"), "{t} should be {f} in utf-8, it is "
                                  "(latin1|iso-8859-1) now"),
                      f"iconv -f ISO-8859-1 -t UTF-8 {quoted(path)} > {quoted(target)}", f"convert {path} to UTF-8",
                      f=path, t=target)
    return show(rng, (*sought("{f} converted from (latin1|iso-8859-1|ISO-8859-1) to (utf-8|UTF-8)", tool="iconv"),
                      "(print|show) {f} in utf-8, it is (latin1|iso-8859-1)", "{f} is latin1, (print|show) it as "
                      "utf-8"),
                f"iconv -f ISO-8859-1 -t UTF-8 {quoted(path)}", f"print {path} in UTF-8", f=path)


@schema("words.tee", "tee sort grep", weight=0.6)
def tee(world: World, rng: random.Random) -> Draft:
    path, target = list_file(world, rng, 5), world.new_name("file", "txt")
    word = rng.choice(rows(world, path))
    noun, command = rng.choice((("the sorted lines of {f}", f"sort {quoted(path)}"), ("the unique lines of {f}, "
                                                                      "sorted,", f"sort -u {quoted(path)}"),
                                                                      ("the lines (with|containing) {w} of {f}",
                                                                      f"grep {string(word)} {quoted(path)}"),
                                                                      ("the last 3 lines of {f}",
                                                                      f"tail -n 3 {quoted(path)}")))
    return show(rng, (f"(show|print) {noun} and (also|at the same time) (save|write) them (to|into) {{t}}",
                      f"(print|show) {noun} and put them into {{t}}, too", f"(save|write) {noun} (to|into) {{t}} and "
                      f"show them", f"{noun} on the screen and in {{t}}"),
                f"{command} | tee {quoted(target)}", f"show them and write them to {target}", f=path, t=target,
                w=mark(rng, word))


@schema("words.tabs", "expand unexpand", weight=0.5)
def tabs(world: World, rng: random.Random) -> Draft:
    path, n = world.new_name("file", rng.choice(("txt", "py", "c"))), rng.choice((2, 4, 4, 8))
    world.add_file(path, "".join("\t" * rng.randint(0, 2) + f"{world.word()}\t{world.word()}\n"
                                 for _ in range(rng.randint(3, 7))))
    target = world.new_name("file", "txt")
    return change(rng, deed("expand the tabs (of|in) {f} to (columns of|a width of) {n} (spaces|blanks) and "
                            "(save|write) it (to|as) {t}".replace("(columns of|a width of)", "a width of"),
                            "(write|save) {f} with tabs expanded (to|, tab width|, tab stops every) {n} "
                            "(blanks|spaces|columns) (to|into) {t}".replace("(to|, tab width|, tab stops every) {n} "
                                                                      "(blanks|spaces|columns)", "to {n} columns"),
                                                                      tool="expand"),
                  f"expand -t {n} {quoted(path)} > {quoted(target)}", f"write {path} without tabs to {target}", f=path,
                  t=target, n=n)
