"""The parts of paths, and where links lead."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.worlds import World


@schema("path.basename", "basename dirname", weight=0.6)
def basename(world: World, rng: random.Random) -> Draft:
    path = rng.choice(("/home/", "/var/", "/usr/share/", "", "/etc/", "/tmp/")) + "/".join(names.stem(rng,
        0) for _ in range(rng.randint(1, 3))) + "/" + world.new_name("file", world.ext())
    which = rng.choice(("base", "base", "dir", "dir"))
    if which == "base":
        return single(rng, (
        "just the last part of {p}",
        "I need only the file name of {p}",
        "{p} without the folders",
        "cut the path off {p}",
        "file name alone: {p}",
        "what is the (file name|basename|base name|last part) of (the path|) {p}?", "basename (of|) {p}",
            "(print|show|get) the file name (of|in|from) (the path|) {p}", "only the file name of {p}",
            "strip the (folders|directories) from {p}", "file name part of {p}"),
            f"basename {quoted(path)}", "show the file name", True, ordered=True, p=path)
    return single(rng, (
        "what is the (folder|directory|directory part) of (the path|) {p}?", "dirname (of|) {p}",
        "(print|show|get) the (folder|directory) (of|in|from) (the path|) {p}",
        "only the (folder|directory) (part|) of {p}", "strip the file name from {p}", "directory part of {p}"),
        f"dirname {quoted(path)}", "show the folder", True, ordered=True, p=path)


@schema("path.absolute", "realpath", weight=0.7)
def absolute(world: World, rng: random.Random) -> Draft:
    path = world.pick_file()
    return single(rng, (
        "I need {f} with its full path",
        "{f}: full path?",
        "give the path of {f} from the root",
        "expand {f} to an absolute path",
        "path of {f} starting at /",
        "what is the (absolute|full) path of {f}?",
        "(print|show|give me) the (absolute|full|complete) path (of|to) {f}", "(absolute|full) path (of|to) {f}",
        "realpath {f}", "where exactly is {f}? give the full path", "(get|find) the (full|absolute) path for {f}"),
        f"realpath {quoted(path)}", f"show the full path of {path}", True, ordered=True, f=path)


@schema("path.link_target", "readlink", weight=0.7)
def link_target(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file") if rng.random() < 0.5 else world.word()
    if name in world.entries:
        raise Unsuitable("taken")
    world.add_link(name, rng.choice([*world.files(), *world.dirs()]))
    return single(rng, (
        "I need to know where {l} points",
        "{l}: link to what?",
        "what is {l} a link to?",
        "{l} is a symlink to what?",
        "resolve one step of the link {l}",
        "where does (the link|the symlink|) {l} point (to|)?",
        "(what is|show) the target of (the link|the symlink|) {l}", "target of (the link|) {l}", "readlink {l}",
        "what does (the symlink|the link|) {l} (point to|refer to)?", "(which|what) file is behind the link {l}?"),
        f"readlink {quoted(name)}", f"show where {name} points", True, "{l} points to {output}.".replace("{l}", name),
        ordered=True, l=name)


@schema("path.exists", "test", weight=0.9)
def exists(world: World, rng: random.Random) -> Draft:
    name = world.pick_file() if rng.random() < 0.5 else world.new_name()
    return single(rng, (
        "yes or no: is {f} there?",
        "{f} there or not?",
        "I need to know whether {f} exists (, yes or no|)",
        "has {f} been created (yet|)? yes or no",
        "(print|say) yes if {f} exists and no if not",
        "is {f} missing? say no if it is, yes if it is there",
        "does (the file|) {f} exist?", "is there a file (called|named|) {f}?",
        "check (if|whether) (the file|) {f} exists", "(tell me|find out) (if|whether) {f} (exists|is there)",
        "do we have a file {f}?", "{f}: does it exist?"),
        f"test -e {quoted(name)} && echo yes || echo no", f"check whether {name} exists", True, ordered=True, f=name)


@schema("path.suffix", "echo", weight=0.4)
def suffix(world: World, rng: random.Random) -> Draft:
    name = world.new_name("file", world.ext())
    stem, dot = PurePosixPath(name).stem, PurePosixPath(name).suffix
    if not dot or not stem:
        raise Unsuitable("no suffix")
    return single(rng, (
        "what is {f} without (the extension|its extension|{e})?",
        "(remove|strip|drop) the extension {e} from the name {f} and (print|show) it",
        "(print|show) the name {f} without {e}", "(name|stem) of {f} without (its|the) extension",
        "{f} minus (the|its) extension", "basename of {f} without {e}"),
        f"basename {quoted(name)} {dot}", "show the name without extension", True, ordered=True, f=name, e=dot)
