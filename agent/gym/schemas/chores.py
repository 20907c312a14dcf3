"""Everyday chores of two and three commands that a request names one after the other, and deeds on several files."""

from __future__ import annotations

import gzip as packer
import random
import re
import shutil
from typing import Any

from nimllm.agent.gym.deeds import CHANGE, READ, Deed, append, backup, copy, deed, gzip, move, protect, replace
from nimllm.agent.gym.names import NOUNS
from nimllm.agent.gym.projects import project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.repairs_paths import archive_bytes
from nimllm.agent.gym.schemas.sequences import line, said, top_kind
from nimllm.agent.gym.stepwise import stepwise
from nimllm.agent.gym.worlds import World


def _named(what: Deed, letter: str, path: str) -> tuple[str, dict[str, Any]]:
    """An imperative for the deed on the file called ``path``, its slots renamed so that two deeds can be joined."""
    ways = [way for way in what.direct if re.match(r"\(?(show|print|give|delete|move|copy|rename|set|append|replace|"
                                                   r"compress|count|make|put|add|change|save|gzip)", way)]
    slots: dict[str, Any] = {f"{letter}_{key}": value for key, value in what.slots.items()}
    text = re.sub(r"\{(\w+)\}", lambda found: "{" + f"{letter}_{found[1]}" + "}", "(" + "|".join(ways) + ")")
    return text, {**slots, f"{letter}_it": path}


def _apart(world: World, rng: random.Random, number: int) -> list[str]:
    """Different text files of the top folder."""
    found = [path for path in world.texts(min_lines=4) if "/" not in path and not path.startswith(("-", "."))
             and len(world.read(path)) < 900]
    if len(found) < number:
        raise Unsuitable("too few files")
    return rng.sample(found, number)


@schema("compose.change_read", "head tail wc cat cp mv gzip rm chmod sed echo", steps=2, weight=2.5)
def change_read(world: World, rng: random.Random) -> Draft:
    """One file is changed, another is read."""
    one, other = _apart(world, rng, 2)
    first, second = deed(world, rng, one, CHANGE), deed(world, rng, other, READ)
    (a, slots), (b, more) = _named(first, "a", one), _named(second, "b", other)
    return steps(rng, stepwise(rng, (a, b)), (first.command, second.command),
                 (first.planned(one), second.planned(other)),
                 True, None, second.ordered, **slots, **more)


@schema("compose.change_change", "cp mv gzip rm chmod sed echo", steps=2, weight=2)
def change_change(world: World, rng: random.Random) -> Draft:
    one, other = _apart(world, rng, 2)
    first, second = deed(world, rng, one, CHANGE), deed(world, rng, other, (append, backup, copy, gzip, move, protect,
        replace))
    (a, slots), (b, more) = _named(first, "a", one), _named(second, "b", other)
    return steps(rng, stepwise(rng, (a, b)), (first.command, second.command),
                 (first.planned(one), second.planned(other)),
                 False, "Done.", **slots, **more)


@schema("compose.change_change_read", "head tail wc cat cp mv gzip rm chmod sed echo", steps=3, weight=5)
def change_change_read(world: World, rng: random.Random) -> Draft:
    one, other, third = _apart(world, rng, 3)
    deeds = deed(world, rng, one, CHANGE), deed(world, rng, other, CHANGE), deed(world, rng, third, READ)
    named = [_named(what, letter, path) for what, letter, path in zip(deeds, "abc", (one, other, third), strict=True)]
    slots: dict[str, Any] = {key: value for _, some in named for key, value in some.items()}
    return steps(rng, stepwise(rng, [text for text, _ in named]), tuple(what.command for what in deeds),
                 tuple(what.planned(path) for what, path in zip(deeds, (one, other, third), strict=True)), True, None,
                 deeds[2].ordered, **slots)


@schema("compose.edit_read", "sed echo chmod head tail wc cat", steps=2, weight=2)
def edit_read(world: World, rng: random.Random) -> Draft:
    """One file is changed and then read."""
    [path] = _apart(world, rng, 1)
    first, second = deed(world, rng, path, (append, replace)), deed(world, rng, path, READ)
    a, slots = _named(first, "a", path)
    then = rng.choice(second.then)
    b = re.sub(r"\{(\w+)\}", r"{b_\1}", then)
    more: dict[str, Any] = {f"b_{key}": value for key, value in second.slots.items()}
    return steps(rng, stepwise(rng, (a, b)), (first.command, second.command),
                 (first.planned(path), second.planned("it")),
                 True, None, second.ordered, **slots, **more)


@schema("chore.backup_append", "cp echo", steps=2, weight=1.2)
def backup_append(world: World, rng: random.Random) -> Draft:
    [path] = _apart(world, rng, 1)
    text, bak = line(world, rng), f"{path}.{rng.choice(('bak', 'orig', 'old', 'save'))}"
    if not world.entries[path].content.endswith(b"\n") or bak in world.entries:
        raise Unsuitable("no line end")
    return steps(rng, (*stepwise(rng, ("(copy|save) {file} (to|as) {bak}",
        "(append|add) (the line|) {text} to {file}"), 4),
                       "(append|add) {text} to {file}, but (keep|make) a copy {bak} first",
                       "back up {file} as {bak} before you (append|add) {text} to it"),
                 (f"cp {quoted(path, bak)}", f"echo {string(text)} >> {quoted(path)}"),
                 (f"copy {path} to {bak}", "append the line"),
                 False, f"Done: {bak} is the old {path}.", file=path, bak=bak, text=said(rng, text))


@schema("chore.backup_sort", "cp sort", steps=2)
def backup_sort(world: World, rng: random.Random) -> Draft:
    [path] = _apart(world, rng, 1)
    bak, unique = f"{path}.bak", rng.random() < 0.4
    how = "sort {file} in place and drop duplicate lines" if unique else "sort {file} in place"
    return steps(rng, (*stepwise(rng, ("(copy|back up|save) {file} (to|as) {bak}", how), 5),
                       f"{how}, but keep the old one as {{bak}} (first|)",
                       f"(keep|save) {{file}} as {{bak}} before you {how.replace('{file}', 'it')}"),
                 (f"cp {quoted(path, bak)}", f"sort {'-u ' if unique else ''}-o {quoted(path, path)}"),
                 (f"copy {path} to {bak}", "sort it"),
                 False, f"Done: {path} is sorted, {bak} is the old one.", file=path, bak=bak)


@schema("chore.backup_folder_delete", "cp rm", steps=2)
def backup_folder_delete(world: World, rng: random.Random) -> Draft:
    ext, noun = top_kind(world, rng)
    folder = world.new_name("dir")
    world.add_dir(folder)
    return steps(rng, (*stepwise(rng, ("copy (all|the) {kind} (here|) to {folder}", "(delete|remove) the originals"),
                                 5),
                       "copy the {kind} to {folder}, and only then (delete|remove) them here"),
                 (f"cp *.{ext} {quoted(folder)}/", f"rm *.{ext}"), (f"copy the .{ext} files", "delete them here"),
                 False,
                 f"Done: the .{ext} files are in {folder}.", kind=noun, folder=folder)


@schema("chore.archive_verify_delete", "tar rm", steps=3, weight=2.5)
def archive_verify_delete(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if "/" not in path and world.files(under=path)]
    if not folders:
        raise Unsuitable("no folder")
    folder = rng.choice(folders)
    archive = rng.choice((f"{folder}.tar.gz", f"{plain(world)}.tgz"))
    return steps(rng, (*stepwise(rng, ("(pack|archive) {folder} (into|as) {archive}",
        "(check|list) (what is in the archive|the content of the archive)",
                                       "(delete|remove) (the folder|{folder})"), 5),
            "(pack|archive) {folder} as {archive}, (verify|check) the archive and then (delete|remove) the folder"),
                 (f"tar -czf {quoted(archive, folder)}", f"tar -tzf {quoted(archive)}", f"rm -r {quoted(folder)}"),
                 (f"pack {folder}", f"list {archive}", f"delete {folder}"), False, f"Done: {folder} is in {archive}.",
                 folder=folder, archive=archive)


@schema("chore.unpack", "tar find ls rm wc", steps=2, weight=1.5)
def unpack(world: World, rng: random.Random) -> Draft:
    """An archive is unpacked; then its files are counted or listed, or the archive goes."""
    folders = [path for path in world.dirs() if "/" not in path and world.files(under=path)]
    if not folders:
        raise Unsuitable("no folder")
    folder, archive = rng.choice(folders), world.new_name(ext=rng.choice(("tar.gz", "tgz")))
    archive_bytes(world, archive, folder, "gz")
    for path in [path for path in world.entries if path == folder or path.startswith(f"{folder}/")]:
        del world.entries[path]
    command, part, asks, plan = rng.choice((
        (f"find {quoted(folder)} -type f | wc -l", "count the files in {folder}", True, f"count the files in {folder}"),
        (f"ls {quoted(folder)}", "(list|show) {folder}", True, f"list {folder}"),
        (f"rm {quoted(archive)}", "(delete|remove) the archive", False, "delete the archive"),
        (f"rm {quoted(archive)}", "(delete|remove) {archive}", False, "delete the archive")))
    return steps(rng, stepwise(rng, ("(unpack|extract) {archive}", part), 7), (f"tar -xzf {quoted(archive)}", command),
                 (f"unpack {archive}", plan), asks, None if asks else "Done: it is unpacked.", archive=archive,
                 folder=folder)


@schema("chore.gunzip_read", "gunzip head tail wc", steps=2)
def gunzip_read(world: World, rng: random.Random) -> Draft:
    name, n = world.new_name(ext=rng.choice(("txt", "log", "csv"))), rng.randint(2, 4)
    world.add_file(f"{name}.gz", packer.compress(world.text(rng.randint(5, 12)).encode(), mtime=0))
    command, part, plan = rng.choice(((f"head -n {n} {quoted(name)}", "(show|print) the first {n} lines (of it|)",
        "print its first lines"),
                                      (f"tail -n {n} {quoted(name)}", "(show|print) the last {n} lines (of it|)",
                                       "print its last lines"),
                                      (f"wc -l < {quoted(name)}", "count (its lines|the lines)", "count its lines")))
    return steps(rng, stepwise(rng, ("(decompress|gunzip|unzip|uncompress) {file}", part), 7),
                 (f"gunzip {quoted(f'{name}.gz')}", command),
                 (f"decompress {name}.gz", plan), True, None, True, file=f"{name}.gz", n=n)


@schema("chore.rename_check", "mv ls", steps=2)
def rename_check(world: World, rng: random.Random) -> Draft:
    [path] = _apart(world, rng, 1)
    new, n = world.new_name(), rng.randint(1, 3)
    command, part, plan = rng.choice((("ls", "(list|show) (the folder|the files here|what is here)", "list the folder"),
                                      (f"head -n {n + 1} {quoted(new)}", "(show|print) its first {n} lines",
                                       "print its first lines"),
                                      (f"wc -l < {quoted(new)}", "count its lines", "count its lines")))
    return steps(rng, stepwise(rng, ("rename {file} to {new}", part), 7), (f"mv {quoted(path, new)}", command),
                 (f"rename {path} to {new}", plan),
                 True, None, command.startswith("head"), file=path, new=new, n=n + 1)


@schema("chore.mode_check", "chmod stat", steps=2)
def mode_check(world: World, rng: random.Random) -> Draft:
    [path] = _apart(world, rng, 1)
    mode = rng.choice(("600", "640", "755", "700", "444"))
    return steps(rng, (*stepwise(rng, ("(set|change) the (mode|permissions) of {file} to {mode}",
        "(show|print) (its|the) octal (mode|permissions)"), 5),
            "chmod {mode} {file} and (verify|check) with stat (that prints the octal mode|, octal mode only)"),
                 (f"chmod {mode} {quoted(path)}", f"stat -c %a {quoted(path)}"),
                 (f"set the mode of {path}", "print it"), True, None, True, file=path, mode=mode)


@schema("chore.replace_verify", "sed grep", steps=2, weight=1.5)
def replace_verify(world: World, rng: random.Random) -> Draft:
    [path] = _apart(world, rng, 1)
    words = sorted({word for word in world.read(path).split() if word.isalpha() and word.isascii() and len(word) > 3})
    if not words:
        raise Unsuitable("no word")
    old, new = rng.choice(words), plain(world) + str(rng.randint(1, 9))
    count = rng.random() < 0.5
    part = "count the lines (with|that contain) {new}" if count else "(show|print) the lines (with|that contain) {new}"
    return steps(rng, (*stepwise(rng, ("replace {old} (by|with) {new} in {file}", part), 5),
                       f"change {{old}} to {{new}} in {{file}} and (verify|check): {part}"),
                 (f"sed -i 's/{old}/{new}/g' {quoted(path)}", f"grep {'-c ' if count else ''}'{new}' {quoted(path)}"),
                 (f"replace {old} by {new}", f"look for {new}"), True, None, True, file=path, old=old, new=new)


@schema("chore.empty_files", "find wc", steps=2)
def empty_files(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 3)):
        folder = f"{rng.choice(world.dirs())}/" if world.dirs() and rng.random() < 0.4 else ""
        world.add_file(folder + world.new_name(), "")
    return steps(rng, (*stepwise(rng, ("(delete|remove) (all|the) empty files (here and below|in all folders|)",
        "count the files that (are left|remain)"), 5),
                       "clean up the empty files and count what is left",
                       "how many files are left when the empty ones are (deleted|gone)? (delete|remove) them"),
                 ("find . -type f -empty -delete", "find . -type f | wc -l"),
                 ("delete the empty files", "count the files"), True, "{output} files are left.")


@schema("chore.collect_archive", "mkdir mv cp tar", steps=3, weight=2.5)
def collect_archive(world: World, rng: random.Random) -> Draft:
    (ext, noun), folder = top_kind(world, rng), world.new_name("dir")
    verb, tool = rng.choice((("move", "mv"), ("copy", "cp")))
    archive = f"{folder}.tar.gz"
    return steps(rng, (*stepwise(rng, ("(make|create) (a|the) folder {folder}",
        "{verb} (all|the) {kind} (into it|there)", "(pack|archive) (the folder|it) (as|into) {archive}"), 5),
                       "{verb} (all|the) {kind} into a new folder {folder} and (pack|archive) that as {archive}"),
                 (f"mkdir {quoted(folder)}", f"{tool} *.{ext} {quoted(folder)}/",
                  f"tar -czf {quoted(archive, folder)}"),
                 (f"create {folder}", f"{verb} the .{ext} files", "pack it"), False, f"Done: {archive} is there.",
                 folder=folder, kind=noun, verb=verb, archive=archive)


@schema("chore.tree_list", "mkdir touch find", steps=3)
def tree_list(world: World, rng: random.Random) -> Draft:
    folder, name = world.new_name("dir"), world.new_name()
    sub = rng.choice(NOUNS)
    return steps(rng, (*stepwise(rng, ("(make|create) (the folder|the folders|) {folder}/{sub}",
        "(make|create|put) an empty file {name} in it", "(list|show) (everything|all) below {folder} (with find|)"), 6),
                       "set up {folder}/{sub} with an empty {name} in it and (list|show) the tree below {folder}"),
                 (f"mkdir -p {quoted(f'{folder}/{sub}')}", f"touch {quoted(f'{folder}/{sub}/{name}')}",
                  f"find {quoted(folder)}"),
                 ("create the folders", f"create {name}", f"list {folder}"), True, folder=folder, sub=sub, name=name)


@schema("chore.merge_count", "cat sort wc", steps=2, weight=1.2)
def merge_count(world: World, rng: random.Random) -> Draft:
    one, other = _apart(world, rng, 2)
    target = world.new_name(ext="txt")
    unique = rng.random() < 0.4
    command = f"{'sort -u' if unique else 'cat'} {quoted(one, other)} > {quoted(target)}"
    how = "merge {a} and {b} into {target}, sorted (and without duplicates|, each line once)"
    if not unique:
        how = "(join|concatenate|merge) {a} and {b} (into|to) {target}"
    return steps(rng, (*stepwise(rng, (how, "count the lines of {target}"), 5),
                       f"{how}; how many lines does {{target}} have?"),
                 (command, f"wc -l < {quoted(target)}"), (f"write {target}", "count its lines"), True,
                 "{output} lines.", a=one, b=other, target=target)


@schema("chore.run_count", "python3 bash wc", steps=2, weight=1.2)
def run_count(world: World, rng: random.Random) -> Draft:
    ext, tool = rng.choice((("py", "python3"), ("sh", "bash")))
    script, out, n = world.new_name(ext=ext), world.new_name(ext="txt"), rng.randint(2, 9)
    world.add_file(script,
            f"for number in range({n}):\n    print('{plain(world)}', number)\n" if ext == "py"
                   else f"for i in $(seq {n}); do echo {plain(world)} $i; done\n")
    command, part, plan = rng.choice(((f"wc -l < {quoted(out)}", "count (its lines|the lines of {out})",
        "count its lines"), (f"tail -n 1 {quoted(out)}", "(show|print) (its last line|the last line of {out})",
                             "print its last line")))
    return steps(rng, (*stepwise(rng, ("run {script} and write its output (into|to) {out}", part), 5),
                       f"(save|write) the output of {{script}} (to|in) {{out}}, then {part}"),
                 (f"{tool} {quoted(script)} > {quoted(out)}", command), (f"run {script}", plan), True, None, True,
                 script=script, out=out)


@schema("chore.python_script", "echo python3", steps=2, weight=1.2)
def python_script(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name(ext="py"), line(world, rng)
    return steps(rng, (*stepwise(rng, ("(create|write|make) (a python script|) {name} that prints {text}", "run it"),
                                 5),
                       "(create|write) and run a python script {name} that prints {text}",
                       "new script {name}: print {text}; run it with python"),
                 (f"echo 'print(\"{text}\")' > {quoted(name)}", f"python3 {quoted(name)}"),
                 (f"write {name}", "run it"), True, None, True, name=name, text=said(rng, text))


@schema("chore.compile_run", "gcc", steps=2)
def compile_run(world: World, rng: random.Random) -> Draft:
    stem = plain(world)
    if shutil.which("gcc") is None or stem in world.entries or f"{stem}.c" in world.entries:
        raise Unsuitable("no compiler, or the name is taken")
    world.add_file(f"{stem}.c", f'#include <stdio.h>\n\nint main(void) {{\n'
                   f'    printf("{plain(world)} %d\\n", {rng.randint(2, 99)} * 2);\n    return 0;\n}}\n')
    return steps(rng, stepwise(rng, ("(compile|build) {file} (to|as|into) {stem}",
                                     "(run|start|execute) (it|the program)"), 7),
                 (f"gcc -o {stem} {stem}.c", f"./{stem}"), (f"compile {stem}.c", "run it"), True, None, True,
                 file=f"{stem}.c", stem=stem)


@schema("chore.make_use", "make cat ls bash", steps=2)
def make_use(world: World, rng: random.Random) -> Draft:
    target, out = rng.choice(("build", "report", "dist", "all",
                              "generate")), f"{plain(world)}.{rng.choice(('txt', 'out', 'log'))}"
    if out in world.entries or "Makefile" in world.entries:
        raise Unsuitable("the name is taken")
    world.add_file("Makefile", f"{target}:\n\t@echo {plain(world)} {rng.randint(1, 99)} > {out}\n")
    return steps(rng, (*stepwise(rng, ("(run|do) make {target}", "(show|print|cat) {out} (that it wrote|)"), 6),
                       "make {target} writes {out}: run it and (show|print) the file"),
                 (f"make {target}", f"cat {out}"), (f"run make {target}", f"print {out}"), True, None, True,
                 target=target, out=out)


@schema("chore.test_save", "python3 tail", steps=2)
def test_save(world: World, rng: random.Random) -> Draft:
    found, out = project(world, rng, tests="tests", failing=rng.choice((0, 1))), world.new_name(ext=rng.choice(("log",
        "txt")))
    return steps(rng, (*stepwise(rng, ("run the tests and write (their|the) output to {out}",
        "(show|print) its last line"), 5),
                       "tests into {out}, then the last line of {out}",
                       "save what the tests print in {out} and (show|print) the last line of it"),
                 (f"{found.runner()} > {quoted(out)} 2>&1; true", f"tail -n 1 {quoted(out)}"),
                 (f"run the tests into {out}", "print its last line"), True,
                 "The tests say: {output}", True, out=out)
