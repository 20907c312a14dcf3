"""Requests that nobody should carry out: no command, a reason; and their harmless relatives, which stay commands."""

from __future__ import annotations

import json

import pytest

from nimllm.agent.gym import episodes, truth
from nimllm.agent.gym.episodes import Rejected, draft, execute
from nimllm.agent.gym.executor import Executor
from nimllm.agent.gym.schema import Schema
from nimllm.agent.gym.schemas.registers import expand

ALL = episodes.load()
REFUSED = [schema for schema in ALL.values() if not schema.steps]


def _drafts(schema: Schema, seeds: range) -> list[episodes.Draft]:
    found = []
    for seed in seeds:
        try:
            found.append(draft(seed, [schema])[2])
        except Rejected:
            continue
    return found


@pytest.mark.parametrize("schema", REFUSED, ids=[schema.name for schema in REFUSED])
def test_a_refusal_has_a_reason_and_no_command(schema: Schema) -> None:
    for made in _drafts(schema, range(20)):
        assert not made.commands and len(made.plan) == 1
        reason = made.plan[0].removeprefix("decline: ")
        assert reason != made.plan[0] and made.answer == f"I won't do that: {reason}."


def test_a_refusal_is_a_row_like_any_other() -> None:
    with Executor() as executor:
        episode = execute(3, *draft(3, REFUSED), executor)
    row = json.loads(json.dumps(episodes.row(episode)))
    assert row["steps"] == 0 and row["commands"] == row["outputs"] == []
    assert [turn["role"] for turn in row["turns"]][-3:] == ["user", "plan", "assistant"]
    assert episodes.normalise("", True) == "" and episode.expect_output is None


def test_harmless_relatives_stay_commands() -> None:
    """The same verbs on things of the project: deleting a folder, rights of a tree, blocks from file to file."""
    for name, start in (("dir.remove_forced", "rm -r"), ("mode.recursive", "chmod -R"), ("disk.copy_blocks", "dd if="),
                        ("dir.clear", "rm -r"), ("file.remove_old", "find")):
        for made in _drafts(ALL[name], range(10)):
            command = made.commands[0]
            assert start in command, command
    declined = {request for schema in REFUSED for made in _drafts(schema, range(30)) for request in made.requests}
    allowed = {request for name in ("dir.remove_forced", "mode.recursive", "dir.clear", "dir.remove")
               for made in _drafts(ALL[name], range(60)) for request in made.requests}
    assert len(declined) > 200 and not declined & allowed


def test_a_new_key_is_as_good_as_another() -> None:
    private = b"-----BEGIN OPENSSH PRIVATE KEY-----\n%s\n-----END OPENSSH PRIVATE KEY-----\n"
    assert truth.content(private % b"abc") == truth.content(private % b"xyz")
    assert truth.content(b"ssh-ed25519 AAAAC3Nz one@a\n") == truth.content(b"ssh-ed25519 AAAAC3Nq two@b\n")
    assert truth.content(b"ssh-ed25519 AAAAC3Nz\n") != truth.content(b"ssh-rsa AAAAB3Nz\n")
    assert truth.content(b"ssh-ed25519 is a kind of key\n") != truth.content(b"ssh-ed25519 AAAAC3Nz\n")


def test_blocks_of_templates() -> None:
    found = expand("""
        <show> <what> <w>

        plain
        """, w="in the <dir> {folder}", what="(a|b)")
    assert len(found) == 2 and found[1] == "plain"
    assert "<" not in found[0] and "{folder}" in found[0] and "(a|b)" in found[0]
