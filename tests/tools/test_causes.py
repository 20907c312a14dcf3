# ruff: noqa: E501 (messages and calls stay on one line)
"""Why there is no sandbox, by cause: bubblewraps that fail as real ones do, on machines that look as real ones do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from nimllm.errors import SANDBOX, NimError
from nimllm.tools import causes, sandbox

UBUNTU = {"proc/sys/kernel/apparmor_restrict_unprivileged_userns": "1"}
DOCKER = {".dockerenv": ""}
NO_NAMESPACES = ("bwrap: No permissions to create new namespace, likely because the kernel does not allow non-privileged "
                 "user namespaces. On e.g. debian this can be enabled with 'sysctl kernel.unprivileged_userns_clone=1'.")
# what bwrap writes, the machine it runs on, words of the reason, words of the remedy
KNOWN = {
    "Ubuntu 24.04": ("bwrap: setting up uid map: Permission denied", UBUNTU, "AppArmor", "bwrap-userns-restrict"),
    "Ubuntu 24.04, network": ("bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted", UBUNTU, "AppArmor",
                              "apparmor_restrict_unprivileged_userns=0"),
    "Docker": ("bwrap: Creating new namespace failed: Operation not permitted", DOCKER, "a container",
               "--security-opt seccomp=unconfined"),
    "Docker, masked proc": ("bwrap: Can't mount proc on /newroot/proc: Operation not permitted", DOCKER, "no new /proc",
                            "systempaths=unconfined"),
    "Podman": (NO_NAMESPACES, {"run/.containerenv": ""}, "a container", "--sandbox none"),
    "Kubernetes": (NO_NAMESPACES, {"proc/1/cgroup": "0::/kubepods/burstable/pod1"}, "a container", "--sandbox none"),
    "Debian 10": (NO_NAMESPACES, {"proc/sys/kernel/unprivileged_userns_clone": "0"}, "switched off for users",
                  "sysctl kernel.unprivileged_userns_clone=1"),
    "a hardened kernel": ("bwrap: Creating new namespace failed: No space left on device", {}, "no further user namespace",
                          "user.max_user_namespaces"),
    "a limit of zero": (NO_NAMESPACES, {"proc/sys/user/max_user_namespaces": "0"}, "no further user namespace",
                        "sysctl user.max_user_namespaces"),
    "setuid": ("bwrap: Unexpected capabilities but not setuid, old file caps config?", {}, "setuid", "chmod u-s"),
    "setuid, newer": ("bwrap: Can't use --unshare-user with setuid bwrap", {}, "setuid", "chmod u-s"),
    "an old bubblewrap": ("bwrap: Unknown option --unshare-cgroup-try", {}, "too old", "0.5"),
    "no reason that is known": ("bwrap: execvp: Cannot allocate memory", {}, "does not work here", "nimllm doctor"),
    "no word": ("", {}, "it said nothing", "nimllm doctor"),
    "no namespace": (NO_NAMESPACES, {}, "does not give this user a namespace", "unprivileged user namespaces"),
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_cause_and_its_remedy(tmp_path: Path, name: str) -> None:
    said, files, why, mend = KNOWN[name]
    for path, text in files.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    found = causes.of_bubblewrap(said + "\nmore\n" if said else "", tmp_path)
    assert why in found[0] and mend in found[1]
    assert "\n" not in found[0] + found[1] and len(found[0] + found[1]) < 420


@pytest.mark.parametrize("name", ["Ubuntu 24.04", "Docker", "setuid", "an old bubblewrap", "no word"])
def test_a_bubblewrap_that_fails_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """The whole way, with a program in bwrap's place: it fails closed with one sentence, or the other level is taken."""
    said, files, why, _ = KNOWN[name]
    host, work = tmp_path / "host", tmp_path / "deep" / "work"
    work.mkdir(parents=True)
    for path, text in files.items():
        (host / path).parent.mkdir(parents=True, exist_ok=True)
        (host / path).write_text(text)
    fake = tmp_path / "bwrap"
    fake.write_text(f"#!/bin/bash\n[ -z {said!r} ] || echo {said!r} >&2\nexit 1\n")
    fake.chmod(0o755)
    monkeypatch.setattr(sandbox.shutil, "which", lambda *_, **__: str(fake))
    known = causes.of_bubblewrap
    monkeypatch.setattr(causes, "of_bubblewrap", lambda text: known(text, host))
    with pytest.raises(NimError) as error:
        sandbox.probe(work, want="bwrap")
    message = error.value.message()
    assert error.value.code == SANDBOX and (why in message or name == "no word") and "--sandbox none" in message
    second = sandbox.probe(work)
    assert second.level in ("landlock", "none") and second.reason.count("\n") == 0
    assert os.listdir(work) == [] and os.listdir(work.parent) == ["work"]


def test_no_landlock() -> None:
    assert "older than Landlock" in causes.of_missing_landlock(0, None, "5.4.0-150-generic")[0]
    assert "switched off" in causes.of_missing_landlock(0, None, "6.8.0")[0]
    assert "lsm=" in causes.of_missing_landlock(0, None, "6.8.0")[1]
    assert causes.of_missing_landlock(7, "no filters")[0] == "no filters"
    assert "switched off" in causes.of_missing_landlock(0, None, "unknown")[0]
