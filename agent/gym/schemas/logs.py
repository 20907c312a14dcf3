"""Questions about the logs of web servers: who, what, how often, with which status."""

from __future__ import annotations

import random

from nimllm.agent.gym import names, records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import number, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.worlds import World

_TALLY = "sort | uniq -c | sort -nr"
_LOG = "(in|of|from)"
_IPS = "(IP addresses|IPs|ips|clients|client addresses|addresses|hosts)"
_PAGES = "(paths|urls|URLs|pages|requested paths|requested pages)"


def new_log(world: World, rng: random.Random, text: str, stems: tuple[str, ...]) -> str:
    """A new log; often in a folder, often with a usual name."""
    folder = rng.choice(("", "", "", "logs/", "log/", "var/log/", f"{names.stem(rng, 0)}/"))
    name = rng.choice(stems) if rng.random() < 0.35 else rng.choice((f"{names.stem(rng, 0)}.log",) * 3 + (
        f"{names.stem(rng, 0)}.txt", f"{rng.choice(stems)}.1"))
    if folder + name in world.entries or folder.rstrip("/") in world.files():
        raise Unsuitable("taken")
    world.add_file(folder + name, text)
    return folder + name


def web(world: World, rng: random.Random, least: int = 8) -> tuple[str, list[list[str]]]:
    """A web server's log and its fields as awk counts them."""
    path = new_log(world, rng, records.web_log(rng, rng.randint(least, least + 14)), ("access.log", "nginx.log",
                                                                      "access_log",
                                                                                 "apache.log", "web.log"))
    return path, [row.split() for row in rows(world, path)]


def _top(values: list[str], n: int) -> None:
    counts = sorted((values.count(value) for value in set(values)), reverse=True)
    if len(counts) <= n or counts[n - 1] == counts[n]:
        raise Unsuitable("a tie")


@schema("log.ips_top", "awk sort uniq head", weight=1.8)
def ips_top(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng, 14)
    n, page = rng.randint(1, 4), rng.random() < 0.4
    at, what, act = (7, _PAGES, "(requested|visited|hit|accessed)") if page else (1, _IPS, "(active|frequent|busy)")
    _top([row[at - 1] for row in found], n)
    if n == 1:
        one = "(path|url|page)" if page else "(IP address|IP|ip|client|client address)"
        said = (*sought(f"the {one} with (the|) most requests in {{f}} and (its|the) count".replace("(the|) most",
                                                                      "the most"),
                        f"the most {act} {one} {_LOG} {{f}}, with its count"),
                f"which {one} (shows up|occurs|appears) most (often|frequently) in {{f}}, and how often?",
                f"which {one} has the most (requests|hits) in {{f}}? (with|show) the count")
    else:
        said = (*sought(f"the (top|) {{n}} {what} {_LOG} {{f}} (by|by number of) (requests|hits), with counts",
                        f"the {{n}} most {act} {what} {_LOG} {{f}} (with|and) (their|the) (counts|number of requests)",
                        tool="awk"),
                f"top {{n}} {what} {_LOG} {{f}}, with counts", f"which {{n}} {what} (have|make|get) the most requests "
                f"in {{f}}? (show|with) counts",
                f"{what} in {{f}}, most frequent first, top {{n}} only (with counts|)",
                f"somebody is hammering our server; show the {{n}} {what} that occur most often in {{f}}, with counts"
                if not page else
                f"what do people visit most? top {{n}} {what} in {{f}} with counts")
    return show(rng, said, f"awk '{{ print ${at} }}' {quoted(path)} | {_TALLY} | head -n {n}",
                "find the most frequent ones",
                ordered=False, f=path, n=spelled(rng, n))


@schema("log.field_counts", "awk sort uniq", weight=1.6)
def field_counts(world: World, rng: random.Random) -> Draft:
    path, _ = web(world, rng)
    at, one, many = rng.choice(((1, "(IP|IP address|ip|client|client address)", _IPS), (7, "(path|url|URL|page)",
                                                                      _PAGES),
                                (9, "(status code|status|HTTP status|response code)", "(status codes|HTTP status "
                                 "codes|response codes)"),
                                (9, "(status code|status|HTTP status|response code)", "(status codes|HTTP status "
                                 "codes|response codes)")))
    first = "(most frequent first|highest first|sorted by count|most common first|descending)"
    return show(rng, (*sought(f"the number of requests (per|for each|by) {one} {_LOG} {{f}}, {first}",
                              f"the {many} {_LOG} {{f}} with (their|the) counts, {first}",
                              f"(request|hit) counts per {one} {_LOG} {{f}}, {first}",
                              tool="awk"),
                      f"(count|tally) the requests (in|of) {{f}} (by|per) {one}, {first}",
                      f"how many requests (per|for each) {one} are (there in|in) {{f}}? {first}",
                      f"how often does each {one} (occur|appear) in {{f}}? {first}", f"{many} in {{f}}, {first}, with "
                      f"counts",
                      f"breakdown of {{f}} by {one} (with counts|), {first}"),
                f"awk '{{ print ${at} }}' {quoted(path)} | {_TALLY}", "count them", ordered=False, f=path)


@schema("log.ips_distinct", "awk sort wc", weight=1.3)
def ips_distinct(world: World, rng: random.Random) -> Draft:
    path, _ = web(world, rng)
    page = rng.random() < 0.3
    at, what = (7, _PAGES) if page else (1, _IPS)
    different = "(different|distinct|unique)"
    if rng.random() < 0.5:
        return show(rng, (*number(f"{different} {what} {_LOG} {{f}}"), f"how many {different} {what} does "
                          f"{{f}} (contain|have|list)?",
                          f"(count|number of) {different} {what} {_LOG} {{f}}" + ("" if page
                                                                      else " (, that is our visitors|)")),
                    f"awk '{{ print ${at} }}' {quoted(path)} | sort -u | wc -l", "count the different ones", f=path)
    return show(rng, (*sought(f"(all|the|) {different} {what} {_LOG} {{f}}", f"(all|the|) {what} {_LOG} {{f}}, each "
                              f"(only|) once",
                              tool="awk"), f"(which|what) {different} {what} (are|occur|appear) in {{f}}?",
                      f"{what} in {{f}} without duplicates"),
                f"awk '{{ print ${at} }}' {quoted(path)} | sort -u", "list the different ones", ordered=False, f=path)


@schema("log.status", "awk wc", weight=1.6)
def status(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    code = rng.choice([row[8] for row in found])
    nouns = ("requests (in|of|from) {f} (with|that returned|that got|answered with) (a|status|status "
             "code|HTTP|code) {c}",
             f"{{c}} (responses|requests|answers|lines) {_LOG} {{f}}")
    if rng.random() < 0.5:
        return show(rng, (*number(*nouns), "how often did the server (answer|return|respond with) {c} (according "
                          "to|in) {f}?",
                          "how many {c}s are in {f}?", "{c} count (of|in) {f}"),
                    f"awk '$9 == {code}' {quoted(path)} | wc -l", f"count the requests with {code}", f=path, c=code)
    return show(rng, (*sought(*(f"(the|all|) {noun}" for noun in nouns), tool="awk"), "which requests in {f} "
                      "(returned|got|ended with) {c}?",
                      "(filter|search) {f} for status (code|) {c}", "{f}: only status {c}",
                      "lines of {f} where the status (code|) is {c}"),
                f"awk '$9 == {code}' {quoted(path)}", f"show the requests with {code}", f=path, c=code)


@schema("log.status_class", "awk wc", weight=1.1)
def status_class(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    low, what = rng.choice(((500, "(server errors|5xx errors|5xx responses|requests with a 5xx status|500-something "
                             "errors)"),
                            (400, "(errors (4xx and 5xx)|requests with a status of 400 or more|failed requests, 400 "
                             "and up,|requests with"
                             " status 400 or above)".replace("errors (4xx and 5xx)|", "")),
                            (300, "(requests with a status of 300 or (above|more|higher)|requests whose status is not "
                             "2xx)")))
    if not any(int(row[8]) >= low for row in found):
        raise Unsuitable("none")
    if rng.random() < 0.5:
        return show(rng, (*number(f"{what} {_LOG} {{f}}"), f"how many {what} does {{f}} (show|have|record)?"),
                    f"awk '$9 >= {low}' {quoted(path)} | wc -l", f"count the requests from {low} on", f=path)
    return show(rng, (*sought(f"(all|the|) {what} {_LOG} {{f}}", tool="awk"), f"(which|what) {what} are in {{f}}?",
                      f"(find|filter) (all|the|) {what} (in|from) {{f}}"),
                f"awk '$9 >= {low}' {quoted(path)}", f"show the requests from {low} on", f=path)


@schema("log.pages_of_status", "awk sort uniq", weight=1.2)
def pages_of_status(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng, 12)
    code = rng.choice([row[8] for row in found if row[8] != "200"] or ["200"])
    at, what, one = rng.choice(((7, _PAGES, "(path|url|page)"), (1, _IPS, "(IP|client|address)")))
    got = "(returned|gave|ended in|produced|led to)" if at == 7 else "(got|received|caused|ran into)"
    if rng.random() < 0.5:
        return show(rng, (*sought(f"the (distinct|different|unique|) {what} that {got} (a|status|) {{c}} in {{f}}, "
                                  f"each once",
                                  f"(all|the) {what} with (status|code|a) {{c}} {_LOG} {{f}}, without duplicates",
                                  tool="awk"),
                          f"(which|what) {what} {got} (a|status|) {{c}} (according to|in) {{f}}? (every one once|no "
                          f"duplicates)",
                          f"{what} of the {{c}} responses in {{f}}, no duplicates"),
                    f"awk '$9 == {code} {{ print ${at} }}' {quoted(path)} | sort -u", f"list those with {code}",
                    ordered=False,
                    f=path, c=code)
    return show(rng, (*sought(f"the {what} that {got} (a|status|) {{c}} in {{f}}, with counts, (most "
                              f"frequent|highest) first",
                              f"the number of {{c}} responses per {one} {_LOG} {{f}}, (most frequent|highest) first",
                              tool="awk"),
                      f"which {what} {got} {{c}} most often in {{f}}? (show counts|with counts), highest first",
                      f"(count|tally) the {{c}} responses (in|of) {{f}} per {one}, highest first"),
                f"awk '$9 == {code} {{ print ${at} }}' {quoted(path)} | {_TALLY}", f"count those with {code}",
                ordered=False, f=path,
                c=code)


@schema("log.from_ip", "grep", weight=1.3)
def from_ip(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    address = rng.choice(found)[0]
    nouns = ("(requests|hits|lines) (from|by|of) {c} (in|of) {f}", "requests in {f} (that come|coming) from (the "
             "IP|the address|) {c}")
    if rng.random() < 0.55:
        return show(rng, (*number(*nouns), "how (often|many times) did {c} (access|visit|hit|contact) (us|the server) "
                          "(according to|in) {f}?",
                          "how many requests did {c} make? (see|look into|in) {f}"),
                    f"awk '$1 == \"{address}\"' {quoted(path)} | wc -l", f"count the requests from {address}", f=path,
                    c=address)
    return show(rng, (*sought(*(f"(all|the|) {noun}" for noun in nouns), tool="awk"), "what did {c} request? "
                      "(see|look into) {f}",
                      "(filter|search) {f} for (requests from|the client|) {c}", "which lines of {f} (come|are) from "
                      "{c}?"),
                f"awk '$1 == \"{address}\"' {quoted(path)}", f"show the requests from {address}", f=path, c=address)


@schema("log.method", "grep awk tr sort uniq", weight=1.0)
def method(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    if rng.random() < 0.35:
        return show(rng, (*sought(f"the number of requests per (HTTP|request|) method {_LOG} {{f}}, (highest|most "
                                  f"frequent) first",
                                  f"(HTTP|request) methods {_LOG} {{f}} with counts, most frequent first", tool="awk"),
                          "how many GETs, POSTs and so on are in {f}? (count per method|counts per method), highest "
                          "first",
                          "(count|tally) the requests of {f} by method, highest first"),
                    f"awk '{{ print $6 }}' {quoted(path)} | tr -d '\"' | {_TALLY}", "count the methods", ordered=False,
                    f=path)
    verb = rng.choice(found)[5].strip('"')
    if rng.random() < 0.5:
        return show(rng, (*number(f"{{c}} requests {_LOG} {{f}}", f"requests {_LOG} {{f}} with method {{c}}"),
                          "how many {c}s (are there|) in {f}?".replace("(are there|)", "are there")),
                    f"grep -c '\"{verb} ' {quoted(path)}", f"count the {verb} requests", f=path, c=verb)
    return show(rng, (*sought(f"(all|the|) {{c}} requests {_LOG} {{f}}", f"(all|the|) requests {_LOG} "
                              f"{{f}} (with|that use) (the|) method {{c}}",
                              tool="grep"), "which requests in {f} are {c}s?", "{f}: {c} requests only"),
                f"grep '\"{verb} ' {quoted(path)}", f"show the {verb} requests", f=path, c=verb)


@schema("log.bytes", "awk", weight=0.9)
def traffic(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    sent = "(bytes (were|have been) sent|bytes were transferred|bytes did we send|bytes went out)"
    if rng.random() < 0.6:
        return show(rng, (f"how many {sent} in total (according to|in) {{f}}?", "(sum|add up) the (bytes|response "
                          "sizes|bytes sent) (in|of) {f}",
                          f"total (bytes|traffic in bytes|bytes sent|response size) {_LOG} {{f}}",
                          "what is the total traffic in {f}, in bytes?",
                          "use awk to (sum|add up) the bytes (field|column) of the access log {f}",
                          "how much data (was sent|did the server send), in bytes? (see|from) {f}"),
                    f"awk '{{ s += $10 }} END {{ print s }}' {quoted(path)}", "add up the bytes", f=path)
    sizes = sorted(int(row[9]) for row in found)
    if sizes[-1] == sizes[-2]:
        raise Unsuitable("a tie")
    return show(rng, (*sought(f"the (line|request) {_LOG} {{f}} with the (largest|biggest) response",
                              f"the (largest|biggest) response {_LOG} {{f}},"
                              " (whole line|the whole line)"), "which request in {f} (sent|returned) the most bytes?",
                      "which request has the largest response size in {f}?"),
                f"sort -k 10,10nr {quoted(path)} | head -n 1", "find the largest response", f=path)


@schema("log.hours", "cut sort uniq", weight=0.8)
def hours(world: World, rng: random.Random) -> Draft:
    path, _ = web(world, rng, 12)
    return show(rng, (*sought(f"the number of requests per hour {_LOG} {{f}}, (in order of the hour|by hour|earliest "
                              f"hour first)", tool="cut"),
                      "how many requests (per hour|for each hour of the day) are in {f}?",
                      "(count|tally) the requests (in|of) {f} by hour",
                      "requests per hour (in|of|from) {f}", "how is the load spread over the hours in {f}? requests "
                      "per hour"),
                f"cut -d : -f 2 {quoted(path)} | sort | uniq -c", "count the requests per hour", ordered=False, f=path)


@schema("log.page", "awk wc", weight=1.0)
def page(world: World, rng: random.Random) -> Draft:
    path, found = web(world, rng)
    where = rng.choice(found)[6]
    if rng.random() < 0.55:
        return show(rng, (*number(f"(requests|hits) (for|to) {{c}} {_LOG} {{f}}"), "how (often|many times) was {c} "
                          "(requested|visited|fetched) "
                          "(according to|in) {f}?", "how many hits did {c} get in {f}?"),
                    f"awk '$7 == \"{where}\"' {quoted(path)} | wc -l", f"count the requests for {where}", f=path,
                    c=where)
    return show(rng, (*sought(f"(all|the|) (requests|hits) (for|to) {{c}} {_LOG} {{f}}", tool="awk"),
                      "who requested {c}? show the lines of {f}",
                      "(filter|search) {f} for requests (to|for) {c}", "lines of {f} where the path is {c}"),
                f"awk '$7 == \"{where}\"' {quoted(path)}", f"show the requests for {where}", f=path, c=where)
