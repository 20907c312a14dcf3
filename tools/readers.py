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
    "last tput times local declare typeset readonly unset bc netstat".split()
) - {"ldd", "getent", "dc", "jobs", "hash", "diff", "wait", "arch", "nm", "objdump", "size"}
# Harmless without arguments that change something.
_NO_ARGUMENTS = frozenset("hostname alias umask ulimit set shopt env export mount trap history arch hash".split())
_PIPED_TO = frozenset(
    "grep egrep fgrep cat wc ls head tail stat du md5sum sha1sum sha256sum basename dirname echo".split()
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
    "status": (), "log": ("--output", "--ext-diff", "--textconv"), "diff": ("--output", "--ext-diff", "--textconv"),
    "show": ("--output", "--ext-diff", "--textconv"),
    "rev-parse": (), "ls-files": (), "ls-tree": (), "cat-file": ("--textconv", "--filters"), "blame": ("--output",), "shortlog": ("--output",),
    "describe": (), "rev-list": ("--output",), "name-rev": (), "merge-base": (), "for-each-ref": (), "count-objects": (),
    "whatchanged": ("--output",), "diff-tree": ("--output", "--ext-diff"), "diff-index": ("--output", "--ext-diff"), "diff-files": ("--output", "--ext-diff"),
    "check-ignore": (), "version": (), "annotate": ("--output",), "show-ref": (), "cherry": ("--output",), "range-diff": ("--output", "--ext-diff"), "var": (),
    "grep": ("-O", "--open-files-in-pager", "--ext-grep"), "show-branch": (), "check-attr": (), "verify-commit": (),
}  # fmt: skip


def reads(simple: Simple) -> str:
    """Empty when ``simple`` only reads, else why that is not known (a clause)."""
    for target in simple.writes:
        return f"it writes to {target.replace(UNKNOWN, '…') or 'a file'}"
    if not simple.words:
        for name, value in simple.assigns:
            why = _sets(name, value)
            if why:
                return why
        return ""
    for name, _ in simple.assigns:
        if not _SAFE_VARIABLES.fullmatch(name) and not (name == "IFS" and simple.words[0] == "read"):
            return f"it runs a command with {name} set"
    return _reads(simple.words).replace(UNKNOWN, "…")


def risky(name: str) -> bool:
    """Whether later commands, or the one it stands before, obey the variable ``name``."""
    return bool(_RISKY_VARIABLES.fullmatch(name.split("[")[0].rstrip("+")))


def _sets(name: str, value: str) -> str:
    """Why giving ``name`` this value does more than keep it."""
    bare = name.split("[")[0].rstrip("+")
    if risky(name):
        return f"it sets {bare}, which changes what later commands do"
    if "$(" in value or "`" in value:
        return f"it puts a command into {bare}, which may run later"
    return ""


def _subscripts(args: Sequence[str]) -> str:
    """For builtins that take names: bash evaluates a subscript, commands in it included."""
    for word in args:
        if "[" in word.split("=")[0] and not re.fullmatch(r"\w+\[(\d+|@|\*)\](=.*)?", word, re.DOTALL):
            return f"bash evaluates the subscript of {word}"
    return ""


def _reads(words: Sequence[str]) -> str:
    path, args = words[0], list(words[1:])
    name = path.rsplit("/", 1)[-1]
    if UNKNOWN in path or (any(mark in path for mark in "*?[{") and path not in ("[", "[[")):
        return "the name of the command is known only when it runs"
    if not path.isascii():
        odd = next(letter for letter in path if not letter.isascii())
        return f"the name of the command holds a letter that is not ASCII (U+{ord(odd):04X}), and may only look familiar"
    if "/" in path and path[: -len(name)] not in _FOLDERS:
        return f"{path} is a program nobody knows"
    if name in ("declare", "local", "typeset", "readonly", "unset", "export"):
        return _declares(name, args)
    if name in _PLAIN:
        return ""
    if name in _NO_ARGUMENTS:
        return f"{name} with arguments may change something" if args else ""
    if (name in _VERSIONED and args == ["--version"]) or (name in ("python3", "python", "bash", "ssh") and args == ["-V"]):
        return ""
    check = _CHECKS.get(name)
    if check is None:
        return f"{name} is not known to only read"
    return check(args)


def _open(args: Sequence[str]) -> str:
    """For commands with dangerous options: a word that may turn out to be one. Behind ``--`` none does."""
    for word in args[: args.index("--")] if "--" in args else args:
        if word.startswith((UNKNOWN, "*", "?", "[")) or (word.startswith("-") and UNKNOWN in word):
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
    return _open([word for word in args if not word.startswith(("*", "?", "["))])


def _sed(args: list[str]) -> str:
    return sed_script(args, "nErsuz") or _open(args)


def sed_script(args: list[str], letters: str = "nErsuzib") -> str:
    """Why the sed script does more than print, delete and replace, or an option is not of ``letters``; or nothing."""
    scripts: list[str] = []
    plain: list[str] = []
    rest = list(args)
    while rest:
        word = rest.pop(0)
        if word in ("-e", "--expression") and rest:
            scripts.append(rest.pop(0))
        elif word == "--":
            plain += rest
            break
        elif word.startswith("-") and len(word) > 1:
            long = ("--quiet", "--silent", "--regexp-extended", "--debug", "--null-data", "--separate", "--posix")
            if word not in long and not re.fullmatch(f"-[{letters}]+", word):
                return f"sed {word} may write"
        else:
            plain.append(word)
    for script in scripts or plain[:1]:
        for part in re.split(r"[;\n]", script):
            if not re.fullmatch(_SED_PART, part.strip()):
                return "its sed script is more than printing, deleting and replacing"
    return ""


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
            if word == "--":
                break
            name = word.split("=")[0]
            if any(
                word.startswith(option) or (len(name) > 3 and option.startswith(name))
                for option in ("--output", *_GIT[sub])
            ):
                return f"git {sub} {word} does more than read"
        return _open(rest) if _GIT[sub] else ""
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
    if (sub == "remote" and (rest in ([], ["-v"], ["--verbose"]) or rest[0] == "get-url")) or (
        sub == "stash" and rest[:1] in (["list"], ["show"])
    ):
        return ""
    if sub == "config" and rest[:1] and rest[0] in ("--get", "--get-all", "--list", "-l", "--get-regexp"):
        scopes = ("--global", "--system", "--local", "--worktree", "--show-origin", "--show-scope", "--null", "-z")
        return "" if all(w in scopes or not w.startswith("-") for w in rest[1:]) else "git config may change something"
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
    if why := _subscripts(args):
        return why
    for word in args:
        variable, _, value = word.partition("=")
        variable = variable.split("[")[0].rstrip("+")
        if name != "unset" and word.startswith("-") and any(letter in word for letter in "fFn"):
            return f"{name} {word} may change what later commands do"
        if "$(" in value or "`" in value:
            return _sets(variable, value)
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


def _one_operand(args: list[str], takes: str = "fsw") -> str:
    """For programs whose second operand is written; ``takes``: the options that have a value of their own."""
    rest, plain = list(args), []
    while rest:
        word = rest.pop(0)
        if word == "--":
            plain += rest
            break
        if word == "-" or not word.startswith("-"):
            plain.append(word)
        elif len(word) == 2 and word[1] in takes and rest:
            rest.pop(0)
    return "its second operand is a file it writes" if len(plain) > 1 else _open(args)


def _xxd(args: list[str]) -> str:
    return "xxd -r writes" if any(re.match(r"-\w*r", word) for word in args) else _one_operand(args, "slcgonR")


def _printf(args: list[str]) -> str:
    return "printf -v sets a variable" if args[:1] and args[0].startswith(("-", UNKNOWN)) and args[0] != "--" else ""


def _read(args: list[str]) -> str:
    if any(_RISKY_VARIABLES.fullmatch(word.split("[")[0]) for word in args):
        return "it sets a variable that later commands obey"
    if any(UNKNOWN in word and not word.startswith("-p") for word in args[:1] + args[2:]):
        return "which variable it sets is known only when it runs"
    return _subscripts(args)


def _wait(args: list[str]) -> str:
    return "wait -p sets a variable" if any(re.match(r"-\w*p", word) for word in args) else ""


def _jobs(args: list[str]) -> str:
    return "jobs -x starts a command" if any(re.match(r"-\w*x", word) for word in args) else _open(args)


def _timeout(args: list[str]) -> str:
    rest = list(args)
    while rest and rest[0].startswith("-"):
        option = rest.pop(0)
        if option in ("-k", "-s") and rest:
            rest.pop(0)
        elif not re.fullmatch(r"-[ks]\w+|-v|--(foreground|preserve-status|verbose)|--(signal|kill-after)=\w+", option):
            return f"timeout {option} is not known"
    return _reads(rest[1:]) if len(rest) > 1 and re.fullmatch(r"[\d.]+[smhd]?", rest[0]) else "timeout starts a command"


def _nice(args: list[str]) -> str:
    rest = args[2:] if args[:1] == ["-n"] else args[1:] if re.match(r"-n?-?\d+$", "".join(args[:1])) else args
    return _reads(rest) if rest and not rest[0].startswith("-") else "an option of nice is not known"


def _tar(args: list[str]) -> str:
    """Listing only. A colon in the archive's name makes tar start ``rsh``."""
    first = args[0] if args else ""
    if not re.fullmatch(r"-?[tvzjJfa]*t[tvzjJfa]*", first):
        return "tar is known to only read when it lists (tar tf)"
    for word in args[1:]:
        if word.startswith("-") or ":" in word or UNKNOWN in word:
            return "what tar does is not known"
    return _open(args)


def _unzip(args: list[str]) -> str:
    flags = [word for word in args if word.startswith("-")]
    listing = bool(flags) and all(re.fullmatch(r"-[lvtZ1qpc]*[lvtZpc][lvtZ1qpc]*", word) for word in flags)
    return _open(args) if listing else "unzip is known to only read when it lists (unzip -l)"


def _decompress(args: list[str]) -> str:
    flags = [word for word in args if word.startswith("-") and word != "-"]
    known = all(
        re.fullmatch(r"-[cdklqtvn0-9]+|--(stdout|to-stdout|decompress|list|test|keep|quiet|fast|best)", word)
        for word in flags
    )
    only = any(re.match(r"-[a-z0-9]*[clt]|--(stdout|to-stdout|list|test)", word) for word in flags)
    return _open(args) if known and only else "it replaces the file (with -c it only reads)"


def _man(args: list[str]) -> str:
    known = all(re.fullmatch(r"-[kf]|[\w.+:@][\w.+:@-]*", word) for word in args)
    return "" if known else "an option or a file of man may start a program"


def _exactly(*shapes: str) -> Callable[[list[str]], str]:
    """A reader when its arguments, joined by blanks, are of one of these shapes (patterns)."""

    def check(args: list[str]) -> str:
        return "" if any(re.fullmatch(shape, " ".join(args)) for shape in shapes) else "it may do more than read"

    return check


def _network_address(args: list[str]) -> str:
    known = r"(-(4|6|br|brief|o|s|c|color|d|j|p|h)+ )*(a|addr|address|r|route|l|link|n|neigh|rule)( (show|list|ls)( [\w.:/-]+)*)?"
    return "" if re.fullmatch(known, " ".join(args)) else "it may change the network"




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
    "xxd": _xxd,
    "sort": _without("--output", "o", "--compress-program", "--files0-from", "T", "--temporary-directory"),
    "rg": _without("--pre", "--hostname-bin", "z", "--search-zip"),
    "tree": _without("o", "R"),
    "file": _without("C", "--compile", "m", "--magic-file"),
    "yq": _without("i", "--inplace", "--in-place"),
    "fd": _without("x", "X", "--exec", "--exec-batch"),
    "fdfind": _without("x", "X", "--exec", "--exec-batch"),
    "time": lambda args: _reads([word for word in args if word != "-p"]) if [w for w in args if w != "-p"] else "",
    "nice": _nice,
    "timeout": _timeout,
    "wait": _wait,
    "jobs": _jobs,
    "diff": _without("--output"),
    "nm": _without("--plugin"),
    "objdump": _without("--plugin"),
    "size": _without("--plugin"),
    "shuf": _without("o", "--output"),
    "ss": _without("K", "D", "--kill", "--diag"),
    "tar": _tar,
    "unzip": _unzip,
    "gzip": _decompress,
    "gunzip": _decompress,
    "bzip2": _decompress,
    "bunzip2": _decompress,
    "xz": _decompress,
    "unxz": _decompress,
    "man": _man,
    "ip": _network_address,
    "getent": _exactly(r"(passwd|group|services|protocols)( [\w.-]+)*"),
    "stty": _exactly("-a", "size"),
    "pip": _exactly(r"list", r"freeze", r"show( [\w.-]+)+"),
    "pip3": _exactly(r"list", r"freeze", r"show( [\w.-]+)+"),
}
# Programs that everybody asks for their version; nothing else of them is known to only read.
_VERSIONED = frozenset(
    "python python2 python3 pip pip3 uv poetry pytest ruff mypy node npm npx yarn pnpm deno bun cargo rustc go gcc g++ cc c++ clang "
    "clang++ ld as make cmake ninja meson bash sh zsh dash java javac mvn gradle ruby gem bundle perl php lua tmux screen vim "
    "nvim emacs nano docker podman kubectl helm terraform aws gcloud az gh git ssh curl wget rsync tar zip unzip gzip bzip2 xz "
    "zstd sqlite3 psql mysql redis-cli ffmpeg convert magick pandoc latex pdflatex R Rscript julia ghc stack swift dotnet "
    "perf strace gdb valgrind systemctl less man nimllm".split()
)
CHECKED = frozenset(_CHECKS)
READERS = _PLAIN | _NO_ARGUMENTS | CHECKED  # programs of which some use at least is known to only read
GIT_READERS = frozenset(_GIT)
