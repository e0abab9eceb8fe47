"""The command that starts three instances of the dashboard, where something goes wrong."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from support.standstills import without_standstills

from .dashboards import PATIENCE, PROGRAM, ROOT, urls_of


def test_port_that_is_taken_is_said(tmp_path: Path) -> None:
    """Not by a traceback, and nothing goes on."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        argv = [*PROGRAM, "--local", "--port", str(taken.getsockname()[1])]
        environment = os.environ | {"AIOCPG_LOCAL_DIR": str(tmp_path)}
        done = subprocess.run(argv, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert re.fullmatch(r"cannot listen on port \d+: Address already in use; try another with --port\n", done.stderr)


def test_stage_ends_when_an_instance_does(tmp_path: Path) -> None:
    """A stage with somebody missing shows nothing; the others leave, and the status says who did not."""
    environment = os.environ | {"AIOCPG_LOCAL_DIR": str(tmp_path)}
    argv = [*PROGRAM, "--local", "--port", "0"]
    pipes: Any = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen(argv, cwd=ROOT, env=environment, **pipes) as process, ExitStack() as stack:
        stack.callback(process.kill)  # what a failure here leaves behind
        for url in urls_of(process):
            with urlopen(f"{url}live", timeout=PATIENCE) as answer:
                assert answer.status == 200
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(children[1]), signal.SIGKILL)
        _, complaint = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert re.fullmatch(r"the instances ended with \[0, -9, 0\]\n", without_standstills(complaint))
    assert not any(Path(f"/proc/{pid}").exists() for pid in children)
