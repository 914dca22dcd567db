"""What Pydantic finds wrong in a document, said as a fault with a place and a remedy."""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from policies.errors import suggest
from policies.schema import Document

EXAMPLES: Mapping[str, str] = {
    "action": "reject",
    "age": "12",
    "age_bands": '["3-6", "7-11"]',
    "audiences": "[{regions: [DE], thresholds: {sure: 0.7}}]",
    "bundle": "my-policy",
    "categories": "{harm: {title: Harm, dsa: STATEMENT_CATEGORY_VIOLENCE}}",
    "category": "harm",
    "change": "{slurs: {severity: S4}}",
    "coverage": "{min_sample_episodes: 30, min_search_steps: 10000, max_discovery_rate: 30}",
    "descriptor": "Violence",
    "detector": "ocr",
    "detectors": "[{name: ocr}]",
    "disable": "[links]",
    "dsa": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC",
    "expect": "rejected",
    "explanation": '"Seen {count} times, first at {at} in {where}."',
    "findings": "[{detector: ocr, label: text, score: 0.9}]",
    "fired": "[slurs]",
    "four_eyes": "true",
    "guideline": "Worlds contain no slurs.",
    "label": "text",
    "labels": "[text]",
    "limit": "3",
    "max_discovery_rate": "30",
    "min_sample_episodes": "30",
    "min_search_steps": "10000",
    "min_version": '"2"',
    "name": "ocr",
    "of": "prior_rejections",
    "quality_sampling": "0.02",
    "rates": "[{when: 'max(\"gore\") >= 0.8', age: 16, descriptor: Violence}]",
    "requires_human": "true",
    "rule": "slurs-in-play",
    "rules": "[{rule: slurs, …}]",
    "scope": "[media, playthrough, live]",
    "score": "0.9",
    "severity": "S2",
    "show": '["a pistol", "a rifle"]',
    "status": "draft",
    "summary": "What a world may show.",
    "tests": "[{name: nothing found, expect: cleared}]",
    "thresholds": "{sure: 0.9}",
    "title": "Slurs in writing",
    "version": '"1"',
    "when": 'max("slur") >= 0.8',
}
"""How each field may be written."""
_PATTERNS = {
    "rule": "Use small letters, digits and single hyphens, such as slurs-in-play.",
    "bundle": "Use small letters, digits and single hyphens, such as my-policy.",
    "thresholds": "Use small letters, digits and underscores, such as very_sure.",
    "region": "Use the two capital letters of ISO 3166-1, such as DE.",
    "regions": "Name the group in small letters and list countries by two capital letters, such as DE.",
}


@dataclass(frozen=True)
class Fault:
    """One thing that is wrong with a document."""

    keys: tuple[str | int, ...]
    problem: str
    remedy: str
    at_key: bool = False
    """The key is wrong, not its value."""


def faults(error: ValidationError) -> Iterator[Fault]:
    """Every fault, in the order of the document."""
    for one in error.errors():
        loc = tuple(key for key in one["loc"] if key != "[key]")
        at_key = one["type"] == "extra_forbidden" or loc != one["loc"]
        yield Fault(loc, _problem(one), _remedy(loc, one), at_key)


def _problem(error: Mapping[str, Any]) -> str:
    match error["type"]:
        case "literal_error" | "enum":
            return f"{error.get('input')} is not one of the choices"
    return _PROBLEMS.get(error["type"], str(error["msg"]).replace("Input should", "this should"))


_PROBLEMS = {
    "missing": "this field is missing",
    "extra_forbidden": "there is no such field",
    "tuple_type": "this must be a list",
    "dict_type": "this must be a mapping",
    "model_type": "this must be a mapping",
    "string_type": "this must be text",
    "string_pattern_mismatch": "this is not a valid name",
    "too_short": "this list is empty",
}


def _remedy(keys: tuple[str | int, ...], error: Mapping[str, Any]) -> str:
    context = error.get("ctx") or {}
    named = [key for key in reversed(keys) if isinstance(key, str)]
    match error["type"]:
        case "policy":
            remedy = str(context["remedy"])
        case "extra_forbidden":
            owner = _owner(keys[:-1])
            remedy = suggest(str(keys[-1]), owner.model_fields if owner else ())
        case "literal_error" | "enum":
            choices = [c.strip("'") for c in str(context["expected"]).replace(" or ", ", ").split(", ")]
            given = error.get("input")
            remedy = suggest(given, choices) if isinstance(given, str) else _one_of(choices)
        case "string_type":
            remedy = f'Put it in quotes: "{error.get("input")}".'
        case "string_pattern_mismatch":
            remedy = _PATTERNS[next(key for key in named if key in _PATTERNS)]
        case "string_too_long":
            remedy = f"Use at most {context['max_length']} characters."
        case _:
            remedy = _bounds(context) or _example(named)
    return remedy


def _one_of(choices: list[str]) -> str:
    return f"Choose one of: {', '.join(choices)}."


def _bounds(context: Mapping[str, Any]) -> str:
    bounds = [f"{words} {context[key]:g}" for key, words in _BOUNDS.items() if key in context]
    return f"Give a number {' and '.join(bounds)}." if bounds else ""


def _example(named: list[str]) -> str:
    """How the innermost field may be written."""
    if named == ["detectors"]:
        return "Write it like this: detectors: {ocr: {labels: [text]}}"
    field = next((key for key in named if key in EXAMPLES), "rules")
    return f"Write it like this: {field}: {EXAMPLES[field]}"


_BOUNDS = {"ge": "of at least", "gt": "of more than", "le": "of at most", "lt": "of less than"}


def _owner(keys: tuple[str | int, ...]) -> type[BaseModel] | None:
    """The model of the mapping under a path."""
    model: type[BaseModel] | None = Document
    for key in keys:
        if model is not None and isinstance(key, str) and key in model.model_fields:
            model = _model_in(model.model_fields[key].annotation)
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((m for a in typing.get_args(annotation) if (m := _model_in(a)) is not None), None)
