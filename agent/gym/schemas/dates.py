"""Today, now, and other days."""

from __future__ import annotations

import random

from nimllm.agent.gym import names
from nimllm.agent.gym.schema import Draft, schema
from nimllm.agent.gym.schemas.phrases import single
from nimllm.agent.gym.schemas.subjects import SHOW, volatile
from nimllm.agent.gym.worlds import World


@schema("system.today", "date", weight=1.0)
def today(world: World, rng: random.Random) -> Draft:
    kind = rng.choice(("date", "date", "time", "weekday", "year", "full"))
    if kind == "date":
        return volatile(single(rng, (
            "what is (the date today|today's date|the current date)?", "(what|which) (day|date) is it (today|)?",
            "today's date", f"{SHOW} today's date (as YYYY-MM-DD|in the form 2024-12-31|)",
            "what date do we have (today|)?", "date of today (in ISO format|)"),
            "date +%F", "show today's date", True, "Today is {output}."))
    if kind == "time":
        return volatile(single(rng, (
            "what time is it (now|)?", f"{SHOW} the (current|) time", "(current|the) time (now|)?", "how late is it?",
            "what is the (current|) time?", "time now"),
            "date +%H:%M", "show the time", True, "It is {output}."))
    if kind == "weekday":
        return volatile(single(rng, (
            "(what|which) (day of the week|weekday) is (it|today) (today|)?".replace("(it|today) (today|)",
                "(it today|today|it)"), "is it monday (today|)?", "(today's weekday|weekday today)",
                f"{SHOW} the (name of today|day of the week|current weekday)", "(what|which) weekday do we have?",
                "name of today's weekday"),
            "date +%A", "show the weekday", True, "It is {output}."))
    if kind == "year":
        return volatile(single(rng, (
            "(what|which) year is it (now|)?", "(current|this) year?", f"{SHOW} the (current|) year",
            "what is the (current|) year?", "year of today's date", "in which year are we?"),
            "date +%Y", "show the year", True, "It is {output}."))
    return volatile(single(rng, (
        "(date and time|time and date)", "what is the (current|) date and time?", f"{SHOW} (the|) date and time",
        "date and time (now|please)", "(when is now|what are date and time)?", "show me the time and (the|) date"),
        "date", "show date and time", True))


@schema("date.weekday", "date", weight=0.8)
def weekday(world: World, rng: random.Random) -> Draft:
    day = names.date(rng, 1950, 2050)
    return single(rng, (
        "(what|which) (day of the week|weekday) (was|is) {d}?", "weekday of {d}",
        "on which (weekday|day of the week) (is|was|does) {d}(| fall)?".replace("(is|was|does) {d}(| fall)",
        "(is {d}|was {d}|does {d} fall)"), f"{SHOW} the weekday of {{d}}", "what day is {d}?", "is {d} a sunday?",
        "day of the week for {d}"),
        f"date -d {day} +%A", f"show the weekday of {day}", True, "{d} is a {output}.".replace("{d}", day), d=day)


@schema("date.plus", "date", weight=0.6)
def plus(world: World, rng: random.Random) -> Draft:
    day, n, unit = names.date(rng), rng.randint(2, 90), rng.choice(("days", "days", "weeks", "months"))
    ago = rng.random() < 0.35
    if ago:
        return single(rng, (
            "(what|which) date (is|was) {n} {u} before {d}?", "{n} {u} before {d}", "{d} minus {n} {u}",
            "(compute|show) the date {n} {u} before {d}", "subtract {n} {u} from {d}",
            "which day (is|was) {n} {u} earlier than {d}?"),
            f"date -d '{day} - {n} {unit}' +%F", f"compute {n} {unit} before {day}", True, d=day, n=n, u=unit)
    return single(rng, (
        "(what|which) date is {n} {u} after {d}?", "{n} {u} after {d}", "{d} plus {n} {u}",
        "(compute|show) the date {n} {u} after {d}", "add {n} {u} to {d}", "which day is {n} {u} later than {d}?"),
        f"date -d '{day} + {n} {unit}' +%F", f"compute {n} {unit} after {day}", True, d=day, n=n, u=unit)


@schema("date.epoch", "date", weight=0.4)
def epoch(world: World, rng: random.Random) -> Draft:
    stamp = rng.randint(900_000_000, 1_900_000_000)
    return single(rng, (
        "(what|which) date is the (unix time|timestamp|epoch time) {s}?",
        "convert the (unix time|timestamp|epoch) {s} to a date", "{s} as a date",
        "(timestamp|unix time) {s} in readable form", "what day (was|is) (unix time|epoch second) {s}?",
        "when is {s} (seconds since 1970|in unix time)?"),
        f"date -d @{stamp} +%F", f"convert {stamp} to a date", True, s=stamp)
