"""Branches, tags, stashes, remotes, settings and the index, beyond the commonest: one command each."""

from __future__ import annotations

import random
from typing import Any

from nimllm.agent.gym.history import PUSHED, branch_name, committed, edit, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.schemas.sequences import said, subject
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"
REPO = "(|||in this repo|in this repository|here|of this repo)"


def _side(world: World, rng: random.Random, name: str, back: bool = True) -> str:
    """A branch with one commit of its own; the file it changed."""
    path = rng.choice(committed(world))
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; "
                       f"git commit -qam '{plain(world)} {plain(world)}'" + ("; git switch -q main" if back else ""))
    return path


def _two(world: World, rng: random.Random) -> tuple[str, str]:
    one, other = branch_name(world, rng), branch_name(world, rng)
    if len({one, other, "main"}) < 3:
        raise Unsuitable("one name")
    return one, other


@schema("git.merged", "git", weight=1.0, git=True)
def merged(world: World, rng: random.Random) -> Draft:
    done, other = _two(world, rng)
    world.setup.append(f"git branch {done}")
    _side(world, rng, other)
    if rng.random() < 0.5:
        return single(rng, (
            "(which|what) branches are (already|) merged (into main|)?",
            f"{SHOW} (all|the) (merged branches|branches that are merged) (into main|)",
            "merged branches", "branches (already|) merged (into main|into the current branch|)",
            "git branch --merged", "(which|what) branches could be deleted because they are merged?"),
            "git branch --merged", "list merged branches", True)
    return single(rng, (
        "(which|what) branches are not (yet|) merged (into main|)?",
        f"{SHOW} (all|the) (unmerged branches|branches that are not merged) (yet|)",
        "unmerged branches", "branches with work that is not (in main|merged)", "git branch --no-merged",
        "(which|what) branches still have to be merged?"),
        "git branch --no-merged", "list unmerged branches", True)


@schema("git.all_branches", "git", weight=1.0, git=True)
def all_branches(world: World, rng: random.Random) -> Draft:
    world.setup += [PUSHED, f"git branch {branch_name(world, rng)}"]
    if rng.random() < 0.6:
        return single(rng, (
            f"{SHOW} all branches, (remote ones too|local and remote|including the remote ones)",
            "all branches, local and remote", "git branch -a",
            "(which|what) branches (are there|exist), locally and on the remote?",
            "(local and remote|all) branches (with the remote ones|including remotes)",
            f"every branch {REPO}, remotes included"),
            "git branch -a", "list all branches", True)
    return single(rng, (
        f"{SHOW} (the|all|) remote branches", "(which|what) branches are on the remote?",
        "remote branches (only|)", "git branch -r", "remote-tracking branches",
        "(which|what) branches does origin have?"),
        "git branch -r", "list remote branches", True)


@schema("git.branch_count", "git wc", weight=0.8, git=True)
def branch_count(world: World, rng: random.Random) -> Draft:
    for name in dict.fromkeys(branch_name(world, rng) for _ in range(rng.randint(1, 4))):
        world.setup.append(f"git branch {name}")
    return single(rng, (
        f"how many (local|) branches (are there|do we have|exist) {REPO}?", f"number of (local|) branches {REPO}",
        f"count the (local|) branches {REPO}", "branch count",
        "how many branches does this repo have?", "(tell me|what is) the number of (local|) branches"),
        "git branch | wc -l", "count the branches", True, "{output} branches.")


@schema("git.previous_branch", "git", weight=1.0, git=True)
def previous_branch(world: World, rng: random.Random) -> Draft:
    committed(world)
    world.setup.append(f"git switch -qc {branch_name(world, rng)}")
    return single(rng, (
        "(go|switch) back to the (previous|last) branch", "(switch|go) to the branch I was on before",
        "(switch|change) to the previous branch", "git switch -",
        "back to the (last|previous) branch", "return to the branch I came from",
        "(get|bring) me back to where I was before the last switch"),
        "git switch -q -", "go back", False, "Done: you are on the previous branch.")


@schema("git.branch_at", "git", weight=0.8, git=True)
def branch_at(world: World, rng: random.Random) -> Draft:
    """A branch that starts somewhere else than here."""
    name, other = _two(world, rng)
    _side(world, rng, other)
    n = rng.randint(1, 3)
    if len(world.commits) > n and rng.random() < 0.4:
        some = {1: "one commit before HEAD", 2: "two commits before HEAD", 3: "three commits before HEAD"}[n]
        return single(rng, ("(make|create) a branch {name} (that starts|) {some}", "branch {name} from HEAD~{n}",
                            "new branch {name} at HEAD~{n} (without switching|)",
                            "(create|make) {name} as a branch (off|from) HEAD~{n}", "git branch {name} HEAD~{n}",
                            "start a branch {name} at HEAD~{n}, stay where I am"),
                      f"git branch {name} HEAD~{n}", f"create {name}", False, f"Done: {name} starts there.", name=name,
                      some=some, n=n)
    return single(rng, (
        "(create|make|start) (a|the) branch {name} from {other} and (switch|go) to it",
        "(switch|go) to a new branch {name} (based on|that starts at|off) {other}",
        "new branch {name} from {other}, (check it out|and check it out)", "git switch -c {name} {other}",
        "branch off {other} as {name} and work there",
        "I want to work on {name}, a new branch (based on|from) {other}"),
        f"git switch -qc {name} {other}", f"start {name} from {other}", False, f"Done: you are on {name}.", name=name,
        other=other)


@schema("git.cherry_pick", "git", weight=1.2, git=True)
def cherry_pick(world: World, rng: random.Random) -> Draft:
    name = branch_name(world, rng)
    if name == "main":
        raise Unsuitable("main")
    _side(world, rng, name)
    return single(rng, (
        "cherry-pick the (last|latest|newest) commit of {name}",
        "(take|get|bring) (only|just|) the (last|latest) commit (of|from) {name} (onto|into|to) (this branch|main)",
        "cherry-pick {name}", "(apply|pick) the (tip|last commit) of {name} (here|on main|to the current branch)",
        "I need the last commit of {name} on this branch (, nothing else|)",
        "git cherry-pick {name}", "copy the newest commit of (the branch|) {name} (to here|onto main)"),
        f"git cherry-pick {name}", f"pick the last commit of {name}", False,
        f"Done: the last commit of {name} is here.", name=name)


@schema("git.rebase", "git", weight=1.0, git=True)
def rebase(world: World, rng: random.Random) -> Draft:
    paths = committed(world, 2)
    one, other = rng.sample(paths, 2)
    name = branch_name(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(one)}; git commit -qam side; "
                       "git switch -q main; "
                       f"echo {plain(world)} >> {quoted(other)}; git commit -qam main2; git switch -q {name}")
    return single(rng, (
        "rebase (this branch|the current branch|{name}|) (on|onto) main", "git rebase main",
        "(put|move) my commits on top of main", "(replay|put) {name} on (top of|) main",
        "rebase onto main (please|)", "bring {name} up to date with main by (rebasing|a rebase)",
        "I want my branch rebased (on|onto) main"),
        "git rebase -q main", "rebase onto main", False, "Done: rebased onto main.", name=name)


@schema("git.merge_abort", "git", weight=0.8, git=True)
def merge_abort(world: World, rng: random.Random) -> Draft:
    path, name = rng.choice(committed(world)), branch_name(world, rng)
    world.setup.append(f"git switch -qc {name}; echo {plain(world)} >> {quoted(path)}; git commit -qam one; "
                       "git switch -q main; "
                       f"echo {plain(world)}x >> {quoted(path)}; git commit -qam two; git merge -q {name}")
    return single(rng, (
        "abort the merge", "(cancel|stop|abandon|give up) (the|this) merge", "git merge --abort",
        "(undo|abort) the (merge that is in progress|half-done merge|conflicted merge)",
        "the merge has conflicts, (abort it|I do not want it any more)",
        "go back to before the merge (that is in progress|)", "I don't want to merge (any more|after all), abort"),
        "git merge --abort", "abort the merge", False, "Done: the merge is aborted.")


@schema("git.tag_message", "git", weight=1.2, git=True)
def tag_message(world: World, rng: random.Random) -> Draft:
    tag, text = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}", subject(world, rng)
    return single(rng, (
        "(create|make|set) an annotated tag {tag} (with the message|saying) {text}",
        "annotated tag {tag}, message {text}",
        "tag (this commit|HEAD|the current commit) as {tag} with (the message|message) {text}",
        "git tag -a {tag} -m {text}", "tag it {tag}, (with the comment|the tag message is) {text}",
        "(set|add) the tag {tag} with the message {text}",
        "release tag {tag} with message {text}"),
        f"git tag -a {tag} -m {string(text)}", f"set the tag {tag}", False, f"Done: the tag {tag} is set.", tag=tag,
        text=said(rng, text))


@schema("git.latest_tag", "git", weight=1.0, git=True)
def latest_tag(world: World, rng: random.Random) -> Draft:
    tag = f"v{rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 9)}"
    world.setup.append(f"git tag {tag}" + (" HEAD~1" if len(world.commits) > 1 and rng.random() < 0.5 else ""))
    return single(rng, (
        "(what is|what's|show|print) the (latest|last|newest|most recent) tag", f"(latest|last|newest) tag {REPO}",
        "(which|what) tag (is the latest|came last)?",
        "git describe --tags, only the tag", "(which|what) release was tagged last? print the tag",
        "name of the (newest|most recent|latest) tag"),
        "git describe --tags --abbrev=0", "find the latest tag", True, "{output}", ordered=True)


@schema("git.tag_count", "git wc", weight=0.7, git=True)
def tags_matching(world: World, rng: random.Random) -> Draft:
    major = rng.randint(0, 9)
    for minor in range(rng.randint(1, 3)):
        world.setup.append(f"git tag v{major}.{minor}")
    world.setup.append(f"git tag v{major + 1}.0")
    if rng.random() < 0.5:
        return single(rng, ("how many tags (are there|do we have|exist)?", f"number of tags {REPO}", "count the tags",
                            "tag count", f"how many releases are tagged {REPO}?",
                            "(tell me|what is) the number of tags"), "git tag | wc -l", "count the tags", True,
                            "{output} tags.")
    return single(rng, (
        "(which|what) tags start with v{n}.?", f"{SHOW} the tags (that start|starting|beginning) with v{{n}}.",
        "tags v{n}.*", "all v{n}. tags", "git tag, only v{n}.*",
        "(list|show) the v{n} releases (tags|), they are called v{n}.something"),
        f"git tag -l 'v{major}.*'", f"list the v{major} tags", True, n=major)


@schema("git.stash_list", "git", weight=1.0, git=True)
def stash_list(world: World, rng: random.Random) -> Draft:
    for path in rng.sample(committed(world), 1):
        name = f"{plain(world)} {plain(world)}"
        world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git stash push -q -m '{name}'")
    if rng.random() < 0.6:
        return single(rng, (
            f"{SHOW} (the|all|my) stashes", "what is in the stash?", "git stash list", "stashes?", "list of stashes",
            "(do I have|are there) stashes? (list|show) them",
            "(what|which changes) did I stash?"), "git stash list", "list the stashes", True, ordered=True)
    return single(rng, (
        "(show|print) the (diff|content|changes) of the (last|latest|newest) stash",
        "what is in the (last|latest) stash? (show|print) the diff", "diff of the (latest|last|top) stash",
        "git stash show -p",
        "(show|print) what I stashed (as a diff|line by line)", "(which|what) lines did I stash?"),
        "git stash show -p", "show the stash", True, ordered=True)


@schema("git.stash_back", "git", weight=1.5, git=True)
def stash_back(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git stash -q")
    command, ways, plan, answer = rng.choice((
        ("git stash pop -q", ("pop the stash", "(get|bring|take) (my|the) stashed changes back",
                              "(restore|unstash) (my|the) (stashed|) changes (from the stash|)", "git stash pop",
                              "(apply|take) the (last|latest) stash and drop it",
                              "I want (my|the) stashed changes back", "unstash",
                              "put the stashed changes back (into the working tree|)"), "pop the stash",
                              "Done: the stashed changes are back."),
        ("git stash apply -q", ("apply the (last|latest|) stash but keep it", "git stash apply",
                                "(get|bring) the stashed changes back but (keep|leave) the stash",
                                "apply the stash (without dropping it|, keep it in the list)",
                                "(restore|apply) the stash and (keep|leave) it in the list"), "apply the stash",
                                "Done: the stash is applied and kept."),
        ("git stash push -q -m 'x'", (), "", "")))
    if not ways:
        world.setup.clear()
        edit(world, rng, path)
        text = subject(world, rng)
        return single(rng, ("stash (my|the|all) changes (as|with the message|under the name) {text}",
                            "git stash with (the|) message {text}",
                            "(put|set) my changes (aside|away) as {text} (in the stash|)",
                            "stash everything, call it {text}",
                            "stash with the message {text}",
                            "(save|keep) my (uncommitted|) changes in a stash called {text}"),
                            f"git stash push -q -m {string(text)}", "stash the changes", False,
                      "Done: the changes are stashed.", text=said(rng, text))
    return single(rng, ways, command, plan, False, answer)


@schema("git.untrack", "git", weight=1.2, git=True)
def untrack(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    return single(rng, (
        "(stop tracking|untrack) {file} (but keep it on disk|but keep the file|, keep the file|)",
        "(remove|take) {file} (from|out of) (git|the index) but (keep|leave) it on disk", "git rm --cached {file}",
        "{file} should no longer be (tracked|in git), but stay (here|on disk)",
        "(make|let) git forget {file} (without deleting it|, the file stays)",
        "(delete|remove) {file} from the repository only, not from the disk",
        "{file} was committed by mistake, untrack it (but keep it|)"),
        f"git rm -q --cached {quoted(path)}", f"stop tracking {path}", False,
        f"Done: git does not track {path} any more.", file=path)


@schema("git.add_some", "git", weight=1.2, git=True)
def add_some(world: World, rng: random.Random) -> Draft:
    unlink(world)
    for path in rng.sample(committed(world), 1):
        edit(world, rng, path)
    ext = rng.choice(("py", "md", "txt", "log", "csv"))
    for _ in range(rng.randint(1, 2)):
        world.add_file(world.new_name(ext=ext), world.text(2))
    command, ways, plan, dot = rng.choice((
        ("git add -u", ("(stage|add) (only|) (modified|changed|tracked) files, (no new ones|not the new ones)",
                        "stage the changes of tracked files only", "git add -u",
                        "(stage|add) everything that is tracked (and changed|), but no new files",
                        "stage what git already (knows|tracks), (no|not the) untracked files"),
                        "stage tracked changes", ""),
        (f"git add '*.{ext}'", ("(stage|add) (all|the|only the) {dot} files", "git add all {dot} files",
                                "put (all|the) {dot} files into the index", "(stage|add) every {dot} file",
                                "stage {dot} files (only|)"), f"stage the .{ext} files", f".{ext}")))
    slots: dict[str, Any] = {"dot": dot} if dot else {}
    return single(rng, ways, command, plan, False, "Done: staged.", **slots)


@schema("git.unstage_all", "git", weight=1.2, git=True)
def unstage_all(world: World, rng: random.Random) -> Draft:
    paths = committed(world)
    for path in rng.sample(paths, min(2, len(paths))):
        edit(world, rng, path)
    world.setup.append("git add -A")
    return single(rng, (
        "unstage (everything|all|all files)",
        "(empty|reset|clear) the (index|staging area) (but keep the changes|, keep the changes|)", "git reset",
        "(take|remove) everything (out of|from) the (index|staging area)",
        "nothing should be staged (any more|), keep (my|the) changes",
        "undo git add (for everything|)", "I staged too much, unstage (it all|everything)"),
        "git reset -q", "unstage everything", False, "Done: nothing is staged.")


@schema("git.drop_commit", "git", weight=1.2, git=True)
def drop_commit(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    n = rng.choice((1, 1, 1, 2))
    for _ in range(n):
        world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)} {plain(world)}'")
    some = "the last commit" if n == 1 else "the last two commits"
    return single(rng, (
        "(throw away|drop|discard) {some} (completely|with its changes|including the changes)".replace("its",
            "its" if n == 1 else "their"),
            "(delete|remove) {some} (for good|and the changes in it|, I do not need the changes)",
            "reset hard to before {some}",
        "git reset --hard HEAD~{n}", "get rid of {some} and (all|) its changes".replace("its",
            "its" if n == 1 else "their"), "go back to the state before {some}, (losing|dropping) everything since",
            "{some} must go, changes and all"),
        f"git reset -q --hard HEAD~{n}", f"drop {some}", False, f"Done: {some} {'is' if n == 1 else 'are'} gone.",
        some=some, n=n)


@schema("git.from_branch", "git", weight=1.2, git=True)
def from_branch(world: World, rng: random.Random) -> Draft:
    """A file of another branch: shown, or taken over."""
    name = branch_name(world, rng)
    if name == "main":
        raise Unsuitable("main")
    path = _side(world, rng, name)
    if rng.random() < 0.5:
        if len(world.read(path)) > 1500:
            raise Unsuitable("too long")
        return single(rng, ("(show|print) {file} (as it is|) (on|from|in) (the branch|) {name}",
                            "what does {file} look like on (the branch|) {name}?",
                            "content of {file} on {name} (without switching|)", "git show {name}:{file}",
                            "cat {file} from the branch {name}", "(show|print) the {name} version of {file}"),
                      f"git show {name}:{quoted(path)}", f"show {path} of {name}", True, ordered=True, file=path,
                      name=name)
    return single(rng, ("(take|get|copy|bring) {file} from (the branch|) {name} (here|into this branch|)",
                        "(check out|checkout) {file} from {name}",
                        "replace {file} (by|with) the version (on|of|from) {name}", "git checkout {name} -- {file}",
                        "I want the {name} version of {file} (here|)", "{file} should be as it is on {name}",
                        "overwrite {file} with what {name} has"), f"git checkout -q {name} -- {quoted(path)}",
                        f"take {path} from {name}", False, f"Done: {path} is that of {name}.", file=path, name=name)


@schema("git.restore_old", "git", weight=1.2, git=True)
def restore_old(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    n = rng.randint(1, 3)
    for _ in range(n):
        world.setup.append(f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)} {plain(world)}'")
    some = ("one commit ago", "two commits ago", "three commits ago")[n - 1]
    return single(rng, (
        "(restore|get back) {file} as it was {some}",
        "(set|put|bring) {file} back to (the version|what it was|its state) {some}",
        "(check out|checkout) {file} from HEAD~{n}", "git checkout HEAD~{n} -- {file}", "I want the {file} of {some}",
        "{file} should be as it was {some}",
        "(restore|revert) {file} to HEAD~{n}", "take {file} from {some}"),
        f"git checkout -q HEAD~{n} -- {quoted(path)}", f"restore {path}", False, f"Done: {path} is as it was {some}.",
        file=path, some=some, n=n)


@schema("git.check_ignore", "git", weight=0.7, git=True)
def check_ignore(world: World, rng: random.Random) -> Draft:
    name, ext = world.new_name(ext=rng.choice(("log", "tmp", "bak"))), ""
    ext = name.rsplit(".", 1)[1]
    if name.startswith("-") or ".gitignore" in world.entries:
        raise Unsuitable("an option, or ignored already")
    world.add_file(name, world.text(1))
    world.add_file(".gitignore", f"*.{ext}\nbuild/\n")
    return single(rng, (
        "why does git ignore {file}?", "(which|what) (rule|line|pattern) (ignores|makes git ignore) {file}?",
        "is {file} ignored (by git|)? (show|print) the rule", "(show|find) the ignore rule for {file}",
        "git check-ignore {file}, (verbose|with the rule)", "because of which line of {ignore} is {file} ignored?"),
        f"git check-ignore -v {quoted(name)}", f"see why {name} is ignored", True, ordered=True, file=name,
        ignore=".gitignore")


@schema("git.worktrees", "git", weight=0.6, git=True)
def worktrees(world: World, rng: random.Random) -> Draft:
    return single(rng, ("(which|what) worktrees (are there|do we have)?", f"{SHOW} (the|all|) (git|) worktrees",
                        "git worktree list", "worktrees of this repo",
                        "where are (the|) worktrees (of this repo|) checked out?",
                        "list all working trees (of this repo|)"),
                  "git worktree list", "list the worktrees", True)


@schema("git.empty_commit", "git", weight=0.5, git=True)
def empty_commit(world: World, rng: random.Random) -> Draft:
    text = subject(world, rng)
    return single(rng, ("(make|create) an empty commit (with the message|called|saying) {text}",
                        "empty commit: {text}", "commit nothing, (with message|message) {text}",
                        "git commit --allow-empty with {text}", "(trigger CI with|I need) an empty commit {text}",
                        "an empty commit (with the message|) {text}, please"),
                  f"git commit -q --allow-empty -m {string(text)}", "make an empty commit", False,
                  f"Done: committed as \"{text}\".", text=said(rng, text))
