"""``nimllm bench``: which shapes, dtypes and peers, then one benchmark after another."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from nimllm.errors import INTERRUPTED, OK, NimError, UsageError
from nimllm.llm.bench import peers
from nimllm.llm.bench.report import Report
from nimllm.llm.bench.shapes import Subject, shape, stored

_DTYPES = {"decode": ("fp32", "bf16", "q8", "q4"), "prefill": ("fp32", "bf16", "q8", "q4"),
           "startup": ("fp32", "bf16", "q8", "q4"), "train": ("fp32", "bf16"), "attention": ("fp32", "bf16")}
_POSITIVE = ("rounds", "threads", "prompt_tokens", "tokens", "samples", "rows", "steps", "context", "characters")


def main(args: Namespace) -> int:
    """Measures, prints, exits with 0, or with 130 after ^C (what was measured until then is printed)."""
    bench = args.bench
    for name in _POSITIVE:
        value = getattr(args, name, None)
        if value is not None and value < 1:
            raise UsageError(f"--{name.replace('_', '-')} {value} makes no sense", "it must be positive")
    against = peers.parse(getattr(args, "against", None) or [], bench)
    if bench == "tokenize":
        from nimllm.llm.bench import tokenizing

        with Report(bench, args.json) as report:
            return INTERRUPTED if tokenizing.run(args, report) else OK
    dtypes = _listed(args.dtype, _DTYPES[bench], "--dtype")
    if hasattr(args, "device"):
        args.device = _device(args.device)
    if bench == "attention":
        return _attention(args, dtypes)
    if bench == "prefill":
        args.peer_dtypes = _listed(args.peer_dtype, _DTYPES[bench], "--peer-dtype") if args.peer_dtype else []
    subjects = _subjects(args)
    with Report(bench, args.json) as report:
        for subject in subjects:
            for dtype in dtypes:
                if _one(bench, subject, dtype, args, against, report):
                    return INTERRUPTED
    return OK


def _one(bench: str, subject: Subject, dtype: str, args: Namespace, against: list[peers.Peer], report: Report) -> bool:
    if bench == "decode":
        from nimllm.llm.bench import decode

        return decode.run(subject, dtype, args, against, report)
    if bench == "prefill":
        from nimllm.llm.bench import prefill

        return prefill.run(subject, dtype, args, against, report)
    if bench == "train":
        from nimllm.llm.bench import train

        return train.run(subject, dtype, args, against, report)
    from nimllm.llm.bench import startup

    return startup.run(subject, dtype, args, against, report)


def _attention(args: Namespace, dtypes: list[str]) -> int:
    from nimllm.llm.bench import attention

    attention.check(args)
    with Report("attention", args.json) as report:
        for dtype in dtypes:
            if attention.run(dtype, args, report):
                return INTERRUPTED
    return OK


def _listed(given: str, known: tuple[str, ...], flag: str) -> list[str]:
    """"bf16,q8" as a list; UsageError for anything else."""
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise UsageError(f"{flag} {name} is unknown here", "", f"known: {', '.join(known)}")
    if not names:
        raise UsageError(f"{flag} names nothing", "", f"known: {', '.join(known)}")
    return list(dict.fromkeys(names))


def _subjects(args: Namespace) -> list[Subject]:
    if args.model is not None:
        if args.shape is not None:
            raise UsageError("--model and --shape cannot be used together", "", "give one of them")
        run = Path(args.model).expanduser()
        if not run.is_dir():
            raise NimError(f"no model at {run}", "there is no such folder", "give a run folder made by nimllm --train")
        return [stored(run)]
    names = [name.strip() for name in (args.shape or "48m").split(",") if name.strip()]
    if not names:
        raise UsageError("--shape names nothing", "", "such as --shape 10m,48m")
    return [shape(name) for name in dict.fromkeys(names)]


def _device(wanted: str) -> str:
    """cpu or cuda; torch is imported only when a GPU is asked for, or may be there."""
    if wanted == "cpu":
        return "cpu"
    if wanted == "auto" and not (Path("/dev/nvidia0").exists() or Path("/dev/kfd").exists()):
        return "cpu"
    import torch

    if torch.cuda.is_available():
        return "cuda"
    if wanted == "cuda":
        raise NimError("there is no GPU", "torch sees neither CUDA nor ROCm", "leave --device out")
    return "cpu"
