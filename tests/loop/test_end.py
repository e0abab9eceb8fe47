"""The end of the loop is told once, on asyncio, uvloop and trio."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest

from aiocpg._loop import LoopEnd, current_port
from support.loops import Backend
from support.running import run_in, turns

pytestmark = pytest.mark.anyio


def test_end_of_the_loop_is_told(anyio_backend: Backend) -> None:
    """However the main coroutine ended."""
    ends: list[str] = []
    kept: list[LoopEnd] = []

    async def well() -> None:
        kept.append(LoopEnd(lambda: ends.append("well")))
        await anyio.lowlevel.checkpoint()
        assert ends == []

    async def badly() -> None:
        kept.append(LoopEnd(lambda: ends.append("badly")))
        raise KeyError

    run_in(anyio_backend, well)
    with pytest.raises(KeyError):
        run_in(anyio_backend, badly)
    assert ends == ["well", "badly"]


def test_end_of_the_loop_is_not_disturbed_by_what_is_asked_for_then(anyio_backend: Backend) -> None:
    """Callbacks that go on and on, a timer, a task: that does not happen any more."""
    errors: list[BaseException] = []
    kept: list[LoopEnd] = []

    async def main() -> None:
        port = current_port()

        def again() -> None:
            port.call_soon(again, errors.append)

        def end() -> None:
            port.call_later(0, again, errors.append)
            port.spawn(anyio.sleep_forever, "too late", errors.append)

        again()
        kept.append(LoopEnd(end))
        await turns()

    run_in(anyio_backend, main)
    assert errors == []


def test_end_of_the_loop_is_not_told_when_it_was_called_off(anyio_backend: Backend) -> None:
    """Calling it off again, or after the end, does nothing."""
    ends: list[str] = []

    async def main() -> LoopEnd:
        end = LoopEnd(lambda: ends.append("told"))
        end.cancel()
        return end

    run_in(anyio_backend, main).cancel()
    assert ends == []
