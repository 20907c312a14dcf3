"""The loader of packed weights against hostile files, and its files against the safetensors package."""

from __future__ import annotations

import json
import os
import pickle
import shutil
import struct
import subprocess
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError, safe_open

from nimllm.errors import NimError
from nimllm.kernels import engine, packed

CSRC = Path(engine.__file__).resolve().parent / "csrc"
COMPILER = shutil.which("c++") or shutil.which("g++") or shutil.which("clang++")

needs_engine = pytest.mark.skipif(engine.available() is not None, reason=str(engine.available()))
pytestmark = needs_engine

CONFIG: dict[str, Any] = dict(
    vocab_size=2, n_layers=1, d_model=1, n_heads=1, n_kv_heads=1, head_dim=2, d_ff=1, context=130, pos="rope",
    norm="rms", ffn="swiglu", qk_norm=True, tied=True, bias=False, qkv_bias=False, embed_norm=False, norm_eps=1e-6,
    rope_theta=10000.0,
)  # fmt: skip
SIZES = {"U8": 1, "I8": 1, "I32": 4, "F16": 2, "BF16": 2, "F32": 4}


def metadata(**changes: Any) -> dict[str, Any]:
    config = json.dumps(CONFIG)
    return {"format": "nimllm-engine", "version": "1", "layout": "panels", "dtype": "q8", "config": config, **changes}


def entry(dtype: str, shape: list[int], begin: int) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + SIZES[dtype] * int(np.prod(shape))]}


def good() -> dict[str, Any]:
    """A header of two tensors and what fills the gaps between them: 128 + 20 (+ 44) + 30 (+ 34) bytes."""
    return {"__metadata__": metadata(), "a": entry("U8", [2, 64], 0), "b": entry("F32", [5], 128),
            "padding.1": entry("U8", [44], 148), "c": entry("BF16", [3, 5], 192), "padding.2": entry("U8", [34], 222)}


def raw(header: Any, data: int = 256, text: str | None = None, align: bool = True) -> bytes:
    body = (json.dumps(header) if text is None else text).encode()
    if align:
        body += b" " * (-(8 + len(body)) % 64)
    return struct.pack("<Q", len(body)) + body + bytes(range(256)) * (data // 256) + bytes(data % 256)


@pytest.fixture
def at(tmp_path: Path) -> Callable[[bytes], Path]:
    def write(content: bytes) -> Path:
        path = tmp_path / "weights.safetensors"
        path.write_bytes(content)
        return path

    return write


def test_the_plain_file_is_accepted_by_us_and_by_safetensors(at: Callable[[bytes], Path]) -> None:
    path = at(raw(good()))
    packed.check(path)
    with safe_open(path, framework="np") as file:
        assert set(file.keys()) == {"a", "b", "c", "padding.1", "padding.2"}
        assert file.get_tensor("b").tobytes() == bytes(range(128, 148))


def change(path: str, value: Any) -> dict[str, Any]:
    """The good header with one value changed; a value of None removes it."""
    header = good()
    at: Any = header
    *way, last = path.split("/")
    for step in way:
        at = at[step]
    if value is None:
        del at[last]
    else:
        at[last] = value
    return header


HOSTILE = {
    "zero size": (change("a/shape", [0, 64]), "size of 0"),
    "negative size": (change("a/shape", [-2, 64]), "not a whole number"),
    "huge size": (change("a/shape", [2**40, 2**40]), "too large"),
    "product wraps to the right number": (change("a/shape", [2**32, 2**32, 128]), "too large"),
    "wraps with the element size": (change("b/shape", [2**62 + 5]), "too large"),
    "past an int64": (change("a/shape", [2**64 + 2, 64]), "too large"),
    "mismatched": (change("a/shape", [3, 64]), "takes 192 bytes, its data_offsets say 128"),
    "wrong dtype for its bytes": (change("b/dtype", "F16"), "takes 10 bytes"),
    "unknown dtype": (change("b/dtype", "F8_E4M3"), "unknown dtype"),
    "shape is no list": (change("a/shape", 128), "not described by"),
    "shape of strings": (change("a/shape", ["2", 64]), "not a whole number"),
    "fractional": (change("a/shape", [2.0, 64]), "not a whole number"),
    "no dimensions": (change("a/shape", []), "0 dimensions"),
    "nine dimensions": (change("a/shape", [1] * 8 + [128]), "9 dimensions"),
    "overlap": (change("c/data_offsets", [128, 158]), "overlaps"),
    "the same bytes twice": ({**good(), "d": entry("U8", [128], 0)}, "overlaps"),
    "hole": (change("padding.1", None), "no tensor owns the bytes before"),
    "end before begin": (change("a/data_offsets", [128, 0]), "lies at"),
    "past the end": (change("padding.2", entry("U8", [63], 222)), "lies at 222..285 of data of 256"),
    "far past the end": (change("a/data_offsets", [2**62, 2**62 + 128]), "lies at"),
    "three offsets": (change("a/data_offsets", [0, 128, 128]), "not described by"),
    "a word too many": (change("a/strides", [1]), "not described by"),
    "tensor is no object": (change("a", 7), "not described by"),
    "no tensors": ({"__metadata__": metadata()}, "0 bytes of data|tensors 0|no tensors"),
    "unaligned": ({"__metadata__": metadata(), "a": entry("U8", [32], 0), "b": entry("U8", [224], 32)},
                  "multiple of 64"),
    "long padding": (change("padding.1", entry("U8", [108], 148)), "not padding"),
    "padding of floats": (change("padding.1", entry("F32", [11], 148)), "not padding"),
    "empty name": ({**good(), "": entry("U8", [1], 0)}, "name is empty"),
    "long name": ({**good(), "n" * 300: entry("U8", [1], 0)}, "too long"),
    "control character in a name": ({**good(), "a\x00b": entry("U8", [1], 0)}, "control character"),
    "no metadata": (change("__metadata__", None), "no __metadata__"),
    "another format": ({**good(), "__metadata__": metadata(format="pt")}, "not packed weights"),
    "another version": ({**good(), "__metadata__": metadata(version="2")}, "version"),
    "a number in the metadata": ({**good(), "__metadata__": metadata(layout=7)}, "not a string"),
    "no layout": (change("__metadata__/layout", None), "lacks layout"),
    "configuration is no JSON": ({**good(), "__metadata__": metadata(config="{")}, "JSON"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_headers_are_refused_with_the_reason(name: str, at: Callable[[bytes], Path]) -> None:
    header, reason = HOSTILE[name]
    with pytest.raises(NimError, match=reason):
        packed.check(at(raw(header)))


@pytest.mark.parametrize(("field", "value", "reason"), [
    ("vocab_size", 0, "vocab_size is 0"), ("n_layers", -1, "n_layers is -1"), ("context", 2**31, "context is"),
    ("d_model", 2**24, "cannot fit"), ("n_layers", 2**24, "cannot fit"), ("d_ff", 10**6, "cannot fit"),
    ("head_dim", 3, "odd head_dim"), ("pos", "alibi", "unknown"), ("ffn", 2, "ffn"), ("tied", 1, "tied"),
    ("norm_eps", 0, "norm_eps"), ("norm_eps", 1e308, "norm_eps"), ("rope_theta", -1.0, "rope_theta"),
    ("d_model", 1.0, "d_model"), ("bias", None, "bias"), ("extra", 1, "unknown to this version"),
])  # fmt: skip
def test_hostile_configurations(field: str, value: Any, reason: str, at: Callable[[bytes], Path]) -> None:
    config = {**CONFIG, field: value}
    if value is None:
        del config[field]
    with pytest.raises(NimError, match=reason):
        packed.check(at(raw({**good(), "__metadata__": metadata(config=json.dumps(config))})))


JSON_TEXTS = {
    "duplicate tensor": '{"a":1,"a":1}',
    "deep": "{" + '"a":[' + "[" * 100_000,
    "deep objects": '{"a":' * 100_000,
    "comment": '{/**/}',
    "trailing comma": '{"a":1,}',
    "single quotes": "{'a':1}",
    "NaN": '{"a":NaN}',
    "leading zero": '{"a":01}',
    "long number": '{"a":' + "1" * 100_000 + "}",
    "long fraction": '{"a":0.' + "1" * 100_000 + "}",
    "huge exponent": '{"a":1e99999}',
    "lone surrogate": '{"\\ud800":1}',
    "unfinished": '{"a":',
    "something after": "{} {}",
    "an array": "[]",
    "a million values": '{"a":[' + "1," * 1_100_000 + "1]}",
}


@pytest.mark.parametrize("name", JSON_TEXTS)
def test_hostile_json(name: str, at: Callable[[bytes], Path]) -> None:
    with pytest.raises(NimError, match=r"JSON|number|surrogate|safetensors|key|twice|escape"):
        packed.check(at(raw(None, text=JSON_TEXTS[name])))


@pytest.mark.parametrize("header", [b'{"\xff":1}', b'{"\xc0\x80":1}', b'{"\xed\xa0\x80":1}', b'{"\xf5\x80\x80\x80":1}',
                                    b'{"\xe2\x82":1}', b'{"a\x01":1}', b'{"a\n":1}', b'{"a', b'{"a\\', b'{"a\\u12'])
def test_strings_that_are_not_utf8(header: bytes, at: Callable[[bytes], Path]) -> None:
    with pytest.raises(NimError, match=r"UTF-8|control character|does not end|cut off|hexadecimal"):
        packed.check(at(struct.pack("<Q", len(header)) + header))


@pytest.mark.parametrize(("content", "reason"), [
    (b"", "truncated"), (b"\0" * 7, "truncated"), (b"\0" * 8, "not a safetensors"), (b"\xff" * 64, "not a safetensors"),
    (b"GGUF\3\0\0\0" + b"\0" * 100, "GGUF"), (b"PK\3\4" + b"\0" * 100, "pickle"),
    (pickle.dumps({"a": list(range(100))}, 2), "pickle"), (pickle.dumps({"a": b"x" * 10**5}, 4), "pickle"),
    (struct.pack("<Q", 2**63) + b"{}", "not a safetensors"), (struct.pack("<Q", 100) + b"{}", "truncated"),
    (struct.pack("<Q", 2**64 - 8) + b"{}", "not a safetensors"), (struct.pack("<Q", 2) + b"{}", "__metadata__"),
])  # fmt: skip
def test_other_files(content: bytes, reason: str, at: Callable[[bytes], Path]) -> None:
    with pytest.raises(NimError, match=reason):
        packed.check(at(content))


def test_a_header_that_begins_like_a_pickle_is_none(at: Callable[[bytes], Path]) -> None:
    """640 is 0x0280: the first two bytes of a pickle of protocol 2."""
    for length in (640, 0x0380 - 8 + 64 - 56, 0x0480):
        header = good()
        body = json.dumps(header).encode()
        total = max(length, len(body) + -(8 + len(body)) % 64)
        total += -(8 + total) % 64
        content = struct.pack("<Q", total) + body.ljust(total) + bytes(256)
        packed.check(at(content))


def test_every_truncation_is_refused(at: Callable[[bytes], Path]) -> None:
    whole = raw(good())
    for length in [*range(0, len(whole), 7), len(whole) - 1]:
        with pytest.raises(NimError):
            packed.check(at(whole[:length]))
    with pytest.raises(NimError, match="holds 257 bytes"):
        packed.check(at(whole + b"\0"))


def test_what_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(NimError, match="No such file"):
        packed.check(tmp_path / "nothing")
    with pytest.raises(NimError, match="not a regular file"):
        packed.check(tmp_path)
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    said: list[str] = []

    def look() -> None:
        try:
            packed.check(pipe)
        except NimError as error:
            said.append(error.why)

    waiting = threading.Thread(target=look, daemon=True)
    waiting.start()
    waiting.join(10)
    assert said == ["this is not a regular file"], "a named pipe is refused, not waited for"


WORDS = st.sampled_from([0, -1, 1, 2, 44, 63, 64, 128, 2**31, 2**53 + 1, 2**63 - 1, 2**63, 2**64, 1e3, "F32", "U8",
                         None, [], {}, [64], [2, 64], "", True])


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A valid file with some values replaced, keys dropped or doubled, bits turned, lengths changed."""
    header = good()
    for _ in range(draw(st.integers(0, 3))):
        name = draw(st.sampled_from(sorted(header)))
        kind = draw(st.integers(0, 3))
        if kind == 0 and isinstance(header[name], dict) and header[name]:
            header[name] = {**header[name], draw(st.sampled_from(sorted(header[name]))): draw(WORDS)}
        elif kind == 1:
            shape = draw(st.lists(st.integers(0, 300), max_size=3))
            begin = draw(st.integers(0, 5)) * 64
            dtype = draw(st.sampled_from(sorted(SIZES)))
            header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [begin, begin + draw(st.integers(0, 300))]}
        elif kind == 2:
            header.pop(name)
            if not header:
                break
        else:
            header[draw(st.text(max_size=4))] = header[name]
    content = bytearray(raw(header, draw(st.sampled_from([256, 256, 0, 192, 320])), align=draw(st.integers(0, 9)) > 0))
    for place, value in draw(st.lists(st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255)), max_size=2)):
        content[place] = value
    return bytes(content[:len(content) - draw(st.sampled_from([0, 0, 0, 1, 64]))])


@settings(max_examples=400, deadline=None)
@given(damaged())
def test_what_we_accept_safetensors_accepts_too(content: bytes) -> None:
    """Ours is the stricter reader: an accepted file reads the same in the safetensors package, byte for byte."""
    with tempfile.NamedTemporaryFile(suffix=".safetensors") as file:
        file.write(content)
        file.flush()
        try:
            packed.check(Path(file.name))
        except NimError:
            return
        try:
            with safe_open(file.name, framework="np") as other:
                length = struct.unpack("<Q", content[:8])[0]
                header = json.loads(content[8:8 + length])
                assert set(other.keys()) == set(header) - {"__metadata__"}
                for name in other.keys():  # noqa: SIM118
                    if header[name]["dtype"] != "BF16":  # numpy has none
                        begin, end = (8 + length + offset for offset in header[name]["data_offsets"])
                        assert other.get_tensor(name).tobytes() == content[begin:end]
        except SafetensorError as error:
            raise AssertionError(f"we accept what safetensors refuses: {error}") from None


# ---- with a compiler: our writer, and the fuzzer ----


FILE = ["weights_file.cpp", "weights_writer.cpp", "json.cpp"]
MODEL = ["packed_model.cpp", "model.cpp", "packing.cpp", "forward.cpp", "threads.cpp",
         *sorted(path.name for path in CSRC.glob("kernels_*.cpp"))]
TARGETS = {"file": ["fuzz/weights_file_fuzz.cpp", *FILE], "model": ["fuzz/packed_model_fuzz.cpp", *MODEL, *FILE]}
_built: dict[str, Path] = {}


def fuzzer(target: str, folder: Path) -> Path:
    """The driver with this target, with sanitizers: 8 s and 60 s of compilation."""
    if COMPILER is None or not (CSRC / "fuzz").is_dir():
        pytest.skip("no C++ compiler, or an installed package without the fuzzer's source")
    if target not in _built:
        program = folder / f"fuzz-{target}"
        build = [COMPILER, "-std=c++17", "-g", "-O1", "-Wall", "-Wextra", "-Werror", "-Wno-psabi", "-pthread",
                 "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "fuzz/driver.cpp", *TARGETS[target],
                 "-o", str(program)]
        done = subprocess.run(build, cwd=CSRC, capture_output=True, text=True)
        if done.returncode and "sanitize" in done.stderr:
            pytest.skip("the compiler has no sanitizers")
        assert done.returncode == 0, done.stderr
        _built[target] = program
    return _built[target]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fuzz")


@pytest.mark.slow
def test_written_files_are_read_by_safetensors(folder: Path, tmp_path: Path) -> None:
    subprocess.run([fuzzer("file", folder), "--corpus", tmp_path / "seeds"], check=True)
    files = sorted((tmp_path / "seeds").iterdir())
    assert len(files) == 4 and all(file.suffix == ".safetensors" for file in files), "no temporary file stays"
    for path in files:
        packed.check(path)
        with safe_open(path, framework="np") as file:
            config = json.loads(file.metadata()["config"])
            assert set(config) == set(CONFIG)
            for name in file.keys():  # noqa: SIM118
                wanted = 0 if name.startswith("padding.") else 7
                if file.get_slice(name).get_dtype() != "BF16":
                    assert set(file.get_tensor(name).tobytes()) == {wanted}


@pytest.mark.slow
@pytest.mark.parametrize(("target", "count"), [("file", 20_000), ("model", 4000)])
def test_the_fuzzer_finds_nothing_and_repeats(target: str, count: int, folder: Path, tmp_path: Path) -> None:
    command = [fuzzer(target, folder), "--runs", str(count), "--seed", "7"]
    runs = [subprocess.run(command, cwd=tmp_path, capture_output=True, text=True) for _ in range(2)]
    assert all(run.returncode == 0 for run in runs), runs[0].stdout + runs[0].stderr
    first, second = (run.stdout.split(" executions in ")[0] + run.stdout.split("/s), ")[1] for run in runs)
    assert first == second and "no finding" in first
