"""
The pytest plugin: fixtures with clusters, and the logs of real daemons in the report of a test that fails.

pytest imports the plugins of all installed packages when it starts, also in projects whose tests have no cluster. So
this file stands beside the package: importing a module in it would import the package first. ``aiocpg.testing`` is
imported when a fixture is first used.
"""

from __future__ import annotations

import inspect
import sys
import weakref
from collections.abc import Generator, Iterator
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from aiocpg.testing import ClusterNode, CorosyncCluster, MemoryCluster

_MARKER = "corosync(nodes=3, ...): the cluster of a test; takes the arguments of aiocpg.testing.CorosyncCluster by name"


@pytest.fixture
def corosync_cluster(request: pytest.FixtureRequest, _corosync_clusters: Clusters) -> CorosyncCluster:
    """
    A running cluster, whole at the start of the test whatever the tests before did to it.

    Tests with the same ``corosync`` marker share it; three nodes without one.
    """
    return _kept(request, _corosync_clusters.get(_arguments(request)))


@pytest.fixture
def fresh_corosync_cluster(request: pytest.FixtureRequest) -> Iterator[CorosyncCluster]:
    """A running cluster of this test's own, as the ``corosync`` marker has it; gone after the test."""
    with closing(_started(_arguments(request))) as cluster:
        yield _kept(request, cluster)


@pytest.fixture
def memory_cluster() -> Iterator[MemoryCluster]:
    """Three nodes inside this process, of this test's own: no daemon, and nothing to install."""
    from aiocpg.testing import MemoryCluster  # noqa: PLC0415 - see above

    with MemoryCluster() as cluster:
        yield cluster


@pytest.fixture(scope="session")
def _corosync_clusters() -> Iterator[Clusters]:
    """The clusters that tests of this session share."""
    clusters = Clusters()
    yield clusters
    clusters.close()


class Clusters:
    """One running cluster per distinct setting, started when it is first asked for."""

    def __init__(self) -> None:
        self._running: dict[str, CorosyncCluster] = {}
        self._failed: dict[str, str] = {}

    def get(self, arguments: dict[str, Any]) -> CorosyncCluster:
        """Return the cluster with these arguments, whole. One that could not be had once is not tried again."""
        key = repr(arguments)
        if key in self._failed:
            pytest.fail(self._failed[key], pytrace=False)
        if key not in self._running or not _is_restored(self._running[key]):
            self._running.pop(key, None)
            try:
                self._running[key] = _started(arguments)
            except pytest.fail.Exception as error:
                self._failed[key] = str(error)
                raise
        return self._running[key]

    def close(self) -> None:
        """End them all."""
        for cluster in self._running.values():
            cluster.close()


def _is_restored(cluster: CorosyncCluster) -> bool:
    """Undo what was done to a cluster. One beyond repair is ended, and False returned."""
    from aiocpg.testing import ClusterError  # noqa: PLC0415 - see above

    try:
        cluster.restore()
    except ClusterError:
        cluster.close()
        return False
    return True


def _started(arguments: dict[str, Any]) -> CorosyncCluster:
    """Start a cluster. Where that cannot be, the test fails with what the error says and no traceback of ours."""
    from aiocpg.testing import ClusterError, CorosyncCluster  # noqa: PLC0415 - see above

    cluster = CorosyncCluster(**arguments)
    try:
        cluster.start()
    except ClusterError as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None
    return cluster


def _arguments(request: pytest.FixtureRequest) -> dict[str, Any]:
    """Return all arguments for a test's cluster by name, from its closest marker and the defaults."""
    from aiocpg.testing import CorosyncCluster  # noqa: PLC0415 - see above

    marker = request.node.get_closest_marker("corosync") or pytest.mark.corosync().mark
    try:
        if marker.args:
            raise TypeError("takes arguments by name only, as in corosync(nodes=3)")
        CorosyncCluster(**marker.kwargs)
    except (TypeError, ValueError) as error:
        complaint = str(error).removeprefix("CorosyncCluster.__init__() ")
        text = f"{request.node.nodeid}: the marker `corosync` is wrong: {complaint}"
        raise pytest.fail.Exception(text, pytrace=False) from None
    bound = inspect.signature(CorosyncCluster).bind(**marker.kwargs)
    bound.apply_defaults()
    return bound.arguments


# -- The logs


_NODES = pytest.StashKey["dict[ClusterNode, None]"]()
"""Of a test: the nodes it could use, in order."""

_READ = pytest.StashKey["weakref.WeakKeyDictionary[ClusterNode, int]"]()
"""Of the session: how much of each node's log belongs to earlier tests, in characters."""


def _kept(request: pytest.FixtureRequest, cluster: CorosyncCluster) -> CorosyncCluster:
    """Remember the nodes of a test: when the setup of another fixture fails, ours may not be among its values yet."""
    request.node.stash.setdefault(_NODES, {}).update(dict.fromkeys(cluster.nodes))
    return cluster


def _nodes(item: pytest.Item) -> dict[ClusterNode, None]:
    """Return the nodes of a test, those of clusters that other fixtures have made among them."""
    nodes = item.stash.setdefault(_NODES, {})
    if (testing := sys.modules.get("aiocpg.testing")) is not None:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, testing.CorosyncCluster):
                nodes.update(dict.fromkeys(value.nodes))
            elif isinstance(value, testing.ClusterNode):
                nodes[value] = None
    return nodes


def pytest_configure(config: pytest.Config) -> None:
    """Make the marker known."""
    config.addinivalue_line("markers", _MARKER)
    config.stash[_READ] = weakref.WeakKeyDictionary()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show what the daemons have logged during a test that fails, in its setup or teardown as well."""
    report = yield
    nodes, read = _nodes(item), item.config.stash[_READ]
    if report.failed:
        for node in nodes:
            report.sections.append((f"corosync on node {node.nodeid}", node.log[read.get(node, 0) :]))
    if report.when == "teardown":
        read.update({node: len(node.log) for node in nodes})
    return report
