"""Changing text files, and writing new ones from old ones."""

from __future__ import annotations

import random

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import deed, sought
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, list_file, ordinal, pattern_in, text_file, word_in
from nimllm.agent.gym.worlds import World


@schema("text.replace", "sed", weight=2.5)
def replace_word(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    old = pattern_in(world, rng, path)
    new = rng.choice((world.word(), world.word(), str(world.number()), world.word().capitalize()))
    if new == old:
        raise Unsuitable("same")
    quote = rng.choice(("", "", "", '"', "'"))
    return single(rng, (*deed("replace (every|each|all|) {a} (by|with) {b} (in|throughout) {f}",
                              "change (every|each|all|) {a} (to|into) {b} in {f}", "(update|edit|fix) {f}: {a} "
                              "(becomes|is now|should be) {b}", "(rename|turn) {a} (to|into) {b} (everywhere|) in {f}",
                              tool="sed"), "{a} -> {b} in {f}", "wherever {f} says {a}, it should say {b}",
                              "there is a mistake in {f}: {a} must be {b}", "find and replace in {f}: {a} "
                              "(with|by|to) {b}",
            
        "replace (all occurrences of|every|all|) {a} (with|by) {b} in {f}",
        "(change|turn) (every|each|) {a} (to|into) {b} in {f}", "in {f}, replace {a} (with|by) {b} (everywhere|)",
        "substitute {b} for {a} in {f}", "(change|replace) the (word|text) {a} (to|with) {b} in {f}",
        "{a} should (be|read) {b} in {f}", "sed {a} to {b} in {f}", "(swap|exchange) {a} for {b} in {f}"),
        f"sed -i {string(f's/{old}/{new}/g')} {quoted(path)}", f"replace {old} with {new} in {path}", False,
        protected=(old, new), f=path, a=f"{quote}{old}{quote}", b=f"{quote}{new}{quote}")


@schema("text.replace_shown", "sed", weight=0.8)
def replace_shown(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    old, new = word_in(world, rng, path), world.word()
    if new == old:
        raise Unsuitable("same")
    return single(rng, (*sought("{f} with {b} (instead of|in place of|for) {a} (, the file itself unchanged|, without "
                                "saving)", tool="sed"),
            
        f"{PRINT} {{f}} with {{a}} replaced (by|with) {{b}} (but do not change the file|without changing the file)",
        "what would {f} (look like|be) with {b} instead of {a}?",
        f"{PRINT} {{f}} with {{b}} instead of {{a}}", "show {f} as if {a} were {b}",
        "(print|show) the text of {f}, {a} replaced (by|with) {b}, (leave|keep) the file (as it is|unchanged)",
        "preview {f} with every {a} changed to {b}"),
        f"sed {string(f's/{old}/{new}/g')} {quoted(path)}", f"show {path} with {new} for {old}", True, ordered=True,
        f=path, a=old, b=new)


@schema("text.replace_first", "sed", weight=0.6)
def replace_line_number(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    n = rng.randint(1, min(15, world.read(path).count("\n")))
    text = " ".join(world.words(rng.randint(1, 3)))
    return single(rng, (*deed("(replace|overwrite) line {n} (of|in) {f} (with|by) {t}".replace("(with|by)", "with"),
                              "(set|change) the {o} line (of|in) {f} to {t}", tool="sed"),
                              "{f}: line {n} should be {t}",
            
        "replace line {n} of {f} (with|by) {t}", "change line {n} (of|in) {f} to {t}",
        "line {n} of {f} should (be|say|read) {t}", "set line {n} (of|in) {f} to {t}",
        "put {t} on line {n} of {f} instead of what is there",
        "(overwrite|change) the {o} line of {f} (with|to) {t}"),
        f"sed -i {string(f'{n}s/.*/{text}/')} {quoted(path)}", f"change line {n} of {path}", False, protected=(text,),
        f=path, n=n, o=ordinal(n), t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("text.insert", "sed", weight=0.7)
def insert(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    n = rng.randint(1, min(12, world.read(path).count("\n")))
    text, after = " ".join(world.words(rng.randint(1, 3))), rng.random() < 0.6
    side = "after" if after else "before"
    return single(rng, (*deed(f"(insert|add|put) {{t}} {side} line {{n}} (of|in|into) {{f}}",
                              f"(insert|add) a (new|) line {{t}} {side} the {{o}} line (of|in) {{f}}", tool="sed"),
            
        f"(insert|add|put) (the line|) {{t}} {side} line {{n}} (of|in) {{f}}",
        f"in {{f}}, (insert|add) {{t}} {side} line {{n}}",
        f"(add|insert) a (new|) line (with|) {{t}} {side} line {{n}} (of|in) {{f}}",
        f"put {{t}} {side} the {{o}} line of {{f}}", f"{{f}} needs the line {{t}} {side} line {{n}}",
        f"{side} line {{n}} of {{f}}, (insert|add) {{t}}"),
        f"sed -i {string(f'{n}{chr(97) if after else chr(105)} {text}')} {quoted(path)}",
        f"insert the line {side} line {n} of {path}", False, protected=(text,), f=path, n=n, o=ordinal(n),
        t=rng.choice((text, f'"{text}"', f"'{text}'")))


@schema("text.delete_matching", "sed", weight=1.6)
def delete_matching(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    word = pattern_in(world, rng, path)
    return single(rng, (*deed("(delete|remove|drop|get rid of|strip|throw out|take out|erase) (all|the|all the|) "
                              "(lines|rows|entries) (with|containing|that contain|that mention|mentioning) {w} "
                              "(from|in|of) {f}", "(delete|remove|drop|get rid of|strip|throw out|take out|erase) "
                              "(every|each|any) line (with|that contains) {w} (from|in) {f}", tool="sed"),
                              "no line in {f} should (mention|contain) {w}", "{f}: (delete|remove) lines with {w}",
            
        "(delete|remove) (all|the|all the|) lines (with|containing|that contain) {w} (from|in) {f}",
        "(delete|remove) every line (with|containing) {w} (from|in) {f}",
        "in {f}, (delete|drop|remove) (the|all) lines with {w}",
        "(get rid of|throw out) the lines (with|that mention) {w} in {f}",
        "{f} should have no lines (with|containing) {w}", "(clean|strip) {f} of (all|) lines (with|containing) {w}"),
        f"sed -i {string(f'/{word}/d')} {quoted(path)}", f"delete the lines with {word} from {path}", False,
        protected=(word,), f=path, w=rng.choice((word, word, f'"{word}"')))


@schema("text.delete_line", "sed", weight=1.2)
def delete_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    total = world.read(path).count("\n")
    at = rng.random()
    if at < 0.25:
        which, address, words = "last", "$d", "the last line"
    elif at < 0.45:
        which, address, words = "first", "1d", "the first line"
    else:
        n = rng.randint(2, min(20, total))
        return single(rng, (*deed("(delete|remove|drop|get rid of|strip|throw out|take out|erase) line (number|no.|) "
                                  "{n} (of|from|in) {f}", "(delete|remove|drop|get rid of|strip|throw out|take "
                                  "out|erase) the {o} (line|row) (of|from|in) {f}", tool="sed"), "{f}: delete line {n}",
            
            "(delete|remove) line {n} (of|from|in) {f}", "(delete|remove) the {o} line (of|from|in) {f}",
            "line {n} of {f} (can go|must go|should go)", "in {f}, (delete|drop|remove) line {n}",
            "drop line (number|) {n} (of|from) {f}", "(get rid of|throw away) line {n} (in|of) {f}"),
            f"sed -i {n}d {quoted(path)}", f"delete line {n} of {path}", False, f=path, n=n, o=ordinal(n))
    return single(rng, (*deed(f"(delete|remove|drop|get rid of|strip|throw out|take out|erase) the {which} (line|row) "
                              f"(of|from|in) {{f}}", tool="sed"), f"{{f}}: delete the {which} line",
            
        f"(delete|remove) the {which} line (of|from|in) {{f}}", f"the {which} line of {{f}} (can go|must go|should go)",
        f"in {{f}}, (delete|drop|remove) the {which} line", f"drop the {which} line (of|from) {{f}}",
        f"(get rid of|throw away) the {which} line (in|of) {{f}}", f"cut off the {which} line of {{f}}"),
        f"sed -i '{address}' {quoted(path)}", f"delete {words} of {path}", False, f=path)


@schema("text.delete_lines", "sed", weight=0.8)
def delete_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    total = world.read(path).count("\n")
    a = rng.randint(1, min(15, total - 1))
    b = rng.randint(a + 1, min(total, a + 6))
    return single(rng, (*deed("(delete|remove|drop|get rid of|strip|throw out|take out|erase) lines {a} "
                              "(to|through|until|-) {b} (of|from|in) {f}", tool="sed"), "{f}: delete lines {a}-{b}",
            
        "(delete|remove) lines {a} to {b} (of|from|in) {f}", "(delete|remove) lines {a}-{b} (of|from|in) {f}",
        "lines {a} to {b} of {f} (can go|must go|should go)", "in {f}, (delete|drop|remove) lines {a} (to|through) {b}",
        "drop lines {a} (to|through) {b} (of|from) {f}", "(cut|throw) lines {a} to {b} out of {f}"),
        f"sed -i {a},{b}d {quoted(path)}", f"delete lines {a} to {b} of {path}", False, f=path, a=a, b=b)


@schema("text.delete_empty", "sed", weight=1.0)
def delete_empty(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "md", "log")))
    rows = world.text(rng.randint(3, 9)).splitlines()
    for _ in range(rng.randint(1, 4)):
        rows.insert(rng.randint(0, len(rows)), "")
    world.add_file(path, "\n".join(rows) + "\n")
    return single(rng, (*deed("(delete|remove|drop|get rid of|strip|throw out|take out|erase) (all|the|all the|) "
                              "(empty|blank) lines (from|in|of) {f}", "(delete|remove|drop|get rid of|strip|throw "
                              "out|take out|erase) every (empty|blank) line (from|in) {f}", tool="sed"),
                              "{f}: no (blank|empty) lines any more", "close the gaps in {f}, no empty lines",
            
        "(delete|remove) (all|the|all the|) (empty|blank) lines (from|in|of) {f}",
        "(get rid of|drop|strip) (the|all|) (blank|empty) lines in {f}",
        "{f} has (empty|blank) lines, (delete|remove) them",
        "{f} should have no (empty|blank) lines", "in {f}, (delete|remove) every (empty|blank) line",
        "clean {f} of (empty|blank) lines"),
        f"sed -i '/^$/d' {quoted(path)}", f"delete the empty lines of {path}", False, f=path)


@schema("text.sort_in_place", "sort", weight=1.0)
def sort_in_place(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (*deed("sort {f} in place", "sort the lines of {f} and (save|overwrite|write back) the file",
                              tool="sort"), "{f} should be in alphabetical order (, change the file|, in the file "
                              "itself)",
            
        "sort {f} in place", "sort the lines of {f} (and save the file|and write them back|in the file itself)",
        "(make|rewrite) {f} (sorted|so that its lines are sorted)",
        "the lines of {f} should be sorted (in the file|), change the file",
        "sort {f} and (save|overwrite) it", "put the lines of {f} in order, in the file (itself|)"),
        f"sort -o {quoted(path, path)}", f"sort {path} in place", False, f=path)


@schema("text.sort_into", "sort", weight=1.0)
def sort_into(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    target = world.new_name("file", "txt")
    unique = rng.random() < 0.4
    if unique:
        return single(rng, (
            "sort {f} without duplicates into {t}", "write the (unique|distinct) lines of {f}, sorted, (to|into) {t}",
            "(save|store) the sorted (unique|distinct) lines of {f} (in|as|to) {t}",
            "(remove|drop) duplicates (of|from) {f}, sort it and (save|write) (the result|it) (to|as) {t}",
            "{t} should (hold|contain) the (unique|distinct) lines of {f}, sorted",
            "sort {f}, drop duplicates, write to {t}"),
            f"sort -u {quoted(path)} > {quoted(target)}", f"write the unique lines of {path} to {target}", False,
            f=path, t=target)
    return single(rng, (
        "sort {f} into {t}", "sort {f} and (save|write) (the result|it) (to|as|in) {t}",
        "write the sorted lines of {f} (to|into) {t}", "(save|store) {f} sorted (as|in) {t}",
        "{t} should (hold|contain) the lines of {f} in (sorted|alphabetical) order",
        "sort {f} to (a new file|the file) {t}"),
        f"sort {quoted(path)} > {quoted(target)}", f"write the sorted lines of {path} to {target}", False, f=path,
        t=target)


@schema("text.upper_into", "tr", weight=0.8)
def upper_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 1), world.new_name("file", "txt")
    lower = rng.random() < 0.45
    case = "(lower case|lowercase)" if lower else "(upper case|uppercase|capitals)"
    sets = "'A-Z' 'a-z'" if lower else "'a-z' 'A-Z'"
    return single(rng, (
        f"convert {{f}} to {case} and (save|write) (it|the result) (to|as|in) {{t}}",
        f"(write|save) (the text of|) {{f}} in {case} (to|into|as) {{t}}", f"{{t}} should be {{f}} in {case}",
        f"make {{t}}, a copy of {{f}} in {case}",
        f"(put|store) {{f}} in {case} (into|in) {{t}}", f"(turn|convert) {{f}} into {case}, output to {{t}}"),
        f"tr {sets} < {quoted(path)} > {quoted(target)}",
        f"write {path} in {'lower' if lower else 'upper'} case to {target}", False, f=path, t=target)


@schema("text.concatenate", "cat", weight=1.2)
def concatenate(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1), text_file(world, rng, 1)
    if a == b:
        raise Unsuitable("one file")
    target = world.new_name("file", "txt")
    return single(rng, (*deed("(concatenate|combine|merge|join) {a} and {b} into {t}", "(make|create) {t} from {a} "
                              "and {b} (, in that order|)", tool="cat"), "one file {t} out of {a} and {b}",
            
        "(concatenate|combine|merge) {a} and {b} into {t}", "(join|put together) {a} and {b} (as|in|into) {t}",
        "cat {a} {b} into {t}", "write {a} followed by {b} (to|into) {t}",
        "{t} should (contain|hold|be) {a} followed by {b}",
        "append {b} to {a} and (save|write) (the result|it) (as|to) {t}", "make {t} out of {a} and {b}"),
        f"cat {quoted(a, b)} > {quoted(target)}", f"join {a} and {b} into {target}", False, a=a, b=b, t=target)


@schema("text.append_file", "cat", weight=0.8)
def append_file(world: World, rng: random.Random) -> Draft:
    a, b = text_file(world, rng, 1), text_file(world, rng, 1)
    if a == b:
        raise Unsuitable("one file")
    return single(rng, (*deed("append (the contents of|) {a} to {b}", "(add|attach) the (contents|text) of {a} (at "
                              "the end of|to) {b}", tool="cat"),
            
        "append (the contents of|) the file {a} to {b}", "add the (contents|lines|text) of {a} (to|at the end of) {b}",
        "put (all of|everything from|the contents of) {a} at the end of {b}", "append {a} to {b}",
        "{b} should also (contain|have) the (lines|contents) of {a} at the end",
        "extend {b} with the (contents|lines) of {a}"),
        f"cat {quoted(a)} >> {quoted(b)}", f"append {a} to {b}", False, a=a, b=b)


@schema("text.head_into", "head", weight=0.8)
def head_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 4), world.new_name("file", "txt")
    n = rng.randint(2, max(2, min(10, world.read(path).count("\n") - 1)))
    last = rng.random() < 0.4
    which = "last" if last else "first"
    return single(rng, (f"put the {which} {{n}} lines of {{f}} into (a file called|a new file|) {{t}}",
                        *deed(f"(save|write|store|copy) the {which} {{n}} (lines|rows) (of|from) {{f}} (to|into|in) "
                              f"{{t}}"),
            
        f"(save|write|store) the {which} {{n}} lines of {{f}} (to|into|in) {{t}}",
        f"(copy|put) the {which} {{n}} lines of {{f}} (to|into) {{t}}",
        f"{{t}} should (contain|have) the {which} {{n}} lines of {{f}}",
        f"make {{t}} (from|out of|with) the {which} {{n}} lines of {{f}}",
        f"{which} {{n}} lines of {{f}} (to|into) {{t}}", f"extract the {which} {{n}} lines of {{f}} (to|into) {{t}}"),
        f"{'tail' if last else 'head'} -n {n} {quoted(path)} > {quoted(target)}",
        f"write the {which} {n} lines to {target}", False, f=path, n=n, t=target)


@schema("text.grep_into", "grep", weight=1.2)
def grep_into(world: World, rng: random.Random) -> Draft:
    path, target = text_file(world, rng, 3), world.new_name("file", "txt")
    word = pattern_in(world, rng, path)
    return single(rng, (*deed("(save|write|store|copy|put) (all|the|) lines (of|from|in) {f} "
                              "(with|containing|mentioning) {w} (to|into) {t}", "(extract|filter|collect) the lines "
                              "with {w} from {f} into {t}", tool="grep"), "I need the {w} lines of {f} in (a file|the "
                              "file) {t}",
            
        "(save|write|store) (the|all|) lines (with|containing) {w} (from|of|in) {f} (to|into|in) {t}",
        "(copy|put|extract) (all|the|) lines (with|that contain) {w} (from|of) {f} (to|into) {t}",
        "{t} should (contain|hold) the lines of {f} (with|that contain) {w}",
        "grep {w} in {f} (and save|and write) the result to {t}", "make {t} (from|out of) the {w} lines of {f}",
        "filter {f} for {w} into {t}"),
        f"grep {string(word)} {quoted(path)} > {quoted(target)}", f"write the lines with {word} to {target}", False,
        protected=(word,), f=path, t=target, w=rng.choice((word, word, f'"{word}"')))


@schema("text.prefix", "sed", weight=0.7)
def prefix(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    mark = rng.choice(("# ", "- ", "> ", "* ", f"{world.word()}: ", f"{world.word()}-"))
    return single(rng, (*deed("(put|add|write) {m} (before|in front of|at the start of) (each|every) line (of|in) {f}",
                              "prefix (all|the) lines of {f} with {m}", tool="sed"),
            
        "(add|put) {m} (at the start of|at the beginning of|in front of|before) (each|every) line of {f}",
        "prefix (each|every|all) (line|lines) of {f} with {m}",
        "(each|every) line of {f} should (start|begin) with {m}", "in {f}, put {m} before (each|every) line",
        "insert {m} (at the beginning|at the start) of (all|the) lines (of|in) {f}",
        "prepend {m} to (each|every) line of {f}"),
        f"sed -i {string(f's/^/{mark}/')} {quoted(path)}", f"put it before each line of {path}", False,
        protected=(mark,), f=path, m=f'"{mark}"')


@schema("text.suffix", "sed", weight=0.6)
def suffix(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    mark = rng.choice((";", ",", ".", "!", f"-{world.word()}", f" {world.word()}"))
    return single(rng, (*deed("(put|add|append) {m} (after|to|at the end of) (each|every) line (of|in) {f}",
                              tool="sed"),
            
        "(add|put) {m} (at the end of|to the end of|after) (each|every) line of {f}",
        "(each|every) line of {f} should end with {m}", "in {f}, put {m} after (each|every) line",
        "append {m} to (each|every|all) (line|lines) of {f}", "end (each|every) line of {f} with {m}",
        "suffix (each|every) line of {f} with {m}"),
        f"sed -i {string(f's/$/{mark}/')} {quoted(path)}", f"put it after each line of {path}", False,
        protected=(mark,), f=path, m=f'"{mark}"')


@schema("text.trailing", "sed", weight=0.7)
def trailing(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "py", "md", "c")))
    world.add_file(path, "".join(row + rng.choice(("", "  ", "   ",
        " ")) + "\n" for row in world.text(6).splitlines()) + "end  \n")
    return single(rng, (*deed("(trim|strip|remove|delete) (the|all|) trailing (whitespace|blanks|spaces) (in|from|of) "
                              "{f}", tool="sed"), "{f}: no trailing whitespace please",
                              "my editor complains about trailing whitespace in {f}, remove it",
            
        "(remove|delete|strip) (the|all|) trailing (spaces|whitespace|blanks) (from|in) {f}",
        "{f} has trailing (whitespace|spaces), (remove|strip) (it|them)".replace("(it|them)", "that"),
        "clean up trailing whitespace in {f}",
        "strip (blanks|whitespace|spaces) at the (ends of lines|line ends) (of|in) {f}",
        "no line of {f} should end with (a space|blanks|whitespace)", "trim the line ends (of|in) {f}"),
        f"sed -i 's/[ \\t]*$//' {quoted(path)}", f"strip trailing blanks in {path}", False, f=path)


@schema("text.split", "split", weight=0.5)
def split(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 6)
    n = rng.randint(2, 5)
    return single(rng, (
        "split {f} into (files|pieces|parts) of {n} lines (each|)",
        "(cut|divide|break) {f} into (files|pieces) of {n} lines (each|)", "split {f} every {n} lines",
        "make (files|pieces) of {n} lines out of {f}", "split the file {f}, {n} lines per (file|piece)",
        "divide {f} (up|) so that each piece has {n} lines"),
        f"split -l {n} {quoted(path)}", f"split {path} every {n} lines", False, f=path, n=n)


@schema("text.tabs", "sed", weight=0.5)
def tabs(world: World, rng: random.Random) -> Draft:
    path = world.new_name("file", rng.choice(("txt", "py", "c", "tsv")))
    world.add_file(path, "".join("\t".join(world.words(3)) + "\n" for _ in range(rng.randint(2, 6))))
    return single(rng, (
        "replace (the|all|) tabs (in|of) {f} (with|by) (a space|spaces|blanks)",
        "(turn|convert|change) (the|all|) tabs (in|of) {f} (to|into) spaces",
        "{f} should have (spaces|a space) instead of (tabs|every tab)", "no tabs in {f}, use (spaces|blanks)",
        "in {f}, (change|replace) (every|each) tab (to|with|by) a (space|blank)",
        "tabs to spaces in {f}"),
        f"sed -i 's/\\t/ /g' {quoted(path)}", f"replace tabs by blanks in {path}", False, f=path)
