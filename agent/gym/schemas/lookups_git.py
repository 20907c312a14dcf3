"""Two and three steps in a repository where git is asked first: which file, which commit, which branch, which tag."""

from __future__ import annotations

import random

from nimllm.agent.gym.history import PUSHED, branch_name, commit_ids, committed, edit, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.sequences import said, subject
from nimllm.agent.gym.stepwise import stepwise
from nimllm.agent.gym.worlds import World


def _tracked(world: World, rng: random.Random) -> str:
    """A committed text file whose name git prints without quotes."""
    found = [path for path in committed(world) if " " not in path and path.isascii() and not set("'\"\\") & set(path)]
    if not found:
        raise Unsuitable("no plain name")
    return rng.choice(found)


def _changed(world: World, rng: random.Random) -> str:
    """The only change: one tracked file is edited."""
    unlink(world)
    path = _tracked(world, rng)
    edit(world, rng, path)
    return path


@schema("lookup.diff_changed", "git", steps=2, weight=1.5, git=True)
def diff_changed(world: World, rng: random.Random) -> Draft:
    path = _changed(world, rng)
    return steps(rng, (
        *stepwise(rng, ("(see|find out|look) which file (is modified|changed)", "(show|print) its diff"), 4),
        "which file is modified? (show|print) its diff",
        "(find|look for) the modified file and (show|print) what changed in it",
        "one file is modified: which one, and (what changed|how)?"),
        ("git status --short", f"git diff {quoted(path)}"), ("see what is modified", "show its diff"), True,
        ordered=True)


@schema("lookup.stage_changed", "git", steps=2, weight=1.2, git=True)
def stage_changed(world: World, rng: random.Random) -> Draft:
    path = _changed(world, rng)
    return steps(rng, (
        *stepwise(rng, ("(look at|check|see) the (git|) status", "(stage|git add) (only|) the modified file"), 4),
        "(stage|add) the one file that is modified", "which file did I change? (stage|add) it",
        "(find|see) what I edited and stage (it|that file)"),
        ("git status --short", f"git add {quoted(path)}"), ("see what is modified", "stage it"), False,
        f"Done: {path} is staged.")


@schema("lookup.status_add_commit", "git", steps=3, weight=3, git=True)
def status_add_commit(world: World, rng: random.Random) -> Draft:
    path = _changed(world, rng)
    text = subject(world, rng)
    return steps(rng, (
        *stepwise(rng, ("(look at|check|see) the (git|) status", "(stage|add) the (changed|modified) file",
                        "commit (it|) (with the message|as|with) {text}"), 5),
        "see which file (is modified|changed), (stage|add) it and commit (it|) (with the message|as) {text}",
        "which file changed? add it, then commit with {text}"),
        ("git status --short", f"git add {quoted(path)}", f"git commit -qm {string(text)}"),
        ("see what is modified", "stage it", "commit it"), False, f"Done: {path} is committed.", text=said(rng, text))


@schema("lookup.untracked_remove", "git rm", steps=2, git=True)
def untracked_remove(world: World, rng: random.Random) -> Draft:
    unlink(world)
    name = world.new_name()
    if " " in name or name.startswith("."):
        raise Unsuitable("git quotes it")
    world.add_file(name, world.text(2))
    what, command, tail = rng.choice((("(delete|remove)", f"rm {quoted(name)}", ""),
                                      ("(stage|add)", f"git add {quoted(name)}", "")))
    return steps(rng, (
        *stepwise(rng, ("(find|see) which file is untracked", f"{what} it"), 4),
        f"{what} the (only|one|) untracked file",
        f"which file is not tracked? {what} it", f"there is one untracked file here, {what} it"),
        ("git ls-files --others --exclude-standard", command), ("list untracked files", "take care of it"), False,
        f"Done: {name}{tail}.")


@schema("lookup.last_commit_file", "git head wc cat", steps=2, weight=1.5, git=True)
def last_commit_file(world: World, rng: random.Random) -> Draft:
    unlink(world)
    path, n = _tracked(world, rng), rng.randint(2, 5)
    if world.read(path).count("\n") < n + 1:
        raise Unsuitable("too short")
    world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)} {plain(world)}'")
    command, part, plan = rng.choice((
        (f"head -n {n} {quoted(path)}", f"(show|print) (the first {n} lines of that file|its first {n} lines)",
         "print its first lines"),
        (f"wc -l < {quoted(path)}", "count (its lines|the lines of that file)", "count its lines"),
        (f"tail -n {n} {quoted(path)}", f"(show|print) (the last {n} lines of that file|its last {n} lines)",
         "print its last lines")))
    return steps(rng, (
        *stepwise(rng, ("(find out|see|look) which file the last commit (changed|touched)", part), 5),
        f"which file did the (last|latest) commit (touch|change)? {part}",
        f"take the file that the last commit changed and {part}"),
        ("git show --name-only --format= HEAD", command), ("see which file it was", plan), True, ordered=True)


def _short(world: World, at: int) -> str:
    return commit_ids(world)[at][:7]


@schema("lookup.file_commit", "git", steps=2, weight=1.5, git=True)
def file_commit(world: World, rng: random.Random) -> Draft:
    """The commit that touched a file last, and what else it did."""
    at = rng.randrange(len(world.commits))
    paths = [path for path in world.commits[at][2] if " " not in path and path.isascii()]
    if not paths:
        raise Unsuitable("no plain name")
    path, code = rng.choice(paths), _short(world, at)
    command, part, ways, plan = rng.choice((
        (f"git show --name-only --format= {code}", "(list|show) (all|) the files of that commit", (
            "which files were (changed|touched) together with {file} in its last commit?",
            "which other files did the last commit of {file} touch?"), "list its files"),
        (f"git show --stat --format=%s {code}", "show that commit with statistics",
         ("(show|print) the stat of the (last|latest) commit that touched {file}",), "show it"),
        (f"git show -s --format=%an {code}", "(tell|show) me (its author|who made it)",
         ("who made the last commit that touched {file}? look the commit up first",), "see who made it")))
    return steps(rng, (*stepwise(rng, ("(find|look up) the (last|latest) commit (that touched|of) {file}", part), 5),
                       *ways),
                 (f"git log --oneline -1 -- {quoted(path)}", command), (f"find the last commit of {path}", plan), True,
                 ordered=True, file=path)


@schema("lookup.message_commit_files", "git", steps=2, weight=1.2, git=True)
def message_commit_files(world: World, rng: random.Random) -> Draft:
    word = f"{plain(world)}{rng.randint(1, 99)}"
    at = rng.randrange(len(world.commits))
    author, _, paths = world.commits[at]
    world.commits[at] = (author, rng.choice((f"Fix {word}", f"Add {word} to the {plain(world)}", f"{word}: clean up")),
                         paths)
    code = _short(world, at)
    command, part, ways, plan = rng.choice((
        (f"git show --name-only --format= {code}", "list (its files|the files it touched)", (
            "which files did the commit about {word} (touch|change)?", "files of the commit that mentions {word}"),
            "list its files"),
        (f"git show -s --format=%an {code}", "(tell|show) me (its author|who made it)", (
            "who made the commit about {word}?", "author of the commit that mentions {word}"), "see who made it"),
        (f"git show -s --format=%ad --date=short {code}", "(tell|show) me its date", (
            "when was the commit about {word} made? just the date", "date of the commit that mentions {word}"),
            "see its date"),
        (f"git tag {plain(world)}-{rng.randint(1, 9)}", "", (), "")))
    if not part:
        tag = command.split()[-1]
        return steps(rng, (*stepwise(rng, ("find the commit (about|that mentions) {word}", "tag it {tag}"), 4),
                           "tag the commit about {word} as {tag}",
                           "(set|create) the tag {tag} on the commit that mentions {word}"),
                     (f"git log --oneline --grep={string(word)}", f"git tag {tag} {code}"),
                     (f"find the commit about {word}", f"tag it {tag}"), False,
                     f"Done: it is tagged {tag}.", word=word, tag=tag)
    return steps(rng, (*stepwise(rng, ("find the commit (about|that mentions) {word}", part), 4), *ways),
                 (f"git log --oneline --grep={string(word)}", command), (f"find the commit about {word}", plan), True,
                 ordered=True, word=word)


@schema("lookup.branch_from_commit", "git", steps=2, git=True)
def branch_from_commit(world: World, rng: random.Random) -> Draft:
    if len(world.commits) < 2:
        raise Unsuitable("one commit")
    at, name = rng.randrange(len(world.commits) - 1), branch_name(world, rng)
    word = f"{plain(world)}{rng.randint(1, 99)}"
    author, _, paths = world.commits[at]
    world.commits[at] = (author, f"Add {word}", paths)
    return steps(rng, (
        *stepwise(rng, ("find the commit (about|that mentions) {word}",
                        "(make|create|start) a branch {name} (there|from it)"), 4),
        "(make|create) a branch {name} that starts at the commit about {word}",
        "branch {name} off the commit that mentions {word}"),
        (f"git log --oneline --grep={string(word)}", f"git branch {name} {_short(world, at)}"),
        (f"find the commit about {word}", f"create {name} there"),
        False, f"Done: {name} starts there.", word=word, name=name)


@schema("lookup.old_version", "git", steps=2, git=True)
def old_version(world: World, rng: random.Random) -> Draft:
    """The file as it was in the first commit that has it."""
    unlink(world)
    path = _tracked(world, rng)
    if len(world.read(path)) > 800:
        raise Unsuitable("too long")
    at = next(number for number, (_, _, paths) in enumerate(world.commits) if path in paths)
    world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)}'")
    code = _short(world, at)
    restore = rng.random() < 0.5
    command = f"git checkout -q {code} -- {quoted(path)}" if restore else f"git show {code}:{quoted(path)}"
    part = "(restore|check out) {file} from it" if restore else "(show|print) {file} as it was (there|then)"
    ways = ("(restore|get back) the first version of {file}",
            "put {file} back to what it was in its first commit") if restore else (
        "(show|print) the first version of {file}", "what did {file} look like when it was added?",
        "(show|print) {file} as it was first committed")
    return steps(rng, (*stepwise(rng, ("find the first commit of {file}", part), 4), *ways),
                 (f"git log --oneline --reverse -- {quoted(path)}", command),
                 (f"find the first commit of {path}", "take it from there"), not restore,
                 f"Done: {path} is what it was in {code}." if restore else None, True, file=path)


@schema("lookup.merged_branch", "git", steps=2, weight=1.2, git=True)
def merged_branch(world: World, rng: random.Random) -> Draft:
    path, done, other = _tracked(world, rng), branch_name(world, rng), branch_name(world, rng)
    if len({done, other, "main"}) < 3:
        raise Unsuitable("one name")
    world.setup.append(f"git branch {done}; git switch -qc {other}; echo {plain(world)} >> {quoted(path)}; "
                       "git commit -qam other; "
                       "git switch -q main")
    return steps(rng, (
        *stepwise(rng, ("(see|list|find) which branch is merged (already|)", "delete it"), 4),
        "delete the (branch that is merged|merged branch)",
        "which branch is merged already? (delete|remove) it",
        "clean up: delete the (merged branch|branch that is already merged)"),
        ("git branch --merged", f"git branch -d {done}"), ("list merged branches", "delete it"), False,
        f"Done: {done} is deleted.")


@schema("lookup.since_tag", "git", steps=2, weight=1.2, git=True)
def since_tag(world: World, rng: random.Random) -> Draft:
    if len(world.commits) < 2:
        raise Unsuitable("one commit")
    tag = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    world.setup.append(f"git tag {tag} HEAD~1")
    command, part, ways, plan = rng.choice((
        (f"git log --oneline {tag}..HEAD", "(list|show) the commits since (then|it)",
         ("(which|what) commits (came|were made) since the last tag?",
         "(list|show) (the|all) commits since the (last|latest) (tag|release)",
         "what is new since the (last|latest) tag?"), "list the commits since"),
        (f"git diff --name-only {tag}", "(list|show) the files that changed since (then|it)",
         ("which files (changed|have changed) since the (last|latest) tag?",
         "(list|show) the files changed since the (last|latest) (tag|release)"), "list the changed files"),
        (f"git rev-list --count {tag}..HEAD", "count the commits since (then|it)",
         ("how many commits (came|were made) since the (last|latest) tag?",
         "number of commits since the (last|latest) (tag|release)"), "count the commits since")))
    return steps(rng, (*stepwise(rng, ("(find|look up|see) the (last|latest) tag", part), 3), *ways),
                 ("git describe --tags --abbrev=0", command),
                 ("find the latest tag", plan), True, ordered=command.startswith("git log"))


@schema("lookup.blame_commit", "git", steps=2, git=True)
def blame_commit(world: World, rng: random.Random) -> Draft:
    path = _tracked(world, rng)
    rows = world.read(path).split("\n")
    at = next(number for number, (_, _, paths) in reversed(list(enumerate(world.commits))) if path in paths)
    if at == 0 or len(rows) < 4:
        raise Unsuitable("the root commit, or too short")
    n = rng.randint(1, len(rows) - 1)
    return steps(rng, (
        *stepwise(rng, ("(see|find out) which commit wrote line {n} of {file}", "(show|print) its message"), 5),
        "with which message was line {n} of {file} committed?",
        "what is the message of the commit that wrote line {n} of {file}?"),
        (f"git blame -L {n},{n} {quoted(path)}", f"git show -s --format=%s {commit_ids(world)[at][:8]}"),
        (f"see who wrote line {n}", "show that commit's message"), True, ordered=True, n=n, file=path)


@schema("lookup.conflict_marks", "git grep", steps=2, git=True)
def conflict_marks(world: World, rng: random.Random) -> Draft:
    """A merge has stopped: which file, and where in it."""
    path, name = _tracked(world, rng), branch_name(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam one; "
                       "git switch -q main; "
                       f"echo {plain(world)}x >> {quoted(path)}; git commit -qam two; git merge -q {name}")
    take = rng.choice(("", "ours", "theirs"))
    if take:
        return steps(rng, (
            *stepwise(rng, ("(see|find out) which file is in conflict", "take {take} for it"), 4),
            "(solve|resolve) the conflict with {take}, see which file it is",
            "which file conflicts? take {take}", "a merge has stopped with a conflict, take {take}"),
            ("git diff --name-only --diff-filter=U",
             f"git checkout -q --{take} {quoted(path)} && git add {quoted(path)}"),
            ("see which file conflicts", f"take {take}"), False, f"Done: {path} is resolved.",
            take={"ours": "our version", "theirs": "their version"}[take])
    return steps(rng, (
        *stepwise(rng, ("(see|find out) which file is in conflict",
                        "(show|print) the lines with conflict marks (with their numbers|) in it"), 4),
        "which file is in conflict, and in which lines are the marks?",
        "(find|show) the conflict marks in the file that conflicts"),
        ("git diff --name-only --diff-filter=U", f"grep -nE '^(<<<<<<<|=======|>>>>>>>)' {quoted(path)}"),
        ("see which file conflicts", "show the conflict marks"), True, ordered=True)


@schema("sequence.branch_edit_commit", "git echo", steps=3, weight=3, git=True)
def branch_edit_commit(world: World, rng: random.Random) -> Draft:
    unlink(world)
    path, name, text, words = _tracked(world, rng), branch_name(world, rng), subject(world, rng), plain(world)
    if not world.entries[path].content.endswith(b"\n"):
        raise Unsuitable("no line end")
    return steps(rng, (
        *stepwise(rng, ("(create|make|start) (the|a) branch {name}", "(append|add) (the line|) {words} to {file}",
                        "commit (it|) (with the message|as) {text}"), 5),
        "on a new branch {name}, (append|add) {words} to {file} and commit (it|) as {text}",
        "commit the new line {words} in {file} as {text} on a new branch {name}"),
        (f"git switch -qc {name}", f"echo {string(words)} >> {quoted(path)}", f"git commit -qam {string(text)}"),
        (f"create the branch {name}", f"append to {path}", "commit it"), False, f"Done: committed on {name}.",
        name=name, words=words,
        file=path, text=said(rng, text))


@schema("sequence.merge_delete", "git", steps=2, weight=1.5, git=True)
def merge_delete(world: World, rng: random.Random) -> Draft:
    path, name = _tracked(world, rng), branch_name(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam other; "
                       "git switch -q main")
    return steps(rng, (
        *stepwise(rng, ("merge (the branch|) {name}", "delete (it|the branch|{name})"), 5),
        "{name} is (done|finished|ready): merge and delete it",
        "(finish|close) the branch {name}: merge it, (then|) delete it",
        "get {name} into main and (remove|delete) the branch"),
        (f"git merge -q {name}", f"git branch -d {name}"), (f"merge {name}", f"delete {name}"), False,
        f"Done: {name} is merged and deleted.", name=name)


@schema("sequence.switch_merge_delete", "git", steps=3, weight=1.2, git=True)
def switch_merge_delete(world: World, rng: random.Random) -> Draft:
    path, name = _tracked(world, rng), branch_name(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam other")
    return steps(rng, (
        *stepwise(rng, ("(switch|go) (back|) to main", "merge {name}", "delete (the branch|) {name}"), 5),
        "{name} is done: (switch|go back) to main, merge it and delete the branch",
        "bring {name} into main and delete it, I am still on {name}"),
        ("git switch -q main", f"git merge -q {name}", f"git branch -d {name}"),
        ("switch to main", f"merge {name}", f"delete {name}"), False,
        f"Done: {name} is merged and deleted.", name=name)


@schema("sequence.stash_switch", "git", steps=2, git=True)
def stash_switch(world: World, rng: random.Random) -> Draft:
    _changed(world, rng)
    name = branch_name(world, rng)
    world.setup.append(f"git branch {name}")
    return steps(rng, (
        *stepwise(rng, ("stash (my|the) changes", "(switch|go) to (the branch|) {name}"), 5),
        "(put|set) my changes aside (with git stash|) and (switch|go) to {name}", "git stash, then git switch {name}"),
        ("git stash -q", f"git switch -q {name}"), ("stash the changes", f"switch to {name}"), False,
        f"Done: you are on {name}.", name=name)


@schema("sequence.file_commit_log", "git echo", steps=3, weight=1.2, git=True)
def file_commit_log(world: World, rng: random.Random) -> Draft:
    unlink(world)
    name, words, text = world.new_name(ext=rng.choice(("txt", "md"))), plain(world), subject(world, rng)
    return steps(rng, (
        *stepwise(rng, ("(create|make|write) {name} (with the text|that says) {words}",
                        "commit (it|) (with the message|as) {text}",
                        "show (me|) the (message of the last commit|last commit message)"), 5),
        "put {words} into {name}, commit it as {text} and show the last commit message"),
        (f"echo {string(words)} > {quoted(name)}", f"git add -A && git commit -qm {string(text)}",
         "git log -1 --format=%s"),
        (f"write {name}", "commit it", "show the last message"), True, ordered=True, name=name, words=words,
        text=said(rng, text))


@schema("sequence.remove_commit", "git", steps=2, git=True)
def remove_commit(world: World, rng: random.Random) -> Draft:
    path, text = _tracked(world, rng), subject(world, rng)
    return steps(rng, (
        *stepwise(rng, ("(delete|remove|git rm) {file}", "commit (that|it|) (with the message|as) {text}"), 5),
        "(delete|remove) {file} from the repo and commit as {text}",
        "take {file} out of the repository, commit message {text}"),
        (f"git rm -q {quoted(path)}", f"git commit -qm {string(text)}"), (f"remove {path}", "commit it"), False,
        f"Done: {path} is removed, committed.", file=path, text=said(rng, text))


@schema("sequence.rename_commit", "git", steps=2, git=True)
def rename_commit(world: World, rng: random.Random) -> Draft:
    path, new, text = _tracked(world, rng), world.new_name(), subject(world, rng)
    return steps(rng, (
        *stepwise(rng, ("rename {file} to {new} (with git|in git|)", "commit (that|it|) (with the message|as) {text}"),
                  5),
        "git mv {file} {new}, commit as {text}",
        "{file} should be called {new} (in the repo|), commit (that|the change) as {text}"),
        (f"git mv {quoted(path, new)}", f"git commit -qm {string(text)}"), (f"rename {path}", "commit it"), False,
        f"Done: it is called {new}, committed.", file=path, new=new, text=said(rng, text))


@schema("sequence.discard_status", "git", steps=2, git=True)
def discard_status(world: World, rng: random.Random) -> Draft:
    unlink(world)
    paths = [path for path in committed(world) if " " not in path]
    if len(paths) < 2:
        raise Unsuitable("too few files")
    one, other = rng.sample(paths, 2)
    edit(world, rng, one)
    edit(world, rng, other)
    return steps(rng, (
        *stepwise(rng, ("(discard|undo|throw away) (my|the) changes (in|to|of) {file}",
                        "show (me|) the (short|) status"), 5),
        "restore {file}, git status", "{file}: back to the last commit; then what is still modified?"),
        (f"git restore {quoted(one)}", "git status --short"), (f"restore {one}", "show the status"), True, file=one)


@schema("sequence.init_commit", "git", steps=3, weight=1.2)
def init_commit(world: World, rng: random.Random) -> Draft:
    text = rng.choice(("Initial commit", "First commit", "Import", subject(world, rng)))
    name = world.name()
    mail = f"{name.split()[0].lower()}@example.org"
    return steps(rng, (
        *stepwise(rng, ("(make this|turn this into) a git repository", "(stage|add) (everything|all files)",
                        "commit (it|) as {text} (by|with the author) {name} <{mail}>"), 5),
        "git init, add everything, commit as {text} in the name of {name} <{mail}>"),
        ("git init -q", "git add -A",
         f"git -c user.name={string(name)} -c user.email={mail} commit -qm {string(text)}"),
        ("make it a repository", "stage everything", "commit it"), False, "Done: everything is committed.",
        text=said(rng, text), name=name, mail=mail)


@schema("sequence.commit_push", "git", steps=2, weight=2, git=True)
def commit_push(world: World, rng: random.Random) -> Draft:
    _changed(world, rng)
    text = subject(world, rng)
    world.setup.insert(0, PUSHED)
    return steps(rng, (
        *stepwise(rng, ("commit (everything|all changes|my changes) (with the message|as) {text}", "push (it|)"), 5),
        "commit and push, (the message is|message) {text}",
        "push my changes, commit them as {text} (first|before that)"),
        (f"git add -A && git commit -qm {string(text)}", "git push -q"), ("commit everything", "push it"), False,
        "Done: committed and pushed.",
        text=said(rng, text))


@schema("sequence.tag_push", "git", steps=2, git=True)
def tag_push(world: World, rng: random.Random) -> Draft:
    tag = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    world.setup.append(PUSHED)
    return steps(rng, (
        *stepwise(rng, ("tag (this|the current) commit (as|) {tag}", "push the tag (to origin|)"), 5),
        "release {tag}: tag it and push the tag",
        "(set|create) the tag {tag} and push it (to origin|)"),
        (f"git tag {tag}", f"git push -q origin {tag}"), (f"set the tag {tag}", "push it"), False,
        f"Done: {tag} is pushed.", tag=tag)
