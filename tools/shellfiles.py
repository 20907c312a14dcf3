"""The bash side of the shell: what is sourced at its start, around a command, after it, and at its death.

All of it assumes that the command before was hostile. POSIXLY_CORRECT=1 comes first everywhere: in posix mode the
special builtins (``.``, ``unset``, ``trap``, ``set``, ``eval``, ``return``, ``export``) are found before functions of
the same name, so ``unset -f`` can take away all the others. @DIR@, @WORKSPACE@ and @PATH@ are filled in by the shell;
@NAME@ begins the names of our variables, which no command can know without looking for them.
"""

from __future__ import annotations

import shlex
from pathlib import Path

# The hint stands on the line of the command, so that bash has parsed it before the command can `set -v`.
GO = (
    r"\. @DIR@/command; { @NAME@_status=$? POSIXLY_CORRECT=1; \trap - DEBUG RETURN ERR; \set +evxkT; \. @DIR@/hint; } "
    ">/dev/null 2>&1\n"
)

HINT = r"""\unset -f \builtin printf
PS0= PS1= PS2=
\unset PROMPT_COMMAND
\builtin printf . >@DIR@/pipes/control
\unset POSIXLY_CORRECT
\eval "\unset @NAME@_status; \return $@NAME@_status"
"""

_NAMES = (
    "unset set trap . source eval return export exec exit shift : builtin command enable printf echo cd pwd test [ "
    "read declare local shopt ulimit alias unalias type hash true false"
)
_WORDS = "if then else elif fi for while until do done case esac select function in coproc time { \\} [[ ]] !"

# DEBUG, RETURN and ERR are reset by the line that sources this: a sourced file cannot take away its caller's DEBUG.
REPORT = (
    r"\unset -f "
    + _NAMES
    + r"""
IFS=$' \t\n'
\builtin unalias ${BASH_ALIASES[*]+@ALIASES@}  # without aliases it is told nothing, or it would complain fifty times
\set +abefhkuvxnCETHP -hBm +o pipefail +o history +o noglob
\trap - EXIT HUP INT QUIT TERM USR1 USR2 PIPE ALRM CHLD WINCH CONT TSTP TTIN TTOU
PS0= PS1= PS2= PS4='+ ' FUNCNEST=3000
\unset PROMPT_COMMAND TMOUT BASH_XTRACEFD MAILCHECK GLOBIGNORE EXECIGNORE
\builtin enable @BUILTINS@
\builtin shopt -u extdebug failglob execfail inherit_errexit checkwinsize
[[ -n ${PATH-} ]] || PATH=@PATH@
\export PATH
@NAME@_moved=0
if ! [[ $PWD -ef . ]]; then  # /bin/pwd, since bash's own believes what it remembers
  @NAME@_folder=$(/bin/pwd -P) && [[ $@NAME@_folder -ef . ]] || @NAME@_folder=$PWD
  \builtin cd -- "$@NAME@_folder" || { @NAME@_moved=1; \builtin cd -- @WORKSPACE@; } || \builtin cd /
fi
@NAME@_bent=1  # something readonly would speak, or end the shell, at every prompt: only a new shell gets rid of it
[[ -z ${PROMPT_COMMAND-}${PROMPT_COMMAND[*]-}$PS0$PS1$PS2${TMOUT-} && $IFS == $' \t\n' ]] && @NAME@_bent=0
{
  \builtin printf '\0%s\n\0%s\0%s\0%s\0' "$1" "$@NAME@_status" "$@NAME@_moved$@NAME@_bent" "$PWD"
  \set -- "$1" "$@NAME@_status"
  \unset POSIXLY_CORRECT @NAME@_status @NAME@_moved @NAME@_folder @NAME@_bent
  \export -p
  \builtin printf '\n%s\0' "$1"
} >@DIR@/pipes/control
\builtin printf %s "$1"
\trap '{ @NAME@_status=$? POSIXLY_CORRECT=1; \. @DIR@/last; } >/dev/null 2>&1' EXIT
\return "$2"  # what the next command finds in $?
"""
).replace("@BUILTINS@", _NAMES.replace("builtin", r"\builtin")).replace("@ALIASES@", f"{_NAMES} {_WORDS}")

LAST = r"""\unset -f \builtin printf
{
  \builtin printf '\0last\n\0%s\0%s\0%s\0' "$@NAME@_status" 0 "$PWD"
  \unset POSIXLY_CORRECT
  \export -p
  \builtin printf '\0'
} >@DIR@/pipes/control
\eval "\unset @NAME@_status; \return $@NAME@_status"
"""


def start_file(ulimits: str, folder: Path, gate: int, hidden: bool) -> str:
    """The rcfile. Its last line silences what bash says at its prompt of jobs that ended (their whole text): it would
    stand in the output of whichever command comes next.

    ``restore`` holds the exported environment of a shell that died, as its ``export -p`` wrote it.

    ``gate``: a pipe that is at its end when nimllm is dead. bubblewrap's change of rights undoes the order to die with
    it for a moment, and a nimllm killed in that moment would leave a shell that waits for ever.

    ``hidden``: what bash starts is held together by a pid namespace and need not carry the shell's mark."""
    return f"""read -t 0 <&{gate} 2>/dev/null && exit 1
exec {gate}<&-
{"unset NIMLLM_SHELL" if hidden else ""}
{ulimits}
set +o history +H
PS0= PS1= PS2= PS4='+ ' FUNCNEST=3000
unset PROMPT_COMMAND HISTFILE MAILCHECK TMOUT
shopt -u checkwinsize
. @DIR@/restore 2>/dev/null
cd -- {shlex.quote(str(folder))} 2>/dev/null || cd -- @WORKSPACE@
unset OLDPWD
exec 2>/dev/null
"""


def go_line(folder: Path, output: str) -> bytes:
    where = shlex.quote(str(folder))
    return rf"\. {where}/go </dev/null >{where}/{output} 2>&1".encode() + b"\n"


def report_line(folder: Path, output: str, name: str, token: bytes, again: bool) -> bytes:
    """No reserved word stands in it: a command may have made aliases of them. ``again``: the line before did not
    answer; a command may have taken away what it needs, builtins or descriptors."""
    where = shlex.quote(str(folder))
    mend = r"\unset -f enable builtin ulimit; \enable . builtin; \builtin enable . enable; \builtin ulimit -Sn hard; "
    return (
        rf"{name}_status=${{{name}_status-$?}} POSIXLY_CORRECT=1; {mend if again else ''}\trap - DEBUG RETURN ERR; "
        rf"\. {where}/report {token.decode()} </dev/null >{where}/{output} 2>/dev/null".encode()
        + b"\n"
    )
