"""A session on a terminal: the keyboard in the main thread, the work in another, and the messages that wait between."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import threading
from collections import deque
from typing import TYPE_CHECKING

from nimllm import errors
from nimllm.agent import screen
from nimllm.errors import NimError

if TYPE_CHECKING:
    from nimllm.agent.session import Session

LEAVE_SECONDS = 10.0  # that a stopped command is given when the session ends


class Waiting:
    """Messages in the order they were typed. ``held``: none is taken until the user says so."""

    def __init__(self) -> None:
        self._messages: deque[str] = deque()
        self._news = threading.Condition()
        self._ended = False
        self._working = True  # the session opens; later: one was taken and is not done
        self.held = False

    @property
    def busy(self) -> bool:
        """A message is being worked on, or will be in a moment."""
        with self._news:
            return self._working or bool(self._messages and not self.held)

    def put(self, message: str) -> None:
        with self._news:
            self._messages.append(message)
            self.held = False
            self._news.notify_all()

    def take(self) -> str | None:
        """The oldest; waits for one. None: the session ends."""
        with self._news:
            self._news.wait_for(lambda: self._ended or (self._messages and not self.held))
            if self._ended:
                return None
            self._working = True
            return self._messages.popleft()

    def done(self, hold: bool) -> int:
        """The message that was taken is dealt with. ``hold``: the others are kept back; how many that are."""
        with self._news:
            self._working = False
            self.held = hold and bool(self._messages)
            return len(self._messages) if self.held else 0

    def recall(self) -> str | None:
        """The newest, taken back."""
        with self._news:
            return self._messages.pop() if self._messages else None

    def release(self) -> None:
        with self._news:
            self.held = False
            self._news.notify_all()

    def clear(self) -> int:
        with self._news:
            count = len(self._messages)
            self._messages.clear()
            self.held = False
            return count

    def end(self) -> None:
        with self._news:
            self._ended = True
            self._news.notify_all()

    def list(self) -> list[str]:
        with self._news:
            return list(self._messages)


class Live:
    """Runs a session's messages in a worker thread while the screen reads the keyboard."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.waiting = Waiting()
        self._idle_stops = 0  # ^C on an empty line, in a row
        self._error: BaseException | None = None

    def hooks(self) -> screen.Hooks:
        return screen.Hooks(self.message, self.interrupt, self.leave, self.waiting.recall, self.empty, self.status,
                            self.waiting.list, lambda: self.waiting.busy)

    def run(self, shown: screen.Screen) -> int:
        """Until the user leaves; the exit code."""
        self.screen = shown
        worker = threading.Thread(target=self._work, name="session", daemon=True)
        shown.on_start(lambda: self._listen(worker))
        try:
            code = int(shown.run())
        except EOFError:  # the terminal was closed
            code = errors.OK
        finally:
            self.waiting.end()
            if self.session.opened:
                self.session.agent.stop()
            if worker.ident is not None:
                worker.join(LEAVE_SECONDS)
        if self._error is not None:
            raise self._error
        return code

    def _listen(self, worker: threading.Thread) -> None:
        loop = asyncio.get_running_loop()
        loop.call_soon(worker.start)  # once the prompt stands there: opening the rest takes longer
        loop.add_signal_handler(signal.SIGINT, self.interrupt)
        for number in (signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, self.screen.exit, errors.TERMINATED)

    # ---- the worker -----------------------------------------------------------------------------------------------

    def _work(self) -> None:
        try:
            self.session.open()
        except BaseException as error:
            self.screen.fail(error)
            return
        self.waiting.done(hold=False)
        self.screen.refresh()
        while (message := self.waiting.take()) is not None:
            self.screen.refresh()
            try:
                self.session.face.said(message)
                if self.session.obey(message) == "quit":
                    self.screen.exit(errors.OK)
                    return
            except NimError as error:
                self.session.face.say(f"nimllm: {error.message()}", "bad")
                if error.code == errors.SHELL:
                    self.screen.exit(error.code)
                    return
            except BaseException as error:
                self._error = error
                self.screen.exit(errors.TASK_FAILED)
                return
            count = self.waiting.done(hold=self.session.stopped)
            if count:
                some, them = ("messages wait", "them") if count > 1 else ("message waits", "it")
                self.session.face.say(f"{count} {some}: Enter goes on with {them}, ^C drops {them}", "dim")
            self.screen.refresh()

    # ---- the keyboard: in the main thread, must return at once ------------------------------------------------------

    def message(self, text: str) -> None:
        self._idle_stops = 0
        message = text.strip()
        if self.session.at_once(message):  # what only looks or stops does not wait for the task
            threading.Thread(target=self._at_once, args=(message,), name="command", daemon=True).start()
        else:
            self.waiting.put(message)

    def _at_once(self, message: str) -> None:
        try:
            self.session.face.said(message)
            self.session.obey(message)
        except NimError as error:
            self.session.face.say(f"nimllm: {error.message()}", "bad")

    def empty(self) -> None:
        self._idle_stops = 0
        self.waiting.release()

    def interrupt(self) -> None:
        face = self.session.face
        if not self.session.opened:
            self.screen.exit(errors.INTERRUPTED)
        elif self.waiting.busy:
            self._idle_stops = 0
            what = self.session.agent.interrupt()
            self.screen.drop()
            face.say("^C: stopping the command" if what == "command" else "^C: stopping", "warn")
        elif self.waiting.list():
            count = self.waiting.clear()
            face.say(f"dropped {count} message{'s' if count > 1 else ''} (↑ finds them)", "dim")
        else:
            self._idle_stops += 1
            if self._idle_stops > 1:
                self.screen.exit(errors.INTERRUPTED)
            else:
                face.say("^C again quits", "dim")

    def leave(self) -> None:
        if self.session.opened and self.waiting.busy:
            self.session.face.say("a task runs: ^C stops it", "dim")
        else:
            self.screen.exit(errors.OK)

    def status(self, columns: int) -> str:
        busy = "starting" if not self.session.opened else "working, ^C stops" if self.waiting.busy else ""
        return self.session.bar(columns, busy)


def rich_terminal(plain: bool) -> bool:
    """Whether a :class:`screen.Screen` can be shown."""
    import sys

    return (not plain and sys.stdin.isatty() and sys.stdout.isatty() and os.environ.get("TERM", "dumb") != "dumb"
            and shutil.get_terminal_size().columns > 0)
