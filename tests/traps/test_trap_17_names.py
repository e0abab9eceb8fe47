"""Trap 17: libcpg takes any name for a group, and some of them make ghosts, or a group apart."""

from __future__ import annotations

import anyio
import pytest

from aiocpg import Address, Connection, GroupNameError, MembershipLostError, lowlevel
from aiocpg.testing import ClusterNode
from support.handles import inside
from traps.child import naive

pytestmark = pytest.mark.anyio

BAD: list[bytes | str] = ["", b"", "x" * 128, b"x" * 128, "ä" * 64]
GOOD: list[bytes | str] = ["x", "x" * 127, "ä" * 63, b"crmd\0", b"\0", b"\xff"]


async def test_empty_name_is_refused_because_it_makes_a_ghost(fresh_node: ClusterNode) -> None:
    """A naive member of the group without a name stays in it for ever after its end; ours cannot join it."""
    async with fresh_node.connect() as cpg:
        with naive(fresh_node, "trap_17_names") as wrapper, naive(fresh_node, "trap_17_names", b"named".hex()) as other:
            assert [await wrapper.says("status"), await other.says("status")] == ["1", "1"]
            wrapper.tell("end")
            other.tell("end")
            await wrapper.ends_well()
            await other.ends_well()
        await gone(cpg, b"named")
        for name in BAD:
            with pytest.raises(GroupNameError):
                await cpg.join(name)
        for good in GOOD:
            async with cpg.join(good) as group:
                assert group.name == (good if isinstance(good, bytes) else good.encode())
                assert group.members == (group.me,)
        assert dict(await cpg.groups()) == {b"": (Address(1, wrapper.pid),)}


async def gone(cpg: Connection, name: bytes) -> None:
    """Wait until a group has no members; the daemon needs a moment to see that a program has ended."""
    with anyio.fail_after(30):
        while await cpg.members(name):  # noqa: ASYNC110 - a member would be told, and there must be none
            await anyio.sleep(0.01)


async def test_trailing_nul_is_kept(fresh_node: ClusterNode) -> None:
    """A group of Pacemaker's ends in NUL. Who strips it is in another group; ours meets its members."""
    async with fresh_node.connect() as cpg:
        with naive(fresh_node, "trap_17_names", b"crmd\0".hex()) as pacemaker:
            await pacemaker.says("status")
            with naive(fresh_node, "trap_17_names", b"crmd".hex()) as stripped:
                await stripped.says("status")
                async with cpg.join(b"crmd\0") as group:
                    assert {member.pid for member in group.members} == {pacemaker.pid, group.me.pid}
                async with cpg.join("crmd") as group:
                    assert {member.pid for member in group.members} == {stripped.pid, group.me.pid}


async def test_leave_needs_no_name(fresh_node: ClusterNode) -> None:
    """A wrong name evicts another and makes a ghost; ours takes none, and tells who is evicted."""
    async with fresh_node.connect() as cpg:
        with naive(fresh_node, "trap_17_wrong_leave") as wrapper:
            assert await wrapper.says("evicted") == ""
            wrapper.tell("end")
            await wrapper.ends_well()
            assert dict(await cpg.groups()) == {b"first": (Address(1, wrapper.pid),)}

        async with cpg.join("ours") as group:
            stranger = inside(fresh_node, lowlevel.initialize)
            lowlevel.join(stranger, "strangers")
            lowlevel.leave(stranger, "ours")
            with anyio.fail_after(30), pytest.raises(MembershipLostError, match="by a wrong name"):
                async for _ in group:
                    pass
            lowlevel.finalize(stranger)
