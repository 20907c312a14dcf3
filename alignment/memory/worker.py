"""The update in a process of its own: ``python -m nimllm.alignment.memory.worker --run R --state S --episode FILE``.

Prints one JSON line: the record, or ``{"error": {what, why, mend, code}}``. A session calls :func:`remember`, which
never imports torch. The worker has a process group of its own: ^C in the terminal does not reach it, and it is never
killed in the middle of a write (kill -9 there would be safe, too).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nimllm.alignment.memory.options import BUDGET
from nimllm.errors import MEMORY, OK, NimError

if TYPE_CHECKING:
    from nimllm.alignment.episodes import Episode
    from nimllm.alignment.memory.events import Record

THREADS = 2
LOCK_SECONDS = 120.0  # another session's update takes a few


def free_cores() -> int:
    """Threads for the update: two, or one when the cores are taken (two threads that wait for each other at every
    operation were 20 times slower than one on two cores with a load of 6)."""
    free = (os.cpu_count() or 1) - os.getloadavg()[0]
    return THREADS if free >= THREADS - 0.5 else 1


def run(arguments: argparse.Namespace) -> dict[str, Any]:
    """The record of one update, as JSON data."""
    threads = free_cores()
    # before torch is imported: OpenMP reads them once. It waits by spinning, which on busy cores is the slowest way
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from nimllm.alignment.episodes import Episode
    from nimllm.alignment.memory.store import MemoryStore

    try:
        episode = Episode.read(arguments.episode)
    finally:
        if arguments.consume:
            arguments.episode.unlink(missing_ok=True)
    with MemoryStore(arguments.run, arguments.state, wait=arguments.wait) as store:
        store.must_write()
        import torch

        torch.set_num_threads(min(threads, torch.get_num_threads()))
        from nimllm.alignment.memory.update import learn

        return learn(episode, store, arguments.method, arguments.mode, arguments.budget).model_dump(mode="json")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m nimllm.alignment.memory.worker", description=__doc__)
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--state", type=Path)
    parser.add_argument("--episode", type=Path, required=True)
    parser.add_argument("--consume", action="store_true", help="delete the episode file once it is read")
    parser.add_argument("--method", default="kewc", choices=("kewc", "topk", "literal"))
    parser.add_argument("--mode", default="auto", choices=("auto", "review", "off"))
    parser.add_argument("--budget", type=float, default=BUDGET)
    parser.add_argument("--wait", type=float, default=LOCK_SECONDS)
    arguments = parser.parse_args()
    try:
        # what a library prints must not mix with the one line that is read
        with contextlib.redirect_stdout(sys.stderr):
            answer = run(arguments)
        code = OK
    except NimError as error:
        answer = {"error": {"what": error.what, "why": error.why, "mend": error.mend, "code": error.code}}
        code = error.code
    except (MemoryError, OSError, ImportError) as error:
        answer = {"error": {"what": "the memory update failed", "why": f"{type(error).__name__}: {error}",
                            "mend": "nothing was changed", "code": MEMORY}}
        code = MEMORY
    with contextlib.suppress(BrokenPipeError):  # the session is gone; the ledger has the record
        print(json.dumps(answer), flush=True)
    return code


def remember(episode: Episode, run: Path, state: Path | None = None, method: str = "kewc", mode: str = "auto",
             timeout: float | None = None, budget: float = BUDGET) -> Record:
    """One episode into the weights, by a worker. Waits for it; a ^C of the caller lets it finish by itself.

    NimError: what the worker reported, or 7 when it died or was still busy after ``timeout`` seconds (it then goes on
    by itself: its record shows up in the ledger when it is done).
    """
    from nimllm.alignment.memory.events import Record

    handle, name = tempfile.mkstemp(prefix="nimllm-episode-", suffix=".json")
    os.close(handle)
    episode.write(Path(name))
    command = [sys.executable, "-m", "nimllm.alignment.memory.worker", "--run", str(run), "--episode", name,
               "--consume", "--method", method, "--mode", mode, "--budget", str(budget)]
    if state is not None:
        command += ["--state", str(state)]
    # a file, not a pipe: a worker that outlives this process must be able to write a warning
    with tempfile.TemporaryFile() as messages:
        worker = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=messages,
                                  start_new_session=True)
        try:
            out, _ = worker.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            raise NimError("the memory update is not done yet", f"it is still busy after {timeout:.0f} s",
                           "it goes on by itself; nimllm memory list shows it when it is done", MEMORY) from None
        messages.seek(0)
        last = messages.read().decode(errors="replace").strip().splitlines()
    try:
        answer = json.loads(out.splitlines()[-1])
        if "error" in answer:
            raise NimError(**answer["error"])
        return Record.model_validate(answer)
    except (ValueError, IndexError, TypeError) as error:
        Path(name).unlink(missing_ok=True)  # it may have died before it read its episode
        raise NimError("the memory update failed", last[-1] if last else f"exit status {worker.returncode} ({error})",
                       "nothing was changed; nimllm memory verify checks the store", MEMORY) from None


if __name__ == "__main__":
    sys.exit(main())
