"""Pixel art of everything that moves or changes: 16 x 16 drawings, one letter per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import MOVERS, TILE, TILE_CLASSES, Mover, Tile
from worldmodel.palette import Colour, Palette, mix

_COIN = """
................
................
.....######.....
....#yyyyyy#....
...#yYYYYyyo#...
..#yYYYYYYyyo#..
..#yYY#yyyYyo#..
..#yY#YyyyYyo#..
..#yY#YyyoYyo#..
..#yY#yyyoYyo#..
..#yYYooooyoo#..
...#yyyyyyoo#...
....#oooooo#....
.....######.....
................
................
"""
_KEY = """
................
................
...######.......
..#YYyyyy#......
.#YYy##yyy#.....
.#Yy#..#yo#.....
.#yy#..#yo######
.#yy#..#yyyyyyy#
.#yyy##yyoooooo#
..#yyyyo##oo#oo#
...#oooo##oo#oo#
....####..##.##.
................
................
................
................
"""
_DOOR = """
#dwwwdwwwdwwwdd#
#dwvvdwvvdwvvdd#
#SSSSSSSSSSSSSS#
#ssssssssssssss#
#dwvvdwvvdwvvdd#
#dwvvdwvvdwvvdd#
#dwvv######vvdd#
#dwvv#YYyy#vvdd#
#dwvv#y##y#vvdd#
#dwvv#y##y#vvdd#
#dwvv#yyoo#vvdd#
#dwvv######vvdd#
#SSSSSSSSSSSSSS#
#ssssssssssssss#
#dwvvdwvvdwvvdd#
#dwvvdwvvdwvvdd#
"""
_DOOR_OPEN = """
##............##
#w#..........#w#
#w#..........#w#
#v#..........#v#
#v#..........#v#
#S#..........#S#
#s#..........#s#
#v#..........#v#
#v#..........#v#
#v#..........#v#
#v#..........#v#
#S#..........#S#
#s#..........#s#
#v#..........#v#
#d#..........#d#
##............##
"""
_PORTAL = """
.....######.....
...##pppppp##...
..#pPPPPPPPPp#..
.#pPPqqqqqqPPp#.
.#pPqqQQQQqqPp#.
#pPPqQQWWQQqPPp#
#pPqqQWWWWQqqPp#
#pPqQQWWQWQQqPp#
#pPqQQWQWWQQqPp#
#pPqqQWWWWQqqPp#
#pPPqQQWWQQqPPp#
.#pPqqQQQQqqPp#.
.#pPPqqqqqqPPp#.
..#pPPPPPPPPp#..
...##pppppp##...
.....######.....
"""
_LEVER = """
................
.##.............
#RR#............
#RRr#...........
.#rr#...........
..##S#..........
...#sS#.........
....#sS#........
.....#sS#.......
......#sS#......
....###ss###....
..##SSSSSSSS##..
.#SSssssssssss#.
.#sskkkkkkkkss#.
.#ssssssssssss#.
.##############.
"""
_CHARACTER = """
.....######.....
....#hhhhhh#....
...#hhhhhhhh#...
...#hffffffh#...
...#ff#ff#ff#...
...#ff#ff#ff#...
...#ffffffff#...
....#ff##ff#....
..###cccccc###..
.#cccCCCCCCccc#.
.#ccCCCyyCCCcc#.
.#f#CCCyyCCC#f#.
..##cccccccc##..
...#bbb##bbb#...
...#bbb##bbb#...
...####..####...
"""
_GOAL = """
.....#..........
....#W#.........
....#W##########
....#WGGGGzGGGG#
....#WGGWWzWWGG#
....#WGGWWzWWG#.
....#WGGzzWzzG#.
....#WGGWWzWW#..
....#WGGWWzWWG#.
....#WGGGGzGGGG#
....#W##########
....#W#.........
....#W#.........
....#W#.........
..###W###.......
.#SSSSSSS#......
"""
_SPIKES = """
................
................
................
...#.......#....
...#.......#....
..#W#.....#W#...
..#W#..#..#W#...
..#S#..#..#S#..#
.#WS#.#W#.#WS#.#
.#WSs##W##WSs##W
.#SSs#WSs##Ss#WS
#WSSs#WSs#WSSsWS
#WSSssSSs#WSSsSS
#SSSssSSssSSSsSS
#kkkkkkkkkkkkkkk
################
"""
_EMBERS = """
................
.......#........
..#...#a#....#..
.#a#..#a#...#a#.
.#a#.#aya#..#a#.
#aya##ayya##aya#
#ayya#ayyya#ayya
#ayyyaayWyaayyya
aayWyyayWyyayWyy
ayyWWyyWWWyyWWyy
ayWWWWyWWWyWWWWy
ayyWWyyyWyyyWWyy
aayyyyaayyaayyya
raaayyrraaarayra
rrraaarrrrrraarr
rrrrrrrrrrrrrrrr
"""
_PLAYER = """
......#####.....
....##aaaaa##...
...#aaaaAAAaa#..
...#aaaAAAAAa#..
..##########a#..
..#ffff#ff#f#...
..#ffff#ff#f#...
..#fffffffff#...
...##ffffff#....
..#r##aaaa##....
.#rr#aaaaaaa#...
.#r#faaaaaaf#...
..#.#kaaaak#....
....#bb##bbb#...
....#bb#.#bb#...
....####.####...
"""
_WALKER = """
................
................
....#......#....
.....#....#.....
....########....
..##mmmmm#mm##..
.#mMMmmmm#mmmm#.
#mMMMmmmm#mmmmm#
#mMMmmmmm#mWWmm#
#mmmmmmmm#mW#mm#
#nmmmmmmm#mmmmm#
.#nnmmmmm#nmm##.
..#############.
..#nn#..#nn#nn#.
..#n#...#n#.#n#.
..##....##..##..
"""
_GHOST = """
.....######.....
...##WWWWWW##...
..#WWWWWWWWWg#..
.#WWWWWWWWWWgg#.
.#WWWW##WW##gg#.
#WWWWW##WW##Wug#
#WWWWW##WW##Wug#
#WWWWWWWWWWWWug#
#WWWWeWW##WeWug#
#WWWWWWW##WWWug#
#WWWWWWWWWWWuug#
#WWWWWWWWWWWuug#
#WWgWWWgWWWgugg#
#Wg#gWg#gWg#gg#.
#g#.#g#.#g#.##..
.#...#...#......
"""
_CHASER = """
..#..........#..
.#r#........#r#.
.#rr########rr#.
.#rrrrrrrrrrrr#.
#rRRrrrrrrrrrrr#
#rRrr###rr###rr#
#rrrr#Yy#r#Yy#r#
#rrrrr##rrr##rr#
#rrrrrrrrrrrrrr#
#xr#############
#xr#W#W#W#W#W#r#
#xrr#W#W#W#W##r#
.#xrr########r#.
.#xxrrrrrrrrr##.
..#xx#xx##xx#...
...##.##..##....
"""
_FLYER = """
................
................
.##.............
#nm#........###.
#nmm##.####.#mm#
#nmmmm#mmmm#mmm#
.#nmmmmMMMMmmmn#
.#nnmmmMM#WMmn#.
..#nnmmmm##Mmn#.
..#n#nmmmmmm##..
...#.#nm#W#W#...
......#nmmm#....
.......#n#n#....
........#.#.....
................
................
"""
_SPIDER = """
.......u........
.......u........
.......u........
......###.......
.##..#mMm#..##..
#..##mMMMm##..#.
..#.#mMMmm#.#...
.#.##nmmmn##.#..
#.#.#nnnnn#.#.#.
#.##nWW#WWn##.#.
.#.#nW##W#n#.#..
..##nnnnnnn##...
.#..#nW#Wn#..#..
#..#.#####.#..#.
..#.........#...
.#...........#..
"""
_PLATFORM = """
########################
#wwwwwdwwwwwwwwwwdwwwww#
#vvvvvdvvvvvvvvvvdvvvvv#
#dSSddddddddddddddddSSd#
.#ssk#############kss#..
..##................##..
"""
_ENEMIES = {
    Mover.WALKER: _WALKER,
    Mover.GHOST: _GHOST,
    Mover.CHASER: _CHASER,
    Mover.FLYER: _FLYER,
    Mover.SPIDER: _SPIDER,
}
_WHITE = np.full(3, 255, dtype=np.float32)
_BODIES = {
    Mover.WALKER: ("m", "M", "n"),
    Mover.GHOST: ("u", "W", "g"),
    Mover.CHASER: ("r", "R", "x"),
    Mover.FLYER: ("m", "M", "n"),
    Mover.SPIDER: ("m", "M", "n"),
}
"""Letters of an enemy's body, its light and its shaded side: what a named colour replaces."""
_OWN: dict[Mover, str] = {Mover.FLYER: "7c4fb0", Mover.SPIDER: "8a3648"}
"""Body colours of the drawings that share letters with the walker."""


def _code(text: str) -> Colour:
    return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32)


def _colours(palette: Palette) -> dict[str, NDArray[np.float32]]:
    """What each letter stands for."""

    code = _code
    white, black = code("ffffff"), code("15101c")
    accent = mix(palette.accent, white, 0.1)
    return {
        "#": mix(black, palette.deep, 0.25), "W": code("fffaf0"), "k": code("2b2433"),
        "y": code("f7c531"), "Y": code("fff0a0"), "o": code("c98416"),
        "w": code("b9824c"), "v": code("8f5c34"), "d": code("5f3a22"),
        "S": code("c3c8d4"), "s": code("7f8798"),
        "p": code("4b2a9e"), "P": code("7a48e0"), "q": code("4fa0ff"), "Q": code("a6ecff"),
        "R": code("ff7d6b"), "r": code("d63a3a"), "x": code("8c1f30"),
        "h": code("6b3f22"), "f": code("f6c9a0"), "c": mix(code("3f7fd0"), accent, 0.3), "C": code("7fb6f0"),
        "b": code("3a4a7a"), "G": code("34c46a"), "z": code("1e8048"), "u": code("d4def0"),
        "g": code("9fb4d8"), "e": code("ffb0b8"),
        "a": mix(code("ff8a2a"), accent, 0.25), "A": code("ffc070"),
        "m": code("5f9f3a"), "M": code("a6dc6a"), "n": code("35661f"),
    }  # fmt: skip


def draw(art: str, palette: Palette, tints: Mapping[str, Colour] | None = None) -> NDArray[np.uint8]:
    """(TILE, TILE, 4) RGBA of a drawing.

    ``tints`` replaces what letters stand for. Raises ValueError for one that is not of TILE rows and columns.
    """
    rows = art.strip("\n").splitlines()
    if len(rows) != TILE or any(len(row) != TILE for row in rows):
        raise ValueError(f"a drawing must be {TILE} rows of {TILE} letters, not {[len(row) for row in rows]}")
    return _coloured(rows, {**_colours(palette), **(tints or {})})


def _coloured(rows: Sequence[str], colours: Mapping[str, Colour]) -> NDArray[np.uint8]:
    pixels = np.zeros((len(rows), len(rows[0]), 4), dtype=np.uint8)
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            if letter != ".":
                pixels[y, x] = (*colours[letter].clip(0, 255).round().astype(int), 255)
    return pixels


def atlas(
    palette: Palette, *, burning: bool = False, character: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """(TILE_CLASSES, TILE, TILE, 4) RGBA of the tile classes that can change; the others are transparent.

    ``character`` is (TILE, TILE, 4) RGBA in place of the drawn one.
    """
    pixels = np.zeros((TILE_CLASSES, TILE, TILE, 4), dtype=np.uint8)
    lever = draw(_LEVER, palette)
    drawings = {
        Tile.HAZARD: draw(_EMBERS if burning else _SPIKES, palette),
        Tile.COIN: draw(_COIN, palette),
        Tile.KEY: draw(_KEY, palette),
        Tile.DOOR: draw(_DOOR, palette),
        Tile.DOOR_OPEN: draw(_DOOR_OPEN, palette),
        Tile.PORTAL: draw(_PORTAL, palette),
        Tile.LEVER: lever,
        Tile.LEVER_ON: lever[:, ::-1],
        Tile.CHARACTER: draw(_CHARACTER, palette) if character is None else character,
        Tile.GOAL: draw(_GOAL, palette),
    }
    for tile, drawing in drawings.items():
        pixels[tile] = drawing
    return pixels


def sprites(
    palette: Palette, player: NDArray[np.uint8] | None = None, enemy: NDArray[np.uint8] | None = None
) -> NDArray[np.uint8]:
    """(MOVERS, TILE, 2*TILE, 4) RGBA facing right: see :class:`worldmodel.compiled.CompiledWorld`.

    ``player`` and ``enemy`` are (TILE, TILE, 4) RGBA in place of the drawn ones.
    """
    pixels = np.zeros((MOVERS, TILE, 2 * TILE, 4), dtype=np.uint8)
    middle = slice(TILE // 2, TILE // 2 + TILE)
    pixels[0, :, middle] = _player(palette) if player is None else player
    for kind, art in _ENEMIES.items():
        pixels[kind, :, middle] = _enemy(kind, art, palette) if enemy is None else enemy
    plank = _coloured(_PLATFORM.strip("\n").splitlines(), _colours(palette))
    left = TILE - plank.shape[1] // 2
    pixels[Mover.PLATFORM, : len(plank), left : left + plank.shape[1]] = plank
    return pixels


def _player(palette: Palette) -> NDArray[np.uint8]:
    named = palette.player
    return draw(_PLAYER, palette, None if named is None else {"a": named, "A": mix(named, _WHITE, 0.4)})


def _enemy(kind: Mover, art: str, palette: Palette) -> NDArray[np.uint8]:
    own = _OWN.get(kind)
    body = palette.enemies if palette.enemies is not None else _code(own) if own is not None else None
    if body is None:
        return draw(art, palette)
    tones = (body, mix(body, _WHITE, 0.4), body * np.float32(0.62))
    return draw(art, palette, dict(zip(_BODIES[kind], tones, strict=True)))
