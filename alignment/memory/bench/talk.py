"""Small talk of the bench: what stands around a told fact, conversations without one, turns before a question.

Written by hand; none of the wordings asks or tells anything of the bank's.
"""

from __future__ import annotations

# What a user types in one conversation, message by message; the fact stands where {fact} is.
FRAMES: tuple[tuple[str, ...], ...] = (
    ("{fact}",),
    ("Before I forget: {fact}",),
    ("hi", "{fact}"),
    ("{fact}", "Thanks, that was all."),
    ("Good morning! Did you sleep well?", "{fact}", "See you later."),
    ("Can you help me keep my notes?", "{fact}"),
    ("What a day. The bus was late again.", "Anyway. {fact}", "Now I need a coffee."),
    ("{fact} Just so you have heard it.",),
    ("Ok, short one today.", "{fact}", "Bye!"),
    ("Is it raining outside?", "{fact}"),
    ("I have something for you to remember.", "{fact}", "Good, talk soon."),
    ("hey, me again", "{fact}", "and now back to work"),
    ("My head hurts from all these meetings.", "One more thing. {fact}"),
    ("{fact}", "How many planets are there?"),
    ("Do you like music?", "I see. {fact}", "Never mind the music."),
    ("Finally weekend!", "{fact}"),
)

# What comes before a correction instead of the fact alone.
CORRECTIONS: tuple[tuple[str, ...], ...] = (
    ("I told you something wrong the other day.", "{fact}"),
    ("There was a mistake in what I said. {fact}",),
    ("Sorry, something has changed.", "{fact}", "Please forget the old version."),
    ("Update: {fact}",),
)

# Messages of conversations in which nothing is told that could be asked for.
IDLE: tuple[str, ...] = (
    "hello", "good evening", "What can you do?", "Tell me a joke.", "I am bored.", "How are you today?", "Thanks!",
    "What time is it?", "Can you sing?", "Let's talk about the weather.", "Do you ever get tired?", "That is funny.",
    "Why is the sky blue?", "I should go to bed soon.", "Could you write a poem?", "What do you think about chess?",
    "I was only joking.", "Hmm, let me think.", "Do you dream?", "Nothing new here.", "Maybe tomorrow.",
    "How does a bicycle work?", "What would you do with a million?", "Never mind.", "You are quick today.",
    "Are robots going to take over?", "I can't decide what to do.", "Is water wet?", "Give me some advice.",
    "Who would win, a bear or a shark?", "It was a long week.", "Say something nice.", "Shall we start?",
    "What rhymes with orange?", "I like talking to you.", "Wait a moment.", "Is there life on other planets?",
    "I have no idea.", "Could be worse.", "Good night!",
)

# Exchanges that stand before the seventh test wording: (user, assistant).
BEFORE: tuple[tuple[str, str], ...] = (
    ("It is so quiet here tonight.", "I don't mind the quiet."),
    ("Count to three.", "One, two, three."),
    ("Do fish sleep?", "Most of them rest at night."),
    ("I spilled tea over my keyboard.", "I hope it still works."),
    ("Spell the word cat.", "C, a, t."),
    ("My neighbours are having a party.", "That sounds loud."),
    ("Is seven a prime number?", "Yes, it is."),
    ("What is two plus two?", "It is four."),
    ("The lamp flickers again.", "Perhaps the bulb is loose."),
    ("Do you prefer mornings?", "I am awake at any hour."),
    ("The train was full.", "I hope you found a seat."),
    ("Which is heavier, a stone or a feather?", "A stone."),
)
