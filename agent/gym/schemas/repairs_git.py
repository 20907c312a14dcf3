"""Repairs in a git repository: what git refuses, and what its message asks for."""

from __future__ import annotations

import random

from nimllm.agent.gym.history import REMOTE, branch_name, committed, dirty, edit, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain, steps
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.repairs_paths import misspelled
from nimllm.agent.gym.schemas.sequences import said, subject
from nimllm.agent.gym.worlds import World


def _branch(world: World, rng: random.Random) -> str:
    name = branch_name(world, rng)
    if name in ("main", "master", "origin"):
        raise Unsuitable("the name is taken")
    return name


def _plain_file(world: World, rng: random.Random) -> str:
    found = [path for path in committed(world) if " " not in path and path.isascii() and "'" not in path]
    if not found:
        raise Unsuitable("no plain name")
    return rng.choice(found)


@schema("repair.nothing_staged", "git", steps=2, weight=2, git=True)
def nothing_staged(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    text = subject(world, rng)
    return steps(rng, (
        "commit (with|and use) (the message|message) {text}", "git commit -m {text}", "commit as {text}",
        "(make|create) a commit (called|with the message|saying) {text}", "commit my (work|changes), message {text}",
        "commit: {text}", "(please|now) commit with {text} as the message"),
        (f"git commit -qm {string(text)}", f"git add -A && git commit -qm {string(text)}"), ("commit",), False,
        f"Done: committed as \"{text}\".", fails=(0,), text=said(rng, text))


@schema("repair.add_misspelled", "git", steps=3, git=True)
def add_misspelled(world: World, rng: random.Random) -> Draft:
    unlink(world)
    path = _plain_file(world, rng)
    edit(world, rng, path)
    folder, _, name = path.rpartition("/")
    wrong = (f"{folder}/" if folder else "") + misspelled(rng, name)
    if wrong in world.entries:
        raise Unsuitable("there is such a file")
    return steps(rng, (
        "(stage|add) {path}", "git add {path}", "(add|put) {path} (to|into) the (index|staging area)",
        "stage the changes (in|of) {path}", "I want {path} in the next commit, stage it", "{path}: git add"),
        (f"git add {quoted(wrong)}", "git status --short", f"git add {quoted(path)}"), (f"stage {wrong}",), False,
        f"Done: {path} is staged.", fails=(0,), path=wrong)


@schema("repair.add_ignored", "git", steps=2, git=True)
def add_ignored(world: World, rng: random.Random) -> Draft:
    name = world.new_name()
    if " " in name or ".gitignore" in world.entries or name.startswith("."):
        raise Unsuitable("a blank")
    world.add_file(name, world.text(2))
    world.add_file(".gitignore", f"{name}\n*.pyc\n")
    return steps(rng, (
        "(stage|add) {path} (even if it is ignored|)", "git add {path}",
        "(add|put) {path} (to|into) the (index|staging area)",
        "track {path} (in git|with git)", "I want {path} in the next commit, stage it (even though it is ignored|)",
        "{path}: git add, whatever .gitignore says"),
        (f"git add {quoted(name)}", f"git add -f {quoted(name)}"), (f"stage {name}",), False,
        f"Done: {name} is staged though it is ignored.", fails=(0,), path=name, protected=(".gitignore",))


@schema("repair.blocked_switch", "git", steps=3, weight=1.5, git=True)
def blocked_switch(world: World, rng: random.Random) -> Draft:
    """A change that is not committed would be overwritten."""
    path, name = _plain_file(world, rng), _branch(world, rng)
    world.setup += [f"git stash -q; git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; "
                    "git commit -qam other; git switch -q main; "
                    "git stash pop -q"]
    text = world.read(path)
    world.edits[path] = (text + f"{plain(world)} {plain(world)}\n").encode()
    return steps(rng, (
        "(switch|go|change) to (the|) branch {name} (, stash my changes if necessary|)", "git switch {name}",
        "check out {name}",
        "I want to (work|be) on branch {name}, (stash|put aside) what I have",
        "(switch|go) to {name} and stash what is in the way",
        "go to branch {name}; my changes can be stashed", "stash if you must, but (switch|go) to {name}"),
        (f"git switch -q {name}", "git stash -q", f"git switch -q {name}"), (f"switch to {name}",), False,
        f"Done: you are on {name}, the changes are stashed.", fails=(0,), name=name)


@schema("repair.branch_unmerged", "git", steps=2, weight=1.2, git=True)
def branch_unmerged(world: World, rng: random.Random) -> Draft:
    path, name = _plain_file(world, rng), _branch(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam other; "
                       "git switch -q main")
    return steps(rng, (
        "delete (the|) branch {name} (even if it is not merged|)",
        "(remove|delete) the branch {name} (, merged or not|for good|)",
        "get rid of (the|) branch {name}", "branch {name} can go", "git branch -d {name}",
        "I do not need {name} any more, delete that branch",
        "throw away branch {name}"),
        (f"git branch -d {name}", f"git branch -D {name}"), (f"delete the branch {name}",), False,
        f"Done: {name} is deleted.", fails=(0,), name=name)


@schema("repair.branch_current", "git", steps=3, git=True)
def branch_current(world: World, rng: random.Random) -> Draft:
    """One cannot delete the branch that one is on."""
    committed(world)
    name = _branch(world, rng)
    world.setup.append(f"git switch -qc {name}")
    return steps(rng, (
        "delete (the|) branch {name}", "(remove|delete) {name}, I mean the git branch",
        "get rid of (the|) branch {name}",
        "branch {name} can go", "git branch -d {name}", "I do not need the branch {name} any more",
        "throw away branch {name}",
        "{name} is done, delete the branch"),
        (f"git branch -d {name}", "git switch -q main", f"git branch -d {name}"), (f"delete the branch {name}",), False,
        f"Done: {name} is deleted, you are on main.", fails=(0,), name=name)


@schema("repair.no_upstream", "git", steps=2, weight=2, git=True)
def no_upstream(world: World, rng: random.Random) -> Draft:
    committed(world)
    name = rng.choice(("main", _branch(world, rng)))
    world.setup.append(REMOTE)
    if name != "main":
        world.setup.append(f"git push -q origin main 2>/dev/null; git switch -qc {name}")
    return steps(rng, (
        "push (my commits|the commits|the branch|)", "git push", "push (this branch|the current branch) (to origin|)",
        "(upload|publish) my (commits|branch)",
        "send (my commits|everything) to the remote", "push to origin",
        "push (everything|what I have) (to the remote|)",
        "(get|bring) my commits to the server"),
        ("git push -q", f"git push -qu origin {name}"), ("push",), False, f"Done: {name} is pushed.", fails=(0,))


@schema("repair.push_rejected", "git", steps=3, weight=1.2, git=True)
def push_rejected(world: World, rng: random.Random) -> Draft:
    """Somebody else has pushed before."""
    if len(committed(world)) < 2:
        raise Unsuitable("too few files")
    unlink(world)
    one, other = rng.sample(committed(world), 2)
    world.setup.append(REMOTE)
    world.setup.append(
        f"git push -qu origin main 2>/dev/null; echo {plain(world)} >> {quoted(one)}; git commit -qam theirs; "
        f"git push -q; git reset -q --hard HEAD~1; echo {plain(world)} >> {quoted(other)}; git commit -qam ours")
    return steps(rng, (
        "push (my commits|the commits|)", "git push", "push (this branch|main) (to origin|)",
        "(upload|publish) my commits",
        "send my commits to the remote", "push to origin (, rebase if necessary|)",
        "push what I (have|committed), (pull|fetch) first if you have to",
        "(get|bring) my commits to the server"),
        ("git push -q", "git pull -q --rebase", "git push -q"), ("push",), False,
        "Done: the others' commits are pulled, ours are pushed.", fails=(0,))


@schema("repair.tag_exists", "git", steps=2, git=True)
def tag_exists(world: World, rng: random.Random) -> Draft:
    if len(world.commits) < 2:
        raise Unsuitable("one commit")
    tag = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    world.setup.append(f"git tag {tag} HEAD~1")
    return steps(rng, (
        "tag (this|the current|the last) commit (as|) {tag}", "set the tag {tag} (here|)", "git tag {tag}",
        "tag {tag} should be the current commit", "move the tag {tag} to HEAD", "tag HEAD (as|) {tag}",
        "the release {tag} is what we have now, tag it", "put the tag {tag} on (this|the latest) commit"),
        (f"git tag {tag}", f"git tag -f {tag}"), (f"set the tag {tag}",), False, f"Done: {tag} is the current commit.",
        fails=(0,), tag=tag)


@schema("repair.rm_changed", "git", steps=2, git=True)
def rm_changed(world: World, rng: random.Random) -> Draft:
    path = _plain_file(world, rng)
    edit(world, rng, path)
    return steps(rng, (
        "git rm {path}", "(remove|delete) {path} (from git and from the disk|with git rm|from the repository)",
        "{path} (should|can) leave the repository, (delete|remove) it",
        "(remove|delete) the tracked file {path} (in git|with git)",
        "take {path} out of the repo and delete it", "drop {path} from the repository (even if it is changed|)"),
        (f"git rm -q {quoted(path)}", f"git rm -qf {quoted(path)}"), (f"remove {path}",), False,
        f"Done: {path} is removed.", fails=(0,), path=path)


@schema("repair.mv_untracked", "git mv", steps=2, git=True)
def mv_untracked(world: World, rng: random.Random) -> Draft:
    old, new = world.new_name(), world.new_name()
    if old == new:
        raise Unsuitable("one name")
    world.add_file(old, world.text(2))
    if rng.random() < 0.5:
        return steps(rng, (
            "git mv {old} {new}", "rename {old} to {new} with git", "(rename|move) {old} to {new} (in the repo|in git)",
            "use git to rename {old} (to|as) {new}", "{old} should be called {new} in git, rename it",
            "git: rename {old} to {new}"),
            (f"git mv {quoted(old, new)}", f"mv {quoted(old, new)}"), (f"rename {old} to {new}",), False,
            f"Done: {old} was not tracked, it is called {new} now.", fails=(0,), old=old, new=new)
    return steps(rng, (
        "git rm {old}", "remove {old} with git", "(remove|delete) {old} from the repo",
        "use git to (delete|remove) {old}",
        "take {old} out of git and delete it", "git: (delete|remove) {old}"),
        (f"git rm -q {quoted(old)}", f"rm {quoted(old)}"), (f"remove {old}",), False,
        f"Done: {old} was not tracked, it is deleted.", fails=(0,), old=old)


@schema("repair.no_repository", "git", steps=3, weight=1.2)
def no_repository(world: World, rng: random.Random) -> Draft:
    return steps(rng, (
        "(stage|add) (everything|all files) (with git|in git|)", "git add (everything|.|-A)",
        "(put|get) all files under git",
        "(stage|add) all (the|) files here for (the first|a) commit", "add (it all|everything here) to git",
        "prepare the first commit: stage everything", "track (all files|everything) here with git"),
        ("git add -A", "git init -q", "git add -A"), ("stage everything",), False,
        "Done: this is a repository now, everything is staged.", fails=(0,))


@schema("repair.conflict", "git", steps=3, weight=1.2, git=True)
def conflict(world: World, rng: random.Random) -> Draft:
    path, name = _plain_file(world, rng), _branch(world, rng)
    ours = rng.random() < 0.4
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam one; "
                       "git switch -q main; "
                       f"echo {plain(world)}x >> {quoted(path)}; git commit -qam two")
    side, other = ("ours", ("our version", "ours", "what we have", "the version of main")) if ours else (
        "theirs", ("their version", "theirs", f"the version of {name}", f"what {name} has"))
    return steps(rng, (
        "merge {name} (into main|), on a conflict take {side}",
        "merge (the branch|) {name}, if there is a conflict take {side}",
        "merge {name}; conflicts: {side}", "merge {name} and resolve conflicts with {side}",
        "(bring|get) {name} into main, where it conflicts {side} (wins|is right)",
        "git merge {name}, (keep|take) {side} when it conflicts"),
        (f"git merge -q {name}", f"git checkout -q --{side} {quoted(path)}", "git commit -qa --no-edit"),
        (f"merge {name}", f"take {side}"), False, f"Done: {name} is merged.", fails=(0,), name=name,
        side=rng.choice(other))


@schema("repair.branch_misspelled", "git", steps=3, weight=1.5, git=True)
def branch_misspelled(world: World, rng: random.Random) -> Draft:
    """The branch has a longer name than the user remembers."""
    path, short = _plain_file(world, rng), f"{plain(world)}-{plain(world)}"
    name = rng.choice(("feature/", "fix/", "bugfix/", "release/", "user/")) + short
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam 'Work on it'; "
                       "git switch -q main")
    if rng.random() < 0.5:
        return steps(rng, (
            "merge {name} (into main|into this branch|)", "merge the branch {name}", "git merge {name}",
            "bring {name} into main",
            "{name} is (done|ready), merge it", "get the changes of {name} (into main|)"),
            (f"git merge -q {short}", "git branch", f"git merge -q {name}"), (f"merge {short}",), False,
            f"Done: {name} is merged.", fails=(0,), name=short)
    return steps(rng, (
        "what (was|is) the last commit message on {name}?", "last commit message of (the branch|) {name}",
        "the newest commit of {name}: what does it say?", "(show|tell me) the subject of the last commit on {name}",
        "what does the (last|latest) commit of (the branch|) {name} say?",
        "message of the (last|latest) commit on {name}"),
        (f"git log -1 --format=%s {short} --", "git branch", f"git log -1 --format=%s {name} --"),
        (f"look at {short}",), True, "{output}", True, (0,), name=short)


@schema("repair.remote_exists", "git", steps=2, git=True)
def remote_exists(world: World, rng: random.Random) -> Draft:
    committed(world)
    name = rng.choice(("origin", "origin", "origin", "upstream", plain(world)))
    host = rng.choice(("github.com", "gitlab.com", "git.example.org"))
    url = rng.choice((f"https://{host}/{plain(world)}/{plain(world)}.git",
                      f"git@{host}:{plain(world)}/{plain(world)}.git"))
    world.setup.append(f"git remote add {name} https://old.example.org/{plain(world)}.git")
    add, change = f"git remote add {name} {url}", f"git remote set-url {name} {url}"
    ways = ["add {url} as (the|) remote {name}", "set the remote {name} to {url}", "remote {name} (is|should be) {url}",
            "git remote add {name} {url}", "the repository (is|lives) at {url}, (add|set) it as {name}",
            "new remote {name}: {url}"]
    return steps(rng, tuple(ways), (add, f"{change} && git remote -v"), (f"add the remote {name}",), True, fails=(0,),
                 url=url, name=name)
