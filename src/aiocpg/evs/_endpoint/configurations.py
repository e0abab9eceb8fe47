"""From views to the configurations that readers get: numbers, nodes, and who came along."""

from __future__ import annotations

from aiocpg._events import Address
from aiocpg.evs._endpoint.view import View
from aiocpg.evs._values import RegularConfiguration, TransitionalConfiguration


class Numbering:
    """Makes the configurations of an endpoint, numbered from 1, through all its lives."""

    def __init__(self) -> None:
        self._number = 0
        self._nodes: frozenset[int] = frozenset()

    def first(self, view: View, me: Address) -> RegularConfiguration:
        """The configuration in which it comes, seen as the others see it: it is the one that joined."""
        self._nodes = frozenset(view.ring.nodes) - {me.nodeid}
        return self.regular(view, view.members - {me})

    def transitional(
        self, old: View, following: View | None, together: frozenset[Address], *, is_verified: bool
    ) -> TransitionalConfiguration:
        """The end of a configuration, for those who go on together; ``following`` is None where we do not."""
        ring = frozenset(old.ring.nodes)
        if following is None:
            self._nodes = frozenset(address.nodeid for address in together)
        else:
            self._nodes = following.nodes_along
        nodes, left = sorted(self._nodes), sorted(ring - self._nodes)
        members, gone = sorted(together), sorted(old.members - together)
        return TransitionalConfiguration(
            self._number, old.ring.ring_id, tuple(nodes), tuple(left), tuple(members), tuple(gone), is_verified
        )

    def regular(self, view: View, together: frozenset[Address]) -> RegularConfiguration:
        """The next configuration, of those who went on together and those who came."""
        self._number += 1
        joined = sorted(set(view.ring.nodes) - self._nodes)
        return RegularConfiguration(
            self._number,
            view.ring.ring_id,
            view.ring.nodes,
            tuple(joined),
            tuple(sorted(view.members)),
            tuple(sorted(view.members - together)),
        )
