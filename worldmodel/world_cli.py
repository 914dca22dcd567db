"""``firstplay world``: check a world package, print the schema."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from worldmodel.package import WorldPackage

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
    """Check world packages and say everything that is wrong with them.

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
    from worldmodel.package import PackageError, load_package

    try:
        return {"ok": True, "path": str(path), **_summary(load_package(path))}
    except PackageError as error:
        problems = [{**asdict(problem), "text": str(problem)} for problem in error.problems]
        return {"ok": False, "path": str(path), "problems": problems}


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
    }


def _told(answer: dict[str, Any]) -> str:
    from worldmodel.problems import printable

    if not answer["ok"]:
        texts = [problem["text"] for problem in answer["problems"]]
        count = "1 problem" if len(texts) == 1 else f"{len(texts)} problems"
        return "\n".join([printable(f"{answer['path']}: {count}"), *(f"  {text}" for text in texts)])
    media = "".join(f"\n  {name}: {size}" for name, size in answer["media"].items())
    head = f"{answer['path']}: valid - {answer['title']}, {answer['objects']} objects"
    return printable(head) + f"\n  sha256 {answer['sha256']}{media}"
