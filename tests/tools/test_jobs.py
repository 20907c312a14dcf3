# ruff: noqa: E501 (commands under test stay on one line)
"""Jobs in the background and daemons: listed, killed and seen to be gone, and heard by themselves."""

from __future__ import annotations

import time

import pytest

from nimllm.errors import USAGE, NimError
from nimllm.tools import processes
from nimllm.tools.jobs import Job
from nimllm.tools.shell import Shell


def until(shell: Shell, count: int, program: str = "") -> list[Job]:
    """The jobs, when there are ``count`` of them and each runs ``program`` (a double fork takes its time)."""
    end = time.monotonic() + 10

    def settled(jobs: list[Job]) -> bool:
        return len(jobs) == count and all(program in job.program for job in jobs)

    def shown(jobs: list[Job]) -> list[tuple[int, tuple[int, ...], str]]:
        return [(job.id, tuple(job.pids), job.program) for job in jobs]

    jobs = shell.jobs()
    while time.monotonic() < end:
        time.sleep(0.05)
        before, jobs = jobs, shell.jobs()
        if settled(jobs) and shown(jobs) == shown(before):  # twice the same: setsid has forked, exec is done
            return jobs
    raise AssertionError(jobs)


def test_no_jobs(shell: Shell) -> None:
    assert shell.jobs() == []
    assert shell.run("true").jobs == 0 and shell.jobs() == []


def test_a_job_is_listed_and_killed(shell: Shell) -> None:
    done = shell.run("sleep 311 & sleep 312 | sleep 313 & echo started")
    assert (done.output, done.jobs, done.reason) == ("started\n", 2, "")
    first, second = until(shell, 2, "sleep")
    assert (first.id, second.id) == (1, 2) and first.program == "sleep 311" and len(second.pids) == 2
    assert first.command == done.command and first.state == "running" and 0 <= first.seconds < 60
    assert shell.run("echo $!; jobs -p").output.splitlines()[0] == str(max(int(shell.run("echo $!").output), 0))
    shell.kill_job(first.id)
    assert not any(processes.alive(pid) for pid in first.pids)
    assert [job.id for job in shell.jobs()] == [2], "an id stays what it is"
    with pytest.raises(NimError, match="no job 1") as error:
        shell.kill_job(1)
    assert error.value.code == USAGE and "2" in (error.value.mend or "")
    shell.kill_job(2)
    assert shell.jobs() == [] and shell.run("echo clean").output == "clean\n", "nothing is said of jobs that ended"


def test_the_pid_is_the_one_that_commands_see(shell: Shell) -> None:
    pid = int(shell.run("sleep 314 & echo $!").output)
    assert until(shell, 1)[0].pid == pid
    assert shell.run(f"kill -9 {pid}; wait {pid} 2>/dev/null; echo $?").output == "137\n"
    until(shell, 0)


@pytest.mark.parametrize(
    "command",
    [
        "setsid sleep 321 >/dev/null 2>&1 &",
        "(setsid nohup sleep 321 >/dev/null 2>&1 &)",
        "nohup sleep 321 >/dev/null 2>&1 & disown",
        "setsid sh -c 'sleep 321 & exit' >/dev/null 2>&1",
        "env -i setsid sleep 321 >/dev/null 2>&1 & disown -a",
        "python3 -c 'import os,time\nif os.fork(): os._exit(0)\nos.setsid()\nif os.fork(): os._exit(0)\nos.execvp(\"sleep\", [\"sleep\", \"321\"])'",
        "set +m; sleep 321 &",
        "bash -c \"trap '' INT TERM HUP; while :; do sleep 321; done\" & disown",
    ],
)
def test_daemons_are_listed_and_killed(shell: Shell, command: str) -> None:
    shell.run(command)
    (job,) = until(shell, 1, "sleep 321")
    shell.kill_job(job.id)
    assert shell.jobs() == [] and not any(processes.alive(pid) for pid in job.pids)
    assert shell.run("echo on").output == "on\n"


def test_a_stopped_job_says_so_and_dies(shell: Shell) -> None:
    shell.run("bash -c 'kill -STOP $$; sleep 331'")
    (job,) = until(shell, 1)
    assert job.state == "stopped"
    shell.kill_job(job.id)
    assert shell.jobs() == []


def test_what_a_job_writes_is_its_own(shell: Shell) -> None:
    shell.run("n=0; while sleep 0.02; do echo tick $((n++)); done & echo begun")
    for number in range(10):
        assert shell.run(f"sleep 0.05; echo {number}").output == f"{number}\n"
    (job,) = shell.jobs()
    assert job.output.startswith("tick 0\n") and "tick 5\n" in job.output
    shell.kill_job(job.id)
    assert shell.run("echo clean").output == "clean\n"


def test_a_job_that_writes_without_end_neither_stalls_nor_floods(shell: Shell) -> None:
    shell.run("yes job >&1 &")
    begun = time.monotonic()
    time.sleep(0.5)
    assert shell.run("echo next").output == "next\n" and time.monotonic() - begun < 5
    (job,) = shell.jobs()
    assert "bytes left out" in job.output and len(job.output) < 80_000
    shell.kill_job(job.id)
    assert shell.run("echo next").output == "next\n"


def test_jobs_end_with_their_shell_and_are_not_listed_any_more(shell: Shell) -> None:
    shell.run("sleep 341 & setsid sleep 341 & sleep 0.1")
    jobs = until(shell, 2)
    assert shell.run("exit 3").restarted
    assert shell.jobs() == [] and not any(processes.alive(pid) for job in jobs for pid in job.pids)


def test_jobs_can_be_asked_for_while_a_command_runs(shell: Shell) -> None:
    import threading

    shell.run("sleep 351 &")
    thread = threading.Thread(target=shell.run, args=("sleep 352 & sleep 353",))
    thread.start()
    time.sleep(0.3)
    seen = until(shell, 2, "sleep")
    shell.kill_job(seen[0].id)
    shell.interrupt()
    thread.join(10)
    assert [job.program for job in seen] == ["sleep 351", "sleep 352"], "what has the terminal is no job"
    assert shell.jobs() == [], "an interrupted command leaves nothing behind"


def test_an_interrupted_command_leaves_earlier_jobs_alone(shell: Shell) -> None:
    shell.run("sleep 361 & (setsid sleep 362 &) ; sleep 0.1")
    before = {job.pid for job in until(shell, 2)}
    done = shell.run("setsid sleep 363 & setsid -w sleep 364", timeout=0.3)
    assert done.ended == "timeout" and done.seconds < 3
    assert {job.pid for job in shell.jobs()} == before
