"""The machine, the shell, arithmetic, checksums."""

from __future__ import annotations

import random
from dataclasses import replace

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW, volatile
from nimllm.agent.gym.worlds import World


@schema("system.user", "whoami", weight=0.8)
def user(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "tell me who I am",
        "as whom am I logged in?",
        "name of my user",
        "which account is this?",
        "whose shell is this?",
        "my login name",
        "who am I?", "what is my (user name|username|login|user)?", "which user am I (logged in as|)?", "whoami",
        f"{SHOW} (my|the current) (user name|username|user)", "(my|the current) (user name|username)?",
        "under which user (am I working|do I work)?"),
        "whoami", "show the user name", True, "You are {output}.")


@schema("system.directory", "pwd", weight=1.0)
def directory(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "tell me where I am",
        "where are we (now|right now|)?",
        "full path of where I am",
        "current path",
        "which path am I (at|in)?",
        "I'd like to know the current (folder|directory)",
        "cwd?",
        "print working directory",
        "where am I?", "what is the (current|working|current working) (directory|folder)?",
        "(which|what) (directory|folder) am I in?", "pwd", f"{SHOW} the (current|working) (directory|folder)",
        "path of (this|the current) (folder|directory)", "in which (folder|directory) are we?",
        "(print|show) the (full|absolute) path of this folder"),
        "pwd", "show the current folder", True, "You are in {output}.")


@schema("system.host", "hostname", weight=0.5)
def host(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "tell me the name of this (machine|box|server)",
        "on which (server|machine|box) are we?",
        "this machine's name",
        "what is this box called?",
        "what is the (name of this machine|host name|hostname|computer's name)?",
        f"{SHOW} the (hostname|host name|name of this computer)", "hostname",
        "(which|what) (machine|computer|host) (is this|am I on)?", "how is this (machine|computer) called?",
        "name of this (computer|machine|host)"),
        "hostname", "show the host name", True)


@schema("system.kernel", "uname", weight=0.5)
def kernel(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        return volatile(single(rng, (
        "which linux kernel do we run?",
        "kernel?",
        "I need the kernel version",
        "tell me the (kernel version|kernel release)",
        "what kernel is this (machine|box) on?",
        "(which|what) kernel (version|) (is running|is this|do we have)?",
            f"{SHOW} the (kernel|linux kernel) (version|release)", "kernel version", "uname (of this machine|)",
            "what version of linux (is this|is running)?", "(linux|kernel) release?"),
            "uname -r", "show the kernel version", True))
    return volatile(single(rng, (
        "(which|what) (operating system|OS) is this?", f"{SHOW} the (operating system|OS) name",
        "(operating system|OS)?", "what (OS|operating system) (is running|am I on|do we run)?", "is this linux?",
        "name of the (operating system|OS)"),
        "uname -s", "show the operating system", True))


@schema("system.free_space", "df", weight=0.9)
def free_space(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "are we running out of disk space?",
        "how much room do we have left here?",
        "I need to know the free (disk|) space here",
        "space left on this disk?",
        "disk usage of the file system here, human readable",
        "how much (disk space|space|room) is (free|left) (on the disk|here|)?", "(free|available) (disk|) space?",
        f"{SHOW} the (free|available) (disk|) space", "how full is the disk?",
        "is there (enough|any) (disk|) space left?", "disk space", "df (of this folder|here|)"),
        "df -h .", "show the free disk space", True))


@schema("system.memory", "free", weight=0.5)
def memory(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "are we running out of memory?",
        "how much RAM is in use?",
        "I need to know the free memory",
        "memory, human readable",
        "how much (memory|RAM) (is free|do we have|is used|is available)?",
        f"{SHOW} the (free|available|used) (memory|RAM)", "(memory|RAM) usage", "free (memory|RAM)?",
        "how much RAM does this (machine|computer) have?", "memory (in use|left)?"),
        "free -h", "show the memory", True))


@schema("system.cpus", "nproc", weight=0.5)
def cpus(world: World, rng: random.Random) -> Draft:
    return volatile(single(rng, (
        "I need the number of CPUs",
        "core count?",
        "with how many cores can I compile?",
        "how many parallel jobs can this (box|machine) take? count the cores",
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
        "I'd like to see (the value of|) {v}",
        "what does {v} hold?",
        "(print|show) me the environment variable {v}",
        "which value has {v}?",
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
        "dump the environment",
        "show all exported variables",
        "I need to see all environment variables",
        "print every environment variable",
        "(list|show|print) (all|the|all the|) environment variables", "(which|what) environment variables are set?",
        "env", "(show|print) (my|the|the whole) environment", "environment variables?",
        "what is in (my|the) environment?"),
        "env", "list the environment variables", True))


@schema("shell.which", "which", weight=0.8)
def which(world: World, rng: random.Random) -> Draft:
    program = rng.choice(("python3", "bash", "grep", "sed", "awk", "tar", "git", "find", "sort", "make", "gzip", "ls",
        "cat", "diff", "curl", "perl", "zip", "jq", "env", "cut"))
    return volatile(single(rng, (
        "I need the (full|) path of {p}",
        "where does {p} live?",
        "from where is {p} run?",
        "(full|absolute) path of the {p} (binary|executable)",
        "tell me where {p} is installed",
        "which binary runs when I type {p}?",
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
    return single(rng, ("(please|just|) (print|echo|say|output) {t}", "I want to see the (text|words) {t} (on the "
                        "screen|in the terminal)", "use echo to (print|show) {t}", "(show|print) me the words {t}",
        "just (print|say) {t}",
        "I want to see {t} on the screen",
        "put {t} on the screen",
        "print exactly: {t}",
        "(print|echo|display|output) (the text|the words|) {t}", "say {t}",
        "(write|print) {t} (on|to) the (screen|terminal|console)", "echo {t}", "(show|display) the (message|text) {t}",
        "output the (line|text) {t}", "let the shell say {t}"),
        f"echo {string(text)}", "print the text", True, ordered=True, protected=(text,),
        t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("shell.repeat", "seq", weight=0.6)
def repeat(world: World, rng: random.Random) -> Draft:
    text, n = world.word(), rng.randint(2, 8)
    return single(rng, ("(print|say|echo) {t} {n} times, one per line", "{t}, {n} times (, each on a new line|)",
                        "use a loop to (print|echo) {t} {n} times",
            
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


@schema("sum.sha256", "sha256sum", weight=0.9)
def sha256(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, ("(I need|give me|compute) the sha256 (checksum|sum|hash) of {f}", "{f}: sha256?",
                        "checksum (sha256|SHA-256) (for|of) {f}",
        "I need the sha256 (checksum|hash) of {f}",
        "fingerprint {f} with sha256",
        "{f}: sha256?",
        "sha256 for {f} please",
        "(what is|show|compute|print) the (sha256|SHA-256|sha256 checksum|sha256 hash) (sum|) of {f}",
        "(sha256|SHA-256) (checksum|hash|sum|) of {f}", "sha256sum {f}",
        "compute the (sha-256|sha256) (hash|checksum) (of|for) {f}", "hash {f} with (sha256|SHA-256)",
        "(give me|get) the sha256 of {f}"),
        f"sha256sum {quoted(name)}", f"compute the sha256 of {name}", True, ordered=True, f=name)


@schema("sum.md5", "md5sum", weight=0.9)
def md5(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return single(rng, ("(I need|give me|compute) the md5 (checksum|sum|hash) of {f}", "{f}: md5?",
        "I need the md5 (checksum|hash|sum) of {f}",
        "fingerprint {f} with md5",
        "{f}: md5?",
        "md5 for {f} please",
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
        return single(rng, ("(what|which text) is {t} (decoded|) (from base64|in plain text)?".replace("(what|which "
                                                                      "text)", "what").replace("(decoded|) (from "
                                                                      "base64|in plain text)",
                                                                      "when you decode it from base64"),
                                                                      "use base64 to decode {t}",
            
            "decode (the base64 text {t}|{t} from base64)", "what does the base64 (text|string|) {t} (mean|say)?",
            "base64 decode {t}", "{t} decoded from base64", "(turn|convert) the base64 {t} back into text",
            "(read|decipher) the base64 {t}"),
            f"echo {string(code)} | base64 -d", "decode the text", True, ordered=True, protected=(code,), t=code)
    return single(rng, ("(the|) base64 (form|encoding) of {t} (without a newline|)", "use base64 to encode {t}",
            
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
