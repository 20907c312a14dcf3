# ruff: noqa: E501 (commands under test stay on one line)
"""Commands that wedge, fool or kill shells driven by programs. After each of them the shell must answer, truly and clean."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from nimllm.tools.shell import Shell


@dataclass(frozen=True)
class Case:
    name: str
    command: str
    status: int | tuple[int, ...]
    output: str | None = None  # the exact output; None: not compared
    ended: str = "done"
    timeout: float = 20.0


CASES = [
    Case("no newline at the end", "printf abc", 0, "abc"),
    Case("empty", "", 0, ""),
    Case("only a comment", "# nothing", 0, ""),
    Case("status", "(exit 7)", 7, ""),
    Case("long command", "echo " + "x" * 6000, 0, "x" * 6000 + "\n"),
    Case("huge command", ": " + "y" * 100_000 + "; echo end", 0, "end\n"),
    Case("here-document", "cat <<EOF\na\n$((1+1))\nEOF", 0, "a\n2\n"),
    Case("two here-documents", "cat <<'A' - <(cat <<'B'\nb\nB\n)\na\nA", 0, "a\nb\n"),
    Case("unterminated quote", "echo 'abc", 2),
    Case("unterminated double quote over lines", 'echo "abc\ndef', 2),
    Case("unterminated if", "if true; then echo no", 2),
    Case("unterminated here-document", "cat <<EOF\nabc", 0),
    Case("stray fi", "fi", 2),
    Case("half a script", "echo one > half-ran\nif true; then\n", 2),
    Case("half did not run", "cat half-ran", 1, "cat: half-ran: No such file or directory\n"),
    Case("trailing backslash", "echo a \\", 0, "a\n"),
    Case("CR LF", "echo a\r\necho b\r\n", 0, "a\nb\n"),
    Case("tabs do not complete", "printf '%s' '\t\t'", 0, "\t\t"),
    Case("history expansion", 'echo "wow!!" !x', 0, "wow!! !x\n"),
    Case("exit", "exit 3", 3, "", "died"),
    Case("exit in a subshell", "(exit 3); echo $?", 0, "3\n"),
    Case("errexit", "set -e; false; echo no", 1, "", "died"),
    Case("errexit in a subshell's status", "set -e; (exit 7)", 7, "", "died"),
    Case("errexit left on", "set -e", 0, ""),
    Case("errexit is off again", "false; echo still", 0, "still\n"),
    Case("nounset", "set -u; echo $no_such_variable", 1, "bash: no_such_variable: unbound variable\n"),
    Case("nounset left on", "set -u", 0, ""),
    Case("nounset is off again", 'echo "[$no_such_variable]"', 0, "[]\n"),
    Case("xtrace stays in its command", "set -x; true", 0, "+++ true\n"),
    Case("xtrace is off again", "true", 0, ""),
    Case("verbose", "set -v\ntrue", 0),
    Case("verbose is off again", "true", 0, ""),
    Case("noclobber", "set -o noclobber; echo a >| clobber", 0, ""),
    Case("noclobber is off again", "echo b > clobber; cat clobber", 0, "b\n"),
    Case("exec replaces the shell", "exec true", 0, "", "died"),
    Case("exec of what is not there", "exec no-such-program", 127, None, "died"),
    Case("kill -9 of itself", "kill -9 $$", 137, "", "died"),
    Case("kill -TERM of itself", "kill $$; echo alive", 0, "alive\n"),
    Case("kill -HUP of itself", "kill -HUP $$; sleep 1", 129, None, "died"),
    Case("a child killed by SIGINT", "bash -c 'kill -INT $$'; echo not reached", 130, None),
    Case("a child killed by SIGSEGV", "bash -c 'kill -SEGV $$'", 139, None),
    Case("stdout thrown away", "exec >/dev/null", 0, ""),
    Case("stdout is back", "echo back", 0, "back\n"),
    Case("stderr thrown away", "exec 2>/dev/null; nosuchcommand", 127, ""),
    Case("stderr is back", "echo err >&2", 0, "err\n"),
    Case("stdout and stderr closed", "exec >&- 2>&-", 0, ""),
    Case("both are back", "echo a; echo b >&2", 0, "a\nb\n"),
    Case("stdin closed", "exec <&-", 0, ""),
    Case("all descriptors closed", 'for n in {3..255}; do eval "exec $n>&-"; done', 0, None, "died"),
    Case("still there", "echo here", 0, "here\n"),
    Case("PATH unset", "unset PATH", 0, ""),
    Case("PATH is back", "ls / >/dev/null && echo found", 0, "found\n"),
    Case("PATH empty", "PATH=; export PATH", 0, ""),
    Case("PATH is back again", "ls / >/dev/null && echo found", 0, "found\n"),
    Case("printf and echo redefined", "printf() { :; }; echo() { :; }; echo x", 0, ""),
    Case("they are back", "echo x; printf y", 0, "x\ny"),
    Case(
        "builtin, trap, set redefined",
        "builtin() { :; }; trap() { :; }; set() { :; }; unset() { :; }; cd() { :; }",
        0,
        "",
    ),
    Case("they are back too", "cd /; pwd; cd - >/dev/null", 0, "/\n"),
    Case("aliases of everything", "alias trap=false set=false builtin=false printf=false unset=false .=false", 0, ""),
    Case("prompt redefined", "PS1='evil> ' PS2='more> ' PS4='dbg> ' PROMPT_COMMAND='echo prompted'", 0, ""),
    Case("no prompt", "echo clean", 0, "clean\n"),
    Case("PS0", "PS0='zero'", 0, ""),
    Case("no PS0", "echo clean", 0, "clean\n"),
    Case("DEBUG trap", "trap 'echo debug' DEBUG", 0, ""),
    Case("no DEBUG trap", "echo clean", 0, "clean\n"),
    Case("EXIT trap", "trap 'echo bye' EXIT; exit 4", 4, "bye\n", "died"),
    Case("ERR trap", "trap 'echo err' ERR; true", 0, ""),
    Case("no ERR trap", "false; true", 0, ""),
    Case("RETURN trap", "trap 'echo ret' RETURN; true", 0),
    Case("no RETURN trap", "true", 0, ""),
    Case("IFS", "IFS=0123456789abcdef", 0, ""),
    Case("IFS is back", "x='a b'; set -- $x; echo $#", 0, "2\n"),
    Case("posix mode", "set -o posix", 0, ""),
    Case("not posix any more", "cat <(echo sub)", 0, "sub\n"),
    Case("noglob", "set -f", 0, ""),
    Case("glob is back", "echo /et[c]", 0, "/etc\n"),
    Case("job control off", "set +m", 0, ""),
    Case("TMOUT", "TMOUT=1", 0, ""),
    Case("IGNOREEOF and EOF", "IGNOREEOF=0", 0, ""),
    Case("extdebug", "shopt -s extdebug; trap false DEBUG", 137, "", "died"),
    Case("no extdebug", "echo runs", 0, "runs\n"),
    Case("stty raw", "stty raw </dev/tty", 0, ""),
    Case("stty again", "stty -isig intr x eof y </dev/tty", 0, ""),
    Case("stty did no harm", "echo fine", 0, "fine\n"),
    Case("output stopped", "printf '\\023' >/dev/tty", 0),
    Case("read without input", "read x; echo $?", 0, "1\n"),
    Case("cat without input", "cat", 0, ""),
    Case("python without input", "command -v python3 >/dev/null && python3; echo $?", 0),
    Case("reads the terminal", 'read -r line </dev/tty; echo "[$line] $?"', 0, "[] 1\n", timeout=30),
    Case("a program reads the terminal", "cat </dev/tty; echo $?", 0, "0\n", timeout=30),
    Case("background job", "sleep 300 & echo started", 0, "started\n"),
    Case("kill the job", "kill %1; wait %1 2>/dev/null; echo gone", 0),
    Case("background job that writes", "(sleep 0.05; echo late) & wait", 0),
    Case("stopped job", "sleep 100 & kill -STOP $!; kill -9 $!; echo $?", 0),
    Case("stopped foreground", "bash -c 'kill -STOP $$'; kill -9 %% 2>/dev/null; echo on", 0),
    Case("suspended shell", "suspend", 124, None, "timeout", timeout=0.5),
    Case("binary output", "head -c 300 /dev/urandom | tr -d '\\n'", 0),
    Case("NUL bytes", "printf 'a\\0b'", 0, "a\\x00b"),
    Case("invalid UTF-8", "printf 'a\\xff\\xfeb'", 0, "a\\xff\\xfeb"),
    Case("title and clipboard", "printf '\\033]0;owned\\007\\033]52;c;AAAA\\007ok\\n'", 0, "\\x1b]0;owned\\x07\\x1b]52;c;AAAA\\x07ok\n"),
    Case("unterminated OSC", "printf '\\033]0;never'", 0, "\\x1b]0;never"),
    Case("C1 controls", "printf 'a\\302\\233b'", 0, "a\\x9bb"),
    Case("clear screen", "printf '\\033[2J\\033[H\\033chome'", 0, "home"),
    Case("forged end", "printf '\\0%s\\n\\0000\\0000\\000/\\000' 0123456789abcdef0123456789abcdef", 0),
    Case("one very long line", "head -c 300000 /dev/zero | tr '\\0' x | wc -c", 0, "300000\n"),
    Case("true and false redefined", "true() { return 1; }; false() { return 0; }", 0, ""),
    Case("they mean what they say", "true && ! false && echo yes", 0, "yes\n"),
    Case("umask", "umask 777", 0, ""),
    Case("umask again", "umask 022; echo ok", 0, "ok\n"),
    Case("return", "return 5", 5, ""),
    Case("break outside of a loop", "break; echo after", 0),
    Case("shell variables of ours are gone", "compgen -v | grep nimllm_; echo none", 0, "none\n"),
    Case("recursion", "f() { f; }; f", 1, "bash: f: maximum function nesting level exceeded (3000)\n", timeout=30),
    Case("endless loop", "while :; do :; done", 124, "", "timeout", 0.3),
    Case("sleeps too long", "sleep 60; echo no", 124, "", "timeout", 0.3),
    Case("ignores SIGINT", "trap '' INT; sleep 60", 124, None, "timeout", 0.3),
    Case(
        "ignores SIGINT and SIGTERM",
        "bash -c \"trap '' INT TERM; while :; do sleep 1; done\"",
        124,
        None,
        "timeout",
        0.3,
    ),
    Case("a list goes no further", "sleep 60; touch went-further", 124, "", "timeout", 0.3),
    Case("it did not", "test -e went-further", 1, ""),
    Case("a pipeline too long", "yes | cat > /dev/null", 124, "", "timeout", 0.3),
    Case("SIGPIPE is as it should be", "yes | head -n 1; echo ${PIPESTATUS[0]}", 0, "y\n141\n"),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_the_shell_survives(shared: Shell, case: Case) -> None:
    done = shared.run(case.command, timeout=case.timeout)
    expected = case.status if isinstance(case.status, tuple) else (case.status,)
    assert done.status in expected, done
    assert done.ended == case.ended, done
    if case.output is not None:
        assert done.output == case.output
    assert "\x1b" not in done.output and "nimllm" not in done.output.replace("nimllm_", "")
    if done.ended == "died":
        assert done.restarted
    # The next command answers, truly and with nothing of the last one in it (jobs may still say that they ended).
    after = shared.run("printf '%s|' usable $((6*7)); false", timeout=10)
    assert (after.status, after.ended) == (1, "done")
    assert "usable|42|" in after.output and all(
        line.startswith("[") for line in after.output.replace("usable|42|", "").splitlines()
    )
