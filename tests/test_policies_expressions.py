"""The policy language: what it accepts, what it refuses, and that it means what CEL means."""

from __future__ import annotations

from dataclasses import fields

import pytest
from hypothesis import given
from hypothesis import strategies as st

from policies.evidence import FUNCTIONS, Index
from policies.expressions import CONTEXT_TYPES, ExpressionError, compile_expression
from policies.types import Context, Finding, Source

LABELS = {"eye": ("a", "b"), "ear": ("c",)}


def seen(label: str, score: float, start: float = 0.0, end: float | None = None, play: str = "p1") -> Finding:
    name = f"{label}{score}{start}{end}{play}"
    return Finding(
        name, "eye", "1", label, score, Source.PLAYTHROUGH, start, start if end is None else end, play
    )


def value(source: str, *findings: Finding) -> object:
    evidence = Index(findings).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH}))
    return compile_expression(f"{source} >= 0", LABELS).values(evidence)[source]


def holds(source: str, *findings: Finding, context: Context | None = None) -> bool:
    evidence = Index(findings).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH}))
    return compile_expression(source, LABELS).holds(evidence, context or Context())


def test_max_is_the_highest_score_and_zero_without_findings() -> None:
    assert value('max("a")', seen("a", 0.3), seen("a", 0.8), seen("b", 0.9)) == 0.8
    assert value('max("a")') == 0.0


def test_p95_is_the_nearest_rank() -> None:
    assert value('p95("a")', *(seen("a", i / 100) for i in range(1, 101))) == 0.95
    assert value('p95("a")') == 0.0


def test_count_takes_scores_from_the_threshold_on() -> None:
    assert value('count("a", 0.5)', seen("a", 0.5), seen("a", 0.49), seen("a", 0.9)) == 2


def test_duration_joins_near_findings_and_takes_the_fullest_playthrough() -> None:
    first = [seen("a", 0.9, 0, 1), seen("a", 0.9, 1.5, 2), seen("a", 0.9, 10, 11)]
    assert value('duration("a", 0.5)', *first, seen("a", 0.9, 0, 2.5, play="p2")) == pytest.approx(3.0)


def test_longest_is_broken_by_a_gap_of_more_than_a_second() -> None:
    assert value('longest("a", 0.5)', seen("a", 0.9, 0, 1), seen("a", 0.9, 2.1, 4)) == pytest.approx(1.9)


def test_streak_counts_moments_in_a_run_of_one_playthrough() -> None:
    run = [seen("a", 0.9, t) for t in (0.0, 0.5, 1.0, 1.0, 5.0)]
    assert value('streak("a", 0.5)', *run, seen("a", 0.9, 1.5, play="p2")) == 3


def test_distinct_episodes_counts_playthroughs() -> None:
    assert (
        value('distinct_episodes("a", 0.5)', seen("a", 0.9), seen("a", 0.9, 2), seen("a", 0.6, play="p2"))
        == 2
    )


def test_first_at_is_the_earliest_moment_and_never_comes_without_findings() -> None:
    assert value('first_at("a", 0.5)', seen("a", 0.9, 7), seen("a", 0.9, 3), seen("a", 0.1, 1)) == 3
    assert not holds('first_at("a", 0.5) < 1000000.0')


def test_together_needs_both_at_the_same_moment_of_the_same_playthrough() -> None:
    expression = 'together("a", 0.5, "b", 0.5)'
    assert value(expression, seen("a", 0.9, 1), seen("b", 0.9, 1.2)) == 1
    assert value(expression, seen("a", 0.9, 1), seen("b", 0.9, 2)) == 0
    assert value(expression, seen("a", 0.9, 1), seen("b", 0.9, 1, play="p2")) == 0
    assert value(expression, seen("a", 0.9, 5), seen("b", 0.9, 0, 9)) == 1


def test_a_named_threshold_is_a_number_wherever_one_may_stand() -> None:
    source = 'max("a") >= threshold.sure || streak("a", threshold.seen) >= 2'
    named = compile_expression(source, LABELS, {"sure": 0.9, "seen": 0.5})
    plain = compile_expression('max("a") >= 0.9 || streak("a", 0.5) >= 2', LABELS)
    assert named.calls == plain.calls
    assert named.prose == plain.prose
    assert named.thresholds == {"sure", "seen"}


def test_the_context_is_read_by_name() -> None:
    assert holds("context.prior_rejections >= 2 && context.remix", context=Context("release", True, 2))
    assert not holds('context.stage == "live"')


def test_only_true_branches_explain() -> None:
    loud, quiet = seen("a", 0.9), seen("b", 0.4)
    expression = compile_expression('max("a") >= 0.8 || max("b") >= 0.8', LABELS)
    evidence = Index([loud, quiet]).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH}))
    assert expression.explain(evidence, Context()) == (loud,)


def test_a_bare_score_is_explained_by_all_that_reach_it() -> None:
    findings = [seen("a", 0.95), seen("a", 0.85, 1), seen("a", 0.2, 2)]
    expression = compile_expression('max("a") >= 0.8', LABELS)
    evidence = Index(findings).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH}))
    assert [f.score for f in expression.explain(evidence, Context())] == [0.95, 0.85]


@pytest.mark.parametrize(
    ("source", "place", "says"),
    [
        ('max("a") >= "x"', (1, 13), "cannot compare a number with text"),
        ('max("z") >= 0.5', (1, 5), 'no detector of this rule (ear, eye) has the label "z"'),
        ('maxx("a") >= 0.5', (1, 1), "Did you mean max?"),
        ("max(a) >= 0.5", (1, 5), 'Put labels in quotes: max("a")'),
        ('max("a", 0.5) >= 0.5', (1, 1), "max takes 1 arguments, not 2"),
        ('count("a") >= 1', (1, 1), "count takes 2 arguments, not 1"),
        ("max() >= 1", (1, 1), "max takes 1 arguments, not 0"),
        ('count("a", 1.5) >= 1', (1, 12), "1.5 is no score"),
        ('count("a", "b") >= 1', (1, 12), "a number must stand here"),
        ('count(0.5, "a") >= 1', (1, 7), "a label in quotes must stand here"),
        ('max("a")', (1, 1), "a condition must be true or false"),
        ('max("a") || max("b") >= 0.5', (1, 1), "need true or false on each side"),
        ('!max("a")', (1, 2), "need true or false on each side"),
        ('max("a") + count("a", 0.5) >= 1', (1, 1), "cannot join a number and a whole number"),
        ('max("a") * 2.0 >= 1', (1, 1), "has no multiplication"),
        ('max("a") in [1.0]', (1, 1), "has no 'in'"),
        ('(max("a") >= 0.5) ? true : false', (1, 1), "conditional"),
        ("context.nonsense", (1, 1), "context has no field nonsense"),
        ("other.field", (1, 1), "only context and threshold have fields"),
        ('"a".size() > 0', (1, 1), "has no member dot arg"),
        ("[true][0]", (1, 1), "has no member index"),
        ("eye", (1, 1), "has no meaning here"),
        ("-1 >= max(a)", (1, 11), "Put labels in quotes"),
        ('max("a") >= 0.5 &&', (1, 17), "not valid CEL"),
        ('max("a" >= 0.5', (1, 12), "not valid CEL"),
        ('max("a") >= 0.5 ||\n  max("q") >= 0.5', (2, 7), 'has the label "q"'),
        ('max("\\x61") >= 0.5', (1, 5), "no escapes"),
        ("null == null", (1, 1), "has no literal null"),
        ('context.stage < "live"', (1, 17), "< cannot compare text with text"),
        ("", (1, 1), "not valid CEL"),
        ('max("a") >= 0.5 and max("b") >= 0.5', (1, 17), "Write && instead of and"),
        ('max("a") >= 0.5 & max("b") >= 0.5', (1, 17), "Write && to demand both"),
        ("max(“a”) >= 0.5", (1, 5), "Use straight quotes"),
        ('max("a") >= threshold.sure', (1, 13), "Add it under 'thresholds:'"),
        ('max("a") >= threshold', (1, 13), "threshold has no meaning here"),
        ("(" * 1000 + "true" + ")" * 1000, (1, 1), "at most 4,000 characters and 80 brackets"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(source: str, place: tuple[int, int], says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        compile_expression(source, LABELS)
    assert says in str(caught.value)
    assert (caught.value.line, caught.value.column) == place


@pytest.mark.parametrize(
    ("source", "monotone"),
    [
        ('max("a") >= 0.5 || count("b", 0.1) > 3', True),
        ('first_at("a", 0.5) < 3', True),
        ('0.5 <= max("a")', True),
        ('!(max("a") < 0.5)', True),
        ('count("a", 0.5) - count("b", 0.5) >= 1', False),
        ('count("a", 0.5) + count("b", 0.5) >= 1', True),
        ('max("a") < 0.5', False),
        ('p95("a") >= 0.5', False),
        ('count("a", 0.5) == 2', False),
        ('max("a") >= 0.5 && max("b") < 0.2', False),
        ("context.remix", True),
    ],
)
def test_it_is_known_which_conditions_findings_can_only_make_true(source: str, monotone: bool) -> None:
    assert compile_expression(source, LABELS).monotone is monotone


def test_every_field_of_the_context_has_a_type() -> None:
    assert set(CONTEXT_TYPES) == {f.name for f in fields(Context)}


def conditions() -> st.SearchStrategy[str]:
    decimal = st.sampled_from(["0.0", "0.25", "0.5", "0.75", "1.0"])
    score = decimal | st.sampled_from(["0", "1"])
    label = st.sampled_from(['"a"', '"b"'])
    ordered = st.builds("max({}) {} {}".format, label, st.sampled_from([">=", ">", "<=", "<"]), score)
    equal = st.builds("max({}) {} {}".format, label, st.sampled_from(["==", "!="]), decimal)
    counted = st.builds(
        "count({}, {}) {} {}".format, label, score, st.sampled_from([">=", "<"]), st.integers(0, 3)
    )
    both = st.builds('together("a", {}, "b", {}) >= {}'.format, score, score, st.integers(1, 2))
    return st.recursive(
        ordered | equal | counted | both | st.sampled_from(["true", "false", "context.remix"]),
        lambda inner: (
            st.builds("({} && {})".format, inner, inner)
            | st.builds("{} || {}".format, inner, inner)
            | st.builds("!({})".format, inner)
        ),
        max_leaves=6,
    )


def some_findings() -> st.SearchStrategy[list[Finding]]:
    return st.lists(
        st.builds(
            seen,
            st.sampled_from(["a", "b"]),
            st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0]),
            st.sampled_from([0.0, 0.2, 1.0, 3.0]),
            play=st.sampled_from(["p1", "p2"]),
        ),
        max_size=8,
    )


@given(conditions(), some_findings(), st.booleans())
def test_conditions_mean_what_cel_means(source: str, findings: list[Finding], remix: bool) -> None:
    import celpy

    evidence = Index(findings).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH}))

    def bound(name: str) -> object:
        def call(*arguments: object) -> object:
            plain = tuple(str(a) if isinstance(a, str) else float(a) for a in arguments)
            return celpy.json_to_cel(FUNCTIONS[name].compute(evidence, *plain))

        return call

    environment = celpy.Environment()
    program = environment.program(
        environment.compile(source), functions={name: bound(name) for name in ("max", "count", "together")}
    )
    oracle = bool(program.evaluate({"context": celpy.json_to_cel({"remix": remix})}))
    assert compile_expression(source, LABELS).holds(evidence, Context(remix=remix)) is oracle


@given(conditions(), some_findings(), some_findings())
def test_a_monotone_condition_stays_true(source: str, findings: list[Finding], more: list[Finding]) -> None:
    expression = compile_expression(source, LABELS)
    before, after = (
        expression.holds(Index(f).view(frozenset({"eye"}), frozenset({Source.PLAYTHROUGH})), Context())
        for f in (findings, findings + more)
    )
    assert after or not before or not expression.monotone
