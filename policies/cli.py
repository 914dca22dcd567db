"""The ``firstplay`` sub-commands of this layer."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NoReturn

import typer

if TYPE_CHECKING:
    from policies.bundle import Bundle
    from policies.errors import BundleError

Where = Annotated[
    Path | None,
    typer.Argument(help="Bundle file or folder; the default policy if left out.", show_default=False),
]


def register(app: typer.Typer) -> None:
    """Add this layer's commands to ``app``."""
    policy = typer.Typer(no_args_is_help=True, help="Check, test and read policy bundles.")
    for name, command in {"check": check, "test": run_cases, "show": show, "schema": schema}.items():
        policy.command(name)(command)
    app.add_typer(policy, name="policy")


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


def run_cases(path: Where = None) -> None:
    """Run the test cases of a bundle, one line each. Exit code 1 if one fails."""
    from policies.cases import check as check_case

    bundle = _read(path)
    results = [(case.name, check_case(bundle, case)) for case in bundle.cases]
    for name, failure in results:
        typer.echo(f"{'FAIL' if failure else 'ok  '}  {name}" + (f": {failure}" if failure else ""))
    failed = sum(failure is not None for _, failure in results)
    typer.echo(f"{len(results) - failed} of {len(results)} cases pass")
    raise typer.Exit(1 if failed else 0)


def show(path: Where = None) -> None:
    """Print the rules of a bundle as prose."""
    from policies.prose import floor_in_words, rule_in_words

    bundle = _read(path)
    header = bundle.header
    typer.secho(f"{bundle.name} ({header.status})", bold=True)
    typer.echo(f"{header.summary}\n{floor_in_words(bundle)}")
    for rule in bundle.rules:
        category = header.categories[rule.spec.category]
        typer.secho(f"\n{rule.spec.title} [{rule.id}]", bold=True)
        typer.echo(f"  {rule.spec.guideline}")
        schemes = [f"MLCommons {category.mlcommons}"] if category.mlcommons else []
        schemes += [category.dsa] + ([f"PEGI {category.rating}"] if category.rating else [])
        typer.echo(f"  {category.title}, severity {rule.spec.severity} ({'; '.join(schemes)}).")
        for sentence in rule_in_words(rule):
            typer.echo(f"  {sentence}")


def schema() -> None:
    """Print the JSON Schema of a bundle file, for editors."""
    import json

    from policies.schema import json_schema

    typer.echo(json.dumps(json_schema(), indent=2))


def _read(path: Path | None) -> Bundle:
    from policies.bundle import DEFAULT, read_bundle
    from policies.errors import BundleError

    try:
        return read_bundle(path or DEFAULT)
    except BundleError as error:
        _fail(error)


def _fail(error: BundleError) -> NoReturn:
    for problem in error.problems:
        typer.secho(f"error: {problem}", err=True, fg=typer.colors.RED)
    raise typer.Exit(1)
