"""Orders other than the plain one, and repeated lines."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym import names, records
from nimllm.agent.gym.contents import NUMERIC
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.subjects import list_file, number_file, ordinal, table, text_file
from nimllm.agent.gym.worlds import World


def _sort(rng: random.Random, world: World, lines: list[str], options: str, reverse: bool, way: str, plan: str,
          noun: str = "lines", ext: tuple[str, ...] = ("txt", "lst", "dat")) -> Draft:
    """Sort a new file in an unusual way; ``way`` is an alternation such as "by version"."""
    path = world.new_name("file", rng.choice(ext))
    world.add_file(path, "\n".join(lines) + "\n")
    return show(rng, (*sought(f"the {noun} (of|in) {{f}} (sorted|ordered) {way}", f"{{f}} (sorted|ordered|in order) "
                              f"{way}",
                              tool="sort"),
                      f"(sort|order) {{f}} {way}", f"(sort|order) the {noun} (of|in) {{f}} {way}",
                      f"(put|bring) the {noun} of {{f}} in order {way} and (show|print) them", f"{{f}}: {noun} {way}"),
                f"sort {options}{'r' if reverse else ''} {quoted(path)}", plan, f=path)


@schema("sort.any_case", "sort", weight=0.7)
def any_case(world: World, rng: random.Random) -> Draft:
    lines = list(dict.fromkeys(rng.choice((str.upper, str.capitalize, str.lower))(world.word()) for _ in range(
        rng.randint(5, 10))))
    if len({line.lower() for line in lines}) < len(lines):
        raise Unsuitable("same words")
    return _sort(rng, world, lines, "-f", False, "(ignoring case|case-insensitively|without regard to "
                 "case|alphabetically, "
                 "upper and lower case treated alike|alphabetically but case-insensitive)", "sort, ignoring case")


@schema("sort.human", "sort", weight=0.7)
def human(world: World, rng: random.Random) -> Draft:
    lines = [f"{rng.randint(1, 900)}{unit}\t{world.word()}" for unit in rng.choices("KMG", k=rng.randint(5, 9))]
    down = rng.random() < 0.6
    way = ("(by (human-readable|) size, (largest|biggest) first|by size with K, M and G, descending|by size from "
           "largest to smallest)"
           if down else "(by (human-readable|) size, smallest first|by size with K, M and G, ascending|by size from "
           "small to large)")
    return _sort(rng, world, lines, "-h", down, way, "sort by size", "entries")


@schema("sort.version", "sort", weight=0.8)
def version(world: World, rng: random.Random) -> Draft:
    prefix = rng.choice(("", "", "v", f"{world.word()}-"))
    lines = list({f"{prefix}{rng.randint(0, 3)}.{rng.randint(0, 20)}.{rng.randint(0, 12)}" for _ in range(rng.randint(4,
                                                                      9))})
    lines.sort(key=lambda line: rng.random())
    down = rng.random() < 0.4
    return _sort(rng, world, lines, "-V", down, "(by version, (newest|highest|latest) first|as versions, "
                 "descending|as version "
                 "numbers, highest first)" if down else "(by version|as version numbers|by version number, oldest "
                 "first|as "
                 "versions, lowest first|the way versions are ordered)", "sort by version", "versions")


@schema("sort.month", "sort", weight=0.4)
def month(world: World, rng: random.Random) -> Draft:
    lines = [f"{name} {world.word()}" for name in rng.sample(records.MONTHS, rng.randint(4, 9))]
    return _sort(rng, world, lines, "-M", False, "(by month|by month name|in calendar order|by the month at the "
                 "beginning|from "
                 "January to December)", "sort by month", "entries")


@schema("sort.date", "sort", weight=0.9)
def date(world: World, rng: random.Random) -> Draft:
    lines = list(dict.fromkeys(names.date(rng) for _ in range(rng.randint(4, 9))))
    lines = [f"{line} {world.word()}" for line in lines]
    down = rng.random() < 0.5
    path = world.new_name("file", rng.choice(("txt", "log", "md")))
    world.add_file(path, "\n".join(lines) + "\n")
    way = ("(by date, (newest|latest|most recent) first|newest first|in reverse chronological order|by date, "
           "descending)" if down
           else "(by date|by date, (oldest|earliest) first|oldest first|chronologically|in chronological order)")
    return show(rng, (*sought(f"{{f}} (sorted|ordered) {way}", f"the (lines|entries) (of|in) {{f}} {way}", tool="sort"),
                      f"(sort|order) {{f}} {way}", f"(sort|order) the (lines|entries) of {{f}} {way}",
                      f"the dates in {{f}} are (mixed up|in no order), show the lines {way}"),
                f"sort {'-r ' if down else ''}{quoted(path)}", f"sort {path} by date", f=path)


@schema("sort.length", "awk sort cut", weight=0.7)
def length(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 4)
    found = rows(world, path)
    if len({len(row) for row in found}) < len(set(found)):
        raise Unsuitable("equal lengths")
    down = rng.random() < 0.5
    way = ("(by length, longest first|from longest to shortest|by (descending|decreasing) length)" if down else
           "(by length, shortest first|by (their|) length|from shortest to longest|by (increasing|ascending) length)")
    return show(rng, (*sought(f"the lines of {{f}} {way}", f"{{f}} (sorted|ordered) {way}"),
                      f"(sort|order) {{f}} {way}", f"(sort|order) the lines (of|in) {{f}} {way}"),
                f"awk '{{ print length, $0 }}' {quoted(path)} | sort -n{'r' if down else ''} | cut -d ' ' -f 2-",
                f"sort {path} by length", f=path)


def grid(world: World, rng: random.Random, separator: str = " ", least: int = 4) -> tuple[str, list[bool]]:
    """A new file of words and numbers in columns without a header; which columns are numbers."""
    numeric = [False, True] + [rng.random() < 0.5 for _ in range(rng.randint(0, 2))]
    rng.shuffle(numeric)
    n = rng.randint(least, least + 7)
    columns = []
    for number in numeric:
        pool = [world.word().replace(" ", "") for _ in range(max(2, n // 2))]
        columns.append([str(value) for value in rng.sample(range(1, rng.choice((99, 999, 9999))), n)] if number
                       else rng.choices(pool, k=n))
    path = world.new_name("file", rng.choice(("txt", "dat", "log", "lst")) if separator == " " else rng.choice(
        ("txt", "csv", "dat", "conf")))
    world.add_file(path, "".join(separator.join(row) + "\n" for row in zip(*columns, strict=True)))
    return path, numeric


@schema("sort.column", "sort", weight=1.4)
def column(world: World, rng: random.Random) -> Draft:
    path, numeric = grid(world, rng)
    at = rng.randrange(len(numeric))
    n, down = at + 1, rng.random() < 0.45
    place = "(column {n}|the {o} column|the {o} field|field {n})"
    if numeric[at]:
        way = (f"(numerically|) by {place}, (largest|highest|biggest) first" if down else
               f"(numerically|as numbers) by {place}(, (smallest|lowest) first|)")
        key = f"-k {n},{n}n{'r' if down else ''}"
    else:
        if len({row.split()[at] for row in rows(world, path)}) < len(rows(world, path)):
            raise Unsuitable("ties")
        way, key = (f"(alphabetically|) by {place}, (descending|in reverse|from z to a)" if down else
                    f"(alphabetically|) by {place}"), f"-k {n},{n}{'r' if down else ''}"
    return show(rng, (*sought(f"{{f}} (sorted|ordered) {way}", f"the (lines|rows) of {{f}} (sorted|ordered) {way}",
                              tool="sort"),
                      f"(sort|order) {{f}} {way}", f"(sort|order) the (lines|rows|entries) (of|in) {{f}} {way}"),
                f"sort {key} {quoted(path)}", f"sort {path} by column {n}", f=path, n=n, o=ordinal(n))


@schema("sort.separated", "sort", weight=0.9)
def separated(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice(((":", "colons?"), (";", "semicolons?"), ("|", "pipes?"), (",", "commas?")))
    path, numeric = grid(world, rng, sign)
    at, down, name = numeric.index(True), rng.random() < 0.5, name.rstrip("?")
    n, said = at + 1, (f"in {{f}} the fields are separated by {name}, ", f"{{f}} ({name} between the fields): ")
    first = "(largest|highest) first" if down else "(smallest|lowest) first"
    return show(rng, (f"sort {{f}} numerically by (field|column) {{n}}, {first}, the separator is {name}",
                      f"{said[0]}sort it by the {{o}} one as numbers, {first}",
                      f"(fields of {{f}} are separated by|{{f}} uses) {name}: sort (it|the lines) by (field|column) "
                      f"{{n}} "
                      f"(numerically|), {first}", f"sort the {name}-separated file {{g}} by the number in "
                      f"(field|column) {{n}}, "
                      f"{first}".replace(f"{name}-separated", f"{name[:-1]}-separated"),
                      f"{{f}}, sorted by the number in (field|column) {{n}} ({name} separate the fields), "
                      f"{first}".replace(
                          f"({name} separate the fields)", f"where {name} separate the fields"),
                      f"use sort on {{f}} with {name[:-1]}s as separator, key (field|column) {{n}}, numeric, "
                      f"{first}"),
                f"sort -t {quoted(sign)} -k {n},{n}n{'r' if down else ''} {quoted(path)}", f"sort {path} by field {n}",
                f=path, g=path,
                n=n, o=ordinal(n))


@schema("sort.keep_header", "head tail sort", weight=0.9)
def keep_header(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    name = rng.choice([name for name in columns if name in NUMERIC and name != "id"])
    n, down = columns.index(name) + 1, rng.random() < 0.5
    cells = [row.split(",")[n - 1] for row in rows(world, path)[1:]]
    if len(set(cells)) < len(cells):
        raise Unsuitable("ties")
    order = "(descending|largest first|highest first)" if down else "(ascending|smallest first|lowest first)"
    keep = "(keeping|keep|with|but keep) the header (line|) (on top|first|at the top)"
    return show(rng, (f"sort {{f}} by (column|field) {{n}} (numerically|), {order}, {keep}",
                      f"(print|show|give me) {{f}} (sorted|ordered) by the {{o}} (column|field), {order}, {keep}",
                      f"sort the rows of {{f}} by the number in (column|field) {{n}}, {order}, but (leave|keep) the "
                      f"header (where it is|"
                      "in place|at the top)", f"{{f}} sorted by (column|field) {{n}}, {order}, header (stays|remains) "
                      f"on top",
                      f"I need {{f}} in order of its {{o}} column, {order}, {keep}"),
                f"head -n 1 {quoted(path)} && tail -n +2 {quoted(path)} | sort -t , -k {n},{n}n{'r' if down else ''}",
                f"sort {path} by column {n} below the header", f=path, n=n, o=ordinal(n))


@schema("sort.text_column", "sort tail", weight=0.9)
def text_column(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    texts = [name for name in columns if name not in NUMERIC]
    if not texts:
        raise Unsuitable("numbers only")
    n = columns.index(rng.choice(texts)) + 1
    down = rng.random() < 0.35
    cells = [row.split(",")[n - 1] for row in rows(world, path)[1:]]
    if len(set(cells)) < len(cells):
        raise Unsuitable("ties")
    way = ("(in reverse|from z to a|descending)" if down else
           "(alphabetically|from a to z|ascending|in alphabetical order)")
    return show(rng, (*sought(f"the rows of {{f}} without the header, sorted {way} by (column|field) {{n}}",
                              f"the data rows of {{f}} {way} by the {{o}} (column|field)"),
                      f"(sort|order) the data rows of {{f}} {way} by (column|field) {{n}} (without|leaving out) the "
                      f"header",
                      f"skip the header of {{f}} and sort the rest {way} by the {{o}} (column|field)"),
                f"tail -n +2 {quoted(path)} | sort -t , -k {n},{n}{'r' if down else ''}",
                f"sort the rows of {path} by column {n}",
                f=path, n=n, o=ordinal(n))


@schema("sort.several", "sort", weight=0.8)
def several_files(world: World, rng: random.Random) -> Draft:
    a, b = list_file(world, rng, 3), list_file(world, rng, 3)
    unique = rng.random() < 0.6
    if unique:
        return show(rng, (*sought("(the|all|) (unique|distinct|different) lines of {f} and {g} (together|)",
                                  "the lines of {f} and {g} merged, (sorted|in order), without duplicates",
                                  "the union of (the lines of|) {f} and {g}", tool="sort"),
                          "(merge|combine) {f} and {g}, (drop|remove) duplicates and sort",
                          "which different lines do {f} and {g} have"
                          " (together|between them)?", "sort {f} and {g} together, (each line once|no duplicates)"),
                    f"sort -u {quoted(a, b)}", f"show the unique lines of {a} and {b}", ordered=False, f=a, g=b)
    return show(rng, (*sought("the lines of {f} and {g} (together|), (sorted|in alphabetical order)", tool="sort"),
                      "sort (the lines of|) {f} and {g} together", "(merge|combine) {f} and {g} (into one sorted "
                      "list|and sort the "
                      "result)", "all lines of {f} and {g}, sorted"),
                f"sort {quoted(a, b)}", f"sort {a} and {b} together", f=a, g=b)


@schema("sort.first", "sort head", weight=1.0)
def first(world: World, rng: random.Random) -> Draft:
    path, last = list_file(world, rng, 5), rng.random() < 0.4
    n = rng.choice((1, 1, 2, 3, 4, 5))
    if n > len(rows(world, path)):
        raise Unsuitable("short")
    what = "(line|entry|item|name)" if n == 1 else "{n} (lines|entries|items)"
    verb = "is" if n == 1 else "are"
    word = "last" if last else "first"
    return show(rng, (*sought(f"the {word} {what} (of|in) {{f}} in alphabetical order",
                              f"the alphabetically {word} {what} (of|in)"
                              " {f}", tool="sort"),
                      f"(what|which) {what} (of|in) {{f}} {'comes' if n == 1 else 'come'} {word} (alphabetically|in "
                      f"the alphabet)?",
                      f"sort {{f}} {'in reverse ' if last else ''}and (show|print) (only|just) the "
                      f"{'first' if n == 1 else 'first {n}'}"
                      f" {'line' if n == 1 else 'lines'}",
                      f"{'{f}, reverse sorted' if last else '{f}, sorted'}: the top "
                      f"{'line' if n == 1 else '{n} lines'}",
                      f"which {verb} the {word} {what} of {{f}} when sorted?".replace(f"which {verb}", f"what {verb}")),
                f"sort {'-r ' if last else ''}{quoted(path)} | head -n {n}", f"show the {word} of the sorted lines",
                f=path,
                n=spelled(rng, n))


@schema("sort.check", "sort", weight=0.6)
def check(world: World, rng: random.Random) -> Draft:
    numeric = rng.random() < 0.3
    path = number_file(world, rng) if numeric else list_file(world, rng, 3)
    if rng.random() < 0.5:
        lines = rows(world, path)
        world.entries[path].content = ("\n".join(sorted(lines, key=int if numeric else str)) + "\n").encode()
    how = "(numerically|as numbers|in numeric order)" if numeric else "(alphabetically|)"
    return show(rng, (f"is {{f}} (already|) sorted {how}? (yes or no|answer yes or no)",
                      f"(check|test|find out|tell me) (if|whether) {{f}} is sorted {how}, (print|say|answer) yes or no",
                      f"are the lines of {{f}} sorted {how}? (yes or no|print yes or no)",
                      f"is {{f}} in sorted order {how}: yes or no?", f"print yes if {{f}} is sorted {how}, else no"),
                f"sort -C{'n' if numeric else ''} {quoted(path)} && echo yes || echo no",
                f"check whether {path} is sorted", f=path)


@schema("sort.in_place_way", "sort", weight=1.0)
def in_place(world: World, rng: random.Random) -> Draft:
    kind = rng.choice(("n", "nr", "r", "u", "u"))
    path = number_file(world, rng, 4) if "n" in kind else list_file(world, rng, 5)
    way = {"n": "(numerically|as numbers|by number, smallest first)", "nr": "(numerically in descending order|by "
           "number, (largest|"
           "biggest) first)", "r": "(in reverse order|from z to a|descending)", "u": "and (remove|drop) (the|) "
           "(duplicates|duplicate "
           "lines)"}[kind]
    save = "(in place|and save (it|the file)|and write it back|, change the file itself|and overwrite the file)"
    extra = (("remove the duplicate lines (from|in) {f}, sorted, in place", "(deduplicate|dedupe) {f} in place (, "
              "sorted|and sort it)",
              "{f} should (be sorted and|be sorted, with) every line only once (, change the file|, in "
              "place)".replace("(be sorted and|be sorted, with)", "be sorted, with"))
             if kind == "u" else ())
    return change(rng, (*deed(f"sort {{f}} {way} {save}", f"sort the (lines|contents) of {{f}} {way} {save}",
                              tool="sort"), *extra),
                  f"sort -{kind} -o {quoted(path, path)}", f"sort {path} in place", f=path)


@schema("sort.words", "tr sort", weight=0.6)
def words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 8)
    if re.search(r"^ | $|^$|\t", world.read(path).rstrip("\n"), re.MULTILINE):
        raise Unsuitable("blanks")
    return show(rng, (*sought("(the|all|) (different|distinct|unique) words (of|in|from) {f}, (sorted|in alphabetical "
                              "order)",
                              "a sorted list of the (different|distinct|unique) words (of|in) {f}",
                              "the vocabulary of {f}, sorted"),
                      "(which|what) different words (are|occur) in {f}? sorted", "(list|show) every word of {f} once, "
                      "in alphabetical"
                      " order"),
                f"tr -s ' ' '\\n' < {quoted(path)} | sort -u", f"list the different words of {path}", f=path)


@schema("uniq.adjacent", "uniq", weight=0.8)
def adjacent(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "log", "lst")))
    lines = [line for line in world.word_list(rng.randint(4, 8)).splitlines() for _ in range(rng.choice((1, 1, 2, 3)))]
    world.add_file(path, "\n".join(lines) + "\n")
    counts = rng.random() < 0.4
    repeated = "(repeated|identical|equal|duplicate) (adjacent|consecutive|neighbouring|successive) lines"
    if counts:
        return show(rng, (*sought(f"the lines of {{f}} with {repeated} (collapsed|merged) and counted", tool="uniq"),
                          f"(count|merge and count) {repeated} (in|of) {{f}} (in the order of the file|without "
                          f"sorting)",
                          "how often is each line of {f} repeated in a row? keep the order"),
                    f"uniq -c {quoted(path)}", f"count the repeated lines of {path}", f=path)
    return show(rng, (*sought(f"{{f}} (without|with no) {repeated}", f"{{f}} with {repeated} (collapsed|merged|shown "
                              f"once)", tool="uniq"),
                      f"(collapse|merge|squeeze|drop) {repeated} (in|of) {{f}} and (show|print) it",
                      "run uniq on {f}",
                      "(show|print) {f} but each run of equal lines only once"),
                f"uniq {quoted(path)}", f"show {path} without repeated neighbours", f=path)


@schema("uniq.once", "sort uniq", weight=1.0)
def once(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 6)
    found = rows(world, path)
    if not any(found.count(row) == 1 for row in found):
        raise Unsuitable("none")
    return show(rng, (*sought("(the|all|) (lines|entries) that (occur|appear) (only|exactly|just) once in {f}",
                              "(the|all|) (lines|entries|values) (of|in) {f} that are not (repeated|duplicated)",
                              "(only|just) the (lines|entries) (of|in) {f} without a duplicate", tool="uniq"),
                      "(which|what) (lines|entries) (occur|appear) (only|exactly|just) once in {f}?",
                      "which lines of {f} have no (twin|duplicate)?"),
                f"sort {quoted(path)} | uniq -u", f"show the lines of {path} that occur once", ordered=False, f=path)


@schema("uniq.keep_order", "awk", weight=1.2)
def keep_order(world: World, rng: random.Random) -> Draft:
    path, into = list_file(world, rng, 6), rng.random() < 0.3
    found = rows(world, path)
    if len(set(found)) == len(found):
        raise Unsuitable("no duplicates")
    keep = ("(keeping|preserving|but keep|without changing) the (original|) order|without sorting|in the original "
            "order|in order of "
            "(first|) appearance")
    said = (f"{{f}} without duplicate lines, ({keep})", f"the (unique|distinct) lines of {{f}} ({keep})")
    if into:
        target = world.new_name("file", "txt")
        return change(rng, deed(f"(remove|drop) (the|) duplicate lines (from|of) {{f}} ({keep}) and (save|write) the "
                                f"result (to|as) {{t}}",
                                f"(write|save) the (unique|distinct) lines of {{f}} (to|into) {{t}}, ({keep})",
                                tool="awk"),
                      f"awk '!seen[$0]++' {quoted(path)} > {quoted(target)}", f"write the unique lines to {target}",
                      f=path, t=target)
    return show(rng, (*sought(*said, tool="awk"), f"(remove|drop|filter out|skip) (the|) (duplicates|duplicate lines) "
                      f"(from|of) {{f}} "
                      f"({keep}) and (show|print) (it|the result)", "(show|print) each line of {f} only the first "
                      "time (it occurs|)",
                      f"(deduplicate|dedupe) {{f}} ({keep})"),
                f"awk '!seen[$0]++' {quoted(path)}", f"show {path} without duplicates", f=path)


@schema("uniq.top", "sort uniq head", weight=1.6)
def top(world: World, rng: random.Random) -> Draft:
    path, n = list_file(world, rng, 9), rng.randint(2, 5)
    found = rows(world, path)
    counts = sorted((found.count(row) for row in set(found)), reverse=True)
    if len(counts) <= n or counts[n - 1] == counts[n]:
        raise Unsuitable("a tie")
    what = "{n} (most (common|frequent)|most frequent) (lines|entries|values|items)"
    return show(rng, (*sought(f"the {what} (of|in) {{f}} (with (their|the) counts|with how often they occur|and their "
                              f"counts)",
                              "the top {n} (lines|entries|values) (of|in) {f} by (frequency|count), with counts"),
                      f"(what|which) are the {what} (of|in) {{f}}? (show|with) counts",
                      "which {n} (lines|entries) (occur|appear) most (often|frequently) in {f}, and how often?",
                      "top {n} (lines|entries|values) in {f} with counts", "{f}: top {n} by frequency, with counts"),
                f"sort {quoted(path)} | uniq -c | sort -nr | head -n {n}", f"find the {n} most common lines of {path}",
                ordered=False,
                f=path, n=spelled(rng, n))


@schema("uniq.top_bare", "sort uniq head awk", weight=1.0)
def top_bare(world: World, rng: random.Random) -> Draft:
    path, rare = list_file(world, rng, 8), rng.random() < 0.3
    found = rows(world, path)
    counts = sorted((found.count(row) for row in set(found)), reverse=not rare)
    if len(counts) < 2 or counts[0] == counts[1] or any(" " in row for row in found):
        raise Unsuitable("a tie")
    word = "(rarest|least common|least frequent)" if rare else "(most common|most frequent|commonest)"
    no = "(without the count|without its count|only the (word|line) itself|not the count|no count)"
    return show(rng, (*sought(f"the {word} (line|entry|word) (of|in) {{f}}, {no}"),
                      f"(what|which) is the {word} (line|entry) (of|in) {{f}}? {no}",
                      f"which (line|entry) (occurs|appears) {'least' if rare else 'most'} often in {{f}}? {no}",
                      f"{word} (line|entry) in {{f}}, {no}"),
                f"sort {quoted(path)} | uniq -c | sort -n{'' if rare else 'r'} | head -n 1 | awk '{{ print $2 }}'",
                f"find the {'rarest' if rare else 'most common'} line", f=path)


@schema("uniq.counts_by_name", "sort uniq", weight=0.7)
def counts_by_name(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 6)
    return show(rng, (*sought("(each|every) (different|distinct|) line of {f} with its count, (in alphabetical "
                              "order|sorted by name|"
                              "alphabetically)", "the counts of the lines in {f}, sorted (by name|alphabetically)"),
                      "(count|tally) the (lines|entries) of {f}, (output|result) in alphabetical order",
                      "how often does each line occur in {f}? sort by (name|line), not by count"),
                f"sort {quoted(path)} | uniq -c", f"count each line of {path}", f=path)
