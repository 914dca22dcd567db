"""``firstplay detectors``: which detectors there are, how good they are, and calibrating them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from moderation.options import AsJson, refuse

if TYPE_CHECKING:
    from moderation.detectors.base import Detector
    from moderation.detectors.registry import Setup
    from moderation.evaluation.labelled import LabelledSet
    from moderation.evaluation.runner import Measurement

Sets = Annotated[
    list[Path] | None,
    typer.Option(
        "--set", help="Folder with a set.yaml, or the name of a set made by script; may be repeated.",
    ),
]  # fmt: skip
Into = Annotated[
    Path | None, typer.Option(help="Folder to keep it in; default: beside the detectors.", show_default=False)
]


def register_detectors(app: typer.Typer) -> None:
    """Add ``detectors list | evaluate | calibrate`` to ``app``."""
    detectors = typer.Typer(
        help="Detectors: list them, measure them, calibrate their scores.", no_args_is_help=True
    )
    detectors.command("list")(list_detectors)
    detectors.command("evaluate")(evaluate_detectors)
    detectors.command("calibrate")(calibrate_detector)
    app.add_typer(detectors, name="detectors")


def list_detectors(as_json: AsJson = False) -> None:
    """Show every registered detector: what it looks at, its labels, licence, recall and cost.

    Exit codes: 0; 2 an installed package offers what is no detector, or a name twice.
    """
    from moderation.detectors.registry import by_modality, load_all, registered

    with _told():
        packages = {name: entry.dist.name if entry.dist else "" for name, entry in registered().items()}
        cards = [d.card for group in by_modality(load_all(_setup())).values() for d in group]
    if as_json:
        told = [
            {
                "name": card.name,
                "version": card.version,
                "fingerprint": card.fingerprint,
                "modality": card.modality,
                "labels": list(card.labels),
                "input_size": card.input_size,
                "weights": card.weights_sha256,
                "licence": card.licence,
                "recall": card.recall,
                "recall_source": card.recall_source,
                "cost_ms": card.cost_ms,
                "package": packages[card.name],
            }
            for card in cards
        ]
        typer.echo(json.dumps(told, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("detector", "version", "looks at", "labels", "recall", "ms", "licence", "package")
    for card in cards:
        recall = "" if card.recall is None else f"{card.recall:.2f}"
        row = (card.name, card.version, card.modality, ", ".join(card.labels), recall, f"{card.cost_ms:g}")
        table.add_row(*row, card.licence, packages[card.name])
    for column in (*table.columns[:3], *table.columns[4:6]):
        column.no_wrap = True
    Console().print(table)


def evaluate_detectors(
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Detectors, or readers with what judges their words, such as ocr+text."),
    ] = None,
    sets: Sets = None,
    part: Annotated[
        Literal["heldout", "development"], typer.Option(help="Report what was measured on heldout.")
    ] = "heldout",
    as_json: Annotated[Path | None, typer.Option("--json", help="Write all figures to this file.")] = None,
    plots: Annotated[Path | None, typer.Option(help="Write curves as SVG into this folder.")] = None,
    store: Annotated[
        bool, typer.Option("--store", help="Keep the recall beside the detectors, for the bound.")
    ] = False,
    into: Into = None,
) -> None:
    """Measure detectors on labelled sets: per class and source, with 95 % intervals (Wilson).

    Without --set, on all sets that are made by script. A set whose fonts, voices or weights are not
    installed is left out, and said so.

    Exit codes: 0; 2 there is no such detector or set, a set is malformed, or nothing could be measured.
    """
    from moderation.evaluation import measured as kept
    from moderation.evaluation.plots import write_plots
    from moderation.evaluation.runner import evaluate

    if store and part != "heldout":
        refuse("only what is measured on the held-out part may be stored; leave --part out")
    with _told():
        detectors = _detectors(names or ())
        labelled = [one.part(part) for one in _sets(sets, names or ())]
        measured = evaluate(detectors, labelled, names or ())
    _show(measured)
    if as_json is not None:
        as_json.write_text(json.dumps([one.as_json() for one in measured], indent=1) + "\n", encoding="utf-8")
    if plots is not None:
        typer.echo(f"{len(write_plots(measured, plots))} plots are in {plots}")
    if store:
        for path in kept.store(measured, into):
            typer.echo(f"kept in {path}")


def calibrate_detector(
    name: Annotated[str, typer.Argument(help="Detector.")],
    sets: Sets = None,
    method: Annotated[
        Literal["platt", "isotonic"],
        typer.Option(help="A sigmoid, or for a thousand items and more a rising step function."),
    ] = "platt",
    into: Into = None,
) -> None:
    """Fit probabilities to a detector's scores on the development part of one labelled set, and keep them.

    From then on its version names the calibration, and policy thresholds mean probabilities.

    Exit codes: 0; 2 there is no such detector or set, or it has too few items.
    """
    from moderation.detectors.registry import load
    from moderation.evaluation import calibration

    with _told():
        found = _sets(sets, (name,))
        if len(found) != 1:
            refuse(f"calibrate on one set, not on {len(found)}: name it with --set")
        detector = load(name, _setup(), calibrate=False)
        fitted = calibration.fit(detector, found[0], method)
        path = calibration.store(fitted, detector.card, into)
    for label, one in fitted.labels.items():
        typer.echo(
            f"{label}: {method} on {one.positives} positives and {one.lookalikes} look-alikes; calibration "
            f"error {one.error_before:.3f} before, {one.error_after:.3f} after (in folds)"
        )
    for label in found[0].detectors[name].keys() - fitted.labels.keys():
        typer.echo(f"{label}: left as it is, fewer than {calibration.LEAST} items of either kind got a score")
    typer.echo(f"kept in {path}; the detector is now {name} {detector.card.version}+cal.{fitted.id}")


# -- what the commands share --------------------------------------------------------------------------


@contextmanager
def _told() -> Iterator[None]:
    """Turns the errors of what a user named into a message and exit code 2."""
    from moderation.detectors.registry import RegistryError
    from moderation.evaluation.calibration import CalibrationError
    from moderation.evaluation.labelled import LabelledSetError
    from moderation.evaluation.measured import MeasuredError
    from moderation.evaluation.runner import NothingToEvaluate
    from moderation.models import ModelError
    from policies.errors import BundleError

    try:
        yield
    except (
        BundleError, CalibrationError, LabelledSetError, MeasuredError, ModelError, NothingToEvaluate,
        RegistryError,
    ) as error:  # fmt: skip
        refuse(error)


def _detectors(names: Sequence[str]) -> dict[str, Detector[Any]]:
    """Those named and the parts of chains, or all."""
    from moderation.detectors.registry import load, load_all
    from moderation.evaluation.chain import JOIN

    if not names:
        return {detector.card.name: detector for detector in load_all(_setup())}
    parts = dict.fromkeys(part for name in names for part in name.split(JOIN))
    setup = _setup()
    return {part: load(part, setup) for part in parts}


def _setup() -> Setup:
    """What detectors are made from in a review: the phrases of the policy that decides."""
    from moderation.detectors.registry import Setup
    from moderation.pipeline import policy_bundle

    return Setup.of(policy_bundle())


def _sets(given: Sequence[Path] | None, names: Sequence[str]) -> list[LabelledSet]:
    """The sets that were asked for, else all that are made by script for these detectors."""
    from moderation.evaluation.labelled import read_set
    from moderation.labelled.sets import SETS

    if not given:
        return list(_made(names))
    return [SETS[str(one)].make() if str(one) in SETS else read_set(one) for one in given]


def _made(names: Sequence[str]) -> Iterator[LabelledSet]:
    from moderation.labelled.sets import SETS

    for name, script in SETS.items():
        if names and not set(names) & set(script.detectors):
            continue
        typer.echo(f"making the set {name}", err=True)
        try:
            yield script.make()
        except (FileNotFoundError, RuntimeError) as error:
            typer.echo(f"{name} is left out: {error}", err=True)


def _show(measured: Sequence[Measurement]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "detector", "label", "source", "set", "recall", "false alarms", "precision", "AUROC", "AP",
        caption="in brackets: 95 % intervals (Wilson)",
    )  # fmt: skip
    for one in measured:
        table.add_row(
            f"{one.detector} {one.version}",
            f"{one.label} >= {one.threshold:g}",
            one.source,
            one.set_name,
            _share(one.found, one.positives, one.recall_limits),
            _share(one.false_alarms, one.lookalikes, one.alarm_limits),
            _share(one.found, one.found + one.false_alarms, one.precision_limits),
            "" if one.auroc is None else f"{one.auroc:.3f}",
            "" if one.average_precision is None else f"{one.average_precision:.3f}",
        )
    Console().print(table)
    for one in measured:
        holding = [k for k in one.kinds if k.holds and k.flagged < k.items]
        missed = [f"{k.items - k.flagged} of {k.items} {k.kind}" for k in holding]
        alarms = [f"{k.flagged} of {k.items} {k.kind}" for k in one.kinds if not k.holds and k.flagged]
        for what, kinds in (("missed", missed), ("false alarms", alarms)):
            if kinds:
                typer.echo(f"{one.detector}, {one.label}, {one.source}: {what}: {'; '.join(kinds)}")


def _share(part: int, whole: int, limits: tuple[float, float]) -> str:
    if not whole:
        return "-"
    return f"{part}/{whole} = {part / whole:.3f} [{limits[0]:.2f}, {limits[1]:.2f}]"
