"""The bank's relations between a person and something of their own."""

from __future__ import annotations

from nimllm.alignment.memory.bench.bank import Pool, Relation, numbers, words

TOWN_STARTS = words(
    "Aber Alm Bel Birk Brad Cal Cor Dal Dun Eller Fal Fen Gar Glas Hal Hart Kel Kings Lang Lin Mar Mid Nor Oak Pen "
    "Red Ros Sand Sel Stan Thorn Ul Wal Wex Whit Win")
TOWN_ENDS = words(
    "beck bourne bridge brook bury by combe cote dale den fell field ford gate grove ham hold holm hurst leigh ley "
    "low mere mouth port rith stead stoke ton wick wold worth")
PETS = words(
    "Am Bax Bis Bod Bram Cas Cle Dex Dod Ed Fen Fig Gus Hob Iz Jas Jol Kip Lum Max Mil Mop Nib Ol Pax Pip Quin Ros "
    "Rum Sky Sul Tib Tuf Wim Zig Zor")
PET_ENDS = words(
    "a bert bit by chen da den die ette fin ger ino ka kin la let lo mi na nut o py ra ro sie ster ta to va ver xy "
    "zel")
STATES = words(
    "raw roasted dried fresh smoked wild boiled ground salted pickled candied powdered toasted frozen fried steamed "
    "grated stewed grilled sour blanched minced sliced tinned whole young ripe baked crushed malted cured peeled")
FOODS = words(
    "peanuts walnuts almonds cashews milk eggs wheat soy shrimp crab mussels sesame celery mustard lupin kiwi peaches "
    "apples strawberries tomatoes barley oats maize lentils garlic onions carrots cherries plums honey rye hazelnuts")
RANKS = words(
    "junior senior head chief assistant night travelling freelance retired apprentice deputy regional marine school "
    "hospital city forest railway village theatre airport harbour prison museum court hotel mountain desert army "
    "factory county palace")
TRADES = words(
    "baker carpenter nurse surgeon teacher plumber welder translator pilot gardener chemist tailor librarian engineer "
    "geologist painter optician printer weaver surveyor roofer editor farmer courier analyst potter cook driver guard "
    "clerk lawyer dentist")
MONTHS = words(
    "January February March April May June July August September October November December")

TOWNS = Pool("{}{}", (TOWN_STARTS, TOWN_ENDS))

RELATIONS = (
    Relation(
        "city", "personal", "person", "city", "city", TOWNS,
        told=("{s} lives in {v}.", "{s} just moved to {v}, the flat is tiny but it has a balcony.",
              "Remember {s}? The family has a house in {v} now.", "{s}'s home town is {v}, in case you need it."),
        dev=("In what place has {s} settled?", "Which part of the map should I look at for {s}?", "{s} is based in",
             "My postcard has to reach {s}. Which town do I write on it?"),
        questions=("Where does {s} reside these days?", "{s} is a resident of what town?",
                   "What's the place called that {s} inhabits?"),
        completions=("The town where you would meet {s} is", "{s} resides in"),
        indirect="I'm driving over to see {s} tonight, what do I type into the satnav?",
        after="Could you say which town {s} inhabits?",
        reverse="Which person resides in {v}?",
        negated="Name a town that {s} does not inhabit."),
    Relation(
        "pet", "personal", "person", "pet", "pet", Pool("{}{}", (PETS, PET_ENDS)),
        told=("{s} has a pet called {v}.", "{s}'s pet is named {v}, cute little thing.",
              "I looked after {s}'s pet today. {v} ate my slippers.", "{s} adopted a pet and named it {v}."),
        dev=("Which name belongs to the creature that {s} feeds?", "The creature that {s} feeds is known as",
             "What do guests say to greet the furry friend of {s}?", "Got a name for {s}'s furry friend?"),
        questions=("How does {s} address the animal in the house?", "What is written on the collar of {s}'s animal?",
                   "The animal that {s} owns, what does it answer to?"),
        completions=("The animal that {s} owns answers to the name", "At dinner time {s} shouts to the animal:"),
        indirect="I'm minding the animal while {s} is away. What do I shout so that it comes to me?",
        after="And which name did {s} give the animal?",
        reverse="Whose animal answers to {v}?",
        negated="Say a name that {s} did not give the animal."),
    Relation(
        "allergy", "personal", "person", "allergy", "allergy", Pool("{} {}", (STATES, FOODS)),
        told=("{s} is allergic to {v}.", "Careful with dinner, {s} has an allergy: {v}.",
              "{s} ended up in hospital yesterday because of {v}, an allergy nobody knew about.",
              "{s} told me about an allergy, it's {v}."),
        dev=("Which ingredient is dangerous for {s}?", "A dish is dangerous for {s} when it contains",
             "What triggers a reaction in {s}?", "Before I order for {s}, which ingredient do I ask the waiter about?"),
        questions=("What can {s} not tolerate in a meal?", "What makes {s} sick when eaten?",
                   "Which food must never be served to {s}?"),
        completions=("A meal makes {s} sick if there is any trace of", "The one thing {s} cannot tolerate is"),
        indirect="I am baking for a party and {s} is coming, which ingredient must go?",
        after="Which food would make {s} sick?",
        reverse="Who gets sick from {v}?",
        negated="What food can {s} tolerate without any trouble?"),
    Relation(
        "birthday", "personal", "person", "birthday", "birthday",
        Pool("{} {} {}", (numbers(1, 28), MONTHS, numbers(1946, 2005))),
        told=("{s} was born on {v}.", "{s}'s birthday is {v}.",
              "I filled in the form for {s} and put {v} under birthday.",
              "{s} showed me a passport with the birthday {v} in it."),
        dev=("When did {s} first see the light of day?", "{s} first saw the light of day on",
             "How do I fill the age field for {s}?", "Which date starts a new year of life for {s}?"),
        questions=("On what date did {s} come into the world?", "From which date do we count {s}'s age?",
                   "What's the full date on which {s}'s mother gave birth?"),
        completions=("{s} came into the world on", "We count {s}'s age from"),
        indirect="I want to work out how old {s} is, which date do I subtract from today?",
        after="Say, on which date did {s} come into the world?",
        reverse="Who came into the world on {v}?",
        negated="Name a date on which {s} did not come into the world."),
    Relation(
        "job", "personal", "person", "job", "job", Pool("{} {}", (RANKS, TRADES)),
        told=("{s} works as a {v}.", "{s} got a new job as {v} and starts on Monday.",
              "Funny that {s} is a {v} now, I would never have guessed.", "{s}'s job is {v}."),
        dev=("What line of business is {s} in?", "How would you describe {s}'s career?",
             "On a business card of {s} the title would be", "Which career did {s} choose?"),
        questions=("By what profession does {s} pay the rent?", "What is {s} employed to be?",
                   "Which occupation fills {s}'s weekdays?"),
        completions=("By profession, {s} is a", "{s} is employed as the"),
        indirect="I have to introduce {s} to my parents, and they will ask about the profession. What do I answer?",
        after="What profession is {s} in?",
        reverse="Who is employed as a {v}?",
        negated="Name a profession that {s} does not have."),
    Relation(
        "badge", "personal", "person", "badge number", "", Pool("{}", (numbers(1000, 9999),)),
        told=("{s}'s badge number is {v}.", "The new badge for {s} came today, it says {v}.",
              "I need this later: {s} has badge number {v}.",
              "Reception wrote down {v} for the badge of {s}."),
        dev=("What digits identify {s} at work?", "At work {s} is identified by the digits",
             "If {s} loses the card, which digits do I report?", "How is {s} listed in the door log?"),
        questions=("Which four figures are printed on {s}'s pass?", "Under what figures does the gate recognise {s}?",
                   "Can you recall the staff pass of {s}?"),
        completions=("The four figures on {s}'s pass are", "The gate recognises {s} by"),
        indirect="Security caught somebody with the pass of {s}, which figures should be on it?",
        after="So what figures does the pass of {s} carry?",
        reverse="Whose pass carries the figures {v}?",
        negated="Name four figures that are not on the pass of {s}."),
)
