"""Who may read, write and run what: chmod in words, letters and numbers, for one file and for whole trees."""

from __future__ import annotations

import random

from nimllm.agent.gym.schema import Draft, Unsuitable, schema
from nimllm.agent.gym.schemas.phrases import quoted
from nimllm.agent.gym.schemas.registers import act, ask, folder_of, inside, several_of
from nimllm.agent.gym.schemas.subjects import kind, volatile
from nimllm.agent.gym.worlds import World

# change, mode before, how it is said as (rights, whom)
_CHANGES = (
    ("u+x", 0o644, "add", "(execute permission|the execute bit|the x bit|permission to run)",
    "(for|to) the (owner|user)"),
    ("g+w", 0o644, "add", "(write permission|write access)", "(for|to) the group"),
    ("g+x", 0o644, "add", "(execute permission|the execute bit)", "(for|to) the group"),
    ("o+r", 0o640, "add", "(read permission|read access)", "(for|to) others"),
    ("o+w", 0o644, "add", "(write permission|write access)", "(for|to) others"),
    ("a+r", 0o600, "add", "(read permission|read access)", "(for|to) (everybody|everyone|all)"),
    ("a+x", 0o644, "add", "(execute permission|the execute bit)", "(for|to) (everybody|everyone|all)"),
    ("u+w", 0o444, "add", "(write permission|write access)", "(for|to) the (owner|user)"),
    ("g+rw", 0o600, "add", "read and write (permission|access)", "(for|to) the group"),
    ("ug+x", 0o644, "add", "(execute permission|the execute bit)", "(for|to) (owner and group|user and group)"),
    ("o-r", 0o644, "remove", "(read permission|read access)", "(from|for) others"),
    ("g-w", 0o664, "remove", "(write permission|write access)", "(from|for) the group"),
    ("o-w", 0o666, "remove", "(write permission|write access)", "(from|for) others"),
    ("a-x", 0o755, "remove", "(execute permission|the execute bit|the x bit)", "(from|for) (everybody|everyone|all)"),
    ("u-w", 0o644, "remove", "(write permission|write access)", "(from|for) the (owner|user)"),
    ("go-r", 0o644, "remove", "(read permission|read access)", "(from|for) (group and others|the group and others)"),
    ("go-w", 0o666, "remove", "(write permission|write access)", "(from|for) (group and others|the group and others)"),
    ("o-rwx", 0o755, "remove", "(all permissions|every permission|all rights|any access)", "(from|for) others"),
    ("go-rwx", 0o755, "remove", "(all permissions|all rights|any access)",
    "(from|for) (group and others|everybody but the owner|everyone except the owner)"),
)
_MODES = ("644", "600", "755", "700", "640", "750", "664", "444", "400", "660", "775", "770", "711")


@schema("mode.change", "chmod", weight=1.8)
def change(world: World, rng: random.Random) -> Draft:
    how, before, verb, what, whom = rng.choice(_CHANGES)
    name = world.pick_file()
    world.entries[name].mode = before
    if verb == "add":
        block = f"""
        (add|give|grant) {what} {whom} (on|for) {{f}}
        (add|grant) {what} on {{f}} {whom}
        chmod {{c}} {{f}}
        {{f}}: add {what} {whom}
        <want> {what} {whom} (on|for) {{f}}
        {{f}} needs {what} {whom}
        set {what} {whom} on {{f}}, (leave|keep) (the rest|everything else) as it is
        """
    else:
        block = f"""
        (remove|take away|revoke|drop) {what} {whom} (on|for|of) {{f}}
        (remove|revoke) {what} on {{f}} {whom}
        chmod {{c}} {{f}}
        {{f}}: (remove|no) {what} {whom}
        (take|strip) {what} on {{f}} (away|) {whom}
        no {what} {whom} (on|for) {{f}} (any more|anymore|please)
        {{f}} should (have|give) no {what} {whom}
        """
    return act(rng, block.replace("(have|give) no", "have no").replace("(from|for)",
        "for" if rng.random() < 0.5 else "from").replace(
        "take away|revoke|drop", "take away|revoke"), f"chmod {how} {quoted(name)}",
        f"change the mode of {name} by {how}", f=name, c=how)


@schema("mode.set", "chmod", weight=1.5)
def set_mode(world: World, rng: random.Random) -> Draft:
    """Modes said in letters or words."""
    name = world.pick_file()
    mode, said = rng.choice((
        ("644", "(rw-r--r--|read and write for the owner, read only for all others|owner read/write, everybody else "
        "read)"),
        ("600", "(rw-------|read and write for the owner only|owner read/write, nobody else anything)"),
        ("755", "(rwxr-xr-x|everything for the owner, read and execute for all others|owner all, others read and "
        "execute)"),
        ("700", "(rwx------|everything for the owner, nothing for anybody else|full access for the owner only)"),
        ("640", "(rw-r-----|owner read/write, group read, others nothing)"), ("750",
        "(rwxr-x---|owner all, group read and execute, others nothing)"),
        ("664", "(rw-rw-r--|owner and group read/write, others read)"), ("444",
        "(r--r--r--|read only for everybody|read for all, nothing else)"),
        ("400", "(r--------|read only for the owner, nothing for others)"), ("660",
        "(rw-rw----|read and write for owner and group, nothing for others)"),
        ("775", "(rwxrwxr-x|owner and group all, others read and execute)"), ("770",
        "(rwxrwx---|everything for owner and group, nothing for others)")))
    world.entries[name].mode = 0o622 if mode != "622" else 0o600
    return act(rng, f"""
        (set|change) the <modes> of {{f}} to {said}
        {{f}} should have the <modes> {said}
        <modes> of {{f}}: {said}
        (make|set) {{f}} {said}
        give {{f}} the <modes> {said}
        <want> {{f}} with the <modes> {said}
        chmod {{f}} (so that it has|to) {said}
        """.replace("(make|set) {f}", "set the <modes> on {f}:"), f"chmod {mode} {quoted(name)}",
        f"set the mode of {name} to {mode}", f=name)


@schema("mode.folder", "chmod", weight=0.9)
def folder_mode(world: World, rng: random.Random) -> Draft:
    name, mode = world.pick_dir(), rng.choice(("700", "750", "711", "770", "775", "500"))
    if mode == "500":
        return act(rng, """
            make the <dir> {d} read-only (, but not what is in it|, only the <dir>|)
            (remove|take away) the write permission (of|from|on) the <dir> {d}
            nobody should be able to (add|create) files in {d}
            nothing new (should|may) be created in the <dir> {d}: take its write permission away
            """.replace("make the <dir> {d} read-only (, but not what is in it|, only the <dir>|)",
            "make the <dir> {d} itself read-only"), f"chmod a-w {quoted(name)}",
            f"make {name} read-only", d=name)
    return act(rng, """
        (set|change) the <modes> of the <dir> {d} to {m} (, not recursive|)
        chmod {m} {d}
        the <dir> {d} should have mode {m} (, not its files|)
        (give|set) the <dir> {d} (mode|permissions) {m}
        {m} on the <dir> {d} (only|itself)
        <want> (mode|permissions) {m} (for|on) the <dir> {d}
        """, f"chmod {mode} {quoted(name)}", f"set the mode of {name} to {mode}", d=name, m=mode)


@schema("mode.recursive", "chmod", weight=1.5)
def recursive(world: World, rng: random.Random) -> Draft:
    name = rng.choice((folder_of(world, rng), "public", "www", "site", "scripts"))
    if name not in world.entries:
        for _ in range(2):
            world.add_file(f"{name}/{world.new_name()}", world.text(1))
    how = rng.choice(("755", "700", "775", "750", "777", "u+w", "g+w", "o-rwx", "go-w", "a+rX", "u+rwX", "g+rX",
        "go-rwx", "a-w"))
    if not how.isdigit():
        for path in world.files(under=name):
            world.entries[path].mode = 0o666 if "-" in how else 0o400 if how.startswith("u") else 0o600
    block = """
        chmod -R {m} {d}
        chmod {m} {d} <rec>
        apply {m} (to|on) {d} and everything (in it|below|inside)
        (recursively|) (apply|run) chmod {m} (on|to) (the <dir>|) {d} X
        """.replace("(recursively|) (apply|run) chmod {m} (on|to) (the <dir>|) {d} X",
        "chmod the whole (tree|<dir>) {d} (to|with) {m}")
    if how.isdigit():
        block += """
        (set|change) the <modes> of {d} and everything (in it|below it|inside) to {m}
        (set|change) the <modes> of {d} to {m} (recursively|, recursively|, with all its contents)
        everything (in|below|under) {d}, and {d} itself, should have mode {m}
        {d} and all its contents (need|should have) mode {m}
        recursively (set|give) {m} (on|to) the <dir> {d}
        """
    if how in ("u+w", "g+w"):
        who = "the owner" if how[0] == "u" else "the group"
        block += f"""
        make {{d}} and everything in it writable for {who}
        give {who} write permission on {{d}} and all (of|) its contents
        {who} should be able to write everything (in|below) {{d}}, the <dir> itself too
        """
    if how in ("o-rwx", "go-rwx"):
        who = "others" if how[0] == "o" else "(group and others|everybody but the owner)"
        block += f"""
        take all <modes> on {{d}} and its contents from {who}
        {who} should have no access to {{d}} and what is in it
        lock {who} out of {{d}}, recursively
        """
    if how == "a-w":
        block += """
        make {d} and everything in it read-only
        write-protect the whole <dir> {d} (recursively|with all its contents)
        nobody should be able to change anything (in|below) {d}, the <dir> included
        """
    return act(rng, block, f"chmod -R {how} {quoted(name)}", f"apply {how} to all of {name}", d=name, m=how)


@schema("mode.files_below", "find", weight=1.2)
def files_below(world: World, rng: random.Random) -> Draft:
    """Only files, or only folders, of a tree."""
    folder = folder_of(world, rng) if rng.random() < 0.7 else "."
    here = "(here and below|in this tree|below this <dir>|in the current <dir> and below)"
    w = "(in|below|under|inside) {d}" if folder != "." else here
    flag, noun, modes = rng.choice((("f", "files", ("600", "640", "664", "444", "660")), ("f", "files", ("600", "640",
        "664", "660")),
                                    ("d", "<dirs>", ("700", "750", "775", "711"))))
    mode = rng.choice(modes)
    other = "<dirs>" if flag == "f" else "files"
    only = f"(but not the {other}|, not the {other}|, {other} stay as they are)"
    slots = {"d": folder} if folder != "." else {}
    return act(rng, f"""
        (set|change) the <modes> of all {noun} <w> to {{m}} {only}
        chmod {{m}} (on|for) all {noun} <w> {only}
        (only the|all|just the) {noun} <w> should (have|get) mode {{m}} {only}
        find (all|the) {noun} <w> and (chmod them to|set their mode to|give them) {{m}}
        give (every|each) {'file' if flag == 'f' else '<dir>'} <w> (mode|permissions) {{m}} {only}
        use find to chmod (all|the) {noun} <w> to {{m}}
        {{m}} for {noun} <w> {only}
        """.replace("(every|each)", "every"), f"find {quoted(folder)} -type {flag} -exec chmod {mode} {{}} +",
        f"set the {'files' if flag == 'f' else 'folders'} to {mode}",
        w=w, m=mode, **slots)


@schema("mode.by_extension", "find chmod", weight=1.2)
def by_extension(world: World, rng: random.Random) -> Draft:
    folder = folder_of(world, rng) if rng.random() < 0.5 else "."
    deep = rng.random() < 0.5
    files = world.files(under="" if folder == "." else folder) if deep else inside(world, folder)
    found = sorted({path.rsplit(".", 1)[1] for path in files if "." in path.rsplit("/", 1)[-1][1:]})
    found = [ext for ext in found if ext.isalnum()]
    if not found:
        raise Unsuitable("no extension")
    ext = rng.choice(found)
    for path in files:
        if path.endswith(f".{ext}"):
            world.entries[path].mode = 0o644
    how, said = rng.choice((("+x", "(executable|X)"), ("600", "600"), ("640", "640"), ("a-w", "read-only"), ("g+w",
        "writable for the group"), ("755", "755")))
    what, slots = kind(ext)
    if folder != ".":
        slots["d"] = folder
    below = "(here and below|in the whole tree|in this <dir> and all below)"
    w = ("(in|below|under) {d} (, recursively|and its subfolders)" if folder != "." else below) if deep else (
        "in {d} (, not deeper|)" if folder != "." else "(in this <dir>|in the current <dir>|right here)")
    if how.isdigit():
        block = """
        (set|change) the <modes> of <all> <what> <w> to {m}
        chmod {m} <all> <what> <w>
        <all> <what> <w> should (have|get) mode {m}
        give <all> <what> <w> (mode|permissions) {m}
        mode {m} for <all> <what> <w>
        """
    else:
        said = said.replace("(executable|X)", "executable")
        block = f"""
        make <all> <what> <w> {said}
        <all> <what> <w> should be {said}
        <want> <all> <what> <w> to be {said}
        chmod {how} <all> <what> <w>
        {said}: <all> <what> <w> please
        """.replace(f"{said}: <all> <what> <w> please", f"use chmod to make <all> <what> <w> {said}")
    stars = f"*.{ext}" if folder == "." else f"{quoted(folder)}/*.{ext}"
    command = f"find {quoted(folder)} -type f -name '*.{ext}' -exec chmod {how} {{}} +"
    if not deep:
        command = f"chmod {how} {stars}"
    return act(rng, block, command, f"change the mode of the .{ext} files", w=w, what=what, m=how, **slots)


@schema("mode.several", "chmod", weight=0.8)
def several(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 3:
        raise Unsuitable("too few")
    some, mode = rng.sample(found, rng.choice((2, 2, 3))), rng.choice((*_MODES, "+x", "+x"))
    if mode == "+x":
        for path in some:
            world.entries[path].mode = 0o644
        return act(rng, """
            make {x} executable
            {x} should be executable
            chmod +x {x}
            (set|add) the (x|execute|executable) bit on {x}
            <want> to (run|execute) {x}
            give {x} execute permission
            """.replace("<want> to (run|execute) {x}", "<want> {x} to be executable"), f"chmod +x {quoted(*some)}",
            "make them executable", protected=some, x=several_of(rng, some))
    return act(rng, """
        (set|change) the <modes> of {x} to {m}
        chmod {m} {x}
        {x} should (all|) have mode {m}
        give {x} (mode|permissions) {m}
        mode {m} for {x}
        """, f"chmod {mode} {quoted(*some)}", f"set their mode to {mode}", protected=some, x=several_of(rng, some),
        m=mode)


@schema("mode.not_executable", "chmod", weight=0.7)
def not_executable(world: World, rng: random.Random) -> Draft:
    name = world.pick_file()
    world.entries[name].mode = rng.choice((0o755, 0o700, 0o775))
    return act(rng, """
        make {f} (non-executable|not executable|unexecutable)
        (remove|take away|clear|drop) the (execute|executable|x) (bit|permission|flag) (from|of|on) {f}
        {f} should not be executable (any more|anymore|)
        chmod -x {f}
        nobody should be able to (run|execute) {f} (any more|anymore|)
        {f} is (no program|not a program), take the execute bit away
        """, f"chmod -x {quoted(name)}", f"make {name} not executable", f=name)


@schema("mode.like", "chmod", weight=0.6)
def like(world: World, rng: random.Random) -> Draft:
    found = world.files()
    if len(found) < 2:
        raise Unsuitable("too few")
    a, b = rng.sample(found, 2)
    world.entries[a].mode, world.entries[b].mode = rng.choice((0o600, 0o755, 0o640, 0o444)), 0o644
    return act(rng, """
        (give|set) {b} the same <modes> as {a}
        {b} should have the same <modes> as {a}
        copy the <modes> (of|from) {a} (to|onto) {b}
        (set|make) the <modes> of {b} (the same as those|equal to those|like those) of {a}
        chmod {b} (like|with reference) {a}
        use {a} as the reference for the <modes> of {b}
        """, f"chmod --reference={quoted(a)} {quoted(b)}", f"give {b} the mode of {a}", a=a, b=b)


@schema("system.umask", "umask", weight=0.5)
def umask(world: World, rng: random.Random) -> Draft:
    if rng.random() < 0.5:
        return volatile(ask(rng, """
            what is (my|the|the current) umask?
            <show> (my|the|the current) umask
            (current|my) umask
            umask
            which umask is (set|in effect)?
            with what umask are new files made?
            """, "umask", "show the umask", "The umask is {output}."))
    mask, name = rng.choice(("077", "027", "002", "007")), world.new_name()
    return act(rng, """
        set the umask to {m} and (create|make|touch) {f}
        (create|make) an empty {f} with umask {m}
        umask {m}, then touch {f}
        with (a|the) umask (of|) {m}, (create|make) an empty file {f}
        touch {f} under (a|the) umask {m}
        """, f"umask {mask}; touch {quoted(name)}", f"create {name} with umask {mask}", f=name, m=mask)
