"""What random files hold: prose, lists, tables, logs, configurations, small programs."""

# ruff: noqa: SIM905 (word lists are read and edited as text)
from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from nimllm.agent.gym import names

NUMERIC = frozenset({"amount", "price", "quantity", "age", "score", "year", "salary", "total", "weight", "height",
                     "points", "stock", "duration", "cost", "visits", "id"})
_CITIES = """Amsterdam Athens Berlin Bern Boston Cairo Chicago Delhi Dublin Geneva Hamburg Helsinki Kyoto Lagos Lima
Lisbon London Lyon Madrid Milan Mumbai Munich Nairobi Oslo Paris Porto Prague Quito Rome Seoul Sydney Tokyo Toronto
Vienna Warsaw Zurich""".split()
_STATUSES = ("active", "inactive", "pending", "done", "open", "closed", "paid", "unpaid", "new", "failed", "shipped")
_LEVELS = ("INFO", "INFO", "INFO", "DEBUG", "WARNING", "ERROR", "ERROR")
_MESSAGES = ("connection {} refused", "user {} logged in", "user {} logged out", "cannot open {}", "{} started",
             "{} stopped", "timeout while reading {}", "retrying {}", "request for {} took {n} ms", "{} not found",
             "loaded {n} items from {}", "disk usage at {n}%", "cache miss for {}", "saved {}", "job {} failed",
             "job {} finished in {n} s", "port {n} is in use", "invalid token for {}", "received {n} bytes")
_SENTENCES = ("The {a} {n} {v}s the {m}.", "{p} will {v} the {n} on {d}.", "Remember to {v} the {n}.",
              "We {v} every {n} in {c}.", "{p} lives in {c}.", "Call {p} about the {a} {n}.",
              "The {n} costs {k} euros.",
              "No {n} without a {m}.", "TODO: {v} the {a} {n}", "- {v} the {n}", "- {n}", "Buy {k} {n}s and a {m}",
              "{n}: {k}", "the {a} {n} and the {a} {m}", "Every {n} needs {k} {m}s.", "Meeting with {p} on {d}",
              "A {n} is not a {m}.", "{v} {n} {m}", "It was a {a} day in {c}.", "Why does the {n} {v}?")


def sentence(rng: random.Random) -> str:
    return rng.choice(_SENTENCES).format(
        a=rng.choice(names.ADJECTIVES), n=rng.choice(names.NOUNS), m=rng.choice(names.NOUNS), k=rng.randint(2, 99),
        v=rng.choice(names.VERBS), p=rng.choice(names.FIRST), c=rng.choice(_CITIES), d=names.date(rng))


def text(rng: random.Random, lines: int) -> str:
    """Prose-like lines; some occur twice, some are empty."""
    rows: list[str] = []
    for _ in range(lines):
        at = rng.random()
        if at < 0.08 and rows:
            rows.append("")
        elif at < 0.14 and rows:
            rows.append(rng.choice(rows))
        else:
            rows.append(sentence(rng))
    return "".join(f"{row}\n" for row in rows)


def word_list(rng: random.Random, lines: int, repeats: bool = True) -> str:
    kind = rng.random()
    if kind < 0.6:
        pool = [names.word(rng) for _ in range(max(2, lines // 2 if repeats else lines * 2))]
    elif kind < 0.8:
        pool = rng.sample(names.FIRST, min(len(names.FIRST), max(2, lines // 2 if repeats else lines)))
    else:
        pool = rng.sample(_CITIES, min(len(_CITIES), max(2, lines // 2 if repeats else lines)))
    rows = rng.choices(pool, k=lines) if repeats else list(dict.fromkeys(pool))[:lines]
    rng.shuffle(rows)
    return "".join(f"{row}\n" for row in rows)


def _cell(rng: random.Random, column: str, row: int) -> str:
    match column:
        case "id":
            return str(row)
        case "name" | "customer" | "owner" | "author":
            return rng.choice(names.FIRST) if rng.random() < 0.5 else names.person(rng)
        case "email":
            return f"{rng.choice(names.FIRST).lower()}@{rng.choice(names.NOUNS)}.{rng.choice(('com', 'org', 'net'))}"
        case "city":
            return rng.choice(_CITIES)
        case "status":
            return rng.choice(_STATUSES)
        case "date":
            return names.date(rng)
        case "year":
            return str(rng.randint(1980, 2026))
        case "price" | "cost":
            return f"{rng.randint(1, 99)}.{rng.randint(0, 99):02d}" if rng.random() < 0.5 else str(rng.randint(1, 99))
        case _ if column in NUMERIC:
            return str(rng.randint(1, rng.choice((9, 99, 999, 9999))))
    return names.word(rng)


_COLUMNS = ("id", "name", "email", "city", "status", "date", "amount", "price", "quantity", "age", "score", "year",
            "salary", "total", "weight", "product", "category", "country", "customer", "color", "points", "stock",
            "department", "duration", "cost", "visits", "height", "owner", "type", "group")


def csv(rng: random.Random, rows: int, separator: str = ",") -> tuple[str, list[str]]:
    """Header and ``rows`` lines; at least one numeric column besides an id; few distinct values in text columns."""
    columns = rng.sample(_COLUMNS[1:], rng.randint(2, 4))
    if not NUMERIC & set(columns):
        columns[-1] = rng.choice(("amount", "price", "score", "age", "quantity", "total"))
    if rng.random() < 0.3:
        columns.insert(0, "id")
    pools = {column: [_cell(rng, column, 0) for _ in range(max(2, rows // 2))] for column in columns}
    lines = [columns] + [
        [_cell(rng, column, row) if column in NUMERIC or column in ("date", "email") else rng.choice(pools[column])
         for column in columns] for row in range(1, rows + 1)]
    return "".join(separator.join(line) + "\n" for line in lines), columns


def message(rng: random.Random) -> str:
    """What a program writes into its log."""
    return rng.choice(_MESSAGES).format(names.word(rng), n=rng.randint(1, 9999))


def log(rng: random.Random, lines: int) -> str:
    day, second, sources = names.date(rng, 2021), rng.randint(0, 40_000), [names.word(rng) for _ in range(3)]
    with_source, rows = rng.random() < 0.6, []
    for _ in range(lines):
        second += rng.randint(1, 900)
        clock = f"{second // 3600 % 24:02d}:{second // 60 % 60:02d}:{second % 60:02d}"
        text = message(rng)
        source = f"{rng.choice(sources)}: " if with_source else ""
        rows.append(f"{day} {clock} {rng.choice(_LEVELS)} {source}{text}\n")
    return "".join(rows)


def settings(rng: random.Random, n: int = 5) -> dict[str, str | int | bool]:
    """Keys and values such as a program's configuration has."""
    values: dict[str, str | int | bool] = {}
    for _ in range(n):
        key = rng.choice(("port", "host", "user", "timeout", "debug", "level", "retries", "name", "version", "path",
                          "color", "limit", "mode", f"{rng.choice(names.NOUNS)}", f"max_{rng.choice(names.NOUNS)}",
                          f"{rng.choice(names.NOUNS)}_{rng.choice(('dir', 'size', 'name', 'count', 'url'))}"))
        at = rng.random()
        values[key] = (rng.randint(1, 9999) if at < 0.45 or key in ("port", "timeout", "limit", "retries")
                       else rng.random() < 0.5 if at < 0.55 else names.word(rng))
    return values


def config(rng: random.Random, kind: str = "ini") -> str:
    values = settings(rng, rng.randint(3, 8))
    if kind == "json":
        return json.dumps(values, indent=2) + "\n"
    plain = {key: str(value).lower() if isinstance(value, bool) else str(value) for key, value in values.items()}
    if kind in ("yaml", "yml"):
        return "".join(f"{key}: {value}\n" for key, value in plain.items())
    if kind == "env":
        return "".join(f"{key.upper()}={value}\n" for key, value in plain.items())
    if kind == "toml":
        return "".join(f"{key} = {value}\n" if value.isdigit() or value in ("true", "false")
                       else f'{key} = "{value}"\n' for key, value in plain.items())
    head = f"[{rng.choice(names.NOUNS)}]\n" if rng.random() < 0.6 else ""
    return head + "".join(f"{key}={value}\n" for key, value in plain.items())


def identifier(rng: random.Random) -> str:
    """A function's name: ``parse_ticket``, ``merge``."""
    return rng.choice((f"{rng.choice(names.VERBS)}_{rng.choice(names.NOUNS)}",) * 3 + (rng.choice(names.NOUNS),))


def python_module(rng: random.Random, functions: Sequence[str] = ()) -> str:
    imports = rng.sample(("os", "sys", "json", "re", "math", "random", "time", "csv", "pathlib"), rng.randint(0, 3))
    parts = [f"import {module}\n" for module in sorted(imports)]
    if rng.random() < 0.3:
        parts.append(f"\n{rng.choice(names.NOUNS).upper()} = {rng.randint(1, 500)}\n")
    if rng.random() < 0.3:
        parts.append(f"\n\nclass {rng.choice(names.NOUNS).capitalize()}:\n    def __init__(self):\n"
                     f"        self.{rng.choice(names.NOUNS)} = {rng.randint(0, 99)}\n")
    for function in functions or [identifier(rng) for _ in range(rng.randint(1, 4))]:
        if function in ("import", "return", "pass"):
            continue
        argument = rng.choice(("value", "item", "data", "x", "text", "path", "items"))
        body = rng.choice((f"    return {argument} * {rng.randint(2, 99)}\n", f"    print({argument})\n",
                           f"    if not {argument}:\n        return None\n    return {argument}\n",
                           f"    total = {rng.randint(0, 9)}\n    return total + {argument}\n", "    pass\n"))
        note = rng.random()
        remark = (f"    # TODO: {rng.choice(names.VERBS)} the {rng.choice(names.NOUNS)}\n" if note < 0.2
                  else f"    # FIXME: {rng.choice(names.NOUNS)} is {rng.choice(names.ADJECTIVES)}\n" if note < 0.28
                  else f'    print("{rng.choice(names.NOUNS)}")\n' if note < 0.34 else "")
        parts.append(f"\n\ndef {function}({argument}):\n{remark}{body}")
    return "".join(parts).lstrip("\n")


@dataclass(frozen=True)
class Arithmetic:
    """A function of two numbers with a known expression."""

    name: str
    expression: str


def arithmetic(rng: random.Random, n: int, used: set[str]) -> list[Arithmetic]:
    found: list[Arithmetic] = []
    while len(found) < n:
        name = f"{rng.choice(names.VERBS)}_{rng.choice(names.NOUNS)}"
        if name not in used:
            used.add(name)
            k = rng.randint(2, 30)
            found.append(Arithmetic(name, rng.choice((f"a + b + {k}", f"a * b - {k}", f"a - b * {k}", f"{k} * (a + b)",
                                                      f"max(a, b) + {k}", f"a % {k} + b", f"a * {k} + b * {k + 1}"))))
    return found


def arithmetic_module(rng: random.Random, functions: Sequence[Arithmetic]) -> str:
    parts = []
    for function in functions:
        remark = f"    # TODO: {rng.choice(names.VERBS)} the {rng.choice(names.NOUNS)}\n" if rng.random() < 0.2 else ""
        parts.append(f"def {function.name}(a, b):\n{remark}    return {function.expression}\n")
    return "\n\n".join(parts)


def arithmetic_tests(rng: random.Random, package: str, module: str, functions: Sequence[Arithmetic]
                     ) -> tuple[str, list[str], list[str]]:
    """Source of a unittest file, the names of its failing tests and of its passing ones."""
    lines = ["import unittest", "", f"from {package}.{module} import {', '.join(f.name for f in functions)}", "", "",
             f"class Test{module.capitalize()}(unittest.TestCase):"]
    failing: list[str] = []
    passing: list[str] = []
    for function in functions:
        a, b = rng.randint(0, 20), rng.randint(0, 20)
        right = eval(function.expression, {"__builtins__": {}, "max": max}, {"a": a, "b": b})
        wrong = rng.random() < 0.25
        test = f"test_{function.name}"
        (failing if wrong else passing).append(test)
        lines += [f"    def {test}(self):",
                  f"        self.assertEqual({function.name}({a}, {b}), {right + wrong * rng.randint(1, 9)})", ""]
    return "\n".join(lines).rstrip("\n") + "\n", failing, passing


def commit_message(rng: random.Random, paths: Sequence[str]) -> str:
    """A first line such as people write."""
    stem = paths[0].rsplit("/", 1)[-1] if paths else rng.choice(names.NOUNS)
    return rng.choice((f"Add {stem}", f"Update {stem}", f"Fix the {rng.choice(names.NOUNS)}",
                       f"{rng.choice(names.VERBS).capitalize()} {rng.choice(names.NOUNS)}",
                       f"fix {rng.choice(names.NOUNS)} {rng.choice(names.NOUNS)}",
                       f"Refactor {rng.choice(names.NOUNS)} {rng.choice(names.NOUNS)}",
                       f"{rng.choice(names.NOUNS)}: {rng.choice(names.VERBS)} {rng.choice(names.NOUNS)}"))


def page(rng: random.Random) -> str:
    """A small HTML page."""
    title = " ".join(names.word(rng) for _ in range(2)).title()
    body = "".join(f"    <p>{sentence(rng)}</p>\n" for _ in range(rng.randint(1, 4)))
    link = f'    <a href="{names.word(rng)}.html">{names.word(rng)}</a>\n' if rng.random() < 0.5 else ""
    return (f"<html>\n  <head>\n    <title>{title}</title>\n  </head>\n  <body>\n    <h1>{title}</h1>\n{body}{link}"
            "  </body>\n</html>\n")


def sheet(rng: random.Random) -> str:
    """A small style sheet."""
    return "".join(f"{rng.choice(('body', 'h1', 'p', 'a', '.' + names.word(rng)))} {{\n  color: "
                   f"{rng.choice(('red', 'blue', 'black', '#333', '#fff'))};\n  margin: {rng.randint(0, 40)}px;\n}}\n"
                   for _ in range(rng.randint(1, 4)))


def markdown(rng: random.Random, lines: int) -> str:
    head = f"# {' '.join(names.word(rng) for _ in range(rng.randint(1, 3))).title()}\n\n"
    middle = text(rng, lines)
    if rng.random() < 0.4:
        middle += f"\n## {names.word(rng).title()}\n\n" + "".join(f"- {names.word(rng)}\n" for _ in range(3))
    return head + middle


def script(rng: random.Random) -> str:
    return "#!/bin/bash\n" + "".join(rng.choice((f"echo {names.word(rng)}\n", f"# {sentence(rng)}\n",
                                                 f"{names.word(rng).upper().replace('-', '_')}={rng.randint(1, 99)}\n",
                                                 f"mkdir -p {names.word(rng)}\n")) for _ in range(rng.randint(1, 6)))


def source(rng: random.Random, comment: str = "//") -> str:
    rows = []
    for _ in range(rng.randint(3, 14)):
        rows.append(rng.choice((f"{comment} {sentence(rng)}", f"int {names.word(rng)} = {rng.randint(0, 999)};",
                                f"{identifier(rng)}();", f"return {rng.randint(0, 9)};",
                                f"{comment} TODO: {rng.choice(names.VERBS)} {rng.choice(names.NOUNS)}")))
    return "\n".join(rows) + "\n"


def for_name(rng: random.Random, name: str) -> str | bytes:
    """Contents that fit the extension; about 1 in 20 files is empty."""
    if rng.random() < 0.05:
        return b""
    suffix = name.rsplit(".", 1)[-1].lower() if "." in name else ""
    lines = max(1, min(60, round(rng.lognormvariate(2.0, 0.7))))
    match suffix:
        case "py":
            return python_module(rng)
        case "sh":
            return script(rng)
        case "js" | "c" | "h" | "go" | "rs" | "java" | "ts" | "cpp":
            return source(rng)
        case "rb":
            return source(rng, "#")
        case "log" | "out" | "err":
            return log(rng, lines)
        case "csv":
            return csv(rng, lines)[0]
        case "tsv":
            return csv(rng, lines, "\t")[0]
        case "json" | "yaml" | "yml" | "ini" | "cfg" | "conf" | "toml" | "env":
            return config(rng, suffix)
        case "html" | "xml" | "svg":
            return page(rng)
        case "css":
            return sheet(rng)
        case "md" | "rst":
            return markdown(rng, lines)
        case "jpg" | "png" | "gif" | "mp3" | "mp4" | "wav" | "pdf" | "jpeg" | "bin":
            return b"\x89\0" + rng.randbytes(max(20, min(60_000, round(rng.lognormvariate(7.0, 1.2)))))
        case "txt" | "dat" | "":
            at = rng.random()
            if at < 0.2:
                return word_list(rng, lines)
            if at < 0.3:
                return "".join(f"{rng.randint(0, rng.choice((9, 99, 9999)))}\n" for _ in range(lines))
    return text(rng, lines)
