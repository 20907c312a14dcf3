"""Parts of a text: by place, by length, between two marks, by characters."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import mark, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import list_file, ordinal, text_file, word_in
from nimllm.agent.gym.worlds import World

_OF = "(of|in|from)"


def rows(world: World, path: str) -> list[str]:
    return world.read(path).splitlines()


@schema("part.every_nth", "awk", weight=0.7)
def every_nth(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6, 40), rng.choice((2, 2, 3, 3, 4, 5))
    word = "(second|other|2nd)" if n == 2 else f"({ordinal(n)}|{('third', 'fourth', 'fifth')[n - 3]})"
    return show(rng, (*sought(
        f"every {word} line {_OF} {{f}}", f"only every {word} line {_OF} {{f}}, (starting with|beginning at) line {n}",
        tool="awk"), f"(thin out|sample) {{f}}: keep one line (in|out of) {n}, lines {n}, {2 * n} and so on",
        f"{{f}}, every {word} line", f"from {{f}} take every {word} line",
        f"(show|print) lines {n}, {2 * n}, {3 * n}, ... of {{f}}",
        f"(show|print) the lines of {{f}} whose number is (divisible by|a multiple of) {n}"),
        f"awk 'NR % {n} == 0' {quoted(path)}", f"show every {ordinal(n)} line of {path}", f=path)


@schema("part.odd_lines", "awk", weight=0.4)
def odd_lines(world: World, rng: random.Random) -> Draft:
    path, even = text_file(world, rng, 4, 40), rng.random() < 0.5
    word = "(even|even-numbered)" if even else "(odd|odd-numbered)"
    return show(rng, (*sought(f"(the|) {word} lines {_OF} {{f}}", f"(the|) lines with (an|) {word} (number|numbers) "
                              "in {f}".replace("(an|) ", ""), tool="awk"),
                      f"(leave out|skip) the {'odd' if even else 'even'} lines of {{f}}",
                      f"{{f}}, {word} lines only", f"which lines of {{f}} are {word}? (print|show) them"),
                f"awk 'NR % 2 == {0 if even else 1}' {quoted(path)}",
                f"show the {'even' if even else 'odd'} lines of {path}", f=path)


@schema("part.shortest", "awk", weight=0.7)
def shortest(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3) if rng.random() < 0.6 else text_file(world, rng, 3, 30)
    sizes = sorted(len(row) for row in rows(world, path))
    if sizes[0] == sizes[1] or not sizes[0]:
        raise Unsuitable("a tie")
    return show(rng, (*sought(f"the shortest (line|entry|row) {_OF} {{f}}",
                              f"the line {_OF} {{f}} with the fewest characters", tool="awk"),
                      "(what is|which is) the shortest (line|entry) (of|in) {f}?", "which line of {f} is shortest?",
                      "{f}: shortest line"),
                f"awk 'NR == 1 || length < min {{ min = length; line = $0 }} END {{ print line }}' {quoted(path)}",
                f"find the shortest line of {path}", f=path)


@schema("part.longest_length", "wc", weight=0.7)
def longest_length(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    return show(rng, (*sought(f"the (length|number of characters) of the longest line {_OF} {{f}}",
                              f"the (maximum|maximal|max|longest) line (length|width) {_OF} {{f}}", tool="wc"),
                      "how (long|wide) is the longest line (of|in) {f}?", "how many characters has the longest line "
                      "of {f}?",
                      "how wide does {f} get?", "{f}: max line length"),
                f"wc -L < {quoted(path)}", f"measure the longest line of {path}", f=path)


@schema("part.line_lengths", "awk", weight=0.5)
def line_lengths(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 25)
    return show(rng, (*sought(f"the length of (each|every) line {_OF} {{f}}", f"(the|) line lengths {_OF} {{f}}",
                              f"the number of characters (in|of) (each|every) line {_OF} {{f}}", tool="awk"),
                      "how long is (each|every) line of {f}?", "how many characters (does|has) (each|every) line of {f}"
                      " (have|)?".replace("(does|has) (each|every) line of {f} (have|)", "does each line of {f} have"),
                      "for each line of {f} print its length"),
                f"awk '{{ print length }}' {quoted(path)}", f"show the length of each line of {path}", f=path)


@schema("part.head_bytes", "head", weight=0.7)
def head_bytes(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 3), rng.choice((5, 8, 10, 12, 16, 20, 32, 40, 50, 64, 100))
    if len(world.read(path)) <= n or not world.read(path).isascii():
        raise Unsuitable("short")
    last = rng.random() < 0.35
    which, unit = ("last" if last else "first"), "(bytes|bytes|characters|chars)"
    return show(rng, (*sought(f"the {which} {{n}} {unit} {_OF} {{f}}", tool="tail" if last else "head"),
                      f"{{f}}: {which} {{n}} {unit}", f"(read|take) (just|only|) the {which} {{n}} {unit} of {{f}}",
                      f"what are the {which} {{n}} {unit} (of|in) {{f}}?",
                      f"{'end' if last else 'beginning'} of {{f}}, {{n}} {unit}"),
                f"{'tail' if last else 'head'} -c {n} {quoted(path)}", f"show the {which} {n} bytes of {path}", f=path,
                n=n)


@schema("part.cut_characters", "cut", weight=1.0)
def cut_characters(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 2, 25), rng.randint(1, 20)
    m, at = n + rng.randint(1, 12), rng.random()
    each = "(of|in) (each|every) line (of|in) {f}"
    if at < 0.45:
        what = "first character" if n == 1 else "first {n} characters"
        span, plan = ("1" if n == 1 else f"1-{n}"), f"show the first {n} characters of each line"
        said = (*sought(f"the {what} {each}", f"only the {what} {each}", tool="cut"),
                f"(cut|trim|truncate|shorten) (each|every) line of {{f}} to "
                f"{'one character' if n == 1 else '{n} characters'} and (print|show) it",
                f"for each line in {{f}}, (print|show) (just|only) the {what}", f"what are the {what} {each}?")
    elif at < 0.75:
        span, plan = f"{n}-{m}", f"show characters {n} to {m} of each line"
        said = (*sought(f"characters {{n}} (to|through|-) {{m}} {each}", f"(columns|positions) {{n}}-{{m}} {each}",
                        tool="cut"), "cut characters {n}-{m} out of {f}",
                "(each|every) line of {f}, characters {n} to {m}")
    else:
        n += 1
        less = "character" if n == 2 else "{k} characters"
        span, plan = f"{n}-", f"show each line from character {n} on"
        said = (*sought(f"(each|every) line {_OF} {{f}} from character {{n}} on",
                        f"(each|every) line {_OF} {{f}} without the first {less}", tool="cut"),
                f"(drop|remove|cut off|skip) the first {less} {each} and (print|show) the rest",
                "everything from character {n} on in each line of {f}")
    return show(rng, said, f"cut -c {span} {quoted(path)}", plan, f=path, n=n, m=m, k=n - 1)


@schema("part.fold", "fold", weight=0.6)
def fold(world: World, rng: random.Random) -> Draft:
    path, n, words = text_file(world, rng, 2, 20), rng.choice((10, 20, 25, 30, 40, 50)), rng.random() < 0.6
    if max(map(len, rows(world, path))) <= n:
        raise Unsuitable("short lines")
    how = " (at blanks|at spaces|at word boundaries|without breaking words|between words)" if words else ""
    return show(rng, (*sought(f"{{f}} (wrapped|folded|broken) (at|after|to) {{n}} characters{how}",
                              f"{{f}} with lines of at most {{n}} characters,{how} (wrapped|folded)"
                              if words else "{f} with its lines broken after {n} characters", tool="fold"),
                      f"(wrap|fold|break) the (long|) lines (of|in) {{f}} (at|to|after) "
                      f"{{n}} (characters|columns){how}",
                      f"(wrap|fold) {{f}} to (a width of|) {{n}} (characters|columns|){how}",
                      f"(print|show) {{f}} wrapped to {{n}} (columns|characters){how}"),
                f"fold {'-s ' if words else ''}-w {n} {quoted(path)}", f"wrap {path} at {n}", f=path, n=n)


@schema("part.number_nonblank", "cat", weight=0.4)
def number_nonblank(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4, 25)
    if "\n\n" not in world.read(path):
        raise Unsuitable("no blank line")
    blank = "(blank|empty)"
    return show(rng, (*sought(f"{{f}} with (line numbers|numbers) on the non-{blank} lines (only|)",
                              f"{{f}} with numbered lines, {blank} lines not counted", tool="cat"),
                      f"number the (lines|rows) of {{f}} (but skip|except|without) {blank} (ones|lines)",
                      f"(number|put numbers on) only the non-{blank} lines of {{f}}", "number the non-empty lines of "
                      "{f}",
                      "cat {f} with line numbers, ignoring blank lines"),
                f"cat -b {quoted(path)}", f"number the lines of {path} that are not blank", f=path)


@schema("part.show_ends", "cat", weight=0.6)
def show_ends(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "py", "csv", "conf", "md")))
    world.add_file(path, "".join(
        rng.choice(("", "\t", " ")) + rng.choice(("\t", " ")).join(world.words(rng.randint(1, 4)))
        + rng.choice(("", "", " ", "\r", "\t")) + "\n" for _ in range(rng.randint(2, 7))))
    hidden = "(invisible|hidden|non-printing|control|special) characters"
    return show(rng, (*sought(f"{{f}} with {hidden} (visible|made visible|shown)",
                              "{f} with tabs and line ends (visible|made visible|marked)",
                              f"the {hidden} (of|in) {{f}}",
                              tool="cat"),
                      f"make (the|) {hidden} (of|in) {{f}} visible", f"are there {hidden} in {{f}}? show (them|me)",
                      "(show|display) tabs and line endings (of|in) {f}", "I suspect (stray tabs|windows line "
                      "ends|trailing"
                      " blanks) in {f}, show (all|) characters", "cat -A {f}"),
                f"cat -A {quoted(path)}", f"show the invisible characters of {path}", f=path)


@schema("part.from_end", "tail head", weight=0.8)
def from_end(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 5), rng.choice((2, 2, 2, 3, 3, 4, 5))
    if not rows(world, path)[-n].strip():
        raise Unsuitable("empty line")
    word = ("(second to last|second-to-last|penultimate|next to last|last but one|2nd last|second last)" if n == 2 else
            f"({ordinal(n)} to last|{ordinal(n)} last|{('third', 'fourth', 'fifth')[n - 3]} (to|from the) (last|end))"
            .replace("(to|from the) (last|end)", "to last"))
    return show(rng, (*sought(f"the {word} line {_OF} {{f}}", f"the {word} (line|entry|row) (of|in) {{f}}",
                              tool="tail"),
                      f"what is the {word} line (of|in) {{f}}?", f"{{f}}: {word} line",
                      f"line number {n} (counted|counting) from the end of {{f}}",
                      f"what does the {word} line of {{f}} say?"),
                f"tail -n {n} {quoted(path)} | head -n 1", f"show the {ordinal(n)} line from the end", f=path)


@schema("part.first_and_last", "sed", weight=0.7)
def first_and_last(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    return show(rng, (*sought("the first and (the|) last line (of|in|from) {f}", "(only|just) the first and last "
                              "(line|row)"
                              " (of|in) {f}", tool="sed"),
                      "(print|show) {f}, only (its|the) first and last line", "how does {f} begin and end? (one line "
                      "each|first"
                      " and last line)", "what are the first and the last line of {f}?",
                      "first line and last line of {f}"),
                f"sed -n '1p;$p' {quoted(path)}", f"show the first and last line of {path}", f=path)


@schema("part.two_lines", "sed", weight=0.7)
def two_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    a, b = sorted(rng.sample(range(1, min(30, len(rows(world, path))) + 1), 2))
    return show(rng, (*sought(f"lines {{a}} and {{b}} {_OF} {{f}}", f"(just|only) lines {{a}} and {{b}} {_OF} {{f}}",
                              f"the {{x}} and (the|) {{y}} line {_OF} {{f}}", tool="sed"),
                      "what is (on|in) lines {a} and {b} of {f}?", "{f}, lines {a} and {b} only",
                      "line {a} and line {b} of {f}"),
                f"sed -n '{a}p;{b}p' {quoted(path)}", f"show lines {a} and {b} of {path}", f=path, a=a, b=b,
                x=ordinal(a), y=ordinal(b))


def _marks(world: World, rng: random.Random) -> tuple[str, str, str]:
    """A file in which two words occur once each, on different lines, in this order."""
    path = world.new_name("file", rng.choice(("txt", "log", "md", "conf")))
    pool = list(dict.fromkeys(world.words(30)))
    a, b = (word if rng.random() < 0.6 else word.upper() for word in pool[:2])
    lines = [" ".join(rng.sample(pool[2:], 3)) for _ in range(rng.randint(6, 12))]
    first = rng.randint(1, len(lines) - 4)
    lines[first] = a if rng.random() < 0.5 else f"{a} {pool[2]}"
    lines[rng.randint(first + 2, len(lines) - 2)] = b if rng.random() < 0.5 else f"{b} {pool[3]}"
    if any((a in row) + (b in row) > 1 for row in lines) or sum(a in row for row in lines) > 1 or sum(
            b in row for row in lines) > 1 or not (a + b).replace("-", "").isalnum():
        raise Unsuitable("not unique")
    world.add_file(path, "\n".join(lines) + "\n")
    return path, a, b


@schema("part.between", "sed", weight=1.0)
def between(world: World, rng: random.Random) -> Draft:
    path, a, b = _marks(world, rng)
    with_both = rng.choice((", both included", ", including those two lines", "", ""))
    return show(rng, (*sought(f"(everything|all lines|the lines|the part|the section) {_OF} {{f}} (from|from the line "
                              f"with) "
                              f"{{a}} (to|until|up to|through) (the line with|) {{b}}{with_both}",
                              f"the (lines|text|block) between {{a}} and {{b}} {_OF} {{f}}, (inclusive|including both)",
                              tool="sed"),
                      f"in {{f}}, (show|print) (what is|the lines) from {{a}} to {{b}}{with_both}",
                      "(extract|cut out|pull out) the lines from {a} to {b} (out of|in|from) {f}"
                      .replace("(extract|cut out|pull out)", "(extract|print)"),
                      f"{{f}} from {{a}} until {{b}}{with_both}",
                      "print {f} starting at the line that contains {a} and ending at the line that contains {b}"),
                f"sed -n '/{a}/,/{b}/p' {quoted(path)}", f"show {path} from {a} to {b}", f=path, a=mark(rng, a),
                b=mark(rng, b))


@schema("part.from_match", "sed", weight=0.8)
def from_match(world: World, rng: random.Random) -> Draft:
    path, a, _ = _marks(world, rng)
    if rng.random() < 0.55:
        return show(rng, (*sought(f"everything {_OF} {{f}} from {{a}} (on|onwards|to the end)",
                                  "{f} from the line (with|that contains|containing) {a} (on|to the end)", tool="sed"),
                          "(print|show) {f} starting (at|from|with) (the line with|) {a}",
                          "skip everything before {a} in {f} (and show the rest|)",
                          "all lines of {f} from {a} to the end of the file", "what comes from {a} on in {f}?"),
                    f"sed -n '/{a}/,$p' {quoted(path)}", f"show {path} from {a} on", f=path, a=mark(rng, a))
    return show(rng, (*sought("{f} (up to|until) (and including|) the (first|) line (with|that contains|containing) "
                              "{a}",
                              f"everything {_OF} {{f}} (up to|until) (and including|) {{a}}", tool="sed"),
                      "(print|show|read) {f} until (the line|you meet|it says) {a} (and stop there|)",
                      "stop printing {f} after the (first|) line with {a}",
                      "the lines of {f} up to and including the one with {a}"),
                f"sed '/{a}/q' {quoted(path)}", f"show {path} up to {a}", f=path, a=mark(rng, a))


@schema("part.first_match", "grep head tail", weight=1.3)
def first_match(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    word = word_in(world, rng, path)
    last, n = rng.random() < 0.5, rng.choice((1, 1, 1, 2, 3))
    which, what = ("(last|latest|most recent|final)", "last") if last else ("first", "first")
    lines = "line" if n == 1 else "{n} lines"
    return show(rng, (*sought(f"the {which} {lines} {_OF} {{f}} (with|that (contains|mentions)|containing) "
                              f"{{w}}".replace(
        "that (contains|mentions)", "that contain" + ("s" if n == 1 else "")),
        f"the {which} {lines} (with|containing) {{w}} in {{f}}", tool="grep"),
        f"(search|grep) {{f}} for {{w}} and (show|print) only the {which} {'match' if n == 1 else '{n} matches'}",
        f"{which} {'match' if n == 1 else '{n} matches'} for {{w}} in {{f}}",
        f"where does {{f}} mention {{w}}? the {which} {'match' if n == 1 else '{n} matches'} will do",
        f"{{f}}: {which} {lines} with {{w}}"),
        f"grep {string(word)} {quoted(path)} | {'tail' if last else 'head'} -n {n}", f"find the {what} lines with "
        f"{word}",
        f=path, w=mark(rng, word), n=spelled(rng, n))


def commented(world: World, rng: random.Random, blanks: bool = True) -> str:
    """A new configuration file or script with comment lines, and blank ones."""
    path = world.new_name("file", rng.choice(("conf", "cfg", "ini", "sh", "env", "yaml")))
    lines = []
    for _ in range(rng.randint(5, 11)):
        lines.append(rng.choice((f"# {' '.join(world.words(rng.randint(1, 4)))}",
                                 f"{world.word().replace('-', '_')}={world.word()}",
                                 f"{world.word().replace('-', '_')}={world.number()}", "" if blanks else "#")))
    world.add_file(path, "\n".join([f"# {world.word()}", *lines, f"{world.word()}={world.number()}"]) + "\n")
    return path


@schema("part.no_comments", "grep", weight=1.4)
def no_comments(world: World, rng: random.Random) -> Draft:
    both = rng.random() < 0.5
    path = commented(world, rng, both)
    if both:
        return show(rng, (*sought("{f} without (comments|comment lines) (and|or) (blank|empty) lines",
                                  "(only|just) the (active|effective|real) (lines|settings) (of|in) {f}, no comments "
                                  "and no "
                                  "(blank|empty) lines",
                                  "the lines (of|in) {f} that are neither (comments|commented out) nor (blank|empty)",
                                  tool="grep"),
                          "(strip|hide|leave out|filter out|skip) comments and (blank|empty) lines (of|in|from) {f}"
                          " (and show the rest|)".replace("(strip|", "("),
                          "what is (really|actually) set in {f}? (no comments, no blank lines|without comments and "
                          "blanks)",
                          "{f}, but without the # lines and the empty ones"),
                    f"grep -vE '^(#|$)' {quoted(path)}", f"show {path} without comments and blank lines", f=path,
                    protected=("#",))
    return show(rng, (*sought("{f} without (comments|comment lines|the comments|lines starting with #)",
                              "the lines (of|in) {f} that (do not|don't) start with #",
                              "(everything|all lines) (of|in) {f} (but|except) the comments", tool="grep"),
                      "(hide|leave out|filter out|skip) the comments (of|in) {f} (and show the rest|)",
                      "{f} minus the comment lines", "which lines of {f} are not comments?",
                      "(print|show) {f} but no comments"),
                f"grep -v '^#' {quoted(path)}", f"show {path} without comments", f=path, protected=("#",))


@schema("part.comments", "grep", weight=0.7)
def comments(world: World, rng: random.Random) -> Draft:
    path = commented(world, rng)
    return show(rng, (*sought("(only|just|) the comments (of|in|from) {f}", "(all|the|all the|) comment lines "
                              "(of|in|from) {f}",
                              "(all|the) lines (of|in|from) {f} that (start|begin) with #", tool="grep"),
                      "(which|what) comments are in {f}?", "{f}: comments only", "what do the comments in {f} say?"),
                f"grep '^#' {quoted(path)}", f"show the comments of {path}", f=path, protected=("#",))


@schema("part.words_by_line", "tr", weight=0.8)
def words_by_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 8)
    if re.search(r"^ | $|^$|\t", world.read(path).rstrip("\n"), re.MULTILINE):
        raise Unsuitable("blanks")
    return show(rng, (*sought("(the|all|) words (of|in|from) {f}, one (per|on each) line",
                              "{f} with one word per line", "(each|every) word of {f} on (its|a line of its) own line"
                              .replace("(its|a line of its) own line", "its own line"), tool="tr"),
                      "(split|break) {f} into words, one per line", "put (each|every) word of {f} on a (separate|new) "
                      "line",
                      "(turn|change) (the|) blanks (of|in) {f} into line breaks and (show|print) it",
                      "{f}: one word per line"),
                f"tr -s ' ' '\\n' < {quoted(path)}", f"print one word of {path} per line", f=path)


@schema("part.longest_word", "tr awk", weight=0.7)
def longest_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 20)
    sizes = sorted({len(word): word for word in set(world.read(path).split())})
    words = [word for word in set(world.read(path).split()) if len(word) == sizes[-1]]
    if len(words) > 1:
        raise Unsuitable("a tie")
    return show(rng, (*sought("the longest word (of|in|from) {f}", "the word (of|in) {f} with the most "
                              "(letters|characters)",
                              tool="awk"),
                      "(what|which) is the longest word (of|in) {f}?", "which word in {f} is (the|) longest?",
                      "longest word in {f}, blanks separate words"),
                f"tr -s ' ' '\\n' < {quoted(path)} | awk 'length > max {{ max = length; word = $0 }} END {{ print "
                f"word }}'",
                f"find the longest word of {path}", f=path)


@schema("part.reversed_tail", "tail tac", weight=0.5)
def reversed_tail(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 6), rng.randint(2, 5)
    return show(rng, sought(
        f"the last {{n}} (lines|entries|rows) {_OF} {{f}} in reverse (order|)",
        f"the last {{n}} (lines|entries|rows) {_OF} {{f}}, (newest|last|latest|most recent) (one|) first",
        f"the (latest|final) {{n}} lines {_OF} {{f}}, (backwards|reversed|last line first)", tool="tail and tac"),
        f"tail -n {n} {quoted(path)} | tac", f"show the last {n} lines, reversed", f=path, n=spelled(rng, n))


@schema("part.of_several", "head tail", weight=0.7)
def of_several(world: World, rng: random.Random) -> Draft:
    a, b, n = text_file(world, rng, 4), text_file(world, rng, 4), rng.randint(1, 4)
    if a == b:
        raise Unsuitable("one file")
    last = rng.random() < 0.4
    which, lines = ("last" if last else "first"), "line" if n == 1 else "{n} lines"
    return show(rng, (*sought(f"the {which} {lines} of (each of|both|) {{f}} and {{g}}",
                              f"the {which} {lines} (of|from) both files, {{f}} and {{g}}",
                              tool="tail" if last else "head"),
                      f"{which} {lines} of {{f}} and of {{g}}", f"{{f}} and {{g}}: {which} {lines} of each",
                      f"(peek at|look at|show me) the {which} {lines} of {{f}} and {{g}}"),
                f"{'tail' if last else 'head'} -n {n} {quoted(a, b)}", f"show the {which} lines of {a} and {b}", f=a,
                g=b, n=spelled(rng, n))


@schema("part.nonblank", "grep", weight=0.8)
def nonblank(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4, 40)
    if "\n\n" not in world.read(path):
        raise Unsuitable("no blank line")
    return show(rng, (*sought("{f} without (the|) (blank|empty) lines", "(all|the|only the) non-(blank|empty) lines "
                              "(of|in) {f}",
                              "the lines (of|in) {f} that (are not|aren't) (blank|empty)", tool="grep"),
                      "(skip|leave out|hide|filter out) the (blank|empty) lines of {f} (and print the rest|)",
                      "(print|show) {f} but (drop|skip|leave out) (blank|empty) lines, (do not change|leave) the file"
                      .replace("leave) the file", "don't touch) the file"), "{f}, (blank|empty) lines (omitted|left "
                      "out)"),
                f"grep . {quoted(path)}", f"show the lines of {path} that are not blank", f=path)
