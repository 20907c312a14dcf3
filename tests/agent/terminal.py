"""A terminal for tests: a session at the other end of a pty, and what a person would see of it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import time
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[2]
ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]|\x1b[=>78c]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()].")
PATIENCE = 40.0  # seconds; the machine may be busy


class Terminal:
    """``raw``: all that came. ``text``: the same without escape sequences. ``screen``: what stands there now."""

    def __init__(self, folder: Path, run: Path, *words: str, memory: str = "off", rows: int = 40, columns: int = 120,
                 **env: str) -> None:
        self.emulator = pyte.HistoryScreen(columns, rows, history=5000, ratio=0.5)
        self._stream = pyte.Stream(self.emulator)
        self.raw, self.text, self._at = "", "", 0
        self._unread = ""
        self.child = pexpect.spawn(
            sys.executable, ["-m", "nimllm", "--agent", "--model", str(run), "--memory", memory, *words],
            cwd=str(folder), encoding="utf-8", codec_errors="replace", timeout=PATIENCE, dimensions=(rows, columns),
            env={**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm-256color", "LANG": "C.UTF-8", **env})
        self.child.delaybeforesend = None

    # ---- what is seen ---------------------------------------------------------------------------------------------

    @property
    def screen(self) -> str:
        return "\n".join(line.rstrip() for line in self.emulator.display).rstrip()

    @property
    def scrollback(self) -> str:
        """All rows, those that have left the screen too."""
        above = ["".join(row[column].data for column in range(self.emulator.columns)).rstrip()
                 for row in self.emulator.history.top]
        return "\n".join([*above, self.screen])

    def pump(self, seconds: float = 0.05) -> bool:
        """Reads what has come; False at the end of the terminal."""
        try:
            data = self.child.read_nonblocking(1 << 16, seconds)
        except pexpect.TIMEOUT:
            return True
        except (pexpect.EOF, ValueError):
            return False
        self.raw += data
        self._stream.feed(data)
        data = self._unread + data
        cut = data.rfind("\x1b")
        whole = cut < 0 or ESCAPE.match(data, cut) is not None
        data, self._unread = (data, "") if whole else (data[:cut], data[cut:])
        self.text += ESCAPE.sub("", data).replace("\r", "")
        return True

    def until(self, what: object, reached: object, timeout: float = PATIENCE) -> None:
        end = time.monotonic() + timeout
        assert callable(reached)
        while not reached():
            open_ = self.pump()
            if reached():
                return
            assert open_ and time.monotonic() < end, f"waited for {what!r}; the screen:\n{self.scrollback}"

    def expect(self, pattern: str, timeout: float = PATIENCE) -> None:
        """Until the pattern came, after the last one that was expected."""

        def found() -> bool:
            match = re.compile(pattern).search(self.text, self._at)
            if match:
                self._at = match.end()
            return match is not None

        self.until(pattern, found, timeout)

    def see(self, pattern: str, timeout: float = PATIENCE) -> None:
        """Until the pattern stands on the screen."""
        self.until(pattern, lambda: re.search(pattern, self.screen), timeout)

    @property
    def input(self) -> str | None:
        """What stands in the input line; None: there is none."""
        rows = [line for line in self.screen.split("\n") if line.startswith(("›", ">"))]
        return rows[-1][1:].strip() if rows else None

    def ready(self) -> None:
        """Until the prompt is empty and nothing runs."""
        self.until("the prompt", lambda: self.input == "" and "/help" in self.text
                   and not re.search("^ (working|starting)", self.screen, re.M))
        self._at = len(self.text)

    def typed(self, text: str) -> None:
        """Until this stands in the input line."""
        self.until(f"{text!r} in the input line", lambda: self.input == text)

    # ---- what is done ---------------------------------------------------------------------------------------------

    def type(self, text: str) -> None:
        self.child.send(text)

    def say(self, text: str) -> None:
        """A message; returns when it was taken."""
        self.child.send(text)
        self.until(f"the echo of {text!r}", lambda: self.input not in ("", None))
        self.child.send("\r")
        self.until("an empty line", lambda: self.input == "" or not self.child.isalive())

    def do(self, text: str) -> None:
        """A message, and all that follows of it."""
        self.say(text)
        self.ready()

    def answer(self, key: str) -> None:
        """Presses a key for the question on the screen, as late as somebody who has read it."""
        self.expect(r"\[y\]es.*\[n\]o")
        time.sleep(0.4)
        self.child.send(key)

    def resize(self, rows: int, columns: int) -> None:
        self.emulator.resize(rows, columns)
        self.child.setwinsize(rows, columns)

    def end(self, code: int) -> None:
        """The session ends by itself, with this code."""
        end = time.monotonic() + PATIENCE
        while self.pump() and time.monotonic() < end:
            pass
        self.child.close()
        assert self.child.exitstatus == code, self.scrollback

    def kill(self) -> None:
        if self.child.isalive():
            os.kill(self.child.pid, signal.SIGKILL)
        self.child.close(force=True)


class Common:
    """One session that many tests use in turn, each in a tidy folder: to open one for each would take minutes."""

    def __init__(self, base: Path, run: Path) -> None:
        self.workspace, self.home = base / "work", base / "state" / "nimllm"
        self._base, self._run, self._opened = base, run, None
        self._seen: set[str] = set()
        self.editor = base / "editor"
        self.editor.write_text('#!/bin/sh\necho "list the files" > "$1"\n')
        self.editor.chmod(0o755)

    @property
    def terminal(self) -> Terminal:
        assert self._opened is not None
        return self._opened

    def tidy(self) -> Common:
        """The folder as it was at the beginning, an empty line, nothing running, mode ask."""
        shutil.rmtree(self.workspace, ignore_errors=True)
        if self._opened is not None and not self._opened.child.isalive():
            self._opened = None
        if self._opened is None:
            self.workspace.mkdir(parents=True)
            env = {"EDITOR": self.editor, "VISUAL": self.editor, "XDG_STATE_HOME": self._base / "state",
                   "XDG_CONFIG_HOME": self._base / "config"}
            self._opened = Terminal(self.workspace, self._run, **{name: str(path) for name, path in env.items()})
            self._opened.ready()
        else:
            self.workspace.mkdir(parents=True)
            end = time.monotonic() + PATIENCE
            while time.monotonic() < end:  # ^C cancels a question, stops what runs, and clears the line once that ended
                if self._opened.input == "" and "working" not in self._opened.screen:
                    break
                self._opened.type("\x03")
                self._opened.pump(0.5)
            self._opened.ready()
            self._opened.do("/mode ask")
            self._opened.do("/reset-shell")
            self._opened.say("/clear")
            self._opened.until("an empty screen", lambda: "/reset-shell" not in self._opened.screen)  # type: ignore
            self._opened.ready()
        (self.workspace / "a.txt").write_text("one\ntwo\nthree\n")
        (self.workspace / "notes.txt").write_text("secret plans\n")
        self._seen = {path.name for path in (self.home / "tasks").glob("*.json")}
        return self

    def records(self) -> list[dict]:
        """The task log since the test began."""
        return [json.loads(path.read_text()) for path in sorted((self.home / "tasks").glob("*.json"))
                if path.name not in self._seen]

    def requests(self) -> list[str]:
        return [record["request"] or record["commands"][0]["command"] for record in self.records()]

    def close(self) -> None:
        if self._opened is not None:
            self._opened.kill()
