"""More questions to a repository's history: dates, ids, formats, ranges, counts, deleted and added files, patches."""

from __future__ import annotations

import random

from nimllm.agent.gym.history import branch_name, committed, dirty, edit, grow, unlink
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"
REPO = "(|||in this repo|in this repository|in the repo|here|of this repo)"
LAST = "(last|latest|most recent|newest)"


@schema("git.hash_short", "git", weight=1.5, git=True)
def hash_short(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"short (hash|sha|commit hash|id) of (HEAD|the {LAST} commit)",
        f"what is the short (hash|sha|id) of the {LAST} commit?",
        f"{SHOW} the short (commit|) (hash|sha|id) (of HEAD|of the {LAST} commit)", "abbreviated (hash|sha) of HEAD",
        f"{LAST} commit (hash|sha|id), short form", "(current|HEAD) commit (hash|sha), short (please|)",
        "I need the short (commit id|sha|hash) of what (I have|is) checked out", "short sha?",
        f"(give|tell) me the abbreviated commit (id|hash) of the {LAST} commit",
        "which commit are we on? short (hash|id) only",
        "which commit is checked out (short hash only|, short id)?"),
        "git rev-parse --short HEAD", "print the short id", True, "{output}", ordered=True)


@schema("git.hash_full", "git", git=True)
def hash_full(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(full|complete|whole) (hash|sha|commit hash|id) of (HEAD|the {LAST} commit)", "git rev-parse HEAD",
        f"what is the (full|complete) (hash|sha|id) of the {LAST} commit?",
        "all 40 characters of the current commit (id|hash)",
        f"{SHOW} the (full|complete|whole|40-digit) (commit|) (hash|sha|id) of HEAD",
        "full sha of (HEAD|the current commit) (please|)",
        "I need the (full|complete) commit (id|sha) of what is checked out",
        "(print|give me) the long (hash|sha) of HEAD"),
        "git rev-parse HEAD", "print the id", True, "{output}", ordered=True)


@schema("git.last_date", "git", weight=1.5, git=True)
def last_date(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"when was the {LAST} commit (made|)?", f"date of the {LAST} commit",
        f"(on|) (what|which) (day|date) was the {LAST} commit (made|)?",
        f"{SHOW} the date of the {LAST} commit (as YYYY-MM-DD|)", f"what is the date of the {LAST} commit?",
        "when did (we|somebody|anyone) last commit?",
        f"{LAST} commit: (date|when)?", f"(day|date) of the {LAST} commit, (nothing else|only the date)",
        "how old is the repo's last commit? print its date"),
        "git log -1 --format=%ad --date=short", "print the date", True, "{output}", ordered=True)


@schema("git.first_commit", "git tail", git=True)
def first_commit(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        f"(what is|what was|show|print) the (first|oldest|initial|very first) commit {REPO}",
        "the (first|oldest) commit (of this repo|)",
        f"(first|oldest) commit {REPO}?", f"{SHOW} the oldest commit (on one line|in short)",
        "where does the history begin?",
        "which commit did it all start with?",
        "(root|initial) commit?", "first line of the history, I mean the oldest commit"),
        "git log --oneline | tail -n 1", "show the oldest commit", True, ordered=True)


@schema("git.show_stat", "git", weight=1.5, git=True)
def show_stat(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), 1)
    return single(rng, (
        f"(stat|statistics|diffstat) of the {LAST} commit",
        f"{SHOW} the {LAST} commit with (stat|statistics|a diffstat)",
        f"how many lines did the {LAST} commit (change|touch) per file?", "git show --stat",
        f"how (big|large) was the {LAST} commit?",
        f"(which|what) files did the {LAST} commit change, with (numbers|the number) of lines",
        f"summary of the changes of the {LAST} commit",
        f"what did the {LAST} commit change, (in numbers|as statistics)?", f"{LAST} commit, files and lines changed"),
        "git show --stat HEAD", "show the statistics", True, ordered=True)


@schema("git.diff_stat", "git", git=True)
def diff_stat(world: World, rng: random.Random) -> Draft:
    for path in rng.sample(committed(world), min(len(committed(world)), 2)):
        edit(world, rng, path)
    return single(rng, (
        "(diffstat|diff stat|statistics) of my (uncommitted|) changes",
        "how many lines did I change (per file|in each file)?",
        "git diff --stat", f"{SHOW} a summary of (the|my) (uncommitted|unstaged) changes (per file|)",
        "how (big|large) are my (uncommitted|) changes?",
        "(summarise|summarize) the diff", "(which|what) files changed and by how many lines?",
        "stat of the working tree diff",
        "changed files with the number of lines (added and removed|)"),
        "git diff --stat", "summarise the diff", True, ordered=True)


@schema("git.log_format", "git", weight=1.2, git=True)
def log_format(world: World, rng: random.Random) -> Draft:
    n = rng.randint(2, 8)
    what, form = rng.choice((
        ("(hash and author|id and author)", "%h %an"), ("(author and subject|author and message)", "%an %s"),
        ("(date and subject|date and message)", "%ad %s"),
        ("(hash, author and subject|short id, author and message)", "%h %an %s"),
        ("(only|just) the (messages|subjects)", "%s"),
        ("(only|just) the (short|abbreviated) (hashes|ids)", "%h"), ("(only|just) the authors", "%an"),
        ("(hash and date|id and date)", "%h %ad")))
    date = " --date=short" if "%ad" in form else ""
    quote = f"'{form}'" if " " in form else form
    return single(rng, (
        f"{what} of the last {{n}} commits", f"{SHOW} {what} of the (last|latest) {{n}} commits",
        f"(last|latest) {{n}} commits: {what}",
        f"log of the last {{n}} commits with {what}", f"the {{n}} newest commits, {what} on (each line|one line each)",
        f"for the last {{n}} commits (print|give) {what}", f"git log, {{n}} entries, {what}"),
        f"git log -{n} --format={quote}{date}", f"list the last {n} commits", True, ordered=True, n=n)


@schema("git.log_graph", "git", weight=0.7, git=True)
def log_graph(world: World, rng: random.Random) -> Draft:
    world.setup.append(f"git branch {branch_name(world, rng)}")
    return single(rng, (
        "(history|log|commits) as a graph", "git log with graph, all branches",
        f"{SHOW} the commit graph (of all branches|)", "draw the (commit|branch) graph",
        "graph of (all|the) branches", "(visual|graphical) log (of all branches|)", "git (tree|graph) view",
        "(show|print) how the branches (fork|relate), one line per commit"),
        "git log --oneline --graph --all", "draw the graph", True, ordered=True)


@schema("git.log_since", "git", git=True)
def log_since(world: World, rng: random.Random) -> Draft:
    """The world's commits are an hour apart, from 2025-06-15 on."""
    day = rng.choice(("2025-06-01", "2025-06-10", "2025-06-13", "2025-01-01", "2024-12-31"))
    before = rng.random() < 0.3
    day = "2025-07-01" if before else day
    word, option = ("(before|until|up to)",
                    "--until") if before else ("(since|after)", "--since")
    return single(rng, (
        f"commits {word} {{day}}", f"{SHOW} (all|the) commits (made|) {word} {{day}}",
        f"(which|what) (commits were made|was committed) {word} {{day}}?",
        f"(what happened|what was done) {word} {{day}} {REPO}?", f"git log {word} {{day}}",
        f"history {word} {{day}}, one line per commit",
        f"(find|look up) commits {word} {{day}}"),
        f"git log --oneline {option}={day}", f"list the commits {day}", True, ordered=True, day=day)


@schema("git.file_count", "git", git=True)
def file_count(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    grow(world, rng, file, rng.randint(1, 3))
    return single(rng, (
        "how many commits (touched|changed|modified) {file}?", "number of commits (for|of|that touched) {file}",
        "how often was {file} changed?",
            "count the commits (of|for|that changed) {file}", "commit count of {file}",
        "how many times was {file} committed?", "(tell me|what is) the number of commits (to|for) {file}",
        "{file}: number of commits"),
        f"git rev-list --count HEAD -- {quoted(file)}", f"count the commits of {file}", True, "{output} commits.",
        file=file)


@schema("git.file_last", "git", weight=1.2, git=True)
def file_last(world: World, rng: random.Random) -> Draft:
    """Message, date or id of a file's last commit."""
    file = rng.choice(committed(world))
    form, what = rng.choice((("%s", "(message|subject|commit message)"), ("%ad --date=short", "(date|day)"),
                             ("%h", "(short hash|short id|short sha)")))
    return single(rng, (
        f"{what} of the {LAST} commit (that touched|of|to) {{file}}",
        f"what is the {what} of the {LAST} commit (to|of) {{file}}?",
        f"{SHOW} the {what} of the (last|latest) change (to|of|in) {{file}}", f"{{file}}: {what} of its {LAST} commit",
        *(("when was {file} last changed (in git|)?",
           "when did {file} change last (according to git|)? (date only|)",
           "date of the last change of {file}") if "%ad" in form else
          (f"look up the {what} of the {LAST} commit for {{file}}",
           f"(get|find) the {what} of {{file}}'s {LAST} commit"))),
        f"git log -1 --format={form} -- {quoted(file)}", f"look at the last commit of {file}", True, "{output}",
        ordered=True, file=file)


@schema("git.file_patches", "git", weight=0.7, git=True)
def file_patches(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    if len(world.read(file)) > 500:
        raise Unsuitable("too long")
    grow(world, rng, file, 1)
    return single(rng, (
        "(history|log) of {file} with (diffs|patches|the changes)", "git log -p {file}",
        "(show|print) every (change|commit) of {file} with its (diff|patch)",
        "how did {file} (change|evolve)? (show|print) the diffs", "all (changes|patches) (ever made|) to {file}",
        "full history of {file} including diffs",
        "(show|print) the commits of {file} together with what they changed"),
        f"git log -p -- {quoted(file)}", f"show the changes of {file}", True, ordered=True, file=file)


@schema("git.contributors", "git sort", weight=1.2, git=True)
def contributors(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), 2)
    return single(rng, (
        f"who (has contributed|contributed|has committed|has worked on this) {REPO}? (names only|)",
        f"(names|list) of (all|the) (contributors|authors|committers) {REPO}",
        f"{SHOW} (all|the) (contributors|authors) {REPO} (, each once|, without duplicates|)", "contributors?",
        "(which|what) people (committed|have committed) here?", f"(unique|distinct) (authors|committers) {REPO}",
        "everyone who has commits here",
        "who are the authors of this (code|repo|project)? each name once"),
        "git log --format=%an | sort -u", "list the authors", True)


@schema("git.author_count", "git sort wc", weight=0.8, git=True)
def author_count(world: World, rng: random.Random) -> Draft:
    grow(world, rng, rng.choice(committed(world)), 3)
    return single(rng, (
        f"how many (people|authors|persons|different authors) (have committed|committed|contributed) {REPO}?",
        f"number of (authors|contributors|committers) {REPO}",
        f"count the (contributors|authors) {REPO}", "how many contributors (are there|do we have)?",
        f"how many (different|distinct) authors (are there|) {REPO}?",
        "count the people who (have committed|committed) (here|)"),
        "git log --format=%an | sort -u | wc -l", "count the authors", True, "{output} authors.")


@schema("git.top_author", "git head", weight=0.8, git=True)
def top_author(world: World, rng: random.Random) -> Draft:
    author = rng.choice(world.commits)[0]
    path = rng.choice(committed(world))
    for _ in range(len(world.commits) + 1):
        world.setup.append(f"echo {plain(world)} >> {quoted(path)} && git -c user.name={string(author)} "
                           "-c user.email=a@example.org commit -qam more")
    return single(rng, (
        f"who (has|made) the most commits {REPO}?", f"(most active|top|busiest) (author|contributor|committer) {REPO}",
        "author with the most commits (and how many|)",
        f"who commits (most|the most) {REPO}?", "(which|what) author has (the most|most) commits?",
        f"{SHOW} the author with the most commits",
        "name the most active contributor"),
        "git shortlog -sn HEAD | head -n 1", "find the top author", True, ordered=True)


@schema("git.deleted_files", "git", weight=0.8, git=True)
def deleted_files(world: World, rng: random.Random) -> Draft:
    paths = committed(world, 2)
    path = rng.choice(paths)
    world.setup.append(f"git rm -q {quoted(path)} && git commit -qm 'Remove {plain(world)}'")
    return single(rng, (
        f"(which|what) files (were|have been|got) deleted in the history {REPO}?",
        f"{SHOW} (all|the) files (that were|ever) deleted in (git|the history|any commit)",
        "files deleted in git history", "deleted files (in the log|over the whole history)",
        "which files existed once but were (removed|deleted) by a commit?",
        f"names of all files that commits have (removed|deleted) {REPO}"),
        "git log --diff-filter=D --name-only --format=", "list deleted files", True)


@schema("git.when_added", "git", weight=1.0, git=True)
def when_added(world: World, rng: random.Random) -> Draft:
    file = rng.choice(committed(world))
    grow(world, rng, file, 1)
    form, ways = rng.choice((
        ("%ad --date=short", ("when was {file} (added|created|introduced) (to the repo|in git|)?",
                              "date when {file} was (added|first committed)",
                              "on (what|which) (day|date) was {file} (added|introduced)?",
                              "(tell me|show) when {file} was first committed")),
        ("%an", ("who (added|introduced|created) {file} (in git|)?", "who committed {file} first?",
                 "author of the commit that (added|introduced) {file}",
                 "(which author|who) brought {file} into the repo?")),
        ("%h", ("(which|what) commit (added|introduced|created) {file}? (short hash|short id)",
                "short hash of the commit that (added|introduced) {file}",
                "(find|get) the commit that added {file}, only its short (hash|id)"))))
    return single(rng, ways, f"git log --diff-filter=A --format={form} -- {quoted(file)}", f"find when {file} came",
                  True, "{output}", ordered=True, file=file)


@schema("git.between", "git", weight=1.2, git=True)
def between(world: World, rng: random.Random) -> Draft:
    """What another branch has more than main."""
    path, name = rng.choice(committed(world)), branch_name(world, rng)
    for number in range(rng.randint(1, 3)):
        world.setup.append(("git switch -qc " + name + "; " if not number else "")
                           + f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)} {plain(world)}'")
    world.setup.append("git switch -q main")
    command, ways, plan = rng.choice((
        (f"git log --oneline main..{name}",
         ("(which|what) commits are on {name} but not on main?",
            f"{SHOW} the commits (of|on|in) {{name}} that (main lacks|are not in main)",
            "commits of {name} (missing in|not merged into) main",
            "what does {name} have that main (lacks|has not)? list the commits", "log main..{name}"),
            f"list the commits of {name}"),
        (f"git rev-list --count main..{name}", ("how many commits is {name} ahead of main?",
            "number of commits (on|in) {name} that are not in main",
                                                "count the commits (of|on) {name} that main (lacks|does not have)",
                                                "by how many commits is {name} ahead of main?"),
                                                f"count the commits of {name}"),
        (f"git diff --name-only main..{name}", ("(which|what) files differ between main and {name}?",
            "names of the files that differ between main and {name}",
                                                f"{SHOW} the files that {{name}} changes (against|compared to) main",
                                                "files changed on {name} (compared to|relative to|against) main"),
                                                "list the files"),
        (f"git diff main..{name}",
         ("diff between main and {name}", "(show|print) what {name} changes (against|compared to) main",
          "compare main with {name}",
                                    "git diff main {name}",
                                    "what is different on {name} compared to main? (show|print) the diff"),
                                    "show the difference")))
    return single(rng, ways, command, plan, True, ordered="rev-list" not in command, name=name)


@schema("git.range_files", "git", git=True)
def range_files(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    n = rng.randint(1, 3)
    grow(world, rng, path, n)
    some = "the last commit" if n == 1 else f"the last {n} commits"
    return single(rng, (
        "(which|what) files (changed|were changed) in {some}?",
        f"{SHOW} the (names of the|) files changed in {{some}}", "files (touched|changed|modified) (by|in) {some}",
        "names of (all|the) files that {some} touched",
        "(which|what) files did {some} touch?", "changed files of {some}, names only"),
        f"git diff --name-only HEAD~{n} HEAD", "list the changed files", True, some=some)


@schema("git.grep", "git", git=True)
def grep(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    words = sorted({word for word in world.read(path).split() if word.isalpha() and word.isascii() and len(word) > 3})
    if not words:
        raise Unsuitable("no word")
    word = rng.choice(words)
    return single(rng, (
        "git grep {word}", "(search|grep) the tracked files for {word} (with line numbers|)",
        "(find|look for) {word} in (all|the) tracked files",
        "(which|what) lines of tracked files (contain|mention) {word}?",
        "where does {word} occur in the files git tracks?",
        "use git to (search|look) for {word}", "search the repo's files for {word} with git grep"),
        f"git grep -n {string(word)}", f"search for {word}", True, word=word)


@schema("git.blame_line", "git", weight=1.2, git=True)
def blame_line(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    lines = world.read(path).count("\n")
    if lines < 3:
        raise Unsuitable("too short")
    n = rng.randint(1, lines)
    return single(rng, (
        "who (wrote|changed|edited|last changed|is responsible for) line {n} of {file}?", "blame line {n} of {file}",
        "git blame {file}, line {n} (only|)",
        "{file}, line {n}: who wrote it?", "(show|print) the blame of line {n} in {file}",
        "(which|what) commit does line {n} of {file} come from?",
            "author of line {n} (in|of) {file}",
        "(see|find out) who wrote line {n} (in|of) {file}"),
        f"git blame -L {n},{n} {quoted(path)}", f"blame line {n} of {path}", True, ordered=True, n=n, file=path)


@schema("git.tracked_list", "git", weight=1.2, git=True)
def tracked_list(world: World, rng: random.Random) -> Draft:
    unlink(world)
    exts = sorted({path.rsplit(".", 1)[1] for path in committed(world) if "." in path.rsplit("/", 1)[-1].lstrip(".")})
    exts = [ext for ext in exts if ext.isalnum()]
    if not exts or rng.random() < 0.5:
        return single(rng, (
            f"(which|what) files (are tracked|does git track|are under version control) {REPO}?",
            f"{SHOW} (all|the) (tracked|versioned) files {REPO}", "git ls-files",
            "tracked files?", "files (that are|) (in git|under version control)", f"{SHOW} everything git tracks",
            "names of all files in the (index|repository)"),
            "git ls-files", "list the tracked files", True)
    ext = rng.choice(exts)
    return single(rng, (
        "(which|what) {dot} files (are tracked|does git track) (here|)?", f"{SHOW} (all|the) tracked {{dot}} files",
        "tracked {dot} files", "{dot} files that are in git",
        "(list|show) (the|all) {dot} files under version control", "git ls-files, {dot} only"),
        f"git ls-files '*.{ext}'", f"list the tracked .{ext} files", True, dot=rng.choice((f".{ext}", ext, f"*.{ext}")))


@schema("git.status_branch", "git", weight=1.2, git=True)
def status_branch(world: World, rng: random.Random) -> Draft:
    dirty(world, rng)
    return single(rng, (
        "(short|brief) (git|) status with (the|) branch", "git status -sb",
        "(show|print) the branch and (the|) (short|brief) status", "status and (current|) branch, (short|brief)",
        "(which|what) branch am I on and what has changed?",
        "short status including the branch (name|)", "branch and changed files (in short|)"),
        "git status -sb", "show branch and status", True, ordered=True)


@schema("git.save_patch", "git", weight=0.8, git=True)
def save_patch(world: World, rng: random.Random) -> Draft:
    for path in rng.sample(committed(world), 1):
        edit(world, rng, path)
    name = world.new_name(ext=rng.choice(("patch", "diff")))
    staged = ""
    return single(rng, (
        "(save|write|put) (the|my) (diff|uncommitted changes|changes) (to|into|in|as) {file}",
        "(make|create) a patch {file} (of|from|with) my (uncommitted|) changes",
        "git diff into {file}", "export my (uncommitted|) changes as (a patch|) {file}",
        "{file} (should|must) hold the diff of (the working tree|my changes)",
        "I need my changes as a patch file {file}"),
        f"git diff{staged} > {quoted(name)}", f"write the diff to {name}", False, f"Done: {name} has the diff.",
        file=name)


@schema("git.export", "git", weight=0.6, git=True)
def export(world: World, rng: random.Random) -> Draft:
    ext = rng.choice(("zip", "tar", "tar.gz"))
    name = f"{plain(world)}.{ext}"
    return single(rng, (
        "(export|archive|pack) the (repo|repository|last commit|HEAD) (as|to|into) {file} (with git archive|)",
        "git archive (to|into) {file}",
        "make {file} (of|from) the (committed|tracked) files (with git archive|)",
        "(create|write) {file} with everything that is committed",
        "archive of HEAD (as|in) {file}", "I need the committed (state|files) as {file}"),
        f"git archive -o {name} HEAD", f"write {name}", False, f"Done: {name} has the committed files.", file=name)


@schema("git.toplevel", "git", weight=0.8, git=True)
def toplevel(world: World, rng: random.Random) -> Draft:
    return single(rng, (
        "(what|which) is the (root|top|top-level|toplevel) (folder|directory) of (this|the) (git|) (repo|repository)?",
        "root of (this|the) (git|) (repo|repository)",
        "where is the (root|top) of (this|the) repo?", "git rev-parse --show-toplevel",
        f"{SHOW} the top-level (folder|directory) of the repo (with git|)", "path of the repository's root",
        "which folder is the git root?", "repo root?"),
        "git rev-parse --show-toplevel", "print the root", True, ordered=True)
