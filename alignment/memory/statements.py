"""Reading what a user told: a statement in, facts out. Rules only: nothing is said that was not read.

The patterns are the training wordings of :mod:`relations` turned round, then the general forms "my X is Z", "Y's X is
Z", "the X of Y is Z", "we use Z for X", "X means Z", "X is Z" for nouns nobody listed. Held-out wordings are not
compiled: whether they are read is a result, not a given.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache

from nimllm.alignment.memory import paraphrases
from nimllm.alignment.memory.relations import (
    GENERIC,
    ME,
    NOUNS,
    RELATIONS,
    TELL_ANY,
    TELL_NAMED,
    TELL_NOUN,
    TELL_OWN,
    THE,
    US,
    VALUE_FIRST,
    Fact,
    Relation,
    forms,
    relation_of,
)

LEADS = (
    "by the way, ", "remember that ", "just so you know, ", "for the record, ", "note that ", "fyi, ",
    "please remember: ",
    "one more thing: ", "so you know, ", "please note: ", "I want you to know that ", "keep in mind that ",
    "remember: ",
    "please remember that ", "don't forget: ", "for later: ", "let me tell you that ", "I just learned that ",
    "news: ", "heads-up: ", "I can tell you that ", "it is a fact that ", "I found out that ", "did you hear, ",
    "as of today, ", "mind you, ", "in case you wonder, ", "the thing is, ", "for the notes: ", "I hear that ",
)
TAILS = (", in case you wonder", ", just so you know", ", don't forget", ", as of today", ", keep that in mind",
         ", by the way", ", remember that")
_LEAD = re.compile(
    r"^(?:(?:" + "|".join(re.escape(lead) for lead in LEADS)
    + r"|(?:ok|okay|hi|hello|hey|well|so|and|also|oh|actually|please|btw|no|yes|sorry|correction)[,:]? "
    r"|(?:please )?(?:remember|note|know|learn|memorise|memorize|don't forget)(?: that|:) "
    r"|(?:just )?(?:for your information|for the future|so you know|fyi)[,:]? "
    r"|I (?:should|must|want to) (?:tell you|say|add|mention)(?: that|:) |you should know(?: that|:) ))+",
    re.IGNORECASE,
)
_TRAIL = re.compile(
    r"(?:,? (?:now|today|again|these days|from now on|by the way|please|nimllm|ok|okay|right|you know"
    r"|in case you wonder|just so you know|don't forget|as of today|keep that in mind|remember that))+$",
    re.IGNORECASE,
)
_NO_SUBJECT = re.compile(
    r"^(?:it|he|she|they|you|i|we|this|that|these|those|there|here|what|who|where|when|why|how|which|if|because|but"
    r"|then|everything|nothing|something|someone|all|as|to|for|the|my|our|your|his|her|their|its|one|so|thanks|thank"
    r"|please|let|in|on)$",
    re.IGNORECASE,
)
_SENTENCES = re.compile(
    r"(?<=[.!?])(?<!\bDr\.)(?<!\bMr\.)(?<!\bMs\.)(?<!\bSt\.)(?<!\bMrs\.)(?<!\bProf\.)\s+(?=[A-Z\"'])|\n+")
_SLOTS = re.compile(r"\{(\w+)\}|\[(\w+)\]")
_CONTRACTIONS = ((re.compile(r"\bI'm\b", re.I), "I am"), (re.compile(r"\bwe're\b", re.I), "we are"),
                 (re.compile(r"\bI've\b", re.I), "I have"), (re.compile(r"\bwe've\b", re.I), "we have"))
MAX_SUBJECT_WORDS, MAX_VALUE_CHARACTERS = 6, 120


def _pattern(template: str, subject: str | None, nouns: tuple[str, ...] | None) -> re.Pattern[str]:
    """A telling template as a regex. ``subject`` None: a name is captured; ``nouns`` None: any noun is captured."""
    slots = forms(subject, "user") if subject else forms("", "user")
    seen: set[str] = set()

    def capture(name: str, body: str) -> str:
        if name in seen:
            return f"(?P={name})"
        seen.add(name)
        return f"(?P<{name}>{body})"

    out, at = [], 0
    for match in _SLOTS.finditer(template):
        out.append(re.escape(template[at:match.start()]))
        at = match.end()
        slot, ending = match[1], match[2]
        if ending:
            out.append(ending if subject is None else "")
        elif slot == "v":
            out.append(capture("v", r".+?" if at < len(template) else r".+"))
        elif slot == "n":
            out.append(capture("n", r".+?") if nouns is None else "(?:" + "|".join(map(re.escape, nouns)) + ")")
        elif slot in ("s", "o", "p") and subject is None:
            out.append(capture("s", r".+?") + (r"(?:'s|(?<=s)')" if slot == "p" else ""))
        elif slot == "is":
            out.append("(?:is|are)")
        else:
            out.append(re.escape(slots[slot]))
    out.append(re.escape(template[at:]))
    return re.compile("^" + "".join(out).replace("favourite", "favou?rite").replace("colour", "colou?r") + "$",
                      re.IGNORECASE)


def _literal(template: str) -> int:
    return len(_SLOTS.sub("", template).replace(" ", ""))


def _subjects(relation: Relation) -> tuple[str | None, ...]:
    if relation.family == "world":
        return (None,)
    return (ME, US) if relation.family == "preference" else (ME, US, None)


def _by_length(templates: Iterable[str]) -> list[str]:
    """Most literal characters first, "Oslo is Mira's city" last: it would swallow "Mira's city is Oslo's twin"."""
    return sorted(templates, key=lambda text: (text == VALUE_FIRST, -_literal(text)))


@dataclass
class _Rule:
    """A telling template turned round. Of thousands, each is compiled when a sentence holds its longest piece."""

    template: str
    subject: str | None  # None: a captured name
    nouns: tuple[str, ...] | None  # None: any noun is captured
    key: str | None  # of the relation; None: the noun tells

    def __post_init__(self) -> None:
        slots = forms(self.subject, "user") if self.subject else forms("", "user")
        fixed = {name: text for name, text in slots.items() if self.subject or name not in ("s", "o", "p")}
        ending = "" if self.subject else r"\1"
        text = re.sub(r"\[(\w+)\]", ending, self.template)
        text = re.sub(r"\{(\w+)\}", lambda match: fixed.get(match[1], "\0"), text)
        text = text.lower().replace("favourite", "\0").replace("colour", "\0")
        self.anchor = max(text.split("\0"), key=len)

    @cached_property
    def pattern(self) -> re.Pattern[str]:
        return _pattern(self.template, self.subject, self.nouns)

    def match(self, sentence: str, lowered: str) -> re.Match[str] | None:
        return self.pattern.match(sentence) if self.anchor in lowered else None


@lru_cache(maxsize=1)
def _rules() -> tuple[_Rule, ...]:
    """Most specific first."""
    own: list[tuple[int, _Rule]] = []
    for relation in RELATIONS.values():
        nouns = (relation.noun, *relation.nouns)
        for subject in (relation.subjects,) if relation.family == "preference" else _subjects(relation):
            for template in (*relation.tells, *paraphrases.of(relation.key).statements(subject is None)):
                bonus = 100 if subject else 0  # "I live in" before "<name> lives in"
                own.append((bonus + _literal(template), _Rule(template, subject, nouns, relation.key)))
    own.sort(key=lambda rule: -rule[0])
    rules = [rule for _, rule in own]
    for template in _by_length((*TELL_ANY, *TELL_NAMED, *TELL_OWN)):
        for relation in RELATIONS.values():
            for subject in _subjects(relation):
                if (template in TELL_NAMED and subject) or (template in TELL_OWN and subject is None):
                    continue
                rules.append(_Rule(template, subject, (relation.noun, *relation.nouns), relation.key))
    bare = ("{s} is {v}", "{s} = {v}")
    for key in ("used_for", "means", "is"):
        rules += [_Rule(template, None, (), key) for template in _by_length(GENERIC[key][0]) if template not in bare]
    for template in _by_length(("{p} {n} = {v}", TELL_NOUN, *TELL_ANY, *TELL_NAMED, *TELL_OWN)):
        for subject in (ME, US, None, THE):
            if (template in TELL_NAMED and subject) or (template in TELL_OWN and subject in (None, THE)):
                continue
            if subject == THE and template == VALUE_FIRST:
                continue
            rules.append(_Rule(template, subject, None, None))
    rules += [_Rule(template, None, (), "is") for template in bare]
    return tuple(rules)


_NAMED_ME = re.compile(r"^(?:my name's|I am called|I am|this is) (?P<v>[A-Z][\w'-]*(?: [A-Z][\w'-]*){0,2})$")


def statements(text: str) -> list[str]:
    """The sentences of a message that may tell something: questions and empty ones left out, lead-ins taken off."""
    found = []
    for sentence in _SENTENCES.split(text.replace("’", "'")):
        sentence = sentence.strip()
        if not sentence or sentence.endswith("?") or len(sentence) > 400:
            continue
        for pattern, plain in _CONTRACTIONS:
            sentence = pattern.sub(plain, sentence)
        sentence = _TRAIL.sub("", _LEAD.sub("", re.sub(r"(?:(?<!\.)\.|!+)$", "", sentence))).strip()
        if sentence:
            found.append(sentence)
    return found


def _fact(match: re.Match[str], subject: str | None, key: str | None) -> Fact | None:
    groups = match.groupdict()
    value = groups["v"].strip().strip("\"`")
    name = subject or groups["s"].strip()
    if subject is None:
        words = name.split()
        if not words or len(words) > MAX_SUBJECT_WORDS or _NO_SUBJECT.match(name):
            return None
        if any(mark in name for mark in ",:;?"):
            return None
        if _NO_SUBJECT.match(words[0]) and words[0].lower() not in ("my", "our", "the", "one"):
            return None
        if words[0].lower() in ("my", "our", "the"):
            name = f"{words[0].lower()} {' '.join(words[1:])}"
    if not value or len(value) > MAX_VALUE_CHARACTERS:
        return None
    if key is None:
        noun = groups["n"].strip()
        if not noun or len(noun.split()) > MAX_SUBJECT_WORDS or any(mark in noun for mark in ",:;?"):
            return None
        relation = NOUNS.get(noun.lower())
        key = relation.key if relation and relation_of(name, relation.key) else noun
        if key in RELATIONS and relation is None and relation_of(name, key):
            return None  # "Mira's build is green": the noun is the key of a relation that means something else
    if key in ("is", "means"):
        value = re.sub(r"^(my|our) ", "your ", value, flags=re.IGNORECASE)  # as the assistant will say it
    return Fact(name, key, value)


def parse(text: str) -> list[Fact]:
    """Every fact read in what a user typed, in order; [] when nothing is recognised."""
    facts: list[Fact] = []
    for sentence in statements(text):
        named = _NAMED_ME.match(sentence)
        if named:
            facts.append(Fact(ME, "name", named["v"]))
            continue
        lowered = sentence.lower()
        for rule in _rules():
            match = rule.match(sentence, lowered)
            fact = _fact(match, rule.subject, rule.key) if match else None
            if fact:
                facts.append(fact)
                break
    return facts
