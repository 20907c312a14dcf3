"""Two steps where a file says what is to be done: a setting that is a path, instructions, a number, a link."""

from __future__ import annotations

import json
import random

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.sequences import line
from nimllm.agent.gym.stepwise import stepwise
from nimllm.agent.gym.worlds import World


def _setting(world: World, rng: random.Random, keys: tuple[str, ...], value: str) -> tuple[str, str, str]:
    """A new configuration file that sets one of the keys to ``value``: (file, key, the command that reads it)."""
    ext, form = rng.choice((("ini", "{} = {}"), ("yaml", "{}: {}"), ("conf", "{} {}"), ("env", "{}={}"),
                            ("cfg", "{}={}"),
                            ("toml", '{} = "{}"'), ("json", ""), ("yml", "{}: {}")))
    key = rng.choice(keys)
    if ext == "env":
        key = key.upper()
    rows = [(plain(world), rng.choice((plain(world), str(rng.randint(1, 999))))) for _ in range(rng.randint(1, 4))]
    rows.insert(rng.randrange(len(rows) + 1), (key, value))
    if len({name for name, _ in rows}) < len(rows) or any(key in f"{name}{other}" for name,
                                                          other in rows if name != key):
        raise Unsuitable("the key occurs twice")
    text = json.dumps(dict(rows), indent=2) if ext == "json" else "\n".join(form.format(*row) for row in rows)
    path = rng.choice((f"config.{ext}", f"settings.{ext}", f"app.{ext}", world.new_name(ext=ext)))
    world.add_file(path, text + "\n")
    return path, key, f"jq -r .{key} {quoted(path)}" if ext == "json" else f"grep '^{key}' {quoted(path)}"


def _folder_with_files(world: World, rng: random.Random) -> str:
    found = [path for path in world.dirs() if world.files(under=path) and " " not in path and "'" not in path]
    if not found:
        raise Unsuitable("no folder with files")
    return rng.choice(found)


@schema("lookup.folder_setting", "grep jq ls find", steps=2, weight=1.5)
def folder_setting(world: World, rng: random.Random) -> Draft:
    folder = _folder_with_files(world, rng)
    path, key, look = _setting(world, rng, ("data_dir", "log_dir", "output_dir", "folder", "root", "cache_dir",
                                            "upload_dir"), folder)
    then, part, ways, plan = rng.choice((
        (f"ls {quoted(folder)}", "(list|show) that folder", (
            "(list|show) the folder that {key} in {file} (names|points to)", "what is in the {key} (set in|of) {file}?",
            "which files are in the folder that {file} has as {key}?", "ls the {key} from {file}"), "list that folder"),
        (f"find {quoted(folder)} -type f | wc -l", "count the files in that folder", (
            "how many files are in the {key} (that is set in|of) {file}?",
            "count the files in the folder that {file} has as {key}",
            "{file} sets {key}; how many files does that folder hold?"), "count its files"),
        (f"du -sh {quoted(folder)}", "(say|show|tell me) how big that folder is", (
            "how (big|large) is the {key} of {file}?", "size of the folder that {key} in {file} names",
            "how much space does the {key} from {file} take?"), "measure it")))
    return steps(rng, (*stepwise(rng, ("(look up|read|find) {key} in {file}", part), 3), *ways), (look, then),
                 (f"look up {key}", plan), True, key=key, file=path)


@schema("lookup.file_setting", "grep jq tail head cat wc", steps=2, weight=1.5)
def file_setting(world: World, rng: random.Random) -> Draft:
    """A setting names a file; something is asked of that file."""
    found = [path for path in world.texts(min_lines=3) if " " not in path and "'" not in path]
    if not found:
        raise Unsuitable("no text")
    other, n = rng.choice(found), rng.randint(2, 6)
    path, key, look = _setting(world, rng, ("logfile", "log_file", "input", "template", "data_file", "output",
                                            "database", "source"), other)
    if other == path:
        raise Unsuitable("the same file")
    then, part, ways, plan = rng.choice((
        (f"tail -n {n} {quoted(other)}", "(show|print) the last {n} lines of that file", (
            "(show|print) the last {n} lines of the {key} (that|which) {file} names",
            "{file} names a {key}: show its last {n} lines",
            "tail the {key} from {file}, {n} lines"), f"print its last {n} lines"),
        (f"head -n {n} {quoted(other)}", "(show|print) the first {n} lines of that file", (
            "(show|print) the first {n} lines of the {key} (set|named) in {file}",
            "what are the first {n} lines of the {key} of {file}?"),
         f"print its first {n} lines"),
        (f"wc -l < {quoted(other)}", "count the lines of that file", (
            "how many lines does the {key} of {file} have?", "count the lines of the file that {file} has as {key}",
            "lines in the {key} that is set in {file}"), "count its lines"),
        (f"wc -c < {quoted(other)}", "(say|tell me) its size in bytes", (
            "size in bytes of the {key} that {file} names", "how big is the {key} set in {file}, in bytes?"),
            "print its size")))
    return steps(rng, (*stepwise(rng, ("(look up|read|find) {key} in {file}", part), 3), *ways), (look, then),
                 (f"look up {key}", plan), True, ordered=True, key=key, file=path, n=n)


@schema("lookup.make_setting", "grep jq mkdir", steps=2, weight=1.2)
def make_setting(world: World, rng: random.Random) -> Draft:
    folder = rng.choice(("", f"{plain(world)}/")) + plain(world)
    path, key, look = _setting(world, rng, ("data_dir", "log_dir", "output_dir", "cache_dir", "tmp_dir", "target",
                                            "workdir"), folder)
    return steps(rng, (
        *stepwise(rng, ("(look up|read|find) {key} in {file}", "(make|create) that folder"), 3),
        "(make|create) the folder that {key} in {file} (names|points to)",
        "the {key} of {file} does not exist yet, (make|create) it",
        "{file} sets {key}, (make sure that this folder exists|make that folder)", "mkdir the {key} from {file}"),
        (look, f"mkdir -p {quoted(folder)}"), (f"look up {key}", "create it"), False, f"Done: {folder} is there.",
        key=key, file=path)


@schema("lookup.search_setting", "grep jq", steps=2)
def search_setting(world: World, rng: random.Random) -> Draft:
    """A value is read and searched for in another file."""
    value = f"{plain(world)}{rng.randint(10, 99)}"
    path, key, look = _setting(world, rng, ("user", "host", "token", "name", "id", "project", "job"), value)
    other = world.new_name(ext=rng.choice(("log", "txt", "csv")))
    rows = [f"{plain(world)} {plain(world)} {rng.randint(1, 99)}" for _ in range(rng.randint(2, 5))]
    rows += [f"{value} {plain(world)}" for _ in range(rng.randint(1, 3))]
    rng.shuffle(rows)
    world.add_file(other, "\n".join(rows) + "\n")
    count = rng.random() < 0.4
    part = "count (its|the) lines (with it|that hold it) in {other}" if count else "(search|grep) {other} for it"
    ways = ("how often does the {key} of {file} occur in {other}?",
            "count the lines of {other} with the {key} that {file} sets") if count else (
        "(which|what) lines of {other} mention the {key} (set in|of) {file}?",
        "search {other} for the {key} from {file}",
        "find the {key} of {file} in {other}")
    return steps(rng, (*stepwise(rng, ("(look up|read) {key} in {file}", part), 3), *ways),
                 (look, f"grep {'-c ' if count else ''}'{value}' {quoted(other)}"),
                 (f"look up {key}", f"search {other} for it"), True,
                 ordered=True, key=key, file=path, other=other)


@schema("lookup.run_setting", "jq bash python3", steps=2, weight=1.2)
def run_setting(world: World, rng: random.Random) -> Draft:
    """package.json says which command is the script "test"."""
    name, ext = plain(world), rng.choice(("sh", "py"))
    script = rng.choice(("", "scripts/", "tools/")) + f"{name}.{ext}"
    command = f"{'bash' if ext == 'sh' else 'python3'} {script}"
    word, number = plain(world), rng.randint(1, 99)
    world.add_file(script, f"echo {word} {number}\n" if ext == "sh" else f"print('{word}', {number})\n")
    task = rng.choice(("test", "build", "start", "lint", "check", "deploy", plain(world)))
    world.add_file("package.json", json.dumps({"name": plain(world), "version": "1.0.0",
                                               "scripts": {task: command, plain(world) + "x": "true"}},
                                              indent=2) + "\n")
    return steps(rng, (
        *stepwise(rng, ("(look up|read) the {task} script in package.json", "run (it|that command)"), 3),
        "run what package.json has as its {task} script",
        "(run|do) the {task} script of package.json (without npm|, there is no npm here)",
        "package.json defines a {task} script, (run|execute) that command", "npm run {task}, but npm is not installed",
        "what does the {task} script in package.json do? run it"),
        (f"jq -r .scripts.{task} package.json", command), (f"look up the {task} script", "run it"), True, ordered=True,
        protected=("package.json",), task=task)


@schema("lookup.instructions", "cat rm mv mkdir cp touch bash", steps=2, weight=2)
def instructions(world: World, rng: random.Random) -> Draft:
    """A note says what to do."""
    top = [path for path in world.files() if "/" not in path and " " not in path and not path.startswith((".", "-"))
           and path.isascii()]
    if len(top) < 2:
        raise Unsuitable("too few files")
    one, new, folder = rng.choice(top), f"{plain(world)}.txt", f"{plain(world)}-{rng.randint(1, 99)}"
    script, word = f"{plain(world)}{rng.randint(1, 9)}.sh", line(world, rng)
    name = rng.choice(("TODO", "TODO.txt", "todo.md", "INSTRUCTIONS.txt", "notes-to-self.txt", "task.txt", "NEXT.md",
                       "steps.txt"))
    if name in top or new in top or script in top:
        raise Unsuitable("the name is taken")
    told, command, plan = rng.choice((
        (f"delete {one}", f"rm {quoted(one)}", "do what it says"), (f"remove the file {one}", f"rm {quoted(one)}",
                                                                    "do what it says"),
        (f"rename {one} to {new}", f"mv {quoted(one)} {new}", "do what it says"),
        (f"copy {one} to {new}", f"cp {quoted(one)} {new}", "do what it says"),
        (f"create the folder {folder}", f"mkdir {folder}", "do what it says"),
        (f"make a directory called {folder}", f"mkdir {folder}", "do what it says"),
        (f"create an empty file {new}", f"touch {new}", "do what it says"),
        (f"write '{word}' to {new}", f"echo {string(word)} > {new}", "do what it says"),
        (f"make {script} executable", f"chmod +x {script}", "do what it says"),
        (f"run {script}", f"bash {script}", "do what it says")))
    if script in told:
        world.add_file(script, f"echo {plain(world)} > {plain(world)}.out\n")
        world.entries[script].mode = 0o644
    head = rng.choice(("", "# TODO\n", "Next step:\n", "- ", "* ", "1. ", "Please "))
    world.add_file(name, f"{head}{told}\n")
    return steps(rng, (
        "do what {file} says", "(read|look into|see) {file} and do (it|what it says|that)",
        "follow the instructions in {file}",
        "there is something to do in {file}, (do it|take care of it)",
        "(carry out|execute) the (task|step|instruction) (written|described|) in {file}",
        "{file} says what to do: do it", *stepwise(rng, ("(read|open) {file}", "do what it says"), 2)),
        (f"cat {quoted(name)}", command), (f"read {name}", plan), False, f"Done: {told}.", file=name)


@schema("lookup.readme_run", "grep cat bash python3 make", steps=2, weight=1.2)
def readme_run(world: World, rng: random.Random) -> Draft:
    """The README says how the project is run."""
    name, ext = plain(world), rng.choice(("sh", "py"))
    script = rng.choice(("", "bin/", "scripts/")) + f"{name}.{ext}"
    argument = rng.choice(("", "", f" {plain(world)}", f" {rng.randint(1, 9)}"))
    command = f"{'bash' if ext == 'sh' else 'python3'} {script}{argument}"
    number = rng.randint(1, 99)
    world.add_file(script,
                   f"echo {name} $1 {number}\n" if ext == "sh"
                   else f"import sys\n\nprint('{name}', *sys.argv[1:], {number})\n")
    title = rng.choice(("Usage", "Running", "How to run", "Quick start", "Run"))
    world.add_file("README.md", f"# {plain(world)}\n\n{world.text(2).strip()}\n\n## {title}\n\n    {command}\n")
    return steps(rng, (
        "(look|see) in README.md how (the project|this|it) is (run|started) and (run|do) it",
        "run (the project|this) as (the|) README.md says",
        "README.md says how to (run|start) (this|it), do (it|that)",
        "how do I run this? (see|read) README.md and run it",
        "(read|check) README.md and (run|execute) the command (it gives|there)",
        "(start|run) it the way README.md describes",
        *stepwise(rng, ("(read|look into) README.md", "run the command (it names|it gives|from it)"), 2)),
        ("cat README.md", command), ("read the README", "run it"), True, ordered=True, protected=("README.md",))


@schema("lookup.link_target", "readlink cat head wc", steps=2, weight=0.8)
def link_target(world: World, rng: random.Random) -> Draft:
    found = [path for path in world.texts(min_lines=3) if "/" not in path]
    link = rng.choice(("latest", "current", plain(world)))
    if not found or link in world.entries:
        raise Unsuitable("no text")
    path, new = rng.choice(found), world.new_name()
    world.add_link(link, path)
    command, part, plan = rng.choice((
        (f"cp {quoted(path, new)}", "copy that file to {new}", f"copy it to {new}"),
        (f"gzip -k {quoted(path)}", "compress that file (but keep it|, keep the original)",
                                                                                      "compress it")))
    return steps(rng, (
        *stepwise(rng, ("(see|find out|look) where (the link|) {link} points (to|)", part), 4),
        f"where does {{link}} point to? {part}", f"(read|resolve) the link {{link}} and {part}"),
        (f"readlink {link}", command), (f"read the link {link}", plan), False, "Done.", link=link, new=new)


@schema("lookup.version_tag", "cat git", steps=2, git=True)
def version_tag(world: World, rng: random.Random) -> Draft:
    version = f"{rng.randint(0, 9)}.{rng.randint(0, 20)}.{rng.randint(0, 20)}"
    name = rng.choice(("VERSION", "version.txt", "VERSION.txt"))
    world.add_file(name, version + "\n")
    return steps(rng, (
        *stepwise(rng, ("(read|look up) the version in {file}", "(make|set|create) the tag v and that version"),
                  3),
        "tag the current commit with the version (in|from) {file}, with a v before it",
        "{file} holds the version, tag it (as v plus that number|with a leading v)",
        "(make|set) a git tag for the version in {file}, like v1.2.3"),
        (f"cat {name}", f"git tag v{version}"), (f"read {name}", "tag it"), False,
        f"Done: tagged v{version}.",
        file=name)


def _report(world: World, rng: random.Random) -> str:
    return world.new_name(ext=rng.choice(("txt", "md", "log"))) if rng.random() < 0.7 else rng.choice(("report.txt",
                                                                                                       "summary.md",
                                                                                                       "stats.txt"))


@schema("lookup.number_to_report", "find grep wc du git awk echo", steps=2, weight=2)
def number_to_report(world: World, rng: random.Random) -> Draft:
    """Count or add up, then write or append the number."""
    report = _report(world, rng)
    exts = sorted({ext for ext in world.extensions() if ext.isalnum()})
    path = world.pick_text(3)
    words = sorted({word for word in world.read(path).split() if word.isalpha() and word.isascii() and len(word) > 3})
    if not exts or not words or report in world.entries:
        raise Unsuitable("nothing to count")
    ext, word = rng.choice(exts), rng.choice(words)
    what, command, number, plan = rng.choice((
        (f".{ext} files (here and below|in all folders|)", f"find . -type f -name '*.{ext}' | wc -l",
         len(world.files(ext)), f"count the .{ext} files"),
        ("files (here and below|in all folders|)", "find . -type f | wc -l", len(world.files()), "count the files"),
        (f"lines with {word} in {{file}}", f"grep -c '{word}' {quoted(path)}",
         sum(word in row for row in world.read(path).split("\n")),
         f"count the lines with {word}"),
        ("lines of {file}", f"wc -l < {quoted(path)}", world.read(path).count("\n"), f"count the lines of {path}"),
        ("words of {file}", f"wc -w < {quoted(path)}", len(world.read(path).split()), f"count the words of {path}")))
    append = rng.random() < 0.5
    if append:
        world.add_file(report, world.text(2) if not report.endswith(".md") else f"# Report\n\n{world.text(1)}")
        number += what.startswith(("files", f".{ext}")) and (what.startswith("files") or report.endswith(f".{ext}"))
    label = rng.choice(("", "", f"{plain(world)}: ", "total: ", "count: "))
    sign, verb = (">>", "append") if append else (">", "write")
    tail = f" in the form '{label}N'" if label else ""
    return steps(rng, (
        *stepwise(rng, (f"count the {what}", f"{verb} the (number|result){tail} to {{report}}"), 3),
        f"{verb} the number of {what}{tail} to {{report}}",
        f"count the {what} and {'add the number at the end of' if append else 'put the number into'} {{report}}{tail}",
        f"{{report}} should {'get one more line:' if append else 'contain only'} the number of {what}{tail}",
        f"how many {what} are there? {verb} (the answer|that number){tail} to {{report}}"),
        (command, f"echo {string(f'{label}{number}') if label else number} {sign} {quoted(report)}"),
        (plan, f"{verb} it to {report}"), False,
        f"Done: {report} has it.", file=path, report=report, word=word, ext=f".{ext}", label=label or "the number")


@schema("lookup.next_version", "cat echo", steps=2, weight=0.6)
def next_version(world: World, rng: random.Random) -> Draft:
    name, parts = rng.choice(("VERSION", "version.txt", "build.txt", "COUNTER")), rng.random() < 0.5
    old = [rng.randint(0, 9), rng.randint(0, 20), rng.randint(0, 30)]
    before = ".".join(map(str, old)) if parts else str(rng.randint(1, 200))
    after = ".".join(map(str, [*old[:2], old[2] + 1])) if parts else str(int(before) + 1)
    world.add_file(name, before + "\n")
    what = "the patch (version|number|level)" if parts else "the number"
    return steps(rng, (
        f"(increase|raise|bump) {what} in {{file}} by one", f"{{file}}: (increase|bump) {what}",
        f"add one to {what} in {{file}}",
        f"increment {what} in {{file}}", *stepwise(rng, ("(read|look into) {file}",
                                                         f"(write|put) {what} plus one back"), 2)),
        (f"cat {name}", f"echo {after} > {name}"), (f"read {name}", "write the next one"), False, f"Done: {after}.",
        file=name)


@schema("lookup.names_in_list", "cat cp mv rm", steps=2, weight=1.2)
def names_in_list(world: World, rng: random.Random) -> Draft:
    """A list says which files are to be copied, moved or deleted."""
    top = [path for path in world.files() if "/" not in path and " " not in path and "'" not in path
           and not path.startswith((".", "-"))]
    if len(top) < 3:
        raise Unsuitable("too few files")
    some = rng.sample(top, rng.randint(2, min(4, len(top) - 1)))
    name, folder = world.new_name(ext=rng.choice(("txt", "lst", "list"))), world.new_name("dir")
    world.add_file(name, "\n".join(some) + "\n")
    world.add_dir(folder)
    verb, command, tail = rng.choice((("copy", f"cp {quoted(*some, folder)}/", " to {folder}"),
                                      ("move", f"mv {quoted(*some, folder)}/", " to {folder}"),
                                      ("delete", f"rm {quoted(*some)}", "")))
    return steps(rng, (
        f"{verb} the files (that are listed|listed|named) in {{file}}{tail}",
        f"{{file}} lists files, {verb} (them|all of them){tail}",
        f"{verb} every file that {{file}} (names|lists){tail}", *stepwise(rng, ("(read|open|look at) {file}",
            f"{verb} the files (in that list|it names){tail}"), 3)),
        (f"cat {quoted(name)}", command), (f"read {name}", f"{verb} them"), False, "Done.", file=name, folder=folder)
