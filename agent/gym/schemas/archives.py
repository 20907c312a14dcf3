"""Packing and unpacking: tar, gzip, zip."""

from __future__ import annotations

import random
from pathlib import PurePosixPath

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted, single
from nimllm.agent.gym.worlds import World

_FOLDER = "(folder|directory|dir|folder|directory)"


@schema("archive.create", "tar", weight=1.3)
def archive(world: World, rng: random.Random) -> Draft:
    source = world.pick_dir()
    name = rng.choice((PurePosixPath(source).name, world.new_name("dir"), world.word())) + rng.choice((".tar.gz",
        ".tar.gz", ".tgz"))
    return single(rng, (
        "I need (the folder|the directory|) {d} as {a}",
        "bundle {d} (up|) as {a}",
        "make a backup {a} of {d}",
        "(please|) tar and gzip {d} (as|into) {a}",
        "(compressed|gzipped) tarball {a} of {d}",
        "wrap {d} up in {a}",
        "everything in {d} should be in {a}, compressed",
        f"(create|make) (a tar archive|an archive|a tarball) (called|named|) {{a}} (of|from) (the {_FOLDER}|) {{d}}",
        f"(pack|archive|compress) (the {_FOLDER}|) {{d}} (into|to|as) {{a}}",
        "tar {d} (into|to) {a}", f"(put|pack) the (whole|) {_FOLDER} {{d}} into (the archive|) {{a}}",
        f"(back up|backup) (the {_FOLDER}|) {{d}} (as|to|into) {{a}}",
        f"make {{a}} (from|out of) (the {_FOLDER}|) {{d}}",
        "{a} should be (a compressed archive|a tarball) of {d}"),
        f"tar -czf {quoted(name, source)}", f"pack {source} into {name}", False, a=name, d=source)


@schema("archive.extract", "tar", weight=1.2)
def extract(world: World, rng: random.Random) -> Draft:
    name = _tarball(world, rng)
    return single(rng, (
        "I need what is in {a} (unpacked here|here)",
        "{a}: unpack (it|) here",
        "somebody sent me {a}, (unpack|extract) it",
        "(please|) extract {a} (here|)",
        "pull the files out of {a}",
        "restore the files from {a}",
        "(extract|unpack) (the archive|the tarball|) {a} (here|)", "untar {a}",
        "(open|unpack|expand) (the archive|) {a} (in this folder|here|)",
        "(get|take) the files out of {a}", "unpack everything (from|in) {a}",
        "decompress (the tarball|the archive|) {a}"),
        f"tar -xzf {quoted(name)}", f"unpack {name}", False, a=name)


@schema("archive.extract_into", "tar", weight=0.7)
def extract_into(world: World, rng: random.Random) -> Draft:
    name, folder = _tarball(world, rng), world.pick_dir()
    return single(rng, (
        "{a} belongs in {d}, unpack it there",
        "(please|) extract {a} in {d}",
        "I need the files of {a} in {d}",
        "{a} -> unpack into {d}",
        f"(extract|unpack) (the archive|) {{a}} into (the {_FOLDER}|) {{d}}", "untar {a} into {d}",
        f"unpack {{a}} (inside|in) (the {_FOLDER}|) {{d}}",
        "put the (contents|files) of {a} into {d}", "(extract|unpack) everything (from|in) {a} to {d}",
        "decompress {a} to {d}"),
        f"tar -xzf {quoted(name)} -C {quoted(folder)}", f"unpack {name} into {folder}", False, a=name, d=folder)


@schema("archive.list", "tar")
def list_archive(world: World, rng: random.Random) -> Draft:
    name = _tarball(world, rng)
    return single(rng, (
        "I want to know what is in {a} before I unpack it",
        "peek into {a}",
        "{a}: which files are in it?",
        "show me what {a} (holds|contains), don't unpack",
        "(file|) list of {a}",
        "tell me the names of the files in {a}",
        "(list|show) the (contents|files) of (the archive|) {a} (without unpacking|)",
        "what is in (the archive|the tarball|) {a}?", "which files are (in|inside) {a}?",
        "(list|show) (the|all) files in (the archive|) {a}", "contents of {a}", "what does {a} contain?"),
        f"tar -tzf {quoted(name)}", f"list {name}", True, a=name)


@schema("gzip.compress", "gzip", weight=0.8)
def compress(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    if name.endswith((".gz", ".tgz")) or f"{name}.gz" in world.entries:
        raise Unsuitable("compressed")
    return single(rng, (
        "{f} is too big, gzip it",
        "(please|) compress {f} (to|into) a .gz",
        "I'd like {f} gzipped",
        "shrink {f} with gzip",
        "{f} -> {f}.gz",
        "(compress|gzip) (the file|) {f}", "compress {f} with gzip", "gzip {f}", "make {f} smaller with gzip",
        "(turn|convert) {f} into a (gz|gzip) file",
        "zip up {f} with gzip"),
        f"gzip {quoted(name)}", f"compress {name}", False, f=name)


@schema("gzip.decompress", "gunzip", weight=0.7)
def decompress(world: World, rng: random.Random) -> Draft:
    import gzip

    name = world.new_name("file", rng.choice(("txt", "log", "csv", "sql", "md"))) + ".gz"
    if name[:-3] in world.entries:
        raise Unsuitable("taken")
    world.add_file(name, gzip.compress(world.text(5).encode(), mtime=0))
    return single(rng, (
        "I need {f} uncompressed",
        "(please|) gunzip {f}",
        "{f}: decompress",
        "undo the gzip of {f}",
        "turn {f} back into a plain file",
        "(decompress|uncompress|unpack|unzip) (the file|) {f}", "gunzip {f}", "(extract|expand) {f}", "ungzip {f}",
        "get the original file (back|) (from|out of) {f}",
        "decompress {f} with gunzip"),
        f"gunzip {quoted(name)}", f"decompress {name}", False, f=name)


@schema("zip.create", "zip", weight=0.8)
def make_zip(world: World, rng: random.Random) -> Draft:
    source = world.pick_dir()
    name = rng.choice((PurePosixPath(source).name, world.word())) + ".zip"
    return single(rng, (
        "(please|) zip up {d} as {a}",
        "I have to mail {d}, zip it as {a}",
        "make {a} out of {d}",
        "a zip of {d}, called {a}",
        f"zip (the {_FOLDER}|) {{d}} (into|to|as) {{a}}",
        f"(create|make) a zip (file|archive) (called|named|) {{a}} (of|from|with) (the {_FOLDER}|) {{d}}",
        f"(pack|put) (the {_FOLDER}|) {{d}} into (the zip|the zip file|) {{a}}",
        f"compress (the {_FOLDER}|) {{d}} (to|as|into) {{a}}", "I need {d} as (a zip|) {a}",
        f"{{a}} should be a zip of (the {_FOLDER}|) {{d}}"),
        f"zip -qr {quoted(name, source)}", f"zip {source} into {name}", False, a=name, d=source)


def _tarball(world: World, rng: random.Random) -> str:
    """A new compressed tar archive with two to four files."""
    import gzip
    import io
    import tarfile

    name = world.new_name("file", rng.choice(("tar.gz", "tgz")))
    buffer, inner = io.BytesIO(), rng.choice(("", f"{world.new_name('dir')}/"))
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for _ in range(rng.randint(2, 4)):
            data = world.text(rng.randint(1, 5)).encode()
            info = tarfile.TarInfo(inner + world.new_name())
            info.size, info.mtime = len(data), 1_760_000_000
            tar.addfile(info, io.BytesIO(data))
    world.add_file(name, gzip.compress(buffer.getvalue(), mtime=0))
    return name
