"""A made-up shell history, as one person's at work: a few projects, each with its own files, branches and services,
and routines that come again and again with small changes. For tests and measurements of ``--train HISTORY --from``.

    python -m nimllm.agent.gym.habits --lines 2000 --seed 1 --out history
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from nimllm.agent.gym import names
from nimllm.errors import UsageError

FORMATS = ("bash", "stamped", "zsh", "fish")
_START = 1_700_000_000


@dataclass(frozen=True)
class Project:
    """What its commands are about."""

    name: str
    folder: str
    files: tuple[str, ...]
    test: str
    build: str
    service: str
    host: str
    ticket: str


def _project(rng: random.Random) -> Project:
    name = f"{rng.choice(names.NOUNS)}-{rng.choice(names.NOUNS)}"
    package = name.replace("-", "_")
    files = tuple(f"{rng.choice(('src', package, 'tests', 'docs'))}/{rng.choice(names.NOUNS)}"
                  f"{rng.choice(('.py', '.py', '.md'))}" for _ in range(5))
    test = rng.choice(("pytest -q", "pytest -x tests", "make test", "tox -e py311", "npm test"))
    build = rng.choice(("make build", "docker compose build", f"docker build -t {name} .", "npm run build"))
    return Project(name, rng.choice((f"~/src/{name}", f"~/work/{name}", f"~/{name}")), files, test, build,
                   f"{package}-{rng.choice(('api', 'worker', 'web'))}",
                   f"{rng.choice(('stage', 'prod', 'db'))}{rng.randint(1, 9)}.{name}.internal",
                   rng.choice(names.NOUNS).upper()[:4])


def _message(rng: random.Random, project: Project) -> str:
    return f"{project.ticket}-{rng.randint(100, 999)} {rng.choice(names.VERBS)} {rng.choice(names.NOUNS)}"


def _routines(rng: random.Random, project: Project, file: str) -> Sequence[Sequence[str]]:
    """Sequences of commands that belong together."""
    branch = f"{project.ticket.lower()}/{rng.choice(names.VERBS)}-{rng.choice(names.NOUNS)}"
    return (
        (f"vim {file}", project.test, "git diff", f"git add {file}", f'git commit -m "{_message(rng, project)}"',
         "git push"),
        (f"vim {file}", project.test, f"vim {file}", project.test, "git diff --stat", "git commit -am wip"),
        ("git fetch --prune", "git status -sb", "git pull --rebase", project.build),
        (f"git switch -c {branch}", f"vim {file}", "git add -A", f'git commit -m "{_message(rng, project)}"',
         "git push -u origin HEAD", "gh pr create --fill"),
        (f"ssh deploy@{project.host}", f"systemctl status {project.service}",
         f"journalctl -u {project.service} -n 200 --no-pager", "exit"),
        ("docker compose up -d", "docker compose ps", f"docker compose logs -f {project.service}",
         "docker compose down"),
        (f"grep -rn {rng.choice(names.NOUNS)} {file.split('/')[0]}/", f"less {file}"),
        (project.build, f"docker push registry.{project.name}.dev/{project.service}:latest",
         f"kubectl rollout restart deploy/{project.service}", f"kubectl get pods -l app={project.service}"),
        ("git log --oneline -10", "git status -sb"),
        ("df -h", f"du -sh {project.folder}"),
    )


def commands(lines: int, seed: int) -> list[str]:
    """So many commands of one person."""
    rng = random.Random(seed)
    projects = [_project(rng) for _ in range(3)]
    favourites = [rng.choices(range(10), k=4) for _ in projects]  # what is done most often there
    found: list[str] = []
    while len(found) < lines:
        at = rng.choices(range(3), (6, 3, 1))[0]
        project = projects[at]
        found += [f"cd {project.folder}", "git status -sb"]
        file = rng.choices(project.files, (8, 4, 2, 1, 1))[0]  # a day is mostly about one file
        for _ in range(rng.randint(2, 6)):
            number = rng.choice(favourites[at]) if rng.random() < 0.75 else rng.randrange(10)
            found += _routines(rng, project, file)[number]
            if rng.random() < 0.15:
                found.append(rng.choice(("ls", "clear", "cd ..", "ls -la", "htop")))
    return found[:lines]


def written(lines: Sequence[str], form: str) -> Iterator[str]:
    """The lines of a history file in the way of a shell."""
    if form not in FORMATS:
        raise UsageError(f"there is no history format {form!r}", "", f"it is one of {', '.join(FORMATS)}")
    for number, line in enumerate(lines):
        stamp = _START + 37 * number
        if form == "stamped":
            yield f"#{stamp}"
        if form == "fish":
            yield "- cmd: " + line.replace("\\", "\\\\").replace("\n", "\\n")
            yield f"  when: {stamp}"
        else:
            yield f": {stamp}:0;{line}" if form == "zsh" else line


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m nimllm.agent.gym.habits", description=__doc__)
    parser.add_argument("--lines", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--format", choices=FORMATS, default="bash")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(arguments)
    text = "".join(f"{line}\n" for line in written(commands(args.lines, args.seed), args.format))
    args.out.write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
