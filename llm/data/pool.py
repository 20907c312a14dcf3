"""Worker processes over pipes: jobs go in, answers come out in the order of the jobs, a bounded number is under way.

Processes, started anew (never forked: a library's threads do not survive that), each with a thread of ours that hands
it one job at a time. The order of the answers, and so everything made of them, does not depend on how many there are.
"""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from dataclasses import asdict
from pathlib import Path
from types import TracebackType

import nimllm
from nimllm.errors import NimError
from nimllm.llm.data.work import Message, Setup, Work, receive, send

_SMALL = 16_000_000  # bytes of input that one process does before a second has started


def cores() -> int:
    """CPU cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def workers_for(wanted: int, size: int) -> int:
    """How many processes: as many as wanted; with 0 one per core, or none beside this one for little text."""
    return wanted or (1 if size < _SMALL else cores())


class Pool:
    """``workers`` processes; one worker is this process itself. A context manager."""

    def __init__(self, setup: Setup, workers: int) -> None:
        self._setup = setup
        self._own = Work(setup) if workers <= 1 else None
        self._jobs: queue.SimpleQueue[tuple[Message, Future[Message]] | None] = queue.SimpleQueue()
        self._under_way = 1 if workers <= 1 else 2 * workers + 1
        self._processes: list[subprocess.Popen[bytes]] = []
        self._threads: list[threading.Thread] = []
        self._complaints = tempfile.TemporaryFile()  # noqa: SIM115
        self._closed = False
        try:
            for _ in range(workers if workers > 1 else 0):
                self._start()
        except OSError as error:
            self.close()
            raise NimError("cannot start a worker process", error.strerror or str(error), "try --workers 1") from None

    def _start(self) -> None:
        # the same nimllm as this one's, wherever it was started; one thread per process
        path = os.pathsep.join(filter(None, [str(Path(nimllm.__file__).parent.parent), os.environ.get("PYTHONPATH")]))
        process = subprocess.Popen(
            [sys.executable, "-m", "nimllm.llm.data.work"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=self._complaints,
            env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"})
        self._processes.append(process)
        thread = threading.Thread(target=self._serve, args=(process,), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin is not None and process.stdout is not None
        error: BaseException | None = None
        begun = False
        while (entry := self._jobs.get()) is not None:
            message, future = entry
            try:
                if error is not None:
                    raise error
                if not begun:
                    send(process.stdin, asdict(self._setup), b"")
                    begun = True
                send(process.stdin, *message)
                answer = receive(process.stdout)
                if answer is None:
                    raise self._death(process)
                if "error" in answer[0]:
                    raise NimError(*answer[0]["error"])
                future.set_result(answer)
            except OSError:
                error = self._death(process)
                future.set_exception(error)
            except BaseException as problem:
                error = problem
                future.set_exception(problem)

    def _death(self, process: subprocess.Popen[bytes]) -> NimError:
        try:
            status = process.wait(10)
        except subprocess.TimeoutExpired:
            status = 0
        lines = os.pread(self._complaints.fileno(), 1 << 16, 0).decode(errors="replace").strip().splitlines()
        if status < 0:
            why = f"signal {-status}" + (", which is how the system ends processes when memory runs out"
                                         if status == -9 else "")
        else:
            why = f"exit status {status}" + (f": {lines[-1]}" if lines else "")
        return NimError("a worker process of the data preparation died", why,
                        "run it again; fewer --workers need less memory")

    def map(self, jobs: Iterable[Message]) -> Iterator[Message]:
        """The answer of every job, in their order."""
        if self._own is not None:
            for message in jobs:
                yield self._own.answer(*message)
            return
        waiting: deque[Future[Message]] = deque()
        for message in jobs:
            future: Future[Message] = Future()
            self._jobs.put((message, future))
            waiting.append(future)
            while waiting and (len(waiting) >= self._under_way or waiting[0].done()):
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def close(self) -> None:
        """Ends the processes, whatever they do."""
        if self._closed:
            return
        self._closed = True
        for process in self._processes:
            process.kill()
        for _ in self._threads:
            self._jobs.put(None)
        for thread in self._threads:
            thread.join(5)
        for process in self._processes:
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    try:
                        stream.close()
                    except OSError:
                        pass
        self._complaints.close()

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
                 ) -> None:
        self.close()
