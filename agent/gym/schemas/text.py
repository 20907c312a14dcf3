"""Reading, counting, sorting and showing the lines of text files."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.frames import number, sought
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.subjects import PRINT, SHOW, list_file, ordinal, text_file
from nimllm.agent.gym.worlds import World


@schema("text.head", "head", weight=1.8)
def head(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12))
    path = text_file(world, rng, n + 1)
    if n == 1:
        return single(rng, (*sought("the (first|top|opening|very first) line (of|in) {f}", tool="head"),
                            "(show|tell) me how {f} (starts|begins), (one line|the first line) only",
                            "the line at the top of {f}", "{f}: first line",
            
            f"{PRINT} the first line of {{f}}", "what is the first line of {f}?", "first line of {f}",
            "(show|read) (me|) the (top|first) line (of|in) {f}",
            "how does {f} (start|begin)?", "head of {f}, one line", "what does the first line of {f} say?"),
            f"head -n 1 {quoted(path)}", f"show the first line of {path}", True, ordered=True, f=path)
    return single(rng, (*sought("the (first|top|opening|initial) {n} (lines|rows) (of|in) {f}",
                                "{n} (lines|rows) from the (beginning|start|top) of {f}", tool="head"),
                                "(peek at|preview) {f}, {n} lines", "{f}: (first|top) {n} lines",
                                "how does {f} (start|begin)? ({n} lines|first {n} lines)",
            
        f"{PRINT} the (first|top) {{n}} lines of {{f}}", "what are the first {n} lines of {f}?",
        "first {n} lines of {f}", "head -{n} {f}",
        "(show|read) (me|) the (first|top) {n} lines (of|in|from) {f}",
        "the {n} lines at the (top|beginning|start) of {f}", "{n} lines from the (top|start) of {f}"),
        f"head -n {n} {quoted(path)}", f"show the first {n} lines of {path}", True, ordered=True, f=path, n=n)


@schema("text.tail", "tail", weight=1.8)
def tail(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 2, 3, 4, 5, 6, 7, 8, 10, 12))
    path = text_file(world, rng, n + 1)
    if n == 1:
        return single(rng, (*sought("the (last|final|very last|bottom) line (of|in) {f}", tool="tail"),
                            "the line at the (end|bottom) of {f}", "{f}: last line", "what stands at the very end of "
                            "{f}? one line",
            
            f"{PRINT} the last line of {{f}}", "what is the last line of {f}?", "last line of {f}",
            "(show|read) (me|) the (bottom|last|final) line (of|in) {f}",
            "how does {f} end?", "what does the last line of {f} say?", "tail of {f}, one line"),
            f"tail -n 1 {quoted(path)}", f"show the last line of {path}", True, ordered=True, f=path)
    return single(rng, (*sought("the (last|final|bottom|most recent|latest) {n} (lines|rows|entries) (of|in) {f}",
                                tool="tail"), "{f}: last {n} lines", "how does {f} end? (last {n} lines|{n} lines)",
                                "the end of {f}, {n} lines",
            
        f"{PRINT} the (last|bottom|final) {{n}} lines of {{f}}", "what are the last {n} lines of {f}?",
        "last {n} lines of {f}", "tail -{n} {f}",
        "(show|read) (me|) the (last|bottom) {n} lines (of|in|from) {f}", "the {n} lines at the (end|bottom) of {f}",
        "{n} lines from the (end|bottom) of {f}"),
        f"tail -n {n} {quoted(path)}", f"show the last {n} lines of {path}", True, ordered=True, f=path, n=n)


@schema("text.line", "sed", weight=1.8)
def line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    rows = world.read(path).splitlines()
    n = rng.randint(2, min(30, len(rows)))
    if not rows[n - 1].strip():
        raise Unsuitable("empty line")
    return single(rng, (*sought("line (number|no.|) {n} (of|in|from) {f}", "the {o} (line|row) (of|in) {f}",
                                "(just|only|exactly) line {n} (of|in) {f}", tool="sed"),
                                "(go|jump) to line {n} of {f} and (print|show) it", "{f}: line {n}",
                                "{f} line {n}, nothing else", "what does {f} say (on|in) line {n}?",
            
        f"{PRINT} line {{n}} of {{f}}", "what is (in|on) line {n} of {f}?", "line {n} of {f}",
        f"{PRINT} the {{o}} line of {{f}}", "what does line {n} of {f} say?",
        "(read|show) (me|) line (number|) {n} (of|in|from) {f}", "what is the {o} line (of|in) {f}?",
        "only line {n} of {f}"),
        f"sed -n {n}p {quoted(path)}", f"show line {n} of {path}", True, ordered=True, f=path, n=n, o=ordinal(n))


@schema("text.lines", "sed", weight=1.6)
def lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    total = world.read(path).count("\n")
    a = rng.randint(1, min(20, total - 1))
    b = rng.randint(a + 1, min(total, a + 8))
    return single(rng, (*sought("lines {a} (to|through|-|until) {b} (of|in|from) {f}", "(just|only) lines {a}-{b} "
                                "(of|from) {f}", "the lines of {f} between line {a} and line {b}, (inclusive|both "
                                "included)", tool="sed"), "{f}: lines {a} to {b}", "(cut|take) lines {a} to {b} out "
                                "of {f} and (print|show) them",
            
        f"{PRINT} lines {{a}} to {{b}} of {{f}}", "lines {a}-{b} of {f}", f"{PRINT} lines {{a}} through {{b}} of {{f}}",
        "what (is in|are) lines {a} to {b} of {f}?",
        "(read|show) (me|) {f} from line {a} to (line|) {b}", "show {f}, lines {a} to {b}",
        "only (show|print) lines {a} to {b} (of|from) {f}", "{f} lines {a}-{b}"),
        f"sed -n {a},{b}p {quoted(path)}", f"show lines {a} to {b} of {path}", True, ordered=True, f=path, a=a, b=b)


@schema("text.from_line", "tail", weight=0.8)
def from_line(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.randint(2, min(12, world.read(path).count("\n")))
    skip = n - 1
    return single(rng, (*sought("{f} from line {n} (on|onwards|to the end)", "(everything|all lines) (of|in) {f} from "
                                "line {n} (on|to the end)", tool="tail"), "{f}: line {n} to the end",
                                "start at line {n} of {f} and (print|show) the rest",
            
        f"{PRINT} {{f}} from line {{n}} on", f"{PRINT} everything (in|of) {{f}} from line {{n}} (on|to the end)",
        "{f} starting (at|with|from) line {n}", "lines {n} to the end of {f}",
        f"{PRINT} {{f}} without (the|its) first {'line' if skip == 1 else '{k} lines'}",
        f"skip the first {'line' if skip == 1 else '{k} lines'} of {{f}} and (show|print) the rest",
        "what comes from line {n} on in {f}?"),
        f"tail -n +{n} {quoted(path)}", f"show {path} from line {n} on", True, ordered=True, f=path, n=n, k=skip)


@schema("text.all_but_last", "head", weight=0.6)
def all_but_last(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    n = rng.randint(1, 3)
    what = "last line" if n == 1 else "last {n} lines"
    return single(rng, (f"{{f}}, but without the {what}", *sought(f"all (lines of|of) {{f}} (but|except) the {what}",
                                                                  f"{{f}} without (its|the) {what}", tool="head"),
            
        f"{PRINT} {{f}} without (the|its) {what}", f"{PRINT} (everything in|all of|) {{f}} (but|except) the {what}",
        f"all but the {what} of {{f}}", f"{{f}} (except|without) the {what}",
        f"leave out the {what} of {{f}} and (show|print) the rest", f"hide the {what} of {{f}}"),
        f"head -n -{n} {quoted(path)}", f"show all but the {'last line' if n == 1 else f'last {n} lines'} of {path}",
        True, ordered=True, f=path, n=n)


@schema("text.count_lines", "wc", weight=2.5)
def count_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (*number("lines (in|of) {f}", "(lines|rows) {f} has".replace("(lines|rows) {f} has",
                                                                      "(rows|lines) in {f}")), "how many lines is {f}?",
                                                                      "{f}: how many lines?",
                                                                      "{f}, number of lines (only|)",
                                                                      "wc -l {f}, only the number",
            
        "how many lines (are in|are there in|does) {f}(| have)?".replace("(are in|are there in|does) {f}(| have)",
            "(are in {f}|are there in {f}|does {f} have)"),
        "count (the|) lines (in|of) {f}", "(number|count) of lines in {f}", "how long is {f} (in lines|)?",
        "line count (of|for) {f}", "count lines {f}", "how many lines has {f}?",
        "(tell me|show|give me) the number of lines (in|of) {f}"),
        f"wc -l < {quoted(path)}", f"count the lines of {path}", True, "{f} has {output} lines.".replace("{f}", path),
        f=path)


@schema("text.count_words", "wc", weight=1.8)
def count_words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (*number("words (in|of) {f}"), "{f}: how many words?", "how many words long is {f}?",
                        "{f}, number of words (only|)",
            
        "how many words (are in|are there in) {f}?", "count (the|) words (in|of) {f}", "(number|count) of words in {f}",
        "word count (of|for) {f}", "how many words does {f} have?", "count words {f}",
        "(tell me|show|give me) the number of words (in|of) {f}"),
        f"wc -w < {quoted(path)}", f"count the words of {path}", True, "{f} has {output} words.".replace("{f}", path),
        f=path)


@schema("text.count_characters", "wc", weight=1.2)
def count_characters(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1)
    return single(rng, (*number("characters (in|of) {f}", "chars (in|of) {f}"), "{f}: how many characters?",
                        "{f}, number of characters (only|)",
            
        "how many (characters|letters and signs) (are in|are there in) {f}?",
        "count (the|) (characters|chars) (in|of) {f}", "(number|count) of characters in {f}",
        "character count (of|for) {f}",
        "how many (characters|chars) does {f} have?", "(tell me|show|give me) the number of characters (in|of) {f}"),
        f"wc -m < {quoted(path)}", f"count the characters of {path}", True,
        "{f} has {output} characters.".replace("{f}", path), f=path)


@schema("text.longest", "awk", weight=1.0)
def longest(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    return single(rng, (*sought("the longest (line|row) (of|in) {f}", "the line (of|in) {f} with the most characters",
                                tool="awk"), "{f}: longest line",
            
        "what is the longest line (of|in) {f}?", f"{PRINT} the longest line (of|in) {{f}}", "longest line (of|in) {f}",
        "find the longest line (of|in) {f}", "which line of {f} is (the|) longest?",
        "which line (of|in) {f} has (the|) most characters?"),
        f"awk 'length > max {{ max = length; line = $0 }} END {{ print line }}' {quoted(path)}",
        f"find the longest line of {path}", True, ordered=True, f=path)


@schema("text.long_lines", "awk", weight=0.7)
def long_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 3)
    lengths = sorted({len(row) for row in world.read(path).splitlines()})
    n = rng.choice(lengths[:-1] or [0])
    if n < 5:
        raise Unsuitable("short lines")
    return single(rng, (*sought("(the|all|) lines (of|in) {f} (longer than|with more than|of more than|exceeding) {n} "
                                "characters", tool="awk"), "{f}: lines over {n} characters",
                                "which lines of {f} are too long? the limit is {n} characters",
            
        f"{SHOW} (the|all|) lines (of|in) {{f}} (longer than|with more than|over) {{n}} characters",
        "which lines (of|in) {f} (are longer than|have more than) {n} characters?",
        "lines (of|in) {f} (longer than|over) {n} characters",
        "find (the|all|) lines (of|in) {f} (longer than|with more than) {n} characters",
        "are there lines (longer than|with more than) {n} characters in {f}?",
        "too long lines in {f}: more than {n} characters"),
        f"awk 'length > {n}' {quoted(path)}", f"find lines of {path} over {n} characters", True, ordered=True, f=path,
        n=n)


@schema("text.sort", "sort", weight=1.6)
def sort(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng) if rng.random() < 0.7 else text_file(world, rng, 3, 20)
    reverse = rng.random() < 0.3
    if reverse:
        return single(rng, (*sought("the (lines|entries|contents) of {f} (sorted|in) in reverse "
                                    "(order|)".replace("(sorted|in) in", "in"), "{f} sorted (from z to a|in "
                                    "reverse|in descending order)", tool="sort"), "{f}: sorted, z to a",
            
            f"{PRINT} (the lines of|) {{f}} sorted in reverse (order|)", "sort {f} in reverse (order|)",
            "sort {f} (from z to a|descending|backwards)", "sort the lines of {f} in (descending|reverse) order",
            "{f} (sorted|in order) from z to a", "reverse sort {f}"),
            f"sort -r {quoted(path)}", f"sort {path} in reverse", True, ordered=True, f=path)
    return single(rng, (*sought("the (lines|entries|contents) of {f} (in alphabetical order|sorted|in sorted "
                                "order|alphabetically)", "{f} (alphabetically|in alphabetical order|sorted "
                                "alphabetically|sorted)", tool="sort"), "(alphabetise|alphabetize|order) the lines of "
                                "{f} and (show|print) them", "{f}: sorted",
            
        f"{PRINT} (the lines of|) {{f}} sorted", "sort {f}", "sort (the lines of|the lines in) {f} (alphabetically|)",
        f"{PRINT} {{f}} in alphabetical order", "{f} in (alphabetical|sorted) order",
        "sort the file {f} (from a to z|)", "put the lines of {f} in order and show them"),
        f"sort {quoted(path)}", f"sort {path}", True, ordered=True, f=path)


@schema("text.unique", "sort", weight=1.5)
def unique(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (*sought("the (unique|distinct|different) (lines|entries|values) (of|in) {f}",
                                "(each|every) (different|distinct) (line|entry) of {f} (just|only|) once", tool="sort"),
                                "{f}: no duplicates, sorted", "(deduplicate|dedupe|uniq) {f} and (print|show) it "
                                "(sorted|)", "which entries does {f} have? each (only|just) once",
            
        f"{SHOW} the (unique|distinct|different) lines (of|in) {{f}}",
        "(which|what) (different|distinct|unique) lines (are in|does) {f}(| have)?".replace("(are in|does) {f}(| have)",
        "(are in {f}|does {f} have)"),
        f"{PRINT} {{f}} without (duplicates|duplicate lines|repeated lines)", "(unique|distinct) lines (of|in) {f}",
        "remove (the|) duplicates from {f} and (show|print) (it|the rest)", "{f} with every line (only|just) once",
        f"{SHOW} each (different|distinct) line of {{f}} once"),
        f"sort -u {quoted(path)}", f"show the unique lines of {path}", True, f=path)


@schema("text.count_unique", "sort wc", weight=1.2)
def count_unique(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (*number("(unique|distinct|different) (lines|entries|values) (in|of) {f}"),
                        "{f} has how many different lines?",
            
        "how many (unique|distinct|different) lines (are in|are there in) {f}?",
        "count (the|) (unique|distinct|different) lines (of|in) {f}",
        "number of (unique|distinct|different) lines in {f}",
        "how many (different|distinct) (entries|lines|values) does {f} have?",
        "how many lines does {f} have without (duplicates|counting repetitions)?",
        "(unique|distinct) line count of {f}"),
        f"sort -u {quoted(path)} | wc -l", f"count the unique lines of {path}", True,
        "There are {output} different lines.", f=path)


@schema("text.duplicates", "sort uniq", weight=1.2)
def duplicates(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 6)
    return single(rng, (*sought("(the|all|) (lines|entries) (of|in) {f} that (occur|appear) (more than once|several "
                                "times|at least twice)", "(the|all the|) (duplicates|duplicated lines|repeated "
                                "entries) (of|in) {f}", tool="uniq"), "what is listed more than once in {f}?",
                                "find out what is double in {f}", "{f}: duplicates only, each once",
            
        "which lines (occur|appear) more than once in {f}?",
        f"{SHOW} (the|all|) (duplicate|duplicated|repeated) lines (of|in) {{f}}",
        "(duplicates|duplicate lines|repeated lines) in {f}?", "find (the|) (duplicates|duplicate lines) in {f}",
        "does {f} have (duplicates|duplicate lines)? which?", "what is (in {f} twice or more|repeated in {f})?"),
        f"sort {quoted(path)} | uniq -d", f"find the duplicate lines of {path}", True, f=path)


@schema("text.frequency", "sort uniq", weight=1.5)
def frequency(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng)
    return single(rng, (*sought("how often each (line|entry) (occurs|appears) in {f}, (most frequent|highest count) "
                                "first", "the (different|distinct|) (lines|entries) of {f} with (their|the) counts, "
                                "(most frequent|most common) first", tool="uniq"), "(histogram|frequency "
                                "table|counts) of the lines in {f}", "(group|count) identical lines (in|of) {f}, most "
                                "frequent first",
            
        "how often does (each|every) line (occur|appear) in {f}?",
        "count how (often|many times) (each|every) line (occurs|appears) in {f}",
        f"{SHOW} (a|the) frequency (table|list|count) of the lines (of|in) {{f}}",
        "frequency of (each|every) line in {f}", f"{SHOW} the lines of {{f}} with their counts, most frequent first",
        "(tally|count) the (lines|entries) of {f}"),
        f"sort {quoted(path)} | uniq -c | sort -nr", f"count each line of {path}", True, f=path)


@schema("text.most_common", "sort uniq head", weight=1.3)
def most_common(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 7)
    rows = world.read(path).splitlines()
    counts = sorted((rows.count(row) for row in set(rows)), reverse=True)
    if len(counts) < 2 or counts[0] == counts[1]:
        raise Unsuitable("a tie")
    return single(rng, (*sought("the (most common|most frequent|commonest) (line|entry|value) (of|in) {f} (with|and) "
                                "its count"), "{f}: most frequent line and its count",
            
        "(what is the most common|which is the most frequent|what is the most frequent) (line|entry) (of|in) {f}?",
        f"{SHOW} the most (common|frequent) (line|entry) (of|in) {{f}}",
        "which (line|entry) (occurs|appears) most often in {f}?",
        "most (common|frequent) (line|entry) (of|in) {f}",
        "find the (line|entry) that is most (common|frequent) in {f}", "what (occurs|appears) most often in {f}?"),
        f"sort {quoted(path)} | uniq -c | sort -nr | head -n 1", f"find the most common line of {path}", True,
        ordered=True, f=path)


@schema("text.top_words", "tr sort uniq head", weight=0.8)
def top_words(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 4)
    words = re.findall(r"\S+", world.read(path))
    n = rng.randint(1, 5)
    counts = sorted((words.count(word) for word in set(words)), reverse=True)
    if len(counts) <= n or counts[n - 1] == counts[n]:
        raise Unsuitable("a tie")
    what = "most (common|frequent|used) word" if n == 1 else "{n} most (common|frequent|used) words"
    verb = "is" if n == 1 else "are"
    return single(rng, (*sought(f"the {what} (of|in) {{f}} with {'its count' if n == 1 else '(their|the) counts'}"),
            
        f"what {verb} the {what} (of|in) {{f}}?", f"{SHOW} the {what} (of|in) {{f}}", f"{what} (of|in) {{f}}",
        f"find the {what} in {{f}}", f"which {'word occurs' if n == 1 else '{n} words occur'} most often in {{f}}?",
        f"the {what} in {{f}}, with {'its count' if n == 1 else 'counts'}"),
        f"tr -s ' ' '\\n' < {quoted(path)} | sort | uniq -c | sort -nr | head -n {n}", f"count the words of {path}",
        True, f=path, n=n)


@schema("text.upper", "tr", weight=1.2)
def upper(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 1, 20)
    lower = rng.random() < 0.45
    case = "(lower case|lowercase|small letters)" if lower else "(upper case|uppercase|capitals|capital letters)"
    sets = "'A-Z' 'a-z'" if lower else "'a-z' 'A-Z'"
    return single(rng, (*sought(f"{{f}} in {case}", f"the (text|contents) of {{f}} in (all|) {case}", tool="tr"),
                        f"make {{f}} all {case} and print it, (leave|keep) the file (alone|as it is)",
                        f"turn {{f}} into {case} and (show|print) the result",
            
        f"{PRINT} {{f}} in {case}", f"convert {{f}} to {case} and (show|print) it",
        f"{PRINT} (the text of|) {{f}} (in|with|converted to) {case}", f"{{f}} in {case}",
        f"(show|print) the contents of {{f}} all in {case}", f"what does {{f}} look like in {case}?"),
        f"tr {sets} < {quoted(path)}", f"show {path} in {'lower' if lower else 'upper'} case", True, ordered=True,
        f=path)


@schema("text.number", "cat", weight=1.0)
def numbered(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    return single(rng, (*sought("{f} with (a number|the line number|its number) (before|in front of) (each|every) line",
                                "{f} with line numbers", tool="cat"), "{f}: numbered",
            
        f"{PRINT} {{f}} with line numbers", "number the lines of {f}", "cat {f} with line numbers",
        "(show|print) {f} and number (its|the) lines", "{f} with (numbered lines|line numbers)",
        "(add|put) line numbers (to|in front of) the lines of {f} and show (it|them)"),
        f"cat -n {quoted(path)}", f"show {path} with line numbers", True, ordered=True, f=path)


@schema("text.reverse_lines", "tac", weight=1.0)
def reverse_lines(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    return single(rng, (*sought("the lines of {f} (in reverse order|from bottom to top|from last to first|backwards)",
                                "{f} (in reverse|from the bottom up|upside down|with the last line on top)",
                                tool="tac"), "{f}: last line first",
            
        f"{PRINT} {{f}} (backwards|from the end), (line by line|last line first)",
        f"{PRINT} the lines of {{f}} in reverse order", "reverse the (order of the|) lines of {f}",
        "{f} with the last line first", "(show|print) {f} upside down",
        "tac {f}", "the lines of {f}, last one first"),
        f"tac {quoted(path)}", f"show {path}, last line first", True, ordered=True, f=path)


@schema("text.reverse_characters", "rev", weight=0.7)
def reverse_characters(world: World, rng: random.Random) -> Draft:
    path = list_file(world, rng, 2)
    return single(rng, (*sought("(each|every) line of {f} (spelled|written|printed|) backwards",
                                "the lines of {f} with their characters reversed", tool="rev"),
            
        "reverse (each|every) line of {f}", f"{PRINT} (each|every) line of {{f}} (backwards|reversed|in reverse)",
        "rev {f}", "reverse the characters (in|of) (each|every) line of {f}", "mirror the lines of {f}",
        f"{PRINT} {{f}} with (each|every) line spelled backwards"),
        f"rev {quoted(path)}", f"reverse each line of {path}", True, ordered=True, f=path)


@schema("text.remove_character", "tr", weight=0.7)
def remove_character(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2, 20)
    text = world.read(path)
    found = [(sign, name) for sign, name in ((",", "commas"), (".", "(dots|periods|full stops)"), (":", "colons"), (" ",
        "(spaces|blanks)"), ("-", "(dashes|hyphens)"), ("0-9",
        "digits")) if re.search(f"[{re.escape(sign) if len(sign) == 1 else sign}]", text)]
    if not found:
        raise Unsuitable("no signs")
    sign, name = rng.choice(found)
    return single(rng, (*sought(f"{{f}} without (any|the|) {name}", f"{{f}} with (all|the) {name} "
                                f"(removed|deleted|taken out)", tool="tr"), f"strip {{f}} of (its|all) {name} and "
                                f"(show|print) the result",
            
        f"{PRINT} {{f}} without (the|) {name}",
        f"(remove|delete|strip) (all|the|) {name} from {{f}} and (show|print) (it|the result)", f"{{f}} without {name}",
        f"{PRINT} {{f}} with (all|) {name} (removed|deleted|stripped)",
        f"(show|print) {{f}} but leave out (the|all) {name}", f"what is {{f}} without (its|the) {name}?"),
        f"tr -d {string(sign)} < {quoted(path)}", f"show {path} without them", True, ordered=True, f=path)
