"""What threats look like in plain words: who intends what against whom.

Each pattern is matched against lower-case words separated by single spaces, without contractions.
"""
# ruff: noqa: E501 -- a pattern is read best on one line

from __future__ import annotations

import re
from dataclasses import dataclass

from moderation.detectors.textrules import phrases

LETHAL = (
    "kill|murder|shoot|stab|strangle|behead|slaughter|rape|torture|lynch|slit|dismember|gut|execute|disembowel"
    "|decapitate|skin|mutilate|assault|kidnap|abduct|molest"
)
HARM = "hurt|beat|break|burn|cut|choke|hang|bomb|hunt|poison|drown|bury|end|smash|bash|punch|knife|snap|harm"
PLAYFUL = (
    "destroy|crush|defeat|vanquish|smite|conquer|obliterate|annihilate|devour|eat|haunt|squash|fry|roast"
)
BODY = (
    "throat|neck|head|face|legs?|arms?|bones|body|skull|heart|eyes|tongue|fingers|hands?|feet|guts|jaw|nose|ribs|spine"
    "|teeth|knees|kneecaps|lungs|belly|stomach"
)
KIN = (
    "family|mother|mom|mum|father|dad|kids?|children|son|daughter|wife|husband|sister|brother|parents|baby|siblings?"
    "|grandma|grandpa|grandmother|grandfather|grandparents|uncle|aunt|cousins?|girlfriend|boyfriend|dog|cat|puppy|pets?"
)
OF_KIN = "whole|entire|little|baby|big|older|younger|twin|poor|old|precious|sweet|pretty|beloved|best"
HOME = "house|home|address|school|room|bedroom|apartment|flat|workplace|office"
GROUP = (
    "jews?|muslims?|christians?|blacks|whites|black people|white people|gays?|gay people|lesbians?|homosexuals?"
    "|immigrants?|migrants?|refugees|foreigners|mexicans?|arabs?|asians?|africans?|women|trans people|transgenders?"
    "|hindus?|sikhs?|catholics?|roma|disabled people|the disabled|turks|kurds|indians"
)
PERSON = (
    "teachers?|students?|pupils?|classmates?|kids?|child|children|girls?|boys?|wom[ae]n|m[ae]n|person|cops?|officers?"
    "|drivers?|nurses?|doctors?|customers?|coworkers?|neighbou?rs?|judges?|one of (?:you|them)"
)
PLACE = (
    "school|mosque|church|synagogue|airport|hospital|mall|classroom|university|college|kindergarten|stadium"
    "|police station|train station|office building|courthouse|embassy"
)
DEADLY_DROP = "train|bus|truck|lorry|tram|subway|traffic|bridge|roof|rooftop|building|balcony|window|stairs|tracks|highway|motorway"
GUN = "gun|knife|rifle|bomb|weapon|pistol|shotgun|handgun|machete|blade"

LIFE = re.compile(
    rf"\b(?:irl|in real life|where you live|your (?:{HOME}|{KIN})|your (?:bed|sleep|work)|outside your"
    r"|tonight|tomorrow|cops|police)\b"
)
GAME = re.compile(
    r"\b(?:hero|heroes|knights?|goblins?|dragons?|boss|level|arena|sword|wizards?|mortals?|arcade|match|round"
    r"|respawn|coins?|score|quest|king|queen|ghosts?|puny|fools?|travell?ers?|adventurers?|game|race|duel|chess"
    r"|mario kart|cards|kingdom|dungeon|monsters?|finish line|lava|spikes|foolish|worm|warriors?|humans?|earthlings?"
    r"|elf|elves|dwarf|dwarves|mages?|skeletons?|racer|champion|archer|vampires?|zombies?|robots?|minecart|orcs?|trolls?|spider|boulder|wolf|wolves"
    r"|ritter|drachen?|kobolde?|held|konig|geist|dragon(?:es)?|caballero|heroe|esqueletos?|fantasma|duendes?|rey"
    r"|chevalier|heros|gobelins?|squelettes?|roi|fantome|dragao|cavaleiro|heroi|esqueletos?|rei|drago|cavaliere"
    r"|eroe|scheletri|scheletro|smok|smoka|rycerzu?|bohaterze?|szkielety?|krol|ejderhay?[ai]?|sovalye|kahraman"
    r"|draak|ridder|skeletten|held|koning)\b"
)
REPORTING = re.compile(
    r"\b(?:he|she|they|it|who|villain|ghost|king|witch|story|book|sign) (?:says?|said|told|reads?)\b"
)
CONDITION = re.compile(r"\b(?:if|unless|when|whenever|until)\b")

_MEANS = (
    r"(?:(?P<sure>will|shall|am going to|are going to|(?:am|are) coming (?:over |back |round )?to|(?:am|are) on (?:my|our) way to"
    r"|am about to|swear (?:to god )?(?:that )?i will|promise (?:that )?i will|promise to|am gonna|can not wait to|cannot wait to)"
    r"|(?P<wish>want to|would love to|would like to|need to|plan to|have to|would)|(?P<may>could|can|might|should))"
)
_YOURS = rf"your (?:(?:{OF_KIN}) ){{0,2}}(?:(?:{KIN})'s (?:{BODY}|{HOME}|life)|{BODY}|{KIN}|{HOME})"
_TARGET = rf"(?:you\b(?! (?:a|an|some)\b)|{_YOURS})"
_HARM_TARGET = rf"(?:you\b(?! (?:a|an|the|some|at|to|in (?!your))\b)|{_YOURS})"
_ALL = r"(?:(?:all of|both of|both|every one of|every bone in|each of|down|up|off|open|out|the \w+ out of) )?"


@dataclass(frozen=True)
class Pattern:
    """A way to threaten; ``score`` holds when nothing in the text lowers or raises it."""

    regex: re.Pattern[str]
    score: float


def pattern(score: float, regex: str) -> Pattern:
    """A pattern that begins and ends at words."""
    return Pattern(re.compile(rf"(?<![\w']){regex}(?![\w'])"), score)


_SUBJECT = r"(?:(?:i|we)(?: \w+)?? |(?:^|(?<=[.;] ))(?=will|going to|want to))"
_FIRST = r"(?:find|come|hunt|get|track|catch|follow|go) (?:\w+ ){0,4}?and (?:then )?"
_INTENT = rf"{_SUBJECT}(?P<no>not |never )?(?:{_MEANS}|going to) (?P<no2>not |never )?(?:{_FIRST}|(?:\w+ )??)"
PATTERNS = (
    pattern(0.9, rf"{_INTENT}(?!shoot you the\b)(?:{LETHAL}) {_ALL}{_TARGET}"),
    pattern(0.55, rf"{_INTENT}(?:{LETHAL}) (?:everyone|everybody|people)"),
    pattern(0.7, rf"{_INTENT}(?:{LETHAL}|bomb|burn) (?:the next|every|every single|any|another|all the|all) (?:{PERSON})"),
    pattern(0.7, rf"your (?:{KIN}) (?:will|is going to|are going to) (?:die|pay|suffer|bleed|burn|be (?:killed|dead|next))"),
    pattern(0.85, rf"(?:{_INTENT}|(?:someone|somebody) (?:should|ought to|needs to|must|has to) )put (?:a|my|this|the) (?:bullet|knife|blade|gun|axe) (?:in|into|through|between|to) (?:you|{_YOURS}|your (?:back|chest|brain))"),
    pattern(0.75, rf"{_INTENT}put you in (?:the|a|your) (?:hospital|ground|grave|coffin|wheelchair)"),
    pattern(0.8, rf"{_INTENT}have (?:you|your (?:{KIN})) (?:killed|shot|raped|beaten|murdered)"),
    pattern(0.85, r"(?:i|we) (?:will|am going to|are going to) (?:end|take) your life"),
    pattern(0.75, r"(?:they|nobody|no one|police) will (?:never |ever )?find (?:your|the) (?:body|bodies|corpse|remains)"),
    pattern(0.65, r"you (?:will not|are not going to) (?:live to )?see (?:tomorrow|another day|the morning)"),
    pattern(0.75, rf"{_INTENT}(?:{HARM}) {_ALL}{_HARM_TARGET}"),
    pattern(0.35, rf"{_INTENT}(?:{PLAYFUL}) {_ALL}{_HARM_TARGET}"),
    pattern(0.8, rf"(?:i|we) (?:{LETHAL}) (?:you|your (?:{KIN}))"),
    pattern(0.9, rf"{_INTENT}(?:burn|blow|shoot|bomb) (?:down |up )?your (?:{HOME})(?: down| up)?"),
    pattern(0.9, rf"{_INTENT}(?:shoot|blow|burn|bomb|attack)(?: up| down)? (?:the|my|your|our|this|that|a) (?:{PLACE})"),
    pattern(0.85, rf"bombs? (?:in|at|inside|under|on) (?:my|your|our|this) (?:{PLACE})"),
    pattern(0.9, rf"(?:i|we) (?:have )?(?:put|planted|placed|hid|hidden|left|made) (?:\w+ ){{0,2}}bombs? (?:in|at|inside|under|on|for) (?:the|a) (?:{PLACE})"),
    pattern(0.6, rf"(?:there is|is) a bomb (?:in|at|inside|under|on) the (?:{PLACE})"),
    pattern(0.7, rf"{_INTENT}find your (?:{KIN})"),
    pattern(0.7, r"you (?:will|are going to|are gonna) die (?:tonight|tomorrow|today|soon|this week|on \w+day)"),
    pattern(0.85, r"(?:i|we) know where you (?:live|sleep|work|go to school|park)"),
    pattern(0.8, rf"(?:i|we) know (?:where|what school|which school) your (?:{KIN}) (?:lives?|sleeps?|works?|goe?s?|plays?)"),
    pattern(0.75, rf"(?:i|we) (?:know|have|got|have got|found) your (?:home )?(?:address|{HOME})(?! of)"),
    pattern(0.8, rf"(?:i|we) (?:am|are|will be) (?:\w+ )?(?:outside|inside|coming to|watching) your (?:{HOME}|window|door)"),
    pattern(0.45, rf"(?:i|we) (?:am|are|will be) (?:in|at) your (?:{HOME}|window|door)"),
    pattern(0.75, rf"{_INTENT}make you (?:bleed|suffer|scream|beg)"),
    pattern(0.7, rf"{_INTENT}(?:see|watch) you (?:die|bleed|suffer|burn|dead)"),
    pattern(0.65, rf"(?:you (?:will )?never|never) (?:walk|breathe|wake up|see (?:your (?:{KIN}|{HOME})|daylight)) again"),
    pattern(0.85, rf"(?:bring|bringing|brought|take|taking) (?:a|my|the) (?:\w+'s |\w+ )?(?:{GUN}) to (?:the |my |our |your )?(?:{PLACE}|class|work|prom|practice)"),
    pattern(0.85, rf"(?:everyone|everybody|all) (?:in|at) (?:this|the|my|your|our) (?:{PLACE}) (?:will|must|should|is going to|are going to) (?:die|be (?:killed|dead|shot))"),
    pattern(0.7, rf"(?:i|we) (?:am|are|will) (?:coming|come) (?:for|after) your (?:{KIN})"),
    pattern(0.4, r"(?:i|we) (?:am|are) (?:coming|going) (?:for|after) you"),
    pattern(0.45, r"(?:i|we) (?:will|am going to|are going to) find you(?! (?:a|an|the|some)\b)"),
    pattern(0.6, r"sleep with one eye open"),
    pattern(0.4, r"(?:you better )?watch your back"),
    pattern(0.25, r"you (?:will|are going to) die"),
    pattern(0.5, r"you (?:will|are going to) (?:bleed|suffer)"),
    pattern(0.35, r"you are (?:dead|a dead (?:man|woman|girl|boy))"),
    pattern(0.6, r"you (?:will|are going to) be (?:dead|killed|murdered|raped)"),
    pattern(0.6, r"you are dead (?:if|when|once|by|after)"),
    pattern(0.8, r"(?:am|are) watching you (?:through|from|in|outside|at) your"),
    pattern(0.9, r"(?P<no>not |never |will |could |can |might |to )?kill (?:yourself|yourselves)"),
    pattern(0.85, r"kys"),
    pattern(0.85, r"(?P<no>not |never |will |could |can |might |to )?(?:hang|shoot|drown|cut|stab) yourself"),
    pattern(0.75, r"drink (?:bleach|poison|acid|antifreeze)"),
    pattern(0.8, r"(?P<no>not |never )?(?:slit|cut) your wrists?"),
    pattern(0.6, r"go (?:and )?jump off (?:a|the) (?:bridge|building|roof)"),
    pattern(0.65, r"(?P<no>not |never )?jump (?:off|from|in front of|under) (?:a|the|that) \w+ and die"),
    pattern(0.85, rf"{_INTENT}(?:push|shove|throw|kick|toss) {_TARGET} (?:in front of|under|off|out of|into|onto|down|from) (?:a |an |the |that |your |oncoming )*(?:{DEADLY_DROP})"),
    pattern(0.75, rf"(?:and|or|then|before) your (?:(?:{OF_KIN}) ){{0,2}}(?:{KIN}) (?:dies?|bleeds?|burns?|disappears?|gets? (?:hurt|killed|it)|will (?:die|burn|bleed|pay|disappear))"),
    pattern(0.7, r"you (?:have|have got|have only|only have|got) (?:\w+ ){1,3}(?:left )?to live"),
    pattern(0.65, r"(?:i|we) (?:have )?(?:followed|tracked|watched|saw) you (?:\w+ )?(?:home|sleep|to your (?:house|home|school|car|door))"),
    pattern(0.75, r"(?:i|we) know (?:which|what) (?:window|house|room|car|door|bus|bed|locker) is yours"),
    pattern(0.75, r"(?:i|we) know (?:the|what|which) (?:street|house|building|block|town|neighborhood|neighbourhood) (?:where |in which |that )?you (?:live|sleep|stay)"),
    pattern(0.2, r"(?:i|we) (?:am|are) (?:standing )?(?:right )?(?:behind|next to|above) you"),
    pattern(0.5, r"(?:please|just|please just) die(?= [.!,]|$| already)"),
    pattern(0.65, r"(?:world|everyone|we) (?:would|will) be better (?:off )?without you"),
    pattern(0.55, r"go (?:and )?die"),
    pattern(0.75, r"(?P<no>not |never )?end your (?:own )?life"),
    pattern(0.65, rf"i (?:hope|wish|pray) (?:that )?(?:you|your (?:{KIN})) (?:all )?(?:die|dies|get (?:cancer|raped|killed|shot)|were dead|burn)"),
    pattern(0.65, r"you (?:deserve to|should|ought to|need to) (?:die|be (?:killed|shot|raped|hanged|burned|dead))"),
    pattern(0.8, rf"(?:someone|somebody) (?:should|needs to|has to|ought to|must) (?:{LETHAL}|{HARM}) (?:you|your)"),
    pattern(0.7, r"i want you dead"),
    pattern(0.9, rf"(?:kill|gas|murder|shoot|exterminate|lynch|hang|bomb|burn|slaughter) (?:all |every |the |those |these )*(?:{GROUP})"),
    pattern(0.9, rf"death to (?:all )?(?:the )?(?:{GROUP})"),
    pattern(0.85, rf"(?:all )?(?:the )?(?:{GROUP}) (?:must|should|deserve to|ought to|need to|will) (?:all )?(?:die|burn|hang|(?:be|get) (?:killed|exterminated|shot|gassed|hanged|lynched|raped|burned|stoned|murdered|slaughtered|executed|bombed|wiped out|put down))"),
    pattern(0.8, rf"{_INTENT}(?:wring|crush|crack|split|smash|rearrange|slice) (?:open )?your (?:{BODY}|ribs|spine|windpipe)"),
    pattern(0.85, rf"{_INTENT}(?:end|finish) (?:you|your life|you off)(?! (?:a|an|the|turn|quest)\b)"),
    pattern(0.8, rf"{_INTENT}(?:run|mow) you (?:over|down)(?! (?:in|at) (?:the )?(?:race|track))"),
    pattern(0.85, rf"{_INTENT}(?:set|light) (?:fire to )?(?:you|your (?:{HOME}|{KIN}|car|hair|dog|bed))(?: on fire)?"),
    pattern(0.85, rf"{_INTENT}(?:throw|pour|splash) (?:acid|petrol|gasoline|bleach|boiling \w+) (?:on|in|over|at|into) (?:you|your \w+)"),
    pattern(0.85, rf"{_INTENT}(?:beat|kick|stomp|pound|punch) you (?:to (?:death|a pulp|pieces)|senseless|unconscious|bloody|until|half to death|black and blue)"),
    pattern(0.8, rf"{_INTENT}(?:knock|kick|punch|pull|rip|tear|smash) (?:out )?(?:all )?your (?:{BODY}|teeth|lungs|nails)(?: out| in| off| down your throat)?"),
    pattern(0.75, rf"{_INTENT}(?:cave|kick|bash|beat|stave) your (?:head|face|skull|teeth|chest) in"),
    pattern(0.8, rf"{_INTENT}(?:carve|chop|slice|hack|cut) (?:you|your (?:{BODY})) (?:up|open|apart|off|to pieces|into pieces|into bits)"),
    pattern(0.85, rf"{_INTENT}(?:shank|neck|waste|whack|snuff|gank|jump|ambush|stomp) (?:on )?(?:you|u)\b(?! (?:a|an|the|at|in (?:the|this) (?:game|match|arena))\b)"),
    pattern(0.8, rf"(?:{_INTENT}|(?:someone|somebody) (?:should|ought to|needs to|must|has to) )(?:put you (?:down|to sleep|out of (?:your|our) misery|six feet under|in a (?:hole|box|body bag|coffin))|shut you up forever)"),
    pattern(0.75, r"(?:you (?:will|are going to)|you|(?:and|or) you) (?:end|wind|wake) up (?:in (?:a|the) (?:ditch|river|hospital|coffin|body bag|morgue|grave|wheelchair|trunk|landfill)|dead|buried|six feet under)"),
    pattern(0.75, r"(?:you|they) (?:will not|are not going to|will never|shall not) (?:\w+ )?(?:make it (?:home|out)|get home|leave here|live|leave|survive|wake up|breathe|walk out|come home)(?: \w+){0,3} (?:alive|tonight|again|tomorrow|this (?:week|night))"),
    pattern(0.7, r"(?:your days are (?:numbered|over)|your time is (?:up|running out)|you are living on borrowed time)"),
    pattern(0.75, r"(?:say|said|kiss) (?:goodbye|your last goodbye) to your (?:family|mother|mom|kids|life|children|dog)"),
    pattern(0.7, r"(?:you are|your (?:family|mother|kids|sister|brother) (?:is|are)) (?:next|a dead man walking|as good as dead|gonna pay|going to pay with \w+ \w+)"),
    pattern(0.8, r"(?:a|this|that|my|the|got a|have a) (?:bullet|knife|blade|noose|rope|grave|gun|coffin) (?:\w+ ){0,3}(?:with your name|waiting for you|reserved for you|has your name|for your (?:head|neck))"),
    pattern(0.75, r"(?:waiting|wait|be) for you (?:after (?:school|class|work|practice)|outside (?:school|work|your)|in the parking lot|at the bus stop|by your car)"),
    pattern(0.8, r"(?:i|we) know (?:which|what|when|where|whose|the) (?:\w+ ){0,3}(?:your (?:" + KIN + r"|dog|car)|you) (?:takes?|catch(?:es)?|goe?s?|sleeps?|walks?|plays?|works?|parks?|studies|study|gets?|leaves?)"),
    pattern(0.7, r"(?:i|we) know your (?:street|home|house|route home|school|schedule|real name and address|way home)(?! of)"),
    pattern(0.75, r"(?:i|we) (?:have|got|know|found) your (?:\w+ )?address"),
    pattern(0.7, r"(?:i|we) (?:am|are) (?:on (?:my|our) way|coming over|right behind you|driving over|outside) (?:\w+ ){0,4}(?:with a (?:knife|gun|bat)|to your|now|tonight)"),
    pattern(0.8, r"(?:take|taking|took) your own life"),
    pattern(0.8, r"(?:swallow|take|down|eat) (?:the|some|all the|all your|a bottle of|your) (?:pills|sleeping pills|rat poison|bleach|cyanide)(?! of (?:growth|giant|strength|speed|life))"),
    pattern(0.85, r"(?<!the )(?<!a )(?<!that )(?:unalive|off|neck|rope|delete|end|gas|burn|starve) (?:yourself|urself)"),
    pattern(0.75, r"(?:just|go|please|so|now) (?:and )?(?:do it already|hang|get hanged|overdose|jump in front of (?:a|the) (?:train|bus|truck))(?= [.!,]|$)"),
    pattern(0.75, r"(?:nobody|no one|not even your \w+) (?:will|would|is going to|going to) miss you (?:when|if|once|after) you are (?:dead|gone)"),
    pattern(0.75, r"(?:you are|you would be|you are all) better off dead"),
    pattern(0.7, r"(?:everyone|we|they|world|people) (?:would|will) (?:\w+ )?(?:be happier|celebrate|cheer|party|dance) (?:if|when) you (?:die|died|are dead|kill yourself|were dead)"),
    pattern(0.75, r"(?:there (?:will|is going to) be (?:blood|bodies|a massacre|a shooting|a bloodbath|an explosion)|(?:blood|bodies|bullets) will (?:flow|fly|drop|fall)) (?:in|at|on) (?:the |your |my |our )?(?:" + PLACE + r"|cafeteria|office|hallway|campus|playground|lunch)(?! oranges)"),
    pattern(0.8, r"(?:the |my |your |our |that )?(?:" + PLACE + r"|whole office|office|campus|class|prom|parade|concert) (?:is|are) (?:going to|about to) (?:get |be )?(?:shot up|blown up|bombed|burned down|shot|burn|explode)"),
    pattern(0.75, r"(?:hope|wish|pray|praying|hoping) (?:that )?(?:someone|somebody|a \w+|they|you) (?:\w+ )?(?:runs? you over|kills? you|shoots? you|rapes? you|stabs? you|hits? you|get cancer|gets? you)"),
    pattern(0.85, r"(?:every|each|any|all|those|these) (?:last |single |damn |fucking )*(?:" + GROUP + r"|immigrant|migrant|refugee|jew|muslim|black|gay) (?:deserves?|needs?|should get|gets?) (?:a bullet|to die|the rope|the gas|to be (?:shot|killed|hanged|gassed|burned)|bullets)"),
    pattern(0.85, r"(?:" + GROUP + r") (?:belong|should (?:be|go)) (?:in|into|to|back in) (?:the |a )?(?:ovens?|gas chambers?|camps|concentration camps?|ground|mass graves?)"),
    pattern(0.8, r"(?:rope|bullet|bridge|razor) is (?:cheap|free|waiting) (?:go|use|try|so) \w+"),
    *(Pattern(phrase.regex, phrase.score) for phrase in phrases.read("threat")),
)  # fmt: skip

VOCABULARY = frozenset(
    re.findall(
        r"[a-z]{2,}",
        f"{LETHAL}|{HARM}|{PLAYFUL}|{BODY}|{KIN}|{HOME}|{GROUP}|{PLACE}|{PERSON}".replace("?", ""),
    )
) | frozenset(
    "i am are will shall going to gonna want you your yourself u ur we know where live sleep and the all of"
    " in my find coming for kys die go should deserve must be hope bleach drink death everyone this is it"
    " not never have address real life irl out down up would could watch back hate".split()
)
VOCABULARY |= {word for each in PATTERNS for word in re.findall(r"[a-z]{3,}", each.regex.pattern)}
"""Words that English threats are made of."""
VERBS = frozenset(f"{LETHAL}|{HARM}|{PLAYFUL}|find|make|come|get".split("|"))
