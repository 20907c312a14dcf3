"""How people ask: one question of the table in hundreds of shapes.

A model that has seen three wordings of a question knows three wordings. What it must learn is that whatever names the
subject and the relation asks for the same thing, so every question of :mod:`relations` is turned into an indirect one
("where Mira lives") and put into frames ("remind me where Mira lives"), its noun phrase ("Mira's city") into others;
:data:`INDIRECT` holds questions that name neither ("I want to visit Mira: which town do I drive to?").

Held-out wordings (``held_*`` in :mod:`relations`, the bench's bank) are not among them.
"""

from __future__ import annotations

import re
from functools import lru_cache

from nimllm.alignment.memory import paraphrases

# "where {do} {s} live" -> "where {s} live[s]": subject before verb, as in an indirect question
_INDIRECT: tuple[tuple[re.Pattern[str], str], ...] = tuple((re.compile(pattern), text) for pattern, text in (
    (r"\{do\} \{s\} have\b", "{s} {have}"),
    (r"\{do\} \{s\} do\b", "{s} do[es]"),
    (r"\{do\} \{s\} (\w+)", r"{s} \1[s]"),
    (r"\bdo(?:es)? (new versions of \{o\}|letters for \{o\}|questions about \{o\}|people|my friends|you|we|I)(?= )",
     r"\1"),
    (r"\bdoes \{s\} have\b", "{s} has"),
    (r"\bdid \{s\} (open)\b", r"{s} \1ed"),
    (r"\bdid \{s\} (elect)\b", r"{s} \1ed"),
    (r"\bdo(?:es)? people in \{s\} ", "people in {s} "),
    (r"\b(was|is) \{s\}", r"{s} \1"),
    (r"\bdoes (my \w+|\{s\}|the word \{s\}) (\w+)", r"\1 \2s"),
    (r"\bcan't \{s\}", "{s} can't"),
    (r"\bcan \{s\}", "{s} can"),
    (r"\bcan I\b", "I can"),
    (r"\bshould (you|I)\b", r"\1 should"),
    (r"\{(be|was)\} \{s\}", r"{s} {\1}"),
    (r"\bam I\b", "I am"),
    (r"^(what|how|when|who|where|which \w+|on which \w+|in which \w+) (is|are) "
     r"((?:the (?:name|meaning|logs|standup|staging|capital|currency)(?: of)? ?)?(?:\{[pso]\})?[\w' ]*?)"
     r"( called| named| like| done with here| short for| from| about)?$", r"\1 \3 \2\4"),
    (r"^(where) (is|are) (.*)$", r"\1 \3 \2"),
))
_DIRECT_ONLY = re.compile(r"^(?:do|does|can|could|have|is|are|tell|we|what's|what did|who or what|\{)\b|^\{")

# {q}: the indirect question
FRAMES = (
    "tell me {q}", "can you tell me {q}?", "could you tell me {q}?", "do you know {q}?", "do you remember {q}?",
    "I forgot {q}", "I have forgotten {q}", "remind me {q}", "can you remind me {q}?", "any idea {q}?",
    "I would like to know {q}", "I'd like to know {q}", "I want to know {q}", "I wonder {q}", "I was wondering {q}",
    "do you happen to know {q}?", "did I tell you {q}?", "have I mentioned {q}?", "let me know {q}",
    "I can't remember {q}", "I don't remember {q}", "I am not sure {q}", "somebody asked me {q}",
    "my boss asks me {q}", "refresh my memory: {q}?", "help me out: {q}?", "please say {q}", "would you tell me {q}?",
    "it slipped my mind {q}", "the form wants to know {q}", "I must write down {q}", "say {q}",
    "please tell me once more {q}", "you should know {q}", "I told you once {q}", "guess what I forgot: {q}",
    "are you able to say {q}?", "I never remember {q}", "answer me this: {q}?", "we were asked {q}",
    "before I go, {q}?", "one question: {q}?", "could you remind me {q}?", "who knows {q}?", "explain to me {q}",
    *paraphrases.frames()["question"],
)
# {x}: the noun phrase
NOUN_FRAMES = (
    "{x}?", "{x}", "{x}, please", "and {x}?", "what was {x}?", "what about {x}?", "I need {x}", "I want {x}",
    "can I have {x}?", "could I get {x}?", "find {x}", "name {x}", "what do you have for {x}?",
    "what do you have noted for {x}?", "what have I told you about {x}?", "what do you know about {x}?",
    "is {x} known to you?", "write {x}", "type out {x}", "print {x}", "I lost {x}", "do you have {x}?",
    "have you got {x}?", "spell out {x}", "hand me {x}", "what is written down for {x}?", "check {x}",
    "I can't recall {x}", "I don't have {x} at hand", "what would {x} be?", "please give me {x} again",
    "who remembers {x}?", "we need {x} now", "where did I put {x}? just tell me", "I am asking for {x}",
    "put {x} here:", "insert {x}", "list {x}", "just {x}", "only {x}, nothing else", "tell them {x}",
    "answer with {x}", "I'm looking for {x}", "what did I call {x}?", "it's about {x}", "somebody wants {x}",
    "my question is about {x}", "do we know {x}?", "please fill in {x}", "quick, {x}!",
    *paraphrases.frames()["noun"],
)
# {r}: an answer without its value
COMPLETIONS = (
    "{r}", "{r} ...", "{r} …", "{r} ___", "complete this: {r}", "finish the sentence: {r}", "so {r}", "as I said, {r}",
    "as you know, {r}", "I told you that {r}", "remember, {r}", "fill in the blank: {r} ___.", "continue: {r}",
    "we know that {r}", "and {r}", "it is true that {r}", "the sentence goes: {r}", "I am sure that {r}",
    *paraphrases.frames()["completion"],
)
# said before a question that it has nothing to do with
BEFORE = (
    "I am filling in a form.", "It's me again.", "I have a call in five minutes.", "Sorry to bother you.",
    "I am writing an email.", "My notes are gone.", "This is for the report.", "I was away for a week.",
    "My head is empty today.", "I'm on the train.", "We talked about it once.", "There was a mail about it.",
    "The new colleague wants to know.", "I have to fill a gap here.", "Quick one.", "Ok, next question.",
    "Let's test your memory.", "I am making a list.", "Another thing.", "I need your help.", "Back to work.",
    "You will know this.", "I promise it's the last question.", "It's late.", "I just came in.", "Coffee first.",
    "There's a meeting soon.", "I am preparing a talk.", "We are planning the week.", "I should know this.",
    *paraphrases.frames()["before"],
)
# no answer to them is ever told
NEGATED = (
    "what is not {x}?", "name something that is not {x}", "which one is surely not {x}?", "tell me what {x} is not",
    "what should I not give as {x}?", "{x} is not", "give me anything but {x}", "what can't be {x}?",
    "say a wrong {n} for {o}", "{x} isn't", "what is definitely not {x}?",
    "what would be wrong as {x}?",
)
NEGATED_ANSWER = "I can only say what is so, not what is not."

# {o}, {s}, {p} as in relations.py
INDIRECT: dict[str, tuple[str, ...]] = {
    "city": ("I want to visit {o}: which town do I drive to?", "where would a train to {p} place end?",
             "on a map, where do I look for {p} home?", "where do I go if I want to see {o} at home?"),
    "job": ("what do people pay {o} for?", "if {s} had a business card, what would it say?",
            "what keeps {o} busy from nine to five?", "which trade is {p}?"),
    "birthday": ("when do I bring {o} a cake?", "on which day do we sing for {o}?",
                 "I need a present for {o}: by when?", "which day of the year is {p} party?"),
    "pet": ("whom {do} {s} feed at home?", "which animal waits for {o} at home?", "what do I shout to call {p} pet?"),
    "dog": ("who barks when I ring at {p} door?", "what do I shout to call {p} dog?", "who is on {p} leash?"),
    "colour": ("I am buying a shirt for {o}: in which colour?", "in what colour should {p} door be?",
               "which paint do I take for {p} room?"),
    "food": ("{s} {be} hungry: what do I put on the table?", "which dish do I order for {o}?",
             "what is for dinner when {s} may choose?"),
    "drink": ("{s} {be} thirsty: what do I bring?", "what goes into {p} glass?", "what do I order for {o} at the bar?"),
    "editor": ("with which program {do} {s} write code?", "what do I install so that {s} can type?",
               "what is open on {p} screen all day?"),
    "coding": ("in which language would {s} solve it?", "what do I read to follow {p} programs?",
               "which compiler or interpreter {do} {s} want?"),
    "allergy": ("what must not be in {p} lunch?", "which thing makes {o} ill?",
                "what do I leave out when {s} come[s]?"),
    "partner": ("who comes along when {s} {be} invited for two?", "whom did {s} marry?",
                "whose ring {do} {s} wear?"),
    "street": ("what do I write on an envelope to {o}?", "at which door do I ring to see {o}?",
               "what do I tell the taxi driver to get to {p} house?"),
    "extension": ("I want to ring {o}: which digits do I press?", "how do I get {o} on the phone?",
                  "what number is on {p} phone?"),
    "hobby": ("what {do} {s} do on a free Sunday?", "what fills {p} weekends?", "which club would {s} join?"),
    "instrument": ("what {do} {s} bring to a concert?", "what is in {p} music case?", "what do I hear when {s} "
                   "practise[s]?"),
    "desk": ("I have a letter for {o} in the office: where do I put it?", "where is {p} chair?",
             "which seat do I walk to for {o}?"),
    "build": ("I changed the code of {o}: how do I make a new binary?", "what compiles {o}?",
              "which line goes into the build job of {o}?"),
    "test": ("I want to know whether {o} still works: what do I run?", "what do I run before I push to {o}?",
             "which line goes into the test job of {o}?"),
    "deploy": ("{s} {be} ready to go live: what do I run?", "how does {o} get onto the servers?",
               "which line rolls {o} out?"),
    "port": ("curl to {o} on localhost: which number comes after the colon?", "what do I open for {o} in the firewall "
             "rules?", "which number do I put into the url of {o}?"),
    "branch": ("I want to base my work on {o}: what do I check out?", "pull requests to {o} go against what?",
               "which branch of {o} is the one that counts?"),
    "owner": ("whom do I mail about {o}?", "who must approve a change to {o}?", "who gets the blame when {o} is down?"),
    "language": ("which compiler or interpreter do I need for {o}?", "I want to hack on {o}: what should I learn?",
                 "what are the source files of {o} made of?"),
    "licence": ("may I copy {o}? under what?", "what is in the LICENSE file of {o}?",
                "which legal text comes with {o}?"),
    "database": ("where do the records of {o} live?", "what do I back up for {o}?", "which server do the queries of "
                 "{o} go to?"),
    "release": ("when can I expect something new from {o}?", "by when must my change to {o} be in?",
                "which day do I mark in the calendar for {o}?"),
    "staging": ("where can I click through {o} before it goes live?", "which machine shows the next {o}?",
                "I want to show {o} to the customer: on which host?"),
    "logs": ("{s} crashed: where do I read why?", "which folder do I tail for {o}?",
             "where did {o} leave its messages?"),
    "channel": ("I have a question about {o}: where do I post it?", "where do the people of {o} chat?",
                "which channel do I mute to hear no more of {o}?"),
    "name": ("what do you call me?", "how should a letter to me begin?", "what is on my name tag?",
             "do you know who is talking to you?"),
    "prefer": ("you may choose for me: what do you take?", "what makes me smile?", "which one would I pick?"),
    "shell": ("what reads my commands?", "which program is behind my prompt?", "what does chsh say about me?"),
    "standup": ("when must I be awake for the team?", "at what time do we all meet?", "when does the daily begin?"),
    "folder": ("where do I cd to start working?", "where is my source code?", "into which folder do I clone things?"),
    "theme": ("how is my screen coloured?", "what do my windows look like?", "which colours do I stare at all day?"),
    "capital": ("in which city does the government of {o} sit?", "where is the parliament of {o}?"),
    "currency": ("what do I pay with in {o}?", "what do I get at a cash machine in {o}?"),
    "inventor": ("whose idea was {o}?", "who holds the patent for {o}?"),
    "author": ("who sat down and wrote {o}?", "whose name is on the cover of {o}?"),
    "founder": ("who started {o}?", "who was there on the first day of {o}?"),
    "founded": ("how old is {o}? since when does it exist?", "when did {o} open its doors?"),
    "spoken": ("in what tongue do I greet people in {o}?", "which dictionary do I pack for {o}?"),
    "river": ("on which water can I reach {o} by boat?", "what flows under the bridges of {o}?"),
    "mayor": ("who wears the chain in the town hall of {o}?", "who governs {o}?"),
    "height": ("how far up is the top of {o}?", "how many metres must I climb for {o}?"),
}


@lru_cache(maxsize=4096)
def indirect(template: str) -> str:
    """The indirect question of a direct one ("where {s} live[s]"); "" where the template is none."""
    if not template.endswith("?") or _DIRECT_ONLY.match(template):
        return ""
    text = template[:-1]
    for pattern, order in _INDIRECT:
        if (changed := pattern.sub(order, text)) != text:
            return changed
    return text


def noun_phrases(subject_is_name: bool) -> tuple[str, ...]:
    """Templates of what a question may be about."""
    return ("{p} {n}", "{p} {n}", "{p} {n}", "the {n} of {o}") if subject_is_name else ("{p} {n}",)
