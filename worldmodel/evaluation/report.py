"""All tables of an evaluation as one Markdown document."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from worldmodel.evaluation.bars import bars
from worldmodel.evaluation.groups import Group
from worldmodel.evaluation.likeness import Likeness
from worldmodel.evaluation.records import EventScore
from worldmodel.evaluation.run import Evaluation


def markdown(result: Evaluation) -> str:
    """Ends with a newline."""
    parts = [
        f"# Against the simulator: {result.worlds} worlds, {result.episodes} episodes",
        *_bars(result),
        *_agreement(result),
        *_events(result),
        *_groups(result),
        *_memory(result),
        *_drift(result),
        *_held_out(result),
        *_speed(result),
    ]
    return "\n\n".join(parts) + "\n"


def table(headings: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table, padded so that it reads well unrendered, too."""
    cells = [[str(h) for h in headings], *([_shown(c) for c in row] for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(headings))]

    def line(row: Sequence[str]) -> str:
        first = row[0].ljust(widths[0])
        return (
            "| " + " | ".join([first, *(c.rjust(w) for c, w in zip(row[1:], widths[1:], strict=True))]) + " |"
        )

    rule = [":" + "-" * (widths[0] - 1), *("-" * (w - 1) + ":" for w in widths[1:])]
    return "\n".join([line(cells[0]), "| " + " | ".join(rule) + " |", *map(line, cells[1:])])


def _shown(value: object) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.4f}"
    return str(value)


def _bars(result: Evaluation) -> Iterator[str]:
    yield "## Bars"
    yield table(
        ("what", "measured", "wanted", ""),
        [
            (
                b.name,
                b.value,
                f"{'>=' if b.at_least else '<='} {b.wanted:g}",
                "passed" if b.passed else "FAILED",
            )
            for b in bars(result)
        ],
    )


def _agreement(result: Evaluation) -> Iterator[str]:
    yield "## Pictures by horizon, open loop"
    yield (
        "First and last repeat the first frame, and the true frame of the step before. Own state: the "
        "model's frame beside the simulator's painting of the model's own state."
    )
    rows = [
        (str(step), h.model.psnr, h.model.ssim, h.model.edges, h.first.psnr, h.first.ssim, h.first.edges,
         h.last.psnr, h.last.ssim, h.last.edges, h.own.psnr, h.place, h.rows)
        for step, h in result.horizons.items()
    ]  # fmt: skip
    yield table(
        ("after steps", "PSNR dB", "SSIM", "edges F1", "first: PSNR", "SSIM", "edges", "last: PSNR", "SSIM",
         "edges", "own state: PSNR", "in half a tile", "rows"), rows,
    )  # fmt: skip
    yield "## Agreement"
    yield table(
        ("share", "value"),
        [
            ("steps within half a tile, restarted every 64", result.place),
            ("steps within half a tile, never restarted", result.place_open),
            ("single steps exactly as the simulator's", result.step_agreement),
            ("mover moves exactly as the simulator's", result.mover_agreement),
            ("held actions with exactly the simulator's effect", result.action_agreement),
            ("coins and keys that came back", result.coins_regrown),
        ],
    )


def _score(name: str, score: EventScore) -> tuple[object, ...]:
    return (name, score.precision, score.recall, score.f1, score.predicted, score.simulated)


def _events(result: Evaluation) -> Iterator[str]:
    heads = ("event", "precision", "recall", "F1", "in the model", "in the simulator")
    yield "## Events, single steps from the model's own states"
    yield table(heads, [_score(name, score) for name, score in result.events.items()])
    yield "## Events in play, windows of 64 steps, within 2 steps"
    yield table(heads, [_score(name, score) for name, score in result.events_in_play.items()])
    yield "## Sounds that start"
    sounds = result.sounds
    yield table(heads, [_score("voices", sounds.voices), _score("effects", sounds.effects)])
    yield f"Steps in which exactly the same sounds start: {_shown(sounds.same_steps)}"


def _groups(result: Evaluation) -> Iterator[str]:
    for title, groups in (("By mechanic", result.by_mechanic), ("By world", result.by_world)):
        yield f"## {title}, worst first"
        yield table(
            ("group", "worlds", "steps", "exact steps", "in half a tile", "events F1", "movers", "PSNR dB"),
            [_group(group) for group in groups],
        )


def _group(g: Group) -> tuple[object, ...]:
    return (g.name, g.worlds, g.steps, g.exact, g.place, g.events, g.movers, g.psnr)


def _memory(result: Evaluation) -> Iterator[str]:
    if (memory := result.memory) is None:
        return
    yield f"## Memory: {memory.returns} returns after {memory.steps_away} steps away"
    yield table(
        ("what", "share"),
        [
            ("tiles around the player as left", memory.tiles_as_left),
            (f"of {memory.changed} tiles that the player had changed", memory.changed_as_left),
            ("coins and keys taken and still gone", memory.taken_still_gone),
            ("doors opened and still open", memory.doors_still_open),
            ("levers as left", memory.levers_as_left),
            ("returns whose picture shows what was left", memory.shown_as_left),
        ],
    )


def _drift(result: Evaluation) -> Iterator[str]:
    if (drift := result.drift) is None:
        return
    yield f"## Drift: {drift.rows} rows"
    yield table(
        ("steps", "PSNR dB", "SSIM", "edges F1", "own state: PSNR", "SSIM", "edges", "movers in view",
         "not shown", "shown twice"),
        [
            (str(step), m.model.psnr, m.model.ssim, m.model.edges, m.own.psnr, m.own.ssim, m.own.edges,
             m.in_view, m.not_shown, m.shown_twice)
            for step, m in drift.marks.items()
        ],
    )  # fmt: skip
    yield f"Movers of the state: {drift.vanished} vanished, {drift.doubled} doubled, {drift.strayed} outside."


def _held_out(result: Evaluation) -> Iterator[str]:
    if result.pairs:
        yield "## Held-out pairs of mechanics, on practice maps"
        yield table(
            ("pair", "steps", "exact steps", "with one of both", "events F1", "movers"),
            [
                (" + ".join(p.names), p.steps, p.exact, p.exact_one, p.events.f1, p.movers)
                for p in result.pairs
            ],
        )
    if result.looks:
        yield "## Held-out looks: the decoder on the simulator's states"
        yield table(
            ("worlds", "PSNR dB", "SSIM", "edges F1"), [_look(*pair) for pair in result.looks.items()]
        )


def _look(name: str, found: Likeness) -> tuple[object, ...]:
    return (name, found.psnr, found.ssim, found.edges)


def _speed(result: Evaluation) -> Iterator[str]:
    if result.speed:
        yield "## World-steps per second on this machine"
        yield table(
            ("batch", "with frames", "without frames"),
            [(str(s.batch), s.with_frames, s.without_frames) for s in result.speed],
        )
    yield f"State of a live session: {result.session_bytes:,} bytes."
