"""Real bash, real sandboxes. Where a level cannot be enforced its tests are skipped with the probe's own reason."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from nimllm.errors import SANDBOX, NimError
from nimllm.tools import sandbox
from nimllm.tools.shell import Shell

LEVELS = ("none", "bwrap")


def _enforced(
    workspace: Path, add_dirs: Iterable[Path] = (), network: bool = False, want: str = "bwrap", **about: Any
) -> sandbox.Sandbox:
    try:
        return sandbox.probe(workspace, add_dirs, network, want, **about)
    except NimError as error:
        if error.code != SANDBOX:
            raise
        pytest.skip(error.message())


@pytest.fixture(scope="session")
def enforced() -> Callable[..., sandbox.Sandbox]:
    """``probe`` for tests of the boundary itself."""
    return _enforced


@pytest.fixture(autouse=True)
def homes(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))


@pytest.fixture(scope="module", params=LEVELS)
def shared(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """One shell for a whole module, as a session has it: what one case leaves behind, the next one meets."""
    workspace = tmp_path_factory.mktemp("workspace")
    box = _enforced(workspace) if request.param == "bwrap" else sandbox.probe(workspace, want="none")
    with Shell(workspace, box, outputs=tmp_path_factory.mktemp("outputs")) as shell:
        yield shell


@pytest.fixture(params=LEVELS)
def shell(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Shell]:
    workspace = tmp_path / "workspace"
    workspace.mkdir()
    box = _enforced(workspace) if request.param == "bwrap" else sandbox.probe(workspace, want="none")
    with Shell(workspace, box, outputs=tmp_path / "outputs") as opened:
        yield opened
