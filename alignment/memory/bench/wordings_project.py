"""The bank's relations between a project and how it is worked on."""

from __future__ import annotations

from nimllm.alignment.memory.bench.bank import Pool, Relation, numbers, words
from nimllm.alignment.memory.bench.wordings_personal import PET_ENDS, PETS

TOOLS = words(
    "make cargo npm pnpm yarn go gradle mvn bazel ninja cmake tox nox hatch poetry just task rake mix dune zig scons "
    "meson ant buck pants waf sbt lein stack cabal rebar")
STEPS = words(
    "build all bundle package dist release compile assemble image wheel site pack full ready product final prod debug "
    "slim static shared fast strict server client worker mobile docs core edge")
MODES = words(
    "-v -q -j4 -j8 --release --fast --offline --locked --ci --clean")
THINGS = words(
    "falcon river copper lantern maple pixel otter comet harbor saffron cobalt ember willow quartz raven tundra "
    "velvet walnut zephyr basil cedar delta fjord granite hazel indigo juniper kestrel lotus meadow nectar onyx")
KINDS = words(
    "next dev trunk stable main live work beta alpha edge fix lab draft early late north south east west spring "
    "summer autumn winter blue green red grey gold black white pink plum")
OWNERS = words(
    "Ada Amir Anna Ben Carla Chen Dana David Elena Emma Erik Farid Grace Hana Hugo Ines Ivan Jana Jonas Julia Kofi "
    "Lara Leo Lena Liam Luca Maria Marta Max Mia Mina Nadia")
OWNER_LAST = words(
    "Abbott Baker Carter Dahl Ellis Fischer Garcia Haas Ito Jensen Keller Lopez Meyer Novak Okafor Patel Quinn Rossi "
    "Schmidt Tanaka Ueda Varga Weber Yilmaz Ziegler Brandt Costa Duran Horvat Lindgren Moreau Nilsen")
ROOTS = words(
    "/srv /opt /data /var /mnt /home")

RELATIONS = (
    Relation(
        "build", "project", "project", "build command", "build", Pool("{} {} {}", (TOOLS, STEPS, MODES)),
        told=("{s} builds with {v}.", "To build {s} you run {v}, nothing else works.",
              "We changed the build command of {s} to {v}.", "I always forget it, so: build {s} with {v}."),
        dev=("How is a binary of {s} produced?", "A binary of {s} is produced by",
             "Which line turns the source of {s} into a binary?", "I cloned {s}, what do I enter to get it started?"),
        questions=("What do I have to type so that {s} gets compiled?", "Which shell line compiles {s}?",
                   "How do you turn a checkout of {s} into something executable?"),
        completions=("The shell line that compiles {s} is", "You get {s} compiled by typing"),
        indirect="A fresh checkout of {s} lies here and I need an executable, what goes into my shell?",
        after="Which line would compile {s} for me?",
        reverse="Which project gets compiled by typing {v}?",
        negated="Name a shell line that does not compile {s}."),
    Relation(
        "port", "project", "project", "port", "port", Pool("{}", (numbers(1024, 9999),)),
        told=("{s} listens on port {v}.", "{s} now runs on port {v} because the old one was taken.",
              "Ops gave {s} the port {v}.", "{s}'s port is {v}."),
        dev=("What number follows the colon in the address of {s}?", "In the address of {s} the colon is followed by",
             "Which socket does {s} open?", "My browser cannot find {s}, which number did I leave out of the address?"),
        questions=("At what TCP endpoint is {s} reachable?", "Where do clients connect to {s} on localhost?",
                   "Which TCP number did {s} get assigned?"),
        completions=("Clients connect to {s} on localhost:", "The firewall has to let traffic for {s} through at"),
        indirect="I want to curl {s} on localhost, what comes behind the colon?",
        after="Through which TCP number do clients reach {s}?",
        reverse="Which project is reachable at localhost:{v}?",
        negated="Name a TCP number at which {s} is not reachable."),
    Relation(
        "branch", "project", "project", "main branch", "branch", Pool("{}-{}", (THINGS, KINDS)),
        told=("{s} develops on branch {v}.", "The main branch of {s} is {v}, not master.",
              "For {s} we merge everything into the branch {v}.", "{s} renamed its branch, it's {v} now."),
        dev=("Against what do I open pull requests in {s}?", "Pull requests in {s} are opened against",
             "What should git be switched to inside {s}?", "I want to rebase my patch for {s}, onto what?"),
        questions=("Where do finished commits of {s} end up?", "What should I check out to contribute to {s}?",
                   "Which git ref holds the latest commits of {s}?"),
        completions=("Finished commits of {s} end up on", "To contribute to {s}, first check out"),
        indirect="I'm about to push commits to {s}, what do I write behind origin?",
        after="To which git ref do commits for {s} go?",
        reverse="For which project do the commits end up on {v}?",
        negated="Name a git ref that does not hold the latest commits of {s}."),
    Relation(
        "owner", "project", "project", "owner", "owner", Pool("{} {}", (OWNERS, OWNER_LAST)),
        told=("{s} is owned by {v}.", "{v} took over {s} this week, so the owner has changed.",
              "The owner of {s} is {v}.", "If there is trouble, {v} looks after {s} now."),
        dev=("Who gives the last word on changes to {s}?", "The last word on changes to {s} has",
             "To whom do I assign a ticket about {s}?", "Which colleague wears the hat for {s}?"),
        questions=("Who is responsible for {s}?", "Which person leads {s}?", "Who decides what happens in {s}?"),
        completions=("The person responsible for {s} is", "Decisions about {s} are made by"),
        indirect="{s} broke at night, whom do I wake up?",
        after="Who carries the responsibility for {s}?",
        reverse="Which project is {v} responsible for?",
        negated="Name a person who is not responsible for {s}."),
    Relation(
        "staging", "project", "project", "staging host", "staging", Pool("{}{}.lan", (PETS, PET_ENDS)),
        told=("{s} is staged on {v}.", "The staging host of {s} is {v}.",
              "They set up {v} for the staging of {s}.", "{s} moved its staging to {v} over the weekend."),
        dev=("On which machine can testers click through {s}?", "Testers click through {s} on",
             "What server shows the coming version of {s}?", "Before it goes live, {s} sits on"),
        questions=("Where can I preview {s}?", "Which machine serves the preview of {s}?",
                   "What do I ssh into to see the preview of {s}?"),
        completions=("The preview of {s} is served by", "To preview {s}, open"),
        indirect="The customer wants a demo of {s} before launch, which address do I send?",
        after="Which address has the preview of {s}?",
        reverse="Which project has its preview on {v}?",
        negated="Name a machine that does not serve the preview of {s}."),
    Relation(
        "logs", "project", "project", "log folder", "logs", Pool("{}/{}/{}", (ROOTS, THINGS, KINDS)),
        told=("{s} writes its logs to {v}.", "The log folder of {s} is {v}.",
              "I found the logs of {s}, they are in {v}.", "Somebody switched the log folder of {s} over to {v}."),
        dev=("Which directory fills up when {s} gets chatty?", "When {s} gets chatty, the directory that fills up is",
             "What do I tail to watch {s}?", "Where is the trace of what {s} did last night?"),
        questions=("Where does {s} record its errors?", "What path holds the messages of {s}?",
                   "Which place on disk do I search for the stack traces of {s}?"),
        completions=("{s} records its errors under", "The messages of {s} pile up at"),
        indirect="{s} crashed with an error, where do I point grep?",
        after="At which path are the error messages of {s}?",
        reverse="Which project records its errors under {v}?",
        negated="Name a path that holds no messages of {s}."),
)
