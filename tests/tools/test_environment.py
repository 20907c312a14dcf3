"""What a command's environment holds: no secret, nothing that runs code first, nothing that waits for a person."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nimllm.tools import environment, sandbox
from nimllm.tools.shell import Shell

Enforced = Callable[..., sandbox.Sandbox]
_NAMES = """
    OPENAI_API_KEY ANTHROPIC_API_KEY HF_TOKEN GH_TOKEN GITHUB_TOKEN aws_secret_access_key AWS_SESSION_TOKEN
    PGPASSWORD MYSQL_PWD SSH_AUTH_SOCK SSH_ASKPASS_PASSWORD NPM_AUTH NPM_CONFIG__AUTH SENTRY_DSN DB_PASS
    GPG_PASSPHRASE SLACK_WEBHOOK GOOGLE_APPLICATION_CREDENTIALS SESSION_COOKIE AZURE_PAT TWINE_PASSWORD VAULT_TOKEN
    NETRC DBUS_SESSION_BUS_ADDRESS GPG_AGENT_INFO SIGNING_KEY PRIVATE_PEM DOCKER_AUTH_CONFIG KUBE_TOKEN
    STRIPE_SK_SECRET
"""
NAMES = tuple(_NAMES.split())
VALUES = {
    "PLAIN_URL": "postgres://me:planted@db/x", "REPO": "https://x:planted@example.org/r.git",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nplanted", "A": "ghp_plantedplanted0123456789", "B": "AKIAPLANTEDPLANTED00",
    "C": "sk-plantedplanted0123456789", "D": "github_pat_plantedplanted0123", "E": "xoxb-planted",
}
CODE = ("BASH_ENV", "ENV", "PROMPT_COMMAND", "LD_PRELOAD", "LD_AUDIT", "BASH_FUNC_ls%%", "HISTFILE", "SHELLOPTS")
KEPT = {"PATH": "/usr/bin:/bin", "HOME": "/home/me", "USER": "me", "AUTHOR": "me", "VIRTUAL_ENV": "/v",
        "JAVA_HOME": "/j", "MY_FLAG": "1", "URL": "https://example.org/a", "TZ": "UTC"}


def test_what_is_left() -> None:
    given = {**KEPT, **VALUES, **dict.fromkeys((*NAMES, *CODE), "planted")}
    left = environment.quiet(given)
    lost = {"E"} | set(NAMES) | set(CODE) | set(VALUES)
    assert {name for name in lost if name in left} <= {"E"}, "a token of ten characters is none"
    assert {name: left[name] for name in KEPT} == KEPT
    assert left["PAGER"] == "cat" and left["GIT_TERMINAL_PROMPT"] == "0" and left["TERM"] == "dumb"
    assert environment.quiet({})["PATH"].startswith("/usr/local/sbin")


@pytest.mark.parametrize("level", ["bwrap", "landlock", "none"])
def test_no_command_sees_a_secret(enforced: Enforced, tmp_path: Path, level: str) -> None:
    given = {**KEPT, **VALUES, **dict.fromkeys(NAMES, "planted"), "BASH_FUNC_ls%%": "() { echo planted; }",
             "BASH_ENV": "/planted", "PROMPT_COMMAND": "echo planted", "E": "nothing"}
    with Shell(tmp_path, enforced(tmp_path, want=level), env=given) as shell:
        everything = "env; export -p; set; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n' | grep -a MY_FLAG; ls"
        done = shell.run(everything)
        assert "MY_FLAG" in done.output and "planted" not in done.output
        assert shell.run("bash -c 'env; ls'").output.count("planted") == 0
        if level != "none":
            assert "nimllm" not in shell.run("echo $SSH_AUTH_SOCK$DBUS_SESSION_BUS_ADDRESS").output
