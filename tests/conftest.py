"""Fixtures and hooks of the whole suite: the loops it runs on, the clusters it talks to, what it must leave behind."""

from __future__ import annotations

import functools
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from aiocpg.engine.local._directory import VARIABLE
from aiocpg.testing import ClusterNode, CorosyncCluster
from support.leaks import Leaks, without_new_tasks
from support.local_worlds import end_brokers
from support.loops import BACKENDS, Backend, checking_its_loop, loop_of, wrapped

pytest_plugins = ["pytester", "support.packages", "support.strict"]

# A shared machine is slow now and then; no test here is about elapsed time. ``scripts/soak`` asks for more examples.
settings.register_profile("default", deadline=None, print_blob=True)
settings.register_profile("soak", deadline=None, print_blob=True, max_examples=2000)
settings.load_profile("default")

TOKEN_OF_ONE = 10_000
"""
Milliseconds without the token that a daemon takes for its loss where it has no others, and so nobody to notice it by.

A machine that stands still for longer than the usual half a second makes it form its ring anew, amid a test.
"""

NODE_FIXTURES = {"node", "cluster", "fresh_node", "fresh_cluster", "patient_cluster"}


def pytest_configure() -> None:
    """
    Take back that SIGINT and SIGHUP are ignored, which programs started by the suite would inherit.

    A shell without job control ignores the first in what it starts in the background, nohup the second.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="module", params=BACKENDS.values(), ids=BACKENDS.keys())
def anyio_backend(request: pytest.FixtureRequest) -> Any:
    """Run a test that asks for anyio's plugin on all three loops."""
    return request.param


@pytest.fixture(autouse=True)
def loop_is_the_one_named(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test whose running loop is not the one its id names."""
    if "anyio_backend" not in request.fixturenames or not isinstance(request.node, pytest.Function):
        yield
        return
    backend: Backend = request.getfixturevalue("anyio_backend")
    with wrapped(request.node, functools.partial(checking_its_loop, expected=loop_of(backend))):
        yield


@pytest.fixture
def local_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the brokers of this test are, in its programs too, and nobody else's; they end with it."""
    monkeypatch.setenv(VARIABLE, str(tmp_path / "local"))
    yield tmp_path / "local"
    end_brokers(tmp_path / "local")


@pytest.fixture(scope="session")
def single() -> Iterator[CorosyncCluster]:
    """One node for the whole session, for tests that leave it as they found it."""
    with CorosyncCluster(nodes=1, token=TOKEN_OF_ONE) as cluster:
        yield cluster


@pytest.fixture
def node(single: CorosyncCluster) -> ClusterNode:
    """The session's node, running and not stopped."""
    return single.node(1)


@pytest.fixture(scope="module")
def cluster(request: pytest.FixtureRequest) -> Iterator[CorosyncCluster]:
    """
    Three nodes for one module; a test that harms them heals them.

    Their token is the module's ``TOKEN_OF_CLUSTER``: a long one where no test waits for a node to be missed.
    """
    with CorosyncCluster(nodes=3, token=getattr(request.module, "TOKEN_OF_CLUSTER", 500)) as cluster:
        yield cluster


@pytest.fixture
def fresh_cluster() -> Iterator[CorosyncCluster]:
    """Three nodes for one test, which may do to them what it likes."""
    with CorosyncCluster(nodes=3) as cluster:
        yield cluster


@pytest.fixture
def patient_cluster() -> Iterator[CorosyncCluster]:
    """Three nodes for one test that lets none go without notice: one is not missed because the machine stood still."""
    with CorosyncCluster(nodes=3, token=3_000) as cluster:
        yield cluster


@pytest.fixture
def fresh_node() -> Iterator[ClusterNode]:
    """One node for one test, which may do to it what it likes."""
    with CorosyncCluster(nodes=1, token=TOKEN_OF_ONE) as cluster:
        yield cluster.node(1)


@pytest.fixture
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail the test when threads, descriptors, tasks or files in a node's /dev/shm are more after it than before."""
    for name in NODE_FIXTURES.intersection(request.fixturenames):
        request.getfixturevalue(name)
    leaks = Leaks(_nodes(request.node))
    with wrapped(request.node, without_new_tasks):
        yield
    leaks.check()


def _nodes(item: pytest.Item) -> list[ClusterNode]:
    """Return the nodes that the fixtures of a test have made so far."""
    values = [getattr(item, "funcargs", {}).get(name) for name in sorted(NODE_FIXTURES)]
    clusters = [value for value in values if isinstance(value, CorosyncCluster)]
    return [value for value in values if isinstance(value, ClusterNode)] + [n for one in clusters for n in one.nodes]
