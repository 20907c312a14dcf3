"""Finding by age and size: minutes, days, dates, another file, a range; with a kind of file, and as a count."""

from __future__ import annotations

import calendar
import random
import time

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import ask, count, kind_or_files, under
from nimllm.agent.gym.schemas.subjects import below, scope
from nimllm.agent.gym.worlds import DAY, NOW, World


@schema("find.minutes", "find", weight=0.9)
def minutes(world: World, rng: random.Random) -> Draft:
    world.recent = True
    folder, where, slots = scope(world, rng, 0.3)
    ages = [(NOW - world.entries[path].mtime) / 60 for path in under(world, folder)]
    n, said, unit = rng.choice(((240, "4", "hours"), (360, "6", "hours"), (720, "12", "hours"), (180, "3", "hours"),
        (600, "600", "minutes"),
                                (300, "300", "minutes"), (480, "8", "hours"), (900, "15", "hours"), (2880, "48",
                                "hours")))
    older = rng.random() < 0.3
    if any(abs(age - n) < 20 for age in ages) or not any((age > n) == older for age in ages):
        raise Unsuitable("at the border")
    if older:
        return ask(rng, """
            <find> (all|the|) files <w> older than {n} {u}
            (which|what) files <w> are older than {n} {u}?
            files <w> (changed|modified) more than {n} {u} ago
            files <w> (not|that were not) (changed|modified|touched) (in|for) the last {n} {u}
            """.replace("(not|that were not)", "not"), f"find {below(folder)} -type f -mmin +{n}",
            f"find files older than {said} {unit}", w=where, n=said, u=unit, **slots)
    return ask(rng, """
        <find> (all|the|) files <w> (changed|modified|edited) (in|within|during) the last {n} {u}
        (which|what) files <w> (changed|were modified|were edited) in the (last|past) {n} {u}?
        files <w> (modified|changed) (less than {n} {u} ago|in the past {n} {u})
        what did (I|we|somebody) change <w> in the last {n} {u} (, files only|)?
        files <w> from the last {n} {u}
        (recent|fresh) files <w>: (changed|modified) within {n} {u}
        files (newer|younger) than {n} {u} <w>
        """, f"find {below(folder)} -type f -mmin -{n}", f"find files changed in the last {said} {unit}", w=where,
        n=said, u=unit, **slots)


@schema("find.recent_kind", "find", weight=1.3)
def recent_kind(world: World, rng: random.Random) -> Draft:
    """Age in days with a folder, a kind, or as a count."""
    world.recent = True
    folder, where, slots = scope(world, rng, 0.5)
    name, what, more = kind_or_files(world, rng, folder, 0.5)
    ext = name[10:-1] if name else None
    ages = [(NOW - world.entries[path].mtime) // DAY for path in under(world, folder, ext)]
    n, older = rng.choice((1, 2, 3, 5, 7, 7, 10, 14, 21, 30, 60, 90)), rng.random() < 0.35
    if not any((age > n) if older else (age < n) for age in ages):
        raise Unsuitable("none")
    tail = count(rng)
    days = "day" if n == 1 else "days"
    period = ("(the last day|the last 24 hours)" if n == 1 else "(the last week|the last 7 days)" if n == 7
              else "(the last|the past) {n} days")
    said = f"(older than {{n}} {days}|last modified more than {{n}} {days} ago|not changed for more than {{n}} {days})"
    said = said if older else (
        f"(changed|modified|edited) in {period}")
    command = f"find {below(folder)} -type f{name} -mtime {'+' if older else '-'}{n}{tail}"
    if tail:
        return ask(rng, f"""
            how many <what> <w> were {said}?
            count the <what> <w> (that were|) {said}
            number of <what> <w> {said}
            <what> <w> {said}: how many?
            """.replace("were (older", "are (older").replace("were {said}", said), command,
            "count the files of that age", "There are {output}.",
            w=where, what=what, n=n, **slots, **more)
    return ask(rng, f"""
        <find> <all> <what> <w> {said}
        which <what> <w> are {said}?
        <what> <w> {said}
        <want> the <what> <w> {said}
        (look for|search for|find) <what> {said} <w>
        are there (any|) <what> <w> {said}?
        """.replace("which <what> <w> are", "which <what> <w> were" if not older else "which <what> <w> are"), command,
        "find the files of that age",
        w=where, what=what, n=n, **slots, **more)


@schema("find.since_date", "find", weight=1.0)
def since_date(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.35)
    stamps = sorted(world.entries[path].mtime for path in under(world, folder))
    if len(stamps) < 2:
        raise Unsuitable("too few")
    day = time.strftime("%Y-%m-%d", time.gmtime(rng.choice(stamps) + rng.randint(-3, 3) * DAY))
    at = rng.random()
    start = float(calendar.timegm(time.strptime(day, "%Y-%m-%d")))
    if at < 0.5:
        if not any(stamp > start for stamp in stamps):
            raise Unsuitable("none")
        return ask(rng, """
            <find> (all|the|) files <w> (changed|modified) (since|after) {d}
            (which|what) files <w> (changed|were modified) (since|after) {d}?
            files <w> newer than {d}
            files <w> (modified|changed|last changed) (on or after|since) {d}
            everything <w> that (changed|was modified) since {d} (, files only|)
            <want> the files <w> from {d} on
            """, f"find {below(folder)} -type f -newermt {day}", f"find files changed since {day}", w=where, d=day,
            **slots)
    if at < 0.8:
        if not any(stamp <= start for stamp in stamps):
            raise Unsuitable("none")
        return ask(rng, """
            <find> (all|the|) files <w> (last changed|last modified|not changed since|from) before {d}
            (which|what) files <w> (were last modified|are from) before {d}?
            files <w> older than {d}
            files <w> not (changed|modified) since {d}
            <want> the files <w> from before {d}
            """.replace("(last changed|last modified|not changed since|from) before",
            "(last changed|last modified|from) before"),
            f"find {below(folder)} -type f -not -newermt {day}", f"find files from before {day}", w=where, d=day,
            **slots)
    end = time.strftime("%Y-%m-%d", time.gmtime(start + rng.choice((7, 30, 60, 180, 365)) * DAY))
    stop = float(calendar.timegm(time.strptime(end, "%Y-%m-%d")))
    if not any(start < stamp <= stop for stamp in stamps):
        raise Unsuitable("none")
    return ask(rng, """
        <find> (all|the|) files <w> (changed|modified) between {d} and {e}
        (which|what) files <w> (changed|were modified) between {d} and {e}?
        files <w> from {d} to {e} (by modification time|by date|)
        files <w> modified after {d} but before {e}
        """, f"find {below(folder)} -type f -newermt {day} -not -newermt {end}",
        f"find files changed between {day} and {end}", w=where, d=day,
        e=end, **slots)


@schema("find.newer_in", "find", weight=0.7)
def newer_in(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.6)
    path = world.pick_file()
    name, what, more = kind_or_files(world, rng, folder, 0.4)
    ext = name[10:-1] if name else None
    older = rng.random() < 0.35
    mine = world.entries[path].mtime
    if not any((world.entries[other].mtime > mine) != older and other != path for other in under(world, folder, ext)):
        raise Unsuitable("none")
    said = "not newer than {f}" if older else (
        "(newer than {f}|changed after {f}|modified after {f}|more recent than {f})")
    return ask(rng, f"""
        <find> (all|the|) <what> <w> {said}
        which <what> <w> are {said}?
        <what> <w> {said}
        <want> <what> <w> that are {said}
        compare with {{f}}: which <what> <w> are {said}?
        """.replace("compare with {f}: which <what> <w> are {said}?", "").replace("are (newer than {f}|changed",
        "are (newer than {f}|changed"),
        f"find {below(folder)} -type f{name} {'-not ' if older else ''}-newer {quoted(path)}",
        f"find files {'not ' if older else ''}newer than {path}",
        w=where, what=what, f=path, **slots, **more)


@schema("find.size_range", "find", weight=0.8)
def size_range(world: World, rng: random.Random) -> Draft:
    folder, where, slots = scope(world, rng, 0.3)
    files = under(world, folder)
    sizes = [len(world.entries[path].content) for path in files]
    at = rng.random()
    if at < 0.3 and files:
        n = rng.choice(sizes)
        return ask(rng, """
            <find> (all|the|) files <w> (of|with) exactly {n} bytes
            (which|what) files <w> are exactly {n} bytes (large|big|long)?
            files <w> with a size of (exactly|) {n} bytes
            files <w> whose size is {n} bytes
            <want> files <w> that have {n} bytes, (no more, no less|exactly)
            """, f"find {below(folder)} -type f -size {n}c", f"find files of {n} bytes", w=where, n=n, **slots)
    low = rng.choice((10, 50, 100, 200))
    high = low + rng.choice((100, 200, 300, 500, 900))
    if not any(low < size < high for size in sizes):
        raise Unsuitable("none")
    return ask(rng, """
        <find> (all|the|) files <w> (larger|bigger) than {a} (bytes|) (and|but) smaller than {b} bytes
        (which|what) files <w> are between {a} and {b} bytes (large|)?
        files <w> (with a size|) between {a} and {b} bytes
        files <w> over {a} but under {b} bytes
        <want> files <w> from {a} to {b} bytes in size
        """, f"find {below(folder)} -type f -size +{low}c -size -{high}c", f"find files between {low} and {high} bytes",
        w=where, a=low, b=high, **slots)


@schema("find.size_kind", "find", weight=1.2)
def size_kind(world: World, rng: random.Random) -> Draft:
    """A size with a kind, or as a count."""
    folder, where, slots = scope(world, rng, 0.5)
    test, what, more = kind_or_files(world, rng, folder, 0.6)
    ext = test[10:-1] if test else None
    big = rng.random() < 0.65
    n, unit, factor, word = rng.choice(((100, "c", 1, "bytes"), (200, "c", 1, "bytes"), (500, "c", 1, "bytes"), (1, "k",
        1024, "(KB|kilobyte|K|kB)"), (rng.randint(40, 900), "c", 1, "bytes")))
    if not big and unit == "k":
        raise Unsuitable("rounds")
    sizes = [len(world.entries[path].content) for path in under(world, folder, ext)]
    if not any(size > n * factor if big else size < n for size in sizes):
        raise Unsuitable("none")
    side = "larger than|bigger than|over|above|of more than" if big else "smaller than|under|below|of less than"
    said = f"({side}) {{n}} {word}"
    tail = count(rng, 0.35)
    command = f"find {below(folder)} -type f{test} -size {'+' if big else '-'}{n}{unit}{tail}"
    if tail:
        return ask(rng, f"""
            how many <what> <w> are {said}?
            count the <what> <w> {said}
            number of <what> <w> {said}
            <what> {said} <w>: how many?
            """.replace("are (larger than|bigger than|over|above|of more than)",
            "are (larger than|bigger than)").replace(
            "are (smaller than|under|below|of less than)", "are smaller than"), command, "count the files of that size",
            "There are {output}.", w=where, what=what, n=n, **slots, **more)
    return ask(rng, f"""
        <find> <all> <what> <w> {said}
        which <what> <w> are {said}?
        <what> <w> {said}
        <want> the <what> <w> {said}
        (look|search) for <what> {said} <w>
        (are there|do we have) <what> {said} <w>?
        """, command, "find the files of that size", w=where, what=what, n=n, **slots, **more)


