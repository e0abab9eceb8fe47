"""S3: all deliveries of all members fit into one order, and each sender's into its own."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from graphlib import CycleError, TopologicalSorter

from aiocpg import Address, Guarantee
from evs.sim.history import Got, Life, Violation


def check(lives: Sequence[Life]) -> None:
    """Check the order of all that has a place in it."""
    graph: TopologicalSorter[int] = TopologicalSorter()
    large = {sent.message for life in lives for sent in life.sent if sent.is_large}
    for life in lives:
        ordered = [one for one in life.events if isinstance(one, Got) and one.guarantee != Guarantee.UNORDERED]
        for before, after in itertools.pairwise(ordered):
            graph.add(after.message, before.message)
        _check_senders(life, ordered, large)
    try:
        graph.prepare()
    except CycleError as error:
        raise Violation("S3", f"no order has all of these: {error.args[1]}") from None


def _check_senders(life: Life, ordered: Sequence[Got], large: set[int]) -> None:
    newest: dict[tuple[Address, bool], int] = {}
    for got in ordered:
        stream = got.sender, got.message in large
        if newest.get(stream, -1) > got.message:
            raise Violation("S3", f"{life} delivered {got} behind {newest[stream]} of the same sender")
        newest[stream] = got.message
