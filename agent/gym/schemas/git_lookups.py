"""Two and three steps in a git repository, where the next command needs what the one before it printed."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym.history import branch_name, commit_ids, committed, edit, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.sequences import said, subject
from nimllm.agent.gym.worlds import World


def _message(changes: list[tuple[str, str]]) -> str:
    """The subject for changes nobody described: what stands in ``git status --short``, in words."""
    verb = {"M": "Update", "?": "Add", "D": "Remove"}
    kinds = {verb[kind] for kind, _ in changes}
    names = [PurePosixPath(path).name for _, path in changes]
    return f"{kinds.pop() if len(kinds) == 1 else 'Update'} {' and '.join(names)}"


@schema("lookup.commit_changes", "git", steps=2, weight=3, git=True)
def commit_changes(world: World, rng: random.Random) -> Draft:
    changes: list[tuple[str, str]] = []
    unlink(world)
    for path in rng.sample(committed(world), 1 if rng.random() < 0.6 or len(committed(world)) < 2 else 2):
        if " " in path or path.startswith("."):
            raise Unsuitable("git quotes it")
        if rng.random() < 0.75:
            edit(world, rng, path)
            changes.append(("M", path))
        else:
            world.setup.append(f"rm {quoted(path)}")
            changes.append(("D", path))
    if len(changes) < 2 and rng.random() < 0.4:
        name = world.new_name()
        if " " in name or name.startswith("."):
            raise Unsuitable("git quotes it")
        world.add_file(name, world.text(2))
        changes = [*changes, ("?", name)] if rng.random() < 0.5 else changes
        if len(changes) < 2:
            world.edits.clear()
            world.setup.clear()
            changes = [("?", name)]
    changes.sort(key=lambda change: (change[0] == "?", change[1]))
    message = _message(changes)
    return steps(rng, (
        "commit (what changed|the changes|my changes|what I changed|everything|all changes)",
        "(look|see) what changed and commit it",
        "commit (everything|all|what changed) with a (fitting|suitable|good|short) message",
        "make a commit (of|with) (what changed|all changes|the current changes)",
        "what changed? commit it",
        "(save|record) (my|the|all) changes in git",
        "(check|see) the status and commit (it all|everything|the changes)",
        "commit"),
        ("git status --short", f"git add -A && git commit -qm {string(message)}"),
        ("see what changed", "commit it"), False, f"Done: committed as \"{message}\".")


@schema("lookup.discard_change", "git", steps=2, git=True)
def discard_change(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    if " " in path or not path.isascii():
        raise Unsuitable("git quotes it")
    edit(world, rng, path)
    return steps(rng, (
        "(see|check|look) which file (changed|is modified|I changed) and (discard|undo|revert) (the change|it)",
        "which file is modified? (discard|undo|throw away) its changes",
        "one file (is|was) modified, (restore|reset) it (to the last commit|)",
        "find the modified file and (restore it|discard its changes|undo the change)",
        "(look at|check) the git status and (discard|undo|drop) the change",
        "(undo|discard) my (edit|change), I do not know which file it was"),
        ("git status --short", f"git restore {quoted(path)}"), ("see what changed", "discard it"), False,
        f"Done: {path} is as it was committed.")


@schema("lookup.ignore_untracked", "git echo", steps=2, git=True)
def ignore_untracked(world: World, rng: random.Random) -> Draft:
    name = world.new_name()
    unlink(world)
    if " " in name or name.startswith(".") or ".gitignore" in world.entries:
        raise Unsuitable("git quotes it")
    world.add_file(name, world.text(1))
    return steps(rng, (
        "(find|see) which file is untracked and (ignore it|add it to {ignore}|put it into {ignore})",
        "(add|put) the untracked file (to|into) {ignore}",
        "which file is untracked? (add it to {ignore}|make git ignore it)",
        "(let|make) git ignore the (new|untracked) file",
        "there is an untracked file, (ignore it|git should ignore it)",
        "look at the untracked file and (write|put) its name into {ignore}"),
        ("git ls-files --others --exclude-standard", f"echo {string(name)} >> .gitignore"),
        ("list untracked files", "add it to .gitignore"), False, f"Done: git ignores {name}.", ignore=".gitignore")


def _about(world: World, rng: random.Random) -> tuple[str, str]:
    """A word that one message of the history holds, and the id of that commit as ``git log --oneline`` spells it."""
    word = f"{plain(world)}{rng.randint(1, 99)}"
    at = rng.randrange(len(world.commits))
    author, _, paths = world.commits[at]
    message = rng.choice((f"Fix {word}", f"Add {word} to the {plain(world)}", f"{word}: clean up"))
    world.commits[at] = (author, message, paths)
    return word, commit_ids(world)[at][:7]


@schema("lookup.show_commit", "git", steps=2, git=True)
def show_commit(world: World, rng: random.Random) -> Draft:
    word, code = _about(world, rng)
    return steps(rng, (
        "(which|what) files did the commit about {word} (change|touch)?",
        "find the commit (about|that mentions) {word} and (show|list) its files",
        "(list|show) the files of the commit with {word} in its message",
        "search the history for {word} and list the files (of that commit|it touched)",
        "files touched by the commit that mentions {word}",
        "what did the commit about {word} touch?"),
        (f"git log --oneline --grep='{word}'", f"git show --name-only --format= {code}"),
        (f"search the messages for {word}", "list the files of that commit"), True, word=word)


@schema("lookup.revert_commit", "git", steps=2, git=True)
def revert_commit(world: World, rng: random.Random) -> Draft:
    word, code = _about(world, rng)
    return steps(rng, (
        "revert the commit (about|that mentions|with) {word}",
        "(find|look for) the commit (about|that mentions) {word} and revert it",
        "(undo|take back) the commit about {word} (with a new commit|with git revert)",
        "the commit (about|with) {word} was (wrong|a mistake), revert it",
        "search the history for {word} and revert that commit",
        "which commit mentions {word}? revert it"),
        (f"git log --oneline --grep='{word}'", f"git revert --no-edit {code}"),
        (f"search the messages for {word}", "revert that commit"), False, f"Done: the commit about {word} is reverted.",
        word=word)


@schema("lookup.other_branch", "git", steps=2, weight=1.5, git=True)
def other_branch(world: World, rng: random.Random) -> Draft:
    committed(world)
    name = branch_name(world, rng)
    world.setup.append(f"git branch {name}")
    if rng.random() < 0.5:
        return steps(rng, (
            "(switch|change|go) to the other branch", "there is one other branch, (switch|go) to it",
            "which other branch is there? (switch|go) to it", "check out the other branch",
            "(list|look at) the branches and switch to the other one", "I want to work on the other branch"),
            ("git branch", f"git switch -q {name}"), ("list the branches", "switch to the other one"), False,
            f"Done: you are on {name}.")
    return steps(rng, (
        "(delete|remove) the other branch", "there is one other branch, (delete|remove) it",
        "which other branch is there? (delete|remove) it", "get rid of the other branch",
        "(list|look at) the branches and delete the other one",
        "I do not need the other branch (any more|), delete it"),
        ("git branch", f"git branch -d {name}"), ("list the branches", "delete the other one"), False,
        f"Done: {name} is deleted.")


@schema("lookup.ignore_commit", "git echo", steps=3, weight=1.5, git=True)
def ignore_commit(world: World, rng: random.Random) -> Draft:
    unlink(world)
    name, text = world.new_name(), subject(world, rng)
    if " " in name or name.startswith(".") or ".gitignore" in world.entries:
        raise Unsuitable("git quotes it")
    world.add_file(name, world.text(1))
    return steps(rng, (
        "(find|see) which file is untracked, add it to {ignore} and commit with (the message|message) {text}",
        "make git ignore the untracked file and commit (that|it) as {text}",
        "add the untracked file to {ignore}, then commit with the message {text}",
        "which file is untracked? ignore it in git and commit as {text}",
        "the untracked file (should|must) be ignored: put it into {ignore} and commit, message {text}",
        "ignore the new file (with {ignore}|) and commit {text}"),
        ("git ls-files --others --exclude-standard", f"echo {string(name)} >> .gitignore",
         f"git add -A && git commit -qm {string(text)}"),
        ("list untracked files", "add it to .gitignore", "commit"), False, f"Done: git ignores {name}.",
        ignore=".gitignore", text=said(rng, text))


@schema("lookup.discard_show", "git", steps=3, git=True)
def discard_show(world: World, rng: random.Random) -> Draft:
    unlink(world)
    path = rng.choice(committed(world))
    if " " in path or not path.isascii() or b"\0" in world.entries[path].content or len(world.read(path)) > 600:
        raise Unsuitable("git quotes it, or it is long")
    edit(world, rng, path)
    return steps(rng, (
        "see which file changed, discard the change and (show|print) the file",
        "which file is modified? restore it, then (show|print) (me|) its content",
        "find the modified file, undo its changes and (print|cat) it",
        "look at the status, restore the changed file (and|, then) show it",
        "(undo|discard) my edit in whatever file it was, then print that file",
        "restore the modified file and show what is in it"),
        ("git status --short", f"git restore {quoted(path)}", f"cat {quoted(path)}"),
        ("see what changed", "discard it", "print the file"), True, ordered=True)
