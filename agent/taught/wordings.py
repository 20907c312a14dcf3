"""How each convention is taught, how it is asked for afterwards, and what lies near it and must not bring its command.

A block is one kind: the request it is taught in, four others that mean it, and, behind ~, one that does not. They were
written by hand, and no four words in a row are shared between a request that teaches and one that asks, nor between
one that asks and what ``alignment/memory/phrasings.py`` makes of the teaching one by itself (a test holds both).
``{p}`` is an invented project; what has no project is what people call things among themselves.
"""

from __future__ import annotations

from dataclasses import dataclass

ASKED = 4  # wordings of a kind that ask


@dataclass(frozen=True)
class Kind:
    """One thing that somebody wants done."""

    taught: str
    asked: tuple[str, ...]
    near: str


NAMED = """\
deploy {p}
get the new build of {p} out to the customers
put {p} in front of real users
we are ready, {p} may go live
bring production up to what we have of {p}
~ which version of {p} is deployed?

write the release notes for {p}
tell people what changed in {p} since the last version
a summary of the news in {p}, for the announcement
draft the text that goes with the next {p}
what is new in {p}? put it on the release page
~ how long were the last release notes of {p}?

seed the database of {p}
fill the tables of {p} with example rows
{p} needs some fake customers to play with
give {p} its sample data
load the demo records into {p}
~ how big is the database of {p}?

rotate the logs of {p}
the log files of {p} are getting too long, start fresh ones
archive what {p} has logged and begin a new file
roll the {p} journal over
cut off the old log of {p}
~ show the last lines of the {p} log

open the staging tunnel to {p}
I have to reach the test server of {p} from here
connect me with {p} on staging
make the staging host of {p} reachable
let my laptop talk to {p} in the test environment
~ is the staging server of {p} up?

run the slow tests of {p}
everything that takes long in the {p} test suite, please
the nightly checks of {p}, all of them
put {p} through the long test run
test {p} thoroughly, I have an hour
~ how many slow tests does {p} have?

make a new migration for {p}
the tables of {p} changed, write the schema step
{p} has a new column, record that for the database
add a schema change to {p}
prepare the next database version of {p}
~ list the migrations of {p}

back up {p}
keep a safe copy of {p}
copy everything of {p} to the vault
in case the disk dies, store {p} elsewhere
put {p} on the spare drive
~ when was {p} backed up?

restore {p} from last night
bring back yesterday's state of {p}
{p} is broken, take the copy from yesterday
undo today in {p}, go back to the nightly copy
recover {p} with what we saved yesterday
~ what did {p} look like last night?

build the docs of {p}
turn the manual sources of {p} into pages
make the handbook of {p} readable in a browser
{p} needs fresh documentation pages
generate the website with the {p} reference
~ where are the docs of {p}?

benchmark {p}
how fast is {p} today? measure it properly
time {p} against the last version
get performance figures for {p}
find out whether {p} has become slower
~ where are the old benchmark results of {p}?

start the dev server of {p}
I want to try {p} on this machine
bring {p} up locally
let {p} run here while I code
serve {p} on my laptop for working on it
~ which port does the dev server of {p} use?

stop all workers of {p}
no more background jobs for {p}, end them
quiet the job queue of {p}
put every {p} worker to rest
drain the processes behind {p}
~ how many workers does {p} have?

publish the container of {p}
push the image of {p} to the registry
the docker image of {p} should be where others can pull it
hand the packed {p} image to the registry
upload {p} as an image
~ how large is the container of {p}?

refresh the translations of {p}
get the newest strings in all languages for {p}
pull what the translators did for {p}
the foreign texts in {p} are out of date
sync the languages of {p}
~ into how many languages is {p} translated?

renew the certificate of {p}
the TLS of {p} runs out soon, get a new one
{p} will show a browser warning unless its cert is replaced
prolong the https cert for {p}
fresh keys for the {p} site
~ when does the certificate of {p} expire?

tag a release of {p}
mark this commit as the next version of {p}
{p} gets a new version number now
make the current state of {p} a numbered version
put the version label on {p}
~ show the tags of {p}

lint {p}
look for style mistakes in the source of {p}
does the code of {p} follow our rules?
complain about ugly code in {p}
static checks for {p}
~ which linter does {p} use?

format the code of {p}
make the source of {p} look the way we like it
fix indentation and spacing throughout {p}
beautify {p}
bring the files of {p} into our house style
~ how is the code of {p} formatted?

clear the cache of {p}
{p} still shows old pages, make it forget them
throw away what {p} has stored for speed
empty the temporary store of {p}
force {p} to compute everything anew
~ how full is the cache of {p}?

load test {p}
let a thousand fake users hit {p}
how many visitors can {p} bear? try it
put {p} under stress
hammer {p} with requests
~ what load does {p} have now?

upgrade the packages of {p}
newer versions of what {p} depends on
the dependencies of {p} are stale, move them forward
raise the pinned libraries of {p}
get {p} onto current libraries
~ which packages does {p} need?

audit {p}
look for known holes in what {p} uses
is {p} safe? check its libraries for vulnerabilities
security check for {p}, please
search {p} for things an attacker could use
~ who did the last audit of {p}?

prewarm {p}
ask {p} for its pages once, so that the first visitor does not wait
make {p} quick before the crowd comes
prime {p}
get {p} ready to answer fast
~ why is {p} slow in the morning?

draw the dependency graph of {p}
a picture of which module in {p} uses which
show me how the parts of {p} hang together
I need a diagram of the imports in {p}
visualise the structure of {p}
~ how many dependencies does {p} have?

reindex {p}
the search in {p} finds nothing new, mend that
let {p} read all documents again for its search
rebuild what the search box of {p} looks into
search results of {p} are old, refresh them
~ how large is the index of {p}?

mirror {p} to the second site
keep the other data centre in step with {p}
the spare location should have the same {p} as here
copy {p} over to the other place
bring site two level with {p}
~ where is the second site of {p}?

pack the installer of {p}
make something people can click to install {p}
wrap {p} up for download
produce the setup file for {p}
one file with which others get {p} onto their machine
~ how big is the installer of {p}?

turn on maintenance mode for {p}
show visitors of {p} the we-are-working-on-it page
close {p} for the public while we work
nobody should use {p} for the next hour
put the sorry page in front of {p}
~ is {p} in maintenance mode?

roll back {p}
the new {p} is bad, return to the one before
take the latest release of {p} out again
give users the previous {p}
that {p} update was a mistake, reverse it
~ which version came before this one of {p}?

collect the metrics of {p}
how did {p} do this week? gather the numbers
pull together the usage figures of {p}
get the counters out of {p}
statistics for {p}, from all hosts
~ which metrics does {p} have?

anonymise the data of {p}
take the names of real people out of {p}
scrub personal details from {p}
make the records of {p} safe to share
nobody must recognise a customer in the {p} copy
~ whose data is in {p}?

provision a box for {p}
{p} needs a new machine
set up another server that {p} can live on
more hardware for {p}: get one host ready
rent one more host and put {p} on it
~ how many boxes does {p} have?

train the model of {p}
let {p} learn from the new examples
fit {p} again on what came in
teach {p} with this month's samples
the predictions of {p} are stale, make it study anew
~ how good is the model of {p}?
"""

NAMELESS = """\
what we do on Fridays
the usual for Friday
it is Friday, you know what that means
our end-of-week thing
run through the Friday list
~ what we do on Mondays

the morning routine
what you always do first thing in the day
the day begins, do the usual
good morning, get going
start the day off
~ the evening routine

sweep the yard
the yard wants a broom
clean our yard up
get the leaves out of the yard
the yard is dirty again
~ measure the yard

feed the parrots
the parrots are hungry
a meal for our parrots
give the parrots something to eat
it is lunchtime for the parrots
~ count the parrots

open the gates
let the people in
the gates should not stay shut
unbar our gates
everybody may come through the gates now
~ paint the gates

ring the bell
let the bell sound
make some noise with the bell
the bell, loud and clear
give the bell a pull
~ polish the bell

water the garden
the plants are thirsty
give the flowers something to drink
the garden is too dry
the hose, for the beds outside
~ plant the garden

polish the silver
make the spoons shine
the silver has gone dull
our cutlery could gleam more
rub the silver until it shines
~ sell the silver

prepare the demo
people come to look at it tomorrow, get it ready
we show it to somebody soon, set the stage
everything for the presentation
make sure there is something nice to show
~ when is the demo?

the monthly report
numbers for the boss, as at every end of month
sum the month up
what happened these four weeks, on paper
the paper that goes upstairs each month
~ the yearly report

pay the piper
the musician wants his money
settle what we owe the piper
the piper should get his wages
money for the man with the flute
~ hire the piper

call the ferry
we want to cross the river
get the boat to come over
tell the ferryman that we wait
a boat to the other bank
~ paint the ferry

wake the bear
the bear has slept long enough
get the bear out of bed
no more sleep for the bear
rouse the bear
~ feed the bear

light the fire
it is cold, make it burn
put a match to the wood
some flames in the stove
kindle the fire
~ put out the fire

count the sheep
how many sheep are there tonight?
number the flock
go through the flock one by one
are all our sheep still here?
~ shear the sheep

raise the flag
the flag should fly
up with the flag
hoist our colours
the mast is bare, change that
~ lower the flag

change the oil
the engine wants fresh oil
old oil out, new oil in
an oil change
drain the oil and fill it up again
~ check the oil

pack the suitcases
we travel tomorrow, get our bags ready
everything for the trip into the bags
clothes into the luggage
fill the suitcases
~ unpack the suitcases

the fire drill
everybody out of the building, as an exercise
practise for when it burns
pretend there is a fire
rehearse the alarm
~ the fire brigade

clean the kitchen
the sink is full of dishes
wash up and wipe the tables
make the kitchen spotless
nobody can cook in there, it is filthy
~ paint the kitchen

post the letters
the mail has to go out
bring the envelopes to the box
send our letters on their way
stamps on, and off with them
~ read the letters

tune the piano
the piano sounds off
get the strings in pitch again
the keys are out of tune
make the piano sound right
~ play the piano

the friendly reminder
nudge those who have not answered
ask the others again, politely
they forgot us, write to them
a kind word to all who are late
~ the final warning

shake the tree
let the apples fall
make the fruit drop
give the trunk a good push
something may fall down if the tree moves
~ cut the tree

walk the dog
the dog has to go out
a round through the park with the dog
the dog is waiting at the door
take the dog for its walk
~ wash the dog

bake the bread
loaves for tomorrow
the dough is ready for the oven
put the bread in
let there be fresh bread
~ slice the bread

set the table
plates and forks for everybody
the guests sit down soon, lay it all out
get the dishes where they belong for dinner
lay the table
~ sell the table

mend the net
the net has a hole
close the gap in the net
sew the net where it is torn
fish slip through, repair that
~ cast the net

the lucky dip
pick one at random
let chance decide
draw one from the hat
whatever comes up, take it
~ the lucky number

cross the bridge
get us to the far side
over the bridge, all of us
we should be on the other shore
walk over the bridge
~ burn the bridge
"""


def kinds(text: str) -> tuple[Kind, ...]:
    """The kinds of a text of blocks, as above. ValueError names a block that is none."""
    found = []
    for block in text.strip().split("\n\n"):
        taught, *asked, near = block.strip().split("\n")
        if len(asked) != ASKED or not near.startswith("~ ") or any(line.startswith("~") for line in asked):
            raise ValueError(f"{taught!r} is no request with {ASKED} others and one near it")
        found.append(Kind(taught, tuple(asked), near[2:]))
    return tuple(found)


def named() -> tuple[Kind, ...]:
    """Kinds about a project."""
    return kinds(NAMED)


def nameless() -> tuple[Kind, ...]:
    """Kinds about none."""
    return kinds(NAMELESS)
