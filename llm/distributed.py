"""Training in several processes: ``torchrun --nproc-per-node N -m nimllm.llm.train DATA …``.

Every process holds the whole model and computes its part of each step's rows (data parallel); gradients are summed by
torch's DistributedDataParallel. 103M parameters with AdamW are 1.6 GB, so this is enough for every preset; ``--shard``
(``sharding.py``) divides weights, gradients and moments too, for models that do not fit.

The first process alone prepares the data and writes the run; the others wait for what it decided. Small sums travel
over gloo also where gradients travel over NCCL, because gloo notices at once when a process has died.
"""

from __future__ import annotations

import atexit
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from nimllm.errors import INTERRUPTED, TERMINATED, NimError

_ENVIRONMENT = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
_SILENCE = timedelta(minutes=10)  # a process that says nothing for so long is taken for dead (a stopped one, a network)
_PLAN, _ERROR = "plan", "error"


@dataclass
class Group:
    """This process among those that train together; the default is one alone, for which everything here is free."""

    rank: int = 0
    size: int = 1
    local: int = 0  # number among the processes of this machine
    store: Any = None  # torch.distributed's key-value store
    joined: bool = False
    exchanges: int = 0

    @property
    def first(self) -> bool:
        """Whether this is the process that prepares, writes and speaks."""
        return self.rank == 0

    def part(self, count: int) -> range:
        """Which of ``count`` rows are this process's; all processes' parts together are all of them, in order."""
        return range(count * self.rank // self.size, count * (self.rank + 1) // self.size)

    def join(self, backend: str) -> None:
        """Meet the others (``backend``: "gloo" or "nccl"). After the preparation: this waits for minutes at most."""
        if self.size == 1 or self.joined:
            return
        import torch.distributed as dist

        wanted = "gloo" if backend == "gloo" else f"cpu:gloo,cuda:{backend}"
        store = dist.PrefixStore("group", self.store)
        dist.init_process_group(wanted, store=store, rank=self.rank, world_size=self.size, timeout=_SILENCE)
        self.joined = True

    def sum(self, values: Sequence[float]) -> list[float]:
        """Element by element over all processes, in fp64; the same bits in every process."""
        if self.size == 1:
            return [float(value) for value in values]
        import torch
        import torch.distributed as dist

        tensor = torch.tensor([float(value) for value in values], dtype=torch.float64)
        dist.all_reduce(tensor)
        result: list[float] = tensor.tolist()
        return result

    def exchange(self, text: str) -> list[str]:
        """Every process's text, by rank. All of them must take part."""
        self.exchanges += 1  # under a name of its own each time: a reader would find what was said the last time
        self.store.set(f"exchange/{self.exchanges}/{self.rank}", text)
        return [self.store.get(f"exchange/{self.exchanges}/{rank}").decode() for rank in range(self.size)]

    def tell(self, plan: dict[str, Any]) -> None:
        """What the first process decided, for all others."""
        if self.size > 1:
            self.store.set(_PLAN, json.dumps(plan))

    def give_up(self, code: int) -> None:
        """End the waiting of the others, when the first process fails before it has decided anything."""
        try:
            if self.first and not self.store.check([_PLAN]):
                self.tell({"failed": code})
        except RuntimeError:
            pass  # the store is gone, and with it whoever waits

    def hear(self) -> dict[str, Any]:
        """What the first process decided, as soon as it has; a long preparation is waited for as long as it takes."""
        while not self.store.check([_PLAN]):
            time.sleep(0.1)
        plan: dict[str, Any] = json.loads(self.store.get(_PLAN))
        return plan

    def speaks(self) -> bool:
        """Whether this process is the one to say what went wrong: the first of all to ask."""
        if self.size == 1:
            return True
        try:
            return bool(self.store.add(_ERROR, 1) == 1)
        except RuntimeError:
            return True  # the store went down with the process that held it

    def leave(self) -> None:
        if self.joined:
            import torch.distributed as dist

            dist.destroy_process_group()
            self.joined = False


def connect() -> Group:
    """The group that torchrun's environment variables describe; one process alone without them."""
    if not all(os.environ.get(name) for name in _ENVIRONMENT) or os.environ["WORLD_SIZE"] == "1":
        return Group()
    import torch.distributed as dist

    if not dist.is_available():
        raise NimError("this torch cannot train in several processes", "it was built without torch.distributed",
                       "start it without torchrun")
    from torch.distributed.rendezvous import rendezvous

    try:
        store, rank, size = next(rendezvous("env://", timeout=timedelta(minutes=5)))
        # torchrun's store outlives the processes: those it started before left their plan and addresses in it
        store = dist.PrefixStore(f"nimllm/{os.environ.get('TORCHELASTIC_RESTART_COUNT', '0')}", store)
        return Group(rank, size, int(os.environ.get("LOCAL_RANK", rank)), store)
    except (RuntimeError, ValueError) as error:
        raise NimError("the processes of this run cannot find each other", str(error).splitlines()[0],
                       "start them with torchrun") from None


def restarted() -> bool:
    """Whether torchrun started these processes again because one had failed (--max-restarts)."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") not in ("", "0")


def lost(error: RuntimeError) -> NimError | None:
    """What to tell the user when ``error`` means that another process is gone; None for any other error."""
    import torch.distributed as dist

    text = str(error)
    known = isinstance(error, dist.DistBackendError | dist.DistNetworkError | dist.DistStoreError)
    if not known and not any(word in text for word in ("gloo", "by peer", "NCCL", "Broken pipe")):
        return None
    why = "it said nothing for too long" if "imed out" in text or "imeout" in text else "it was killed or failed"
    return NimError("another process of this run is gone", why,
                    "the last checkpoint is kept: start again with --resume, with any number of processes", TERMINATED)


_codes: list[int] = []  # what this process will exit with, once that is known


def _end() -> None:
    """End the process before Python takes itself apart: FSDP's device mesh keeps gloo's threads alive, and one that
    asks for the interpreter then is unwound through C++, an abort ("terminate called without an active exception")."""
    if not _codes:
        return
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass  # whoever read it is gone
    os._exit(_codes[-1])


def together(work: Callable[[Group], int]) -> int:
    """Run ``work`` as one of the processes of a run, the last thing that this process does. Of an error that several of
    them meet, one message comes out: the others return its exit code in silence."""
    group = connect()
    if group.size == 1:
        return work(group)
    atexit.register(_end)  # this early, so that it runs after what the work registers
    try:
        code = _together(work, group)
    except KeyboardInterrupt:
        _codes.append(INTERRUPTED)
        raise
    except NimError as error:
        _codes.append(error.code)
        raise
    _codes.append(code)
    return code


def _together(work: Callable[[Group], int], group: Group) -> int:
    try:
        code = work(group)
        group.leave()
        return code
    except KeyboardInterrupt:
        group.give_up(INTERRUPTED)
        if group.speaks():
            raise
        return INTERRUPTED
    except NimError as error:
        group.give_up(error.code)
        if group.speaks():
            raise
        return error.code
    except RuntimeError as error:
        gone = lost(error)
        if gone is None:
            raise
        if group.speaks():
            raise gone from None
        return gone.code
