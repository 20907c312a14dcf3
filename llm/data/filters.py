"""``--where``: conditions on the columns of a row, such as ``score >= 6 and lang in ('en', 'de') and not flagged``.

A language of its own, parsed here; nothing is ever evaluated as Python:

    condition   a and b, a or b, not a, ( a )
    comparison  x = y (also ==), != (also <>), <, <=, >, >=; x in (1, 2), x not in (1, 2); x is null, x is not null
    value       a column (dots reach inside: meta.lang; `any name` in backquotes), length(column), a number, 'text',
                "text", true, false

A missing column of a row is null. Comparing with null is neither true nor false, and so are ``not`` and ``and`` and
``or`` of it where it matters (SQL's three values); a row is kept when the condition is true. true and false count as 1
and 0. Text compared with a number is an error of the row, never a silent answer.
"""

from __future__ import annotations

import datetime
import decimal
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from nimllm.errors import UsageError

_TOKEN = re.compile(
    r"\s*(?:(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)|(?P<text>'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\")"
    r"|`(?P<quoted>[^`]+)`|(?P<name>[^\W\d]\w*(?:\.\w+)*)|(?P<sign>==|!=|<>|<=|>=|[=<>(),\[\]]))", re.DOTALL)
_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq, "!=": operator.ne, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}
_SPELLED = {"==": "=", "<>": "!="}
_WORDS = frozenset({"and", "or", "not", "in", "is", "null", "true", "false"})
_DEEPEST = 100  # nested brackets


class WrongType(Exception):
    """A row whose value cannot be compared; the text names the column."""


@dataclass(frozen=True)
class Column:
    name: str

    def value(self, row: Mapping[str, Any]) -> Any:
        if self.name in row:  # a name with a dot in it comes before a path
            return row[self.name]
        at: Any = row
        for part in self.name.split("."):
            if not isinstance(at, Mapping):
                return None
            at = at.get(part)
        return at


@dataclass(frozen=True)
class Length:
    column: Column

    @property
    def name(self) -> str:
        return f"length({self.column.name})"

    def value(self, row: Mapping[str, Any]) -> Any:
        held = self.column.value(row)
        if held is None:
            return None
        if not isinstance(held, (str, list, tuple)):
            raise WrongType(f"{self.column.name} is {_kind(held)}, which has no length")
        return len(held)


@dataclass(frozen=True)
class Literal:
    content: int | float | str | bool

    @property
    def name(self) -> str:
        return repr(self.content)

    def value(self, row: Mapping[str, Any]) -> Any:
        return self.content


Operand = Column | Length | Literal


@dataclass(frozen=True)
class Compare:
    sign: str
    left: Operand
    right: Operand

    def test(self, row: Mapping[str, Any]) -> bool | None:
        left, right = _plain(self.left.value(row), self.left), _plain(self.right.value(row), self.right)
        if left is None or right is None:
            return None
        if isinstance(left, str) != isinstance(right, str):
            raise WrongType(f"{self.left.name} is {_kind(left)} and {self.right.name} is {_kind(right)}")
        try:
            return _COMPARE[self.sign](left, right)
        except ArithmeticError:  # a decimal that is no number
            return self.sign == "!="


@dataclass(frozen=True)
class In:
    operand: Operand
    values: tuple[Any, ...]

    def test(self, row: Mapping[str, Any]) -> bool | None:
        value = _plain(self.operand.value(row), self.operand)
        if value is None:
            return None
        if isinstance(value, str) != isinstance(self.values[0], str):
            raise WrongType(f"{self.operand.name} is {_kind(value)}, the list holds {_kind(self.values[0])}")
        return value in self.values


@dataclass(frozen=True)
class IsNull:
    operand: Operand

    def test(self, row: Mapping[str, Any]) -> bool | None:
        return self.operand.value(row) is None


@dataclass(frozen=True)
class Truth:
    operand: Operand

    def test(self, row: Mapping[str, Any]) -> bool | None:
        value = _plain(self.operand.value(row), self.operand)
        if isinstance(value, str):
            raise WrongType(f"{self.operand.name} is text, not a condition")
        return None if value is None else bool(value)


@dataclass(frozen=True)
class Not:
    item: Node

    def test(self, row: Mapping[str, Any]) -> bool | None:
        value = self.item.test(row)
        return None if value is None else not value


@dataclass(frozen=True)
class Both:
    """``and`` (``decides`` is False) or ``or`` (True): the value that settles it whatever the other side says."""

    decides: bool
    items: tuple[Node, ...]

    def test(self, row: Mapping[str, Any]) -> bool | None:
        unknown = False
        for item in self.items:
            value = item.test(row)
            if value is self.decides:
                return self.decides
            unknown = unknown or value is None
        return None if unknown else not self.decides


Node = Compare | In | IsNull | Truth | Not | Both


def _kind(value: Any) -> str:
    return {"str": "text", "int": "a number", "float": "a number", "bool": "true or false", "dict": "an object",
            "list": "a list"}.get(type(value).__name__, type(value).__name__)


def _plain(value: Any, operand: Operand) -> Any:
    """A value that compares: numbers, text; dates as ISO text."""
    if value is None or isinstance(value, (str, int, float, decimal.Decimal)):
        return value
    if isinstance(value, (datetime.date, datetime.time)):
        return value.isoformat()
    raise WrongType(f"{operand.name} is {_kind(value)}, which cannot be compared")


class Where:
    """A parsed condition. UsageError when it is not one, with the place of the first wrong word."""

    def __init__(self, source: str) -> None:
        self.source = source
        self._tokens = _tokens(source)
        self._at, self._depth = 0, 0
        self.columns: list[str] = []  # as they are named, in order, each once
        self.node = self._or()
        if self._at < len(self._tokens):
            raise self._wrong("and, or, or the end")

    def test(self, row: Mapping[str, Any]) -> bool:
        """Whether the row is kept. WrongType when its values cannot be compared."""
        return self.node.test(row) is True

    def _peek(self, *words: str) -> bool:
        if self._at >= len(self._tokens):
            return False
        kind, text, _ = self._tokens[self._at]
        return kind in ("name", "sign") and (text.lower() if kind == "name" else text) in words

    def _take(self, *words: str) -> bool:
        if self._peek(*words):
            self._at += 1
            return True
        return False

    def _wrong(self, wanted: str) -> UsageError:
        if self._at < len(self._tokens):
            _, text, place = self._tokens[self._at]
            why = f"at character {place + 1}, {text!r} stands where {wanted} should"
        else:
            why = f"it ends where {wanted} should stand"
        return UsageError(f"cannot read the condition {self.source!r}", why,
                          "conditions look like: score >= 6 and lang in ('en', 'de')")

    def _or(self) -> Node:
        items = [self._and()]
        while self._take("or"):
            items.append(self._and())
        return items[0] if len(items) == 1 else Both(True, tuple(items))

    def _and(self) -> Node:
        items = [self._not()]
        while self._take("and"):
            items.append(self._not())
        return items[0] if len(items) == 1 else Both(False, tuple(items))

    def _not(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UsageError("the condition is nested too deep", f"more than {_DEEPEST} levels", "write it flatter")
        try:
            if self._take("not"):
                return Not(self._not())
            if self._take("("):
                inner = self._or()
                if not self._take(")"):
                    raise self._wrong("a closing bracket")
                return inner
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Node:
        left = self._operand()
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            sign = _SPELLED.get(text, text)
            if kind == "sign" and sign in _COMPARE:
                self._at += 1
                right = self._operand()
                if self._at < len(self._tokens) and self._tokens[self._at][0] == "sign" \
                        and _SPELLED.get(self._tokens[self._at][1], self._tokens[self._at][1]) in _COMPARE:
                    raise self._wrong("and (1 < x < 5 is written 1 < x and x < 5)")
                if isinstance(left, Literal) and isinstance(right, Literal):
                    raise UsageError(f"cannot read the condition {self.source!r}",
                                     f"{left.name} {text} {right.name} compares no column", "name a column")
                return Compare(sign, left, right)
        if self._take("is"):
            negated = self._take("not")
            if not self._take("null"):
                raise self._wrong("null")
            return Not(IsNull(left)) if negated else IsNull(left)
        if self._take("not"):
            if not self._take("in"):
                raise self._wrong("in")
            return Not(In(left, self._list()))
        if self._take("in"):
            return In(left, self._list())
        if isinstance(left, Literal) and not isinstance(left.content, bool):
            raise self._wrong("a comparison")
        return Truth(left)

    def _list(self) -> tuple[Any, ...]:
        closing = ")" if self._take("(") else "]" if self._take("[") else ""
        if not closing:
            raise self._wrong("a list in brackets")
        values: list[Any] = []
        while True:
            item = self._operand()
            if not isinstance(item, Literal):
                self._at -= 1
                raise self._wrong("a number or a text in quotes")
            values.append(item.content)
            if self._take(closing):
                break
            if not self._take(","):
                raise self._wrong("a comma or the end of the list")
        if len({isinstance(value, str) for value in values}) > 1:
            raise UsageError(f"cannot read the condition {self.source!r}", "a list mixes numbers and texts",
                             "put quotes around all of its values, or around none")
        return tuple(values)

    def _operand(self) -> Operand:
        if self._at >= len(self._tokens):
            raise self._wrong("a column or a value")
        kind, text, _ = self._tokens[self._at]
        word = text.lower()
        if kind == "name" and word in ("true", "false"):
            self._at += 1
            return Literal(word == "true")
        if kind == "name" and word == "null":
            raise self._wrong("a value (use: is null, is not null)")
        if kind == "number":
            self._at += 1
            if len(text) > 300:
                raise UsageError(f"cannot read the condition {self.source[:80]!r}…", "a number has too many digits", "")
            return Literal(float(text) if re.search("[.eE]", text) else int(text))
        if kind == "text":
            self._at += 1
            return Literal(re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL))
        if kind == "name" and word == "length" and self._at + 1 < len(self._tokens) \
                and self._tokens[self._at + 1][1] == "(":
            self._at += 2
            column = self._column()
            if not self._take(")"):
                raise self._wrong("a closing bracket")
            return Length(column)
        return self._column()

    def _column(self) -> Column:
        if self._at < len(self._tokens):
            kind, text, _ = self._tokens[self._at]
            if kind == "quoted" or (kind == "name" and text.lower() not in _WORDS):
                self._at += 1
                if text not in self.columns:
                    self.columns.append(text)
                return Column(text)
        raise self._wrong("a column or a value")


def _tokens(source: str) -> list[tuple[str, str, int]]:
    """(kind, text, place) of every word."""
    found: list[tuple[str, str, int]] = []
    at, end = 0, len(source.rstrip())
    while at < end:
        match = _TOKEN.match(source, at)
        if match is None:
            place = at + len(source[at:]) - len(source[at:].lstrip())
            raise UsageError(f"cannot read the condition {source!r}",
                             f"at character {place + 1}, {source[place]!r} means nothing here",
                             "conditions look like: score >= 6 and lang in ('en', 'de')")
        kind = match.lastgroup or ""
        found.append((kind, match.group(kind), match.start(kind)))
        at = match.end()
    if not found:
        raise UsageError("the condition of --where is empty", "", "such as: --where 'score >= 6'")
    return found
