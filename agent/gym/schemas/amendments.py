"""Changes of a text in place, beyond the plain replacement: by place, by pattern, with odd signs, of line ends."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym import names, records
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.excerpts import commented, rows
from nimllm.agent.gym.schemas.frames import change, deed, mark, spelled
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import ordinal, pattern_in, table, text_file, word_in
from nimllm.agent.gym.worlds import World

_DELETE = "(delete|remove|drop|get rid of|strip out|throw out|take out|kill)"
_REPLACE = "(replace|change|substitute|swap)"
_PUT = "(insert|add|put)"


def _line(world: World, rng: random.Random) -> str:
    """A line to insert."""
    return rng.choice((" ".join(world.words(rng.randint(1, 4))), f"{world.word()} = {world.number()}",
                       f"{world.word()}: {world.word()}", f"{world.name()}, {world.number()}", f"- {world.word()}"))


@schema("amend.replace_any_case", "sed", weight=1.0)
def replace_any_case(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    word, new = word_in(world, rng, path), world.word()
    old = rng.choice((word.lower(), word.upper(), word))
    case = "(ignoring case|in any case|case-insensitively|upper or lower case|whatever its case|no matter the case)"
    return change(rng, deed(f"{_REPLACE} (every|each|all|) {{a}} (by|with) {{b}} in {{f}}, "
                            f"{case}".replace("substitute|swap", "overwrite"),
                            f"in {{f}}, (turn|change) (every|all|) {{a}} into {{b}}, {case}", tool="sed"),
                  f"sed -i {string(f's/{old}/{new}/gi')} {quoted(path)}", f"replace {old} with {new} in {path}", f=path,
                  a=mark(rng, old), b=mark(rng, new))


@schema("amend.replace_whole_word", "sed", weight=1.0)
def replace_whole_word(world: World, rng: random.Random) -> Draft:
    path, new = text_file(world, rng, 1), world.word()
    old = word_in(world, rng, path, 2)
    if not re.search(rf"\b{old}\b", world.read(path)):
        raise Unsuitable("inside")
    script = rf"s/\b{old}\b/{new}/g"
    whole = "(as a whole word|whole words only|but not inside other words|only where it is a word of its own)"
    return change(rng, deed(f"replace {{a}} (by|with) {{b}} in {{f}}, {whole}", f"(change|rename) the word {{a}} to "
                            f"{{b}} in {{f}}, {whole}", tool="sed"),
                  f"sed -i {string(script)} {quoted(path)}", f"replace the word {old} with {new}",
                  f=path, a=mark(rng, old), b=mark(rng, new))


@schema("amend.replace_path", "sed", weight=1.2)
def replace_path(world: World, rng: random.Random) -> Draft:
    def place() -> str:
        return rng.choice((f"/{world.word()}/{world.word()}", f"/var/{world.word()}",
                           f"/home/{rng.choice(names.FIRST).lower()}", f"http://{world.word()}",
                           f"https://{world.word()}",
                           f"{world.word()}/{world.word()}", f"/opt/{world.word()}/bin"))
    old, new = place(), place()
    path = world.new_name("file", rng.choice(("txt", "conf", "sh", "md", "yaml")))
    lines = [f"{world.word()}={old}/{world.word()}" if rng.random() < 0.4 else " ".join(world.words(3))
             for _ in range(rng.randint(3, 8))]
    world.add_file(path, "\n".join([*lines, f"{world.word()} {old}"]) + "\n")
    if old == new:
        raise Unsuitable("same")
    return change(rng, deed("replace (the path|every|all|) {a} (by|with) {b} in {f}".replace("the path|", ""),
                            "change {a} to {b} (everywhere|) in {f}", "(in {f}, replace|in {f}, change) {a} to "
                            "{b}".replace("(in {f}, replace|in {f}, change)", "in {f}, change"),
                            "update {f}: {a} (becomes|is now) {b}", tool="sed"),
                  f"sed -i {string(f's|{old}|{new}|g')} {quoted(path)}", f"replace {old} with {new}", f=path,
                  a=mark(rng, old, 0.25), b=mark(rng, new, 0.25))


@schema("amend.replace_phrase", "sed", weight=1.3)
def replace_phrase(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    found = sorted({text for row in rows(world, path) for text in re.findall(r"[A-Za-z]+(?: [A-Za-z]+){1,3}", row)})
    if not found:
        raise Unsuitable("no phrase")
    old, new = rng.choice(found), " ".join(world.words(rng.randint(1, 4)))
    if rng.random() < 0.2:
        new = new.capitalize() + rng.choice(("!", "?", " (new)"))
    if old in new:
        raise Unsuitable("same")
    return change(rng, deed("replace (the phrase|the text|the words|) {a} (by|with) {b} in {f}",
                            "change (the phrase|the text|) {a} to {b} in {f}", "(rewrite|edit) {f} so that {a} "
                            "(becomes|reads|says) {b}",
                            "put {b} (in place of|instead of|where it says) {a} in {f}", tool="sed"),
                  f"sed -i {string(f's/{old}/{new}/g')} {quoted(path)}", "replace the phrase", f=path, a=mark(rng, old,
                                                                      1), b=mark(rng, new, 1))


@schema("amend.replace_in_line", "sed", weight=0.9)
def replace_in_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    found = [(number, word) for number, row in enumerate(rows(world, path), 1) for word in re.findall("[A-Za-z]{3,}",
                                                                      row)]
    if not found:
        raise Unsuitable("no word")
    (n, old), new = rng.choice(found), world.word()
    if old == new:
        raise Unsuitable("same")
    place = "(on line {n}|in line {n}|on the {o} line)"
    return change(rng, (*deed(f"replace {{a}} (by|with) {{b}} {place} of {{f}} (only|)",
                              f"change {{a}} to {{b}} {place} of {{f}} (only|)", tool="sed"),
                              f"{place} of {{f}}, (change|replace) {{a}} (to|with) {{b}}",
                        "line {n} of {f}: {a} should be {b}"),
                  f"sed -i {string(f'{n}s/{old}/{new}/g')} {quoted(path)}", f"replace {old} with {new} on line {n}",
                  f=path, a=mark(rng, old), b=mark(rng, new), n=n, o=ordinal(n))


@schema("amend.replace_where", "sed", weight=0.8)
def replace_where(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    row = rng.choice([sorted(set(re.findall("[A-Za-z]{3,}", row))) for row in rows(world, path)])
    if len(row) < 2:
        raise Unsuitable("short lines")
    (where, old), new = rng.sample(row, 2), world.word()
    if where in old or old in where or old == new:
        raise Unsuitable("same")
    return change(rng, (*deed("replace {a} (by|with) {b} in {f}, but only (on|in) lines (with|containing|that "
                              "contain) {w}", "change {a} to {b} (on|in) (the|all) lines of {f} (with|that "
                              "contain|that mention) {w}", tool="sed"),
                        "in the {w} lines of {f}, (change|replace) {a} (to|with) {b}", "(on|in) every line of {f} "
                        "(with|containing) {w}, {a} (should become|becomes) {b}"),
                  f"sed -i {string(f'/{where}/s/{old}/{new}/g')} {quoted(path)}", f"replace {old} with {new} where "
                  f"{where} is", f=path, a=mark(rng, old), b=mark(rng, new), w=mark(rng, where))


@schema("amend.delete_text", "sed", weight=1.0)
def delete_text(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    old = pattern_in(world, rng, path)
    return change(rng, deed(f"{_DELETE} (the word|the text|every|all occurrences of|) {{a}} (from|in) {{f}} (, but "
                            f"keep the lines|, not the whole lines|, only the text itself)".replace("(the word|the "
                                                                      "text|every|all occurrences of|)",
                                                                      "(every|all occurrences of)"),
                            "replace {a} (by|with) nothing in {f}", "erase (every|each) {a} in {f}, (keep|but leave) "
                            "the rest of the lines", tool="sed"),
                  f"sed -i {string(f's/{old}//g')} {quoted(path)}", f"remove {old} from {path}", f=path, a=mark(rng,
                                                                      old))


@schema("amend.insert_by", "sed", weight=1.4)
def insert_by(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    word, text, after = word_in(world, rng, path), _line(world, rng), rng.random() < 0.6
    if text.startswith("-"):
        text = text[2:]
    how = "a" if after else "i"
    side = "(after|below|under|right after|directly after)" if after else "(before|above|right before)"
    return change(rng, deed(f"{_PUT} (the line|a line|) {{t2}} {side} (the line|each line|every line) "
                            f"(with|containing|that contains) {{w}} in {{f}}".replace("the line|each", "each"),
                            f"in {{f}}, {side} (each|every) line (with|that contains|that mentions) {{w}}, {_PUT} "
                            f"{{t2}}", f"{_PUT} a line saying {{t2}} {side} (each|every) {{w}} line (in|of) {{f}}",
                            tool="sed"),
                  f"sed -i {string(f'/{word}/{how} {text}')} {quoted(path)}",
                  f"insert the line by {word}", f=path, w=mark(rng, word), t2=mark(rng, text, 0.8))


@schema("amend.change_line", "sed", weight=1.0)
def change_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    word, text = word_in(world, rng, path), _line(world, rng)
    if text.startswith("-"):
        text = text[2:]
    return change(rng, deed("replace the (whole|entire) line (with|containing|that contains) {w} in {f} (by|with) {t2}",
                            "change (the|each|every) line (of|in) {f} (with|that contains|containing) {w} to "
                            "{t2}".replace("the|each", "each"),
                            "(each|every) line (with|containing) {w} in {f} should (be|become|read) {t2}", tool="sed"),
                  f"sed -i {string(f's/.*{word}.*/{text}/')} {quoted(path)}", f"change the lines with {word}", f=path,
                  w=mark(rng, word), t2=mark(rng, text, 0.8))


@schema("amend.keep_first", "sed", weight=1.0)
def keep_first(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 5)
    total = len(rows(world, path))
    n = rng.randint(2, min(12, total - 1))
    if rng.random() < 0.5:
        return change(rng, (*deed("keep only the first {n} lines of {f}", f"(cut|shorten|trim|truncate) "
                                  f"{{f}} (to|after) {'its first {n} lines'}", f"{_DELETE} everything (after|below) "
                                  f"line {{n}} (of|in|from) {{f}}", tool="sed"), "{f} should only have its first {n} "
                                  "lines"),
                      f"sed -i '{n + 1},$d' {quoted(path)}", f"keep the first {n} lines", f=path, n=n)
    if n == 1 or n >= total:
        raise Unsuitable("one line")
    return change(rng, (*deed(f"{_DELETE} the first {{n}} lines (of|from|in) {{f}}", f"{_DELETE} lines 1 to "
                              f"{{n}} (of|from) {{f}}", tool="sed"), "the first {n} lines of {f} (must|can|should) go",
                              "cut off the (first|top) {n} lines of {f}"),
                  f"sed -i 1,{n}d {quoted(path)}", f"delete the first {n} lines", f=path, n=spelled(rng, n))


@schema("amend.delete_from", "sed", weight=0.8)
def delete_from(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.randint(2, len(rows(world, path)))
    return change(rng, (*deed(f"{_DELETE} everything from line {{n}} (on|to the end) (in|of) {{f}}",
                              f"{_DELETE} line {{n}} and (everything|all lines) after it (in|from) {{f}}",
                              f"{_DELETE} lines {{n}} to the end (of|in) {{f}}", tool="sed"),
                              "cut {f} off (at|from) line {n} (on|)".replace("(at|from) line {n} (on|)",
                                                                      "from line {n} on")),
                  f"sed -i '{n},$d' {quoted(path)}", f"delete from line {n} on", f=path, n=n)


@schema("amend.delete_two", "sed", weight=0.7)
def delete_two(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    a, b = sorted(rng.sample(range(1, min(25, len(rows(world, path))) + 1), 2))
    return change(rng, deed(f"{_DELETE} lines {{a}} and {{b}} (of|from|in) {{f}}", f"{_DELETE} the {{x}} and (the|) "
                            f"{{y}} line (of|from|in) {{f}}", tool="sed"),
                  f"sed -i '{a}d;{b}d' {quoted(path)}", f"delete lines {a} and {b}", f=path, a=a, b=b, x=ordinal(a),
                  y=ordinal(b))


@schema("amend.delete_kind", "sed", weight=1.4)
def delete_kind(world: World, rng: random.Random) -> Draft:
    at = rng.random()
    if at < 0.45:
        path = commented(world, rng)
        if rng.random() < 0.5:
            return change(rng, (*deed(f"{_DELETE} (all|the|all the|) (comments|comment lines|lines starting with #) "
                                      f"(from|in|of) {{f}}", f"{_DELETE} every (comment|comment line|line that starts "
                                      f"with #) (from|in) {{f}}", tool="sed"), "{f} should have no comments (any "
                                      "more|)", "clean {f} of comments"),
                          f"sed -i '/^#/d' {quoted(path)}", f"delete the comments of {path}", f=path, protected=("#",))
        return change(rng, (*deed(f"{_DELETE} (all|the|) comments and (blank|empty) lines (from|in) {{f}}",
                                  f"{_DELETE} (comment|#) lines and (blank|empty) lines (from|in) {{f}}", tool="sed"),
                                  "leave only the real settings in {f}: no comments, no blank lines"),
                      f"sed -i '/^#/d;/^$/d' {quoted(path)}", f"delete comments and blank lines of {path}", f=path,
                      protected=("#",))
    path = text_file(world, rng, 3)
    word = word_in(world, rng, path)
    starts = [row.split()[0] for row in rows(world, path) if row[:1].isalpha() and row.split()[0].isalnum()]
    ends = [row.split()[-1] for row in rows(world, path) if row[-1:].isalnum() and row.split()[-1].isalnum()]
    if at < 0.6 and starts:
        word = rng.choice(starts)
        return change(rng, deed(f"{_DELETE} (all|the|all the|) lines (of|in|from) {{f}} (starting|that "
                                f"start|beginning|that begin) with {{w}}", f"{_DELETE} every line "
                                f"(starting|beginning) with {{w}} (from|in) {{f}}", tool="sed"),
                      f"sed -i {string(f'/^{word}/d')} {quoted(path)}", f"delete the lines starting with {word}",
                      f=path, w=mark(rng, word))
    if at < 0.75 and ends:
        word = rng.choice(ends)
        return change(rng, deed(f"{_DELETE} (all|the|all the|) lines (of|in|from) {{f}} (ending|that end) (with|in) "
                                f"{{w}}", f"{_DELETE} every line ending (with|in) {{w}} (from|in) {{f}}", tool="sed"),
                      f"sed -i {string(f'/{word}$/d')} {quoted(path)}", f"delete the lines ending with {word}", f=path,
                      w=mark(rng, word))
    if all(word in row for row in rows(world, path)):
        raise Unsuitable("all lines")
    return change(rng, (*deed(f"{_DELETE} (all|the|all the|) lines (of|in|from) {{f}} (that do not|that don't) "
                              f"(contain|mention|have) {{w}}", f"{_DELETE} (all|the) lines without {{w}} (from|in) "
                              f"{{f}}", "keep only the lines (with|containing|that contain) {w} in {f}", tool="sed"),
                              "{f} should only have lines (with|containing) {w}"),
                  f"sed -i {string(f'/{word}/!d')} {quoted(path)}", f"keep the lines with {word}", f=path, w=mark(rng,
                                                                      word))


@schema("amend.delete_between", "sed", weight=0.7)
def delete_between(world: World, rng: random.Random) -> Draft:
    pool = list(dict.fromkeys(word for word in world.words(24) if word.isalnum()))
    a, b = (word.upper() for word in pool[:2])
    lines = [" ".join(rng.sample(pool[2:], 2)) for _ in range(rng.randint(6, 11))]
    first = rng.randint(1, len(lines) - 4)
    lines[first], lines[rng.randint(first + 1, len(lines) - 2)] = a, b
    path = world.new_name("file", rng.choice(("txt", "md", "conf")))
    world.add_file(path, "\n".join(lines) + "\n")
    return change(rng, deed(f"{_DELETE} (everything|all lines|the lines|the block) from {{a}} (to|through|until) "
                            f"{{b}} (in|from|of) {{f}} (, both included|, including both|)",
                            f"{_DELETE} the (block|section|part) of {{f}} that starts with {{a}} and ends with {{b}}",
                            tool="sed"),
                  f"sed -i '/{a}/,/{b}/d' {quoted(path)}", f"delete from {a} to {b}", f=path, a=mark(rng, a),
                  b=mark(rng, b))


@schema("amend.line_ends", "sed", weight=1.2)
def line_ends(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "csv", "sh", "py", "md")))
    text = world.text(rng.randint(2, 6))
    if rng.random() < 0.7:
        world.add_file(path, text.replace("\n", "\r\n"))
        return change(rng, (*deed("convert {f} from (dos|DOS|Windows|windows) to (unix|Unix|Linux|linux) line "
                                  "(ends|endings)", "(remove|strip|delete) the carriage returns (from|in) {f}",
                                  "(convert|change) the (line ends|line endings|CRLFs) (of|in) {f} (from CRLF|) to "
                                  "(LF|unix style)", "(fix|correct) the (Windows|dos) line (ends|endings) (of|in) {f}",
                                  tool="sed"),
                            "{f} has (windows|dos|CRLF) line endings, (convert them to unix|fix that|make them LF)",
                            "dos2unix {f} (without dos2unix|)", "{f} came from a windows machine and has ^M at the "
                            "line ends, (clean it up|remove them)"),
                      f"sed -i 's/\\r$//' {quoted(path)}", f"convert {path} to unix line ends", f=path)
    world.add_file(path, text)
    return change(rng, deed("convert {f} (from (unix|Linux) |)to (dos|DOS|Windows|windows) line (ends|endings)",
                            "give {f} (CRLF|windows|dos) line (ends|endings)", "(change|convert) the line "
                            "(ends|endings) (of|in) {f} to CRLF", tool="sed"),
                  f"sed -i 's/$/\\r/' {quoted(path)}", f"convert {path} to dos line ends", f=path)


@schema("amend.case", "sed", weight=1.0)
def case(world: World, rng: random.Random) -> Draft:
    path, lower = text_file(world, rng, 1, 30), rng.random() < 0.5
    if world.read(path) == (world.read(path).lower() if lower else world.read(path).upper()):
        raise Unsuitable("nothing to change")
    name = "(lower case|lowercase|small letters)" if lower else "(upper case|uppercase|capitals|capital letters)"
    return change(rng, (*deed(f"(convert|change|turn) {{f}} (to|into) {name} (in place|, changing the file|and save "
                              f"it)", f"make (everything|all letters|all text) in {{f}} {name} (, in the file "
                              f"itself|and save it|)", tool="sed"), f"{{f}} should be (all|entirely) in {name} (, "
                              f"change the file|, in place)"),
                  f"sed -i 's/.*/\\{'L' if lower else 'U'}&/' {quoted(path)}", f"change the case of {path}", f=path)


@schema("amend.whitespace", "sed", weight=1.0)
def whitespace(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "md", "py", "csv")))
    world.add_file(path, "".join(rng.choice(("", "  ", "\t", "    ")) + "  ".join(world.words(rng.randint(1, 3)))
                                 + rng.choice(("", " ", "   ")) + "\n" for _ in range(rng.randint(3, 8))) + "  end \n")
    kind = rng.random()
    if kind < 0.35:
        return change(rng, (*deed(f"{_DELETE} (all|the|) leading (blanks|spaces|whitespace) (from|in) {{f}}",
                                  "(left-trim|ltrim|unindent) (all|the) lines of {f}", f"{_DELETE} the "
                                  f"(blanks|spaces|whitespace) at the (beginning|start) of (each|every) line (in|of) "
                                  f"{{f}}", tool="sed"), "no line of {f} should (start|begin) with "
                                  "(blanks|whitespace)"),
                      f"sed -i 's/^[ \\t]*//' {quoted(path)}", f"strip leading blanks in {path}", f=path)
    if kind < 0.65:
        return change(rng, deed("(trim|strip) (leading and trailing|both leading and trailing) "
                                "(blanks|whitespace|spaces) (in|from|of) {f}", "trim (each|every) line of {f} (on "
                                "both sides|left and right|at both ends)", tool="sed"),
                      f"sed -i 's/^[ \\t]*//;s/[ \\t]*$//' {quoted(path)}", f"trim the lines of {path}", f=path)
    return change(rng, deed("(squeeze|collapse|reduce) (multiple|repeated|several|runs of) (blanks|spaces) (in|of) "
                            "{f} (to|into) one (in place|, change the file)", "replace (multiple|several|runs of) "
                            "(blanks|spaces) (by|with) (one|a single one) in {f} (, in the file itself|)", tool="sed"),
                  f"sed -i 's/  */ /g' {quoted(path)}", f"squeeze the blanks of {path}", f=path)


@schema("amend.backup", "sed", weight=0.9)
def backup(world: World, rng: random.Random) -> Draft:
    path, ext = text_file(world, rng, 1), rng.choice((".bak", ".bak", ".orig", ".old"))
    old, new = word_in(world, rng, path), world.word()
    if old == new or path + ext in world.entries:
        raise Unsuitable("same")
    keep = ("(keeping|and keep|but keep|but save) (a backup|the original|the old version|a copy) "
            "(as|in|with the suffix|with the extension) {e}")
    return change(rng, deed(f"replace {{a}} (by|with) {{b}} in {{f}}, {keep}", f"change {{a}} to {{b}} in {{f}}, "
                            f"{keep}", tool="sed -i"),
                  f"sed -i{ext} {string(f's/{old}/{new}/g')} {quoted(path)}", f"replace {old} with {new}, keep a "
                  f"backup", f=path, a=mark(rng, old), b=mark(rng, new), e=ext)


@schema("amend.to_several", "sed", weight=1.2)
def to_several(world: World, rng: random.Random) -> Draft:
    found = sorted({path.rsplit(".", 1)[1] for path in world.texts() if "/" not in path and "." in path[1:]})
    if not found or not (ext := rng.choice(found)).isalnum():
        raise Unsuitable("no extension")
    path = rng.choice([path for path in world.texts() if "/" not in path and path.endswith("." + ext)])
    old, new = word_in(world, rng, path), world.word()
    if old == new:
        raise Unsuitable("same")
    return change(rng, deed("replace {a} (by|with) {b} in (all|the|all the|every one of the) {e} files (here|in this "
                            "folder|)", "change {a} to {b} in (all|every one of the) {e} files",
                            "(all|every) {e} files (here|) should (say|have) {b} instead of {a}".replace("(all|every) "
                                                                      "{e} files (here|) should (say|have)",
                                                                      "make all {e} files say"),
                            "in all {e} files, (replace|change) {a} (by|to) {b}".replace("(by|to)", "to"), tool="sed"),
                  f"sed -i {string(f's/{old}/{new}/g')} *.{ext}", f"replace {old} with {new} in the .{ext} files",
                  e=rng.choice((f".{ext}", f"*.{ext}")), a=mark(rng, old), b=mark(rng, new))


@schema("amend.append_several", "printf", weight=1.2)
def append_several(world: World, rng: random.Random) -> Draft:
    path, texts = text_file(world, rng, 1), [" ".join(world.words(rng.randint(1, 2))) for _ in range(rng.randint(2, 3))]
    listed = " and ".join(mark(rng, text, 0.9) for text in texts) if len(texts) == 2 else ", ".join(mark(rng, text,
                                                                      0.9) for text in texts[:2]) + " and " + mark(rng,
                                                                      texts[2], 0.9)
    return change(rng, (*deed("(append|add) the lines {x} to {f}", "(append|add) {x} to {f}, each on (its|a) "
                              "(own|separate) line".replace("(its|a) (own|separate) line", "its own line"),
                              "put {x} at the end of {f}, one per line", tool="printf"),
                              "{f} needs {k} more lines: {x}"),
                  f"printf '%s\\n' {' '.join(string(text) for text in texts)} >> {quoted(path)}",
                  f"append the lines to {path}", f=path, x=listed, k=spelled(rng, len(texts)), protected=tuple(texts))


@schema("amend.append_to_line", "sed", weight=0.9)
def append_to_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    text, at = world.word(), rng.random()
    if at < 0.5:
        n, end = rng.randint(1, min(15, len(rows(world, path)))), rng.random() < 0.6
        where, edge = ("end", "$") if end else ("beginning", "^")
        return change(rng, deed(f"{_PUT} {{t2}} at the {where} of line {{n}} (of|in) {{f}}",
                                f"{'append' if end else 'prepend'} {{t2}} to line {{n}} (of|in) {{f}}",
                                f"in line {{n}} of {{f}}, {_PUT} {{t2}} at the {where}", tool="sed"),
                      f"sed -i {string(f'{n}s/{edge}/{text}/')} {quoted(path)}", f"add it to line {n}",
                      f=path, n=n, t2=mark(rng, text, 0.8))
    word = word_in(world, rng, path)
    return change(rng, deed(f"{_PUT} {{t2}} (in front of|at the beginning of) (each|every) line (with|containing) "
                            f"{{w}} in {{f}}", "prefix (all|the) lines (with|containing) {w} in {f} with {t2}",
                            tool="sed"),
                  f"sed -i {string(f'/{word}/s/^/{text}/')} {quoted(path)}", f"put it before the lines with {word}",
                  f=path, w=mark(rng, word), t2=mark(rng, text, 0.8))


@schema("amend.column_separator", "sed", weight=0.9)
def separator(world: World, rng: random.Random) -> Draft:
    path, _ = table(world, rng, 3)
    sign, name = rng.choice(((";", "semicolons"), ("\\t", "tabs"), ("|", "pipes"), (":", "colons")))
    one = name[:-1]
    return change(rng, (*deed(f"(replace|change) (all|the|all the) commas (in|of) {{f}} (by|with|to) {name} (in "
                              f"place|, in the file itself|)".replace("(by|with|to)", "to").replace("(replace|change)",
                                                                      "change"), f"(turn|convert) the commas of "
                                                                      f"{{f}} into {name} (in place|)",
                                                                      f"make {{f}} {one}-separated instead of "
                                                                      f"comma-separated (, in place|)", tool="sed"),
                                                                      f"{{f}} should use {name} (as separators|) "
                                                                      f"instead of commas"),
                  f"sed -i 's/,/{sign}/g' {quoted(path)}", f"change the commas of {path} to {name}", f=path)


@schema("amend.accounts", "sed", weight=0.6)
def account(world: World, rng: random.Random) -> Draft:
    path = rng.choice(("passwd", "passwd.txt", "users.txt"))
    if path in world.entries:
        raise Unsuitable("taken")
    world.add_file(path, records.accounts(rng, 7))
    user, *_, shell = rng.choice(rows(world, path)).split(":")
    new = rng.choice([other for other in ("/bin/bash", "/bin/zsh", "/usr/sbin/nologin", "/bin/sh") if other != shell])
    return change(rng, deed("(set|change) the (shell|login shell) of {u} (in|of) {f} to {b}".replace("(in|of) {f}",
                                                                      "in {f}"), "give {u} the shell {b} in {f}",
                                                                      "in {f}, {u} should (have|get) {b} as shell",
                                                                      tool="sed"),
                  f"sed -i '/^{user}:/s|{shell}$|{new}|' {quoted(path)}", f"change the shell of {user}", f=path, u=user,
                  b=new)


@schema("amend.ensure_line", "grep echo", weight=0.9)
def ensure_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    line = rng.choice((f"{world.word()}={world.number()}", world.word(), f"{world.word()}.{world.ext()}"))
    if line in world.read(path):
        raise Unsuitable("there")
    return change(rng, deed("(add|append) {x} to {f} (unless it is already there|if it is not (there|in it) yet|if it "
                            "is missing|only if it isn't there)", "make sure (that|) {f} (has|contains) the line {x}, "
                            "(add|append) it if (not|it is missing)", tool="grep"),
                  f"grep -qxF {string(line)} {quoted(path)} || echo {string(line)} >> {quoted(path)}",
                  f"add the line to {path} if it is missing", f=path, x=mark(rng, line))
