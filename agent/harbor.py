"""Tasks in the form of harbor (the successor of Terminal-Bench): a folder with ``instruction.md``, ``task.toml``,
``environment/``, ``solution/`` and ``tests/``; read from harbor 0.25.0.

There are no containers here. The workspace is a fresh folder, shown in the sandbox at the task's own place (``/app``)
too; of a Dockerfile, what copies files is done, and what runs, is run in the sandbox; what needs more is refused, with
the reason. The tests run at ``/tests`` on a copy of the workspace when the agent's processes are gone, and the reward
is read from ``/logs/verifier/reward.json`` or ``reward.txt``.
"""

from __future__ import annotations

import glob
import json
import math
import os
import re
import shutil
import stat
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import BaseModel, Field, ValidationError

from nimllm.agent import dockerfile
from nimllm.agent.tasks import Task
from nimllm.errors import CONFIG, SANDBOX, USAGE, NimError

if TYPE_CHECKING:
    from nimllm.agent.records import CheckRecord
    from nimllm.agent.trial import Place

TIMEOUT = 600.0  # seconds, where task.toml says nothing
MAX_REWARD = 65_536  # bytes of a reward file
_CANARY = re.compile(r"^(?:<!--.*canary.*-->|#.*canary.*)$", re.IGNORECASE)
_TEMPLATE = re.compile(r"\$\{([A-Za-z_]\w*)(?::-([^}]*))?\}")
_COMPOSE = ("docker-compose.yaml", "docker-compose.yml", "compose.yaml", "compose.yml", "singularity-compose.yaml")


class _Phase(BaseModel):
    timeout_sec: float | None = Field(default=None, gt=0)
    network_mode: Literal["no-network", "public", "allowlist"] | None = None
    env: dict[str, str] = Field(default_factory=dict)


class _Environment(_Phase):
    docker_image: str | None = None
    build_timeout_sec: float = Field(default=TIMEOUT, gt=0)
    os: str = "linux"
    gpus: int | None = None
    tpu: Any = None
    mcp_servers: list[Any] = Field(default_factory=list)
    healthcheck: Any = None
    workdir: str | None = None
    allow_internet: bool | None = None


class _Solution(BaseModel):
    env: dict[str, str] = Field(default_factory=dict)


class _Config(BaseModel):
    """What is used of task.toml; harbor has more, and so may a task."""

    steps: list[Any] = Field(default_factory=list)
    agent: _Phase = Field(default_factory=_Phase)
    verifier: _Phase = Field(default_factory=_Phase)
    environment: _Environment = Field(default_factory=_Environment)
    solution: _Solution = Field(default_factory=_Solution)


@dataclass(frozen=True)
class Stage:
    """How a task's folder becomes a place to work in. ``refused``: why it cannot; ``network``: the tests may have it
    when the user allows it."""

    folder: Path
    recipe: dockerfile.Recipe
    build_timeout: float
    test_timeout: float
    env: Mapping[str, str] = field(default_factory=dict)
    test_env: Mapping[str, str] = field(default_factory=dict)
    solution_env: Mapping[str, str] = field(default_factory=dict)
    network: bool = True
    refused: NimError | None = None

    @property
    def workdir(self) -> Path:
        """Never ``/`` itself, where nothing could be shown."""
        return Path("/app") if self.recipe.workdir == self.recipe.workdir.parent else Path(self.recipe.workdir)


# ---- reading -----------------------------------------------------------------------------------------------------


def read_folder(folder: Path) -> list[Task]:
    """The task that ``folder`` is, or the tasks that lie in it, by name. NimError 2: there is none, or one is wrong."""
    if (folder / "task.toml").is_file() or (folder / "instruction.md").is_file():
        return [_read(folder)]
    found = [_read(path) for path in sorted(folder.iterdir()) if path.is_dir()
             and ((path / "task.toml").is_file() or (path / "instruction.md").is_file())]
    if not found:
        raise NimError(f"{folder} holds no task", "neither it nor a folder in it has a task.toml",
                       "give a folder in harbor's form, or a YAML or JSONL file", USAGE)
    ids = [task.id for task in found]
    for id in ids:
        if ids.count(id) > 1:
            raise NimError(f"{folder}: two folders give the id {id}", "", "rename one of them", USAGE)
    return found


def _read(folder: Path) -> Task:
    folder = folder.resolve()
    try:
        config = _Config.model_validate(tomllib.loads((folder / "task.toml").read_text("utf-8")))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise NimError(f"cannot read {folder / 'task.toml'}", str(error), "mend it there", USAGE) from None
    except ValidationError as error:
        fault = error.errors()[0]
        raise NimError(f"{folder / 'task.toml'}: {'.'.join(map(str, fault['loc']))}", fault["msg"], "mend it there",
                       USAGE) from None
    refused = None
    recipe, envs = dockerfile.Recipe(), [dict[str, str]()] * 3
    try:
        _possible(config, folder)
        recipe = _recipe(config, folder)
        envs = [_resolved(env, folder) for env in (config.environment.env, config.verifier.env, config.solution.env)]
    except NimError as error:
        refused = error
    open_ = config.environment.network_mode != "no-network" and config.environment.allow_internet is not False
    agent_open = open_ if config.agent.network_mode is None else config.agent.network_mode != "no-network"
    test_open = open_ if config.verifier.network_mode is None else config.verifier.network_mode != "no-network"
    task = Task(
        id=re.sub(r"[^\w.-]", "-", folder.name)[:100] or "task", request=_instruction(folder, config),
        timeout=min(config.agent.timeout_sec or TIMEOUT, 86400.0), network=None if agent_open else False,
        solution=["/solution/solve.sh"] if (folder / "solution" / "solve.sh").is_file() else [],
    )
    task._stage = Stage(folder, recipe, config.environment.build_timeout_sec, config.verifier.timeout_sec or TIMEOUT,
                        {**recipe.env, **envs[0]}, envs[1], envs[2], test_open, refused)
    return task


def _instruction(folder: Path, config: _Config) -> str:
    """instruction.md without the lines that only mark it as a benchmark's."""
    path = folder / "instruction.md"
    if config.steps and not path.exists():
        return "(several steps)"
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise NimError(f"cannot read {path}", str(error), "mend it there", USAGE) from None
    while lines and (_CANARY.match(lines[0].strip()) or not lines[0].strip()):
        lines.pop(0)
    text = "\n".join(lines).strip()
    if not text:
        raise NimError(f"{path} is empty", "", "write there what is to be done", USAGE)
    return text


def _possible(config: _Config, folder: Path) -> None:
    """NimError 3 when the task asks for what is not here."""
    asked = config.environment
    compose = [name for name in _COMPOSE if (folder / "environment" / name).exists()]
    for wrong, why in (
        (config.steps, "it has several steps"),
        (asked.os.lower() != "linux", f"it is for {asked.os}"),
        (compose, f"it starts services ({compose[0] if compose else ''})"),
        (asked.gpus or asked.tpu, "it wants an accelerator of its own"),
        (asked.mcp_servers, "it wants MCP servers"),
        (asked.healthcheck, "it waits for a service to be healthy"),
        (not (folder / "tests" / "test.sh").is_file(), "it has no tests/test.sh"),
    ):
        if wrong:
            raise NimError(f"the task {folder.name} cannot be done here", why, "leave it out (--only)", CONFIG)


def _recipe(config: _Config, folder: Path) -> dockerfile.Recipe:
    path = folder / "environment" / "Dockerfile"
    try:
        recipe = dockerfile.parse(path.read_text("utf-8"), f"{folder.name}/environment/Dockerfile")
    except FileNotFoundError:  # the files of environment/ are the workspace
        recipe = dockerfile.Recipe(config.environment.docker_image or "")
        recipe.steps.append(dockerfile.Copy((".",), recipe.workdir / "app", True))
        recipe.workdir = recipe.workdir / "app"
    except UnicodeDecodeError as error:
        raise NimError(f"cannot read {path}", str(error), "mend it there", CONFIG) from None
    if config.environment.workdir:
        recipe.workdir = recipe.workdir / config.environment.workdir
    return recipe


def _resolved(env: Mapping[str, str], folder: Path) -> dict[str, str]:
    """``${NAME}`` and ``${NAME:-default}`` from this process's environment."""

    def value(found: re.Match[str]) -> str:
        held = os.environ.get(found[1], found[2])
        if held is None:
            raise NimError(f"the task {folder.name} needs the variable {found[1]}", "it is not set", "set it", CONFIG)
        return held

    return {name: _TEMPLATE.sub(value, text) for name, text in env.items()}


# ---- setting up --------------------------------------------------------------------------------------------------


def prepare(stage: Stage, place: Place, solution: bool) -> None:
    """Makes the workspace: copies and runs what the recipe says; ``solution`` shows /solution, too.

    NimError 3: the task was refused, or a step failed. NimError 5: the sandbox takes no mounts.
    """
    from nimllm.tools.stage import Shown

    if stage.refused is not None:
        raise stage.refused
    if place.box.level != "bwrap":
        raise NimError("tasks in harbor's form need bubblewrap", f"they name places such as {stage.workdir} and /tests "
                       f"({place.box.reason})", "install bubblewrap", SANDBOX)
    others = place.root / "places"  # what lies outside of the workdir
    shown = {stage.workdir: Shown(place.work, stage.workdir, True)}

    def show(path: Path) -> None:
        """Has commands see ``path``, which was made: itself, or what was put into a folder that this machine has."""
        made = others / path.relative_to("/")
        if path.is_relative_to(stage.workdir) or any(path.is_relative_to(at) for at in shown):
            return
        if path.is_dir() and made.is_dir() and path not in map(Path, stage.recipe.places):
            for entry in made.iterdir():
                show(path / entry.name)
        else:
            shown[path] = Shown(made, path, True)

    for folder in stage.recipe.places:
        _outside(Path(folder), stage, place, others).mkdir(parents=True, exist_ok=True)
        show(Path(folder))
    for step in stage.recipe.steps:
        if isinstance(step, dockerfile.Copy):
            _copy(step, stage, _outside(Path(step.target), stage, place, others))
            show(Path(step.target))
        else:
            _run(step, stage, place, tuple(shown.values()))
    if solution:
        if not (stage.folder / "solution" / "solve.sh").is_file():
            raise NimError(f"the task {stage.folder.name} has no solution/solve.sh", "", "leave it out (--only)",
                           CONFIG)
        at = Path("/solution")
        shown[at] = Shown(_scripts(stage.folder / "solution", place.root / "solution"), at)
    place.shown = tuple(shown.values())
    place.env = {**place.env, **stage.env, **(stage.solution_env if solution else {})}


def _outside(path: Path, stage: Stage, place: Place, others: Path) -> Path:
    """Where on this machine the sandbox's ``path`` is made."""
    if path.is_relative_to(stage.workdir):
        return place.work / path.relative_to(stage.workdir)
    return others / path.relative_to("/")


def _copy(step: dockerfile.Copy, stage: Stage, target: Path) -> None:
    context = stage.folder / "environment"
    for pattern in step.sources:
        names = [pattern]
        if glob.has_magic(pattern):
            names = sorted(glob.glob(pattern, root_dir=context, include_hidden=True))
        if not names or not (context / names[0]).exists():
            raise NimError(f"{stage.folder.name}/environment/{pattern} is missing", "the Dockerfile copies it",
                           "mend the task", CONFIG)
        for name in names:
            source = context / name
            if not source.resolve().is_relative_to(stage.folder):
                raise NimError(f"{source} leads out of the task", "", "mend the task", CONFIG)
            if source.is_dir():
                shutil.copytree(source, target, symlinks=True, dirs_exist_ok=True)
            else:
                into = step.into or target.is_dir()
                (target if into else target.parent).mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target / source.name if into else target)


def _run(step: dockerfile.Run, stage: Stage, place: Place, shown: tuple[Any, ...]) -> None:
    from shlex import quote

    from nimllm.agent import checks

    box = replace(place.box, shown=shown, hidden=())
    folder = quote(str(stage.workdir if step.folder == step.folder.parent else step.folder))
    done = checks.in_fresh_shell(f"cd {folder} && {{ {step.command}\n}}", place.work, box, stage.build_timeout,
                                 {**step.env}, place.started)
    if done.status != 0 or done.ended not in checks.ENDED:
        said = done.output.strip().split("\n")[-1][-checks.DETAIL:]
        raise NimError(f"the task {stage.folder.name} cannot be set up: RUN {step.command.strip()[:80]}",
                       f"{checks.ended(done)}{': ' + said if said else ''}; there is no container, and nothing can be "
                       "installed", "leave it out (--only)", CONFIG)


def _scripts(source: Path, target: Path) -> Path:
    """A copy of a folder of the task's, its scripts executable."""
    for path in source.rglob("*"):
        if not path.resolve().is_relative_to(source.parent.resolve()):
            raise NimError(f"{path} leads out of the task", "", "mend the task", CONFIG)
    shutil.copytree(source, target)
    for script in target.glob("*.sh"):
        script.chmod(0o755)
    return target


# ---- testing -----------------------------------------------------------------------------------------------------


def test(stage: Stage, place: Place, network: bool) -> tuple[CheckRecord, dict[str, float]]:
    """Runs tests/test.sh on a copy of the workspace and reads the rewards; passed when each is at least 1."""
    from nimllm.agent import checks
    from nimllm.agent.records import CheckRecord
    from nimllm.tools.stage import Shown

    logs = place.root / "logs"
    for name in ("verifier", "agent", "artifacts"):
        (logs / name).mkdir(parents=True)
    tests = _scripts(stage.folder / "tests", place.root / "tests")
    box, folder = checks.view(place, "test", writes=True)
    shown = (*(one for one in box.shown if one.at not in (Path("/solution"),)), Shown(tests, Path("/tests")),
             Shown(logs, Path("/logs"), True))
    box = replace(box, shown=shown, network=network and stage.network)
    env = checks.environment({**stage.env, **stage.test_env})
    done = checks.in_fresh_shell(f"cd {stage.workdir} && /tests/test.sh", folder, box, stage.test_timeout, env,
                                 place.started)
    said = f"{checks.ended(done)}: {done.output[-checks.DETAIL:].strip()}".rstrip(": ")
    try:
        rewards = read_rewards(logs / "verifier")
    except ValueError as error:
        return CheckRecord(check="tests/test.sh", passed=False, detail=f"{error}; {said}"), {}
    passed = all(value >= 1 for value in rewards.values())
    told = ", ".join(f"{name} {value:g}" for name, value in rewards.items())
    return CheckRecord(check="tests/test.sh", passed=passed, detail=told if passed else f"{told}; {said}"), rewards


def read_rewards(folder: Path) -> dict[str, float]:
    """The numbers of ``reward.json`` (one, or by name), else of ``reward.txt``. ValueError says what is wrong.

    What is tested may have had a hand in them: only a plain file of modest size is read.
    """
    for name in ("reward.json", "reward.txt"):
        try:
            fd = os.open(folder / name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise ValueError(f"{name} cannot be read ({error.strerror})") from None
        with os.fdopen(fd, "rb") as file:
            about = os.fstat(fd)
            if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_REWARD:
                raise ValueError(f"{name} is not a small file")
            text = file.read(MAX_REWARD).decode("utf-8", "replace").strip()
        if not text:
            raise ValueError(f"{name} is empty")
        try:
            held = json.loads(text) if name.endswith("json") else float(text)
        except (ValueError, RecursionError):
            raise ValueError(f"{name} holds no number") from None
        rewards = held if isinstance(held, dict) else {"reward": held}
        for key, value in rewards.items():
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name}: {key} is not a number")
        if not rewards:
            raise ValueError(f"{name} holds no number")
        return {str(key): float(value) for key, value in rewards.items()}
    raise ValueError("the tests wrote no reward")
