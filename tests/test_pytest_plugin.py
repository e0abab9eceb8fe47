"""
The pytest plugin as users have it: projects of theirs, run by a pytest of their own, on real clusters.

Each run carries a mark in its environment, which daemons and their keepers inherit: after each test no process has it.
"""

from __future__ import annotations

import os
import re
import secrets
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from textwrap import dedent
from typing import TypeAlias

import pytest

import _aiocpg_pytest
from support.handles import wait_until

pytestmark = pytest.mark.slow

Run: TypeAlias = Callable[..., subprocess.CompletedProcess[str]]
INI = """
[pytest]
addopts = --strict-markers --strict-config -p no:cacheprovider
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@pytest.fixture
def run(pytester: pytest.Pytester) -> Iterator[Run]:
    """Run pytest on a file with this text. At the end nothing of any of these runs is left."""
    mark = f"AIOCPG_RUN={secrets.token_hex()}"
    pytester.makeini(INI)

    def run(text: str, *arguments: str, prefix: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        pytester.makepyfile(test_it=dedent(text))
        argv = ["env", mark, *prefix, sys.executable, "-m", "pytest", *arguments, "test_it.py"]
        # A session of its own: some of these press Ctrl-C.
        streams = {"stdin": subprocess.DEVNULL, "stderr": subprocess.STDOUT, "text": True}
        process = pytester.popen(argv, start_new_session=True, **streams)
        output, _ = process.communicate(timeout=120)
        return subprocess.CompletedProcess(argv, process.returncode, output)

    yield run
    wait_until(lambda: _carriers(mark) == [])


def _carriers(mark: str) -> list[str]:
    """The processes with this in their environment."""
    return [name for name in os.listdir("/proc") if name.isdigit() and mark.encode() in _environment(name)]


def _environment(pid: str) -> bytes:
    try:
        return Path("/proc", pid, "environ").read_bytes()
    except OSError:
        return b""


def passed(done: subprocess.CompletedProcess[str], count: int) -> bool:
    """Whether so many tests passed, and nothing else happened; a run that differs is shown."""
    assert f"= {count} passed in" in done.stdout, done.stdout
    return done.returncode == 0


def report_of(done: subprocess.CompletedProcess[str], title: str) -> str:
    """The part of the output with this title."""
    _, found, rest = done.stdout.partition(f"_ {title} _")
    assert found, done.stdout
    return rest.partition("\n___")[0]


# -- Inside the process


def test_memory_cluster_takes_no_daemon_and_is_new_each_time(run: Run) -> None:
    """Nothing is found on the path; what one test does to its nodes the next one does not see."""
    text = """
        import asyncio
        import pytest
        @pytest.mark.parametrize("turn", range(2))
        def test_it(memory_cluster, turn):
            async def use():
                async with memory_cluster.node(2).connect() as cpg, cpg.join("group") as group:
                    assert group.me == (2, 1)
            assert len(memory_cluster.nodes) == 3
            asyncio.run(use())
            memory_cluster.node(2).kill()
        """
    assert passed(run(text, prefix=("env", "PATH=/nowhere")), 2)


# -- Which cluster


def test_closest_marker_chooses_the_nodes(run: Run) -> None:
    """A function's marker wins over its class's, that over the module's; without any there are three nodes."""
    text = """
        import pytest
        pytestmark = pytest.mark.corosync(nodes=1)
        def test_module(corosync_cluster):
            assert len(corosync_cluster.nodes) == 1
        @pytest.mark.corosync(nodes=2)
        class TestClass:
            def test_class(self, corosync_cluster):
                assert len(corosync_cluster.nodes) == 2
            @pytest.mark.corosync()
            def test_function(self, fresh_corosync_cluster):
                assert fresh_corosync_cluster.node(1).members == (1, 2, 3)
        """
    assert passed(run(text), 3)


def test_cluster_of_one_setting_is_shared(run: Run) -> None:
    """The same daemons serve all tests of the session with the same marker, however it is written."""
    text = """
        import pytest
        pids = set()
        @pytest.mark.parametrize("turn", range(3))
        @pytest.mark.corosync(nodes=1)
        def test_shares(corosync_cluster, turn):
            pids.add(corosync_cluster.node(1).pid)
            assert len(pids) == 1
        @pytest.mark.corosync(token=500, nodes=1)
        def test_shares_too(corosync_cluster):
            assert corosync_cluster.node(1).pid in pids
        @pytest.mark.corosync(nodes=1, shm_size="64M")
        def test_is_another(corosync_cluster):
            assert corosync_cluster.node(1).pid not in pids
        """
    assert passed(run(text), 5)


def test_cluster_is_whole_again_whatever_a_test_did(run: Run) -> None:
    """A crash, a stopped daemon and a cut of one test are gone in the next, the node that was spared is the same."""
    text = """
        def test_harms(corosync_cluster):
            global spared
            spared = corosync_cluster.node(1).pid
            corosync_cluster.partition({1}, {2, 3})
            corosync_cluster.node(2).stop()
            corosync_cluster.node(3).kill()
        def test_sees_nothing_of_it(corosync_cluster):
            assert [node.members for node in corosync_cluster.nodes] == [(1, 2, 3)] * 3
            assert corosync_cluster.node(1).pid == spared
        """
    assert passed(run(text), 2)


def test_cluster_beyond_repair_is_replaced(run: Run) -> None:
    """A test that ended the shared cluster has spoiled nothing for the next."""
    text = """
        import pytest
        pytestmark = pytest.mark.corosync(nodes=1)
        def test_ends_it(corosync_cluster):
            corosync_cluster.close()
        def test_has_another(corosync_cluster):
            assert corosync_cluster.node(1).members == (1,)
        """
    assert passed(run(text), 2)


def test_fresh_cluster_is_of_one_test(run: Run) -> None:
    """It is another one than the shared one, and its daemons end with the test."""
    text = """
        import os, pytest
        pytestmark = pytest.mark.corosync(nodes=1)
        def test_has_two(corosync_cluster, fresh_corosync_cluster):
            global pid
            pid = fresh_corosync_cluster.node(1).pid
            assert pid != corosync_cluster.node(1).pid
        def test_has_none():
            with pytest.raises(ProcessLookupError):
                os.kill(pid, 0)
        """
    assert passed(run(text), 2)


@pytest.mark.parametrize(
    ("marker", "complaint"),
    [
        ("nodes=0", "a cluster has 1 to 64 nodes, not 0"),
        ("size=3", "unexpected keyword argument 'size'"),
        ("3", "takes arguments by name only"),
    ],
)
def test_wrong_marker_is_told_with_the_test_that_has_it(marker: str, complaint: str, run: Run) -> None:
    """One look at the report is enough: no traceback of ours stands around it."""
    text = f"""
        import pytest
        @pytest.mark.corosync({marker})
        def test_marked(corosync_cluster):
            pass
        """
    said = report_of(run(text), "ERROR at setup of test_marked")
    assert "test_it.py::test_marked: the marker `corosync` is wrong: " in said
    assert complaint in said
    assert "_aiocpg_pytest.py" not in said
    assert "another exception" not in said


def test_command_that_works_is_told_where_rights_are_missing(run: Run) -> None:
    """The tests error, all of them, with the command that runs them; nothing is run in another way in silence."""
    text = """
        def test_first(corosync_cluster):
            pass
        def test_second(corosync_cluster):
            pass
        """
    done = run(text, prefix=("setpriv", "--bounding-set=-sys_admin,-net_admin"))
    assert "= 2 errors in" in done.stdout, done.stdout
    said = report_of(done, "ERROR at setup of test_second")
    assert "-m aiocpg.testing -- " in said
    assert "pytest test_it.py" in said
    assert "another exception" not in said


# -- What a report shows


LOG_LINE = "[MAIN  ] Corosync Cluster Engine"


def test_failure_shows_what_the_daemons_logged_since_the_test_before(run: Run) -> None:
    """The first test's report has their start; the next has only what came after the first."""
    text = """
        import pytest
        pytestmark = pytest.mark.corosync(nodes=2)
        def test_first(corosync_cluster):
            assert False
        def test_second(corosync_cluster):
            corosync_cluster.node(2).terminate()
            corosync_cluster.node(2).wait_gone()
            assert False
        """
    done = run(text)
    first, second = report_of(done, "test_first"), report_of(done, "test_second")
    assert first.count(LOG_LINE) == 2
    assert "- corosync on node 2 -" in second
    assert "Corosync Cluster Engine exiting normally" in second
    assert f"{LOG_LINE} 3" not in second


@pytest.mark.parametrize("phase", ["setup", "teardown"])
def test_failure_around_a_test_shows_the_logs_too(phase: str, run: Run) -> None:
    """A fixture that fails before or after the test is a failure to explain like any other."""
    text = f"""
        import pytest
        @pytest.fixture
        def service(fresh_corosync_cluster):
            assert "{phase}" != "setup"
            yield
            assert False
        @pytest.mark.corosync(nodes=1)
        def test_service(service):
            pass
        """
    assert LOG_LINE in report_of(run(text), f"ERROR at {phase} of test_service")


def test_failure_shows_the_logs_of_a_cluster_of_ones_own(run: Run) -> None:
    """A fixture of any scope may make its cluster itself; the report is as good."""
    text = """
        import pytest
        from aiocpg.testing import CorosyncCluster
        @pytest.fixture(scope="module")
        def node():
            with CorosyncCluster(nodes=1) as cluster:
                yield cluster.node(1)
        def test_fails(node):
            assert False
        """
    assert LOG_LINE in report_of(run(text), "test_fails")


def test_no_logs_are_shown_of_tests_that_have_nothing_to_do_with_them(run: Run) -> None:
    """Neither of a passed test nor of a test without a cluster."""
    text = """
        import pytest
        @pytest.mark.corosync(nodes=1)
        def test_passes(corosync_cluster):
            pass
        def test_fails():
            assert False
        """
    done = run(text)
    assert "1 failed, 1 passed" in done.stdout, done.stdout
    assert "corosync on node" not in done.stdout


# -- With other plugins


MEMBER = """
        import pytest
        import aiocpg
        @pytest.fixture
        async def group(corosync_cluster):
            async with corosync_cluster.node(1).connect() as cpg, cpg.join("g") as group:
                yield group
        {marks}
        @pytest.mark.corosync(nodes=1)
        async def test_hears_itself(group, corosync_cluster):
            messages = group.messages()
            await group.mcast(b"hello")
            assert (await anext(messages)).data == b"hello"
        """


@pytest.mark.parametrize(
    ("marks", "arguments", "count"),
    [
        ("@pytest.mark.anyio", (), 2),
        ("", ("--asyncio-mode=auto",), 1),
        ("@pytest.mark.asyncio", ("--asyncio-mode=strict",), 1),
    ],
    ids=["anyio-asyncio-and-trio", "pytest-asyncio-auto", "pytest-asyncio-strict"],
)
def test_async_tests_and_fixtures_use_the_clusters(
    marks: str, arguments: tuple[str, ...], count: int, run: Run
) -> None:
    """Under each plugin for async tests a fixture opens a group and the test uses it."""
    text = MEMBER.format(marks=marks)
    if "strict" in "".join(arguments):
        text = text.replace("@pytest.fixture", "@pytest_asyncio.fixture").replace(
            "import aiocpg", "import pytest_asyncio"
        )
    elif "anyio" in marks:
        text += """
        @pytest.fixture(params=["asyncio", "trio"])
        def anyio_backend(request):
            return request.param
        """
    assert passed(run(text, *arguments), count)


def test_parallel_workers_have_clusters_of_their_own(run: Run) -> None:
    """Two workers of pytest-xdist run at once and see nothing of one another."""
    text = """
        import os, pytest
        @pytest.mark.parametrize("turn", range(4))
        @pytest.mark.corosync(nodes=2)
        def test_is_alone(corosync_cluster, turn):
            corosync_cluster.partition({1}, {2})
            corosync_cluster.wait_formed({1}, {2})
        """
    assert passed(run(text, "-n2"), 4)


# -- Ends


FORGOTTEN = "-Wignore::ResourceWarning"
"""These leave a program running on purpose, for the cluster to end."""


def test_ctrl_c_in_a_test_leaves_nothing(run: Run) -> None:
    """The whole process group gets SIGINT, as from a terminal; the fixture looks for what is left."""
    text = """
        import os, signal
        def test_interrupts(corosync_cluster, fresh_corosync_cluster):
            fresh_corosync_cluster.node(1).spawn(["sleep", "1000"])
            os.killpg(0, signal.SIGINT)
            signal.pause()
        """
    done = run(text, FORGOTTEN)
    assert done.returncode == pytest.ExitCode.INTERRUPTED, done.stdout


def test_killed_run_leaves_nothing_and_the_next_passes(run: Run) -> None:
    """SIGKILL in the middle of a test with two clusters; the kernel sweeps, and the same suite runs again."""
    text = """
        import os, signal
        def test_is_killed(corosync_cluster, fresh_corosync_cluster):
            fresh_corosync_cluster.node(1).spawn(["sleep", "1000"])
            os.kill(os.getpid(), {signal})
        """
    assert run(text.format(signal="signal.SIGKILL")).returncode == -signal.SIGKILL
    assert passed(run(text.format(signal="0"), FORGOTTEN), 1)


# -- When it is not used


def test_it_costs_nothing_until_it_is_used(run: Run) -> None:
    """In a project without clusters, not one module of aiocpg or cffi is imported."""
    text = """
        import sys
        def test_nothing_is_imported():
            assert "_aiocpg_pytest" in sys.modules
            assert [name for name in sys.modules if name.split(".")[0] in ("aiocpg", "cffi", "_cffi_backend")] == []
        """
    assert passed(run(text), 1)


def test_pytest_tells_of_fixtures_and_marker(run: Run) -> None:
    """``pytest --fixtures`` and ``--markers`` are where users look first."""
    assert "@pytest.mark.corosync(nodes=3, ...)" in run("", "--markers").stdout
    fixtures = run("", "--fixtures").stdout
    assert "corosync_cluster -- " in fixtures
    assert "fresh_corosync_cluster -- " in fixtures


def test_reference_has_every_fixture() -> None:
    """Public ones have no underscore in front."""
    page = (Path(__file__).parents[1] / "docs" / "reference" / "pytest-plugin.md").read_text()
    source = Path(_aiocpg_pytest.__file__).read_text()
    public = set(re.findall(r"^@pytest.fixture.*\ndef ([a-z]\w*)", source, re.MULTILINE))
    assert public == set(re.findall(r"^\| `(\w+)` \| function \| A", page, re.MULTILINE))
