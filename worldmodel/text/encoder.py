"""MiniLM-L6-v2 in 8 bits: a phrase to a vector of length 1. The weights come from :mod:`worldmodel.store`."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from worldmodel.store import model_path

if TYPE_CHECKING:
    import onnxruntime
    from tokenizers import Tokenizer

WIDTH = 384
_MOST_TOKENS = 64
"""A clause is shorter; what is longer is read up to here."""


@lru_cache(maxsize=1)
def _loaded() -> tuple[Tokenizer, onnxruntime.InferenceSession]:
    import onnxruntime
    from tokenizers import Tokenizer

    # Missing weights raise ModelMissing here, which names the command that fetches them.
    weights, tokens = model_path("text-encoder"), model_path("text-tokens")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(tokens))
    tokenizer.no_padding()
    tokenizer.enable_truncation(_MOST_TOKENS)
    return tokenizer, session


@lru_cache(maxsize=16384)
def embed(phrase: str) -> NDArray[np.float32]:
    """(WIDTH,) of length 1: the mean over the words of the phrase. Do not write to it.

    One phrase at a time: the 8-bit scale is taken over the whole batch, so that neighbours would change it.
    Raises ModelMissing or ModelCorrupt.
    """
    tokenizer, session = _loaded()
    encoding = tokenizer.encode(phrase.lower())
    ids = np.array([encoding.ids], np.int64)
    inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
    (states,) = session.run(None, inputs)  # (1, T, WIDTH)
    mean = states[0].mean(axis=0, dtype=np.float64)
    vector: NDArray[np.float32] = (mean / np.linalg.norm(mean)).astype(np.float32)
    vector.flags.writeable = False
    return vector
