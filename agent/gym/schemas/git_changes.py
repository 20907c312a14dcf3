"""Changes to a git repository, one command each: commits, branches, tags, staging, restoring."""

from __future__ import annotations

import random
import shlex

from nimllm.agent.gym.history import branch_name, committed, dirty, edit, grow, unlink
from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.sequences import line, subject
from nimllm.agent.gym.worlds import World


def _changes(world: World, rng: random.Random, number: int = 2) -> list[str]:
    paths = committed(world)
    chosen = rng.sample(paths, min(len(paths), number))
    for path in chosen:
        edit(world, rng, path)
    return chosen


@schema("git.commit_all", "git", weight=4, git=True)
def commit_all(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    text = subject(world, rng)
    return single(rng, (
        "commit (everything|all changes|my changes|what changed) with (the message|the commit message) {text}",
        "commit (everything|all changes|what changed|) as {text}",
        "commit (all|everything), message: {text}",
        "(make|create) a commit (of everything|of what changed|) (with the message|called|saying) {text}",
        "(save|record) (all|my|the) changes in git (with the message|as) {text}",
        "git commit (everything|all|) with (the message|message) {text}",
        "{text}: commit (everything|all changes) (with that message|under that message)",
        "(stage|add) everything and commit it (with message|as) {text}",
        "commit what changed, the message is {text}"),
        f"git add -A && git commit -qm {string(text)}", "commit everything", False, f"Done: committed as \"{text}\".",
        text=text)


@schema("git.commit_quoted", "git", weight=2, git=True)
def commit_quoted(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    text = subject(world, rng)
    mark = rng.choice(("'", '"'))
    said = f"{mark}{text}{mark}"
    return single(rng, (
        "commit (everything|all changes|all|my changes|what changed|) with (the message|message) {text}",
        "commit (everything|all changes|what changed|) as {text}",
        "commit all changes: {text}",
        "(make|create) a commit {text} (of everything|with all changes|)",
        "git commit {text}",
        "(save|record) (all|my) changes in git as {text}",
        "commit (the work|it all) and write {text} as (the|) message"),
        f"git add -A && git commit -qm {string(text)}", "commit everything", False, f"Done: committed as \"{text}\".",
        text=said)


@schema("git.commit_file", "git", weight=2, git=True)
def commit_file(world: World, rng: random.Random) -> Draft:
    paths = _changes(world, rng)
    text, file = subject(world, rng), rng.choice(paths)
    return single(rng, (
        "commit (only|just|) {file} with (the message|message) {text}",
        "commit (only|just) the change (of|in|to) {file} as {text}",
        "(make|create) a commit of {file} (only|alone|) with (the message|message) {text}",
        "{file}: commit it (with the message|as) {text}",
        "(add|stage) {file} and commit it (with message|as) {text}",
        "git commit {file}, message {text}",
        "(save|record) (only|) {file} in git as {text}"),
        f"git add {quoted(file)} && git commit -qm {string(text)}", f"commit {file}", False,
        f"Done: {file} is committed.", file=file, text=text)


@schema("git.add", "git", git=True)
def add(world: World, rng: random.Random) -> Draft:
    file = rng.choice(_changes(world, rng))
    return single(rng, (
        "stage {file}", "(add|put) {file} to the (index|staging area)", "git add {file}",
        "stage (only|just) {file} (for the next commit|)", "{file} (should|must) be (staged|in the next commit)",
        "(prepare|mark) {file} for (the next|a) commit", "add {file} (to git|for the next commit)"),
        f"git add {quoted(file)}", f"stage {file}", False, f"Done: {file} is staged.", file=file)


@schema("git.add_all", "git", git=True)
def add_all(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    return single(rng, (
        "stage (everything|all|all changes|all files)", "(add|put) (all|all the) changes to the (index|staging area)",
        "git add (everything|all)", "stage (all|my) changes (for the next commit|)",
        "everything (should|must) be staged", "(prepare|mark) all changes for (the next|a) commit",
        "add (all|everything) to git, do not commit (yet|)"),
        "git add -A", "stage everything", False, "Done: everything is staged.")


@schema("git.branch_create", "git", weight=2, git=True)
def branch_create(world: World, rng: random.Random) -> Draft:
    name = branch_name(world, rng)
    return single(rng, (
        "create (a|the|a new) branch (called|named|) {name} and switch to it",
        "(make|start|open) a new branch {name}",
        "new branch {name}",
        "(create|make) and check out (a|the) branch {name}",
        "git switch -c {name}",
        "I need a (new|) branch {name} to work on",
        "(start|begin) to work on a new branch (called|) {name}",
        "branch off (as|to|into) {name} and (go|switch) there"),
        f"git switch -qc {name}", f"create the branch {name}", False, f"Done: you are on {name}.", name=name)


@schema("git.branch_only", "git", git=True)
def branch_only(world: World, rng: random.Random) -> Draft:
    name = branch_name(world, rng)
    return single(rng, (
        "create (a|the) branch {name} (but|and) (stay|remain) (here|on this branch|where I am)",
        "create (a|the) branch {name} without switching (to it|)",
        "(make|add) a branch {name} (but do not|, do not) switch (to it|)",
        "git branch {name}",
        "new branch {name}, but stay on the current one",
        "(only|just) create the branch {name}, do not check it out"),
        f"git branch {name}", f"create the branch {name}", False, f"Done: the branch {name} exists.", name=name)


def _branch(world: World, rng: random.Random) -> str:
    committed(world)
    name = branch_name(world, rng)
    world.setup.append(f"git branch {name}")
    return name


@schema("git.switch", "git", weight=2, git=True)
def switch(world: World, rng: random.Random) -> Draft:
    name = _branch(world, rng)
    if rng.random() < 0.3:
        world.setup.append(f"git switch -qc {branch_name(world, rng)}-x")
    return single(rng, (
        "(switch|change|go) to (the|) branch {name}", "(check out|checkout) (the branch|branch|) {name}",
        "I want to (work|be) on (the|) branch {name}", "git switch {name}", "go to (the|) branch {name}",
        "(let us|let's) (work on|use) (the|) branch {name}", "change (the|) branch to {name}", "switch to {name}"),
        f"git switch -q {name}", f"switch to {name}", False, f"Done: you are on {name}.", name=name)


@schema("git.branch_rename", "git", git=True)
def branch_rename(world: World, rng: random.Random) -> Draft:
    new = branch_name(world, rng)
    if rng.random() < 0.5:
        return single(rng, (
            "rename (this|the current) branch to {new}", "(call|name) (this|the current) branch {new}",
            "(this|the current) branch should be called {new}", "change the name of (this|the current) branch to {new}",
            "give (this|the current) branch the name {new}", "current branch: new name {new}"),
            f"git branch -m {new}", f"rename the branch to {new}", False, f"Done: this branch is {new} now.", new=new)
    old = _branch(world, rng)
    return single(rng, (
        "rename (the|) branch {old} to {new}", "(the|) branch {old} should be called {new}",
        "change the name of (the|) branch {old} to {new}", "git branch -m {old} {new}", "branch {old} -> {new}",
        "give (the|) branch {old} the name {new}"),
        f"git branch -m {old} {new}", f"rename {old} to {new}", False, f"Done: {old} is {new} now.", old=old, new=new)


@schema("git.branch_delete", "git", weight=1.5, git=True)
def branch_delete(world: World, rng: random.Random) -> Draft:
    name = _branch(world, rng)
    return single(rng, (
        "(delete|remove) (the|) branch {name}", "get rid of (the|) branch {name}", "git branch -d {name}",
        "(the|) branch {name} is (merged|done|not needed any more), (delete|remove) it",
        "we do not need (the|) branch {name} any more, (delete|remove) it", "drop (the|) branch {name}"),
        f"git branch -d {name}", f"delete the branch {name}", False, f"Done: {name} is deleted.", name=name)


@schema("git.merge", "git", weight=2, git=True)
def merge(world: World, rng: random.Random) -> Draft:
    name = branch_name(world, rng)
    world.setup += [f"git switch -qc {name}"]
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 2))
    world.setup += ["git switch -q main"]
    return single(rng, (
        "merge (the branch|branch|) {name} (into this branch|into main|here|)", "merge {name}",
        "(bring|take) (the changes of|the commits of) {name} into (this branch|main)", "git merge {name}",
        "(the|) branch {name} (is finished|is ready), merge it (into main|here|)",
        "main (should|must) contain (the commits of|) {name}, merge it"),
        f"git merge -q {name}", f"merge {name}", False, f"Done: {name} is merged.", name=name)


@schema("git.tag", "git", weight=1.5, git=True)
def tag(world: World, rng: random.Random) -> Draft:
    name = rng.choice((f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}",
    f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}",
                       f"release-{rng.randint(1, 99)}", f"{rng.randint(2019, 2026)}.{rng.randint(1, 12)}"))
    return single(rng, (
        "(create|set|make|add) (a|the) tag {name} (here|)",
        "tag (the current commit|this commit|HEAD|this version) (as|with) {name}",
        "tag {name}", "git tag {name}", "(mark|label) (this|the current) commit as {name}",
        "this is {name}, (set|create) a tag",
        "new tag: {name}", "release {name}: (set|create) the tag"),
        f"git tag {name}", f"create the tag {name}", False, f"Done: tagged {name}.", name=name)


@schema("git.tag_delete", "git", git=True)
def tag_delete(world: World, rng: random.Random) -> Draft:
    name = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}"
    world.setup.append(f"git tag {name}")
    return single(rng, (
        "(delete|remove) (the|) tag {name}", "get rid of (the|) tag {name}", "git tag -d {name}",
        "(the|) tag {name} (is|was) (wrong|a mistake), (delete|remove) it", "drop (the|) tag {name}",
        "untag {name}"),
        f"git tag -d {name}", f"delete the tag {name}", False, f"Done: the tag {name} is deleted.", name=name)


@schema("git.unstage", "git", weight=1.5, git=True)
def unstage(world: World, rng: random.Random) -> Draft:
    paths = _changes(world, rng)
    world.setup.append("git add -A")
    if rng.random() < 0.3:
        return single(rng, (
            "unstage (everything|all|all files)",
            "(take|remove) (everything|all files) (out of|from) the (index|staging area)",
            "nothing should be staged, (but|) keep (the|my) changes", "undo git add (for everything|)",
            "empty the (index|staging area), keep the changes", "(clear|reset) the staging area"),
            "git restore --staged .", "unstage everything", False, "Done: nothing is staged.")
    file = rng.choice(paths)
    return single(rng, (
        "unstage {file}", "(take|remove) {file} (out of|from) the (index|staging area)", "undo git add {file}",
        "{file} should not be (staged|in the next commit)", "(do not|don't) commit {file} yet, unstage it",
        "git restore --staged {file}", "I staged {file} by mistake, (undo that|unstage it)"),
        f"git restore --staged {quoted(file)}", f"unstage {file}", False, f"Done: {file} is not staged.", file=file)


@schema("git.discard", "git", weight=2, git=True)
def discard(world: World, rng: random.Random) -> Draft:
    file = rng.choice(_changes(world, rng))
    return single(rng, (
        "(discard|undo|revert|throw away|drop) (my|the|all) changes (in|to|of) {file}",
        "(reset|restore) {file} to the last commit",
        "{file}: (discard|undo) (my|the) changes",
        "bring back the committed version of {file}",
        "forget what I changed in {file}",
        "git restore {file}",
        "(restore|reset) {file} (from git|)",
        "my edits of {file} are wrong, (undo|discard) them"),
        f"git restore {quoted(file)}", f"restore {file}", False, f"Done: {file} is as it was committed.", file=file)


@schema("git.discard_all", "git", git=True)
def discard_all(world: World, rng: random.Random) -> Draft:
    _changes(world, rng, 3)
    return single(rng, (
        "(discard|undo|revert|throw away|drop) (all|all my|all the) (changes|uncommitted changes|edits)",
        "(reset|restore) (all|all tracked) files to the last commit",
        "forget everything I changed (since the last commit|)",
        "bring (everything|all files) back to the last commit", "git restore everything", "undo all (my|) edits"),
        "git restore .", "restore everything", False, "Done: everything is as it was committed.")


@schema("git.undelete", "git", weight=1.5, git=True)
def undelete(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    world.setup.append(f"rm {shlex.quote(file)}")
    return single(rng, (
        "(bring back|restore|recover|get back) (the deleted file|the deleted|the file|) {file}",
        "I deleted {file} (by mistake|by accident|), (bring it back|restore it)",
        "{file} is gone, (restore it|get it back) (from git|)",
        "undelete {file}", "undo the deletion of {file}", "(get|restore) {file} (back|) from git"),
        f"git restore {quoted(file)}", f"restore {file}", False, f"Done: {file} is back.", file=file)


@schema("git.amend", "git", weight=1.5, git=True)
def amend(world: World, rng: random.Random) -> Draft:
    committed(world)
    text = subject(world, rng)
    return single(rng, (
        "(change|set) the (last|latest) commit message to {text}", "the last commit message should be {text}",
        "(amend|reword|rename) the (last|latest) commit (to|as) {text}",
        "git commit --amend with (the message|message) {text}",
        "give the (last|latest) commit the message {text}", "(fix|correct) the message of the last commit: {text}",
        "the message of the last commit is wrong, it should (be|say) {text}"),
        f"git commit -q --amend -m {string(text)}", "change the last message", False,
        f"Done: the last commit says \"{text}\".",
        text=text)


@schema("git.amend_file", "git", git=True)
def amend_file(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    return single(rng, (
        "add (everything|all changes|my changes) to the last commit (without changing|and keep) (its|the) message",
        "amend the last commit with (everything|all changes), (same|keep the) message",
        "put (all|my) changes into the last commit", "(all|my) changes belong to the last commit, amend it",
        "amend (everything|all changes) (into|to) the (last|previous) commit",
        "git commit --amend with all changes, (same|keep the) message"),
        "git add -A && git commit -q --amend --no-edit", "amend the last commit", False,
        "Done: the last commit has the changes.")


@schema("git.undo_commit", "git", weight=1.5, git=True)
def undo_commit(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 2))
    return single(rng, (
        "undo the last commit (but|and) keep the changes",
        "(take back|uncommit) the last commit, (but|) keep (the|my) (files|changes)",
        "remove the last commit from the history without losing (the|my) changes", "git reset --soft by one commit",
        "the last commit was too early: undo it, keep the changes staged", "uncommit (but keep my work|)"),
        "git reset --soft HEAD~1", "undo the last commit", False, "Done: the changes are staged again.")


@schema("git.revert", "git", git=True)
def revert(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 2))
    return single(rng, (
        "revert the last commit", "make a commit that (undoes|reverts) the last one", "git revert HEAD",
        "(undo|reverse) the last commit with a new commit", "revert the (latest|newest|most recent) commit",
        "the last commit was (wrong|a mistake), revert it"),
        "git revert --no-edit HEAD", "revert the last commit", False, "Done: the last commit is reverted.")


@schema("git.stash", "git", weight=1.5, git=True)
def stash(world: World, rng: random.Random) -> Draft:
    _changes(world, rng)
    if rng.random() < 0.4:
        world.setup.append("git stash -q")
        return single(rng, (
            "(bring back|restore|get back) (the stashed changes|my stash|the stash|what I stashed)", "git stash pop",
            "pop the stash", "apply the stash and drop it", "(unstash|get) my changes (back|) from the stash",
            "I want my stashed (work|changes) back"),
            "git stash pop -q", "bring back the stash", False, "Done: the stashed changes are back.")
    return single(rng, (
        "stash (my|the|all|all my) changes", "(put|set) (my|the) changes aside (with git stash|for later|)",
        "git stash",
        "save my (work|changes) for later without a commit", "(hide|shelve|park) (my|the) changes (for now|)",
        "stash (everything|it)", "put (my|the) changes (on|onto) the stash"),
        "git stash -q", "stash the changes", False, "Done: the changes are stashed.")


@schema("git.remove", "git", git=True)
def remove(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    if rng.random() < 0.5:
        return single(rng, (
            "stop tracking {file} but keep (it|the file)", "remove {file} from git, (but|) keep it on disk",
            "untrack {file}, do not delete it",
            "git should not track {file} any more (but the file stays|, keep the file)",
            "git rm {file}, but only from the index", "take {file} out of version control (and|but) keep it"),
            f"git rm -q --cached {quoted(file)}", f"stop tracking {file}", False, f"Done: git does not track {file}.",
            file=file)
    return single(rng, (
        "(delete|remove) {file} (with|using) git", "git rm {file}", "(delete|remove) {file} and stage the deletion",
        "(delete|remove) {file} from the (repo|repository)",
        "{file} should leave the repository, (delete|remove) it with git",
        "(delete|drop) the tracked file {file} (from|with) git"),
        f"git rm -q {quoted(file)}", f"remove {file}", False, f"Done: {file} is removed.", file=file)


@schema("git.move", "git", git=True)
def move(world: World, rng: random.Random) -> Draft:
    file, target = rng.choice(committed(world)), world.new_name()
    return single(rng, (
        "rename {file} to {target} (with|in|using) git", "git mv {file} {target}", "git mv {file} to {target}",
        "rename {file} to {target} and stage the rename", "(move|rename) the tracked file {file} to {target}",
        "(let|tell) git (to|) rename {file} to {target}"),
        f"git mv {quoted(file, target)}", f"rename {file} to {target}", False, f"Done: {file} is {target} now.",
        file=file,
        target=target)


@schema("git.clean", "git", git=True)
def clean(world: World, rng: random.Random) -> Draft:
    unlink(world)
    committed(world)
    for _ in range(rng.randint(1, 3)):
        world.add_file(rng.choice(("", f"{world.new_name('dir')}/")) + world.new_name(), line(world, rng) + "\n")
    return single(rng, (
        "(delete|remove) (all|the|all the) untracked files (and folders|)",
        "clean (up|) the (working tree|repository|repo)",
        "git clean", "get rid of (everything|all files) git does not track", "throw away (all|the) untracked files",
        "(delete|remove) everything that is not in git"),
        "git clean -fdq", "delete untracked files", False, "Done: no untracked files are left.")


@schema("git.init", "git", weight=1.5)
def init(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "(make|turn) this (folder|directory|project) into a git repository",
        "(initialise|initialize|create|start|set up) a git (repo|repository) (here|in this folder)", "git init",
        "put this (folder|project) under version control", "(init|start) git (here|)", "new git repo here",
        "start version control with git (here|in this folder)"),
        "git init -q", "create a repository", False, "Done: this is a git repository.")


@schema("git.remote", "git", git=True)
def remote(world: World, rng: random.Random) -> Draft:
    committed(world)
    host = rng.choice(("https://github.com/", "https://gitlab.com/", "git@github.com:", "https://example.org/"))
    url = f"{host}{branch_name(world, rng).split('/')[-1]}/{branch_name(world, rng).split('/')[-1]}.git"
    name = rng.choice(("origin", "origin", "origin", "upstream", "backup"))
    world.setup.append(f"git remote add {name} {url}")
    return single(rng, (
        "(show|list|print) (the|all|all the|) (git|) remotes", "(which|what) remotes (are there|does this repo have)?",
        "where does this repo push to?", "git remote -v", "(what is|what's) the (remote url|url of the remote)?",
        "(show|print) the remotes with their (urls|addresses)"),
        "git remote -v", "list the remotes", True)
