"""An inverted file of Faiss: vectors rounded to 8 bits, in cells around centroids of which the nearest are searched.

Of what Faiss has, this is built fastest and needs a quarter of the vectors' size; HNSW takes several times as long, and
more room than the vectors. Faiss's own files are not used: their reader is C++ that trusts them, and a knowledge base
may come from a stranger. The parts are arrays that are checked here before the index is put together.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from edgekit.errors import MissingExtraError
from edgekit.knowledge.nearest import Float32, Index, Int64
from edgekit.kvfile import StateError, read_state, write_state

LARGE = 20_000
"""Rows from which looking at every one takes longer than other parts of a search."""
STALE = 0.2
"""A share of rows beyond the index from which it is made again."""
SEARCHED = 16
"""One cell in so many is searched."""
_SEED = 1


def installed() -> bool:
    """Whether Faiss can be imported."""
    return importlib.util.find_spec("faiss") is not None


def build(vectors: Float32, path: Path, identity: str) -> None:
    """Make an index of all rows and write its arrays; the file is whole or absent.

    Raises:
        MissingExtraError: Faiss is not installed.
        EdgekitError: the file cannot be written.
    """
    faiss = _faiss()
    rows, width = vectors.shape
    index = _empty(faiss, width, cells(rows))
    # Means of 64 vectors are as good as of 256, and found in a quarter of the time.
    index.cp.max_points_per_centroid, index.cp.niter, index.cp.seed = 64, 10, _SEED
    index.train(vectors)
    index.add(vectors)
    lists = index.invlists
    sizes = [lists.list_size(cell) for cell in range(index.nlist)]
    arrays = {
        "centroids": index.quantizer.reconstruct_n(0, index.nlist),
        "ranges": faiss.vector_to_array(index.sq.trained),
        "sizes": np.asarray(sizes, np.int32),
        "rows": np.concatenate([_array(lists.get_ids(cell), size, faiss) for cell, size in enumerate(sizes)]),
        "codes": np.concatenate([_codes(lists, cell, size, width, faiss) for cell, size in enumerate(sizes)]),
    }
    write_state(path, identity, [], arrays | {"rows": arrays["rows"].astype(np.int32)})


def load(path: Path, identity: str, width: int) -> Index | None:
    """Put an index together from its file; None where there is none of this identity, or a damaged one.

    An index only saves time, so one that cannot be used is no error: every row is looked at instead.
    """
    if path.is_symlink() or not path.is_file() or not installed():
        return None
    try:
        return _assembled(_faiss(), read_state(path, identity).arrays, width)
    except StateError:
        return None


def cells(rows: int) -> int:
    """Return the number of cells for so many rows."""
    return max(1, round(1.6 * rows**0.5))


def _assembled(faiss: Any, arrays: dict[str, npt.NDArray[Any]], width: int) -> Index | None:  # noqa: ANN401 - untyped
    if not _sound(arrays, width):
        return None
    sizes, rows, codes = arrays["sizes"], arrays["rows"].astype(np.int64), np.ascontiguousarray(arrays["codes"])
    index = _empty(faiss, width, len(sizes))
    index.quantizer.add(np.ascontiguousarray(arrays["centroids"]))
    faiss.copy_array_to_vector(np.ascontiguousarray(arrays["ranges"]), index.sq.trained)
    index.is_trained = True
    start = 0
    for cell, size in enumerate(sizes.tolist()):
        if size:
            own_rows, own_codes = rows[start : start + size], codes[start : start + size]
            index.invlists.add_entries(cell, size, faiss.swig_ptr(own_rows), faiss.swig_ptr(own_codes))
        start += size
    index.ntotal = len(rows)
    index.nprobe = max(8, len(sizes) // SEARCHED)

    def candidates(query: Float32, count: int) -> Int64:
        found: Int64 = index.search(np.ascontiguousarray(query[None]), min(count, len(rows)))[1][0]
        return found[found >= 0]

    return Index(len(rows), candidates)


def _sound(arrays: dict[str, npt.NDArray[Any]], width: int) -> bool:
    """Whether arrays are those of an index: Faiss itself would read beyond them."""
    kinds = {"centroids": "float32", "ranges": "float32", "sizes": "int32", "rows": "int32", "codes": "uint8"}
    if {name: str(array.dtype) for name, array in arrays.items()} != kinds:
        return False
    sizes, rows = arrays["sizes"], arrays["rows"]
    if sizes.ndim != 1 or rows.ndim != 1 or not len(sizes) or not len(rows):
        return False
    shapes = (
        arrays["centroids"].shape == (len(sizes), width)
        and arrays["ranges"].shape == (2 * width,)
        and arrays["codes"].shape == (len(rows), width)
    )
    whole = int(sizes.min()) >= 0 and int(sizes.sum(dtype=np.int64)) == len(rows)
    return shapes and whole and bool((np.sort(rows) == np.arange(len(rows))).all())


def _empty(faiss: Any, width: int, count: int) -> Any:  # noqa: ANN401 - faiss is untyped
    quantizer = faiss.IndexFlatIP(width)
    kind = faiss.ScalarQuantizer.QT_8bit
    return faiss.IndexIVFScalarQuantizer(quantizer, width, count, kind, faiss.METRIC_INNER_PRODUCT)


def _array(pointer: Any, size: int, faiss: Any) -> Int64:  # noqa: ANN401 - pointers of SWIG
    return np.array(faiss.rev_swig_ptr(pointer, size)) if size else np.zeros(0, np.int64)


def _codes(lists: Any, cell: int, size: int, width: int, faiss: Any) -> npt.NDArray[np.uint8]:  # noqa: ANN401
    flat = np.array(faiss.rev_swig_ptr(lists.get_codes(cell), size * width)) if size else np.zeros(0, np.uint8)
    return flat.reshape(size, width)


def _faiss() -> Any:  # noqa: ANN401 - untyped
    try:
        import faiss
    except ImportError as error:
        raise MissingExtraError("faiss-cpu", "an index of many vectors", "rag") from error
    return faiss
