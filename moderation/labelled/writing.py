"""Signs with known writing, harmful and harmless, painted as creators would and seen as players would.

Development and held-out signs share no harmful word, no harmless text, no font and no theme. All is drawn by
script from a seed: the words come from ``data/slurs.tsv`` of the detectors and ``data/sign_texts.tsv``, the
fonts from Pillow (Aileron, CC0), OpenCV (Rubik, OFL; WenQuanYi Micro Hei, Apache-2.0) and Debian's
``fonts-dejavu-core`` (Bitstream Vera licence).
"""

from __future__ import annotations

import csv
import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from importlib.resources import files
from itertools import count as count_from
from itertools import islice
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.protocol import WorldModel

Part: TypeAlias = Literal["development", "heldout"]
Kind: TypeAlias = Literal["plain", "leet", "homoglyphs", "spacing", "mirrored", "stacked", "turned"]
Surface: TypeAlias = Literal["sign", "uploaded", "wall"]
"""A world's own board with a text, a picture on such a board, or writing in the picture of a world."""
KINDS: tuple[Kind, ...] = ("plain", "leet", "homoglyphs", "spacing", "mirrored", "stacked", "turned")
HEIGHTS = range(12, 25)
"""Pixels of the capitals in a frame."""
OFTEN_A_SLUR = 0.7
"""Terms of the word list with this weight or more mean harm without any company."""
SHARPNESS = 4
"""Pixels of an uploaded picture per pixel in a frame."""
LEET = {"a": "4@", "b": "8", "e": "3", "g": "9", "i": "1!", "o": "0", "s": "5$", "t": "7+"}
LOOK_ALIKES = dict(zip("aceijopsxyABCEHIKMOPSTXYáéíóú", "асеіјорѕхуАВСЕНІКМОРЅТХУàèìòù", strict=True)) | {
    "g": "ğ", "n": "ñ", "r": "г", "d": "đ", "k": "к", "t": "т", "u": "ü", "N": "Ñ", "G": "Ğ", "D": "Đ",
}  # fmt: skip
"""Letters of other scripts that look the same, and letters with a mark."""
GAPS = (" ", " ", ".", "-", "_", "*")

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Writing:
    """What stands on a sign."""

    means: str
    """In plain letters."""
    written: str
    """As it is written, line by line from left to right unless the kind says otherwise."""
    kind: Kind
    label: Literal["slur", "threat"] | None
    """None where it is harmless."""


@dataclass(frozen=True)
class SignView:
    """A frame of play with a sign in it."""

    writing: Writing
    surface: Surface
    font: str
    capitals: int
    """Height in pixels of the frame."""
    frame: Pixels
    """(FRAME, FRAME, 3) RGB."""
    box: tuple[int, int, int, int]
    """Of the sign in the frame: x0, y0, x1, y1."""
    sign: Pixels
    """(H, W, 3) RGB: what a creator uploads; for a written sign, the board."""


class FontMissing(FileNotFoundError):
    """A font that the signs are drawn with is not installed."""

    def __init__(self, name: str) -> None:
        super().__init__(f"no font {name}: install it (on Debian and Ubuntu: apt install fonts-dejavu-core)")


# -- texts --------------------------------------------------------------------------------------------

_NAMES = {
    "development": ("Ala Bren Cor Dun Esk Fal", "dor wick mere thal gard nox"),
    "heldout": ("Gil Har Ith Lor Mor Ner Osk Pel", "bury ford hollow stead moor vale crest mouth"),
}
_PLACES = {
    "development": "cave bridge castle garden forest tower".split(),
    "heldout": "inn mill gate harbour tunnel temple market bakery school museum".split(),
}
_THINGS = {
    "development": "Bread Fish Lamp Rope".split(),
    "heldout": "Sword Shield Arrow Torch Cloak Boots Map Ring Wand Scroll Pickaxe Lantern".split(),
}
_COMPANY = {
    "development": ("{}", "{}", "{}s", "no {}s", "{} keep out"),
    "heldout": ("{}", "{}", "{}s", "all {}s out", "{} go home", "you {}"),
}


@lru_cache
def harmless(part: Part) -> tuple[str, ...]:
    """Texts that may stand on any sign: of games and places, and traps that hold or resemble slurs."""
    starts, ends = (words.split() for words in _NAMES[part])
    names = [f"{a}{b}" for a in starts for b in ends]
    places = _PLACES[part]
    composed = [f"{name} {places[i % len(places)]}" for i, name in enumerate(names)]
    composed += [f"{name} {3 + 7 * i} m" for i, name in enumerate(names)]
    composed += [f"{thing} {n} gold" for thing in _THINGS[part] for n in (2, 15)]
    composed += [f"{a}'s {b}" for a in starts for b in places]
    return tuple(dict.fromkeys([*texts(part, "harmless"), *composed]))


@lru_cache
def slurs(part: Part) -> tuple[str, ...]:
    """Terms in the Latin alphabet that are no other word; every second one by hash is held out."""
    path = files("moderation.detectors") / "data" / "slurs.tsv"
    with path.open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if float(row["weight"]) >= OFTEN_A_SLUR]
    return tuple(row["term"] for row in rows if row["term"].isascii() and _part_of(row["term"]) == part)


def _part_of(term: str) -> Part:
    """By the first four letters, so that the forms of a word stay together."""
    digest = hashlib.sha256(term[:4].encode()).digest()
    return "heldout" if digest[0] % 2 else "development"


@lru_cache
def threats(part: Part) -> tuple[str, ...]:
    """Short enough for a sign."""
    return texts(part, "threat")


def texts(part: Part, kind: str) -> tuple[str, ...]:
    """What was written for signs by hand: ``kind`` is ``harmless`` or ``threat``."""
    path = files("moderation.labelled") / "data" / "sign_texts.tsv"
    with path.open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    return tuple(row["text"] for row in rows if (row["part"], row["kind"]) == (part, kind))


def harmful_writing(part: Part, kind: Kind, rng: random.Random) -> Writing:
    """A slur in some company, or (one plain writing in eight) a threat, in the way that ``kind`` says."""
    if kind == "plain" and rng.random() < 1 / 8:
        said = _cased(rng.choice(threats(part)), rng)
        return Writing(said, said, kind, "threat")
    term = rng.choice([term for term in slurs(part) if kind not in _SHORT or len(term) <= _SHORT[kind]])
    said = term if kind in _ALONE else rng.choice(_COMPANY[part]).format(term)
    said = _cased(said, rng)
    return Writing(said, obfuscated(said, kind, rng), kind, "slur")


_ALONE = ("stacked", "spacing")
"""Kinds whose word fills a sign by itself."""
_SHORT: dict[Kind, int] = {"stacked": 8, "spacing": 8, "turned": 12}


def harmless_writing(text: str, kind: Kind, rng: random.Random) -> Writing:
    """A harmless text in the way that ``kind`` says."""
    return Writing(text, obfuscated(text, kind, rng), kind, None)


def _cased(text: str, rng: random.Random) -> str:
    return rng.choice([text.upper, text.lower, text.title])()


def obfuscated(text: str, kind: Kind, rng: random.Random) -> str:
    """The text in other characters; mirrored and vertical writing keeps its characters."""
    if kind == "leet":
        return _replaced(text, lambda c: rng.choice(LEET.get(c.lower(), c)), rng)
    if kind == "homoglyphs":
        return _replaced(text, lambda c: LOOK_ALIKES.get(c, c), rng)
    if kind == "spacing":
        return rng.choice(GAPS).join(text.replace(" ", ""))
    return text


def _replaced(text: str, other: Callable[[str], str], rng: random.Random) -> str:
    """Up to half of the letters, and at least one, as something else; the rest stay."""
    can = [at for at, char in enumerate(text) if other(char) != char]
    count = min(len(can), max(1, round(len(text) * rng.uniform(0.15, 0.5))))
    chosen = set(rng.sample(can, count))
    return "".join(other(char) if at in chosen else char for at, char in enumerate(text))


# -- drawing ------------------------------------------------------------------------------------------

FONTS: dict[Part, tuple[str, ...]] = {
    "development": ("Aileron", "uni", "DejaVuSans-Bold", "DejaVuSansMono"),
    "heldout": ("sans 400", "sans 700", "sans 900", "italic 600", "DejaVuSerif", "DejaVuSerif-Bold"),
}
"""Named as the package that carries them names them; with a weight, as OpenCV does."""
_MANY_SCRIPTS: dict[Part, tuple[str, ...]] = {
    "development": ("uni", "DejaVuSans-Bold", "DejaVuSansMono"),
    "heldout": FONTS["heldout"],
}
_COLOURS: tuple[tuple[tuple[int, int, int], tuple[int, int, int]], ...] = (
    ((16, 32, 64), (244, 240, 224)),
    ((255, 255, 255), (122, 20, 32)),
    ((255, 224, 112), (32, 48, 32)),
    ((20, 20, 20), (250, 210, 60)),
    ((240, 240, 255), (40, 70, 160)),
    ((190, 20, 30), (240, 240, 240)),
    ((60, 255, 140), (14, 18, 22)),
    ((90, 40, 20), (214, 184, 140)),
)
"""Of letters and ground."""


def letters(text: str, font: str, height: int) -> Pixels:
    """(H, W) cover, 0..255, of one line of writing whose capitals are ``height`` pixels high.

    Raises :class:`FontMissing`.
    """
    draw = _by_opencv if font == "uni" or " " in font else _by_pillow
    mask = draw(text, font, height)
    rows, cols = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    return mask[rows[0] : rows[-1] + 1, cols[0] : cols[-1] + 1]


def _by_pillow(text: str, name: str, height: int) -> Pixels:
    from PIL import Image, ImageDraw, ImageFont

    try:
        font = ImageFont.load_default(100) if name == "Aileron" else ImageFont.truetype(name, 100)
    except OSError as error:
        raise FontMissing(name) from error
    assert isinstance(font, ImageFont.FreeTypeFont)  # Pillow is built with FreeType in all its wheels
    _, top, _, bottom = font.getbbox("H")
    font = font.font_variant(size=round(100 * height / (bottom - top)))
    image = Image.new("L", (round(font.getlength(text)) + height, 3 * height))
    ImageDraw.Draw(image).text((height // 2, height // 2), text, 255, font=font)
    return np.asarray(image)


def _by_opencv(text: str, name: str, height: int) -> Pixels:
    return _put(text, name, round(height * _PROBE / _capital(name)))


_PROBE = 200


@lru_cache
def _capital(name: str) -> int:
    """Pixels of a capital's ink in OpenCV's size ``_PROBE``: its own measure counts the space above too."""
    return int(np.count_nonzero(_put("H", name, _PROBE).any(axis=1)))


def _put(text: str, name: str, size: int) -> Pixels:
    import cv2

    family, _, weight = name.partition(" ")
    canvas = np.zeros((4 * size, len(text) * 2 * size + size), np.uint8)
    face = cv2.FontFace(family)
    cv2.putText(canvas, text, (size // 2, 2 * size), (255,), face, size, int(weight or 400))
    return canvas


def write(writing: Writing, font: str, height: int, rng: random.Random, widest: int) -> Pixels:
    """(H, W) cover of a whole writing, in lines of up to ``widest`` pixels, turned as its kind says."""
    if writing.kind == "stacked":
        block = _column([letters(char, font, height) for char in writing.written if char != " "], height)
    else:
        block = _column(_lines(writing.written, font, height, widest), height)
    if writing.kind == "mirrored":
        return np.ascontiguousarray(block[:, ::-1])
    if writing.kind == "turned":
        return np.ascontiguousarray(np.rot90(block, rng.choice([1, 3])))
    return block


def _lines(text: str, font: str, height: int, widest: int) -> list[Pixels]:
    """Words in lines that are no wider than ``widest`` unless a single word is."""
    lines: list[str] = []
    for word in [text] if _spelled(text) else text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and letters(longer, font, height).shape[1] <= widest:
            lines[-1] = longer
        else:
            lines.append(word)
    return [letters(line, font, height) for line in lines]


def _spelled(text: str) -> bool:
    return all(len(word) == 1 for word in text.split())


def _column(pieces: Sequence[Pixels], height: int) -> Pixels:
    """Lines or letters under each other, each in the middle."""
    gap = max(2, height // 4)
    width = max(piece.shape[1] for piece in pieces)
    tall = sum(piece.shape[0] for piece in pieces) + gap * (len(pieces) - 1)
    block = np.zeros((tall, width), np.uint8)
    y = 0
    for piece in pieces:
        x = (width - piece.shape[1]) // 2
        block[y : y + piece.shape[0], x : x + piece.shape[1]] = piece
        y += piece.shape[0] + gap
    return block


def poster(cover: Pixels, rng: random.Random, ground: Pixels | None = None) -> Pixels:
    """(H, W, 3) letters in some colours, with or without outline and shadow, on a plain or uneven ground."""
    import cv2

    ink, paper = (np.array(colour, np.float32) for colour in rng.choice(_COLOURS))
    if rng.random() < 0.5:
        ink, paper = paper, ink
    if ground is None:
        noise = np.random.default_rng(rng.randrange(2**32)).normal(0, 10, (6, 8, 1)).astype(np.float32)
        uneven = cv2.resize(noise, cover.shape[::-1], interpolation=cv2.INTER_CUBIC)[..., None]
        picture = paper + uneven * (rng.random() < 0.5)
    else:
        picture = ground.astype(np.float32)
        edge = np.asarray(cv2.dilate(cover, np.ones((3, 3), np.uint8), iterations=SHARPNESS), np.uint8)
        picture = _laid(picture, edge, paper)
    return _laid(picture, cover, ink).clip(0, 255).round().astype(np.uint8)


def _laid(picture: NDArray[np.float32], cover: Pixels, colour: NDArray[np.float32]) -> NDArray[np.float32]:
    share = cover[..., None].astype(np.float32) / 255
    return np.asarray(picture * (1 - share) + colour * share, np.float32)


def warped(cover: Pixels, rng: random.Random) -> Pixels:
    """Letters on a slant, seen from the side, or on a wave: up to 6 degrees, 12 % and 8 %."""
    import cv2

    height, width = cover.shape
    way = rng.choice(["none", "turn", "shear", "wave", "perspective"])
    if way == "wave":
        rows, cols = (np.asarray(grid, np.float32) for grid in np.indices(cover.shape))
        swing = 0.08 * min(height, width) * np.sin(cols * (2 * np.pi * rng.uniform(0.5, 1.2) / width))
        waved = np.asarray(rows + swing, np.float32)
        return np.asarray(cv2.remap(cover, cols, waved, cv2.INTER_LINEAR))
    corners = np.array([[0, 0], [width, 0], [width, height], [0, height]], np.float32)
    moved = corners.copy()
    if way == "turn":
        angle = np.deg2rad(rng.uniform(-6, 6))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        moved = ((corners - corners.mean(axis=0)) @ turn.T + corners.mean(axis=0)).astype(np.float32)
    elif way == "shear":
        moved[:2, 0] += rng.uniform(-0.12, 0.12) * height
    elif way == "perspective":
        moved[1:3, 1] += np.array([0.06, -0.06], np.float32) * height * rng.choice([-1, 1])
    matrix = cv2.getPerspectiveTransform(corners, moved)
    return np.asarray(cv2.warpPerspective(cover, matrix, (width, height), flags=cv2.INTER_LINEAR))


# -- signs in worlds ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Painted:
    """A sign before it hangs in a world."""

    writing: Writing
    surface: Surface
    font: str
    capitals: int
    paint: Callable[[Pixels], Pixels]
    """From the world's picture where the sign will hang, (H, W, 3), to the sign."""
    size: tuple[int, int]
    """Pixels in the frame, width and height."""
    uploaded: Pixels | None


_WALL = {"tall": (44, 112), "wide": (112, 48)}
"""Pixels of a wall beside or above the player that can be written on."""
_MARGIN = 4
_APART = 10
"""Pixels from the player's middle that are left free."""


def _painted(writing: Writing, surface: Surface, part: Part, rng: random.Random) -> _Painted | None:
    """The writing as large as chance has it; None where it does not fit at the least height."""
    return _sign(writing) if surface == "sign" else _picture(writing, surface, part, rng)


def _sign(writing: Writing) -> _Painted | None:
    from worldmodel.palette import theme_palette
    from worldmodel.signs import BOARD, Board, capitals, paint_board

    if capitals(writing.written) < HEIGHTS.start:
        return None
    board = paint_board(Board((0, 0, 6, 3), text=writing.written), theme_palette("cave"))
    high = capitals(writing.written)
    return _Painted(writing, "sign", "Aileron", high, lambda _: board, BOARD, None)


def _picture(writing: Writing, surface: Surface, part: Part, rng: random.Random) -> _Painted | None:
    from worldmodel.signs import BOARD

    font = rng.choice((_MANY_SCRIPTS if writing.kind == "homoglyphs" else FONTS)[part])
    if surface == "uploaded":
        room = BOARD
    else:
        room = _WALL["tall" if writing.kind in ("stacked", "turned") else "wide"]
    heights = list(HEIGHTS)
    first = rng.choice(heights)
    for height in sorted((h for h in heights if h <= first), reverse=True):
        widest = room[1 if writing.kind == "turned" else 0] - 2 * _MARGIN
        cover = write(writing, font, height * SHARPNESS, rng, widest * SHARPNESS)
        pad = _MARGIN * SHARPNESS
        if (
            cover.shape[1] + 2 * pad <= room[0] * SHARPNESS
            and cover.shape[0] + 2 * pad <= room[1] * SHARPNESS
        ):
            return _hung(writing, surface, font, height, np.pad(cover, pad), room, rng)
    return None


def _hung(
    writing: Writing,
    surface: Surface,
    font: str,
    height: int,
    cover: Pixels,
    room: tuple[int, int],
    rng: random.Random,
) -> _Painted:
    import cv2

    if surface == "uploaded":
        full = np.zeros((room[1] * SHARPNESS, room[0] * SHARPNESS), np.uint8)
        y, x = (full.shape[0] - cover.shape[0]) // 2, (full.shape[1] - cover.shape[1]) // 2
        full[y : y + cover.shape[0], x : x + cover.shape[1]] = cover
        cover = full
    cover = warped(cover, rng)
    size = (-(-cover.shape[1] // SHARPNESS), -(-cover.shape[0] // SHARPNESS))
    colours = rng.randrange(2**32)
    plain = poster(cover, random.Random(colours))  # noqa: S311

    def paint(ground: Pixels) -> Pixels:
        if surface == "uploaded":
            large = plain
        else:
            wall = cv2.resize(ground, cover.shape[::-1], interpolation=cv2.INTER_CUBIC)
            large = poster(cover, random.Random(colours), np.asarray(wall))  # noqa: S311
        return np.asarray(cv2.resize(large, size, interpolation=cv2.INTER_AREA), np.uint8)

    return _Painted(writing, surface, font, height, paint, size, plain)


SURFACES: dict[Kind, tuple[Surface, ...]] = {
    "plain": ("sign", "uploaded", "wall"),
    "leet": ("sign", "uploaded", "wall"),
    "homoglyphs": ("uploaded", "wall"),
    "spacing": ("sign", "uploaded", "wall"),
    "mirrored": ("uploaded", "wall"),
    "stacked": ("uploaded", "wall", "wall", "wall"),
    "turned": ("uploaded", "wall"),
}
"""Where writing of each kind is found: a board has little height for what stands upright."""


def harmful_signs(part: Part, kind: Kind, count: int, model: WorldModel, seed: int = 0) -> list[SignView]:
    """``count`` frames with harmful writing of one kind."""
    rng = random.Random(f"{part} {kind} {seed}")  # noqa: S311
    painted = _endless(
        lambda: _painted(harmful_writing(part, kind, rng), rng.choice(SURFACES[kind]), part, rng)
    )
    return list(views(list(islice(painted, count)), part, model, seed))


def harmless_signs(part: Part, count: int, model: WorldModel, seed: int = 0) -> list[SignView]:
    """``count`` frames with harmless writing, each text once before any comes again, half of it plain."""
    rng = random.Random(f"{part} harmless {seed}")  # noqa: S311
    texts = list(harmless(part))
    rng.shuffle(texts)
    turns = count_from(0)

    def one() -> _Painted | None:
        text = texts[next(turns) % len(texts)]
        kind = rng.choice(["plain", rng.choice(KINDS)])
        tries = (
            _painted(harmless_writing(text, way, rng), rng.choice(SURFACES[way]), part, rng)
            for way in (kind, kind, "plain", "plain")
        )
        return next(filter(None, tries), None)

    return list(views(list(islice(_endless(one), count)), part, model, seed))


def _endless(one: Callable[[], _Painted | None]) -> Iterator[_Painted]:
    while True:
        found = one()
        if found is not None:
            yield found


@dataclass(frozen=True)
class WideSign:
    """Writing that is wider than a frame, in the picture of a world."""

    writing: Writing
    world: CompiledWorld
    box: tuple[int, int, int, int]
    """Pixels of the world's picture: x0, y0, x1, y1."""


_WIDTHS = range(150, 301)
"""Pixels; a frame has 128."""


def wide_signs(part: Part, count: int, *, harmful: bool, seed: int = 0) -> list[WideSign]:
    """``count`` worlds with one line of plain writing that no frame shows whole, 12 to 40 pixels high."""
    rng = random.Random(f"{part} wide {harmful} {seed}")  # noqa: S311
    worlds = _worlds(part, seed)
    found: list[WideSign] = []
    while len(found) < count:
        text = rng.choice(harmless(part))
        told = harmful_writing(part, "plain", rng) if harmful else harmless_writing(text, "plain", rng)
        font, height = rng.choice(FONTS[part]), rng.randint(HEIGHTS.start, 40)
        cover = np.pad(letters(told.written, font, height * SHARPNESS), _MARGIN * SHARPNESS)
        if cover.shape[1] // SHARPNESS in _WIDTHS:
            sign = _hung(told, "wall", font, height, cover, (0, 0), rng)
            found.append(_hung_wide(sign, worlds[len(found) % len(worlds)], rng))
    return found


WORLDS = 7
PER_WORLD = 8
"""Signs in one world, each in a place of its own."""


def views(painted: Sequence[_Painted], part: Part, model: WorldModel, seed: int) -> Iterator[SignView]:
    """Hang signs in generated worlds and look at each, the player beside it."""
    worlds = _worlds(part, seed)
    rng = random.Random(f"{part} {seed} places")  # noqa: S311
    for start in range(0, len(painted), PER_WORLD):
        group = painted[start : start + PER_WORLD]
        yield from _seen(group, worlds[start // PER_WORLD % len(worlds)], model, rng)


@lru_cache(maxsize=2)
def _worlds(part: Part, seed: int) -> tuple[CompiledWorld, ...]:
    """In daylight and without whoever might stand before a sign."""
    from worldmodel.gallery import generated_worlds

    worlds = generated_worlds(WORLDS, 900 + seed, evaluation=part == "heldout")
    return tuple(
        replace(
            world,
            mover_kinds=np.zeros_like(world.mover_kinds),
            mechanics=replace(world.mechanics, darkness=0, day_length=0),
        )
        for world in worlds
    )


def _seen(
    group: Sequence[_Painted], world: CompiledWorld, model: WorldModel, rng: random.Random
) -> Iterator[SignView]:
    import torch

    from worldmodel.constants import FRAME

    across, down = world.picture.shape[1] // FRAME, world.picture.shape[0] // FRAME
    corners = [(FRAME * x, FRAME * y) for y in range(down) for x in range(across)]
    free = [corner for corner in corners if not _taken(world, corner)]
    places = rng.sample(free, len(group))
    spots = [_beside(sign.size, rng) for sign in group]
    hung, signs = hang(
        world,
        [(one, (left + x, top + y)) for one, (left, top), (x, y) in zip(group, places, spots, strict=True)],
    )
    state = model.spawn([hung] * len(group), seeds=[0] * len(group))
    middles = torch.tensor(places, dtype=torch.int32, device=state.position.device) + FRAME // 2
    frames = model.render(state.updated(position=2 * middles)).permute(0, 2, 3, 1).cpu().numpy()
    for one, frame, sign, (x, y) in zip(group, frames, signs, spots, strict=True):
        uploaded = sign if one.uploaded is None else one.uploaded
        box = (x, y, x + one.size[0], y + one.size[1])
        view = np.ascontiguousarray(frame)
        yield SignView(one.writing, one.surface, one.font, one.capitals, view, box, uploaded)


def bare_views(part: Part, count: int, model: WorldModel, seed: int = 0) -> list[Pixels]:
    """``count`` frames at random places of the worlds, none with a sign in it."""
    import torch

    from worldmodel.constants import FRAME

    rng = random.Random(f"{part} {seed} bare")  # noqa: S311
    worlds = _worlds(part, seed)
    frames: list[Pixels] = []
    while len(frames) < count:
        world = worlds[len(frames) % len(worlds)]
        height, width = world.picture.shape[:2]
        corner = rng.randint(0, width - FRAME), rng.randint(0, height - FRAME)
        if not _taken(world, corner):
            state = model.spawn([world], seeds=[0])
            middle = torch.tensor([corner], dtype=torch.int32, device=model.device) + FRAME // 2
            frame = model.render(state.updated(position=2 * middle))[0].permute(1, 2, 0).cpu().numpy()
            frames.append(np.ascontiguousarray(frame))
    return frames


def _taken(world: CompiledWorld, corner: tuple[int, int]) -> bool:
    """Whether a sign of the world itself is in the frame at this corner."""
    from worldmodel.constants import FRAME, TILE

    boxes = [np.array(placed.box) * TILE for placed in world.placed if placed.kind == "sign"]
    (x, y) = corner
    return any(x0 < x + FRAME and x < x1 and y0 < y + FRAME and y < y1 for x0, y0, x1, y1 in boxes)


def _beside(size: tuple[int, int], rng: random.Random) -> tuple[int, int]:
    """Where in the frame a sign hangs: not behind the player in its middle."""
    from worldmodel.constants import FRAME

    width, height = size
    along, across = (0, 1) if width > height else (1, 0)
    place = [0, 0]
    place[along] = rng.randint(0, FRAME - size[along])
    near, far = FRAME // 2 - _APART - size[across], FRAME // 2 + _APART
    place[across] = rng.choice([rng.randint(0, near), rng.randint(far, FRAME - size[across])])
    return place[0], place[1]


def hang(
    world: CompiledWorld, signs: Sequence[tuple[_Painted, tuple[int, int]]]
) -> tuple[CompiledWorld, list[Pixels]]:
    """The world with signs at pixels (x, y) of its picture, nothing before them; and what each looks like."""
    from worldmodel.constants import TILE, Tile

    picture, tiles, shown = world.picture.copy(), world.tiles.copy(), []
    for sign, (x, y) in signs:
        width, height = sign.size
        spot = np.s_[y : y + height, x : x + width]
        picture[spot] = sign.paint(picture[spot])
        shown.append(picture[spot].copy())
        tiles[y // TILE : -(-(y + height) // TILE), x // TILE : -(-(x + width) // TILE)] = Tile.EMPTY
    key = hashlib.sha256(world.key.encode() + picture.tobytes()).hexdigest()
    return replace(world, key=key, picture=picture, tiles=tiles), shown


def _hung_wide(sign: _Painted, world: CompiledWorld, rng: random.Random) -> WideSign:
    from worldmodel.constants import FRAME

    height, width = world.picture.shape[:2]
    x = rng.randint(FRAME // 2, width - FRAME // 2 - sign.size[0])
    y = rng.randint(FRAME // 2, height - FRAME // 2 - sign.size[1])
    hung, _ = hang(world, [(sign, (x, y))])
    return WideSign(sign.writing, hung, (x, y, x + sign.size[0], y + sign.size[1]))


def scrolled(sign: WideSign, model: WorldModel, step: int = 16) -> tuple[list[Pixels], list[tuple[int, int]]]:
    """Frames of a player who goes along under a wide sign, and where their cameras are."""
    import torch

    from worldmodel.crops import camera

    x0, _, x1, y1 = sign.box
    places = [(x, y1 + _APART) for x in range(x0, x1 + step, step)]
    positions = 2 * torch.tensor(places, dtype=torch.int32, device=model.device)
    state = model.spawn([sign.world] * len(places), seeds=[0] * len(places)).updated(position=positions)
    frames = model.render(state).permute(0, 2, 3, 1).cpu().numpy()
    return list(frames), [(x, y) for x, y in camera(state).tolist()]
