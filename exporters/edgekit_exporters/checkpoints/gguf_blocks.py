"""Quantized blocks of GGUF that an `Encoding` holds exactly: whole numbers times one scale per block.

The layouts: https://github.com/ggml-org/ggml/blob/master/src/ggml-common.h (block_q4_0, block_q5_0, block_q8_0; a block
begins with its scale as float16). Blocks with a minimum of their own (Q4_1, K-quants) have no such encoding.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from edgekit_exporters.quantization import Encoded, Encoding
from edgekit_exporters.weights import Float32

ENCODINGS = {
    "Q4_0": Encoding(4, block=32),
    "Q5_0": Encoding(8, block=32),
    "Q8_0": Encoding(8, block=32),
}
"""The encoding of each such type; five bits fit into eight."""


def blocks_as(
    encoding: Encoding, kind: str, raw: npt.NDArray[np.uint8], dequantized: Float32, block_bytes: int
) -> Encoded | None:
    """Return blocks in an encoding, None where it does not hold exactly these values.

    Args:
        encoding: Any; where it wants smaller blocks, those of the file are cut.
        kind: The ggml type's name.
        raw: uint8 [rows, bytes of a row], as in the file.
        dequantized: float32 [rows, columns], the values they stand for.
        block_bytes: Bytes of one block.
    """
    own = ENCODINGS.get(kind)
    if own is None or own.block is None or encoding.bits != own.bits or encoding.plain_scales:
        return None
    if encoding.block is None or own.block % encoding.block:
        return None
    rows, columns = dequantized.shape
    scales = raw.reshape(-1, block_bytes)[:, :2].copy().view("<f2").astype(np.float32)
    blocks = dequantized.reshape(-1, own.block)
    values = np.rint(np.divide(blocks, scales, out=np.zeros_like(blocks), where=scales != 0))
    half = 1 << own.bits - 1
    if not (np.array_equal(values * scales, blocks) and values.min() >= -half and values.max() < half):
        return None
    scales = np.repeat(scales.reshape(rows, -1), own.block // encoding.block, axis=1)
    if not encoding.zero_point:
        return Encoded(values.astype(np.int8).reshape(rows, columns), scales)
    unsigned = (values + half).astype(np.uint8).reshape(rows, columns)
    return Encoded(unsigned, scales, np.full(scales.shape, half, np.uint8))
