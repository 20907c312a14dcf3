"""tar in all its kinds: several files, parts left out, single members, counts."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import tarfile
from pathlib import PurePosixPath

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, ask, folder_of, inside, several_of, stem, under
from nimllm.agent.gym.schemas.subjects import kind, some_ext
from nimllm.agent.gym.worlds import World

_ENDS = (("tar.gz", "z"), ("tgz", "z"), ("tar", ""), ("tar.bz2", "j"), ("tar.xz", "J"), ("tar.gz", "z"))
_ARCHIVE = "(archive|tarball|tar archive|tar file)"


def packed(world: World, rng: random.Random, top: bool = False) -> tuple[str, str, list[str]]:
    """A new tar archive, the letter of its compression, its members' paths; ``top``: all below one folder."""
    end, letter = rng.choice(_ENDS)
    name = f"{stem(rng)}.{end}"
    if name in world.entries:
        raise Unsuitable("taken")
    buffer, inner = io.BytesIO(), f"{stem(rng)}/" if top or rng.random() < 0.5 else ""
    members: list[str] = []
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for _ in range(rng.randint(2, 5)):
            data = world.text(rng.randint(1, 5)).encode()
            info = tarfile.TarInfo(inner + world.new_name())
            if info.name in members:
                continue
            info.size, info.mtime = len(data), 1_760_000_000
            tar.addfile(info, io.BytesIO(data))
            members.append(info.name)
    raw = buffer.getvalue()
    squeeze = {"z": lambda: gzip.compress(raw, mtime=0), "j": lambda: bz2.compress(raw),
        "J": lambda: lzma.compress(raw), "": lambda: raw}
    world.add_file(name, squeeze[letter]())
    return name, letter, members


@schema("tar.create_kind", "tar", weight=1.5)
def create_kind(world: World, rng: random.Random) -> Draft:
    source, (end, letter) = folder_of(world, rng), rng.choice(_ENDS)
    name = f"{rng.choice((stem(rng), 'backup', PurePosixPath(source).name.replace(' ', '_')))}.{end}"
    if name in world.entries:
        raise Unsuitable("taken")
    how = {"z": "(gzip compressed|gzipped|compressed with gzip)", "j": "(bzip2 compressed|compressed with bzip2)",
           "J": "(xz compressed|compressed with xz)", "": "(uncompressed|not compressed|plain)"}[letter]
    return act(rng, f"""
        (create|make|build) {{a}} (from|of|out of) (the <dir>|) {{d}}
        (create|make) (a|an) {how} {_ARCHIVE} {{a}} (of|from) (the <dir>|) {{d}}
        (pack|archive|tar|bundle) (the <dir>|) {{d}} (into|as|to) {{a}}
        {{d}} as {{a}} (, {how}|)
        <want> (the <dir>|) {{d}} (packed|archived) (in|as|into) {{a}}
        (back up|backup) (the <dir>|) {{d}} (to|into|as) {{a}}
        tar up {{d}} (to|into|as) {{a}}
        (put|pack) everything (in|from|of) {{d}}, with the <dir> itself, into {{a}}
        """.replace("a|an) (uncompressed", "an) (uncompressed").replace("(a|an)", "a").replace("an) (uncompressed",
        "(uncompressed"),
        f"tar -c{letter}f {quoted(name, source)}", f"pack {source} into {name}", a=name, d=source)


@schema("tar.create_files", "tar", weight=1.1)
def create_files(world: World, rng: random.Random) -> Draft:
    end, letter = rng.choice(_ENDS[:3])
    name = f"{stem(rng)}.{end}"
    if rng.random() < 0.5:
        ext = some_ext(world, rng)
        if not [path for path in inside(world, "") if path.endswith(f".{ext}")] or name in world.entries:
            raise Unsuitable("none here")
        what, more = kind(ext)
        return act(rng, """
            (pack|archive|tar|bundle) <all> <what> (here|in this <dir>) (into|to|in) {a}
            (create|make) {a} (from|of|with) <all> <what> (here|in this <dir>|in the current <dir>)
            (create|make) (an archive|a tarball|the archive|a tar file) {a} with <all> <what> (here|of this <dir>)
            <all> <what> here should go into {a}
            tar {star} into {a}
            <want> <all> <what> of this <dir> in {a}
            """, f"tar -c{letter}f {quoted(name)} *.{ext}", f"pack the .{ext} files into {name}", what=what, a=name,
            **more)
    found = world.files()
    if len(found) < 3 or name in world.entries:
        raise Unsuitable("too few")
    some = rng.sample(found, rng.choice((2, 2, 3)))
    return act(rng, """
        (pack|archive|tar|bundle) {x} (into|in|to) {a}
        (create|make) {a} (from|with|out of) {x}
        (create|make) (an archive|a tarball|the archive|a tar file) {a} (with|of|containing) {x}
        put {x} (into|in) the (archive|tarball) {a}
        {a} should (contain|hold) {x}
        <want> {x} together in {a}
        tar {a} {x}
        """.replace("tar {a} {x}", "tar up {x} as {a}"), f"tar -c{letter}f {quoted(name, *some)}",
        f"pack the files into {name}", protected=some, a=name, x=several_of(rng, some))


@schema("tar.create_inside", "tar", weight=0.9)
def create_inside(world: World, rng: random.Random) -> Draft:
    source, name = folder_of(world, rng), f"{stem(rng)}.tar.gz"
    if name in world.entries:
        raise Unsuitable("taken")
    return act(rng, """
        (pack|archive) the contents of {d} into {a}, without the <dir> itself
        (create|make) {a} (from|of) what is in {d}, not with (a|the) top <dir>
        {a} should hold the files of {d} (without|but not) the leading {d}/
        tar the contents of {d} into {a}, paths relative to {d}
        <want> {a} with the contents of {d} at its (top|root)
        (pack|archive) {d} into {a} so that unpacking makes no <dir> {d}
        """, f"tar -czf {quoted(name)} -C {quoted(source)} .", f"pack the contents of {source} into {name}", a=name,
        d=source)


@schema("tar.exclude", "tar", weight=0.9)
def exclude(world: World, rng: random.Random) -> Draft:
    source = folder_of(world, rng, 2)
    ext = some_ext(world, rng, source)
    if all(path.endswith(f".{ext}") for path in under(world, source)):
        raise Unsuitable("only these")
    name = f"{stem(rng)}.tar.gz"
    if name in world.entries:
        raise Unsuitable("taken")
    what, more = kind(ext)
    return act(rng, """
        (pack|archive|tar) {d} into {a} (without|except|but not|excluding|leaving out) the <what>
        (create|make) {a} (of|from) {d} (without|excluding) the <what>
        (create|make) (a|the) (tarball|archive) {a} of {d}, but (leave out|skip|exclude) the <what>
        back up {d} as {a}, (no|without) <what>
        {a} should hold {d} without its <what>
        tar {d} to {a}, exclude {star}
        """, f"tar -czf {quoted(name)} --exclude='*.{ext}' {quoted(source)}", f"pack {source} without the .{ext} files",
        what=what, a=name, d=source, **more)


@schema("tar.extract_kind", "tar", weight=1.5)
def extract_kind(world: World, rng: random.Random) -> Draft:
    name, letter, _ = packed(world, rng)
    if rng.random() < 0.5:
        folder = world.pick_dir() if rng.random() < 0.5 else ""
        if folder:
            return act(rng, f"""
                (extract|unpack|untar) {{a}} (into|to|in|inside) (the <dir>|) {{d}}
                (extract|unpack) the {_ARCHIVE} {{a}} into {{d}}
                (unpack|put) everything (from|in) {{a}} (into|to) {{d}}
                untar {{a}} in {{d}}
                <want> the contents of {{a}} in {{d}}
                {{a}} should be (unpacked|extracted) into {{d}}
                """, f"tar -x{letter}f {quoted(name)} -C {quoted(folder)}", f"unpack {name} into {folder}", a=name,
                d=folder)
        folder = stem(rng)
        if folder in world.entries:
            raise Unsuitable("taken")
        return act(rng, f"""
            (extract|unpack|untar) {{a}} into a new <dir> (called|named|) {{d}}
            (create|make) (the <dir>|) {{d}} and (extract|unpack) {{a}} (there|into it)
            (extract|unpack) the {_ARCHIVE} {{a}} into {{d}}, which (does not exist|is not there) yet
            unpack {{a}} into {{d}}, create the <dir> (first|if needed)
            <want> {{a}} unpacked in a fresh <dir> {{d}}
            """, f"mkdir -p {quoted(folder)} && tar -x{letter}f {quoted(name)} -C {quoted(folder)}",
            f"unpack {name} into the new {folder}", a=name, d=folder)
    return act(rng, f"""
        (extract|unpack|untar) (the {_ARCHIVE}|) {{a}} (here|)
        (extract|unpack) (everything|all files) (from|in|out of) {{a}} (here|)
        untar {{a}}
        (open up|unpack) {{a}} (in this <dir>|here|)
        <want> the (files|contents) of {{a}} (here|unpacked|in this <dir>)
        {{a}} needs to be (unpacked|extracted) (here|)
        (decompress|expand) the {_ARCHIVE} {{a}}
        tar x {{a}}
        """, f"tar -x{letter}f {quoted(name)}", f"unpack {name}", a=name)


@schema("tar.member", "tar", weight=1.2)
def member(world: World, rng: random.Random) -> Draft:
    name, letter, members = packed(world, rng)
    one = rng.choice(members)
    if rng.random() < 0.5:
        return act(rng, """
            (extract|unpack|get) (only|just) {m} (from|out of) {a}
            (extract|unpack) the file {m} from (the archive|) {a}
            get {m} out of {a} (, nothing else|)
            from {a}, (extract|unpack) {m} (only|)
            <want> (only|just) {m} from (the archive|the tarball|) {a}
            (restore|recover) {m} from {a}
            """, f"tar -x{letter}f {quoted(name, one)}", f"extract {one} from {name}", a=name, m=one)
    return ask(rng, """
        (print|show) {m} (from|in|inside) (the archive|) {a} (without (extracting|unpacking) (it|)|)
        (print|show) (the contents|the content) of {m} inside {a}
        what (does {m} say|is written in {m}) inside (the archive|) {a}?
        cat {m} (from|out of) {a} (without unpacking|to the terminal|)
        read {m} (in|from) {a} without (extracting|unpacking) it
        """, f"tar -xO{letter}f {quoted(name, one)}", f"print {one} of {name}", None, True, a=name, m=one)


@schema("tar.strip", "tar", weight=0.6)
def strip(world: World, rng: random.Random) -> Draft:
    name, letter, _ = packed(world, rng, True)
    folder = world.pick_dir() if world.dirs() and rng.random() < 0.5 else ""
    d = "into {d}" if folder else "(here|)"
    return act(rng, f"""
        (extract|unpack) {{a}} {d} without (its|the) (top|top-level|leading|first) <dir>
        (extract|unpack) {{a}} {d}, (strip|drop|remove) the (first|leading) (path component|<dir>)
        untar {{a}} {d} and strip one level
        unpack the files of {{a}} {d}, but not its top <dir>
        <want> {{a}} unpacked {d} with the top <dir> (stripped|left out)
        """, f"tar -x{letter}f {quoted(name)}" + (f" -C {quoted(folder)}" if folder else "") + " --strip-components=1",
        f"unpack {name} without its top folder",
        a=name, **({"d": folder} if folder else {}))


@schema("tar.look", "tar", weight=1.4)
def look(world: World, rng: random.Random) -> Draft:
    name, letter, members = packed(world, rng)
    at = rng.random()
    if at < 0.35:
        return ask(rng, f"""
            how many (files|entries|members) (are in|does) (the {_ARCHIVE}|) {{a}} X?
            count the (files|entries|members) (in|of) {{a}} (without (unpacking|extracting)|)
            number of (files|entries|members) (in|inside) (the archive|) {{a}}
            <want> the number of (files|entries) in {{a}} <num>
            {{a}} (holds|contains) how many (files|entries)?
            """.replace("(are in|does) (the " + _ARCHIVE + "|) {a} X", "are in (the " + _ARCHIVE + "|) {a}"),
            f"tar -t{letter}f {quoted(name)} | wc -l", f"count the members of {name}", "It has {output} entries.",
            a=name)
    if at < 0.55:
        word = rng.choice((rng.choice(members).rsplit("/", 1)[-1], names.word(rng)))
        present = any(word in one for one in members)
        if not present or not word.replace("-", "").replace("_", "").replace(".", "").isalnum():
            raise Unsuitable("not there")
        return ask(rng, """
            is {p} in (the archive|) {a}? (show the path|print its path|)
            (find|look for|search) {p} in (the archive|the tarball|) {a}
            where in {a} is {p}?
            under which path does {a} hold {p}?
            (list|show) the entries of {a} that contain {p} (in their name|)
            """, f"tar -t{letter}f {quoted(name)} | grep -F {quoted(word)}", f"look for {word} in {name}", a=name,
            p=word)
    if at < 0.7:
        return ask(rng, f"""
            <list> the contents of {{a}} with (details|sizes and dates|sizes)
            (detailed|verbose) list of (the {_ARCHIVE}|) {{a}}
            what is in {{a}}, with sizes (and dates|)?
            how (big|large) are the files (in|inside) (the archive|) {{a}}?
            """, f"tar -t{letter}vf {quoted(name)}", f"list {name} with details", None, True, a=name)
    return ask(rng, f"""
        <list> the (contents|files|members|entries) (of|in) (the {_ARCHIVE}|) {{a}}
        what (is in|does) (the {_ARCHIVE}|) {{a}} X?
        what's in {{a}}? (don't unpack|without unpacking|)
        (which|what) files (are in|are inside|does) {{a}} Y?
        table of contents of {{a}}
        look into {{a}} without (extracting|unpacking) (it|)
        <want> to know what {{a}} (contains|holds)
        contents of (the archive|) {{a}}
        """.replace("(is in|does) (the " + _ARCHIVE + "|) {a} X",
        "is in (the " + _ARCHIVE + "|) {a}").replace("(are in|are inside|does) {a} Y", "(are in|are inside) {a}"),
        f"tar -t{letter}f {quoted(name)}", f"list {name}", None, True, a=name)


@schema("tar.append", "tar", weight=0.5)
def append(world: World, rng: random.Random) -> Draft:
    buffer, name = io.BytesIO(), f"{stem(rng)}.tar"
    source = world.pick_file()
    if name in world.entries:
        raise Unsuitable("taken")
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        info = tarfile.TarInfo(world.new_name())
        info.size, info.mtime = 3, 1_760_000_000
        tar.addfile(info, io.BytesIO(b"ab\n"))
    world.add_file(name, buffer.getvalue())
    return act(rng, """
        (add|append) {f} to (the archive|the tar archive|) {a}
        put {f} into (the existing archive|) {a} (too|as well)
        (add|append) the file {f} to the (existing|) (tar|tar archive|archive) {a}
        {a} should contain {f} (too|as well|in addition)
        (include|add) {f} in the (existing|) tarball {a}
        """, f"tar -rf {quoted(name, source)}", f"add {source} to {name}", a=name, f=source)


@schema("tar.dated", "tar date", weight=0.6)
def dated(world: World, rng: random.Random) -> Draft:
    source = folder_of(world, rng)
    base = stem(rng) + rng.choice("-_")
    return act(rng, """
        (pack|archive|back up) {d} into {b}YYYY-MM-DD.tar.gz with today's date
        (create|make) {b}DATE.tar.gz of {d}, DATE being today (as YYYY-MM-DD|in ISO form)
        a dated backup of {d}: {b}YYYY-MM-DD.tar.gz
        tar {d} to {b}<today>.tar.gz, date as YYYY-MM-DD
        <want> {d} in a tarball {b}YYYY-MM-DD.tar.gz (named after|for|with) today's date
        """.replace("<today>", "YYYY-MM-DD").replace(", date as YYYY-MM-DD",
        ", with the date of today").replace("(named after|for|with)", "with"),
        f"tar -czf {base}$(date +%F).tar.gz {quoted(source)}", f"pack {source} with today's date", d=source, b=base)
