"""Repairs of command lines: options of another system, programs that are called differently, patterns that are not."""

from __future__ import annotations

import json
import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.subjects import kind, list_file, pattern_in, table, text_file
from nimllm.agent.gym.worlds import World

PRINT = "(show|print|display|give me)"


def _readable(world: World, rng: random.Random) -> str:
    """A text file of moderate size."""
    path = text_file(world, rng, 4, 40)
    if len(world.read(path)) > 1500:
        raise Unsuitable("too long")
    return path


@schema("repair.sed_suffix", "sed", steps=2, weight=1.2)
def sed_suffix(world: World, rng: random.Random) -> Draft:
    """``sed -i ''`` is how other systems spell it."""
    path = _readable(world, rng)
    old, new = pattern_in(world, rng, path), plain(world)
    return steps(rng, (
        "replace {old} (by|with) {new} in {file}", "change {old} to {new} in {file}",
        "in {file}, replace {old} with {new}",
        "(use sed to|) change {old} (to|into) {new} in {file}",
        "{file}: {old} -> {new}", "swap {old} for {new} in {file}", "sed {old} to {new} in {file}"),
        (f"sed -i '' 's/{old}/{new}/g' {quoted(path)}", f"sed -i 's/{old}/{new}/g' {quoted(path)}"),
        (f"replace {old} by {new} in {path}",), False, f"Done: {new} instead of {old}.", fails=(0,), old=old, new=new,
        file=path)


@schema("repair.sed_slashes", "sed", steps=2, weight=1.5)
def sed_slashes(world: World, rng: random.Random) -> Draft:
    """Paths in a sed expression need another separator."""
    path = world.new_name(ext=rng.choice(("cfg", "conf", "sh", "env", "ini", "txt")))
    old, new = ("/" + "/".join(plain(world) for _ in range(rng.choice((1, 2, 2, 3)))) for _ in range(2))
    rows = [f"{plain(world)}={old}{rng.choice(('', '/' + plain(world)))}" for _ in range(rng.randint(1, 3))]
    rows += [f"{plain(world)}={rng.randint(1, 99)}" for _ in range(2)]
    rng.shuffle(rows)
    world.add_file(path, "\n".join(rows) + "\n")
    return steps(rng, (
        "replace {old} (by|with) {new} in {file}", "change (the path|) {old} to {new} in {file}",
        "in {file}, replace {old} with {new}", "{file}: {old} -> {new}", "swap {old} for {new} in {file}",
        "{file} should (say|have) {new} instead of {old}", "every {old} in {file} (becomes|must become) {new}",
        "the path {old} in {file} moved to {new}, (change|update) it"),
        (f"sed -i 's/{old}/{new}/g' {quoted(path)}", f"sed -i 's|{old}|{new}|g' {quoted(path)}"),
        (f"replace {old} by {new} in {path}",), False, f"Done: {new} instead of {old}.", fails=(0,), old=old, new=new,
        file=path)


@schema("repair.sed_unfinished", "sed", steps=2, weight=0.8)
def sed_unfinished(world: World, rng: random.Random) -> Draft:
    path = _readable(world, rng)
    old, new = pattern_in(world, rng, path), plain(world)
    return steps(rng, (
        "replace {old} (by|with) {new} in {file}", "change {old} to {new} in {file}",
        "in {file}, replace {old} with {new}",
        "{file}: {old} -> {new}", "swap {old} for {new} in {file}", "sed {old} to {new} in {file}"),
        (f"sed -i 's/{old}/{new}' {quoted(path)}", f"sed -i 's/{old}/{new}/g' {quoted(path)}"),
        (f"replace {old} by {new} in {path}",), False, f"Done: {new} instead of {old}.", fails=(0,), old=old, new=new,
        file=path)


@schema("repair.sed_line", "sed", steps=2, weight=0.7)
def sed_line(world: World, rng: random.Random) -> Draft:
    path = _readable(world, rng)
    count = world.read(path).count("\n")
    n = rng.randint(2, count)
    if not world.read(path).split("\n")[n - 1].strip():
        raise Unsuitable("an empty line")
    return steps(rng, (
        f"{PRINT} line {{n}} of {{file}}", "line {n} of {file}", "what is (on|in) line {n} of {file}?",
        "what does line {n} of {file} say?", "(use sed to|) print line {n} of {file}", "only line {n} of {file}"),
        (f"sed -n {n} {quoted(path)}", f"sed -n {n}p {quoted(path)}"), (f"print line {n} of {path}",), True,
        ordered=True, fails=(0,), n=n, file=path)


@schema("repair.find_glob", "find", steps=2, weight=2)
def find_glob(world: World, rng: random.Random) -> Draft:
    """The shell expands a pattern without quotes before find sees it."""
    exts = sorted({ext for ext in world.extensions() if ext.isalnum() and sum(
        "/" not in path and " " not in path and not path.startswith(("-", ".")) for path in world.files(ext)) > 1})
    if not exts:
        raise Unsuitable("no two files of a kind")
    ext = rng.choice(exts)
    noun, slots = kind(ext)
    return steps(rng, (
        f"(find|list|show) (the|all|all the) {noun} (here and below|in all folders|recursively|)",
        f"(which|what) {noun} (are there|do we have) (here and below|in all folders|)?",
        f"where are the {noun}?", f"all {noun} (below here|in this tree|recursively)", f"find {noun}",
        f"search for {noun} (in all folders|recursively|)"),
        (f"find . -type f -name *.{ext}", f"find . -type f -name '*.{ext}'"), (f"find the .{ext} files",), True,
        fails=(0,), **slots)


@schema("repair.find_option", "find", steps=2, weight=0.8)
def find_option(world: World, rng: random.Random) -> Draft:
    """find's tests have one dash; sizes have one letter."""
    exts = sorted({ext for ext in world.extensions() if ext.isalnum()})
    if not exts:
        raise Unsuitable("no extension")
    ext, n = rng.choice(exts), rng.randint(1, 9)
    world.add_file(world.new_name(ext="dat"), world.word().encode() * (n * 700))
    if not any(path.rpartition("/")[2].startswith(ext) for path in world.dirs()):
        world.add_dir(f"{ext}{rng.choice(('', '-', '_'))}{plain(world)}")
    noun, slots = kind(ext)
    wrong, right, ways = rng.choice((
        (f"find . -type f --name '*.{ext}'", f"find . -type f -name '*.{ext}'",
         (f"(find|list) (all|the) {noun}", f"where are the {noun}?", f"(which|what) {noun} are there?",
          f"find {noun}")),
        (f"find . -type f -size +{n}KB", f"find . -type f -size +{n}k",
         ("(find|list) (all|the|) files (larger|bigger) than {n} KB",
          "(which|what) files are (larger|bigger) than {n}k?",
          "files over {n} KB", "(list|show) files of more than {n} kilobytes")),
        (f"find . --type d -name '{ext}*'", f"find . -type d -name '{ext}*'",
         ("(find|list) (all|the) folders (that start|starting) with {bare}", "(which|what) folders start with {bare}?",
          "directories whose name starts with {bare}"))))
    return steps(rng, ways, (wrong, right), ("look for them",), True, fails=(0,), n=n, **slots)


@schema("repair.grep_bracket", "grep", steps=2, weight=1.2)
def grep_bracket(world: World, rng: random.Random) -> Draft:
    """A bracket begins a set in a pattern; -F takes it as it is."""
    path, text = world.new_name(ext=rng.choice(("py", "js", "txt", "sh", "log", "c"))), f"{plain(world)}["
    rows = [f"{text}{rng.choice(('0', '1', 'i', 'key'))}] = {plain(world)}" for _ in range(rng.randint(1, 3))]
    rows += [f"{plain(world)} = {rng.randint(1, 99)}" for _ in range(rng.randint(2, 4))]
    rng.shuffle(rows)
    world.add_file(path, "\n".join(rows) + "\n")
    return steps(rng, (
        f"{PRINT} the lines (with|containing) {{text}} in {{file}}", "(which|what) lines of {file} contain {text}?",
        "(search|grep|look) for {text} in {file}", "grep {text} {file}", "where is {text} in {file}?",
        "find {text} in {file}", "lines of {file} with {text}"),
        (f"grep '{text}' {quoted(path)}", f"grep -F '{text}' {quoted(path)}"), (f"search for {text} in {path}",), True,
        ordered=True, fails=(0,), text=rng.choice((text, f'"{text}"', f"'{text}'")), file=path)


@schema("repair.grep_dash", "grep", steps=2, weight=1.0)
def grep_dash(world: World, rng: random.Random) -> Draft:
    path, text = world.new_name(ext=rng.choice(("md", "txt", "sh", "log"))), f"--{plain(world)}-{plain(world)}"
    rows = [f"{plain(world)} {text}{rng.choice(('', '=' + str(rng.randint(1, 9))))}" for _ in range(rng.randint(1, 3))]
    rows += world.text(3).strip().split("\n")
    rng.shuffle(rows)
    world.add_file(path, "\n".join(rows) + "\n")
    return steps(rng, (
        f"{PRINT} the lines (with|containing) {{text}} in {{file}}", "(which|what) lines of {file} contain {text}?",
        "(search|grep|look) for {text} in {file}", "grep {text} {file}", "where is (the option|) {text} in {file}?",
        "find {text} in {file}", "(which|what) lines in {file} use (the option|) {text}?"),
        (f"grep '{text}' {quoted(path)}", f"grep -- '{text}' {quoted(path)}"), (f"search for {text} in {path}",), True,
        ordered=True, fails=(0,), text=text, file=path)


@schema("repair.tab", "sort cut", steps=2, weight=1.5)
def tab(world: World, rng: random.Random) -> Draft:
    """A tab in quotes is a backslash and a t for sort and cut."""
    text, columns = world.csv(rng.randint(3, 8), "\t")
    path, at = world.new_name(ext="tsv"), rng.randint(1, len(columns))
    world.add_file(path, text)
    if rng.random() < 0.5:
        return steps(rng, (
            f"{PRINT} (only|) column {{n}} of {{file}}", "column {n} of {file}",
            "(which|what) values are in column {n} of {file}?",
            "cut column {n} out of {file}", "{file}: only column {n}",
            "the values of column {n} in {file} (tabs separate|)"),
            (f"cut -d '\\t' -f {at} {quoted(path)}", f"cut -f {at} {quoted(path)}"),
            (f"print column {at} of {path}",), True, ordered=True, fails=(0,), n=at, file=path)
    return steps(rng, (
        "sort {file} by column {n}", "(sort|order) the lines of {file} by column {n}", "{file} sorted by column {n}",
        f"{PRINT} {{file}} (ordered|sorted) by (the|) column {{n}}",
        "sort the (tab-separated|tab separated) {file} by column {n}",
        "(show|print) the rows of {file} in the order of column {n}"),
        (f"sort -t '\\t' -k {at},{at} {quoted(path)}", f"sort -t $'\\t' -k {at},{at} {quoted(path)}"),
        (f"sort {path} by column {at}",), True, ordered=True, fails=(0,), n=at, file=path)


@schema("repair.cut_separator", "cut awk", steps=2, weight=1.0)
def cut_separator(world: World, rng: random.Random) -> Draft:
    """cut wants one character."""
    mark = rng.choice((", ", "::", " - ", "; ", " = ", " => "))
    path, width = world.new_name(ext=rng.choice(("txt", "dat", "lst"))), rng.choice((2, 3))
    rows = [mark.join(plain(world) for _ in range(width)) for _ in range(rng.randint(3, 7))]
    world.add_file(path, "\n".join(rows) + "\n")
    n, told = rng.randint(1, width), f'"{mark}"'
    return steps(rng, (
        f"{PRINT} (the|) (field|column) {{n}} of {{file}}, (the separator is|separated by) {{mark}}",
        "(field|column) {n} of {file} (separator|delimiter) {mark}",
        "split the lines of {file} at {mark} and print part {n}",
        "the fields of {file} are separated by {mark}; (show|print) (field|number) {n}",
        "{file}: only field {n}, fields end at {mark}", "cut field {n} out of {file} with the delimiter {mark}"),
        (f"cut -d '{mark}' -f {n} {quoted(path)}", f"awk -F '{mark}' '{{print ${n}}}' {quoted(path)}"),
        (f"print field {n} of {path}",), True, ordered=True, fails=(0,), n=n, file=path, mark=told)


@schema("repair.tr_file", "tr", steps=2, weight=1.5)
def tr_file(world: World, rng: random.Random) -> Draft:
    """tr reads standard input only."""
    path = _readable(world, rng)
    sets, ways, plan = rng.choice((
        ("a-z A-Z", (f"{PRINT} {{file}} in (upper case|capitals|capital letters)", "{file} in upper case",
                     "(show|print) the upper-case version of {file}", "turn {file} into upper case and print it"),
         f"print {path} in upper case"),
        ("A-Z a-z", (f"{PRINT} {{file}} in (lower case|small letters)", "{file} in lower case",
                     "(show|print) the lower-case version of {file}", "lowercase {file} and print it"),
         f"print {path} in lower case"),
        ("-d 0-9", (f"{PRINT} {{file}} without (digits|numbers)", "{file} without any digits",
                    "strip the digits from {file} and print it"), f"print {path} without digits"),
        ("' ' _", (f"{PRINT} {{file}} with underscores instead of blanks", "{file} with every blank as an underscore",
                   "print {file}, replace blanks by underscores"),
         f"print {path} with underscores")))
    return steps(rng, ways, (f"tr {sets} {quoted(path)}", f"tr {sets} < {quoted(path)}"), (plan,), True, ordered=True,
                 fails=(0,), file=path)


@schema("repair.comm_unsorted", "comm", steps=2, weight=1.2)
def comm_unsorted(world: World, rng: random.Random) -> Draft:
    pool = list(dict.fromkeys(names.word(rng).lower() for _ in range(14)))
    one, other = world.new_name(ext="txt"), world.new_name(ext="txt")
    if one == other:
        raise Unsuitable("one name")
    shared = rng.sample(pool, 3)
    for path in (one, other):
        rows = list(dict.fromkeys([*shared, *rng.sample(pool, 4)]))
        rng.shuffle(rows)
        if rows == sorted(rows):
            raise Unsuitable("sorted")
        world.add_file(path, "\n".join(rows) + "\n")
    option, ways = rng.choice((
        ("-12", ("(which|what) lines are in both {a} and {b}?",
                 f"{PRINT} the lines that {{a}} and {{b}} have in common", "common lines of {a} and {b}",
                 "lines that occur in both {a} and {b}", "what do {a} and {b} have in common?")),
        ("-23", ("(which|what) lines of {a} are not in {b}?",
                 f"{PRINT} the lines of {{a}} that {{b}} (lacks|does not have)",
                 "lines (only in|that are only in) {a}, not in {b}", "what is in {a} but not in {b}?"))))
    return steps(rng, ways, (f"comm {option} {quoted(one, other)}",
                             f"comm {option} <(sort {quoted(one)}) <(sort {quoted(other)})"),
                 ("compare the lines",), True, fails=(0,), a=one, b=other)


@schema("repair.date_format", "date", steps=2, weight=0.8)
def date_format(world: World, rng: random.Random) -> Draft:
    day, month, year = rng.randint(13, 28), rng.randint(1, 12), rng.randint(1990, 2030)
    told = rng.choice((f"{day}.{month}.{year}", f"{day:02d}.{month:02d}.{year}", f"{day:02d}/{month:02d}/{year}"))
    return steps(rng, (
        "(which|what) (weekday|day of the week) was {day}?", "(what|which) day (of the week|) (is|was) {day}?",
        "weekday of {day}", "was {day} a (Sunday|Monday|weekend)? (show|tell) me the weekday",
        "on (what|which) weekday (does|did) {day} fall?", "(tell me|show) the day of the week of {day}"),
        (f"date -d {told} +%A", f"date -d {year}-{month:02d}-{day:02d} +%A"), ("look up the weekday",), True,
        ordered=True, fails=(0,), day=told)


@schema("repair.awk_brace", "awk", steps=2, weight=0.8)
def awk_brace(world: World, rng: random.Random) -> Draft:
    path, columns = table(world, rng)
    n = rng.randint(1, len(columns))
    program = rng.choice((f"{{print ${n}", f"NR > 1 {{print ${n}"))
    rest = " without the (header|first line)" if program.startswith("NR") else ""
    return steps(rng, (
        f"(use awk to|) print column {{n}} of {{file}}{rest}", f"column {{n}} of {{file}}{rest}",
        f"awk: column {{n}} of {{file}}{rest}", f"{PRINT} (only|) column {{n}} of {{file}}{rest}",
        f"{{file}}: column {{n}}{rest}", f"the values in column {{n}} of {{file}}{rest}"),
        (f"awk -F, '{program}' {quoted(path)}", f"awk -F, '{program}}}' {quoted(path)}"),
        (f"print column {n} of {path}",), True, ordered=True, fails=(0,), n=n, file=path)


@schema("repair.chmod_mode", "chmod", steps=2, weight=0.8)
def chmod_mode(world: World, rng: random.Random) -> Draft:
    name = world.new_name(ext=rng.choice(("sh", "py", "pl")))
    world.add_file(name, "#!/bin/sh\necho ok\n")
    world.entries[name].mode = 0o644
    return steps(rng, (
        "make {file} executable", "(set|add) the (execute|executable) (bit|flag) (on|of) {file}", "chmod x {file}",
        "{file} (should|must) be executable", "give {file} the right to be (run|executed)",
        "let me (run|execute) {file}"),
        (f"chmod x {quoted(name)}", f"chmod +x {quoted(name)}"), (f"make {name} executable",), False,
        f"Done: {name} is executable.", fails=(0,), file=name)


@schema("repair.jq_key", "jq", steps=2, weight=1.2)
def jq_key(world: World, rng: random.Random) -> Draft:
    """A key with a dash must stand in quotes."""
    key, path = f"{plain(world)}-{plain(world)}", world.new_name(ext="json")
    world.add_file(path, json.dumps({plain(world): rng.randint(1, 9), key: rng.choice((plain(world), rng.randint(1,
                                                                                                                 9999))),
                                     "name": plain(world)}, indent=2) + "\n")
    return steps(rng, (
        "what is (the value of|) {key} in {file}?", f"{PRINT} (the value of|) {{key}} (from|in) {{file}}",
        "(get|read|look up) {key} (in|from) {file}", "{key} in {file}?", "jq {key} of {file}",
        "which {key} does {file} (have|set)?"),
        (f"jq -r .{key} {quoted(path)}", f"jq -r '.\"{key}\"' {quoted(path)}"), (f"read {key} from {path}",), True,
        ordered=True, fails=(0,), key=key, file=path)


@schema("repair.jq_list", "jq", steps=2, weight=1.5)
def jq_list(world: World, rng: random.Random) -> Draft:
    """The file holds a list of objects, not one object."""
    path, key = world.new_name(ext="json"), rng.choice(("name", "id", "title", "user", "email", plain(world)))
    rows = [{key: plain(world), "n": rng.randint(1, 99)} for _ in range(rng.randint(2, 5))]
    world.add_file(path, json.dumps(rows, indent=2) + "\n")
    return steps(rng, (
        f"{PRINT} the {{key}} (values|) (in|from|of) {{file}}", "what is the {key} in {file}?",
        "(get|read|extract) {key} from {file}",
        "{key} in {file}", "(which|what) {key} (values|entries) are in {file}?", "jq .{key} {file}",
        "(list|show) every {key} in {file}"),
        (f"jq -r .{key} {quoted(path)}", f"jq -r '.[].{key}' {quoted(path)}"), (f"read {key} from {path}",), True,
        ordered=True, fails=(0,), key=key, file=path)


@schema("repair.jq_nested", "jq", steps=3, weight=1.2)
def jq_nested(world: World, rng: random.Random) -> Draft:
    """The list lies below a key: iterating over it fails, the keys are looked at, then the path is right."""
    path, outer = world.new_name(ext="json"), rng.choice(("items", "users", "results", "data", "entries", plain(world)))
    key = rng.choice(("name", "title", "email", "user"))
    rows = [{key: plain(world), "n": rng.randint(1, 99)} for _ in range(rng.randint(2, 5))]
    world.add_file(path, json.dumps({"count": len(rows), outer: rows}, indent=2) + "\n")
    return steps(rng, (
        f"{PRINT} (every|each|all the) {{key}} (in|from|of) {{file}}",
        "(list|get|extract) all {key} values from {file}",
        "all {key}s in {file}", "(which|what) {key}s are in {file}?",
        "(the|) {key} of each (item|object|entry) in {file}"),
        (f"jq -r '.[].{key}' {quoted(path)}", f"jq 'keys[]' {quoted(path)}",
         f"jq -r '.{outer}[].{key}' {quoted(path)}"),
        (f"list the {key} values of {path}",), True, ordered=True, fails=(0,), key=key, file=path)


@schema("repair.other_system", "tail tac base64 stat du md5sum sha256sum", steps=2, weight=1.5)
def other_system(world: World, rng: random.Random) -> Draft:
    """Options and programs of BSD and macOS."""
    path = _readable(world, rng)
    file = quoted(path)
    wrong, right, ways, plan, ordered = rng.choice((
        (f"tail -r {file}", f"tac {file}", (f"{PRINT} {{file}} backwards", "reverse the lines of {file}",
         "{file} (in reverse order|last line first)", "(show|print) the lines of {file} in reverse order"),
         f"print {path} backwards", True),
        (f"stat -f %z {file}", f"stat -c %s {file}", ("size of {file} in bytes", "how many bytes has {file}?",
         "how (big|large) is {file} in bytes?", "(tell me|show) the size of {file} in bytes"),
         f"print the size of {path}", True),
        (f"stat -f %Lp {file}", f"stat -c %a {file}",
         ("octal (mode|permissions) of {file}", "which octal mode has {file}?",
         f"{PRINT} the permissions of {{file}} (as a number|in octal)"), f"print the mode of {path}", True),
        (f"md5 {file}", f"md5sum {file}",
         ("md5 of {file}", "(compute|show|print) the md5 (sum|checksum|hash) of {file}",
         "md5 checksum of {file}", "what is the md5 of {file}?"), f"compute the checksum of {path}", True),
        (f"md5 -q {file}", f"md5sum {file}", ("md5 (hash|sum) of {file}", "(compute|get) the md5 of {file}",
         "which md5 does {file} have?"), f"compute the checksum of {path}", True),
        (f"sha256 {file}", f"sha256sum {file}",
         ("sha256 of {file}", "(compute|show|print) the sha256 (sum|checksum|hash) of {file}",
         "what is the sha256 of {file}?", "sha256 checksum of {file}"), f"compute the checksum of {path}", True)))
    return steps(rng, ways, (wrong, right), (plan,), True, ordered=ordered, fails=(0,), file=path)


@schema("repair.no_such_program", "python3 rm cp mv ls grep find cat", steps=2, weight=2)
def no_such_program(world: World, rng: random.Random) -> Draft:
    """A program that is not installed, or is called otherwise here."""
    path = _readable(world, rng)
    file, word, target = quoted(path), pattern_in(world, rng, path), world.new_name()
    script = world.new_name(ext="py")
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    world.add_file(script, f"print('{plain(world)}', {a} * {b})\n")
    wrong, right, ways, plan, asks = rng.choice((
        (f"python {quoted(script)}", f"python3 {quoted(script)}",
         ("(run|start|execute) {script}", "what does {script} print?",
         "(run|execute) {script} with python", "output of {script}", "python {script}"), f"run {script}", True),
        (f"python {quoted(script)}", f"python3 {quoted(script)}",
         ("(show|give) me (the output of|what comes out of) {script}",
         "(run|try) the (python|) script {script}", "call {script}"), f"run {script}", True),
        (f"del {file}", f"rm {file}", ("(delete|remove) {file}", "del {file}", "get rid of {file}"), f"delete {path}",
         False),
        (f"copy {file} {quoted(target)}", f"cp {file} {quoted(target)}",
         ("copy {file} to {target}", "copy {file} {target}",
         "make a copy of {file} called {target}"), f"copy {path} to {target}", False),
        (f"move {file} {quoted(target)}", f"mv {file} {quoted(target)}",
         ("rename {file} to {target}", "move {file} {target}",
         "{file} should be called {target}"), f"rename {path} to {target}", False),
        (f"rename {file} {quoted(target)}", f"mv {file} {quoted(target)}", ("rename {file} to {target}",
         "rename {file} {target}", "(change|set) the name of {file} to {target}"), f"rename {path} to {target}", False),
        (f"rg -n '{word}' {file}", f"grep -n '{word}' {file}",
         ("rg {word} in {file}", "search {word} in {file}, with line numbers",
         "(which|what) lines of {file} contain {word}? with (their|line) numbers"), f"search for {word} in {path}",
         True),
        (f"ack '{word}' {file}", f"grep '{word}' {file}", ("lines with {word} in {file}", "ack {word} in {file}",
         "(search|look) for {word} in {file}"), f"search for {word} in {path}", True),
        (f"bat {file}", f"cat {file}", ("(show|print) {file}", "bat {file}", "what is in {file}?"), f"print {path}",
         True),
        ("dir_list", "ls", ("(list|show) the files (here|)", "what is in this folder?", "files here"),
         "list the files", True)))
    if wrong == "dir_list":
        wrong = rng.choice(("ll", "exa", "lsd"))
        ways = (*ways, f"{wrong}", f"{wrong} (please|here)")
    return steps(rng, ways, (wrong, right), (plan,), asks, None if asks else "Done.", asks and right != "ls", (0,),
                 file=path, script=script, target=target, word=word)


@schema("repair.long_option", "grep sort head tail", steps=2, weight=0.8)
def long_options(world: World, rng: random.Random) -> Draft:
    """Long options that a program does not have, in place of the short ones that it has."""
    path = list_file(world, rng, 5) if rng.random() < 0.5 else _readable(world, rng)
    file, word = quoted(path), pattern_in(world, rng, path)
    other = word.upper() if word.upper() != word else word.lower()
    n = rng.randint(2, 4)
    wrong, right, ways, plan = rng.choice((
        (f"grep --ignorecase '{other}' {file}", f"grep -i '{other}' {file}",
         ("lines with {other} in {file}, (in any case|upper or lower case|ignoring case)",
          "(search|look) for {other} in {file} (ignoring case|case-insensitively)",
          "case-insensitive search for {other} in {file}"), f"search for {other} in {path}"),
        (f"sort --descending {file}", f"sort -r {file}",
         ("sort {file} (descending|in reverse|in descending order)", "{file} sorted from z to a",
          f"{PRINT} the lines of {{file}} in reverse (alphabetical|sorting) order"), f"sort {path} in reverse"),
        (f"head --first {n} {file}", f"head -n {n} {file}",
         ("first {n} lines of {file}", f"{PRINT} the first {{n}} lines of {{file}}",
         "top {n} lines of {file}"), f"print the first {n} lines of {path}"),
        (f"tail --last {n} {file}", f"tail -n {n} {file}",
         ("last {n} lines of {file}", f"{PRINT} the last {{n}} lines of {{file}}",
         "end of {file}, {n} lines"), f"print the last {n} lines of {path}")))
    return steps(rng, ways, (wrong, right), (plan,), True, ordered=True, fails=(0,), file=path, other=other, n=n)


@schema("repair.column_zero", "cut sort", steps=2, weight=0.6)
def column_zero(world: World, rng: random.Random) -> Draft:
    """sort and cut count columns from 1."""
    path, _ = table(world, rng)
    if rng.random() < 0.5:
        wrong, right, way = f"cut -d, -f 0 {quoted(path)}", f"cut -d, -f 1 {quoted(path)}", "the first column of {file}"
    else:
        wrong, right = f"sort -t, -k 0 {quoted(path)}", f"sort -t, -k 1,1 {quoted(path)}"
        way = "the lines of {file} sorted by the first column"
    return steps(rng, (f"{PRINT} {way}", way, f"I need {way}", f"(can I see|let me see) {way}", f"{way}, please",
                       f"I would like to see {way}"), (wrong, right), (f"read {path}",), True, ordered=True,
                 fails=(0,), file=path)
