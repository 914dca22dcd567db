"""What a valid world package becomes: pixels, samples and one hash."""

from __future__ import annotations

import json
import runpy
from pathlib import Path

import jsonschema
import numpy as np
import pytest
import typer
from hypothesis import given, settings
from hypothesis import strategies as st
from typer.testing import CliRunner

from tests.package_files import (
    SECRET,
    YAML,
    film,
    folder,
    picture,
    sign,
    sound,
    speaker,
    telling_picture,
    video,
    zipped,
)
from worldmodel import media
from worldmodel.constants import SAMPLE_RATE
from worldmodel.document import parse, read_spec
from worldmodel.package import CLEAN_SUFFIX, WorldPackage, load_package, make_package, save_package
from worldmodel.spec import WorldSpec, json_schema
from worldmodel.world_cli import register_world

APP = typer.Typer()
register_world(APP)
EXAMPLES = sorted(path.parent for path in Path(__file__).parent.parent.glob("examples/*/world.yaml"))
NAMES = [path.name for path in EXAMPLES]


def effect(event: str, medium: str) -> bytes:
    return YAML + f"effects: {{{event}: {medium}}}\n".encode()


def style(fields: str) -> bytes:
    return YAML + f"style: {{{fields}}}\n".encode()


FULL = {
    "world.yaml": YAML
    + b"style: {reference: art/look.jpg, video: clip.mp4, backdrop: hills.jpg,\n"
    + b"  sprites: {enemy: beetle.webp}}\n"
    + b"objects:\n- {kind: sign, image: poster.webp, where: {behind: door}}\n"
    + b"- {kind: character, says: hi.ogg}\n"
    + b"music: tune.wav\n"
    + b"effects: {collect: ping.flac, died: hi.ogg}\n",
    "art/look.jpg": picture("JPEG"),
    "poster.webp": picture("WEBP"),
    "clip.mp4": video("mp4"),
    "hi.ogg": sound("ogg"),
    "tune.wav": sound("wav"),
    "hills.jpg": picture("JPEG", 40),
    "beetle.webp": picture("WEBP", 12),
    "ping.flac": sound("flac", 0.2),
}


@pytest.fixture(scope="module")
def full() -> WorldPackage:
    return make_package(FULL)


def test_there_are_ten_examples_and_two_remixes_or_more() -> None:
    parents = [read_spec((path / "world.yaml").read_bytes())[0].remix_of for path in EXAMPLES]

    assert len(EXAMPLES) >= 10
    assert len([parent for parent in parents if parent]) >= 2
    assert {parent for parent in parents if parent} <= set(NAMES)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_an_example_is_valid_and_its_slug_is_its_folder(example: Path) -> None:
    result = CliRunner().invoke(APP, ["world", "check", str(example), "--json"])

    answer = json.loads(result.stdout)
    assert result.exit_code == 0
    assert (answer["ok"], answer["slug"]) == (True, example.name)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_json_schema_accepts_an_example(example: Path) -> None:
    document = parse((example / "world.yaml").read_bytes(), "world.yaml").value

    jsonschema.validate(document, json_schema(), jsonschema.Draft202012Validator)


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_the_media_of_an_example_are_small(example: Path) -> None:
    assert all(path.stat().st_size < 300_000 for path in example.iterdir())


def test_the_drawn_and_composed_media_come_from_the_script() -> None:
    script = runpy.run_path(str(EXAMPLES[0].parent / "make_media.py"))

    pictures = ("lantern", "moss", "garden", "market", "brick", "coast", "flower", "notice")
    for name in (*pictures, "temple", "peaks", "climber"):
        path = next(EXAMPLES[0].parent.glob(f"*/{name}.*"))
        form = {".png": "PNG", ".jpg": "JPEG", ".webp": "WEBP"}[path.suffix]
        drawn = media.decode_picture(script["picture_file"](script[name], form))
        assert np.array_equal(drawn, media.decode_picture(path.read_bytes()))
    for name in ("waltz", "rain", "bubble", "gong", "grinding", "splash"):
        path = next(EXAMPLES[0].parent.glob(f"*/{name}.ogg"))
        heard, played = media.decode_sound(path.read_bytes()), script[name]()[::2]
        assert np.corrcoef(heard[: len(played)], played[: len(heard)])[0, 1] > 0.9, name


def test_the_json_schema_refuses_what_the_spec_refuses() -> None:
    validator = jsonschema.Draft202012Validator(json_schema())
    good = {"title": "T", "prompt": "p"}

    media = {"backdrop": "a.png", "sprites": {"player": "a.png"}}
    assert validator.is_valid(good)
    assert validator.is_valid({**good, "effects": {"key": "a.ogg"}, "style": media})
    for bad in (
        {**good, "mechanics": {"gravity": 5}},
        {**good, "extra": 1},
        {**good, "objects": [{"kind": "tree"}]},
        {**good, "effects": {"jump": "a.ogg"}},
        {**good, "effects": {"key": 1}},
        {**good, "style": {"sprites": {"boss": "a.png"}}},
        {**good, "style": {"backdrop": ["a.png"]}},
        {**good, "objects": [{"kind": "door", "where": {"depth": "deep"}}]},
        {"prompt": "p"},
    ):
        assert not validator.is_valid(bad)


def test_the_schema_command_prints_the_schema() -> None:
    result = CliRunner().invoke(APP, ["world", "schema"])

    assert json.loads(result.stdout) == json_schema()


def told(tmp_path: Path, files: dict[str, bytes]) -> str:
    result = CliRunner().invoke(APP, ["world", "check", str(folder(tmp_path / "pack", files))])
    assert result.exit_code == 0, result.output
    return result.output


def test_a_check_tells_what_the_prompt_came_to(tmp_path: Path) -> None:
    yaml = b"title: Small\nprompt: an icy cave with bats and qwertyuiop\n"

    lines = told(tmp_path, {"world.yaml": yaml}).splitlines()

    understood, made_up, style = (
        next(line for line in lines if line.startswith(f"  {heading}: "))
        for heading in ("understood", "made up", "kept as style")
    )
    assert "bats: flyers" in understood
    assert "speed 1" in made_up
    assert "qwertyuiop" in style


def test_a_check_tells_what_each_medium_becomes(tmp_path: Path) -> None:
    files = {
        "world.yaml": YAML
        + b"style: {backdrop: a.png, sprites: {player: a.png}}\nmusic: tune.wav\n"
        + b"effects: {key: tune.wav, door: long.wav}\n"
        + b"objects:\n- {kind: character, says: tune.wav}\n- {kind: sign, image: a.png}\n",
        "a.png": picture("PNG"),
        "tune.wav": sound("wav"),
        "long.wav": sound("wav", 4.5),
    }

    lines = told(tmp_path, files).splitlines()

    assert "  a.png: 24 x 16, the background, the player, 16 x 16 pixels, what objects[1] shows" in lines
    assert "  tune.wav: 0.3 s, what objects[0] says, music in a loop, the sound of key" in lines
    assert "  long.wav: 4.5 s, the sound of door, cut at 4 s" in lines


def test_title_and_prompt_are_enough() -> None:
    package = make_package({"world.yaml": YAML})

    assert (package.spec.title, package.spec.objects, package.spec.mechanics.gravity) == ("Small", (), None)


def test_media_become_arrays_under_the_names_that_the_spec_uses(full: WorldPackage) -> None:
    assert {name: image.shape for name, image in full.images.items()} == {
        "art/look.jpg": (16, 24, 4),
        "poster.webp": (16, 24, 4),
        "hills.jpg": (16, 40, 4),
        "beetle.webp": (16, 12, 4),
    }
    assert full.videos["clip.mp4"].shape == (8, 24, 32, 3)
    assert full.sounds["tune.wav"].shape == (round(0.3 * SAMPLE_RATE),)
    assert full.sounds["hi.ogg"].dtype == np.float32
    assert np.abs(full.sounds["tune.wav"]).max() == pytest.approx(8000 / 32768, rel=0.01)


def test_loading_twice_gives_the_same_hash(full: WorldPackage) -> None:
    assert make_package(FULL).sha256 == full.sha256


@pytest.mark.parametrize("name", ["clean", "clean.zip"])
def test_a_saved_package_loads_with_the_same_hash(full: WorldPackage, tmp_path: Path, name: str) -> None:
    save_package(full, tmp_path / name)
    again = load_package(tmp_path / name)

    assert again.sha256 == full.sha256
    pictures = ["art/look.png", "beetle.png", "hills.png", "poster.png"]
    assert sorted(again.raw) == sorted([*pictures, "clip.webm", "hi.flac", "ping.flac", "tune.flac"])
    for before, after in zip(full.spec.media, again.spec.media, strict=True):
        assert after.name.endswith(CLEAN_SUFFIX[before.kind])
    assert np.array_equal(again.videos["clip.webm"], full.videos["clip.mp4"])
    assert np.array_equal(again.sounds["hi.flac"], full.sounds["hi.ogg"])
    assert np.array_equal(again.images["beetle.png"], full.images["beetle.webp"])
    assert (again.spec.effects.collect, again.spec.effects.died) == ("ping.flac", "hi.flac")


@pytest.mark.parametrize("example", EXAMPLES, ids=NAMES)
def test_a_saved_example_loads_with_the_same_hash(example: Path, tmp_path: Path) -> None:
    package = load_package(example)
    save_package(package, tmp_path / "clean.zip")

    assert load_package(tmp_path / "clean.zip").sha256 == package.sha256


def test_the_same_package_is_saved_as_the_same_bytes(full: WorldPackage, tmp_path: Path) -> None:
    save_package(full, tmp_path / "one.zip")
    save_package(make_package(FULL), tmp_path / "two.zip")

    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()


def test_saving_leaves_nothing_but_the_package(full: WorldPackage, tmp_path: Path) -> None:
    save_package(full, tmp_path / "clean.zip")
    save_package(full, tmp_path / "clean")
    with pytest.raises(FileExistsError, match="clean is there already"):
        save_package(full, tmp_path / "clean")

    assert {path.name for path in tmp_path.iterdir()} == {"clean.zip", "clean"}


def test_media_that_would_get_the_same_name_are_kept_apart(tmp_path: Path) -> None:
    yaml = YAML + b"objects:\n- {kind: sign, image: a.png}\n- {kind: sign, image: a.jpg}\n"
    package = make_package({"world.yaml": yaml, "a.png": picture("PNG"), "a.jpg": picture("JPEG")})
    save_package(package, tmp_path / "clean.zip")
    again = load_package(tmp_path / "clean.zip")

    assert again.sha256 == package.sha256
    assert set(again.images) == {"a.png", "a-2.png"}


def test_a_folder_a_zip_and_a_zip_of_the_folder_are_the_same_world(tmp_path: Path) -> None:
    flat, nested = tmp_path / "flat.zip", tmp_path / "nested.zip"
    flat.write_bytes(zipped(FULL.items()))
    notes = [("pack/README.md", b"\xff"), ("__MACOSX/pack/._world.yaml", b"\0"), ("pack/.DS_Store", b"\0")]
    nested.write_bytes(zipped([*((f"pack/{name}", data) for name, data in FULL.items()), *notes]))

    hashes = {load_package(path).sha256 for path in (folder(tmp_path / "open", FULL), flat, nested)}
    assert len(hashes) == 1


def test_the_hash_is_of_content_and_not_of_names_or_encodings() -> None:
    png = make_package({"world.yaml": sign("a.png"), "a.png": picture("PNG")})
    renamed = make_package({"world.yaml": sign("b.webp"), "b.webp": picture("PNG")})
    commented = make_package({"world.yaml": b"# hi\n" + sign("a.png"), "a.png": telling_picture("PNG")})
    spelled_out = make_package(
        {"world.yaml": sign("a.png") + b"seed: 0\nstyle: {}\n", "a.png": picture("PNG")}
    )

    assert png.sha256 == renamed.sha256 == commented.sha256 == spelled_out.sha256


def test_another_pixel_sample_or_word_is_another_world() -> None:
    packages = [
        {"world.yaml": sign("a.png"), "a.png": picture("PNG")},
        {"world.yaml": sign("a.png"), "a.png": picture("PNG", 25)},
        {"world.yaml": sign("a.png") + b"seed: 1\n", "a.png": picture("PNG")},
        {"world.yaml": speaker("a.wav"), "a.wav": sound("wav")},
        {"world.yaml": speaker("a.wav"), "a.wav": sound("wav", 0.31)},
        *({"world.yaml": effect(event, "a.wav"), "a.wav": sound("wav")} for event in ("key", "hurt")),
        {"world.yaml": effect("key", "a.wav"), "a.wav": sound("wav", 0.31)},
        {"world.yaml": style("backdrop: a.png"), "a.png": picture("PNG")},
        {"world.yaml": style("sprites: {player: a.png}"), "a.png": picture("PNG")},
        {"world.yaml": style("sprites: {enemy: a.png}"), "a.png": picture("PNG")},
    ]

    assert len({make_package(files).sha256 for files in packages}) == len(packages)


@pytest.mark.parametrize(
    ("yaml", "data"),
    [
        (sign("m"), telling_picture("PNG")),
        (sign("m"), telling_picture("JPEG")),
        (sign("m"), telling_picture("WEBP")),
        (speaker("m"), sound("wav", comment=SECRET) + SECRET),
        (speaker("m"), sound("ogg", comment=SECRET) + SECRET),
        (speaker("m"), sound("flac", comment=SECRET)),
        (effect("key", "m"), sound("ogg", comment=SECRET) + SECRET),
        (style("backdrop: m"), telling_picture("JPEG")),
        (style("sprites: {player: m}"), telling_picture("PNG")),
        (film("m"), video("mp4", comment=SECRET)),
        (film("m"), video("webm", comment=SECRET) + SECRET),
    ],
    ids=["PNG", "JPEG", "WebP", "WAV", "OGG", "FLAC", "effect", "backdrop", "sprite", "MP4", "WebM"],
)
def test_metadata_and_trailing_data_are_gone(yaml: bytes, data: bytes, tmp_path: Path) -> None:
    package = make_package({"world.yaml": yaml, "m": data})
    save_package(package, tmp_path / "clean.zip")

    assert SECRET in data
    assert SECRET not in package.raw["m"]
    assert SECRET not in (tmp_path / "clean.zip").read_bytes()


def test_a_picture_is_turned_upright_before_its_exif_goes() -> None:
    from io import BytesIO

    from PIL import Image

    exif = Image.Exif()
    exif[0x0112] = 6  # a quarter turn
    file = BytesIO()
    Image.open(BytesIO(picture("PNG"))).save(file, "PNG", exif=exif)

    assert media.decode_picture(file.getvalue()).shape == (24, 16, 4)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgba(mode: str) -> None:
    assert media.decode_picture(picture("PNG", mode=mode)).shape == (16, 24, 4)


def test_a_deep_grey_picture_keeps_its_shades() -> None:
    from io import BytesIO

    from PIL import Image

    file = BytesIO()
    Image.fromarray(np.array([[0, 0x8000, 0xFFFF]], np.uint16)).save(file, "PNG")

    assert media.decode_picture(file.getvalue())[0, :, 0].tolist() == [0, 128, 255]


def test_colours_under_full_transparency_are_dropped() -> None:
    pixels = np.full((4, 4, 4), 77, np.uint8)
    pixels[..., 3] = [0, 1, 128, 255]

    clean = media.decode_picture(media.encode_picture(pixels))
    assert clean[0].tolist() == [[0, 0, 0, 0], [77, 77, 77, 1], [77, 77, 77, 128], [77, 77, 77, 255]]


def test_a_cmyk_jpeg_is_a_picture_too() -> None:
    assert media.decode_picture(picture("JPEG", mode="CMYK")).shape == (16, 24, 4)


@pytest.mark.parametrize(("rate", "steps"), [(15, 15), (30, 30), (60, 60), (10, 10), (24, 24)])
def test_a_second_of_video_becomes_fifteen_frames(rate: int, steps: int) -> None:
    assert len(media.decode_video(video("mp4", steps, rate=rate))) == 15


def test_a_large_video_is_kept_smaller() -> None:
    assert media.decode_video(video("mp4", 2, 1280, 720)).shape == (2, 360, 640, 3)
    assert media.decode_video(video("mp4", 2, 720, 1280)).shape == (2, 640, 360, 3)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000, 96_000])
def test_sound_is_resampled(rate: int) -> None:
    samples = media.decode_sound(sound("wav", 1.0, rate))

    assert len(samples) == pytest.approx(SAMPLE_RATE, abs=40)
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) * SAMPLE_RATE / len(samples) == pytest.approx(440, abs=2)


@given(st.binary(max_size=9_000))
def test_clean_sound_is_exact(data: bytes) -> None:
    whole = np.frombuffer(data[: len(data) // 2 * 2] or b"\0\0", "<i2")
    samples = whole.astype(np.float32) / 32768

    assert np.array_equal(media.decode_sound(media.encode_sound(samples)), samples)


@given(st.integers(1, 20), st.integers(1, 40), st.integers(1, 40), st.integers(0, 99))
@settings(max_examples=20)
def test_clean_video_is_exact(steps: int, height: int, width: int, seed: int) -> None:
    noise = np.random.default_rng(seed).integers(0, 256, (steps, height, width, 3)).astype(np.uint8)

    assert np.array_equal(media.decode_video(media.encode_video(noise)), noise)


WORDS = st.text(st.characters(exclude_categories=["Cs", "Cc", "Co"]), min_size=1, max_size=40)


@st.composite
def specs(draw: st.DrawFn) -> WorldSpec:
    number = st.none() | st.floats(0, 1)
    where = st.sampled_from([{"depth": "near"}, {"depth": "far"}, {"behind": "door"}, {"near": "spawn"}])
    text = WORDS.filter(_is_valid_text)
    things = st.one_of(
        st.builds(lambda t, w: {"kind": "sign", "text": t, "where": w}, text, where),
        st.builds(
            lambda e, w: {"kind": "lever", "effect": e, "where": w},
            st.sampled_from(["none", "open_door"]),
            where,
        ),
    )
    return WorldSpec.model_validate(
        {
            "title": draw(text),
            "prompt": draw(text),
            "mechanics": {key: draw(number) for key in ("gravity", "jump", "friction", "hazards")},
            "objects": draw(st.lists(things, max_size=8)),
            "seed": draw(st.integers(0, 2**31 - 1)),
        }
    )


def _is_valid_text(words: str) -> bool:
    try:
        WorldSpec(title=words, prompt="p")
    except ValueError:
        return False
    return True


@given(specs())
@settings(max_examples=60)
def test_any_spec_survives_being_written_and_read(spec: WorldSpec) -> None:
    from worldmodel.package import _clean_files

    empty: WorldPackage = WorldPackage(spec, {}, {}, {}, "", {})
    again = make_package(_clean_files(empty))

    assert again.spec == spec
