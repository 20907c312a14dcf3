# ruff: noqa: SIM905, E501 (word lists read better as words)
"""Bash text taken apart into the simple commands it may run, by a real parser (tree-sitter-bash).

What is only known when the command runs is written :data:`UNKNOWN` inside a word. A variable that the text itself
assigns is replaced by each of the values it is given (``x=rm; $x -rf /`` is seen as what it is).
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field
from functools import lru_cache

import tree_sitter_bash
from tree_sitter import Language, Node, Parser

from nimllm.tools.hazards import Hazards, node_text, walk

UNKNOWN = "\0"
PIPE = "/dev/fd/" + UNKNOWN  # what <(…) becomes
MAX_VARIANTS = 24  # of one command, when its words have several possible values; above it they become UNKNOWN
MAX_DEPTH = 60  # of the syntax tree, and of scripts inside scripts

# Statements whose meaning the policy knows. Anything else parses but is not understood, so nobody may call it harmless.
KNOWN_NODES = frozenset(
    "program command command_name word string string_content raw_string ansi_c_string concatenation number "
    "simple_expansion expansion variable_name special_variable_name variable_assignment variable_assignments array "
    "subscript command_substitution process_substitution arithmetic_expansion binary_expression unary_expression "
    "postfix_expression parenthesized_expression ternary_expression pipeline list subshell compound_statement "
    "negated_command redirected_statement file_redirect file_descriptor heredoc_redirect heredoc_start heredoc_body "
    "heredoc_content heredoc_end herestring_redirect if_statement elif_clause else_clause while_statement "
    "for_statement c_style_for_statement do_group case_statement case_item function_definition test_command "
    "test_operator regex extglob_pattern declaration_command unset_command comment brace_expression translated_string".split()
)
_QUOTED = ("string", "raw_string", "ansi_c_string", "translated_string")
_SUBSTITUTIONS = ("command_substitution", "process_substitution", "arithmetic_expansion")
_NETWORK = re.compile(r"/+dev/+(tcp|udp)/")
# The grammar takes more for the end word of a here-document than bash does (`<<E; rm x`).
_END_WORD = re.compile(r"""'[^'\n]*'|"[^"$`\\\n]*"|\\?[\w.+-]+""")
_HIDDEN = re.compile(r"(?<!\\)(?:\\\\)*(?:`|\$\(|\$\[)|[<>]\(")
_SETTERS = frozenset(
    "read mapfile readarray printf getopts let eval source . declare local typeset export readonly".split()
)
# The grammar takes these for command names behind `!` (`! { rm x; }`), which bash does not.
_RESERVED = frozenset(
    {"!", "{", "}", "if", "then", "elif", "else", "fi", "while", "until", "do", "done", "case", "esac"}
)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "e": "\x1b", "E": "\x1b", "f": "\f", "v": "\v"}


@dataclass(frozen=True)
class Simple:
    """One simple command: its words, ``VAR=value`` before it, and the files its redirections write."""

    words: tuple[str, ...]
    assigns: tuple[tuple[str, str], ...] = ()
    writes: tuple[str, ...] = ()
    feeders: tuple[str, ...] = ()  # names of the commands whose output it reads through a pipe
    background: bool = False
    stdin: tuple[str, ...] = ()  # here-documents and here-strings it reads
    at: int = -1  # where it stands in the text, bytes

    @property
    def name(self) -> str:
        """The first word without its folder; empty for a bare assignment or redirection."""
        return self.words[0].rsplit("/", 1)[-1] if self.words else ""


@dataclass
class Script:
    """All that a text may run. ``problem``: why it cannot be judged (a sentence), or empty. ``hazards``: clauses about
    texts that bash evaluates although they look like words (``tools/hazards.py``)."""

    simples: list[Simple] = field(default_factory=list)
    functions: dict[str, list[Simple]] = field(default_factory=dict)
    defined: dict[str, int] = field(default_factory=dict)  # function -> where it is defined for certain, bytes
    hazards: list[str] = field(default_factory=list)
    quoted: list[str] = field(default_factory=list)  # texts in quotes that hold a substitution nobody expands here
    unknown_nodes: set[str] = field(default_factory=set)
    problem: str = ""


@lru_cache(maxsize=1)
def _parser() -> Parser:
    return Parser(Language(tree_sitter_bash.language()))


# The grammar reads a compound command behind `!` as a simple one called "{" or "case". A status does not matter here, so
# that `!` is blanked out, wherever it stands: in a quoted text it changes nothing that runs.
_NEGATED = re.compile(r"(?<![^\s;&|(){}!`])!(?=\s+(?:[{(!]|(?:if|for|while|until|case|select|time|coproc|function)\b|\[\[))")


def parse(text: str) -> Script:
    """Never raises: what cannot be parsed is a Script with a ``problem``."""
    script = Script()
    while (plain := _NEGATED.sub(" ", text)) != text:
        text = plain
    try:
        root = _parser().parse(text.encode("utf-8", "surrogateescape")).root_node
    except (UnicodeEncodeError, ValueError):
        script.problem = "it is not valid text"
        return script
    if root.has_error:
        script.problem = "it does not parse as bash"
        return script
    reader = _Reader(script)
    try:
        reader.check(root)
        reader.collect_values(root)
        script.hazards = Hazards(lambda node: reader.word(node, 0), reader.elsewhere).find(root)
        reader.statements(root, (), False, 0)
    except _TooDeep:
        script.problem = "it is nested too deeply"
    return script


class _TooDeep(Exception):
    pass


class _Reader:
    def __init__(self, script: Script) -> None:
        self.script = script
        self.values: dict[str, list[str]] = {"HOME": ["~"], "PWD": ["."], "IFS": [" "]}
        self.elsewhere: set[str] = set()  # names that read and its like set
        self.function: str | None = None
        self.stdin: tuple[str, ...] = ()  # what the commands of the statement in hand read

    # ---- safety nets -------------------------------------------------------------------------------------------

    def check(self, root: Node) -> None:
        """Find substitutions the grammar took for plain text (backquotes in a here-document, ``$[``, …)."""
        stack = [(root, 0)]
        while stack:
            node, depth = stack.pop()
            if depth > MAX_DEPTH * 3:
                raise _TooDeep
            if node.is_named and node.type not in KNOWN_NODES:
                self.script.unknown_nodes.add(node.type)
            if node.type == "comment" and node.start_byte and (root.text or b"")[node.start_byte - 1] not in b" \t\n;&|(":
                self.script.problem = "it holds a comment that bash does not see as one"  # [ a ]# > y
            if (
                node.type in ("word", "number", "variable_name")
                and not (node.parent is not None and node.parent.type == "expansion")
                and re.search(r"\s", re.sub(r"\\.", "", node_text(node), flags=re.DOTALL))
            ):
                self.script.problem = "the parser takes two words for one"  # "ls", newline, "\\rm x"
            if node.type == "heredoc_start" and not _END_WORD.fullmatch(node_text(node)):
                self.script.problem = "the end of its here-document is not a plain word"
            if node.type in ("raw_string", "ansi_c_string") and re.search(r"\$\(|`", node_text(node)):
                self.script.quoted.append(node_text(node).strip("$'"))
            if node.type in ("raw_string", "comment", "ansi_c_string") or _quoted_heredoc(node):
                continue
            if not (node.type in _SUBSTITUTIONS or (node.parent is not None and node.parent.type in _SUBSTITUTIONS)):
                own = _own_text(node)
                if _HIDDEN.search(own):
                    self.script.problem = "it holds a substitution that the parser does not see"
            elif node.type == "arithmetic_expansion" and "$[" in node_text(node)[:2]:
                self.script.unknown_nodes.add("$[")
            stack += [(child, depth + 1) for child in node.children]

    # ---- variables ---------------------------------------------------------------------------------------------

    def collect_values(self, root: Node) -> None:
        for node in walk(root):
            if node.type == "variable_assignment":
                name = node.child_by_field_name("name")
                value = node.child_by_field_name("value")
                if name is None:
                    continue
                if name.type != "variable_name" or (value is not None and value.type == "array"):
                    self._learn(node_text(name).split("[")[0], [UNKNOWN])
                elif "+=" in node_text(node)[: len(node_text(name)) + 2]:
                    self._learn(node_text(name), [UNKNOWN])
                else:
                    self._learn(node_text(name), self.word(value, 0) if value is not None else [""])
            elif node.type in ("for_statement", "c_style_for_statement"):
                name = node.child_by_field_name("variable")
                if name is not None:
                    values = [
                        alternative
                        for item in node.children_by_field_name("value")
                        for alternative in self.word(item, 0)
                    ]
                    self._learn(node_text(name), values or [UNKNOWN])
            elif node.type == "command":
                words = [node_text(child) for child in node.named_children]
                if words and words[0].lstrip("\\") in _SETTERS:
                    for word in words[1:]:
                        given = re.split(r"[=\[]", word.strip("'\""))[0]
                        self._learn(given, [UNKNOWN])
                        self.elsewhere.add(given)

    def _learn(self, name: str, values: list[str]) -> None:
        known = self.values.setdefault(name, [])
        for value in values:
            if value not in known:
                known.append(value if len(known) < 8 else UNKNOWN)

    # ---- words -------------------------------------------------------------------------------------------------

    def word(self, node: Node, depth: int, quoted: bool = False) -> list[str]:
        """Every value the word may have, at most eight; UNKNOWN stands for the parts nobody knows."""
        if depth > MAX_DEPTH:
            raise _TooDeep
        kind = node.type
        if kind in ("word", "number", "file_descriptor", "regex", "extglob_pattern", "heredoc_start"):
            return [re.sub(r"\\(.)", r"\1", node_text(node).replace("\\\n", ""), flags=re.DOTALL)]
        if kind == "string_content":
            return [re.sub(r"\\([\\\"$`])", r"\1", node_text(node).replace("\\\n", ""))]
        if kind == "raw_string":
            return [node_text(node)[1:-1]]
        if kind == "ansi_c_string":
            return [_ansi(node_text(node)[2:-1])]
        if kind in ("simple_expansion", "expansion"):
            return self._expansion(node)
        if kind in ("concatenation", "string", "command_name", "translated_string", "brace_expression"):
            return self._joined(node, depth, quoted or kind == "string")
        return [PIPE if kind == "process_substitution" else UNKNOWN]

    def _joined(self, node: Node, depth: int, quoted: bool) -> list[str]:
        parts: list[list[str]] = []
        if node.type == "brace_expression":
            return [node_text(node)]
        position = node.start_byte
        for child in node.children:
            if node.type == "string" and child.start_byte > position:
                # The grammar leaves out blanks at the edges of a string's contents.
                parts.append([_slice(node, position, child.start_byte)])
            position = child.end_byte
            if child.is_named:
                parts.append(self.word(child, depth + 1, quoted))
            elif child.type not in ('"', '$"', "$"):
                parts.append([node_text(child)])
        count = 1
        for part in parts:
            count *= len(part)
        if count > 8:
            parts = [part if len(part) == 1 else [UNKNOWN] for part in parts]
        return list(dict.fromkeys("".join(choice) for choice in itertools.product(*parts))) or [""]

    def _expansion(self, node: Node) -> list[str]:
        text = node_text(node)
        name = text.removeprefix("$").removeprefix("{").removesuffix("}")
        if re.fullmatch(r"[A-Za-z_]\w*", name):
            return self.values.get(name) or [UNKNOWN]
        return [UNKNOWN]

    def arguments(self, node: Node) -> list[list[str]]:
        """The words one argument becomes (brace expansion, splitting of an unquoted variable), each of its values."""
        found: list[list[str]] = []
        word = node.named_children[0] if node.type == "command_name" and node.named_child_count else node
        for value in self.word(node, 0):
            if "{" in value and ("," in value or ".." in value) and _bare_brace(word):
                found.append(braces(value))
            elif _splits(node):
                # What nobody knows may hold blanks, and be several words.
                more = [UNKNOWN] if UNKNOWN in value and node.type != "command_name" else []
                found.append(value.split() + more)
                if any(child.type in _QUOTED and re.search(r"\s", node_text(child)) for child in word.named_children):
                    found.append([value, *more])  # blanks in quotes do not split
            else:
                found.append([value])
        return found

    # ---- statements --------------------------------------------------------------------------------------------

    def statements(self, node: Node, feeders: tuple[str, ...], background: bool, depth: int) -> None:
        if depth > MAX_DEPTH:
            raise _TooDeep
        if node.type in ("command", "test_command", "declaration_command", "unset_command"):
            self.command(node, feeders, background, ())
        elif node.type == "redirected_statement":
            self.redirected(node, feeders, background)
        elif node.type == "variable_assignment" and node.parent is not None and node.parent.type != "command":
            self.assignment(node)
        if node.type == "function_definition":
            name = node.child_by_field_name("name")
            outer, self.function = self.function, node_text(name) if name is not None else "?"
            self.script.functions.setdefault(self.function, [])
            after = node.next_sibling
            if node.parent is not None and node.parent.type == "program" and (after is None or after.type != "&"):
                self.script.defined.setdefault(self.function, node.end_byte)
            for child in node.children:
                self.statements(child, (), False, depth + 1)
            self.redirected(node, (), False)
            self.function = outer
            return
        outside = self.stdin
        if node.type == "redirected_statement":
            self.stdin += tuple(
                _heredoc(inner) for child in node.children if child.type == "heredoc_redirect"
                for inner in child.children if inner.type == "heredoc_body"
            )
        elif node.type == "for_statement":
            name = node.child_by_field_name("variable")
            self._add(Simple((), ((node_text(name) if name is not None else "?", UNKNOWN),)))
        elif node.type == "file_redirect" and node.parent is not None and node.parent.type in _SUBSTITUTIONS:
            self._add(Simple((), (), tuple(self.target(node)), feeders, background))  # $(>file)
        elif node.type == "expansion" and (filled := _sets(node)):
            self._add(Simple((), ((filled, UNKNOWN),)))
        names: list[str] = []
        children = node.children
        for index, child in enumerate(children):
            later = children[index + 1] if index + 1 < len(children) else None
            own = background or (later is not None and later.type == "&")
            if node.type == "pipeline" and child.is_named:
                self.statements(child, (*feeders, *names), own, depth + 1)
                names += self._names(child)
            elif child.is_named:
                self.statements(child, feeders, own, depth + 1)
        self.stdin = outside

    def _names(self, node: Node) -> list[str]:
        found = []
        for child in walk(node):
            if child.type == "command_name":
                found += [value.rsplit("/", 1)[-1] for value in self.word(child, 0)]
        return found

    def assignment(self, node: Node) -> None:
        name, value = node.child_by_field_name("name"), node.child_by_field_name("value")
        for text in self.word(value, 0) if value is not None else [""]:
            self._add(Simple((), ((node_text(name) if name is not None else "?", text),)))

    def redirected(self, node: Node, feeders: tuple[str, ...], background: bool) -> None:
        writes = tuple(
            target for child in node.children if child.type == "file_redirect" for target in self.target(child)
        )
        # A here-document may carry redirections of its own line: `cat <<EOF >out`.
        for child in node.children:
            if child.type == "heredoc_redirect":
                writes += tuple(
                    target for inner in walk(child) if inner.type == "file_redirect" for target in self.target(inner)
                )
        if writes:
            self._add(Simple((), (), writes, feeders, background))

    def target(self, node: Node) -> list[str]:
        """Files that a redirection writes; nothing for input, for copies of a descriptor, and for /dev/null."""
        operator = next((child.type for child in node.children if not child.is_named), "")
        place = node.child_by_field_name("destination")
        if place is None:
            return []
        values = self.word(place, 0)
        if operator in ("<", "<&", "<&-", ">&-", "<<<"):  # reading opens a connection, too
            return [value for value in values if _NETWORK.match(value)]
        if operator == ">&" and all(re.fullmatch(r"\d+-?|-", value) for value in values):
            return []
        return [value for value in values if value not in ("/dev/null", "/dev/stdout", "/dev/stderr")]

    def command(self, node: Node, feeders: tuple[str, ...], background: bool, writes: tuple[str, ...]) -> None:
        assigns: list[tuple[str, str]] = []
        words: list[list[list[str]]] = []
        stdin = self.stdin
        if node.type == "test_command":
            words = [[["[["]]]
            if node.children[0].type == "[" and any(  # in [ ], not in [[ ]], it is a redirection
                re.search(r"(?<!\\)>", _own_text(inner))
                for inner in walk(node)
                if inner.type not in ("raw_string", "string", "string_content", "ansi_c_string", *_SUBSTITUTIONS)
            ):
                writes += (UNKNOWN,)
        elif node.type != "command":
            words = [[[node_text(node.children[0])]]]
        for child in node.named_children:
            if child.type == "variable_assignment" and node.type == "command":
                name, value = child.child_by_field_name("name"), child.child_by_field_name("value")
                for text in self.word(value, 0) if value is not None else [""]:
                    assigns.append((node_text(name) if name is not None else "?", text))
            elif child.type == "file_redirect":
                writes += tuple(self.target(child))
            elif child.type == "herestring_redirect":
                stdin += tuple(value for inner in child.named_children for value in self.word(inner, 0))
            elif node.type == "test_command" or child.type in ("heredoc_redirect", "comment"):
                continue
            elif child.type == "variable_assignment":
                words.append([[node_text(child)]])
            else:
                words.append(self.arguments(child))
        count = 1
        for choices in words:
            count *= len(choices)
        if count > MAX_VARIANTS:
            words = [choices if len(choices) == 1 else [[UNKNOWN]] for choices in words]
        for choice in itertools.product(*words):
            flat = tuple(word for part in choice for word in part)
            # `! { { rm x; }; }` comes with "{ {" as one word
            while flat and node.type == "command" and flat[0].split()[:1] and flat[0].split()[0] in _RESERVED:
                reserved, *others = flat[0].split()
                self.script.unknown_nodes.add(reserved)
                flat = (*others, *flat[1:])
                while flat and re.match(r"\w+=", flat[0]):  # `a=1 { b=2 rm x; }`: bash refuses it, but who knows
                    flat = flat[1:]
            self._add(Simple(flat, tuple(assigns), writes, feeders, background, stdin, node.start_byte))

    def _add(self, simple: Simple) -> None:
        self.script.simples.append(simple)
        if self.function is not None:
            self.script.functions[self.function].append(simple)


def _slice(node: Node, start: int, end: int) -> str:
    return (node.text or b"")[start - node.start_byte : end - node.start_byte].decode("utf-8", "surrogateescape")


def _own_text(node: Node) -> str:
    """The text of a node that belongs to none of its children."""
    position, parts = node.start_byte, []
    for child in node.children:
        parts.append(_slice(node, position, child.start_byte))
        position = child.end_byte
    parts.append(_slice(node, position, node.end_byte))
    return "\1".join(parts)


def _heredoc(body: Node) -> str:
    """The text of a here-document; what is expanded in it is UNKNOWN."""
    if _quoted_heredoc(body):
        return node_text(body)
    parts, position = [], body.start_byte
    for child in body.children:
        if child.type != "heredoc_content":
            parts += [_slice(body, position, child.start_byte), UNKNOWN]
            position = child.end_byte
    return "".join(parts) + _slice(body, position, body.end_byte)


def _sets(node: Node) -> str:
    """The variable that ``${x:=word}`` may set, or an empty string."""
    if any(child.type in (":=", "=") for child in node.children):
        name = next((child for child in node.named_children if child.type == "variable_name"), None)
        return node_text(name) if name is not None else "?"
    return ""


def _quoted_heredoc(node: Node) -> bool:
    if node.type not in ("heredoc_body", "heredoc_content") or node.parent is None:
        return False
    starts = [child for child in node.parent.children if child.type == "heredoc_start"]
    return bool(starts) and any(mark in node_text(starts[0]) for mark in "'\"\\")


def _bare_brace(node: Node) -> bool:
    return node.type == "concatenation" and any(
        child.type in ("word", "brace_expression") and ("{" in node_text(child)) for child in node.children
    )


def _splits(node: Node) -> bool:
    """Whether the word holds an unquoted variable or substitution, which bash splits at blanks."""
    if node.type in ("command_name", "concatenation"):
        return any(_splits(child) for child in node.named_children)
    return node.type in ("simple_expansion", "expansion", "command_substitution")


def braces(text: str) -> list[str]:
    """Brace expansion of commas, outermost last; a range (``{1..9}``) is UNKNOWN."""
    found = [text]
    for _ in range(16):
        grown = []
        changed = False
        for item in found:
            match = re.search(r"\{([^{}]*)\}", item)
            if match is None or "," not in match[1]:
                grown.append(UNKNOWN if match and ".." in match[1] else item)
                continue
            changed = True
            grown += [item[: match.start()] + choice + item[match.end() :] for choice in match[1].split(",")]
        found = grown
        if not changed or len(found) > 64:
            break
    return found if len(found) <= 64 else [UNKNOWN]


def _ansi(text: str) -> str:
    def one(match: re.Match[str]) -> str:
        kind = match[1]
        try:
            if kind[0] in "xuU":
                return chr(int(kind[1:], 16))
            if kind[0].isdigit():
                return chr(int(kind, 8))
        except (ValueError, OverflowError):
            return UNKNOWN
        return _ESCAPES.get(kind, kind)

    return re.sub(r"\\(x[0-9a-fA-F]{1,2}|u[0-9a-fA-F]{1,4}|U[0-9a-fA-F]{1,8}|[0-7]{1,3}|.)", one, text, flags=re.DOTALL)
