"""A run for TensorBoard (``--tensorboard``): the numbers of metrics.jsonl and the samples, as events in the run folder.

    tensorboard --logdir runs
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Any

from nimllm.errors import NimError
from nimllm.llm.progress import Progress

FOLDER = "tensorboard"


def _writer() -> Any:
    """The class that writes events; NimError where TensorBoard is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise NimError("--tensorboard needs TensorBoard", str(error).splitlines()[0],
                       'pip install "nimllm[tensorboard]", or leave the option out') from None
    return SummaryWriter


def check() -> None:
    """NimError where TensorBoard is not installed: to be known before a long preparation, not after it."""
    _writer()


class EventLog:
    """Writes every :class:`Progress` it is called with. ``step``: the last step that counts; what an earlier process
    wrote after it (it was killed behind its checkpoint) is taken back, so no step shows twice."""

    def __init__(self, run: Path, step: int = 0) -> None:
        self.writer = _writer()(str(run / FOLDER), purge_step=step + 1 if step else None, flush_secs=10)

    def __enter__(self) -> EventLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.writer.close()

    def __call__(self, progress: Progress) -> None:
        numbers = {
            "loss/training": progress.loss,
            "loss/validation": progress.validation,
            "loss/bits_per_byte": progress.bits_per_byte,
            "optimizer/lr": progress.lr,
            "optimizer/gradient_norm": progress.gradient_norm,
            "speed/tokens_per_second": progress.tokens_per_second,
            "speed/mfu": progress.utilisation,
        }
        for name, value in numbers.items():
            if value is not None:
                self.writer.add_scalar(name, value, progress.step)
        if progress.sample is not None:
            self.writer.add_text("sample", progress.sample, progress.step)
