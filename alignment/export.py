"""``nimllm export``: the trained weights of a run, or those with its memories, for other programs."""

from __future__ import annotations

import sys
import time
from argparse import Namespace
from pathlib import Path

from nimllm import places
from nimllm.errors import NimError
from nimllm.llm.interchange import bytes_written


def main(arguments: Namespace) -> int:
    """Writes what was asked for and says what it is; NimError when it cannot be."""
    run = places.shipped_model() if arguments.run == "shipped" else Path(arguments.run).expanduser()
    if not run.is_dir():
        raise NimError(f"no model at {run}", "it is a file" if run.exists() else "there is no such folder",
                       "give a run folder made by nimllm --train, or the word shipped")
    weights = Path(arguments.weights).expanduser() if arguments.weights else None
    if arguments.with_memory:
        from nimllm.alignment.memory.store import MemoryStore

        weights = MemoryStore(run, writable=False).weights()
    out = Path(arguments.out).expanduser()
    began = time.monotonic()
    if arguments.format == "hf":
        from nimllm.llm.export_hf import export

        kind = export(run, out, weights, arguments.dtype, arguments.force, bytes_written())
    else:
        from nimllm.llm.export_gguf import export as export_gguf

        made = export_gguf(run, out, weights, arguments.type, arguments.force, bytes_written())
        kind = made.architecture
        for notice in made.notices:
            print(f"nimllm: {notice}", file=sys.stderr)
    size = sum(path.stat().st_size for path in out.iterdir()) if out.is_dir() else out.stat().st_size
    print(f"{out}: {kind}, {size / 1e6:.1f} MB, {time.monotonic() - began:.1f} s")
    return 0
