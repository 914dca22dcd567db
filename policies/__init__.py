"""Versioned rule bundles and their evaluation: findings and coverage in, a traced decision out.

Imports nothing else of firstplay and does no I/O but reading bundle files.

    >>> from policies import Coverage, decide, load_bundle
    >>> decide(load_bundle(), findings=[], runs=[], coverage=Coverage()).verdict
    <Verdict.NEEDS_REVIEW: 'needs_review'>
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from policies.bundle import Bundle, load_bundle
    from policies.compiling import Rule
    from policies.engine import decide
    from policies.errors import BundleError, Problem
    from policies.types import (
        Bound,
        Context,
        Coverage,
        Decision,
        DetectorRun,
        Finding,
        Fired,
        Ground,
        Rating,
        Source,
        Verdict,
    )

__all__ = [
    "Bound",
    "Bundle",
    "BundleError",
    "Context",
    "Coverage",
    "Decision",
    "DetectorRun",
    "Finding",
    "Fired",
    "Ground",
    "Problem",
    "Rating",
    "Rule",
    "Source",
    "Verdict",
    "decide",
    "load_bundle",
]

_FROM = {
    "Bundle": "policies.bundle",
    "load_bundle": "policies.bundle",
    "Rule": "policies.compiling",
    "decide": "policies.engine",
    "BundleError": "policies.errors",
    "Problem": "policies.errors",
    "Bound": "policies.types",
    "Context": "policies.types",
    "Coverage": "policies.types",
    "Decision": "policies.types",
    "DetectorRun": "policies.types",
    "Finding": "policies.types",
    "Fired": "policies.types",
    "Ground": "policies.types",
    "Rating": "policies.types",
    "Source": "policies.types",
    "Verdict": "policies.types",
}


def __getattr__(name: str) -> Any:
    """What is taken from here is imported then: a server that only reads decisions compiles no rules."""
    if name not in _FROM:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_FROM[name]), name)
