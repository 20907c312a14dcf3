"""Remotes, pushing and pulling, clones and the settings of a repository: one command each."""

from __future__ import annotations

import random

from nimllm.agent.gym.history import PUSHED, branch_name, committed
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.lookups import plain
from nimllm.agent.gym.schemas.phrases import quoted, single, string
from nimllm.agent.gym.worlds import World

SHOW = "(show|list|print|give me|display|get)"


@schema("git.remotes", "git", weight=1.5, git=True)
def remotes(world: World, rng: random.Random) -> Draft:
    host, name = rng.choice(("github.com", "gitlab.com", "git.example.org", "bitbucket.org")), rng.choice(("origin",
        "origin", "origin", "upstream", plain(world)))
    url = rng.choice((f"https://{host}/{plain(world)}/{plain(world)}.git",
                      f"git@{host}:{plain(world)}/{plain(world)}.git"))
    world.setup.append(f"git remote add {name} {url}")
    kind = rng.choice(("list", "url", "url", "set", "remove", "rename"))
    new = f"https://{host}/{plain(world)}/{plain(world)}.git"
    if kind == "list":
        return single(rng, (f"{SHOW} (the|all|) remotes with urls",
                            "(which|what) remotes (are configured|are there|do we have) (and where do they point|)?",
                            "git remote -v", "remotes with (their|) (urls|addresses)",
                            "where do (our|the) remotes point to?", "remotes?"), "git remote -v", "list the remotes",
                            True)
    if kind == "url":
        return single(rng, ("(what is|what's|show|print) the url of (the remote|) {name}", "url of {name}",
                            "where does (the remote|) {name} point (to|)?", "(which|what) url does {name} have?",
                            "(get|print|look up) the {name} url",
                            "address of the remote (called|) {name}", "where do we push to? url of {name}"),
                            f"git remote get-url {name}", f"look up {name}", True, "{output}", ordered=True, name=name)
    if kind == "set":
        return single(rng, (
            "(change|set) the url of (the remote|) {name} to {new}", "point {name} (to|at) {new}",
            "{name} (moved|has moved) to {new}, (update|change) the remote", "git remote set-url {name} {new}",
            "the remote {name} (is|lives) at {new} now, (update|change) it", "{name} should point to {new}",
            "new url for {name}: {new}", "(update|replace) the {name} url (with|by) {new}"),
            f"git remote set-url {name} {new}", f"change the url of {name}", False,
            f"Done: {name} points to {new}.", name=name, new=new)
    if kind == "remove":
        return single(rng, (
            "(remove|delete|drop) the remote {name}", "get rid of the remote {name}", "git remote remove {name}",
            "(remove|delete) {name} from the remotes", "we do not need the remote {name} any more",
            "{name}: drop this remote",
            "disconnect this repo from {name}"),
            f"git remote remove {name}", f"remove {name}", False, f"Done: {name} is no remote any more.", name=name)
    other = rng.choice(("upstream2", "old", "backup", plain(world)))
    return single(rng, (
        "rename the remote {name} to {other}", "the remote {name} should be called {other}",
        "git remote rename {name} {other}",
        "change the name of the remote {name} to {other}", "call the remote {name} {other} from now on",
        "remote {name} -> {other}",
        "{name} is a bad name for the remote, call it {other}"),
        f"git remote rename {name} {other}", f"rename {name}", False, f"Done: it is called {other}.", name=name,
        other=other)


@schema("git.push", "git", weight=2, git=True)
def push(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    world.setup += [PUSHED, f"echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)} {plain(world)}'"]
    if rng.random() < 0.4:
        name = branch_name(world, rng)
        world.setup.append(f"git switch -qc {name}")
        return single(rng, ("push (the|) branch {name} to origin (and track it|and set the upstream|)",
                            "push {name} and set (its|the) upstream",
                            "(publish|upload) (the|) branch {name} (to origin|)", "git push -u origin {name}",
                            "push {name} to the remote for the first time",
                            "first push of {name} (to origin|), with upstream"), f"git push -qu origin {name}",
                            f"push {name}", False, f"Done: {name} is pushed.", name=name)
    return single(rng, ("push", "push (my commits|the commits|my work|everything)", "push to (origin|the remote)",
                        "git push", "(upload|send) my commits (to the server|to origin|to the remote|)",
                        "push (this branch|main)", "push main to origin", "(get|bring) my commits to the remote"),
                  "git push -q", "push", False, "Done: pushed.")


@schema("git.pull", "git", weight=1.5, git=True)
def pull(world: World, rng: random.Random) -> Draft:
    path = rng.choice(committed(world))
    world.setup.append(f"{PUSHED}; echo {plain(world)} >> {quoted(path)}; git commit -qam '{plain(world)}'; "
                       "git push -q; git reset -q --hard HEAD~1; "
                       "git update-ref refs/remotes/origin/main HEAD")
    if rng.random() < 0.3:
        return single(rng, ("pull with rebase", "git pull --rebase", "pull, rebasing (my commits|what is mine)",
                            "pull and rebase", "get the (newest|latest) commits with a rebase",
                            "pull --rebase (from origin|)"), "git pull -q --rebase", "pull", False, "Done: up to date.")
    return single(rng, ("pull", "pull (the|) (latest|newest) (changes|commits) (from origin|from the remote|)",
                        "git pull",
                        "(get|fetch) the (latest|newest) commits (from the remote|from origin) (and merge them|)",
                        "update (this|my) (branch|checkout|clone) (from the remote|from origin|)",
                        "bring (main|this branch) up to date (with origin|)", "sync with origin (pull|by pulling)"),
                        "git pull -q", "pull", False, "Done: up to date.")


@schema("git.clone", "git", weight=1.2)
def clone(world: World, rng: random.Random) -> Draft:
    """From a bare repository in a folder."""
    source, target = f"{plain(world)}.git", f"{plain(world)}-{rng.choice(('copy', 'work', 'clone', 'src', 'local'))}"
    if source in world.entries or target in world.entries:
        raise Unsuitable("the name is taken")
    for name in ("HEAD", "config", "objects/info/.keep", "refs/heads/.keep"):
        text = {"HEAD": "ref: refs/heads/main\n",
                "config": "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"}.get(name, "")
        world.add_file(f"{source}/{name}", text)
    if rng.random() < 0.6:
        return single(rng, ("clone {source} (to|into|as) {target}", "git clone {source} {target}",
                            "(make|create) a clone of {source} (called|named|in) {target}",
                            "(check out|clone) the repository {source} into (the folder|) {target}",
                            "I need a clone of {source} in {target}", "{source}: clone it (to|into) {target}"),
                      f"git clone -q {source} {target}", f"clone {source}", False,
                      f"Done: {target} is a clone of {source}.", source=source, target=target)
    return single(rng, ("clone {source}", "git clone {source}", "(make|create) a clone of (the repository|) {source}",
                        "get me a (working copy|clone) of {source}", "clone the (bare|) repository {source} (here|)",
                        "I need a clone of {source}"),
                  f"git clone -q {source}", f"clone {source}", False, f"Done: {source} is cloned.", source=source)


@schema("git.config", "git", weight=1.2, git=True)
def config(world: World, rng: random.Random) -> Draft:
    who = world.name()
    mail = f"{who.split()[0].lower()}.{plain(world)}@{rng.choice(('example.org', 'example.com', 'mail.net'))}"
    if rng.random() < 0.5:
        key, noun = rng.choice((("user.name", "(name|user name|user.name)"),
                                ("user.email", "(email|mail address|e-mail|user.email)")))
        return single(rng, (f"(which|what) {noun} does git use (here|)?", f"(what is|what's) my git {noun} (here|)?",
                            f"{SHOW} the (git|configured) {noun} (here|in this repo|)", f"git config {key}",
                            f"under (which|what) {noun} do I commit (here|)?", f"configured git {noun}?"),
                      f"git config {key}", f"look up {key}", True, "{output}", ordered=True)
    key, value, noun = rng.choice((("user.name", who, "(name|user name)"),
                                   ("user.email", mail, "(email|mail address)")))
    return single(rng, (
        f"set (my|the) git {noun} (in this repo|for this repo|here|) to {{value}}", f"git config {key} {{value}}",
        f"(use|take) {{value}} as (the|my) git {noun} (here|in this repo|for this repo)",
        f"(change|set) {key} to {{value}} (in this repo|)",
        f"I want to commit as {{value}} here, set {key}", f"{key} should be {{value}} (here|in this repo|)",
        f"configure {{value}} as the {noun} for commits (here|in this repo)",
        f"my git {noun} (here|in this repo) is {{value}}, (set|configure) it"),
        f"git config {key} {string(value) if ' ' in value else value}", f"set {key}", False,
        f"Done: {key} is {value}.", value=value)
