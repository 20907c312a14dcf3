"""Python on the command line: sums, sorted lists, numbers, texts, JSON."""

from __future__ import annotations

import json
import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, ask, stem
from nimllm.agent.gym.schemas.subjects import number_file, text_file
from nimllm.agent.gym.worlds import World

_PYTHON = "(python|python3|a python one-liner|a python3 one-liner|python -c)"


def _run(code: str) -> str:
    return f"python3 -c {string(code)}"


@schema("python.list", "python3", weight=0.9)
def of_list(world: World, rng: random.Random) -> Draft:
    values = [rng.randint(1, 500) for _ in range(rng.randint(3, 7))]
    shown = rng.choice((", ".join(map(str, values)), " ".join(map(str, values)), str(values)))
    code, said = rng.choice((("sum({})", "(the sum|the total)"), ("max({})", "(the maximum|the largest)"), ("min({})",
        "(the minimum|the smallest)"),
        ("sorted({})", "(the sorted list|the list, sorted)"), ("sorted({}, reverse=True)",
        "(the list sorted in descending order|the list, largest first)"), ("len({})",
        "(the length|how many numbers there are)"),
        ("sum({0}) / len({0})", "(the mean|the average)"), ("{}[::-1]", "(the reversed list|the list backwards)"),
        ("sorted(set({}))", "(the distinct numbers, sorted|the sorted list without duplicates)")))
    return ask(rng, f"""
        use {_PYTHON} to print {said} of {{x}}
        with {_PYTHON}, print {said} for {{x}}
        python: {said} of {{x}}
        {said} of {{x}}, with {_PYTHON}
        print {said} of {{x}} in python
        let python compute {said} of {{x}}
        """.replace("the list sorted in descending order|", "").replace(" of {x}", " of {x}"),
        _run(f"print({code.format(values)})"), "compute it with python", None, True, x=shown)


@schema("python.number", "python3", weight=0.9)
def number(world: World, rng: random.Random) -> Draft:
    a, b = rng.randint(2, 60), rng.randint(2, 20)
    code, said, plan = rng.choice((
        (f"print({a} ** {b})", f"{a} to the power of {b}", "compute the power"), (f"print({a * 7} / {b})",
        f"{a * 7} divided by {b} as a decimal number", "divide"),
        (f"import math; print(math.factorial({b}))", f"the factorial of {b}", "compute the factorial"),
        (f"import math; print(math.sqrt({a}))", f"the square root of {a}", "compute the root"),
        (f"import math; print(math.gcd({a * b}, {b * 6}))", f"the greatest common divisor of {a * b} and {b * 6}",
        "compute the gcd"), (f"print(hex({a * b}))", f"{a * b} in hex with the 0x prefix", "write it in hex"),
        (f"print(bin({a}))", f"{a} in binary with the 0b prefix", "write it in binary"),
        (f"print(round({a / b:.5f}, 2))", f"{a / b:.5f} rounded to two decimals", "round it"),
        (f"print({a} % {b})", f"{a} modulo {b}", "compute the remainder"), (f"print(sum(range(1, {a + 1})))",
        f"the sum of the numbers 1 to {a}", "add up the numbers"),
        (f"print([n for n in range(2, {a + 10}) if all(n % d for d in range(2, n))])",
        f"the list of the primes below {a + 10}", "list the primes"),
        (f"print([i * i for i in range(1, {b + 1})])", f"the list of the squares of 1 to {b}", "list the squares")))
    return ask(rng, f"""
        use {_PYTHON} to (compute|print) {{e}}
        with {_PYTHON}, print {{e}}
        {{e}}, (in|with) python
        python: print {{e}}
        let python (compute|print) {{e}}
        (compute|print) {{e}} in python3
        """, _run(code), f"{plan} with python", None, True, e=said)


@schema("python.text", "python3", weight=0.8)
def text(world: World, rng: random.Random) -> Draft:
    words = " ".join(world.words(rng.randint(1, 4)))
    code, said = rng.choice(((f'print("{words}"[::-1])', "(reversed|backwards)"), (f'print("{words}".upper())',
        "in upper case"), (f'print("{words}".title())', "in title case"),
        (f'print(len("{words}"))', "X the length of"), (f'print("{words}".split())', "X the list of the words of"),
        (f'print("{words}".replace(" ", "-"))', "with dashes for blanks"),
        (f'print("{words}".count("e"))', "X how often e occurs in"), (f'print("{words}".capitalize())',
        "with a capital first letter")))
    if said.startswith("X "):
        said = said[2:]
        block = f"""
            use {_PYTHON} to print {said} {{t}}
            with {_PYTHON}, print {said} {{t}}
            python: {said} {{t}}
            let python print {said} {{t}}
            """
    else:
        block = f"""
            use {_PYTHON} to print {{t}} {said}
            with {_PYTHON}, print {{t}} {said}
            print {{t}} {said}, (with|in) python
            let python print {{t}} {said}
            """
    return ask(rng, block, _run(code), "print it with python", None, True, protected=(words,), t=f'"{words}"')


@schema("python.file", "python3", weight=0.8)
def of_file(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        path = number_file(world, rng)
        code, said = rng.choice((("sum(int(line) for line in open({}))", "(the sum|the total)"),
            ("max(int(line) for line in open({}))", "(the largest|the maximum)"),
            ("min(int(line) for line in open({}))", "(the smallest|the minimum)")))
        return ask(rng, f"""
            use {_PYTHON} to print {said} of the numbers in {{f}}
            with {_PYTHON}, print {said} of the numbers in {{f}}
            python: {said} of the numbers in {{f}}
            {said} of the numbers in {{f}}, (in|with) python
            """, _run(f"print({code.format(json.dumps(path))})"), "compute it with python", None, True, f=path)
    path = text_file(world, rng, 2)
    if not path.isascii():
        raise Unsuitable("escapes")
    code, said = rng.choice((("len(open({}).readlines())", "(the number of lines|the line count)"),
        ("len(open({}).read().split())", "(the number of words|the word count)"), ("len(open({}).read())",
        "the number of characters"),
        ("open({}).readline().strip()", "the first line")))
    return ask(rng, f"""
        use {_PYTHON} to print {said} of {{f}}
        with {_PYTHON}, print {said} of {{f}}
        python: {said} of {{f}}
        {said} of {{f}}, (in|with) python
        """, _run(f"print({code.format(json.dumps(path))})"), "compute it with python", None, True, f=path)


@schema("python.json", "python3", weight=0.8)
def of_json(world: World, rng: random.Random) -> Draft:
    keys = list(dict.fromkeys(names.word(rng).lower() for _ in range(4)))
    data = {key: rng.choice((rng.randint(1, 999), names.word(rng), names.person(rng))) for key in keys}
    path, key = f"{stem(rng)}.json", rng.choice(keys)
    if path in world.entries:
        raise Unsuitable("taken")
    world.add_file(path, json.dumps(data) + "\n")
    way = rng.choice(("field", "field", "pretty", "valid", "keys"))
    if way == "pretty":
        return ask(rng, """
            (pretty-print|pretty print|format) {f} with python (json.tool|)
            python -m json.tool {f}
            use python's json.tool (on|for) {f}
            run {f} through json.tool
            (show|print) {f} (indented|formatted) by python
            """, f"python3 -m json.tool {quoted(path)}", f"pretty-print {path}", None, True, f=path)
    if way == "valid":
        if rng.random() < 0.4:
            world.add_file(path, json.dumps(data)[:-1] + "\n")
        return ask(rng, """
            is {f} valid JSON? (print|say|) yes or no
            (check|test) (whether|if) {f} is valid JSON, yes or no
            (validate|check) the JSON in {f}: yes or no
            yes or no: {f} parses as JSON
            """, f"python3 -m json.tool {quoted(path)} > /dev/null 2>&1 && echo yes || echo no", f"check {path}", None,
            True, f=path)
    if way == "keys":
        return ask(rng, f"""
            use {_PYTHON} to print the list of the keys of {{f}}
            with python, print the keys of {{f}} as a list
            python: list of the keys in {{f}}
            the keys of {{f}} as a python list
            """, _run(f"import json; print(list(json.load(open({json.dumps(path)}))))"), f"list the keys of {path}",
            None, True, f=path)
    return ask(rng, f"""
        use {_PYTHON} to print the (field|value of|key) {{k}} of {{f}}
        with python, (read|get|print) {{k}} from {{f}}
        python: {{k}} of {{f}}
        (get|print) {{k}} out of {{f}} with {_PYTHON}
        let python print the (value of|field) {{k}} in {{f}}
        """.replace("(field|value of|key) {k} of {f}", "value of {k} in {f}"),
        _run(f'import json; print(json.load(open({json.dumps(path)}))["{key}"])'), f"read {key} of {path}", None, True,
        f=path, k=key)


@schema("python.script", "python3", weight=0.9)
def script(world: World, rng: random.Random) -> Draft:
    name, word, n = f"{stem(rng)}.py", names.word(rng), rng.randint(2, 9)
    if name in world.entries:
        raise Unsuitable("taken")
    code, said = rng.choice(((f'print("{word}")', f"prints {word}"), (f'print("hello {word}")',
        f'prints "hello {word}"'), (f"print({n} * {n + 3})", f"prints the product of {n} and {n + 3}"),
        (f'for i in range({n}): print("{word}")', f"prints {word} {n} times, one per line"),
        (f"for i in range(1, {n + 1}): print(i)", f"prints the numbers 1 to {n}, one per line")))
    if rng.random() < 0.5:
        return ask(rng, """
            (write|create) (a python script|) {f} that {z} and run it
            (create|make) {f} so that it {z}, then run it with python
            python script {f} that {z}: write and run it
            <want> {f} (in python|) which {z}; run it (, too|at once|)
            """.replace("(, too|at once|)", "at once"), f"echo {string(code)} > {name} && python3 {name}",
            f"write {name} and run it", None, True, protected=(word,), f=name, z=said)
    return act(rng, """
        (write|create) (a python script|a script) {f} that {z}
        (create|make) {f}, a python script that {z}
        <want> a python script {f} which {z}
        python script {f}: it {z}
        put a python program that {z} into {f}
        """, f"echo {string(code)} > {name}", f"write {name}", protected=(word,), f=name, z=said)
