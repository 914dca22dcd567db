"""``firstplay worldmodel export``: a world and the model that plays it, as files for a browser."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worldmodel.world_cli import INVALID

if TYPE_CHECKING:
    from worldmodel.compiled import CompiledWorld
    from worldmodel.export import Agreement
    from worldmodel.neural import NeuralWorldModel

CHECKED_WORLDS = 8
_CARD = """\
# {title}, to be played in a browser

One step of the neural world model of step version {version} ({model}) as ONNX, opset {opset}, batch 1. The
world is {world}.

| file | MB | steps compared | that differ | greatest, mean difference of a frame's pixels, of 255 | PSNR dB |
| --- | --- | --- | --- | --- | --- |
{rows}

Compared with torch, each step from torch's own state with a random action: a step differs if any number of
the next state, an event or the clip does. The page plays `step.onnx`, which in WebAssembly measured faster
than 8 bits; `?graph=step.int8.onnx` plays those, where they were written.

The page plays on one thread, which measured no slower than two. `?threads=2` needs a server that sends
`Cross-Origin-Opener-Policy: same-origin` and `Cross-Origin-Embedder-Policy: require-corp`, as
`firstplay worldmodel export --serve 8000` does.

`ort/` is onnxruntime-web {library} (MIT, Microsoft).
"""


@dataclass(frozen=True)
class _Written:
    """A graph that was written, and how it plays."""

    file: Path
    found: Agreement | None


def export(
    path: Annotated[
        Path | None, typer.Argument(metavar="[WORLD]", help="World package; default: a generated world.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder to write to.", file_okay=False)] = Path("browser"),
    weights: Annotated[Path | None, typer.Option(help="Weights to export; default: the package's.")] = None,
    seed: Annotated[int, typer.Option(help="Of the dice, and of a generated world.")] = 0,
    check: Annotated[
        int, typer.Option(min=0, help="Steps in each of eight worlds to compare with torch; 0 for none.")
    ] = 256,
    int8: Annotated[bool, typer.Option("--int8", help="Also write the graph in 8 bits.")] = False,
    library: Annotated[
        Path | None, typer.Option(help="A copy of onnxruntime-web's package, instead of npm.")
    ] = None,
    port: Annotated[
        int | None, typer.Option("--serve", metavar="PORT", help="Then serve OUT on this machine.")
    ] = None,
) -> None:
    """Write the model's step as ONNX, a world, and a page that plays it on the device.

    Exit codes: 0 written; 1 the graph does not play as the model does; 2 bad input.
    """
    from worldmodel.store import ModelError

    try:
        exact = write_export(path, out, weights, seed, check, int8=int8, library=library)
    except (FileNotFoundError, ValueError, ModelError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(INVALID) from None
    typer.echo(f"wrote {out}: {out / 'card.md'} says what is in it and how it plays")
    if port is not None:
        _serve(out, port)
    raise typer.Exit(0 if exact else 1)


def write_export(
    path: Path | None,
    out: Path,
    weights: Path | None = None,
    seed: int = 0,
    check: int = 0,
    *,
    int8: bool = False,
    library: Path | None = None,
) -> bool:
    """What the command does; whether the graph in 32 bits plays as the model does (True if not checked).

    Raises FileNotFoundError for missing weights, ValueError for a package that is not valid and ModelError
    when the JavaScript library cannot be had.
    """
    from worldmodel.browser import write_site
    from worldmodel.models import load_model

    model = load_model("neural", weights=weights)
    world = _world(path, seed)
    write_site(model, world, "step.onnx", out, seed, library)
    return _write_graphs(model, world, out, check, int8=int8)


def _world(path: Path | None, seed: int) -> CompiledWorld:
    """Raises ValueError saying what is wrong with a package."""
    from worldmodel.compiler import compile_world
    from worldmodel.gallery import generated_worlds
    from worldmodel.package import PackageError, load_package

    if path is None:
        return generated_worlds(1, seed, evaluation=True)[0]
    try:
        return compile_world(load_package(path))
    except PackageError as error:
        raise ValueError(str(error)) from None


def _write_graphs(
    model: NeuralWorldModel, world: CompiledWorld, out: Path, steps: int, *, int8: bool
) -> bool:
    """Write, compare and describe the graphs; whether the one in 32 bits plays as the model does."""
    from worldmodel.export import ExportedStep, compare, export_step
    from worldmodel.gallery import generated_worlds

    files = [out / "step.onnx"]
    export_step(model, world, files[0])
    worlds = [world, *generated_worlds(CHECKED_WORLDS - 1, 0, evaluation=True)] if steps or int8 else []
    if int8:
        from worldmodel.quantise import quantise

        files.append(out / "step.int8.onnx")
        quantise(files[0], files[1], model, worlds)
    written = [
        _Written(file, compare(model, ExportedStep(file), worlds, steps) if steps else None) for file in files
    ]
    (out / "card.md").write_text(_card(model, world, written), encoding="utf-8")
    found = written[0].found
    return found is None or (found.differing == 0 and found.frame_max <= 1)


def _card(model: NeuralWorldModel, world: CompiledWorld, written: list[_Written]) -> str:
    from worldmodel.export import OPSET
    from worldmodel.runtime import LIBRARY_VERSION

    return _CARD.format(
        title=world.title,
        version=model.card.version,
        model=model.card.sha256[:16],
        opset=OPSET,
        world=world.key[:16],
        rows="\n".join(_row(each) for each in written),
        library=LIBRARY_VERSION,
    )


def _row(written: _Written) -> str:
    size, found = written.file.stat().st_size / 1e6, written.found
    if found is None:
        return f"| {written.file.name} | {size:.1f} | not compared | | | |"
    numbers = (
        found.steps,
        found.differing,
        f"{found.frame_max}, {found.frame_mean:.4f}",
        f"{found.psnr:.1f}",
    )
    return f"| {written.file.name} | {size:.1f} | {' | '.join(map(str, numbers))} |"


def _serve(folder: Path, port: int) -> None:
    from worldmodel.browser import server

    with server(folder, port) as running:
        typer.echo(f"play it on http://127.0.0.1:{running.server_address[1]}/ (Ctrl-C ends)")
        try:
            running.serve_forever()
        except KeyboardInterrupt:
            typer.echo("")
