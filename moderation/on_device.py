"""Which published worlds may be played on the player's own device, where no detector watches."""

from __future__ import annotations

from moderation.store import PublishedWorld, Store


def refusal(store: Store, world: PublishedWorld) -> str | None:
    """Why a published world may not be played on a device; None where it may."""
    from moderation.pipeline import policy_bundle

    if policy_bundle(store).header.live.on_device != "allowed":
        return "the policy of this place forbids play on the device"
    if world.found:
        return "a rule fired on this world, so it is only played where detectors watch"
    explored = store.version(world.version).exploration
    if explored is None or store.exploration(explored).model != "neural":
        return "bots have not played this world with the model that runs on devices"
    return None
