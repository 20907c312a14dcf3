"""Questions about logs of programs with levels, of a system, of pairs, and of JSON lines."""

from __future__ import annotations

import random
import re
from typing import Any

from nimllm.agent.gym import contents, records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, number, show, sought, spelled
from nimllm.agent.gym.schemas.logs import new_log
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.worlds import World

_TALLY = "sort | uniq -c | sort -nr"
_LOG = "(in|of|from)"


# programs with levels


def app(world: World, rng: random.Random, least: int = 7) -> tuple[str, list[list[str]]]:
    path = new_log(world, rng, contents.log(rng, rng.randint(least, least + 16)), ("app.log", "server.log", "error.log",
                                                                      "service.log",
                                                                              "debug.log", "worker.log"))
    return path, [row.split() for row in rows(world, path)]


_NAMED = {"ERROR": "(errors|error lines|error messages|ERROR lines|ERROR entries)", "INFO": "(info lines|INFO "
          "lines|INFO entries|info messages)",
          "WARNING": "(warnings|warning lines|WARNING lines|WARNING entries)", "DEBUG": "(debug lines|DEBUG "
          "lines|debug messages|DEBUG entries)"}


def _level(found: list[list[str]], rng: random.Random) -> str:
    return rng.choice([row[2] for row in found] + ["ERROR"] * any(row[2] == "ERROR" for row in found) * 6)


@schema("log.level", "grep", weight=2.0)
def level(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    name = _level(found, rng)
    if rng.random() < 0.5:
        return show(rng, (*number(f"{_NAMED[name]} {_LOG} {{f}}", f"lines (in|of) {{f}} with level {name}"),
                          f"how many {_NAMED[name]} (did we have|were there|were logged) (according to|in) {{f}}?",
                          f"{name} count (of|in|for) {{f}}"),
                    f"grep -c '{name}' {quoted(path)}", f"count the {name} lines", f=path)
    return show(rng, (*sought(f"(all|the|all the|only the|) {_NAMED[name]} {_LOG} {{f}}",
                              f"(all|the|) lines (in|of) {{f}} with level {name}",
                              tool="grep"), f"(are there|which|what) {_NAMED[name]} (are there|) in {{f}}?".replace(
                                  "(are there|which|what)", "(which|what)").replace("(are there|)", "are there"),
                      f"(filter|search|grep) {{f}} for {_NAMED[name]}", f"{{f}}: {_NAMED[name]} only",
                      f"something is wrong, show me the {_NAMED[name]} in {{f}}"),
                f"grep '{name}' {quoted(path)}", f"show the {name} lines", f=path)


@schema("log.levels", "awk sort uniq", weight=1.5)
def levels(world: World, rng: random.Random) -> Draft:
    path, _ = app(world, rng)
    one = "(level|log level|severity)"
    return show(rng, (*sought(f"the number of (lines|messages|entries) per {one} {_LOG} {{f}}, (most "
                              f"frequent|highest) first",
                              f"the log levels {_LOG} {{f}} with (their|the) counts, (most frequent|highest) first",
                              tool="awk"),
                      f"how many (lines|messages|entries) per {one} are in {{f}}? (most frequent|highest count) first",
                      f"(count|tally) the lines of {{f}} (by|per) {one}, (most frequent|highest) first",
                      "how many INFO, WARNING, ERROR and so on in {f}, (most frequent|highest) first?",
                      f"{one} counts {_LOG} {{f}}, highest first"),
                f"awk '{{ print $3 }}' {quoted(path)} | {_TALLY}", "count the levels", ordered=False, f=path)


@schema("log.last_of_level", "grep tail head", weight=1.7)
def last_of_level(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    name = _level(found, rng)
    singular = {"ERROR": "(error|ERROR line|error message|ERROR)", "INFO": "(info line|INFO line|info message)",
                "WARNING":
                "(warning|WARNING line|WARNING)", "DEBUG": "(debug line|DEBUG line|debug message)"}[name]
    first, n = rng.random() < 0.35, rng.choice((1, 1, 2, 3, 5))
    which = "(first|earliest|oldest)" if first else "(last|latest|most recent|newest)"
    what = singular if n == 1 else "{n} " + _NAMED[name]
    verb = "is" if n == 1 else "are"
    return show(rng, (*sought(f"the {which} {what} {_LOG} {{f}}", tool="grep"), f"what {verb} the {which} {what} "
                      f"(in|of) {{f}}?",
                      f"{which} {what} {_LOG} {{f}}", f"{{f}}: {which} {what}",
                      f"it {'broke some time ago' if first else 'just crashed'}; show the {which} {what} {_LOG} {{f}}"),
                f"grep '{name}' {quoted(path)} | {'head' if first else 'tail'} -n {n}",
                f"find the {'first' if first else 'last'} {name} lines",
                f=path, n=spelled(rng, n))


@schema("log.without_level", "grep", weight=0.9)
def without_level(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    kinds = sorted({row[2] for row in found})
    if len(kinds) < 3:
        raise Unsuitable("few levels")
    a, b = rng.sample(kinds, 2)
    if rng.random() < 0.5:
        return show(rng, (*sought(f"{{f}} without (the|) {_NAMED[a]}", f"everything {_LOG} {{f}} (but|except) the "
                                  f"{_NAMED[a]}", tool="grep"),
                          f"(hide|skip|leave out|filter out) the {_NAMED[a]} (in|of|from) {{f}}",
                          f"(print|show) {{f}} but no {_NAMED[a]}"),
                    f"grep -v '{a}' {quoted(path)}", f"show the lines without {a}", f=path)
    return show(rng, (*sought(f"(all|the|) {_NAMED[a]} and {_NAMED[b]} {_LOG} {{f}}", f"(all|the) {a} or {b} lines "
                              f"{_LOG} {{f}}", tool="grep"),
                      f"(search|grep|filter) {{f}} for {a} (or|and) {b}", f"which lines of {{f}} are {a} or {b}?"),
                f"grep -E '{a}|{b}' {quoted(path)}", f"show the {a} and {b} lines", f=path)


@schema("log.time", "grep awk", weight=1.1)
def time(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng, 12)
    day, clocks = found[0][0], [row[1] for row in found]
    if clocks != sorted(clocks):
        raise Unsuitable("past midnight")
    if rng.random() < 0.5:
        hour = rng.choice(clocks)[:2]
        return show(rng, (*sought(f"(all|the|) (lines|entries|messages) {_LOG} {{f}} (from|of|in) the hour "
                                  f"{{h}} (o'clock|)",
                                  f"(all|the|) (lines|entries) {_LOG} {{f}} between {{h}}:00 and {{h}}:59",
                                  tool="grep"),
                          "what (happened|was logged) (in|during) the hour {h}:00 (according to|in) {f}?",
                          "{f}: only the hour {h}",
                          "(log entries|lines) of {f} with a time starting with {h}:"),
                    f"grep '^{day} {hour}:' {quoted(path)}", f"show the lines of hour {hour}", f=path, h=hour)
    a, b = sorted(rng.sample(range(len(clocks)), 2))
    start, end = clocks[a][:5] + ":00", clocks[b][:5] + ":59"
    return show(rng, (*sought(f"(all|the|) (lines|entries|messages) {_LOG} {{f}} (between|from) {{a}} (and|to) "
                              f"{{b}}".replace(
        "(between|from) {a} (and|to) {b}", "between {a} and {b}"), f"(all|the|) (lines|entries) {_LOG} {{f}} from "
        f"{{a}} to {{b}}", tool="awk"),
        "what (happened|was logged) between {a} and {b} (according to|in) {f}?", "{f} from {a} until {b}"),
        f"awk '$2 >= \"{start}\" && $2 <= \"{end}\"' {quoted(path)}", f"show the lines from {start} to {end}", f=path,
        a=start, b=end)


@schema("log.messages", "grep cut sort uniq", weight=1.1)
def messages(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    name = _level(found, rng)
    if rng.random() < 0.5:
        return show(rng, (*sought(f"(only|just) the (text|message|messages) of the {_NAMED[name]} {_LOG} {{f}}, "
                                  f"without (date, time and level|"
                                  "timestamp and level)", f"the {_NAMED[name]} {_LOG} {{f}} without (date, time and "
                                  f"level|timestamp and level)"),
                          f"what do the {_NAMED[name]} in {{f}} say? (no timestamps, no level|without date, time and "
                          f"level)"),
                    f"grep '{name}' {quoted(path)} | cut -d ' ' -f 4-", f"show the messages of {name}", f=path)
    return show(rng, (*sought(f"(the|) (different|distinct) (texts|messages) of the {_NAMED[name]} {_LOG} {{f}}, "
                              f"without timestamp and level, with "
                              "counts, most frequent first"),
                      f"which {_NAMED[name]} are most (common|frequent) in {{f}}? count the texts after the level, "
                      f"(highest|most frequent) first",
                      f"(count|group) the {_NAMED[name]} (in|of) {{f}} by message (text|), most frequent first"),
                f"grep '{name}' {quoted(path)} | cut -d ' ' -f 4- | {_TALLY}", f"count the messages of {name}",
                ordered=False, f=path)


@schema("log.level_into", "grep", weight=1.2)
def level_into(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    name, target = _level(found, rng), world.new_name("file", rng.choice(("txt", "log")))
    return change(rng, (*deed(f"(save|write|store|put|copy|extract) (all|the|all the|) {_NAMED[name]} (of|in|from) "
                              f"{{f}} (to|into) {{t}}",
                              f"(filter|grep) the {_NAMED[name]} (out of|from) {{f}} into {{t}}", tool="grep"),
                        f"{{t}} should (contain|hold) (all|the) {_NAMED[name]} of {{f}}",
                        f"I need (all|the) {_NAMED[name]} of {{f}} in a file {{g}}",
                        f"make {{t}} from the {_NAMED[name]} of {{f}}"),
                  f"grep '{name}' {quoted(path)} > {quoted(target)}", f"write the {name} lines to {target}", f=path,
                  t=target, g=target)


@schema("log.times_of_level", "grep cut", weight=0.8)
def times_of_level(world: World, rng: random.Random) -> Draft:
    path, found = app(world, rng)
    name = _level(found, rng)
    if rng.random() < 0.5:
        return show(rng, (*sought(f"(date and time|the timestamps|the dates and times) of (all|the) {_NAMED[name]} "
                                  f"{_LOG} {{f}}"),
                          f"when did the {_NAMED[name]} in {{f}} (happen|occur)? (date and time only|only date and "
                          f"time)",
                          f"at what (dates and times|date and time) were the {_NAMED[name]} in {{f}} logged?"),
                    f"grep '{name}' {quoted(path)} | cut -d ' ' -f 1,2", f"show the times of the {name} lines", f=path)
    return show(rng, (*sought(f"(only|just) the (time|clock time) (, not the date,|without the date|) of (each|every) "
                              f"of the {_NAMED[name]} {_LOG} {{f}}"),
                      f"at what time of day (did|were) the {_NAMED[name]} in {{f}} (happen|logged)? time only".replace(
                          "(did|were) the", "did the").replace("(happen|logged)", "happen")),
                f"grep '{name}' {quoted(path)} | cut -d ' ' -f 2", f"show the times of the {name} lines", f=path)


@schema("log.span", "head tail cut sed", weight=0.7)
def span(world: World, rng: random.Random) -> Draft:
    path, _ = app(world, rng)
    end = rng.random() < 0.5
    which = "(last|latest|newest)" if end else "(first|earliest|oldest)"
    return show(rng, (*sought(f"(date and time|the timestamp) of the {which} (line|entry) {_LOG} {{f}}"),
                      f"when (was|is) the {which} (line|entry) (of|in) {{f}} (from|written)?".replace("(from|written)",
                                                                      "from"),
                      f"{'until when does {f} go' if end else 'when does {f} start'}? (date and time|the timestamp)",
                      f"timestamp of the {which} (entry|line) in {{f}}"),
                f"{'tail' if end else 'head'} -n 1 {quoted(path)} | cut -d ' ' -f 1,2", "show the time of that line",
                f=path)


@schema("log.bracketed", "grep sort uniq tail", weight=1.2)
def bracketed(world: World, rng: random.Random) -> Draft:
    path = new_log(world, rng, records.bracket_log(rng, rng.randint(7, 18)), ("app.log", "worker.log", "service.log"))
    found = [row.split("] [")[1].split("]")[0] for row in rows(world, path)]
    name = rng.choice(found)
    what = {"ERROR": "(errors|error lines|ERROR lines|[ERROR] lines)", "WARN": "(warnings|WARN lines|[WARN] lines)",
            "INFO": "(INFO lines|info messages|[INFO] lines)", "DEBUG": "(DEBUG lines|debug messages|[DEBUG] "
            "lines)"}[name]
    kind = rng.random()
    if kind < 0.3:
        return show(rng, number(f"{what} {_LOG} {{f}}"), f"grep -c '{name}' {quoted(path)}",
                    f"count the {name} lines", f=path)
    if kind < 0.55:
        return show(rng, (*sought(f"(all|the|all the|) {what} {_LOG} {{f}}", tool="grep"),
                          f"(filter|search) {{f}} for {what}"),
                    f"grep '{name}' {quoted(path)}", f"show the {name} lines", f=path)
    if kind < 0.75:
        n = rng.choice((1, 2, 3))
        return show(rng, (*sought(f"the (last|latest|most recent) {'{n} ' if n > 1 else ''}{what} {_LOG} {{f}}".replace(
            "lines", "line").replace("errors", "error").replace("warnings", "warning").replace("messages", "message")
            if n == 1 else f"the (last|latest|most recent) {{n}} {what} {_LOG} {{f}}", tool="grep"),),
                    f"grep '{name}' {quoted(path)} | tail -n {n}", f"show the last {name} lines", f=path,
                    n=spelled(rng, n))
    return show(rng, (*sought(f"the number of lines per (level|log level) {_LOG} {{f}}, (highest|most frequent) first",
                              "how often each (level|log level) occurs in {f}, (highest|most frequent) first"),
                      "(count|tally) the lines of {f} by log level, (highest|most frequent) first"),
                f"grep -oE 'DEBUG|INFO|WARN|ERROR' {quoted(path)} | {_TALLY}", "count the levels", ordered=False,
                f=path)


# the system


@schema("log.failed_logins", "grep awk sort uniq", weight=1.2)
def failed_logins(world: World, rng: random.Random) -> Draft:
    path = new_log(world, rng, records.login_log(rng, rng.randint(8, 20)), ("auth.log", "secure", "sshd.log"))
    if "Failed" not in world.read(path):
        raise Unsuitable("none")
    failed = "(failed (logins|login attempts|passwords)|failed password lines|failed ssh logins|wrong passwords)"
    kind = rng.random()
    if kind < 0.3:
        return show(rng, (*number(f"{failed} {_LOG} {{f}}"), "how many times did a login fail (according to|in) {f}?"),
                    f"grep -c 'Failed password' {quoted(path)}", "count the failed logins", f=path)
    if kind < 0.5:
        return show(rng, (*sought(f"(all|the|) {failed} {_LOG} {{f}}", tool="grep"), "which logins failed in {f}? "
                          "(show|print) the lines"),
                    f"grep 'Failed password' {quoted(path)}", "show the failed logins", f=path)
    user = kind < 0.75
    one = "(user|user name|account)" if user else "(IP|IP address|address|source address)"
    return show(rng, (*sought(f"the number of {failed} per {one} {_LOG} {{f}}, (highest|most) first",
                              f"the {one}s (with|of) {failed} {_LOG} {{f}}, with counts, highest "
                              f"first".replace("(user|user name|account)s", "users").replace(
                                  "(IP|IP address|address|source address)s", "IP addresses"), tool="awk"),
                      f"(count|tally) the {failed} {_LOG} {{f}} by {one}, highest first",
                      f"which {'users' if user else 'addresses'} have (the|) most {failed} in {{f}}? with counts, "
                      f"highest first".replace("(the|) most", "most"),
                      "someone is trying to break in; failed passwords per {o} in {f}, highest first"),
                f"grep 'Failed password' {quoted(path)} | awk '{{ print ${9 if user else 11} }}' | {_TALLY}",
                "count the failed logins",
                ordered=False, f=path, o="user" if user else "IP address")


@schema("log.program", "grep awk cut sort uniq", weight=1.0)
def program(world: World, rng: random.Random) -> Draft:
    path = new_log(world, rng, records.system_log(rng, rng.randint(8, 20)), ("syslog", "messages", "system.log"))
    found = [row.split()[4].split("[")[0] for row in rows(world, path)]
    if rng.random() < 0.4:
        return show(rng, (*sought(f"the number of (lines|messages|entries) per (program|process|service) {_LOG} "
                                  f"{{f}}, (highest|most frequent) first", tool="awk"),
                          "which (programs|services) (write|log) most in {f}? (counts|with counts), highest first",
                          "(count|tally) the (messages|lines) of {f} per (program|service), (highest|most frequent) "
                          "first"),
                    f"awk '{{ print $5 }}' {quoted(path)} | cut -d '[' -f 1 | {_TALLY}", "count the lines per program",
                    ordered=False, f=path)
    name = rng.choice(found)
    if rng.random() < 0.5:
        return show(rng, number("(lines|messages|entries) (from|of|by) {c} in {f}"),
                    f"grep -c '{name}\\[' {quoted(path)}", f"count the lines of {name}", f=path, c=name)
    return show(rng, (*sought("(all|the|) (lines|messages|entries) (from|of|by|written by) {c} in {f}",
                              tool="grep"),
                      "what does {c} (say|log|write) in {f}?", "(filter|search) {f} for (lines|messages) (of|from) "
                      "{c}"),
                f"grep '{name}\\[' {quoted(path)}", f"show the lines of {name}", f=path, c=name)


# pairs and objects


@schema("log.pairs", "grep", weight=1.0)
def pairs(world: World, rng: random.Random) -> Draft:
    path = new_log(world, rng, records.pair_log(rng, rng.randint(8, 18)), ("events.log", "audit.log", "actions.log"))
    key = rng.choice(("level", "user", "action"))
    found = re.search(rf"{key}=(\S+)", rng.choice(rows(world, path)))
    assert found is not None
    value = found.group(1)
    slots: dict[str, Any] = {"f": path, "k": key, "v": value, "p": f"{key}={value}"}
    if rng.random() < 0.5:
        return show(rng, (*number("(lines|entries|events) (in|of) {f} (with|where) {p}",
                                  "(lines|entries|events) in {f} where {k} is {v}"),
                          "how often is {k} {v} in {f}?"),
                    f"grep -c '{key}={value} ' {quoted(path)}", f"count the lines with {key}={value}", **slots)
    return show(rng, (*sought("(all|the|) (lines|entries|events) (in|of) {f} (with|where) {p}",
                              "(all|the|) (lines|entries|events) in {f} where {k} is {v}",
                              tool="grep"), "(filter|search|grep) {f} for {p}", "which (lines|events) in {f} have {k} "
                              "{v}?"),
                f"grep '{key}={value} ' {quoted(path)}", f"show the lines with {key}={value}", **slots)


@schema("log.objects", "jq sort uniq wc", weight=1.4)
def objects(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("jsonl", "ndjson", "log", "json")))
    world.add_file(path, records.object_log(rng, rng.randint(6, 14)))
    key = rng.choice(("level", "user"))
    found = re.search(rf'"{key}": "(\w+)"', rng.choice(rows(world, path)))
    assert found is not None
    value, kind = found.group(1), rng.random()
    slots: dict[str, Any] = {"f": path, "k": key, "v": value}
    lines = "(JSON lines|JSON objects|objects|records|entries|events)"
    if kind < 0.2:
        return show(rng, (*sought("the number of (lines|entries|records) per {k} in {f} (, one JSON object per "
                                  "line|), (highest|most frequent) first"),
                          f"(count|tally) the {lines} (of|in) {{f}} by {{k}}, (highest|most frequent) first",
                          "how often does each {k} occur in the JSON lines of {f}? (highest|most frequent) first"),
                    f"jq -r .{key} {quoted(path)} | {_TALLY}", f"count the values of {key}", ordered=False, **slots)
    if kind < 0.4:
        other = rng.choice(("msg", "ts", "user", "ms"))
        return show(rng, (*sought("(the|only the) {o} of (each|every) (line|entry|record) (in|of) {f} (, which is "
                                  "JSON lines|, one JSON object per line|)"),
                          f"(extract|get|pull) {{o}} from (each|every one) of the {lines} in {{f}}",
                          f"all {{o}} values of the {lines} in {{f}}"),
                    f"jq -r .{other} {quoted(path)}", f"show {other} of each line", o=other, **slots)
    select = f"jq -c 'select(.{key} == \"{value}\")' {quoted(path)}"
    if kind < 0.65:
        return show(rng, (*number(f"{lines} (in|of) {{f}} (with|where|whose) {{k}} (is|equal to|being) "
                                  f"{{v}}".replace("(with|where|whose) {k} (is|equal to|being)", "where {k} is")),
                          "how often is {k} {v} in the JSON lines of {f}?", f"{lines} with {{k}} {{v}} in {{f}}, "
                          f"(count|how many)?"),
                    f"{select} | wc -l", f"count those with {key} {value}", **slots)
    if kind < 0.85:
        return show(rng, (*sought(f"(all|the|) {lines} (in|of) {{f}} where {{k}} is {{v}}",
                                  f"(all|the|) {lines} (in|of) {{f}} with {{k}} (equal to|=) {{v}}", tool="jq"),
                          f"(filter|select) the {lines} of {{f}} (by|with) {{k}} {{v}}, one per line",
                          "which JSON lines of {f} have {k} {v}?"),
                    select, f"show those with {key} {value}", **slots)
    limit = rng.randint(100, 700)
    return show(rng, (*sought(f"(all|the|) {lines} (in|of) {{f}} (with|where) ms (is|) (over|above|greater than|more "
                              f"than) {{n}}".replace("(with|where) ms (is|)", "where ms is"), tool="jq"),
                      f"(filter|select) the {lines} of {{f}} with ms (over|above|>) {{n}}, one per line",
                      "which requests in {f} took more than {n} ms?"),
                f"jq -c 'select(.ms > {limit})' {quoted(path)}", f"show those over {limit} ms", n=limit, **slots)
