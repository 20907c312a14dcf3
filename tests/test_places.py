"""Where things live: private folders, and one clear error when they cannot be made."""

from __future__ import annotations

from pathlib import Path

import pytest

from nimllm.errors import NimError
from nimllm.places import shipped_model, state_folder


def test_state_folders_are_private_at_every_level(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "a" / "b"))
    folder = state_folder("memory", "x")
    assert folder == tmp_path / "a" / "b" / "nimllm" / "memory" / "x"
    for path in (folder, folder.parent, folder.parent.parent):
        assert path.stat().st_mode & 0o777 == 0o700
    assert state_folder("memory", "x") == folder


def test_a_state_folder_that_cannot_be_made_is_one_message(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "file"))
    with pytest.raises(NimError, match="XDG_STATE_HOME"):
        state_folder("tasks")


def test_the_shipped_model_is_in_the_package() -> None:
    assert (shipped_model() / "model.safetensors").exists()
