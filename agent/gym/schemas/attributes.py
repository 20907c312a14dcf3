"""What is known about one file: owner, rights, links, times, kind; and the parts of its path."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.schemas.registers import ask, expand, folder_of, inside, named
from nimllm.agent.gym.schemas.subjects import volatile
from nimllm.agent.gym.worlds import World


def _any(world: World, rng: random.Random) -> str:
    return rng.choice(world.dirs()) if world.dirs() and rng.random() < 0.25 else world.pick_file()


@schema("stat.owner", "stat", weight=1.2)
def owner(world: World, rng: random.Random) -> Draft:
    name = _any(world, rng)
    form, noun = rng.choice((("%U", "(owner|owner's name|owning user|user)"), ("%U",
        "(owner|owner's name|owning user)"),
                             ("%G", "(group|owning group|group's name)"), ("%U:%G",
                             "(owner and group|owner:group|user and group)")))
    templates = expand("""
        (who|which user) owns (the file|) {f}?
        who is the owner of {f}?
        <show> the owner of (the file|) {f}
        to whom does {f} belong?
        whose (file|) is {f}?
        """) if form == "%U" else ()
    return single(rng, (*templates, *expand(f"""
        <show> (only|just|) the {noun} of {{f}}
        {noun} of {{f}}
        what is the {noun} of {{f}}?
        <want> the {noun} of {{f}}
        use stat to (get|print|show) the {noun} of {{f}}
        {{f}}: {noun}?
        """)), f"stat -c {form} {quoted(name)}", f"show the {'group' if form == '%G' else 'owner'} of {name}", True,
        f=name)


@schema("stat.mode_letters", "stat", weight=0.9)
def mode_letters(world: World, rng: random.Random) -> Draft:
    name = _any(world, rng)
    world.entries[name].mode = rng.choice((0o600, 0o640, 0o700, 0o755, 0o664, 0o750, 0o644))
    return ask(rng, """
        <modes> of {f} in symbolic form
        <show> the <modes> of {f} (like|such as|in the form) -rw-r--r--
        (symbolic|human readable|rwx style) <modes> of {f}
        what are the <modes> of {f} in (rwx|symbolic|letter) (notation|form)?
        <want> the <modes> of {f} as letters (, not as a number|)
        use stat to print the <modes> of {f} (as letters|in human readable form)
        {f}: <modes> as letters?
        """, f"stat -c %A {quoted(name)}", f"show the permissions of {name}", f=name)


@schema("stat.mode_octal", "stat", weight=1.0)
def mode_octal(world: World, rng: random.Random) -> Draft:
    name = _any(world, rng)
    if world.entries[name].kind == "file":
        world.entries[name].mode = rng.choice((0o600, 0o640, 0o700, 0o755, 0o444, 0o664, 0o750, 0o644))
    return ask(rng, """
        <modes> of {f} (as a number|in octal|as an octal number|numerically)
        <show> the (octal|numeric) <modes> of {f}
        (octal|numeric) (mode|permissions) of {f}, (nothing else|only the number)
        what are the <modes> of {f} (as a number|in octal)?
        <want> the <modes> of {f} (as three digits|like 644|in octal)
        use stat to print the (octal|numeric) <modes> of {f}
        which chmod number does {f} have?
        {f}: octal mode?
        """, f"stat -c %a {quoted(name)}", f"show the mode of {name}", f=name)


@schema("stat.links", "stat", weight=0.5)
def link_count(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    if rng.random() < 0.5:
        return volatile(ask(rng, """
            (what is the|) inode (number|) of {f} (?|)
            <show> the inode (number|) of {f}
            <want> the inode (number|) of {f}
            which inode (number|) does {f} have?
            use stat to (get|print) the inode of {f}
            inode of {f}
            """, f"stat -c %i {quoted(name)}", f"show the inode of {name}", f=name))
    return ask(rng, """
        how many (hard links|hardlinks|names) does {f} have?
        (what is the|) number of hard links (of|to) {f} (?|)
        <show> the (link count|number of hard links) of {f}
        link count of {f}
        <want> the number of hard links of {f}
        use stat to print how many hard links {f} has
        count the hard links (of|to) {f}
        """, f"stat -c %h {quoted(name)}", f"show the link count of {name}", f=name)


@schema("time.form", "date", weight=1.3)
def time_form(world: World, rng: random.Random) -> Draft:
    """The modification date in a form that is said."""
    name = _any(world, rng)
    form, how = rng.choice((("+%F",
        "(as YYYY-MM-DD|in the form YYYY-MM-DD|, only the date|as an ISO date|, date only)"),
        ("+%F", "(as YYYY-MM-DD|, just the day|, only the date)"), ("+%Y", "(, only the year|, just the year)"),
        ("+%H:%M", "(, only the time of day|as HH:MM|, hours and minutes only)"), ("+%d.%m.%Y",
        "(as DD.MM.YYYY|in the form 31.12.2024)"),
        ("'+%F %H:%M'", "(as YYYY-MM-DD HH:MM|with date and time, no seconds)"), ("+%A",
        "(, only the weekday|, weekday only)")))
    return ask(rng, f"""
        when was {{f}} (last|) (modified|changed|edited) {how}?
        <show> the (modification date|modification time|last modification|mtime) of {{f}} {how}
        (date|time) of the last (change|modification) of {{f}} {how}
        <want> the modification (date|time) of {{f}} {how}
        last (change|modification) of {{f}} {how}
        when did {{f}} (last|) change {how}?
        use date to print when {{f}} was last (changed|modified) {how}
        (on what date|when) was {{f}} last touched {how}?
        """, f"date -r {quoted(name)} {form}", f"show when {name} was modified", f=name)


@schema("time.epoch_of", "stat", weight=0.5)
def time_epoch(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    return ask(rng, """
        (modification time|mtime) of {f} (in seconds since 1970|as a unix timestamp|as epoch seconds|in unix time)
        <show> the (modification time|mtime) of {f} as (a unix timestamp|epoch seconds|seconds since the epoch)
        (unix timestamp|epoch) of the last (change|modification) of {f}
        when was {f} (modified|changed), in seconds since (1970|the epoch)?
        <want> the mtime of {f} as a (number|unix timestamp)
        use stat to (get|print) the (epoch|unix) (time|timestamp) of {f}
        """, f"stat -c %Y {quoted(name)}", f"show the timestamp of {name}", f=name)


@schema("compare.newer", "ls", weight=1.0)
def newer(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 2:
        raise Unsuitable("too few")
    a, b = rng.sample(found, 2)
    option, word, _ = rng.choice((("-t", "(newer|more recent|more recently modified|the newer one)",
        "(changed|modified|edited) last"),
        ("-tr", "(older|the older one|less recently modified)", "not been (changed|modified) for longer"),
        ("-S", "(larger|bigger|the larger one)", "more bytes"), ("-Sr", "(smaller|the smaller one)", "fewer bytes")))
    if "S" in option and len(world.entries[a].content) == len(world.entries[b].content):
        raise Unsuitable("the same size")
    return ask(rng, f"""
        which (file|one|) is {word}, {{a}} or {{b}}?
        which of {{a}} and {{b}} is {word}?
        is {{a}} or {{b}} {word}? print the name
        {word}: {{a}} or {{b}}?
        <show> the {word} of {{a}} and {{b}}
        <want> to know which of {{a}} and {{b}} is {word}
        compare {{a}} and {{b}} and print the name of the {word} (file|one)
        of the (files|two files) {{a}} and {{b}}, which is {word}?
        """.replace("the (the", "the (").replace("|the newer one", "").replace("|the older one", "").replace(
            "|the larger one", "").replace("|the smaller one", ""),
        f"ls {option} {quoted(a, b)} | head -n 1", f"compare {a} and {b}", "It is {output}.", True, a=a, b=b)


@schema("file.kind", "file", weight=1.0)
def file_kind(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=1)
    form, how = rng.choice((("-b", "(, without the name|, only the type|, just the type|, brief)"),
        ("--mime-type -b", "(as a MIME type|as a mime type)"), ("--mime-type -b", "in MIME form"), ("", "")))
    if form == "":
        return ask(rng, """
            what (kind|type|sort) of file is {f}?
            (file type|type|kind) of {f}
            <show> the (file type|type|kind) of {f}
            is {f} a text file or (something else|a binary)?
            file {f}
            find out what {f} is (, text or binary|)
            what (format|encoding) (has|is used by) {f}?
            determine the (type|format) of {f}
            """, f"file {quoted(name)}", f"show the kind of {name}", f=name)
    return ask(rng, f"""
        what (kind|type) of file is {{f}} {how}?
        (file type|type|kind) of {{f}} {how}
        <show> the (file type|type) of {{f}} {how}
        <want> the (type|kind) of {{f}} {how}
        use file to (print|find out) the (type|kind) of {{f}} {how}
        determine the type of {{f}} {how}
        """, f"file {form} {quoted(name)}", f"show the kind of {name}", f=name)


@schema("file.kinds", "file", weight=0.6)
def file_kinds(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.6 else "."
    stars = "*" if folder == "." else f"{quoted(folder)}/*"
    w = "in {folder}" if folder != "." else "<here>"
    return ask(rng, """
        what (kind|type) of files are (the ones|those|the entries) <w>?
        <show> the (type|kind|file type) of (every|each) (file|entry) <w>
        (types|kinds|file types) of all files <w>
        run file on (everything|all files|every file) <w>
        (find out|tell me) what (type|kind) each file <w> is
        <want> the (file type|type) of everything <w>
        """.replace("<w>", w), f"file {stars}", "show the kind of each file",
        **named(folder))


@schema("path.test", "test", weight=1.5)
def test(world: World, rng: random.Random) -> Draft:
    """Yes or no about one path."""
    name = _any(world, rng)
    option, plan, block = rng.choice((
        ("-f", "a regular file", """
            is {f} a (regular|plain|ordinary|normal|) file?
            does a (regular|) file (called|named|) {f} exist?
            (check|test) (if|whether) {f} is a (regular|) file
            yes or no: is {f} a file (, not a folder|)?
            """), ("-d", "a folder", """
            is {f} a <dir>?
            does a <dir> (called|named|) {f} exist?
            (check|test) (if|whether) (the <dir> {f} exists|{f} is a <dir>)
            is there a <dir> (called|named|) {f}?
            do we have a <dir> {f}?
            yes or no: is {f} a <dir>?
            """), ("-s", "not empty", """
            (has|does) {f} (any content|anything in it)?
            is {f} (non-empty|not empty)?
            (check|test) (if|whether) {f} has (content|any content)
            is there anything in (the file|) {f}?
            is the size of {f} (greater|more) than zero?
            """), ("-x", "executable", """
            is {f} executable?
            can {f} be (executed|run)?
            (check|test) (if|whether) {f} is executable
            does {f} have the (execute|x) (bit|permission) (for me|)?
            am I allowed to (execute|run) {f}?
            """), ("-w", "writable", """
            is {f} writable (for me|)?
            can I (write to|change|modify) {f}?
            (check|test) (if|whether) {f} is writable
            do I have write (permission|access) (on|to|for) {f}?
            may I write to {f}?
            """), ("-r", "readable", """
            is {f} readable (for me|)?
            can I read {f}?
            (check|test) (if|whether) {f} is readable
            do I have read (permission|access) (on|to|for) {f}?
            """), ("-L", "a symbolic link", """
            is {f} a (symbolic link|symlink|link)?
            (check|test) (if|whether) {f} is a (symbolic link|symlink)
            {f}: (symlink|symbolic link) or not?
            is {f} a (real file|file) or a symlink? say yes for a symlink
            """)))
    if rng.random() < 0.35 and option in ("-f", "-d"):
        name = world.new_name("file" if option == "-f" else "dir")
    if option == "-L" and rng.random() < 0.5:
        name = world.new_name("file")
        world.add_link(name, world.pick_file())
    if option == "-s" and rng.random() < 0.4:
        name = world.new_name("file")
        world.add_file(name, "")
    if option == "-s" and world.entries[name].kind == "dir":
        raise Unsuitable("a folder")
    block = block.replace("(has|does) {f} (any content|anything in it)", "does {f} have (any content|anything in it)")
    return ask(rng, block + """
        (tell me|say|print) yes or no: X {f}?
        """.replace("(tell me|say|print) yes or no: X {f}?", ""),
        f"test {option} {quoted(name)} && echo yes || echo no",
        f"check whether {name} is {plan}", None, True, f=name)


@schema("path.extension", "echo", weight=0.7)
def extension(world: World, rng: random.Random) -> Draft:
    """Parts of a path that bash cuts off."""
    path = world.pick_file()
    if " " in path or not PurePosixPath(path).suffix or PurePosixPath(path).name.startswith("."):
        path = f"{names.word(rng)}/{names.word(rng)}-{rng.randint(1, 99)}.{world.ext()}"
    cut, noun, plan = rng.choice((("##*.", "(extension|file extension|suffix|ending)", "extension"),
        ("##*.", "(extension|file extension)", "extension"), ("%.*", "(path without the extension|path, extension "
        "cut off|name without its extension)", "stem")))
    return ask(rng, f"""
        (what is|show|print|give me) the {noun} of {{p}}
        {noun} of {{p}}
        set f={{p}} and print its {noun} with parameter expansion
        <want> (only|just|) the {noun} of {{p}}
        use (bash|shell) parameter expansion to get the {noun} of {{p}}
        (get|cut out|extract) the {noun} (of|from) (the path|) {{p}}
        which {noun} does {{p}} have?
        """, f'f={path}; echo "${{f{cut}}}"', f"cut out the {plan}", None, True, p=path)


@schema("path.base_without", "basename", weight=0.7)
def base_without(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    suffix = PurePosixPath(path).suffix
    if not suffix or PurePosixPath(path).name.startswith(".") or not suffix[1:].isalnum():
        raise Unsuitable("no extension")
    if rng.random() < 0.5:
        path = "/".join(["", rng.choice(("srv", "home", "data", "opt")), names.word(rng), PurePosixPath(path).name])
    return ask(rng, """
        (file|base) name of {p} without (the|its) (extension|suffix|ending) {x}
        basename of {p} without {x}
        <show> the (file|base) name of {p} without (the ending|the suffix|) {x}
        (strip|remove) (the|) (folder|directory|path) and {x} from {p} (and print it|)
        <want> the (bare|) name of {p}: no (folder|directory|path), no {x}
        what is {p} called without folder and (extension|ending) {x}?
        use basename to strip {x} (from|off) {p}
        """, f"basename {quoted(path)} {suffix}", "show the bare name", None, True, p=path, x=suffix)


@schema("path.relative", "realpath", weight=0.5)
def relative(world: World, rng: random.Random) -> Draft:
    name, folder = world.pick_file(), world.pick_dir()
    return ask(rng, """
        path of {f} relative to {d}
        <show> the relative path (of|to) {f} (seen from|starting from|from) {d}
        what is the path of {f} relative to the <dir> {d}?
        (relative|) path from {d} to {f}
        <want> the path to {f} as seen from {d}
        how do I get from {d} to {f}? print the relative path
        use realpath to (get|print) {f} relative to {d}
        """, f"realpath --relative-to {quoted(folder)} {quoted(name)}", f"show the path from {folder}", None, True,
        f=name, d=folder)


@schema("path.absolute_of_all", "realpath find", weight=0.8)
def absolute_of_all(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng)
    if not [path for path in inside(world, folder) if not path.rsplit("/", 1)[-1].startswith(".")]:
        raise Unsuitable("hidden")
    if rng.random() < 0.5:
        return ask(rng, """
            (absolute|full|complete) paths of (the|all|all the) (entries|things) (in|directly in) {folder}
            <show> the (absolute|full) (path|paths) of (everything|all entries) (directly|) in {folder}
            what are the (full|absolute) paths of the entries in {folder}?
            realpath of everything in {folder}
            <want> the entries of {folder} with their full paths
            list {folder} with (absolute|full) paths (, not recursive|)
            """, f"realpath {quoted(folder)}/*", "show the full paths", folder=folder)
    return ask(rng, """
        (absolute|full|complete) paths of (all|all the) files (below|under|anywhere in) {folder}
        <find> all files (below|under) {folder} and print (their|) (absolute|full) paths
        <find> the files (below|under) {folder} with (absolute|full) paths
        recursive list of the files in {folder} with (absolute|full) paths
        <want> the absolute (path|paths) of every file (below|under) {folder}
        use find to print the full path of every file (below|under) {folder}
        """, f'find "$PWD"/{quoted(folder)} -type f', "find the full paths", folder=folder)


@schema("path.folder_of", "dirname", weight=0.7)
def folder_part(world: World, rng: random.Random) -> Draft:
    name = rng.choice([path for path in world.files() if "/" in path] or [""])
    if not name:
        raise Unsuitable("none below")
    if rng.random() < 0.5:
        return ask(rng, """
            in which <dir> (lies|is) {f}? (full path|absolute path|give the full path)
            (full|absolute) path of the <dir> (that holds|that contains|of) {f}
            <show> the (full|absolute) path of the <dir> (in which {f} lies|with {f} in it)
            absolute <dir> of (the file|) {f}
            <want> the absolute path of the parent <dir> of {f}
            """, f'dirname "$(realpath {quoted(name)})"', f"show the folder of {name}", None, True, f=name)
    return ask(rng, """
        parent <dir> of {f}
        <show> the parent <dir> of {f}
        what is the (parent|containing) <dir> of {f}?
        <dir> part of (the path|) {f}
        <want> (only|just) the <dir> (of|from) the path {f}
        use dirname on {f}
        """, f"dirname {quoted(name)}", f"show the folder of {name}", None, True, f=name)


@schema("path.resolve", "readlink", weight=0.7)
def resolve(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file") if rng.random() < 0.5 else world.new_name("dir")
    world.add_link(name, rng.choice([*world.files(), *world.dirs()]))
    return ask(rng, """
        (full|absolute) path (of the file|) that (the link|the symlink|) {l} points to
        where does (the link|the symlink|) {l} (lead|point) to (in the end|), as (a full|an absolute) path?
        (resolve|follow) (the link|the symlink|) {l} (and print the full path|to its absolute path)
        readlink -f {l}
        <show> the (final|real) target of (the symlink|the link|) {l} as a full path
        <want> the (full|absolute) target path of (the symlink|the link|) {l}
        """, f"readlink -f {quoted(name)}", f"resolve {name}", None, True, l=name)


@schema("shell.type", "type command", weight=0.7)
def command_type(world: World, rng: random.Random) -> Draft:
    program = rng.choice(("cd", "echo", "ls", "grep", "printf", "test", "kill", "find", "awk", "tar", "export", "pwd",
        "sed", "read", "if"))
    kind = rng.choice(("type", "type", "command"))
    if kind == "type":
        return volatile(ask(rng, """
            is {p} (a builtin|a shell builtin|built into bash) or (a program|an external program|a file)?
            what (kind|type|sort) of command is {p}?
            type {p}
            (how|as what) does bash (see|treat|understand) {p}?
            <show> what {p} is (to bash|for the shell)
            is {p} an alias, a function, a builtin or a file?
            what would bash run for {p}?
            """, f"type {program}", f"show what {program} is", p=program))
    return volatile(ask(rng, """
        command -v {p}
        where does the shell find {p}? (use command -v|)
        use command -v to (find|locate|check for) {p}
        (check|test) with command -v (if|whether) {p} is (installed|available|there)
        """, f"command -v {program}", f"find {program}", p=program))


@schema("program.installed", "command", weight=1.0)
def installed(world: World, rng: random.Random) -> Draft:
    program = rng.choice(("git", "python3", "jq", "curl", "docker", "node", "make", "gcc", "tree", "zip", "rsync",
        "vim", "tmux", "go", "cargo",
                          "java", "ruby", "perl", "htop", names.syllables(rng)))
    return volatile(ask(rng, """
        is {p} installed? (yes or no|answer yes or no|just yes or no)
        do we have {p} (here|on this machine|)? yes or no
        (check|test|find out) (if|whether) {p} is (installed|available|on this machine), (print|say) yes or no
        yes or no: is {p} (installed|available)?
        (print|say) yes if {p} is installed (, no otherwise|, else no|and no if not)
        can I use {p} on this (machine|box)? yes or no
        """, f"command -v {program} > /dev/null && echo yes || echo no", f"check whether {program} is installed",
        p=program))


@schema("stat.several", "stat", weight=0.5)
def several_files(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 3:
        raise Unsuitable("too few")
    some = rng.sample(found, rng.choice((2, 2, 3)))
    form, noun = rng.choice((("%s %n", "(sizes in bytes|byte sizes)"), ("%a %n", "octal (permissions|modes)")))
    made = ask(rng, f"""
        {noun} of {{x}}, with the names
        <show> the {noun} and names of {{x}}
        {noun} and names of {{x}}
        <want> the {noun} of {{x}}, each with the name behind
        (print|list) the {noun} of {{x}}, one file per line with its name
        """, f"stat -c '{form}' {quoted(*some)}", "show it for each file", None, True, protected=some,
        x=", ".join(some[:-1]) + " and " + some[-1])
    return made
