"""The words that are read as they stand, on the scales of ``spec.Mechanics`` and ``spec.LayoutWishes``."""

from __future__ import annotations

NEGATORS = frozenset(
    "no without never not none zero non lacking nothing isn't aren't don't nor "
    "remove minus avoid skip".split()
)
BOOSTS = frozenset("very really extremely super so too ultra incredibly totally insanely quite".split())
_LEVELS = {
    0.25: "tiny hardly barely scarce scarcely seldom rare",
    0.45: "low weak little light small few fewer less reduced lower gentle soft some weaker mild "
    "faint occasional "
    "handful sparse",
    1.0: "normal medium usual regular average several",
    1.6: "high strong many lots heavy big much more great plenty heavier higher stronger hard full countless "
    "numerous packed swarms hordes everywhere deadly fierce howling raging lot "
    "swarming swarm teeming crawling infested overrun plagued loads tons masses heaps piles "
    "thousands hundreds "
    "dozens crowds armies army horde legions plentiful abundant",
}
LEVEL = {word: level for level, words in _LEVELS.items() for word in words.split()}
FILLER = frozenset(
    "a an the and or of on in at with by for to from into over under through is are be it its this that "
    "there "
    "where which who you your i we they them their his her as but then than up down out off while about "
    "around "
    "near like all each every one two three world game level place player some just very really so too can "
    "will must have has seen view only many lots any before between behind along across".split()
)
NUMBERS = {
    word: number
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve".split()
    )
} | {"dozen": 12}

ENEMY_KINDS = ("walkers", "ghosts", "chasers", "flyers", "spiders")
AMOUNTS = {
    "gravity": "gravity weight weighty",
    "hazards": "hazard hazards spike spikes trap traps danger dangers dangerous thorn thorns pit pits "
    "deadly acid "
    "pitfalls lava magma fire flames brambles saws",
    "collectibles": "coin coins gem gems treasure treasures gold collectible collectibles jewel jewels "
    "loot pearls diamonds rubies",
    "enemies": "enemy enemies monster monsters foe foes creature creatures baddies villains opponents "
    "attackers",
    "walkers": "walker walkers beetle beetles slimes crab crabs snail snails goblin goblins patrol "
    "patrols "
    "patrolling zombie zombies guard guards hedgehog hedgehogs soldier soldiers skeleton skeletons rat "
    "rats ants "
    "turtles trolls goombas ogres mummies cockroaches scorpions",
    "ghosts": "ghost ghosts spirit spirits phantom phantoms wisp wisps specter specters spectre spectres "
    "haunted "
    "floaters jellyfish wraith wraiths poltergeist poltergeists apparitions spooks banshees ghouls",
    "chasers": "chaser chasers hunter hunters hunting wolf wolves chasing dragon dragons stalker stalkers "
    "predator "
    "predators hounds shark sharks bloodhounds velociraptors chase chases chased pursue pursues pursued "
    "pursuing hunted",
    "flyers": "flyer flyers bat bats bird birds crow crows raven ravens eagle eagles hawk hawks owl owls "
    "seagull "
    "seagulls gulls vultures drone drones wasp wasps bee bees hornets moths dragonfly dragonflies "
    "mosquitoes pterodactyls harpies sparrows pigeons",
    "spiders": "spider spiders tarantula tarantulas arachnids",
    "darkness": "dark darkness dim gloomy unlit shadowy night nights midnight",
    "friction": "grip friction traction grippy sticky",
    "water": "water waters lake lakes pool pools pond ponds river rivers stream streams underwater "
    "flooded flood "
    "swim swimming waterfall waterfalls sea ocean lagoon moat canal canals sunken submerged puddles",
    "ice": "ice icy",
    "wind": "wind winds windy gust gusts gusty gale gales breeze breezes breezy storm stormy storms "
    "hurricane "
    "tornado tempest draught",
    "secrets": "secret secrets hidden",
}
"""Words that name something there can be more or less of."""
WORD_OF: dict[str, str] = {word: concept for concept, words in AMOUNTS.items() for word in words.split()}
SCALE = {
    "gravity": 1.0, "hazards": 0.5, "collectibles": 0.6, "darkness": 0.7, "friction": 0.8, "water": 0.5,
    "ice": 0.5, "wind": 0.5, "secrets": 2.0,
}  # fmt: skip
"""What the plain word, without a level, comes to."""
TOP = {"gravity": 3.0, "secrets": 4.0}
"""Upper ends other than 1."""
STORMS = frozenset("gale gales storm stormy storms hurricane tornado tempest".split())
BREEZES = frozenset("breeze breezes breezy draught".split())


def _table(rows: dict[str, dict[str, float]]) -> dict[str, dict[str, float]]:
    return {word: settings for words, settings in rows.items() for word in words.split()}


SETTINGS = _table({
    "fast quick quickly": {"speed": 1.5}, "speedy": {"speed": 1.6}, "rush race": {"speed": 1.6},
    "racing": {"speed": 1.7}, "sprint sprinting": {"speed": 1.5},
    "slow slowly": {"speed": 0.55}, "sluggish": {"speed": 0.4},
    "floaty": {"gravity": 0.5}, "weightless": {"gravity": 0.2}, "heavy": {"gravity": 1.8},
    "jumpy": {"jump": 1.5}, "bouncy springy": {"jump": 1.6},
    "slippery": {"friction": 0.1, "ice": 0.4}, "slick": {"friction": 0.15},
    "bright sunny daylight lit": {"darkness": 0.0},
    "safe harmless": {"hazards": 0.0},
    "peaceful quiet calm friendly relaxing empty": {"enemies": 0.0},
    "huge vast endless enormous gigantic": {"size": 1.35}, "long": {"size": 1.25},
    "small cosy cozy little": {"size": 0.75}, "short": {"size": 0.7}, "tiny": {"size": 0.65},
    "topdown birdseye": {"top": 1.0}, "maze labyrinth": {"top": 1.0, "rooms": 0.9, "branches": 0.8},
    "platformer sidescroller platforms": {"top": 0.0},
    "stairs staircase staircases": {"top": 0.0, "verticality": 0.7},
    "airy spacious sparse roomy uncluttered": {"density": 0.15},
    "crowded cluttered dense cramped packed narrow tight": {"density": 0.85},
    "rooms chambers halls mansion": {"rooms": 0.85},
    "tall vertical tower towers towering climb climbing steep ladders shaft mountain mountains": {
        "verticality": 0.9
    },
    "flat": {"verticality": 0.1},
    "branching forks forking forked crossroads detours": {"branches": 0.9},
    "linear straight": {"branches": 0.1},
    "lifts lift elevator elevators rafts gondolas": {"platforms": 0.6, "top": 0.0},
    "doublejump": {"double_jump": 1.0},
})  # fmt: skip
"""Words that set numbers."""
PHRASES: dict[str, dict[str, float]] = {
    **{f"{how} from above": {"top": 1.0}
       for how in "seen view viewed shown looking look camera everything".split()},
    **{f"overhead {what}": {"top": 1.0}
       for what in "view camera map perspective game".split()}, "top down": {"top": 1.0},
    "bird's eye": {"top": 1.0}, "birds eye": {"top": 1.0}, "top view": {"top": 1.0},
    "from the side": {"top": 0.0}, "side view": {"top": 0.0}, "side scroller": {"top": 0.0},
    "side scrolling": {"top": 0.0},
    "zero gravity": {"gravity": 0.1}, "zero g": {"gravity": 0.1}, "no gravity": {"gravity": 0.1},
    "pitch black": {"darkness": 1.0},
    "pitch dark": {"darkness": 1.0}, "high jumps": {"jump": 1.6}, "jump high": {"jump": 1.6},
    "jumps high": {"jump": 1.6}, **{
        f"{size} {what}": {"jump": 1.6}
        for size in "big huge giant enormous great mighty powerful long".split()
        for what in "jump jumps leap leaps hops bounds".split()
    },
    **{f"{what} {how} high": {"jump": 1.7}
       for what in ("jump", "leap") for how in "very really so super".split()},
    "high leaps": {"jump": 1.6}, "leap high": {"jump": 1.6}, "high jump": {"jump": 1.6},
    **{f"{size} {what}": {"jump": 0.4}
       for size in "low small weak short little tiny".split() for what in ("jump", "jumps", "hops")},
    "plenty of space": {"density": 0.15}, "lots of space": {"density": 0.15},
    "empty space": {"density": 0.15},
    "moon boots": {"gravity": 0.4},
    "double jump": {"double_jump": 1.0}, "double jumps": {"double_jump": 1.0},
    "double jumping": {"double_jump": 1.0}, "jump twice": {"double_jump": 1.0},
    "second jump": {"double_jump": 1.0}, "air jump": {"double_jump": 1.0}, "air jumps": {"double_jump": 1.0},
    "mid air jump": {"double_jump": 1.0}, "midair jump": {"double_jump": 1.0},
    "jump again in the air": {"double_jump": 1.0}, "jump in mid air": {"double_jump": 1.0},
    "many moving platforms": {"platforms": 0.9, "top": 0.0},
    "moving platforms": {"platforms": 0.6, "top": 0.0}, "moving platform": {"platforms": 0.4, "top": 0.0},
    "platforms that move": {"platforms": 0.6, "top": 0.0},
    "platforms which move": {"platforms": 0.6,
    "top": 0.0},
    "floating platforms": {"platforms": 0.5, "top": 0.0}, "drifting platforms": {"platforms": 0.6,
    "top": 0.0},
    "day and night": {"day_length": 60.0}, "night and day": {"day_length": 60.0},
    "days and nights": {"day_length": 60.0}, "day night cycle": {"day_length": 60.0},
    "day turns to night": {"day_length": 60.0}, "day turns into night": {"day_length": 60.0},
    "sun rises and sets": {"day_length": 60.0}, "sunrise and sunset": {"day_length": 60.0},
    "day cycle": {"day_length": 60.0}, "short days": {"day_length": 30.0}, "long days": {"day_length": 120.0},
    "frozen lake": {"ice": 0.6}, "frozen lakes": {"ice": 0.6}, "frozen river": {"ice": 0.6},
    "frozen pond": {"ice": 0.6}, "frozen floor": {"ice": 0.6}, "ice floor": {"ice": 0.6},
    "ice floors": {"ice": 0.6}, "ice rink": {"ice": 0.8, "friction": 0.1},
    "wide open": {"density": 0.1, "rooms": 0.2}, "open space": {"density": 0.15},
    "an open": {"density": 0.15},
    "open spaces": {"density": 0.15}, "open fields": {"density": 0.15}, "open plains": {"density": 0.15},
    "many rooms": {"rooms": 0.95},
    "up and down": {"verticality": 0.85},
    "flat ground": {"verticality": 0.1},
    "level ground": {"verticality": 0.1},
    "side paths": {"branches": 0.9}, "side path": {"branches": 0.8}, "many paths": {"branches": 0.9},
    "many ways": {"branches": 0.9}, "dead ends": {"branches": 0.9}, "side tunnels": {"branches": 0.9},
    "straight path": {"branches": 0.1},
}  # fmt: skip
"""Words together that set numbers, the longest first where one holds another."""
IDIOMS = tuple(
    sorted(
        "wind up,wind chime,wind chimes,wind instruments,second wind,like the wind,ice cream,heavy "
        "metal,heavy heart,"
        "heavy accent,light hearted,light reading,high spirits,high fashion,spirit of,flat "
        "design,flat colours,"
        "flat colors,flat cap,open mind,open letter,small talk,fast food,hot topic,cold war,cold "
        "colours,cold colors,"
        "star quality,bat signal,spider man,dark humour,dark humor,dark academia,water colours,water colors,"
        "water colour,water color,water paints,fire escape,fire escapes,barber shop,long gone,long "
        "ago,long lost,"
        "so long,secret recipe,under the weather,stormy romance,running gag,boss rush,air streams,air stream,"
        "acid pool,acid pools,lava lake,lava lakes,lava river,lava rivers,rivers of lava,lakes of "
        "lava,salt lake,"
        "river delta,lift off,lifts you,lifts me,straight down,straight from,straight in,jump straight,"
        "ghost town,ghost writer,concrete jungle,space to,space between,slow motion,child "
        "friendly,fire in his heart,"
        "fire in her heart,ice blue,sea green,forest green,moonlight sonata,old money,storm in a teacup,"
        "deep purple,bright idea,piece of cake,cold feet,once in a blue moon,rock star,movie "
        "star,pop star".split(","),
        key=lambda idiom: (-len(idiom.split()), idiom),
    )
)
"""Words together that say nothing of what they say alone; the longest first."""
DEPICTED = frozenset(
    "statue statues painting paintings picture pictures poster posters story stories tale tales "
    "song songs poem "
    "drawing tattoo smell taste memory memories colour color colours film book books joke named "
    "called name".split()
)
"""What comes after their "of" or "about" is not there itself."""
COMPOUNDS = frozenset(
    "tattoo comic comics signal crest poster posters statue statues song songs writer story stories "
    "picture pictures "
    "costume costumes mask masks logo print toys figurine food man woman stew soup colours colors "
    "colour letters "
    "recipe chimes feathers eggs plush sticker stickers drawing drawings painting paintings jokes "
    "pattern patterns "
    "hairdo hat hats".split()
)
"""Nouns that make the word before them a mere description: "a bird tattoo"."""
SIZES = frozenset("huge vast endless enormous gigantic long small cosy cozy little short tiny".split())
SIZED = frozenset(
    "world level place map game land kingdom region area walk journey way path road trip course "
    "adventure quest "
    "expedition stage run trail maze labyrinth tower stroll one thing realm valley corridor tour".split()
)
"""What a word of SIZES has to be said of to be the world's size; looks count too."""
PACES = frozenset("fast quick quickly slow slowly sluggish".split())
OTHER_PACES = frozenset(
    "fall falls falling drop drops dropping descent descents music beat tune tempo song motion food "
    "drift drifting "
    "drifts float floats floating sink sinks sinking descend glide down light lights day days night "
    "nights rain "
    "snow water".split()
)
"""Beside a word of PACES, they are what is fast or slow, not the player."""
MOODS = frozenset("peaceful quiet calm friendly relaxing empty".split())
OTHER_MOODS = frozenset(
    "tempo pace music song tune colours colors chest chests space hall halls area plain air expanse "
    "pockets bottles "
    "voice sign shopkeeper character king wizard".split()
)
"""After a word of MOODS, they are what is calm or empty, and enemies may still be there."""
OFF = frozenset({"double_jump", "day_length", "platforms", "water", "ice"})
"""Concepts that a negation sets to nothing; elsewhere it only takes the word back."""

THEMES = {
    "market": "market bazaar stalls stall fair carnival shop shops",
    "lava": "lava magma volcano volcanic burning fire hell inferno molten ember",
    "ice": "ice icy frozen frost snow snowy winter glacier arctic polar cold blizzard",
    "moon": "moon lunar space asteroid planet alien mars crater cosmic stars orbit",
    "city": "city neon street streets skyscraper skyscrapers rooftop rooftops urban town cyberpunk downtown",
    "warehouse": "warehouse brick bricks factory crates cellar basement storage industrial dungeon castle "
    "prison",
    "garden": "garden gardens hedge hedges flower flowers park meadow lawn orchard yard",
    "desert": "desert sand sandy dune dunes pyramid oasis cactus canyon egypt",
    "coast": "coast coastal beach sea ocean shore island harbour harbor lighthouse cliff cliffs pier reef "
    "lagoon",
    "swamp": "swamp marsh bog mud muddy murky toxic slimy",
    "forest": "forest wood woods woodland jungle mossy moss tree trees leafy grove fern mushrooms",
    "cave": "cave caves cavern caverns mine mines tunnel tunnels underground grotto crystal crystals cellars",
}
"""Families of looks, the more telling first."""
SUGGESTS: dict[str, dict[str, float]] = {
    "cave": {"darkness": 0.45, "hazards": 0.3},
    "ice": {"friction": 0.2, "ice": 0.3},
    "moon": {"gravity": 0.4},
    "lava": {"hazards": 0.55, "darkness": 0.2},
    "city": {"darkness": 0.1},
    "swamp": {"friction": 0.6, "hazards": 0.35, "water": 0.3},
    "garden": {"hazards": 0.1},
}
TAGS = {
    "night": "night midnight evening dusk moonlit",
    "lanterns": "lantern lanterns lamp lamps lights candle candles torch torches",
    "crystals": "crystal crystals gem gems glowing",
    "flowers": "flower flowers blossom blossoms bloom roses petals",
    "stalls": "stall stalls market bazaar paper",
    "crates": "crate crates boxes barrels warehouse",
    "lighthouse": "lighthouse",
    "stars": "stars starry space moon",
    "snow": "snow snowy blizzard frozen falling",
    "mushrooms": "mushroom mushrooms",
    "neon": "neon cyberpunk",
}
DEFAULTS = {
    "gravity": 1.0, "jump": 1.0, "speed": 1.0, "friction": 0.8, "hazards": 0.25, "collectibles": 0.5,
    "darkness": 0.0, "size": 1.0, "top": 0.0, "double_jump": 0.0, "wind": 0.0, "water": 0.0, "ice": 0.0,
    "platforms": 0.0, "day_length": 0.0, "coins_needed": 0.0, "density": 0.5, "rooms": 0.5,
    "verticality": 0.5,
    "branches": 0.5, "secrets": 1.0,
}  # fmt: skip
"""What holds where nobody says anything. ``size``: length of the walk, 1 is normal."""
ALWAYS_SAID = ("gravity", "jump", "speed", "friction", "hazards", "collectibles", "darkness", "size", "top")
"""Shown to the creator even where they are as usual."""
CAVES = frozenset({"cave", "lava", "warehouse", "ice"})
