"""The machine, the shell, paths, dates, arithmetic, checksums."""

from __future__ import annotations

import random
from dataclasses import replace
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW, volatile
from nimllm.agent.gym.worlds import World


@schema("system.user", "whoami", weight=0.8)
def user(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "who am I?", "what is my (user name|username|login|user)?", "which user am I (logged in as|)?", "whoami",
        f"{SHOW} (my|the current) (user name|username|user)", "(my|the current) (user name|username)?",
        "under which user (am I working|do I work)?"),
        "whoami", "show the user name", True, "You are {output}.")


@schema("system.directory", "pwd", weight=1.0)
def directory(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "where am I?", "what is the (current|working|current working) (directory|folder)?",
        "(which|what) (directory|folder) am I in?", "pwd", f"{SHOW} the (current|working) (directory|folder)",
        "path of (this|the current) (folder|directory)", "in which (folder|directory) are we?",
        "(print|show) the (full|absolute) path of this folder"),
        "pwd", "show the current folder", True, "You are in {output}.")


@schema("system.host", "hostname", weight=0.5)
def host(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "what is the (name of this machine|host name|hostname|computer's name)?",
        f"{SHOW} the (hostname|host name|name of this computer)", "hostname",
        "(which|what) (machine|computer|host) (is this|am I on)?", "how is this (machine|computer) called?",
        "name of this (computer|machine|host)"),
        "hostname", "show the host name", True)


@schema("system.kernel", "uname", weight=0.5)
def kernel(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        return volatile(single(rng, (
            "(which|what) kernel (version|) (is running|is this|do we have)?",
            f"{SHOW} the (kernel|linux kernel) (version|release)", "kernel version", "uname (of this machine|)",
            "what version of linux (is this|is running)?", "(linux|kernel) release?"),
            "uname -r", "show the kernel version", True))
    return volatile(single(rng, (
        "(which|what) (operating system|OS) is this?", f"{SHOW} the (operating system|OS) name",
        "(operating system|OS)?", "what (OS|operating system) (is running|am I on|do we run)?", "is this linux?",
        "name of the (operating system|OS)"),
        "uname -s", "show the operating system", True))


@schema("system.today", "date", weight=1.0)
def today(world: World, rng: random.Random) -> Draft:
    kind = rng.choice(("date", "date", "time", "weekday", "year", "full"))
    if kind == "date":
        return volatile(single(rng, (
            "what is (the date today|today's date|the current date)?", "(what|which) (day|date) is it (today|)?",
            "today's date", f"{SHOW} today's date (as YYYY-MM-DD|in the form 2024-12-31|)",
            "what date do we have (today|)?", "date of today (in ISO format|)"),
            "date +%F", "show today's date", True, "Today is {output}."))
    if kind == "time":
        return volatile(single(rng, (
            "what time is it (now|)?", f"{SHOW} the (current|) time", "(current|the) time (now|)?", "how late is it?",
            "what is the (current|) time?", "time now"),
            "date +%H:%M", "show the time", True, "It is {output}."))
    if kind == "weekday":
        return volatile(single(rng, (
            "(what|which) (day of the week|weekday) is (it|today) (today|)?".replace("(it|today) (today|)",
                "(it today|today|it)"), "is it monday (today|)?", "(today's weekday|weekday today)",
                f"{SHOW} the (name of today|day of the week|current weekday)", "(what|which) weekday do we have?",
                "name of today's weekday"),
            "date +%A", "show the weekday", True, "It is {output}."))
    if kind == "year":
        return volatile(single(rng, (
            "(what|which) year is it (now|)?", "(current|this) year?", f"{SHOW} the (current|) year",
            "what is the (current|) year?", "year of today's date", "in which year are we?"),
            "date +%Y", "show the year", True, "It is {output}."))
    return volatile(single(rng, (
        "(date and time|time and date)", "what is the (current|) date and time?", f"{SHOW} (the|) date and time",
        "date and time (now|please)", "(when is now|what are date and time)?", "show me the time and (the|) date"),
        "date", "show date and time", True))


@schema("date.weekday", "date", weight=0.8)
def weekday(world: World, rng: random.Random) -> Draft:
    day = names.date(rng, 1950, 2050)
    return single(rng, (
        "(what|which) (day of the week|weekday) (was|is) {d}?", "weekday of {d}",
        "on which (weekday|day of the week) (is|was|does) {d}(| fall)?".replace("(is|was|does) {d}(| fall)",
        "(is {d}|was {d}|does {d} fall)"), f"{SHOW} the weekday of {{d}}", "what day is {d}?", "is {d} a sunday?",
        "day of the week for {d}"),
        f"date -d {day} +%A", f"show the weekday of {day}", True, "{d} is a {output}.".replace("{d}", day), d=day)


@schema("date.plus", "date", weight=0.6)
def plus(world: World, rng: random.Random) -> Draft:
    day, n, unit = names.date(rng), rng.randint(2, 90), rng.choice(("days", "days", "weeks", "months"))
    ago = rng.random() < 0.35
    if ago:
        return single(rng, (
            "(what|which) date (is|was) {n} {u} before {d}?", "{n} {u} before {d}", "{d} minus {n} {u}",
            "(compute|show) the date {n} {u} before {d}", "subtract {n} {u} from {d}",
            "which day (is|was) {n} {u} earlier than {d}?"),
            f"date -d '{day} - {n} {unit}' +%F", f"compute {n} {unit} before {day}", True, d=day, n=n, u=unit)
    return single(rng, (
        "(what|which) date is {n} {u} after {d}?", "{n} {u} after {d}", "{d} plus {n} {u}",
        "(compute|show) the date {n} {u} after {d}", "add {n} {u} to {d}", "which day is {n} {u} later than {d}?"),
        f"date -d '{day} + {n} {unit}' +%F", f"compute {n} {unit} after {day}", True, d=day, n=n, u=unit)


@schema("date.epoch", "date", weight=0.4)
def epoch(world: World, rng: random.Random) -> Draft:
    stamp = rng.randint(900_000_000, 1_900_000_000)
    return single(rng, (
        "(what|which) date is the (unix time|timestamp|epoch time) {s}?",
        "convert the (unix time|timestamp|epoch) {s} to a date", "{s} as a date",
        "(timestamp|unix time) {s} in readable form", "what day (was|is) (unix time|epoch second) {s}?",
        "when is {s} (seconds since 1970|in unix time)?"),
        f"date -d @{stamp} +%F", f"convert {stamp} to a date", True, s=stamp)


@schema("system.free_space", "df", weight=0.9)
def free_space(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "how much (disk space|space|room) is (free|left) (on the disk|here|)?", "(free|available) (disk|) space?",
        f"{SHOW} the (free|available) (disk|) space", "how full is the disk?",
        "is there (enough|any) (disk|) space left?", "disk space", "df (of this folder|here|)"),
        "df -h .", "show the free disk space", True))


@schema("system.memory", "free", weight=0.5)
def memory(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "how much (memory|RAM) (is free|do we have|is used|is available)?",
        f"{SHOW} the (free|available|used) (memory|RAM)", "(memory|RAM) usage", "free (memory|RAM)?",
        "how much RAM does this (machine|computer) have?", "memory (in use|left)?"),
        "free -h", "show the memory", True))


@schema("system.cpus", "nproc", weight=0.5)
def cpus(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "how many (CPUs|cores|CPU cores|processors) (are there|do we have|does this machine have)?",
        f"{SHOW} the number of (cores|CPUs|processors)", "(number|count) of (cores|CPUs|processors)", "nproc",
        "(cores|CPUs) of this machine?", "how many (cores|processors) can I use?"),
        "nproc", "count the processors", True, "There are {output} processors."))


@schema("system.processes", "ps", weight=0.5)
def processes(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        return volatile(single(rng, (
            "(which|what) processes are running?", "(list|show) (all|the|) (running|) processes", "ps",
            "what is running (on this machine|here|)?", "process list", "(show|give) me the (running|) processes"),
            "ps aux", "list the processes", True))
    return volatile(single(rng, (
        "how long (has this machine been|is this machine) (up|running)?", "uptime", "(show|tell me) the (uptime|load)",
        "since when is this (computer|machine) running?", "what is the (load|system load|uptime)?",
        "how busy is (the machine|this computer)?"),
        "uptime", "show the uptime", True))


@schema("shell.variable", "echo", weight=0.9)
def variable(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("HOME", "PATH", "USER", "SHELL", "HOME", "PATH", "LANG", "TERM"))
    return single(rng, (
        "what is (the value of|in) (the variable|the environment variable|) {v}?",
        "(show|print) (the value of|) (the (environment|) variable|) {v}", "echo {v}", "value of {v}",
        "what is {v} set to?", "(print|show|tell me) what {v} is"),
        f"echo ${name}", f"show the variable {name}", True, ordered=True, v=rng.choice((name, name, f"${name}")))


@schema("shell.export", "export", weight=0.4, steps=2)
def export(world: World, rng: random.Random) -> Draft:
    name = names.word(rng).upper().replace("-", "_")
    value = names.word(rng) if rng.random() < 0.5 else str(rng.randint(1, 999))
    requests = single(rng, (
        "set the (environment|) variable {n} to {v} and (print|show) it",
        "export {n}={v}, then (print|show) (its value|it)", "(let|make) {n} be {v} and echo it",
        "(define|set) {n} as {v} and show (its value|that it is set)",
        "environment variable {n} should be {v}; check it", "set {n}={v} and echo {n}"),
        "x", "x", True, n=name, v=value)
    return replace(requests, commands=[f"export {name}={value}", f"echo ${name}"],
        plan=[f"set {name} to {value}", f"show {name}"], ordered=True)


@schema("shell.environment", "env", weight=0.4)
def environment(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "(list|show|print) (all|the|all the|) environment variables", "(which|what) environment variables are set?",
        "env", "(show|print) (my|the|the whole) environment", "environment variables?",
        "what is in (my|the) environment?"),
        "env", "list the environment variables", True))


@schema("shell.which", "which", weight=0.8)
def which(world: World, rng: random.Random) -> Draft:
    program = rng.choice(("python3", "bash", "grep", "sed", "awk", "tar", "git", "find", "sort", "make", "gzip", "ls",
        "cat", "diff", "curl", "perl", "zip", "jq", "env", "cut"))
    return volatile(single(rng, (
        "where is (the program|) {p} (installed|)?", "which {p}",
        "(what is|show) the path of (the program|the command|) {p}", "which {p} (is used|do I use|will be run)?",
        "path to (the|) {p} (program|command|binary)", "is {p} installed?"),
        f"which {program}", f"find the program {program}", True, ordered=True, p=program))


@schema("shell.version", "bash python3 git", weight=0.5)
def version(world: World, rng: random.Random) -> Draft:
    program = rng.choice(("python3", "git", "bash", "python", "make", "tar", "grep"))
    real = "python3" if program == "python" else program
    return volatile(single(rng, (
        "(which|what) version of {p} (is installed|do we have|is this)?", "{p} version",
        "(show|print) the version of {p}", "version of {p}?", "what {p} version (is installed|do I have|is this)?",
        "how new is (the installed|our|) {p}?"),
        f"{real} --version", f"show the version of {real}", True, ordered=True, p=program))


@schema("shell.print", "echo", weight=1.2)
def say_text(world: World, rng: random.Random) -> Draft:
    text = " ".join(world.words(rng.randint(1, 4)))
    if rng.random() < 0.3:
        text = text.capitalize() + rng.choice(("!", ".", "?"))
    return single(rng, (
        "(print|echo|display|output) (the text|the words|) {t}", "say {t}",
        "(write|print) {t} (on|to) the (screen|terminal|console)", "echo {t}", "(show|display) the (message|text) {t}",
        "output the (line|text) {t}", "let the shell say {t}"),
        f"echo {string(text)}", "print the text", True, ordered=True, protected=(text,),
        t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("shell.repeat", "seq", weight=0.6)
def repeat(world: World, rng: random.Random) -> Draft:
    text, n = world.word(), rng.randint(2, 8)
    return single(rng, (
        "(print|echo|write) {t} {n} times", "{n} times {t}",
        "(print|say) the word {t} {n} times, (one per line|each on its own line)", "repeat {t} {n} times",
        "(output|show) {n} lines (saying|with|of) {t}", "I want {t} {n} times"),
        f"for i in $(seq {n}); do echo {string(text)}; done", f"print {text} {n} times", True, ordered=True, t=text,
        n=n)


@schema("shell.sequence", "seq", weight=1.0)
def sequence(world: World, rng: random.Random) -> Draft:
    a = rng.randint(0, 20)
    b = a + rng.randint(3, 15)
    at = rng.random()
    if at < 0.2:
        step = rng.randint(2, 5)
        return single(rng, (
            "(print|list|show) (the|) numbers from {a} to {b} in steps of {s}",
            "count from {a} to {b} (by|in steps of) {s}", "numbers {a} to {b}, step {s}",
            "every {s} numbers from {a} to {b}", "(list|write) {a} to {b} with step {s}",
            "from {a} to {b} in steps of {s}"),
            f"seq {a} {step} {b}", f"list the numbers from {a} to {b}", True, ordered=True, a=a, b=b, s=step)
    if at < 0.35:
        return single(rng, (
            "count (down|backwards) from {b} to {a}", "(print|list|show) (the|) numbers from {b} down to {a}",
            "numbers {b} down to {a}", "countdown from {b} to {a}", "(list|write) {b} to {a} in reverse",
            "from {b} down to {a}"),
            f"seq {b} -1 {a}", f"count down from {b} to {a}", True, ordered=True, a=a, b=b)
    return single(rng, (
        "(print|list|show|write) (the|) numbers from {a} to {b}", "count from {a} to {b}", "numbers {a} to {b}",
        "numbers from {a} (through|up to) {b}, one per line", "(print|list) {a} to {b}", "seq {a} {b}",
        "(list|show) all numbers between {a} and {b}"),
        f"seq {a} {b}", f"list the numbers from {a} to {b}", True, ordered=True, a=a, b=b)


@schema("shell.arithmetic", "echo", weight=1.6)
def arithmetic(world: World, rng: random.Random) -> Draft:
    a, b = rng.randint(2, 9999), rng.randint(2, 999)
    sign, words = rng.choice((
        ("+", ("what is {a} plus {b}?", "add {a} and {b}", "{a} + {b}", "(the|) sum of {a} and {b}",
            "(compute|calculate) {a} plus {b}", "how much is {a} + {b}?")),
        ("-", ("what is {a} minus {b}?", "subtract {b} from {a}", "{a} - {b}", "(the|) difference of {a} and {b}",
            "(compute|calculate) {a} minus {b}", "how much is {a} - {b}?")),
        ("*", ("what is {a} times {b}?", "multiply {a} (by|with) {b}", "{a} * {b}", "(the|) product of {a} and {b}",
            "(compute|calculate) {a} times {b}", "how much is {a} x {b}?")),
        ("/", ("what is {a} divided by {b} (without remainder|as a whole number|rounded down)?",
            "divide {a} by {b} (as integers|without remainder|)", "{a} / {b}",
            "how (often|many times) does {b} (go|fit) into {a}?", "(compute|calculate) {a} divided by {b}",
            "(integer|whole) part of {a} / {b}")),
        ("%", ("what is {a} modulo {b}?", "(the|) remainder of {a} divided by {b}", "{a} mod {b}",
            "what remains when {a} is divided by {b}?", "(compute|calculate) {a} modulo {b}", "{a} % {b}"))))
    return single(rng, words, f"echo $(({a} {sign} {b}))", f"compute {a} {sign} {b}", True, ordered=True, a=a, b=b)


@schema("shell.random_text", "tr", weight=0.6)
def change_text(world: World, rng: random.Random) -> Draft:
    text = " ".join(world.words(rng.randint(1, 3)))
    kind = rng.choice(("upper", "lower", "reverse", "length", "words"))
    quote = rng.choice((text, f'"{text}"', f"'{text}'"))
    if kind in ("upper", "lower"):
        sets, name = ("'a-z' 'A-Z'", "(upper case|uppercase|capitals)") if kind == "upper" else ("'A-Z' 'a-z'",
            "(lower case|lowercase|small letters)")
        if kind == "lower":
            text = text.upper()
            quote = text
        return single(rng, (
            f"{PRINT} {{t}} in {name}", f"convert (the text|) {{t}} to {name}", f"{{t}} in {name}",
            f"write {{t}} (in|with) {name}", f"what is {{t}} in {name}?", f"turn {{t}} into {name}"),
            f"echo {string(text)} | tr {sets}", f"write the text in {kind} case", True, ordered=True, protected=(text,),
            t=quote)
    if kind == "reverse":
        return single(rng, (
            "reverse (the text|the word|) {t}", "(print|write|spell) {t} backwards", "{t} backwards",
            "what is {t} (spelled|) backwards?", "(turn|write) {t} the other way round", "mirror the text {t}"),
            f"echo {string(text)} | rev", "reverse the text", True, ordered=True, protected=(text,), t=quote)
    if kind == "length":
        return single(rng, (
            "how long is (the text|the word|the string|) {t}?", "how many characters (has|are in) (the text|) {t}?",
            "(length|number of characters) of {t}", "count the characters (of|in) (the text|) {t}",
            "(compute|get) the length of (the string|) {t}", "characters in {t}?"),
            f"echo -n {string(text)} | wc -m", "count the characters", True, ordered=True, protected=(text,),
            t=f'"{text}"')
    return single(rng, (
        "how many words (has|are in) (the text|the sentence|) {t}?", "count the words (of|in) {t}",
        "(number of words|word count) (of|in) {t}", "words in {t}?", "how many words are there in {t}?",
        "(compute|get) the word count of {t}"),
        f"echo {string(text)} | wc -w", "count the words", True, ordered=True, protected=(text,), t=f'"{text}"')


@schema("path.basename", "basename dirname", weight=0.6)
def basename(world: World, rng: random.Random) -> Draft:
    path = rng.choice(("/home/", "/var/", "/usr/share/", "", "/etc/", "/tmp/")) + "/".join(names.stem(rng,
        0) for _ in range(rng.randint(1, 3))) + "/" + world.new_name("file", world.ext())
    which = rng.choice(("base", "base", "dir", "dir"))
    if which == "base":
        return single(rng, (
            "what is the (file name|basename|base name|last part) of (the path|) {p}?", "basename (of|) {p}",
            "(print|show|get) the file name (of|in|from) (the path|) {p}", "only the file name of {p}",
            "strip the (folders|directories) from {p}", "file name part of {p}"),
            f"basename {quoted(path)}", "show the file name", True, ordered=True, p=path)
    return single(rng, (
        "what is the (folder|directory|directory part) of (the path|) {p}?", "dirname (of|) {p}",
        "(print|show|get) the (folder|directory) (of|in|from) (the path|) {p}",
        "only the (folder|directory) (part|) of {p}", "strip the file name from {p}", "directory part of {p}"),
        f"dirname {quoted(path)}", "show the folder", True, ordered=True, p=path)


@schema("path.absolute", "realpath", weight=0.7)
def absolute(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    return single(rng, (
        "what is the (absolute|full) path of {f}?",
        "(print|show|give me) the (absolute|full|complete) path (of|to) {f}", "(absolute|full) path (of|to) {f}",
        "realpath {f}", "where exactly is {f}? give the full path", "(get|find) the (full|absolute) path for {f}"),
        f"realpath {quoted(path)}", f"show the full path of {path}", True, ordered=True, f=path)


@schema("path.link_target", "readlink", weight=0.7)
def link_target(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file") if rng.random() < 0.5 else world.word()
    if name in world.entries:
        raise Unsuitable("taken")
    world.add_link(name, rng.choice([*world.files(), *world.dirs()]))
    return single(rng, (
        "where does (the link|the symlink|) {l} point (to|)?",
        "(what is|show) the target of (the link|the symlink|) {l}", "target of (the link|) {l}", "readlink {l}",
        "what does (the symlink|the link|) {l} (point to|refer to)?", "(which|what) file is behind the link {l}?"),
        f"readlink {quoted(name)}", f"show where {name} points", True, "{l} points to {output}.".replace("{l}", name),
        ordered=True, l=name)


@schema("path.exists", "test", weight=0.9)
def exists(world: World, rng: random.Random) -> Draft:
    name = world.pick_file() if rng.random() < 0.5 else world.new_name()
    return single(rng, (
        "does (the file|) {f} exist?", "is there a file (called|named|) {f}?",
        "check (if|whether) (the file|) {f} exists", "(tell me|find out) (if|whether) {f} (exists|is there)",
        "do we have a file {f}?", "{f}: does it exist?"),
        f"test -e {quoted(name)} && echo yes || echo no", f"check whether {name} exists", True, ordered=True, f=name)


@schema("sum.sha256", "sha256sum", weight=0.9)
def sha256(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "(what is|show|compute|print) the (sha256|SHA-256|sha256 checksum|sha256 hash) (sum|) of {f}",
        "(sha256|SHA-256) (checksum|hash|sum|) of {f}", "sha256sum {f}",
        "compute the (sha-256|sha256) (hash|checksum) (of|for) {f}", "hash {f} with (sha256|SHA-256)",
        "(give me|get) the sha256 of {f}"),
        f"sha256sum {quoted(name)}", f"compute the sha256 of {name}", True, ordered=True, f=name)


@schema("sum.md5", "md5sum", weight=0.9)
def md5(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, (
        "(what is|show|compute|print) the (md5|MD5|md5 checksum|md5 hash) (sum|) of {f}",
        "(md5|MD5) (checksum|hash|sum|) of {f}", "md5sum {f}", "compute the (checksum|MD5 checksum) (of|for) {f}",
        "hash {f} with (md5|MD5)", "(give me|get) the (md5|checksum) of {f}"),
        f"md5sum {quoted(name)}", f"compute the md5 of {name}", True, ordered=True, f=name)


@schema("sum.write", "sha256sum", weight=0.4)
def sum_write(world: World, rng: random.Random) -> Draft:
    name, target = world.pick_file(), world.new_name("file", rng.choice(("txt", "sha256", "sum")))
    return single(rng, (
        "(write|save|store) the sha256 (checksum|hash|sum) of {f} (to|into|in) {t}",
        "{t} should contain the sha256 (checksum|hash) of {f}",
        "compute the sha256 of {f} and (save|write) it (to|into|in) {t}", "sha256sum of {f} (into|to) {t}",
        "make {t} with the sha256 checksum of {f}",
        "put the sha256 of {f} into {t}"),
        f"sha256sum {quoted(name)} > {quoted(target)}", f"write the sha256 of {name} to {target}", False, f=name,
        t=target)


@schema("encode.base64", "base64", weight=0.6)
def base64(world: World, rng: random.Random) -> Draft:
    text = " ".join(world.words(rng.randint(1, 2)))
    if rng.random() < 0.5:
        import base64 as codec

        code = codec.b64encode(text.encode()).decode()
        return single(rng, (
            "decode (the base64 text {t}|{t} from base64)", "what does the base64 (text|string|) {t} (mean|say)?",
            "base64 decode {t}", "{t} decoded from base64", "(turn|convert) the base64 {t} back into text",
            "(read|decipher) the base64 {t}"),
            f"echo {string(code)} | base64 -d", "decode the text", True, ordered=True, protected=(code,), t=code)
    return single(rng, (
        "encode (the text|) {t} (in|as|with) base64", "base64 of (the text|) {t}", "base64 encode {t}",
        "what is {t} in base64?", "(convert|turn) (the text|) {t} (to|into) base64", "{t} (in|as) base64"),
        f"echo -n {string(text)} | base64", "encode the text", True, ordered=True, protected=(text,), t=f'"{text}"')


@schema("encode.number", "printf echo", weight=0.6)
def number_base(world: World, rng: random.Random) -> Draft:
    n = rng.randint(10, 4095)
    if rng.random() < 0.5:
        return single(rng, (
            "(what is|write|show|print) {n} in (hex|hexadecimal)", "convert {n} to (hex|hexadecimal)",
            "{n} in (hex|hexadecimal)", "hex of {n}", "(hexadecimal|hex) (value|form) of {n}", "decimal {n} as hex"),
            f"printf '%x\\n' {n}", f"convert {n} to hex", True, ordered=True, n=n)
    return single(rng, (
        "(what is|write|show) (hex|hexadecimal|0x) {h} in decimal".replace("|0x)", ")"),
        "convert (hex|hexadecimal) {h} to decimal", "hex {h} in decimal", "decimal (value|form) of hex {h}",
        "(hex|hexadecimal) {h} as a decimal number", "which decimal number is hex {h}?"),
        f"echo $((16#{n:x}))", f"convert {n:x} to decimal", True, ordered=True, h=f"{n:x}")


@schema("shell.cd_list", "ls", weight=0.8, steps=2)
def go_and_list(world: World, rng: random.Random) -> Draft:
    folder = world.pick_dir()
    if not world.files(under=folder):
        raise Unsuitable("empty")
    made = single(rng, (
        "go (to|into) (the folder|the directory|) {d} and (list|show) the files",
        "cd (to|into) {d} and (list|show) (the files|what is there)",
        "change (to|into) (the folder|the directory|) {d} and (list|show) its files",
        "(enter|open) the (folder|directory) {d} and (list|show) (its contents|the files)",
        "switch to {d}, then (list|show) (the files|what is there)", "move into {d} and run ls"),
        "x", "x", True, d=folder)
    return replace(made, commands=[f"cd {quoted(folder)}", "ls"], plan=[f"go to {folder}", "list the files"])


@schema("shell.cd", "cd", weight=0.5, steps=2)
def go(world: World, rng: random.Random) -> Draft:
    folder = world.pick_dir()
    made = single(rng, (
        "go (to|into) (the folder|the directory|) {d} and (tell me|show) where (we are|I am)",
        "cd (to|into) {d} and (print|show) the (current|working) (folder|directory)",
        "change (to|into) (the folder|the directory|) {d} and print the path",
        "(enter|open) the (folder|directory) {d} and show the path",
        "switch to {d}, then (print|show) the (current|working) directory", "cd {d} and pwd"),
        "x", "x", True, d=folder)
    return replace(made, commands=[f"cd {quoted(folder)}", "pwd"], plan=[f"go to {folder}", "show the current folder"],
        ordered=True)


@schema("path.suffix", "echo", weight=0.4)
def suffix(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file", world.ext())
    stem, dot = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if not dot or not stem:
        raise Unsuitable("no suffix")
    return single(rng, (
        "what is {f} without (the extension|its extension|{e})?",
        "(remove|strip|drop) the extension {e} from the name {f} and (print|show) it",
        "(print|show) the name {f} without {e}", "(name|stem) of {f} without (its|the) extension",
        "{f} minus (the|its) extension", "basename of {f} without {e}"),
        f"basename {quoted(name)} {dot}", "show the name without extension", True, ordered=True, f=name, e=dot)
