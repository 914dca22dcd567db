"""Detectors are found by entry points, in this package and in others."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from moderation.detectors import registry
from moderation.detectors.base import Resources, Text
from moderation.detectors.registry import (
    BadEntryPoint,
    DuplicateDetector,
    NoDetectors,
    RegistryError,
    Setup,
    UnknownDetector,
    by_modality,
)
from moderation.evaluation import calibration
from policies.bundle import load_bundle

CODE = '''
from moderation.detectors.base import Detection, Detector, DetectorCard, Text

class Parrots(Detector[Text]):
    """Text about parrots."""

    card = DetectorCard("parrots", "1", "text", ("parrot",), "MIT", cost_ms=0.1)

    def __init__(self, words=("parrot",)):
        super().__init__()
        self.words = words

    def load(self): ...

    def predict(self, batch):
        found = [[w for w in self.words if w in item.text] for item in batch]
        return [[Detection("parrot", 0.9, text=word) for word in words] for words in found]

def from_setup(setup):
    detector = Parrots(tuple(word for p in setup.phrases["parrots"].values() for word in p.show))
    detector.key = setup.phrase_keys["parrots"]
    return detector

def broken(setup):
    raise OSError("its data are gone")

def no_detector(setup):
    return 7
'''


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Installs packages with one module ``NAME_code`` and the given entry points."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, **entries: str) -> None:
        (tmp_path / f"{name}_code.py").write_text(CODE)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        lines = [f"{entry} = {name}_code:{thing}" for entry, thing in entries.items()]
        (info / "entry_points.txt").write_text("\n".join([f"[{registry.GROUP}]", *lines]))

    yield install
    for module in [module for module in sys.modules if module.endswith("_code")]:
        del sys.modules[module]


def test_this_package_registers_its_own_detectors() -> None:
    found = registry.load_all()
    names = [detector.card.name for detector in found]
    assert {"flash", "nsfw-js", "nsfw-open", "ocr", "speech", "symbols", "text", "zero-shot"} <= set(names)
    assert names == sorted(names)
    assert not any(detector.loaded for detector in found)


def test_detectors_are_grouped_by_what_they_look_at() -> None:
    groups = by_modality(registry.load_all())
    assert {d.card.name for d in groups["picture"]} >= {"nsfw-js", "nsfw-open", "ocr"}
    assert all(d.card.modality == modality for modality, group in groups.items() for d in group)


def test_another_package_adds_a_detector(package) -> None:
    package("birds", parrots="Parrots")

    detector = registry.load("parrots")

    assert "parrots" in {d.card.name for d in registry.load_all()}
    (found,) = detector([Text("a parrot sings")])
    assert [one.label for one in found] == ["parrot"]


def test_a_factory_gets_the_phrases_of_the_policy_and_the_resources(package, tmp_path: Path) -> None:
    package("birds", parrots="from_setup")
    folder = tmp_path / "policy"
    folder.mkdir()
    document = {
        "bundle": "birds", "version": "1", "status": "draft", "summary": "No parrots.",
        "coverage": {"min_sample_episodes": 1, "min_search_steps": 0, "max_discovery_rate": 1},
        "detectors": {
            "parrots": {"phrases": {"parrot": {"show": ["a macaw", "a cockatoo"]}}},
            "text": {"labels": ["slur"]},
        },
        "categories": {"birds": {"title": "Birds", "dsa": "STATEMENT_CATEGORY_OTHER_VIOLATION_TC"}},
        "rules": [{
            "rule": "parrots", "title": "Parrots", "category": "birds", "severity": "S1", "scope": ["media"],
            "detectors": [{"name": "parrots"}], "review": 'max("parrot") >= 0.5',
            "explanation": "There is a {label}.", "guideline": "Worlds show no parrots.",
        }],
    }  # fmt: skip
    (folder / "bundle.yaml").write_text(json.dumps(document))
    bundle = load_bundle(folder)

    detector = registry.load("parrots", Setup.of(bundle, Resources(threads=2)))

    (found,) = detector([Text("a cockatoo and a parrot")])
    assert [one.text for one in found] == ["a cockatoo"]
    assert detector.key == bundle.phrases_sha256("parrots")  # type: ignore[attr-defined]
    assert detector.resources.threads == 2


@pytest.mark.parametrize(
    ("entry", "thing", "said"),
    [
        ("parrots", "no_detector", "gives a int instead of a Detector"),
        ("parrots", "broken", "failed with OSError: its data are gone"),
        ("parrots", "missing", "failed with AttributeError"),
        ("macaws", "Parrots", "gives a detector whose card is named 'parrots'"),
    ],
)
def test_an_entry_point_that_gives_no_detector_is_named(package, entry: str, thing: str, said: str) -> None:
    package("birds", **{entry: thing})
    for load in (registry.load_all, lambda: registry.load(entry)):
        with pytest.raises(BadEntryPoint) as caught:
            load()
        assert f"{entry} = birds_code:{thing} of birds" in str(caught.value)
        assert said in str(caught.value)


def test_two_packages_may_not_offer_one_name(package) -> None:
    package("birds", ocr="Parrots")
    with pytest.raises(DuplicateDetector, match=r"'ocr' is offered twice, by ocr = .*birds.*firstplay"):
        registry.registered()


def test_old_metadata_in_a_checkout_hides_nothing(package) -> None:
    """As when tests run in a checkout that holds ``firstplay.egg-info`` of before."""
    package("firstplay")
    assert "ocr" in registry.registered()


def test_an_unknown_name_is_told_with_those_there_are() -> None:
    with pytest.raises(UnknownDetector, match=r"no detector is named 'ocrr'; there are .*nsfw-js.*ocr"):
        registry.load("ocrr")


def test_none_at_all_is_an_installation_that_is_broken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "distributions", list)
    with pytest.raises(NoDetectors, match="reinstall firstplay"):
        registry.load_all()


def test_a_kept_calibration_is_applied_and_a_damaged_one_is_refused(
    package, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    package("birds", parrots="Parrots")
    monkeypatch.setattr(calibration, "FOLDER", tmp_path)
    plain = registry.load("parrots").card
    curve = calibration.Platt(slope=1.0, shift=-1.0)
    label = calibration.LabelCalibration(
        curve=curve, positives=30, lookalikes=30, error_before=0.3, error_after=0.1
    )
    kept = calibration.Calibration(
        detector="parrots", version="1", fingerprint=plain.fingerprint, fitted_on="birds",
        set_sha256="0" * 64, labels={"parrot": label},
    )  # fmt: skip
    path = calibration.store(kept, plain)

    detector = registry.load("parrots")
    assert detector.card.version == f"1+cal.{kept.id}"
    assert detector([Text("parrot")])[0][0].score == pytest.approx(curve(0.9))
    assert registry.load("parrots", calibrate=False).card == plain

    path.write_text("{}")
    with pytest.raises(RegistryError, match=r"of birds has a calibration that does not fit: .* is damaged"):
        registry.load("parrots")
