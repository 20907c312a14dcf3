"""Repairs of paths: names spelled wrong, folders that lack or are in the way, rights, blanks, globs without a match."""

from __future__ import annotations

import difflib
import random
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.deeds import READ, Make, copy, gzip, move, protect, replace
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.repairs import mended
from nimllm.agent.gym.schemas.sequences import line, said
from nimllm.agent.gym.schemas.subjects import kind
from nimllm.agent.gym.worlds import World

_CHANGES: tuple[Make, ...] = (gzip, move, copy, protect, replace)
_TWINS = {"yml": "yaml", "yaml": "yml", "jpg": "jpeg", "jpeg": "jpg", "txt": "md", "md": "txt", "log": "txt",
          "html": "htm", "cfg": "conf", "conf": "cfg", "ini": "cfg", "text": "txt"}


def misspelled(rng: random.Random, name: str) -> str:
    """One slip: two letters swapped, one lost or doubled, another joint between two words, another extension."""
    stem, dot, ext = name.rpartition(".")
    stem, end = (stem, dot + ext) if stem else (name, "")
    found = []
    if len(stem) >= 4:
        at = rng.randrange(1, len(stem) - 1)
        found += [stem[:at] + stem[at + 1] + stem[at] + stem[at + 2:] + end, stem[:at] + stem[at + 1:] + end,
                  stem[:at] + stem[at] + stem[at:] + end,
                  stem[:-1] + end if stem.endswith("s") else f"{stem}s{end}"]
        for one, other in (("_", "-"), ("-", "_"), ("_", ""), ("-", "")):
            if one in stem:
                found.append(stem.replace(one, other) + end)
    if ext in _TWINS and dot:
        found += [f"{stem}.{_TWINS[ext]}"] * 2
    found = [other for other in found if other != name and not other.startswith((".", "-"))]
    if not found:
        raise Unsuitable("too short a name")
    return rng.choice(found)


def _slip(world: World, rng: random.Random, folders: bool = False) -> tuple[str, str, str]:
    """(the folder, "" for the top; the name as the user says it; the real name), with no other name that is close."""
    paths = [path for path in world.entries if (world.entries[path].kind == ("dir" if folders else "file"))
             and " " not in path]
    near = [path for path in paths if "/" not in path]
    if not paths:
        raise Unsuitable("no such entry")
    path = rng.choice(near if near and rng.random() < 0.5 else paths)
    folder, _, name = path.rpartition("/")
    wrong = misspelled(rng, name)
    beside = [other for other in world.entries if other != path and other.rpartition("/")[0] == folder]
    rivals = [PurePosixPath(other).name for other in beside]
    if wrong in rivals or difflib.get_close_matches(wrong, rivals, 1, 0.7):
        raise Unsuitable("two names are close")
    return folder, wrong, name


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _misspelled_file(world: World, rng: random.Random, among: tuple[Make, ...]) -> Draft:
    folder, wrong, name = _slip(world, rng)
    look = f"ls {quoted(folder)}" if folder else "ls"
    return mended(world, rng, _in(folder, wrong), _in(folder, name), look, among)


@schema("repair.misspelled_read", "ls head tail wc cat", steps=3, weight=2.5)
def misspelled_read(world: World, rng: random.Random) -> Draft:
    return _misspelled_file(world, rng, READ)


@schema("repair.misspelled_change", "ls gzip mv cp chmod sed", steps=3, weight=1.5)
def misspelled_change(world: World, rng: random.Random) -> Draft:
    return _misspelled_file(world, rng, _CHANGES)


@schema("repair.misspelled_folder", "ls", steps=3, weight=1.5)
def misspelled_folder(world: World, rng: random.Random) -> Draft:
    folder, wrong, name = _slip(world, rng, folders=True)
    right = _in(folder, name)
    if not world.files(under=right):
        raise Unsuitable("an empty folder")
    return steps(rng, (
        "(what is|what's) in (the folder|) {path}?", "(list|show) (the content of|the files in|) {path}", "ls {path}",
        "(which|what) files are in {path}?", "(show|tell) me what is in {path}", "content of (the directory|) {path}",
        "look into {path}", "what do we have in {path}?"),
        (f"ls {quoted(_in(folder, wrong))}", f"ls {quoted(folder)}" if folder else "ls", f"ls {quoted(right)}"),
        (f"list {_in(folder, wrong)}",), True, fails=(0,), path=_in(folder, wrong))


@schema("repair.cd_misspelled", "cd ls", steps=3, weight=1.0)
def cd_misspelled(world: World, rng: random.Random) -> Draft:
    folder, wrong, name = _slip(world, rng, folders=True)
    if folder or not world.files(under=name):
        raise Unsuitable("no folder with files")
    return steps(rng, (
        "(go|change|cd) (in|)to {path} and list (the files|it|what is there)", "cd {path} && ls", "cd {path}, then ls",
        "enter {path} and show (me|) what is (in there|there)", "change to the (folder|directory) {path} and list it",
        "go to {path}; (list|show) the files (there|)"),
        (f"cd {quoted(wrong)} && ls", "ls", f"cd {quoted(name)} && ls"), (f"go to {wrong} and list it",), True,
        fails=(0,), path=wrong)


@schema("repair.wrong_folder", "find head tail wc cat", steps=3, weight=2)
def wrong_folder(world: World, rng: random.Random) -> Draft:
    """The file's name is right, the folder is not."""
    paths = [path for path in world.files() if sum(PurePosixPath(other).name == PurePosixPath(path).name
                                                   for other in world.entries) == 1]
    if not paths:
        raise Unsuitable("no such file")
    path = rng.choice(paths)
    name, own = PurePosixPath(path).name, str(PurePosixPath(path).parent)
    folders = [folder for folder in (*world.dirs(), world.new_name("dir")) if folder != own]
    wrong = f"{rng.choice(folders)}/{name}"
    return mended(world, rng, wrong, f"./{path}", f"find . -iname {quoted(name)}", READ)


@schema("repair.mkdir_parents", "mkdir", steps=2, weight=1.2)
def mkdir_parents(world: World, rng: random.Random) -> Draft:
    path = "/".join(world.new_name("dir") for _ in range(rng.choice((2, 2, 3))))
    return steps(rng, (
        "(make|create) (the|a) (folder|directory) {path}", "mkdir {path}", "(make|create) {path}", "new folder {path}",
        "I need (the|a) (folder|directory) {path}", "(the|a) (folder|directory) {path}, (create|make) it",
        "add (the|a) (directory|folder) {path}", "set up the directory {path}"),
        (f"mkdir {quoted(path)}", f"mkdir -p {quoted(path)}"), (f"create the folder {path}",), False,
        f"Done: {path} is there.", fails=(0,), path=path)


@schema("repair.touch_parents", "touch mkdir", steps=3, weight=1.2)
def touch_parents(world: World, rng: random.Random) -> Draft:
    folder = "/".join(world.new_name("dir") for _ in range(rng.choice((1, 1, 2))))
    path = f"{folder}/{world.new_name()}"
    command = f"touch {quoted(path)}"
    return steps(rng, (
        "(make|create) (the|an) empty file {path}", "touch {path}", "(make|create) {path} (as an empty file|, empty)",
        "new empty file {path}", "I need an empty file {path}", "add an empty {path}", "put an empty file at {path}"),
        (command, f"mkdir -p {quoted(folder)}", command), (f"create {path}",), False,
        f"Done: {path} is there.", fails=(0,), path=path)


@schema("repair.target_parents", "cp mv mkdir", steps=3, weight=1.5)
def target_parents(world: World, rng: random.Random) -> Draft:
    """A copy or a move to a place whose folder does not exist, perhaps under a new name."""
    top = [path for path in world.files() if "/" not in path]
    if not top:
        raise Unsuitable("no file")
    path, folder = rng.choice(top), "/".join(world.new_name("dir") for _ in range(rng.choice((1, 2, 2))))
    verb, tool = rng.choice((("copy", "cp"), ("move", "mv")))
    target = f"{folder}/{rng.choice((world.new_name(), path))}"
    command = f"{tool} {quoted(path, target)}"
    return steps(rng, (
        "{verb} {file} to {target}", "{tool} {file} {target}", "{verb} {file} (as|to) {target}",
        "{file} has to go to {target}, {verb} it",
        "to {target}: {verb} {file}", "(I want|I'd like) to {verb} {file} to {target}",
        "{verb} the file {file} to {target}"),
        (command, f"mkdir -p {quoted(folder)}", command), (f"{verb} {path} to {target}",), False,
        f"Done: {target} is there.", fails=(0,), verb=verb, tool=tool, file=path, target=target)


@schema("repair.several_into", "mv cp mkdir", steps=3)
def several_into(world: World, rng: random.Random) -> Draft:
    top = [path for path in world.files() if "/" not in path]
    if len(top) < 2:
        raise Unsuitable("too few files")
    first, second = rng.sample(top, 2)
    folder = world.new_name("dir")
    verb, tool = rng.choice((("move", "mv"), ("copy", "cp")))
    command = f"{tool} {quoted(first, second, folder)}/"
    return steps(rng, (
        "{verb} {a} and {b} (to|into) {folder}", "{verb} {a} and {b} into the folder {folder}",
        "{tool} {a} {b} {folder}/", "{a} and {b}: {verb} (them|both) (to|into) {folder}",
        "(both|) {a} and {b} should go into {folder}, {verb} them",
        "{verb} the files {a} and {b} to {folder}/"),
        (command, f"mkdir {quoted(folder)}", command), (f"{verb} them to {folder}",), False,
        f"Done: they are in {folder}.", fails=(0,), verb=verb, tool=tool, a=first, b=second, folder=folder)


@schema("repair.unpack_into", "tar mkdir", steps=3, weight=1.2)
def unpack_into(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if "/" not in path and world.files(under=path)]
    if not folders:
        raise Unsuitable("no folder")
    source, folder, archive = rng.choice(folders), world.new_name("dir"), world.new_name(ext="tar.gz")
    archive_bytes(world, archive, source, "gz")
    command = f"tar -xzf {quoted(archive)} -C {quoted(folder)}"
    return steps(rng, (
        "(extract|unpack) {archive} (into|to) {folder}",
        "(extract|unpack) {archive} into the (folder|directory) {folder}",
        "untar {archive} (into|to) {folder}", "{archive}: (extract|unpack) it into {folder}",
        "(put|get) the content of {archive} into {folder}", "I need {archive} unpacked in {folder}"),
        (command, f"mkdir {quoted(folder)}", command), (f"unpack {archive} into {folder}",), False,
        f"Done: {archive} is unpacked in {folder}.", fails=(0,), archive=archive, folder=folder)


def archive_bytes(world: World, archive: str, source: str, how: str) -> None:
    """Put a tar archive of a folder of the world into the world; ``how``: gz, bz2, xz, or "" for none."""
    import io
    import tarfile

    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{how}") as tar:  # type: ignore[call-overload]
        for path in [source, *world.files(under=source)]:
            entry = world.entries[path]
            info = tarfile.TarInfo(path)
            info.mtime, info.mode = 1_700_000_000, entry.mode
            info.type = tarfile.DIRTYPE if entry.kind == "dir" else tarfile.REGTYPE
            info.size = len(entry.content)
            tar.addfile(info, io.BytesIO(entry.content))
    data = buffer.getvalue()
    if how == "gz":  # bytes 4 to 8 are the time of packing
        data = data[:4] + bytes(4) + data[8:]
    world.add_file(archive, data)


@schema("repair.not_gzip", "tar", steps=2, weight=1.2)
def not_gzip(world: World, rng: random.Random) -> Draft:
    """The archive's name says gzip, its content says otherwise: tar finds out by itself when it is not told."""
    folders = [path for path in world.dirs() if "/" not in path and world.files(under=path)]
    if not folders:
        raise Unsuitable("no folder")
    source, archive = rng.choice(folders), world.new_name(ext=rng.choice(("tar.gz", "tgz")))
    archive_bytes(world, archive, source, rng.choice(("", "bz2")))
    if rng.random() < 0.5:
        return steps(rng, (
            "(list|show) (the content of|what is in|) {archive}", "(what is|which files are) in {archive}?",
            "content of {archive}", "(list|show) the (files|members) of {archive}", "look into {archive}",
            "what does {archive} contain?", "tar -tzf {archive}"),
            (f"tar -tzf {quoted(archive)}", f"tar -tf {quoted(archive)}"), (f"list {archive}",), True, fails=(0,),
            archive=archive)
    for path in [path for path in world.entries if path == source or path.startswith(f"{source}/")]:
        del world.entries[path]
    return steps(rng, (
        "(extract|unpack) {archive}", "untar {archive} (here|)", "(extract|unpack) (the archive|) {archive} here",
        "{archive} (needs|has) to be (extracted|unpacked)", "(get|take) everything out of {archive}",
        "tar -xzf {archive}", "unpack the files of {archive}"),
        (f"tar -xzf {quoted(archive)}", f"tar -xf {quoted(archive)}"), (f"unpack {archive}",), False,
        f"Done: {archive} is unpacked.", fails=(0,), archive=archive)


@schema("repair.folder_there", "mkdir touch echo", steps=2)
def folder_there(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if "/" not in path]
    if not folders:
        raise Unsuitable("no folder")
    folder, name, text = rng.choice(folders), world.new_name(), line(world, rng)
    if rng.random() < 0.5:
        command, what, told = f"touch {quoted(f'{folder}/{name}')}", "an empty file {name}", ""
    else:
        command = f"echo {string(text)} > {quoted(f'{folder}/{name}')}"
        what, told = "a file {name} that says {text}", said(rng, text)
    return steps(rng, (
        f"(make|create) (a|the) (folder|directory) {{folder}} and in it {what}",
        f"create (a folder|) {{folder}} with {what} (in it|inside)",
        f"mkdir {{folder}} and put {what} (in it|there)", f"new folder {{folder}}, containing {what}",
        f"(set up|make) a folder {{folder}} (holding|with) {what}", f"first mkdir {{folder}}, then make {what} in it"),
        (f"mkdir {quoted(folder)}", command), (f"create the folder {folder}", f"make {name}"), False,
        f"Done: {folder} was there already, {name} is new.", fails=(0,), folder=folder, name=name, text=told)


@schema("repair.link_exists", "ln", steps=2)
def link_exists(world: World, rng: random.Random) -> Draft:
    files = [path for path in world.files() if "/" not in path]
    if len(files) < 2:
        raise Unsuitable("too few files")
    old, new = rng.sample(files, 2)
    link = rng.choice(("current", "latest", "link", plain(world)))
    if link in world.entries:
        raise Unsuitable("the name is taken")
    world.add_link(link, old)
    return steps(rng, (
        "(make|create) a (symlink|symbolic link|link) {link} to {file}", "link {link} to {file}",
        "{link} should (point|link) to {file}", "ln -s {file} {link}", "(let|make) {link} point to {file}",
        "(make|create) {link}, a symlink (pointing|) to {file}", "symlink {link} -> {file}",
        "I want {link} to be a link to {file}"),
        (f"ln -s {quoted(new, link)}", f"ln -sfn {quoted(new, link)}"), (f"link {link} to {new}",), False,
        f"Done: {link} points to {new} now.", fails=(0,), link=link, file=new)


@schema("repair.gzip_exists", "gzip", steps=2)
def gzip_exists(world: World, rng: random.Random) -> Draft:
    path = world.pick_text(2)
    if " " in path or path.endswith(".gz"):
        raise Unsuitable("a blank")
    world.add_file(f"{path}.gz", b"\x1f\x8b\x08\0\0\0\0\0\0\x03\xcb\xc8\xe4\x02\0z\x7a\x6f\xed\x03\0\0\0")
    return steps(rng, (
        "(compress|gzip) {file}", "(compress|pack) {file} with gzip", "make a gz of {file}", "gzip {file} (again|)",
        "turn {file} into a gz file", "{file} should be compressed (with gzip|)", "pack {file} as gz"),
        (f"gzip {quoted(path)}", f"gzip -f {quoted(path)}"), (f"compress {path}",), False,
        f"Done: {path}.gz is new.", fails=(0,), file=path)


@schema("repair.show_folder", "cat ls", steps=2)
def show_folder(world: World, rng: random.Random) -> Draft:
    deep = [path for path in world.dirs() if world.files(under=path) and "." not in path]
    if not deep:
        raise Unsuitable("no folder")
    path = rng.choice(deep)
    return steps(rng, (
        "cat {path}", "(show|print|display) {path}", "(show|print) (me|) the content of {path}", "what is in {path}?",
        "what does {path} contain?", "(open|read) {path} and (show|tell) me what is in (it|there)",
        "content of {path}"),
        (f"cat {quoted(path)}", f"ls {quoted(path)}"), (f"print {path}",), True, fails=(0,), path=path)


@schema("repair.count_folder", "wc find xargs cat", steps=2)
def count_folder(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if world.texts(path)]
    if not folders:
        raise Unsuitable("no folder")
    path = rng.choice(folders)
    return steps(rng, (
        "how many lines (does {path} have|are in {path})?", "count the lines (of|in) {path}", "lines in {path}",
        "number of lines (of|in) {path}", "wc -l {path}", "(tell me|what is) the number of lines in {path}"),
        (f"wc -l < {quoted(path)}", f"find {quoted(path)} -type f -print0 | xargs -0 cat | wc -l"),
        (f"count the lines of {path}",), True, "{output} lines in all its files.", fails=(0,), path=path)


@schema("repair.grep_folder", "grep", steps=2, weight=1.5)
def grep_folder(world: World, rng: random.Random) -> Draft:
    folders = [path for path in world.dirs() if world.texts(path)]
    if not folders:
        raise Unsuitable("no folder")
    path = rng.choice(folders)
    words = [word for word in world.read(rng.choice(world.texts(path))).split() if word.isalpha() and len(word) > 3]
    if not words or any(b"\0" in world.entries[file].content for file in world.files(under=path)):
        raise Unsuitable("no word")
    word = rng.choice(words)
    return steps(rng, (
        "(search|grep|look) for {word} in {path}", "(find|show) the lines with {word} in {path}", "grep {word} {path}",
        "where (is|do we have) {word} in {path}?", "(which|what) lines in {path} (mention|contain) {word}?",
        "search {path} for {word}", "{word} in {path}?"),
        (f"grep -n '{word}' {quoted(path)}", f"grep -rn '{word}' {quoted(path)}"), (f"search for {word} in {path}",),
        True,
        fails=(0,), word=word, path=path)


@schema("repair.read_only", "echo chmod", steps=3)
def read_only(world: World, rng: random.Random) -> Draft:
    path, text = world.pick_text(2), line(world, rng)
    if not world.entries[path].content.endswith(b"\n"):
        raise Unsuitable("no line end")
    world.entries[path].mode = 0o444
    command = f"echo {string(text)} >> {quoted(path)}"
    return steps(rng, (
        "(append|add) (the line|) {text} to {file}", "(add|write|put) {text} at the end of {file}",
        "{file} needs one more line: {text}", "echo {text} >> {file}", "one more line in {file}: {text}",
        "(append|add) a line saying {text} to {file}", "{file}: append {text}"),
        (command, f"chmod u+w {quoted(path)}", command), (f"append to {path}",), False,
        f"Done: {path} was read-only, it has the line now.", fails=(0,), text=said(rng, text), file=path)


@schema("repair.unreadable", "chmod cat head wc", steps=3, weight=0.8)
def unreadable(world: World, rng: random.Random) -> Draft:
    path = world.pick_text(3)
    if len(world.read(path)) > 700:
        raise Unsuitable("too long")
    world.entries[path].mode = rng.choice((0o000, 0o200))
    command, ways, plan = rng.choice((
        (f"cat {quoted(path)}", ("(show|print|cat) {file}", "what is in {file}?", "(show|print) the content of {file}"),
         f"print {path}"),
        (f"wc -l < {quoted(path)}", ("how many lines does {file} have?", "count the lines of {file}",
                                     "number of lines in {file}"), f"count the lines of {path}"),
        (f"head -n 2 {quoted(path)}", ("(show|print) the first two lines of {file}", "first 2 lines of {file}",
                                       "(show|give) me the top 2 lines of {file}"),
                                       f"print the first lines of {path}")))
    return steps(rng,
                 (*ways,
                  *(f"{way.rstrip('?')}, (mend|fix) its rights (first|) if (necessary|need be)" for way in ways)),
                 (command, f"chmod u+r {quoted(path)}", command), (plan,), True, ordered=True, fails=(0,), file=path)


@schema("repair.blank_in_name", "cat head tail wc cp mv rm", steps=2, weight=1.5)
def blank_in_name(world: World, rng: random.Random) -> Draft:
    path = " ".join(names.word(rng) for _ in range(rng.choice((2, 2, 3)))) + rng.choice((".txt", ".md", ".log", ".csv"))
    if path in world.entries:
        raise Unsuitable("the name is taken")
    world.add_file(path, world.text(rng.randint(4, 9)))
    n, target = rng.randint(2, 3), f"{plain(world)}{rng.randint(1, 99)}"
    command, ways, plan, asks = rng.choice((
        ("cat {}", ("cat {file}", "(show|print) {file}", "what is in {file}?", "content of {file}"), f"print {path}",
         True),
        (f"head -n {n} {{}}", (f"first {n} lines of {{file}}", f"(show|print) the first {n} lines of {{file}}",
                               f"head -n {n} of {{file}}"), f"print the first lines of {path}", True),
        ("wc -l < {}", ("count the lines of {file}", "how many lines has {file}?", "wc -l {file}"),
         f"count the lines of {path}", True),
        ("rm {}", ("(delete|remove) {file}", "get rid of {file}", "rm {file}", "{file} can go"), f"delete {path}",
         False),
        (f"mv {{}} {target}", (f"rename {{file}} to {target}", f"mv {{file}} {target}",
                               f"{{file}} should be called {target}"), f"rename {path}", False)))
    return steps(rng, ways, (command.format(path), command.format(quoted(path))), (plan,), asks,
                 None if asks else "Done.", asks, (0,), (target,), file=path)


@schema("repair.dash_name", "cat rm head", steps=2, weight=0.8)
def dash_name(world: World, rng: random.Random) -> Draft:
    path = f"-{plain(world)}.{rng.choice(('txt', 'md', 'log'))}"
    world.add_file(path, world.text(3))
    tool, ways, plan, asks = rng.choice((
        ("cat", ("cat {file}", "(show|print) {file}", "what is in {file}?"), f"print {path}", True),
        ("rm", ("(delete|remove) {file}", "get rid of {file}", "rm {file}"), f"delete {path}", False),
        ("rm", ("(delete|remove) the file {file}", "throw {file} away", "{file} can go"), f"delete {path}", False)))
    return steps(rng,
                 (*ways, *(f"{way}{' ' if way.endswith('?') else ', '}its name starts with a dash" for way in ways)),
                 (f"{tool} {path}", f"{tool} -- {path}"), (plan,), asks, None if asks else f"Done: {path} is deleted.",
                 asks, (0,), file=path)


@schema("repair.deeper", "ls rm grep wc find", steps=2, weight=2)
def deeper(world: World, rng: random.Random) -> Draft:
    """A glob matches nothing here, the files lie in folders."""
    exts = sorted({ext for ext in world.extensions() if ext.isalnum()
                   and not any("/" not in path for path in world.files(ext))})
    if not exts:
        raise Unsuitable("no such kind")
    ext = rng.choice(exts)
    noun, slots = kind(ext)
    find = f"find . -type f -name '*.{ext}'"
    wrong, right, ways, plan, asks = rng.choice((
        (f"ls *.{ext}", find, (f"(list|show) (the|all|) {noun}", f"(which|what) {noun} (are there|do we have)?",
                               f"where are the {noun}?", f"{noun}?", f"are there any {noun}? (list|show) them"),
         f"list the .{ext} files", True),
        (f"rm *.{ext}", f"{find} -delete", (f"(delete|remove) (the|all|all the) {noun}", f"get rid of (the|all) {noun}",
                                            f"clean up the {noun}", f"throw away (all|the) {noun}"),
         f"delete the .{ext} files", False)))
    return steps(rng, ways, (wrong, right), (plan,), asks, None if asks else f"Done: no .{ext} file is left.", False,
                 (0,), **slots)


@schema("repair.blanks_in_pipe", "find xargs wc rm grep", steps=2)
def blanks_in_pipe(world: World, rng: random.Random) -> Draft:
    ext = rng.choice(("txt", "log", "csv", "md"))
    for _ in range(2):
        world.add_file(f"{names.word(rng)} {names.word(rng)}.{ext}", world.text(rng.randint(2, 6)))
    world.add_file(world.new_name(ext=ext), world.text(3))
    noun, slots = kind(ext)
    find = f"find . -type f -name '*.{ext}'"
    then, ways, plan, asks = rng.choice((
        ("rm", (f"(delete|remove) all {noun} (here and below|everywhere|recursively)",
                f"get rid of all {noun} in all folders",
                f"find (and|, then) delete (all|the) {noun}"), f"delete the .{ext} files", False),
        ("md5sum", (f"md5sum of (all|the) {noun}", f"(print|show|compute) the md5 (sums|checksums) of all {noun}",
                    f"md5 checksums of (all|the) {noun}"), "compute the checksums", True)))
    return steps(rng, ways, (f"{find} | xargs {then}", f"{find} -print0 | xargs -0 {then}"), (plan,), asks,
                 None if asks else f"Done: no .{ext} file is left.", False, (0,), **slots)
