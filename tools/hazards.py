"""Places where bash evaluates a text that looks like a plain word.

Arithmetic expands the *value* of a variable again: with ``x='a[$(rm y)]'``, ``$((x))`` removes y, and so do ``${s:x}``,
``${a[$x]}`` and ``[[ $x -eq 1 ]]``. ``test -v``, ``${!x}`` and ``${x@P}`` are of the same kind. A name is trusted in
such a place when the text itself has given it nothing but numbers; what is found otherwise is a clause for the user.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence, Set

from tree_sitter import Node

UNKNOWN = "\0"  # as commands.UNKNOWN
_NUMBER = re.compile(r"[-+]?(?:\d+#)?[0-9a-fA-FxX]*\d[0-9a-fA-F]*|")
_ALWAYS_NUMBERS = frozenset(("RANDOM", "SECONDS", "LINENO", "EPOCHSECONDS", "UID", "EUID", "PPID", "BASHPID"))
_SPECIAL_NUMBERS = frozenset(("$#", "$?", "$$", "$!", "${#}", "${?}"))
_COMPARES = frozenset(("-eq", "-ne", "-lt", "-le", "-gt", "-ge"))
_NAME = re.compile(r"[A-Za-z_]\w*")
_DATES = re.compile(r"\+%[sYymdHMSjuNeVUWwgG]+")
_SAID = {
    "arithmetic": "it calculates with a text that is known only when it runs, and bash would obey commands in it",
    "subscript": "a subscript is known only when it runs, and bash would obey commands in it",
    "indirect": "it takes the value of a variable for a name, and bash would obey commands in it",
    "prompt": "@P has bash obey the commands in a variable's value",
    "variable": "-v has bash evaluate a name that is known only when it runs",
    "unquoted": "a value without quotes stands in [ ], where it may turn into more than one word",
    "integer": "it makes a variable a number, and bash would obey commands in what it is set to",
}


class Hazards:
    """``word``: the values a node may have. ``elsewhere``: names that ``read`` and its like set in the text."""

    def __init__(self, word: Callable[[Node], list[str]], elsewhere: Set[str]) -> None:
        self._word, self._elsewhere = word, elsewhere
        self._numbers: set[str] = set()
        self._maps: set[str] = set()  # associative arrays: their subscripts are only words

    def find(self, root: Node) -> list[str]:
        """Clauses, in order, each once."""
        self._learn(root)
        return list(dict.fromkeys(_SAID[kind] for kind in self._kinds(root)))

    # ---- which names hold numbers ---------------------------------------------------------------------------------

    def _learn(self, root: Node) -> None:
        given: dict[str, list[Node | None]] = {}
        counted: set[str] = set()
        spoiled = set(self._elsewhere)
        for node in walk(root):
            if node.type == "variable_assignment":
                name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
                added = name is not None and b"+=" in (node.text or b"")[: len(node_text(name)) + 2]
                if name is None or name.type != "variable_name" or added:
                    spoiled.add(node_text(name).split("[")[0] if name is not None else "")
                elif node.parent is not None and node.parent.type == "c_style_for_statement":
                    counted.add(node_text(name))
                else:
                    given.setdefault(node_text(name), []).append(value)
            elif node.type == "for_statement":
                name = node.child_by_field_name("variable")
                if name is not None:
                    given.setdefault(node_text(name), []).extend(node.children_by_field_name("value") or [None])
            elif node.type == "declaration_command" and node.parent is not None and node.parent.type == "program":
                words = [node_text(child) for child in node.named_children]
                if any(re.fullmatch(r"-[a-zA-Z]*A[a-zA-Z]*", word) for word in words):
                    self._maps.update(word.split("=")[0] for word in words if _NAME.match(word))
        # n=$m is a number when m is one: to a fixed point, from "none is"
        self._numbers = counted - spoiled
        while True:
            more = {
                name
                for name, nodes in given.items()
                if name not in self._numbers | spoiled
                and all(node is not None and self._number(node) for node in nodes)
            }
            if not more:
                return
            self._numbers |= more

    def _number(self, node: Node) -> bool:
        """Whether the value of ``node`` can only be a number."""
        kind, text = node.type, node_text(node)
        if kind in ("number", "word", "raw_string", "string_content"):
            return bool(_NUMBER.fullmatch(text.strip("'")))
        if kind == "arithmetic_expansion" or text in _SPECIAL_NUMBERS or re.fullmatch(r"\$\{#\w+(\[[@*]\])?\}", text):
            return True  # what stands in it is looked at on its own
        if kind in ("simple_expansion", "expansion"):
            name = text.removeprefix("$").removeprefix("{").removesuffix("}")
            return name in self._numbers or name in _ALWAYS_NUMBERS
        if kind == "command_substitution":
            return _counts(node)
        if kind in ("string", "concatenation"):
            return all(self._number(child) for child in node.named_children)
        return kind == "brace_expression" and bool(re.fullmatch(r"\{-?\d+\.\.-?\d+(\.\.-?\d+)?\}", text))

    # ---- what is evaluated -----------------------------------------------------------------------------------------

    def _kinds(self, root: Node) -> Iterator[str]:
        for node in walk(root):
            kind, first = node.type, node.children[0].type if node.children else ""
            if kind == "arithmetic_expansion" or (kind == "compound_statement" and first == "(("):
                yield from self._arithmetic(node.named_children)
            elif kind == "c_style_for_statement":
                yield from self._arithmetic([child for child in node.named_children if child.type != "do_group"])
            elif kind == "subscript":
                yield from self._subscript(node)
            elif kind == "expansion":
                yield from self._expansion(node)
            elif kind == "test_command":
                yield from self._condition(node, first == "[[")
            elif kind == "command" and node_text(node.children[0]).rsplit("/", 1)[-1].strip("\\'\"") in ("test", "["):
                yield from self._unquoted(node.named_children[1:])
                yield from self._named([node_text(child) for child in node.named_children])
            elif kind == "declaration_command":
                words = [node_text(child) for child in node.named_children if child.type != "variable_assignment"]
                if any(re.match(r"['\"]?-[a-zA-Z]*i", word) for word in words):
                    yield "integer"

    def _arithmetic(self, nodes: Sequence[Node]) -> Iterator[str]:
        for node in nodes:
            if node.type in ("variable_name", "word", "simple_expansion", "expansion", "command_substitution", "string",
                             "raw_string", "concatenation"):
                text = node_text(node)
                if not (self._number(node) or text in self._numbers or text in _ALWAYS_NUMBERS):
                    yield "arithmetic"
            elif node.type == "variable_assignment" or (node.type == "binary_expression" and _operator(node) == "="):
                yield from self._arithmetic(node.named_children[1:])
            elif node.type != "number":
                yield from self._arithmetic(node.named_children)

    def _subscript(self, node: Node) -> Iterator[str]:
        name, *index = node.named_children
        if node_text(name) in self._maps or (index and node_text(index[0]) in ("@", "*")):
            return
        if any(True for _ in self._arithmetic(index)):
            yield "subscript"

    def _expansion(self, node: Node) -> Iterator[str]:
        text = node_text(node)
        if re.search(r"@[^\w]*[PA]\}$", text):
            yield "prompt"
        if text.startswith("${!") and not re.fullmatch(r"\$\{!\w+([@*]|\[[@*]\])\}", text):
            yield "indirect"
        for place, child in enumerate(node.children):
            if child.type == ":":  # ${s:offset:length}
                yield from self._arithmetic([other for other in node.children[place + 1 :] if other.is_named])
                return

    def _condition(self, node: Node, double: bool) -> Iterator[str]:
        flat = list(walk(node))
        for place, inner in enumerate(flat):
            if inner.type != "test_operator":
                continue
            parent = inner.parent
            if node_text(inner) in ("-v", "-R") and parent is not None and parent.type == "unary_expression":
                yield from self._named([node_text(inner), *(node_text(other) for other in flat[place + 1 : place + 2])])
            elif double and node_text(inner) in _COMPARES and parent is not None:
                yield from self._arithmetic(parent.named_children[:1] + parent.named_children[2:])
        if not double:
            yield from self._unquoted(list(_operands(node)))

    def _named(self, words: Sequence[str]) -> Iterator[str]:
        """``-v NAME``: only a plain name, or one with a number as its subscript, is harmless."""
        for flag, name in itertools.pairwise(words):
            if flag in ("-v", "-R") and not re.fullmatch(r"[A-Za-z_]\w*(\[(\d+|@|\*)\])?|[\]&|)]+", name):
                yield "variable"

    def _unquoted(self, operands: Sequence[Node]) -> Iterator[str]:
        for node in operands:
            if (node.type == "command_substitution" and not (_counts(node) or _one_word(node))) or (
                node.type in ("simple_expansion", "expansion")
                and not self._number(node)
                and any(UNKNOWN in value or re.search(r"[\s*?\[]|^[-!(]", value) for value in self._word(node))
            ):
                yield "unquoted"


def _counts(node: Node) -> bool:
    """Whether a command substitution prints only numbers: it ends in ``wc`` or ``grep -c`` of standard input, say."""
    words = _last_command(node)
    if not words:
        return False
    name, args = words[0], words[1:]
    plain = [word for word in args if not word.startswith("-")]
    options = [word for word in args if word.startswith("-")]
    if name == "wc":
        return not plain and bool(re.fullmatch(r"-[lwcm]", "".join(options)))
    if name == "grep":
        return len(plain) == 1 and any(re.fullmatch(r"-[a-zA-Z]*c[a-zA-Z]*", word) for word in options) and not any(
            word.startswith(("--", "-e", "-f")) for word in options
        )
    if name == "date":
        return len(args) == 1 and bool(_DATES.fullmatch(args[0].strip("'\"")))
    if name == "seq":
        return bool(args) and all(re.fullmatch(r"-?\d+", word) for word in args)
    return (name == "nproc" and not args) or (name == "id" and args in (["-u"], ["-g"]))


def _one_word(node: Node) -> bool:
    return " ".join(_last_command(node)) in ("whoami", "hostname", "uname", "uname -s", "uname -m", "id -un", "id -gn")


def _last_command(node: Node) -> list[str]:
    """The words of the only, or last piped, command of a substitution; nothing when it is anything else."""
    inner = node.named_children
    if len(inner) != 1:
        return []
    last = inner[0]
    if last.type == "pipeline":
        last = last.named_children[-1]
    if last.type == "redirected_statement":
        body = last.named_children[0]
        if any(child.type != "file_redirect" for child in last.named_children[1:]):
            return []
        last = body.named_children[-1] if body.type == "pipeline" else body
    if last.type != "command" or not all(
        child.type in ("command_name", "word", "number", "raw_string", "string") for child in last.named_children
    ):
        return []
    return [node_text(child) for child in last.named_children]


def _operands(node: Node) -> Iterator[Node]:
    """The operands of ``[ … ]``, those in quotes and in substitutions left out."""
    for child in node.named_children:
        if child.type in ("binary_expression", "unary_expression", "parenthesized_expression", "concatenation"):
            yield from _operands(child)
        else:
            yield child


def _operator(node: Node) -> str:
    return next((child.type for child in node.children if not child.is_named), "")


def walk(node: Node) -> Iterator[Node]:
    """The node and all below it, parents first."""
    stack = [node]
    while stack:
        node = stack.pop()
        yield node
        stack += reversed(node.children)


def node_text(node: Node) -> str:
    """The source of a node; bytes that are no UTF-8 as surrogates."""
    return (node.text or b"").decode("utf-8", "surrogateescape")
