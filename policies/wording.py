"""Sentences with the evidence's values, for creators and moderators."""

from __future__ import annotations

from policies.evidence import Strengths
from policies.types import Finding, Source

SOURCES = {Source.MEDIA: "the submitted media", Source.PLAYTHROUGH: "playthroughs", Source.LIVE: "live play"}


def sentence(template: str, findings: Strengths) -> str:
    """A rule's explanation, filled in from the findings that fired it, strongest first."""
    return template.format_map(_facts(findings)) if findings else "Its condition holds without a finding."


def clock(seconds: float) -> str:
    """``72.5`` as ``1:12.5``."""
    return f"{int(seconds // 60)}:{seconds % 60:04.1f}"


def where(finding: Finding) -> str:
    """In which medium or playthrough something was found."""
    if finding.media:
        return f"the submitted {quote(finding.media)}"
    return f"playthrough {quote(finding.playthrough)[:8]}" if finding.playthrough else SOURCES[finding.source]


def quote(text: str, longest: int | None = 120) -> str:
    """Printable, on one line and, unless ``longest`` is None, short: it goes into sentences."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return clean if longest is None or len(clean) <= longest else clean[: longest - 1] + "…"


def _facts(findings: Strengths) -> dict[str, object]:
    first = next((f for f in findings if f.text), findings[0])
    same = [f for f in findings if (f.playthrough, f.media) == (first.playthrough, first.media)]
    seconds = max(max(f.start, f.end) for f in same) - min(f.start for f in same)
    return {
        "text": quote(first.text or ""),
        "label": first.label.replace("_", " "),
        "detector": first.detector,
        "score": first.score,
        "at": clock(first.start),
        "where": where(first),
        "count": len(findings),
        "seconds": seconds,
        "episodes": len({f.playthrough for f in findings} - {None}),
    }
