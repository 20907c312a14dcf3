"""Tables whose columns are asked for by the name in the header: one awk program that finds the column first."""

from __future__ import annotations

import random

from nimllm.agent.gym.contents import NUMERIC
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.subjects import table
from nimllm.agent.gym.worlds import World

_PLACE = "(the {c} column|the column {c}|the column (called|named) {c}|the {c} field|{c})"


def _find(name: str, variable: str = "c") -> str:
    """awk that puts the number of a column into a variable, and skips the header."""
    return f"NR == 1 {{ for (i = 1; i <= NF; i++) if ($i == \"{name}\") {variable} = i; next }}"


def _find_two(first: str, a: str, second: str, b: str) -> str:
    """awk that puts the numbers of two columns into the variables ``a`` and ``b``, and skips the header."""
    return (f"NR == 1 {{ for (i = 1; i <= NF; i++) {{ if ($i == \"{first}\") {a} = i; "
            f"if ($i == \"{second}\") {b} = i }}; next }}")


def _numeric(world: World, rng: random.Random) -> tuple[str, str, list[float], list[str]]:
    """A table, the name of a column of numbers, its values, all names."""
    path, columns = table(world, rng)
    name = rng.choice([name for name in columns if name in NUMERIC and name != "id"])
    at = columns.index(name)
    return path, name, [float(row.split(",")[at]) for row in rows(world, path)[1:]], columns


def _key(rng: random.Random, columns: list[str]) -> str:
    found = [name for name in columns if name not in NUMERIC and name not in ("date", "email")]
    if not found:
        raise Unsuitable("numbers only")
    return rng.choice(found)


@schema("named.values", "awk", weight=1.6)
def values(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    name = rng.choice(columns)
    unique = rng.random() < 0.35
    once = "(different|distinct|unique)"
    program = f"awk -F , '{_find(name)} {{ print $c }}' {quoted(path)}"
    if unique:
        return show(rng, (*sought(f"(all|the|) {once} values (of|in) {_PLACE} (of|in) {{f}}",
                                  f"(all|the|) {once} {{c}} values (of|in) {{f}}", tool="awk"),
                          f"(which|what) {once} values does {_PLACE} of {{f}} have?",
                          f"(which|what) {once} values of {{c}} are in {{f}}?"),
                    f"{program} | sort -u", f"list the different values of {name}", ordered=False, f=path, c=name)
    bare = "(without|not|but not|leaving out|no) the header"
    return show(rng, (*sought(f"{_PLACE} (of|in|from) {{f}}, {bare}", f"(all|the) values of {_PLACE} (of|in) {{f}}",
                              "(all|the|every) {c} (value|entry) (of|in) {f}".replace("(value|entry)", "values")
                              .replace("(all|the|every)", "(all|the)"), tool="awk"),
                      f"(which|what) values are in {_PLACE} of {{f}}?", "the csv {f} has a {c} column, list its values",
                      f"(extract|get|pull out) (the values of|) {_PLACE} (of|from) {{f}}, {bare}"),
                program, f"list the values of {name}", f=path, c=name)


@schema("named.total", "awk", weight=2.0)
def total(world: World, rng: random.Random) -> Draft:
    path, name, _, _ = _numeric(world, rng)
    if rng.random() < 0.55:
        word, done = "(sum|total)", "{ s += $c } END { print s }"
        said = ("how much is {c} in total in {f}?", "(add up|sum up|sum|total) " + _PLACE + " (of|in) {f}",
                "(add up|sum up) (all|the) {c} values (in|of) {f}", "total {c} (in|of) {f}", "{f}: sum of {c}")
        plan = f"sum {name}"
    else:
        word, done = "(average|mean)", "{ s += $c; n++ } END { print s / n }"
        said = ("how (high|large) is {c} on average in {f}?", "average " + _PLACE + " (of|in) {f}",
                "average {c} (in|of) {f}",
                "(calculate|compute|work out) the (average|mean) {c} (in|of|from) {f}", "{f}: mean of {c}")
        plan = f"average {name}"
    return show(rng, (*sought(f"the {word} of {_PLACE} (of|in) {{f}}", f"the {word} of (all|the) {{c}} values (in|of) "
                              f"{{f}}",
                              tool="awk"), f"what is the {word} of {_PLACE} (in|of) {{f}}?",
                              f"what is the {word} {{c}} (in|of) {{f}}?",
                      *said),
                f"awk -F , '{_find(name)} {done}' {quoted(path)}", plan, f=path, c=name)


@schema("named.extreme", "awk sort head", weight=1.3)
def extreme(world: World, rng: random.Random) -> Draft:
    path, name, _, _ = _numeric(world, rng)
    low = rng.random() < 0.4
    word = "(smallest|lowest|minimum|least)" if low else "(largest|highest|maximum|biggest|greatest)"
    return show(rng, (*sought(f"the {word} {{c}} (in|of) {{f}}", f"the {word} value (of|in) {_PLACE} (of|in) {{f}}",
                              tool="awk"),
                      f"what is the {word} {{c}} (in|of) {{f}}?", f"what is the {word} value of {{c}} in {{f}}?",
                      f"{'min' if low else 'max'} {{c}} (in|of) {{f}}", f"{{f}}: {word} {{c}}, (just the number|only "
                      f"the value)"),
                f"awk -F , '{_find(name)} {{ print $c }}' {quoted(path)} | sort -n{'' if low else 'r'} | head -n 1",
                f"find the {'smallest' if low else 'largest'} {name}", f=path, c=name)


@schema("named.where", "awk wc", weight=1.6)
def where(world: World, rng: random.Random) -> Draft:
    path, name, found, _ = _numeric(world, rng)
    inner = sorted({int(value) for value in found})[1:-1]
    if not inner:
        raise Unsuitable("few values")
    limit = rng.choice(inner)
    sign, word = rng.choice(((">", "(greater than|over|above|more than|larger than|>)"), ("<",
                                                                      "(less than|under|below|smaller than|<)"),
                             (">=", "(at least|>=)")))
    if not any(value > limit if sign == ">" else value < limit if sign == "<" else True for value in found):
        raise Unsuitable("none")
    program = f"awk -F , '{_find(name)} $c {sign} {limit}' {quoted(path)}"
    some = "(rows|records|lines|entries)"
    if rng.random() < 0.45:
        return show(rng, (*number(f"{some} (of|in) {{f}} where {{c}} is {word} {{v}}", f"{some} (of|in) "
                                  f"{{f}} (with|having) a {{c}} {word} {{v}}"),
                          f"in how many {some} of {{f}} is {{c}} {word} {{v}}?"),
                    f"{program} | wc -l", f"count the rows by {name}", f=path, c=name, v=limit)
    return show(rng, (*sought(f"(all|the|) {some} (of|in) {{f}} where {{c}} is {word} {{v}}",
                              f"(all|the|) {some} (of|in) {{f}} (with|having) a {{c}} {word} {{v}}",
                              tool="awk"), f"which {some} of {{f}} have a {{c}} {word} {{v}}?",
                      f"(filter|search) {{f}} for {{c}} {word} {{v}}", f"{{f}}: {some} with {{c}} {word} {{v}}"),
                program, f"filter {path} by {name}", f=path, c=name, v=limit)


@schema("named.equal", "awk wc", weight=1.5)
def equal(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 5)
    name = _key(rng, columns)
    value = rng.choice(rows(world, path)[1:]).split(",")[columns.index(name)]
    program = f"awk -F , '{_find(name)} $c == \"{value}\"' {quoted(path)}"
    some = "(rows|records|lines|entries)"
    if rng.random() < 0.45:
        return show(rng, (*number(f"{some} (of|in) {{f}} where {{c}} is {{v}}", f"{some} (of|in) {{f}} (with|having) "
                                  f"{{c}} {{v}}"),
                          "how (often|many times) is {c} {v} in {f}?"),
                    f"{program} | wc -l", f"count the rows with {name} {value}", f=path, c=name, v=mark(rng, value,
                                                                      0.3))
    return show(rng, (*sought(f"(all|the|) {some} (of|in) {{f}} where {{c}} (is|equals|=) {{v}}",
                              f"(all|the|) {some} (of|in) {{f}} (with|having) {{c}} {{v}}",
                              tool="awk"), f"which {some} of {{f}} have {{v}} (as|in|for) {{c}}?",
                              "(filter|search) {f} (for|by) {c} {v}",
                      f"{{f}}: {some} with {{c}} = {{v}}"),
                program, f"show the rows with {name} {value}", f=path, c=name, v=mark(rng, value, 0.3))


@schema("named.per_value", "awk sort uniq", weight=1.4)
def per_value(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 6)
    name = _key(rng, columns)
    first = "(most frequent|highest|most common|largest count) first"
    return show(rng, (*sought(f"the number of (rows|records|entries) per {{c}} (in|of) {{f}}, {first}",
                              f"the {{c}} values (in|of) {{f}} with counts, {first}",
                              tool="awk"), f"how many (rows|records|entries) per {{c}} are in {{f}}? {first}",
                      f"(count|tally|group) the (rows|records) of {{f}} by {{c}}, {first}",
                      f"how often does each {{c}} occur in {{f}}? {first}",
                      f"breakdown of {{f}} by {{c}}, {first}"),
                f"awk -F , '{_find(name)} {{ print $c }}' {quoted(path)} | sort | uniq -c | sort -nr",
                f"count the values of {name}",
                ordered=False, f=path, c=name)


@schema("named.sum_by", "awk", weight=1.1)
def sum_by(world: World, rng: random.Random) -> Draft:
    path, name, _, columns = _numeric(world, rng)
    key = _key(rng, columns)
    both = _find_two(key, "k", name, "c")
    return show(rng, (*sought("the (sum|total) of {c} (per|by|for each) {k} (in|of) {f}",
                              "the total {c} (per|by|for each) {k} (in|of|from) {f}", tool="awk"),
                      "(sum|add up|total) {c} (grouped by|by|per) {k} (in|of) {f}", "group {f} by {k} and (sum|add "
                      "up) {c}",
                      "how much {c} does each {k} have in {f} in total?", "{f}: {c} totals per {k}"),
                f"awk -F , '{both} {{ s[$k] += $c }} END {{ for (k in s) print k, s[k] }}' {quoted(path)}",
                f"sum {name} by {key}",
                ordered=False, f=path, c=name, k=key)


@schema("named.row_of_extreme", "awk sort head", weight=1.2)
def row_of_extreme(world: World, rng: random.Random) -> Draft:
    path, name, found, _ = _numeric(world, rng)
    low, n = rng.random() < 0.35, rng.choice((1, 1, 2, 3))
    ranked = sorted(found, reverse=not low)
    if len(ranked) <= n or len(set(ranked[:n + 1])) <= n:
        raise Unsuitable("a tie")
    word = "(smallest|lowest|least)" if low else "(largest|highest|biggest|greatest)"
    what = "(row|record|line|entry)" if n == 1 else "{n} (rows|records|lines|entries)"
    return show(rng, (*sought(f"the {what} (of|in) {{f}} with the {word} {{c}}", tool="awk"),
                      f"(which|what) {what} (of|in) {{f}} {'has' if n == 1 else 'have'} the {word} {{c}}?",
                      f"{what} with the {word} {{c}} in {{f}}", f"{'bottom' if low else 'top'} {what} of {{f}} by "
                      f"{{c}}"),
                f"awk -F , '{_find(name)} {{ print $c \",\" $0 }}' {quoted(path)} | sort -t , -k "
                f"1,1n{'' if low else 'r'} | head -n {n} "
                "| cut -d , -f 2-", f"find the rows with the {'smallest' if low else 'largest'} {name}", f=path, c=name,
                n=spelled(rng, n))


@schema("named.value_of", "awk", weight=1.3)
def value_of(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 5)
    key = _key(rng, columns)
    name = rng.choice([name for name in columns if name != key])
    at = columns.index(key)
    keys = [row.split(",")[at] for row in rows(world, path)[1:]]
    value = rng.choice(keys)
    both = _find_two(key, "k", name, "c")
    if keys.count(value) == 1:
        said = (*sought("the {c} of {v} (in|from|according to) {f}", "the {c} of the (row|record) (in|of) {f} "
                        "(with|whose|where) {k} (is|) {v}".replace(
            "(with|whose|where) {k} (is|)", "where {k} is"), tool="awk"), "what is the {c} of (the {k}|) {v} in {f}?",
            "(which|what) {c} does {v} have in {f}?",
            "look up {v} in {f} and (show|print) its {c}", "{v}'s {c} in {f}")
    else:
        said = (*sought("the {c} of (all|every|all the) rows (in|of) {f} where {k} is {v}".replace("(all|every|all "
                                                                      "the)", "(all|the)"),
                        "the {c} values (in|of) {f} for {k} {v}", tool="awk"), "(which|what) {c} values go with {k} "
                        "{v} in {f}?",
                "for the rows of {f} with {k} {v}, (print|show) the {c}")
    return show(rng, said, f"awk -F , '{both} $k == \"{value}\" {{ print $c }}' {quoted(path)}",
                f"look up {name} of {value}", f=path,
                c=name, k=key, v=mark(rng, value, 0.2))


@schema("named.two", "awk", weight=0.9)
def two(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    a, b = rng.sample(columns, 2)
    both = _find_two(a, "a", b, "b")
    return show(rng, (*sought("{a} and {b} of (each|every) (row|record) (in|of) {f}, (with|separated by) a "
                              "(blank|space) (between|)".replace(
        "(with|separated by) a (blank|space) (between|)", "separated by a (blank|space)"),
        "(only|just) the columns {a} and {b} (of|from) {f}, without the header", tool="awk"),
        "for (each|every) row of {f} (print|show) {a} and {b}, separated by a blank", "list {a} and {b} from {f}, no "
        "header"),
        f"awk -F , '{both} {{ print $a, $b }}' {quoted(path)}", f"show {a} and {b}", f=path, a=a, b=b)


@schema("named.place", "head tr grep", weight=0.8)
def place(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    if rng.random() < 0.5:
        return show(rng, (*sought("the (column names|header|columns|field names) of {f}, one per line",
                                  "the (columns|column names) of {f} as a list, one per line"),
                          "which columns does {f} have? one per line", "(list|name) the columns of {f}, (each on its "
                          "own line|one per line)"),
                    f"head -n 1 {quoted(path)} | tr ',' '\\n'", "list the columns", f=path)
    name = rng.choice(columns)
    return show(rng, (*sought("the (number|position) of the column {c} in {f}", "the column number of {c} in {f}"),
                      "(which|what) column (number|) is {c} in {f}? (just the number|as a number)",
                      "the how-manieth column of {f} is {c}?".replace("the how-manieth column of {f} is {c}?",
                                                                      "at what position is the column {c} in {f}? "
                                                                      "(number only|just the number)")),
                f"head -n 1 {quoted(path)} | tr ',' '\\n' | grep -nx {name} | cut -d : -f 1",
                f"find the place of {name}", f=path, c=name)
