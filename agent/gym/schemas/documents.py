"""JSON: nested values, lists of objects, filters, totals, changes, conversions."""

from __future__ import annotations

import json
import random
from typing import Any

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import change, deed, mark, number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.subjects import ordinal
from nimllm.agent.gym.worlds import World

_NUMBERS = ("age", "price", "score", "stock", "size", "year", "points")
_TEXTS = ("name", "city", "type", "status", "color", "owner", "title")
_ITEMS = "(items|elements|objects|entries|records)"


def _key(rng: random.Random) -> str:
    return rng.choice((names.syllables(rng), rng.choice(names.NOUNS), rng.choice(names.NOUNS), "settings", "server",
                       "items"))


def objects(world: World, rng: random.Random, least: int = 3) -> tuple[str, list[dict[str, Any]], str, str]:
    """A new file with a list of alike objects; a key of texts and a key of numbers."""
    word, amount = rng.choice(_TEXTS), rng.choice(_NUMBERS)
    more = rng.sample([key for key in (*_TEXTS, *_NUMBERS) if key not in (word, amount)], rng.randint(0, 1))
    n = rng.randint(least, least + 5)
    pool = [rng.choice((world.word(), rng.choice(names.FIRST))) for _ in range(max(2, n - 1))]
    values = rng.sample(range(1, rng.choice((99, 999))), n)
    rows = [{word: rng.choice(pool), amount: value} | {key: rng.randint(1, 99) if key in _NUMBERS else world.word()
                                                       for key in more} for value in values]
    path = world.new_name("file", "json")
    world.add_file(path, "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n" if rng.random() < 0.5
                   else json.dumps(rows, indent=2) + "\n")
    return path, rows, word, amount


def tree(world: World, rng: random.Random) -> tuple[str, str, str, dict[str, Any]]:
    """A new object that holds, under one key, an object, and under another, a list of words."""
    outer, many = rng.sample(sorted({_key(rng) for _ in range(6)}), 2)
    inner = {key: rng.choice((world.word(), rng.randint(1, 9999), rng.random() < 0.5))
             for key in sorted({rng.choice(("host", "port", "user", "level", "name", "path", rng.choice(names.NOUNS)))
                                for _ in range(3)})}
    data: dict[str, Any] = {"version": f"{rng.randint(0, 9)}.{rng.randint(0, 9)}", outer: inner, many: [world.word()
                                                                      for _ in range(rng.randint(2, 6))]}
    path = world.new_name("file", "json")
    world.add_file(path, json.dumps(data, indent=2) + "\n")
    return path, outer, many, data


@schema("doc.nested", "jq", weight=1.3)
def nested(world: World, rng: random.Random) -> Draft:
    path, outer, _, data = tree(world, rng)
    key = rng.choice(list(data[outer]))
    return show(rng, (*sought("the {k} (of|in|under|inside) {o} (in|from) {f}", "the {k} (of|in) the {o} "
                              "(object|section|part) (in|of) {f}", tool="jq"), "what is the {k} (of|in|under) {o} in "
                              "{f}?", "(which|what) {k} does the {o} (object|section) in {f} have?",
                              "{o}.{k} (in|of|from) {f}", "look up {k} (under|inside|in) {o} in {f}"),
                f"jq -r .{outer}.{key} {quoted(path)}", f"read {outer}.{key}", f=path, k=key, o=outer)


@schema("doc.list", "jq", weight=1.2)
def in_list(world: World, rng: random.Random) -> Draft:
    path, _, many, data = tree(world, rng)
    size, kind = len(data[many]), rng.random()
    if kind < 0.3:
        return show(rng, (*number(f"{_ITEMS} (in|of) (the|) {{k}} (in|of) {{f}}", "{k} (entries|items) in {f}",
                                  f"{_ITEMS} in the (list|array) {{k}} of {{f}}"), "(length|size) of (the list|the "
                                  "array|) {k} in {f}"), f"jq '.{many} | length' {quoted(path)}",
                                  f"count the items of {many}", f=path, k=many)
    if kind < 0.6:
        return show(rng, (*sought(f"(all|the|all the) {_ITEMS} of (the list|the array|) {{k}} (in|of|from) {{f}}, one "
                                  f"per line", "(everything|all) in the (list|array) {k} of {f}, one per line",
                                  tool="jq"), "what is in the (list|array) {k} (in|of) {f}? (one per line|one item "
                                  "per line)"), f"jq -r '.{many}[]' {quoted(path)}", f"list the items of {many}",
                                  f=path, k=many)
    last = rng.random() < 0.4
    at = rng.randrange(size)
    if last:
        return show(rng, (*sought("the last (item|element|entry) (of|in) (the list|the array|) {k} (in|of) {f}",
                                  tool="jq"), "what is the last (item|entry|element) (of|in) {k} in {f}?"),
                                  f"jq -r '.{many}[-1]' {quoted(path)}", f"read the last item of {many}", f=path,
                                  k=many)
    return show(rng, (*sought("the {o} (item|element|entry) (of|in) (the list|the array|) {k} (in|of) {f}", tool="jq"),
                      "what is the {o} (item|entry|element) (of|in) {k} in {f}?"), f"jq -r '.{many}[{at}]' "
                      f"{quoted(path)}", f"read item {at + 1} of {many}", f=path, k=many, o="first" if at == 0
                      else ordinal(at + 1))


@schema("doc.keys", "jq", weight=0.9)
def inner_keys(world: World, rng: random.Random) -> Draft:
    path, outer, _, data = tree(world, rng)
    kind = rng.random()
    if kind < 0.5:
        return show(rng, (*sought("the keys (of|in|under) {k} (in|of) {f}, (sorted|one per line)",
                                  "the (keys|field names) of the {k} (object|section) (in|of) {f}", tool="jq"),
                                  "(which|what) keys does {k} have in {f}?", "what is (under|inside) {k} in {f}? "
                                  "(keys only|only the keys|just the keys)"), f"jq -r '.{outer} | keys[]' "
                                  f"{quoted(path)}", f"list the keys of {outer}", ordered=False, f=path, k=outer)
    if kind < 0.75:
        key = rng.choice([*data, world.word()])
        return show(rng, ("does {f} have (a|the) key {k}? (true or false|answer true or false)",
                          "(check|tell me) (if|whether) {f} has the (key|field) {k}, (print|say|answer) true or false",
                          "is there a key {k} in {f}? true or false", "has {f} a top-level key {k}? true or false"),
                          f"jq 'has(\"{key}\")' {quoted(path)}", f"check for the key {key}", f=path, k=key)
    return show(rng, (*sought("the whole {k} object (of|in|from) {f}", "the {k} (part|section) (of|in) {f} (as JSON|)",
                              tool="jq"), "what does {k} look like in {f}? (as JSON|show the object)",
                              "extract the object {k} from {f}"), f"jq .{outer} {quoted(path)}", f"show {outer}",
                              f=path, k=outer)


@schema("doc.filter", "jq", weight=1.4)
def filtered(world: World, rng: random.Random) -> Draft:
    path, rows, word, amount = objects(world, rng)
    kind = rng.random()
    limit = rng.choice(sorted(row[amount] for row in rows)[:-1])
    value = rng.choice(rows)[word]
    if kind < 0.3:
        return show(rng, (*sought(f"the {word} of (all|the) {_ITEMS} (in|of) {{f}} (with|having) (a|an|) "
                                  f"{{a}} (over|above|greater than|of more than) {{v}}".replace("(a|an|)", "a"),
                                  f"the {word} of (each|every) (item|entry|object) in {{f}} whose {{a}} is "
                                  f"(over|above|greater than|more than) {{v}}", tool="jq"),
                                  "(which|what) {k}s in {f} have (a|an) {a} (over|above|greater than) "
                                  "{v}?".replace("(a|an)", "a")),
                    f"jq -r '.[] | select(.{amount} > {limit}) | .{word}' {quoted(path)}",
                    f"list {word} where {amount} is over {limit}", f=path, k=word, a=amount, v=limit)
    if kind < 0.55:
        return show(rng, (*sought(f"(all|the) {_ITEMS} (in|of) {{f}} (where|whose) {{k}} (is|equals) {{v}}, one per "
                                  f"line".replace("(where|whose)", "where"), f"(all|the) {_ITEMS} (in|of) {{f}} with "
                                  f"{{k}} {{v}}, (one per line|compact, one per line)", tool="jq"),
                                  f"which {_ITEMS} of {{f}} have {{k}} {{v}}? one per line",
                                  "(filter|select) the objects of {f} (by|with) {k} {v}, one per line"),
                    f"jq -c '.[] | select(.{word} == \"{value}\")' {quoted(path)}", f"show the objects with {word} "
                    f"{value}", f=path, k=word, v=mark(rng, value, 0.3))
    if kind < 0.75:
        return show(rng, (*number(f"{_ITEMS} (in|of) {{f}} (where|with) {{a}} (is|) (over|above|greater than|more "
                                  f"than) {{v}}".replace("(where|with) {a} (is|)", "where {a} is")),
                                  f"how many {_ITEMS} of {{f}} have a {{a}} (over|above|greater than) {{v}}?"),
                                  f"jq '[.[] | select(.{amount} > {limit})] | length' {quoted(path)}",
                                  f"count where {amount} is over {limit}", f=path, a=amount, v=limit)
    if [row[word] for row in rows].count(value) != 1:
        raise Unsuitable("several")
    return show(rng, (*sought("the {a} of (the (item|entry|object) with|) {k} {v} (in|from) {f}",
                              "the {a} (in|from) {f} (where|for which) {k} is {v}", tool="jq"),
                              "(which|what) {a} does {v} have in {f}?", "what is the {a} of {v} in {f}?",
                              "look up {v} in {f} and print its {a}"),
                f"jq '.[] | select(.{word} == \"{value}\") | .{amount}' {quoted(path)}", f"look up {amount} of {value}",
                f=path, a=amount, k=word, v=mark(rng, value, 0.3))


@schema("doc.total", "jq", weight=1.1)
def total(world: World, rng: random.Random) -> Draft:
    path, rows, word, amount = objects(world, rng)
    kind = rng.choice(("sum", "average", "largest", "smallest", "row"))
    if kind == "row":
        low = rng.random() < 0.4
        if [row[word] for row in rows].count(min(rows, key=lambda row: row[amount])[word]) < 1:
            raise Unsuitable("none")
        return show(rng, (*sought(f"the {{k}} of the (item|entry|object) (in|of) {{f}} with the "
                                  f"{'(smallest|lowest)' if low else '(largest|highest|biggest)'} {{a}}", tool="jq"),
                                  f"(which|what) {{k}} has the {'(smallest|lowest)' if low else '(largest|highest)'} "
                                  f"{{a}} in {{f}}?"), f"jq -r '{'min' if low else 'max'}_by(.{amount}).{word}' "
                                  f"{quoted(path)}", f"find the {word} by {amount}", f=path, a=amount, k=word)
    said, end = {"sum": ("(sum|total)", "add"), "average": ("(average|mean)", "add / length"),
                 "largest": ("(largest|highest|maximum|biggest)", "max"), "smallest": ("(smallest|lowest|minimum)",
                                                                      "min")}[kind]
    if kind == "average" and sum(row[amount] for row in rows) % len(rows):
        raise Unsuitable("many digits")
    return show(rng, (*sought(f"the {said} (of|) {{a}} (in|of|over) {{f}}".replace("(of|) {a}", "of all {a} values"
                                                                      if kind in ("sum", "average") else "{a}"),
                                                                      tool="jq"), f"what is the {said} {{a}} in {{f}}?",
                                                                      f"{said} {{a}} (of|in) {{f}}",
                                                                      f"(compute|find|calculate) the {said} "
                                                                      f"{{a}} (of|over) all {_ITEMS} in {{f}}"),
                f"jq '[.[].{amount}] | {end}' {quoted(path)}", f"compute the {kind} of {amount}", f=path, a=amount)


@schema("doc.values", "jq sort uniq", weight=1.1)
def values(world: World, rng: random.Random) -> Draft:
    path, _, word, amount = objects(world, rng, 5)
    kind = rng.random()
    slots: dict[str, Any] = {"f": path, "k": word, "a": amount}
    if kind < 0.25:
        return show(rng, (*sought("(all|the) (different|distinct|unique) {k} values (in|of) {f}",
                                  "(all|the) {k} values (in|of) {f} without duplicates", tool="jq"),
                                  "(which|what) different {k}s are in {f}?"), f"jq -r '.[].{word}' {quoted(path)} | "
                                  f"sort -u", f"list the different {word} values", False, **slots)
    if kind < 0.45:
        return show(rng, (*sought(f"the number of {_ITEMS} per {{k}} (in|of) {{f}}, (highest|most frequent) first",
                                  tool="jq"), f"how many {_ITEMS} per {{k}} are in {{f}}? (highest|most frequent) "
                                  f"first", f"(count|tally) the {_ITEMS} (in|of) {{f}} by {{k}}, highest first"),
                                  f"jq -r '.[].{word}' {quoted(path)} | sort | uniq -c | sort -nr", f"count by {word}",
                                  False, **slots)
    if kind < 0.7:
        return show(rng, (*sought("{k} and {a} of (each|every) (item|entry|object) (in|of) {f}, separated by a "
                                  "(blank|space)", tool="jq"), "for (each|every) (object|item) in {f} print {k} and "
                                  "{a} (with a blank between|separated by a blank)", "list {k} and {a} from {f}, "
                                  "blank between"), f"jq -r '.[] | \"\\(.{word}) \\(.{amount})\"' {quoted(path)}",
                                  f"list {word} and {amount}", **slots)
    if kind < 0.85:
        down = rng.random() < 0.5
        first = "(largest|highest) {a} first" if down else "ordered by {a}, (smallest|lowest) first"
        return show(rng, (*sought(f"the {{k}} of (each|every) (item|entry) (in|of) {{f}}, "
                                  f"{first}", tool="jq"),
                          f"(list|print) the {{k}}s in {{f}} (sorted|ordered) by {{a}}, "
                          f"{'(descending|highest first)' if down else '(ascending|lowest first)'}"),
                          f"jq -r 'sort_by(.{amount}){' | reverse' if down else ''} | .[].{word}' {quoted(path)}",
                          f"list {word} by {amount}", **slots)
    return show(rng, (*sought("{f} as csv with the columns {k} and {a} (, no header|, without header)",
                              "{k} and {a} of (all|the) objects in {f} as csv (, no header|without a header)",
                              tool="jq"), "(convert|turn) {f} (to|into) csv, columns {k} and {a}, (no header|without "
                              "header)"), f"jq -r '.[] | [.{word}, .{amount}] | @csv' {quoted(path)}",
                              "print it as csv", **slots)


@schema("doc.at", "jq", weight=0.9)
def at(world: World, rng: random.Random) -> Draft:
    path, rows, word, _ = objects(world, rng)
    n, last = rng.randrange(len(rows)), rng.random() < 0.3
    which, index = ("last", "-1") if last else ("first" if n == 0 else ordinal(n + 1), str(n))
    if rng.random() < 0.6:
        return show(rng, (*sought("the {k} of the {o} (item|object|entry|element) (in|of) {f}", tool="jq"),
                          "what is the {k} of the {o} (item|entry|object) in {f}?", "{k} of the {o} (entry|object) in "
                          "{f}"), f"jq -r '.[{index}].{word}' {quoted(path)}", f"read {word} of the {which} object",
                          f=path, k=word, o=which)
    return show(rng, (*sought("the {o} (item|object|entry|element) (in|of) (the list in|) {f}", tool="jq"),
                      "what does the {o} (object|entry) (in|of) {f} look like?"), f"jq '.[{index}]' {quoted(path)}",
                      f"show the {which} object", f=path, o=which)


@schema("doc.compact", "jq python3", weight=0.9)
def compact(world: World, rng: random.Random) -> Draft:
    path, *_ = tree(world, rng)
    kind = rng.random()
    if kind < 0.35:
        return show(rng, (*sought("{f} (compact|minified), on one line", "{f} as compact JSON (on one line|)",
                                  tool="jq"), "(minify|compact) (the JSON in|) {f} and print it",
                                  "(print|show) {f} without line breaks and indentation (, it is JSON|)"),
                                  f"jq -c . {quoted(path)}", f"print {path} on one line", f=path)
    if kind < 0.6:
        broken = rng.random() < 0.5
        if broken:
            world.add_file(path, world.read(path).replace("\n}", ",\n", 1) if rng.random() < 0.5
                           else world.read(path)[:-4])
        return show(rng, ("is {f} valid JSON? (yes or no|answer yes or no)", "(check|validate|test) (whether|if) {f} "
                          "is (valid|well-formed|correct) JSON, (yes or no|print yes or no)",
                          "can {f} be parsed as JSON? yes or no", "valid JSON or not: {f}? print yes or no"),
                          f"jq empty {quoted(path)} 2> /dev/null && echo yes || echo no", f"check {path}", f=path)
    target = world.new_name("file", "json")
    if kind < 0.8:
        return change(rng, deed("(minify|compact) {f} into {t}", "(write|save) {f} as compact JSON (to|into) {t}",
                                tool="jq"), f"jq -c . {quoted(path)} > {quoted(target)}",
                                f"write compact JSON to {target}", f=path, t=target)
    world.add_file(path, json.dumps(json.loads(world.read(path))) + "\n")
    return change(rng, deed("(pretty-print|format|indent) {f} into {t}", "(write|save) {f} (nicely "
                            "indented|pretty-printed|formatted) (to|into|as) {t}", tool="jq"),
                            f"jq . {quoted(path)} > {quoted(target)}", f"write indented JSON to {target}", f=path,
                            t=target)


@schema("doc.python_pretty", "python3", weight=0.5)
def python_pretty(world: World, rng: random.Random) -> Draft:
    path, *_ = tree(world, rng)
    world.add_file(path, json.dumps(json.loads(world.read(path))) + "\n")
    return show(rng, ("(use|with) python (to|,) (pretty-print|format|indent) {f}".replace("(use|with) python (to|,)",
                                                                      "use python to"),
                                                                      "(pretty-print|format) {f} with python's "
                                                                      "json.tool", "python json.tool on {f}",
                                                                      "(pretty-print|indent) the JSON in {f} "
                                                                      "(using|with) python"),
                                                                      f"python3 -m json.tool {quoted(path)}",
                                                                      f"pretty-print {path}", f=path)


@schema("doc.change", "jq mv", weight=1.3)
def changed(world: World, rng: random.Random) -> Draft:
    path, outer, many, data = tree(world, rng)
    kind = rng.random()
    value = rng.choice((rng.randint(1, 9999), world.word(), True, False))
    if kind < 0.35:
        key = rng.choice(list(data[outer]))
        place, said = f".{outer}.{key}", "({k} (in|of|under) {o}|{o}.{k})"
    elif kind < 0.7:
        key = rng.choice(("version", world.word().replace("-", "_"), "debug"))
        place, said = f".{key}", "{k}"
    else:
        key = rng.choice([outer, many])
        return change(rng, deed("(delete|remove|drop) (the key|) {k} (from|in) {f}", "get rid of {k} in {f}",
                                tool="jq"), f"jq 'del(.{key})' {quoted(path)} > tmp.json && mv tmp.json {quoted(path)}",
                                f"delete {key}", f=path, k=key)
    if not all(part.isidentifier() for part in place.split(".")[1:]) or (kind < 0.35 and data[outer][key] == value):
        raise Unsuitable("key")
    return change(rng, (*deed(f"(set|change) {said} to {{v}} in {{f}}", f"make {said} {{v}} in {{f}}", tool="jq"),
                        f"{said} in {{f}} should be {{v}}", f"in {{f}}, set {said} to {{v}}"),
                        f"jq '{place} = {json.dumps(value)}' {quoted(path)} > tmp.json && mv tmp.json {quoted(path)}",
                        f"set {place[1:]}", f=path, k=key, o=outer, v=str(value).lower() if isinstance(value, bool)
                        else value)


@schema("doc.add_item", "jq mv", weight=0.8)
def add_item(world: World, rng: random.Random) -> Draft:
    path, _, many, _ = tree(world, rng)
    item = world.word()
    return change(rng, (*deed("(add|append) {v} to the (list|array) {k} in {f}", "(add|append) {v} (at the end of|to) "
                              "{k} in {f}", tool="jq"), "the (list|array) {k} in {f} should also contain {v} (at the "
                              "end|)"), f"jq '.{many} += [\"{item}\"]' {quoted(path)} > tmp.json && mv tmp.json "
                              f"{quoted(path)}", f"append {item} to {many}", f=path, k=many, v=mark(rng, item))


@schema("doc.count_first", "jq", weight=0.6)
def some(world: World, rng: random.Random) -> Draft:
    path, _, word, _ = objects(world, rng, 5)
    n = rng.randint(2, 4)
    return show(rng, (*sought("the {k} of the first {n} (items|objects|entries) (in|of) {f}", tool="jq"),
                      "(list|print) the {k}s of the first {n} (objects|entries) in {f}"),
                      f"jq -r '.[:{n}][].{word}' {quoted(path)}", f"list {word} of the first {n}", f=path, k=word,
                      n=spelled(rng, n))
