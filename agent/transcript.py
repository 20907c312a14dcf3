"""One session's file: events as JSONL, append-only, 0600, held by one process at a time.

Every line is valid by itself. A line is written with one write(2), so that kill -9 loses at most the line being
written; a torn last line is cut off when the file is opened again. What cannot be written (a full disk) is left out
whole. Secrets are redacted before they are written, as in ``--json``.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Any, cast

from nimllm.agent.events import Events, Redactor
from nimllm.errors import CONFIG, NimError

OUTPUT_KEPT = 64 << 10  # characters of one command's output; of more, the tail is kept beside it
TAIL_KEPT = 16 << 10
_ENDS = ("task.completed", "task.failed", "session.state", "session.ended")  # what must survive a power failure


class _Lines:
    """The descriptor as a stream that takes whole lines, or nothing of them."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, text: str) -> int:
        data = text.encode("utf-8", "replace")
        size = os.fstat(self.descriptor).st_size
        written = 0
        try:
            while written < len(data):
                written += os.write(self.descriptor, data[written:])
        except OSError:
            if written:
                os.ftruncate(self.descriptor, size)
            raise
        return len(text)

    def flush(self) -> None: ...

    def close(self) -> None:
        os.close(self.descriptor)


class Transcript(Events):
    """Events that go into ``path``. Made by :func:`create` and :func:`reopen`."""

    def __init__(self, path: Path, descriptor: int, redact: Redactor, session: str, seq: int) -> None:
        super().__init__(cast(IO[str], _Lines(descriptor)), redact, session)
        self.path, self.owned = path, True
        self.descriptor = descriptor
        self._seq = seq
        self._of: tuple[str, int] = ("", 0)  # task and step whose output comes
        self._written = self._beyond = 0  # characters of it that were written, and that were not
        self._tail = ""  # the last of those that were not

    def _emit(self, type: str, fields: dict[str, Any]) -> None:
        if type == "step.output":
            text = self._room(fields["task"], fields["step"], fields["text"])
            if text:
                super()._emit(type, {**fields, "text": text})
            return
        if type == "step.completed" and self._beyond:
            left_out = self._beyond - len(self._tail)
            said = f"\n[... {left_out} characters left out ...]\n" if left_out else ""
            super()._emit("step.output", {"task": fields["task"], "step": fields["step"], "text": said + self._tail,
                                          "tainted": True})
            self._beyond, self._tail = 0, ""
        super()._emit(type, fields)
        if type in _ENDS:
            self.sync()

    def _room(self, task: str, step: int, text: str) -> str:
        """What of ``text`` still fits into what is kept of the step's output; the rest may become its tail."""
        if self._of != (task, step):
            self._of, self._written, self._beyond, self._tail = (task, step), 0, 0, ""
        fits, rest = text[: OUTPUT_KEPT - self._written], text[OUTPUT_KEPT - self._written:]
        self._written += len(fits)
        self._beyond += len(rest)
        self._tail = (self._tail + rest)[-TAIL_KEPT:]
        return fits

    def sync(self) -> None:
        try:
            os.fsync(self.descriptor)
        except OSError:
            pass

    def close(self) -> None:
        """Gives the file, and the lock on it, up."""
        with self._lock:
            if self.stream is not None:
                self.stream.close()
                self.stream = None


def create(path: Path, session: str, redact: Redactor) -> Transcript:
    """A new file; NimError 3 when it cannot be made."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW,
                             0o600)
    except OSError as error:
        raise NimError(f"cannot write the session {path}", error.strerror or str(error),
                       "make room, or pass --ephemeral to save nothing") from None
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return Transcript(path, descriptor, redact, session, 0)


def reopen(path: Path, redact: Redactor) -> Transcript:
    """The file of an earlier run, repaired and locked, to be written on. NimError 3 when it is open elsewhere or no
    session."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError as error:
        raise NimError(f"cannot open the session {path}", error.strerror or str(error)) from None
    try:
        if not lock(descriptor):
            raise NimError(f"the session {path.stem} is open in another process", "", "end that one first", CONFIG)
        os.ftruncate(descriptor, whole(descriptor))
        newest = last(path)
        if not isinstance(newest.get("session"), str) or not isinstance(newest.get("seq"), int):
            raise NimError(f"the session {path} is empty", "", "start a new one", CONFIG)
        return Transcript(path, descriptor, redact, newest["session"], newest["seq"])
    except BaseException:
        os.close(descriptor)
        raise


def lock(descriptor: int) -> bool:
    """Whether nobody else holds the file; it is held from now on. The lock goes with the process."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def held(path: Path) -> bool:
    """Whether a process has the session open."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return False
    try:
        return not lock(descriptor)
    finally:
        os.close(descriptor)


def whole(descriptor: int) -> int:
    """The size of the file up to its last whole line."""
    size = os.fstat(descriptor).st_size
    end = size
    while end > 0:
        start = max(0, end - (1 << 16))
        at = os.pread(descriptor, end - start, start).rfind(b"\n")
        if at >= 0:
            return start + at + 1
        end = start
    return 0


def read(path: Path) -> Iterator[dict[str, Any]]:
    """The events of a file. A torn last line, and a line that is no event, are passed over."""
    try:
        with open(path, "rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    return
                try:
                    event = json.loads(line)
                except ValueError:
                    continue
                if isinstance(event, dict) and isinstance(event.get("type"), str):
                    yield event
    except OSError as error:
        raise NimError(f"cannot read the session {path}", error.strerror or str(error)) from None


def last(path: Path) -> dict[str, Any]:
    """The last whole event, read from the end; empty when there is none."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return {}
    try:
        end = whole(descriptor)
        data, start = b"", max(0, end - 1)
        while start > 0 and b"\n" not in data:
            step = max(0, start - (1 << 16))
            data = os.pread(descriptor, start - step, step) + data
            start = step
        line = data.rpartition(b"\n")[2] if b"\n" in data else data
        event = json.loads(line) if line else {}
        return event if isinstance(event, dict) else {}
    except (OSError, ValueError):
        return {}
    finally:
        os.close(descriptor)


def named(session: str, now: float | None = None) -> str:
    """The name of a session's file: its date (UTC) for people, its id for certainty."""
    return time.strftime("%Y%m%d-%H%M%S-", time.gmtime(now)) + f"{session}.jsonl"
