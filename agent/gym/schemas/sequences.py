"""Two and three commands that a request names one after the other; nothing must be read between them."""

from __future__ import annotations

import random
import re

from nimllm.agent.gym.history import branch_name, dirty, unlink
from nimllm.agent.gym.projects import different, function_name, project
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.builds import test_folder
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.subjects import KINDS, volatile
from nimllm.agent.gym.worlds import World


def top_kind(world: World, rng: random.Random) -> tuple[str, str]:
    """An extension of files (no folders) in the top folder, and how people say it."""
    top = [path for path in world.entries if "/" not in path and not path.startswith(".")]
    exts = sorted({path.rsplit(".", 1)[1] for path in top if "." in path})
    exts = [ext for ext in exts if re.fullmatch(r"\w{1,5}", ext)
            and all(world.entries[path].kind == "file" for path in top if path.endswith(f".{ext}"))]
    if not exts:
        raise Unsuitable("no extension")
    ext = rng.choice(exts)
    return ext, rng.choice((f".{ext} files", f"*.{ext} files", f"{ext} files", f"{KINDS.get(ext, ext)} files"))


def line(world: World, rng: random.Random) -> str:
    """A few words that need no escape."""
    return " ".join(re.sub(r"[^\w.-]", "", word) or "x" for word in world.words(rng.randint(1, 5)))


def said(rng: random.Random, text: str) -> str:
    """A text as people put it into a request: bare or in quotes."""
    mark = rng.choice(("", "", '"', '"', "'"))
    return mark + text + mark


def word_of(world: World, rng: random.Random, path: str) -> str:
    found = sorted({word for word in world.read(path).split() if word.isascii() and word.isalnum() and len(word) > 2})
    if not found:
        raise Unsuitable("no word")
    return rng.choice(found)


@schema("sequence.folder_move", "mkdir mv", steps=2, weight=2)
def folder_move(world: World, rng: random.Random) -> Draft:
    (ext, kind), folder = top_kind(world, rng), world.new_name("dir")
    return steps(rng, (
        "(make|create) (a folder|a directory|the folder) {folder} and move (all|the) {kind} (into it|there|to it)",
        "(move|put) (all|the) {kind} into a new folder {folder}",
        "create {folder} and (move|put) (all|every one of|) the {kind} there",
        "(collect|gather) (all|the) {kind} in a new (folder|directory) (called|named|) {folder}",
        "(all|the) {kind} (should|must) go into a new folder (called|) {folder}",
        "I want (all|the) {kind} in {folder}, (make|create) that folder first",
        "mkdir {folder}, then move the {kind} into it"),
        (f"mkdir {quoted(folder)}", f"mv *.{ext} {quoted(folder)}/"),
        (f"create the folder {folder}", f"move the .{ext} files there"), False,
        f"Done: the .{ext} files are in {folder}.", folder=folder, kind=kind)


@schema("sequence.folder_copy", "mkdir cp", steps=2, weight=1.5)
def folder_copy(world: World, rng: random.Random) -> Draft:
    (ext, kind), folder = top_kind(world, rng), world.new_name("dir")
    return steps(rng, (
        "(make|create) (a folder|a directory|the folder) {folder} and copy (all|the) {kind} (into it|there|to it)",
        "copy (all|the) {kind} into a new folder {folder}",
        "create {folder} and (copy|put copies of) (all|) the {kind} (there|into it)",
        "(back up|save) (all|the) {kind} (in|into) a new (folder|directory) (called|named|) {folder}",
        "I want copies of (all|the) {kind} in a new folder {folder}",
        "mkdir {folder}, then copy the {kind} into it"),
        (f"mkdir {quoted(folder)}", f"cp *.{ext} {quoted(folder)}/"),
        (f"create the folder {folder}", f"copy the .{ext} files there"), False,
        f"Done: copies of the .{ext} files are in {folder}.", folder=folder, kind=kind)


@schema("sequence.folder_move_list", "mkdir mv ls", steps=3, weight=3)
def folder_move_list(world: World, rng: random.Random) -> Draft:
    (ext, kind), folder = top_kind(world, rng), world.new_name("dir")
    copy = rng.random() < 0.4
    verb = "copy" if copy else "move"
    return steps(rng, (
        "(make|create) (a folder|a directory|the folder) {folder}, {verb} (all|the) {kind} into it and list it",
        "{verb} (all|the) {kind} into a new folder {folder} and (show|tell) me what is in it",
        "create {folder}, {verb} the {kind} there, then (list|show) (the folder|its content|{folder})",
        "mkdir {folder}, {verb} the {kind} into it, ls {folder}",
        "{verb} (all|the) {kind} to {folder}, (create it first|which does not exist yet), then (list|ls) {folder}",
        "new folder {folder}: {verb} the {kind} into it and list the result"),
        (f"mkdir {quoted(folder)}", f"{'cp' if copy else 'mv'} *.{ext} {quoted(folder)}/", f"ls {quoted(folder)}"),
        (f"create the folder {folder}", f"{verb} the .{ext} files there", f"list {folder}"), True,
        folder=folder, kind=kind, verb=verb)


@schema("sequence.folder_file", "mkdir echo", steps=2, weight=1.5)
def folder_file(world: World, rng: random.Random) -> Draft:
    folder, text = world.new_name("dir"), line(world, rng)
    name = world.new_name(ext=rng.choice(("txt", "md", "cfg", "log")))
    return steps(rng, (
        "(make|create) (a folder|the folder) {folder} and in it a file {name} (with the text|that says) {text}",
        "create {folder}/{name} with the (text|content) {text}, (the folder does not exist yet|make the folder, too)",
        "(make|create) (the folder|a folder) {folder} and write {text} (to|into) {name} (in it|there)",
        "new folder {folder} with a file {name} (in it|inside) (that contains|saying) {text}",
        "in a new folder {folder}, (create|make) {name} with {text}",
        "mkdir {folder}, then write {text} into {folder}/{name}"),
        (f"mkdir {quoted(folder)}", f"echo {string(text)} > {quoted(folder + '/' + name)}"),
        (f"create the folder {folder}", f"write {name}"), False, f"Done: {folder}/{name} says {text}.",
        folder=folder, name=name, text=said(rng, text))


@schema("sequence.folder_empty_file", "mkdir touch", steps=2)
def folder_empty_file(world: World, rng: random.Random) -> Draft:
    folder, name = world.new_name("dir"), world.new_name()
    return steps(rng, (
        "(make|create) (a folder|the folder) {folder} and (in it|inside) an empty file {name}",
        "(make|create) (a folder|the folder) {folder} (with|containing) an empty {name}",
        "new folder {folder} with an empty file {name} (in it|inside)",
        "in a new folder {folder}, (create|make) the empty file {name}",
        "mkdir {folder}, then touch {folder}/{name}",
        "I need a folder {folder} that contains an empty file (called|named|) {name}"),
        (f"mkdir {quoted(folder)}", f"touch {quoted(folder + '/' + name)}"),
        (f"create the folder {folder}", f"create {name} in it"), False, f"Done: {folder} contains {name}.",
        folder=folder, name=name)


@schema("sequence.write_show", "echo cat", steps=2, weight=1.5)
def write_show(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name(ext=rng.choice(("txt", "md", "cfg", "log"))), line(world, rng)
    return steps(rng, (
        "(create|make) (a file|) {name} with the text {text} and (then|) (show|print|cat) it",
        "write {text} (to|into) {name}, then (show|print|display) (the file|it)",
        "put {text} (into|in) {name} and (show|print) (me|) (the file|its content)",
        "(save|write) {text} (as|to) {name} and cat it",
        "(create|make) {name} (saying|containing) {text}, then cat {name}",
        "{name} (should|must) say {text}; (show|print) it afterwards"),
        (f"echo {string(text)} > {quoted(name)}", f"cat {quoted(name)}"), (f"write {name}", "print it"), True,
        ordered=True, name=name, text=said(rng, text))


@schema("sequence.append_show", "echo tail", steps=2)
def append_show(world: World, rng: random.Random) -> Draft:
    path, text = world.pick_text(3), line(world, rng)
    if not world.entries[path].content.endswith(b"\n"):
        raise Unsuitable("no line end")
    n = rng.randint(2, 6)
    return steps(rng, (
        "(append|add) (the line|) {text} to {file} and (show|print) its last {n} lines",
        "add {text} (at|to) the end of {file}, then (show|print) the last {n} lines",
        "(append|write) {text} to {file}, then tail {n} lines",
        "(put|add) the line {text} at the end of {file} and (show|print) the last {n} lines (of it|)",
        "{file}: append {text}, then print the last {n} lines",
        "one more line for {file}: {text}; then show me its last {n} lines"),
        (f"echo {string(text)} >> {quoted(path)}", f"tail -n {n} {quoted(path)}"),
        (f"append to {path}", f"print its last {n} lines"), True, ordered=True, text=said(rng, text), file=path, n=n)


@schema("sequence.copy_replace", "cp sed", steps=2, weight=2)
def copy_replace(world: World, rng: random.Random) -> Draft:
    path, target, new = world.pick_text(2), world.new_name(), plain(world)
    old = word_of(world, rng, path)
    return steps(rng, (
        "copy {file} to {target} and replace {old} (by|with) {new} in (the copy|{target})",
        "copy {file} to {target}, then change {old} to {new} (in the copy|there|in {target})",
        "make a copy of {file} (called|named) {target} (in which|where) {old} is replaced (by|with) {new}",
        "{target} (should|must) be a copy of {file} with {new} instead of {old}",
        "(duplicate|copy) {file} as {target} and (swap|exchange) {old} for {new} (in it|)",
        "cp {file} {target}, then in {target} replace {old} (by|with) {new}"),
        (f"cp {quoted(path, target)}", f"sed -i 's/{old}/{new}/g' {quoted(target)}"),
        (f"copy {path} to {target}", f"replace {old} by {new}"), False, f"Done: {target} has {new} instead of {old}.",
        file=path, target=target, old=old, new=new)


@schema("sequence.copy_replace_show", "cp sed cat", steps=3, weight=1.5)
def copy_replace_show(world: World, rng: random.Random) -> Draft:
    path, target, new = world.pick_text(2), world.new_name(), plain(world)
    if len(world.read(path)) > 600:
        raise Unsuitable("too long")
    old = word_of(world, rng, path)
    return steps(rng, (
        "copy {file} to {target}, replace {old} (by|with) {new} in it and (show|print|cat) (the result|it)",
        "copy {file} to {target}, change {old} to {new} (there|in the copy), then (show|print) {target}",
        "make a copy of {file} (called|named) {target}, replace {old} (by|with) {new} in it, (show|print) it",
        "{target} (should|must) be {file} with {new} instead of {old}; (show|print) it (afterwards|then)",
        "cp {file} {target}, sed {old} to {new}, cat {target}",
        "(duplicate|copy) {file} as {target}, swap {old} for {new}, and display {target}"),
        (f"cp {quoted(path, target)}", f"sed -i 's/{old}/{new}/g' {quoted(target)}", f"cat {quoted(target)}"),
        (f"copy {path} to {target}", f"replace {old} by {new}", f"print {target}"), True, ordered=True,
        file=path, target=target, old=old, new=new)


@schema("sequence.backup_replace", "cp sed", steps=2, weight=1.5)
def backup_replace(world: World, rng: random.Random) -> Draft:
    path, new = world.pick_text(2), plain(world)
    old, bak = word_of(world, rng, path), f"{path}.bak"
    return steps(rng, (
        "back up {file} (as|to) {bak} and replace {old} (by|with) {new} in {file}",
        "make a backup {bak} of {file}, then change {old} to {new} in {file}",
        "replace {old} (by|with) {new} in {file}, but (save|keep) a copy (as|in) {bak} first",
        "(save|copy) {file} to {bak} (before|and then) (you change|change) {old} to {new} in {file}",
        "keep the old {file} as {bak} and replace {old} (by|with) {new} in the original",
        "first cp {file} {bak}, then in {file} {old} -> {new}"),
        (f"cp {quoted(path, bak)}", f"sed -i 's/{old}/{new}/g' {quoted(path)}"),
        (f"back up {path}", f"replace {old} by {new}"), False, f"Done: {bak} is the old {path}.",
        file=path, bak=bak, old=old, new=new)


@schema("sequence.rename_append", "mv echo", steps=2)
def rename_append(world: World, rng: random.Random) -> Draft:
    path, target, text = world.pick_text(1), world.new_name(), line(world, rng)
    if not world.entries[path].content.endswith(b"\n"):
        raise Unsuitable("no line end")
    return steps(rng, (
        "rename {file} to {target} and (append|add) (the line|) {text} (to it|)",
        "rename {file} to {target}, then add {text} (at the end|to it)",
        "move {file} to {target} and (write|append) {text} at its end",
        "{file} should be called {target}; (append|add) {text} to it",
        "mv {file} {target}, then append {text} to {target}",
        "change the name of {file} to {target} and append {text}"),
        (f"mv {quoted(path, target)}", f"echo {string(text)} >> {quoted(target)}"),
        (f"rename {path} to {target}", f"append {text}"), False, f"Done: {target} ends with {text}.",
        file=path, target=target, text=said(rng, text))


@schema("sequence.archive_delete", "tar rm", steps=2, weight=2)
def archive_delete(world: World, rng: random.Random) -> Draft:
    folder, archive = _folder_with_files(world, rng)
    return steps(rng, (
        "(archive|pack) (the folder|) {folder} (as|into|in) {archive} and (then|) (delete|remove) (the folder|it)",
        "(pack|put|compress) {folder} into {archive}, then (delete|remove) the folder",
        "make {archive} (of|from) {folder} and (delete|remove) (the original|{folder})",
        "replace the folder {folder} (by|with) the archive {archive}",
        "tar {folder} to {archive} and rm the folder",
        "(turn|convert) the folder {folder} into {archive} (and|,) (delete|remove) the (original|folder) afterwards"),
        (f"tar -czf {quoted(archive, folder)}", f"rm -r {quoted(folder)}"),
        (f"pack {folder} into {archive}", f"delete {folder}"), False, f"Done: {folder} is in {archive}.",
        folder=folder, archive=archive)


def _folder_with_files(world: World, rng: random.Random) -> tuple[str, str]:
    folders = [path for path in world.dirs() if "/" not in path and world.files(under=path)]
    if not folders:
        raise Unsuitable("no folder with files")
    folder = rng.choice(folders)
    return folder, rng.choice((f"{folder}.tar.gz", world.new_name(ext="tar.gz"), f"{plain(world)}.tgz"))


@schema("sequence.archive_list", "tar", steps=2)
def archive_list(world: World, rng: random.Random) -> Draft:
    folder, archive = _folder_with_files(world, rng)
    return steps(rng, (
        "(archive|pack) (the folder|) {folder} (as|into|in) {archive} and (list|show) what is in the archive",
        "(pack|compress) {folder} into {archive}, then list the archive",
        "make {archive} (of|from) {folder} and (show|list) its content",
        "tar {folder} to {archive} and list {archive}",
        "create {archive} from {folder}, then (show|print) the files in the archive",
        "(archive|compress) {folder} to {archive} and check the content of the archive"),
        (f"tar -czf {quoted(archive, folder)}", f"tar -tzf {quoted(archive)}"),
        (f"pack {folder} into {archive}", f"list {archive}"), True, folder=folder, archive=archive)


@schema("sequence.archive_delete_list", "tar rm ls", steps=3)
def archive_delete_list(world: World, rng: random.Random) -> Draft:
    folder, archive = _folder_with_files(world, rng)
    return steps(rng, (
        "(archive|pack) {folder} as {archive}, (delete|remove) the folder and list (the files here|what is left)",
        "pack {folder} into {archive}, (delete|remove) {folder}, then (list|ls) the (current|) folder",
        "make {archive} from {folder}, (delete|remove) the original and show what is left (here|)",
        "tar {folder} to {archive}, rm the folder, ls",
        "replace the folder {folder} (by|with) the archive {archive} and then list everything here",
        "archive {folder} to {archive}, get rid of the folder and show me the files here"),
        (f"tar -czf {quoted(archive, folder)}", f"rm -r {quoted(folder)}", "ls"),
        (f"pack {folder} into {archive}", f"delete {folder}", "list the folder"), True, folder=folder, archive=archive)


@schema("sequence.script", "echo chmod", steps=2, weight=1.5)
def script(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name(ext="sh"), line(world, rng)
    return steps(rng, (
        "(create|write|make) a script {name} that (prints|echoes|says) {text} and make it executable",
        "write {name}, an executable (script|bash script) that (prints|echoes) {text}",
        "(create|make) an executable script (called|) {name} (which|that) (prints|echoes) {text}",
        "I need an executable {name} that (echoes|prints) {text}",
        "(create|make) {name} (with the command|containing) echo {text}, (and make it executable|then chmod +x)",
        "new script {name}: echo {text}; make it executable"),
        (f"echo 'echo {text}' > {quoted(name)}", f"chmod +x {quoted(name)}"), (f"write {name}", "make it executable"),
        False, f"Done: {name} prints {text}.", name=name, text=said(rng, text))


@schema("sequence.script_run", "echo chmod", steps=3, weight=1.5)
def script_run(world: World, rng: random.Random) -> Draft:
    name, text = world.new_name(ext="sh"), line(world, rng)
    return steps(rng, (
        "(create|write|make) a script {name} that (prints|echoes|says) {text}, make it executable and run it",
        "write an executable {name} that (prints|echoes) {text} and run it",
        "(create|make) an executable script (called|) {name} (which|that) (prints|echoes) {text}, then (run|start) it",
        "new script {name}: echo {text}; chmod +x and run it",
        "(create|make) {name} (with|containing) echo {text}, make it executable, (run|execute) it",
        "I need an executable {name} that prints {text}; (run|try) it, too"),
        (f"echo 'echo {text}' > {quoted(name)}", f"chmod +x {quoted(name)}", quoted(f"./{name}")),
        (f"write {name}", "make it executable", "run it"), True, ordered=True, name=name, text=said(rng, text))


@schema("sequence.sort_count", "sort wc", steps=2)
def sort_count(world: World, rng: random.Random) -> Draft:
    path, target = world.pick_text(3), world.new_name()
    unique = rng.random() < 0.5
    how = "unique lines" if unique else "sorted lines"
    return steps(rng, (
        "(write|save|put) the {how} of {file} (to|into) {target} and count (the|its) lines (of {target}|)",
        "(save|write) the {how} of {file} as {target}, then (tell|show) me how many lines {target} has",
        "make {target} from the {how} of {file} and count its lines",
        "put the {how} (of|from) {file} into {target}; how many lines does {target} have?",
        "{target} (should|must) hold the {how} of {file}; (then|) count the lines in {target}",
        "the {how} of {file} go to {target}, then wc {target}"),
        (f"sort {'-u ' if unique else ''}{quoted(path)} > {quoted(target)}", f"wc -l < {quoted(target)}"),
        (f"sort {path} into {target}", "count its lines"), True, answer="{output}", how=how, file=path, target=target)


@schema("sequence.delete_count", "find wc", steps=2)
def delete_count(world: World, rng: random.Random) -> Draft:
    exts = sorted({ext for ext in world.extensions() if re.fullmatch(r"\w{1,5}", ext)})
    if len(exts) < 2:
        raise Unsuitable("too few kinds")
    ext = rng.choice(exts)
    kind = rng.choice((f".{ext} files", f"*.{ext} files", f"{KINDS.get(ext, ext)} files"))
    return steps(rng, (
        "(delete|remove) all {kind} (everywhere|here and below|) and (tell me|say|count) how many files are left",
        "(delete|remove) (all|the) {kind} recursively, then count the files that (remain|are left)",
        "get rid of all {kind} and count the (remaining files|files that are left)",
        "how many files are left (when|after) you (have deleted|delete) all {kind}? do it",
        "clean up the {kind}, then count all files (that are left|)",
        "(remove|delete) every one of the {kind} in all folders and count what is left"),
        (f"find . -type f -name '*.{ext}' -delete", "find . -type f | wc -l"),
        (f"delete the .{ext} files", "count the files"), True, "{output} files are left.", kind=kind)


@schema("sequence.branch_commit", "git", steps=2, weight=1.5, git=True)
def branch_commit(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    branch, text = branch_name(world, rng), subject(world, rng)
    return steps(rng, (
        "(create|make) a (new|) branch {branch} and commit (everything|all changes) (there|) with message {text}",
        "commit (everything|all changes) (to|on) a new branch {branch}, (message|the message is) {text}",
        "(switch to|start) a new branch {branch} and commit all (changes|) (with the message|as) {text}",
        "new branch {branch}, then commit (all|everything) (as|with message) {text}",
        "git: branch {branch}, commit everything, message {text}",
        "put (my|the|all) changes on a new branch {branch} with the commit message {text}"),
        (f"git switch -qc {branch}", f"git add -A && git commit -qm {string(text)}"),
        (f"create the branch {branch}", "commit everything"), False, f"Done: committed on {branch}.",
        branch=branch, text=said(rng, text))


def subject(world: World, rng: random.Random) -> str:
    """A commit message of a few words."""
    return rng.choice(("Add", "Fix", "Update", "Remove", "clean up", "Refactor", "improve")) + " " + line(world, rng)


@schema("sequence.commit_tag", "git", steps=2, git=True)
def commit_tag(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    text, tag = subject(world, rng), f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    return steps(rng, (
        "commit (everything|all changes) with (the message|message) {text} and tag it {tag}",
        "commit (all|everything) as {text}, then (create|set) the tag {tag}",
        "(make|create) a commit {text} (with|of) all changes and tag it (as|) {tag}",
        "release {tag}: commit everything with the message {text} and tag it",
        "commit all with message {text}; tag {tag}",
        "(save|record) all changes (in git|) as {text} and tag that commit {tag}"),
        (f"git add -A && git commit -qm {string(text)}", f"git tag {tag}"), ("commit everything", f"tag it {tag}"),
        False, f"Done: committed and tagged {tag}.", text=said(rng, text), tag=tag)


@schema("sequence.write_commit", "echo git", steps=2, git=True)
def write_commit(world: World, rng: random.Random) -> Draft:
    unlink(world)
    name, words, text = world.new_name(ext=rng.choice(("txt", "md"))), line(world, rng), subject(world, rng)
    return steps(rng, (
        "(create|make) {name} with the text {words} and commit (it|everything) (with the message|as) {text}",
        "write {words} (to|into) {name}, then commit (it|) with (the message|message) {text}",
        "put {words} into {name} and commit it, message {text}",
        "add a file {name} (saying|containing) {words} to the repo, commit message {text}",
        "new file {name} with {words}; commit as {text}",
        "commit a new file {name} that says {words}, (use|with) the message {text}"),
        (f"echo {string(words)} > {quoted(name)}", f"git add -A && git commit -qm {string(text)}"),
        (f"write {name}", "commit it"), False, f"Done: {name} is committed.", name=name, words=said(rng, words),
        text=said(rng, text))


@schema("sequence.new_repository", "mkdir echo git", steps=3)
def new_repository(world: World, rng: random.Random) -> Draft:
    folder = world.new_name("dir")
    if " " in folder:
        raise Unsuitable("a blank")
    title = line(world, rng)
    return steps(rng, (
        "(create|make|start) a (new|) (project|git repository) {folder} with a {readme} that says {text}",
        "(make|create) the folder {folder} with a {readme} saying {text} and make it a git repository",
        "new git repo {folder}, its {readme} (should|must) contain {text}",
        "(create|make) {folder}, put {text} into its {readme} and (run git init|initialise git) there",
        "mkdir {folder}, write {text} to {folder}/{readme}, git init {folder}",
        "set up a (project|repository) {folder}: folder, {readme} with the text {text}, git init"),
        (f"mkdir {folder}", f"echo {string(title)} > {folder}/README.md", f"git init -q {folder}"),
        (f"create the folder {folder}", "write its README.md", "make it a repository"), False,
        f"Done: {folder} is a repository.", folder=folder, text=said(rng, title), readme="README.md")


@schema("sequence.rename_test", "grep xargs sed python3", steps=2, weight=2)
def rename_test(world: World, rng: random.Random) -> Draft:
    found = project(world, rng, tests=test_folder(rng), failing=rng.choice((0, 0, 1)), modules=(2, 3))
    _, old = found.function(rng)
    new = different(rng, function_name, 1, found.names)[0]
    return steps(rng, (
        "rename (the function|) {old} to {new} (everywhere|in all files) and run the tests",
        "rename {old} to {new} (in all files|across the project), then (run|execute) the tests",
        "change (the name of|) {old} to {new} everywhere and (see|check|tell me) whether the tests (still|) pass",
        "{old} (should|must) be called {new} in the whole code; run the tests (afterwards|then)",
        "refactor {old} -> {new} (everywhere|), then run the (unit|) tests",
        "do the tests (still|) pass when {old} is renamed to {new} (everywhere|in all files)? do it"),
        (f"grep -rlw --exclude-dir=.git '{old}' . | xargs sed -i 's/\\b{old}\\b/{new}/g'",
         found.runner() + " 2>&1 | tail -n 1"),
        (f"rename {old} to {new} in every file", "run the tests"), True, "The tests say: {output}", old=old, new=new)


@schema("sequence.rename_test_commit", "grep xargs sed python3 git", steps=3, weight=1.5, git=True)
def rename_test_commit(world: World, rng: random.Random) -> Draft:
    unlink(world)
    found = project(world, rng, tests=test_folder(rng), failing=0, modules=(1, 2))
    world.setup.append("git add -A; git commit -qm 'Add the project'")
    _, old = found.function(rng)
    new, text = different(rng, function_name, 1, found.names)[0], subject(world, rng)
    return steps(rng, (
        "rename {old} to {new} everywhere, run the tests and commit with (the message|message) {text}",
        "rename {old} to {new} (in all files|everywhere), (check|see) that the tests pass, then commit as {text}",
        "change {old} to {new} in all files, run the tests, commit everything (as|with the message) {text}",
        "refactor {old} -> {new}, test, commit: {text}",
        "{old} (should|must) be called {new} everywhere; test it and commit with the message {text}",
        "rename the function {old} to {new} across the project, run the tests, and commit it as {text}"),
        (f"grep -rlw --exclude-dir=.git '{old}' . | xargs sed -i 's/\\b{old}\\b/{new}/g'",
         found.runner() + " 2>&1 | tail -n 1", f"git add -A && git commit -qm {string(text)}"),
        (f"rename {old} to {new} in every file", "run the tests", "commit everything"), False,
        f"Done: {old} is now {new}, committed.", old=old, new=new, text=said(rng, text))


@schema("sequence.commit_log", "git", steps=2, git=True)
def commit_log(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    text, n = subject(world, rng), rng.randint(2, 5)
    return volatile(steps(rng, (
        "commit (everything|all changes) with (the message|message) {text} and (show|list) the last {n} commits",
        "commit all as {text}, then (show|print) the last {n} commits",
        "(make|create) a commit {text} of all changes and (show|list) the {n} latest commits",
        "commit everything, message {text}; then git log, {n} entries",
        "record all changes as {text} and give me the last {n} commits",
        "commit (it all|everything) as {text} and show {n} commits of the log"),
        (f"git add -A && git commit -qm {string(text)}", f"git log --oneline -{n}"),
        ("commit everything", f"show the last {n} commits"), True, ordered=True, text=said(rng, text), n=n))
