"""The lines typed before, for ↑ and ^R: a private file, without secrets."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterable
from pathlib import Path

from prompt_toolkit.history import FileHistory

from nimllm.agent.console import private_file

KEPT = 2000  # messages offered again
MOST_BYTES = 1_000_000  # of the file, before it is cut down to these
LONGEST = 10_000  # characters; what is longer was pasted, and is in the task log


class Recall(FileHistory):
    """prompt-toolkit's own format, so that older files go on. Secrets are replaced before a line is written; a line
    that begins with a blank or with ``!!`` is kept for this session only. Two sessions may write at once."""

    def __init__(self, path: Path) -> None:
        super().__init__(str(private_file(path)))
        self._path = path

    def load_history_strings(self) -> Iterable[str]:
        """Newest first, none twice in a row."""
        try:
            found = list(super().load_history_strings())
        except OSError:
            return
        last, kept = None, []
        for line in found:
            if line != last:
                kept.append(line)
            last = line
        self._cut(kept[:KEPT])
        yield from kept[:KEPT]

    def store_string(self, string: str) -> None:
        if string[:1].isspace() or string.startswith("!!") or len(string) > LONGEST:
            return
        from nimllm.tools.redact import redact

        self._append(redact(string))

    def _append(self, text: str) -> None:
        lines = "".join(f"+{line}\n" for line in text.split("\n"))
        data = f"\n# {time.strftime('%Y-%m-%d %H:%M:%S')}\n{lines}".encode("utf-8", "replace")
        try:
            descriptor = os.open(self._path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                os.write(descriptor, data)
            finally:
                os.close(descriptor)
        except OSError:
            pass  # a full disk takes no history, and no session either

    def _cut(self, newest: list[str]) -> None:
        """A file that has grown too large is written anew."""
        try:
            if os.path.getsize(self._path) <= MOST_BYTES:
                return
            fresh = Recall.__new__(Recall)
            fresh._path = self._path.with_name(f".{self._path.name}.{os.getpid()}")
            fresh._path.unlink(missing_ok=True)
            size = 0
            for line in newest:
                size += len(line.encode("utf-8", "replace")) + 32
                if size > MOST_BYTES // 2:
                    newest = newest[: newest.index(line)]
                    break
            for line in reversed(newest):
                fresh._append(line)
            os.replace(fresh._path, self._path)
        except OSError:
            pass
