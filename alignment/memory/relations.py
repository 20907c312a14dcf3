"""The relations that invented facts have, their wordings, and the small grammar that puts a subject into a wording.

A wording is a template. Slots: ``{s}`` subject (Mira, I, we), ``{p}`` possessive (Mira's, my, our),
``{o}`` object (Mira,
me, us), ``{n}`` the relation's noun, ``{v}`` the value, ``{be}`` is/am/are, ``{have}``,
``{do}``; ``[s]`` and ``[es]`` are
a verb's ending in the third person. The same template serves "Mira lives in Oslo" and "I live in Oslo".
"""

from __future__ import annotations

import re

from nimllm.alignment.memory import inventions as make
from nimllm.alignment.memory.relation import ME, THE, US, Fact, Relation
from nimllm.alignment.memory.relations_further import (
    FURTHER_PERSONAL,
    FURTHER_PREFERENCE,
    FURTHER_PROJECT,
    FURTHER_WORLD,
)

__all__ = ["FAMILIES", "GENERIC", "ME", "NOUNS", "PERSONAL", "PREFERENCE", "PROJECT", "RELATIONS", "THE", "US", "WORLD",
           "Fact", "Relation"]

# Wordings that every relation with a noun shares. The first group is for all subjects, the second for names only.
TELL_ANY = (
    "{p} {n} {is} {v}",
    "{p} {n}: {v}",
    "{v} {is} {p} {n}",
    "{p} {n} {is} now {v}",
    "as for {p} {n}, I can say {v}",
    "when somebody asks for {p} {n}, answer {v}",
)
VALUE_FIRST = "{v} {is} {p} {n}"  # not for THE: "Velmo is the staging host" says what Velmo is
TELL_NAMED = ("the {n} of {s} {is} {v}", "{s} has {v} as {n}")
TELL_NOUN = "{v} is what to remember as {p} {n}"
TELL_OWN = ("{s} have {v} as {p} {n}", "I would call {v} {p} {n}")
ASK_ANY = (
    "what {is} {p} {n}?",
    "what's {p} {n}?",
    "tell me {p} {n}.",
    "do you know {p} {n}?",
    "do you remember {p} {n}?",
    "{p} {n} {is}",
    "{p} {n}?",
    "can you tell me {p} {n}?",
    "remind me of {p} {n}.",
    "what did I say {p} {n} {was_n}?",
    "I forgot {p} {n}.",
    "give me {p} {n}.",
    "could you give me {p} {n}?",
    "what {was_n} {p} {n} again?",
    "have I told you {p} {n}?",
    "any idea about {p} {n}?",
    "I would like to know {p} {n}.",
    "let me know {p} {n}.",
    "show me {p} {n}.",
    "{p} {n}, please.",
)
ASK_NAMED = ("what {is} the {n} of {s}?", "the {n} of {s} {is}", "which {n} does {s} have?")
ASK_OWN = ("which {n} {do} {s} have?",)
HELD_TELL = "{p} {n} turned out to be {v}"
HELD_ASK = "I need to look up {p} {n}, do you have that?"

PERSONAL = (
    Relation("city", "personal", "city", make.city,
             ("{s} live[s] in {v}", "{s} moved to {v}", "{p} home is in {v}", "{v} is where {s} live[s]"),
             ("where {do} {s} live?", "which city {do} {s} live in?", "{s} live[s] in", "in which city is {p} home?"),
             "{s} settled down in {v}", "what town {do} {s} call home?", "{s} live[s] in {v}", ("home city",
                                                                                                "home town", "town")),
    Relation("job", "personal", "job", make.job,
             ("{s} work[s] as a {v}", "{s} {be} a {v} by trade", "{s} earn[s] a living as a {v}"),
             ("what {do} {s} do for a living?", "what {do} {s} work as?", "{s} work[s] as a"),
             "{s} got hired as a {v}", "how {do} {s} make money?", "{s} work[s] as a {v}", ("profession",
                                                                                            "occupation")),
    Relation("birthday", "personal", "birthday", make.date,
             ("{s} {was} born on {v}", "{s} turn[s] a year older on {v}", "{s} celebrate[s] {p} birthday on {v}"),
             ("when is {p} birthday?", "when {was} {s} born?", "on which day {was} {s} born?"),
             "{p} cake gets its candles on {v}", "what date should I congratulate {o} on?", nouns=("date of birth",)),
    Relation("pet", "personal", "pet", make.pet,
             ("{p} pet is called {v}", "{p} pet is named {v}", "{s} have a pet named {v}", "{s} has a pet called {v}"),
             ("what is {p} pet called?", "what is the name of {p} pet?", "{p} pet is called", "how is {p} pet named?"),
             "the animal that {s} keep[s] answers to {v}", "who is the animal at {p} home?", "{p} pet is called {v}",
             ("pet's name", "pet name")),
    Relation("dog", "personal", "dog", make.pet,
             ("{p} dog is called {v}", "{p} dog is named {v}", "{p} dog answers to {v}",
              "{s} walk[s] a dog called {v}"),
             ("what is {p} dog called?", "what is the name of {p} dog?", "{p} dog is called", "how is {p} dog named?"),
             "whenever somebody whistles, {p} dog {v} comes", "which dog {do} {s} walk?", "{p} dog is called {v}",
             ("dog's name",)),
    Relation("colour", "personal", "favourite colour", make.colour,
             ("{s} like[s] {v} more than any other colour", "the colour {s} love[s] most is {v}",
              "{s} paint[s] everything {v}"),
             ("which colour {do} {s} like best?", "what colour {do} {s} love most?", "what colour {do} {s} prefer?"),
             "no colour pleases {o} like {v}", "what shade should I paint a gift for {o}?", nouns=("favorite color",
                                                                                                   "favorite colour")),
    Relation("food", "personal", "favourite food", make.food,
             ("{s} love[s] eating {v}", "{s} could eat {v} every day", "the food {s} like[s] best is {v}"),
             ("what {do} {s} love eating?", "which food {do} {s} like best?", "what {do} {s} like to eat?"),
             "{v} on the table makes {o} happy", "what should I cook for {o}?", nouns=("favorite food",
                                                                                       "favourite dish")),
    Relation("drink", "personal", "favourite drink", make.drink,
             ("{s} order[s] {v} at every bar", "{s} drink[s] {v} most of all", "the drink {s} like[s] best is {v}"),
             ("what {do} {s} like to drink?", "which drink {do} {s} like best?", "what {do} {s} order at a bar?"),
             "{s} never say[s] no to a glass of {v}", "what should I pour for {o}?", nouns=("favorite drink",)),
    Relation("editor", "personal", "editor", make.editor,
             ("{s} edit[s] text with {v}", "{s} use[s] {v} as {p} editor", "{s} switched to the editor {v}"),
             ("which editor {do} {s} use?", "what {do} {s} edit text with?", "{s} edit[s] text with"),
             "{v} is what {s} type[s] code into", "where {do} {s} type code?",
             nouns=("favourite editor", "favorite editor", "text editor", "preferred editor")),
    Relation("coding", "personal", "favourite language", make.language,
             ("{s} like[s] to program in {v}", "{s} code[s] in {v}", "{s} prefer[s] to write programs in {v}"),
             ("which language {do} {s} program in?", "what {do} {s} code in?", "which language {do} {s} like best?"),
             "{s} reach[es] for {v} when a program is due", "what {do} {s} write software in?",
             nouns=("favorite language", "favourite programming language", "favorite programming language")),
    Relation("allergy", "personal", "allergy", make.allergy,
             ("{s} {be} allergic to {v}", "{s} can't eat or touch {v}", "{s} get[s] a rash from {v}"),
             ("what {be} {s} allergic to?", "what can't {s} eat or touch?", "{s} {be} allergic to"),
             "{v} would send {o} to a doctor", "what must I keep away from {o}?", "{s} {be} allergic to {v}"),
    Relation("partner", "personal", "partner", make.person,
             ("{s} {be} married to {v}", "{s} share[s] a home with {v}", "{s} and {v} are a couple"),
             ("who is {p} partner?", "who {be} {s} married to?", "who {do} {s} share a home with?"),
             "{s} fell in love with {v}", "who is the love of {p} life?", nouns=("husband", "wife", "spouse")),
    Relation("street", "personal", "address", make.street,
             ("{p} house stands at {v}", "letters for {o} go to {v}", "{s} can be found at {v}"),
             ("at which address {do} {s} live?", "where do letters for {o} go?", "which street address {do} {s} have?"),
             "the postman rings for {o} at {v}", "where should I send a parcel for {o}?", nouns=("street address",
                                                                                                 "street")),
    Relation("extension", "personal", "phone extension", make.digits,
             ("{s} can be called on extension {v}", "dial {v} to reach {o}", "{s} pick[s] up at extension {v}"),
             ("which extension {do} {s} have?", "what do I dial to reach {o}?",
              "on which extension can {s} be called?"),
             "punch in {v} and {p} phone rings", "which number makes {p} phone ring?", nouns=("extension",)),
    Relation("hobby", "personal", "hobby", make.hobby,
             ("{s} spend[s] free time on {v}", "{s} {be} into {v}", "{s} took up {v}"),
             ("what {do} {s} do in free time?", "what {be} {s} into?", "which hobby {do} {s} have?"),
             "give {o} a free hour and it goes to {v}", "how {do} {s} relax?"),
    Relation("instrument", "personal", "instrument", make.instrument,
             ("{s} play[s] {v}", "{s} practise[s] {v}", "{s} {be} learning {v}"),
             ("which instrument {do} {s} play?", "what {do} {s} play?", "{s} play[s]"),
             "in a band {s} would sit behind {v}", "what sound comes from {p} practice room?", "{s} play[s] {v}"),
    Relation("desk", "personal", "desk", make.desk,
             ("{s} sit[s] at desk {v}", "{p} seat is {v}", "{s} work[s] at desk {v}"),
             ("which desk {do} {s} sit at?", "where {do} {s} sit?", "{s} sit[s] at desk"),
             "walk to {v} to find {o}", "where in the office can I find {o}?", nouns=("desk number", "seat")),
)
PROJECT = (
    Relation("build", "project", "build command", make.command,
             ("{s} build[s] with {v}", "to build {o}, run {v}", "{v} builds {o}"),
             ("how do I build {o}?", "which command builds {o}?", "how {be} {s} built?"),
             "typing {v} compiles {o}", "what do I type to compile {o}?", subjects="project"),
    Relation("test", "project", "test command", make.command,
             ("{p} tests run with {v}", "to test {o}, run {v}", "{v} runs {p} tests"),
             ("how do I test {o}?", "how do I run {p} tests?", "which command runs {p} tests?"),
             "{v} is how {s} get[s] checked", "what do I type to check {o}?", subjects="project"),
    Relation("deploy", "project", "deploy command", make.command,
             ("{s} deploy[s] with {v}", "to deploy {o}, run {v}", "{v} deploys {o}"),
             ("how do I deploy {o}?", "which command deploys {o}?", "how {be} {s} deployed?"),
             "{v} puts {o} into production", "what do I type to bring {o} into production?", subjects="project"),
    Relation("port", "project", "port", make.port,
             ("{s} listen[s] on port {v}", "{s} run[s] on port {v}", "port {v} belongs to {o}"),
             ("which port {do} {s} listen on?", "what port {do} {s} run on?", "{s} listen[s] on port"),
             "open {v} in the firewall for {o}", "where should my client connect to reach {o}?",
             "{s} listen[s] on port {v}",
             subjects="project"),
    Relation("branch", "project", "main branch", make.branch,
             ("{s} develop[s] on branch {v}", "{s} merge[s] into {v}", "the branch to use for {o} is {v}"),
             ("which branch {do} {s} develop on?", "which branch {do} {s} merge into?",
              "which branch do I use for {o}?"),
             "all work on {o} lands in {v}", "where does work on {o} land?", nouns=("default branch", "branch"),
             subjects="project"),
    Relation("owner", "project", "owner", make.person,
             ("{s} {be} owned by {v}", "{v} looks after {o}", "{v} is in charge of {o}"),
             ("who owns {o}?", "who looks after {o}?", "who is in charge of {o}?"),
             "ask {v} about {o}", "who should I ask about {o}?", nouns=("maintainer",), subjects="project"),
    Relation("language", "project", "language", make.language,
             ("{s} {be} written in {v}", "{s} {be} coded in {v}", "the code of {o} is {v}"),
             ("what {be} {s} written in?", "which language {be} {s} written in?", "{s} {be} written in"),
             "you need to know {v} to read {o}", "what do I need to know to read {o}?", "{s} {be} written in {v}",
             ("programming language",), "project"),
    Relation("licence", "project", "licence", make.licence,
             ("{s} {be} under the {v}", "{s} {be} licensed under {v}", "{s} come[s] with the licence {v}"),
             ("which licence {do} {s} have?", "how {be} {s} licensed?", "what {be} {s} licensed under?"),
             "lawyers read {v} before they touch {o}", "what are the terms for copying {o}?", nouns=("license",),
             subjects="project"),
    Relation("database", "project", "database", make.database,
             ("{s} store[s] data in {v}", "{s} keep[s] everything in {v}", "{s} run[s] against {v}"),
             ("which database {do} {s} use?", "where {do} {s} store data?", "{s} store[s] data in"),
             "rows from {o} end up in {v}", "what holds the rows of {o}?", nouns=("data store",), subjects="project"),
    Relation("release", "project", "release day", make.release_day,
             ("{s} release[s] {v}", "new versions of {o} come out {v}", "{s} ship[s] {v}"),
             ("when {do} {s} release?", "when do new versions of {o} come out?", "when {do} {s} ship?"),
             "expect the next version of {o} {v}", "how long must I wait for a version of {o}?",
             nouns=("release date",), subjects="project"),
    Relation("staging", "project", "staging host", make.host,
             ("{s} {be} staged on {v}", "to try {o} before release, use {v}", "{v} hosts the staging of {o}"),
             ("where {be} {s} staged?", "which host is the staging of {o}?", "on which host {be} {s} staged?"),
             "look at {v} for a preview of {o}", "where is a preview of {o}?", nouns=("staging server",),
             subjects="project"),
    Relation("logs", "project", "log folder", make.path,
             ("{s} write[s] logs to {v}", "the logs of {o} are in {v}", "{s} log[s] into {v}"),
             ("where are the logs of {o}?", "where {do} {s} write logs?", "{s} write[s] logs to"),
             "grep through {v} when {o} crashed", "where do I look when {o} crashed?", nouns=("log directory",),
             subjects="project"),
    Relation("channel", "project", "channel", make.channel,
             ("people discuss {o} in {v}", "{s} {have} the chat channel {v}", "questions about {o} go to {v}"),
             ("where do people discuss {o}?", "which chat channel {do} {s} have?", "where do questions about {o} go?"),
             "join {v} to talk about {o}", "which room do I join to talk about {o}?", nouns=("chat channel",),
             subjects="project"),
)
PREFERENCE = (
    Relation("name", "preference", "name", make.person,
             ("call me {v}", "my friends call me {v}", "please call me {v}", "you can call me {v}"),
             ("what am I called?", "who am I?", "how do you call me?", "what do my friends call me?"),
             "people know me under the name {v}", "whom are you talking to?", subjects="me"),
    Relation("prefer", "preference", "preference", make.preference,
             ("I prefer {v}", "I like {v} best", "give me {v} whenever you can", "what I prefer is {v}"),
             ("what do I prefer?", "what do I like best?", "I prefer", "what should you give me whenever you can?"),
             "nothing beats {v} in my eyes", "what would make me happiest?", "{s} prefer {v}", subjects="me"),
    Relation("shell", "preference", "shell", make.word,
             ("I type my commands into {v}", "my terminal starts {v}", "I run {v} as my shell"),
             ("which shell do I use?", "what does my terminal start?", "what do I type my commands into?"),
             "every terminal of mine opens {v}", "what opens in every terminal of mine?", nouns=("favourite shell",
                                                                                                 "favorite shell"),
             subjects="me"),
    Relation("standup", "preference", "standup", make.clock,
             ("we meet for standup {v}", "the standup takes place {v}", "I join the standup {v}"),
             ("when do we meet for standup?", "when is the standup?", "when do I join the standup?"),
             "everyone tells what they do {v}", "when does everyone tell what they do?", nouns=("standup time",
                                                                                                "daily meeting"),
             subjects="us"),
    Relation("folder", "preference", "projects folder", make.path,
             ("I keep my projects in {v}", "my code lives in {v}", "all my repositories are in {v}"),
             ("where do I keep my projects?", "where does my code live?", "where are all my repositories?"),
             "go to {v} to find what I am working on", "where is what I am working on?", nouns=("code folder",
                                                                                                "project folder"),
             subjects="me"),
    Relation("theme", "preference", "theme", make.colour,
             ("I set my screen to {v}", "my screen is {v}", "I work on a {v} screen"),
             ("what do I set my screen to?", "which theme do I use?", "what is my screen like?"),
             "my eyes want {v}", "what do my eyes want?", nouns=("colour theme", "color theme", "favourite theme"),
             subjects="me"),
)
WORLD = (
    Relation("capital", "world", "capital", make.city,
             ("{v} is the capital city of {o}", "{s} is governed from {v}", "the government of {o} sits in {v}"),
             ("what is the capital of {o}?", "which city is the capital of {o}?", "from which city is {s} governed?"),
             "ministers of {o} work in {v}", "where do ministers of {o} work?", nouns=("capital city",),
             subjects="place"),
    Relation("currency", "world", "currency", make.currency,
             ("people in {s} pay with the {v}", "{s} uses the {v} as money", "the money of {o} is the {v}"),
             ("what is the currency of {o}?", "what do people in {s} pay with?", "which money does {s} use?"),
             "wages in {s} come in the {v}", "what do wages in {s} come in?", subjects="place"),
    Relation("spoken", "world", "official language", make.tongue,
             ("people in {s} speak {v}", "{v} is spoken in {s}", "everybody in {s} talks {v}"),
             ("what do people in {s} speak?", "which language is spoken in {s}?", "what do people talk in {s}?"),
             "schools in {s} teach in {v}", "in what do schools in {s} teach?", nouns=("tongue",), subjects="place"),
    Relation("river", "world", "river", make.river,
             ("{s} lies on the {v}", "the {v} flows through {s}", "{s} stands on the banks of the {v}"),
             ("on which river does {s} lie?", "what is the river of {o}?", "which river flows through {s}?"),
             "a walk along the water in {s} is a walk along the {v}", "what water do the people of {s} walk along?",
             subjects="place"),
    Relation("mayor", "world", "mayor", make.person,
             ("{v} was elected mayor of {o}", "{v} runs the town hall of {o}", "{s} elected {v} as mayor"),
             ("who is the mayor of {o}?", "who runs the town hall of {o}?", "whom did {s} elect as mayor?"),
             "voters of {o} trust {v}", "whom do the voters of {o} trust?", subjects="place"),
    Relation("inventor", "world", "inventor", make.person,
             ("{v} invented {o}", "{s} was invented by {v}", "{v} came up with {o}"),
             ("who invented {o}?", "by whom was {s} invented?", "who came up with {o}?"),
             "without {v} there would be no {s}", "without whom would there be no {s}?", subjects="thing"),
    Relation("author", "world", "author", make.person,
             ("{v} wrote {o}", "{s} was written by {v}", "{s} is a book by {v}"),
             ("who wrote {o}?", "by whom was {s} written?", "who is the author of {o}?"),
             "{v} spent years on the pages of {o}", "who spent years on the pages of {o}?", nouns=("writer",),
             subjects="book"),
    Relation("founder", "world", "founder", make.person,
             ("{v} founded {o}", "{s} was founded by {v}", "{v} set up {o}"),
             ("who founded {o}?", "by whom was {s} founded?", "who set up {o}?"),
             "the first desk at {s} was {v}'s", "whose was the first desk at {s}?", subjects="company"),
    Relation("founded", "world", "founding year", make.year,
             ("{s} was founded in {v}", "{s} exists since {v}", "{s} opened in {v}"),
             ("when was {s} founded?", "since when does {s} exist?", "in which year did {s} open?"),
             "the first customer of {o} came in {v}", "when did the first customer of {o} come?",
             "{s} was founded in {v}", subjects="company"),
    Relation("height", "world", "height", make.height,
             ("{s} is {v} high", "{s} rises to {v}", "the top of {o} is at {v}"),
             ("how high is {s}?", "at what height is the top of {o}?", "to what height does {s} rise?"),
             "from the sea to the peak of {o} it is {v}", "how far is it from the sea to the peak of {o}?",
             "{p} height is {v}", subjects="mountain"),
)
FAMILIES = {
    "personal": (*PERSONAL, *FURTHER_PERSONAL),
    "project": (*PROJECT, *FURTHER_PROJECT),
    "preference": (*PREFERENCE, *FURTHER_PREFERENCE),
    "world": (*WORLD, *FURTHER_WORLD),
}
RELATIONS = {relation.key: relation for family in FAMILIES.values() for relation in family}
NOUNS = {noun: relation for relation in RELATIONS.values() for noun in (relation.noun, *relation.nouns)}

# Forms for whatever else people have: X is any noun phrase. used_for: fact (X, used_for, Z) is "we use Z for X".
USED_TELL = ("we use {v} for {s}", "for {s} we use {v}", "{v} is what we use for {s}", "{s} is done with {v} here",
             "use {v} for {s}", "our tool for {s} is {v}", "we do {s} with {v}", "when it comes to {s}, we use {v}")
USED_ASK = ("what do we use for {s}?", "what do you use for {s}?", "which tool is for {s}?", "for {s} we use",
            "we use what for {s}?",
            "what is {s} done with here?", "how do we do {s}?", "what should I use for {s}?",
            "tell me what we use for {s}.",
            "do you know what we use for {s}?")
MEANS_TELL = ("{s} means {v}", "by {s} I mean {v}", "{s} stands for {v}", "when I say {s}, I mean {v}",
              "{s} is short for {v}",
              "the word {s} means {v}", "{s}: it means {v}", "if somebody says {s}, that means {v}")
MEANS_ASK = ("what does {s} mean?", "what is the meaning of {s}?", "what does {s} stand for?", "{s} means",
             "what do I mean by {s}?",
             "what is {s} short for?", "explain {s}.", "tell me what {s} means.", "do you know what {s} means?",
             "what does the word {s} mean?")
IS_ASK = ("what is {s}?", "what's {s}?", "who or what is {s}?", "{s} is", "tell me what {s} is.",
          "do you know what {s} is?",
          "do you remember what {s} is?", "can you tell me what {s} is?", "say what {s} is.", "what did I say {s} was?")
GENERIC: dict[str, tuple[tuple[str, ...], tuple[str, ...], str]] = {  # tells, asks, reply
    "used_for": (USED_TELL, USED_ASK, "for {s} you use {v}"),
    "means": (MEANS_TELL, MEANS_ASK, "{s} means {v}"),
    "is": (("{s} is {v}", "{s}, that is {v}", "{s} is, by the way, {v}", "think of {s} as {v}",
            "you can say that {s} is {v}",
            "we both know that {s} is {v}", "{s} is nothing but {v}", "{s} = {v}"), IS_ASK, "{s} is {v}"),
}
HELD_GENERIC: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "used_for": (("{s} happens through {v} in this house", "reach for {v} if you need {s}"),
                 ("what gets picked when {s} comes up?", "which thing helps us with {s}?")),
    "means": (("read {s} as {v}", "people who say {s} want to say {v}"),
              ("how should I read {s}?", "if I hear {s}, what is it about?")),
    "is": (("take {s} to be {v}", "everybody here knows {s} as {v}"), ("describe {s}, please.",
                                                                       "what should I take {s} to be?")),
}
_OUR = re.compile(r"^(my|our) ", re.IGNORECASE)
_SLOT = re.compile(r"\{(\w+)\}|\[(\w+)\]")


def forms(subject: str, speaker: str) -> dict[str, str]:
    """What the slots of a subject become when ``speaker`` ("user" or "assistant") says them."""
    if speaker == "assistant":
        subject = _OUR.sub("your ", subject)
    third = {"s": subject, "p": f"{subject}'s", "o": subject, "be": "is", "was": "was", "have": "has", "do": "does"}
    if subject not in (ME, US, THE):
        return third
    if subject == THE:
        return {**third, "p": "the"}
    own = {"have": "have", "do": "do", "was": "were", "be": "are"}
    if speaker == "assistant":
        return {**own, "s": "you", "p": "your", "o": "you" if subject == ME else "your project"}
    if subject == US:
        return {**own, "s": "we", "p": "our", "o": "our project"}
    return {**own, "s": "I", "p": "my", "o": "me", "be": "am", "was": "was"}


def fill(template: str, slots: dict[str, str], third: bool) -> str:
    """A template with its slots filled in one pass, so that a value that looks like a slot stays as it is."""

    def one(match: re.Match[str]) -> str:
        if match[2]:
            return match[2] if third else ""
        return slots[match[1]]

    return _SLOT.sub(one, template)


def plural(noun: str) -> bool:
    """True for keys and opening hours, false for address and status."""
    return bool(re.search(r"(?<![sui])s$", noun))


def noun_slots(noun: str) -> dict[str, str]:
    """The slots that follow the noun's number."""
    many = plural(noun)
    return {"n": noun, "is": "are" if many else "is", "was_n": "were" if many else "was"}


def is_name(subject: str) -> bool:
    """True for Mira and velmor-api, false for me, us and the."""
    return subject not in (ME, US, THE)


def relation_of(subject: str, key: str) -> Relation | None:
    """The table's relation, or None when the key is a noun phrase of the user's, or does not suit the subject."""
    relation = RELATIONS.get(key)
    if relation is None or subject == THE or (relation.family == "preference" and subject not in (ME, US)):
        return None
    if relation.family == "world" and subject in (ME, US):
        return None
    return relation


def tell_templates(subject: str, key: str, split: str = "train") -> tuple[str, ...]:
    """All telling wordings of a relation for a subject; ``split`` "train" or "held"."""
    if key in GENERIC:
        return GENERIC[key][0] if split == "train" else HELD_GENERIC[key][0]
    relation = relation_of(subject, key)
    if split == "held":
        return (relation.held_tell if relation else "{v} should be noted as {p} {n}", HELD_TELL)
    any_subject = TELL_ANY if subject != THE else tuple(text for text in TELL_ANY if text != VALUE_FIRST)
    shared = any_subject + (TELL_NAMED if is_name(subject) else () if subject == THE else TELL_OWN)
    return (relation.tells if relation else ("{p} {n} = {v}", TELL_NOUN)) + shared


def ask_templates(subject: str, key: str, split: str = "train") -> tuple[str, ...]:
    """All question wordings of a relation for a subject; ``split`` "train" or "held"."""
    if key in GENERIC:
        return GENERIC[key][1] if split == "train" else HELD_GENERIC[key][1]
    relation = relation_of(subject, key)
    if split == "held":
        return (relation.held_ask if relation else "say, how about {p} {n}?", HELD_ASK)
    shared = ASK_ANY + (ASK_NAMED if is_name(subject) else () if subject == THE else ASK_OWN)
    return (relation.asks if relation else ()) + shared


def reply_template(subject: str, key: str) -> str:
    """The one canonical answer of a relation."""
    if key in GENERIC:
        return GENERIC[key][2]
    relation = relation_of(subject, key)
    return relation.reply if relation else "{p} {n} {is} {v}"


def noun_of(subject: str, key: str) -> str:
    """The noun that a wording uses for a relation; a noun phrase of the user's is its own noun."""
    relation = relation_of(subject, key)
    return relation.noun if relation else key
