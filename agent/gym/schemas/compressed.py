"""gzip, bzip2, xz and zip: with the original kept, of many files, read without unpacking."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import zipfile

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, amount, ask, folder_of, inside, several_of, stem
from nimllm.agent.gym.schemas.subjects import kind
from nimllm.agent.gym.worlds import World


def zipped(world: World, rng: random.Random) -> tuple[str, list[str]]:
    name = f"{stem(rng)}.zip"
    if name in world.entries:
        raise Unsuitable("taken")
    buffer, inner, members = io.BytesIO(), rng.choice(("", f"{stem(rng)}/")), []
    with zipfile.ZipFile(buffer, "w") as archive:
        for _ in range(rng.randint(2, 5)):
            member = inner + world.new_name()
            if member in members:
                continue
            archive.writestr(zipfile.ZipInfo(member, (2025, 3, 1, 12, 0, 0)), world.text(rng.randint(1, 4)))
            members.append(member)
    world.add_file(name, buffer.getvalue())
    return name, members


@schema("gzip.keep", "gzip bzip2 xz", weight=1.2)
def keep(world: World, rng: random.Random) -> Draft:
    name = world.pick_file(min_lines=1)
    program, end = rng.choice((("gzip", "gz"), ("gzip", "gz"), ("bzip2", "bz2"), ("xz", "xz")))
    if name.endswith((".gz", ".bz2", ".xz", ".tgz")) or f"{name}.{end}" in world.entries:
        raise Unsuitable("compressed")
    keeps = rng.random() < 0.55
    if keeps:
        return act(rng, f"""
            compress {{f}} with {program} (but|and) keep the original
            {program} {{f}}, (keep|keeping|but keep) the (original|file itself)
            {program} -k {{f}}
            (make|create) {{x}} (from|of) {{f}} and keep {{f}}
            compress {{f}} to {{x}} without (removing|deleting) {{f}}
            <want> a {program} compressed copy of {{f}}, the original (stays|must stay)
            """, f"{program} -k {quoted(name)}", f"compress {name}, keep it", f=name, x=f"{name}.{end}")
    return act(rng, f"""
        compress {{f}} with {program}
        {program} {{f}}
        (make|turn) {{f}} into {{x}}
        (replace|compress) {{f}} (by|to) {{x}}
        use {program} (on|to compress) {{f}}
        {{f}} should be compressed with {program}
        (pack|squeeze) {{f}} with {program}
        """.replace("(make|turn) {f} into", "turn {f} into").replace("(replace|compress) {f} (by|to)",
        "replace {f} by"), f"{program} {quoted(name)}", f"compress {name}", f=name, x=f"{name}.{end}")


@schema("gzip.many", "gzip", weight=0.9)
def many(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.5 else ""
    found = sorted({path.rsplit(".", 1)[1] for path in inside(world, folder) if "." in path.rsplit("/", 1)[-1][1:]})
    found = [ext for ext in found if ext.isalnum() and ext not in ("gz", "tgz")]
    if not found:
        raise Unsuitable("no extension")
    ext = rng.choice(found)
    what, more = kind(ext)
    w = "(in|inside) {d}" if folder else "(here|in this <dir>|in the current <dir>)"
    prefix = f"{quoted(folder)}/" if folder else ""
    return act(rng, """
        (gzip|compress) <all> <what> <w>
        compress <all> <what> <w> with gzip (, each by itself|, each on its own|)
        gzip (every one|each) of the <what> <w>
        <all> <what> <w> should be (gzipped|compressed with gzip)
        <want> <all> <what> <w> (gzipped|compressed as .gz)
        (save space|free some space): gzip the <what> <w>
        """, f"gzip {prefix}*.{ext}", f"compress the .{ext} files", w=w, what=what, **({"d": folder} if folder else {}),
        **more)


@schema("gzip.undo", "gunzip bunzip2 unxz", weight=1.0)
def undo(world: World, rng: random.Random) -> Draft:
    end, program, data = rng.choice((("gz", "gunzip", gzip.compress), ("gz", "gunzip", gzip.compress), ("bz2",
        "bunzip2", bz2.compress), ("xz", "unxz", lzma.compress)))
    base = f"{stem(rng)}.{rng.choice(('txt', 'log', 'csv', 'sql', 'json'))}"
    name = f"{base}.{end}"
    if base in world.entries or name in world.entries:
        raise Unsuitable("taken")
    world.add_file(name, data(world.text(rng.randint(3, 9)).encode()))
    if rng.random() < 0.45:
        return act(rng, f"""
            (decompress|uncompress|unpack) {{f}} (but|and) keep (the compressed file|it|the .{end} file)
            {program} {{f}}, (keep|keeping) the {end} file
            {program} -k {{f}}
            (make|create|get) {{x}} from {{f}} without (removing|deleting) {{f}}
            <want> both {{f}} and the uncompressed {{x}}
            """, f"{program} -k {quoted(name)}", f"decompress {name}, keep it", f=name, x=base)
    return act(rng, f"""
        (decompress|uncompress|unpack|expand) {{f}}
        {program} {{f}}
        turn {{f}} (back|) into {{x}}
        {{f}} needs to be (decompressed|uncompressed|unpacked)
        get {{x}} (back|) (out of|from) {{f}}
        undo the compression of {{f}}
        """, f"{program} {quoted(name)}", f"decompress {name}", f=name, x=base)


@schema("gzip.read", "zcat zgrep", weight=1.3)
def read(world: World, rng: random.Random) -> Draft:
    base = f"{stem(rng)}.{rng.choice(('log', 'txt', 'csv', 'log'))}"
    name, text = f"{base}.gz", world.log(rng.randint(6, 20)) if base.endswith("log") else world.text(rng.randint(5, 14))
    if name in world.entries:
        raise Unsuitable("taken")
    world.add_file(name, gzip.compress(text.encode(), mtime=0))
    found = sorted({word for word in text.replace(":", " ").split() if word.isalpha() and len(word) > 3})
    if not found:
        raise Unsuitable("no word")
    word, n = rng.choice(found), rng.choice((1, 2, 3, 5))
    way = rng.choice(("cat", "grep", "grep", "count", "lines", "head", "tail"))
    if way == "cat":
        return ask(rng, """
            (print|show|read|display) (the (content|contents) of|) {f} (without unpacking it|without decompressing it|)
            what (is in|does) the compressed file {f} X?
            zcat {f}
            cat the gzipped {f} (without unpacking|)
            <want> to (read|see) {f} without (unpacking|decompressing) it
            """.replace("(is in|does) the compressed file {f} X", "is in the compressed file {f}"),
            f"zcat {quoted(name)}", f"print {name}", None, True, f=name)
    if way == "grep":
        return ask(rng, """
            (search|grep) (the compressed|the gzipped|) {f} for {p} (without unpacking|)
            (which|what) lines of (the compressed|the gzipped|) {f} contain {p}?
            lines with {p} in {f}
            zgrep {p} {f}
            (show|print|find) the lines (with|containing) {p} in (the gzipped|) {f}
            <want> (all|the) lines of {f} that (contain|mention) {p}
            """, f"zgrep {quoted(word)} {quoted(name)}", f"search {name} for {word}", None, True, f=name, p=word)
    if way == "count":
        return ask(rng, """
            how many lines of {f} contain {p} (? it is gzipped|?)
            count the lines (with|containing|that mention) {p} in (the compressed|the gzipped|) {f}
            number of lines with {p} in {f}
            zgrep -c {p} {f}
            how often (in how many lines) is {p} mentioned in {f}?
            """.replace("how often (in how many lines) is {p} mentioned in {f}?",
            "in how many lines of {f} is {p} mentioned?"), f"zgrep -c {quoted(word)} {quoted(name)}",
            f"count {word} in {name}", "There are {output} lines.", f=name, p=word)
    if way == "lines":
        return ask(rng, """
            how many lines (does|has) (the compressed|the gzipped) {f} X?
            count the lines (of|in) (the compressed|the gzipped|) {f} (without unpacking it|)
            (number of lines|line count) (of|in) (the gzipped|) {f}
            {f} has how many lines (when unpacked|)?
            <want> the number of lines in {f} <num>
            """.replace("(does|has) (the compressed|the gzipped) {f} X", "has (the compressed|the gzipped) {f}"),
            f"zcat {quoted(name)} | wc -l", f"count the lines of {name}",
            "It has {output} lines.", f=name)
    end = "first" if way == "head" else "last"
    lines = "lines" if n > 1 else "line"
    return ask(rng, f"""
        <show> the {end} {{n}} {lines} of (the compressed|the gzipped|) {{f}}
        {end} {{n}} {lines} of {{f}} (without unpacking it|, it is gzipped|)
        (what are|print) the {end} {{n}} {lines} of the (gzipped|compressed) {{f}}
        <want> the {end} {{n}} {lines} of {{f}} without (unpacking|decompressing) it
        zcat the {end} {{n}} {lines} of {{f}}
        """.replace("(what are|print) the", "print the"), f"zcat {quoted(name)} | {way} -n {n}",
        f"print the {end} lines of {name}", None, True, f=name,
        n=amount(rng, n) if n > 1 else "")


@schema("zip.make", "zip", weight=1.2)
def make_zip(world: World, rng: random.Random) -> Draft:
    name = f"{stem(rng)}.zip"
    if name in world.entries:
        raise Unsuitable("taken")
    way = rng.choice(("files", "kind", "folder"))
    if way == "folder":
        source = folder_of(world, rng)
        return act(rng, """
            zip (the <dir>|) {d} (to|into|as) {a}
            zip up {d} (with everything in it|and all its contents|) as {a}
            (create|make) (the zip|) {a} (from|of) (the <dir>|) {d}
            (pack|compress) {d} (recursively|) into (the zip file|) {a}
            <want> {d} as (a zip|a zip file|) {a}
            (back up|send me|mail) {d}: make {a} (from|of) it
            """.replace("(back up|send me|mail) {d}: make", "to mail {d}, make"), f"zip -qr {quoted(name, source)}",
            f"zip {source} into {name}", a=name, d=source)
    if way == "kind":
        found = sorted({path.rsplit(".", 1)[1] for path in inside(world, "") if "." in path[1:]})
        found = [ext for ext in found if ext.isalnum()]
        if not found:
            raise Unsuitable("no extension")
        ext = rng.choice(found)
        what, more = kind(ext)
        return act(rng, """
            zip <all> <what> (here|in this <dir>) (into|to|as) {a}
            (create|make) {a} (from|with|of) <all> <what> (here|in this <dir>)
            (put|pack) <all> <what> here into (the zip|a zip file|) {a}
            <all> <what> here should go into {a}
            zip {star} to {a}
            """, f"zip -q {quoted(name)} *.{ext}", f"zip the .{ext} files", what=what, a=name, **more)
    found = world.files()
    if len(found) < 3:
        raise Unsuitable("too few")
    some = rng.sample(found, rng.choice((1, 2, 2, 3)))
    return act(rng, """
        zip {x} (into|to|as) {a}
        (create|make) {a} (from|with|containing) {x}
        (put|pack) {x} into (the zip|a zip file|) {a}
        {a} should (contain|hold) {x}
        <want> {x} in (a zip file called|) {a}
        compress {x} (to|into) {a}
        """, f"zip -q {quoted(name, *some)}", f"zip the files into {name}", protected=some, a=name, x=several_of(rng,
        some))


@schema("zip.open", "unzip", weight=1.4)
def open_zip(world: World, rng: random.Random) -> Draft:
    name, members = zipped(world, rng)
    way = rng.choice(("here", "into", "list", "count", "print", "one"))
    if way == "here":
        return act(rng, """
            unzip {a} (here|)
            (extract|unpack|open) (the zip|the zip file|) {a} (here|)
            (extract|unpack) everything (from|in) {a}
            <want> the (contents|files) of {a} (here|unpacked)
            {a} needs to be unzipped
            """, f"unzip -q {quoted(name)}", f"unzip {name}", a=name)
    if way == "into":
        folder = rng.choice((world.pick_dir(), stem(rng)))
        return act(rng, """
            unzip {a} (into|to|in) {d}
            (extract|unpack) (the zip|the zip file|) {a} (into|to) (the <dir>|) {d}
            put the contents of {a} into {d}
            <want> {a} unzipped in {d}
            {a} should be (unzipped|unpacked) into {d}
            """, f"unzip -q {quoted(name)} -d {quoted(folder)}", f"unzip {name} into {folder}", a=name, d=folder)
    if way == "list":
        if rng.random() < 0.5:
            return ask(rng, """
                (list|show) the (contents|files) of (the zip|the zip file|) {a} (with sizes|)
                what is in (the zip|the zip file|) {a}?
                (look|have a look) into {a} without (unzipping|unpacking) it
                unzip -l {a}
                (which|what) files (are in|does) {a} X?
                """.replace("(are in|does) {a} X", "are in {a}"), f"unzip -l {quoted(name)}", f"list {name}", None,
                True, a=name)
        return ask(rng, """
            <list> (only|just) the names of the files in (the zip|the zip file|) {a}
            names of (the files|what is) in (the zip|) {a}, (one per line|nothing else|no sizes)
            file names inside {a}, one per line
            <want> only the names of the members of {a}
            zip contents of {a}: names only
            """, f"unzip -Z1 {quoted(name)}", f"list the names in {name}", None, True, a=name)
    if way == "count":
        return ask(rng, """
            how many files are in (the zip|the zip file|) {a}?
            count the (files|entries) in (the zip|) {a}
            number of (files|entries) (in|inside) {a}
            <want> the number of files in {a} <num>
            """, f"unzip -Z1 {quoted(name)} | wc -l", f"count the files in {name}", "It has {output} files.", a=name)
    one = rng.choice(members)
    if way == "print":
        return ask(rng, """
            (print|show) {m} (from|in|inside) (the zip|) {a} (without unzipping|)
            (print|show) the (content|contents) of {m} inside (the zip|) {a}
            what is written in {m} inside {a}?
            cat {m} out of {a}
            """, f"unzip -p {quoted(name, one)}", f"print {one} of {name}", None, True, a=name, m=one)
    return act(rng, """
        (extract|unzip|get) (only|just) {m} (from|out of) {a}
        unzip (the file|) {m} from {a} (, nothing else|)
        from (the zip|) {a}, (extract|unpack) (only|just|) {m}
        <want> (only|just) {m} from (the zip|) {a}
        """, f"unzip -q {quoted(name, one)}", f"extract {one} from {name}", a=name, m=one)


