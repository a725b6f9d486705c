"""`routing.fraction` for whole columns of request ids, inside DuckDB."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from costlab.compiled import compiled


@compiled
def _hash(ends: NDArray[Any], letters: NDArray[np.uint8], out: NDArray[np.uint32]) -> None:
    for i in range(len(ends) - 1):
        value = np.uint32(0x811C9DC5)
        for j in range(ends[i], ends[i + 1]):
            value = np.uint32((value ^ np.uint32(letters[j])) * np.uint32(0x01000193))
        value = np.uint32((value ^ (value >> np.uint32(16))) * np.uint32(0x85EBCA6B))
        value = np.uint32((value ^ (value >> np.uint32(13))) * np.uint32(0xC2B2AE35))
        out[i] = value ^ (value >> np.uint32(16))


def places(ids: Any) -> Any:
    """Return 2^32 · `routing.fraction` of each id of an Arrow array, as UINT32; an absent id as "".

    >>> import pyarrow as pa
    >>> from costlab import routing
    >>> places(pa.array(["a1"]))[0].as_py() / 2**32 == routing.fraction("a1")
    True
    """
    import pyarrow as pa

    if isinstance(ids, pa.ChunkedArray):
        ids = ids.combine_chunks()
    ids = ids.cast(pa.large_string())
    _, ends, letters = ids.buffers()
    out = np.empty(len(ids), dtype=np.uint32)
    if len(ids):
        reached = np.frombuffer(ends, np.int64)[ids.offset : ids.offset + len(ids) + 1]
        _hash(reached, np.frombuffer(letters, np.uint8) if letters else _NONE, out)
    return pa.array(out)


_NONE = np.zeros(0, dtype=np.uint8)


def prepare(connection: Any) -> None:
    """Make the SQL function ``place`` known to a connection of `store.analysis`."""
    connection.create_function(
        "place", places, ["VARCHAR"], "UINTEGER", type="arrow", null_handling="special"
    )
