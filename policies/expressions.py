"""The policy language: a typed subset of CEL (Common Expression Language, https://cel.dev).

cel-python parses; this module checks types, labels and functions against the rule's detectors, knows which
way an expression can move when findings are added, and compiles it to closures that also say which findings
made it true.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TypeAlias

from policies.errors import suggest
from policies.evidence import FUNCTIONS, Evidence, Function, Strengths, Value, strongest_first
from policies.types import Context

if TYPE_CHECKING:
    from lark import Token, Tree

    Node: TypeAlias = Tree[Token]

CONTEXT_TYPES: dict[str, str] = {
    "stage": "string",
    "remix": "bool",
    "prior_rejections": "int",
    "submissions_today": "int",
    "age_band": "string",
    "region": "string",
}
"""CEL type of every field of :class:`policies.types.Context`."""
MAX_LENGTH, MAX_BRACKETS = 4_000, 80
"""Of a condition, which people write and must be able to read."""
NUMBERS = {"int", "double"}
_WRAPPERS = {"expr", "multiplication", "member", "primary"}
"""Rules of the grammar that mean nothing more than their only child."""
_COMPARISONS: dict[str, tuple[str, Callable[[Any, Any], bool]]] = {
    "relation_ge": (">=", operator.ge),
    "relation_gt": (">", operator.gt),
    "relation_le": ("<=", operator.le),
    "relation_lt": ("<", operator.lt),
    "relation_eq": ("==", operator.eq),
    "relation_ne": ("!=", operator.ne),
}
_SUMS: dict[str, tuple[str, Callable[[Any, Any], Any]]] = {
    "addition_add": ("+", operator.add),
    "addition_sub": ("-", operator.sub),
}


class ExpressionError(ValueError):
    """What is wrong at which line and column (from 1) of an expression, and what to write instead."""

    def __init__(self, problem: str, remedy: str, line: int = 1, column: int = 1) -> None:
        super().__init__(f"{line}:{column}: {problem}. {remedy}")
        self.problem, self.remedy, self.line, self.column = problem, remedy, line, column


@dataclass(frozen=True)
class Call:
    """A function call with literal arguments, such as ``streak("exposed", 0.6)``."""

    name: str
    arguments: tuple[Value, ...]

    def __str__(self) -> str:
        inner = ", ".join(f'"{a}"' if isinstance(a, str) else f"{a:g}" for a in self.arguments)
        return f"{self.name}({inner})"

    @property
    def function(self) -> Function:
        return FUNCTIONS[self.name]

    def select(self, evidence: Evidence, bar: float = 0.0) -> Strengths:
        """The findings behind the value; ``bar`` is what a bare score was compared with."""
        match self.name, self.arguments:
            case "together", (str(one), float(t), str(other), float(u)):
                sides = (evidence.both(one, t, other, u), evidence.both(other, u, one, t))
                return tuple(f for side in sides for group in side.values() for f in group)
            case _, (str(label), float(threshold)):
                return evidence.select(label, threshold)
            case _, (str(label),):
                return evidence.select(label, bar) or evidence.select(label)[:1]
        raise AssertionError(self)


Evaluate: TypeAlias = Callable[[Evidence, Context], Any]
Explain: TypeAlias = Callable[[Evidence, Context], Strengths]


@dataclass(frozen=True)
class Typed:
    """A checked sub-expression."""

    kind: str
    """CEL type: bool, int, double or string."""
    evaluate: Evaluate
    prose: str
    rises: bool = False
    falls: bool = False
    """Which way one more finding can move the value; for a bool, rising is false to true."""
    explain: Explain = lambda _evidence, _context: ()
    """The findings that make a bool true."""
    call: Call | None = None
    constant: Value | None = None
    calls: frozenset[Call] = frozenset()


@dataclass(frozen=True)
class Expression:
    """A compiled, type-checked condition of a rule."""

    source: str
    prose: str
    rises: bool
    falls: bool
    calls: tuple[Call, ...]
    """Every call in it, in a fixed order; their values go into the trace."""
    thresholds: frozenset[str]
    """Names of the thresholds that it uses."""
    _root: Typed = field(repr=False, compare=False)

    @property
    def monotone(self) -> bool:
        """One more finding can never turn it from true to false."""
        return not self.falls

    @property
    def labels(self) -> frozenset[str]:
        return frozenset(
            str(value)
            for call in self.calls
            for value, kind in zip(call.arguments, call.function.parameters, strict=True)
            if kind == "label"
        )

    def holds(self, evidence: Evidence, context: Context) -> bool:
        return bool(self._root.evaluate(evidence, context))

    def explain(self, evidence: Evidence, context: Context) -> Strengths:
        """The findings that make it true, strongest first."""
        return strongest_first(self._root.explain(evidence, context))

    def values(self, evidence: Evidence) -> dict[str, Value]:
        return {str(call): evidence.call(call.name, call.arguments) for call in self.calls}


def compile_expression(
    source: str, labels: Mapping[str, tuple[str, ...]], thresholds: Mapping[str, float] | None = None
) -> Expression:
    """Parse, type-check and compile.

    ``labels`` gives the labels of each detector of the rule, ``thresholds`` the value of each
    ``threshold.<name>``. Raises ExpressionError with line, column and remedy.
    """
    if len(source) > MAX_LENGTH or source.count("(") > MAX_BRACKETS:
        problem = f"a condition has at most {MAX_LENGTH:,} characters and {MAX_BRACKETS} brackets"
        raise ExpressionError(problem, "Split the rule into several.")
    checker = _Checker(labels, thresholds or {})
    root = checker.check(_parse(source))
    if root.kind != "bool":
        remedy = "Compare it, for example with >= 0.5."
        raise ExpressionError(f"a condition must be true or false, this one is {_a(root.kind)}", remedy)
    calls = tuple(sorted(root.calls, key=str))
    return Expression(source, root.prose, root.rises, root.falls, calls, frozenset(checker.used), root)


@lru_cache(maxsize=512)
def _parse(source: str) -> Node:
    from celpy.celparser import CELParseError

    try:
        tree: Node = _environment().compile(source)
    except CELParseError as error:
        line, column = max(1, error.line or 1), max(1, error.column or 1)
        row = source.splitlines()[line - 1 : line] or [""]
        remedy = _syntax(row[0][column - 1 :], source)
        raise ExpressionError("this is not valid CEL here", remedy, line, column) from error
    return tree


_SLIPS = {
    "and": "Write && instead of and.",
    "or": "Write || instead of or.",
    "not": "Write ! instead of not.",
    "=": "Compare with ==, >= or <=.",
    "&": "Write && to demand both.",
    "|": "Write || to demand either.",
    "“": 'Use straight quotes: "label".',
    "”": 'Use straight quotes: "label".',
}


def _syntax(rest: str, source: str) -> str:
    """What to write instead, from the text at which the parser gave up."""
    if source.count("(") != source.count(")"):
        return f"Close every bracket: {source.count('(')} open and {source.count(')')} close."
    word = rest.split(maxsplit=1)[0] if rest.split() else ""
    slip = next((remedy for sign, remedy in _SLIPS.items() if word == sign or rest[:1] == sign), None)
    if slip and rest[:2] not in {"&&", "||"}:
        return slip
    return 'Write a whole condition, such as max("label") >= 0.9 || streak("label", 0.6) >= 3.'


@lru_cache(maxsize=1)
def _environment() -> Any:
    from celpy import Environment

    return Environment()


def _a(kind: str) -> str:
    return {"int": "a whole number", "double": "a number", "string": "text", "bool": "true or false"}[kind]


class _Checker:
    """Walks the syntax tree once; every method returns the typed, compiled sub-expression."""

    def __init__(self, labels: Mapping[str, tuple[str, ...]], thresholds: Mapping[str, float]) -> None:
        self._labels = labels
        self._thresholds = thresholds
        self.used: set[str] = set()
        """Names of the thresholds that were met."""

    def check(self, node: Node) -> Typed:
        visit: Callable[[Node], Typed] | None = getattr(self, f"_{node.data}", None)
        if visit is not None:
            return visit(node)
        if node.data in _WRAPPERS and len(node.children) == 1:
            return self.check(self._child(node, 0))
        remedy = "Use ||, &&, !, comparisons, + and -, numbers, labels in quotes, functions and context."
        raise self._error(node, f"the policy language has no {_words(str(node.data))}", remedy)

    def _conditionalor(self, node: Node) -> Typed:
        return self._logical(node, "or", any)

    def _conditionaland(self, node: Node) -> Typed:
        return self._logical(node, "and", all)

    def _logical(self, node: Node, word: str, combine: Callable[[Any], bool]) -> Typed:
        if len(node.children) == 1:
            return self.check(self._child(node, 0))
        sides = [self._bool(self._child(node, i)) for i in (0, 1)]

        def explain(evidence: Evidence, context: Context) -> Strengths:
            true = (side for side in sides if side.evaluate(evidence, context))
            return tuple(f for side in true for f in side.explain(evidence, context))

        return Typed(
            kind="bool",
            evaluate=lambda e, c: combine(side.evaluate(e, c) for side in sides),
            prose=f"{sides[0].prose} {word} {sides[1].prose}",
            rises=any(side.rises for side in sides),
            falls=any(side.falls for side in sides),
            explain=explain,
            calls=sides[0].calls | sides[1].calls,
        )

    def _bool(self, node: Node) -> Typed:
        side = self.check(node)
        if side.kind != "bool":
            problem = f"|| , && and ! need true or false on each side, this is {_a(side.kind)}"
            raise self._error(node, problem, "Compare it, for example with >= 0.5.")
        return side

    def _relation(self, node: Node) -> Typed:
        if len(node.children) == 1:
            return self.check(self._child(node, 0))
        symbol_node = self._child(node, 0)
        if symbol_node.data not in _COMPARISONS:
            remedy = "Write one comparison per label, joined with ||."
            raise self._error(symbol_node, "the policy language has no 'in'", remedy)
        symbol, compare = _COMPARISONS[str(symbol_node.data)]
        left, right = self.check(self._child(symbol_node, 0)), self.check(self._child(node, 1))
        self._comparable(self._child(node, 1), symbol, left, right)
        rises, falls = _direction(symbol, left, right)
        return Typed(
            kind="bool",
            evaluate=lambda e, c: compare(left.evaluate(e, c), right.evaluate(e, c)),
            prose=f"{left.prose} is {_PROSE[symbol]} {right.prose}",
            rises=rises,
            falls=falls,
            explain=lambda e, _: _selected(left, right, e) + _selected(right, left, e),
            calls=left.calls | right.calls,
        )

    def _comparable(self, node: Node, symbol: str, left: Typed, right: Typed) -> None:
        if left.kind in NUMBERS and right.kind in NUMBERS:
            return
        if left.kind == right.kind and symbol in {"==", "!="}:
            return
        problem = f"{symbol} cannot compare {_a(left.kind)} with {_a(right.kind)}"
        remedy = "Compare numbers with numbers, and text only with == or != and text in quotes."
        raise self._error(node, problem, remedy)

    def _addition(self, node: Node) -> Typed:
        if len(node.children) == 1:
            return self.check(self._child(node, 0))
        symbol_node = self._child(node, 0)
        symbol, combine = _SUMS[str(symbol_node.data)]
        left, right = self.check(self._child(symbol_node, 0)), self.check(self._child(node, 1))
        if left.kind != right.kind or left.kind not in NUMBERS:
            problem = f"{symbol} cannot join {_a(left.kind)} and {_a(right.kind)}"
            remedy = "Both sides must be whole numbers or both decimal numbers: write 3.0 for a decimal 3."
            raise self._error(node, problem, remedy)
        swap = symbol == "-"
        return Typed(
            kind=left.kind,
            evaluate=lambda e, c: combine(left.evaluate(e, c), right.evaluate(e, c)),
            prose=f"{left.prose} {'minus' if swap else 'plus'} {right.prose}",
            rises=left.rises or (right.falls if swap else right.rises),
            falls=left.falls or (right.rises if swap else right.falls),
            calls=left.calls | right.calls,
        )

    def _unary(self, node: Node) -> Typed:
        if len(node.children) == 1:
            return self.check(self._child(node, 0))
        operand_node = self._child(node, 1)
        if self._child(node, 0).data == "unary_neg":
            raise self._error(node, "the policy language has no minus sign before a call", "Turn it around.")
        operand = self._bool(operand_node)
        return Typed(
            kind="bool",
            evaluate=lambda e, c: not operand.evaluate(e, c),
            prose=f"not ({operand.prose})",
            rises=operand.falls,
            falls=operand.rises,
            calls=operand.calls,
        )

    def _paren_expr(self, node: Node) -> Typed:
        inner = self.check(self._child(node, 0))
        wrapped = f"({inner.prose})" if inner.kind == "bool" else inner.prose
        return Typed(**{**_as_dict(inner), "prose": wrapped})

    def _literal(self, node: Node) -> Typed:
        kind, value = self._value(node)
        shown = f"“{value}”" if isinstance(value, str) else str(value).lower()
        return Typed(kind=kind, evaluate=lambda _e, _c: value, prose=shown, constant=value)

    def _value(self, node: Node) -> tuple[str, Value]:
        token = self._token(node)
        match token.type:
            case "BOOL_LIT":
                return "bool", str(token) == "true"
            case "INT_LIT":
                return "int", int(str(token), 0)
            case "FLOAT_LIT":
                return "double", float(token)
            case "STRING_LIT":
                return "string", self._plain_string(node, str(token))
        raise self._error(node, f"the policy language has no literal {token}", "Use a number or quotes.")

    def _plain_string(self, node: Node, token: str) -> str:
        text = token[1:-1]
        if "\\" in text or text[:1] in {"'", '"'}:
            raise self._error(node, "labels have no escapes or triple quotes", 'Write "label".')
        return text

    def _member_dot(self, node: Node) -> Typed:
        owner, name = self._child(node, 0), str(node.children[1])
        leaf = owner
        while leaf.data in _WRAPPERS and len(leaf.children) == 1:
            leaf = self._child(leaf, 0)
        owner_name = str(self._token(leaf)) if leaf.data == "ident" else ""
        if owner_name == "threshold":
            return self._named_threshold(node, name)
        if owner_name != "context":
            problem = f"only context and threshold have fields, not this (.{name})"
            raise self._error(node, problem, "Write context.remix or threshold.sure.")
        if name not in CONTEXT_TYPES:
            raise self._error(node, f"context has no field {name}", suggest(name, CONTEXT_TYPES))
        return Typed(
            kind=CONTEXT_TYPES[name],
            evaluate=lambda _e, c: getattr(c, name),
            prose=f"the context's {name.replace('_', ' ')}",
        )

    def _named_threshold(self, node: Node, name: str) -> Typed:
        if name not in self._thresholds:
            remedy = suggest(name, self._thresholds) if self._thresholds else "Add it under 'thresholds:'."
            raise self._error(node, f"the rule has no threshold {name}", remedy)
        self.used.add(name)
        value = float(self._thresholds[name])
        return Typed("double", lambda _e, _c: value, f"{value:g}", constant=value)

    def _ident(self, node: Node) -> Typed:
        name = str(self._token(node))
        known = {*self._known_labels(), *FUNCTIONS, "context", "threshold"}
        remedy = f'Put labels in quotes: max("{name}").' if name in known else suggest(name, known)
        raise self._error(node, f"{name} has no meaning here", remedy)

    def _ident_arg(self, node: Node) -> Typed:
        name = str(node.children[0])
        if name not in FUNCTIONS:
            raise self._error(node, f"there is no function {name}", suggest(name, FUNCTIONS))
        function = FUNCTIONS[name]
        call = Call(name, self._arguments(node, name, function))
        shown = [f"{a:g}" if isinstance(a, float) else str(a) for a in call.arguments]
        return Typed(
            kind=function.result,
            evaluate=lambda e, _c: e.call(call.name, call.arguments),
            prose=function.prose.format(*shown),
            rises=function.rises,
            falls=function.falls,
            call=call,
            calls=frozenset({call}),
        )

    def _arguments(self, node: Node, name: str, function: Function) -> tuple[Value, ...]:
        given = list(self._child(node, 1).children) if len(node.children) > 1 else []
        wanted = ", ".join('"label"' if p == "label" else "0.5" for p in function.parameters)
        if len(given) != len(function.parameters):
            problem = f"{name} takes {len(function.parameters)} arguments, not {len(given)}"
            raise self._error(node, problem, f"Write {name}({wanted}).")
        checks = {"label": self._label, "threshold": self._threshold}
        pairs = zip(given, function.parameters, strict=True)
        return tuple(checks[kind](self._as_tree(argument), f"{name}({wanted})") for argument, kind in pairs)

    def _label(self, node: Node, usage: str) -> Value:
        typed = self.check(node)
        if not isinstance(typed.constant, str):
            raise self._error(node, "a label in quotes must stand here", f"Write {usage}.")
        if typed.constant not in self._known_labels():
            detectors = ", ".join(sorted(self._labels)) or "none"
            problem = f'no detector of this rule ({detectors}) has the label "{typed.constant}"'
            raise self._error(node, problem, suggest(typed.constant, self._known_labels()))
        return typed.constant

    def _threshold(self, node: Node, usage: str) -> Value:
        value = self.check(node).constant
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self._error(node, "a number must stand here", f"Write {usage}.")
        if not 0 <= value <= 1:
            raise self._error(node, f"{value:g} is no score", "Scores and thresholds go from 0 to 1.")
        return float(value)

    def _known_labels(self) -> set[str]:
        return {label for labels in self._labels.values() for label in labels}

    @staticmethod
    def _as_tree(child: Any) -> Node:
        tree: Node = child
        return tree

    def _child(self, node: Node, index: int) -> Node:
        return self._as_tree(node.children[index])

    @staticmethod
    def _token(node: Node) -> Token:
        token: Any = node.children[0]
        result: Token = token
        return result

    @staticmethod
    def _error(node: Node, problem: str, remedy: str) -> ExpressionError:
        return ExpressionError(problem, remedy, node.meta.line, node.meta.column)


_PROSE: dict[str, str] = {
    ">=": "at least",
    ">": "more than",
    "<=": "at most",
    "<": "less than",
    "==": "equal to",
    "!=": "not equal to",
}


def _direction(symbol: str, left: Typed, right: Typed) -> tuple[bool, bool]:
    """Whether one more finding can turn a comparison true, and whether it can turn it false."""
    up, down = left.rises or right.falls, left.falls or right.rises
    match symbol:
        case ">=" | ">":
            return up, down
        case "<=" | "<":
            return down, up
    return (up or down, up or down)


def _selected(side: Typed, other: Typed, evidence: Evidence) -> Strengths:
    bar = other.constant if isinstance(other.constant, int | float) else 0.0
    direct = side.call.select(evidence, bar) if side.call else None
    return direct if direct is not None else tuple(f for c in side.calls for f in c.select(evidence))


def _words(rule: str) -> str:
    return "conditional (? :)" if rule == "expr" else rule.replace("_", " ")


def _as_dict(typed: Typed) -> dict[str, Any]:
    return {f.name: getattr(typed, f.name) for f in fields(typed)}
