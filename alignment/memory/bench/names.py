"""Names of invented people, projects and places, from syllables that the base's own inventions are not made of.

Two words of two syllables each, whatever the tokenizer (4 to 7 tokens of a vocabulary of 4096): so a stream is the same
for every base.
"""

from __future__ import annotations

from random import Random

from nimllm.alignment.memory.bench.bank import Subject, words

STARTS = words(
    "Ba Be Bi Bo Bu Da De Di Do Du Fa Fe Fi Fo Ga Ge Gi Go Gu Ha He Hi Ho Hu Ja Je Jo Ju Ka Ke Ki Ko Ku La Le Li Lo "
    "Ma Me Mi Mo Mu Na Ne Ni No Nu Pa Pe Pi Po Ra Re Ri Ro Ru Sa Se Si So Su Ta Te Ti To Tu Va Ve Vi Vo Wa We Za Ze")
ENDS = words(
    "bek bin bor dak dan del din dor fan fel gan gol han hol kan kel kim kor lan lek lim lon lun man mek min mor nak "
    "nel nin nol pek pin pol ran rek rim ron run san sek sim sol tan tek tin tol tun van vek vin vol zan zek zin zol")


class Names:
    """Draws names that were not drawn before. Half of them share their first or their last part with an earlier one."""

    def __init__(self, rng: Random) -> None:
        self._rng = rng
        self._taken: set[str] = set()
        self._known: dict[Subject, list[str]] = {"person": [], "project": [], "name": []}

    def draw(self, kind: Subject, like: str | None = None) -> str:
        """A new name. ``like``: the name it must share a part with (default: every other one shares with any)."""
        known = self._known[kind]
        if like is None and known and self._rng.random() < 0.5:
            like = self._rng.choice(known)
        while True:
            pair = [self._rng.choice(STARTS) + self._rng.choice(ENDS) for _ in range(2)]
            if like is not None:
                side = self._rng.randrange(2)
                pair[side] = like.replace("-", " ").split()[side].capitalize()
            name = "-".join(pair).lower() if kind == "project" else " ".join(pair)
            if name not in self._taken and pair[0] != pair[1]:
                self._taken.add(name)
                known.append(name)
                return name
