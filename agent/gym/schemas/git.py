"""Questions to a git repository, one command each: state, history, authors, branches, old contents."""

from __future__ import annotations

import random
import shlex

from nimllm.agent.gym import contents
from nimllm.agent.gym.history import branch_name, committed, dirty, edit, grow, other_branches, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display)"
REPO = "(||in this repo|in this repository|in the repo|here|in git)"


@schema("git.status", "git", weight=2.5, git=True)
def status(world: World, rng: random.Random) -> Draft:
    dirty(world, rng, 4)
    return single(rng, (
        f"(what has|which files have|what) changed {REPO}?",
        f"what is (uncommitted|not committed yet|not committed) {REPO}?",
        f"(show|give) (me|) (a|the) (short|brief|) (git|) status {REPO}",
        "short git status",
        "(is|are) there (anything|any changes) (uncommitted|to commit|that is not committed) (here|)? (show|list) it",
        f"(which|what) changes are not committed (yet|) {REPO}?",
        f"{SHOW} (the|all|) (changed|modified) and (new|untracked) files {REPO}",
        f"(what did I change|what have I changed) since the last commit {REPO}?",
        f"state of the (working tree|repo|repository|working copy) {REPO}"),
        "git status --short", "look at the status", True)


@schema("git.untracked", "git", git=True)
def untracked(world: World, rng: random.Random) -> Draft:
    unlink(world)
    edit(world, rng, rng.choice(committed(world)))
    for _ in range(rng.randint(1, 3)):
        name = world.new_name()
        world.add_file(name, world.content(name))
    return single(rng, (
        f"(which|what) files are (untracked|not tracked|not under version control) {REPO}?",
        f"{SHOW} (the|all|) untracked files {REPO}",
        "untracked files?",
        f"(which|what) files does git not (know|track) {REPO}?",
        f"files that are not (in git|tracked|added) yet {REPO}",
        "(list|find) (everything|all files) git does not track"),
        "git ls-files --others --exclude-standard", "list untracked files", True)


@schema("git.modified", "git", git=True)
def modified(world: World, rng: random.Random) -> Draft:
    paths = committed(world)
    for path in rng.sample(paths, min(len(paths), rng.randint(1, 3))):
        edit(world, rng, path)
    return single(rng, (
        f"names of the modified files {REPO}",
        f"(which|what) tracked files (are|have been) (modified|edited) {REPO}?",
        f"{SHOW} (only|) the names of (the|) files with unstaged changes {REPO}",
        f"(which|what) files differ from the last commit {REPO}?",
        f"(list|show) (the|) modified (tracked|) files {REPO}",
        "modified files, names only"),
        "git diff --name-only", "list modified files", True)


@schema("git.diff", "git", git=True)
def diff(world: World, rng: random.Random) -> Draft:
    edit(world, rng, rng.choice(committed(world)))
    return single(rng, (
        f"(show|print|display) (me|) (the|) (diff|unstaged changes|changes as a diff) {REPO}",
        f"diff of the working (tree|copy) {REPO}",
        "what exactly (changed|did I change)? show (me|) the diff",
        "(show|print) what I changed line by line",
        "git diff",
        f"(show|print) (the|) changes since the last commit (in detail|line by line|as a diff) {REPO}"),
        "git diff", "show the diff", True, ordered=True)


@schema("git.diff_file", "git", weight=1.5, git=True)
def diff_file(world: World, rng: random.Random) -> Draft:
    paths = committed(world)
    file = rng.choice(paths)
    edit(world, rng, file)
    return single(rng, (
        "what (changed|did I change|has changed|was changed) in {file}?",
        "(show|print|give) (me|) the (diff|changes) (of|in|for) {file}",
        "diff of {file}",
        "(show|print) what (changed|is different) in {file} (since the last commit|)",
        "how does {file} differ from the last commit?",
        "(which|what) lines (changed|are different) in {file}?"),
        f"git diff {quoted(file)}", f"show the changes of {file}", True, ordered=True, file=file)


def _staged(world: World, rng: random.Random) -> list[str]:
    paths = committed(world)
    chosen = rng.sample(paths, min(len(paths), rng.randint(1, 3)))
    for path in chosen:
        edit(world, rng, path)
    staged = chosen[:rng.randint(1, len(chosen))]
    world.setup.append(f"git add {quoted(*staged)}")
    return staged


@schema("git.staged", "git", git=True)
def staged(world: World, rng: random.Random) -> Draft:
    _staged(world, rng)
    return single(rng, (
        f"(which|what) files are staged {REPO}?",
        f"{SHOW} the (staged files|names of the staged files) {REPO}",
        "staged files?",
        "(which|what) files (will be in|go into|are part of) the next commit?",
        f"(which|what) files (are|have been) added to the index {REPO}?",
        "what is staged (for commit|)? names only"),
        "git diff --cached --name-only", "list staged files", True)


@schema("git.staged_diff", "git", git=True)
def staged_diff(world: World, rng: random.Random) -> Draft:
    _staged(world, rng)
    return single(rng, (
        "(show|print|give) (me|) the (staged diff|diff of the staged changes|staged changes)",
        "diff of what is staged",
        "what (exactly|) would (I commit|be committed) now? show the diff",
        "(show|print) the (changes|diff) in the index",
        "staged diff",
        "(show|print) the staged changes line by line"),
        "git diff --cached", "show the staged diff", True, ordered=True)


@schema("git.log", "git", weight=2, git=True)
def log(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 4))
    number = rng.randint(2, 10)
    return single(rng, (
        f"{SHOW} the last {{n}} commits {REPO}",
        "last {n} commits",
        "(what|which) are the (last|latest|most recent) {n} commits?",
        "git log of the last {n} commits (in short form|on one line each|)",
        f"(show|give) me the {{n}} (most recent|latest|newest) commits {REPO}",
        "short log, {n} (commits|entries|lines)",
        f"history of the (last|latest) {{n}} commits {REPO}"),
        f"git log --oneline -{number}", f"show the last {number} commits", True, ordered=True, n=number)


@schema("git.log_all", "git", git=True)
def log_all(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"{SHOW} (all|the) commits {REPO}",
        f"(show|print|give) (me|) the (whole|commit|full|) history {REPO} (in short|one line per commit|briefly)",
        "(short|brief|oneline) git log",
        "(what|which) commits (are there|does this repo have|do we have)?",
        "log of this (repo|repository|project)",
        "one line per commit please, (all|the whole history)"),
        "git log --oneline", "show the history", True, ordered=True)


@schema("git.last_message", "git", weight=1.5, git=True)
def last_message(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "(what is|what was|what's) the (last|latest) commit message?",
        "(show|print|give me) the message of the (last|latest|newest) commit",
        f"what does the (last|latest|newest) commit (say|message say) {REPO}?",
        "last commit message",
        "(title|subject|message) of the (last|latest) commit",
        "what was (committed last|the last commit about)?"),
        "git log -1 --format=%s", "read the last message", True, "{output}")


@schema("git.last_author", "git", weight=1.5, git=True)
def last_author(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"who (made|wrote|did) the (last|latest|newest) commit {REPO}?",
        "(show|print|give me) the author of the (last|latest) commit",
        f"who committed (last|most recently) {REPO}?",
        "author of the (last|latest|newest) commit",
        "whose commit is the (last|latest) (one|)?",
        "last commit: who?"),
        "git log -1 --format=%an", "read the last author", True, "{output}")


@schema("git.last_files", "git", weight=3, git=True)
def last_files(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        paths = committed(world)
        for path in rng.sample(paths, min(len(paths), rng.randint(1, 3))):
            edit(world, rng, path)
        world.setup.append(f"git commit -qam '{contents.commit_message(rng, paths).replace(chr(39), '')}'")
    return single(rng, (
        "(which|what) files did the (last|latest|newest|most recent) commit (touch|change|modify)?",
        "what did the (last|latest|newest|most recent) commit (touch|change|modify)?",
        f"{SHOW} the files (of|in|changed by|touched by) the (last|latest) commit",
        "files (of|in|touched by) the (last|latest) commit",
        "(which|what) files (were changed|changed) in the (last|latest|newest) commit?",
        "what was (touched|changed) in the (last|latest) commit?",
        "(list|name) (all|the) files that the (last|latest) commit changed",
        "what files does HEAD (touch|change)?"),
        "git show --name-only --format= HEAD", "list the files of the last commit", True)


@schema("git.show_last", "git", git=True)
def show_last(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), 1)
    return single(rng, (
        "(show|print|display) (me|) the (last|latest) commit (with its diff|in full|completely)",
        "show (me|) the diff of the (last|latest|newest) commit",
        "what (exactly|lines) did the (last|latest) commit change? (show|print) the (diff|patch)",
        "(last|latest) commit with diff",
        "(full|complete) (details|patch) of the (last|latest) commit",
        "git show"),
        "git show", "show the last commit", True, ordered=True)


@schema("git.file_author", "git", weight=1.5, git=True)
def file_author(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    if rng.random() < 0.6:
        grow(world, rng, file, rng.randint(1, 2))
    return single(rng, (
        "who (changed|edited|modified|touched|committed) {file} last?",
        "who (made the last change to|last changed|last touched|last edited) {file}?",
        "(author|name of the author) of the (last|latest) (commit|change) (of|to) {file}",
        "(show|tell) me who (last changed|last edited) {file}",
        "{file}: who changed it last?",
        "(which author|whose commit) (touched|changed) {file} (last|most recently)?"),
        f"git log -1 --format=%an -- {quoted(file)}", f"find who changed {file} last", True, "{output}", file=file)


@schema("git.file_log", "git", weight=1.5, git=True)
def file_log(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    grow(world, rng, file, rng.randint(1, 3))
    return single(rng, (
        "(show|print|give me) the (history|log) of {file}",
        "(which|what) commits (changed|touched|modified) {file}?",
        "history of {file}",
        f"{SHOW} (all|the) commits (that touched|that changed|of) {{file}}",
        "git log (for|of) {file}",
        "how did {file} change over time? (list|show) the commits"),
        f"git log --oneline -- {quoted(file)}", f"show the commits of {file}", True, ordered=True, file=file)


@schema("git.authors", "git", git=True)
def authors(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 4))
    return single(rng, (
        f"how many commits (did each author make|has each author|does each author have) {REPO}?",
        f"{SHOW} the (number of|) commits per (author|person) {REPO}",
        "commits (by|per) author",
        f"count the commits (by|of each|per) author {REPO}",
        f"who (committed|contributed) (how much|how often) {REPO}?",
        f"{SHOW} (all|the) authors with (their|the) number of commits {REPO}",
        "who commits most (here|in this repo|)?"),
        "git shortlog -sn HEAD", "count commits per author", True)


@schema("git.by_author", "git", git=True)
def by_author(world: World, rng: random.Random) -> Draft:
    author = rng.choice(world.commits)[0]
    return single(rng, (
        f"{SHOW} (all|the) commits (by|of|from) {{who}} {REPO}",
        "(what did {who} commit|which commits did {who} make)?",
        "commits (by|of) {who}",
        "git log (of|for) the author {who}",
        "(find|search) (the|all) commits (written|made) by {who}",
        "history, (but|) only (the commits|) of {who}"),
        f"git log --oneline --author={string(author)}", f"list the commits of {author}", True, ordered=True, who=author)


@schema("git.by_author_count", "git wc", git=True)
def by_author_count(world: World, rng: random.Random) -> Draft:
    author = rng.choice(world.commits)[0]
    return single(rng, (
        f"how many commits (are by {{who}}|did {{who}} make|has {{who}} made) {REPO}?",
        f"count the commits (by|of|from) {{who}} {REPO}",
        "number of commits (by|of|from) {who}",
        f"how often did {{who}} commit {REPO}?",
        "count {who}'s commits",
        "(tell me|what is) the number of commits (by|from) {who}"),
        f"git log --oneline --author={string(author)} | wc -l", f"count the commits of {author}", True,
        f"{author} made {{output}} commits.", who=author)


@schema("git.count", "git", weight=1.5, git=True)
def count(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), rng.randint(1, 9))
    return single(rng, (
        f"how many commits (are there|do we have|have been made|are) {REPO}?",
        f"count (the|all|) commits {REPO}",
        "number of commits",
        "how many commits does this (repo|repository|branch|project) have?",
        "how long is the history in commits?",
        "(tell me|what is) the number of commits"),
        "git rev-list --count HEAD", "count the commits", True, "{output} commits.")


@schema("git.grep_log", "git", weight=1.5, git=True)
def grep_log(world: World, rng: random.Random) -> Draft:
    _, message, _ = rng.choice(world.commits)
    word = max(message.replace(":", " ").replace("'", " ").split(), key=len)
    return single(rng, (
        "(which|what) commits mention {word} (in their message|)?",
        "(search|grep) the (history|log|commit messages) for {word}",
        "(find|show|list) (the|all|) commits (with|whose message contains|mentioning) {word}",
        "commits (about|with|mentioning) {word}",
        "is there a commit (about|that mentions) {word}? (show|list) it",
        "{word} in the commit messages?"),
        f"git log --oneline --grep={string(word)}", f"search the messages for {word}", True, ordered=True, word=word)


@schema("git.introduced", "git", git=True)
def introduced(world: World, rng: random.Random) -> Draft:
    word = world.word() + "_" + world.word()
    file = rng.choice(committed(world))
    world.setup.append(f"echo {word} >> {shlex.quote(file)} && git commit -qam "
                       f"'{contents.commit_message(rng, [file]).replace(chr(39), '')}'")
    if rng.random() < 0.7:
        grow(world, rng, file, rng.randint(1, 2))
    return single(rng, (
        "(which|what) commit (introduced|added) {word}?",
        "(find|show) the commit that (introduced|added) (the text|) {word}",
        "in which commit (was {word} added|did {word} appear)?",
        "when did {word} (come into|enter) the code? (show|find) the commit",
        "search the (history|commits) for changes (of|that add) {word}",
        "(find|list) (the|) commits that add or remove {word}"),
        f"git log --oneline -S {word}", f"find the commit with {word}", True, ordered=True, word=word)


@schema("git.branches", "git", git=True)
def branches(world: World, rng: random.Random) -> Draft:
    other_branches(world, rng, rng.randint(1, 4))
    return single(rng, (
        f"{SHOW} (all|the|all the|) branches {REPO}",
        f"(which|what) branches (are there|do we have|exist) {REPO}?",
        "branches?",
        "list (the|all) local branches",
        "(names|list) of (all|the) branches",
        "does this repo have other branches? (list|show) them"),
        "git branch", "list the branches", True)


@schema("git.current_branch", "git", weight=1.5, git=True)
def current_branch(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.8:
        world.setup.append(f"git switch -qc {branch_name(world, rng)}")
    return single(rng, (
        "(which|what) branch (am I on|are we on|is this|is checked out|is active)?",
        "(show|print|tell me) the (name of the|) current branch",
        "current branch?",
        "(what is|what's) the (current|active) branch?",
        "on which branch (am I|are we) (working|now|)?",
        "name of the (current|checked out|active) branch"),
        "git branch --show-current", "read the current branch", True, "You are on {output}.")


@schema("git.tags", "git", git=True)
def tags(world: World, rng: random.Random) -> Draft:
    for _ in range(rng.randint(1, 4)):
        world.setup.append(f"git tag v{rng.randint(0, 9)}.{rng.randint(0, 30)}")
    return single(rng, (
        f"{SHOW} (all|the|all the|) tags {REPO}", f"(which|what) tags (are there|do we have|exist) {REPO}?", "tags?",
        "list (the|all) (git|release|version) tags", "(names|list) of (all|the) tags",
        "(which|what) (releases|versions) are tagged?"),
        "git tag", "list the tags", True)


@schema("git.blame", "git", git=True)
def blame(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    lines = world.entries[file].content.count(b"\n")
    if lines < 1:
        raise Unsuitable("no line")
    line = rng.randint(1, min(lines, 40))
    return single(rng, (
        "who (wrote|changed|is responsible for) line {n} (of|in) {file}?",
        "blame line {n} of {file}",
        "(show|find|tell me) who wrote line {n} (of|in) {file}",
        "who is to blame for line {n} (of|in) {file}?",
        "git blame (for|of) line {n} in {file}",
        "(which|what) commit (wrote|changed) line {n} of {file} (last|)?",
        "{file} line {n}: who wrote it?"),
        f"git blame -L {line},{line} {quoted(file)}", f"blame line {line} of {file}", True, n=line, file=file)


@schema("git.tracked", "git wc", git=True)
def tracked(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.6:
        world.add_file(world.new_name(), world.text(2))
    if rng.random() < 0.5:
        return single(rng, (
            f"how many files (are tracked|does git track|are under version control) {REPO}?",
            f"count the (tracked files|files under version control|files git tracks) {REPO}",
            "number of (tracked files|files in git)", "how many files does git know (about|)?",
            "how many tracked files are there?", "(tell me|what is) the number of tracked files"),
            "git ls-files | wc -l", "count the tracked files", True, "{output} files are tracked.")
    return single(rng, (
        f"{SHOW} (all|the|all the) tracked files {REPO}", f"(which|what) files (are tracked|does git track) {REPO}?",
        "tracked files?", "(list|show) (all|the) files (that are|) under version control",
        "(which|what) files (does git know|are in the index)?",
        "everything git tracks (here|)"),
        "git ls-files", "list the tracked files", True)


@schema("git.old_file", "git", weight=1.5, git=True)
def old_file(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    number = rng.randint(1, 3)
    if len(world.read(file)) > 800:
        raise Unsuitable("too long")
    grow(world, rng, file, rng.randint(number, 4))
    ago = "one commit ago" if number == 1 else f"{number} commits ago"
    return single(rng, (
        "(show|print) (me|) {file} as it was {ago}",
        "(what did {file} look like|how did {file} look) {ago}?",
        "(show|print|give me) the (version|content) of {file} {ago}",
        "(show|print) {file} at {rev}",
        "{file} {ago}",
        "(show|print|display) the old {file}, {ago}"),
        f"git show HEAD~{number}:{quoted(file)}", f"show {file} {ago}", True, ordered=True, file=file, ago=ago,
        rev=f"HEAD~{number}")


@schema("git.diff_commits", "git", git=True)
def diff_commits(world: World, rng: random.Random) -> Draft:
    paths = committed(world)
    number = rng.randint(1, 4)
    for _ in range(number + rng.randint(0, 1)):
        grow(world, rng, rng.choice(paths))
    last = "the last commit" if number == 1 else f"the last {number} commits"
    return single(rng, (
        "(which|what) files changed in {last} (together|)? compare with {rev}",
        "(which|what) files differ between {rev} and HEAD?",
        "names of the files that (changed|differ) since {rev}",
        "(list|show) the files (that changed|changed) since {rev}",
        "compare {rev} with HEAD, names only",
        "(list|show) files different (from|to) {rev}"),
        f"git diff --name-only HEAD~{number} HEAD", f"list the files changed since HEAD~{number}", True, last=last,
        rev=f"HEAD~{number}")


@schema("git.ignored", "git", git=True)
def ignored(world: World, rng: random.Random) -> Draft:
    ext = world.ext()
    world.edits[".gitignore"] = f"*.{ext}\n".encode()
    names = [world.new_name(ext=ext) for _ in range(rng.randint(1, 3))]
    for name in names:
        world.add_file(name, world.content(name))
    if rng.random() < 0.5:
        file = rng.choice(names)
        return single(rng, (
            "is {file} ignored (by git|)?", "does git ignore {file}?",
            "(check|tell me) (whether|if) git ignores {file}",
            "(check|tell me) (whether|if) {file} is ignored (by git|)", "is {file} covered by the ignore rules?",
            "{file}: ignored by git or not?"),
            f"git check-ignore {quoted(file)}", f"ask git about {file}", True, f"Yes, git ignores {file}.", file=file)
    return single(rng, (
        f"(which|what) files (are ignored|does git ignore) {REPO}?", f"{SHOW} (the|all|) ignored files {REPO}",
        "ignored files?", "(list|find) everything (that|) git ignores", "files (that are|) ignored by git",
        "(list|show) (all|the) files hidden (from git|by the ignore file)"),
        "git ls-files --others --ignored --exclude-standard", "list the ignored files", True)
