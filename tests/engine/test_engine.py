"""Choosing an engine by URL: what is one, and that nothing is loaded or replaced unasked."""

from __future__ import annotations

import pytest

from aiocpg import engine
from aiocpg._loop import current_port
from aiocpg.engine.corosync import CorosyncEngine
from aiocpg.errors import UsageError
from aiocpg.testing import ClusterNode
from support.handles import finish, python


@pytest.mark.parametrize("url", ["corosync://", "corosync:", "corosync:///"])
def test_corosync_is_an_engine(url: str) -> None:
    """The daemon on this host; it has no other name."""
    assert engine.check_url(url).scheme == "corosync"
    assert engine.check_url(engine.DEFAULT_URL).scheme == "corosync"


@pytest.mark.parametrize("url", ["", "corosync", "ftp://x", "tcp://host", "://"])
def test_unknown_engine_is_refused_with_the_known_one(url: str) -> None:
    """And is never replaced by it."""
    with pytest.raises(UsageError, match="corosync://"):
        engine.check_url(url)


@pytest.mark.parametrize("url", ["corosync://host", "corosync:///path", "corosync://?x=1", "corosync://#x"])
def test_corosync_takes_nothing_after_it(url: str) -> None:
    """Whoever writes a host there believes that it matters."""
    with pytest.raises(UsageError, match="takes nothing after it"):
        engine.check_url(url)


@pytest.mark.anyio
async def test_engine_is_opened_by_its_url(node: ClusterNode) -> None:
    """A wrong one opens nothing."""
    opened = await engine.open_engine("corosync://", current_port(), enter=node.enter)
    assert isinstance(opened, CorosyncEngine)
    await opened.aclose()
    with pytest.raises(UsageError):
        await engine.open_engine("other://", current_port(), enter=node.enter)


def test_engine_is_loaded_when_it_is_asked_for() -> None:
    """Importing the package loads no engine and no C."""
    out = finish(
        python("import aiocpg, sys; print(*[name for name in sys.modules if 'corosync' in name or '_shim' in name])")
    )
    assert out.split() == []
