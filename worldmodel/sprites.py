"""Pixel art of everything that moves or changes: 16 x 16 drawings, one letter per pixel."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from worldmodel.constants import MOVERS, TILE, TILE_CLASSES, Tile
from worldmodel.palette import Palette, mix

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


def _colours(palette: Palette) -> dict[str, NDArray[np.float32]]:
    """What each letter stands for."""

    def code(text: str) -> NDArray[np.float32]:
        return np.array([int(text[i : i + 2], 16) for i in (0, 2, 4)], np.float32)

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


def draw(art: str, palette: Palette) -> NDArray[np.uint8]:
    """(TILE, TILE, 4) RGBA of a drawing. Raises ValueError for one that is not 16 x 16."""
    rows = art.strip("\n").splitlines()
    if len(rows) != TILE or any(len(row) != TILE for row in rows):
        raise ValueError(f"a drawing must be {TILE} rows of {TILE} letters, not {[len(row) for row in rows]}")
    colours = _colours(palette)
    pixels = np.zeros((TILE, TILE, 4), dtype=np.uint8)
    for y, row in enumerate(rows):
        for x, letter in enumerate(row):
            if letter != ".":
                pixels[y, x] = (*colours[letter].round().astype(int), 255)
    return pixels


def atlas(palette: Palette, *, burning: bool = False) -> NDArray[np.uint8]:
    """(TILE_CLASSES, TILE, TILE, 4) RGBA of the tile classes that can change; the others are transparent."""
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
        Tile.CHARACTER: draw(_CHARACTER, palette),
        Tile.GOAL: draw(_GOAL, palette),
    }
    for tile, drawing in drawings.items():
        pixels[tile] = drawing
    return pixels


def sprites(palette: Palette) -> NDArray[np.uint8]:
    """(MOVERS, TILE, 2*TILE, 4) RGBA facing right: see :class:`worldmodel.compiled.CompiledWorld`."""
    arts = (_PLAYER, _WALKER, _GHOST, _CHASER, _GHOST, _CHASER, _DOOR)
    pixels = np.zeros((MOVERS, TILE, 2 * TILE, 4), dtype=np.uint8)
    for kind, art in enumerate(arts):
        pixels[kind, :, TILE // 2 : TILE // 2 + TILE] = draw(art, palette)
    return pixels
