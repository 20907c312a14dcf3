"""Where the folder of an episode lies, by absolute path: as varied as the machines of people are.

A request says the path and the command copies it, so the paths must not be ones that a model could know by heart.
"""

from __future__ import annotations

import random
import string

from nimllm.agent.gym import names

SERVICES = ("nginx", "myapp", "app", "haproxy", "postfix", "grafana", "webapp", "redis", "exports.d", "profiles")
# what the executor mounts: an episode's folder is one of these (never those that hold users or services) or below one
TOPS = ("/home", "/srv", "/opt", "/data", "/mnt", "/media", "/root", "/tmp", "/var/tmp", "/var/log", "/var/www",
        "/workspace", "/app", "/backup", "/projects", "/work", *(f"/etc/{name}" for name in SERVICES))
_ALONE = ("/data", "/workspace", "/app", "/backup", "/work")
_UNDER_HOME = ("work", "project", "projects", "Documents", "Downloads", "Desktop", "src", "repos", "code", "notes",
               "backup", "dev", "git", "data")
_HASH = string.ascii_letters + string.digits


def _step(rng: random.Random) -> str:
    """A folder's name; now and then with a blank in it."""
    return names.stem(rng, blanks=0.02)


def _scratch(rng: random.Random) -> str:
    """A temporary folder as programs call it: tmp.Xq3..., tmpk2j9_x, pytest-of-ada, build-1234."""
    letters = "".join(rng.choice(_HASH) for _ in range(rng.choice((6, 8, 8, 10))))
    user = rng.choice(names.FIRST).lower()
    return rng.choice((f"tmp.{letters}", f"tmp{letters.lower()}", f"{names.word(rng)}.{letters}",
                       f"{names.word(rng)}-{letters.lower()}", f"{user}-{letters.lower()}", f"{letters.lower()}",
                       f"{names.word(rng)}-eval-{letters.lower()}", f"{names.word(rng)}_{rng.randint(1, 99999)}"))


def where(rng: random.Random) -> tuple[str, str]:
    """A user and the folder of an episode."""
    user = rng.choice(names.FIRST).lower()
    steps = [_step(rng) for _ in range(rng.choice((0, 0, 0, 1, 1, 2)))]
    at = rng.random()
    if at < 0.34:
        first = rng.choice(_UNDER_HOME) if rng.random() < 0.5 else _step(rng)
        return user, "/".join(["/home", user, first, *steps])
    if at < 0.54:
        deeper = [rng.choice(("work", "workspace", "repo", "data", _step(rng))), *steps][:rng.choice((0, 1, 1, 2))]
        return user, "/".join([rng.choice(("/tmp", "/tmp", "/tmp", "/var/tmp")),
                               _scratch(rng) if rng.random() < 0.7 else _step(rng), *deeper])
    if at < 0.60:
        return user, rng.choice(_ALONE)
    if at < 0.66:
        return user, "/".join([f"/etc/{rng.choice(SERVICES)}", *steps])
    top = rng.choice(("/srv", "/srv", "/opt", "/opt", "/data", "/data", "/mnt", "/var/log", "/var/log", "/root",
                      "/var/www", "/media", "/workspace", "/app", "/backup", "/projects"))
    return user, "/".join([top, _step(rng), *steps])
