# ruff: noqa: E501 (commands under test stay on one line)
"""The persistent shell: what lasts, what it says of a command, how a command is stopped, and that nothing stays behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from nimllm.errors import SHELL, NimError
from nimllm.tools import processes, sandbox
from nimllm.tools.channel import Channel
from nimllm.tools.shell import Shell


def running(mark: str) -> list[int]:
    """Processes whose command line holds ``mark``."""
    found = []
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) != os.getpid():
            try:
                line = Path("/proc", name, "cmdline").read_bytes()
            except OSError:
                continue
            if mark.encode() in line and processes.alive(int(name)):
                found.append(int(name))
    return found


def gone(mark: str, seconds: float = 3.0) -> bool:
    until = time.monotonic() + seconds
    while running(mark):
        if time.monotonic() > until:
            return False
        time.sleep(0.01)
    return True


# ---- what lasts --------------------------------------------------------------------------------------------------


def test_a_command_finds_the_status_of_the_one_before(shell: Shell) -> None:
    for status in (3, 0, 141):
        assert shell.run(f"(exit {status})").status == status
        assert shell.run("echo $?").output == f"{status}\n"
    assert shell.run("set -o nounset; set -e; false").status == 1
    assert shell.run("echo on").output == "on\n"


def test_folder_variables_functions_and_aliases_last(shell: Shell) -> None:
    shell.run("mkdir inner; cd inner; x=1; export Y=2; f() { echo f-$1; }; alias a='echo alias'; shopt -s globstar")
    assert shell.cwd == shell.workspace / "inner"
    done = shell.run("echo $x $Y; f 3; a; pwd; shopt -q globstar && echo globstar")
    assert done.output == f"1 2\nf-3\nalias\n{shell.cwd}\nglobstar\n"
    assert done.cwd == shell.cwd


def test_a_dead_shell_comes_back_in_its_folder_with_its_exports(shell: Shell) -> None:
    shell.run(
        "mkdir 'a b'; cd 'a b'; export KEEP=$'two\\nlines \"quoted\" $x'; lost=1; [ ! -e /run/nimllm ] || : > /tmp/kept"
    )
    for command in ("exit 0", "kill -9 $$", "exec false"):
        assert shell.run(command).restarted
        done = shell.run("printf '%s' \"$KEEP[$lost]\"; pwd")
        assert done.output == f'two\nlines "quoted" $x[]{shell.workspace}/a b\n'
    if shell.sandbox.contained:
        assert shell.run("ls /tmp/kept | wc -l").output == "1\n", "the private /tmp outlives the shell"


def test_the_folder_and_exports_of_the_very_command_that_ends_the_shell_are_kept(shell: Shell) -> None:
    shell.run("mkdir deep; cd deep; export LAST=word; exit 5")
    assert shell.run("echo $LAST; pwd").output == f"word\n{shell.workspace}/deep\n"


@pytest.mark.parametrize(
    "command, expected",
    [
        ("mkdir gone; cd gone; rmdir ../gone", ""),
        ("mkdir gone; cd gone; rmdir ../gone; : > ../gone", ""),
        ("mkdir -p gone/inner; cd gone/inner; rm -rf ../../gone", ""),
        ("mkdir again; cd again; rmdir ../again; mkdir ../again", "again"),
        ("mkdir old; cd old; mv ../old ../new", "new"),
        ("mkdir here; cd here; PWD=/nonsense", "here"),
        ("mkdir there; cd there; unset PWD", "there"),
    ],
)
def test_a_folder_that_is_gone_does_not_brick_the_shell(shell: Shell, command: str, expected: str) -> None:
    done = shell.run(command)
    assert shell.cwd == shell.workspace / expected
    assert ("the current folder is gone" in done.output) == (expected == "")
    done = shell.run("touch proof && /bin/pwd -P")
    assert (done.status, done.output) == (0, f"{shell.workspace / expected}\n")


def test_killed_from_outside_between_two_commands(shell: Shell) -> None:
    shell.run("cd /")
    pid = int(shell.run("echo $$").output) if not shell.sandbox.enforced else shell._bash.child.pid  # type: ignore[union-attr]
    os.kill(pid, signal.SIGKILL)
    assert processes.wait_gone([pid], 10)
    done = shell.run("pwd")
    assert (done.output, done.restarted, done.ended) == ("/\n", True, "done")


# ---- what is said of a command -----------------------------------------------------------------------------------


def test_the_result_is_complete(shell: Shell) -> None:
    done = shell.run("echo out; echo err >&2; sleep 0.05; (exit 9)")
    assert (done.command, done.status, done.output) == ("echo out; echo err >&2; sleep 0.05; (exit 9)", 9, "out\nerr\n")
    assert (done.bytes, done.truncated, done.ended, done.restarted, done.log) == (8, False, "done", False, None)
    assert 0.05 <= done.seconds < 5


def test_messages_name_bash_and_no_file_of_ours(shell: Shell) -> None:
    assert shell.run("nosuchcommand").output == "bash: nosuchcommand: command not found\n"
    done = shell.run("cd /nowhere\n${x!}\n")
    assert "bash:" in done.output and "nimllm" not in done.output and "/run" not in done.output


def test_programs_see_no_terminal(shell: Shell) -> None:
    shell.run("touch a b c")
    assert shell.run("ls").output == "a\nb\nc\n"
    assert shell.run("[ -t 0 ] || [ -t 1 ] || [ -t 2 ] || echo none").output == "none\n"


def test_large_output_keeps_head_and_tail_and_the_whole_in_a_file(shell: Shell) -> None:
    done = shell.run("seq 1 1000000")
    assert done.truncated and done.bytes == 6_888_896
    assert len(done.output) < 1_100_000
    assert done.output.startswith("1\n2\n3\n") and done.output.endswith("999999\n1000000\n")
    assert "bytes left out" in done.output
    assert done.log is not None and done.log.read_bytes() == b"".join(b"%d\n" % n for n in range(1, 1_000_001))
    assert done.log.stat().st_mode & 0o777 == 0o600
    assert shell.run("seq 1 1000").log is None


def test_endless_output_neither_fills_memory_nor_the_next_result(shell: Shell) -> None:
    done = shell.run("yes abcdefgh", timeout=0.5)
    assert (done.ended, done.status) == ("timeout", 124)
    assert done.bytes > 1 << 20 and len(done.output) < 1_100_000
    assert set(shell.run("echo next").output.split()) <= {"abcdefgh", "next"}
    assert shell.run("echo next").output == "next\n"


def test_output_streams_as_it_comes(shell: Shell) -> None:
    seen: list[tuple[float, str]] = []
    begun = time.monotonic()
    done = shell.run(
        "echo one; sleep 0.4; printf '\\033[31mtwo\\033[0m\\n'; printf three; sleep 1.5",
        on_output=lambda text: seen.append((time.monotonic() - begun, text)),
    )
    assert "".join(text for _, text in seen) == done.output == "one\ntwo\nthree"
    assert seen[0][1] == "one\n" and seen[0][0] < seen[1][0] - 0.2
    assert seen[-1][1] == "three" and seen[-1][0] < done.seconds - 0.5, "an unfinished line is shown while it waits"


def test_an_unfinished_line_is_shown_whole(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its end may look like the beginning of the mark that ends a command's output."""
    monkeypatch.setattr("nimllm.tools.execution._token", lambda: b"e" + os.urandom(16).hex().encode())
    for text in ("name of the web", "name"):
        seen: list[tuple[float, str]] = []
        shell.run(f"printf '{text}'; sleep 1.5", on_output=lambda part, seen=seen: seen.append((time.monotonic(), part)))
        ended = time.monotonic()
        assert "".join(part for at, part in seen if at < ended - 0.5) == text


def test_a_failing_listener_leaves_a_usable_shell(shell: Shell) -> None:
    def fail(_: str) -> None:
        raise RuntimeError("listener")

    with pytest.raises(RuntimeError, match="listener"):
        shell.run("echo x; sleep 33.125; touch later", on_output=fail)
    assert gone("33.125")
    assert shell.run("ls").output == ""


def test_an_overwritten_fifo_cannot_forge_an_end(shell: Shell) -> None:
    inside = shell.sandbox.inside(shell._private)
    forged = f"printf '\\0%s\\n\\0000\\0000\\000/\\000x\\n%s\\0' t t > {inside}/pipes/control; echo mid; sleep 0.2; echo end; (exit 6)"
    done = shell.run(forged)
    assert (done.output, done.status) == ("mid\nend\n", 6)
    done = shell.run(f"head -c 100000 /dev/urandom > {inside}/pipes/control; echo end")
    assert (done.output, done.status) == ("end\n", 0)
    shell.run(f"rm -rf {inside}/* 2>/dev/null; mv {inside} /tmp/elsewhere 2>/dev/null; true", timeout=5)
    assert shell.run("echo alive").output == "alive\n"


def test_secrets_of_the_environment_do_not_reach_commands(tmp_path: Path) -> None:
    env = {"PATH": os.environ["PATH"], "MY_API_KEY": "aaa", "DB_PASSWORD": "bbb", "GITHUB_TOKEN": "ccc", "PLAIN": "ddd"}
    env |= {"DATABASE_URL": "postgres://me:eee@host/db", "AWS_SECRET_ACCESS_KEY": "fff", "KEYBOARD_LAYOUT": "de"}
    with Shell(tmp_path, sandbox.probe(tmp_path, want="none"), env=env) as shell:
        seen = shell.run("env").output
    assert "PLAIN=ddd" in seen
    assert not any(value in seen for value in ("=aaa", "=bbb", "=ccc", "eee", "=fff"))


# ---- stopping ----------------------------------------------------------------------------------------------------


def interrupt_soon(shell: Shell, *delays: float) -> None:
    def later() -> None:
        for delay in delays:
            time.sleep(delay)
            shell.interrupt()

    threading.Thread(target=later, daemon=True).start()


def test_interrupt_stops_the_command_and_what_it_started(shell: Shell) -> None:
    interrupt_soon(shell, 0.2)
    done = shell.run("echo begun; sleep 31.5 | sleep 31.5; touch never")
    assert (done.status, done.ended, done.output) == (130, "interrupted", "begun\n")
    assert done.seconds < 1.5 and not running("31.5")
    done = shell.run("ls; echo same $$")
    assert done.output.startswith("same") and not done.restarted


def test_interrupt_climbs_when_signals_are_ignored(shell: Shell) -> None:
    interrupt_soon(shell, 0.2, 0.05, 0.05)
    done = shell.run(
        'python3 -c "import signal,time; [signal.signal(s, signal.SIG_IGN) for s in (2, 15)]; time.sleep(32.5)"'
    )
    assert done.ended == "interrupted" and done.seconds < 2 and gone("32.5")
    interrupt_soon(shell, 0.2, 0.05)
    done = shell.run("trap '' INT TERM; while :; do :; done")
    assert done.ended == "interrupted" and done.restarted and done.seconds < 2
    assert shell.run("echo on").output == "on\n"


def test_interrupt_without_a_command_does_not_hit_the_next_one(shell: Shell) -> None:
    shell.interrupt()
    assert shell.run("sleep 0.1; echo whole").output == "whole\n"


def test_the_deadline_ends_the_whole_group(shell: Shell) -> None:
    done = shell.run("bash -c 'sleep 34.5 & sleep 34.5'", timeout=0.3)
    assert (done.status, done.ended) == (124, "timeout") and done.seconds < 3
    shell.close()
    assert gone("34.5")


def test_keyboard_interrupt_in_the_main_thread_counts_as_interrupt(shell: Shell) -> None:
    threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
    done = shell.run("sleep 30")
    assert (done.status, done.ended) == (130, "interrupted")


def test_interrupt_from_a_signal_handler(shell: Shell) -> None:
    before = signal.signal(signal.SIGALRM, lambda *_: shell.interrupt())
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        assert shell.run("sleep 30").ended == "interrupted"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_close_ends_daemons_that_left_the_session(shell: Shell) -> None:
    shell.run("setsid sleep 35.5 >/dev/null 2>&1 & (setsid nohup sleep 35.5 >/dev/null 2>&1 &)")
    time.sleep(0.1)
    assert len(running("35.5")) == 2
    shell.close()
    assert gone("35.5")
    shell.close()
    with pytest.raises(NimError) as error:
        shell.run("true")
    assert error.value.code == SHELL
    assert not shell._private.exists()


def test_close_while_a_command_runs(shell: Shell) -> None:
    results = []
    thread = threading.Thread(target=lambda: results.append(shell.run("sleep 36.5")))
    thread.start()
    time.sleep(0.2)
    shell.close()
    thread.join(10)
    assert results[0].ended == "interrupted" and gone("36.5") and not shell._private.exists()


def test_too_many_processes_are_stopped(tmp_path: Path) -> None:
    # A crowd that stops growing by itself: a true fork bomb would hit whatever else runs on this machine.
    box = sandbox.probe(tmp_path, limits=sandbox.Limits(processes=100))
    with Shell(tmp_path, box) as shell:
        done = shell.run("for i in {1..160}; do sleep 37.5 & done; echo all; wait", timeout=30)
        assert done.ended == "died" or "Resource temporarily unavailable" in done.output, done
        if done.ended == "died":  # uid 0: no limit of the kernel's, so the shell's own watch ended it
            assert "more than 100 processes" in done.output and done.seconds < 15
            assert gone("37.5")
        assert shell.run("echo alive", timeout=20).output.endswith("alive\n")
    assert gone("37.5")


def test_files_stay_below_the_limit(tmp_path: Path) -> None:
    with Shell(tmp_path, sandbox.probe(tmp_path, limits=sandbox.Limits(file_kib=64))) as shell:
        done = shell.run(
            "head -c 1000000 /dev/zero > big; ulimit -f 1000000 2>/dev/null; head -c 1000000 /dev/zero > big2"
        )
        assert done.status != 0
        assert all((tmp_path / name).stat().st_size <= 65536 for name in ("big", "big2"))


# ---- where it runs -----------------------------------------------------------------------------------------------


def test_the_shell_outlives_the_thread_that_made_it(tmp_path: Path) -> None:
    made: list[Shell] = []
    thread = threading.Thread(target=lambda: made.append(Shell(tmp_path, sandbox.probe(tmp_path))))
    thread.start()
    thread.join()
    time.sleep(0.2)
    with made[0] as shell:
        done = shell.run("echo alive")
        assert (done.output, done.restarted) == ("alive\n", False)


def test_two_threads_take_turns(shell: Shell) -> None:
    results: list[str] = []

    def work(name: str) -> None:
        for number in range(15):
            done = shell.run(f"echo {name}; echo {number}")
            if done.output != f"{name}\n{number}\n":
                results.append(done.output)

    threads = [threading.Thread(target=work, args=(name,)) for name in "ab"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == []


@pytest.mark.parametrize("want", ["none", "auto"])
def test_without_a_terminal_and_with_sigint_ignored(tmp_path: Path, want: str) -> None:
    script = textwrap.dedent(f"""
        import signal, threading
        from pathlib import Path
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # as in `nimllm … &`
        from nimllm.tools import sandbox, shell
        here = Path({str(tmp_path)!r})
        with shell.Shell(here, sandbox.probe(here, want={want!r})) as bash:
            threading.Timer(0.3, bash.interrupt).start()
            done = bash.run("sleep 20")
            print(done.ended, done.seconds < 5, bash.run("echo fine").output, end="")
    """)
    done = subprocess.run(
        [sys.executable, "-c", script],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        start_new_session=True,
        timeout=60,
    )
    assert done.stdout.decode() == "interrupted True fine\n", done.stderr.decode()


@pytest.mark.parametrize("want", ["none", "auto"])
def test_kill_nine_of_the_harness_leaves_no_process(tmp_path: Path, want: str) -> None:
    script = textwrap.dedent(f"""
        from pathlib import Path
        from nimllm.tools import sandbox, shell
        here = Path({str(tmp_path)!r})
        bash = shell.Shell(here, sandbox.probe(here, want={want!r}))
        bash.run("sleep 38.5 & echo on", on_output=lambda text: print(text, flush=True))
        bash.run("sleep 38.5")
    """)
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE)
    assert child.stdout is not None and child.stdout.readline() == b"on\n"
    time.sleep(0.2)
    child.kill()
    child.wait()
    assert gone("38.5")


def test_no_bash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "defpath", "/nowhere")
    with pytest.raises(NimError, match="not installed") as error:
        Shell(tmp_path, sandbox.probe(tmp_path, want="none"), env={"PATH": "/nowhere"})
    assert error.value.code == SHELL


def test_a_workspace_that_vanishes(shell: Shell) -> None:
    if shell.sandbox.contained:
        pytest.skip("the sandbox holds the folder: it cannot be removed from inside")
    done = shell.run(f"rm -rf {shell.workspace}")
    assert done.status == 0 and shell.run("echo alive; pwd").output == "alive\n/\n"


def test_unusual_names(tmp_path: Path) -> None:
    workspace = tmp_path / 'it\'s "odd" $x ü\n'
    workspace.mkdir()
    with Shell(workspace, sandbox.probe(workspace)) as shell:
        assert shell.run("touch a; ls; exit 3").output == "a\n"
        assert shell.run("ls").output == "a\n" and shell.cwd == workspace
        shell.run("mkdir $'b\\xff'; cd $'b\\xff'")
        assert os.fsencode(shell.cwd.name) == b"b\xff"
        assert shell.run("exit 1").restarted and os.fsencode(shell.cwd.name) == b"b\xff"


def test_it_is_quick(shell: Shell) -> None:
    # 0.5 ms on an idle machine; the least of many, since other work on the machine only ever adds to it.
    assert min(shell.run("true").seconds for _ in range(200)) < 0.005


def resident() -> int:
    """Bytes of memory this process has."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def flood(shell: Shell, size: str, expected: int, timeout: float) -> None:
    shell.run("true")
    before, peak, done = resident(), [0], threading.Event()

    def look() -> None:
        while not done.wait(0.02):
            peak[0] = max(peak[0], resident())

    thread = threading.Thread(target=look)
    thread.start()
    result = shell.run(f"yes 'the same line' | head -c {size}; echo end; (exit 5)", timeout=timeout)
    done.set()
    thread.join()
    assert (result.status, result.ended, result.bytes) == (5, "done", expected + 4)
    assert result.output.startswith("the same line\n") and result.output.endswith("end\n") and result.truncated
    assert result.log is not None and result.log.stat().st_size <= (256 << 20) + (1 << 20)
    assert peak[0] - before < 48 << 20, "memory stays flat"
    assert shell.run("echo next").output == "next\n"
    result.log.unlink()


def test_much_output_takes_no_memory(shell: Shell) -> None:
    flood(shell, "300M", 300 << 20, 120)


@pytest.mark.slow
def test_ten_gigabytes_of_output_take_no_memory(shell: Shell) -> None:
    flood(shell, "10G", 10 << 30, 900)


def test_an_end_mark_that_comes_late_is_not_the_next_commands_output() -> None:
    channel = Channel("/private")
    channel.begin(b"a" * 32)
    assert channel.feed(b"out", final=True) == b"out" and not channel.marked
    channel.retire()
    channel.begin(b"b" * 32)
    shown = channel.feed(b"a" * 20) + channel.feed(b"a" * 12 + b"usable" + b"b" * 32)
    assert shown == b"usable" and channel.marked
