"""Words and names for random worlds.

A small model learns to copy a name exactly only when it cannot know the names by heart: besides the word lists, names
are built from syllables, numbers, dates and versions, in every common spelling.
"""

# ruff: noqa: SIM905 (word lists are read and edited as text)
from __future__ import annotations

import random

NOUNS = """account address album alert alias alpha anchor angle animal answer apple archive area array arrow article
asset
atlas audio author autumn backup badge bakery balance banana banner barrel basket battery beacon beetle bench berry bill
biology bird blanket block board boat bonus book border bottle bottom branch bread bridge bucket budget buffer bug build
bundle butter button cabin cable cache calendar camera campaign canal candle canvas capital carbon card cargo carpet
castle catalog cell center chain chair chamber change channel chapter chart cheese cherry circle circuit city client
clock cloud cluster coast code coffee coin collection color column comet comment commit common company compass concert
config contact contract copper corner cotton counter country course cover credit crystal customer cycle daemon data
database deadline debug delivery delta deploy desert design desk detail device diagram diary digest dinner disk doctor
document dollar domain donkey door draft dragon drawing dream driver eagle earth echo editor effect egg elbow element
email ember energy engine entry episode error essay estimate event example exercise expense export fabric factor factory
falcon family farm feature fence field figure filter finance finger fire fish flag flame flight floor flower folder
forest fork format fox fragment frame friend frog fruit function galaxy gallery game garage garden gate gear ghost giant
glacier glass globe goal grammar grant grape graph grass gravity grid group guest guide guitar hammer handle harbor
hardware harvest header heart helmet history hobby holiday home honey horizon horse hospital hotel house hub icon idea
image import income index input insect interview inventory invoice iron island item ivory jacket jade jar job journal
journey juice jungle kernel kettle key kidney kitchen kite knife label ladder lake lamp language lantern laptop laser
launch layer layout leaf lecture ledger legend lemon lens lesson letter level library license light limit line link lion
list lizard loader location log logic logo loop machine magnet mail manual map maple marble margin market mask matrix
meadow measure medal media meeting melon member memo memory menu message metal method metric mill mineral minute mirror
mission mixer model module money monitor monkey month moon morning motor mountain mouse movie museum music needle
nephew network news night node noise north note notebook notice novel number object ocean office olive onion option
orange orbit orchard order organ origin output owner oyster package page paint palace panel paper parcel parser party
password patch path patient pattern payment peach pearl pencil pepper person phone photo piano picture pilot pine pipe
pixel planet plant plate player plugin pocket poem point policy pond portal post potato powder prefix preview price
printer prize problem process product profile profit program project protocol proxy puzzle pyramid quarter query
question queue quiz rabbit radar radio rain range raven reader receipt recipe record region registry release remote
rental reply report request resource response result review ribbon rice ring river road robot rocket role roof room
root rope rose route router row rule runner saddle salad salary sale salmon sample sand scale scanner schedule schema
school science score screen script sea search season seat section seed segment sensor sentence server service session
setting shadow shape sheet shelf shell shield ship shirt shop signal silver sketch skill sky slide smoke snake snow
socket soil song sound soup source south spider spike spirit sponsor spoon spring square stack staff stage star state
station statue status stock stone storage store storm story stream street string student studio style subject sugar
suffix suite summary summer sunset supply survey switch symbol syntax system table tablet target task tax team temple
tenant test text theme theory thread ticket tiger timber timer token tomato tool topic torch total tower town toy track
tractor trade traffic trail train travel tree trial tribe trip truck trunk tunnel turtle tutorial type umbrella unicorn
unit update upload user valley value vault vector vehicle vendor version video village violin virus vision visit voice
volcano voltage volume vote wagon wallet walnut warning water wave weather web wedding week whale wheat wheel widget
window winter wire wizard wolf wood word work worker world yard year yellow zebra zone""".split()

ADJECTIVES = """active amber ancient annual basic big black blank blue bold brave brief bright broken brown calm central
clean clear cold common complete cool corrected crisp current daily damp dark dead deep dry dusty early eager east easy
empty encoded extra fair fancy fast final first flat fluffy foreign fresh full funny general gentle global golden good
grand gray green half happy hard heavy hidden high hollow hot huge icy idle inner jolly kind large last late lazy left
light little live local lonely long loose lost loud lower lucky main master mean merged mild minor misty mixed modern
monthly muddy narrow new next nice noisy north old open outer pale parsed plain polite poor pretty primary private proud
public pure quick quiet random rapid rare raw ready recent red remote rich right rough round royal sad safe salty second
secret shared sharp short shy silent simple slow small smart soft solid sorted sour spare square stable stale steady
steep sticky strict strong sunny sweet swift tall temp tender thick thin tidy tiny tired tough unused upper urgent vague
valid vast vivid warm weak weekly west wet white whole wide wild wise young""".split()

VERBS = """add apply ask bake begin bring buy call carry catch check choose clean clear close collect compare connect
convert cook copy count create cross cut dance decide delete describe draw drink drive drop eat enter explain export
fail feed fetch fight fill find finish fix fly fold follow forget gather give go grow guess handle hang hear help hide
hold import improve inspect join jump keep know laugh launch lead learn leave lift list listen load look lose make mark
measure meet mend merge miss move need notice offer open order paint parse pass pay pick plan plant play press print
pull push put reach read receive reduce remember remove rename repair repeat reply reset rest return review ring rise
run save scan search see seek select sell send shake share show sign sing sit sleep smile solve sort speak spend split
stand start stay stop store study swim take talk teach tell test think throw touch trace train travel try turn type
update upload use visit wait walk want wash watch wear win work write""".split()

TECH = """api app auth aws bash bin boot cfg chmod cli cmd cpu cron css csv ctl db dev dhcp diff dns docs ftp gcc git
gpu
gui hash html http id img init io ip java js json jwt ldap lib linux lua mac main make mem mysql net nginx nfs npm oauth
ocr ops pdf perl php pid pip pkg png postgres ps pwd py qa ram rbac readme redis regex repo rest rpc ruby rust sdk sh
smtp sql src ssd ssh ssl sso stats sudo svg svn swap tar tcp tls tmp todo ts tty udp ui url usb utf utils uuid ux vim
vm vpn wasm wifi wiki www xml yaml zip zsh""".split()

FIRST = """Ada Adam Aisha Akira Alan Alba Alice Amara Amir Ana Anders Anna Anton Ben Bela Bruno Carla Carlos Cem Chen
Chiara Clara Dana Daniel David Diego Dora Edda Elena Eli Emil Emma Eva Farah Felix Fiona Finn Gita Grace Greta Hana
Hans Hugo Ian Ida Ines Ingrid Ira Ivan Jana Jin Joel John Jonas Julia Kai Karim Kate Kemal Lars Lea Leo Lena Lin Lucas
Lucy Maja Marco Maria Marta Max Mei Mia Mina Mohamed Nadia Nina Noah Nora Olaf Olga Omar Oscar Otto Paul Pia Priya Rafa
Rania Remy Rita Rosa Ruth Sam Sara Sofia Sven Tara Theo Tim Tina Tom Uma Vera Viktor Wei Yara Yuki Zoe""".split()

LAST = """Abel Adler Ahmed Alves Arnold Baker Bauer Becker Berg Bianchi Brandt Brown Carter Chang Clark Costa Cruz Diaz
Dubois Eriksen Evans Fischer Fonseca Garcia Gomez Green Haas Hansen Harris Hill Hoffmann Ito Jackson Jensen Jones Kaya
Keller Khan Kim King Klein Kovacs Kumar Lang Larsen Lee Lopez Martin Meyer Miller Moore Moreau Nguyen Novak Okafor
Olsen Park Patel Perez Petrov Quinn Reed Reyes Ricci Rossi Sato Schmidt Shah Silva Singh Smith Stein Suzuki Tanaka
Taylor Thomas Torres Vogel Wagner Walker Wang Weber White Wilson Wolf Wong Young Zhang""".split()

WORDS = NOUNS + ADJECTIVES + VERBS
_ONSETS = "b br c ch cl d dr f fl g gl gr h j k kl kr l m n p pl pr qu r s sh sk sl sp st t th tr v w x z".split()
_NUCLEI = "a e i o u ai au ea ee ia ie io oa oo ou y".split()
_CODAS = ["", "", "", "", "l", "m", "n", "nd", "ng", "nt", "p", "r", "rk", "s", "st", "t", "x", "ck", "lt"]

EXTENSIONS: dict[str, tuple[str, ...]] = {
    "notes": ("txt", "md", "txt", "md", "rst", "org", "tex"),
    "code": ("py", "py", "py", "js", "c", "h", "sh", "go", "rs", "java", "ts", "rb", "cpp"),
    "logs": ("log", "log", "txt", "out", "err"),
    "data": ("csv", "csv", "json", "tsv", "dat", "txt", "xml"),
    "site": ("html", "css", "js", "md", "svg"),
    "config": ("json", "yaml", "yml", "ini", "cfg", "conf", "toml", "env"),
    "media": ("jpg", "png", "gif", "mp3", "mp4", "wav", "pdf", "svg", "jpeg"),
    "other": ("bak", "tmp", "old", "dat", "bin", "xml", "sql", "lock", "swp", "orig"),
}
ALL_EXTENSIONS = tuple(sorted({ext for group in EXTENSIONS.values() for ext in group}))


def syllables(rng: random.Random, least: int = 2, most: int = 3) -> str:
    """A pronounceable word that no list holds."""
    return "".join(rng.choice(_ONSETS) + rng.choice(_NUCLEI) + rng.choice(_CODAS)
                   for _ in range(rng.randint(least, most)))


def word(rng: random.Random) -> str:
    """Mostly a common word, sometimes a technical or an invented one."""
    at = rng.random()
    if at < 0.6:
        return rng.choice(NOUNS)
    if at < 0.75:
        return rng.choice(ADJECTIVES)
    if at < 0.87:
        return rng.choice(VERBS)
    return rng.choice(TECH) if at < 0.92 else syllables(rng)


def person(rng: random.Random) -> str:
    """First and last name."""
    return f"{rng.choice(FIRST)} {rng.choice(LAST)}"


def date(rng: random.Random, low: int = 2015, high: int = 2026) -> str:
    """An ISO date."""
    return f"{rng.randint(low, high)}-{rng.randint(1, 12):02d}-{rng.randint(1, 28):02d}"


def stem(rng: random.Random, blanks: float = 0.1) -> str:
    """A file's or folder's name without extension, in one of the common spellings; ``blanks``: share with a blank."""
    if rng.random() < blanks:
        parts = [word(rng) for _ in range(rng.choice((2, 2, 3)))]
        if rng.random() < 0.4:
            parts = [part.capitalize() for part in parts]
        if rng.random() < 0.2:
            parts[-1] = str(rng.randint(1, 2030))
        return " ".join(parts)
    at = rng.random()
    if at < 0.34:
        return word(rng)
    if at < 0.46:
        return f"{word(rng)}{rng.choice(('_', '-'))}{word(rng)}"
    if at < 0.56:
        return f"{word(rng)}{rng.choice(('', '_', '-'))}{rng.randint(1, 99):0{rng.choice((1, 1, 2, 3))}d}"
    if at < 0.62:
        return f"{rng.choice(ADJECTIVES)}_{rng.choice(NOUNS)}"
    if at < 0.68:
        return word(rng).capitalize() + word(rng).capitalize()
    if at < 0.74:
        return f"{word(rng)}{rng.choice(('-', '_'))}{date(rng)}" if rng.random() < 0.5 else date(rng)
    if at < 0.79:
        version = f"{rng.randint(0, 9)}.{rng.randint(0, 20)}"
        return f"{word(rng)}-{rng.choice(('v', ''))}{version}"
    if at < 0.87:
        return syllables(rng)
    if at < 0.91:
        return word(rng).upper()
    if at < 0.95:
        return word(rng).capitalize()
    if at < 0.98:
        return f"{word(rng)}_{word(rng)}_{word(rng)}"
    return rng.choice("abcdefghijklmnopqrstuvwxyz") + str(rng.randint(1, 999))
