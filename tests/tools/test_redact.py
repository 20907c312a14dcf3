"""Redaction: what must never reach a record or a gradient, and what must stay readable."""

from __future__ import annotations

import base64
import itertools
import random
import string

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.tools.redact import find, random_looking, redact

DRAW = random.Random(7)


def drawn(length: int, letters: str = string.ascii_letters + string.digits) -> str:
    return "".join(DRAW.choice(letters) for _ in range(length))


# The part between « and » is the secret; everything else must stay.
SECRETS = [
    f"-----BEGIN RSA PRIVATE KEY-----\n{drawn(64)}\n{drawn(64)}\n-----END RSA PRIVATE KEY-----".join("«»"),
    f"-----BEGIN OPENSSH PRIVATE KEY-----\n{drawn(64)}\ncut off".join("«»"),
    f"-----BEGIN PGP PRIVATE KEY BLOCK-----\nVersion: 1\n\n{drawn(64)}\n-----END PGP PRIVATE KEY BLOCK-----".join("«»"),
    f"aws_access_key_id = «AKIA{drawn(16, string.ascii_uppercase + string.digits)}»",
    f"aws_secret_access_key = «{drawn(40)}»",
    f"AWS_SECRET_ACCESS_KEY=«{drawn(38)}/+»",
    f"git clone https://«ghp_{drawn(36)}»@github.com/a/b",
    f"token «github_pat_{drawn(30)}»",
    f"GITLAB=«glpat-{drawn(20)}»",
    f"slack «xoxb-123456789012-{drawn(24)}»",
    f"«https://hooks.slack.com/services/T000/B000/{drawn(24)}»",
    f"OPENAI «sk-proj-{drawn(40)}»",
    f"ANTHROPIC «sk-ant-api03-{drawn(40)}»",
    f"stripe «sk_live_{drawn(24)}»",
    f"maps?key=«AIza{drawn(35)}»",
    f"//registry.npmjs.org/:_authToken=«npm_{drawn(36)}»",
    f"hf «hf_{drawn(34)}»",
    f"jwt «eyJ{drawn(20)}.eyJ{drawn(40)}.{drawn(43)}» end",
    f"curl -H 'Authorization: Bearer «{drawn(30)}»' https://x",
    f"authorization: Basic «{base64.b64encode(drawn(20).encode()).decode()}»",
    f'{{"Authorization": "token «{drawn(30)}»"}}',
    f"X-Api-Key: «{drawn(16)}»",
    f"Set-Cookie: «session={drawn(30)}»; Path=/",
    "password=«hunter2»",
    "PASSWORD: «correct-horse»",
    'password = "«two words, quoted»"',
    "db_password: '«s3cr3t»'",
    "the password is «Tr0ub4dor&3»",
    "MYSQL_PWD=«letmein9» mysql -u root",
    '{"client_secret": "«abcdefg-1»"}',
    "postgres://me:«pa55»@db.example.org:5432/x",
    "curl -u me:«pa55word» https://x",
    "mysql -u root -p«pa55word» db",
    "sshpass -p «pa55word» ssh x",
    f"API_KEY={drawn(0)}«{drawn(32)}»",
    f"export SESSION_TOKEN='«{drawn(24)}»'",
    f"apiKey: «{drawn(32, '0123456789abcdef')}»",
    f"signature={drawn(0)}«{drawn(44)}»",
    f"telegram «{drawn(9, '123456789')}:AA{drawn(33)}»",
    f"«AGE-SECRET-KEY-1{drawn(58, string.ascii_uppercase + string.digits)}»",
]

HARMLESS = """
the sort key is the second column
password = getpass()
password = os.environ["PASSWORD"]
password=$PASSWORD
token = tokenizer.encode(text)
max_tokens = 2048
key: value
for key, value in items.items():
primary_key = "customer_identifier"
API_KEY=${API_KEY:-}
API_KEY=<your key here>
api_key = your-api-key
Enter password:
password: ********
--token-file path/to/the/file
commit 3f786850e387550fdab836ed7e6dc881de23001b
-rw-r--r-- 1 root root 4096 Nov 20 05:07 keyboard_layout.py
https://example.org/path?query=1#part
ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAABgQ me@host
-----BEGIN CERTIFICATE-----
basic authentication is used here
bearer of bad news and other things
def secret_santa(names: list[str]) -> dict[str, str]:
author = "Somebody Important"
PASS tests/test_everything.py
monkey_patch = True
3 passed, 1 failed in 0.52s
sha256: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
""".strip().split("\n")


@pytest.mark.parametrize("text", SECRETS)
def test_the_secret_goes_and_the_rest_stays(text: str) -> None:
    before, secret, after = text.replace("»", "«").split("«")
    done = redact(before + secret + after)
    assert secret not in done
    assert done.startswith(before) and done.endswith(after)
    assert "[redacted " in done
    # No long piece of it is left either.
    assert not any(secret[start : start + 12] in done for start in range(max(1, len(secret) - 12)))
    assert redact(done) == done


@pytest.mark.parametrize("text", HARMLESS)
def test_the_harmless_stays(text: str) -> None:
    assert redact(text) == text


def test_spans_are_in_order_and_apart() -> None:
    text = f"a password=hunter2 b ghp_{drawn(36)} c AKIA{'A1' * 8}\nd"
    spans = find(text)
    assert [span.kind for span in spans] == ["password", "GitHub token", "AWS key id"]
    assert all(one.end <= two.start for one, two in itertools.pairwise(spans))
    assert text[spans[0].start : spans[0].end] == "hunter2"


@settings(max_examples=150, deadline=None)
@given(st.text(max_size=300))
def test_any_text_is_redacted_once_and_for_all(text: str) -> None:
    done = redact(text)
    assert redact(done) == done
    spans = find(text)
    assert all(0 <= span.start < span.end <= len(text) for span in spans)


@settings(max_examples=150, deadline=None)
@given(
    st.text(st.characters(blacklist_categories=["Cs"]), max_size=60),
    st.sampled_from(
        [
            "ghp_{}",
            "github_pat_{}",
            "glpat-{}",
            "sk-{}",
            "npm_{}",
            "hf_{}",
            "API_KEY={}",
            "password={}",
            "ACCESS_TOKEN: '{}'",
        ]
    ),
    st.text(st.sampled_from(string.ascii_letters + string.digits), min_size=36, max_size=36),
    st.sampled_from([" ", "\n", "\t", '"', ""]),
)
def test_a_canary_never_survives(around: str, shape: str, canary: str, edge: str) -> None:
    if not random_looking(canary) or canary in around:
        return  # a drawn string may be as plain as "aaaa…", which no redactor can know
    text = f"{around}\n{edge}{shape.format(canary)}{edge}\n{around}"
    assert canary not in redact(text)


def test_random_strings_look_random_and_names_do_not() -> None:
    assert sum(random_looking(drawn(24)) for _ in range(300)) > 290
    assert sum(random_looking(drawn(32, "0123456789abcdef")) for _ in range(300)) > 290
    for name in (
        "customer_identifier",
        "test_everything_works",
        "path/to/some/file.txt",
        "aaaaaaaaaaaaaaaaaaaa",
        "12345678901234567890",
    ):
        assert not random_looking(name)


def test_long_texts_are_quick() -> None:
    import time

    for text in (
        "password=" * 20_000,
        "a" * 300_000,
        "key " * 50_000,
        "-----BEGIN PRIVATE KEY-----" * 2000,
        "://a:" * 30_000,
        "eyJ" * 60_000,
    ):
        begun = time.process_time()
        redact(text)
        assert time.process_time() - begun < 5, text[:20]
