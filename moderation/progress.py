"""What a person sees while worlds are reviewed: one bar per stage at work, with its rate and time left."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from moderation.store import Job

STAGES = {
    "receive": ("receiving", "received"),
    "intake": ("looking at media", "media looked at"),
    "explore": ("exploring", "explored"),
    "scan": ("scanning", "scanned"),
    "decide": ("deciding", "decided"),
}
"""What each is called while it goes on, and when it is done."""


class Rate(ProgressColumn):
    """Done, total and rate in the stage's own unit."""

    def render(self, task: Task) -> Text:
        unit = task.fields.get("unit", "")
        if not task.total:
            return Text("starting", style="dim")
        speed = f"  {task.speed:,.0f}/s" if task.speed and task.speed >= 1 else ""
        return Text(f"{task.completed:,.0f}/{task.total:,.0f} {unit}{speed}")


class Bars:
    """Follows the jobs of a review; use as a context manager, call with the jobs at each tick.

    On a terminal the bars move; elsewhere each finished stage is one line.
    """

    def __init__(self, console: Console, titles: Mapping[str, str]) -> None:
        self._console = console
        self._titles = titles
        self._bars: dict[tuple[int, str], TaskID] = {}
        self._finished: set[int] = set()
        self._started = False
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            Rate(),
            TimeRemainingColumn(compact=True),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._total = self._progress.add_task("[bold]worlds", total=len(titles), unit="worlds")

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, jobs: list[Job]) -> None:
        for job in jobs:
            if job.state == "running":
                self._show(job)
            elif job.state in ("done", "dead") and job.id not in self._finished:
                self._finish(job)
        self._started = True  # what was finished at the first look was finished by an earlier run
        decided = {job.subject for job in jobs if job.kind == "decide" and job.state == "done"}
        self._progress.update(self._total, completed=len(decided))

    def _show(self, job: Job) -> None:
        state = job.progress or {}
        key = (job.id, str(state.get("unit", "")))
        if key not in self._bars:
            self._hide(job)
            name = f"{self._titles[job.subject]} · {STAGES[job.kind][0]}"
            self._bars[key] = self._progress.add_task(name, total=state.get("total"), unit=key[1])
        self._progress.update(self._bars[key], completed=state.get("done", 0), total=state.get("total"))

    def _hide(self, job: Job) -> None:
        for key in [key for key in self._bars if key[0] == job.id]:
            self._progress.remove_task(self._bars.pop(key))

    def _finish(self, job: Job) -> None:
        self._finished.add(job.id)
        self._hide(job)
        if self._started:
            doing, did = STAGES[job.kind]
            said = f"[red]failed[/] {doing}" if job.state == "dead" else did
            self._progress.console.print(
                f"  [dim]{self._titles[job.subject]}[/] {said} in {job.seconds:.1f} s", highlight=False
            )
