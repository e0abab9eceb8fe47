"""Groups from start to end, without a framework."""

from __future__ import annotations

import pytest

import aiocpg
from aiocpg._service import encoded, joined
from aiocpg.testing import ClusterNode
from support.web import fresh_world

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]


def test_text_and_its_bytes_are_one_name() -> None:
    """Groups are found by what travels."""
    assert encoded("größe") == "größe".encode() == encoded("größe".encode())


async def test_groups_are_joined_in_order_and_left_together() -> None:
    """Over one connection, on every loop."""
    url = fresh_world()
    async with joined(["b", b"a"], url, 30, None, None, {}) as service:
        assert list(service.groups) == [b"b", b"a"]
        assert {group.me for group in service.groups.values()} == {service.groups[b"a"].me}
    assert {repr(group).rpartition(" ")[2] for group in service.groups.values()} == {"closed>"}


async def test_failed_join_gives_the_others_up() -> None:
    """The second name cannot be; nobody stays in the first."""
    url = fresh_world()
    async with aiocpg.connect(url) as cpg, cpg.join("taken"):
        with pytest.raises(aiocpg.GroupNameError):
            async with joined(["first", ""], url, 30, None, None, {}):
                pass
        assert set(await cpg.groups()) == {b"taken"}


async def test_error_of_the_body_is_kept(node: ClusterNode, monkeypatch: pytest.MonkeyPatch) -> None:
    """A service that fails leaves in order all the same."""
    monkeypatch.setattr(aiocpg, "connect", lambda url, **options: node.connect(**options))
    with pytest.raises(KeyError):
        async with joined(["orders"], None, 30, None, None, {}):
            raise KeyError("a fault")
    async with node.connect() as cpg:
        assert await cpg.members("orders") == ()
