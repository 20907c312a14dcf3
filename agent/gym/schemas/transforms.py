"""Texts printed in another form, the file left as it is: signs, cases, blanks, quotes, separators."""

from __future__ import annotations

import base64
import random
import re
from typing import Any

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import rows
from nimllm.agent.gym.schemas.frames import change, deed, mark, show, sought, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import list_file, text_file, word_in
from nimllm.agent.gym.worlds import World


@schema("form.squeeze", "tr", weight=0.9)
def squeeze(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "dat", "log")))
    gap = [" ", "  ", "   ", "    "]
    world.add_file(path, "".join("".join(word + rng.choice(gap) for word in world.words(rng.randint(2, 4))) + "end\n"
                                 for _ in range(rng.randint(3, 7))))
    many = "(repeated|multiple|double|consecutive|several) (blanks|spaces)"
    return show(rng, (*sought(f"{{f}} with {many} (squeezed|reduced|collapsed) to one",
                              f"{{f}} (without|with no) {many}", tool="tr"),
                      f"(squeeze|collapse|reduce|shrink) {many} (in|of) {{f}} (to one|into a single one) (and print "
                      f"it|)",
                      "print {f} with (just|only|exactly) one blank between words", "turn runs of spaces in {f} into "
                      "single spaces, print the result"),
                f"tr -s ' ' < {quoted(path)}", f"squeeze the blanks of {path}", f=path)


@schema("form.one_line", "tr", weight=0.8)
def one_line(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3)
    sign, name = rng.choice(((" ", "(blanks|spaces|a blank|a space)"), (",", "(commas|a comma)"), ("|",
                                                                      "(pipes|a pipe)")))
    return show(rng, (*sought(f"(all|the) (lines|entries) of {{f}} (on|in) (one|a single) line, separated by {name}",
                              f"{{f}} as one line with {name} (between the entries|instead of line breaks)"),
                      f"(put|print|show) (everything in|all lines of|the entries of) {{f}} on (one|a single) line, "
                      f"{name} between",
                      f"(turn|convert) {{f}} into (one|a single) line, joined (by|with) {name}",
                      f"(replace|swap) the line breaks (of|in) {{f}} (by|with|for) {name} and print it"),
                f"paste -sd {string(sign)} {quoted(path)}", f"join the lines of {path}", f=path)


@schema("form.split_list", "tr", weight=0.9)
def split_list(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice(((",", "(commas|comma)"), (";", "(semicolons|semicolon)"), (":", "(colons|colon)"), ("|",
                                                                      "(pipes|pipe)")))
    path = world.new_name("file", rng.choice(("txt", "lst", "dat", "csv")))
    world.add_file(path, sign.join(world.words(rng.randint(4, 9))) + "\n")
    name = name.split("|")[0][1:]
    after = rng.choice(("", "", " | sort", " | wc -l"))
    if after == " | wc -l":
        return show(rng, (f"how many (entries|items|values) are in {{f}}? they are separated by {name}",
                          f"{{f}} is one line of values separated by {name}, count (them|the values)",
                          f"count the {name[:-1]}-separated (entries|items|values) in {{f}}",
                          f"number of {name[:-1]}-separated (items|values) in {{f}}"),
                    f"tr {string(sign)} '\\n' < {quoted(path)} | wc -l", "count the entries", f=path)
    tail = ", sorted" if after else ""
    return show(rng, (*sought(f"the {name[:-1]}-separated (entries|items|values) of {{f}}, one per line{tail}",
                              tool="tr"),
                      f"(split|break) {{f}} at the {name}, one (entry|item|value) per line{tail}",
                      f"(put|print) each {name[:-1]}-separated (entry|item) of {{f}} on its own line{tail}",
                      f"{{f}} is one long line, turn its {name} into line "
                      f"breaks{tail.replace(', sorted', ' and sort the lines')}", f"replace {name} by newlines in "
                      f"{{f}} and print the result{tail}"),
                f"tr {string(sign)} '\\n' < {quoted(path)}{after}", "print one entry per line", f=path)


_SIGNS = {",": "(comma|commas)", ";": "(semicolon|semicolons)", ":": "(colon|colons)", "-": "(dash|dashes)",
          "_": "(underscore|underscores)",
          " ": "(blank|blanks)", "/": "(slash|slashes)", ".": "(dot|dots)", "|": "(pipe|pipes)"}


@schema("form.translate", "tr", weight=1.1)
def translate(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    found = [sign for sign in _SIGNS if sign in world.read(path)]
    if not found:
        raise Unsuitable("no signs")
    old = rng.choice(found)
    new = rng.choice([sign for sign in _SIGNS if sign != old])
    a, b = (_SIGNS[sign][1:-1].split("|") for sign in (old, new))
    return show(rng, (*sought(f"{{f}} with {b[1]} instead of {a[1]}", f"{{f}} with (every|each) {a[0]} replaced "
                              f"(by|with) a {b[0]}", tool="tr"),
                      f"(replace|swap|exchange) (all|the|all the) {a[1]} (in|of) {{f}} (with|for) {b[1]} and "
                      f"(print|show) (it|the result)",
                      f"(turn|change|convert) (every|each) {a[0]} (in|of) {{f}} into a {b[0]}, (print|show) the "
                      f"result, (leave the file alone|do not change the file)",
                      f"{{f}}, {a[1]} to {b[1]}"),
                f"tr {string(old)} {string(new)} < {quoted(path)}", f"replace {a[1]} by {b[1]}", f=path)


@schema("form.keep_only", "tr", weight=0.6)
def keep_only(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 15)
    if not re.search(r"\d", world.read(path)):
        raise Unsuitable("no digits")
    sets, what = rng.choice((("0-9\\n", "(digits|numerals)"), ("a-zA-Z\\n", "letters"), ("a-zA-Z \\n",
                                                                      "letters and (blanks|spaces)"), ("a-zA-Z0-9\\n",
                                                                      "letters and digits")))
    return show(rng, (*sought(f"only the {what} of (each|every) line (of|in) {{f}}", f"{{f}} with everything but "
                              f"{what} (removed|deleted), (line by line|lines kept)", tool="tr"),
                      f"(delete|remove|strip) everything (except|but) {what} (and line breaks|and newlines) from "
                      f"{{f}} and (print|show) it",
                      f"keep only {what} (and the line breaks|and newlines) of {{f}}"),
                f"tr -cd '{sets}' < {quoted(path)}", "print only those characters", f=path)


@schema("form.delete_class", "tr", weight=0.8)
def delete_class(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    sets, what = rng.choice((("0-9", "(digits|numbers)"), ("aeiouAEIOU", "vowels"), ("[:punct:]", "punctuation"), (" ",
                                                                      "(spaces|blanks)"), ("A-Z",
                                                                      "(capital|upper-case|uppercase) letters"),
                             ('"', "(double quotes|quotation marks)")))
    pattern = {"[:punct:]": r"[^\w\s]", " ": " ", '"': '"'}.get(sets, f"[{sets}]")
    if not re.search(pattern, world.read(path)):
        raise Unsuitable("none")
    return show(rng, (*sought(f"{{f}} without (the|any|all|) {what}".replace("(the|any|all|)", "(the|any|)"),
                              f"{{f}} with (all|the) {what} (removed|deleted|stripped)", tool="tr"),
                      f"(remove|delete|strip|drop) (all|the|all the|) {what} from {{f}} and (print|show) (it|the "
                      f"result)", f"(print|show) {{f}} but no {what}"),
                f"tr -d {string(sets)} < {quoted(path)}", "print it without them", f=path)


@schema("form.rot13", "tr", weight=0.3)
def rot13(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 15)
    return show(rng, (*sought("{f} in rot13", "{f} (encoded|encrypted|ciphered) with (rot13|ROT13)", tool="tr"),
                      "rot13 {f}", "(apply|use) rot13 (to|on) {f}", "shift (every|each) letter of {f} by 13 places"),
                f"tr 'A-Za-z' 'N-ZA-Mn-za-m' < {quoted(path)}", f"print {path} in rot13", f=path)


@schema("form.capitalise", "sed", weight=0.8)
def capitalise(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3)
    lower = [row for row in rows(world, path) if row[0].islower()]
    if not lower:
        raise Unsuitable("capitals")
    if rng.random() < 0.6:
        return show(rng, (*sought("{f} with (each|every) line (capitalised|capitalized|starting with a capital letter)",
                                  "{f} with the first letter of (each|every) line in (upper case|uppercase)",
                                  tool="sed"),
                          "(capitalise|capitalize) (each|every) line (of|in) {f} (and print it|)",
                          "make the first letter of (each|every) line of {f} (upper case|a capital) and (print|show) "
                          "it"),
                    f"sed 's/^./\\U&/' {quoted(path)}", "print it capitalised", f=path)
    return show(rng, (*sought("{f} with (each|every) word (capitalised|capitalized)", "{f} in title case", tool="sed"),
                      "(capitalise|capitalize) (each|every) word (of|in) {f} (and print it|)",
                      "(upper-case|uppercase) the first letter of (each|every) word in {f}, (print|show) the result"),
                f"sed 's/\\b./\\U&/g' {quoted(path)}", "print it with capitalised words", f=path)


@schema("form.indent", "sed", weight=0.8)
def indent(world: World, rng: random.Random) -> Draft:
    path, n = text_file(world, rng, 2, 15), rng.choice((2, 4, 4, 8, 3))
    if rng.random() < 0.4:
        path = world.new_name("file", rng.choice(("txt", "py", "yaml", "md")))
        world.add_file(path, "".join(" " * rng.choice((0, 2, 4, 8)) + " ".join(world.words(2)) + "\n"
                                     for _ in range(rng.randint(3, 7))))
        return show(rng, (*sought("{f} without (leading (blanks|spaces|whitespace)|indentation)", tool="sed"),
                          "(remove|strip|drop) (leading (blanks|spaces|whitespace)|the indentation) (from|of) "
                          "(each|every) line (of|in) {f} and (print|show) it",
                          "unindent {f} (completely|) and print it", "(print|show) {f} with all lines flush left"),
                    f"sed 's/^[ \\t]*//' {quoted(path)}", "print it without leading blanks", f=path)
    return show(rng, (*sought("{f} (indented|shifted to the right) by {n} (blanks|spaces)",
                              "{f} with {n} (blanks|spaces) (before|in front of) (each|every) line", tool="sed"),
                      "indent {f} by {n} (blanks|spaces) (and print it|)", "(put|add) {n} (blanks|spaces) (before|in "
                      "front of) (each|every) line of {f} and (print|show) it"),
                f"sed 's/^/{' ' * n}/' {quoted(path)}", f"print {path} indented", f=path, n=spelled(rng, n))


@schema("form.quote_lines", "sed", weight=0.8)
def quote_lines(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3)
    left, right, what = rng.choice((('"', '"', "(double quotes|quotation marks)"), ("(", ")",
                                                                      "(parentheses|round brackets)"), ("[", "]",
                                                                      "(square brackets|brackets)"), ("<", ">",
                                                                      "angle brackets"), ("*", "*",
                                                                      "(asterisks|stars)")))
    return show(rng, (*sought(f"(each|every) line (of|in) {{f}} (in|between|surrounded by|wrapped in) {what}",
                              f"the lines of {{f}}, each (in|between|enclosed in) {what}", tool="sed"),
                      f"(put|wrap|enclose) (each|every) line (of|in) {{f}} in {what} and (print|show) (it|the result)",
                      f"(surround|wrap) the lines (of|in) {{f}} with {what}, print only"),
                f"sed {string(f's/.*/{left}&{right}/')} {quoted(path)}", "print the lines that way", f=path)


@schema("form.comma_ends", "sed", weight=0.6)
def comma_ends(world: World, rng: random.Random) -> Draft:
    path, sign, name = list_file(world, rng, 3), *rng.choice(((",", "comma"), (";", "semicolon"), (" \\\\",
                                                                      "backslash")))
    if name == "backslash":
        name, sign = "comma", ","
    return show(rng, (*sought(f"{{f}} with a {name} at the end of (each|every) line (but|except) the last", tool="sed"),
                      f"(add|put|append) a {name} (to|at the end of) (all|the) lines of {{f}} (but|except) the last "
                      f"one, (print|show) the result",
                      f"(print|show) the lines of {{f}} with a {name} after each, but not after the last"),
                f"sed '$!s/$/{sign}/' {quoted(path)}", "print it with separators at the line ends", f=path)


@schema("form.double_space", "sed", weight=0.5)
def double_space(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 3)
    return show(rng, (*sought("{f} double-spaced", "{f} with (a blank|an empty) line after (each|every) line",
                              tool="sed"), "double-space {f} (and print it|)", "(put|insert|add) (a blank|an empty) "
                              "line after (each|every) line of {f} and (print|show) it"),
                f"sed G {quoted(path)}", "print it with empty lines between", f=path)


@schema("form.collapse_blanks", "cat", weight=0.7)
def collapse_blanks(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "md", "log")))
    world.add_file(path, "".join(f"{' '.join(world.words(2))}\n" + "\n" * rng.choice((0, 1, 2, 3))
                                 for _ in range(rng.randint(3, 7))) + world.word() + "\n")
    return show(rng, (*sought("{f} with (several|multiple|consecutive) (blank|empty) lines "
                              "(squeezed|collapsed|reduced) to one", "{f} with at most one (blank|empty) line (in a "
                              "row|in sequence)", tool="cat"),
                      "(squeeze|collapse|reduce) (runs of|repeated|consecutive|multiple) (blank|empty) lines (in|of) "
                      "{f} to one (and print it|)", "print {f}, never more than one (blank|empty) line in a row"),
                f"cat -s {quoted(path)}", "squeeze the blank lines", f=path)


@schema("form.strip_tags", "sed", weight=0.7)
def strip_tags(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", "html")
    world.add_file(path, world.content("page.html") or "<p>hello</p>\n")
    return show(rng, (*sought("{f} without (the|) (html|HTML|) tags", "(only|just) the text of {f}, without the "
                              "(html|HTML) tags", tool="sed"), "(remove|strip|delete) (all|the|all the) (html|HTML) "
                              "tags from {f} and (print|show) (it|the result)",
                      "strip {f} of its tags, print the (rest|text)"),
                f"sed 's/<[^>]*>//g' {quoted(path)}", "print it without tags", f=path)


@schema("form.cut_at", "cut sed", weight=1.1)
def cut_at(world: World, rng: random.Random) -> Draft:
    sign, name = rng.choice(((":", "colon"), ("=", "(equals sign|=)"), ("-", "dash"), ("@", "(@|at sign)"), ("/",
                                                                      "slash"), ("#", "(#|hash)")))
    path = world.new_name("file", rng.choice(("txt", "lst", "conf", "env")))
    plain = [word.replace("-", "") for word in world.words(16)]
    world.add_file(path, "".join(f"{plain[2 * i]}{sign}{plain[2 * i + 1]}\n" for i in range(rng.randint(3, 8))))
    after = rng.random() < 0.5
    side = "after" if after else "before"
    return show(rng, (*sought(f"(everything|the part|what is|the text) {side} the {name} (in|of|on) (each|every) line "
                              f"(of|in) {{f}}", f"(only|just) the part {side} the {name} of (each|every) line (of|in) "
                              f"{{f}}", tool="cut"),
                      f"(cut|remove|drop) everything {'up to and including' if after else 'from'} the {name} "
                      f"{'' if after else 'on '}(in|of) (each|every) line of {{f}}, (print|show) the rest",
                      f"(print|show) the {'right' if after else 'left'} side of the {name} in (each|every) line of "
                      f"{{f}}", f"the {'values' if after else 'keys'} {side} the {name}s in {{f}}".replace("(equals "
                                                                      "sign|=)s", "equals signs")
                      .replace("(@|at sign)s", "at signs").replace("(#|hash)s", "hashes").replace("dashs",
                                                                      "dashes").replace("slashs", "slashes")),
                f"cut -d {quoted(sign)} -f {2 if after else 1} {quoted(path)}", f"show the part {side} the sign",
                f=path)


@schema("form.drop_word", "cut awk", weight=0.9)
def drop_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    if any(len(row.split(" ")) < 2 or row.startswith(" ") for row in rows(world, path)):
        raise Unsuitable("short lines")
    kind = rng.random()
    if kind < 0.5:
        return show(rng, (*sought("(each|every) line (of|in) {f} without (its|the) first word",
                                  "{f} with the first word of (each|every) line (removed|dropped|cut off)", tool="cut"),
                                  "(remove|drop|cut off|skip) the first word (of|in|from) (each|every) line (of|in) "
                                  "{f} and (print|show) the rest",
                          "(print|show) everything but the first word of (each|every) line in {f}"),
                    f"cut -d ' ' -f 2- {quoted(path)}", "show each line without its first word", f=path)
    n = rng.choice((2, 2, 3))
    return show(rng, (*sought("the first {n} words of (each|every) line (of|in) {f}", "(only|just) the first {n} "
                              "words of (each|every) line (of|in) {f}", tool="cut"), "(shorten|cut|trim) (each|every) "
                              "line of {f} to its first {n} words (and print it|)",
                      "for (each|every) line in {f}, (print|show) the first {n} words"),
                f"cut -d ' ' -f 1-{n} {quoted(path)}", f"show the first {n} words of each line", f=path, n=spelled(rng,
                                                                      n))


@schema("form.drop_end", "sed", weight=0.7)
def drop_end(world: World, rng: random.Random) -> Draft:
    path, n = list_file(world, rng, 3), rng.choice((1, 1, 2, 3))
    if min(map(len, rows(world, path))) <= n:
        raise Unsuitable("short lines")
    what = "last character" if n == 1 else "last {n} characters"
    return show(rng, (*sought(f"(each|every) line (of|in) {{f}} without (its|the) {what}",
                              f"{{f}} with the {what} of (each|every) line (removed|cut off)", tool="sed"),
                              f"(remove|drop|cut off|chop off|delete) the {what} (of|from) (each|every) line (of|in) "
                              f"{{f}} and (print|show) it"),
                f"sed 's/{'.' * n}$//' {quoted(path)}", f"show the lines without the last {n} characters", f=path,
                n=spelled(rng, n))


@schema("form.replace_shown_way", "sed", weight=1.0)
def replace_shown(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    old, new = word_in(world, rng, path), world.word()
    if new == old:
        raise Unsuitable("same")
    keep = ("(without changing the file|but leave the file as it is|the file must not change|print only|"
            "on the screen only)")
    slots: dict[str, Any] = {"f": path, "a": mark(rng, old), "b": mark(rng, new)}
    if rng.random() < 0.5:
        return show(rng, (*sought(f"{{f}} with {{a}} in any case replaced (by|with) {{b}}, {keep}", tool="sed"),
                          f"replace {{a}}, (in upper or lower case|ignoring case), (by|with) {{b}} in {{f}}, {keep}",
                          f"case-insensitively replace {{a}} (by|with) {{b}} in {{f}} {keep}",
                          "(print|show) {f} with {b} for {a}, (ignoring case|case-insensitive)"),
                    f"sed {string(f's/{old}/{new}/gi')} {quoted(path)}", f"show {path} with {new} for {old}", **slots)
    return show(rng, (*sought(f"{{f}} with (only|just) the first {{a}} of (each|every) line replaced (by|with) {{b}}, "
                              f"{keep}", tool="sed"), f"replace (only|just) the first {{a}} (in|on|of) (each|every) "
                              f"line of {{f}} (by|with) {{b}}, {keep}",
                      "(print|show) {f}, {b} instead of the first {a} in each line"),
                f"sed {string(f's/{old}/{new}/')} {quoted(path)}", f"show {path} with {new} for the first {old}",
                **slots)


@schema("form.pairs", "paste", weight=0.6)
def pairs(world: World, rng: random.Random) -> Draft:
    path, n = list_file(world, rng, 4), rng.choice((2, 2, 3))
    return show(rng, (*sought("the lines of {f} in {n} columns, row by row", "every {n} lines of {f} joined into one, "
                              "(with|separated by) a tab".replace("(with|separated by)", "separated by"), tool="paste"),
                      "join every {n} lines of {f} into one (line|), (separated by|with) tabs",
                      "(print|show) {f} with {n} (entries|lines) per line, tabs between"),
                f"paste {' '.join('-' * n)} < {quoted(path)}", f"join every {n} lines", f=path, n=spelled(rng, n))


@schema("form.base64_file", "base64", weight=0.7)
def base64_file(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        path = world.new_name("file", rng.choice(("txt", "b64", "base64")))
        world.add_file(path, base64.encodebytes(world.text(rng.randint(1, 4)).encode()).decode())
        if rng.random() < 0.4:
            target = world.new_name("file", "txt")
            return change(rng, deed("(decode|base64-decode) {f} (into|to) {t}", "decode the base64 (in|of) {f} and "
                                    "(save|write) (it|the result) (to|as|in) {t}", tool="base64"),
                          f"base64 -d {quoted(path)} > {quoted(target)}", f"decode {path} into {target}", f=path,
                          t=target)
        return show(rng, (*sought("{f} decoded from base64", "the decoded (text|contents) of the base64 file {g}",
                                  tool="base64"), "(decode|base64-decode) {f} (and print it|)",
                                  "{f} is base64, what does it say?", "what is in the base64 file {g} (when "
                                  "decoded|)?"),
                    f"base64 -d {quoted(path)}", f"decode {path}", f=path, g=path)
    path = text_file(world, rng, 1, 6)
    return show(rng, (*sought("{f} in base64", "the base64 (encoding|form|text) of {f}", tool="base64"),
                      "(encode|convert) {f} (in|as|to|into) base64 (and print it|)", "base64 encode {f}",
                      "what is {f} in base64?"),
                f"base64 {quoted(path)}", f"encode {path}", f=path)


@schema("form.dump", "xxd od", weight=0.6)
def dump(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    if rng.random() < 0.6:
        n = rng.choice((0, 0, 16, 8, 32))
        if n:
            return show(rng, (*sought("(a|the) (hex dump|hexdump) of the first {n} bytes of {f}",
                                      "the first {n} bytes of {f} in (hex|hexadecimal)", tool="xxd"),
                                      "(hexdump|xxd) the first {n} bytes of {f}"),
                        f"xxd -l {n} {quoted(path)}", f"dump {n} bytes of {path}", f=path, n=n)
        return show(rng, (*sought("(a|the) (hex dump|hexdump) of {f}", "{f} in (hex|hexadecimal)",
                                  "the bytes of {f} in (hex|hexadecimal)", tool="xxd"), "(hexdump|xxd|hex dump) {f}",
                                  "dump {f} in (hex|hexadecimal)"),
                    f"xxd {quoted(path)}", f"dump {path}", f=path)
    return show(rng, (*sought("the bytes of {f} as characters, with (escapes|backslash escapes) (like|such as) \\n",
                              "(an|the) octal dump of {f} as characters", tool="od"), "od -c {f}", "run od -c on {f}",
                              "(print|show) {f} byte by byte, as characters with escapes"),
                f"od -c {quoted(path)}", f"dump {path}", f=path)


@schema("form.sum", "md5sum sha1sum sha256sum sha512sum cut", weight=1.0)
def checksum(world: World, rng: random.Random) -> Draft:
    path, kind = text_file(world, rng, 1), rng.choice(("md5", "sha1", "sha256", "sha256", "sha512"))
    name = rng.choice((kind, kind.upper(), kind.replace("sha", "SHA-") if "sha" in kind else kind))
    if rng.random() < 0.5:
        return show(rng, (*sought(f"(only|just) the {name} (hash|checksum|sum|digest) of {{f}}, (without|not) the "
                                  f"file name", f"the bare {name} (hash|checksum) of {{f}}"),
                                  f"what is the {name} (hash|checksum) of {{f}}? (only the hash|no file name|just the "
                                  f"hash)"),
                    f"{kind}sum {quoted(path)} | cut -d ' ' -f 1", f"compute the {kind} of {path}", f=path)
    return show(rng, (*sought(f"the {name} (hash|checksum|sum|digest) of {{f}}", tool=f"{kind}sum"),
                      f"what is the {name} (hash|checksum|sum) of {{f}}?", f"(compute|calculate|get) the {name} of "
                      f"{{f}}", f"{kind}sum {{f}}"),
                f"{kind}sum {quoted(path)}", f"compute the {kind} of {path}", f=path)
