"""Checksums and comparisons: of files, of folders, against a list."""

from __future__ import annotations

import hashlib
import random
from dataclasses import replace

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, ask, folder_of, inside, stem
from nimllm.agent.gym.schemas.subjects import kind
from nimllm.agent.gym.worlds import World

_KINDS = (("md5", "md5sum", "(md5|MD5)"), ("sha1", "sha1sum", "(sha1|SHA-1|SHA1)"), ("sha256", "sha256sum",
    "(sha256|SHA-256|SHA256)"),
          ("sha256", "sha256sum", "(sha256|SHA-256)"), ("sha512", "sha512sum", "(sha512|SHA-512)"))
_SUM = "(checksum|hash|sum|digest)"


@schema("sum.only", "md5sum sha256sum cut", weight=1.3)
def only(world: World, rng: random.Random) -> Draft:
    name, (_, program, said) = world.pick_file(), rng.choice(_KINDS)
    return ask(rng, f"""
        {said} {_SUM} of {{f}}, (only|just) the {_SUM} (, without the file name|, no name|)
        (only|just) the {said} {_SUM} of {{f}} (, not its name|, nothing else|)
        <show> (only|just) the {said} {_SUM} of {{f}}, without the (file|) name
        what is the {said} {_SUM} of {{f}}? (only|just) the (hex|hash|digits)
        <want> the bare {said} {_SUM} of {{f}}
        compute the {said} {_SUM} of {{f}} and print (only|just) (it|the hash)
        {said} of {{f}} without the file name
        """, f"{program} {quoted(name)} | cut -d ' ' -f 1", f"compute the checksum of {name}", None, True, f=name)


@schema("sum.other", "sha1sum sha512sum cksum", weight=0.7)
def other(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    program, said = rng.choice((("sha1sum", "(sha1|SHA-1)"), ("sha512sum", "(sha512|SHA-512)"), ("cksum",
        "(crc|CRC|cksum)"), ("md5sum", "(md5|MD5)"), ("sha256sum", "sha256")))
    return ask(rng, f"""
        {said} {_SUM} of {{f}}
        <show> the {said} {_SUM} of {{f}}
        what is the {said} {_SUM} of {{f}}?
        compute the {said} {_SUM} (of|for) {{f}}
        {program} {{f}}
        <want> the {said} {_SUM} of {{f}}
        hash {{f}} with {said}
        """, f"{program} {quoted(name)}", f"compute the checksum of {name}", None, True, f=name)


@schema("sum.many", "md5sum sha256sum", weight=1.0)
def many(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.6 else ""
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, folder) if "." in path.rsplit("/", 1)[-1][1:]})
    found = [ext for ext in found if ext.isalnum()]
    if not found:
        raise Unsuitable("no extension")
    ext, (_, program, said) = rng.choice(found), rng.choice(_KINDS)
    what, more = kind(ext)
    stars = f"{quoted(folder)}/*.{ext}" if folder else f"*.{ext}"
    w = "(in|inside) {d}" if folder else "(here|in this <dir>)"
    slots = {"d": folder} if folder else {}
    if rng.random() < 0.5:
        target = rng.choice(("SHA256SUMS", "MD5SUMS", "checksums.txt", f"{stem(rng)}.txt", f"{stem(rng)}.sums"))
        if target in world.entries:
            raise Unsuitable("taken")
        return act(rng, f"""
            (write|save|store|put) the {said} (checksums|sums|hashes) of <all> <what> <w> (to|in|into) {{t}}
            (create|make) {{t}} with the {said} (checksums|sums|hashes) of <all> <what> <w>
            {{t}} should (contain|hold|list) the {said} (checksums|sums) of <all> <what> <w>
            {program} of <all> <what> <w> (into|to) {{t}}
            <want> (a checksum file|) {{t}} for the <what> <w>, {said}
            """, f"{program} {stars} > {quoted(target)}", f"write the checksums to {target}", w=w, what=what, t=target,
            **slots, **more)
    return ask(rng, f"""
        {said} (checksums|sums|hashes) of <all> <what> <w>
        <show> the {said} (checksum|sum|hash) of (every one|each) of the <what> <w>
        compute {said} (checksums|hashes) (for|of) <all> <what> <w>
        {program} of <all> <what> <w>
        <want> the {said} (checksums|hashes) of the <what> <w>
        """, f"{program} {stars}", "compute the checksums", None, True, w=w, what=what, **slots, **more)


@schema("sum.check", "md5sum sha256sum", weight=1.1)
def check(world: World, rng: random.Random) -> Draft:
    files = [path for path in inside(world, "") if path.isascii() and "\\" not in path]
    if len(files) < 2:
        raise Unsuitable("too few")
    some, (algorithm, program, said) = rng.sample(files, rng.randint(1, min(3, len(files)))), rng.choice(_KINDS)
    name = rng.choice((f"{algorithm.upper()}SUMS", "checksums.txt", f"{stem(rng)}.{algorithm}", f"{stem(rng)}.txt"))
    if name in world.entries:
        raise Unsuitable("taken")
    lines = [f"{hashlib.new(algorithm, world.entries[path].content).hexdigest()}  {path}\n" for path in sorted(some)]
    wrong = rng.random() < 0.25
    if wrong:
        lines[0] = ("0" if lines[0][0] != "0" else "1") + lines[0][1:]
    world.add_file(name, "".join(lines))
    made = ask(rng, f"""
        (check|verify) the {said} (checksums|sums|hashes) in {{f}}
        (check|verify) the files against {{f}} ({said}|, {program}|)
        are the files (intact|ok|unchanged) according to {{f}} (, {said}|)?
        do the files match the {said} (checksums|sums) in {{f}}?
        {program} -c {{f}}
        (verify|check) what {{f}} lists with {program}
        {{f}} holds {said} checksums, (check|verify) them
        """.replace("({said}|, {program}|)", ""), f"{program} -c {quoted(name)}", f"verify {name}", None, True, f=name)
    return replace(made, fails=frozenset({0})) if wrong else made


@schema("sum.equal", "md5sum", weight=0.8)
def equal(world: World, rng: random.Random) -> Draft:
    files = world.files()
    if len(files) < 2:
        raise Unsuitable("too few")
    a, b = rng.sample(files, 2)
    if rng.random() < 0.5:
        world.entries[b].content = world.entries[a].content
    return ask(rng, """
        (md5|checksums) of {a} and {b} (, to compare them|side by side|)
        compare {a} and {b} by (checksum|md5), (print|show) both
        md5sum {a} (and|) {b}
        <show> the md5 (checksums|sums) of {a} and {b}
        do {a} and {b} have the same md5? (print|show) both sums
        <want> the md5 (sum|checksum) of both {a} and {b}
        """, f"md5sum {quoted(a, b)}", "compute both checksums", None, True, a=a, b=b)


def _pair(world: World, rng: random.Random) -> tuple[str, str]:
    """Two new folders that share some names; some of the shared files differ."""
    a, b = world.new_name("dir"), world.new_name("dir")
    shared = list({world.new_name() for _ in range(rng.randint(2, 4))})
    for number, name in enumerate(shared):
        text = world.text(2)
        world.add_file(f"{a}/{name}", text)
        world.add_file(f"{b}/{name}", text if number and rng.random() < 0.6 else text + "more\n")
    for folder in (a, b):
        for _ in range(rng.randint(1, 2)):
            world.add_file(f"{folder}/{world.new_name()}", world.text(1))
    return a, b


@schema("compare.folders", "diff", weight=1.4)
def folders(world: World, rng: random.Random) -> Draft:
    a, b = _pair(world, rng)
    if rng.random() < 0.75:
        return replace(ask(rng, """
            compare the <dirs> {a} and {b} (, names only|briefly|)
            (which|what) files differ between {a} and {b}?
            (what is|show|list) the difference between the <dirs> {a} and {b} (, only which files|briefly|)
            how do the <dirs> {a} and {b} differ?
            diff the <dirs> {a} and {b} (recursively|), (briefly|only names|just which files)
            are the <dirs> {a} and {b} (the same|identical)? if not, which files differ?
            <want> to know which files differ or are missing between {a} and {b}
            diff -rq {a} {b}
            """.replace("(what is|show|list) the difference", "(show|list) the differences"),
            f"diff -rq {quoted(a, b)}", f"compare {a} and {b}", None, False, a=a, b=b), fails=frozenset({0}))
    return replace(ask(rng, """
        diff (the <dirs>|) {a} and {b} recursively, with the (changed|differing) lines
        (show|print) all differences between the <dirs> {a} and {b}, line by line
        full (recursive|) diff of (the <dirs>|) {a} and {b}
        diff -r {a} {b}
        what changed in the files between the <dirs> {a} and {b}? (all lines|show the lines)
        """, f"diff -r {quoted(a, b)}", f"compare {a} and {b}", None, True, a=a, b=b), fails=frozenset({0}))


@schema("compare.names", "comm ls", weight=1.2)
def name_sets(world: World, rng: random.Random) -> Draft:
    a, b = _pair(world, rng)
    option, block = rng.choice((("-23", """
        (which|what) files are in {a} but not in {b}?
        <list> the (names|files) (that are|) only in {a} (, not in {b}|and not in {b}|but missing in {b})
        files (of|in) {a} that are missing in {b}
        what does {b} lack that {a} has? (file names|names only)
        names (that exist|) in {a} but not in {b}
        <want> the file names of {a} that {b} (does not have|lacks)
        """), ("-12", """
        (which|what) (files|file names) are in both {a} and {b}?
        <list> the (names|file names) that {a} and {b} (have in common|share)
        (common|shared) file names of {a} and {b}
        names that exist in both (<dirs>|) {a} and {b}
        <want> the file names that occur in {a} as well as in {b}
        """)))
    return ask(rng, block, f"comm {option} <(ls {quoted(a)}) <(ls {quoted(b)})", f"compare the names in {a} and {b}",
        None, True, a=a, b=b)


@schema("compare.patch", "diff", weight=0.6)
def patch(world: World, rng: random.Random) -> Draft:
    a, b = world.pick_text(3), world.new_name("file", "txt")
    rows = world.read(a).splitlines()
    rows[rng.randrange(len(rows))] = " ".join(world.words(3))
    world.add_file(b, "\n".join(rows) + "\n")
    if rng.random() < 0.5:
        return replace(ask(rng, """
            unified diff (of|between) {a} and {b}
            diff {a} and {b} in unified (format|form)
            diff -u {a} {b}
            (show|print) the (changes|differences) from {a} to {b} (as|like) (a patch|a unified diff)
            <want> a unified diff from {a} to {b}
            """.replace("<want> a", "give me a"), f"diff -u {quoted(a, b)}", f"compare {a} and {b}", None, True, a=a,
            b=b), fails=frozenset({0}), volatile=True)
    return replace(ask(rng, """
        do {a} and {b} differ? (only yes or no by diff -q|briefly|say only whether they differ)
        diff -q {a} {b}
        (tell me|say|report) only whether {a} and {b} differ
        (briefly|just) report whether {a} and {b} differ
        (compare|diff) {a} and {b}, don't show the lines
        """.replace("(only yes or no by diff -q|briefly|say only whether they differ)",
        "(briefly|say only whether they differ)"), f"diff -q {quoted(a, b)}", f"compare {a} and {b}",
        None, True, a=a, b=b), fails=frozenset({0}))


@schema("compare.side_by_side", "diff", weight=0.4)
def side_by_side(world: World, rng: random.Random) -> Draft:
    a, b = world.pick_text(3), world.new_name("file", "txt")
    rows = world.read(a).splitlines()
    rows[rng.randrange(len(rows))] = " ".join(world.words(2))
    world.add_file(b, "\n".join(rows) + "\n")
    made = ask(rng, """
        compare {a} and {b} side by side
        diff {a} and {b} (side by side|in two columns)
        (show|print) {a} and {b} next to each other with the differences marked
        diff -y {a} {b}
        side-by-side (diff|comparison) of {a} and {b}
        """, f"diff -y {quoted(a, b)}", f"compare {a} and {b} side by side", None, True, a=a, b=b)
    return replace(made, fails=frozenset({0}))


@schema("compare.first_byte", "cmp", weight=0.4)
def first_byte(world: World, rng: random.Random) -> Draft:
    a, b = world.pick_text(2), world.new_name("file", "txt")
    text = world.read(a)
    at = rng.randrange(len(text.encode()) - 1)
    data = bytearray(text.encode())
    data[at] = ord("#") if data[at] != ord("#") else ord("%")
    world.add_file(b, bytes(data))
    made = ask(rng, """
        where do {a} and {b} (first differ|differ first)?
        at which byte do {a} and {b} (start to|first) differ?
        cmp {a} {b}
        first (difference|differing byte) between {a} and {b}
        compare {a} and {b} byte by byte
        """, f"cmp {quoted(a, b)}", f"compare {a} and {b}", None, True, a=a, b=b)
    return replace(made, fails=frozenset({0}))
