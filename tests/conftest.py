"""What all tests share. Property tests draw the same examples every time, so that a run is red or green for a reason in
the change; ``HYPOTHESIS_PROFILE=search`` draws new ones."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import settings

# A shell without job control ignores ^C for what it starts in the background, and so would all that tests start and
# interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("same", derandomize=True)
settings.register_profile("search")
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))

# The longest files, in seconds of one worker. With ``--dist loadfile`` a file is one worker's: one that begins last
# keeps the others waiting, and pytest-xdist by itself begins the files of few tests last, which are these.
LONG = ("test_shipped", "test_distributed", "test_train", "test_update", "test_shell_hostile", "test_session",
        "test_canaries", "test_gpu_attention", "test_shell_terminal", "test_shell", "test_session_terminal",
        "test_overlay", "test_bench_command", "test_gym", "test_sessions", "test_presets", "test_exit_codes",
        "test_preference")


def pytest_configure(config: pytest.Config) -> None:
    if hasattr(config.option, "loadscopereorder"):
        config.option.loadscopereorder = False  # the order below


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    rank = {f"{name}.py": number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: rank.get(Path(item.path).name, len(rank)))
