"""Notes, to-do lists, hosts, pages: small files of daily life and what one asks of them."""

from __future__ import annotations

import random

from nimllm.agent.gym import names, records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, mark, number, show, sought
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.worlds import World


def tasks(world: World, rng: random.Random) -> tuple[str, list[str]]:
    """A new to-do list with checkboxes, and its open items; every item is there once."""
    path = rng.choice(("todo.md", "tasks.md", "TODO.md", world.new_name("file", "md"), world.new_name("file", "md")))
    if path in world.entries or path.lower() in {name.lower() for name in world.entries}:
        raise Unsuitable("taken")
    items = list(dict.fromkeys(f"{rng.choice(names.VERBS)} the {rng.choice(names.NOUNS)}" for _ in range(rng.randint(4,
                                                                      9))))
    done = [rng.random() < 0.4 for _ in items]
    world.add_file(path, f"# {world.word().title()}\n\n" + "".join(
        f"- [{'x' if ready else ' '}] {item}\n" for item, ready in zip(items, done, strict=True)))
    left = [item for item, ready in zip(items, done, strict=True) if not ready]
    if not left or len(left) == len(items):
        raise Unsuitable("all alike")
    return path, left


@schema("note.tasks", "grep", weight=1.1)
def listed(world: World, rng: random.Random) -> Draft:
    path, _ = tasks(world, rng)
    left = rng.random() < 0.6
    kind = ("(open|unchecked|unfinished|pending|undone|remaining)" if left
            else "(done|checked|finished|completed|ticked)")
    what = "(tasks|items|todos|to-dos|checkboxes)"
    pattern = "^- \\[ \\]" if left else "^- \\[x\\]"
    if rng.random() < 0.4:
        return show(rng, (*number(f"{kind} {what} (in|of) {{f}}"), f"how many {what} in {{f}} are "
                          f"{'still open' if left else 'done'}?"),
                    f"grep -c '{pattern}' {quoted(path)}", "count the tasks", f=path)
    return show(rng, (*sought(f"(all|the|all the|) {kind} {what} (in|of|from) {{f}}", tool="grep"),
                      f"which {what} in {{f}} are {'(still open|not done yet)' if left else '(already|) done'}?",
                      "what is left to do in {f}?" if left else "what has been done in {f}?"),
                f"grep '{pattern}' {quoted(path)}", "show the tasks", f=path)


@schema("note.tick", "sed", weight=1.0)
def tick(world: World, rng: random.Random) -> Draft:
    path, left = tasks(world, rng)
    item = rng.choice(left)
    if rng.random() < 0.25:
        return change(rng, (*deed("(tick|check) (off|) all (tasks|items|checkboxes) (in|of) {f}",
                                  "mark (everything|all tasks) in {f} as done", tool="sed"),
                            "everything in {f} is done, tick (it|all boxes)"),
                      f"sed -i 's/^- \\[ \\]/- [x]/' {quoted(path)}", "tick all tasks", f=path)
    return change(rng, (*deed("(tick|check) (off|) {x} (in|on) {f}", "mark (the task|the item|) {x} (in|of) {f} as "
                              "(done|finished|completed)", tool="sed"),
                        "{x} is done, (tick it off|check it|mark it) in {f}"),
                  "sed -i " + string("s/^- \\[ \\] " + item + "$/- [x] " + item + "/") + f" {quoted(path)}",
                  f"tick off {item}", f=path, x=mark(rng, item, 0.7))


@schema("note.add_task", "echo", weight=1.0)
def add_task(world: World, rng: random.Random) -> Draft:
    path, _ = tasks(world, rng)
    item = f"{rng.choice(names.VERBS)} {rng.choice(('the', 'a', 'another'))} {rng.choice(names.NOUNS)}"
    return change(rng, (*deed("(add|append) (the|a|an open|an unchecked) (task|item|todo) {x} to {f}, (as a "
                              "checkbox|as an unchecked checkbox|with an empty checkbox)",
                              "put {x} on the (todo|task) list {g} (as an open item|, unchecked)", tool="echo"),
                        "new (todo|task) in {f}: {x} (unchecked|, open|, not done yet)"),
                  f"echo {string('- [ ] ' + item)} >> {quoted(path)}", "append the task", f=path, g=path, x=mark(rng,
                                                                      item, 0.9))


@schema("note.headings", "grep", weight=1.1)
def headings(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", "md")
    parts = []
    for _ in range(rng.randint(3, 6)):
        parts.append(f"{rng.choice(('#', '##', '##', '###'))} "
                     f"{' '.join(world.words(rng.randint(1, 3))).title()}\n\n{world.text(rng.randint(1, 2))}\n")
    world.add_file(path, "".join(parts))
    level = rng.choice((0, 0, 0, 2, 1))
    if level and not any(row.startswith("#" * level + " ") for row in rows(world, path)):
        raise Unsuitable("no such heading")
    head = "(headings|headers|section titles|headlines)"
    what = head if not level else f"{('first', 'second')[level - 1]}-level {head}"
    pattern = "^#" if not level else "^" + "#" * level + " "
    if rng.random() < 0.3:
        return show(rng, (*number(f"{what} (in|of) {{f}}"), f"how many {what} does {{f}} have?"),
                    f"grep -c '{pattern}' {quoted(path)}", "count the headings", f=path)
    if rng.random() < 0.2 and not level:
        return show(rng, (*sought(f"the {head} (of|in) {{f}} with (their|) line numbers", tool="grep"),
                          f"on which lines are the {head} of {{f}}? (show them|with line numbers)"),
                    f"grep -n '^#' {quoted(path)}", "show the headings with line numbers", f=path)
    return show(rng, (*sought(f"(all|the|all the|) {what} (of|in|from) {{f}}", tool="grep"),
                      f"(which|what) {what} does {{f}} have?",
                      *(("the outline of {f}", "how is {f} structured? (show the headings|headings only)") if not level
                        else ())),
                f"grep '{pattern}' {quoted(path)}", "show the headings", f=path)


def hosts(world: World, rng: random.Random) -> tuple[str, list[list[str]]]:
    path = rng.choice(("hosts", "etc/hosts", "hosts.txt", world.new_name("file", "txt")))
    if path in world.entries or "etc" in world.files():
        raise Unsuitable("taken")
    found = [["127.0.0.1", "localhost"]] + [[records.ip(rng), name] for name in dict.fromkeys(
        rng.choice((rng.choice(names.NOUNS), f"{rng.choice(names.NOUNS)}.local", f"db{rng.randint(1, 9)}"))
        for _ in range(rng.randint(3, 6)))]
    world.add_file(path, "".join(f"{address}\t{name}\n" for address, name in found))
    return path, found


@schema("note.hosts", "awk grep echo sed", weight=1.0)
def host(world: World, rng: random.Random) -> Draft:
    path, found = hosts(world, rng)
    address, name = rng.choice(found[1:])
    kind, ip = rng.random(), "(ip|IP|address|IP address)"
    if kind < 0.35:
        return show(rng, (*sought(f"the {ip} of {{h}} (in|from|according to) {{f}}", tool="awk"),
                          f"(what|which) {ip} does {{h}} have in {{f}}?", f"what is the {ip} of (the host|) {{h}} in "
                          f"{{f}}?"),
                    f"awk '$2 == \"{name}\" {{ print $1 }}' {quoted(path)}", f"look up {name}", f=path, h=name)
    if kind < 0.55:
        return show(rng, (*sought("the (host|name|host name) (of|with the address) {h} (in|from) {f}", tool="awk"),
                          "which host (is|has the address) {h} (in|according to) {f}?"),
                    f"awk '$1 == \"{address}\" {{ print $2 }}' {quoted(path)}", f"look up {address}", f=path, h=address)
    if kind < 0.8:
        new, fresh = f"{rng.choice(names.NOUNS)}.{rng.choice(('test', 'local', 'lan'))}", records.ip(rng)
        line = f"{fresh} {new}"
        return change(rng, (*deed("(add|append) {x} to {f}", "(add|append) the (entry|line) {x} to {f}", tool="echo"),
                            "{f} needs the (entry|line) {x}"),
                      f"echo {string(line)} >> {quoted(path)}", f"add {new}", f=path, x=mark(rng, line, 0.7))
    fresh = records.ip(rng)
    return change(rng, (*deed(f"(change|set) the {ip} of {{h}} in {{f}} to {{x}}", "point {h} to {x} in {f}",
                              tool="sed"), "{h} has moved to {x}, (change|update) {f}"),
                  f"sed -i 's/^{address}/{fresh}/' {quoted(path)}", f"change the address of {name}", f=path,
                  h=f"{name} ({address})" if rng.random() < 0.3 else name, x=fresh)


@schema("note.page", "sed grep", weight=0.9)
def page(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", "html")
    links = [rng.choice((f"{world.word()}.html", f"https://{world.word()}.org", f"/{world.word()}"))
             for _ in range(rng.randint(2, 4))]
    title = " ".join(world.words(2)).title()
    world.add_file(path, f"<html>\n<head>\n<title>{title}</title>\n</head>\n<body>\n<h1>{title}</h1>\n" + "".join(
        f'<p>{world.text(1).strip()}</p>\n<a href="{link}">{world.word()}</a>\n' for link in links)
        + "</body>\n</html>\n")
    kind = rng.random()
    if kind < 0.35:
        return show(rng, (*sought("the title of (the page|) {f}, without (the|) tags", "(just|only) the page title "
                                  "(of|in) {f}", tool="sed"), "what is the (page|html|) title of {f}? (text only|only "
                                  "the text)", "how is the page {g} called? title only"),
                    f"sed -n 's/.*<title>\\(.*\\)<\\/title>.*/\\1/p' {quoted(path)}", "print the title", f=path, g=path)
    if kind < 0.75:
        return show(rng, (*sought("(all|the|all the|) (link targets|hrefs|linked addresses) (in|of) {f}, one per "
                                  "line, (only|just) what is between the quotes", tool="grep and cut"),
                                  "where do the links in {f} (go|point) to? (targets only|only the targets)",
                                  "(extract|list) the (link targets|href values) (of|from) {f}"),
                    f"grep -oE 'href=\"[^\"]*\"' {quoted(path)} | cut -d '\"' -f 2", "list the link targets", f=path)
    return show(rng, number("links (in|of|on the page) {f}", "<a> tags in {f}"), f"grep -o '<a ' {quoted(path)} | wc "
                f"-l", "count the links", f=path)


@schema("note.domains", "grep cut sort uniq", weight=0.8)
def domains(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "csv", "lst")))
    places = [f"{rng.choice(names.NOUNS)}.{rng.choice(('com', 'org', 'net'))}" for _ in range(3)]
    world.add_file(path, "".join(f"{rng.choice(names.FIRST).lower()}@{rng.choice(places)}\n"
                                 for _ in range(rng.randint(5, 11))))
    mails = "(mail addresses|email addresses|e-mail addresses|addresses)"
    if rng.random() < 0.5:
        return show(rng, (*sought(f"the number of {mails} per domain in {{f}}, (highest|most frequent) first",
                                  tool="cut"), f"(count|tally) the {mails} (in|of) {{f}} by domain, (highest|most "
                                  f"frequent) first", "which mail domains are most frequent in {f}? (counts|with "
                                  "counts), highest first"),
                    f"cut -d @ -f 2 {quoted(path)} | sort | uniq -c | sort -nr", "count the domains", ordered=False,
                    f=path)
    if rng.random() < 0.5:
        return show(rng, (*sought(f"the (different|distinct|unique) domains of the {mails} in {{f}}", tool="cut"),
                          f"(which|what) domains do the {mails} in {{f}} have? (each once|no duplicates)"),
                    f"cut -d @ -f 2 {quoted(path)} | sort -u", "list the domains", ordered=False, f=path)
    return show(rng, (*sought(f"the (user names|part before the @|local parts) of the {mails} in {{f}}", tool="cut"),
                      f"(strip|cut|remove) the domains from the {mails} in {{f}} and (print|show) the rest"),
                f"cut -d @ -f 1 {quoted(path)}", "show the part before the @", f=path, protected=("@",))
