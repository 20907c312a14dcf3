"""Columns: of accounts, of files with other separators, by the name in the header, and rows that fulfil something."""

from __future__ import annotations

import random

from nimllm.agent.gym import records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.sorting import grid
from nimllm.agent.gym.schemas.subjects import ordinal, table
from nimllm.agent.gym.worlds import World

_COLUMN = "(column|field)"
_TALLY = "sort | uniq -c | sort -nr"


def accounts(world: World, rng: random.Random) -> tuple[str, list[list[str]]]:
    """A new file of accounts and its fields."""
    path = rng.choice(("passwd", "etc/passwd", "passwd.bak", world.new_name("file", "txt"), "passwd.txt"))
    if path in world.entries or "etc" in world.files():
        raise Unsuitable("taken")
    world.add_file(path, records.accounts(rng, rng.randint(6, 14)))
    return path, [row.split(":") for row in rows(world, path)]


@schema("accounts.users", "cut", weight=1.2)
def users(world: World, rng: random.Random) -> Draft:
    path, _ = accounts(world, rng)
    at = rng.random()
    some = "(user names|users|usernames|login names|accounts|logins)"
    if at < 0.5:
        return show(rng, (*sought(f"(all|the|only the|just the|) {some} (in|of|from) {{f}}", tool="cut"),
                          f"(which|what) {some} (are|exist) in {{f}}?", f"{some} (listed|) in {{f}}, one per line"),
                    f"cut -d : -f 1 {quoted(path)}", f"list the users of {path}", f=path)
    if at < 0.65:
        return show(rng, number("(users|accounts|user accounts) (in|of) {f}"),
                    f"wc -l < {quoted(path)}", f"count the users of {path}", f=path)
    numbers, what = rng.choice((("1,6", "(home directory|home)"), ("1,7", "(shell|login shell)"), ("1,3",
                                                                      "(uid|user id|UID)")))
    return show(rng, (*sought(f"(each|every) user (of|in) {{f}} (with|and) (its|their|his) "
                              f"{what}".replace("(its|their|his)", "its"),
                              f"(all|the|) {some} and {what} (in|from) {{f}}, (with|keeping|separated by) the colon",
                              tool="cut"),
                      f"for each user in {{f}}: name and {what}, (separated by a colon|with the colon between)"),
                f"cut -d : -f {numbers} {quoted(path)}", "show two fields of each user", f=path)


_FIELDS = {3: "(uid|user id|UID|numeric id)", 6: "(home directory|home|home folder|home dir)", 7: "(shell|login shell)",
           5: "(full name|real name|comment field)"}


@schema("accounts.field", "grep cut", weight=1.3)
def field(world: World, rng: random.Random) -> Draft:
    path, found = accounts(world, rng)
    user = rng.choice(found)[0]
    at = rng.choice(list(_FIELDS))
    what = _FIELDS[at]
    return show(rng, (*sought(f"the {what} of (the user|) {{u}} (in|from|according to) {{f}}"),
                      f"what is the {what} of {{u}} (in|according to)"
                      f" {{f}}?", f"{{u}}'s {what} (in|according to|from) {{f}}", f"(which|what) {what} does "
                      f"{{u}} have in {{f}}?",
                      f"look up the {what} of {{u}} in {{f}}", f"{what} of user {{u}} in {{f}}"),
                f"grep '^{user}:' {quoted(path)} | cut -d : -f {at}", f"look up field {at} of {user}", f=path, u=user)


@schema("accounts.line", "grep", weight=0.7)
def line(world: World, rng: random.Random) -> Draft:
    path, found = accounts(world, rng)
    user = rng.choice(found)[0] if rng.random() < 0.7 else world.word()
    if rng.random() < 0.5 and user in [row[0] for row in found]:
        return show(rng, (*sought("the (line|entry|record) of (the user|) {u} (in|from) {f}",
                                  "the {f} (line|entry) (for|of) {u}", tool="grep"),
                          "what does {f} say about the user {u}?", "(find|look up) the user {u} in {f}"),
                    f"grep '^{user}:' {quoted(path)}", f"show the entry of {user}", f=path, u=user)
    return show(rng, ("is there a user (called|named|) {u} in {f}? (yes or no|answer yes or no)",
                      "does the user {u} exist in {f}? yes or no",
                      "(check|tell me) (if|whether) {u} has an account in {f}, yes or no",
                      "print yes if {f} has a user {u}, else no"),
                f"grep -q '^{user}:' {quoted(path)} && echo yes || echo no", f"check whether {user} is in {path}",
                f=path, u=user)


@schema("accounts.by_shell", "awk", weight=1.2)
def by_shell(world: World, rng: random.Random) -> Draft:
    path, found = accounts(world, rng)
    shell = rng.choice(found)[6]
    name = shell.rsplit("/", 1)[1]
    who = "(users|user names|accounts|logins)"
    said = rng.choice((f"(whose shell is|with the shell|using|that use) {shell}", f"(with|using|that have|whose login "
                       f"shell is) {name}"))
    if rng.random() < 0.35:
        return show(rng, (*number(f"{who} in {{f}} {said}"), f"how many {who} of {{f}} (have|use) {{s}} (as (their|) "
                          f"shell|)?"),
                    f"awk -F : '$7 == \"{shell}\"' {quoted(path)} | wc -l", f"count the users of {name}", f=path,
                    s=shell)
    return show(rng, (*sought(f"(all|the|) {who} in {{f}} {said}", tool="awk"), f"(which|what) {who} in "
                      f"{{f}} (have|use) {{s}} (as (their|) (login|) shell|)?",
                      "who uses {s} in {f}? (names only|only the names|user names)"),
                f"awk -F : '$7 == \"{shell}\" {{ print $1 }}' {quoted(path)}", f"list the users of {name}", f=path,
                s=shell)


@schema("accounts.shells", "cut sort uniq", weight=1.0)
def shells(world: World, rng: random.Random) -> Draft:
    path, _ = accounts(world, rng)
    if rng.random() < 0.4:
        return show(rng, (*sought("(all|the|) (different|distinct|unique) (login|) shells (in|of|used in) {f}",
                                  tool="cut"),
                          "(which|what) shells are used in {f}? (each once|no duplicates)",
                          "which different shells do the users in {f} have?"),
                    f"cut -d : -f 7 {quoted(path)} | sort -u", "list the different shells", ordered=False, f=path)
    return show(rng, (*sought("the number of (users|accounts) per (login|) shell in {f}, (most used|highest|most "
                              "frequent) first",
                              "(login|) shells in {f} with (their|the) counts, most frequent first"),
                      "how many users (have|use) each shell in {f}? (most used|highest) first",
                      "(count|tally) the users of {f} by shell, highest first",
                      "users per shell in {f}, highest first"),
                f"cut -d : -f 7 {quoted(path)} | {_TALLY}", "count the shells", ordered=False, f=path)


@schema("accounts.ids", "awk sort head cut", weight=1.0)
def ids(world: World, rng: random.Random) -> Draft:
    path, found = accounts(world, rng)
    uid = "(uid|user id|UID)"
    if rng.random() < 0.6:
        limit = rng.choice((1000, 1000, 500, int(rng.choice(found)[2])))
        if not any(int(row[2]) >= limit for row in found):
            raise Unsuitable("none")
        return show(rng, (*sought(f"(all|the|) (users|user names|accounts) in {{f}} with (a|an) {uid} of (at least "
                                  f"{{n}}|{{n}} or (more|above|higher))".replace("(a|an) ", "a "),
                                  f"(all|the) (users|accounts) in {{f}} whose {uid} is {{n}} or (more|above)",
                                  tool="awk"),
                          f"(which|what) users in {{f}} have {uid} >= {{n}}?",
                          *(("(regular|normal|human) users in {f} (uid 1000 and up)".replace("(uid 1000 and up)",
                                                                      ", uid 1000 and up"),) if limit == 1000 else ())),
                    f"awk -F : '$3 >= {limit} {{ print $1 }}' {quoted(path)}", f"list the users from uid {limit} on",
                    f=path, n=limit)
    return show(rng, (*sought(f"the (name of the|) user (in|of) {{f}} with the (highest|largest|biggest) {uid}"),
                      f"(who|which user) has the (highest|largest) {uid} in {{f}}? (name only|only the name)",
                      f"user name with the highest {uid} in {{f}}"),
                f"sort -t : -k 3,3nr {quoted(path)} | head -n 1 | cut -d : -f 1", "find the highest uid", f=path)


@schema("accounts.group", "grep cut tr", weight=0.8)
def group(world: World, rng: random.Random) -> Draft:
    path = rng.choice(("group", "etc/group", "groups.txt"))
    if path in world.entries or "etc" in world.files():
        raise Unsuitable("taken")
    world.add_file(path, records.groups(rng, rng.randint(5, 10)))
    name, _, _, members = rng.choice(rows(world, path)).split(":")
    at = rng.random()
    if at < 0.5:
        return show(rng, (*sought("the members of (the group|group) {u} (in|from|according to) {f}",
                                  "the members of (the group|) {u} (in|from) {f}"),
                          "who is in (the group|) {u} (according to|in) {f}?", "(which|what) users belong to (the "
                          "group|) {u} in {f}?"),
                    f"grep '^{name}:' {quoted(path)} | cut -d : -f 4", f"look up the members of {name}", f=path, u=name)
    if at < 0.75:
        return show(rng, (*sought("the (gid|group id|GID) of (the group|) {u} (in|from|according to) {f}"),
                          "what is the (gid|group id) of {u} in {f}?",
                          "which (number|id) does the group {u} have in {f}?"),
                    f"grep '^{name}:' {quoted(path)} | cut -d : -f 3", f"look up the number of {name}", f=path, u=name)
    user = rng.choice(members.split(","))
    return show(rng, (*sought("(all|the|) (groups|names of the groups) (of|with) (the user|) {u} in {f}"),
                      "(which|what) groups is {u} (a member of|in) (according to|in) {f}?"),
                f"grep -w {user} {quoted(path)} | cut -d : -f 1", f"list the groups of {user}", f=path, u=user)


_SIGNS = ((";", "semicolons"), ("|", "pipes"), (":", "colons"), ("\t", "tabs"))


@schema("columns.separated", "cut", weight=1.3)
def separated(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice(_SIGNS)
    path, numeric = grid(world, rng, sign)
    n, two = rng.randint(1, len(numeric)), rng.random() < 0.3 and len(numeric) > 2
    fields = f"{n}" if not two else f"{n},{n + 1}" if n < len(numeric) else f"1,{n}"
    where = (f"(fields are separated by {name}|separated by {name}|where {name} separate the fields|"
             f"{name[:-1]}-separated|it uses {name} as separators)")
    what = "the {o} (column|field)" if not two else "columns " + fields.replace(",", " and ")
    option = "" if sign == "\t" else f"-d {quoted(sign)} "
    return show(rng, (*sought(f"{what} (of|in|from) {{f}}, {where}", tool="cut"), f"{{f}} is {name[:-1]}-separated: "
                      f"(print|show) {what}",
                      f"(print|show|extract|cut out) {what} (of|from) the {name[:-1]}-separated file {{g}}",
                      f"cut {what} out of {{f}}, the separator is {name[:-1]}".replace("is pipe", "is a pipe"),
                      f"in {{f}} (the columns are|everything is) separated by {name}, (give me|show|I need) {what}"),
                f"cut {option}-f {fields} {quoted(path)}", f"show field {fields} of {path}", f=path, g=path,
                o=ordinal(n))


@schema("columns.swap", "awk", weight=0.9)
def swap(world: World, rng: random.Random) -> Draft:
    path, numeric = grid(world, rng)
    a, b = rng.sample(range(1, len(numeric) + 1), 2)
    if a < b and len(numeric) == 2:
        a, b = b, a
    return show(rng, (*sought("(columns|fields) {a} and {b} (of|in|from) {f}, in (this|that) order",
                              "column {a} and then column {b} (of|from) {f}", tool="awk"),
                      "(print|show) the {x} and then the {y} (field|column|word) of (each|every) line (of|in) {f}",
                      "from {f} print field {a}, then field {b}", *(("swap the two columns of {f} (and print it|)",
                                                                     "{f} with its two columns exchanged")
                                                                     if len(numeric) == 2 else ())),
                f"awk '{{ print ${a}, ${b} }}' {quoted(path)}", f"show fields {a} and {b}", f=path, a=a, b=b,
                x=ordinal(a), y=ordinal(b))


@schema("columns.without", "cut", weight=0.8)
def without(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    if len(columns) < 3:
        raise Unsuitable("few columns")
    n = rng.randint(1, len(columns))
    if n == 1:
        return show(rng, (*sought("{f} without (its|the) first (column|field)", "(all|the) columns of {f} "
                                  "(but|except) the first", tool="cut"),
                          "(drop|remove|leave out|skip) the first column of {f} and (show|print) the rest",
                          "{f} from the second column on"),
                    f"cut -d , -f 2- {quoted(path)}", "show all columns but the first", f=path)
    return show(rng, (*sought("{f} without (its|the) {o} (column|field)", "{f} without column {n}",
                              "(all|the) columns of {f} (but|except) (the {o}|number {n})", tool="cut"),
                      "(drop|remove|leave out|skip) (column {n}|the {o} column) of {f} and (show|print) the rest",
                      "everything in {f} except column {n}"),
                f"cut -d , --complement -f {n} {quoted(path)}", f"show all columns but {n}", f=path, n=n, o=ordinal(n))


def numbers(world: World, rng: random.Random) -> tuple[str, int, list[int], int]:
    """A file of columns between blanks, a column of numbers (from 1) with its values, and a column of words."""
    path, numeric = grid(world, rng)
    at = rng.choice([i for i, flag in enumerate(numeric) if flag])
    return path, at + 1, [int(row.split()[at]) for row in rows(world, path)], numeric.index(False) + 1


@schema("columns.sum", "awk", weight=1.5)
def total(world: World, rng: random.Random) -> Draft:
    path, n, _, _ = numbers(world, rng)
    place = "(column {n}|the {o} column|the {o} field|field {n})"
    kind = rng.choice(("sum", "sum", "average", "largest", "smallest"))
    word = {"sum": "(sum|total)", "average": "(average|mean)", "largest": "(largest|highest|maximum|biggest) "
            "(number|value)", "smallest":
            "(smallest|lowest|minimum) (number|value)"}[kind]
    command = {"sum": f"awk '{{ s += ${n} }} END {{ print s }}' {quoted(path)}", "average": f"awk '{{ s += ${n} "
               f"}} END {{ print s / NR }}' {quoted(path)}",
               "largest": f"awk '{{ print ${n} }}' {quoted(path)} | sort -nr | head -n 1",
               "smallest": f"awk '{{ print ${n} }}' {quoted(path)} | sort -n | head -n 1"}[kind]
    verb = {"sum": "(add up|sum|sum up|total)", "average": "(average|compute the mean of)",
            "largest": "find the maximum of", "smallest": "find the minimum of"}[kind]
    return show(rng, (*sought(f"the {word} (of|in) {place} (of|in) {{f}}", tool="awk"),
                      f"what is the {word} (of|in) {place} (in|of) {{f}}?",
                      f"{verb} {place} (of|in) {{f}}", f"{{f}} (has|contains) columns separated by blanks; {verb} "
                      f"{place}",
                      f"{verb} the numbers in {place} of {{f}}"),
                command, f"compute the {kind} of column {n}", f=path, n=n, o=ordinal(n))


@schema("columns.where", "awk wc", weight=1.5)
def where(world: World, rng: random.Random) -> Draft:
    path, n, values, k = numbers(world, rng)
    limit = rng.choice(sorted(values)[1:-1])
    sign, word = rng.choice(((">", "(greater than|over|above|more than|larger than|bigger than)"), ("<",
                                                                      "(less than|under|below|smaller than)"),
                             (">=", "(at least|no less than)")))
    place = "(column {n}|the {o} column|the {o} field|field {n})"
    kind = rng.random()
    if kind < 0.4:
        return show(rng, (*sought(f"(all|the|) (lines|rows) (of|in) {{f}} where {place} is {word} {{v}}",
                                  f"(lines|rows) (of|in) {{f}} with {word} {{v}} in {place}", tool="awk"),
                          f"which (lines|rows) of {{f}} have (a value|) {word} {{v}} in {place}?",
                          f"(filter|keep) the (lines|rows) of {{f}} where {place} is {word} {{v}}"),
                    f"awk '${n} {sign} {limit}' {quoted(path)}", f"filter {path} by column {n}", f=path, n=n,
                    o=ordinal(n), v=limit)
    if kind < 0.7:
        return show(rng, (*sought(f"(column|field) {{k}} of (all|the) (lines|rows) (of|in) {{f}} where {place} is "
                                  f"{word} {{v}}",
                                  f"the {{q}} (column|field) of (each|every) row (of|in) {{f}} where {place} is "
                                  f"{word} {{v}}", tool="awk"),
                          f"where {place} (of|in) {{f}} is {word} {{v}}, print (only|) (column|field) {{k}}"),
                    f"awk '${n} {sign} {limit} {{ print ${k} }}' {quoted(path)}", f"show column {k} by column {n}",
                    f=path, n=n, k=k, o=ordinal(n), q=ordinal(k), v=limit)
    return show(rng, (*number(f"(lines|rows) (of|in) {{f}} where {place} is {word} {{v}}",
                              f"(lines|rows) (of|in) {{f}} with {word} {{v}} in {place}"),
                      f"in how many (lines|rows) of {{f}} is {place} {word} {{v}}?"),
                f"awk '${n} {sign} {limit}' {quoted(path)} | wc -l", f"count the lines by column {n}", f=path, n=n,
                o=ordinal(n), v=limit)


@schema("columns.equal", "awk", weight=1.1)
def equal(world: World, rng: random.Random) -> Draft:
    path, n, _, k = numbers(world, rng)
    value = rng.choice(rows(world, path)).split()[k - 1]
    place, not_ = "(column {k}|the {q} column|the {q} field|field {k})", rng.random() < 0.3
    is_ = "(is not|differs from)" if not_ else "(is|equals|is equal to)"
    sign = "!=" if not_ else "=="
    if not_ and all(row.split()[k - 1] == value for row in rows(world, path)):
        raise Unsuitable("all")
    if rng.random() < 0.5:
        return show(rng, (*sought(f"(all|the|) (lines|rows) (of|in) {{f}} where {place} {is_} {{v}}", tool="awk"),
                          f"which (lines|rows) of {{f}} have a {{q}} column that {is_} {{v}}?",
                          f"(filter|keep) the (lines|rows) of {{f}} whose {{q}} (column|field) {is_} {{v}}"),
                    f"awk '${k} {sign} \"{value}\"' {quoted(path)}", f"filter {path} by column {k}", f=path, k=k,
                    q=ordinal(k), v=mark(rng, value))
    return show(rng, (*sought(f"(column|field) {{n}} of (all|the) (lines|rows) (of|in) {{f}} where {place} {is_} {{v}}",
                              tool="awk"),
                      f"where {place} of {{f}} {is_} {{v}}, print (only|) (column|field) {{n}}",
                      f"the {{o}} (column|field) of the rows of {{f}} whose {{q}} (column|field) {is_} {{v}}"),
                f"awk '${k} {sign} \"{value}\" {{ print ${n} }}' {quoted(path)}", f"show column {n} by column {k}",
                f=path, n=n, k=k, o=ordinal(n), q=ordinal(k), v=mark(rng, value))


@schema("columns.per_key", "awk sort uniq", weight=1.2)
def per_key(world: World, rng: random.Random) -> Draft:
    path, n, _, k = numbers(world, rng)
    key = "(column {k}|the {q} column|the {q} field)"
    if rng.random() < 0.5:
        return show(rng, (*sought(f"how often each value of {key} (occurs|appears) in {{f}}, (highest|most frequent) "
                                  f"first", f"the values of {key} (of|in) {{f}} with counts, (highest|most frequent) "
                                  f"first", tool="awk"),
                          f"(count|tally) the (lines|rows) of {{f}} by {key}, (highest|most frequent) first"),
                    f"awk '{{ print ${k} }}' {quoted(path)} | {_TALLY}", f"count the values of column {k}",
                    ordered=False, f=path, k=k, q=ordinal(k))
    return show(rng, (*sought(f"the (sum|total) of column {{n}} (per|for each) value of {key} in {{f}}", tool="awk"),
                      f"(sum|add up|total) column {{n}} of {{f}} (grouped by|per value of|by) {key}",
                      f"group {{f}} by {key} and (sum|add up) column {{n}}", f"for each value in {key} of {{f}}, the "
                      f"sum of column {{n}}"),
                f"awk '{{ s[${k}] += ${n} }} END {{ for (k in s) print k, s[k] }}' {quoted(path)}",
                f"sum column {n} by column {k}", ordered=False, f=path, n=n, k=k, q=ordinal(k))


@schema("columns.cell", "awk", weight=0.9)
def cell(world: World, rng: random.Random) -> Draft:
    comma = rng.random() < 0.5
    path, numeric = grid(world, rng, "," if comma else " ")
    n, m = rng.randint(1, len(numeric)), rng.randint(1, len(rows(world, path)))
    return show(rng, (*sought("the {o} (column|field|value) of (line|row) {m} (of|in) {f}",
                              "(column|field) {n} of (line|row) {m} (in|of) {f}", "the value in row {m}, column {n} "
                              "of {f}", tool="awk"),
                      "what (is|stands) in (line|row) {m}, (column|field) {n} of {f}?", "{f}: row {m}, column {n}"),
                f"awk {'-F , ' if comma else ''}'NR == {m} {{ print ${n} }}' {quoted(path)}",
                f"show column {n} of line {m}", f=path, n=n, m=m, o=ordinal(n))


@schema("columns.computed", "awk", weight=0.8)
def computed(world: World, rng: random.Random) -> Draft:
    path, n, _, k = numbers(world, rng)
    factor = rng.randint(2, 12)
    kind = rng.random()
    if kind < 0.35:
        return show(rng, (*sought("column {n} of {f} multiplied by {v}", "(each|every) value of column {n} of {f} "
                                  "times {v}", tool="awk"), "multiply column {n} of {f} by {v} and (print|show) the "
                                  "(results|products)",
                          "(print|show) {v} times the number in column {n} for each line of {f}"),
                    f"awk '{{ print ${n} * {factor} }}' {quoted(path)}", f"multiply column {n}", f=path, n=n, v=factor)
    if kind < 0.65:
        return show(rng, (*sought("the running (total|sum) of column {n} (of|in) {f}", "the cumulative sum of column "
                                  "{n} (of|in) {f}", tool="awk"), "(add up|sum) column {n} of {f} and (print|show) "
                                  "the sum after each line",
                          "after each line of {f}, the sum of column {n} so far"),
                    f"awk '{{ s += ${n}; print s }}' {quoted(path)}", f"show the running total of column {n}", f=path,
                    n=n)
    return show(rng, (*sought("column {k} of {f}, each value with its line number and a colon before it", tool="awk"),
                      "number the values of column {k} in {f}, like '1: value'",
                      "(print|show) the line number, a colon and column {k} for each line of {f}"),
                f"awk '{{ print NR \": \" ${k} }}' {quoted(path)}", f"number column {k}", f=path, k=k)


@schema("columns.uneven", "awk", weight=0.6)
def uneven(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    found, n = rows(world, path), len(columns)
    for _ in range(rng.randint(1, 2)):
        at = rng.randrange(1, len(found))
        found[at] = rng.choice((found[at] + "," + world.word(), found[at].rsplit(",", 1)[0]))
    if all(row.count(",") == n - 1 for row in found):
        raise Unsuitable("all even")
    world.add_file(path, "\n".join(found) + "\n")
    return show(rng, (*sought("(all|the|) (lines|rows) (of|in) {f} that (do not|don't) have {n} (columns|fields)",
                              "(the|) (broken|malformed|bad) rows (of|in) {f}, (those without|not having|which lack) "
                              "exactly {n} (columns|fields)", tool="awk"),
                      "which (lines|rows) of {f} have (a wrong number of|more or fewer than {n}|not exactly {n}) "
                      "(fields|columns)? it should be {n}".replace("(a wrong number of|more or fewer than {n}|not "
                                                                   "exactly {n})", "a wrong number of"),
                      "(check|validate) {f}: show the rows that don't have {n} fields"),
                f"awk -F , 'NF != {n}' {quoted(path)}", f"find the rows without {n} fields", f=path, n=spelled(rng, n))
