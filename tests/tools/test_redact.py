"""Redaction: what must never reach a record or a gradient, and what must stay readable."""

from __future__ import annotations

import base64
import itertools
import random
import string
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nimllm.tools import redact as redacting
from nimllm.tools.redact import Stream, find, random_looking, redact, together

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


@pytest.mark.parametrize(("told", "bare"), [
    ("passphrase = tulipbridge", "tulipbridge"), ("password=48213", "48213"),
    ("-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkq\n-----END PRIVATE KEY-----", "MIIEvQIBADANBgkq"),
])  # fmt: skip
def test_what_one_text_tells_is_a_secret_in_all_that_belong_to_it(told: str, bare: str) -> None:
    hide = together(["show it", told, f"echo {bare}"])
    for text in (told, f"echo {bare}", f'open --with="{bare}"', f"A_{bare}=1"):
        assert bare not in hide(text) and hide(hide(text)) == hide(text)
    assert bare in redact(f"echo {bare}", ())  # which nothing else tells of
    assert hide(f"x{bare}y, echo [redacted password]") == f"x{bare}y, echo [redacted password]"
    assert together(["nothing here"])("nothing here") == "nothing here"


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


MEGABYTE = 1 << 20
HOSTILE = [
    "a", "password=", "key ", "key", "key_a.", "-----BEGIN PRIVATE KEY-----", "-----BEGIN A PRIVATE KEY-----\n",
    "://a:", "eyJ", "eyJaaaaaaaaa.", "sk-", "bearer ", "authorization: ", "curl ", "curl -u a", "mysql ",
    "mysql " + "x" * 280, "pass", "password='", "token", "cookie:", " ", "key" + " " * 5000, "pass" + " " * 5000,
    "12345678:AA", "xoxb-", "0123456789abcdef", "AKIA", "SG.aaaaaaaaaaaaaaaaaa", "AGE-SECRET-KEY-1", "\n", "'",
    'password"', "password is ", "password='\\",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_time_is_linear_in_the_worst_texts(piece: str) -> None:
    text = piece * (MEGABYTE // 4 // len(piece))

    def seconds(part: str) -> float:
        begun = time.process_time()
        redact(part, ())
        return time.process_time() - begun

    # Sixteen times the text takes about sixteen times as long (quadratic would be 256); a short time says nothing.
    short, long = seconds(text[: len(text) // 16]), seconds(text)
    assert long < max(1.0, 80 * short), (short, long)


def test_a_megabyte_of_nothing() -> None:
    for text in ("a" * MEGABYTE, "some text of no interest\n" * (MEGABYTE // 25)):
        begun = time.process_time()
        assert redact(text, ()) == text
        assert time.process_time() - begun < 2  # 0.1 s


def test_streams_are_linear_too() -> None:
    for piece, size in (("a", 4096), ("password=hunter2 ", 4096), ("a", 100), ("line\n", 3)):
        took = []
        for length in (MEGABYTE // 64, MEGABYTE // 8):
            text = piece * (length // len(piece))
            begun, stream = time.process_time(), Stream(())
            for start in range(0, len(text), size):
                stream.feed(text[start : start + size])
            stream.close()
            took.append(time.process_time() - begun)
        assert took[1] < max(1.0, 40 * took[0]), (piece, took)


def test_looking_for_hints_first_misses_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [text.replace("«", "").replace("»", "") for text in SECRETS]
    found = [find(text, ()) for text in texts]
    assert all(found) and set(redacting._HINTS) == {kind for kind, _ in redacting._SHAPES}
    monkeypatch.setattr(redacting, "_HINTS", dict.fromkeys(redacting._HINTS, ("",)))
    monkeypatch.setattr(redacting, "_PASSWORD_HINTS", ("",))
    monkeypatch.setattr(redacting, "_NAMED_HINTS", ("",))
    assert [find(text, ()) for text in texts] == found
    assert [find(text.upper(), ()) for text in texts]


PLANTED = [text.replace("»", "«").split("«")[1] for text in SECRETS]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([*SECRETS, "plain text", "x" * 3000, "", " ", "=", "end"]), min_size=1, max_size=12),
    st.lists(st.integers(1, 3000), min_size=1, max_size=30),
    st.sampled_from(["\n", " ", "\n\n"]),
)
def test_however_a_text_is_cut_nothing_leaks(parts: list[str], cuts: list[int], between: str) -> None:
    text = between.join(parts).replace("«", "").replace("»", "")
    stream, shown, at = Stream(()), [], 0
    for size in itertools.cycle(cuts):
        if at >= len(text):
            break
        shown.append(stream.feed(text[at : at + size]))
        at += size
    shown.append(stream.close())
    whole = redact(text, ())
    for secret in PLANTED:
        if secret not in whole:  # "session=…" may stand in a text as a word of its own
            assert secret not in "".join(shown)
    if between == "\n":
        assert "".join(shown) == whole


def test_a_stream_holds_back_no_more_than_it_must() -> None:
    stream = Stream(())
    assert stream.feed("one\ntwo") == "one\n" and stream.feed("!\n") == "two!\n" and stream.close() == ""
    assert stream.feed("-----BEGIN PRIVATE KEY-----\nabc\n") == ""
    assert stream.feed("def\n-----END PRIVATE KEY-----\nafter\n") == "[redacted private key]\nafter\n"
    assert stream.feed("no line yet") == "" and stream.close() == "no line yet"
    assert len(stream.feed("y" * 50_000)) > 30_000
