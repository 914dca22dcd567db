"""``firstplay accounts``: who may do what, and with which keys."""

from __future__ import annotations

from typing import Annotated

import typer

from moderation.options import Home, home_store, refuse

Name = Annotated[str, typer.Argument(metavar="ACCOUNT", help="Name of the account.", show_default=False)]


def register_accounts(app: typer.Typer) -> None:
    """Add the group ``accounts`` to ``app``."""
    group = typer.Typer(no_args_is_help=True, help="Who may do what: accounts, roles and API keys.")
    for name, command in (
        ("list", list_accounts),
        ("create", create),
        ("disable", disable_account),
        ("budget", budget),
        ("keys", keys),
        ("key", key),
        ("revoke", revoke_key),
    ):
        group.command(name)(command)
    app.add_typer(group, name="accounts")


def list_accounts(home: Home = None) -> None:
    """Everybody, with their roles."""
    from moderation.store import accounts

    with home_store(home).reading() as connection:
        for one in accounts.accounts(connection):
            typer.echo(f"{one.id}  {', '.join(sorted(one.roles))}{'  (disabled)' if one.disabled else ''}")


def create(
    account: Name,
    role: Annotated[list[str], typer.Option(help="Repeat for several; an unknown one lists them all.")],
    home: Home = None,
) -> None:
    """Let somebody in, and print a key that can do all that they may. Exit code 2: a bad name or role."""
    from moderation.accounts import BadAccount, create_account, create_key

    store = home_store(home)
    try:
        create_account(store, account, role)
    except BadAccount as error:
        refuse(f"error: {error}")
    typer.echo(create_key(store, account, label="made with the account"))


def disable_account(account: Name, home: Home = None) -> None:
    """End all keys and sessions of an account. Exit code 2: there is no such account."""
    from moderation.store import NotFound, accounts

    try:
        with home_store(home).writing() as tx:
            accounts.disable(tx.connection, account)
    except NotFound as error:
        refuse(f"error: {error}")


def budget(
    account: Name,
    cap: Annotated[
        float | None,
        typer.Argument(min=0, help="For 30 days; without it: what the settings say.", show_default=False),
    ] = None,
    home: Home = None,
) -> None:
    """Say what an account may spend on reviews and sessions. Exit code 2: there is no such account."""
    from moderation.store import NotFound, accounts

    try:
        with home_store(home).writing() as tx:
            accounts.set_budget(tx.connection, account, cap)
    except NotFound as error:
        refuse(f"error: {error}")


def keys(account: Name, home: Home = None) -> None:
    """The keys of an account, newest first; secrets are not kept and cannot be shown."""
    from datetime import UTC, datetime

    from moderation.store import accounts

    with home_store(home).reading() as connection:
        found = accounts.keys(connection, account)
    for one in found:
        made = datetime.fromtimestamp(one.created, UTC).strftime("%Y-%m-%d")
        state = "  (revoked)" if one.revoked else ""
        typer.echo(f"{one.id}  {made}  {', '.join(sorted(one.scopes))}  {one.label}{state}")


def key(
    account: Name,
    scope: Annotated[list[str] | None, typer.Option(help="Less than the account may do.")] = None,
    label: Annotated[str, typer.Option(help="What it is for.")] = "",
    days: Annotated[float | None, typer.Option(min=0.01, help="Until it expires; default never.")] = None,
    home: Home = None,
) -> None:
    """Make a key and print it, this once. Exit code 2: no such account or scope."""
    from moderation.accounts import BadAccount, create_key
    from moderation.store import NotFound

    lifetime = None if days is None else days * 86_400
    try:
        typer.echo(create_key(home_store(home), account, scope or (), label, lifetime))
    except (BadAccount, NotFound) as error:
        refuse(f"error: {error}")


def revoke_key(
    account: Name,
    key_id: Annotated[str, typer.Argument(metavar="KEY", help="As `firstplay accounts keys` lists it.")],
    home: Home = None,
) -> None:
    """End a key at once. Exit code 2: the account has no such key."""
    from moderation.store import NotFound, accounts

    try:
        with home_store(home).writing() as tx:
            accounts.revoke(tx.connection, account, key_id)
    except NotFound as error:
        refuse(f"error: {error}")
