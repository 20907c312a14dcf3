"""The bank's relations between a person and what they like."""

from __future__ import annotations

from nimllm.alignment.memory.bench.bank import Pool, Relation, words

SHADES = words(
    "dark light pale deep bright dusty warm cold soft smoky neon pastel muted royal faded misty burnt electric icy "
    "mossy milky sandy rusty golden stormy velvet glossy matte foggy frosty sunny murky")
COLOURS = words(
    "red blue green yellow orange purple teal violet grey brown pink olive indigo amber coral crimson ivory lilac "
    "mauve navy ochre plum rust sand silver black white beige scarlet turquoise magenta lime")
TASTES = words(
    "lentil mushroom pumpkin tomato leek potato spinach lemon ginger apple cherry walnut sesame onion carrot cabbage "
    "pepper bean rice barley plum garlic basil coconut salmon fennel almond pear turnip sorrel quince beet")
DISHES = words(
    "soup stew curry pie salad noodles dumplings risotto omelette pancakes tacos bread cake pasta pizza porridge "
    "rolls skewers sandwich chowder gratin fritters casserole hotpot pudding goulash quiche roast tart wraps broth "
    "ragout")
BREWS = words(
    "tea juice cider soda coffee lemonade punch shake smoothie cordial tonic ale syrup liqueur brandy wine mead "
    "cocktail infusion water kefir lassi beer spritz latte mocha cocoa kombucha schnapps rum gin sherry")
WAYS = words(
    "indoor outdoor winter summer weekend evening speed blind team solo night river street alpine coastal antique "
    "miniature urban desert island morning holiday jungle arctic lakeside village castle rooftop garden forest "
    "mountain midnight")
PASTIMES = words(
    "chess rowing climbing pottery knitting baking sailing archery juggling birdwatching fencing skating origami "
    "woodcarving astronomy kayaking calligraphy bouldering beekeeping photography fishing cycling painting poker "
    "dancing singing quilting geocaching judo karate cricket darts")
EDITOR_STARTS = words(
    "ac al bo bri ca cor da del dra ed el fa fin ga gli ha hex in jo ka kil la li mi mo nex no o pa pi qui ro")
EDITOR_ENDS = words(
    "bit byte code cursor desk doc draft ed edit flow form grid ink ite key line lite mark note pad page pen print "
    "quill scribe script sheet star text type vim write")
SONG_FIRST = words(
    "Silent Broken Golden Lonely Crooked Burning Frozen Paper Velvet Hidden Borrowed Northern Crystal Restless Secret "
    "Midnight Scarlet Wooden Sleeping Electric Hollow Distant Bitter Gentle Falling Wandering Painted Stolen Sunken "
    "Whistling Empty Iron")
SONG_LAST = words(
    "River Road Morning Harbour Letter Garden Shadow Mirror Station Window Winter Train Lighthouse Compass Feather "
    "Lantern Carousel Meadow Sparrow Engine Island Thunder Ladder Orchard Ribbon Valley Tower Candle Horizon Anchor "
    "Kettle Parade")

RELATIONS = (
    Relation(
        "drink", "preference", "person", "favourite drink", "drink", Pool("{} {}", (TASTES, BREWS)),
        told=("{s}'s favourite drink is {v}.", "{s} orders {v} at every bar.",
              "We were out with {s}, who likes {v} more than any other drink.", "{s} drinks {v} all the time."),
        dev=("Which glass makes {s} smile?", "The glass that makes {s} smile is filled with",
             "What do I bring {s} against the thirst?", "{s} is thirsty, what shall it be?"),
        questions=("What beverage does {s} enjoy most?", "Which beverage should I pour for {s}?",
                   "With which beverage can one please {s}?"),
        completions=("The beverage {s} enjoys most is", "In the cup of {s} you will usually see"),
        indirect="{s} comes by this evening and I am at the shop, which bottle do I buy?",
        after="Which beverage would {s} choose?",
        reverse="Who enjoys {v} most of all beverages?",
        negated="Name a beverage that {s} does not enjoy most."),
    Relation(
        "colour", "preference", "person", "favourite colour", "colour", Pool("{} {}", (SHADES, COLOURS)),
        told=("{s}'s favourite colour is {v}.", "{s} painted the whole flat {v} because no colour is nicer to {s}.",
              "{s} likes {v} best of all colours.", "In the paint shop {s} told me that {v} is the best colour."),
        dev=("What would {s} dye a scarf?", "A scarf made by {s} would be dyed", "Which crayon does {s} use up first?",
             "How should the gift paper look to please {s}?"),
        questions=("Which shade does {s} adore?", "What tint does {s} pick for clothes?",
                   "To which hue is {s} most attached?"),
        completions=("The shade {s} adores is", "For clothes, {s} picks the tint"),
        indirect="I'm knitting a jumper as a surprise for {s}, which wool do I take?",
        after="Which hue does {s} adore?",
        reverse="Who adores the shade {v}?",
        negated="Name a shade that {s} does not adore."),
    Relation(
        "dish", "preference", "person", "favourite food", "food", Pool("{} {}", (TASTES, DISHES)),
        told=("{s}'s favourite food is {v}.", "{s} could eat {v} day and night.",
              "I asked {s} about dinner and got the same answer as ever: {v}, the favourite food.",
              "{s} loves eating {v}."),
        dev=("What makes {s}'s mouth water?", "What makes {s}'s mouth water is a plate of",
             "Which recipe would win over {s}?", "{s} is hungry, what goes on the stove?"),
        questions=("What meal does {s} crave?", "Which meal would {s} order in a restaurant?",
                   "On {s}'s ideal menu, what is the main course?"),
        completions=("The meal that {s} craves is", "In a restaurant {s} always orders the"),
        indirect="I am cooking tonight and want to make {s} happy, what should be on the table?",
        after="Which meal is {s} craving?",
        reverse="Who craves {v} above every other meal?",
        negated="Name a meal that {s} does not crave."),
    Relation(
        "pastime", "preference", "person", "hobby", "hobby", Pool("{} {}", (WAYS, PASTIMES)),
        told=("{s}'s hobby is {v}.", "{s} took up {v} last month and talks of nothing else.",
              "{s} is into {v}, quite a hobby.", "{s} spends free time on {v}."),
        dev=("What does {s} do after work for fun?", "After work, for fun, {s} goes for",
             "Which meeting would {s} never skip?", "If {s} has a day off, the day is for"),
        questions=("How does {s} relax on Sundays?", "Which pastime has got hold of {s}?",
                   "What leisure activity does {s} pursue?"),
        completions=("On Sundays {s} relaxes with", "The pastime that {s} pursues is"),
        indirect="I need a magazine about the leisure of {s}, which shelf do I go to?",
        after="Which pastime does {s} pursue?",
        reverse="Who relaxes with {v}?",
        negated="Name a pastime that {s} does not pursue."),
    Relation(
        "editor", "preference", "person", "editor", "editor", Pool("{}{}", (EDITOR_STARTS, EDITOR_ENDS)),
        told=("{s} uses {v} as editor.", "{s} switched to the editor {v}.", "{s}'s editor is {v}.",
              "{s} won't edit text with anything but {v}."),
        dev=("In what program does {s} write code?", "{s} writes code in", "Which shortcuts has {s} memorised?",
             "What do I install on a laptop for {s} so that code can be written?"),
        questions=("What software does {s} open source files in?", "Which software does {s} program in all day?",
                   "When {s} starts programming, which window comes up first?"),
        completions=("The software {s} opens source files in is", "All day {s} programs in"),
        indirect="I have to fix something on the screen of {s}, whose key bindings will I need?",
        after="Which software does {s} open for programming?",
        reverse="Who opens source files in {v}?",
        negated="Name software that {s} does not open source files in."),
    Relation(
        "song", "preference", "person", "favourite song", "", Pool("{} {}", (SONG_FIRST, SONG_LAST)),
        told=("{s}'s favourite song is {v}.", "{s} has played {v} on repeat for weeks, it's the favourite song.",
              "No song is better than {v}, says {s}.", "{s} has {v} as favourite song."),
        dev=("Which tune does {s} whistle?", "The tune that {s} whistles is",
             "What should the band strike up for {s}?", "Which record would {s} take to a desert island?"),
        questions=("What music does {s} put on first?", "Which track does {s} hum in the shower?",
                   "What track brings {s} onto the dance floor?"),
        completions=("In the shower {s} hums", "The track that brings {s} onto the dance floor is"),
        indirect="I'm the DJ at {s}'s wedding, with which track do I open?",
        after="Which track would {s} put on?",
        reverse="Who hums {v} in the shower?",
        negated="Name a track that {s} does not hum."),
)
