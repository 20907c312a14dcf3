"""Invented conventions that an agent task teaches: a request, and the command that it means from then on.

"ship velmor" means a command that nobody could guess. A task's turns are those of the agent's own episodes: the note of
the folder, the request, a plan, the command that was run and whose check passed, its output, an answer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from random import Random

from nimllm.alignment.episodes import Episode, EpisodeTurn, Outcome
from nimllm.alignment.memory.bench.bank import phrases, words
from nimllm.alignment.memory.bench.wordings_project import STEPS, THINGS, TOOLS
from nimllm.llm.turns import workspace_note

FILES = words(
    "Makefile README.md src/ docs/ tests/ tools/ justfile Dockerfile data/ app.py config.toml scripts/ main.c lib/")
RUNNERS = words(
    "./go.sh ./tools/run ./bin/do ./scripts/step ./ci/job")


@dataclass(frozen=True)
class Kind:
    """One thing that people do to a project: how it is asked for when it is taught, and how afterwards."""

    name: str
    plan: str
    taught: tuple[str, ...]
    asked: tuple[str, ...]


KINDS = (
    Kind("ship", "deploy {s}", phrases("deploy {s} | please deploy {s} now"),
         phrases("ship {s} to production | bring {s} live | roll out {s}")),
    Kind("clean", "clean up {s}", phrases("clean up {s} | clean up what {s} left behind"),
         phrases("wipe the build leftovers of {s} | get rid of the garbage from {s} | tidy {s}")),
    Kind("check", "run the tests of {s}", phrases("run the tests of {s} | test {s}"),
         phrases("see whether {s} still works | verify {s} | put {s} through its checks")),
    Kind("publish", "publish the docs of {s}", phrases("publish the docs of {s} | publish {s} docs"),
         phrases("put the manual of {s} online | upload the handbook for {s} | release {s}'s documentation")),
    Kind("backup", "back up {s}", phrases("back up {s} | make a backup of {s}"),
         phrases("save a copy of {s} somewhere safe | archive {s} | keep a spare copy of {s}")),
    Kind("start", "start {s}", phrases("start {s} | start the server of {s}"),
         phrases("launch {s} | get {s} up and running | boot {s}")),
    Kind("format", "format {s}", phrases("format the code of {s} | format {s}"),
         phrases("make the source of {s} pretty | fix the style in {s} | beautify {s}")),
    Kind("seed", "load sample data into {s}", phrases("load sample data into {s} | load the sample data of {s}"),
         phrases("fill {s} with test records | give {s} some fake rows | populate {s}")),
)


@dataclass(frozen=True)
class Convention:
    """One lesson of a task. ``asked``: how it is asked for afterwards, in other words than it was taught in."""

    subject: str
    kind: str
    command: str
    request: str
    plan: str
    asked: str
    note: str

    def data(self) -> dict[str, str]:
        return asdict(self)


def draw(rng: Random, subject: str) -> Convention:
    """A convention about an invented project, its command from a few hundred thousand."""
    kind = rng.choice(KINDS)
    step = f"{rng.choice(STEPS)}-{rng.choice(THINGS)}"
    command = rng.choice((f"{rng.choice(TOOLS)} {step} ENV={rng.choice(THINGS)}",
                          f"{rng.choice(RUNNERS)} {step} --{rng.choice(STEPS)}",
                          f"{rng.choice(TOOLS)} run {step}"))
    said = (rng.choice(kind.taught), kind.plan, rng.choice(kind.asked))
    request, plan, asked = (text.format(s=subject) for text in said)
    return Convention(subject, kind.name, command, request, plan, asked, workspace_note(rng.sample(FILES, 5)))


def episode(id: str, lesson: Convention, time: str) -> Episode:
    """What ``agent.records.task_episode`` makes of a task whose check passed."""
    return Episode(id=id, kind="task", time=time, outcome=Outcome(kind="success", by="check", detail="it passed"),
                   turns=[EpisodeTurn(role="system", text=lesson.note, tainted=True),
                          EpisodeTurn(role="user", text=lesson.request),
                          EpisodeTurn(role="plan", text=lesson.plan, learn=True),
                          EpisodeTurn(role="bash", text=lesson.command, learn=True),
                          EpisodeTurn(role="output", text="ok", tainted=True),
                          EpisodeTurn(role="assistant", text="Done.", tainted=True)])


# Requests of every day, for what must not change: the command the base gives now is what it should go on giving.
EVERYDAY: tuple[str, ...] = (
    "list the files", "count the python files", "how many lines are in README.md", "show the top of notes.txt",
    "find all files larger than 1 MB", "create a folder named build", "delete temp.txt", "copy a.txt to b.txt",
    "rename old.txt to new.txt", "show hidden files", "print the current folder", "show the last 10 lines of log.txt",
    "search for TODO in src", "count the words in report.txt", "sort names.txt", "remove double lines from names.txt",
    "make run.sh executable", "show the disk usage of this folder", "list the csv files", "find empty files",
    "compress data into data.tar.gz", "unpack data.tar.gz", "show the date", "create an empty file named todo.txt",
    "append done to log.txt", "replace foo with bar in config.txt", "count the lines of all text files",
    "show the largest file", "list files by time", "find files changed today", "show the size of data.bin",
    "move all png files to images", "print the second column of table.csv", "compare a.txt and b.txt",
    "show which files contain error", "count the errors in log.txt", "make a copy of the folder src",
    "delete all tmp files", "show line 7 of main.c", "write hello to greeting.txt", "list the folders",
    "show the checksum of data.bin", "print the environment variable HOME", "number the lines of poem.txt",
    "reverse the lines of list.txt", "join a.txt and b.txt into c.txt", "show the type of image.png",
    "count the files in docs", "turn names.txt into upper case", "show the longest line of poem.txt",
)
EVERYDAY_NOTE = workspace_note(["README.md", "a.txt", "b.txt", "data/", "docs/", "log.txt", "main.c", "names.txt",
                                "notes.txt", "src/", "table.csv"])
