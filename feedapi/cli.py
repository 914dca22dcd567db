"""The ``firstplay`` command: every layer's sub-commands behind one door."""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from bots import cli as bots_cli
from feedapi.feed_cli import register_feed
from moderation import cli as moderation_cli
from moderation.options import Home, home_folder
from policies import cli as policies_cli
from worldmodel import cli as worldmodel_cli
from worldmodel.limits import SEED
from worldmodel.store import ModelError

if TYPE_CHECKING:
    from worldmodel.protocol import WorldModel

BAD_INPUT = 2
UNEXPECTED = 3
"""Exit code of an error that no command foresaw; the commands' own codes are in their ``--help``."""


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    app.command()(play)
    app.command()(serve)
    app.command()(submit)
    register_feed(app)


def play(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A world package: a folder or a zip.", show_default=False)
    ],
    model: Annotated[
        Literal["neural", "simulator"],
        typer.Option(help="What plays; neural can have the simulator beside it."),
    ] = "neural",
    seed: Annotated[int, typer.Option(min=0, max=SEED, help="Of what is left to chance in play.")] = 0,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port on 127.0.0.1; 0 takes a free one.")] = 0,
    browser: Annotated[
        bool, typer.Option("--open/--no-open", help="Show the page in the browser at once.")
    ] = True,
) -> None:
    """Play a world of your own in the browser, with the simulator beside it on a switch.

    Nothing needs to be cleared for that, so nobody but this machine is served. Ctrl-C stops.
    Exit codes: 0 stopped; 2 the package is not valid, weights are missing or the address is taken.
    """
    from feedapi.server import AddressTaken, Server, address, listen
    from feedapi.try_it import LOOPBACK, Unplayable, create_tryout, model_loader, open_page, prepare

    try:
        world, prompt = prepare(path)
        load = model_loader(model)
        listener = listen(LOOPBACK, port)
    except (AddressTaken, Unplayable) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    url = address(listener)

    def started() -> None:
        typer.echo(f"{world.title} is at {url} (Ctrl-C stops)")
        if browser:
            open_page(url)

    signal.signal(signal.SIGTERM, signal.default_int_handler)
    app = create_tryout(world, prompt, load, model=model, seed=seed)
    Server(app, started).serve_on(listener)
    typer.echo("Stopped.")


def serve(
    home: Home = None,
    host: Annotated[
        str, typer.Option(help="Address to listen on; 0.0.0.0 lets other machines in.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8000,
    model: Annotated[
        Literal["neural", "simulator"], typer.Option(help="World model that people play in.")
    ] = "neural",
    sessions: Annotated[int, typer.Option(min=1, help="People who may play at the same time.")] = 8,
    workers: Annotated[
        int, typer.Option(min=0, help="Processes that review what is submitted; 0: `firstplay worker` does.")
    ] = 1,
    threads: Annotated[
        int, typer.Option(min=1, help="CPU threads on which the world model renders frames.")
    ] = 2,
) -> None:
    """Show the cleared worlds on a page and let people play them in the browser.

    Only published worlds are served. Ctrl-C stops. Exit codes: 0 stopped; 2 the address is taken.
    """
    from feedapi.server import AddressTaken, Server, address, listen, starting

    with starting():
        from feedapi.app import create_app
        from feedapi.guarding import by_policy
        from moderation.observing import logs, traces

    logs.set_up(logging.WARNING)
    traces.set_up("firstplay-api")

    def load() -> WorldModel:
        import torch

        from worldmodel.models import load_model
        from worldmodel.neural import NeuralWorldModel

        torch.set_num_threads(1)  # holds for the thread that calls it: the arena's
        playing = load_model(model)
        if isinstance(playing, NeuralWorldModel):
            playing.render_on(threads)
        return playing

    try:
        listener = listen(host, port)
    except AddressTaken as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    url = address(listener)
    # uvicorn stops cleanly, then raises the signal again: both mean that serve_on returns
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    folder = home_folder(home)
    key = _operator_key(folder)

    def started() -> None:
        typer.echo(f"The feed is at {url} (Ctrl-C stops)")
        if key is not None:
            typer.echo(f"Sign in at {url}/sign-in with the key in {key}")

    with _reviewing(folder, workers):
        Server(create_app(folder, load, sessions, by_policy), started).serve_on(listener)
    typer.echo("Stopped.")


@contextmanager
def _reviewing(home: Path, workers: int) -> Iterator[None]:
    """Worker processes beside the server; where a broker is set, those of `firstplay worker` do the work."""
    from moderation.broker import broker_url

    if not workers or broker_url() is not None:
        yield
        return
    from moderation.jobs import Local
    from moderation.pipeline import handlers

    os.environ["FIRSTPLAY_HOME"] = str(home)  # for worker processes and the banks of known pictures
    stopped = threading.Event()
    carrier = Local(home, handlers, None, workers)
    thread = threading.Thread(target=carrier.serve, args=(stopped,), name="reviews")
    thread.start()
    try:
        yield
    finally:
        stopped.set()
        thread.join()


def _operator_key(home: Path) -> Path | None:
    """Where the key of the account is that an installation without accounts makes for itself."""
    from moderation.accounts import operator_key
    from moderation.store import open_store

    store = open_store(home)
    path = operator_key(home, store)
    store.close()
    return path if path.exists() else None


def submit(
    path: Annotated[Path, typer.Argument(help="A world package: a folder or a zip.", show_default=False)],
    to: Annotated[str, typer.Option(help="Address of the installation.", envvar="FIRSTPLAY_URL")],
    key: Annotated[
        str, typer.Option(help="API key with the scope `worlds`.", envvar="FIRSTPLAY_KEY", show_default=False)
    ],
    wait: Annotated[bool, typer.Option("--wait/--no-wait", help="Follow the review to its end.")] = True,
) -> None:
    """Submit a world to an installation, and follow its review.

    Exit codes: 0 published, or submitted with --no-wait; 1 decided otherwise; 2 the installation refused it.
    """
    from feedapi.client import ApiProblem, Client

    try:
        with Client(to, key) as client:
            version = client.submit_package(path)
            typer.echo(f"{version.world}: submitted as {version.id}")
            if not wait:
                return
            for event in client.follow(version.id):
                if event.name == "state":
                    typer.echo(f"{event.data['state']}: {event.data['reason']}")
            state = client.version(version.id).state
    except (ApiProblem, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        for one in getattr(error, "errors", []):
            typer.echo(f"  {one}", err=True)
        raise typer.Exit(BAD_INPUT) from None
    raise typer.Exit(0 if state == "published" else 1)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"firstplay {version('firstplay')}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """The whole command line. Importing torch and the like is left to the commands' bodies."""
    app = typer.Typer(
        name="firstplay",
        help="Let machines play every new world before people do.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )

    @app.callback()
    def options(
        show_version: Annotated[
            bool, typer.Option("--version", help="Print the version.", callback=_print_version, is_eager=True)
        ] = False,
    ) -> None:
        """Let machines play every new world before people do."""

    for layer in (worldmodel_cli, bots_cli, policies_cli, moderation_cli):
        layer.register(app)
    register(app)
    return app


def main() -> None:
    """Run the command line; missing weights are one line and exit code 2, an unforeseen error one line and 3.

    ``FIRSTPLAY_DEBUG=1`` shows its traceback.
    """
    try:
        build_app()()
    except ModelError as error:  # any command that compiles a world may need the text encoder
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(BAD_INPUT) from None
    except Exception as error:
        if os.environ.get("FIRSTPLAY_DEBUG"):
            raise
        where = Path(sys.argv[0]).name
        detail = " ".join(str(error).split()) or "no message"
        typer.echo(
            f"{where}: unexpected error: {type(error).__name__}: {detail} (FIRSTPLAY_DEBUG=1 shows where)",
            err=True,
        )
        raise SystemExit(UNEXPECTED) from None
