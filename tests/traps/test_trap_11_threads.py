"""Trap 11: two threads that send on one handle corrupt the ring they share with corosync."""

from __future__ import annotations

import anyio
import anyio.to_thread
import pytest

from aiocpg import Group, UsageError
from aiocpg.testing import ClusterNode
from traps.child import naive

pytestmark = pytest.mark.anyio

TASKS = 8
MESSAGES = 500


async def test_tasks_share_a_group_and_threads_are_refused(fresh_node: ClusterNode) -> None:
    """A naive pool loses or garbles messages, or the connection; of ours all arrive, each task's in order."""
    with naive(fresh_node, "trap_11_thread_pool") as wrapper:
        await wrapper.says("member")
        wrapper.tell("go")
        # Often the harm is libcpg's own: the process is killed by a signal, or ends by an error of the wrapper.
        assert await wrapper.ends() != 0 or await wrapper.says("harm")

    async with fresh_node.connect() as cpg, cpg.join("group") as group, group.messages() as messages:
        async with anyio.create_task_group() as tasks:
            for task in range(TASKS):
                tasks.start_soon(send, group, task)
        numbers: dict[bytes, list[int]] = {}
        with anyio.fail_after(30):
            for _ in range(TASKS * MESSAGES):
                task_name, number = (await anext(messages)).data.split()
                numbers.setdefault(task_name, []).append(int(number))
        assert list(numbers.values()) == [list(range(MESSAGES))] * TASKS

        with pytest.raises(UsageError, match="another thread"):
            await anyio.to_thread.run_sync(anyio.run, group.mcast, b"from another thread")


async def send(group: Group, task: int) -> None:
    for number in range(MESSAGES):
        await group.mcast(b"%d %d" % (task, number))
