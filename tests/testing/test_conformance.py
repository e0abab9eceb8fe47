"""The conformance suite: what it says of a real engine, and how it outlives a bad one."""

from __future__ import annotations

import pickle
import re
from collections.abc import Iterator
from dataclasses import FrozenInstanceError, replace

import anyio
import pytest

from aiocpg.engine import _base
from aiocpg.testing import CorosyncCluster
from aiocpg.testing.conformance import (
    CHECKS,
    Absent,
    Check,
    CheckResult,
    ConformanceError,
    EngineReport,
    Outcome,
    check_engine,
    run_check,
)
from aiocpg.testing.conformance._call import Call
from aiocpg.testing.conformance._leftovers import held
from aiocpg.testing.conformance._report import PROMISES
from aiocpg.testing.conformance._room import Room
from aiocpg.testing.conformance._world import ABILITIES
from support import faults_in_calls as calls
from support import faults_in_stream as stream
from support.faulty import FaultyEngine, FaultyWorld, broken, engine_of
from support.leaks import Leaks
from support.loops import running_loop
from support.running import until
from support.worlds import CorosyncWorld

on_three_loops = pytest.mark.anyio

FIRST = CHECKS[0]


@pytest.fixture
def world(cluster: CorosyncCluster) -> CorosyncWorld:
    """Three real nodes."""
    return CorosyncWorld(cluster)


@pytest.fixture
def nothing_held() -> Iterator[None]:
    """Fail the test when threads or descriptors are more after it; daemons it restarts have files of other names."""
    leaks = Leaks(())
    yield
    leaks.check()


class CrippledWorld(CorosyncWorld):
    """Real nodes to which no harm can be done."""

    def __init__(self, cluster: CorosyncCluster) -> None:
        super().__init__(cluster)
        self.abilities = replace(self.abilities, **{name: Absent(f"{name} is forbidden") for name in ABILITIES})


class BrokenWorld(CorosyncWorld):
    """One that cannot be mended."""

    async def reset(self) -> None:
        raise LookupError("the world is lost")


# -- A real engine


@on_three_loops
@pytest.mark.usefixtures("nothing_held")
async def test_corosync_keeps_every_promise(world: CorosyncWorld) -> None:
    """All checks apply, and nothing is left of them."""
    report = await check_engine(world)
    assert (report.engine, report.loop) == ("corosync://", running_loop())
    assert [result.check for result in report.results] == [check.name for check in CHECKS]
    assert report.of(Outcome.KEPT) == report.results


@on_three_loops
async def test_what_a_world_cannot_do_is_not_applicable(cluster: CorosyncCluster) -> None:
    """It is never taken for kept, and the report has the world's reason."""
    report = await check_engine(CrippledWorld(cluster), checks=[check for check in CHECKS if check.needs])
    assert report.of(Outcome.NOT_APPLICABLE) == report.results
    stalled = next(result for result in report.results if result.check == "waiting_calls_end_with_the_loss")
    assert stalled.seen == "no lose: lose is forbidden; no stall: stall is forbidden"


# -- A bad one


@on_three_loops
async def test_all_that_is_wrong_is_raised_together(world: CorosyncWorld) -> None:
    """Behind one check that fails the others run on; the report says so in a note."""
    checks = [check for check in CHECKS if check.promise in (2, 10)]
    with pytest.raises(ExceptionGroup) as caught:
        await check_engine(FaultyWorld(world, stream.KnowsNoGroups), checks=checks)
    (error,) = caught.value.exceptions
    assert isinstance(error, ConformanceError)
    assert (error.promise, error.check) == (2, "own_join_shows_in_the_snapshots")
    assert re.search(r"^ 2  own_join_shows_in_the_snapshots +broken: groups", caught.value.__notes__[0], re.MULTILINE)
    assert len(re.findall(r" kept$", caught.value.__notes__[0], re.MULTILINE)) == len(checks) - 1


@on_three_loops
async def test_engine_that_blocks_does_not_block_the_caller(world: CorosyncWorld) -> None:
    """The caller's loop runs on; the error tells where the engine stands."""
    calls.begin()
    try:
        await broken(
            FIRST, FaultyWorld(world, engine_of(calls.BlocksInMcast)), r"in mcast \(faults_in_calls.py:\d+\)", 0.5
        )
    finally:
        calls.end()


@on_three_loops
async def test_engine_that_does_not_close_is_found(world: CorosyncWorld) -> None:
    """Also where the check itself was content."""

    class NeverCloses(FaultyEngine):
        async def aclose(self) -> None:
            await self.real.aclose()
            await anyio.sleep_forever()

    await broken(FIRST, FaultyWorld(world, NeverCloses), "for aclose of an engine to end", 0.5)


@on_three_loops
async def test_loop_that_does_not_end_is_found(world: CorosyncWorld) -> None:
    """The verdict is given before, and holds; without one, this is it."""
    goes_on = [True]

    async def linger(room: Room) -> None:
        async def wait() -> None:
            with anyio.CancelScope(shield=True):
                while goes_on:  # noqa: ASYNC110 - another thread ends it
                    await anyio.sleep(0.01)

        room.start("lingering", wait)

    try:
        await broken(Check(9, linger), world, "the event loop did not end", 0.5)
    finally:
        goes_on.clear()


@on_three_loops
async def test_unforeseen_error_breaks_the_promise_that_was_looked_at(world: CorosyncWorld) -> None:
    """With the error as its cause."""
    check = next(check for check in CHECKS if check.name == "everything_else_is_taken")
    with pytest.raises(ConformanceError, match="ValueError") as caught:
        await run_check(check, FaultyWorld(world, engine_of(calls.RefusesEmptyMessages)))
    assert isinstance(caught.value.__cause__, ValueError)


@on_three_loops
async def test_error_of_the_world_is_not_the_engines(cluster: CorosyncCluster) -> None:
    """It is raised as it is."""
    with pytest.raises(LookupError, match="the world is lost"):
        await run_check(FIRST, BrokenWorld(cluster))


@on_three_loops
@pytest.mark.usefixtures("nothing_held")
async def test_cancelled_check_ends_and_leaves_nothing(world: CorosyncWorld) -> None:
    """Though it had waited for long."""
    begun: list[bool] = []

    async def never(room: Room) -> None:
        await room.join(await room.open())
        begun.append(True)
        await room.until(lambda: False, "nothing")

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run_check, Check(1, never), world)
        await until(lambda: begun)
        tasks.cancel_scope.cancel()


# -- Reports


def test_every_promise_is_quoted() -> None:
    """As the engines' base words them, in one line."""
    assert sorted(PROMISES) == list(range(1, 12))
    assert PROMISES[3] == "The present ring is drained before the first message."
    words = " ".join((_base.__doc__ or "").split())
    assert all(promise in words for promise in PROMISES.values())


def test_error_quotes_its_promise_and_survives_pickling() -> None:
    """Processes of test workers hand errors on."""
    error = ConformanceError(3, "ring_comes_before_the_first_message", "1:10 had a message before any ring")
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert str(error) == (
        "ring_comes_before_the_first_message: 1:10 had a message before any ring\n"
        "promise 3: The present ring is drained before the first message."
    )
    assert again.result == CheckResult(3, error.check, Outcome.BROKEN, error.seen)


def test_report_is_a_plain_value() -> None:
    """It can be compared, kept, and not changed; tables are made of it."""
    kept = CheckResult(1, "one", Outcome.KEPT)
    absent = CheckResult(5, "five", Outcome.NOT_APPLICABLE, "no cut: one node")
    report = EngineReport("memory://", "trio", (kept, absent))
    assert pickle.loads(pickle.dumps(report)) == report
    assert report.of(Outcome.NOT_APPLICABLE) == (absent,)
    assert str(report).splitlines()[0] == "memory:// on trio"
    assert str(report).endswith("not applicable: no cut: one node")
    with pytest.raises(FrozenInstanceError):
        report.engine = "corosync://"  # type: ignore[misc]


def test_checks_need_what_worlds_can_have() -> None:
    """And their names are their own."""
    assert {need for check in CHECKS for need in check.needs} == ABILITIES
    assert len({check.name for check in CHECKS}) == len(CHECKS)
    assert str(FIRST) == "1-calls_return_at_once"


# -- Its tools


@on_three_loops
async def test_call_says_how_it_ended() -> None:
    """Or that it has not."""

    async def answer() -> int:
        return 42

    async def fail() -> int:
        raise ValueError("no")

    async with anyio.create_task_group() as tasks:
        started = [Call("one", answer), Call("two", fail), Call("three", anyio.sleep_forever)]
        for call in started:
            tasks.start_soon(call.run)
        await until(lambda: started[0].has_ended and started[1].has_ended)
        assert [str(call) for call in started] == ["one returned", "two raised ValueError('no')", "three has not ended"]
        started[2].cancel()
    assert str(started[2]) == "three was cancelled"
    assert started[0].result() == 42
    with pytest.raises(ValueError, match="no"):
        started[1].result()


def test_descriptors_and_threads_are_seen() -> None:
    """Those that are more than before."""
    before = held()
    with open("/dev/null") as _:
        assert held() - before == {"descriptor /dev/null": 1}
    assert not held() - before
