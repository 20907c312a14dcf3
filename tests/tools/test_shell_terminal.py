# ruff: noqa: E501 (commands under test stay on one line)
"""Programs that need somebody at a terminal: not started, told that nobody is there, or stopped; never answered."""

from __future__ import annotations

import os
import shutil

import pytest

from nimllm.tools import execution, interactive
from nimllm.tools.interactive import refusal
from nimllm.tools.shell import Shell

REFUSED = r"""
vim x|vi|nvim a b|/usr/bin/vim x|nano notes.txt|emacs -nw x|view x|env EDITOR=x vim y|FOO=1 vim z
cd src && vim main.c|git add . ; nano x|nohup htop &|timeout 5 top|time vim|command vim x|exec nano|nice -n 5 vim x
top|top -d 1|htop|btop|watch ls|watch -n 1 date|mc|ranger|tig|ncdu|lynx example.org|w3m x.html
tmux|tmux attach -t 0|tmux new -s work|screen|screen -r|ls \| fzf|passwd|passwd bob|whiptail --yesno a 5 5
v=vim; $v x|if true; then vim x; fi|for f in *.c; do vim $f; done|(cd a; vim b)|x=$(vim y)|f() { ls; }; vim
"""
STARTED = r"""
vim --version|vim -es -c wq x|nvim --headless +q|emacs --batch -l x.el|top -b -n 1|top -bn1|command -v vim|which vim
echo vim|ls vim|cat nano.txt|grep -r vim .|man ls|less x|more x|git log|apt install vim|f() { vim x; }|vim() { echo; }; vim x
tmux new-session -d -s x|tmux ls|screen -dmS x sleep 1|screen -ls|ls \| fzf -f x|ls \| fzf --filter=x|lynx -dump x|passwd -S
passwd --help|sudo -n ls|sudo --version|'vim|echo "top" # watch|python3|gdb -batch x|cat <<EOF\nvim x\nEOF|ncdu -o out|
"""


def commands(text: str) -> list[str]:
    return [part.replace("\0", "|") for part in text.strip("\n").replace("\\|", "\0").replace("\n", "|").split("|")]


@pytest.mark.parametrize("command", commands(REFUSED))
def test_what_surely_needs_somebody_is_refused_with_a_reason(command: str) -> None:
    reason = refusal(command)
    assert "nobody" in reason or "there is none" in reason or "there are none" in reason


@pytest.mark.parametrize("command", commands(STARTED.replace("\\n", "\x01")))
def test_what_can_run_without_anybody_is_not(command: str) -> None:
    assert refusal(command.replace("\x01", "\n")) == ""


def test_who_is_not_root_is_asked_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(interactive.os, "geteuid", lambda: 1000)
    for command in ("sudo ls", "su", "su - bob", "doas ls", "pkexec ls", "FOO=1 sudo -u bob ls", "ls && sudo rm x"):
        assert "password" in refusal(command), command
    assert refusal("sudo -n ls") == refusal("sudo -V") == ""
    monkeypatch.setattr(interactive.os, "geteuid", lambda: 0)
    assert refusal("sudo ls") == "" and refusal("sudo vim x") != ""


def test_a_refused_command_does_not_run_at_all(shell: Shell) -> None:
    seen: list[str] = []
    done = shell.run("touch ran; vim x", on_output=seen.append)
    assert (done.status, done.ended, done.restarted) == (126, "done", False)
    assert done.reason and done.output == f"nimllm: not started: {done.reason}\n" == "".join(seen)
    assert shell.run("ls").output == ""


# ---- while it runs ---------------------------------------------------------------------------------------------------

PYTHON = "python3 -c 'import os, sys, termios, tty, select, getpass, time\nterminal = os.open(\"/dev/tty\", os.O_RDWR)\n{}'"
# name: (command, what the reason says, output, status)
WAITING = {
    "a line": ('read -r line </dev/tty; echo "[$line] $?"', "was told that there is no input", "[] 1\n", 0),
    "a question": ("read -rp 'Go on? [y/N] ' line </dev/tty 2>/dev/tty; echo; echo no", 'terminal ("Go on? [y/N]"), and was told', "Go on? [y/N] \nno\n", 0),
    "a line of a program": (PYTHON.format("print(os.read(terminal, 9))"), "was told that there is no input", "b''\n", 0),
    "stdin is the terminal": ("exec </dev/tty; cat; echo done", "was told that there is no input", "done\n", 0),
    "again and again": ("while :; do read -r line </dev/tty; done", "again and again", None, 130),
    "a password": (PYTHON.format("print(getpass.getpass())"), 'password ("Password:")', None, None),
    "a password without a prompt": (PYTHON.format("time.sleep(.2); mode = termios.tcgetattr(terminal); mode[3] &= ~termios.ECHO; termios.tcsetattr(terminal, 0, mode); os.read(terminal, 1)"), "not shown", None, None),
    "a password of bash": ("read -rsp 'Passphrase: ' word </dev/tty 2>/dev/tty; echo never", "password", None, 130),
    "keys": (PYTHON.format("tty.setraw(terminal); os.read(terminal, 1)"), "waits for keys", None, None),
    "keys by select": (PYTHON.format("tty.setcbreak(terminal); select.select([terminal], [], [])"), "waits for keys", None, None),
    "keys by poll, with ^C ignored": (PYTHON.format("import signal; signal.signal(2, 1); tty.setraw(terminal); p = select.poll(); p.register(terminal, 1); p.poll()"), "waits for keys", None, None),
    "one key of bash": ("read -rsn1 key </dev/tty; echo never", "waits for keys", None, 130),
    "the whole screen": ("printf '\\033[?1049h' >/dev/tty; sleep 60; echo never", "takes the whole screen", None, 130),
}  # fmt: skip


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execution, "SILENCE", 0.4)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("case", WAITING)
def test_nobody_answers(shared: Shell, case: str) -> None:
    command, reason, output, status = WAITING[case]
    done = shared.run(command, timeout=25)
    assert done.ended == "done" and reason in done.reason and done.seconds < 20, done
    assert "\x1b" not in done.output and "never" not in done.output
    if output is not None:
        assert done.output == output
    else:
        assert done.output.endswith(f"nimllm: stopped: {done.reason}\n") and done.status != 0
    if status is not None:  # a busy machine may need a second signal
        assert done.status in ((status,) if status == 0 else (130, 137, 143))
    after = shared.run("printf 'usable %s' $((6*7))")
    assert (after.output, after.reason, after.restarted) == ("usable 42", "", False)


@pytest.mark.usefixtures("impatient")
@pytest.mark.skipif(not shutil.which("ssh-keygen"), reason="ssh-keygen is not installed")
def test_ssh_keygen_asks_for_a_passphrase(shared: Shell) -> None:
    done = shared.run("ssh-keygen -q -t ed25519 -f key", timeout=25)
    assert done.ended == "done" and "passphrase" in done.reason.lower() and done.status != 0, done
    assert shared.run("ls key").status != 0


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "command",
    [
        "stty raw </dev/tty; sleep 0.9; echo fine",
        "python3 -c 'import select, os; r, w = os.pipe(); select.select([r], [], [], 0.9)'; echo fine",
        "printf 'Password: '; sleep 0.9; echo; echo fine",
        "sleep 0.9; echo fine",
        "sleep 0.9 | cat; echo fine",
        "exec 5</dev/tty; sleep 0.9; echo fine; exec 5<&-",
    ],
)
def test_what_is_merely_silent_is_left_alone(shared: Shell, command: str) -> None:
    done = shared.run(command, timeout=20)
    assert (done.status, done.reason, done.ended) == (0, "", "done") and done.output.endswith("fine\n")


@pytest.mark.parametrize("program", ["python3", "cat", "bash", "gdb -q -nx", "less", "sort", "ssh-add -", "bc", "ed"])
def test_who_reads_standard_input_gets_its_end(shared: Shell, program: str) -> None:
    if not shutil.which(program.split()[0]):
        pytest.skip(f"{program} is not installed")
    done = shared.run(program, timeout=20)
    assert (done.ended, done.reason) == ("done", "") and done.seconds < 15


def test_pagers_write_all_at_once(shared: Shell) -> None:
    shared.run("seq 1 300 > long")
    for pager in ("less long", "cat long | less", "git log 2>/dev/null; cat long"):
        if shutil.which(pager.split()[0]):
            done = shared.run(pager, timeout=20)
            assert done.output == "".join(f"{n}\n" for n in range(1, 301)), pager
    assert os.environ.get("PAGER") is None or shared.run("echo $PAGER").output == "cat\n"
