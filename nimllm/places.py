"""Where things live (XDG). A leaf: any room may import it.

Every folder is made 0700 on first use; a home that cannot be written gives one clear error.
"""

from __future__ import annotations

import os
from pathlib import Path

from nimllm.errors import CONFIG, NimError


def shipped_model() -> Path:
    """The run folder of the model in the package."""
    return Path(__file__).resolve().parent / "llm" / "shipped"


def _home() -> Path:
    """The user's home; NimError when neither HOME nor the system's list of users has one."""
    try:
        return Path.home()
    except RuntimeError:
        raise NimError("there is no home folder", "HOME is not set, and the system does not know this user",
                       "set HOME, or XDG_STATE_HOME, XDG_CONFIG_HOME and XDG_CACHE_HOME", CONFIG) from None


def config_home() -> Path:
    """``$XDG_CONFIG_HOME/nimllm`` (not made)."""
    return Path(os.environ.get("XDG_CONFIG_HOME") or _home() / ".config") / "nimllm"


def state_home() -> Path:
    """``$XDG_STATE_HOME/nimllm`` (not made)."""
    return Path(os.environ.get("XDG_STATE_HOME") or _home() / ".local" / "state") / "nimllm"


def state_folder(*parts: str) -> Path:
    """A folder under :func:`state_home`, made with mode 0700."""
    folder = state_home().joinpath(*parts)
    try:
        state_home().parent.mkdir(parents=True, exist_ok=True)
        for depth in range(len(parts) + 1):  # mkdir(parents=True) would give the folders between the default rights
            state_home().joinpath(*parts[:depth]).mkdir(mode=0o700, exist_ok=True)
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "not writable", str(folder))
    except OSError as error:
        raise NimError(
            f"cannot write nimllm's state folder {folder}",
            error.strerror or str(error),
            "set XDG_STATE_HOME to a folder you can write",
            CONFIG,
        ) from None
    return folder


def cache_folder(*parts: str) -> Path | None:
    """A folder under ``$XDG_CACHE_HOME/nimllm``, made with mode 0700; None where it cannot be made: what is kept there
    can be made again."""
    try:
        root = Path(os.environ.get("XDG_CACHE_HOME") or _home() / ".cache") / "nimllm"
        root.parent.mkdir(parents=True, exist_ok=True)
        for depth in range(len(parts) + 1):
            root.joinpath(*parts[:depth]).mkdir(mode=0o700, exist_ok=True)
    except (OSError, NimError):
        return None
    return root.joinpath(*parts)
