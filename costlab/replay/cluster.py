"""The same function over many items on a Ray cluster: shards of a log, sweeps, simulations."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from costlab.core import CostlabError, InvalidArgument

Item = TypeVar("Item")
Out = TypeVar("Out")
TRIES = 4
"""A task whose worker is lost starts again on another, this often in all."""


@contextmanager
def _connected(address: str | None) -> Iterator[Any]:
    try:
        import ray
    except ImportError as error:
        raise InvalidArgument(
            "ray is not installed: install costlab[cluster], or replay with --engine duckdb"
        ) from error
    mine = not ray.is_initialized()
    if mine:
        try:
            ray.init(
                address=address,
                include_dashboard=None if address else False,
                logging_level=logging.ERROR,
                log_to_driver=False,
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            where = address or "this machine"
            raise CostlabError(f"no Ray cluster at {where}: {error}") from error
    try:
        yield ray
    finally:
        if mine:
            ray.shutdown()


def map(
    function: Callable[[Item], Out], items: Sequence[Item], *, address: str | None = None
) -> list[Out]:
    """Return ``function`` of every item, in order, worked out on a Ray cluster.

    ``address`` is that of its head, such as ``10.0.0.1:6379``; None starts one on this machine. A
    lost worker costs only the items it had: they start again elsewhere. Errors of ``function`` are
    raised as they are. Every process needs the same costlab.
    """
    with _connected(address) as ray:
        task = ray.remote(max_retries=TRIES - 1, num_cpus=1)(_guarded)
        shared = ray.put(function)
        done = ray.get([task.remote(shared, item) for item in items])
    for error, _ in done:
        if error is not None:
            raise error
    return [result for _, result in done]


def _guarded(function: Callable[[Any], Any], item: Any) -> tuple[CostlabError | None, Any]:
    try:
        return None, function(item)
    except CostlabError as error:
        return error, None
