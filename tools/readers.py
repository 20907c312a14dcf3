# ruff: noqa: SIM905, E501 (word lists read better as words)
"""Commands known only to read, option by option; everything else is taken to write."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from nimllm.tools.commands import UNKNOWN, Simple

_FOLDERS = ("/bin/", "/usr/bin/", "/usr/local/bin/", "/sbin/", "/usr/sbin/")

# No option of these writes a file or starts a program.
_PLAIN = frozenset(
    "ls dir vdir cat head tail wc egrep fgrep grep cut tr nl tac rev paste join comm diff cmp fold fmt column expand "
    "unexpand stat du df pwd echo true false : test [ [[ basename dirname realpath readlink which type whereis whoami id "
    "groups uname uptime ps printenv cal seq sleep md5sum sha1sum sha224sum sha256sum sha384sum sha512sum b2sum sum "
    "cksum base64 base32 od hexdump strings getconf nproc arch tty locale free lscpu lsblk pgrep cd pushd popd dirs jobs "
    "wait exit return break continue shift hash help apropos whatis numfmt factor expr tsort bc dc jq zcat zgrep bzcat "
    "xzcat zstdcat look nm objdump readelf size ldd lsof pidof getent egrep zdiff colordiff ncal pathchk logname users w who "
    "last tput let set shopt ulimit umask times local declare typeset readonly unset test_command".split()
) - {"ldd", "getent", "let", "set", "shopt", "ulimit", "umask", "dc", "bc"}
# Harmless without arguments that change something.
_NO_ARGUMENTS = frozenset("hostname alias umask ulimit set shopt env export mount trap history".split())
_PIPED_TO = frozenset(
    "grep egrep fgrep cat wc ls head tail file stat du md5sum sha1sum sha256sum basename dirname echo".split()
)
_SAFE_VARIABLES = re.compile(
    r"LC_\w+|LANG|LANGUAGE|TZ|COLUMNS|LINES|NO_COLOR|CLICOLOR\w*|GREP_COLORS?|LS_COLORS|BLOCKSIZE"
)
_RISKY_VARIABLES = re.compile(
    r"PATH|LD_\w+|DYLD_\w+|BASH\w*|ENV|IFS|PROMPT_COMMAND|PS\d|SHELLOPTS|GIT_\w+|\w*PAGER|\w*EDITOR|VISUAL|LESS\w*|HOME"
    r"|PYTHON\w*|PERL\w*|RUBY\w*|NODE_\w+|SHELL|TMPDIR|CDPATH|GLOBIGNORE|EXECIGNORE|TMOUT|XDG_\w+|HISTFILE|MAIL\w*|JAVA_\w+"
    r"|POSIXLY_CORRECT|TERM\w*|BROWSER|MANPATH|LOCPATH|NLSPATH|\w*_PROXY|\w*_proxy"
)
_GIT = {
    "status": (), "log": ("--output",), "diff": ("--output", "--ext-diff"), "show": ("--output", "--ext-diff"),
    "rev-parse": (), "ls-files": (), "ls-tree": (), "cat-file": ("--textconv", "--filters"), "blame": (), "shortlog": ("--output",),
    "describe": (), "rev-list": (), "name-rev": (), "merge-base": (), "for-each-ref": (), "count-objects": (),
    "whatchanged": ("--output",), "diff-tree": ("--output", "--ext-diff"), "diff-index": ("--output",), "diff-files": ("--output",),
    "check-ignore": (), "version": (), "annotate": (), "show-ref": (), "cherry": (), "range-diff": (), "var": (),
    "grep": ("-O", "--open-files-in-pager", "--ext-grep"), "show-branch": (), "check-attr": (), "verify-commit": (),
}  # fmt: skip


def reads(simple: Simple) -> str:
    """Empty when ``simple`` only reads, else why that is not known (a clause)."""
    for target in simple.writes:
        return f"it writes to {target.replace(UNKNOWN, '…') or 'a file'}"
    if not simple.words:
        for name, _ in simple.assigns:
            if _RISKY_VARIABLES.fullmatch(name):
                return f"it sets {name}, which changes what later commands do"
        return ""
    for name, _ in simple.assigns:
        if not _SAFE_VARIABLES.fullmatch(name):
            return f"it runs a command with {name} set"
    return _reads(simple.words).replace(UNKNOWN, "…")


def _reads(words: Sequence[str]) -> str:
    path, args = words[0], list(words[1:])
    name = path.rsplit("/", 1)[-1]
    if UNKNOWN in path or (any(mark in path for mark in "*?[{") and path not in ("[", "[[")):
        return "the name of the command is known only when it runs"
    if "/" in path and path[: -len(name)] not in _FOLDERS:
        return f"{path} is a program nobody knows"
    if name in ("declare", "local", "typeset", "readonly", "unset", "export"):
        return _declares(name, args)
    if name in _PLAIN:
        return ""
    if name in _NO_ARGUMENTS:
        return f"{name} with arguments may change something" if args else ""
    check = _CHECKS.get(name)
    if check is None:
        return f"{name} is not known to only read"
    return check(args)


def _open(args: Sequence[str]) -> str:
    """For commands with dangerous options: a word that may turn out to be one."""
    for word in args:
        if word.startswith((UNKNOWN, "*", "?", "[")):
            return "an argument that is known only when it runs could be an option"
    return ""


def _without(*banned: str) -> Callable[[list[str]], str]:
    """A reader unless one of its options is ``banned``: a long one (or a prefix of it), or a letter."""

    def check(args: list[str]) -> str:
        for word in args:
            for option in banned:
                long = option.startswith("--")
                if long and word.startswith("--") and len(word) > 2 and option.startswith(word.split("=")[0]):
                    return f"with {option} it does more than read"
                if not long and word.startswith("-") and not word.startswith("--") and option in word[1:]:
                    return f"with -{option} it does more than read"
        return _open(args)

    return check


def executed(args: Sequence[str], name: str = "{}") -> list[tuple[str, ...]]:
    """The commands that ``find`` starts, with ``name`` in the place of each file found."""
    found = []
    words = list(args)
    while words:
        if re.fullmatch(r"-(exec|execdir|ok|okdir)", words.pop(0)):
            end = next((at for at, word in enumerate(words) if word == ";" or (word == "+" and at)), len(words))
            found.append(tuple(word.replace("{}", name) for word in words[:end]))
            words = words[end:]
    return found


def _find(args: list[str]) -> str:
    for word in args:
        if re.match(r"-(delete|fprint|fls|ok)", word):
            return f"find {word} does more than read"
    for command in executed(args, "./" + UNKNOWN):  # it begins with no dash
        why = _reads(command) if command else "it starts no command"
        if why:
            return f"find starts a command: {why}"
    return "" if not any(word.startswith(UNKNOWN) for word in args[1:]) else _open(args)


def _sed(args: list[str]) -> str:
    if any(
        word.startswith("--") and word not in ("--quiet", "--silent", "--regexp-extended", "--debug") for word in args
    ):
        return "an option of sed may write"
    options = [word for word in args if word.startswith("-") and len(word) > 1 and not word.startswith("--")]
    if any(not re.fullmatch(r"-[nErsuz]+", word) for word in options):
        return "an option of sed may write"
    plain = [word for word in args if not word.startswith("-")]
    if not plain:
        return ""
    for part in re.split(r"[;\n]", plain[0]):
        if not re.fullmatch(_SED_PART, part.strip()):
            return "its sed script is more than printing, deleting and replacing"
    return _open(args)


_SED_ADDRESS = r"(?:\d+|\$|/(?:[^/\\\n]|\\.)*/)"
_SED_PART = re.compile(
    rf"(?:{_SED_ADDRESS}(?:,(?:\+?\d+|{_SED_ADDRESS}))?)?\s*!?\s*(?:[pdq=]|s([/|,#:@_])(?:(?!\1)[^\\\n]|\\.)*\1(?:(?!\1)[^\\\n]|\\.)*\1[gpiI0-9]*)?"
)


def _awk(args: list[str]) -> str:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        if rest[0] in ("-F", "-v") and len(rest) > 1:
            rest = rest[2:]
        elif re.fullmatch(r"-[Fv].+", rest[0]):
            rest = rest[1:]
        else:
            return "an option of awk may run or write anything"
    if not rest or UNKNOWN in rest[0]:
        return "its awk program is known only when it runs"
    if re.search(r"system|getline|\||@|printf?[^;}\n]*>|>\s*[\"$(]|fflush|close", rest[0]):
        return "its awk program may write or start commands"
    return ""


def _git(args: list[str]) -> str:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        if rest[0] == "-C" and len(rest) > 1:
            rest = rest[2:]
        elif rest[0] in ("--no-pager", "--version", "--help", "--no-optional-locks", "--bare"):
            rest = rest[1:]
        else:
            return f"git {rest[0]} may run a program"
    if not rest:
        return ""
    sub, rest = rest[0], rest[1:]
    if sub in _GIT:
        for word in rest:
            if any(word.startswith(option) for option in _GIT[sub]) or (
                len(word) > 3 and "--output".startswith(word.split("=")[0])
            ):
                return f"git {sub} {word} does more than read"
        return _open(rest)
    plain = [word for word in rest if not word.startswith("-")]
    if sub in ("branch", "tag") and not plain:
        allowed = r"-[alrvnq]+\d*|--(list|all|remotes|verbose|show-current|sort=.*|format=.*|merged|no-merged|column|contains)"
        return "" if all(re.fullmatch(allowed, word) for word in rest) else f"git {sub} may change something"
    if sub in ("branch", "tag") and rest[0] in ("-l", "--list", "--contains", "--merged", "--no-merged", "--points-at"):
        return (
            ""
            if all(not re.match(r"-[dDmMcCfu]|--(del|mov|cop|for|set|uns|edit)", word) for word in rest)
            else "git changes something"
        )
    if (sub == "remote" and (not rest or rest[0] in ("-v", "show", "get-url"))) or (
        sub == "stash" and rest[:1] in (["list"], ["show"])
    ):
        return ""
    if sub == "config" and rest[:1] and rest[0] in ("--get", "--get-all", "--list", "-l", "--get-regexp"):
        return ""
    if (
        (sub == "worktree" and rest[:1] == ["list"])
        or (sub == "submodule" and rest == ["status"])
        or (sub == "reflog" and rest[:1] in ([], ["show"]))
    ):
        return ""
    return f"git {sub} is not known to only read"


def _xargs(args: list[str]) -> str:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        if rest[0] in ("-n", "-L", "-d", "-P", "-s", "-I", "-E") and len(rest) > 1:
            rest = rest[2:]
        elif re.fullmatch(r"-[0rtx]+|-[nLdPsI].+|--null|--no-run-if-empty", rest[0]):
            rest = rest[1:]
        else:
            return "an option of xargs is not known"
    if not rest or rest[0] in _PIPED_TO:
        return ""
    return f"xargs starts {rest[0].replace(UNKNOWN, '…')}"


def _declares(name: str, args: list[str]) -> str:
    for word in args:
        variable = word.split("=")[0]
        if name != "unset" and word.startswith("-") and any(letter in word for letter in "fFn"):
            return f"{name} {word} may change what later commands do"
        if _RISKY_VARIABLES.fullmatch(variable) or UNKNOWN in variable or (name == "unset" and word.startswith("-f")):
            return f"it changes {variable.replace(UNKNOWN, '…')}"
    return ""


def _date(args: list[str]) -> str:
    for word in args:
        if word.startswith(("--s", "-s")) or (not word.startswith(("+", "-")) and re.fullmatch(r"[\d.]+", word)):
            return "it may set the clock"
    return ""


def _command(args: list[str]) -> str:
    if args and args[0] in ("-v", "-V"):
        return ""
    return _reads(args) if args and not args[0].startswith("-") else "command with options is not known to only read"


def _one_operand(args: list[str]) -> str:
    plain = [word for word in args if not word.startswith("-")]
    return "its second operand is a file it writes" if len(plain) > 1 else _open(args)


def _printf(args: list[str]) -> str:
    return "printf -v sets a variable" if args[:1] and args[0].startswith(("-", UNKNOWN)) and args[0] != "--" else ""


def _read(args: list[str]) -> str:
    return (
        ""
        if not any(_RISKY_VARIABLES.fullmatch(word) for word in args)
        else "it sets a variable that later commands obey"
    )


_CHECKS: dict[str, Callable[[list[str]], str]] = {
    "find": _find,
    "sed": _sed,
    "awk": _awk,
    "gawk": _awk,
    "mawk": _awk,
    "nawk": _awk,
    "git": _git,
    "xargs": _xargs,
    "date": _date,
    "command": _command,
    "builtin": _command,
    "printf": _printf,
    "read": _read,
    "uniq": _one_operand,
    "xxd": lambda args: "xxd -r writes" if any(re.match(r"-\w*r", word) for word in args) else _one_operand(args),
    "sort": _without("--output", "o", "--compress-program", "--files0-from", "T", "--temporary-directory"),
    "rg": _without("--pre", "--hostname-bin", "z", "--search-zip"),
    "tree": _without("o", "R"),
    "file": _without("C", "--compile", "m", "--magic-file"),
    "yq": _without("i", "--inplace", "--in-place"),
    "fd": _without("x", "X", "--exec", "--exec-batch"),
    "fdfind": _without("x", "X", "--exec", "--exec-batch"),
    "time": lambda args: _reads([word for word in args if word != "-p"]) if [w for w in args if w != "-p"] else "",
    "nice": lambda args: "nice is not known to only read",
}
