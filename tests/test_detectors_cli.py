"""``firstplay detectors``: list, evaluate, calibrate, as typed by a person."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from typer.testing import CliRunner

from feedapi.cli import build_app
from moderation.detectors.text import TextRules
from moderation.evaluation.measured import recall_of
from moderation.labelled import sets
from moderation.labelled.flashes import flashes_set
from moderation.labelled.sets import Script

WORDS = Path(__file__).parent / "data" / "text"


def run(*arguments: object):
    return CliRunner().invoke(build_app(), ["detectors", *map(str, arguments)], env={"COLUMNS": "200"})


def test_list_shows_every_detector() -> None:
    result = run("list")
    assert result.exit_code == 0
    for name in ("flash", "nsfw-js", "nsfw-open", "ocr", "speech", "text"):
        assert name in result.stdout


def test_list_for_machines_tells_weights_and_packages() -> None:
    rows = {row["name"]: row for row in json.loads(run("list", "--json").stdout)}
    assert rows["nsfw-open"]["package"] == "firstplay"
    assert rows["nsfw-open"]["weights"]["opennsfw"].startswith("864bb37b")
    assert rows["text"]["weights"] == {}
    assert len({row["fingerprint"] for row in rows.values()}) == len(rows)


def test_evaluate_measures_on_the_held_out_part_and_keeps_it(tmp_path: Path) -> None:
    figures, plots, kept = tmp_path / "f.json", tmp_path / "plots", tmp_path / "kept"
    result = run(
        "evaluate", "text", "--set", WORDS, "--json", figures, "--plots", plots, "--store", "--into", kept
    )

    assert result.exit_code == 0, result.output
    assert "slur >= 0.5" in result.stdout
    assert "95 % intervals (Wilson)" in result.stdout
    rows = {row["label"]: row for row in json.loads(figures.read_text())}
    slur = rows["slur"]
    assert slur["recall_limits"][0] < slur["recall"] < slur["recall_limits"][1]
    assert slur["found"] + slur["false_alarms"] > 0
    assert (plots / "text-slur-upload-words-precision-recall.svg").is_file()
    assert recall_of(TextRules.card, "slur", "upload", kept) == pytest.approx(slur["recall_limits"][0])


def test_evaluate_can_show_the_development_part_but_not_store_it(tmp_path: Path) -> None:
    shown = run("evaluate", "text", "--set", WORDS, "--part", "development")
    stored = run("evaluate", "text", "--set", WORDS, "--part", "development", "--store", "--into", tmp_path)
    assert shown.exit_code == 0
    assert stored.exit_code == 2
    assert "only what is measured on the held-out part may be stored" in stored.output
    assert not list(tmp_path.iterdir())


def missing_voice():
    raise RuntimeError("flute is not installed: apt-get install flute")


def test_evaluate_makes_the_sets_by_script_and_says_what_it_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    flashes = flashes_set()
    few = replace(flashes, items=flashes.items[:6])
    scripts = {
        "flashes": Script(("flash",), lambda: few),
        "voices": Script(("flash", "speech"), missing_voice),
        "letters": Script(("ocr",), missing_voice),
    }
    monkeypatch.setattr(sets, "SETS", scripts)

    result = run("evaluate", "flash")

    assert result.exit_code == 0, result.output
    assert "general_flash >= 1" in result.stdout
    assert "voices is left out: flute is not installed: apt-get install flute" in result.output
    assert "letters" not in result.output
    assert run("evaluate", "flash", "--set", "flashes").stdout == result.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("evaluate", "ocrr"), "no detector is named 'ocrr'; there are"),
        (("evaluate", "ocr+words"), "no detector is named 'words'"),
        (("evaluate", "ocr", "--set", WORDS), "no labelled set has items for ocr"),
        (("evaluate", "text", "--set", "nowhere"), "nowhere/set.yaml is missing"),
        (("calibrate", "text", "--set", "nowhere"), "nowhere/set.yaml is missing"),
        (("calibrate", "ocr", "--set", WORDS), "the set words is not for ocr"),
        (("calibrate", "text"), "calibrate on one set, not on 0"),
    ],
)
def test_what_a_person_got_wrong_is_said_and_exits_with_2(arguments: tuple, said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.output
    assert "Traceback" not in result.output


def test_a_policy_that_cannot_be_read_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTPLAY_POLICY", str(tmp_path / "no-policy"))
    result = run("list")
    assert result.exit_code == 2
    assert "no-policy" in result.output


def test_calibrate_fits_keeps_and_tells(tmp_path: Path) -> None:
    rows = ["label\tkind\ttext"]
    rows += [f"slur\tplain\tno kikes in room {n}" for n in range(24)]
    rows += [f"clean\tplain\tyou faggot of wood number {n}" for n in range(24)]
    (tmp_path / "items.tsv").write_text("\n".join(rows) + "\n")
    (tmp_path / "set.yaml").write_text(
        "{name: made-up, made: for this test only, licence: Apache-2.0, source: upload, "
        "detectors: {text: {slur: 0.5, link: 0.5}}, items: [{file: items.tsv, part: development}]}"
    )

    result = run("calibrate", "text", "--set", tmp_path, "--into", tmp_path / "kept")

    assert result.exit_code == 0, result.output
    assert "slur: platt on 24 positives and 24 look-alikes; calibration error" in result.stdout
    assert "link: left as it is, fewer than 20 items of either kind got a score" in result.stdout
    version = TextRules.card.version
    kept = json.loads((tmp_path / "kept" / f"text-{version}.json").read_text())
    assert (kept["detector"], kept["version"], list(kept["labels"])) == ("text", version, ["slur"])
    assert f"the detector is now text {version}+cal." in result.stdout
