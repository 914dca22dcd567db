"""The network: a MiniLM encoder (Wang et al., 2020) with fewer words, and one score for a text.

Weights are kept in whole numbers of 8 bits with a scale for each row, and computed with in 32.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from torch import Tensor, nn

FOLDER = Path(__file__).parent / "weights"
WEIGHTS, VOCABULARY = FOLDER / "menace.safetensors", FOLDER / "vocabulary.txt"
TOKENS = 64
"""Word pieces of a text at most, its start and end included; what is longer is cut."""
PAD, UNKNOWN, START, END = "[PAD]", "[UNK]", "[CLS]", "[SEP]"
SCALE = ".scale"
"""End of the name of a tensor's scales."""


@dataclass(frozen=True)
class Size:
    """Of MiniLM-L6."""

    width: int = 384
    heads: int = 12
    inner: int = 1536
    layers: int = 6
    positions: int = 512
    dropout: float = 0.1


class Menace(nn.Module):
    """(B, T) word pieces, 0 where a text has ended, to logits (B,) that a text menaces who reads it."""

    def __init__(self, words: int, size: Size | None = None) -> None:
        super().__init__()
        size = size or Size()
        self.words = nn.Embedding(words, size.width)
        self.places = nn.Embedding(size.positions, size.width)
        self.norm = nn.LayerNorm(size.width, 1e-12)
        self.drop = nn.Dropout(size.dropout)
        layer = nn.TransformerEncoderLayer(
            size.width, size.heads, size.inner, size.dropout, "gelu", 1e-12, batch_first=True
        )
        self.layers = nn.TransformerEncoder(layer, size.layers, enable_nested_tensor=False)
        self.score = nn.Linear(size.width, 1)

    def forward(self, pieces: Tensor) -> Tensor:
        there = pieces != 0
        places = self.places.weight[: pieces.shape[1]]
        x = self.layers(self.drop(self.norm(self.words(pieces) + places)), src_key_padding_mask=~there)
        mean = (x * there[..., None]).sum(1) / there.sum(1, keepdim=True)
        logits: Tensor = self.score(self.drop(mean))[:, 0]
        return logits


def tokenizer(vocabulary: Sequence[str]) -> Tokenizer:
    """BERT's: lower-case word pieces, the longest that are in the vocabulary. Its first entry is PAD."""
    numbers = {word: number for number, word in enumerate(vocabulary)}
    made = Tokenizer(models.WordPiece(numbers, unk_token=UNKNOWN))
    made.normalizer = normalizers.BertNormalizer()
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    return made


class Pieces:
    """Texts to word pieces."""

    def __init__(self, vocabulary: Sequence[str]) -> None:
        self._tokenizer = tokenizer(vocabulary)
        self._start, self._end = vocabulary.index(START), vocabulary.index(END)

    def __call__(self, texts: Sequence[str]) -> Tensor:
        """(B, T) int64, padded with 0; T is that of the longest, at most TOKENS."""
        rows = [
            [self._start, *one.ids[: TOKENS - 2], self._end]
            for one in self._tokenizer.encode_batch(list(texts))
        ]
        pieces = torch.zeros(len(rows), max(map(len, rows)), dtype=torch.int64)
        for row, ids in enumerate(rows):
            pieces[row, : len(ids)] = torch.tensor(ids)
        return pieces


def to_bytes(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Matrices as int8 with a float32 scale for each row; all else as float32."""
    kept: dict[str, Tensor] = {}
    for name, tensor in state.items():
        if tensor.ndim < 2:
            kept[name] = tensor.float().contiguous()
            continue
        scale = (tensor.abs().amax(1, keepdim=True) / 127).clamp_min(1e-12)
        kept[name] = (tensor / scale).round().to(torch.int8)
        kept[name + SCALE] = scale
    return kept


def from_bytes(kept: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reverse of :func:`to_bytes`, but for rounding."""
    return {
        name: tensor.float() * kept[name + SCALE] if name + SCALE in kept else tensor
        for name, tensor in kept.items()
        if not name.endswith(SCALE)
    }


def load(weights: Path = WEIGHTS, vocabulary: Path = VOCABULARY) -> tuple[Menace, Pieces]:
    """The trained network in eval mode, and its words."""
    from safetensors.torch import load_file

    words = vocabulary.read_text(encoding="utf-8").splitlines()
    network = Menace(len(words))
    network.load_state_dict(from_bytes(load_file(weights)))
    return network.eval(), Pieces(words)
