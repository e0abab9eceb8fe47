"""Who need not have what was promised on its behalf: a member that failed before it could have it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from aiocpg import Address
from evs.sim.history import Life
from evs.sim.stays import Signature, Stay


class Excused:
    """
    Knows where members failed. Who has been in a configuration, and failed on a later ring, has had all of it. On one
    ring nothing tells: there may have been the same members twice, and it failed between.

    Args:
        lives: All of them.
        all_stays: The same, cut.
        strangers: Addresses of which nothing is demanded.
    """

    def __init__(
        self, lives: Sequence[Life], all_stays: dict[Address, list[Stay]], strangers: Collection[Address]
    ) -> None:
        stays = [stay for there in all_stays.values() for stay in there]
        self._strangers = frozenset(strangers)
        self._failed = frozenset(life.me for life in lives if life.end.is_failure)
        self._been = {(stay.life.me, stay.signature) for stay in stays}
        self._last = {
            (stay.life.me, stay.configuration.ring_id)
            for stay in stays
            if stay.life.end.is_failure and stay.following is None
        }

    def has_been(self, member: Address, signature: Signature) -> bool:
        """Whether it has been in this configuration."""
        return (member, signature) in self._been

    def is_excused(self, member: Address, signature: Signature) -> bool:
        """Whether it need not have what was delivered to others in this configuration."""
        if member in self._strangers or (member, signature[0]) in self._last:
            return True
        return member in self._failed and (member, signature) not in self._been
