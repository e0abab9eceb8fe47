"""C programs on libcpg and aiocpg are members of one group, and all see one history."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from itertools import groupby
from pathlib import Path

import anyio
import pytest

from aiocpg import Group, MessageTooBigError
from aiocpg.testing import CorosyncCluster
from interop.c_member import CMember, Plan, compile_member, options_of, start_member
from interop.history import Delivery, Record, Sent, check
from interop.our_member import Send, contents_of, run_member, send_in_batches, send_in_pieces, send_one_by_one

pytestmark = pytest.mark.anyio

TOKEN_OF_CLUSTER = 3_000  # nothing here waits for a node to be missed

MAX_ATOMIC = 1_047_552
LARGE = 3_000_000
NODES = (1, 2, 3)


@pytest.fixture(scope="session")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Compile the C member once."""
    return compile_member(tmp_path_factory.mktemp("interop"))


class Scenario:
    """Members of both kinds in one group; all wait for all, send, and see everything."""

    def __init__(self, program: Path, cluster: CorosyncCluster, directory: Path, group: bytes) -> None:
        self._program, self._cluster, self._directory, self._group = program, cluster, directory, group

    async def play(self, c_plans: Mapping[int, Plan], our_plans: Mapping[int, tuple[Plan, Send]]) -> list[Record]:
        """Run members by node and plan, check that they saw one history, and return it."""
        plans = [*c_plans.values(), *(plan for plan, _ in our_plans.values())]
        everybody, total = len(plans), sum(len(plan.messages()) for plan in plans)
        async with AsyncExitStack() as stack:
            groups = {nodeid: await self._join(stack, nodeid) for nodeid in our_plans}
            started = {
                nodeid: self._start(nodeid, options_of(plan, members=everybody, expected=total))
                for nodeid, plan in c_plans.items()
            }
            histories: dict[str, list[Record]] = {}

            async def follow_c(nodeid: int) -> None:
                histories[f"C on {nodeid}"] = await started[nodeid].finish()

            async def follow_ours(nodeid: int) -> None:
                plan, send = our_plans[nodeid]
                seen = await run_member(groups[nodeid], plan, send, members=everybody, expected=total)
                histories[f"aiocpg on {nodeid}"] = seen

            with anyio.fail_after(120):
                async with anyio.create_task_group() as tasks:
                    for nodeid in c_plans:
                        tasks.start_soon(follow_c, nodeid)
                    for nodeid in our_plans:
                        tasks.start_soon(follow_ours, nodeid)
        check(histories, _sent(started, c_plans, groups, our_plans))
        assert len(histories) == everybody
        return histories.popitem()[1]

    async def _join(self, stack: AsyncExitStack, nodeid: int) -> Group:
        cpg = await stack.enter_async_context(self._cluster.node(nodeid).connect())
        return await stack.enter_async_context(cpg.join(self._group))

    def _start(self, nodeid: int, options: list[str]) -> CMember:
        record = self._directory / f"record-{nodeid}"
        return start_member(self._program, self._cluster.node(nodeid), record, self._group, *options)


@pytest.fixture
def scenario(program: Path, cluster: CorosyncCluster, tmp_path: Path) -> Scenario:
    """Provide a group with a name like any other."""
    return Scenario(program, cluster, tmp_path, b"interop")


def _sent(
    started: Mapping[int, CMember],
    c_plans: Mapping[int, Plan],
    groups: Mapping[int, Group],
    our_plans: Mapping[int, tuple[Plan, Send]],
) -> Sent:
    by_c = {member.address: contents_of(member.address, c_plans[nodeid]) for nodeid, member in started.items()}
    return by_c | {group.me: contents_of(group.me, our_plans[nodeid][0]) for nodeid, group in groups.items()}


def lengths(history: list[Record]) -> list[int]:
    """Return the sizes of the messages in a history, sorted."""
    return sorted(record.content.length for record in history if isinstance(record, Delivery))


def turns(history: list[Record]) -> int:
    """Return how often the sender changes from one message to the next, the first sender included."""
    senders = [record.sender for record in history if isinstance(record, Delivery)]
    return sum(1 for _ in groupby(senders))


async def test_all_members_see_one_history_when_both_kinds_send_at_once(scenario: Scenario) -> None:
    """Six members on three nodes send 10 000 messages each; each gets all 60 000, all in one order."""
    ours = {1: send_one_by_one, 2: send_in_pieces, 3: send_in_batches}
    history = await scenario.play(
        {nodeid: Plan(count=10_000, size=size) for nodeid, size in zip(NODES, (64, 300, 1600), strict=True)},
        {nodeid: (Plan(count=10_000, size=60 + nodeid), send) for nodeid, send in ours.items()},
    )
    assert len(lengths(history)) == 60_000
    assert turns(history) > 6, "the members sent one after another"


async def test_names_with_a_trailing_nul_are_groups_of_their_own_when_c_peers_use_them(
    program: Path, cluster: CorosyncCluster, tmp_path: Path
) -> None:
    """Pacemaker's names count their NUL: we meet C members there, and nothing of it is seen in the group without."""
    async with cluster.node(3).connect() as cpg, cpg.join(b"crmd") as bare:
        messages = bare.messages()
        plans = {1: Plan(count=10)}, {2: (Plan(count=10), send_one_by_one)}
        await Scenario(program, cluster, tmp_path, b"crmd\0").play(*plans)
        assert bare.members == (bare.me,)
        await bare.mcast(b"the only one")
        message = await anext(messages)
        assert (message.group, message.position, message.data) == (b"crmd", 1, b"the only one")


async def test_empty_messages_arrive_in_place_when_both_kinds_send_them(scenario: Scenario) -> None:
    """Messages of no bytes go both ways, between others, none lost."""
    plan = Plan(count=50, empty=100)
    history = await scenario.play({1: plan}, {2: (plan, send_one_by_one), 3: (plan, send_in_batches)})
    assert lengths(history) == [0] * 300 + [64] * 150


async def test_messages_of_the_greatest_atomic_size_arrive_when_both_kinds_send_them(scenario: Scenario) -> None:
    """Exactly the limit goes out in one piece, from us by every way of sending."""
    plan = Plan(count=4, size=MAX_ATOMIC)
    ours = {1: (plan, send_in_batches), 2: (plan, send_in_pieces), 3: (plan, send_one_by_one)}
    assert lengths(await scenario.play({1: plan}, ours)) == [MAX_ATOMIC] * 16


async def test_mcast_refuses_a_message_when_it_is_one_byte_above_the_limit(cluster: CorosyncCluster) -> None:
    """The limit is the daemon's; a refused message is not sent, the next one is the group's first."""
    async with cluster.node(1).connect() as cpg, cpg.join(b"limit") as group:
        assert group.max_message_size == cpg.max_message_size == MAX_ATOMIC
        messages = group.messages()
        with pytest.raises(MessageTooBigError) as caught:
            await group.mcast(bytes(MAX_ATOMIC), b"!")
        assert (caught.value.size, caught.value.limit) == (MAX_ATOMIC + 1, MAX_ATOMIC)
        await group.mcast(b"small")
        message = await anext(messages)
        assert (message.data, message.position) == (b"small", 1)


async def test_a_message_one_byte_above_the_limit_arrives_when_sent_natively(scenario: Scenario) -> None:
    """``native=True`` sends what ``mcast`` refuses, and C peers and we put it together again."""
    history = await scenario.play(
        {1: Plan()}, {2: (Plan(count=2, size=MAX_ATOMIC + 1), send_one_by_one), 3: (Plan(), send_one_by_one)}
    )
    assert lengths(history) == [MAX_ATOMIC + 1] * 2


async def test_large_messages_arrive_whole_when_both_kinds_send_them(scenario: Scenario) -> None:
    """Fragmented messages of C peers reach us and ours reach them, between small ones of all."""
    plan = Plan(count=200, size=500, large=LARGE)
    history = await scenario.play(
        {1: plan, 2: plan}, {2: (plan, send_one_by_one), 3: (plan, send_one_by_one), 1: (Plan(), send_one_by_one)}
    )
    assert lengths(history) == [500] * 800 + [LARGE] * 4
