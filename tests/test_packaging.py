"""The rules of the house: import names, dependencies between rooms, start-up times, no pickle."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ROOMS = ("agent", "alignment", "llm", "kernels", "tools")
# what a room may import of ours, besides itself and the two leaves
ALLOWED = {
    "agent": {"alignment", "llm", "kernels", "tools"},
    "alignment": {"llm", "kernels"},
    "llm": {"kernels"},
    "kernels": set(),
    "tools": set(),
}
LEAVES = {"errors", "places"}


def sources(folder: str) -> list[Path]:
    return sorted(path for path in (ROOT / folder).rglob("*.py") if "__pycache__" not in path.parts)


def imported(path: Path) -> set[str]:
    """Dotted names of every import in the file, at any depth."""
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def run(*words: str, cwd: Path = ROOT, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.parametrize("room", ROOMS)
def test_room_is_a_folder_without_init_behind_a_link(room: str) -> None:
    assert not (ROOT / room / "__init__.py").exists()
    link = ROOT / "nimllm" / room
    assert link.is_symlink() and os.readlink(link) == f"../{room}"


@pytest.mark.parametrize("room", ROOMS)
def test_room_imports_downward_only(room: str) -> None:
    wrong = []
    for path in sources(room):
        for name in imported(path):
            parts = name.split(".")
            assert parts[0] not in ROOMS, f"{path} imports the literal top-level {parts[0]}"
            if (
                parts[0] == "nimllm"
                and len(parts) > 1
                and parts[1] not in ALLOWED[room] | {room} | LEAVES | {"__version__"}
            ):
                wrong.append(f"{path.relative_to(ROOT)}: {name}")
    assert not wrong, wrong


def test_recipes_are_not_imported_by_the_product() -> None:
    for folder in (*ROOMS, "nimllm"):
        for path in sources(folder):
            assert not any(name.split(".")[0] == "recipes" for name in imported(path)), path


def test_nothing_is_unpickled() -> None:
    for folder in (*ROOMS, "nimllm", "recipes"):
        for path in sources(folder):
            names = imported(path)
            assert not names & {"pickle", "dill", "joblib", "cloudpickle", "shelve"}, path
            assert "torch.load(" not in path.read_text("utf-8"), path


def test_files_stay_small() -> None:
    for folder in (*ROOMS, "nimllm", "recipes"):
        for path in sources(folder):
            assert len(path.read_text("utf-8").splitlines()) <= 550, f"{path}: is there a second noun in it?"


@pytest.mark.slow
def test_wheel_holds_every_module_and_the_engine(tmp_path: Path) -> None:
    import zipfile

    done = run("-m", "pip", "wheel", "--no-deps", "-q", "-w", str(tmp_path), str(ROOT))
    assert done.returncode == 0, done.stderr
    names = set(zipfile.ZipFile(next(tmp_path.glob("nimllm-*.whl"))).namelist())
    for room in ROOMS:
        for path in sources(room):
            assert f"nimllm/{path.relative_to(ROOT)}" in names
    assert all(any(name.startswith(f"nimllm/kernels/{lib}") for name in names) for lib in ("_engine", "_train"))
    assert not any(name.split("/")[0] in ROOMS for name in names)


def test_transformers_style_probe_does_not_find_our_kernels() -> None:
    """A literal ``kernels`` must never be a regular package of ours (it would shadow Hugging Face's)."""
    code = (
        "import importlib.util as u; spec = u.find_spec('kernels'); "
        "print(spec is None or spec.origin is None or 'site-packages' in spec.origin)"
    )
    assert run("-c", code).stdout.strip() == "True"


COMMANDS = [
    ["--help"],
    ["--train", "--help"],
    ["--chat", "--help"],
    ["--agent", "--help"],
    ["memory", "--help"],
    ["memory", "show", "--help"],
    ["policy", "check", "--help"],
    ["align", "sft", "--help"],
    ["eval", "shell", "--help"],
    ["eval", "taught", "--help"],
    ["bench", "decode", "--help"],
    ["runs", "--help"],
    ["doctor", "--help"],
]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_help_imports_nothing_heavy_and_is_fast(words: list[str]) -> None:
    code = (
        "import sys, nimllm.cli\n"
        f"try: nimllm.cli.main({words!r})\n"
        "except SystemExit as e: assert not e.code\n"
        "heavy = {'torch', 'numpy', 'pydantic', 'rich', 'prompt_toolkit', 'transformers'} & set(sys.modules)\n"
        "print('HEAVY', sorted(heavy), file=sys.stderr)\n"
    )
    done = run("-c", code)
    assert done.returncode == 0 and "usage: nimllm" in done.stdout, done.stderr
    assert "HEAVY []" in done.stderr
    least = 9.0
    for _ in range(5):  # time of processor, and the least of five: the machine may be busy
        began = os.times()
        run("-m", "nimllm", *words)
        ended = os.times()
        least = min(least, ended.children_user + ended.children_system - began.children_user - began.children_system)
    assert least < 0.15, f"{least:.3f} s"


@pytest.mark.parametrize(
    "words, code",
    [
        (["--train", "--chat"], 2),
        (["--agent", "--nonsense"], 2),
        (["nonsense"], 2),
        (["--train"], 2),
        (["--train", "/no/such/file.txt"], 3),
        (["memory", "show"], 2),
        (["eval"], 2),
    ],
    ids=str,
)
def test_wrong_command_lines_have_a_message_and_a_code(words: list[str], code: int, tmp_path: Path) -> None:
    done = run("-m", "nimllm", *words, cwd=ROOT, XDG_STATE_HOME=str(tmp_path))
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr and done.stderr.strip()


def test_version() -> None:
    assert run("-m", "nimllm", "--version").stdout.startswith("nimllm 0.")
