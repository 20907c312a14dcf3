# ruff: noqa: SIM905 (word lists read better as words)
"""Commands that no mode but ``full`` runs unasked: what cannot be undone, or leaves this machine.

Written to be too careful rather than too clever. It is a convenience over the sandbox, never the boundary: a program
that a command compiles can do all of this without a word the policy could read.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Sequence
from pathlib import Path

from nimllm.tools.commands import PIPE, UNKNOWN, Script, Simple

_SYSTEM = frozenset(
    "bin boot dev etc home lib lib32 lib64 media mnt opt proc root run sbin srv sys usr var Users System Library "
    "Applications private".split()
)
_DEVICE = re.compile(
    r"/dev/(?!null$|stdout$|stderr$|tty$|zero$|full$|fd/|shm/|random$|urandom$|pts/|ptmx$).|/proc/sys|/sys/|/boot/|/etc/"
)
_SHELLS = frozenset("sh bash dash zsh ksh ash fish csh tcsh".split())
_INTERPRETERS = _SHELLS | frozenset(
    "python python2 python3 perl ruby node nodejs php lua deno bun pypy3 Rscript osascript".split()
)
_FETCHERS = frozenset("curl wget fetch aria2c http https lynx ftp nc ncat socat scp ssh".split())
_LISTERS = frozenset("find fd fdfind ls git grep rg locate".split())
_DISKS = re.compile(
    r"mkfs(\..*)?|mke2fs|wipefs|fdisk|sfdisk|sgdisk|gdisk|cfdisk|parted|blkdiscard|mkswap|cryptsetup|lvremove|vgremove"
    r"|pvremove|zpool|zfs|mdadm|hdparm|fsck(\..*)?|debugfs|tune2fs|badblocks|losetup|nvme|efibootmgr|grub-install"
)
_POWER = frozenset("shutdown reboot halt poweroff telinit kexec".split())
_PRIVILEGE = frozenset(
    "sudo su doas pkexec runuser setcap nsenter chroot unshare mount umount insmod rmmod modprobe".split()
)
_ACCOUNTS = frozenset("userdel usermod useradd groupdel deluser adduser passwd chpasswd visudo vipw chsh".split())
_FIREWALL = frozenset("iptables ip6tables nft ufw firewall-cmd".split())


def why(simple: Simple, workspace: Path | None = None) -> str:
    """The reason why ``simple`` is a catastrophe (a clause), or an empty string."""
    for target in simple.writes:
        if _DEVICE.match(posixpath.normpath(target)):
            return f"it writes to {target}"
    return _command(simple.words, simple, workspace) if simple.words else ""


def _command(words: Sequence[str], simple: Simple, workspace: Path | None) -> str:
    name, args = words[0].rsplit("/", 1)[-1], list(words[1:])
    if name in ("rm", "rmdir", "shred", "unlink", "srm", "trash", "rimraf"):
        return _removes(name, args, simple, workspace)
    if name in ("find", "fd", "fdfind"):
        return _finds(args, workspace)
    if name in ("chmod", "chown", "chgrp", "setfacl", "chattr"):
        if _flag(args, "R", "recursive") and any(
            dangerous(word, None) not in ("", "all of the current folder") for word in _plain(args)[1:]
        ):
            return "it changes the rights of a whole system or home folder"
    elif name == "mv":
        if any(dangerous(word, workspace) for word in _plain(args)[:-1]):
            return "it moves a whole system, home or workspace folder away"
        if args and args[-1] == "/dev/null":
            return "it moves files into /dev/null"
    elif name == "dd":
        for word in args:
            if word.startswith("of=") and (_DEVICE.match(word[3:]) or UNKNOWN in word):
                return "it writes to a device"
    elif name in ("cp", "tee", "install", "truncate", "rsync") and any(
        _DEVICE.match(word) for word in _plain(args)[-1:]
    ):
        return f"it writes to {args[-1]}"
    elif _DISKS.fullmatch(name):
        return f"{name} changes disks"
    elif (
        name in _POWER
        or (name == "init" and args)
        or (name == "systemctl" and _has(args, *_POWER, "kexec", "emergency"))
    ):
        return "it stops the machine"
    elif name in _PRIVILEGE:
        return f"{name} asks for more rights than the sandbox gives"
    elif name in _ACCOUNTS:
        return f"{name} changes accounts"
    elif name in _FIREWALL:
        return f"{name} changes the firewall"
    elif (name == "hash" and _flag(args, "p")) or (name == "enable" and _flag(args, "f")):
        return "it gives a command another meaning"
    elif name in ("at", "batch"):
        return "it starts something later, when nobody looks"
    elif (name in ("nc", "ncat", "netcat") and _flag(args, "ec", "exec")) or (
        name == "socat" and any(word.lower().startswith(("exec", "system")) for word in args)
    ):
        return "it hands a program to the network"
    elif name == "crontab" and _flag(args, "r"):
        return "it removes all scheduled jobs"
    elif name in ("kill", "killall", "pkill", "killall5") and (_has(args, "-1", "1", "0") or name == "killall5"):
        if name != "kill" or any(word in ("-1", "1", "0") for word in args[1:] or args):
            return "it kills processes it does not know"
    elif name == "git":
        return _git(args)
    elif name in ("npm", "pnpm", "yarn", "cargo", "poetry", "gem", "flit", "hatch", "twine", "docker", "podman"):
        if _has(args[:2], "publish", "upload", "unpublish", "yank") or (
            name in ("docker", "podman", "gem") and _has(args[:2], "push")
        ):
            return f"{name} publishes"
        if name in ("docker", "podman") and (
            _has(args, "prune", "--privileged") or any(w.startswith(("/:", "-v/:")) for w in args)
        ):
            return f"{name} reaches the whole machine"
    elif (
        name in ("kubectl", "terraform", "tofu", "pulumi", "helm") and _has(args, "delete", "destroy", "uninstall")
    ) or (
        name in ("aws", "gcloud", "az", "gsutil", "gh", "heroku", "fly")
        and _has(args, "delete", "rm", "rb", "destroy", "terminate-instances")
    ):
        return f"{name} deletes something that is not on this machine"
    elif (
        name in ("dropdb", "redis-cli")
        and (name == "dropdb" or _has([word.lower() for word in args], "flushall", "flushdb"))
    ) or (
        name in ("psql", "mysql", "mariadb", "sqlite3")
        and re.search(r"\bdrop\s+(database|schema)\b", " ".join(args), re.IGNORECASE)
    ):
        return "it deletes a database"
    if name in _INTERPRETERS:
        return _interprets(name, args, simple)
    if name in ("source", ".") and args and args[0].startswith((UNKNOWN, PIPE)):
        return "it runs text that is known only when it runs"
    return ""


def lists_everything(simple: Simple, workspace: Path | None) -> str:
    """What ``xargs rm -r`` behind this lister would lose, or an empty string."""
    if simple.name in ("find", "fd", "fdfind"):
        return _finds([*simple.words[1:], "-delete"], workspace)
    if simple.name in _LISTERS:
        lost = [dangerous(word, workspace) for word in _plain(simple.words[1:])]
        return next((f"it removes {where}" for where in lost if where and where != "all of the current folder"), "")
    return ""


def fork_bomb(script: Script) -> str:
    """A function that calls itself in the background, or twice in a pipe."""
    for name, body in script.functions.items():
        own = [simple for simple in body if simple.name == name]
        if any(simple.background or name in simple.feeders for simple in own):
            return f"the function {name} multiplies itself"
    for simple in script.simples:
        if simple.background and simple.words[:1] and simple.words[0] in ("$0", "${0}"):
            return "the script multiplies itself"
    return ""


def dangerous(word: str, workspace: Path | None) -> str:
    """Why losing everything under ``word`` would be a catastrophe: a system folder, the home, a parent, the workspace.

    An UNKNOWN part may be empty: ``$X/`` is ``/``. ``{}`` of find and xargs is not judged here.
    """
    bare = word.replace(UNKNOWN, "")
    if UNKNOWN in word and not bare.strip("/*."):
        return "the whole file system, should the variable be empty" if "/" in bare else ""
    path = re.sub(r"(/+(\*+|\.|\.\*|\{\*,\.\*\}|\[.*\]|\?+))+/*$", "", bare) if "/" in bare else bare
    path = path or "/"
    if path.startswith(("~", "$HOME", "${HOME}")):
        rest = re.sub(r"^(~[\w.-]*|\$HOME|\$\{HOME\})", "", path)
        return "the home folder" if posixpath.normpath("/" + rest) in ("/", "//") else ""
    if path in ("*", ".", ".*", "*.*", "./", "?*", "**", ".[!.]*", "$PWD", "${PWD}"):
        return "all of the current folder"
    clean = posixpath.normpath(path)
    if clean in ("/", "//"):
        return "the whole file system"
    if clean.startswith("/"):
        parts = clean.strip("/").split("/")
        if len(parts) == 1 and (parts[0] in _SYSTEM or any(mark in parts[0] for mark in "*?[")):
            return f"the system folder {clean}"
        if parts[0] in ("home", "Users") and len(parts) == 2:
            return "a home folder"
        if clean in ("/usr/bin", "/usr/lib", "/usr/local", "/usr/sbin", "/usr/share", "/var/lib", "/var/log"):
            return f"the system folder {clean}"
        if clean == os.path.expanduser("~").rstrip("/"):
            return "the home folder"
        if workspace is not None and (workspace == Path(clean) or Path(clean) in workspace.parents):
            return "the workspace"
        return ""
    if set(clean.split("/")) == {".."}:
        return "a folder above the current one"
    return ""


def _removes(name: str, args: list[str], simple: Simple, workspace: Path | None) -> str:
    if any(word.startswith("--no-preserve") for word in args):
        return "it removes the root of the file system"
    recursive = name in ("shred", "srm", "trash", "rimraf") or _flag(args, "rR", "recursive")
    for word in _plain(args):
        lost = dangerous(word, workspace)
        if lost and (recursive or "*" in word or "?" in word):
            return f"it removes {lost}"
        if name == "shred" and word.startswith("/dev/"):
            return "it writes to a device"
        if recursive and UNKNOWN in word and not (set(simple.feeders) & _LISTERS):
            return "what it removes is known only when it runs"
    return ""


def _finds(args: list[str], workspace: Path | None) -> str:
    deletes = any(word in ("-delete", "-X", "--exec-batch") for word in args)
    for index, word in enumerate(args):
        if word in ("-exec", "-execdir", "-ok", "-okdir", "-x", "--exec"):
            deletes = deletes or any(
                other.rsplit("/", 1)[-1] in ("rm", "shred", "unlink", "mv") for other in args[index:]
            )
    if not deletes:
        return ""
    starts = []
    for word in args:
        if word in ("-H", "-L", "-P") or re.match(r"-(O\d|D)", word):
            continue
        if word.startswith(("-", "(", "!")):
            break
        starts.append(word)
    narrowed = any(
        re.fullmatch(
            r"-(i?name|i?path|i?regex|type|empty|size|[acm]time|[acm]min|newer\w*|user|group|perm|links|inum)", word
        )
        for word in args
    )
    for start in starts or ["."]:
        lost = dangerous(start, workspace) or (UNKNOWN in start and "a folder that is known only when it runs")
        if lost and not (narrowed and lost in ("all of the current folder", "the workspace")):
            return f"it removes {lost}"
    return ""


def _git(args: list[str]) -> str:
    words = [word for word in args]
    while words and words[0].startswith("-"):
        if words[0] in ("-C", "-c", "--git-dir", "--work-tree") and len(words) > 1:
            if words[0] == "-c" and re.match(
                r"(?i)alias\.|core\.(pager|editor|sshcommand|fsmonitor|hookspath)", words[1]
            ):
                return "it has git run a program"
            words = words[1:]
        words = words[1:]
    if not words:
        return ""
    sub, rest = words[0], words[1:]
    if sub == "push" and (
        _flag(rest, "fd")
        or any(word.startswith(("--force", "--mirror", "--delete", "--prune", "+", ":")) for word in rest)
    ):
        return "it overwrites or deletes what others have pulled"
    if sub in ("filter-branch", "filter-repo") or (sub == "reflog" and _has(rest, "expire", "delete")):
        return "it rewrites the history for good"
    if sub == "update-ref" and _flag(rest, "d"):
        return "it deletes a reference"
    return ""


def _interprets(name: str, args: list[str], simple: Simple) -> str:
    base = "shell" if name in _SHELLS else name
    plain = [word for word in args if not word.startswith("-") or word == "-"]
    if any(word in (UNKNOWN, PIPE) for word in args[:3]):
        return f"the {base} runs text that is known only when it runs"
    inline = any(re.fullmatch(r"-[a-zA-Z]*[ce]|-m|--command|--eval|-r|-p", word) for word in args)
    if simple.feeders and not inline and (not plain or plain[0] in ("-", "/dev/stdin")):
        fetched = sorted(set(simple.feeders) & _FETCHERS)
        return f"the {base} runs what {fetched[0] if fetched else 'another command'} writes"
    inline = inline or (bool(simple.stdin) and not plain)
    code = "\n".join((*args, *simple.stdin))
    if inline and base != "shell" and re.search(
        r"rmtree\(\s*['\"](/|~|\.\.?)['\"]|os\.(system|popen|exec|spawn|posix_spawn)|pty\.spawn|subprocess|child_process"
        r"|\bunlink\b.*['\"]/", code
    ):
        return f"the {base} starts commands the policy cannot see"
    if inline and "exec(" in code and re.search(r"urlopen|requests|http", code):
        return f"the {base} runs what it fetches"
    return ""


def _plain(args: Sequence[str]) -> list[str]:
    """Arguments that are not options; all of them after ``--``."""
    if "--" in args:
        cut = list(args).index("--")
        return [word for word in args[:cut] if not word.startswith("-")] + list(args[cut + 1 :])
    return [word for word in args if not word.startswith("-") or word == "-"]


def _flag(args: Sequence[str], letters: str, long: str = "") -> bool:
    for word in args:
        if word == "--":
            return False
        if word.startswith("--"):
            if long and len(word) > 3 and ("--" + long).startswith(word.split("=")[0]):
                return True
        elif word.startswith("-") and any(letter in word[1:] for letter in letters):
            return True
    return False


def _has(args: Sequence[str], *wanted: str) -> bool:
    return any(word in wanted for word in args)
