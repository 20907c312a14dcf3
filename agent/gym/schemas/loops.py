"""Shell grammar at work: loops over files, folders, lines and numbers; conditions, xargs, tee."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, amount, ask, folder_of, inside, several_of
from nimllm.agent.gym.schemas.subjects import kind, list_file, text_file, word_in
from nimllm.agent.gym.worlds import World


def _here(world: World, rng: random.Random) -> str:
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, "") if "." in path[1:]})
    found = [ext for ext in found if ext.isalnum()]
    if not found:
        raise Unsuitable("no extension")
    return rng.choice(found)


@schema("loop.files", "for", weight=1.3)
def over_files(world: World, rng: random.Random) -> Draft:
    ext = _here(world, rng)
    what, more = kind(ext)
    word = names.word(rng)
    body, said, plan = rng.choice((
        ('echo "$f: $(wc -l < "$f")"', "(print the name, a colon, a blank and the number of lines|print name: lines, "
        "like a.txt: 12)", "print name and line count"),
        ('echo "$f"', "(print its name|echo the name)", "print the name"),
        ('echo "${f%.*}"', "(print the name without the extension|echo its name, extension cut off)",
        "print the bare name"),
        ('head -n 1 "$f"', "(print the first line|show its first line)", "print the first line"),
        ('tail -n 1 "$f"', "(print the last line|show its last line)", "print the last line"),
        ('wc -w < "$f"', "(print the number of words, no name|print only its word count)", "print the word count"),
        (f'echo "{word} $f"', f"(print {word} and the name|print the word {word}, a blank and its name)",
        "print the text and the name"),
        ('echo "$f $(stat -c %s "$f")"', "(print the name, a blank and the size in bytes|print name and byte size)",
        "print name and size")))
    return ask(rng, f"""
        for (every one|each) of the <what> here, {said}
        loop over <all> <what> (in this <dir>|here) and {said}
        in a (for loop|loop) over the <what> (here|in this <dir>), {said}
        go through <all> <what> in this <dir>: {said}
        write a for loop over the <what> here: {said}
        {said} for (every one|each) of the <what> in the current <dir>
        """, f"for f in *.{ext}; do {body}; done", f"{plan} of each .{ext} file", None, True, what=what, **more)


@schema("loop.folders", "for", weight=0.7)
def over_folders(world: World, rng: random.Random) -> Draft:
    tops = [path for path in world.dirs() if "/" not in path and not path.startswith(".")]
    if not tops or any(not inside(world, path) for path in tops):
        raise Unsuitable("empty")
    body, said = rng.choice((('echo "$d $(ls "$d" | wc -l)"', "print its name, a blank and the number of entries"),
        ('echo "$d"', "print its name"),
                             ('ls "$d" | head -n 1', "print its first entry"), ('echo "${d%/}"',
                             "print its name without the slash")))
    return ask(rng, f"""
        for (each|every) <dir> here, {said}
        loop over the <dirs> (here|in this <dir>) and {said.replace('its', 'the')} (of each|)
        in a for loop over the <dirs> here, {said} (each time|)
        go through the <dirs> of the current <dir>: {said}
        """.replace("(of each|)", "").replace("(each time|)", ""), f"for d in */; do {body}; done",
        "loop over the folders", None, True)


@schema("loop.numbers", "for seq", weight=1.1)
def numbers(world: World, rng: random.Random) -> Draft:
    a, word = rng.choice((1, 1, 1, 0, rng.randint(2, 9))), names.word(rng)
    b = a + rng.randint(2, 9)
    body, said, plan = rng.choice((
        ("echo $((i * i))", "(the squares|the square of each number)", "print the squares"), (f'echo "{word} $i"',
        f"({word} followed by the number|{word} and the number)", "print text and number"),
        (f'echo "{word}$i"', f"({word} with the number attached, like {word}{a}|{word}{a}, {word}{a + 1} and so on)",
        "print text and number"),
        ("echo $((i * 2))", "(twice the number|the double of each)", "print the doubles"), ("echo $((2 ** i))",
        "(the powers of two|2 to the power of each)", "print the powers of two"),
        ("echo $((i * i * i))", "(the cubes|the cube of each number)", "print the cubes")))
    return ask(rng, f"""
        (print|show) {said} for the numbers {{a}} to {{b}}
        loop from {{a}} to {{b}} and print {said}
        for i from {{a}} to {{b}}, print {said}
        in a for loop from {{a}} to {{b}}: {said}
        {said} for {{a}} (through|up to|to) {{b}}, one per line
        count from {{a}} to {{b}} and (print|show) {said} (each time|)
        """.replace("(each time|)", ""), f"for i in $(seq {a} {b}); do {body}; done", plan, None, True, a=a, b=b)


@schema("loop.list", "for", weight=0.8)
def words(world: World, rng: random.Random) -> Draft:
    items = list(dict.fromkeys(names.word(rng) for _ in range(rng.randint(2, 5))))
    if len(items) < 2:
        raise Unsuitable("few")
    prefix = names.word(rng)
    if rng.random() < 0.5:
        return ask(rng, """
            for each of {x}, (print|echo) {p} and the word
            (print|echo) {p} before each of {x}, one per line
            loop over {x} and (print|echo) {p} plus the word
            in a loop over the words {x}: print {p} and the word
            """, f'for w in {" ".join(items)}; do echo "{prefix} $w"; done', "loop over the words", None, True,
            protected=items, x=several_of(rng, items), p=prefix)
    if any(item in world.entries for item in items):
        raise Unsuitable("taken")
    ext = rng.choice(("txt", "md", "log"))
    return act(rng, """
        for each of {x}, (create|make|write) a file of that name with {e} that (contains|says) the word
        loop over {x}: write each word into a file called like it plus {e}
        (create|make) a {e} file for each of {x}, with the word as its content
        in a loop over {x}, echo each word into a file named after it with {e}
        """, f'for w in {" ".join(items)}; do echo "$w" > "$w.{ext}"; done', "write one file per word", protected=items,
        x=several_of(rng, items), e=f".{ext}")


@schema("loop.lines", "while", weight=1.1)
def lines(world: World, rng: random.Random) -> Draft:
    path, word = list_file(world, rng, 3), names.word(rng)
    body, said, plan = rng.choice((
        (f'echo "{word} $line"', f"(print {word} and the line|print the word {word}, a blank and the line)",
        "print the text and the line"),
        ('echo "${#line}"', "(print its length|print the number of its characters)", "print the length"),
        ('echo "[$line]"', "(print it in square brackets|put it in square brackets)", "print it in brackets"),
        (f'echo "$line {word}"', f"print it with {word} behind", "print the line and the text"), ('echo "${line^^}"',
        "(print it in upper case|print it in capitals)", "print it in capitals")))
    return ask(rng, f"""
        for (each|every) line of {{f}}, {said}
        read {{f}} line by line and {said.replace('(print it', '(print each')
        .replace('print it ', 'print each ')} (in a while loop|)
        loop over the lines of {{f}}: {said}
        (with|use) a while read loop over {{f}}: {said}
        go through {{f}} line by line, {said} (each time|)
        """.replace("(each time|)", ""), f'while read -r line; do {body}; done < {quoted(path)}',
        f"{plan}, for each line", None, True, f=path)


@schema("condition.file", "test", weight=1.3)
def condition(world: World, rng: random.Random) -> Draft:
    kind_, name = rng.choice((("-f", world.pick_file()), ("-f", world.new_name()), ("-d",
        rng.choice(world.dirs() or ["x"])), ("-d", world.new_name("dir")), ("-s", world.pick_file()),
                              ("-x", world.pick_file())))
    yes, no = rng.choice((("found", "missing"), ("present", "absent"), ("ok", "not ok"), ("exists", "missing"),
        ("there", "not there"), (names.word(rng), names.word(rng))))
    if yes == no:
        raise Unsuitable("the same")
    said = {"-f": "(the file|) {f} exists", "-d": "(the|) {f} is a <dir>", "-s": "{f} is not empty",
        "-x": "{f} is executable"}[kind_].replace("(the|) {f}", "{f}")
    return ask(rng, f"""
        (print|say|echo) {{y}} if {said}, (otherwise|else) {{n}}
        if {said} (print|say|echo) {{y}}, (otherwise|else|if not) {{n}}
        (test|check) (whether|if) {said}: (print|say|echo) {{y}} or {{n}}
        {{y}} or {{n}}: {{y}} when {said}
        write an if that (prints|echoes) {{y}} when {said} and {{n}} (otherwise|when not)
        """, f"if [ {kind_} {quoted(name)} ]; then echo {yes}; else echo {no}; fi", f"test {name}", None, True, f=name,
        y=yes, n=no)


@schema("condition.number", "test", weight=0.9)
def number_condition(world: World, rng: random.Random) -> Draft:
    a, b = rng.randint(1, 99), rng.randint(1, 99)
    at = rng.random()
    if at < 0.35:
        return ask(rng, """
            is {a} (greater|larger|bigger) than {b}? (print|say|) yes or no
            (print|say) yes if {a} is (greater|larger) than {b}, (else|otherwise) no
            yes or no: {a} > {b}
            (test|check) (whether|if) {a} is (greater|larger) than {b}, yes or no
            """, f"if [ {a} -gt {b} ]; then echo yes; else echo no; fi", f"compare {a} and {b}", None, True, a=a, b=b)
    if at < 0.65:
        return ask(rng, """
            is {a} even or odd?
            (print|say) even or odd for {a}
            (check|test) (whether|if) {a} is even or odd
            {a}: even or odd?
            """, f"if [ $(({a} % 2)) -eq 0 ]; then echo even; else echo odd; fi", f"check whether {a} is even", None,
            True, a=a)
    path, n = text_file(world, rng, 2, 60), rng.randint(2, 20)
    return ask(rng, """
        does {f} have more than {n} lines? (print|say|) yes or no
        (print|say) yes if {f} has more than {n} lines, (else|otherwise) no
        (test|check) (whether|if) {f} has more than {n} lines, yes or no
        yes or no: more than {n} lines in {f}
        """, f"if [ $(wc -l < {quoted(path)}) -gt {n} ]; then echo yes; else echo no; fi",
        f"compare the lines of {path} with {n}", None, True, f=path, n=n)


@schema("condition.contains", "grep", weight=1.4)
def contains(world: World, rng: random.Random) -> Draft:
    path = text_file(world, rng, 2)
    word = word_in(world, rng, path) if rng.random() < 0.6 else names.syllables(rng)
    return ask(rng, """
        does {f} contain {p}? (yes or no|say yes or no|print yes or no)
        (check|test) (whether|if) {f} contains {p}, (print|say) yes or no
        is {p} (in|mentioned in|somewhere in) {f}? yes or no
        yes or no: does {p} occur in {f}?
        (print|say) yes if {f} (contains|mentions) {p}, (else|otherwise) no
        {f} contains {p}: yes or no?
        """, f"grep -q {quoted(word)} {quoted(path)} && echo yes || echo no", f"check whether {path} contains {word}",
        None, True, f=path, p=word)


@schema("condition.do", "test", weight=0.9)
def do_if(world: World, rng: random.Random) -> Draft:
    path, other = world.pick_file(), world.new_name("file")
    command, plan, block = rng.choice((
        (f"[ -f {quoted(path)} ] && cp {quoted(path, other)}", f"copy {path} if it exists", """
            if {f} exists, copy it to {t}
            copy {f} to {t} (, but only if it exists|if {f} exists)
            (only|) when {f} is there, copy it to {t}
            """), (f"[ -f {quoted(path)} ] && mv {quoted(path, other)}", f"rename {path} if it exists", """
            if {f} exists, rename it to {t}
            rename {f} to {t}, but only if it exists
            when {f} is there, (rename|move) it to {t}
            """), (f"grep -qx {string('X')} {quoted(path)}", "", "")))[0:3]
    if not plan:
        line = " ".join(world.words(2))
        target = text_file(world, rng, 1)
        return act(rng, """
            append {t} to {f} (only|) if (that line|it) is not (in it|there) (yet|already)
            (add|append) the line {t} to {f} unless (it is there already|{f} has it already)
            make sure {f} contains the line {t} (, append it if missing|)
            {f} must have the line {t}: add it when it is missing
            """, f"grep -qx {string(line)} {quoted(target)} || echo {string(line)} >> {quoted(target)}",
            "append the line unless it is there", protected=(line,),
            f=target, t=f'"{line}"')
    return act(rng, block, command, plan, f=path, t=other)


@schema("shell.tee", "tee", weight=1.0)
def tee(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name("file", "txt"), " ".join(world.words(rng.randint(1, 3)))
    way = rng.choice(("echo", "ls", "append"))
    if way == "ls":
        folder = folder_of(world, rng)
        return act(rng, """
            list {d} and (save|write) the (list|listing) (to|in) {t} (as well|at the same time|too)
            (show|list) the files in {d} and also (save|write) them to {t}
            ls {d} on the screen and into {t} (with tee|)
            tee the listing of {d} into {t}
            """, f"ls {quoted(folder)} | tee {quoted(name)}", f"list {folder} and save it", d=folder, t=name)
    if way == "append":
        target = text_file(world, rng, 1)
        return act(rng, """
            append {t} to {f} and (show|print) it (on the screen|) (too|as well|at the same time)
            (print|echo) {t} and append it to {f} (with tee|)
            use tee to append {t} to {f}
            tee -a {t} to {f}
            """.replace("tee -a {t} to {f}", "append {t} to {f} with tee"),
            f"echo {string(text)} | tee -a {quoted(target)}", f"print and append to {target}", protected=(text,),
            f=target, t=f'"{text}"')
    return act(rng, """
        (print|echo) {t} and (save|write) it to {f} (at the same time|too|as well)
        (write|save) {t} to {f} and (show|print) it (as well|too)
        use tee to write {t} (to|into) {f}
        echo {t} on the screen and into {f} (with tee|)
        """, f"echo {string(text)} | tee {quoted(name)}", f"print and write to {name}", protected=(text,), f=name,
        t=f'"{text}"')


@schema("xargs.lines", "xargs", weight=1.0)
def xargs(world: World, rng: random.Random) -> Draft:
    path, n = list_file(world, rng, 4), rng.choice((2, 2, 3, 4))
    way = rng.choice(("n", "one", "each", "files"))
    if way == "n":
        return ask(rng, """
            (print|show) the words of {f} {n} per line
            (print|arrange) the (lines|entries) of {f} in rows of {n}
            use xargs to put {n} (words|entries) of {f} on (each|a) line
            {f}, {n} (entries|words) per line
            group the (lines|entries) of {f} by {n}, (one group per line|with xargs)
            """, f"xargs -n {n} < {quoted(path)}", f"print {n} entries per line", None, True, f=path, n=amount(rng, n))
    if way == "one":
        return ask(rng, """
            (print|put|show) (all|) (words|entries|lines) of {f} on one line (, separated by blanks|with blanks between)
            join the lines of {f} into one line with xargs
            use xargs to print {f} on one line
            {f} on a single line, blanks between the (entries|words)
            """.replace("(words|entries|lines) of {f} on one line (, separated",
            "lines of {f} on one line with xargs (, separated"), f"xargs < {quoted(path)}", f"print {path} on one line",
            None, True, f=path)
    word = names.word(rng)
    if way == "each":
        return ask(rng, """
            for (each|every) line of {f}, run echo {p} with the line behind (it|) (, using xargs|)
            use xargs to print {p} (before|in front of) (each|every) line of {f}
            xargs -I: echo {p} and the line, for each line of {f}
            with xargs, echo {p} plus each line of {f}
            """, f"xargs -I{{}} echo {word} {{}} < {quoted(path)}", "run echo for each line", None, True, f=path,
            p=word)
    folder = world.new_name("dir")
    files = inside(world, "")
    if len(files) < 3:
        raise Unsuitable("too few")
    some = rng.sample(files, rng.randint(2, len(files) - 1))
    listing = world.new_name("file", "lst")
    world.add_file(listing, "\n".join(some) + "\n")
    world.add_dir(folder)
    program, verb = rng.choice((("cp", "copy"), ("mv", "move")))
    return act(rng, f"""
        {verb} the files (listed|named) in {{f}} (to|into) {{d}}
        {verb} every file that {{f}} (lists|names) (to|into) {{d}}
        {{f}} (lists|names) files, {verb} (them|all of them) (to|into) {{d}}
        use xargs to {verb} the files (named|listed) in {{f}} into {{d}}
        """, f"xargs -d '\\n' {program} -t {quoted(folder)} < {quoted(listing)}", f"{verb} what {listing} lists",
        f=listing, d=folder)
