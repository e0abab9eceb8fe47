"""``aiocpg broker`` as a service manager runs it."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Sequence

import pytest

import aiocpg
from aiocpg.engine.local._directory import files

pytestmark = pytest.mark.usefixtures("local_directory")

BROKER = (sys.executable, "-m", "aiocpg", "broker")


def started(argv: Sequence[str]) -> subprocess.Popen[str]:
    """Start the program."""
    return subprocess.Popen(argv, stderr=subprocess.PIPE, text=True)


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
async def test_broker_serves_until_it_is_told_to_end(signum: int) -> None:
    """It says where, is who clients meet, tells them of its end, and leaves nothing."""
    argv = ["env", "--default-signal=INT", *BROKER, "demo"]
    with started(argv) as program:
        assert program.stderr is not None
        assert program.stderr.readline() == f"serving local://demo at {files('demo').socket}\n"
        async with aiocpg.connect("local://demo") as cpg, cpg.join("group") as group:
            assert cpg.daemon is not None
            assert cpg.daemon.pid == program.pid
            program.send_signal(signum)
            with pytest.raises(aiocpg.ConnectionLostError, match="was ended"):
                async for _ in group:
                    pass
        assert program.wait() == 0
        assert program.stderr.read() == ""
    assert not files("demo").socket.exists()


@pytest.mark.parametrize(
    ("name", "status", "words"), [("demo", 3, "cure: end it"), ("../demo", 2, "takes a name"), ("", 2, "takes a name")]
)
def test_broker_that_cannot_be_says_why(name: str, status: int, words: str) -> None:
    """One is there, or the name is none."""
    with started([*BROKER, "demo"]) as first:
        assert first.stderr is not None
        assert first.stderr.readline()
        done = subprocess.run([*BROKER, name], capture_output=True, text=True, timeout=60, check=False)
        first.terminate()
    assert done.returncode == status
    assert words in done.stderr
    assert "Traceback" not in done.stderr
