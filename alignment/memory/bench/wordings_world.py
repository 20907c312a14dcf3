"""The bank's relations of an invented world: countries, machines, towns, books."""

from __future__ import annotations

from nimllm.alignment.memory.bench.bank import Pool, Relation, numbers, words
from nimllm.alignment.memory.bench.wordings_personal import TOWNS
from nimllm.alignment.memory.bench.wordings_project import OWNER_LAST

FIRST = words(
    "Agnes Alba Alfred Amos Basil Bruno Cecil Clara Cora Doris Edgar Edith Elias Enid Ernst Felix Flora Frida Georg "
    "Greta Helga Hilda Igor Irma Jakob Karl Klara Lorenz Mabel Otto Ralf Selma")
RIVER_STARTS = words(
    "Ald Av Bar Ber Bov Cam Dar Del Dov El Esk Fal Gal Ham Ish Jor Kal Kar Lav Lor Mal Med Nar Ned Ob Or Pol Ral Sav "
    "Tam Tor Ulm Vel Yar")
RIVER_ENDS = words(
    "a ach ain ava ea eck eda eel ella em enne er esk ia ila ine ira is ith oa obe ol on ora osk ow ra sa une ure va "
    "we")
COIN_STARTS = words(
    "ba be bo bru ca ce da do dru fa fe fo gi go gra ha he ja ju ka ke ko la lu ma mo na pe pi ra ri sha so tu")
COIN_ENDS = words(
    "bel bin cat del dra fen gon har kel ket lar len lin lon mar mir nar nel ner pak quin rin rok ron sel shek tan "
    "ter tol var vin zar")

RELATIONS = (
    Relation(
        "capital", "world", "name", "capital", "capital", TOWNS,
        told=("The capital of {s} is {v}.", "Today I learnt something: {v} is the capital of {s}.",
              "{s} has {v} as capital.", "They made {v} the capital when {s} became independent."),
        dev=("In what city does the parliament of {s} meet?", "The parliament of {s} meets in",
             "Which dot on a map of {s} gets the star?", "Ambassadors who are sent to {s} live in"),
        questions=("Laws for {s} get signed in which town?", "What's the seat of government in {s}?",
                   "Which city is the first in {s}?"),
        completions=("{s} is governed from", "The seat of government in {s} is"),
        indirect="I need a visa from the ministry of {s}, to which city must I travel?",
        after="Which city governs {s}?",
        reverse="Which country is governed from {v}?",
        negated="Name a city from which {s} is not governed."),
    Relation(
        "inventor", "world", "name", "inventor", "inventor", Pool("{} {}", (FIRST, OWNER_LAST)),
        told=("The {s} was invented by {v}.", "The inventor of the {s} is {v}.",
              "In the museum they had an original {s}, and a plate says that {v} invented it.",
              "{v} invented the {s} in a garage."),
        dev=("Who holds the patent for the {s}?", "The patent for the {s} is held by",
             "Whose brainchild is the {s}?", "Which engineer do we thank for the {s}?"),
        questions=("Who came up with the {s}?", "Who built the very first {s}?", "Who had the idea for the {s}?"),
        completions=("The idea for the {s} came from", "The very first {s} was built by"),
        indirect="I'm writing a school essay about how the {s} came to be, whose biography should I read?",
        after="Whose idea was the {s}?",
        reverse="What machine came from the mind of {v}?",
        negated="Name somebody who had nothing to do with the {s}."),
    Relation(
        "founded", "world", "name", "founding year", "founded", Pool("{}", (numbers(1000, 2023),)),
        told=("{s} was founded in {v}.", "The founding year of {s} is {v}.",
              "According to the guide, settlers founded {s} in {v}.", "{s} has {v} as founding year on its flag."),
        dev=("How far back does the history of {s} go?", "The history of {s} goes back to",
             "What number is carved above the gate of {s}?", "Which anniversary date does {s} celebrate?"),
        questions=("When did {s} come into being?", "Since what year does {s} exist?",
                   "In which year did people start {s}?"),
        completions=("{s} exists since the year", "People started {s} in the year"),
        indirect="To compute how old {s} is, which year do I take away from this one?",
        after="Since which year is there a place named {s}?",
        reverse="Which place exists since the year {v}?",
        negated="Name a year in which {s} did not come into being."),
    Relation(
        "river", "world", "name", "river", "river", Pool("{}{}", (RIVER_STARTS, RIVER_ENDS)),
        told=("The river of {s} is the {v}.", "{s} lies on the {v}, a slow brown river.",
              "In {s} we walked along the {v}, which is the river there.", "{s} has the river {v}."),
        dev=("On what stream do boats get to {s}?", "Boats get to {s} on the",
             "What floods the cellars in {s}?", "Which stream drives the old mill of {s}?"),
        questions=("Which water flows through {s}?", "What do the bridges in {s} cross?",
                   "What's the waterway at {s} called?"),
        completions=("The water that flows through {s} is the", "The bridges in {s} cross the"),
        indirect="I jumped off a bridge in {s} for a swim, in what water did I land?",
        after="Which waterway flows past {s}?",
        reverse="Through which town does the {v} flow?",
        negated="Name a waterway that does not flow through {s}."),
    Relation(
        "currency", "world", "name", "currency", "currency", Pool("{}{}", (COIN_STARTS, COIN_ENDS)),
        told=("The currency of {s} is the {v}.", "In {s} they introduced the {v} as currency.",
              "I came back from {s} with a pocket full of {v}, that's the currency there.",
              "{s} has the {v} as its currency."),
        dev=("What coins rattle in the tills of {s}?", "The coins in the tills of {s} are called",
             "Which banknotes should I change before I fly to {s}?", "Salaries in {s} are counted in"),
        questions=("What money do people in {s} use?", "With what do you pay in {s}?",
                   "In which money are prices in {s}?"),
        completions=("In {s} you pay with the", "Prices in {s} are given in"),
        indirect="I am at a market in {s} and want to buy a melon, what money do I hand over?",
        after="Which money do they pay with in {s}?",
        reverse="In which country do people pay with the {v}?",
        negated="Name money that people in {s} do not use."),
    Relation(
        "author", "world", "name", "author", "author", Pool("{} {}", (FIRST[::-1], OWNER_LAST)),
        told=("{v} is the author of {s}.", "I'm reading {s} by the author {v}.",
              "The author of {s} is {v}, says the cover.", "My aunt gave me {s}, its author {v} is her neighbour."),
        dev=("Whose novel is {s}?", "The novelist behind {s} is", "Which name is on the spine of {s}?",
             "Who got a prize for the novel {s}?"),
        questions=("Name the person who put {s} on paper", "Out of whose pen came {s}?",
                   "Which writer do we owe {s} to?"),
        completions=("{s} was written by", "The one who put {s} on paper was"),
        indirect="I liked {s} so much that I want a second book from the same pen, which name do I search for?",
        after="Which writer penned {s}?",
        reverse="What book did {v} write?",
        negated="Name a writer who did not pen {s}."),
)
