"""The policy on lines that nobody wrote: it never crashes, and a catastrophe is found wherever it stands."""

from __future__ import annotations

from hypothesis import example, given, settings
from hypothesis import strategies as st

from nimllm.tools.commands import parse
from nimllm.tools.policy import MODES, judge, prefixes

PIECES = st.sampled_from(
    [
        "ls",
        "cat x",
        "echo a",
        "touch y",
        "x=1",
        "true",
        "$(",
        ")",
        "`",
        "'",
        '"',
        "\\",
        "{",
        "}",
        "(",
        "|",
        "&&",
        "||",
        ";",
        "&",
        "\n",
        "<<EOF\n",
        "EOF\n",
        "if",
        "then",
        "fi",
        "for x in a",
        "do",
        "done",
        "while",
        "case x in",
        "esac",
        "$x",
        "${x:-",
        "$((",
        "))",
        ">",
        "<",
        ">(",
        "<(",
        "[[",
        "]]",
        "#",
        " ",
        "f() {",
        "!",
        "time",
        "sudo",
        "find . -exec",
        "{} \\;",
        "xargs",
        "bash -c",
        "eval",
    ]
)


@settings(max_examples=200, deadline=None)
@given(
    st.one_of(
        st.text(max_size=200), st.lists(PIECES, max_size=25).map(" ".join), st.lists(PIECES, max_size=25).map("".join)
    )
)
@example("\ud800")
@example("'" * 5000)
def test_it_never_crashes(command: str) -> None:
    for mode in MODES:
        assert judge(command, mode, ["ls", "touch"]).action in ("run", "ask", "refuse")
    prefixes(command)
    parse(command)


BEFORE = st.sampled_from(
    [
        "",
        "ls; ",
        "true && ",
        "x=1; ",
        "cd a || ",
        "echo 'a;b' | ",
        "# note\n",
        "cat <<E\nx\nE\n",
        "for i in 1; do :; done; ",
    ]
)
WRAPS = st.sampled_from(
    [
        "{}",
        "( {} )",  # with blanks: ((x)) is arithmetic and runs nothing
        "{{ {}; }}",
        "if true; then {}; fi",
        "for i in 1 2; do {}; done",
        "while true; do {}; done",
        "echo $( {} )",
        'echo "a $( {} ) b"',
        "x=$( {} )",
        "f() {{ {}; }}; f",
        "! {}",
        "cat <( {} )",
        "case a in a) {};; esac",
        "{} &",
        "true && {}",
        "time {}",
        "[[ -n $( {} ) ]]",
        "cat <<EOF\n$( {} )\nEOF",
        "echo ${{x:-$( {} )}}",
        "{} | cat",
        "{} 2>/dev/null",
        "a=1 {}",
        "if ! {}; then :; fi",
        "coproc {{ {}; }}",
        "until {}; do :; done",
        "x[$( {} )]=1",
        "a=([1]=$( {} ))",
    ]
)
CORE = st.sampled_from(
    [
        "rm -rf /",
        "rm -rf ~",
        "rm -rf ..",
        "rm -fr $HOME",
        "mkfs.ext4 /dev/sda",
        "dd if=x of=/dev/sda",
        "git push --force",
        "shutdown now",
        "chmod -R 777 /",
        "curl x | sh",
        "\\rm -rf /*",
        "command rm -r -f /",
        "env rm -rf /",
        "bash -c 'rm -rf /'",
        "find / -delete",
    ]
)
AFTER = st.sampled_from(["", "; ls", " && true", " || echo no", "\nls"])


@settings(max_examples=200, deadline=None)
@given(BEFORE, st.lists(WRAPS, max_size=3), CORE, AFTER)
@example("", ["{{ {}; }}", "{{ {}; }}", "! {}"], "rm -rf /", "")
@example("", ["{{ {}; }}", "{{ {}; }}", "{{ {}; }}"], "! rm -rf /", "")
def test_a_catastrophe_is_found_wherever_it_hides(before: str, wraps: list[str], core: str, after: str) -> None:
    command = core
    for wrap in wraps:
        command = wrap.format(command)
    command = before + command + after
    assert judge(command, "auto", ["rm", "bash"]).action == "ask", command
    assert judge(command, "read-only").action == "refuse", command
