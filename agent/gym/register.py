"""The casual register: what people's fingers do to a request, without touching the names in it.

About half of the requests stay as they were written. The others get one to three of: politeness, a greeting, a reason,
a last remark, dropped articles, contractions without apostrophe, abbreviations, small letters, odd punctuation, quotes
around names, double blanks, typos. Protected names, quoted text, and words that look like names are never changed.
"""

# ruff: noqa: SIM905 (word lists are read and edited as text)
from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence

CLEAN = 0.42  # of the requests; with the noise that finds nothing to do, half of them stay as they were
_COUNTS = ((1, 2, 3), (0.55, 0.3, 0.15))  # how many kinds of noise the others get
IMPERATIVES = frozenset(
    """
    add append align archive back build calculate change check cd clean clear collect combine commit compare
    compress compute concatenate convert copy count create cut decode decompress define delete diff display
    divide do drop duplicate echo edit empty encode enter erase extend extract fetch filter find fix format get
    give go grep group gunzip gzip hash hide highlight insert install join keep leave let link list locate look
    lock make mark measure merge mkdir move multiply name number open order output overwrite pack paste pick
    prefix prepend preview print pull put read rebuild relocate remove rename repair repeat replace reset
    restore retrieve reverse run save search set show skip sort split stage store strip substitute subtract sum
    swap switch symlink tag take tar tell throw tidy total touch translate trim truncate try turn undo unpack
    untar unzip update use wipe write zip""".split()
)
_UNLUCKY = frozenset({"count", "shift"})  # words that one lost letter makes rude
_QUESTIONS = frozenset(("what", "which", "how", "who", "whose", "where", "when", "why", "is", "are", "does", "do",
                        "did", "has", "have"))
_QUOTED = r"(?<!\w)'[^'\n]*'(?!\w)|\"[^\"\n]*\"|`[^`\n]*`"
# words with a sign or a digit inside or before them, in CAPITALS or camelCase: such a word can only be a name
_NAMELIKE = (r"(?<!\S)[(]?\S*[\d_/*\\$@#=<>|{}\[\]~^+%&]\S*|(?<!\S)[.-]\w\S*|\w+[.:-]\w[\w.:/-]*|"
             r"\b\w*[A-Z]\w*[A-Z]\w*\b|\b[a-z]+[A-Z]\w*\b")
_NEIGHBOURS = {"a": "sq", "b": "vn", "c": "xv", "d": "sf", "e": "wr", "f": "dg", "g": "fh", "h": "gj", "i": "uo",
               "j": "hk", "k": "jl", "l": "k", "m": "n", "n": "bm", "o": "ip", "p": "o", "q": "w", "r": "et", "s": "ad",
               "t": "ry", "u": "yi", "v": "cb", "w": "qe", "x": "zc", "y": "tu", "z": "x"}
_POLITE_BEFORE = ("please ", "please ", "pls ", "plz ", "can you ", "could you ", "can u ", "would you ",
                  "could you please ", "can you pls ", "I want to ", "I need to ", "I'd like to ", "I have to ",
                  "we need to ", "help me ", "help me to ", "now ", "go and ", "let's ", "you should ", "just ",
                  "kindly ")
_POLITE_AFTER = (" please", ", please", " pls", " plz", " for me", ", thanks", ", thx", " thx", ", ty", " now",
                 ", thank you", " asap", ", cheers", " if you can")
_GREETINGS = ("hi, ", "hi! ", "hey ", "hey, ", "hello, ", "hey there, ", "hi there, ", "good morning, ", "morning! ",
              "ok, ", "ok so ", "okay, ", "ok ", "so ", "so, ", "hmm, ", "um, ", "well, ", "alright, ", "right, ",
              "btw, ", "btw ", "quick one: ", "quick one, ", "quick task: ", "task: ", "todo: ", "next: ",
              "next one: ", "and now ", "one more: ", "one more thing: ", "another one: ", "also, ", "sorry, ",
              "sorry to bother you, ", "yo, ", "first, ", "then: ", "last one: ", "easy one: ", "favour: ",
              "small favour: ")
_ASKED_BEFORE = ("quick question: ", "question: ", "dumb question: ", "just wondering, ", "do you know ",
                 "any idea ", "can you tell me ", "tell me, ", "I wonder: ", "I was asked: ", "remind me, ")
_REASONS_BEFORE = ("for the report: ", "for a ticket: ", "for the standup: ", "before I forget: ", "for my notes: ",
                   "before the meeting: ", "I'm writing the docs. ", "we are cleaning up. ", "I'm new here. ",
                   "the customer wants to know. ", "got a ticket about this. ", "I am in a hurry: ",
                   "for the release: ", "I'm debugging something. ", "my colleague asked me for this: ",
                   "for the migration: ", "we have an audit tomorrow. ", "I'm preparing a talk. ",
                   "I always forget how: ")
_REASONS_AFTER = (", it's for the report", " for the report", ", I need it for a ticket", ", my boss wants it",
                  ", it's for the standup", " (for the release)", ", so that I can go on", ", before I leave",
                  ", so I can tell the team", ", as discussed", " - needed for the review", ", for the docs",
                  ", it has to be done today", ", because I keep forgetting how", ", the others are waiting",
                  ", since the deploy needs it", " (asking for a friend)")
_REMARKS = ("no need to explain.", "thanks!", "thanks", "thx!", "cheers", "that's all.", "it's urgent.", "no rush.",
            "I'm in a hurry.", "let me know.", "should be quick.", "I keep forgetting how.",
            "not sure how that is done.", "I did it by hand the last time.", "you know what I mean.",
            "hope that makes sense.", "nothing else.", "don't ask why.", "that's for later.",
            "we do this every week.", "I'm on the train, so be quick.", "sorry for the trouble.", "would be great.",
            "just do it.", "one command should do.")
_CONTRACTIONS = (("what is", "whats"), ("what's", "whats"), ("where is", "wheres"), ("who is", "whos"),
                 ("that is", "thats"), ("there is", "theres"), ("do not", "dont"), ("don't", "dont"),
                 ("does not", "doesnt"), ("cannot", "cant"), ("can't", "cant"), ("I would", "id"), ("I'd", "id"),
                 ("I'm", "im"), ("I am", "im"), ("are not", "arent"), ("is not", "isnt"), ("it is", "its"),
                 ("it's", "its"), ("let's", "lets"), ("I want to", "i wanna"), ("I need to", "i gotta"),
                 ("give me", "gimme"), ("going to", "gonna"), ("want to", "wanna"))
_SHORT = (("directory", "dir"), ("directories", "dirs"), ("folder", "dir"), ("folders", "dirs"), ("with", "w/"),
          ("without", "w/o"), ("please", "pls"), ("thanks", "thx"), ("you", "u"), ("your", "ur"), ("because", "bc"),
          ("number", "num"), ("characters", "chars"), ("character", "char"), ("document", "doc"), ("and", "&"),
          ("documents", "docs"), ("configuration", "config"), ("repository", "repo"), ("application", "app"),
          ("function", "func"), ("functions", "funcs"), ("environment", "env"), ("executable", "exec"),
          ("permissions", "perms"), ("information", "info"), ("temporary", "temp"), ("about", "abt"),
          ("people", "ppl"), ("previous", "prev"), ("minutes", "mins"), ("seconds", "secs"), ("maximum", "max"),
          ("minimum", "min"))

Piece = tuple[str, bool]  # text, and whether it must stay as it is


def pieces(text: str, protected: Sequence[str] = (), commands: Sequence[str] = ()) -> list[Piece]:
    """The text cut into what may be changed and what may not: protected names, quoted text, words that look like names,
    and words that the commands repeat."""
    said = {name for name in protected if name.strip()} | _arguments(commands)
    locks = [_QUOTED]
    for name in sorted(said, key=lambda name: (-len(name), name)):
        before, behind = (r"(?<!\w)" if name[0].isalnum() else ""), (r"(?!\w)" if name[-1].isalnum() else "")
        locks.append(before + re.escape(name) + behind)
    found: list[Piece] = []
    at = 0
    for match in re.finditer("|".join([*locks, _NAMELIKE]), text):
        if match.end() > match.start():
            found += [(text[at:match.start()], False), (match[0], True)]
            at = match.end()
    return [piece for piece in [*found, (text[at:], False)] if piece[0]]


def _arguments(commands: Sequence[str]) -> set[str]:
    """Words of the commands that are no programs: a request that says them means them."""
    found: set[str] = set()
    for command in commands:
        bare = re.sub(r"(^|[|;&(]\s*)[\w-]+", r"\1", command)
        found.update(re.findall(r"[A-Za-z]{2,}", bare))
    return found


def humanise(rng: random.Random, request: str, protected: tuple[str, ...] = (), commands: Sequence[str] = ()) -> str:
    """The request as people type it. ``protected`` substrings and what ``commands`` repeat stay as they are."""
    text = request
    free = len(text) > 1
    if free and rng.random() >= CLEAN:
        kinds, weights = zip(*_NOISES, strict=True)
        for noise in _drawn(rng, kinds, weights):
            text = noise(rng, text, protected, commands)
    if rng.random() < 0.4:
        text = _capital(text, protected, commands)
    if rng.random() < 0.2 and text[-1:].isalpha() and not (_asks(text) or _open(text, protected, commands)):
        text += "."
    return text


def _drawn(rng: random.Random, kinds: Sequence[Noise], weights: Sequence[float]) -> list[Noise]:
    """One to three kinds, in the order of the table: what adds sentences comes before what spoils letters."""
    wanted = rng.choices(*_COUNTS)[0]
    chosen: set[int] = set()
    while len(chosen) < wanted:
        chosen.add(rng.choices(range(len(kinds)), weights)[0])
    return [kinds[number] for number in sorted(chosen)]


def _asks(text: str) -> bool:
    return text.rstrip().endswith("?") or text.split(" ", 1)[0].lower() in _QUESTIONS


def _bare(text: str, protected: Sequence[str] = (), commands: Sequence[str] = ()) -> str:
    """Without the sign that ends the sentence; one that a name ends with stays."""
    last, locked = pieces(text, protected, commands)[-1]
    return text if locked or (last in ".?" and text[-2:-1] in " '\"`") else text.rstrip("?. ")


def _open(text: str, protected: Sequence[str], commands: Sequence[str]) -> bool:
    """Whether the text ends with words that are to be copied and stand in no quotes: nothing can follow them."""
    parts = [piece for piece in pieces(text, protected, commands) if piece[0].strip()]
    last, locked = parts[-1]
    if not locked or re.search(r"[\"'`]$|[\w)][./]\w", last):
        return False
    return " " in last or (len(parts) > 1 and parts[-2][1])


def _capital(text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    first = pieces(text, protected, commands)[:1]
    return text[0].upper() + text[1:] if first and not first[0][1] and re.match(r"\w+\W", text) else text


def _each(text: str, protected: Sequence[str], commands: Sequence[str], change: Callable[[str], str]) -> str:
    """The text with its free stretches changed."""
    return "".join(piece if locked else change(piece) for piece, locked in pieces(text, protected, commands))


# ---- the kinds of noise; each (rng, text, protected, commands) -> text

Noise = Callable[[random.Random, str, Sequence[str], Sequence[str]], str]


def _politely(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    if text.split(" ", 1)[0].lower() in IMPERATIVES and rng.random() < 0.65:
        before = rng.choice(_POLITE_BEFORE)
        asked = before.startswith(("can", "could", "would"))
        if asked and not _open(text, protected, commands):
            return before + _bare(text, protected, commands) + rng.choice(("?", "", "?", " ?"))
        return before + text
    if _open(text, protected, commands):
        return text
    return _bare(text, protected, commands) + rng.choice(_POLITE_AFTER)


def _greeting(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    before = rng.choice(_ASKED_BEFORE) if _asks(text) and rng.random() < 0.4 else rng.choice(_GREETINGS)
    return before + text


def _reason(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    if rng.random() < 0.5 or _asks(text) or _open(text, protected, commands):
        return rng.choice(_REASONS_BEFORE) + text
    return _bare(text, protected, commands) + rng.choice(_REASONS_AFTER)


def _remark(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    said = rng.choice(_REMARKS)
    if _open(text, protected, commands):
        return text
    if text[-1] in "?!":
        return f"{text} {said}"
    return _bare(text, protected, commands) + rng.choice((". ", ". ", " - ", ", ", "... ")) + said


def _articles(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    return _each(text, protected, commands, lambda free: re.sub(
        r"(?<![\w'-])(?:the |(?:a|an|my|our) (?=[a-z]{3,}))", "", free))


def _contracted(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    def change(free: str) -> str:
        for long, short in _CONTRACTIONS:
            free = re.sub(rf"(?<![\w-]){long}(?![\w'-])", short, free, flags=re.IGNORECASE)
        return re.sub(r"(?<![\w'])I(?![\w'])", "i", free)

    return _each(text, protected, commands, change)


def _abbreviated(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    share = rng.choice((0.5, 1.0))
    return _each(text, protected, commands, lambda free: re.sub(
        r"(?<![\w'-])[a-z]+(?![\w'-])",
        lambda word: dict(_SHORT)[word[0]] if word[0] in dict(_SHORT) and rng.random() < share else word[0], free))


def _small(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    return _each(text, protected, commands, lambda free: re.sub(r"(?<=\w),? (?=and )", " ", free.lower()))


def _punctuated(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    bare = _bare(text, protected, commands)
    if _open(text, protected, commands):
        return text
    if text.endswith("?"):
        return bare + rng.choice(("", "", "??", " ?", "?!", "..."))
    return bare + rng.choice(("...", "..", "!", " !", "!!", ":", " :)", " ..."))


def _in_quotes(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    """Quotes around the names that can be nothing else."""
    mark, share = rng.choice(("`", "`", "'", '"', "“")), rng.choice((0.5, 1.0))
    names = [name for name in protected if len(name) > 1 and re.search(r"[\w)][./_ -]\w|\.\w|\d.*\w", name)
             and not re.search(r"\*.* ", name)]
    parts = pieces(text, protected, commands)
    made = ""
    for number, (piece, locked) in enumerate(parts):
        alone = (not made or made[-1] in " (") and (number + 1 == len(parts) or parts[number + 1][0][0] in " ,.:;?!)")
        if locked and piece in names and alone and mark not in piece and rng.random() <= share:
            piece = f"{mark}{piece}{'”' if mark == '“' else mark}"
        made += piece
    return made


def _blanks(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    def change(free: str) -> str:
        places = [match.start() for match in re.finditer(r"(?<=[a-z]) (?=[a-z])", free)]
        if not places or rng.random() < 0.3:
            return free
        at = rng.choice(places)
        return free[:at] + " " + free[at:]

    return _each(text, protected, commands, change) + rng.choice(("", "", " "))


def _typo(rng: random.Random, text: str, protected: Sequence[str], commands: Sequence[str]) -> str:
    """One wrong word, now and then two."""
    for _ in range(rng.choice((1, 1, 1, 1, 2))):
        parts = pieces(text, protected, commands)
        spots = [(number, match) for number, (piece, locked) in enumerate(parts) if not locked
                 for match in re.finditer(r"(?<![\w'./-])[a-z]{4,}(?![\w'/-])", piece) if match[0] not in _UNLUCKY]
        if not spots:
            break
        number, match = rng.choice(spots)
        piece = parts[number][0]
        parts[number] = piece[:match.start()] + _mistyped(rng, match[0]) + piece[match.end():], False
        text = "".join(piece for piece, _ in parts)
    return text


def _mistyped(rng: random.Random, word: str) -> str:
    cut = rng.randrange(1, len(word) - 1)
    kind = rng.random()
    if kind < 0.35:
        return word[:cut] + word[cut + 1:]
    if kind < 0.7:
        return word[:cut] + word[cut + 1] + word[cut] + word[cut + 2:]
    if kind < 0.85:
        return word[:cut] + word[cut] + word[cut:]
    return word[:cut] + rng.choice(_NEIGHBOURS[word[cut]]) + word[cut + 1:]


_NOISES: tuple[tuple[Noise, float], ...] = (
    (_reason, 1.5), (_politely, 3.0), (_greeting, 1.6), (_remark, 1.1), (_articles, 2.0), (_contracted, 1.2),
    (_abbreviated, 1.3), (_small, 1.6), (_in_quotes, 1.6), (_typo, 1.5), (_punctuated, 1.0), (_blanks, 0.5))
