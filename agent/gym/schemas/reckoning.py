"""Arithmetic, units, number systems and dates: a value in, a value out."""

from __future__ import annotations

import datetime
import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import show, sought, spelled
from nimllm.agent.gym.worlds import World


def _awk(expression: str, value: float | None = None) -> str:
    """awk that prints a value; Unsuitable where its six digits would not be the whole value."""
    if value is not None and abs(float(f"{value:.6g}") - value) > 1e-9:
        raise Unsuitable("more than six digits")
    return f"awk 'BEGIN {{ print {expression} }}'"


@schema("reckon.decimal", "awk", weight=1.0)
def decimal(world: World, rng: random.Random) -> Draft:
    a, b = (f"{rng.randint(1, 99)}.{rng.randint(1, 99)}", rng.choice((f"{rng.randint(1, 20)}.{rng.randint(1, 9)}",
                                                                      str(rng.randint(2, 40)))))
    sign, words = rng.choice((("*", ("{a} times {b}", "{a} * {b}", "{a} multiplied by {b}",
                                     "the product of {a} and {b}")), ("+", ("{a} plus {b}", "{a} + {b}",
                                                                      "the sum of {a} and {b}")), ("-",
                                                                      ("{a} minus {b}", "{a} - {b}"))))
    some = "(" + "|".join(words) + ")"
    return show(rng, (f"what is {some}?", f"(compute|calculate|work out) {some}", f"how much is {some}?", some,
                      f"{some} (as a decimal number|with decimals)", f"use awk to compute {some}", f"I need {some}"),
                _awk(f"{a} {sign} {b}", {"*": float(a) * float(b), "+": float(a) + float(b),
                                         "-": float(a) - float(b)}[sign]), f"compute {a} {sign} {b}", a=a, b=b)


@schema("reckon.quotient", "awk printf", weight=1.0)
def quotient(world: World, rng: random.Random) -> Draft:
    a, b, places = rng.randint(2, 9999), rng.choice((3, 6, 7, 9, 11, 13, rng.randint(3, 99))), rng.choice((1, 2, 2, 2,
                                                                      3, 4))
    return show(rng, ("what is {a} divided by {b} (to|with) {n} (decimals|decimal places)?",
                      "{a} / {b} with {n} (decimals|decimal places|digits after the point)",
                      "divide {a} by {b} and (round|print) (to|with) {n} decimals".replace("(round|print) (to|with)",
                                                                      "round to"), "(compute|calculate) {a} / {b}, "
                                                                      "rounded to {n} (decimals|places)",
                                                                      "{a} over {b} to {n} decimal places"),
                f"awk 'BEGIN {{ printf \"%.{places}f\\n\", {a} / {b} }}'", f"compute {a} / {b}", a=a, b=b,
                n=spelled(rng, places))


@schema("reckon.percent", "awk", weight=0.9)
def percent(world: World, rng: random.Random) -> Draft:
    p, a = rng.choice((5, 10, 12, 15, 19, 20, 25, 30, 40, 75, rng.randint(1, 99))), rng.randint(10, 9999)
    kind = rng.random()
    if kind < 0.5:
        return show(rng, ("what is {p}% of {a}?", "{p} percent of {a}", "(compute|calculate|work out) {p}(%| percent) "
                          "of {a}", "how much is {p}% of {a}?", "{p}% of {a}"), _awk(f"{a} * {p} / 100", a * p / 100),
                          f"compute {p} percent of {a}", a=a, p=p)
    if kind < 0.75:
        return show(rng, ("{a} plus {p}%", "(add|put) {p}% (to|on top of) {a}", "what is {a} (increased|raised) by "
                          "{p} percent?", "price {a} plus {p}% tax: how much is that?",
                          "how much is {a} with {p}% (VAT|tax|interest) (added|on top)?"),
                          _awk(f"{a} * (100 + {p}) / 100", a * (100 + p) / 100), f"add {p} percent to {a}", a=a, p=p)
    return show(rng, ("{a} minus {p}%", "what is {a} (reduced|lowered) by {p} percent?", "take {p}% off {a}",
                      "how much is {a} with a {p}% discount?", "(price|cost) {a}, {p}% off: how much is that?"),
                      _awk(f"{a} * (100 - {p}) / 100", a * (100 - p) / 100), f"take {p} percent off {a}", a=a, p=p)


@schema("reckon.power", "echo awk", weight=0.9)
def power(world: World, rng: random.Random) -> Draft:
    kind = rng.random()
    if kind < 0.55:
        a = rng.choice((2, 2, 2, 3, 5, 7, 10, rng.randint(2, 30)))
        n = rng.randint(2, 20 if a == 2 else 6)
        return show(rng, ("what is {a} to the power of {n}?", "{a}^{n}", "{a} ** {n}", "(compute|calculate) {a} to "
                          "the {n}th power".replace("{n}th power", "power of {n}"), "{a} raised to {n}",
                          "how much is {a} to the {n}?"), f"echo $(({a} ** {n}))", f"compute {a} to the {n}", a=a, n=n)
    if kind < 0.8:
        a = rng.randint(2, 99)
        return show(rng, ("what is {a} squared?", "(the|) square of {a}", "square {a}",
                          "(compute|calculate) {a} squared"), f"echo $(({a} * {a}))", f"square {a}", a=a)
    a = rng.choice((rng.randint(2, 50) ** 2, rng.randint(2, 999)))
    return show(rng, ("what is the square root of {a}?", "(the|) square root of {a}", "sqrt({a})".replace("sqrt({a})",
                                                                      "sqrt of {a}"), "(compute|calculate) the "
                                                                      "(square root|root) of {a}",
                                                                      "which number times itself is {a}?"),
                                                                      _awk(f"sqrt({a})"), f"compute the root of {a}",
                                                                      a=a)


@schema("reckon.expression", "echo", weight=1.0)
def expression(world: World, rng: random.Random) -> Draft:
    a, b, c = rng.randint(2, 99), rng.randint(2, 99), rng.randint(2, 30)
    said, bash = rng.choice((("{a} + {b} * {c}", "{a} + {b} * {c}"), ("{a} * {b} + {c}", "{a} * {b} + {c}"),
                             ("{a} times {b} plus {c}", "{a} * {b} + {c}"), ("{a} times {b} minus {c}",
                                                                      "{a} * {b} - {c}"),
                                                                      ("{a} plus {b}, all times {c}",
                                                                      "({a} + {b}) * {c}"),
                             ("{a} + {b} - {c}", "{a} + {b} - {c}"), ("{a} + {b} + {c}", "{a} + {b} + {c}"),
                             ("{a} minus {b} plus {c}", "{a} - {b} + {c}")))
    return show(rng, (f"what is {said}?", f"(compute|calculate|evaluate|work out) {said}", f"how much is {said}?", said,
                      f"the result of {said}", f"(print|echo|show) the (result|value) of {said}"),
                      f"echo $(({bash.format(a=a, b=b, c=c)}))", "compute it", a=a, b=b, c=c)


@schema("reckon.list", "awk tr sort", weight=1.0)
def numbers(world: World, rng: random.Random) -> Draft:
    values = [rng.randint(1, rng.choice((20, 99, 999))) for _ in range(rng.randint(3, 7))]
    kind = rng.choice(("sum", "average", "largest", "smallest"))
    listed = rng.choice((" ".join(map(str, values)), ", ".join(map(str, values)), ", ".join(map(str, values[:-1]))
                         + f" and {values[-1]}"))
    word = {"sum": "(sum|total)", "average": "(average|mean)", "largest": "(largest|maximum|biggest|highest)",
            "smallest": "(smallest|minimum|lowest)"}[kind]
    end = {"sum": "awk '{ s += $1 } END { print s }'", "average": "awk '{ s += $1 } END { print s / NR }'",
           "largest": "sort -nr | head -n 1", "smallest": "sort -n | head -n 1"}[kind]
    return show(rng, (f"what is the {word} of {{x}}?", f"(compute|calculate|find|give me) the {word} of (the "
                      f"numbers|) {{x}}", f"{word} of {{x}}", f"{word} of (these|the) numbers: {{x}}",
                      f"the numbers {{x}}: their {word}"),
                f"printf '%s\\n' {' '.join(map(str, values))} | {end}", f"compute the {kind}", x=listed)


@schema("reckon.series", "seq awk echo", weight=0.7)
def series(world: World, rng: random.Random) -> Draft:
    n = rng.choice((10, 20, 50, 100, 1000, rng.randint(5, 300)))
    if rng.random() < 0.6:
        a = rng.choice((1, 1, rng.randint(2, 9)))
        return show(rng, ("what is the sum of (all|the) numbers from {a} to {n}?", "(add up|sum) (the numbers|all "
                          "numbers) from {a} to {n}", "sum of {a} to {n}", "{a} + ... + {n}",
                          "(compute|calculate) the sum of {a} through {n}"), f"seq {a} {n} | awk '{{ s += $1 }} END "
                          f"{{ print s }}'", f"sum {a} to {n}", a=a, n=n)
    k, m = rng.randint(2, 19), rng.choice((10, 10, 12, 5))
    return show(rng, ("(print|show) the (multiplication table|times table|multiples) of {k} (up to|from 1 to) {m} "
                      "(times|), (results only|only the products)", "the first {m} multiples of {k}, one per line",
                      "{k} times 1 to {m}, only the results, one per line", "(list|print) the first {m} multiples of "
                      "{k}"), f"seq {k} {k} {k * m}", f"list the multiples of {k}", k=k, m=m)


@schema("reckon.units", "echo awk", weight=0.9)
def units(world: World, rng: random.Random) -> Draft:
    n = rng.randint(2, 99)
    a, b, factor = rng.choice((("hours", "seconds", 3600), ("hours", "minutes", 60), ("days", "hours", 24), ("days",
                                                                      "seconds", 86400), ("weeks", "days", 7),
                                                                      ("minutes", "seconds", 60), ("days", "minutes",
                                                                      1440), ("weeks", "hours", 168), ("kilometers",
                                                                      "meters", 1000),
                               ("meters", "centimeters", 100), ("kilograms", "grams", 1000), ("KiB", "bytes", 1024),
                               ("MiB", "bytes", 1048576), ("GiB", "MiB", 1024), ("feet", "inches", 12), ("dozen",
                                                                      "pieces", 12)))
    if rng.random() < 0.7:
        return show(rng, (f"how many {b} are {{n}} {a}?", f"how many {b} (are|is) in {{n}} {a}?".replace("(are|is)",
                                                                      "are"), f"{{n}} {a} in {b}",
                                                                      f"(convert|change) {{n}} {a} (to|into) {b}",
                                                                      f"what is {{n}} {a} in {b}?",
                                                                      f"{{n}} {a} = how many {b}?"),
                                                                      f"echo $(({n} * {factor}))",
                                                                      f"convert {a} to {b}", n=n)
    if rng.random() < 0.5:
        return show(rng, ("convert {n} (degrees|) (celsius|Celsius) (to|into) (fahrenheit|Fahrenheit)",
                          "{n} (degrees|) (celsius|C) in (fahrenheit|F)", "what is {n} celsius in fahrenheit?",
                          "how many degrees fahrenheit are {n} degrees celsius?"), _awk(f"{n} * 9 / 5 + 32"),
                          "convert to Fahrenheit", n=n)
    whole = n * factor
    return show(rng, (f"how many {a} are {{n}} {b}?", f"{{n}} {b} in {a}", f"convert {{n}} {b} (to|into) {a}",
                      f"what is {{n}} {b} in {a}?"), f"echo $(({whole} / {factor}))", f"convert {b} to {a}", n=whole)


@schema("reckon.base", "printf echo bc", weight=1.0)
def base(world: World, rng: random.Random) -> Draft:
    n = rng.randint(2, 4095)
    kind = rng.choice(("to_binary", "from_binary", "to_octal", "to_hex", "from_octal", "from_hex"))
    small = rng.randint(2, 255)
    if kind == "to_binary":
        return show(rng, ("(what is|write|show) {n} in binary", "convert {n} to binary", "{n} in (binary|base 2)",
                          "binary (form|of|representation of) {n}".replace("(form|of|representation of)",
                                                                      "(form of|representation of)"),
                                                                      "{n} as a binary number"),
                                                                      f"echo 'obase=2; {small}' | bc",
                                                                      f"convert {small} to binary", n=small)
    if kind == "from_binary":
        return show(rng, ("(what is|convert) (the binary number|binary) {n} (in|to) decimal", "binary {n} in decimal",
                          "{n} is binary, what is it in decimal?", "decimal value of the binary number {n}"),
                          f"echo $((2#{small:b}))", f"convert {small:b} to decimal", n=f"{small:b}")
    if kind == "from_octal":
        return show(rng, ("(what is|convert) (the octal number|octal) {n} (in|to) decimal", "octal {n} in decimal",
                          "decimal value of octal {n}"), f"echo $((8#{n:o}))", f"convert {n:o} to decimal", n=f"{n:o}")
    if kind == "from_hex":
        return show(rng, ("(what is|convert) 0x{n} (in|to) decimal", "0x{n} in decimal", "decimal value of 0x{n}",
                          "0x{n} as a decimal number"), f"echo $((16#{n:x}))", f"convert {n:x} to decimal", n=f"{n:x}")
    sign, name = ("o", "octal") if kind == "to_octal" else ("x", "(hexadecimal|hex|base 16)")
    return show(rng, (f"(what is|write|show) {{n}} in {name}", f"convert {{n}} to {name}", f"{{n}} in {name}",
                      f"{name} (form|representation) of {{n}}"), f"printf '%{sign}\\n' {n}", "convert the number", n=n)


@schema("reckon.factors", "factor", weight=0.6)
def factors(world: World, rng: random.Random) -> Draft:
    n = rng.randint(10, 99_999)
    return show(rng, (*sought("the prime factors of {n}", "the prime factorisation of {n}"),
                      "what are the prime factors of {n}?", "factor {n}", "(factorise|factorize|decompose) {n} (into "
                      "primes|)", "which primes (divide|make up) {n}?"), f"factor {n}", f"factor {n}", n=n)


@schema("reckon.compare", "echo sort", weight=0.7)
def compare(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        a, b = (f"{rng.randint(0, 4)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}" for _ in range(2))
        newer = rng.random() < 0.6
        return show(rng, (f"which version is {'(newer|higher|later)' if newer else '(older|lower)'}, {{a}} or {{b}}?",
                          f"the {'(newer|higher)' if newer else '(older|lower)'} (of the versions|version of) "
                          f"{{a}} and {{b}}", f"{{a}} or {{b}}: which is the {'newer' if newer else 'older'} version?"),
                          f"printf '%s\\n' {a} {b} | sort -V | {'tail' if newer else 'head'} -n 1",
                          "compare the versions", a=a, b=b)
    m, n = rng.randint(1, 9999), rng.randint(1, 9999)
    return show(rng, ("is {a} (greater|larger|bigger) than {b}? (yes or no|answer yes or no)",
                      "(check|tell me) (if|whether) {a} is (greater|larger) than {b}, yes or no",
                      "{a} > {b}? yes or no"), f"[ {m} -gt {n} ] && echo yes || echo no", f"compare {m} and {n}", a=m,
                      b=n)


@schema("reckon.date_format", "date", weight=1.0)
def date_format(world: World, rng: random.Random) -> Draft:
    day = names.date(rng)
    form, words = rng.choice((("%d.%m.%Y", "(DD.MM.YYYY|the german format|day.month.year)"), ("%m/%d/%Y",
                                                                      "(MM/DD/YYYY|american format|month/day/year)"),
                                                                      ("%d/%m/%Y", "(DD/MM/YYYY|day/month/year)"),
                                                                      ("%Y%m%d", "(YYYYMMDD|YYYYMMDD without dashes)"),
                                                                      ("%d-%m-%Y", "(DD-MM-YYYY|day-month-year)"),
                                                                      ("%Y/%m/%d", "(YYYY/MM/DD|year/month/day)")))
    return show(rng, (f"(print|show|write) (the date|) {{d}} (as|in the form|in the format) {words}",
                      f"(convert|reformat|format) (the date|) {{d}} (to|as) {words}", f"{{d}} (as|in) {words}",
                      f"what is {{d}} in the form {words}?"), f"date -d {day} +{form}", f"format {day}", d=day)


@schema("reckon.date_part", "date", weight=1.0)
def date_part(world: World, rng: random.Random) -> Draft:
    day = names.date(rng)
    form, words = rng.choice((("%A", "(weekday|day of the week)"), ("%B", "(name of the month|month name)"), ("%j",
                                                                      "(day of the year|number of the day in the "
                                                                      "year)"), ("%V", "(ISO week|ISO week "
                                                                      "number|calendar week)"), ("%Y", "year"), ("%d",
                                                                      "day of the month, two digits,"), ("%a",
                                                                      "(short|abbreviated) weekday"), ("%b",
                                                                      "(short|abbreviated) month name"), ("%u",
                                                                      "number of the weekday, Monday being 1,")))
    return show(rng, (f"what is the {words} of {{d}}?", *sought(f"the {words} of (the date|) {{d}}"),
                      f"{words} of {{d}}", f"which {words} (is|belongs to) {{d}}?".replace("(is|belongs to)",
                                                                      "belongs to")), f"date -d {day} +%{form[1]}",
                                                                      f"look up part of {day}", d=day)


@schema("reckon.date_shift", "date", weight=1.0)
def date_shift(world: World, rng: random.Random) -> Draft:
    day, n, unit = names.date(rng), rng.randint(1, 90), rng.choice(("days", "days", "weeks", "months", "years"))
    back = rng.random() < 0.5
    if n == 1:
        raise Unsuitable("one")
    word = "(before|earlier than)" if back else "after"
    return show(rng, (f"(what|which) date is {{n}} {unit} {word.replace('(before|earlier than)', 'before')} {{d}}?",
                      *sought(f"the date {{n}} {unit} {'before' if back else 'after'} {{d}}"),
                      f"{{d}} {'minus' if back else 'plus'} {{n}} {unit}", f"{'subtract' if back else 'add'} "
                      f"{{n}} {unit} {'from' if back else 'to'} {{d}}", f"{{n}} {unit} "
                      f"{'before' if back else 'after'} {{d}}"),
                f"date -d '{day} {'-' if back else '+'}{n} {unit}' +%F", f"compute the date {n} {unit} "
                f"{'before' if back else 'after'} {day}", d=day, n=n)


@schema("reckon.date_difference", "date echo", weight=0.9)
def date_difference(world: World, rng: random.Random) -> Draft:
    a = datetime.date.fromisoformat(names.date(rng))
    b = a + datetime.timedelta(days=rng.randint(2, 900))
    return show(rng, ("how many days (are|lie) between {a} and {b}?", "days (between|from) {a} (and|to) "
                      "{b}".replace("(between|from) {a} (and|to)", "between {a} and"), "number of days from {a} to {b}",
                      "how many days after {a} is {b}?", "how long is it from {a} to {b}, in days?",
                      "(compute|calculate) the days between {a} and {b}"),
                f"echo $((($(date -d {b} +%s) - $(date -d {a} +%s)) / 86400))", "count the days", a=str(a), b=str(b))


@schema("reckon.epoch", "date", weight=0.7)
def epoch(world: World, rng: random.Random) -> Draft:
    n = rng.randint(900_000_000, 1_780_000_000)
    if rng.random() < 0.5:
        return show(rng, ("which (date|day) is the (unix|epoch) (timestamp|time) {n}? (YYYY-MM-DD|as YYYY-MM-DD)",
                          "convert the (unix|epoch) timestamp {n} to a date (YYYY-MM-DD|, like 2024-01-31)",
                          "(unix time|epoch|timestamp) {n} as a date (YYYY-MM-DD|, ISO format)"), f"date -d @{n} +%F",
                          f"convert {n} to a date", n=n)
    return show(rng, ("which date and time is the (unix|epoch) (timestamp|time) {n}? (YYYY-MM-DD HH:MM:SS|as "
                      "YYYY-MM-DD HH:MM:SS)", "convert the (unix|epoch) timestamp {n} to date and time, YYYY-MM-DD "
                      "HH:MM:SS", "timestamp {n} as YYYY-MM-DD HH:MM:SS"), f"date -d @{n} '+%F %T'",
                      f"convert {n} to a date and time", n=n)


@schema("reckon.month_length", "date", weight=0.6)
def month_length(world: World, rng: random.Random) -> Draft:
    year, month = rng.randint(1990, 2032), rng.randint(1, 12)
    name = datetime.date(year, month, 1).strftime("%B")
    return show(rng, ("how many days (has|did|does) {m} {y} (have|)?".replace("(has|did|does) {m} {y} (have|)",
                                                                      "does {m} {y} have"), "number of days in {m} {y}",
                                                                      "how long is {m} {y}, in days?",
                                                                      "days in {m} {y}"),
                                                                      f"date -d '{year}-{month:02d}-01 +1 month -1 "
                                                                      f"day' +%-d", f"count the days of {name} {year}",
                                                                      m=name, y=year)


@schema("reckon.human_size", "numfmt", weight=0.7)
def human_size(world: World, rng: random.Random) -> Draft:
    n = rng.randint(2_000, 9_999_999_999)
    if rng.random() < 0.6:
        return show(rng, (*sought("{n} bytes (in human-readable form|human-readable), in powers of 1024"),
                          "how (much|big) is {n} bytes in K, M or G? (1024-based|powers of 1024)",
                          "convert {n} bytes to a (human-readable|readable) size (, 1024-based|, IEC units)"),
                          f"numfmt --to=iec {n}", "print the readable size", n=n)
    size = f"{rng.randint(1, 900)}{rng.choice('KMG')}"
    return show(rng, ("how many bytes are {n} (1024-based|in powers of 1024)?", "convert {n} to bytes, "
                      "(1024-based|with K as 1024)", "{n} in bytes (IEC|1024-based)"), f"numfmt --from=iec {size}",
                      "print the bytes", n=size)
