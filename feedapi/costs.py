"""What worlds cost: creators see their own, operators all, and set what each creator may spend."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from feedapi import services
from feedapi.creators import SHA256, VersionId
from feedapi.identity import Creator, Manager
from feedapi.problems import Problem, responses
from moderation import submitting
from moderation.spending import WINDOW, Prices, budget, read_prices
from moderation.store import accounts, charges
from moderation.store.charges import Charge, WorldCharges

router = APIRouter(prefix="/v1", tags=["costs"])


class CostItem(BaseModel):
    """What one kind of work has cost a version."""

    work: str
    """A stage of the review, or `live`: sessions of play."""
    device: Literal["cpu", "gpu"]
    items: int
    """Jobs, or sessions."""
    seconds: float
    """Of the device."""
    sent: int
    """Bytes."""
    stored: int
    """Bytes."""
    money: float

    @classmethod
    def of(cls, charge: Charge, prices: Prices) -> CostItem:
        return cls(
            work=charge.work,
            device="gpu" if charge.device == "gpu" else "cpu",
            items=charge.items,
            seconds=charge.seconds,
            sent=charge.sent,
            stored=charge.stored,
            money=prices.of([charge]),
        )


class Costs(BaseModel):
    """What a version has cost since it was submitted."""

    version: str
    world: str
    creator: str
    work: list[CostItem]
    money: float
    currency: str

    @classmethod
    def of(cls, world: WorldCharges, prices: Prices) -> Costs:
        return cls(
            version=world.version,
            world=world.world,
            creator=world.creator,
            work=[CostItem.of(one, prices) for one in world.charges],
            money=prices.of(world.charges),
            currency=prices.currency,
        )


class CostPage(BaseModel):
    """Costs by version."""

    items: list[Costs]
    next: str | None
    """`after` of the next page; null at the end."""


class PriceList(BaseModel):
    """What money is reckoned by."""

    cpu_hour: float
    gpu_hour: float
    sent_gb: float
    stored_gb: float


class BudgetItem(BaseModel):
    """What a creator has spent, and may."""

    creator: str
    days: int
    """For which it lasts; it moves on with the day."""
    spent: float
    expected: float
    """For reviews that are under way."""
    cap: float | None
    """Null: no limit."""
    left: float | None
    currency: str
    prices: PriceList


class NewBudget(BaseModel):
    """What a creator may spend."""

    model_config = ConfigDict(extra="forbid")

    cap: Annotated[float | None, Field(ge=0, le=1e9, strict=True)] = None
    """For 30 days; null: what the settings of the installation say."""


@router.get("/versions/{version}/costs", responses=responses("not-signed-in", "not-allowed", "not-found"))
def version_costs(request: Request, version: VersionId, who: Creator) -> Costs:
    """What a version of one's own has cost."""
    store = services.of(request).store
    found = submitting.owned(store, who.account, version)
    with store.reading() as connection:
        spent = charges.of_version(connection, version)
    return Costs.of(WorldCharges(found.id, found.world, found.creator, tuple(spent)), read_prices())


@router.get("/costs", responses=responses("not-signed-in", "not-allowed"))
def list_costs(
    request: Request,
    who: Creator,
    of: Annotated[Literal["mine", "all"], Query(description="`all` needs the scope `operate`.")] = "mine",
    after: Annotated[str | None, Query(pattern=SHA256, description="`next` of a page.")] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 50,
) -> CostPage:
    """What one's versions have cost, or everybody's, by version."""
    if of == "all" and not who.may("operate"):
        raise Problem("not-allowed", f"{who.account} does not have the scope 'operate'")
    with services.of(request).store.reading() as connection:
        creator = who.account if of == "mine" else None
        found = charges.by_version(connection, creator, after, limit + 1)
    return _page(found, limit)


@router.get("/budget", responses=responses("not-signed-in", "not-allowed"))
def my_budget(request: Request, who: Creator) -> BudgetItem:
    """What one has spent, and may."""
    return _budget(request, who.account)


@router.get("/accounts/{account}/budget", responses=responses("not-signed-in", "not-allowed", "not-found"))
def get_budget(request: Request, who: Manager, account: str) -> BudgetItem:
    """What an account has spent, and may."""
    del who
    with services.of(request).store.reading() as connection:
        accounts.find_account(connection, account)
    return _budget(request, account)


@router.put("/accounts/{account}/budget", responses=responses("not-signed-in", "not-allowed", "not-found"))
def set_budget(request: Request, who: Manager, account: str, new: NewBudget) -> BudgetItem:
    """Say what an account may spend."""
    del who
    with services.of(request).store.writing() as tx:
        accounts.set_budget(tx.connection, account, new.cap)
    return _budget(request, account)


def _page(found: Sequence[WorldCharges], limit: int) -> CostPage:
    prices, last = read_prices(), found[limit - 1].version if len(found) > limit else None
    return CostPage(items=[Costs.of(one, prices) for one in found[:limit]], next=last)


def _budget(request: Request, account: str) -> BudgetItem:
    prices = read_prices()
    with services.of(request).store.reading() as connection:
        now = budget(connection, account)
    return BudgetItem(
        creator=account,
        days=WINDOW,
        spent=now.spent,
        expected=now.expected,
        cap=now.cap,
        left=now.left,
        currency=prices.currency,
        prices=PriceList(
            cpu_hour=prices.cpu_hour,
            gpu_hour=prices.gpu_hour,
            sent_gb=prices.sent_gb,
            stored_gb=prices.stored_gb,
        ),
    )
