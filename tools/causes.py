"""Why a sandbox does not work on this machine, and what mends it: one sentence for each of the known causes."""

from __future__ import annotations

import os
from pathlib import Path

SAID = 120  # characters of a program's own message that are repeated
_SECOND = "install bubblewrap (apt install bubblewrap, dnf install bubblewrap)"


def of_bubblewrap(said: str, host: Path = Path("/")) -> tuple[str, str]:
    """(why, how to mend it) for what a bwrap that failed wrote. ``host``: the root whose settings are looked at."""
    first = next((line for line in said.strip().split("\n") if line.strip()), "").strip()
    first = first if len(first) <= SAID else f"{first[: SAID - 1]}…"
    low = first.lower()
    if _setting(host, "proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1" and _namespace(low):
        return (f"AppArmor forbids user namespaces to programs without a profile, as Ubuntu does since 24.04 ({first})",
                "give bwrap a profile (apt install apparmor-profiles, then ln -s "
                "/usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ and reload AppArmor), or "
                "sysctl kernel.apparmor_restrict_unprivileged_userns=0")
    if _setting(host, "proc/sys/kernel/unprivileged_userns_clone") == "0":
        return (f"user namespaces are switched off for users ({first})", "sysctl kernel.unprivileged_userns_clone=1")
    if _setting(host, "proc/sys/user/max_user_namespaces") == "0" or "no space left" in low:
        return (f"this machine allows no further user namespace ({first})", "sysctl user.max_user_namespaces=15000")
    if container(host) and (_namespace(low) or "proc" in low or "mount" in low):
        return (f"this is a container that allows no {'new /proc' if 'proc' in low else 'user namespaces'} ({first})",
                "start it with --security-opt seccomp=unconfined --security-opt apparmor=unconfined "
                "--security-opt systempaths=unconfined, or trust the container itself with --sandbox none")
    if "setuid" in low or "unexpected capabilities" in low:
        return (f"this bwrap is installed setuid or with capabilities, and refuses what is asked of it ({first})",
                "make it plain (chmod u-s \"$(command -v bwrap)\") and allow user namespaces")
    if "unknown option" in low:
        return (f"this bwrap is too old ({first})", "install bubblewrap 0.5 or newer")
    if _namespace(low):
        return (f"the kernel does not give this user a namespace ({first})",
                "allow unprivileged user namespaces (sysctl user.max_user_namespaces and "
                "kernel.unprivileged_userns_clone)")
    return (f"bubblewrap does not work here ({first or 'it said nothing'})", "run nimllm doctor, and bwrap by hand")


def of_missing_bubblewrap() -> tuple[str, str]:
    return "bubblewrap (bwrap) is not installed", _SECOND


def of_missing_landlock(version: int, filters: str | None, release: str = "") -> tuple[str, str]:
    """For a kernel whose Landlock version is 0, or whose filters cannot be used (``filters`` says why)."""
    release = release or os.uname().release
    if filters is not None:
        return filters, _SECOND
    if version == 0 and _older(release, (5, 13)):
        return f"the kernel ({release}) is older than Landlock (5.13)", f"{_SECOND}, or a newer kernel"
    return (f"the kernel ({release}) has Landlock switched off",
            f"{_SECOND}, or add landlock to the kernel's lsm= parameter")


def container(host: Path = Path("/")) -> bool:
    """Whether this looks like the inside of a container."""
    if any(os.path.exists(host / name) for name in (".dockerenv", "run/.containerenv")):
        return True
    words = _setting(host, "proc/1/cgroup")
    return any(word in words for word in ("docker", "kubepods", "containerd", "libpod", "lxc"))


def _namespace(low: str) -> bool:
    return any(word in low for word in ("namespace", "uid map", "gid map", "rtm_newaddr", "setgroups", "capabilities"))


def _setting(host: Path, name: str) -> str:
    try:
        return (host / name).read_text("utf-8", "replace").strip()
    except OSError:
        return ""


def _older(release: str, than: tuple[int, int]) -> bool:
    parts = release.split("-")[0].split(".")
    try:
        return (int(parts[0]), int(parts[1])) < than
    except (ValueError, IndexError):
        return False
