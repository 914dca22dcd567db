"""The ``firstplay`` sub-commands that run workers and look after jobs."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from moderation.options import AsJson, Home, home_folder, home_store, refuse

if TYPE_CHECKING:
    from moderation.store import Job

_State = Literal["ready", "running", "done", "dead"]
_Queue = Literal["urgent", "io", "cpu", "gpu"]


def register_jobs(app: typer.Typer) -> None:
    """Add these commands to ``app``."""
    app.command("worker")(worker_command)
    app.command("sweep")(sweep_command)
    jobs = typer.Typer(help="Look at jobs, and let dead ones be tried again.", invoke_without_command=True)
    jobs.callback()(list_command)
    jobs.command("show")(show_command)
    jobs.command("requeue")(requeue_command)
    app.add_typer(jobs, name="jobs")


def worker_command(
    queues: Annotated[
        str, typer.Option(help="Looked into in this order, but urgent first; separated by commas.")
    ] = "urgent,io,cpu,gpu",
    processes: Annotated[int, typer.Option(help="Worker processes.", min=1)] = 1,
    patience: Annotated[
        float, typer.Option(help="Seconds that a job gets to come to a point where it can stop.", min=0)
    ] = 10.0,
    batch: Annotated[
        int, typer.Option(help="Worlds that a process explores at once: more than one pays on a GPU.", min=1)
    ] = 1,
    device: Annotated[
        str | None,
        typer.Option(help="Where the world model runs: cpu, cuda, cuda:1. Else $FIRSTPLAY_DEVICE, else cpu."),
    ] = None,
    metrics_port: Annotated[
        int | None, typer.Option(help="Answer Prometheus here with what this machine's GPUs do.", min=1)
    ] = None,
    home: Home = None,
) -> None:
    """Do jobs until stopped: those of this host's workers, or of all hosts' where $FIRSTPLAY_BROKER is set.

    Ctrl-C or SIGTERM gives back what is not finished; another worker goes on with it.
    Exit codes: 0 stopped; 2 there is no such queue or device, the broker's or the database's URL cannot be
    used, or the port is taken.
    """
    from moderation.broker import BadBroker
    from moderation.jobs import open_carrier
    from moderation.jobs.processes import LOG_VARIABLE
    from moderation.jobs.worker import in_order
    from moderation.pipeline import DEVICE_VARIABLE, handlers
    from moderation.store import BadDatabase, open_store

    folder = home_folder(home)
    os.environ["FIRSTPLAY_HOME"] = str(folder)  # for worker processes and the banks of known pictures
    try:
        names = in_order([name.strip() for name in queues.split(",") if name.strip()])
        carrier = open_carrier(folder, handlers, names, processes, batch=batch)
        open_store(folder).close()
        os.environ[DEVICE_VARIABLE] = _checked(device or os.environ.get(DEVICE_VARIABLE) or "cpu")
        if metrics_port is not None:
            from moderation.observing.metrics import serve_gpus

            serve_gpus(metrics_port)
    except (BadBroker, BadDatabase, ValueError, OSError) as error:
        refuse(f"error: {error}")
    os.environ.setdefault(LOG_VARIABLE, "INFO")
    stopped = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopped.set())
    typer.echo(f"{processes} worker processes for {', '.join(names)} (Ctrl-C stops)", err=True)
    carrier.serve(stopped, patience)


def _checked(device: str) -> str:
    """Raises ValueError for one that is not there."""
    if device == "cpu":
        return device
    import torch

    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:  # AssertionError: PyTorch was built without CUDA
        raise ValueError(
            f"the device {device!r} cannot be used: {str(error).partition(chr(10))[0]}"
        ) from None
    return device


def sweep_command(home: Home = None, as_json: AsJson = False) -> None:
    """Set going again what nobody holds any more; workers do so by themselves, twice a second.

    Orphans of this host, leases that ran out, retries that are due, and ready jobs that the broker forgot.
    """
    from moderation.jobs import Terms
    from moderation.jobs.sweeping import remind, sweep

    store = home_store(home)
    swept, reminded = sweep(store, Terms()), remind(store)
    store.close()
    if as_json:
        typer.echo(json.dumps(asdict(swept) | {"reminded": reminded}))
        return
    typer.echo(
        f"{swept.expired} leases had run out, {swept.due} retries were due, {swept.dead} jobs are dead, "
        f"{reminded} messages were sent again"
    )


def list_command(
    context: typer.Context,
    state: Annotated[_State | None, typer.Option(help="Only in this state.")] = None,
    queue: Annotated[_Queue | None, typer.Option(help="Only in this queue.")] = None,
    older: Annotated[float, typer.Option(help="Only added at least so many seconds ago.", min=0)] = 0.0,
    limit: Annotated[int, typer.Option(help="The oldest so many.", min=1)] = 50,
    home: Home = None,
    as_json: AsJson = False,
) -> None:
    """List jobs, oldest first, and how long each queue is."""
    if context.invoked_subcommand is not None:
        return
    from moderation.jobs.pressure import pressures

    store = home_store(home)
    found, queued = store.queue.listed(state, queue, older, limit), pressures(store)
    store.close()
    if as_json:
        told = {"jobs": [asdict(job) for job in found], "queues": [asdict(one) for one in queued]}
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "kind", "queue", "state", "age", "failures", "creator", "error")
    for job in found:
        table.add_row(*_cells(job))
    Console().print(table)
    for one in queued:
        typer.echo(
            f"{one.queue}: {one.depth} open, {one.workers} workers, about {one.seconds:,.0f} s until done"
        )


def _cells(job: Job) -> list[str]:
    age = f"{time.time() - job.created:,.0f} s"
    error = (job.error or "").partition("\n")[0][:80]
    return [str(job.id), job.kind, job.queue, job.state, age, str(job.failures), job.creator, error]


def show_command(
    number: Annotated[int, typer.Argument(metavar="ID")], home: Home = None, as_json: AsJson = False
) -> None:
    """Show all of one job, with its error. Exit codes: 0 shown; 2 there is no such job."""
    from moderation.store import NotFound

    store = home_store(home)
    try:
        job = store.queue.job(number)
    except NotFound as error:
        refuse(f"error: {error}: `firstplay jobs` lists them")
    finally:
        store.close()
    if as_json:
        typer.echo(json.dumps(asdict(job), indent=2, ensure_ascii=False))
        return
    for name, value in asdict(job).items():
        if value is not None:
            typer.echo(f"{name:>10}  {value}")


def requeue_command(
    number: Annotated[int | None, typer.Argument(metavar="ID", show_default=False)] = None,
    dead: Annotated[bool, typer.Option("--dead", help="All dead jobs.")] = False,
    home: Home = None,
) -> None:
    """Let a dead job, or all of them, be tried again as if for the first time.

    Exit codes: 0 requeued; 2 there is no such dead job.
    """
    from moderation.store import NotFound

    if (number is None) is not dead:
        refuse("error: name one job or --dead")
    store = home_store(home)
    try:
        chosen = store.queue.listed("dead", limit=None) if number is None else [store.queue.job(number)]
        revived = store.queue.revive(*chosen) if chosen else 0
    except NotFound as error:
        refuse(f"error: {error}")
    finally:
        store.close()
    if number is not None and not revived:
        refuse(f"error: job {number} is {chosen[0].state}, only dead ones can be requeued")
    typer.echo(f"{revived} requeued")
