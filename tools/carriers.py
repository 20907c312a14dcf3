# ruff: noqa: E501, SIM905 (a pattern cut in two is two patterns to a reader)
"""Programs that start other programs: which of their arguments do so, and what text these hold.

A beginning such as ``tar xf`` or ``sort`` that a user has accepted for good says nothing about ``tar xf a
--to-command=…``; and a text handed to ``awk``, ``vim -c`` or ``git -c core.pager=`` may hold what :mod:`catastrophes`
would find, were it a command of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from nimllm.tools import readers
from nimllm.tools.commands import UNKNOWN, Simple

MAX_TEXTS, MAX_LENGTH = 64, 2000  # of one command, and of each in characters

_INTERPRETERS = r"(python|pypy|perl|ruby|node|nodejs|php|lua|luajit|deno|bun|Rscript|tclsh|wish|expect|osascript|guile|julia|elixir|erl|ghc|runghc|groovy|jshell|scala|irb|gdb|lldb)[\d.]*"
_SHELLS = r"(ba|da|z|k|a|fi|c|tc)?sh"
_EDITORS = r"vim?|nvim|view|gvim|rvim|vimdiff|ex|ed|red|emacs|emacsclient|nano|pico|micro|kak|hx|less|more|most|pg"

# program: the words that make it start another, or write somewhere else than it usually does
_STARTERS: tuple[tuple[re.Pattern[str], re.Pattern[str]], ...] = tuple(
    (re.compile(names), re.compile(words, re.DOTALL))
    for names, words in (
        (r"git", r"-c.*|--(exec-path|config-env|upload-pack|receive-pack|upload|receive|exec|open|ext|textc|templ|out|extcmd|edit|gpg|strategy|mergetool|tool)\b.*|-O.*|-x.*|ext::.*|.*\b(alias|core|diff|merge|filter|pager|credential|gpg|sequence|uploadpack|receive|include|includeif|url|init|protocol|browser|man|difftool|mergetool|submodule)\.\S.*|bisect|foreach|filter-branch|filter-repo|difftool|mergetool|instaweb|web--browse|send-email|credential.*|daemon|shell|p4|svn|hook|--help"),
        (r"g?tar|bsdtar", r"--(to-c|checkpoint-|use|info-s|new-volume|rmt|rsh|unl|remove|owner-map|abs|tra|xform|over|recursive-unl|index|one-top).*|-\w*[IFPU]\w*|.*:.*"),
        (r"g?sed", r"-\w*f.*|--(file|exp|null|sand).*"),
        (r"make|gmake|ninja|just|cmake|bmake", r"\w*SHELL\w*=.*|--eval.*|-\w*[fEC].*|--(file|makefile|directory|include).*|-[PE]|.*\$\(.*|\w+=.*[`$].*"),
        (r"rsync", r"-\w*[eM].*|--(rsh|rsync-path|daemon|remote-option|config|log-file|write-batch|del|remove).*"),
        (r"ssh|scp|sftp|autossh|mosh|slogin", r".*"),
        (r"zip", r"-\w*T.*|-TT|--(unzip|test).*|-\w*m.*"),
        (r"(g?cc|g\+\+|clang(\+\+)?|c\+\+|ld|as|cpp)[\d.-]*", r"-wrapper.*|-f(plugin|plugin-arg).*|-B.*|@.*|-specs.*|-T.*|-Wl,.*|-Xlinker|-x.*|-load.*"),
        (r"curl", r"-\w*[oOKTFdDcE].*|--(output|remote|config|upload|form|data|dump|cookie-jar|trace|libcurl|netrc|unix|cert|key|engine|hsts|alt|stderr|create|json|xattr|proto|ssl|pin).*"),
        (r"wget2?", r".*"),
        (r"env", r"-\w*S.*|--split.*"),
        (r"time", r"-\w*o.*|--output.*|-\w*a.*"),
        (r"nmap", r"-?-(script|datadir|servicedb|stylesheet).*|-o.*|-sC|-A|--iL.*"),
        (r"split|csplit", r"--filter.*|--fi.*"),
        (r"dd", r"of=.*"),
        (r"tee|sponge", r"/.*|~.*|\.\./.*"),
        (r"openssl|gpg2?|age|base64|iconv|jar|ar|objcopy|strip|ffmpeg|sox", r"-\w*o.*|-out\b.*|--output.*|-engine|-provider.*|--exec.*"),
        (r"find|fd|fdfind|locate", r"-(exec|ok|delete|fprint|fls).*|-\w*[xX]|--exec.*"),
        (r"xargs|parallel", r"-\w*[iIJ].*|--(replace|arg-file).*|-\w*a.*|:::.*|" + _INTERPRETERS + "|" + _SHELLS),
        (_EDITORS, r".*"),
        (_INTERPRETERS, r"-\w*[ceErRpnixIlM].*|--(eval|command|execute|require|print|run|init-file|import|loader|exec).*|-|/dev/.*|<.*"),
        (_SHELLS, r"-\w*[csilo].*|--(init-file|rcfile|login|posix).*|-|/dev/.*|\+O.*"),
        (r"source|\.", r"/dev/.*|/proc/.*"),
        (r"sqlite3|psql|mysql|mariadb|duckdb|mongo(sh)?|redis-cli", r".*(\.(shell|system|output|once|save|import|load|read|log|excel)|\\!|\\o|\\copy|system\s|load_extension|into\s+(out|dump)file|eval).*|-(init|cmd|c|e)|--(command|execute|init-command|eval|file|output).*"),
        (r"docker|podman|nerdctl", r"exec|run|-v.*|--(volume|mount|privileged|pid|net|device|entrypoint|cap-add|security-opt).*|cp|build"),
        (r"tmux|screen|at|batch|crontab|systemd-run|watch|script|entr|flock|nc|ncat|netcat|socat|telnet|ftp|busybox|sudo|doas|su|kubectl|vagrant|wine|xdg-open|open|m4|dc|gs|latex|pdflatex|lualatex|xelatex|troff|groff|qemu\S*|nsenter|rlwrap|strace|ltrace|valgrind|perf", r".*"),
        (r"trap|bind|enable|complete|compgen|mapfile|readarray|hash|fc|exec|coproc|unshare|chroot", r".*"),
        (r"printf", r"-v.*"),
        (r"npm|pnpm|yarn|bun|npx|uvx|pipx|uv|poetry|pipenv|bundle|cargo|go|conda|pip3?|gem|mvn|gradle|composer", r"exec|run|dlx|tool|--(script-shell|node-options|shell|config|index-url|extra-index-url|target|prefix|root|git|path|toolexec|exec|init-script).*|-toolexec.*|-exec.*"),
        (r"alias", r".*"),
    )
)  # fmt: skip
# Readers of which the whole is accepted or nothing: their writing options have no harmless beginning.
_WHOLE = frozenset(readers.CHECKED) - {"git", "xargs", "sed", "command", "builtin", "time", "nice", "timeout", "printf",
                                      "read", "tar", "unzip", "gzip", "gunzip", "bzip2", "bunzip2", "xz", "unxz", "pip",
                                      "pip3", "wait"}  # fmt: skip
# Builtins that leave something behind which later commands obey.
_KEEPERS = frozenset("read declare typeset local readonly unset export wait set shopt history ulimit umask".split())
# What a text handed to these says about cleaning up is prose.
_PROSE = frozenset(("echo", "printf", "grep", "egrep", "fgrep", "rg", "ls", "cat", "touch", "mkdir", "cp", "mv", "rm", "test"))


def why(simple: Simple) -> str:
    """Why accepting the beginning of ``simple`` for good would accept too much (a clause), or an empty string."""
    name, args = simple.name, simple.words[1:]
    if name in _WHOLE and readers.reads(Simple(simple.words)):
        return f"{name} is known to read, and this does more"
    known = name in _KEEPERS or (
        name == "git" and bool(args) and (args[0].startswith("-") or args[0] in readers.GIT_READERS)
    )
    if known and (trouble := readers.reads(Simple(simple.words))):
        return trouble
    if not args and re.fullmatch(_INTERPRETERS + "|" + _SHELLS, name):
        return f"{name} reads its program from its input"
    if name == "sed" and (trouble := readers.sed_script(list(args))):
        return trouble
    for names, words in _STARTERS:
        if names.fullmatch(name):
            found = next((word for word in args if words.fullmatch(word) or _may_be_option(word)), None)
            if found is not None:
                return f"{name} {found.replace(UNKNOWN, '…')[:60]} may start a program, or write elsewhere"
    if simple.stdin and re.fullmatch(_INTERPRETERS + "|" + _SHELLS, name):
        return f"{name} reads its program from the command"
    return ""


def _may_be_option(word: str) -> bool:
    return word.startswith(UNKNOWN) or (word.startswith("-") and UNKNOWN in word)


def texts(simple: Simple) -> Iterator[str]:
    """Pieces of the arguments, of what is assigned, and of here-documents that may be commands in their own right."""
    started = why(simple)
    sources = [value for name, value in simple.assigns if readers.risky(name) or "$(" in value or "`" in value]
    if started or simple.name not in _PROSE:
        prose = simple.name == "git" and bool({"commit", "tag", "notes", "stash"} & set(simple.words[1:3]))
        sources += [word for word in simple.words[1:] if len(word) > 3] if started or not prose else []
    if started:
        sources += simple.stdin
        sources += [" ".join(simple.words[at:]) for at, word in enumerate(simple.words) if at and word in _DEADLY]
    count = 0
    for source in sources:
        for piece in _PIECES.split(source[: MAX_LENGTH * 4].replace("\\/", "/")):
            piece = piece.strip().lstrip("!|:=({,;@").rstrip(")};,]")
            words = piece.split(None, 4)
            for at, word in enumerate(words[:-1]):
                if (at == 0 or word in _DEADLY) and len(piece) <= MAX_LENGTH:
                    yield piece.split(None, at)[at]
                    count += 1
            if count > MAX_TEXTS:
                return


_DEADLY = frozenset(("rm", "dd", "shred", "find", "chmod", "chown", "mv", "shutdown", "reboot", "mkfs", "rimraf"))
_PIECES = re.compile(r"[\"'`\n]|\$\(|(?<=[=!|(,@])|(?<=\d[eE]) ")
