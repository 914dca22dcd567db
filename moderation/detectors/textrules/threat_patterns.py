"""What threats look like in plain words: who intends what against whom.

Each pattern is matched against lower-case words separated by single spaces, without contractions.
"""
# ruff: noqa: E501 -- a pattern is read best on one line

from __future__ import annotations

import re
from dataclasses import dataclass

LETHAL = (
    "kill|murder|shoot|stab|strangle|behead|slaughter|rape|torture|lynch|slit|dismember|gut|execute|disembowel"
    "|decapitate|skin|mutilate|assault|kidnap|abduct|molest"
)
HARM = "hurt|beat|break|burn|cut|choke|hang|bomb|hunt|poison|drown|bury|end|smash|bash|punch|knife|snap|harm"
PLAYFUL = (
    "destroy|crush|defeat|vanquish|smite|conquer|obliterate|annihilate|devour|eat|haunt|squash|fry|roast"
)
BODY = "throat|neck|head|face|legs?|arms?|bones|skull|heart|eyes|tongue|fingers|guts"
KIN = "family|mother|mom|mum|father|dad|kids?|children|son|daughter|wife|husband|sister|brother|parents|baby"
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
LIFE = re.compile(
    rf"\b(?:irl|in real life|where you live|your (?:{HOME}|{KIN})|your (?:bed|sleep|work)|outside your"
    r"|tonight|tomorrow|cops|police)\b"
)
GAME = re.compile(
    r"\b(?:hero|heroes|knights?|goblins?|dragons?|boss|level|arena|sword|wizards?|mortals?|arcade|match|round"
    r"|respawn|coins?|score|quest|king|queen|ghosts?|puny|fools?|travell?ers?|adventurers?|game|race|duel|chess"
    r"|mario kart|cards|kingdom|dungeon|monsters?|finish line|lava|spikes|foolish|worm|warriors?|humans?|earthlings?)\b"
)
REPORTING = re.compile(
    r"\b(?:he|she|they|it|who|villain|ghost|king|witch|story|book|sign) (?:says?|said|told|reads?)\b"
)
CONDITION = re.compile(r"\b(?:if|unless|when|whenever|until)\b")

_MEANS = (
    r"(?:(?P<sure>will|shall|am going to|are going to|am coming to|am about to|swear i will|promise to|am gonna)"
    r"|(?P<wish>want to|would love to|would like to|need to|plan to|have to|would)|(?P<may>could|can|might|should))"
)
_YOURS = rf"your (?:(?:{KIN})'s (?:{BODY}|{HOME}|life)|{BODY}|{KIN}|{HOME})"
_TARGET = rf"(?:you\b(?! (?:a|an|some)\b)|{_YOURS})"
_HARM_TARGET = rf"(?:you\b(?! (?:a|an|the|some|at|to|in (?!your))\b)|{_YOURS})"
_ALL = r"(?:(?:all of|both of|every one of|down|up|the \w+ out of) )?"


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
    pattern(0.85, rf"{_INTENT}put (?:a|my|this|the) (?:bullet|knife|blade|gun|axe) (?:in|into|through|between|to) (?:you|{_YOURS}|your (?:back|chest|brain))"),
    pattern(0.75, rf"{_INTENT}put you in (?:the|a|your) (?:hospital|ground|grave|coffin|wheelchair)"),
    pattern(0.8, rf"{_INTENT}have (?:you|your (?:{KIN})) (?:killed|shot|raped|beaten|murdered)"),
    pattern(0.85, r"(?:i|we) (?:will|am going to|are going to) (?:end|take) your life"),
    pattern(0.75, r"(?:they|nobody|no one) will (?:ever )?find your body"),
    pattern(0.65, r"you (?:will not|are not going to) (?:live to )?see (?:tomorrow|another day|the morning)"),
    pattern(0.75, rf"{_INTENT}(?:{HARM}) {_ALL}{_HARM_TARGET}"),
    pattern(0.35, rf"{_INTENT}(?:{PLAYFUL}) {_ALL}{_HARM_TARGET}"),
    pattern(0.8, rf"(?:i|we) (?:{LETHAL}) (?:you|your (?:{KIN}))"),
    pattern(0.9, rf"{_INTENT}(?:burn|blow|shoot|bomb) (?:down |up )?your (?:{HOME})(?: down| up)?"),
    pattern(0.9, rf"{_INTENT}(?:shoot|blow|burn|bomb|attack)(?: up| down)? (?:the|my|your|our|this|that|a) (?:{PLACE})"),
    pattern(0.85, rf"bombs? (?:in|at|inside|under|on) (?:the|my|your|our|this) (?:{PLACE})"),
    pattern(0.85, r"(?:i|we) know where you (?:live|sleep|work|go to school|park)"),
    pattern(0.8, rf"(?:i|we) know (?:where|what school|which school) your (?:{KIN}) (?:lives?|sleeps?|works?|goe?s?|plays?)"),
    pattern(0.75, rf"(?:i|we) (?:know|have|got|have got|found) your (?:home )?(?:address|{HOME})(?! of)"),
    pattern(0.8, rf"(?:i|we) (?:am|are|will be) (?:\w+ )?(?:outside|inside|coming to|watching) your (?:{HOME}|window|door)"),
    pattern(0.45, rf"(?:i|we) (?:am|are|will be) (?:in|at) your (?:{HOME}|window|door)"),
    pattern(0.75, rf"{_INTENT}make you (?:bleed|suffer|scream|beg)"),
    pattern(0.7, rf"{_INTENT}(?:see|watch) you (?:die|bleed|suffer|burn|dead)"),
    pattern(0.65, rf"(?:you (?:will )?never|never) (?:walk|breathe|wake up|see (?:your (?:{KIN}|{HOME})|daylight)) again"),
    pattern(0.85, rf"(?:bring|bringing|brought|take|taking) (?:a|my|the) (?:gun|knife|rifle|bomb|weapon|pistol) to (?:the |my |our |your )?(?:{PLACE}|work)"),
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
    pattern(0.75, r"drink bleach"),
    pattern(0.8, r"(?P<no>not |never )?(?:slit|cut) your wrists?"),
    pattern(0.6, r"go (?:and )?jump off (?:a|the) (?:bridge|building|roof)"),
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
    pattern(0.85, rf"(?:all )?(?:the )?(?:{GROUP}) (?:must|should|deserve to|will) (?:die|be (?:killed|exterminated|shot|gassed))"),
    pattern(0.85, r"ich (?:werde dich|bringe? dich|tote dich|steche? dich|mache? dich)(?: um| ab| kalt| toten)?"),
    pattern(0.8, r"ich weiss wo du wohnst"),
    pattern(0.85, r"(?:je vais|on va) (?:te|vous) (?:tuer|buter|crever|egorger)"),
    pattern(0.8, r"je sais ou tu (?:habites|vis)"),
    pattern(0.85, r"(?:te|os|los) (?:voy|vamos) a (?:matar|violar|apunalar)"),
    pattern(0.8, r"se donde vives"),
    pattern(0.8, r"(?:ti|vi) (?:ammazzo|uccido|uccidero|ammazzero)"),
    pattern(0.8, r"so dove abiti"),
    pattern(0.85, r"(?:zabije|zamorduje) (?:cie|was)"),
    pattern(0.8, r"wiem gdzie mieszkasz"),
)  # fmt: skip

CYRILLIC = (
    "я тебя убью",
    "я убью тебя",
    "мы тебя убьем",
    "я знаю где ты живешь",
    "убей себя",
    "я тебя зарежу",
)
