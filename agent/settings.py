"""``config.toml``: what the flags of ``nimllm --agent`` are when they are not given.

The user's own is ``<config>/nimllm/config.toml``. A project may carry ``.nimllm/config.toml``: it came with the files,
so it can make the agent more careful, never less; what would loosen anything is ignored, and said. The command line
outweighs both.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nimllm import places
from nimllm.errors import CONFIG, NimError

MOST_BYTES = 100_000
MODES = ("read-only", "ask", "auto", "full")
SANDBOXES = ("auto", "bwrap", "landlock", "none")
MEMORIES = ("off", "review", "auto")


@dataclass(frozen=True)
class Setting:
    """``check``: what is wrong with a value, or an empty string. ``tighter(new, old)``: a project may set it."""

    check: Callable[[Any], str]
    tighter: Callable[[Any, Any], bool] | None = None


def _one_of(*words: str) -> Callable[[Any], str]:
    return lambda value: "" if value in words else f"must be one of {', '.join(words)}"


def _number(least: float, whole: bool = False, open_: bool = False) -> Callable[[Any], str]:
    kind = "a whole number" if whole else "a number"

    def check(value: Any) -> str:
        good = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool)
        if not good or not math.isfinite(value) or value < least or (open_ and value == least):
            return f"must be {kind} {'above' if open_ else 'of at least'} {least:g}"
        return ""

    return check


def _flag(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _text(value: Any) -> str:
    return "" if isinstance(value, str) and value else "must be a text"


def _folders(value: Any) -> str:
    good = isinstance(value, list) and all(isinstance(item, str) for item in value)
    return "" if good else "must be a list of folders"


def _earlier(words: tuple[str, ...]) -> Callable[[Any, Any], bool]:
    return lambda new, old: words.index(new) <= words.index(old)


def _less(new: Any, old: Any) -> bool:
    return old is None or new <= old


SETTINGS: dict[str, Setting] = {
    "mode": Setting(_one_of(*MODES), lambda new, old: True),  # compared when the mode is known: equipment.mode_of
    "sandbox": Setting(_one_of(*SANDBOXES), lambda new, old: new in ("bwrap", old) or old == "none"),
    "network": Setting(_one_of("off", "on"), _earlier(("off", "on"))),
    "memory": Setting(_one_of(*MEMORIES), _earlier(MEMORIES)),
    "memory_method": Setting(_one_of("kewc", "topk", "literal")),
    "timeout": Setting(_number(0, open_=True), _less),
    "task_timeout": Setting(_number(0, open_=True), _less),
    "max_steps": Setting(_number(1, whole=True), _less),
    "max_output": Setting(_number(1, whole=True), _less),
    "add_dir": Setting(_folders),
    "model": Setting(_text),
    "dtype": Setting(_one_of("fp32", "bf16", "q8", "q4")),
    "threads": Setting(_number(1, whole=True)),
    "samples": Setting(_number(1, whole=True)),
    "try_first": Setting(_flag),
    "try_seconds": Setting(_number(0)),
    "notify": Setting(_number(0)),
    "plain": Setting(_flag),
}


def user_file() -> Path:
    return places.config_home() / "config.toml"


def read(path: Path) -> dict[str, Any]:
    """The settings of one file, checked; empty when there is none. NimError 3 names the file and the key."""
    import tomllib

    try:
        with open(path, "rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise NimError(f"cannot read {path}", error.strerror or str(error), "mend or remove it", CONFIG) from None
    if len(raw) > MOST_BYTES:
        raise NimError(f"{path} is too large", f"more than {MOST_BYTES:,} bytes", "mend or remove it", CONFIG)
    try:
        found = tomllib.loads(raw.decode("utf-8"))
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NimError(f"{path} is not valid TOML", str(error), "mend or remove it", CONFIG) from None
    for key, value in found.items():
        setting = SETTINGS.get(key)
        if setting is None:
            import difflib

            near = difflib.get_close_matches(key.replace("-", "_"), SETTINGS, 1)
            raise NimError(f"{path}: there is no setting {key!r}", "",
                           f"did you mean {near[0]}?" if near else f"the settings are {', '.join(SETTINGS)}", CONFIG)
        wrong = setting.check(value)
        if wrong:
            raise NimError(f"{path}: {key} = {value!r} cannot be used", f"it {wrong}", "", CONFIG)
    return found


def apply(args: Namespace, given: frozenset[str], workspace: Path | None) -> list[str]:
    """Puts the files' settings into ``args`` where the command line (``given``: the names it set) says nothing. Returns
    sentences about what was ignored. ``workspace``: the folder whose project file counts; None: no folder's."""
    if "yes" in given:
        given = given | {"mode"}
    _set(args, given, read(user_file()), user_file())
    if workspace is None:
        return []
    path = workspace / ".nimllm" / "config.toml"
    if path == user_file():
        return []
    ignored = []
    for key, value in read(path).items():
        tighter = SETTINGS[key].tighter
        if key in given or not hasattr(args, key):
            continue
        if tighter is None:
            ignored.append(f"{path}: {key} is ignored: only your own {user_file()} may set it")
        elif key == "mode":
            args.mode_at_most = value
        elif tighter(value, getattr(args, key)):
            setattr(args, key, value)
        else:
            ignored.append(f"{path}: {key} = {value!r} is ignored: a project can only be stricter than you are")
    return ignored


def _set(args: Namespace, given: frozenset[str], found: Mapping[str, Any], path: Path) -> None:
    for key, value in found.items():
        if key in given or not hasattr(args, key):  # a setting of another command
            continue
        if key == "add_dir":
            value = [str(path.parent / Path(name).expanduser()) for name in value]
        setattr(args, key, value)
