"""What bash and its small companions compute: arithmetic, strings, arrays, functions, substitutions, random draws."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import ask, several_of, stem
from nimllm.agent.gym.schemas.subjects import number_file, text_file, volatile
from nimllm.agent.gym.worlds import World


@schema("shell.function", "echo", weight=0.7)
def function(world: World, rng: random.Random) -> Draft:
    name, a, b, word = stem(rng).replace("-", "_"), rng.randint(2, 99), rng.randint(2, 99), names.word(rng)
    if not name.isidentifier() or name in ("test", "time", "if", "for", "cd", "echo", "read", "exit", "kill", "wait"):
        raise Unsuitable("a word of the shell")
    body, call, said = rng.choice((
        ('echo "hello $1"', word, f"that greets its argument with hello, and call it with {word}"),
        ("echo $(($1 + $2))", f"{a} {b}", f"that adds its two arguments, and call it with {a} and {b}"),
        ("echo $(($1 * $2))", f"{a} {b}", f"that multiplies its two arguments, and call it with {a} and {b}"),
        ("echo $(($1 * $1))", str(a), f"that squares its argument, and call it with {a}"),
        ('echo "${1^^}"', word, f"that prints its argument in upper case, and call it with {word}")))
    return ask(rng, f"""
        (define|write) a (shell|bash|) function {{p}} {said}
        (make|create) a (bash|shell) function (called|named) {{p}} {said}
        function {{p}} {said}
        in bash, a function {{p}} {said}
        """, f"{name}() {{ {body}; }}; {name} {call}", f"define {name} and call it", None, True, protected=(word,),
        p=name)


@schema("shell.array", "echo", weight=0.6)
def array(world: World, rng: random.Random) -> Draft:
    items = list(dict.fromkeys(names.word(rng) for _ in range(rng.randint(3, 6))))
    if len(items) < 3:
        raise Unsuitable("few")
    n = rng.randint(1, len(items))
    tail, said = rng.choice((('echo "${#a[@]}"', "(its length|the number of its elements)"), (f'echo "${{a[{n - 1}]}}"',
        f"element number {n} (counted from 1|)"),
                             ("printf '%s\\n' \"${a[@]}\"",
                             "(all its elements, one per line|each element on its own line)"), ('echo "${a[-1]}"',
                             "(the last element|its last element)"),
                             ('echo "${a[0]}"', "(the first element|its first element)")))
    return ask(rng, f"""
        (make|create) (a bash|an|a shell) array a of {{x}} and print {said}
        put {{x}} into an array a and print {said}
        bash array a with {{x}}: print {said}
        define the array a with {{x}} and (show|print) {said}
        """.replace("(counted from 1|)", "counted from 1"), f"a=({' '.join(items)}); {tail}",
        "make the array and print", None, True, protected=items, x=several_of(rng, items))


@schema("shell.string", "echo", weight=1.1)
def strings(world: World, rng: random.Random) -> Draft:
    text, old = " ".join(world.words(rng.randint(1, 3))), ""
    n, m = rng.randint(1, 4), rng.randint(1, 3)
    old, new = rng.choice([ch for ch in text if ch.isalnum()] or ["a"]), rng.choice("abcxyz")
    tail, said = rng.choice((('echo "${#s}"', "(its length|the number of its characters)"), (f'echo "${{s:0:{n}}}"',
        f"its first {n} characters"), (f'echo "${{s: -{n}}}"', f"its last {n} characters"),
        ('echo "${s^^}"', "it in upper case"), ('echo "${s,,}"', "it in lower case"), ('echo "${s^}"',
        "it with a capital first letter"), (f'echo "${{s:{m}}}"', f"it without its first {m} characters"),
        (f'echo "${{s//{old}/{new}}}"', f"it with every {old} replaced by {new}"), ('echo "${s// /_}"',
        "it with underscores for blanks")))
    return ask(rng, f"""
        set s to {{t}} and print {said} (with parameter expansion|in bash|)
        s={{t}}: print {said} (by parameter expansion|)
        let s be {{t}}; (print|echo|show) {said}
        put {{t}} into the variable s and print {said}
        with bash alone (no tr or sed|), s being {{t}}: print {said}
        """.replace("with bash alone (no tr or sed|)", "with bash alone"), f"s={string(text)}; {tail}",
        "set s and print", None, True, protected=(text,), t=f'"{text}"')


@schema("shell.compute", "echo bc", weight=1.3)
def compute(world: World, rng: random.Random) -> Draft:
    a, b, c = rng.randint(2, 99), rng.randint(2, 20), rng.randint(2, 99)
    way = rng.choice(("power", "expression", "decimal", "sum", "factorial", "hex", "binary", "percent", "root", "max",
        "units"))
    if way == "power":
        b = rng.randint(2, 10)
        a = rng.randint(2, 20)
        return ask(rng, """
            (what is|compute|) {a} to the power of {b}
            {a}^{b}
            {a} ** {b}
            (calculate|compute) {a} raised to (the power|) {b}
            {b}th power of {a}
            """.replace("(what is|compute|) {a}", "compute {a}").replace("{b}th power of {a}", "{a} to the {b}"),
            f"echo $(({a} ** {b}))", f"compute {a} to the power of {b}", None, True, a=a, b=b)
    if way == "expression":
        e = rng.choice((f"({a} + {b}) * {c}", f"{a} * {b} + {c}", f"{a} * {b} - {c}", f"({a} - {b}) * {c}",
            f"{a} + {b} * {c}", f"{a} + {b} + {c}", f"({a} + {c}) / {b}", f"{a} * {c} / {b}"))
        return ask(rng, """
            (compute|calculate|evaluate|work out) {e} (as integers|)
            what is {e} (in integers|)?
            {e} = ?
            how much is {e}?
            result of {e}
            """.replace("(as integers|)", "as integers").replace("(in integers|)", "in integers") if "/" in e else """
            (compute|calculate|evaluate|work out) {e}
            what is {e}?
            {e} = ?
            how much is {e}?
            result of {e}
            """, f"echo $(({e}))", f"compute {e}", None, True, e=e)
    if way == "decimal":
        n = rng.choice((1, 2, 2, 3, 4))
        return ask(rng, """
            (compute|calculate) {a} divided by {b} (with|to) {n} (decimals|decimal places)
            {a} / {b} with {n} (decimals|decimal places|digits after the point)
            what is {a} / {b}, to {n} (decimals|decimal places) (, not rounded|cut off|)?
            use bc to divide {a} by {b} with {n} (decimals|digits after the point)
            """.replace("(, not rounded|cut off|)", "by bc"), f"echo 'scale={n}; {a} / {b}' | bc", f"divide {a} by {b}",
            None, True, a=a, b=b, n=n)
    if way == "sum":
        n = rng.choice((10, 20, 50, 100, 1000, rng.randint(5, 200)))
        return ask(rng, """
            (sum|add) up the numbers from 1 to {n}
            sum of (all|the) numbers from 1 to {n}
            1 + 2 + ... + {n} = ?
            what do the numbers 1 to {n} add up to?
            (compute|calculate) the sum of 1 to {n}
            """, f"seq {n} | awk '{{s += $1}} END {{print s}}'", f"add up 1 to {n}", None, True, n=n)
    if way == "factorial":
        n = rng.randint(3, 12)
        return ask(rng, """
            (compute|calculate|what is) the factorial of {n}
            {n}! = ?
            factorial of {n}
            1 * 2 * ... * {n}
            """.replace("|what is", ""), f"seq -s '*' {n} | bc", f"compute the factorial of {n}", None, True, n=n)
    if way == "hex":
        v = rng.randint(10, 65535)
        return rng.choice((
            lambda: ask(rng, """
                {v} in (hex|hexadecimal)
                (convert|write|print) {v} (to|in|as) (hex|hexadecimal)
                what is {v} in (hex|hexadecimal)?
                hexadecimal (form|value) of {v}
                """, f"printf '%x\\n' {v}", f"write {v} in hex", None, True, v=v),
            lambda: ask(rng, """
                0x{h} (in|as a) decimal (number|)
                (convert|write|print) the hex number 0x{h} (to|in|as) decimal
                what is (hex|hexadecimal) 0x{h} in decimal?
                decimal value of 0x{h}
                """.replace("0x{h}", "{h}"), f"echo $((0x{v:x}))", f"write {v:x} in decimal", None, True,
                h=f"0x{v:x}")))()
    if way == "binary":
        v = rng.randint(3, 255)
        if rng.random() < 0.5:
            return ask(rng, """
                {v} in binary
                (convert|write|print) {v} (to|in|as) binary
                what is {v} in (binary|base 2)?
                binary (form|representation) of {v}
                """, f"echo 'obase=2; {v}' | bc", f"write {v} in binary", None, True, v=v)
        return ask(rng, """
            binary {v} (in|as) decimal
            (convert|write) the binary number {v} (to|in|as) decimal
            what is binary {v} in decimal?
            decimal value of the binary number {v}
            """, f"echo $((2#{v:b}))", f"write {v:b} in decimal", None, True, v=f"{v:b}")
    if way == "percent":
        return ask(rng, """
            {b} percent of {a} (with two decimals|to two decimals)
            what is {b}% of {a} (with|to) two decimals?
            (compute|calculate) {b} percent of {a} (with two decimals|to 2 decimals)
            """, f"echo 'scale=2; {a * 10} * {b} / 100' | bc", f"compute {b} percent", None, True, a=a * 10, b=b)
    if way == "root":
        return ask(rng, """
            square root of {a} (with|to) 4 decimals
            what is the square root of {a} (with|to) (4|four) decimals?
            (compute|calculate) sqrt({a}) (with|to) 4 decimals
            """.replace("sqrt({a})", "the root of {a}"), f"echo 'scale=4; sqrt({a})' | bc",
            f"compute the square root of {a}", None, True, a=a)
    if way == "max":
        values = rng.sample(range(1, 500), rng.randint(3, 5))
        small = rng.random() < 0.5
        return ask(rng, f"""
            (which|what) is the {'smallest' if small else 'largest'} of {{x}}?
            {'(minimum|smallest)' if small else '(maximum|largest)'} of {{x}}
            (print|show) the {'smallest' if small else 'largest'} (number|) of {{x}}
            """, f"printf '%s\\n' {' '.join(map(str, values))} | sort -n | {'head' if small else 'tail'} -n 1",
            "find the extreme", None, True, x=", ".join(map(str, values)))
    return ask(rng, """
        how many (seconds|s) are {a} hours?
        {a} hours in seconds
        convert {a} hours (to|into) seconds
        (compute|calculate) the number of seconds in {a} hours
        """, f"echo $(({a} * 3600))", f"convert {a} hours", None, True, a=a)


@schema("shell.substitute", "echo", weight=1.0)
def substitute(world: World, rng: random.Random) -> Draft:
    word, path = names.word(rng), text_file(world, rng, 1)
    command, block, changing = rng.choice((
        (f'echo "{word} $(date +%F)"', """
            print {p} and today's date (as YYYY-MM-DD|in ISO form) (in|on) one line
            (echo|print) {p} followed by (today's date|the date) (YYYY-MM-DD|as YYYY-MM-DD)
            one line: {p}, then (the date of today|today's date) as YYYY-MM-DD
            """, True), (f'echo "{word}: $(wc -l < {quoted(path)})"', """
            print {p}, a colon and the number of lines of {f}
            (echo|print) {p}: and the line count of {f} (on|in) one line
            one line: {p}, colon, (the number of lines|line count) of {f}
            """, False), (f'echo "{word}: $(whoami)"', """
            print {p}, a colon and my user name
            (echo|print) {p}: followed by (my|the) user name
            one line with {p}, a colon and who I am
            """, True), (f'echo "{word} $(ls | wc -l)"', """
            print {p} and the number of entries (here|in this <dir>)
            (echo|print) {p} followed by (the number|a count) of the entries here
            one line: {p} and how many entries there are here
            """, False)))
    made = ask(rng, block, command, "print text and result", None, True, p=word,
        **({"f": path} if "{f}" in block else {}))
    return volatile(made) if changing else made


@schema("shell.repeat_character", "printf", weight=0.6)
def repeat(world: World, rng: random.Random) -> Draft:
    sign, n = rng.choice(("-", "=", "*", "#", "+", "x", "~", ".")), rng.choice((10, 20, 30, 40, 50, 60, 72, 80,
        rng.randint(3, 99)))
    return ask(rng, """
        (print|draw) a line of {n} {s} (characters|signs|)
        {n} times {s} on one line (, no blanks|)
        (print|repeat) {s} {n} times (on one line|in a row|without blanks between)
        a (separator|rule) of {n} {s}
        """.replace("(print|repeat) {s} {n} times (on one line|in a row|without blanks between)",
        "print {s} {n} times (on one line|in a row)"),
        f"printf '%{n}s\\n' | tr ' ' '{sign}'", f"print {n} signs", None, True, n=n, s=sign)


@schema("shell.random", "shuf", weight=0.7)
def random_number(world: World, rng: random.Random) -> Draft:
    a, b = rng.choice(((1, 6), (1, 10), (1, 100), (0, 9), (1, 1000), (rng.randint(1, 20), rng.randint(30, 99))))
    path = number_file(world, rng, 4)
    command, plan, block = rng.choice((
        (f"shuf -i {a}-{b} -n 1", "draw a number", """
            a random number (from {a} to {b}|between {a} and {b})
            (draw|pick|print|give me) a random number (from {a} to {b}|between {a} and {b})
            random (integer|number) {a} to {b}
            (roll|throw) a die with the numbers {a} to {b}
            """), (f"shuf -n 1 {quoted(path)}", "draw a line", """
            a random line of {f}
            (pick|draw|print|show) (a|one) random line (of|from) {f}
            (choose|pick) one line of {f} at random
            """), (f"shuf {quoted(path)}", "shuffle the lines", """
            shuffle the lines of {f}
            {f} in random order
            (print|show) the lines of {f} in (a|) random order
            """), ("openssl rand -hex 16", "make a random text", """
            (make|generate|print) a random (hex string|token) of 32 (hex|) (characters|digits)
            random (hex|) token, (16 bytes|32 hex digits)
            16 random bytes in hex
            """), ("cat /proc/sys/kernel/random/uuid", "make a UUID", """
            (make|generate|print|give me) a (random|new|) UUID
            a (fresh|new|random) uuid
            <want> a UUID
            """)))
    slots = {"a": a, "b": b} if "{a}" in block else {"f": path} if "{f}" in block else {}
    return volatile(ask(rng, block, command, plan, **slots))
