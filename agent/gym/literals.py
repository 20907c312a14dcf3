"""Simple commands about names, numbers and texts that can only be copied: for training, and for its evaluation.

A form is a request with one or two literals and the command that repeats them; a literal is drawn from one of
:data:`KINDS`. The schemas are not among those of ``schemas/``: they are a source of their own in a recipe, and
``nimllm eval shell --set copying``. Like all episodes they are executed, and seeds from 2**31 on are for evaluation.
"""

# ruff: noqa: SIM905 (word lists are read and edited as text)
from __future__ import annotations

import random
import re
import string
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from nimllm.agent.gym import names, places, quoting
from nimllm.agent.gym.forms import FORMS, Form
from nimllm.agent.gym.schema import Draft, Schema, Unsuitable
from nimllm.agent.gym.schemas.phrases import several
from nimllm.agent.gym.worlds import World

_HEX = "0123456789abcdef"
_BASE = string.ascii_letters + string.digits
_ACCENTED = (
    "café über naïve résumé façade Zürich Ångström jalapeño señor crème brûlée straße København São Łódź "
    "Žižka piñata décembre été größe müller köln niño garçon øre bokmål"
).split()
_OTHER = (
    "日本 東京 報告 отчёт заметки данные Αθήνα λόγος 한국 文档 中文 données ğüneş işlem привет 写真 データ ✓ → € £ µ"
).split()
_DOMAINS = ("com", "org", "net", "io", "dev", "example.org", "example.com", "co.uk", "de", "local")


def _stem(rng: random.Random) -> str:
    return names.stem(rng, blanks=0.0)


def _ext(rng: random.Random) -> str:
    return rng.choice(names.ALL_EXTENSIONS)


def _plain(rng: random.Random) -> str:
    return f"{_stem(rng)}.{_ext(rng)}"


def _blanks(rng: random.Random) -> str:
    words = [names.word(rng) for _ in range(rng.choice((2, 2, 3, 4)))]
    if rng.random() < 0.5:
        words = [word.capitalize() for word in words]
    if rng.random() < 0.3:
        words[-1] = f"({rng.randint(1, 99)})" if rng.random() < 0.4 else str(rng.randint(1, 2030))
    return " ".join(words) + (f".{_ext(rng)}" if rng.random() < 0.7 else "")


def _quotes(rng: random.Random) -> str:
    word, other = names.word(rng), names.word(rng)
    made = rng.choice(
        (
            f"{rng.choice(names.FIRST)}'s {word}",
            f"{word}'s-{other}",
            f"don't {word}",
            f"it's {word}",
            f'the "{word}" {other}',
            f'{word} "{other}"',
            f"{word}_o'{other}",
            f"{word}'{other}",
        )
    )
    return made + (f".{_ext(rng)}" if made[-1] not in "'\"" and rng.random() < 0.6 else "")


def _number(rng: random.Random) -> str:
    digits = "".join(rng.choice(string.digits) for _ in range(rng.choice((2, 3, 4, 5, 6, 8, 10, 12))))
    return rng.choice(
        (
            digits,
            digits,
            str(rng.randint(10, 99_999)),
            f"{rng.randint(0, 999)}.{digits[:4]}",
            f"0{digits}",
            f"{rng.randint(1, 99)},{rng.randint(100, 999)}",
            f"{digits[:3]}_{digits[-3:]}",
            f"{rng.randint(1, 9)}e{rng.randint(2, 19)}",
            f"0x{digits}",
        )
    )


def _unicode(rng: random.Random) -> str:
    parts = [rng.choice(_ACCENTED if rng.random() < 0.6 else _OTHER)]
    if rng.random() < 0.7 or not parts[0].isalpha():
        parts.insert(rng.randrange(2), names.word(rng))
    return rng.choice(("_", "-", "", " ")).join(parts) + (f".{_ext(rng)}" if rng.random() < 0.7 else "")


def _dashes(rng: random.Random) -> str:
    sign = rng.choice(("-", "-", "-", "--", "_", "__", "-_", "+", "."))
    return sign.join(names.word(rng) for _ in range(rng.choice((3, 3, 4, 5)))) + (
        f".{_ext(rng)}" if rng.random() < 0.6 else ""
    )


def _upper(rng: random.Random) -> str:
    word = "_".join(names.word(rng).upper() for _ in range(rng.choice((1, 2, 2, 3))))
    mixed = "".join(rng.choice((letter.upper(), letter)) for letter in names.word(rng) + names.syllables(rng))
    return rng.choice((word, word, f"{word}.{_ext(rng).upper()}", f"{word}.{_ext(rng)}", f"{mixed}.{_ext(rng)}", mixed))


def _hash(rng: random.Random) -> str:
    length = rng.choice((7, 8, 12, 16, 32, 40, 64))
    digest = "".join(rng.choice(_HEX) for _ in range(length))
    token = "".join(rng.choice(_BASE) for _ in range(rng.choice((10, 16, 22))))
    uuid = "-".join("".join(rng.choice(_HEX) for _ in range(size)) for size in (8, 4, 4, 4, 12))
    return rng.choice((digest, digest, token, uuid, f"{names.word(rng)}-{digest[:12]}", f"{digest[:16]}.{_ext(rng)}"))


def _version(rng: random.Random) -> str:
    number = ".".join(str(rng.choice((0, 1, 2, 3, rng.randint(0, 40)))) for _ in range(rng.choice((2, 3, 3, 4))))
    tail = rng.choice(
        (
            "",
            "",
            f"-rc{rng.randint(1, 9)}",
            "-beta",
            f"+build{rng.randint(1, 999)}",
            f"-alpha.{rng.randint(1, 9)}",
            f".post{rng.randint(1, 9)}",
            f"~ubuntu{rng.randint(1, 9)}",
        )
    )
    return rng.choice(
        (
            f"v{number}{tail}",
            f"{number}{tail}",
            f"{names.word(rng)}-{number}{tail}.tar.gz",
            f"{names.word(rng)}_{number}{tail}_amd64.deb",
            f"{names.word(rng)}-{number}{tail}",
        )
    )


def _path(rng: random.Random) -> str:
    return "/".join(_stem(rng) for _ in range(rng.choice((1, 2, 3)))) + "/" + _plain(rng)


def _absolute(rng: random.Random) -> str:
    return f"{places.where(rng)[1]}/{_plain(rng)}"


def _url(rng: random.Random) -> str:
    host = f"{names.word(rng)}{rng.choice(('', '-' + names.word(rng), str(rng.randint(1, 9))))}.{rng.choice(_DOMAINS)}"
    port = f":{rng.choice((80, 443, 3000, 5432, 8000, 8080, rng.randint(1024, 65535)))}" if rng.random() < 0.3 else ""
    path = "".join(f"/{_stem(rng)}" for _ in range(rng.choice((0, 1, 2, 3))))
    query = f"?{names.word(rng)}={rng.choice((_number(rng), names.word(rng)))}" if rng.random() < 0.25 else ""
    scheme = rng.choice(("https", "https", "http", "ssh", "postgres", "redis", "ftp"))
    user = f"{rng.choice(names.FIRST).lower()}@" if scheme in ("ssh", "postgres") else ""
    return rng.choice(
        (
            f"{scheme}://{user}{host}{port}{path}{query}",
            f"git@{host}:{names.word(rng)}/{_stem(rng)}.git",
            f"{scheme}://{user}{host}{port}{path}/",
        )
    )


def _signs(rng: random.Random) -> str:
    word, other = names.word(rng), names.word(rng)
    return rng.choice(
        (
            f"{word.upper()}={other}",
            f"{word}@{other}.{rng.choice(_DOMAINS)}",
            f"#{word}",
            f"{word}: {other}",
            f"{rng.randint(1, 100)}%",
            f"[{word}]",
            f"{word}({other})",
            f"<{word}>",
            f"{word} & {other}",
            f"{word}; {other}",
            f"{word} | {other}",
            f"${word.upper()}",
            f"{word}!",
            f"{word} -> {other}",
            ".".join(str(rng.randint(0, 255)) for _ in range(4)),
            f"{word}:{rng.randint(1, 65535)}",
            f"{rng.randint(0, 23):02d}:{rng.randint(0, 59):02d}:{rng.randint(0, 59):02d}",
            f"@{word}/{other}",
            f"{word} {other}?",
            f"{names.date(rng)} {word}",
            f"~{word}",
            f"{word}\\{other}",
        )
    )


KINDS: dict[str, Callable[[random.Random], str]] = {
    "name": _plain,
    "blanks": _blanks,
    "quotes": _quotes,
    "number": _number,
    "unicode": _unicode,
    "dashes": _dashes,
    "upper case": _upper,
    "hash": _hash,
    "version": _version,
    "path": _path,
    "absolute path": _absolute,
    "URL": _url,
    "signs": _signs,
}
_FILES = (
    "name",
    "name",
    "blanks",
    "quotes",
    "number",
    "unicode",
    "dashes",
    "upper case",
    "hash",
    "version",
    "path",
    "path",
)
_FOLDERS = ("blanks", "quotes", "number", "unicode", "dashes", "upper case", "hash", "version")
_TEXTS = tuple(KINDS)


def schemas() -> list[Schema]:
    """One for each form; in no registry but this list."""
    return [Schema(f"copy.{form.name}", (form.tool,), 1, _maker(form), form.weight) for form in FORMS]


def _maker(form: Form) -> Callable[[World, random.Random], Draft]:
    def make(world: World, rng: random.Random) -> Draft:
        kind, x = _literal(form.x, rng)
        _prepare(form.x, x, world, rng)
        found, slots = [(kind, x)], {"x": x}
        if form.y:
            kind, y = _literal(form.y, rng)
            if form.y == "number":
                y = str(rng.randint(1, world.read(x).count("\n")))
            _prepare(form.y, y, world, rng, x)
            found.append((kind, y))
            slots["y"] = y
        if form.y == "replacement":
            kind, z = _literal("replaced", rng)
            _add_line(world, rng, x, z)
            found.append((kind, z))
            slots["z"] = z
        if len({text.lower() for _, text in found}) < len(found):
            raise Unsuitable("twice the same")
        return _draft(form, found, slots, rng)

    return make


def _draft(form: Form, found: list[tuple[str, str]], slots: dict[str, str], rng: random.Random) -> Draft:
    said: dict[str, Any] = {name: _said(text, rng) for name, text in slots.items()}
    in_command = {
        **{name: quoting.word(text) for name, text in slots.items()},
        "raw": slots.get("y", ""),
        **{name.upper(): quoting.string(text) for name, text in slots.items()},
        **{f"{name}/": quoting.word(f"{text}/") for name, text in slots.items()},
    }
    if form.y == "replacement":
        in_command["z"] = slots["z"]
    command = re.sub(r"\{(\w+/?)\}", lambda match: in_command[match[1]], form.command)
    plan = form.plan.replace("{x}", slots["x"]).replace("{y}", slots.get("y", ""))
    texts = tuple(slots.values())
    return replace(
        Draft(several(rng, form.templates, **said), [command], [plan], form.asks, protected=texts),
        ordered=form.name in ("cat", "head", "tail", "echo"),
        literals=tuple(literal for literal in found if _named(form, literal[1], slots)),
    )


def _named(form: Form, text: str, slots: dict[str, str]) -> bool:
    """Whether the requests say it: a file that is only searched through has no name there."""
    return any(slots[name] == text and f"{{{name}}}" in form.templates[0] for name in slots)


def _said(text: str, rng: random.Random) -> str:
    """As a person writes it into a request: sometimes in quotes; more often, where its end could not be seen."""
    share = 0.7 if re.search(r"[ ;|&!?:<>]", text) else 0.12
    marks = [mark for mark in ("'", '"', "`") if mark not in text]
    if not marks or rng.random() > share:
        return text
    mark = rng.choice(marks)
    return f"{mark}{text}{mark}"


def _literal(role: str, rng: random.Random) -> tuple[str, str]:
    """A kind and a literal of it that can stand in this role."""
    if role == "mode":
        return "number", "".join(rng.choice("04567") for _ in range(3)).replace("0", rng.choice("0456"), 1) or "644"
    for _ in range(200):
        if role in ("file", "new file", "hidden", "new name"):
            kind = rng.choice(_FILES)
            text = KINDS[kind](rng)
            if role == "new name" and "/" in text:
                continue
            if role == "hidden":
                text = text.rsplit("/", 1)[-1]
        elif role in ("folder", "new folder"):
            kind = rng.choice(_FOLDERS)
            text = KINDS[kind](rng)
        elif role == "away":
            kind, text = "absolute path", _absolute(rng)
        elif role == "number":
            return "number", "1"  # set by the file's length
        else:
            kind = rng.choice(_TEXTS)
            text = KINDS[kind](rng)
        if _suits(role, text):
            return kind, text
    raise Unsuitable("no literal")


def _suits(role: str, text: str) -> bool:
    if "  " in text or " :" in text or " ;" in text or len(text) > 90:  # what joins wordings would squeeze them
        return False
    if role in ("text", "away"):
        return True
    if role == "inside":  # for grep: no sign with a meaning, save the dot
        return not re.search(r"[\\\[\]*^$]|^-", text)
    if role in ("replacement", "replaced"):  # within s/../../ and single quotes
        return not re.search(r"[\\\[\]*^$/&'.]|^-", text)
    return not re.search(r"[\\*?\[\]<>|&;$!\"~]|^[-#/.]|[. ]$", text) and not text.startswith("+")


def _prepare(role: str, text: str, world: World, rng: random.Random, file: str = "") -> None:
    """Make what must be there before the command."""
    if role in ("file", "hidden"):
        lines = rng.randint(4, 20)
        folder = f"{world.new_name('dir')}/" if role == "hidden" else ""
        if text in world.entries:
            raise Unsuitable("there already")
        world.add_file(folder + text, world.text(lines))
    elif role == "folder":
        if text in world.entries:
            raise Unsuitable("there already")
        world.add_file(f"{text}/{world.new_name('file')}", world.text(3))
    elif role == "inside":
        _add_line(world, rng, file, text)
    elif role in ("new file", "new name") and "/" in text:
        world.add_dir(text.rsplit("/", 1)[0])


def _add_line(world: World, rng: random.Random, file: str, text: str) -> None:
    """Lines of the file that hold the text."""
    lines = world.read(file).splitlines()
    for _ in range(rng.choice((1, 1, 2, 3))):
        before, behind = rng.choice(
            (("", ""), (f"{names.word(rng)} ", ""), ("", f" {names.word(rng)}"), (f"{names.word(rng)}: ", ""))
        )
        lines.insert(rng.randint(0, len(lines)), f"{before}{text}{behind}")
    world.entries[file].content = ("\n".join(lines) + "\n").encode()
