"""``nimllm memory study``: the texts are read without their secrets, as everything is that is learnt from."""

from __future__ import annotations

from argparse import Namespace


def main(args: Namespace) -> int:
    """See ``alignment/memory/study_command.py``, which may not import the redactor."""
    from nimllm.alignment.memory import study_command
    from nimllm.tools.redact import Stream

    return study_command.main(args, Stream)
