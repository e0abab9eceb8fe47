"""The suite runs on three event loops, and no test can claim one and run on another."""

from __future__ import annotations

import os
from pathlib import Path

import anyio.lowlevel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.loops import BACKENDS, Backend, loop_of, running_loop

HERE = Path(__file__).parent
seen: dict[str, str] = {}


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A directory of its own with this suite's conftest, to run tests in that must fail."""
    monkeypatch.setenv("PYTHONPATH", str(HERE), prepend=os.pathsep)
    monkeypatch.delenv("AIOCPG_REQUIRE", raising=False)
    pytester.makeconftest((HERE / "conftest.py").read_text())
    pytester.makeini("[pytest]\nasyncio_mode = strict\nasyncio_default_fixture_loop_scope = function\n")
    return pytester


@pytest.mark.anyio
async def test_loop_is_the_one_the_id_names(request: pytest.FixtureRequest) -> None:
    """Each of the three ids runs on its own loop."""
    seen[request.node.callspec.id] = running_loop()
    assert running_loop() == request.node.callspec.id


def test_all_three_loops_were_used_by_the_test_above() -> None:
    """The ids are exactly the three names, and none is missing."""
    assert seen == dict(zip(BACKENDS, BACKENDS, strict=True))
    assert list(BACKENDS) == ["asyncio", "uvloop", "trio"]


@pytest.mark.anyio
@settings(max_examples=3)
@given(st.integers())
async def test_property_tests_run_on_the_named_loop_too(anyio_backend: Backend, number: int) -> None:
    """Hypothesis hides the coroutine function; the guard and anyio find it all the same."""
    await anyio.lowlevel.checkpoint()
    assert running_loop() == loop_of(anyio_backend)


def test_guard_fails_a_test_that_carries_both_markers(suite: pytest.Pytester) -> None:
    """With both markers pytest-asyncio runs all of them; those named uvloop and trio must not pass."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.anyio
        @pytest.mark.asyncio
        async def test_both():
            pass
        """
    )
    result = suite.runpytest_subprocess("-v")
    result.assert_outcomes(passed=1, failed=2)
    result.stdout.fnmatch_lines_random(["*test_both*uvloop*FAILED*", "*test_both*trio*FAILED*", "*id * says trio, *"])


def test_guard_passes_the_same_test_when_it_carries_one_marker(suite: pytest.Pytester) -> None:
    """The guard's failures above come from the second marker and from nothing else."""
    suite.makepyfile(
        """
        import pytest

        @pytest.mark.anyio
        async def test_one():
            pass

        @pytest.mark.asyncio
        async def test_other():
            pass
        """
    )
    suite.runpytest_subprocess("-v").assert_outcomes(passed=4)


SKIPS = {
    "test_body": "import pytest\ndef test_it(): pytest.skip('no reason')",
    "test_mark": "import pytest\n@pytest.mark.skip\ndef test_it(): pass",
    "test_fixture": "import pytest\n@pytest.fixture\ndef f(): pytest.skip('none')\ndef test_it(f): pass",
    "test_xfail": "import pytest\n@pytest.mark.xfail\ndef test_it(): assert False",
    "test_module": "import pytest\npytest.skip('none', allow_module_level=True)",
    "test_import": "import pytest\npytest.importorskip('no_such_module_anywhere')",
}


def test_skip_is_a_failure_when_everything_is_required(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """``AIOCPG_REQUIRE=all`` leaves no way to skip; without it the same files are green."""
    suite.makepyfile(**SKIPS)
    relaxed = suite.runpytest_subprocess()
    monkeypatch.setenv("AIOCPG_REQUIRE", "all")
    strict = suite.runpytest_subprocess("--continue-on-collection-errors")
    assert relaxed.ret == pytest.ExitCode.OK
    assert strict.ret == pytest.ExitCode.TESTS_FAILED
    strict.assert_outcomes(failed=2, errors=4)
    strict.stdout.fnmatch_lines(["*nothing may be skipped*"] * len(SKIPS))


LEAKS = """
import anyio, asyncio, os, threading
import pytest
import trio
from support import leaks
from support.loops import running_loop

leaks.PATIENCE = 0.1
pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("no_leaks")]
kept = []

def test_descriptor():
    kept.extend(os.pipe())

def test_thread():
    threading.Thread(target=threading.Event().wait, name="aiocpg-left", daemon=True).start()

@pytest.mark.parametrize("anyio_backend", ["asyncio", "trio"])
async def test_task(anyio_backend):
    if running_loop() == "trio":
        trio.lowlevel.spawn_system_task(trio.sleep_forever)
    else:
        kept.append(asyncio.ensure_future(asyncio.sleep(1000)))

async def test_clean():
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(anyio.sleep, 0)
    for fd in os.pipe():
        os.close(fd)
"""


def test_leaks_fail_the_test_that_leaves_them(suite: pytest.Pytester) -> None:
    """A pipe, a thread of ours and a task on either library are found; a test that tidies up passes on all loops."""
    suite.makepyfile(LEAKS)
    result = suite.runpytest_subprocess()
    result.assert_outcomes(passed=2 + 3, failed=2, errors=2)
    result.stdout.fnmatch_lines(["*left behind: {'descriptor pipe:?N?': 2}*"])
    result.stdout.fnmatch_lines(["*left behind: {'thread aiocpg-left': 1}*"])
    result.stdout.fnmatch_lines(["*1 tasks outlive the test*"] * 2)


def test_unknown_requirement_is_refused(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error in the variable must not mean "skips are fine"."""
    monkeypatch.setenv("AIOCPG_REQUIRE", "everything")
    assert suite.runpytest_subprocess().ret == pytest.ExitCode.USAGE_ERROR
