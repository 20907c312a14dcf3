"""What runs: listed, counted, found by name; started in the background, waited for, stopped."""

from __future__ import annotations

import random
from typing import Any

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.phrases import quoted, string
from nimllm.agent.gym.schemas.registers import act, amount, ask, stem
from nimllm.agent.gym.schemas.subjects import volatile
from nimllm.agent.gym.worlds import World


@schema("process.list", "ps", weight=1.3)
def listed(world: World, rng: random.Random) -> Draft:
    n = rng.choice((1, 2, 3, 3, 5))
    m = amount(rng, n)
    command, plan, block = rng.choice((
        ("ps -e | wc -l", "count the processes", """
            how many processes (are running|run|are there) (, with the header line|by ps -e, header included|)?
            count the (running|) processes (with ps and wc|)
            number of (running|) processes
            """), (f"ps aux --sort=-%mem | head -n {n + 1}", "find the hungriest processes", """
            (which|what) {n} processes use the most (memory|RAM)?
            <show> the {n} processes (with the most memory|using the most memory|that eat most RAM)
            (top|the top) {n} (memory hogs|processes by memory)
            {n} (biggest|largest) processes by (memory|RAM) (usage|use), with the header
            """), (f"ps aux --sort=-%cpu | head -n {n + 1}", "find the busiest processes", """
            (which|what) {n} processes use the most CPU?
            <show> the {n} processes (with the most CPU|using the most CPU time|that eat most CPU)
            (top|the top) {n} (CPU hogs|processes by CPU)
            {n} busiest processes (, with the header|)
            """), ("ps", "list the processes of this terminal", """
            <show> (only|just) the processes of this (terminal|shell|session)
            (which|what) processes run in this (terminal|shell)?
            ps (, nothing else|without options|)
            """), ("ps -u \"$(whoami)\"", "list my processes", """
            <show> (only|just) my (own|) processes
            (which|what) processes (are mine|of mine are running|do I run)?
            (my|all my) (running|) processes
            processes of (my|the current) user
            """), ("echo $$", "show the shell's process id", """
            what is the (process id|PID|pid) of this shell?
            <show> the (PID|pid|process id) of (this|the current) shell
            my shell's (pid|process id)
            """)))
    slots: dict[str, Any] = {"n": m} if "{n}" in block else {}
    return volatile(ask(rng, block, command, plan, **slots))


@schema("process.find", "pgrep ps", weight=1.0)
def find(world: World, rng: random.Random) -> Draft:
    name = rng.choice(("bash", "bash", "bash"))
    command, plan, block = rng.choice((
        (f"pgrep {name}", f"find the processes called {name}", """
            (process ids|PIDs|pids) of {p}
            <show> the (PIDs|process ids|pids) of (all|) {p} (processes|)
            is {p} running? (show|print) (its|the) (PIDs|process ids)
            pgrep {p}
            find the (PID|process id) of {p}
            """), (f"pgrep -c {name}", f"count the processes called {name}", """
            how many {p} processes (are running|run|are there)?
            count the (running|) {p} processes
            number of {p} processes
            """), (f"pgrep {name} > /dev/null && echo yes || echo no", f"check whether {name} runs", """
            is {p} running? yes or no
            (check|tell me) (whether|if) {p} (is running|runs) (, yes or no|: yes or no)
            does a process (called|named) {p} run? (say|print) yes or no
            """)))
    return volatile(ask(rng, block, command, plan, p=name))


@schema("process.background", "sleep kill", weight=1.0)
def background(world: World, rng: random.Random) -> Draft:
    n, name = rng.choice((30, 60, 100, 120, 300, 500, 1000)), world.new_name()
    at = rng.random()
    if at < 0.35:
        return volatile(ask(rng, """
            start sleep {n} in the background and kill it X
            run sleep {n} in the background, (kill|stop) it (at once|immediately|) and print done
            (launch|start) a background sleep of {n} seconds, kill it, then echo done
            sleep {n} in the background; kill it; echo done
            """.replace("and kill it X", ", kill it and print done"),
            f"sleep {n} & kill $!; echo done", f"start sleep {n} and kill it", None, True, n=n))
    if at < 0.6:
        return volatile(ask(rng, """
            start sleep {n} in the background and (show|list) the jobs (, kill it afterwards|, then kill it)
            run sleep {n} as a background job, list the jobs, then kill it
            put sleep {n} (in|into) the background, (show|print) the jobs and kill it
            """.replace("(, kill it afterwards|, then kill it)", ", then kill it"), f"sleep {n} & jobs; kill $!",
            f"start sleep {n} and list the jobs", None, True, n=n))
    if at < 0.8:
        return act(rng, """
            start sleep {n} in the background, kill it and (create|touch) {f}
            run sleep {n} in the background, (stop|kill) it, then (create|touch) {f}
            (launch|start) sleep {n} as a background job, end it, then touch {f}
            """,
            f"sleep {n} & kill $!; touch {quoted(name)}", f"start sleep {n}, kill it, create {name}", n=n, f=name)
    text = names.word(rng)
    return ask(rng, """
        run echo {t} in the background and wait for it
        (start|run) echo {t} as a background job, then wait (until it ends|for it)
        echo {t} in the background, then wait
        put echo {t} (in|into) the background and wait (for its end|)
        """, f"echo {text} & wait", "run it in the background and wait", None, True, t=text)


@schema("process.timed", "sleep timeout time", weight=0.8)
def timed(world: World, rng: random.Random) -> Draft:
    text, n, name = names.word(rng), rng.randint(2, 60), world.new_name()
    at = rng.random()
    if at < 0.35:
        return ask(rng, """
            run echo {t} with a (timeout|time limit) of {n} seconds
            (limit|stop) echo {t} after {n} seconds
            echo {t}, but (at most|no longer than) {n} seconds
            timeout {n} echo {t}
            use timeout to run echo {t} for at most {n} seconds
            """.replace("(limit|stop) echo {t} after {n} seconds", "run echo {t} and stop it after {n} seconds"),
            f"timeout {n} echo {text}", f"run it for at most {n} seconds", None, True, t=text, n=n)
    if at < 0.6:
        return act(rng, """
            wait (one second|a second|1 second), then (create|touch) {f}
            (create|touch|make) {f} after (one second|a second|1 second)
            sleep 1 and touch {f}
            (pause|sleep) for (one second|1 second) and then create {f}
            """, f"sleep 1; touch {quoted(name)}", f"wait a second and create {name}", f=name)
    if at < 0.8:
        return volatile(ask(rng, """
            how long does (ls|a listing of this folder) take?
            (measure|time) (ls|how long ls takes)
            time the command ls
            time ls
            """, "time ls", "time the listing"))
    return ask(rng, """
        wait (a second|one second), then (print|say|echo) {t}
        (print|say|echo) {t} after (a second|one second)
        sleep 1, then echo {t}
        (pause|sleep) one second and (print|echo) {t}
        """, f"sleep 1; echo {string(text)}", "wait and print the text", None, True, t=text)


@schema("process.status", "test echo", weight=0.8)
def status(world: World, rng: random.Random) -> Draft:
    command, said = rng.choice((("true", "true"), ("false", "false"), ("ls missing-file > /dev/null 2>&1",
        "ls missing-file"), ("test 3 -gt 2", "test 3 -gt 2"),
        ("test 1 -gt 2", "test 1 -gt 2"), ("[ a = b ]", "[ a = b ]"), ("grep -q root /etc/passwd",
        "grep -q root /etc/passwd")))
    quiet = " (, without its output|, output thrown away)" if "missing" in said else ""
    return ask(rng, f"""
        run {{c}} and (print|show|echo) (its|the) (exit status|exit code|return code){quiet.replace('|)', ')')}
        (exit status|exit code|return code) of {{c}}{quiet}
        (what is|show) the (exit status|exit code) of {{c}}{quiet}
        {{c}}: which (exit status|exit code|return code){quiet}?
        with which (status|code) does {{c}} (end|exit){quiet}?
        """.replace("(what is|show) the", "show the"), f"{command}; echo $?", f"show the exit status of {said}", None,
        True, c=said)


@schema("process.nohup", "nohup", weight=0.4)
def nohup(world: World, rng: random.Random) -> Draft:
    script, log, text = f"{stem(rng)}.sh", f"{stem(rng)}.log", names.word(rng)
    world.add_file(script, f"#!/bin/bash\necho {text}\n", 0o755)
    return act(rng, """
        run {s} in the background with its output in {f} (and wait for it|, then wait)
        start ./{s} in the background, (output|stdout and stderr) (to|into) {f}, (and|then) wait (for it|)
        (launch|start) {s} as a background job (writing|that writes) to {f} and wait until it (ends|is done)
        {s} in the background, output to {f}; wait for it
        """, f"./{script} > {log} 2>&1 & wait", f"run {script} in the background", s=script, f=log)
