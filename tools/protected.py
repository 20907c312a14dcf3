"""What stays closed inside folders that commands may write: what runs, or decides what runs, outside the sandbox later.

nimllm's own folders and the model in use, ``.nimllm``, the hooks and the configuration of git repositories, the dot
files of a home folder, folders on the PATH. What exists is mounted read-only (bubblewrap) or not granted (Landlock).
No mount can cover what does not exist yet, nor a link, without leaving something behind: :mod:`nimllm.tools.keeper`
looks after those.
"""

from __future__ import annotations

import os
import re
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nimllm.places import config_home, state_home

# How deep, in how many folders and for how many repositories is looked. By number, so that a busy machine protects as
# much as an idle one does; the seconds are for a disk that does not answer.
DEPTH, FOLDERS, REPOSITORIES, SECONDS = 4, 2_000, 64, 2.0
_SKIPPED = {"node_modules", ".venv", "venv", "__pycache__", ".tox", ".mypy_cache", "site-packages"}

# Of the home folder, when it can be written: what shells, git, ssh, editors and the desktop obey at their start.
_HOME = """
    .bashrc .bash_profile .bash_login .bash_logout .bash_aliases .profile .zshrc .zshenv .zprofile .zlogin
    .zlogout .inputrc .pam_environment .xprofile .xinitrc .xsession .xsessionrc .gitconfig .git-credentials
    .netrc .npmrc .yarnrc .pypirc .curlrc .wgetrc .gdbinit .lldbinit .vimrc .vim .emacs .emacs.d .tmux.conf
    .screenrc .pythonrc.py .ssh .gnupg .aws .kube .docker .nimllm bin .local/bin .local/lib
    .local/share/applications .cargo/bin .cargo/config.toml .config/git .config/nimllm .config/fish .config/nvim
    .config/autostart .config/systemd .config/environment.d .config/pip .config/gh .config/htop .config/mpv
    .config/Code/User .vscode/argv.json .vscode/extensions
"""
HOME = tuple(_HOME.split())
# Settings of a repository in which git finds programs to run, or another place to read settings from.
_SETTINGS = ("config", "config.worktree", "commondir")
_ELSEWHERE = re.compile(r"^\s*(?:hooksPath|path)\s*=\s*\"?([^\"\n#;]+)", re.IGNORECASE | re.MULTILINE)


@dataclass(frozen=True)
class Closed:
    """``vital`` and ``settings`` exist and must not be written; ``absent`` must not appear, ``links`` not change.

    ``vital``: also where only whole folders can be granted (Landlock), at the price of new names beside them.
    """

    vital: tuple[Path, ...] = ()
    settings: tuple[Path, ...] = ()
    absent: tuple[Path, ...] = ()
    links: tuple[Path, ...] = ()

    @property
    def existing(self) -> tuple[Path, ...]:
        return (*self.vital, *self.settings)


class _Finder:
    """Collects paths into the right one of :class:`Closed`'s lists; what lies in no writable folder is left out."""

    def __init__(self, writable: Sequence[Path]) -> None:
        self.writable = writable
        self.vital: dict[Path, None] = {}
        self.settings: dict[Path, None] = {}
        self.absent: dict[Path, None] = {}
        self.links: dict[Path, None] = {}

    def within(self, path: Path) -> bool:
        return any(path != folder and path.is_relative_to(folder) for folder in self.writable)

    def add(self, path: Path, vital: bool = False, absent: bool = True) -> None:
        """``absent``: watch for it when it is not there. A link is closed, and so is what it leads to."""
        for parent in path.parents:  # a folder on the way that is a link could be replaced by another
            if os.path.islink(parent) and self.within(place := Path(os.path.realpath(parent.parent)) / parent.name):
                self.links[place] = None
        where = Path(os.path.realpath(path.parent)) / path.name
        if os.path.islink(where):
            if self.within(where):
                self.links[where] = None
            where = Path(os.path.realpath(where))
            absent = False
        if not self.within(where):
            return
        if os.path.lexists(where):
            (self.vital if vital else self.settings)[where] = None
        elif absent:
            self.absent[where] = None


def closed(writable: Sequence[Path], git_config: bool = False, keep: Iterable[Path] = ()) -> Closed:
    """What must not be written in ``writable`` (real paths). ``git_config``: repositories' settings may be, their hooks
    may not. ``keep``: further paths in use, such as the model's.

    nimllm's state and configuration folders are made when they are missing, so that a command cannot make them first.
    """
    finder = _Finder(writable)
    for own in (state_home(), config_home()):
        real = Path(os.path.realpath(own))
        if finder.within(real):
            try:
                real.mkdir(mode=0o700, parents=True, exist_ok=True)
            except OSError:
                continue
        finder.add(own, vital=True)
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "nimllm"  # packed weights
    for path in (cache, *keep):
        finder.add(Path(path), vital=True)
    home = Path(os.path.realpath(Path.home()))
    if home in writable or finder.within(home):
        for name in HOME:
            finder.add(home / name, vital=True)
    for folder in _search_path():
        finder.add(folder, vital=True, absent=False)
    for folder in writable:
        finder.add(folder / ".nimllm")
        for repository in _repositories(folder):
            _close_repository(finder, repository, git_config)
    return Closed(tuple(finder.vital), tuple(finder.settings), tuple(finder.absent), tuple(finder.links))


def _search_path() -> Iterator[Path]:
    """Where programs of the user's next command come from: the PATH, and the environment this Python runs in."""
    for name in os.environ.get("PATH", "").split(":"):
        if name.startswith("/"):
            yield Path(name)
    if sys.prefix != sys.base_prefix:
        yield Path(sys.prefix)


def _repositories(folder: Path) -> Iterator[Path]:
    """``.git`` folders, files and links below ``folder``, nearest first, and ``folder`` itself when it is one; what is
    found among the first :data:`FOLDERS`."""
    until = time.monotonic() + SECONDS
    if _is_repository(folder):
        yield folder
    level, found, looked = [folder], 0, 0
    for _ in range(DEPTH):
        below: list[Path] = []
        for place in level:
            if os.path.lexists(place / ".git"):
                yield place / ".git"
                found += 1
            looked += 1
            if found >= REPOSITORIES or looked > FOLDERS or time.monotonic() > until:
                return
            try:
                with os.scandir(place) as entries:
                    below += [Path(entry.path) for entry in entries
                              if entry.name not in _SKIPPED and entry.name != ".git"
                              and entry.is_dir(follow_symlinks=False)]
            except OSError:
                continue
        level = below


def _is_repository(folder: Path) -> bool:
    return os.path.isfile(folder / "HEAD") and all(os.path.isdir(folder / name) for name in ("objects", "refs"))


def _close_repository(finder: _Finder, dot_git: Path, git_config: bool) -> None:
    """A repository's settings and hooks, those of its submodules and work trees, and where its settings lead to."""
    if os.path.islink(dot_git) or os.path.isfile(dot_git):  # a link, or "gitdir: PATH" of a work tree or a submodule
        finder.add(dot_git)
    folder = _resolved(dot_git)
    if folder is None:
        return
    pending = [folder]
    for parts in (("modules", "*"), ("modules", "*", "modules", "*"), ("worktrees", "*")):
        pending += sorted(folder.glob("/".join(parts)))[:REPOSITORIES]
    for place in pending:
        if not os.path.isdir(place):
            continue
        linked = place.parent.name == "worktrees" and place != folder
        if not linked:
            finder.add(place / "hooks")
        for name in _SETTINGS:
            if not (git_config and name.startswith("config")):
                finder.add(place / name, absent=not linked or name != "config")
        if linked:
            finder.add(place / "gitdir")
        for elsewhere in _led_to(place / "config", place):
            if not place.is_relative_to(elsewhere):
                finder.add(elsewhere)


def _resolved(dot_git: Path) -> Path | None:
    try:
        if os.path.isdir(dot_git):
            return Path(os.path.realpath(dot_git))
        text = dot_git.read_text("utf-8", "surrogateescape")[:4096]
    except OSError:
        return None
    if not text.startswith("gitdir:"):
        return None
    folder = Path(os.path.realpath(dot_git.parent / text[7:].strip()))
    return folder if os.path.isdir(folder) else None


def _led_to(config: Path, place: Path) -> Iterator[Path]:
    """Hook folders and included settings that ``config`` names."""
    try:
        text = config.read_text("utf-8", "surrogateescape")[: 1 << 16]
    except OSError:
        return
    top = place.parent if place.name == ".git" else place
    for match in _ELSEWHERE.finditer(text):
        name = match[1].strip()
        hooks = match[0].lstrip()[:1] in "hH"
        # hooksPath starts at the work tree, an included path at the file that names it
        yield Path(os.path.expanduser(name)) if name[:1] in "/~" else (top if hooks else place) / name
