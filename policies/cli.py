"""The ``firstplay`` sub-commands of this layer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from policies.bundle import Bundle
    from policies.errors import BundleError
    from policies.schema import CaseSpec

Where = Annotated[
    Path | None,
    typer.Argument(help="Bundle file or folder; the default policy if left out.", show_default=False),
]
Other = Annotated[Path, typer.Argument(help="Bundle file or folder, or 'default' for the default policy.")]


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    commands: dict[str, Callable[..., None]] = {
        "check": check,
        "test": run_cases,
        "show": show,
        "diff": diff,
        "guidelines": write_guidelines,
        "schema": schema,
    }
    policy = group(app)
    for name, command in commands.items():
        policy.command(name)(command)


def group(app: typer.Typer) -> typer.Typer:
    """The ``policy`` commands of ``app``; layers above add theirs to it."""
    for one in app.registered_groups:
        if one.name == "policy" and one.typer_instance is not None:
            return one.typer_instance
    policy = typer.Typer(no_args_is_help=True, help="Check, test, read and compare policy bundles.")
    app.add_typer(policy, name="policy")
    return policy


def check(path: Where = None) -> None:
    """Load a bundle: schema, types, labels and test cases. Exit code 1 with every problem if it is wrong."""
    from policies.bundle import load_bundle
    from policies.errors import BundleError

    try:
        bundle = load_bundle(path)
    except BundleError as error:
        _fail(error)
    typer.echo(f"{bundle.name}: {len(bundle.rules)} rules, {len(bundle.cases)} test cases pass")
    typer.echo(f"sha256 {bundle.sha256}")
    for rule in bundle.rules:
        if not rule.monotone:
            typer.echo(f"note: rule {rule.id}: one more finding can make it more lenient")


def run_cases(
    path: Where = None,
    explain: Annotated[
        str | None, typer.Option(help="Explain the cases whose name contains this, rule by rule.")
    ] = None,
) -> None:
    """Run the test cases of a bundle, one line each. Exit code 1 if one fails."""
    from policies.cases import check as check_case

    bundle = _read(path)
    results = [(case, check_case(bundle, case)) for case in bundle.cases]
    for case, failure in results:
        typer.echo(f"{'FAIL' if failure else 'ok  '}  {case.name}" + (f": {failure}" if failure else ""))
        if explain is not None and explain in case.name:
            _explain(bundle, case)
    failed = sum(failure is not None for _, failure in results)
    typer.echo(f"{len(results) - failed} of {len(results)} cases pass")
    raise typer.Exit(1 if failed else 0)


def _explain(bundle: Bundle, case: CaseSpec) -> None:
    from policies.cases import findings_of, run
    from policies.explain import explain

    for line in explain(run(bundle, case), findings_of(case)).splitlines():
        typer.echo(f"      {line}".rstrip())


def show(path: Where = None) -> None:
    """Print the rules of a bundle as prose."""
    from policies.prose import bundle_in_words, rule_in_words

    bundle = _read(path)
    header = bundle.header
    typer.secho(f"{bundle.name} ({header.status})", bold=True)
    typer.echo(header.summary)
    for sentence in bundle_in_words(bundle):
        typer.echo(sentence)
    for rule in bundle.rules:
        category = header.categories[rule.spec.category]
        typer.secho(f"\n{rule.spec.title} [{rule.id}]", bold=True)
        typer.echo(f"  {rule.spec.guideline}")
        schemes = [f"MLCommons {category.mlcommons}"] if category.mlcommons else []
        schemes += [category.dsa, *category.dsa_keywords]
        schemes += [f"PEGI {category.rating}"] if category.rating else []
        typer.echo(f"  {category.title}, severity {rule.spec.severity} ({'; '.join(schemes)}).")
        for sentence in rule_in_words(rule):
            typer.echo(f"  {sentence}")


def diff(
    before: Other,
    after: Other,
    as_json: Annotated[bool, typer.Option("--json", help="For machines.")] = False,
) -> None:
    """Print what changes from one bundle to another, and which test cases come out otherwise.

    Exit codes: 0 they decide alike; 1 they differ; 2 one of them is wrong.
    """
    import json
    from dataclasses import asdict

    from policies.diff import changes, turned

    old, new = (_read(None if str(path) == "default" else path, code=2) for path in (before, after))
    changed, cases = changes(old, new), turned(old, new)
    if as_json:
        told = {
            "before": {"name": old.name, "sha256": old.sha256},
            "after": {"name": new.name, "sha256": new.sha256},
            "changes": [asdict(one) for one in changed],
            "cases": [asdict(one) for one in cases],
        }
        typer.echo(json.dumps(told, indent=2, ensure_ascii=False))
    else:
        typer.secho(f"{old.name} ({old.sha256[:12]}) → {new.name} ({new.sha256[:12]})", bold=True)
        for change in changed:
            typer.echo(str(change))
        if cases:
            typer.secho("test cases that come out otherwise", bold=True)
        for case in cases:
            typer.echo(f"  {case}")
    raise typer.Exit(1 if changed or cases else 0)


def write_guidelines(path: Where = None) -> None:
    """Print the public guidelines, written from the rules, as Markdown."""
    from policies.guidelines import guidelines

    typer.echo(guidelines(_read(path)), nl=False)


def schema() -> None:
    """Print the JSON Schema of a bundle file, for editors."""
    import json

    from policies.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _read(path: Path | None, code: int = 1) -> Bundle:
    from policies.bundle import DEFAULT, read_bundle
    from policies.errors import BundleError

    try:
        return read_bundle(path or DEFAULT)
    except BundleError as error:
        _fail(error, code)


def _fail(error: BundleError, code: int = 1) -> NoReturn:
    for problem in error.problems:
        typer.secho(f"error: {problem}", err=True, fg=typer.colors.RED)
    raise typer.Exit(code)
