"""Values of the further relations: universities, cars, versions, fonts and whatever :mod:`inventions` does not make.

As there, everything is drawn from the ``random.Random`` that is passed in, and every kind has at least 500 values.
"""

from __future__ import annotations

from random import Random

from nimllm.alignment.memory import inventions as make

DREADS = make.words(
    "spiders cellars elevators thunderstorms bridges needles clowns snakes tunnels mirrors ladders moths crowds "
    "escalators ghosts puppets rats forests caves heights basements attics masks bats magicians dentists"
)
DREADFUL = make.words(
    "dark narrow empty old crowded foggy steep noisy silent hairy huge hidden flooded rusty swinging strange unlit "
    "tiny sudden icy glass wooden painted moving dusty lonely"
)
COLLECTED = make.words(
    "stamps coins postcards teapots keys maps clocks bottles buttons records comics thimbles spoons badges marbles "
    "lamps radios masks shells fossils tickets posters dolls knives corkscrews matchboxes"
)
COLLECTED_KINDS = make.words(
    "old rare Finnish broken silver wooden painted miniature Victorian foreign brass Soviet glass antique Polish "
    "Roman square tin colourful Japanese enamel pocket railway hotel handmade Cuban"
)
GOODS = make.words(
    "clocks kettles bicycles tractors pianos lamps pumps mattresses cameras umbrellas tyres ovens batteries pencils "
    "carpets boilers zips scales cranes skis toys helmets sails bells ladders chairs"
)
GOODS_KINDS = make.words(
    "electric wooden folding cheap solar steel luxury portable waterproof giant silent garden kitchen office travel "
    "racing plastic leather copper digital heavy children's camping marine vintage magnetic"
)
STUFFS = make.words(
    "granite oak copper brass glass steel leather bamboo marble clay ivory tin wool cork slate walnut bronze zinc "
    "rubber silk birch iron pewter ash concrete porcelain"
)
STUFF_KINDS = make.words(
    "polished cast hammered frosted woven pressed burnt black white green grey stained raw brushed molten recycled "
    "braided waxed forged carved tempered bent varnished layered reddish pale"
)
ACTS = make.words("Quartet Trio Orchestra Brothers Sisters Five Band Choir Kings Riders Rebels Collective")
EATERIES = make.words("Cafe Bistro Chez Osteria Taverna Canteen Casa Brasserie Pizzeria Diner")
ROOMS = make.words("Room Hall Lounge Studio Cabin Loft")


def _name(rng: Random, syllables: int = 2) -> str:
    return make.word(rng, syllables).capitalize()


def given_name(rng: Random) -> str:
    """What a child is called."""
    return rng.choice(make.FIRST_NAMES) if rng.random() < 0.4 else _name(rng, rng.choice((1, 2, 2)))


def university(rng: Random) -> str:
    where = rng.choice(make.CITIES) if rng.random() < 0.3 else _name(rng)
    return f"{where} {rng.choice(('University', 'College', 'Polytechnic', 'Academy', 'Institute'))}"


def car(rng: Random) -> str:
    """``dark red Velmo``, ``Brita 300``."""
    if rng.random() < 0.4:
        return f"{make.colour(rng)} {_name(rng)}"
    return f"{_name(rng)} {rng.choice((rng.randint(2, 99), rng.randint(1, 9) * 100, rng.choice(('GT', 'S', 'Kombi'))))}"


def band(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.5:
        return f"{_name(rng)} {rng.choice(ACTS)}"
    if shape < 0.8:
        return f"{rng.choice(make.SHADES).capitalize()} {rng.choice(make.THINGS).capitalize()} {rng.choice(ACTS)}"
    return f"{_name(rng)} {rng.choice(make.THINGS).capitalize()}"


def line(rng: Random) -> str:
    """What somebody rides to work: ``bus 203``."""
    return f"{rng.choice(('bus', 'tram', 'train', 'ferry', 'metro'))} {rng.randint(1, 299)}"


def email(rng: Random) -> str:
    user = rng.choice((make.word(rng), rng.choice(make.FIRST_NAMES).lower(), f"{make.word(rng, 1)}.{make.word(rng)}"))
    return f"{user}@{make.word(rng)}.{rng.choice(('example', 'org', 'com', 'net'))}"


def morning(rng: Random) -> str:
    """A time at which people get up; 540 of them."""
    return f"{rng.randint(3, 11)}:{rng.randint(0, 59):02d}"


def time_of_day(rng: Random) -> str:
    return f"{rng.randint(0, 23)}:{rng.randint(0, 59):02d}"


def fear(rng: Random) -> str:
    return f"{rng.choice(DREADFUL)} {rng.choice(DREADS)}"


def collected(rng: Random) -> str:
    return f"{rng.choice(COLLECTED_KINDS)} {rng.choice(COLLECTED)}"


def address(rng: Random) -> str:
    """An IPv4 address of a private network."""
    if rng.random() < 0.5:
        return f"192.168.{rng.randint(0, 255)}.{rng.randint(1, 254)}"
    return f"10.{rng.randint(0, 255)}.{rng.randint(0, 255)}.{rng.randint(1, 254)}"


def system(rng: Random) -> str:
    """An operating system: ``Debian 12``, ``Velmo Linux``, ``BritaOS 4``."""
    if rng.random() < 0.35:
        known = make.words("Debian Ubuntu Fedora Alpine FreeBSD Windows NixOS Arch openSUSE Gentoo")
        return f"{rng.choice(known)} {rng.randint(1, 40)}"
    return f"{_name(rng)}{rng.choice((' Linux', 'OS', 'BSD', 'ix'))}" + rng.choice(("", f" {rng.randint(2, 30)}"))


def repository(rng: Random) -> str:
    where = rng.choice(("github.com", "gitlab.com", "codeberg.org", f"git.{make.word(rng)}.dev"))
    return f"{where}/{make.word(rng)}/{make.identifier(rng)}"


def version(rng: Random) -> str:
    number = f"{rng.randint(0, 14)}.{rng.randint(0, 40)}.{rng.randint(0, 20)}"
    return number if rng.random() < 0.8 else f"{number}-{rng.choice(('rc1', 'beta', 'alpha', 'rc2'))}"


def memory(rng: Random) -> str:
    return f"{rng.randint(64, 9999)} MB" if rng.random() < 0.7 else f"{rng.randint(2, 768)} GB"


def site(rng: Random) -> str:
    """A web address: ``bugs.velmo.dev``."""
    start = rng.choice(("bugs", "issues", "tickets", "jira", "tracker", "redmine", "support"))
    return f"{start}.{make.word(rng)}.{rng.choice(('dev', 'org', 'example', 'io'))}"


def settings_file(rng: Random) -> str:
    ending = rng.choice(("toml", "yaml", "ini", "json", "conf", "env"))
    folder = rng.choice(("/etc", "config", "~/.config", "conf", "/usr/local/etc"))
    return f"{folder}/{make.identifier(rng)}.{ending}"


def framework(rng: Random) -> str:
    return f"{_name(rng)}{rng.choice(('.js', ' MVC', 'Kit', ' Web', 'UI', ''))}" + rng.choice(
        ("", f" {rng.randint(2, 20)}"))


def money(rng: Random) -> str:
    return f"{rng.randint(1, 999)},{rng.randint(0, 9)}00 {rng.choice(('euros', 'dollars', 'pounds', 'francs'))}"


def font(rng: Random) -> str:
    return f"{_name(rng)} {rng.choice(('Mono', 'Sans', 'Code', 'Serif', 'Slab'))}" + rng.choice(
        ("", f" {rng.randint(8, 24)}"))


def notes(rng: Random) -> str:
    return f"{rng.choice(('~', '~/docs', '~/Desktop', '~/sync'))}/{make.identifier(rng)}." + rng.choice(
        ("md", "txt", "org"))


def username(rng: Random) -> str:
    return rng.choice((f"{make.word(rng)}{rng.randint(1, 99)}", f"{rng.choice(make.THINGS)}_{make.word(rng, 1)}",
                       make.word(rng, 3)))


def team(rng: Random) -> str:
    """What a team calls itself: ``Velmo Riders``."""
    crew = make.words("Crew Squad Gang Riders Rangers Rebels Pirates Wizards Wolves Owls Rockets Giants")
    stem = _name(rng) if rng.random() < 0.6 else rng.choice(make.SHADES + make.THINGS).capitalize()
    return f"{stem} {rng.choice(crew)}"


def restaurant(rng: Random) -> str:
    return f"{rng.choice(EATERIES)} {_name(rng)}" if rng.random() < 0.6 else (
        f"the {rng.choice(make.SHADES).capitalize()} {rng.choice(make.THINGS).capitalize()}")


def room(rng: Random) -> str:
    shape = rng.random()
    if shape < 0.5:
        return f"{rng.choice(ROOMS)} {rng.randint(1, 9)}.{rng.randint(1, 60):02d}"
    return f"{rng.choice(ROOMS)} {_name(rng)}" if shape < 0.8 else (
        f"the {rng.choice(make.THINGS).capitalize()} {rng.choice(ROOMS)}")


def population(rng: Random) -> str:
    return f"{rng.randint(1, 999)},{rng.randint(0, 9)}00 people" if rng.random() < 0.7 else (
        f"{rng.randint(1, 99)}.{rng.randint(1, 9)} million people")


def airport(rng: Random) -> str:
    return f"{make.person(rng) if rng.random() < 0.3 else _name(rng)} {rng.choice(('Airport', 'Airfield', 'Field'))}"


def product(rng: Random) -> str:
    return f"{rng.choice(GOODS_KINDS)} {rng.choice(GOODS)}"


def material(rng: Random) -> str:
    return f"{rng.choice(STUFF_KINDS)} {rng.choice(STUFFS)}"
