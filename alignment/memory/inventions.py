"""Names, noun phrases and values made up from word lists: what the invented facts are about.

Everything is drawn from the ``random.Random`` that is passed in, so a seed fixes it. Every kind of value has at least
500 different ones, so that a right answer is never luck (chance at most 0.2 %).
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random


def words(text: str, separator: str = " ") -> tuple[str, ...]:
    """A word list written as one string, which reads better than a column of quotes."""
    return tuple(text.split(separator))


ONSETS = words("b br c ch cl d dr f fl g gr h j k kr l m n p pr qu r s sh sk st t tr v w y z")
VOWELS = words("a e i o u a e i o ai ea ie oa ou")
CODAS = words("|n|r|l|s|k|m|t|d|nd|rn|lm|st|x|th|", "|")
FIRST_NAMES = words(
    "Ada Amir Anna Ben Carla Chen Dana David Elena Emma Erik Farid Grace Hana Hugo Ines Ivan Jana Jonas Julia "
    "Kofi Lara Leo Lena Liam Luca Maria Marta Max Mia Mina Nadia Nils Noah Nora Olga Omar Paul Petra Priya Rosa "
    "Ruth Sam Sara Sofia Tariq Tom Uma Vera Viktor Wei Yara Yusuf Zoe"
)
LAST_NAMES = words(
    "Abbott Baker Carter Dahl Ellis Fischer Garcia Haas Ito Jensen Keller Lopez Meyer Novak Okafor Patel Quinn "
    "Rossi Schmidt Tanaka Ueda Varga Weber Yilmaz Ziegler Brandt Costa Duran Horvat Lindgren Moreau Nilsen Petrov "
    "Silva"
)
CITIES = words(
    "Oslo Lima Porto Kyoto Turin Ghent Basel Leeds Quito Accra Lyon Bergen Austin Boston Dublin Cairo Delhi Hanoi "
    "Izmir Jena Krakow Lagos Malmo Nairobi Osaka Prague Riga Seville Tunis Utrecht Vienna Warsaw Zurich Bremen "
    "Cardiff"
)
COLOURS = words(
    "red blue green yellow orange purple teal violet grey brown pink olive indigo amber coral crimson ivory lilac "
    "mauve navy ochre plum rust sand silver"
)
SHADES = words(
    "dark light pale deep bright dusty warm cold soft smoky neon pastel muted royal faded misty burnt electric "
    "icy mossy"
)
FOODS = words(
    "soup stew curry pie salad noodles dumplings risotto omelette pancakes tacos bread cake pasta pizza porridge "
    "rolls skewers sandwich chowder"
)
INGREDIENTS = words(
    "lentil mushroom pumpkin tomato leek potato spinach lemon ginger apple cherry walnut sesame onion carrot "
    "cabbage pepper bean rice barley plum honey garlic basil coconut salmon"
)
ALLERGENS = words(
    "peanuts walnuts almonds cashews milk eggs wheat soy shrimp crab mussels sesame celery mustard lupin kiwi "
    "peaches apples strawberries tomatoes latex nickel penicillin aspirin pollen dust cats horses wasps bees"
)
TRADES = words(
    "baker carpenter nurse surgeon teacher plumber welder translator pilot gardener chemist tailor librarian "
    "engineer geologist painter optician printer weaver surveyor roofer editor farmer courier analyst potter"
)
RANKS = words(
    "junior senior head chief assistant night travelling freelance retired apprentice deputy regional marine "
    "school hospital city forest railway village theatre"
)
MONTHS = words("January February March April May June July August September October November December")
WEEKDAYS = words("Monday Tuesday Wednesday Thursday Friday Saturday Sunday")
STREET_WORDS = words(
    "Alder Birch Canal Dove Elm Ferry Garden Harbour Iron Jasmine King Linden Mill North Orchard Park Quarry "
    "River Station Tower Union Vine Willow Abbey Bridge"
)
STREET_KINDS = words("Street Lane Road Square Way Alley Row Hill")
HOBBIES = words(
    "chess rowing climbing pottery knitting baking sailing archery juggling birdwatching fencing skating origami "
    "woodcarving astronomy gardening kayaking calligraphy bouldering beekeeping"
)
HOBBY_KINDS = words(
    "indoor outdoor winter summer weekend evening speed blind team solo mountain river night street alpine "
    "coastal beginner competitive antique miniature historical urban desert island morning holiday"
)
INSTRUMENTS = words(
    "violin cello flute oboe piano guitar banjo drum harp tuba trumpet clarinet accordion mandolin lute organ "
    "viola ukulele bassoon zither"
)
MAKERS = words(
    "old small steel wooden electric bass alto tenor baroque toy concert folk travel borrowed silver brass double "
    "five-string seven-string half-size painted antique Irish Spanish Finnish"
)
TOOLS = words(
    "make cargo npm pnpm yarn go gradle mvn bazel ninja cmake tox nox hatch poetry just task rake mix dune zig"
)
VERBS = words(
    "build test deploy check bundle package release ship publish verify stage push install lint run all"
)
TARGETS = words(
    "prod staging release debug all unit fast slow smoke core web api docs nightly local canary edge full quick "
    "strict server client worker mobile"
)
FLAGS = words(
    "-v -q -j4 -j8 --release --prod --all --fast --strict --no-cache --verbose --offline --locked --parallel --ci"
)
LANGUAGES = words(
    "Python Rust Go Java Kotlin Ruby Perl C Zig Haskell OCaml Elixir Erlang Lua Swift Scala TypeScript JavaScript "
    "Dart Julia Fortran Ada Nim Racket Clojure"
)
EDITORS = words("vim emacs nano helix kakoune micro neovim kate geany sublime atom joe zed ed acme")
DATABASES = words(
    "postgres mysql sqlite redis mongodb mariadb duckdb cassandra clickhouse oracle couchdb influxdb etcd"
)
LICENCES = words(
    "MIT Apache-2.0 BSD-3-Clause GPL-3.0 LGPL-2.1 MPL-2.0 ISC Unlicense AGPL-3.0 Zlib EPL-2.0 CC0-1.0"
)
THINGS = words(
    "falcon river copper lantern maple pixel otter comet harbor saffron cobalt ember willow quartz raven tundra "
    "velvet walnut zephyr basil cedar delta fjord granite hazel indigo juniper kestrel lotus meadow nectar onyx "
    "pepper quill robin salt thistle umber violet wren"
)
MODIFIERS = words(
    "coffee machine|door|locker|printer|backup|staging|parking|wifi|meeting room|garage|lab|server|rack|badge|"
    "project|team|office|kitchen|bike|gym|library|alarm|router|vpn|cluster|invoice|customer|supplier|travel|"
    "conference|training|safety|holiday|fallback|default|preferred|main|second|emergency|new|old|internal|public|"
    "private|test|release|deploy|debug|monitoring|logging|queue|cache|payment|shipping|warehouse|heating|"
    "projector|elevator|guest|night shift|weekend|lucky|secret|favourite|weekly|monthly|quarterly|spare|shared|"
    "personal",
    "|",
)
HEADS = words(
    "code|number|password|host|name|key|window|address|colour|time|day|room|contact|folder|file|branch|port|tag|"
    "token|label|limit|budget|channel|mailbox|account|nickname|slogan|theme|plan|owner|deadline|script|command|"
    "ticket|region|zone|bucket|mascot|snack|song|film|book|tea|playlist|brand|model|route|shelf|drawer|desk|size|"
    "serial number|version|prefix|phrase|keys|notes|tickets|glasses|headphones|credentials|opening hours|shoes|"
    "rules|papers",
    "|",
)


_TAKEN = frozenset(words("to me we he she so do go no be my by it is in on us the for her his you your our they them "
                         "this that here how who what why when where not but his him has had was can may let was yes"))


def word(rng: Random, syllables: int = 2) -> str:
    """An invented word, lower case: ``velmor``, ``brita``."""
    while True:
        parts = [rng.choice(ONSETS) + rng.choice(VOWELS) for _ in range(syllables)]
        made = "".join(parts) + rng.choice(CODAS)
        if made not in _TAKEN:
            return made


def person(rng: Random) -> str:
    """A person of one to three words; about half of them carry a name that many others carry."""
    first = rng.choice(FIRST_NAMES) if rng.random() < 0.4 else word(rng, rng.choice((1, 2, 2))).capitalize()
    shape = rng.random()
    if shape < 0.45:
        return first
    last = rng.choice(LAST_NAMES) if rng.random() < 0.4 else word(rng).capitalize()
    if shape < 0.92:
        return f"{first} {last}"
    return f"{first} {rng.choice(('van', 'de', 'al', 'von', 'el', 'O', 'di'))} {last}"


def project(rng: Random) -> str:
    """A project of one to three words: ``velmor``, ``copper-api``, ``Otter Gate``."""
    stem = rng.choice(THINGS) if rng.random() < 0.35 else word(rng)
    shape = rng.random()
    if shape < 0.4:
        return stem
    if shape < 0.6:
        return stem.capitalize()
    if shape < 0.88:
        return f"{stem}-{rng.choice(TARGETS + THINGS)}"
    return f"{stem.capitalize()} {rng.choice(THINGS).capitalize()}"


def noun_phrase(rng: Random) -> str:
    """What somebody may have one of: ``backup window``, ``garage door code``, ``velmor key``."""
    head = rng.choice(HEADS)
    shape = rng.random()
    if shape < 0.6:
        return f"{rng.choice(MODIFIERS)} {head}"
    if shape < 0.75:
        return f"{rng.choice(MODIFIERS)} {rng.choice(MODIFIERS)} {head}"
    if shape < 0.9:
        return f"{word(rng)} {head}"
    return f"{rng.choice(THINGS)} {head}"


def identifier(rng: Random) -> str:
    """``otter-3`` and the like: branches, hosts, channels."""
    stem = rng.choice(THINGS) if rng.random() < 0.5 else word(rng)
    return rng.choice((stem, f"{stem}-{rng.choice(TARGETS)}", f"{stem}{rng.randint(1, 99)}",
                       f"{stem}-{rng.randint(1, 99)}"))


def city(rng: Random) -> str:
    return rng.choice(CITIES) if rng.random() < 0.3 else word(rng).capitalize() + rng.choice(
        ("", "", "ton", "ville", "burg", "stad", "mouth", "field"))


def job(rng: Random) -> str:
    return f"{rng.choice(RANKS)} {rng.choice(TRADES)}"


def date(rng: Random) -> str:
    return f"{rng.randint(1, 28)} {rng.choice(MONTHS)}" if rng.random() < 0.7 else (
        f"{rng.choice(MONTHS)} {rng.randint(1, 28)}")


def pet(rng: Random) -> str:
    return word(rng, rng.choice((1, 2, 2))).capitalize() if rng.random() < 0.8 else rng.choice(THINGS).capitalize()


def colour(rng: Random) -> str:
    return f"{rng.choice(SHADES)} {rng.choice(COLOURS)}" if rng.random() < 0.8 else rng.choice(COLOURS)


def food(rng: Random) -> str:
    return f"{rng.choice(INGREDIENTS)} {rng.choice(FOODS)}"


def drink(rng: Random) -> str:
    taste = rng.choice((*SHADES, "iced", "hot", "spicy", "sweet", "bitter"))
    return f"{taste} {rng.choice(INGREDIENTS)} " + rng.choice(("tea", "juice", "cider", "soda", "coffee"))


def editor(rng: Random) -> str:
    return rng.choice(EDITORS) if rng.random() < 0.3 else word(rng) + rng.choice(("", "pad", "edit", " 2", "code"))


def language(rng: Random) -> str:
    if rng.random() < 0.5:
        return rng.choice(LANGUAGES)
    return word(rng).capitalize() + rng.choice(("", "", "Script", "+", "lang"))


def allergy(rng: Random) -> str:
    if rng.random() < 0.4:
        return rng.choice(ALLERGENS)
    state = rng.choice(("raw", "roasted", "dried", "fresh", "smoked", "wild", "green", "boiled", "ground", "salted"))
    return f"{state} {rng.choice(INGREDIENTS + ALLERGENS)}"


def street(rng: Random) -> str:
    return f"{rng.randint(1, 199)} {rng.choice(STREET_WORDS)} {rng.choice(STREET_KINDS)}"


def digits(rng: Random) -> str:
    return str(rng.randint(1000, 9999))


def hobby(rng: Random) -> str:
    return f"{rng.choice(HOBBY_KINDS)} {rng.choice(HOBBIES)}"


def instrument(rng: Random) -> str:
    return f"the {rng.choice(MAKERS)} {rng.choice(INSTRUMENTS)}"


def desk(rng: Random) -> str:
    return f"{rng.choice('ABCDEFGHK')}{rng.randint(1, 120)}"


def command(rng: Random) -> str:
    """A shell command as build files have them."""
    shape = rng.random()
    if shape < 0.35:
        return f"{rng.choice(TOOLS)} {rng.choice(VERBS)}"
    if shape < 0.6:
        return f"{rng.choice(TOOLS)} {rng.choice(VERBS)} {rng.choice(FLAGS)}"
    if shape < 0.75:
        return f"{rng.choice(TOOLS)} {rng.choice(VERBS)}-{rng.choice(TARGETS)}"
    if shape < 0.9:
        return f"./{rng.choice(('scripts', 'bin', 'tools', 'ci'))}/{rng.choice(VERBS)}-{identifier(rng)}.sh"
    return f"{rng.choice(TOOLS)} run {rng.choice(VERBS)}:{rng.choice(TARGETS)}"


def port(rng: Random) -> str:
    return str(rng.choice((rng.randint(1024, 9999), rng.randint(10000, 65535))))


def branch(rng: Random) -> str:
    return rng.choice((identifier(rng), f"release/{rng.randint(1, 9)}.{rng.randint(0, 20)}",
                       f"feature/{identifier(rng)}"))


def licence(rng: Random) -> str:
    if rng.random() < 0.3:
        return rng.choice(LICENCES)
    kind = rng.choice(("Public", "Open", "Free"))
    return f"{word(rng).capitalize()} {kind} Licence {rng.randint(1, 9)}.{rng.randint(0, 9)}"


def database(rng: Random) -> str:
    return f"{rng.choice(DATABASES)} {rng.randint(1, 40)}" if rng.random() < 0.7 else f"{word(rng)}db"


def release_day(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.4:
        return f"every {rng.choice(('first', 'second', 'third', 'last'))} {rng.choice(WEEKDAYS)}"
    return f"{rng.choice(WEEKDAYS)} at {rng.randint(0, 23)}:{rng.randint(0, 59):02d}" if shape < 0.8 else date(rng)


def clock(rng: Random) -> str:
    return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}" if rng.random() < 0.5 else release_day(rng)


def host(rng: Random) -> str:
    return rng.choice((identifier(rng), f"{identifier(rng)}.internal",
                       f"{word(rng)}.{rng.choice(('dev', 'example', 'lan'))}",
                       f"10.{rng.randint(0, 99)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"))


def path(rng: Random) -> str:
    return f"{rng.choice(('/srv', '/opt', '/data', '~', '/var'))}/{identifier(rng)}/{word(rng, 1)}"


def channel(rng: Random) -> str:
    return f"#{identifier(rng)}"


def preference(rng: Random) -> str:
    first, second = rng.sample(THINGS + COLOURS + TOOLS, 2)
    if rng.random() < 0.3:
        return f"{first} over {second}"
    style = rng.choice(("short", "long", "plain", "terse", "polite"))
    what = rng.choice(("answers", "names", "messages", "lines"))
    return rng.choice((
        f"{rng.choice(SHADES)} {rng.choice(THINGS)} themes",
        f"{rng.choice(INGREDIENTS)} {rng.choice(FOODS)}",
        f"{style} {what} in {rng.choice(LANGUAGES)}",
        f"{rng.randint(2, 99)} {rng.choice(('spaces', 'columns', 'threads', 'tabs'))}",
    ))


def place(rng: Random) -> str:
    """A country, region or town."""
    return word(rng).capitalize() + rng.choice(("", "", "ia", "land", "stan", "ony", " Island", " Bay", " Valley"))


def currency(rng: Random) -> str:
    return rng.choice(("", "", "", "new ", "old ", "silver ")) + word(rng)


def tongue(rng: Random) -> str:
    return word(rng).capitalize() + rng.choice(("", "ish", "ian", "ese", "ic"))


def river(rng: Random) -> str:
    return rng.choice(("", "", "", "Upper ", "Little ", "Black ", "White ")) + word(rng).capitalize()


def thing(rng: Random) -> str:
    """An invention: ``the velmor pump``."""
    kinds = words("pump lamp clock loom press valve engine lens lock scale drill bridge brake plough whistle")
    return f"the {word(rng)} {rng.choice(kinds)}"


def book(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.4:
        return f"{rng.choice(SHADES).capitalize()} {rng.choice(THINGS).capitalize()}"
    if shape < 0.7:
        return f"{word(rng).capitalize()} and the {rng.choice(THINGS).capitalize()}"
    return f"{rng.choice(THINGS).capitalize()} of {word(rng).capitalize()}"


def company(rng: Random) -> str:
    return f"{word(rng).capitalize()} " + rng.choice(words("Works Labs Motors Foods Press Bank Systems Mills Airways"))


def mountain(rng: Random) -> str:
    return rng.choice(("Mount ", "Mount ", "", "Pic ")) + word(rng).capitalize() + rng.choice(("", "", " Peak", "horn"))


def year(rng: Random) -> str:
    return str(rng.randint(1000, 2025))


def height(rng: Random) -> str:
    return f"{rng.randint(300, 8900)} metres"


def anything(rng: Random) -> str:
    """A value of any kind, for relations that have no name of their own."""
    kinds: tuple[Callable[[Random], str], ...] = (
        identifier, person, colour, digits, clock, host, path, channel, city, food, command, word, desk, date)
    return rng.choice(kinds)(rng)
