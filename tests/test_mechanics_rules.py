"""Gambling in play and worlds that are not made are found in what a creator wrote; games are left alone."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.detectors.base import Design
from moderation.detectors.mechanics import Mechanics, read_rules
from worldmodel.spec import WorldSpec

HELD_OUT = Path(__file__).parent / "data" / "text" / "mechanics_heldout.tsv"
CAVE = "a dark cave with lanterns"


@pytest.fixture(scope="module")
def mechanics() -> Mechanics:
    return Mechanics()


def spec(prompt: str, title: str = "A world", **rest: Any) -> WorldSpec:
    return WorldSpec.model_validate({"title": title, "prompt": prompt, **rest})


def found(mechanics: Mechanics, world: WorldSpec) -> dict[str, tuple[float, str]]:
    (detections,) = mechanics([Design(world)])
    return {one.label: (one.score, one.text or "") for one in detections}


def sign(text: str, depth: str = "mid") -> dict[str, Any]:
    return {"kind": "sign", "text": text, "where": {"depth": depth}}


def lever(depth: str = "mid") -> dict[str, Any]:
    return {"kind": "lever", "effect": "none", "where": {"depth": depth}}


@pytest.mark.parametrize(
    "prompt",
    [
        "slot machines in a neon hall",
        "bet your coins on the dice",
        "spin to win",
        "open loot boxes with gold",
        "Spielautomaten am Hafen",
        "tragaperras en la playa",
        "machines à sous",
        "caça níqueis no porão",
        "gratta e vinci",
        "jednoręki bandyta",
        "игровые автоматы",
        "slot makineleri",
        "een hal met gokkasten",
    ],
)
def test_prompts_for_gambling_are_found(mechanics: Mechanics, prompt: str) -> None:
    score, text = found(mechanics, spec(prompt))["simulated_gambling"]
    assert score >= 0.75
    assert text.startswith("prompt: ")


def test_a_casino_to_look_at_scores_less_than_one_to_play_in(mechanics: Mechanics) -> None:
    ruin = found(mechanics, spec("an abandoned casino full of ghosts"))["simulated_gambling"][0]
    theme = found(mechanics, spec("a casino by the sea"))["simulated_gambling"][0]
    play = found(mechanics, spec("a casino where you bet coins"))["simulated_gambling"][0]
    assert ruin < 0.5 <= theme < play


def test_signs_of_chance_beside_levers_are_a_machine(mechanics: Mechanics) -> None:
    alone = spec(CAVE, objects=[sign("try your luck")])
    apart = spec(CAVE, objects=[sign("try your luck", "far"), lever("near")])
    one = spec(CAVE, objects=[sign("try your luck"), lever()])
    three = spec(CAVE, objects=[sign("try your luck"), lever(), lever(), lever()])
    paid = spec(
        CAVE, objects=[sign("try your luck"), lever(), lever(), lever()], mechanics={"coins_needed": 3}
    )
    assert found(mechanics, alone) == found(mechanics, apart) == {}
    rising = [found(mechanics, world)["simulated_gambling"][0] for world in (one, three, paid)]
    assert rising == sorted(rising)
    assert rising[0] >= 0.5
    assert (
        found(mechanics, three)["simulated_gambling"][1]
        == "objects[0].text: luck, beside 3 levers or portals"
    )


def test_words_and_machines_together_are_surer_than_either(mechanics: Mechanics) -> None:
    objects = [sign("1 coin per spin"), lever()]
    words = found(mechanics, spec("a hall of slot machines"))["simulated_gambling"][0]
    machine = found(mechanics, spec(CAVE, objects=objects))["simulated_gambling"][0]
    both = found(mechanics, spec("a hall of slot machines", objects=objects))["simulated_gambling"][0]
    assert both > max(words, machine)


def test_a_lever_that_opens_a_door_is_no_gambling(mechanics: Mechanics) -> None:
    assert found(mechanics, spec(CAVE, objects=[sign("pull the lever to open the door"), lever()])) == {}


@pytest.mark.parametrize(
    ("prompt", "reason"),
    [
        ("a school shooting simulator", "real_attacks"),
        ("kill my math teacher", "real_person_harassment"),
        ("how to make a pipe bomb, step by step", "crime_instructions"),
        ("naked children", "sexual_minors"),
        ("join the kkk and fight", "extremism"),
    ],
)
def test_blocked_prompts_name_their_reason_and_place(mechanics: Mechanics, prompt: str, reason: str) -> None:
    score, text = found(mechanics, spec(prompt))["blocked_prompt"]
    assert score >= 0.75
    assert text.startswith(f"{reason}, prompt: ")


@pytest.mark.parametrize("field", ["title", "objects[0].text", "objects[0].name"])
def test_all_that_a_creator_wrote_is_read(mechanics: Mechanics, field: str) -> None:
    words = "school shooting simulator"
    written = {
        "title": {"title": words},
        "objects[0].text": {"objects": [sign(words)]},
        "objects[0].name": {"objects": [{"kind": "character", "says": "hello.wav", "name": words}]},
    }[field]
    assert found(mechanics, spec(CAVE, **written))["blocked_prompt"][1] == f"real_attacks, {field}: {words}"


def test_a_memorial_is_no_attack(mechanics: Mechanics) -> None:
    prompt = "run the auschwitz guard post"
    assert found(mechanics, spec(prompt))["blocked_prompt"][0] >= 0.9
    assert found(mechanics, spec(f"a memorial museum: {prompt}"))["blocked_prompt"][0] < 0.5


def test_disguises_do_not_help(mechanics: Mechanics) -> None:
    for prompt in (
        "sch00l sh00ting simulator",
        "s c h o o l  shooting simulator",
        "ѕchool ѕhooting simulator",
    ):
        assert "blocked_prompt" in found(mechanics, spec(prompt)), prompt


def test_every_reason_has_its_guideline() -> None:
    rules = read_rules()
    assert len({blocked.reason for blocked in rules.blocked}) == len(rules.blocked) >= 5
    assert all(blocked.guideline.endswith(".") and blocked.phrases for blocked in rules.blocked)


def test_held_out_prompts(mechanics: Mechanics) -> None:
    """Measured once, when the rules were done; the shares may not fall."""
    with HELD_OUT.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    given_labels = [
        {label for label, (score, _) in found(mechanics, spec(row["text"])).items() if score >= 0.5}
        for row in rows
    ]
    for label, least in (("simulated_gambling", 0.9), ("blocked_prompt", 0.8)):
        hits = [label in got for got, row in zip(given_labels, rows, strict=True) if row["label"] == label]
        assert sum(hits) / len(hits) >= least
    alarms = [bool(got) for got, row in zip(given_labels, rows, strict=True) if row["label"] == "clean"]
    assert len(alarms) >= 60
    assert sum(alarms) <= 1


@given(
    prompt=st.text(alphabet=st.characters(exclude_categories=("C",)), min_size=1, max_size=80).filter(
        str.strip
    )
)
def test_any_prompt_is_judged(mechanics: Mechanics, prompt: str) -> None:
    if any(control in prompt for control in "\u200e\u200f\u061c"):
        return
    for score, text in found(mechanics, spec(prompt)).values():
        assert 0 < score <= 1
        assert text
