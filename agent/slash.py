"""The session's /commands. An unknown one is an error: it never reaches the model."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
from collections.abc import Callable
from copy import copy
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from nimllm.agent import equipment
from nimllm.agent.display import one_line, visible
from nimllm.agent.equipment import MODES

if TYPE_CHECKING:
    from nimllm.agent.session import Session
    from nimllm.alignment.memory.store import MemoryStore

DIFF_LINES = 200
RESUMABLE = 50  # newest sessions that /resume looks at
MEMORY_LINES = 20  # of the newest records that /memory lists
Said = Literal["quit"] | None
WORDS: dict[str, tuple[str, ...]] = {
    "/help": (), "/plan": (), "/continue": (), "/good": (), "/bad": (), "/fix": (),
    "/memory": ("show ", "revert ", "approve ", "reject "),
    "/diff": (), "/undo": (), "/log": (), "/export": (), "/resume": (), "/jobs": (), "/kill": (), "/cwd": (),
    "/reset-shell": (), "/mode": MODES, "/model": (), "/status": (), "/verbose": ("on", "off"), "/clear": (),
    "/quit": (), "/exit": (),
}
WHOLE = frozenset({"/fix", "/bad"})  # what follows is one text, quotes and all
# they look, or decide about what comes: no need to wait until a task is done
AT_ONCE = frozenset({"/help", "/status", "/mode", "/log", "/jobs", "/kill", "/verbose", "/clear"})
HELP = """\
say what to do, in words; the agent plans, proposes commands, and asks where it must
  deploy means `make x`  an order about the future: learnt, nothing runs (also: when I say X, run Y)
  !COMMAND               run a command of yours in the agent's shell (!!COMMAND: without a record)
  /plan REQUEST          what it would do; nothing runs
  /continue              go on with a task that a limit, or no progress, has ended
  /good  /bad            the last task was right (it is remembered) or wrong (it becomes less likely)
  /fix COMMAND           what it should have run, or, where it only spoke, said: that is learnt
  /memory                what is in the weights; show ID, revert ID, approve ID, reject ID
  /diff [TASK]           what the last task changed in the files
  /undo [TASK]           take that back, and nothing else (asks first)
  /log                   the last task in full
  /export [FILE]         the session so far: Markdown; ATIF when FILE ends in .json
  /resume                earlier sessions of this folder, and how to go on with one
  /jobs  /kill N         what commands left running
  /cwd [DIR]             where the shell is; go elsewhere
  /reset-shell           a new shell in the workspace
  /mode [MODE]           read-only, ask, auto, full
  /model [DIR]           which model; another run folder
  /status                model, mode, sandbox, folder
  /verbose  /clear       say more; an empty screen
  /quit                  also ^D
keys: Alt-Enter new line · ↑ ^R history · ^X ^E editor · Tab completes · @file names a file
      Enter while a task runs queues the message (↑ takes it back); Tab turns to a question
      ^C stops the command, then the task, then (twice) the session"""


def is_command(message: str) -> bool:
    """Whether a message is a /command, and not one that begins with a path."""
    name = message.split(None, 1)[0] if message.strip() else ""
    return name.startswith("/") and (name in WORDS or not Path(name).exists())


def obey(session: Session, message: str) -> Said:
    """Carries out one /command; "quit" ends the session."""
    name, _, rest = message.partition(" ")
    try:
        words = shlex.split(rest) if name not in WHOLE else [rest.strip()]
    except ValueError:
        words = rest.split()
    command = _COMMANDS.get(name)
    if command is None:
        near = [known for known in WORDS if known.startswith(name)]
        hint = f"did you mean {near[0]}?" if near else "/help lists the commands"
        session.face.say(f"no command {visible(name)}; {hint}", "warn")
        return None
    return command(session, words)


def _help(session: Session, words: list[str]) -> Said:
    session.face.say(HELP)
    return None


def _quit(session: Session, words: list[str]) -> Said:
    return "quit"


def _mode(session: Session, words: list[str]) -> Said:
    if not words:
        session.face.say(f"mode {session.mode}; the modes are {', '.join(MODES)}")
        return None
    if words[0] not in MODES:
        session.face.say(f"no mode {visible(words[0])}; the modes are {', '.join(MODES)}", "warn")
        return None
    if words[0] == "auto" and session.box.level == "none":
        session.face.say(f"mode auto needs a sandbox; {session.box.reason}", "warn")
        return None
    session.mode = session.agent.mode = session.log.about["mode"] = words[0]
    session.face.say(f"mode {session.mode}")
    return None


def _model(session: Session, words: list[str]) -> Said:
    if not words:
        session.face.say(f"model {session.model.name}   {session.model.run}")
        return None
    if session.log.pending:
        session.face.say("a memory update of this model still runs; try again when it is done", "warn")
        return None
    args = copy(session.args)
    args.model = words[0]
    session.close_over(equipment.load_model(args, args.memory != "off"))
    session.args = args
    return None


def _status(session: Session, words: list[str]) -> Said:
    about = [("model", f"{session.model.name}   {session.model.run}"), ("mode", session.mode),
             ("sandbox", f"{session.box.level}: {session.box.reason}"),
             ("memory", f"{session.args.memory}, {session.model.memories} in the weights, "
                        f"{session.log.pending} to come"),
             ("folder", str(session.agent.shell.cwd)), ("workspace", str(session.workspace)),
             ("speed", f"{session.agent.tokens_per_second:.0f} tokens/s in the last task"),
             ("allowed", ", ".join(session.agent.always) or "nothing beyond the mode")]
    for name, value in about:
        session.face.say(f"{name:<10} {visible(value)}")
    return None


def _plan(session: Session, words: list[str]) -> Said:
    """Plan, first command and verdict for a request."""
    from nimllm.tools import policy

    if not words:
        session.face.say("/plan REQUEST shows what would be done", "dim")
        return None
    session.refresh()
    plan, command = session.agent.first_command(" ".join(words))
    session.face.plan(plan)
    if not command:
        session.face.say("no usable command", "warn")
        return None
    verdict = policy.judge(command, session.mode, session.agent.always, session.workspace, session.agent.rules)
    session.face.command_line("? ", policy.spelled(command))
    session.face.say(f"  would {verdict.action}: {visible(verdict.reason)}; nothing ran", "dim")
    return None


def _jobs(session: Session, words: list[str]) -> Said:
    jobs = session.agent.shell.jobs()
    for job in jobs:
        program = f"  {job.program}" if job.program and job.program not in job.command else ""
        session.face.say(f"  {job.id}  {job.state} {job.seconds:.0f} s  pid {job.pid}  "
                         f"{visible(one_line(job.command, 60))}{visible(one_line(program, 40))}")
    session.face.say("/kill N ends one" if jobs else "nothing runs in the background", "dim")
    return None


def _kill(session: Session, words: list[str]) -> Said:
    if len(words) != 1 or not words[0].isdecimal():
        session.face.say("/kill N, with a number that /jobs shows", "warn")
        return None
    session.agent.shell.kill_job(int(words[0]))
    session.face.say(f"job {words[0]} is gone", "good")
    return None


def _cwd(session: Session, words: list[str]) -> Said:
    if words:
        done = session.agent.shell.run(f"cd -- {shlex.quote(os.path.expanduser(words[0]))}")
        if done.status != 0:
            session.face.say(visible(done.output.strip()), "warn")
    session.face.say(visible(str(session.agent.shell.cwd)))
    return None


def _reset_shell(session: Session, words: list[str]) -> Said:
    old, session.agent.shell = session.agent.shell, session.make_shell()
    old.close()
    session.face.say(f"a new shell in {visible(str(session.agent.shell.cwd))}; variables, functions and jobs of the "
                     "old one are gone", "good")
    return None


def _verbose(session: Session, words: list[str]) -> Said:
    session.face.verbose = words[0] == "on" if words else not session.face.verbose
    session.face.say("saying why each command may run, and counts" if session.face.verbose else "saying less")
    return None


def _clear(session: Session, words: list[str]) -> Said:
    session.console.clear()
    return None


def _log(session: Session, words: list[str]) -> Said:
    if session.last is None:
        session.face.say("no task yet")
        return None
    from nimllm.agent import records

    for line in records.tell(session.last[1]):
        session.face.say(visible(line))
    return None


def _undo(session: Session, words: list[str]) -> Said:
    """Takes back what the newest task (or the one named) changed; shows what would happen before it does."""
    from nimllm.agent import undo

    record = undo.find(session.workspace, words[0] if words else "", ("task", "user"), session.log.about["session"])
    would = undo.undo(record, dry_run=True)
    session.face.say(f"undo of {undo.title(record)}")
    session.face.say("\n".join(undo.tell(would, dry_run=True)))
    if would.done and session.console.key("  [y]es  [n]o", {"y": "yes", "n": "no"}, "no") == "yes":
        done = undo.undo(record)
        session.face.say(f"undone: {len(done.done)} path{'s' if len(done.done) != 1 else ''}; "
                         f"/undo {done.id} takes that back", "good")
    return None


def _diff(session: Session, words: list[str]) -> Said:
    """What the newest task (or the one named) changed in the files."""
    from nimllm.agent import difference, undo

    record = undo.find(session.workspace, words[0] if words else "", ("task", "user"), session.log.about["session"])
    shots = undo.open_snapshots(record.workspace)
    try:
        for number, line in enumerate(difference.difference(shots, undo.steps(record))):
            if number >= DIFF_LINES:
                session.face.say(f"[more: nimllm diff {record.id}]", "dim")
                break
            session.face.say(visible(line), difference.style(line))
    finally:
        shots.close()
    return None


def _export(session: Session, words: list[str]) -> Said:
    """The session so far, for people (Markdown), or as ATIF when the file's name ends in .json."""
    from nimllm.agent import sessions_command

    opened = session.recording.transcript
    if opened is None:
        session.face.say("this session saves nothing (--ephemeral)", "warn")
        return None
    name = words[0] if words else f"{session.recording.id}.md"
    text = sessions_command.exported(opened.path, "atif" if name.endswith(".json") else "markdown")
    sessions_command.write_new(Path(session.workspace, name), text)
    session.face.say(f"written: {visible(name)}", "good")
    return None


def _continue(session: Session, words: list[str]) -> Said:
    session.go_on()
    return None


def _resume(session: Session, words: list[str]) -> Said:
    """How to go on with an earlier session of this folder: a process has one."""
    from nimllm.agent import sessions

    past = [found for found in map(sessions.read, sessions.files()[:RESUMABLE])
            if found.tasks and found.workspace == str(session.workspace) and found.id != session.recording.id]
    for found in past[:10]:
        session.face.say(f"{found.id}  {one_line(found.tasks[0].request, 60)}")
    session.face.say("leave with /quit, then: nimllm --agent --resume ID" if past else "no earlier session here", "dim")
    return None


def _memory(session: Session, words: list[str]) -> Said:
    if session.args.memory == "off":
        session.face.say("memory is off in this session (--memory off)")
        return None
    store = equipment.open_store(session.model.run)
    if not words:
        session.face.say(memory_list(store))
        return None
    action, id = words[0], words[1] if len(words) > 1 else ""
    if action not in ("show", "revert", "approve", "reject") or not id:
        session.face.say("/memory, or /memory show|revert|approve|reject ID", "warn")
        return None
    if action == "show":
        from nimllm.alignment.memory.command import show_record

        record = store.get(id)
        session.face.say(_captured(lambda: show_record(store, record)))
        return None
    if session.log.pending:
        session.face.say("an update is running; try again when it is done", "warn")
        return None
    decide(session, action, id)
    return None


def decide(session: Session, action: str, id: str) -> None:
    """Approves, rejects or reverts a record. Waits for other sessions' updates (NimError 7), not for this one's."""
    from nimllm.alignment.memory.store import MemoryStore

    with MemoryStore(session.model.run) as writer:
        getattr(writer, action)(id)
        session.model.memories = len(writer.ledger.alive())
    session.stale()
    words_for = {"revert": "reverted; the weights are as if it had never been", "approve": "accepted",
                 "reject": "rejected"}
    session.face.say(f"{id} {words_for[action]}", "good")


def _good(session: Session, words: list[str]) -> Said:
    from nimllm.agent import feedback

    feedback.good(session)
    return None


def _bad(session: Session, words: list[str]) -> Said:
    from nimllm.agent import feedback

    feedback.bad(session, words[0])
    return None


def _fix(session: Session, words: list[str]) -> Said:
    from nimllm.agent import feedback

    feedback.fix(session, words[0])
    return None


def memory_list(store: MemoryStore) -> str:
    """The newest records as ``nimllm memory list`` shows them, without colours."""
    from nimllm.alignment.memory.command import show_list

    found = store.records()
    more = f"\n{len(found)} in all" if found else ""
    return _captured(lambda: show_list(store, found[-MEMORY_LINES:], "list")) + more


def _captured(show: Callable[[], None]) -> str:
    """What ``show`` prints; it may be under a prompt, where only the face writes."""
    text = io.StringIO()
    with contextlib.redirect_stdout(text):
        show()
    return visible(text.getvalue().rstrip())


_COMMANDS: dict[str, Callable[[Session, list[str]], Said]] = {
    "/help": _help, "/plan": _plan, "/continue": _continue,
    "/good": _good, "/bad": _bad, "/fix": _fix, "/memory": _memory, "/diff": _diff, "/undo": _undo,
    "/log": _log, "/export": _export, "/resume": _resume, "/jobs": _jobs, "/kill": _kill, "/cwd": _cwd,
    "/reset-shell": _reset_shell, "/mode": _mode, "/model": _model, "/status": _status, "/verbose": _verbose,
    "/clear": _clear, "/quit": _quit, "/exit": _quit,
}
assert set(_COMMANDS) == set(WORDS)
