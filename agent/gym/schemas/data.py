"""Tables, columns of text, numbers, JSON."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.contents import NUMERIC
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import deed, number, sought
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW, number_file, ordinal, table
from nimllm.agent.gym.worlds import World

_COLUMN = "(column|field)"


def _numeric(world: World, rng: random.Random) -> tuple[str, str, int, list[str]]:
    """A table, one of its columns of numbers, that column's place from 1, and all columns."""
    path, columns = table(world, rng)
    column = rng.choice([name for name in columns if name in NUMERIC and name != "id"])
    return path, column, columns.index(column) + 1, columns




@schema("csv.column", "cut", weight=1.6)
def column(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    n = rng.randint(1, len(columns))
    return single(rng, (*sought(f"the {{o}} {_COLUMN} (of|in|from) {{f}}", f"{_COLUMN} (number|) {{n}} (of|in|from) "
                                f"{{f}}", f"(just|only) {_COLUMN} {{n}} (of|from) {{f}}", tool="cut"),
                                f"{{f}}: {_COLUMN} {{n}}",
            
        f"{PRINT} {_COLUMN} {{n}} of {{f}}", f"{PRINT} the {{o}} {_COLUMN} of {{f}}",
        f"cut the {{o}} {_COLUMN} out of {{f}}", f"the {{o}} {_COLUMN} of {{f}}",
        f"what is in (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}?",
        f"extract {_COLUMN} {{n}} from {{f}}", f"only the {{o}} {_COLUMN} of {{f}}"),
        f"cut -d , -f {n} {quoted(path)}", f"show column {n} of {path}", True, ordered=True, f=path, n=n, o=ordinal(n))


@schema("csv.columns", "cut", weight=0.9)
def columns(world: World, rng: random.Random) -> Draft:
    path, found = table(world, rng)
    if len(found) < 2:
        raise Unsuitable("one column")
    a, b = sorted(rng.sample(range(1, len(found) + 1), 2))
    return single(rng, (*sought("columns {a} and {b} (of|in|from) {f}", "(just|only) the {x} and {y} (columns|fields) "
                                "(of|from) {f}", tool="cut"), "{f}: columns {a} and {b}",
            
        "(show|print|get|extract) columns {a} and {b} of {f}", "(show|print|get) the {x} and (the|) {y} column of {f}",
        "columns {a} and {b} (of|from) {f}", "only (show|print) columns {a} and {b} (of|from) {f}",
        "cut columns {a} and {b} out of {f}",
        "(fields|columns) {a},{b} of {f}"),
        f"cut -d , -f {a},{b} {quoted(path)}", f"show columns {a} and {b} of {path}", True, ordered=True, f=path, a=a,
        b=b, x=ordinal(a), y=ordinal(b))


@schema("csv.header", "head", weight=0.9)
def header(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng)
    return single(rng, (*sought("the (header|header line|column names|column titles|first line|field names) (of|in) "
                                "{f}", tool="head"), "{f}: which columns?",
            
        "(which|what) columns does {f} have?", f"{PRINT} the (header|column names|header line) of {{f}}",
        "what are the (column names|columns) (of|in) {f}?", "(header|column names|columns) of {f}",
        "(list|name) the columns (of|in) {f}", "how are the columns of {f} called?"),
        f"head -n 1 {quoted(path)}", f"show the header of {path}", True, ordered=True, f=path)


@schema("csv.rows", "tail wc", weight=1.0)
def rows(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng)
    return single(rng, (*number("(rows|records|data rows|entries) (in|of) {f} (, not counting the header|, without "
                                "the header|)"), "{f}: how many (rows|records)?",
            
        "how many (rows|records|entries|data rows) does {f} have (without the header|not counting the header|)?",
        "count the (rows|records|data rows) (of|in) {f} (without the header|)",
        "number of (rows|records) in {f} (without the header|excluding the header|)",
        "how many (records|rows|data rows) are (there|) in {f}?",
        "(row|record) count of {f} (without the header line|)",
        "how many (data lines|rows) are there in {f}, (header excluded|the header does not count)?"),
        f"tail -n +2 {quoted(path)} | wc -l", f"count the rows of {path}", True, "There are {output} rows.", f=path)


@schema("csv.no_header", "tail", weight=0.7)
def no_header(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng, 3)
    return single(rng, (*sought("{f} (without|minus) (its|the) (header|first line)", "(the|all|) (rows|records|data) "
                                "(of|in) {f} without the header", tool="tail"),
            
        f"{PRINT} {{f}} without the header (line|)", f"{PRINT} the (rows|data) of {{f}} without the header",
        "{f} without (its|the) header", "(skip|leave out|hide) the header of {f} and (show|print) the rest",
        f"{PRINT} only the data (rows|lines) of {{f}}", "data rows of {f}, no header"),
        f"tail -n +2 {quoted(path)}", f"show {path} without the header", True, ordered=True, f=path)


@schema("csv.sum", "awk", weight=1.8)
def total(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    return single(rng, (*sought(f"the (sum|total) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}", tool="awk"),
                        f"{{f}}: sum of {_COLUMN} {{n}}",
            
        f"(sum|add up|total) (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}",
        f"what is the (sum|total) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}?",
        f"(sum|total) of {_COLUMN} {{n}} (in|of) {{f}}",
        f"(compute|calculate) the (sum|total) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}",
        f"add up (all|) the (numbers|values) in {_COLUMN} {{n}} of {{f}}",
        f"how much is {_COLUMN} {{n}} of {{f}} (in total|altogether)?"),
        f"awk -F , 'NR > 1 {{ s += ${n} }} END {{ print s }}' {quoted(path)}", f"sum column {n} of {path}", True,
        "The sum is {output}.", f=path, n=n, o=ordinal(n))


@schema("csv.average", "awk", weight=1.4)
def average(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    return single(rng, (*sought(f"the (average|mean) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}",
                                tool="awk"), f"{{f}}: average of {_COLUMN} {{n}}",
            
        f"what is the (average|mean) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}?",
        f"(compute|calculate|show) the (average|mean) of (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) (in|of) {{f}}",
        f"(average|mean) of {_COLUMN} {{n}} (in|of) {{f}}", f"average (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}",
        f"(mean|average) value (in|of) {_COLUMN} {{n}} of {{f}}", f"what is {_COLUMN} {{n}} of {{f}} on average?"),
        f"awk -F , 'NR > 1 {{ s += ${n}; n++ }} END {{ print s / n }}' {quoted(path)}", f"average column {n} of {path}",
        True, "The average is {output}.", f=path, n=n, o=ordinal(n))


@schema("csv.extreme", "tail cut sort", weight=1.3)
def extreme(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    low = rng.random() < 0.45
    word = "(smallest|lowest|minimum)" if low else "(largest|highest|maximum|biggest)"
    return single(rng, (
        f"what is the {word} (value|number) in (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}?",
        f"{SHOW} the {word} (value|number) (in|of) {_COLUMN} {{n}} of {{f}}",
        f"{word} (value|number) (in|of) (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}",
        f"find the {word} (value|number) in {_COLUMN} {{n}} of {{f}}",
        f"{'min' if low else 'max'} of {_COLUMN} {{n}} (in|of) {{f}}",
        f"how {'(small|low)' if low else '(large|high)'} does {_COLUMN} {{n}} of {{f}} get?"),
        f"tail -n +2 {quoted(path)} | cut -d , -f {n} | sort {'-n' if low else '-nr'} | head -n 1",
        f"find the {'smallest' if low else 'largest'} value of column {n}", True,
        f"The {'smallest' if low else 'largest'} value is {{output}}.",
        ordered=True, f=path, n=n, o=ordinal(n))


@schema("csv.sort", "sort", weight=1.2)
def sort(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    down = rng.random() < 0.5
    order, first = ("desc", "(largest|highest|biggest)") if down else ("asc", "(smallest|lowest)")
    way = "from largest to smallest" if down else "from smallest to largest"
    return single(rng, (
        f"sort {{f}} by {_COLUMN} {{n}} (numerically|), {first} first",
        f"sort the rows of {{f}} (numerically|) by the {{o}} {_COLUMN}, {order}ending",
        f"{PRINT} {{f}} sorted (numerically|) by {_COLUMN} {{n}}, in {order}ending order",
        f"{{f}} (sorted|ordered) by {_COLUMN} {{n}}, {way}",
        f"order {{f}} by the numbers in {_COLUMN} {{n}}, {first} first",
        f"{'reverse ' if down else ''}sort {{f}} numerically (on|by) {_COLUMN} {{n}}"),
        f"sort -t , -k {n},{n}{'nr' if down else 'n'} {quoted(path)}", f"sort {path} by column {n}", True, ordered=True,
        f=path, n=n, o=ordinal(n))


@schema("csv.top", "tail sort head", weight=0.9)
def top(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    k = rng.randint(1, 4)
    what = "row" if k == 1 else "{k} rows"
    return single(rng, (
        f"{SHOW} the {what} of {{f}} with the (largest|highest) (value|values) in {_COLUMN} {{n}}",
        f"which {what} of {{f}} {'has' if k == 1 else 'have'} the (largest|highest) numbers in {_COLUMN} {{n}}?",
        f"top {what} of {{f}} by {_COLUMN} {{n}}",
        f"the {what} of {{f}} where the {{o}} {_COLUMN} is (largest|highest)",
        f"find the {what} of {{f}} with the (biggest|highest) number in {_COLUMN} {{n}}",
        f"(best|top) {what} in {{f}} (by|judged by) the {{o}} {_COLUMN}"),
        f"tail -n +2 {quoted(path)} | sort -t , -k {n},{n}nr | head -n {k}",
        f"find the top {'row' if k == 1 else f'{k} rows'} by column {n}", True, ordered=True, f=path, n=n, k=k,
        o=ordinal(n))


@schema("csv.filter", "awk", weight=1.4)
def filter_rows(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    values = sorted({float(row.split(",")[n - 1]) for row in world.read(path).splitlines()[1:]})
    if len(values) < 3:
        raise Unsuitable("few values")
    more = rng.random() < 0.6
    limit = int(rng.choice(values[1:-1]))
    sign = ">" if more else "<"
    word = ("(greater than|larger than|above|more than|over|bigger than|>)" if more
            else "(less than|smaller than|below|under|<)")
    return single(rng, (*sought(f"(the|all|) (rows|records|entries) (of|in) {{f}} where {_COLUMN} {{n}} is {word} "
                                f"{{v}}", f"(rows|records) (of|in) {{f}} (with|having) {word} {{v}} in the "
                                f"{{o}} {_COLUMN}", tool="awk"),
            
        f"{SHOW} the rows of {{f}} where {_COLUMN} {{n}} is {word} {{v}}",
        f"which rows of {{f}} have (a value|) {word} {{v}} in {_COLUMN} {{n}}?",
        f"(filter|search) {{f}} for rows with {_COLUMN} {{n}} {word} {{v}}",
        f"rows of {{f}} with {_COLUMN} {{n}} {word} {{v}}",
        f"find (the|all|) rows (in|of) {{f}} whose {{o}} {_COLUMN} is {word} {{v}}",
        f"lines of {{f}} where the {{o}} {_COLUMN} is {word} {{v}}"),
        f"awk -F , 'NR > 1 && ${n} {sign} {limit}' {quoted(path)}", f"filter {path} by column {n}", True, ordered=True,
        f=path, n=n, v=limit, o=ordinal(n))


@schema("csv.filter_count", "awk wc", weight=0.9)
def filter_count(world: World, rng: random.Random) -> Draft:
    path, _, n, _ = _numeric(world, rng)
    values = sorted({float(row.split(",")[n - 1]) for row in world.read(path).splitlines()[1:]})
    if len(values) < 3:
        raise Unsuitable("few values")
    more = rng.random() < 0.6
    limit = int(rng.choice(values[1:-1]))
    word = "(greater than|larger than|above|more than|over)" if more else "(less than|smaller than|below|under)"
    return single(rng, (
        f"how many rows of {{f}} have (a value|) {word} {{v}} in {_COLUMN} {{n}}?",
        f"count the rows of {{f}} where {_COLUMN} {{n}} is {word} {{v}}",
        f"number of rows (in|of) {{f}} with {_COLUMN} {{n}} {word} {{v}}",
        f"in how many rows of {{f}} is the {{o}} {_COLUMN} {word} {{v}}?",
        f"count (the|) (records|rows) (in|of) {{f}} whose {{o}} {_COLUMN} is {word} {{v}}",
        f"how often is {_COLUMN} {{n}} of {{f}} {word} {{v}}?"),
        f"awk -F , 'NR > 1 && ${n} {'>' if more else '<'} {limit}' {quoted(path)} | wc -l",
        f"count the rows by column {n}", True, "There are {output} such rows.", f=path, n=n, v=limit, o=ordinal(n))


@schema("csv.match", "awk", weight=1.0)
def match(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 5)
    choices = [name for name in columns if name not in NUMERIC and name not in ("date", "email")]
    if not choices:
        raise Unsuitable("numbers only")
    n = columns.index(rng.choice(choices)) + 1
    value = rng.choice(world.read(path).splitlines()[1:]).split(",")[n - 1]
    return single(rng, (*sought(f"(the|all|) (rows|records|entries) (of|in) {{f}} (with|having) {{v}} in (the "
                                f"{{o}} {_COLUMN}|{_COLUMN} {{n}})", tool="awk"),
            
        f"{SHOW} the rows of {{f}} where {_COLUMN} {{n}} is {{v}}",
        f"which rows of {{f}} have {{v}} in {_COLUMN} {{n}}?", f"rows of {{f}} with {{v}} in {_COLUMN} {{n}}",
        f"find (the|all|) rows (in|of) {{f}} whose {{o}} {_COLUMN} is {{v}}",
        f"(filter|search) {{f}} for rows with {_COLUMN} {{n}} equal to {{v}}",
        f"lines of {{f}} where the {{o}} {_COLUMN} (is|equals) {{v}}"),
        f"awk -F , '${n} == \"{value}\"' {quoted(path)}", f"filter {path} by column {n}", True, ordered=True, f=path,
        n=n, v=value, o=ordinal(n))


@schema("csv.frequency", "tail cut sort uniq", weight=1.2)
def frequency(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 5)
    choices = [name for name in columns if name not in NUMERIC and name not in ("date", "email")]
    if not choices:
        raise Unsuitable("numbers only")
    n = columns.index(rng.choice(choices)) + 1
    return single(rng, (
        f"how often does each value (occur|appear) in {_COLUMN} {{n}} of {{f}}?",
        f"count (the|each|) (values|value) in (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}",
        f"{SHOW} the values (in|of) {_COLUMN} {{n}} of {{f}} with their counts",
        f"frequency (table|) of {_COLUMN} {{n}} (in|of) {{f}}",
        f"(tally|group and count) {{f}} by {_COLUMN} {{n}}",
        f"how many rows of {{f}} are there (for each value of|per value in) {_COLUMN} {{n}}?"),
        f"tail -n +2 {quoted(path)} | cut -d , -f {n} | sort | uniq -c | sort -nr", f"count the values of column {n}",
        True, f=path, n=n, o=ordinal(n))


@schema("csv.distinct", "tail cut sort", weight=1.1)
def distinct(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 5)
    n = rng.randint(1, len(columns))
    return single(rng, (*sought(f"(the|all|) (distinct|different|unique) values (of|in) (the "
                                f"{{o}} {_COLUMN}|{_COLUMN} {{n}}) (of|in) {{f}}"),
            
        f"(which|what) (different|distinct|unique) values are in {_COLUMN} {{n}} of {{f}}?",
        f"{SHOW} the (distinct|different|unique) values (in|of) (the {{o}} {_COLUMN}|{_COLUMN} {{n}}) of {{f}}",
        f"(distinct|unique|different) values of {_COLUMN} {{n}} in {{f}}",
        f"{SHOW} (every|each) (different|distinct) value of {_COLUMN} {{n}} of {{f}} once",
        f"{_COLUMN} {{n}} of {{f}} without duplicates", f"unique entries in the {{o}} {_COLUMN} of {{f}}"),
        f"tail -n +2 {quoted(path)} | cut -d , -f {n} | sort -u", f"show the distinct values of column {n}", True,
        f=path, n=n, o=ordinal(n))


@schema("csv.group_sum", "awk", weight=0.7)
def group_sum(world: World, rng: random.Random) -> Draft:
    path, _, n, found = _numeric(world, rng)
    others = [i for i, other in enumerate(found, 1) if other not in NUMERIC and other not in ("date", "email")]
    if not others:
        raise Unsuitable("no key")
    k = rng.choice(others)
    return single(rng, (
        "(sum|total) (of|) column {n} per value of column {k} in {f}",
        "for each value (of|in) column {k} of {f}, (sum|add up) column {n}",
        "sum column {n} of {f} grouped by column {k}",
        "(what are the totals|totals) of column {n} (for each|per) value of column {k} in {f}",
        "group {f} by column {k} and (sum|add up) column {n}", "add up column {n} of {f} by column {k}"),
        f"awk -F , 'NR > 1 {{ s[${k}] += ${n} }} END {{ for (k in s) print k, s[k] }}' {quoted(path)}",
        f"sum column {n} by column {k}", True, f=path, n=n, k=k)


@schema("csv.separator", "tr", weight=0.7)
def separator(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng)
    target = world.new_name("file", rng.choice(("tsv", "txt", "csv")))
    sign, word = rng.choice((("'\\t'", "(tabs|a tab)"), ("';'", "(semicolons|a semicolon)"), ("'|'",
        "(pipes|vertical bars)"), ("' '", "(blanks|spaces)"), ("':'", "(colons|a colon)")))
    return single(rng, (
        f"convert {{f}} to {{t}}, with {word} instead of commas",
        f"replace the commas of {{f}} by {word} and (save|write) (it|the result) (to|as) {{t}}",
        f"{{t}} should be {{f}} with {word} instead of commas",
        f"write {{f}} to {{t}} (separated by|with) {word.replace('(', '(').strip()} (instead of|not) commas",
        f"make {{t}} from {{f}}, separated by {word}",
        f"change the separator of {{f}} from (comma|commas) to {word}, output to {{t}}"),
        f"tr ',' {sign} < {quoted(path)} > {quoted(target)}", f"write {path} with another separator to {target}", False,
        f=path, t=target)


@schema("csv.column_into", "cut", weight=0.8)
def column_into(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    n, target = rng.randint(1, len(columns)), world.new_name("file", "txt")
    return single(rng, (
        f"(save|write|store) {_COLUMN} {{n}} of {{f}} (to|into|in) {{t}}",
        f"(extract|cut|copy) the {{o}} {_COLUMN} of {{f}} (to|into) {{t}}",
        f"{{t}} should (contain|hold) the {{o}} {_COLUMN} of {{f}}", f"make {{t}} from {_COLUMN} {{n}} of {{f}}",
        f"put the {{o}} {_COLUMN} of {{f}} into {{t}}",
        f"{_COLUMN} {{n}} of {{f}} to {{t}}"),
        f"cut -d , -f {n} {quoted(path)} > {quoted(target)}", f"write column {n} of {path} to {target}", False, f=path,
        n=n, o=ordinal(n), t=target)


@schema("csv.to_columns", "column", weight=0.6)
def aligned(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng, 3)
    return single(rng, (*sought("{f} as (a table|an aligned table|a neat table)", "{f} with (its|the) columns aligned",
                                tool="column"), "make the csv {f} readable (in the terminal|), aligned in columns",
            
        f"{PRINT} {{f}} as (a|an aligned|a neat) table", f"{PRINT} {{f}} with aligned columns",
        "(align|line up) the columns of {f}", "(pretty-print|pretty print) (the table|) {f}",
        "{f} as a (readable|neat|aligned) table", "show {f} nicely, in columns"),
        f"column -s , -t {quoted(path)}", f"show {path} as a table", True, ordered=True, f=path)


@schema("csv.add_row", "echo", weight=0.8)
def add_row(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng, 2)
    new = ",".join(str(world.number()) if name in NUMERIC else names.word(rng) for name in columns)
    return single(rng, (*deed("(add|append) the (row|record|line|entry) {r} to {f}", "put {r} at the end of {f}"),
            
        "(add|append) the row {r} to {f}", "add (a|one|) row {r} (at the end of|to) {f}", "(append|add) {r} to {f}",
        "{f} needs (a|one more) row: {r}", "insert the record {r} at the end of {f}", "new row in {f}: {r}"),
        f"echo {string(new)} >> {quoted(path)}", f"append the row to {path}", False, f=path, r=new)


@schema("words.column", "awk", weight=1.4)
def words(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "log", "dat")))
    width, last = rng.randint(3, 5), rng.random() < 0.25
    world.add_file(path, "".join(" ".join(
        rng.choice((names.word(rng), str(rng.randint(1,
            999)))) for _ in range(width)) + "\n" for _ in range(rng.randint(3, 8))))
    n = rng.randint(1, width)
    if last:
        return single(rng, (
            f"{PRINT} the last word of (each|every) line (of|in) {{f}}", "the last word of (each|every) line in {f}",
            "what is the last word (in|of) (each|every) line of {f}?",
            f"{PRINT} only the last (word|field) of the lines in {{f}}", "last words of the lines (in|of) {f}",
            "(get|extract) the last (word|field) of (each|every) line (in|of) {f}"),
            f"awk '{{ print $NF }}' {quoted(path)}", f"show the last word of each line of {path}", True, ordered=True,
            f=path)
    return single(rng, (
        f"{PRINT} the {{o}} word of (each|every) line (of|in) {{f}}", "the {o} word of (each|every) line in {f}",
        "what is the {o} word (in|of) (each|every) line of {f}?",
        f"{PRINT} only the {{o}} (word|field) of the lines in {{f}}",
        f"{PRINT} the {{o}} (column|field) of {{f}} (, separated by blanks|)",
        "word {n} of (each|every) line (of|in) {f}",
        "(get|extract) the {o} (word|field) of (each|every) line (in|of) {f}"),
        f"awk '{{ print ${n} }}' {quoted(path)}", f"show word {n} of each line of {path}", True, ordered=True, f=path,
        n=n, o=ordinal(n))


@schema("numbers.sum", "awk", weight=1.5)
def number_sum(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng)
    return single(rng, (*sought("the (sum|total) of (all|) the numbers (in|of) {f}", "the numbers (in|of) {f} (added "
                                "up|summed up)", tool="awk"), "{f} has one number per line, (add|sum) them up",
                                "{f}: sum",
            
        "(sum|add up|total) (all|) the numbers in {f}", "what is the (sum|total) of the numbers in {f}?",
        "(sum|total) of (the numbers in|) {f}",
        "(compute|calculate) the (sum|total) of (the numbers in|all numbers in) {f}",
        "how much is (all of|everything in) {f} (added up|together)?", "what do the numbers in {f} add up to?"),
        f"awk '{{ s += $1 }} END {{ print s }}' {quoted(path)}", f"sum the numbers in {path}", True,
        "The sum is {output}.", f=path)


@schema("numbers.average", "awk", weight=1.2)
def number_average(world: World, rng: random.Random) -> Draft:
    path = number_file(world, rng)
    return single(rng, (*sought("the (average|mean) of (all|) the numbers (in|of) {f}", tool="awk"),
                        "{f} has one number per line, average them", "{f}: mean",
            
        "what is the (average|mean) of the numbers in {f}?",
        "(compute|calculate|show) the (average|mean) of (the numbers in|) {f}",
        "(average|mean) of (the numbers in|) {f}", "average (all|) the numbers in {f}",
        "(mean|average) value (in|of) {f}", "what is the (mean|average) number in {f}?"),
        f"awk '{{ s += $1 }} END {{ print s / NR }}' {quoted(path)}", f"average the numbers in {path}", True,
        "The average is {output}.", f=path)


@schema("numbers.extreme", "sort head", weight=1.3)
def number_extreme(world: World, rng: random.Random) -> Draft:
    path, low = number_file(world, rng), rng.random() < 0.45
    word = "(smallest|lowest|least)" if low else "(largest|highest|biggest|greatest)"
    return single(rng, (*sought(f"the {word} (number|value) (in|of) {{f}}"), f"{{f}}: {word} number",
            
        f"what is the {word} number in {{f}}?", f"{SHOW} the {word} number (in|of) {{f}}",
        f"{word} (number|value) (in|of) {{f}}", f"find the {word} (number|value) in {{f}}",
        f"{'(minimum|min)' if low else '(maximum|max)'} of (the numbers in|) {{f}}",
        f"which number in {{f}} is (the|) {word}?"),
        f"sort {'-n' if low else '-nr'} {quoted(path)} | head -n 1",
        f"find the {'smallest' if low else 'largest'} number in {path}", True,
        f"The {'smallest' if low else 'largest'} number is {{output}}.", ordered=True, f=path)


@schema("numbers.sort", "sort", weight=1.2)
def number_sort(world: World, rng: random.Random) -> Draft:
    path, down = number_file(world, rng), rng.random() < 0.45
    order = ("(descending|from largest to smallest|largest first|biggest first)" if down
             else "(numerically|from smallest to largest|in ascending order|smallest first)")
    return single(rng, (*sought(f"the numbers (in|of) {{f}} (sorted|ordered) {order}", tool="sort"),
            
        f"sort the numbers in {{f}} {order}", f"{PRINT} the numbers (in|of) {{f}} {order}",
        f"(order|sort) {{f}} by number, {'largest first' if down else 'smallest first'}",
        f"{{f}} sorted by number, {order}",
        f"{PRINT} {{f}} sorted as numbers, {'largest first' if down else 'smallest first'}",
        f"the numbers of {{f}}, {order}"),
        f"sort {'-nr' if down else '-n'} {quoted(path)}", f"sort the numbers in {path}", True, ordered=True, f=path)


@schema("numbers.top", "sort head", weight=0.8)
def number_top(world: World, rng: random.Random) -> Draft:
    path, n, low = number_file(world, rng, 6), rng.randint(2, 5), rng.random() < 0.4
    word = "(smallest|lowest)" if low else "(largest|highest|biggest)"
    return single(rng, (*sought(f"the {{n}} {word} (numbers|values) (in|of) {{f}}", tool="sort"),
            
        f"{SHOW} the {{n}} {word} numbers (in|of) {{f}}", f"what are the {{n}} {word} numbers in {{f}}?",
        f"{{n}} {word} numbers (in|of) {{f}}", f"find the {{n}} {word} numbers in {{f}}",
        f"the {{n}} {word} values of {{f}}", f"which {{n}} numbers in {{f}} are (the|) {word}?"),
        f"sort {'-n' if low else '-nr'} {quoted(path)} | head -n {n}",
        f"find the {n} {'smallest' if low else 'largest'} numbers", True, ordered=True, f=path, n=n)


@schema("numbers.filter", "awk", weight=0.9)
def number_filter(world: World, rng: random.Random) -> Draft:
    path, more = number_file(world, rng, 5), rng.random() < 0.6
    values = sorted({int(row) for row in world.read(path).split()})
    limit = rng.choice(values[1:-1] or [0])
    if not limit:
        raise Unsuitable("few values")
    word = ("(greater than|larger than|above|over|more than|bigger than)" if more
            else "(less than|smaller than|below|under)")
    return single(rng, (*sought(f"(the|all|) numbers (in|of) {{f}} {word} {{v}}", tool="awk"),
            
        f"{SHOW} the numbers in {{f}} (that are|) {word} {{v}}", f"which numbers in {{f}} are {word} {{v}}?",
        f"numbers {word} {{v}} in {{f}}", f"find (all|the|) numbers {word} {{v}} in {{f}}",
        f"(filter|search) {{f}} for numbers {word} {{v}}", f"(lines|numbers) of {{f}} {word} {{v}}"),
        f"awk '$1 {'>' if more else '<'} {limit}' {quoted(path)}", f"filter the numbers in {path}", True, ordered=True,
        f=path, v=limit)
