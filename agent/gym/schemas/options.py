"""Configuration files: looking up, setting, commenting out and in, adding and deleting of keys."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import change, deed, mark, number, show, sought
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.worlds import World

_FORMS = {"env": "{}={}", "conf": "{} {}", "ini": "{} = {}", "cfg": "{}={}", "yaml": "{}: {}", "properties": "{}={}"}
_KEYS = ("port", "host", "user", "timeout", "debug", "log_level", "retries", "max_clients", "workers", "cache_dir",
         "mode", "verbose",
         "theme", "language", "interval", "threads", "backend", "region")
_CHANGE = "(set|change|update|switch)"


def options(world: World, rng: random.Random, switched: bool = False) -> tuple[str, str, dict[str, str], str]:
    """A new configuration file, the form of its lines, its keys and values, and a commented-out key ('' without)."""
    ext = rng.choice(list(_FORMS))
    keys = list(dict.fromkeys(rng.choice((*_KEYS,
                                          f"{rng.choice(names.NOUNS)}_{rng.choice(('size', 'path', 'count', 'name'))}",
                                          rng.choice(names.NOUNS)))
                              for _ in range(rng.randint(4, 8))))
    if ext == "env" or rng.random() < 0.1:
        keys = [key.upper() for key in keys]
    values = {key: rng.choice((str(rng.randint(1, 9999)), rng.choice(("true", "false", "yes", "no", "on", "off")),
                               names.word(rng), f"{names.word(rng)}.{rng.choice(('org', 'local', 'com'))}"))
              for key in keys}
    lines = [_FORMS[ext].format(key, value) for key, value in values.items()]
    hidden = ""
    if switched:
        at = rng.randrange(len(lines))
        hidden = keys[at]
        lines[at] = "#" + lines[at]
    for _ in range(rng.randint(0, 2)):
        lines.insert(rng.randint(0, len(lines)), f"# {names.word(rng)} {names.word(rng)}")
    usual = f"{rng.choice(('settings', 'config', 'app', 'server'))}.{ext}"
    path = ".env" if ext == "env" and rng.random() < 0.4 else rng.choice(
        (usual, f"etc/{names.stem(rng, 0)}.{ext}", world.new_name("file", ext), world.new_name("file", ext)))
    if path in world.entries or "etc" in world.files():
        raise Unsuitable("taken")
    if any(other != key and other.startswith(key) for key in keys for other in keys):
        raise Unsuitable("keys begin alike")
    world.add_file(path, "\n".join(lines) + "\n")
    return path, _FORMS[ext], values, hidden


_SETTING = "(setting|option|key|parameter|variable|entry)"


@schema("option.set", "sed", weight=1.8)
def set_option(world: World, rng: random.Random) -> Draft:
    path, form, values, _ = options(world, rng)
    key = rng.choice(list(values))
    new = rng.choice((str(rng.randint(1, 9999)), names.word(rng), rng.choice(("true", "false", "yes", "no", "on",
                                                                      "off")), f"{names.word(rng)}.org"))
    if new == values[key]:
        raise Unsuitable("same")
    return change(rng, (*deed(f"{_CHANGE} (the {_SETTING}|) {{k}} (in|of) {{f}} to {{v}}",
                              f"{_CHANGE} {{k}} to {{v}} in {{f}}", "make {k} {v} in {f}",
                              "edit {f} (so that|such that) {k} is {v}", tool="sed"), "{k} in {f} should be {v}",
                              "{f}: {k} must be {v}", f"in {{f}}, {_CHANGE} {{k}} to {{v}}",
                              "the value of {k} in {f} should be {v} (, not {o}|instead of {o}|)"),
                  f"sed -i {string('s|^' + form.format(key, '.*') + '|' + form.format(key, new) + '|')} {quoted(path)}",
                  f"set {key} to {new}", f"Done: {key} is {new}.", f=path, k=key, v=new, o=values[key])


@schema("option.comment_out", "sed", weight=1.2)
def comment_out(world: World, rng: random.Random) -> Draft:
    path, _, values, _ = options(world, rng)
    key = rng.choice(list(values))
    return change(rng, (*deed(f"comment out (the {_SETTING}|the line with|) {{k}} (in|of) {{f}}",
                              "(disable|deactivate|switch off) (the line|the setting|) {k} in {f} (by commenting it "
                              "out|with a # in front)", "put a # (in front of|before) (the|) {k} (line|setting|entry) "
                              "(in|of) {f}", tool="sed"), "the {k} line of {f} should be (commented out|a comment)",
                              "{f}: comment out {k}"),
                  f"sed -i 's/^{key}/#{key}/' {quoted(path)}", f"comment out {key}", f=path, k=key, protected=("#",))


@schema("option.uncomment", "sed", weight=1.2)
def uncomment(world: World, rng: random.Random) -> Draft:
    path, _, _, key = options(world, rng, True)
    return change(rng, (*deed(f"uncomment (the {_SETTING}|the line with|) {{k}} (in|of) {{f}}",
                              "(enable|activate|switch on) (the commented-out|the commented|) {k} "
                              "(line|setting|entry) (in|of) {f} (again|)", "remove the # (in front of|before) {k} in "
                              "{f}", tool="sed"), "{k} in {f} is commented out, (enable|activate) it (again|)",
                              "the {k} line (of|in) {f} should not be a comment (any more|)"),
                  f"sed -i 's/^#{key}/{key}/' {quoted(path)}", f"uncomment {key}", f=path, k=key, protected=("#",))


@schema("option.delete", "sed", weight=1.0)
def delete_option(world: World, rng: random.Random) -> Draft:
    path, _, values, _ = options(world, rng)
    key = rng.choice(list(values))
    return change(rng, (*deed(f"(delete|remove|drop) the {_SETTING} {{k}} (from|in) {{f}}",
                              "(delete|remove|drop|get rid of) (the|) {k} (line|setting|entry) (from|in|of) {f}",
                              tool="sed"), "{k} should not be set in {f} (any more|)", "we (don't|no longer) need {k} "
                              "in {f}, (delete|remove) (it|the line)"),
                  f"sed -i '/^{key}/d' {quoted(path)}", f"delete {key}", f=path, k=key)


@schema("option.add", "echo", weight=1.1)
def add_option(world: World, rng: random.Random) -> Draft:
    path, form, values, _ = options(world, rng)
    key, value = rng.choice(names.NOUNS) + rng.choice(("", "_max", "_dir", "_level")), rng.choice((str(rng.randint(1,
                                                                      9999)), names.word(rng), "true"))
    if next(iter(values)).isupper():
        key = key.upper()
    if key in values:
        raise Unsuitable("there")
    line = form.format(key, value)
    return change(rng, (*deed("(add|append) the (setting|line|entry|option) {x} to {f}",
                              "(add|append) {x} (at the end of|to) {f}", tool="echo"), "{f} needs (the setting|the "
                              "line|) {x}", "new (setting|option|entry) in {f}: {x}"),
                  f"echo {string(line)} >> {quoted(path)}", f"add {key} to {path}", f=path, x=mark(rng, line, 0.3),
                  protected=(line,))


@schema("option.rename", "sed", weight=0.8)
def rename(world: World, rng: random.Random) -> Draft:
    path, _, values, _ = options(world, rng)
    key, new = rng.choice(list(values)), f"{rng.choice(names.ADJECTIVES)}_{rng.choice(names.NOUNS)}"
    if key.isupper():
        new = new.upper()
    return change(rng, deed(f"rename the {_SETTING} {{k}} to {{v}} in {{f}}", f"(change|rename) the name of the "
                            f"{_SETTING} {{k}} in {{f}} to {{v}}".replace("(change|rename)", "change"),
                            "in {f}, {k} (is now called|should be called) {v}", tool="sed"),
                  f"sed -i 's/^{key}/{new}/' {quoted(path)}", f"rename {key} to {new}", f=path, k=key, v=new)


@schema("option.value", "grep cut", weight=1.5)
def value(world: World, rng: random.Random) -> Draft:
    path, form, values, _ = options(world, rng)
    key = rng.choice(list(values))
    bare = "(only the value|just the value|the value only|without the (key|name)|nothing but the value)"
    cut = {"{}={}": "cut -d = -f 2", "{} {}": "cut -d ' ' -f 2", "{} = {}": "cut -d ' ' -f 3",
           "{}: {}": "cut -d ' ' -f 2"}[form]
    return show(rng, (*sought(f"the value of (the {_SETTING}|) {{k}} (in|from) {{f}}, {bare}",
                              "(only|just) the value of {k} (in|from) {f}"), f"what is the value of {{k}} in "
                              f"{{f}}? {bare}", f"(which|what) value does {{k}} have in {{f}}? {bare}",
                              "{k} (in|of) {f}, value only", "what is {k} set to in {f}? (just|only) the value"),
                f"grep '^{key}' {quoted(path)} | {cut}", f"look up {key}", f=path, k=key)


@schema("option.keys", "grep cut", weight=0.9)
def keys(world: World, rng: random.Random) -> Draft:
    path, form, _, _ = options(world, rng)
    sign = {"{}={}": "=", "{} {}": "' '", "{} = {}": "' '", "{}: {}": ":"}[form]
    if rng.random() < 0.35:
        return show(rng, number("(settings|options|keys) in {f}, (comments not counted|not counting comments|without "
                                "the comments)"), f"grep -cv '^#' {quoted(path)}", f"count the settings of {path}",
                                f=path)
    return show(rng, (*sought("(the names of|) (all|the) (settings|options|keys|variables) (in|of) {f}, (without "
                              "values|names only|keys only)", "(only|just) the (keys|names of the settings) (in|of) "
                              "{f}"), "(which|what) (settings|keys|options|variables) (are there|are set|are) in {f}? "
                              "names only".replace("(are there|are set|are)", "are")),
                f"grep -v '^#' {quoted(path)} | cut -d {sign} -f 1", f"list the keys of {path}", f=path)


@schema("option.toggle", "sed", weight=0.9)
def toggle(world: World, rng: random.Random) -> Draft:
    path, form, values, _ = options(world, rng)
    found = [key for key, value in values.items() if value in ("true", "false", "yes", "no", "on", "off")]
    if not found:
        raise Unsuitable("no switch")
    key = rng.choice(found)
    old = values[key]
    new = {"true": "false", "false": "true", "yes": "no", "no": "yes", "on": "off", "off": "on"}[old]
    up = new in ("true", "yes", "on")
    verb = "(turn on|switch on|enable|activate)" if up else "(turn off|switch off|disable|deactivate)"
    return change(rng, (*deed(f"{verb} {{k}} in {{f}} (it is {{o}} now|, now it is {{o}}|) ({new} instead of "
                              f"{old}|set it to {new})".replace("(it is {o} now|, now it is {o}|) ",
                                                                "").replace(f"({new} instead of {old}|set it to {new})",
                                                                      f", (so|that is) {new}"),
                                                                      f"(set|change) {{k}} from {old} to {new} in "
                                                                      f"{{f}}", f"flip {{k}} in {{f}} from {old} to "
                                                                      f"{new}", tool="sed"),
                                                                      f"{{k}} in {{f}} is {old}, (make it|it should "
                                                                      f"be|change it to) {new}"),
                  f"sed -i {string('s|^' + form.format(key, '.*') + '|' + form.format(key, new) + '|')} {quoted(path)}",
                  f"set {key} to {new}", f"Done: {key} is {new}.", f=path, k=key)


@schema("option.section", "sed", weight=0.8)
def section(world: World, rng: random.Random) -> Draft:
    heads = list(dict.fromkeys(rng.choice(names.NOUNS) for _ in range(rng.randint(2, 4))))
    path = world.new_name("file", rng.choice(("ini", "cfg", "conf", "toml")))
    world.add_file(path, "\n".join("\n".join([f"[{head}]", *(f"{rng.choice(names.NOUNS)} = {rng.randint(1, 999)}"
                                                             for _ in range(rng.randint(1, 4))), ""])
                                                             for head in heads))
    if len(heads) < 2:
        raise Unsuitable("one section")
    if rng.random() < 0.5:
        return show(rng, (*sought("(all|the|) section (names|headers|headings) (in|of) {f}, with (the|their) brackets",
                                  "(all|the) sections (in|of) {f} (with|in) (their|the) brackets", tool="grep"),
                                  "(which|what) sections (are in {f}|does {f} have)? (with brackets|show the header "
                                  "lines)"),
                    f"grep '^\\[' {quoted(path)}", f"list the sections of {path}", f=path)
    head = rng.choice(heads)
    return show(rng, (*sought("the (lines|contents) of the section {s} (in|of) {f}, (up to|until) the (next empty "
                              "line|blank line)", "the {s} section of {f}, from its header to the (empty|blank) line "
                              "after it", tool="sed"), "what is in the section {s} of {f}? (from the header to the "
                              "blank line|up to the next blank line)"),
                f"sed -n '/^\\[{head}\\]/,/^$/p' {quoted(path)}", f"show the section {head}", f=path,
                s=rng.choice((head, f"[{head}]")))


@schema("option.where", "grep", weight=0.9)
def whole_line(world: World, rng: random.Random) -> Draft:
    path, _, values, _ = options(world, rng)
    key = rng.choice(list(values))
    if rng.random() < 0.5:
        return show(rng, ("is {k} set in {f}? (yes or no|answer yes or no)", f"does {{f}} (set|have|define) (the "
                          f"{_SETTING}|) {{k}}? yes or no", "(check|tell me) (if|whether) {k} is (set|defined) in "
                          "{f}, yes or no"),
                    f"grep -q '^{key}' {quoted(path)} && echo yes || echo no", f"check whether {key} is set", f=path,
                    k=key)
    return show(rng, (*sought("the line (of|in) {f} (that sets|where|with the setting) {k}".replace("(that "
                                                                      "sets|where|with the setting)", "that sets"),
                                                                      "the {k} (line|setting|entry) (of|in|from) "
                                                                      "{f}", tool="grep"),
                                                                      "how is {k} set in {f}? (show|print) the line",
                                                                      "which line (of|in) {f} (sets|defines) {k}?"),
                f"grep '^{key}' {quoted(path)}", f"show the line of {key}", f=path, k=key)
