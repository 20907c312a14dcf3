"""What training shows, on a terminal and off it."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from nimllm.llm.display import LiveDisplay, PlainDisplay, duration
from nimllm.llm.progress import Progress
from nimllm.llm.run_folder import Curves


def progress(step: int, **more) -> Progress:
    return Progress(step, 200, 3.0 - step / 100, 1e-3, 12345.6, 65.0, **more)


DETAILS = {"tokens": 2100, "gradient_norm": 0.5, "utilisation": 0.345}


def test_live_panel_shows_every_number_on_lines_of_their_own() -> None:
    display = LiveDisplay()
    for step in range(1, 60):
        display.panel(progress(step))
    panel = display.panel(progress(60, validation=2.5, bits_per_byte=1.1, sample="once\nupon a time", **DETAILS))
    text = io.StringIO()
    Console(file=text, width=100).print(panel)
    lines = text.getvalue().splitlines()
    assert lines[0].strip("━ ") == "" and len(lines[0].strip()) == 70
    assert "step 60/200" in lines[1] and "12,346 tok/s" in lines[1] and "ETA 1:05" in lines[1] and "lr" in lines[1]
    assert "2.1k tokens seen" in lines[2] and "gradient norm 0.5" in lines[2] and "MFU 34.5 %" in lines[2]
    assert "validation 2.5000" in lines[3] and "1.100 bits per byte" in lines[3]
    assert lines[4].startswith("sample: once upon a time")
    assert any(0x2801 <= ord(character) <= 0x28FF for character in "".join(lines[5:]))
    assert any(" o" in line or "⠀o" in line for line in lines[5:-2]), "no mark of the validation loss"
    assert "o validation" in lines[-1] or "o validation" in lines[-2]


def test_a_resumed_run_shows_its_whole_curve() -> None:
    display = LiveDisplay()
    display.history(Curves([(step, 9.0 - step / 1000) for step in range(1, 5001)], [(2000, 7.0), (4000, 5.0)]))
    text = io.StringIO()
    Console(file=text, width=100).print(display.panel(Progress(5001, 6000, 4.0, 1e-3, 1.0, 1.0)))
    lines = text.getvalue().splitlines()
    plotted = [line for line in lines if "│" in line]
    assert "8.999" in plotted[0] and "4.000" in plotted[-1] and lines[-2].split() == ["1", "5001"]
    assert sum(line.count("o") for line in plotted) == 2


def test_a_sample_cannot_command_the_terminal() -> None:
    text = io.StringIO()
    sample = "a\x1b[2J\x07\x9b31mb"
    panel = LiveDisplay().panel(progress(1, validation=1.0, bits_per_byte=1.0, sample=sample))
    Console(file=text, width=100).print(panel)
    assert "\x1b" not in text.getvalue() and "\x9b" not in text.getvalue() and "b" in text.getvalue()


def test_plain_lines_are_few(capsys: pytest.CaptureFixture[str]) -> None:
    display = PlainDisplay(seconds=1e9)
    for step in range(1, 201):
        display.show(progress(step, **({"validation": 2.0, "bits_per_byte": 1.0} if step == 100 else {})))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines] == ["100/200", "200/200"]


def test_durations() -> None:
    assert duration(59.6) == "1:00" and duration(3661) == "1:01:01" and duration(-3) == "0:00"
