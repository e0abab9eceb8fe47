"""One connection to a broker: as users see it, in one world and in one that ends."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import anyio
import pytest

import aiocpg
from aiocpg.engine.local._directory import VARIABLE
from support.handles import finish, python
from support.running import until

pytestmark = pytest.mark.anyio

URL = "local://demo"

HANGER_ON = """
import aiocpg, anyio, sys
async def main():
    async with aiocpg.connect("local://demo") as cpg, cpg.join("group") as group:
        await group.mcast(b"here")
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_killed_process_is_seen_as_a_failure() -> None:
    """At once, by name."""
    async with aiocpg.connect(URL) as cpg, cpg.join("group") as group:
        program = await anyio.to_thread.run_sync(python, HANGER_ON)
        async for message in group.messages():
            assert message.sender.pid == program.pid
            program.kill()
            break
        async for view in group.views():
            if view.left:
                break
        assert view.left == {aiocpg.Address(1, program.pid): aiocpg.Reason.PROCDOWN}
        program.communicate()


async def test_claimed_pid_is_the_address() -> None:
    """For tests, in which one process is several."""
    async with (
        aiocpg.connect(f"{URL}?pid=7") as one,
        aiocpg.connect(URL) as other,
        one.join("group") as group,
        other.join("group") as again,
    ):
        assert (group.me, again.me) == (aiocpg.Address(1, 7), aiocpg.Address(1, os.getpid()))
        assert await other.members("group") == (group.me, again.me)


async def test_dead_broker_ends_everything_and_the_next_connect_starts_another() -> None:
    """Nothing goes on in another world by itself."""
    async with aiocpg.connect(URL) as cpg, cpg.join("group") as group:
        assert cpg.daemon is not None
        os.kill(cpg.daemon.pid, signal.SIGKILL)
        with pytest.raises(aiocpg.ConnectionLostError, match="went away"):
            async for _ in group:
                pass
        for call in (cpg.groups, lambda: cpg.join("other"), lambda: group.mcast(b"x")):
            with pytest.raises(aiocpg.ConnectionLostError):
                await call()
    async with aiocpg.connect(URL) as again:
        assert await again.groups() == {}


async def test_join_of_a_world_that_was_begun_anew_is_a_loss() -> None:
    """A connection does not end up in two worlds; where it is still unaware that its own has ended."""
    async with aiocpg.connect(URL) as cpg:
        assert cpg.daemon is not None
        os.kill(cpg.daemon.pid, signal.SIGKILL)
        other = python(HANGER_ON)  # starts another broker while this loop stands still
        engine = cpg._link.engine
        await anyio.to_thread.run_sync(lambda: None)
        with pytest.raises(aiocpg.ConnectionLostError):
            await engine.join(b"group")
        other.kill()
        other.communicate()


async def test_connection_comes_back_to_another_broker() -> None:
    """With ``reconnect``; on another ring."""
    async with aiocpg.connect(URL, reconnect=True) as cpg, cpg.join("group") as group:
        rings = []
        assert cpg.daemon is not None
        os.kill(cpg.daemon.pid, signal.SIGKILL)
        async for event in group:
            if isinstance(event, aiocpg.View):
                rings.append(event.ring_id)
                if len(rings) == 2:
                    break
        assert rings[0] < rings[1]
        await group.mcast_confirmed(b"again")


async def test_stopped_broker_does_not_stop_the_loop() -> None:
    """Deadlines work, and it goes on where it stood."""
    async with aiocpg.connect(URL) as cpg:
        assert cpg.daemon is not None
        os.kill(cpg.daemon.pid, signal.SIGSTOP)
        with anyio.move_on_after(0.05) as scope:
            await cpg.join("group")
        assert scope.cancelled_caught
        os.kill(cpg.daemon.pid, signal.SIGCONT)
        async with cpg.join("group") as group:
            await group.mcast_confirmed(b"x")


async def test_another_user_is_refused() -> None:
    """Where it was asked for."""
    with pytest.raises(aiocpg.EngineUnavailableError, match="not 4711"):
        await aiocpg.connect(URL, daemon_uid=4711)


async def test_processes_with_and_without_a_login_meet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A login has variables that a service has not; one name is one world all the same."""
    monkeypatch.delenv(VARIABLE)
    name = f"meet-{os.getpid()}"
    program = f"import aiocpg, anyio\nasync def main():\n async with aiocpg.connect('local://{name}') as c:\n"
    program += "  print(c.daemon.pid)\nanyio.run(main)"
    told = set()
    async with aiocpg.connect(f"local://{name}") as cpg:  # or it may end between two of them
        assert cpg.daemon is not None
        for variable in ("XDG_RUNTIME_DIR", "TMPDIR"):
            monkeypatch.setenv(variable, str(tmp_path))
            told.add(finish(python(program)))
            monkeypatch.delenv(variable)
            told.add(finish(python(program)))
        assert told == {f"{cpg.daemon.pid}\n"}
    os.kill(int(told.pop()), signal.SIGTERM)
    await until(lambda: not (Path("/tmp") / f"aiocpg-{os.geteuid()}" / f"{name}.socket").exists())
    (Path("/tmp") / f"aiocpg-{os.geteuid()}" / f"{name}.log").unlink()
