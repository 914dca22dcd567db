"""``firstplay world``: check a world package, print the schema."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage
    from worldmodel.spec import MediaUse, WorldSpec

INVALID = 2
"""Exit code where a package is not valid; 0 where all are."""

world = typer.Typer(help="World packages: check them, and what world.yaml may say.", no_args_is_help=True)


def register_world(app: typer.Typer) -> None:
    """Add the sub-commands ``world ...`` to ``app``."""
    app.add_typer(world, name="world")


@world.command()
def check(
    paths: Annotated[
        list[Path], typer.Argument(metavar="PATH...", help="Folders or zips with a world.yaml.")
    ],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per package and line.")] = False,
) -> None:
    """Check world packages: say everything that is wrong with them, or what was made of them.

    Exit code 0: all are valid. 2: at least one is not.
    """
    answers = [_check(path) for path in paths]
    for answer in answers:
        typer.echo(json.dumps(answer) if as_json else _told(answer))
    if not all(answer["ok"] for answer in answers):
        raise typer.Exit(INVALID)


@world.command()
def schema() -> None:
    """Print the JSON Schema of world.yaml."""
    from worldmodel.spec import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _check(path: Path) -> dict[str, Any]:
    from worldmodel.board import LayoutError
    from worldmodel.package import PackageError, Problem, load_package

    answer: dict[str, Any] = {"ok": True, "path": str(path)}
    try:
        package = load_package(path)
        return {**answer, **_summary(package), **_compiled(package)}
    except PackageError as error:
        problems = error.problems
    except LayoutError as error:
        field = f"objects[{error.index}]" if error.index >= 0 else None
        problems = (Problem("world.yaml", str(error), field=field),)
    told = [{**asdict(problem), "text": str(problem)} for problem in problems]
    return {**answer, "ok": False, "problems": told}


def _summary(package: WorldPackage) -> dict[str, Any]:
    from worldmodel.constants import FPS, SAMPLE_RATE

    pictures = {name: f"{image.shape[1]} x {image.shape[0]}" for name, image in package.images.items()}
    sounds = {name: f"{len(sound) / SAMPLE_RATE:.1f} s" for name, sound in package.sounds.items()}
    videos = {name: f"{len(video) / FPS:.1f} s" for name, video in package.videos.items()}
    spec = package.spec
    return {
        "title": spec.title,
        "slug": spec.slug,
        "remix_of": spec.remix_of,
        "sha256": package.sha256,
        "objects": len(spec.objects),
        "media": {**pictures, **sounds, **videos},
        "becomes": {name: [_becomes(package, use) for use in uses] for name, uses in _uses(spec).items()},
    }


def _compiled(package: WorldPackage) -> dict[str, Any]:
    """What the compiler made of the words; without the text encoder, why it could not.

    Raises worldmodel.board.LayoutError naming the object that cannot be placed.
    """
    from worldmodel.compiler import compile_world
    from worldmodel.store import ModelError

    try:
        return {"notes": compile_world(package).notes}
    except ModelError as error:
        return {"notes": {}, "unread": str(error)}


def _uses(spec: WorldSpec) -> dict[str, list[MediaUse]]:
    uses: dict[str, list[MediaUse]] = {}
    for use in spec.media:
        uses.setdefault(use.name, []).append(use)
    return uses


_BECOMES: dict[tuple[str | int, ...], str] = {
    ("style", "reference"): "colours and textures",
    ("style", "video"): "colours and pace",
    ("style", "backdrop"): "the background",
    ("music",): "music in a loop",
}


def _becomes(package: WorldPackage, use: MediaUse) -> str:
    """What a medium is in the world, in a few words."""
    from worldmodel.constants import SAMPLE_RATE, TILE
    from worldmodel.limits import EFFECT_SECONDS

    if use.field in _BECOMES:
        return _BECOMES[use.field]
    if use.field[0] == "objects":
        return f"what objects[{use.field[1]}] {'says' if use.kind == 'sound' else 'shows'}"
    if use.field[0] == "style":
        return f"the {use.field[-1]}, {TILE} x {TILE} pixels"
    long = len(package.sounds[use.name]) > EFFECT_SECONDS * SAMPLE_RATE
    return f"the sound of {use.field[-1]}" + (f", cut at {EFFECT_SECONDS:g} s" if long else "")


def _told(answer: dict[str, Any]) -> str:
    from worldmodel.problems import printable

    if not answer["ok"]:
        texts = [problem["text"] for problem in answer["problems"]]
        count = "1 problem" if len(texts) == 1 else f"{len(texts)} problems"
        return "\n".join([printable(f"{answer['path']}: {count}"), *(f"  {text}" for text in texts)])
    head = f"{answer['path']}: valid - {answer['title']}, {answer['objects']} objects"
    media = [
        f"{name}: {size}, {', '.join(answer['becomes'][name])}" for name, size in answer["media"].items()
    ]
    lines = [f"sha256 {answer['sha256']}", *media, *_noted(answer)]
    return "\n".join(printable(line) for line in [head, *(f"  {line}" for line in lines)])


_HEADINGS = {"understood": "understood", "inferred": "made up", "style": "kept as style"}


def _noted(answer: dict[str, Any]) -> Iterator[str]:
    """The compiler's notes, a line for each: words of a kind of note that is empty are left out."""
    if "unread" in answer:
        yield f"the prompt was not read: {answer['unread']}"
    for kind, notes in answer["notes"].items():
        guessed = [note for note in notes if note.startswith("guessed: ")]
        rest = [note for note in notes if note not in guessed]
        if rest:
            yield f"{_HEADINGS[kind]}: {'; '.join(rest)}"
        if guessed:
            yield f"guessed: {'; '.join(note.removeprefix('guessed: ') for note in guessed)}"
