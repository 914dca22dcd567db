"""Make the media of the example worlds: drawn with Pillow, spoken with espeak-ng, composed with NumPy.

    python examples/make_media.py [FOLDER]

writes into FOLDER (default: beside this script). The same library versions give the same bytes. espeak-ng
(Debian: ``apt-get install espeak-ng``) is only needed here: its output is part of the repository.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter, ImageFont

SIDE = 256
"""Side of a reference picture in pixels."""
SIGN = (192, 96)
"""A sign's picture, twice the 96 x 48 pixels at which play shows it."""
MUSIC_RATE = 48_000

WELCOME = "Welcome to the moon market! Take your time, and look around."
THREAT = "I know where you live, and I am going to kill you."
NOTICE = ("WETBACKS", "KEEP OUT")
"""Test content for moderation, see README.md: a detector has to find these, so they have to be somewhere."""

Colour = tuple[int, int, int]


# Pictures


def canvas(top: Colour, bottom: Colour, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    """A vertical gradient."""
    ramp = np.linspace(0, 1, size[1])[:, None, None]
    rows = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
    return Image.fromarray(np.broadcast_to(rows.round(), (size[1], size[0], 3)).astype(np.uint8))


def grain(picture: Image.Image, strength: float, seed: int) -> Image.Image:
    """Brightness noise, so that a texture can be taken from the picture."""
    noise = np.random.default_rng(seed).normal(0, strength, (*picture.size[::-1], 1))
    return Image.fromarray((np.asarray(picture) + noise).clip(0, 255).astype(np.uint8))


def scatter(seed: int, count: int, low: float = 0.0, high: float = 1.0) -> list[tuple[int, int, float]]:
    """Random places in a horizontal band of the picture, each with a number 0..1."""
    rng = np.random.default_rng(seed)
    points = rng.random((count, 3)) * [SIDE, SIDE * (high - low), 1] + [0, SIDE * low, 0]
    return [(int(x), int(y), float(r)) for x, y, r in points]


def glow(picture: Image.Image, x: int, y: int, radius: int, colour: Colour) -> None:
    """A soft light added to the picture, in place."""
    light = Image.new("L", picture.size)
    ImageDraw.Draw(light).ellipse((x - radius, y - radius, x + radius, y + radius), fill=200)
    picture.paste(
        Image.new("RGB", picture.size, colour), mask=light.filter(ImageFilter.GaussianBlur(radius / 2))
    )


def stones(picture: Image.Image, colour: Colour, seed: int, count: int = 60, low: float = 0.6) -> None:
    """Rounded stones with a lit upper edge, in place."""
    draw = ImageDraw.Draw(picture)
    for x, y, r in scatter(seed, count, low):
        size = int(8 + 16 * r)
        shade = 0.7 + 0.5 * r
        body = tuple(min(255, int(c * shade)) for c in colour)
        draw.ellipse((x - size, y - size // 2, x + size, y + size // 2), fill=body, outline=(20, 20, 26))
        draw.arc(
            (x - size + 2, y - size // 2 + 2, x + size - 2, y + size // 2), 200, 340, fill=colour, width=2
        )


def lantern() -> Image.Image:
    picture = canvas((26, 20, 48), (58, 40, 66))
    stones(picture, (96, 78, 112), seed=1, count=90, low=0.55)
    draw = ImageDraw.Draw(picture)
    for x in range(0, SIDE, 22):
        drop = 18 + (x * 37) % 46
        draw.polygon([(x, 0), (x + 18, 0), (x + 9, drop)], fill=(44, 34, 62))
    for x, y in ((54, 104), (140, 78), (214, 120)):
        glow(picture, x, y, 46, (255, 166, 60))
        draw = ImageDraw.Draw(picture)
        draw.line((x, 0, x, y - 16), fill=(90, 70, 50), width=2)
        draw.rounded_rectangle(
            (x - 9, y - 16, x + 9, y + 14), 5, fill=(255, 204, 96), outline=(110, 66, 30), width=3
        )
    return grain(picture, 5, 1)


def moss() -> Image.Image:
    picture = canvas((168, 216, 236), (214, 238, 214))
    draw = ImageDraw.Draw(picture)
    for step in range(6):
        left, top = step * 44, 216 - step * 28
        draw.rectangle((left, top, SIDE, SIDE), fill=(112, 100, 84), outline=(74, 66, 58))
        draw.rectangle((left, top, SIDE, top + 9), fill=(88, 156, 62))
        for x in range(left, SIDE, 7):
            draw.line((x, top, x + (x * 13) % 5 - 2, top - 6 - (x * 7) % 5), fill=(104, 178, 74), width=2)
    for x, y, r in scatter(2, 26, 0.05, 0.35):
        draw.ellipse((x - 20, y - 12, x + 20, y + 12), fill=(60, int(130 + 50 * r), 62))
    return grain(picture, 6, 2)


def garden() -> Image.Image:
    picture = canvas((124, 178, 92), (112, 166, 84))
    draw = ImageDraw.Draw(picture)
    for at in (48, 176):
        draw.rectangle((at, 0, at + 30, SIDE), fill=(204, 190, 158))
        draw.rectangle((0, at, SIDE, at + 30), fill=(204, 190, 158))
    for x, y, r in scatter(3, 120):
        petals = ((226, 84, 110), (250, 206, 72), (240, 240, 250), (150, 108, 214))[int(r * 4)]
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=petals)
    for box in ((84, 84, 170, 92), (84, 164, 170, 172), (84, 84, 92, 172), (162, 84, 170, 172)):
        draw.rectangle(box, fill=(48, 104, 52), outline=(34, 78, 40))
    return grain(picture, 6, 3)


def market() -> Image.Image:
    picture = canvas((14, 16, 44), (70, 62, 108))
    draw = ImageDraw.Draw(picture)
    for x, y, r in scatter(4, 90, 0, 0.6):
        draw.point((x, y), fill=(int(180 + 75 * r),) * 3)
    draw.ellipse((176, 20, 232, 76), fill=(122, 178, 226), outline=(180, 214, 240))
    draw.rectangle((0, 200, SIDE, SIDE), fill=(150, 148, 160))
    for index, colour in enumerate(((222, 84, 92), (86, 170, 150), (238, 178, 72))):
        x = 12 + index * 82
        draw.rectangle((x, 150, x + 66, 204), fill=(108, 84, 74))
        for stripe in range(6):
            shade = colour if stripe % 2 else (244, 236, 222)
            draw.rectangle((x + stripe * 11, 128, x + stripe * 11 + 10, 152), fill=shade)
    for x in range(16, SIDE, 32):
        glow(picture, x, 104 + (x % 64) // 8, 10, (255, 214, 140))
    return grain(picture, 4, 4)


def brick() -> Image.Image:
    picture = canvas((190, 170, 150), (170, 148, 128))
    draw = ImageDraw.Draw(picture)
    for row in range(16):
        for column in range(-1, 9):
            x, y = column * 32 + (row % 2) * 16, row * 16
            shade = 0.85 + 0.03 * ((row * 5 + column * 3) % 9)
            fill = tuple(int(c * shade) for c in (176, 92, 74))
            draw.rectangle((x + 1, y + 1, x + 30, y + 14), fill=fill)
    for x in (20, 150):
        draw.rectangle((x, 176, x + 72, 248), fill=(168, 128, 78), outline=(96, 70, 42), width=4)
        draw.line((x, 176, x + 72, 248), fill=(96, 70, 42), width=4)
    return grain(picture, 6, 5)


def coast() -> Image.Image:
    picture = canvas((140, 196, 236), (226, 240, 246))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, 140, SIDE, 190), fill=(64, 128, 172))
    draw.polygon([(0, 190), (SIDE, 168), (SIDE, SIDE), (0, SIDE)], fill=(128, 170, 88))
    draw.polygon([(204, 170), (224, 170), (220, 70), (208, 70)], fill=(240, 236, 230), outline=(150, 60, 56))
    draw.rectangle((206, 96, 222, 116), fill=(206, 74, 66))
    stones(picture, (150, 146, 138), seed=6, count=24, low=0.8)
    return grain(picture, 5, 6)


def flower() -> Image.Image:
    picture = Image.new("RGB", SIGN, (246, 240, 222))
    draw = ImageDraw.Draw(picture)
    draw.line((96, 50, 96, 92), fill=(70, 130, 66), width=5)
    for angle in np.linspace(0, 2 * np.pi, 8, endpoint=False):
        x, y = 96 + 24 * np.cos(angle), 42 + 20 * np.sin(angle)
        draw.ellipse((x - 13, y - 13, x + 13, y + 13), fill=(226, 98, 124), outline=(160, 56, 84))
    draw.ellipse((84, 30, 108, 54), fill=(250, 206, 72))
    return picture


def temple() -> Image.Image:
    """Carved blocks in green light, with weed hanging over them."""
    picture = canvas((70, 84, 80), (44, 62, 66))
    draw = ImageDraw.Draw(picture)
    for row in range(8):
        for column in range(-1, 5):
            x, y = column * 64 + (row % 2) * 32, row * 32
            shade = 0.78 + 0.06 * ((row * 7 + column * 5) % 6)
            fill = tuple(int(c * shade) for c in (158, 146, 112))
            draw.rounded_rectangle((x + 1, y + 1, x + 61, y + 29), 4, fill=fill, outline=(52, 66, 62))
            draw.line((x + 5, y + 3, x + 57, y + 3), fill=tuple(min(255, c + 34) for c in fill), width=2)
            if (row * 3 + column) % 5 == 0:
                draw.arc((x + 20, y + 6, x + 42, y + 26), 0, 300, fill=(112, 92, 60), width=3)
    for x, y, r in scatter(8, 22, 0, 0.8):
        for leaf in range(4):
            sway = int(5 * np.sin(leaf + 6 * r))
            box = (x + sway - 4, y + leaf * 9, x + sway + 4, y + leaf * 9 + 11)
            draw.ellipse(box, fill=(38, int(120 + 60 * r), 84))
    return grain(picture, 5, 8)


def peaks() -> Image.Image:
    """A wide evening over three ranges of mountains and a sea of clouds, for the background."""
    size = (960, 320)
    picture = canvas((64, 128, 222), (255, 222, 170), size)
    glow(picture, 690, 120, 60, (255, 246, 206))
    draw = ImageDraw.Draw(picture)
    ranges = ((190, 150, (148, 158, 214)), (225, 90, (104, 124, 190)), (270, 70, (70, 98, 158)))
    for index, (level, height, colour) in enumerate(ranges):
        ridge = level - height * ridges(size[0], seed=9 + index)
        draw.polygon([(0, 320), *enumerate(ridge.tolist()), (size[0], 320)], fill=colour)
        if index == 0:  # snow on the highest, deeper where they are higher
            for x in range(0, size[0], 2):
                depth = 0.7 * (level - 0.55 * height - ridge[x]) + 4 * np.sin(0.14 * x) + 3 * np.sin(0.43 * x)
                if depth > 1:
                    draw.line((x, ridge[x], x, ridge[x] + depth), fill=(246, 248, 255), width=2)
    for layer, shade in enumerate(((236, 226, 236), (255, 242, 230), (255, 252, 246))):
        for x, y, r in scatter(12 + layer, 70):
            across, top, wide = x * size[0] // SIDE, 240 + 26 * layer + y * 24 // SIDE, 18 + int(34 * r)
            draw.ellipse((across - wide, top - wide // 2, across + wide, top + wide // 2), fill=shade)
        draw.rectangle((0, 262 + 26 * layer, size[0], size[1]), fill=shade)
    return grain(picture, 2, 9)


def ridges(count: int, seed: int) -> NDArray[np.float64]:
    """(count,) heights 0..1 of a mountain range: octaves of straight slopes between random heights."""
    rng = np.random.default_rng(seed)
    total = np.zeros(count)
    for octave in range(6):
        corners = 9 * 2**octave
        total += (
            np.interp(np.arange(count), np.linspace(0, count, corners), rng.random(corners)) / 2.2**octave
        )
    return np.asarray((total - total.min()) / np.ptp(total))


def climber() -> Image.Image:
    """A figure with a red scarf that flies behind it, 16 x 16 dots drawn large on a see-through ground."""
    colours = {
        "h": (70, 46, 38),
        "f": (246, 206, 170),
        "e": (34, 30, 44),
        "r": (226, 54, 62),
        "d": (170, 30, 48),
        "c": (250, 196, 62),
        "s": (214, 150, 40),
        "t": (62, 74, 128),
        "b": (58, 40, 34),
    }
    dots = Image.new("RGBA", (16, 16))
    for y, row in enumerate(CLIMBER):
        for x, dot in enumerate(row):
            if dot in colours:
                dots.putpixel((x, y), (*colours[dot], 255))
    return dots.resize((128, 128), Image.Resampling.NEAREST)


CLIMBER = (
    ".....hhhhhh.....",
    "....hhhhhhhh....",
    "....hhhhhhhh....",
    "....hhffffff....",
    "....hffefefe....",
    "....hfffffff....",
    ".....ffffff.....",
    "rr.rrrrrrrr.....",
    ".rrrdrrrrrr.....",
    "..r..cccccc.....",
    "....scccccccf...",
    "....sccccccc....",
    "....fcccccc.....",
    ".....tttttt.....",
    ".....tt..tt.....",
    ".....bbb.bbb....",
)


def notice() -> Image.Image:
    """Two lines, black on cream, capitals 34 pixels high: 17 at the size that play shows."""
    picture = Image.new("RGB", SIGN, (244, 236, 208))
    for line, top in zip(NOTICE, (9, 53), strict=True):
        picture.paste((16, 14, 14), (8, top), lettering(line, SIGN[0] - 16, 34))
    return picture


def lettering(text: str, width: int, height: int) -> Image.Image:
    """``text`` as a mask of exactly this size."""
    font = ImageFont.load_default(size=120)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(text, stroke_width=3))
    mask = Image.new("L", (right - left, bottom - top))
    ImageDraw.Draw(mask).text((-left, -top), text, font=font, fill=255, stroke_width=3)
    return mask.resize((width, height), Image.Resampling.LANCZOS)


def picture_file(draw: Callable[[], Image.Image], form: str) -> bytes:
    file = BytesIO()
    draw().save(file, form, **({"optimize": True} if form == "PNG" else {"quality": 88}))
    return file.getvalue()


# Video


def snow() -> Iterator[NDArray[np.uint8]]:
    """Four seconds of falling snow over ice, 15 fps; the end joins the beginning."""
    size, steps = (160, 96), 60
    back = canvas((150, 190, 224), (226, 240, 250), size)
    draw = ImageDraw.Draw(back)
    draw.rectangle((0, 74, 160, 96), fill=(188, 220, 240))
    for x in range(-20, 160, 26):
        draw.line((x, 96, x + 20, 74), fill=(214, 236, 250), width=2)
    flakes = np.random.default_rng(7).random((70, 3))
    for step in range(steps):
        frame = back.copy()
        draw = ImageDraw.Draw(frame)
        for x, y, r in flakes:
            speed = 1 + int(r * 2)
            at = (x * 160 + 4 * np.sin(2 * np.pi * (step / steps + r)), (y + speed * step / steps) % 1 * 96)
            draw.ellipse((at[0], at[1], at[0] + 1 + 2 * r, at[1] + 1 + 2 * r), fill=(255, 255, 255))
        yield np.asarray(frame)


def video_file(frames: Iterator[NDArray[np.uint8]]) -> bytes:
    file = BytesIO()
    with av.open(file, "w", format="webm", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libvpx-vp9", rate=15, options={"crf": "24", "b": "0", "cpu-used": "4"})
        stream.width, stream.height, stream.pix_fmt = 160, 96, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return file.getvalue()


# Sound


def tone(frequency: float, seconds: float, partials: tuple[float, ...]) -> NDArray[np.float64]:
    """A note with these strengths of its harmonics."""
    time = np.arange(int(seconds * MUSIC_RATE)) / MUSIC_RATE
    return sum(  # type: ignore[return-value]
        strength * np.sin(2 * np.pi * frequency * (index + 1) * time)
        for index, strength in enumerate(partials)
    )


def drone() -> NDArray[np.float64]:
    """Twelve seconds of a low fifth that swells; all frequencies fit the loop."""
    seconds = 12.0
    swell = 0.6 + 0.4 * np.sin(2 * np.pi * np.arange(int(seconds * MUSIC_RATE)) / MUSIC_RATE / 6)
    voices = [tone(f, seconds, (1, 0.5, 0.25, 0.12)) for f in (55, 82.5, 110.25)]
    return 0.11 * swell * sum(voices)


def waltz() -> NDArray[np.float64]:
    """Sixteen bars in three-four time, plucked, 12 seconds."""
    beat = 0.25
    total = np.zeros(int(48 * beat * MUSIC_RATE) + MUSIC_RATE)
    chords = ((60, 64, 67), (57, 60, 64), (65, 69, 72), (67, 71, 74))
    melody = (76, 0, 74, 72, 0, 69, 72, 0, 77, 74, 0, 71, 72, 0, 76, 79, 0, 76, 77, 0, 76, 74, 0, 71)
    for index in range(48):
        chord = chords[index // 3 % 4]
        notes = (chord[0] - 12,) if index % 3 == 0 else chord[1:]
        for note in (*notes, melody[index % len(melody)]):
            if note:
                start = int(index * beat * MUSIC_RATE)
                sound = pluck(440 * 2 ** ((note - 69) / 12))
                total[start : start + len(sound)] += sound
    loop = total[:-MUSIC_RATE]
    loop[:MUSIC_RATE] += total[-MUSIC_RATE:]  # the last notes ring into the first bar
    return 0.16 * loop


def pluck(frequency: float) -> NDArray[np.float64]:
    sound = tone(frequency, 0.9, (1, 0.35, 0.12))
    time = np.arange(len(sound)) / MUSIC_RATE
    return sound * np.exp(-5 * time) * np.minimum(1, time / 0.005)


def rain() -> NDArray[np.float64]:
    """Twelve seconds of drops that ring over two deep notes; the end joins the beginning."""
    seconds = 12.0
    total = 0.5 * (tone(73.5, seconds, (1, 0.3)) + tone(110.25, seconds, (1, 0.3)))
    rng = np.random.default_rng(10)
    for note in rng.choice((62, 65, 67, 69, 72, 74, 77), 30):
        drop = 0.8 * pluck(440 * 2 ** ((note + 5) / 12 - 69 / 12))
        places = (int(rng.random() * len(total)) + np.arange(len(drop))) % len(total)
        total[places] += drop
    return 0.12 * total


def bubble() -> NDArray[np.float64]:
    """Three drops, each a short note that rises."""
    return np.concatenate([glide(start, 2.4 * start, 0.09) for start in (300, 420, 560)])


def gong() -> NDArray[np.float64]:
    """A struck bronze: partials that are no harmonics, the high ones gone first."""
    time = np.arange(int(2.4 * MUSIC_RATE)) / MUSIC_RATE
    partials = ((1, 1.0), (1.48, 0.6), (2.09, 0.5), (2.56, 0.35), (3.9, 0.25))
    struck = sum(a * np.sin(2 * np.pi * 130 * f * time) * np.exp(-1.5 * f * time) for f, a in partials)
    return np.asarray(0.3 * struck * np.minimum(1, time / 0.004))


def grinding() -> NDArray[np.float64]:
    """Stone on stone: low noise that comes in jerks."""
    count = int(0.9 * MUSIC_RATE)
    hertz = np.fft.rfftfreq(count, 1 / MUSIC_RATE)
    noise = np.random.default_rng(11).standard_normal(count)
    low = np.fft.irfft(np.fft.rfft(noise) / (1 + (hertz / 220) ** 2), count)
    time = np.arange(count) / MUSIC_RATE
    jerks = 0.4 + 0.6 * np.abs(np.sin(2 * np.pi * 5 * time))
    return np.asarray(0.5 * low / np.abs(low).max() * jerks * np.sin(np.pi * time / time[-1]))


def splash() -> NDArray[np.float64]:
    """Noise that dies away over a note that falls."""
    fall = glide(500, 120, 0.4)
    time = np.arange(len(fall)) / MUSIC_RATE
    spray = np.random.default_rng(12).normal(0, 0.25, len(fall)) * np.exp(-11 * time)
    return np.asarray(0.6 * fall + spray)


def glide(start: float, end: float, seconds: float) -> NDArray[np.float64]:
    """A soft note from one pitch to another."""
    pitch = np.geomspace(start, end, int(seconds * MUSIC_RATE))
    phase = 2 * np.pi * np.cumsum(pitch) / MUSIC_RATE
    return np.asarray(0.5 * np.sin(phase) * np.sin(np.linspace(0, np.pi, len(pitch))))


def ogg_file(samples: NDArray[np.float64]) -> bytes:
    """Opus at 48 kbit/s."""
    file = BytesIO()
    whole = (samples.clip(-1, 1) * 32767).round().astype(np.int16)
    with av.open(file, "w", format="ogg", container_options={"fflags": "+bitexact"}) as container:
        stream = container.add_stream("libopus", rate=MUSIC_RATE, layout="mono")
        stream.bit_rate = 48_000
        frame = av.AudioFrame.from_ndarray(whole[None], format="s16", layout="mono")
        frame.sample_rate, frame.time_base, frame.pts = MUSIC_RATE, Fraction(1, MUSIC_RATE), 0
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def speech(text: str, voice: str, pitch: int) -> bytes:
    """A WAV file at 22,050 Hz, 140 words a minute."""
    with tempfile.TemporaryDirectory() as folder:
        wav = Path(folder, "speech.wav")
        command = ["espeak-ng", "-v", voice, "-s", "140", "-p", str(pitch), "-a", "80", "-w", str(wav), text]
        try:
            subprocess.run(command, check=True)  # noqa: S603 - only this script's own words
        except FileNotFoundError:
            sys.exit("espeak-ng is not installed: on Debian, apt-get install espeak-ng")
        return wav.read_bytes()


def flac_file(wav: bytes) -> bytes:
    file = BytesIO()
    with (
        av.open(BytesIO(wav), format="wav") as source,
        av.open(file, "w", format="flac", container_options={"fflags": "+bitexact"}) as container,
    ):
        stream = container.add_stream("flac", rate=source.streams.audio[0].rate, layout="mono")
        for frame in source.decode(audio=0):
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def media() -> Iterator[tuple[str, bytes]]:
    """Every media file of the examples: path and content."""
    lantern_png, drone_ogg = picture_file(lantern, "PNG"), ogg_file(drone())
    for world in ("lantern-caves", "strobe-lever"):
        yield f"{world}/lantern.png", lantern_png
        yield f"{world}/drone.ogg", drone_ogg
    yield "mossy-steps/moss.png", picture_file(moss, "PNG")
    yield "top-garden/garden.jpg", picture_file(garden, "JPEG")
    yield "top-garden/flower.webp", picture_file(flower, "WEBP")
    yield "frost-run/snow.webm", video_file(snow())
    yield "moon-market/market.png", picture_file(market, "PNG")
    yield "moon-market/waltz.ogg", ogg_file(waltz())
    yield "moon-market/welcome.flac", flac_file(speech(WELCOME, "en-us+f3", 55))
    yield "drowned-temple/temple.png", picture_file(temple, "PNG")
    yield "drowned-temple/rain.ogg", ogg_file(rain())
    for effect in (bubble, gong, grinding, splash):
        yield f"drowned-temple/{effect.__name__}.ogg", ogg_file(effect())
    yield "windy-heights/peaks.jpg", picture_file(peaks, "JPEG")
    yield "windy-heights/climber.png", picture_file(climber, "PNG")
    yield "back-room/brick.png", picture_file(brick, "PNG")
    yield "back-room/notice.png", picture_file(notice, "PNG")
    yield "far-voice/coast.png", picture_file(coast, "PNG")
    yield "far-voice/keeper.wav", speech(THREAT, "en-us", 45)


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent
    for name, content in media():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        print(f"{name}: {len(content):,} bytes")


if __name__ == "__main__":
    main()
