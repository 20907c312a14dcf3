"""Reading JSON files."""

from __future__ import annotations

import json
import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.frames import number, sought
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW
from nimllm.agent.gym.worlds import World


def _json(world: World, rng: random.Random) -> tuple[str, dict[str, object]]:
    """A new JSON object of plain values, with one nested object."""
    keys = list(dict.fromkeys(rng.choice((names.word(rng).lower(), *("name", "version", "port", "author", "license",
        "debug"))).replace("-", "_") for _ in range(5)))
    data: dict[str, object] = {}
    for key in keys:
        data[key] = rng.choice((names.word(rng), rng.randint(1, 9999),
            f"{rng.randint(0, 9)}.{rng.randint(0, 9)}.{rng.randint(0, 9)}", names.person(rng), rng.random() < 0.5))
    inner = names.syllables(rng)
    data[inner] = {names.word(rng).lower(): rng.choice((names.word(rng), rng.randint(1, 99))) for _ in range(2)}
    path = world.new_name("file", "json")
    world.add_file(path, json.dumps(data, indent=2) + "\n")
    return path, data


@schema("json.value", "jq", weight=1.5)
def json_value(world: World, rng: random.Random) -> Draft:
    path, data = _json(world, rng)
    key = rng.choice([key for key, value in data.items() if not isinstance(value, dict)])
    return single(rng, (*sought("the (value of|) {k} (in|of|from) {f}", "the value (that {f} has for|of the key|of) "
                                "{k} (in|of) {f}".replace("(that {f} has for|of the key|of)", "of the key"), tool="jq"),
                                "(read|parse) {f} and (print|show) {k}", "{f}: {k}?",
        "I need {k} from {f}",
        "{f}: what is {k}?",
        "use jq to get {k} from {f}",
        "pull {k} out of {f}",
        "value of the key {k} in {f}",
        "tell me the {k} that {f} has",
        "what is the (value of|) {k} in {f}?", f"{SHOW} (the|) (value of|) (the key|) {{k}} (in|of|from) {{f}}",
        "(get|read|extract) {k} from {f}", "{k} (in|of) {f}", "which {k} does {f} (have|set|contain)?",
        "look up {k} in {f}", "what {k} is in {f}?"),
        f"jq -r .{key} {quoted(path)}", f"read {key} from {path}", True, "{k} is {output}.".replace("{k}", key),
        ordered=True, f=path, k=key)


@schema("json.nested", "jq", weight=0.8)
def json_nested(world: World, rng: random.Random) -> Draft:
    path, data = _json(world, rng)
    outer, inner = next((key, value) for key, value in data.items() if isinstance(value, dict))
    name = f"{outer}.{rng.choice(sorted(inner))}"
    return single(rng, (*sought("the value of {k} (in|of|from) {f}", tool="jq"), "{f}: {k}?",
            
        "what is the (value of|) {k} in {f}?", f"{SHOW} (the|) (value of|) {{k}} (in|of|from) {{f}}",
        "(get|read|extract) {k} from {f}", "{k} (in|of) {f}", "look up {k} in {f}",
        "read the (nested|) value {k} (in|from) {f}"),
        f"jq -r .{name} {quoted(path)}", f"read {name} from {path}", True, ordered=True, f=path, k=name)


@schema("json.keys", "jq", weight=0.8)
def json_keys(world: World, rng: random.Random) -> Draft:
    path, _ = _json(world, rng)
    return single(rng, (*sought("(all|the|) (top-level|) (keys|field names) (in|of) {f}", tool="jq"), "{f}: keys?",
        "I need the (list of|) top-level keys of {f}",
        "use jq to list the keys of {f}",
        "{f}: which keys?",
        "names of all fields in {f}",
        "(which|what) keys (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)",
            "(are in {f}|does {f} have)"), f"{SHOW} the (top-level|) keys (of|in) {{f}}", "keys (of|in) {f}",
            "(list|name) the (keys|fields) of (the JSON file|) {f}",
            "what (fields|keys) does (the object in|) {f} have?",
        "top-level keys of {f}"),
        f"jq -r 'keys[]' {quoted(path)}", f"list the keys of {path}", True, f=path)


@schema("json.pretty", "jq", weight=0.6)
def json_pretty(world: World, rng: random.Random) -> Draft:
    path, data = world.new_name("file", "json"), {names.word(rng): rng.randint(1, 99) for _ in range(3)}
    world.add_file(path, json.dumps(data, separators=(",", ":")) + "\n")
    return single(rng, (*sought("{f} (pretty-printed|nicely indented|formatted|properly indented)",
                                "the JSON (in|of) {f} (pretty-printed|with indentation|in readable form)", tool="jq"),
                                "{f} is all on one line, (format|indent) it",
        "use jq to (pretty-print|format) {f}",
        "I need {f} in readable form, it is JSON",
        "{f} is all on one line, print it indented",
        "jq . on {f}",
        "(pretty-print|pretty print|format|indent) (the JSON in|the JSON file|) {f}",
        f"{PRINT} {{f}} (indented|nicely formatted|formatted)", "make {f} readable, it is JSON",
        "(show|print) the JSON (in|of) {f} with indentation", "{f} as indented JSON", "format and show {f}"),
        f"jq . {quoted(path)}", f"pretty-print {path}", True, ordered=True, f=path)


@schema("json.length", "jq", weight=0.7)
def json_length(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", "json")
    key = rng.choice(("name", "id", "title", "user"))
    rows = [{key: names.word(rng), "n": rng.randint(1, 99)} for _ in range(rng.randint(2, 7))]
    world.add_file(path, "[\n" + ",\n".join("  " + json.dumps(row) for row in rows) + "\n]\n")
    if rng.random() < 0.5:
        return single(rng, (*number("(items|elements|objects|entries) in (the list|the array|) {f}"),
            
            "how many (items|elements|objects|entries) (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)",
                "(are in {f}|does {f} have)"),
                "count the (items|elements|objects|entries) (in|of) (the JSON list|the list|) {f}",
                "number of (items|elements|entries) in {f}", "(length|size) of the (JSON|) (list|array) in {f}",
            "how long is the (list|array) in {f}?", "how many entries has the JSON (array|list) {f}?"),
            f"jq length {quoted(path)}", f"count the items of {path}", True, "There are {output} items.", f=path)
    return single(rng, (*sought("the {k} of (each|every) (item|object|entry) (in|of) {f}",
                                "(all|the) {k} values (in|of) {f}", tool="jq"),
            
        f"{SHOW} the {{k}} of (each|every) (item|element|entry|object) (in|of) {{f}}", "(which|what) {k}s are in {f}?",
        "(list|print) all {k} values (in|of|from) {f}", "{k} of (each|every) (item|entry) in {f}",
        "extract (all|the) {k}s from {f}", "get (every|each) {k} (from|in) the (list|array) {f}"),
        f"jq -r '.[].{key}' {quoted(path)}", f"list the {key} values of {path}", True, ordered=True, f=path, k=key)
