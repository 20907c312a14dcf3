"""The table of implementations: default choice, override, errors, and that asking costs no torch."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from nimllm.errors import NimError, UsageError
from nimllm.kernels import engine, ops, reference
from nimllm.kernels.ops import Impl


@pytest.fixture(autouse=True)
def no_override(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(ops.VARIABLE, raising=False)


@pytest.fixture
def table_as_it_was() -> Iterator[None]:
    before = {op: list(rows) for op, rows in ops._TABLE.items()}
    yield
    ops._TABLE.clear()
    ops._TABLE.update(before)
    ops._choose.cache_clear()


def test_every_implementation_can_be_imported() -> None:
    for rows in ops._TABLE.values():
        for row in rows:
            if row.available() != "triton is not installed":
                assert callable(row.function), row


def test_a_device_and_its_name_mean_the_same() -> None:
    import torch

    assert ops.get("rms_norm", torch.device("cpu")) is ops.get("rms_norm", "cpu")
    assert ops.choose("rope", "cuda:1") is ops.choose("rope", "cuda")


def test_bare_override_reaches_the_ops_that_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ops.VARIABLE, "reference")
    assert ops.get("attention") is reference.attention
    assert ops.get("linear_cross_entropy") is reference.linear_cross_entropy
    assert ops.choose("decode").name in ("engine", "torch")  # has no "reference": unchanged


def test_override_of_single_ops_and_the_last_word_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ops.VARIABLE, "reference, attention=torch,decode=torch")
    assert ops.choose("attention").name == "torch"
    assert ops.choose("decode").name == "torch"
    assert ops.choose("linear_cross_entropy").name == "reference"


@pytest.mark.parametrize("text", ["nonsense", "attention=nonsense", "nonsense=reference", "decode=reference", "="])
def test_unknown_override_is_a_usage_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv(ops.VARIABLE, text)
    with pytest.raises(UsageError, match=ops.VARIABLE):
        ops.get("attention")


def test_unknown_op() -> None:
    with pytest.raises(UsageError, match="rms_norm"):
        ops.get("nonsense")


def test_override_that_does_not_run_on_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ops.VARIABLE, "decode=engine")
    with pytest.raises(UsageError, match="cuda"):
        ops.get("decode", "cuda")


def test_the_engine_is_chosen_when_it_can_be_used() -> None:
    assert ops.choose("decode").name == ("torch" if engine.available() else "engine")


@pytest.mark.usefixtures("table_as_it_was")
def test_register_puts_the_newcomer_first_unless_it_is_unavailable() -> None:
    target = "nimllm.kernels.reference:swiglu"
    ops.register("swiglu", Impl("mine", ("cpu",), target))
    assert ops.choose("swiglu").name == "mine"
    assert ops.choose("swiglu", "cuda").name == "reference"
    ops.register("swiglu", Impl("broken", ("cpu",), target, lambda: "it lacks a part"))
    assert ops.choose("swiglu").name == "mine"
    states = {row["implementation"]: row["state"] for row in ops.table() if row["op"] == "swiglu"}
    assert states.items() >= {"broken": "it lacks a part", "mine": "used", "reference": "ready"}.items()
    with pytest.raises(ValueError, match="mine"):
        ops.register("swiglu", Impl("mine", ("cpu",), target))


@pytest.mark.usefixtures("table_as_it_was")
def test_what_is_passed_over_is_used_when_it_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    before = ops.choose("swiglu").name
    ops.register("swiglu", Impl("slow", ("cpu", "cuda"), "nimllm.kernels.reference:swiglu",
                                passed_over=lambda device: "it is slow there" if device == "cpu" else None))
    assert ops.choose("swiglu").name == before
    assert ops.choose("swiglu", "cuda").name == "slow"
    states = {row["implementation"]: row["state"] for row in ops.table() if row["op"] == "swiglu"}
    assert states["slow"] == "it is slow there"
    monkeypatch.setenv(ops.VARIABLE, "swiglu=slow")
    assert ops.choose("swiglu").name == "slow"


def test_the_interpreter_runs_only_when_it_is_asked_for_twice(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    ops._choose.cache_clear()
    for op in ops.names():
        assert ops.choose(op).name != "triton-interpreter"
    monkeypatch.setenv(ops.VARIABLE, "triton-interpreter")
    for op in ("attention", "rms_norm", "clip_adamw", "grid_add"):
        assert ops.choose(op).name == "triton-interpreter"
    monkeypatch.delenv("TRITON_INTERPRET")
    ops._choose.cache_clear()
    with pytest.raises(UsageError, match="TRITON_INTERPRET"):
        ops.get("attention")
    monkeypatch.setenv(ops.VARIABLE, "attention=triton")
    with pytest.raises(UsageError, match="does not run on cpu"):
        ops.get("attention")


def test_without_a_gpu_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    import torch

    if torch.cuda.is_available():
        pytest.skip("there is one")
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    states = {(row["op"], row["implementation"]): row["state"] for row in ops.table("cuda")}
    for op in ("attention", "attention_packed", "linear_cross_entropy", "newton_schulz"):
        assert "no GPU" in states[op, "triton"] or "not installed" in states[op, "triton"]
    assert "no GPU" in states["attention", "sdpa-cudnn"] and "no GPU" in states["attention", "sdpa-flash"]


@pytest.mark.usefixtures("table_as_it_was")
def test_nothing_fits() -> None:
    ops.register("new", Impl("only", ("cpu",), "nimllm.kernels.reference:gelu", lambda: "it lacks a part"))
    with pytest.raises(NimError, match="it lacks a part"):
        ops.get("new")


def test_table_says_which_one_is_used() -> None:
    rows = ops.table("cpu")
    assert {row["op"] for row in rows} == set(ops._TABLE)
    for op in ops._TABLE:
        assert [row["state"] for row in rows if row["op"] == op].count("used") == 1
    assert all(row["state"] == "not for cuda" for row in ops.table("cuda") if row["devices"] == "cpu")


def test_asking_imports_neither_torch_nor_numpy() -> None:
    code = (
        "import sys, nimllm.kernels.ops as o; assert not {'torch', 'numpy'} & set(sys.modules); "
        "o.choose('attention'); o.get('decode'); "
        "assert 'torch' not in sys.modules or o.choose('decode').name == 'torch'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
