"""The interactive session: a message, a plan, commands with somebody to ask, and a memory that works in the background.

Append-only text on the normal screen; the prompt is never blocked by the memory.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from nimllm import errors, places
from nimllm.agent import equipment, feedback, instructions, slash, teaching
from nimllm.agent.asking import AskingFace
from nimllm.agent.console import Console
from nimllm.agent.display import one_line, visible
from nimllm.agent.events import EventHooks
from nimllm.agent.loop import Agent, Hooks
from nimllm.agent.recording import Recording
from nimllm.agent.results import Step, TaskResult
from nimllm.agent.screen import Screen
from nimllm.errors import NimError, UsageError

if TYPE_CHECKING:  # pydantic builds the records' models in 0.1 s, which the prompt need not wait for
    from nimllm.agent.log import TaskLog
    from nimllm.agent.records import TaskRecord
    from nimllm.tools.sandbox import Sandbox
    from nimllm.tools.shell import Shell


def main(args: Namespace) -> int:
    """``nimllm --agent`` without a task. UsageError when nobody sits at a terminal."""
    if sys.stdin is None or not sys.stdin.isatty():
        raise UsageError("an interactive session needs a terminal, and standard input is none", "",
                         "give the task with -p TEXT (or -p - to read it from standard input)")
    return Session(args).run()


class Session:
    """One terminal, one shell, one model. What takes time (sandbox, model, shell) is made by :meth:`open`; until then
    the prompt can be typed into already."""

    box: Sandbox
    model: equipment.Model
    log: TaskLog
    agent: Agent

    def __init__(self, args: Namespace) -> None:
        from nimllm.agent import live

        self.args = args
        self.mode = equipment.mode_of(args, interactive=True)
        self.workspace = equipment.workspace_of(args)
        equipment.model_folder(args.model)
        state = places.state_folder()
        self.recording = Recording.open(args, self.workspace)
        history = Path(os.devnull) if args.ephemeral else state / "history"
        self.opened = False
        self.stopped = False  # the last message's task was stopped by the user
        self.last: tuple[TaskResult, TaskRecord] | None = None
        self.failed: tuple[TaskResult, TaskRecord] | None = None  # the last request, when the model got nowhere with it
        self._reload = threading.Event()  # a memory was accepted: the weights on disk are newer
        self._sticky = 0  # ^C on an empty line, in a row
        self.offered: list[instructions.Suggestion] = []  # commands that AGENTS.md names
        self._began = 0.0  # when the message that is worked on was taken
        self.console: Console | Screen
        self._live: live.Live | None = None
        if live.rich_terminal(args.plain):
            from nimllm.agent.completion import Words
            from nimllm.agent.recall import Recall

            self._live = live.Live(self)
            self.console = Screen(Recall(history), Words(slash.WORDS, self.folder), self._live.hooks())
        else:
            self.console = Console(history, slash.WORDS, lambda: self.bar(0), self.folder, args.plain)
        self.face = AskingFace(self.console, "stdout", "stdout", args.plain)
        self.face.asked = lambda: self.ring("a question")

    def open(self) -> None:
        """Sandbox, model, shell. NimError: what of it cannot be had."""
        self.box = equipment.open_sandbox(self.args, self.workspace, self.mode)
        self.model = equipment.load_model(self.args, self.args.memory != "off")
        self.log = self._make_log()
        self.agent = self._make_agent()
        self.opened = True
        self.face.say(f"nimllm: {self.model.name}, mode {self.mode}, {self.box.reason}", "dim")
        files = instructions.find(self.workspace)
        for file in files:
            self.face.say(visible(file.told()), "dim")
        self.offered = instructions.suggestions(files)
        self.face.say("say what to do; /help for commands; ^D to quit", "dim")
        lines = self.recording.begin(self.agent, **self.about())
        if self.recording.past and self.args.memory != "off":
            lines += self.recording.settle(equipment.open_store(self.model.run))
        for line in lines:
            self.face.say(visible(line), "dim")

    def about(self) -> dict[str, str]:
        """What the saved session says of itself."""
        return {"model": self.model.name, "base": self.model.base, "mode": self.mode, "sandbox": self.box.level,
                "network": self.args.network, "workspace": str(self.workspace), "memory": self.args.memory}

    def folder(self) -> Path:
        """Where the shell is."""
        return Path(self.agent.shell.cwd) if self.opened else self.workspace

    def _make_log(self) -> TaskLog:
        from nimllm.agent.log import TaskLog

        log = TaskLog(self.model.run, self.args.memory, self.args.memory_method, self._remembered,
                      model=self.model.name, base=self.model.base, mode=self.mode, sandbox=self.box.level,
                      workspace=str(self.workspace), session=self.recording.session)
        log.keep = not self.args.ephemeral
        return log

    def make_shell(self) -> Shell:
        """A bash in the workspace, as it is at the start."""
        from nimllm.tools.shell import Shell

        return Shell(self.workspace, self.box)

    def _make_agent(self) -> Agent:
        from nimllm.tools.snapshots import Snapshots

        shell = self.make_shell()
        snapshots = None if self.args.ephemeral else Snapshots(places.state_folder("snapshots"), self.workspace)
        return Agent(self.model.generator, shell, self.mode, max_steps=self.args.max_steps,
                     step_timeout=self.args.timeout, task_timeout=self.args.task_timeout, snapshots=snapshots,
                     seed=self.args.seed, **equipment.agent_options(self.args))

    # ---- the outer loop -------------------------------------------------------------------------------------------

    def run(self) -> int:
        """Reads messages until /quit, ^D, or ^C twice on an empty line (exit 130)."""
        with self.recording:
            try:
                live = self._live
                if live and isinstance(self.console, Screen):
                    code = live.run(self.console)
                else:
                    self.open()
                    code = self._run_plain()
            finally:
                if self.opened:
                    self.agent.shell.close()
            if self.opened and code != errors.TERMINATED:
                self._wait_for_memory()
            self.recording.close(code)
        if self.opened:
            from nimllm.agent import retention

            retention.prune(self.agent.snapshots)
        return code

    def _run_plain(self) -> int:
        """Flat lines: one message after the other; what is typed meanwhile waits in the terminal's own line."""
        assert isinstance(self.console, Console)
        code = errors.OK
        old = signal.signal(signal.SIGTERM, self._terminated)
        hangup = signal.signal(signal.SIGHUP, self._terminated)
        try:
            while True:
                try:
                    message = self._read(self.console).strip()
                    if message and self.obey(message) == "quit":
                        break
                except EOFError:
                    break
                except NimError as error:
                    self.face.say(f"nimllm: {error.message()}", "bad")
                    if error.code == errors.SHELL:
                        return error.code
        except KeyboardInterrupt:
            code = errors.INTERRUPTED
        except SystemExit as exit:
            code = int(exit.code or 0)
        finally:
            signal.signal(signal.SIGTERM, old)
            signal.signal(signal.SIGHUP, hangup)
        return code

    def obey(self, message: str) -> slash.Said:
        """One message: a /command, a ``!command``, or a task. "quit" ends the session."""
        self.stopped = False
        self._began = time.monotonic()
        if not self.at_once(message):
            self.agent.expect()
        if slash.is_command(message):
            return slash.obey(self, message)
        if message.startswith("!"):
            self.user_command(message[1:].strip())
        else:
            self.task(message)
        return None

    def at_once(self, message: str) -> bool:
        """Whether a message does not wait until the running task is done."""
        return self.opened and slash.is_command(message) and message.split(None, 1)[0] in slash.AT_ONCE

    def _read(self, console: Console) -> str:
        """One message; ^C on an empty line counts, two in a row raise KeyboardInterrupt."""
        while True:
            try:
                message = console.read()
            except KeyboardInterrupt:
                self._sticky += 1
                if self._sticky >= 2:
                    raise
                self.face.say("^C again quits", "dim")
                continue
            self._sticky = 0
            return message

    def _terminated(self, number: int, frame: FrameType | None) -> None:
        self.agent.stop()
        raise SystemExit(errors.TERMINATED)

    def bar(self, columns: int, busy: str = "") -> str:
        """The status bar, for a terminal of so many columns (0: any): what matters least goes first."""
        cwd = str(self.folder())
        home = os.path.expanduser("~")
        cwd = visible("~" + cwd[len(home):] if cwd == home or cwd.startswith(home + "/") else cwd)
        parts = [(0, busy), (1, self.mode), (3, cwd)]
        if self.opened:
            memory = equipment.memory_word(self.args, self.model)
            coming = f" (+{self.log.pending})" if self.log.pending else ""
            speed = f"{self.agent.tokens_per_second:.0f} tok/s" if self.agent.tokens_per_second else ""
            parts[2:2] = [(2, f"sandbox {self.box.level}"), (4, self.model.name), (5, f"memory {memory}{coming}"),
                          (6, speed)]
        dot = self.face.glyphs.dot
        shown = [part for part in parts if part[1]]
        while columns and len(shown) > 1 and sum(len(text) + len(dot) for _, text in shown) > columns:
            shown.remove(max(shown))
        text = " " + dot.join(text for _, text in shown)
        return text if not columns or len(text) < columns else text[: columns - 1]

    # ---- messages -------------------------------------------------------------------------------------------------

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """^C goes to the running command, then to the turn."""

        if threading.current_thread() is not threading.main_thread():  # the screen reads ^C
            yield
            return

        def handle(number: int, frame: FrameType | None) -> None:
            what = self.agent.interrupt()
            self.face.say("^C: stopping the command" if what == "command" else "^C: stopping", "warn")

        old = signal.signal(signal.SIGINT, handle)
        try:
            yield
        finally:
            signal.signal(signal.SIGINT, old)

    def task(self, message: str) -> None:
        """One task: the loop, the log, the memory; or an order about the future, which is only learnt."""
        self.failed = None
        ordered = feedback.read_order(message)
        if ordered is not None:
            hooks = EventHooks(self.recording, self.face, self.recording.task_started(message))
            result = feedback.noted(message, ordered, hooks, self.args.memory)
            record = self.log.order(message, ordered, result.answer)
            self.recording.task_ended(self.agent, result, record)
            self.last = (result, record)
            return
        self.refresh()
        request = message
        if "@" in message:
            from nimllm.agent.completion import named

            request = named(message, self.folder())
        one = instructions.fitting(request, self.offered)
        if one is not None:
            self.face.say(f"  {visible(one.path.name)}, line {one.line}, names a command for this: "
                          f"!{visible(one.command)}", "dim")
        self._work(request, lambda hooks: self.agent.task(request, hooks))

    def go_on(self) -> None:
        """/continue: the last task was ended by a limit, or for want of progress, and the user knows better."""
        request = self.agent.resumable
        if request is None:
            self.face.say("no limit has ended the last task; ask again", "warn")
        else:
            self._work(request, self.agent.resume)

    def _work(self, request: str, work: Callable[[EventHooks], TaskResult]) -> None:
        hooks = EventHooks(self.recording, self.face, self.recording.task_started(request))
        with self._interruptible():
            result = work(hooks)
        self.stopped = result.ended in ("interrupted", "aborted")
        if result.limit:
            self.face.say(result.limit, "warn")
            if self.agent.resumable is not None:
                self.face.say("/continue goes on nonetheless", "dim")
            if result.ended == "blocked" and self.mode == "read-only":
                self.face.say("/mode ask lets you decide", "dim")
        record = self.log.add(result)
        self.recording.task_ended(self.agent, result, record)
        self.last = (result, record)
        if self.face.verbose:
            self.face.say(f"{len(result.commands)} commands, {result.tokens} tokens at {result.tokens_per_second:.0f} "
                          f"a second, {result.seconds:.1f} s, outcome {result.outcome[0]}", "dim")
        self.failed = self.last if teaching.failed(result) else None
        if self.log.learning:
            self.face.say(f"learning: {visible(self.log.learning)}", "dim")
        elif self.log.pending and self.args.memory != "off":
            self.face.say("remembering in the background", "dim")
        self.ring(f"{result.ended}: {request}")

    def ring(self, text: str) -> None:
        """Tells somebody who looks elsewhere, when the message at hand has taken long."""
        if self.args.notify and time.monotonic() - self._began >= self.args.notify:
            self.console.ring(one_line(f"nimllm: {text}", 60).replace(";", ","))

    def user_command(self, command: str) -> None:
        """``!command`` in the agent's shell: recorded as the user's, and learnt only as the command for a request that
        the model has just failed at. ``!!command`` leaves no record, so that /undo does not know it."""
        hidden = command.startswith("!")
        command = command.removeprefix("!").strip()
        if not command:
            self.face.say("!COMMAND runs a command of yours in the agent's shell; !!COMMAND is not recorded", "dim")
            return
        step = Step(command, by="user")
        hooks: Hooks = self.face
        self.face.on_screen(command)
        if not hidden:
            hooks = EventHooks(self.recording, self.face, self.recording.task_started(f"!{command}"))
        with self._interruptible():
            self.agent.run(step, hooks)
        self.stopped = step.ended == "interrupted"
        if not hidden:
            from nimllm.agent import records
            from nimllm.tools.redact import redact

            result = TaskResult("", "", steps=[step], ended="answered", seconds=step.seconds)
            record = records.task_record(result, redact, kind="user", **self.log.about)
            if self.log.keep:
                records.write(record)
            self.recording.task_ended(self.agent, result, record)
            feedback.typed_instead(self, step, record)
        self.ring(f"{step.ended}: {command}")

    # ---- the memory -----------------------------------------------------------------------------------------------

    def _remembered(self, record: TaskRecord) -> None:
        """From the memory's thread: says what was remembered; the weights are read again before the next task."""
        from nimllm.agent import records

        if record.memory.state == "accepted":
            self.model.memories += 1
            self._reload.set()
        if isinstance(self.console, Screen):
            self.console.refresh()
        self.recording.remembered(record)
        style = {"accepted": "good", "failed": "bad", "rejected": "warn"}.get(record.memory.state, "dim")
        self.face.say(records.tell_memory(record.memory), style)

    def refresh(self) -> None:
        """Takes over weights that a memory update, or a revert, has changed."""
        if self._reload.is_set():
            self._reload.clear()
            self.model.generator.reload(equipment.open_store(self.model.run).weights())

    def stale(self) -> None:
        """The weights on disk have changed."""
        self._reload.set()

    def _wait_for_memory(self) -> None:
        """Quitting waits for the updates; ^C leaves them to the worker, which finishes the one it has begun."""
        if not self.log.pending:
            return
        count = self.log.pending
        self.face.say(f"waiting for {count} memory update{'s' if count > 1 else ''} (^C leaves without)", "dim")
        try:
            self.log.wait()
        except KeyboardInterrupt:
            self.face.say("left: an update that has begun ends by itself, the rest is not learnt", "warn")

    def close_over(self, model: equipment.Model) -> None:
        """Another model takes over; the shell and its folder stay."""
        self.model = model
        self.log = self._make_log()
        self.agent.generator = model.generator
        fresh = Agent(model.generator, self.agent.shell, self.mode, max_steps=self.args.max_steps,
                      step_timeout=self.args.timeout, task_timeout=self.args.task_timeout,
                      snapshots=self.agent.snapshots, seed=self.args.seed, **equipment.agent_options(self.args))
        fresh.always = self.agent.always
        self.agent = fresh
        self.face.say(f"model {one_line(model.name)}", "dim")
