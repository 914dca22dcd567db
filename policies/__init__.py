"""Versioned rule bundles and their evaluation: findings and coverage in, a traced decision out.

Imports nothing else of firstplay and does no I/O but reading bundle files.

    >>> from policies import Coverage, decide, load_bundle
    >>> decide(load_bundle(), findings=[], runs=[], coverage=Coverage()).verdict
    <Verdict.NEEDS_REVIEW: 'needs_review'>
"""

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
