"""
The code in the docs runs, as it stands, against a real daemon, and prints what the docs say it prints.

Every ``python`` fence of README.md and docs/ is a program; ``await`` may stand at its top level. A ``text`` fence
below holds lines that it prints, in this order; the program may then run on and is ended. One without must end by
itself. ``1:4242`` in the docs stands for any address. Programs that are included are examples and tested as such; the
tutorial's transcripts are compared with what really comes.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from aiocpg.testing import ClusterNode
from examples.programs import stage

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
TEXT = re.compile(r"^```text\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FENCE = re.compile(r"^```python\n(?P<code>.*?)^```\n(?:\s*^```text\n(?P<output>.*?)^```$)?", re.MULTILINE | re.DOTALL)

RUNNER = """
import ast, asyncio, inspect, sys
path = sys.argv[1]
code = compile(open(path).read(), path, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
names = {"__name__": "__main__"}
if code.co_flags & inspect.CO_COROUTINE:
    asyncio.run(eval(code, names))
else:
    exec(code, names)
"""


@dataclass(frozen=True)
class Example:
    """A program in the docs."""

    place: str
    code: str
    output: list[str]


def _examples() -> list[Example]:
    return [
        Example(
            f"{page.relative_to(ROOT)}:{text[: fence.start()].count(chr(10)) + 1}",
            fence["code"],
            (fence["output"] or "").splitlines(),
        )
        for page in [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
        if "_build" not in page.parts
        for text in [page.read_text()]
        for fence in FENCE.finditer(text)
    ]


def _pattern(line: str) -> re.Pattern[str]:
    return re.compile(re.escape(line).replace("1:4242", r"\d+:\d+"))


def run(example: Example, node: ClusterNode, directory: Path) -> tuple[list[str], list[str], int]:
    """Run a program on a node; return what it printed, the promised lines that are missing, and its status."""
    (directory / "example.py").write_text(example.code)
    limit = ["timeout", "--signal=KILL", "60"]
    program = [sys.executable, "-X", "dev", "-u", "-c", RUNNER, str(directory / "example.py")]
    printed, missing = [], list(example.output)
    with node.spawn([*limit, *program], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            printed.append(line)
            if missing and _pattern(missing[0]).fullmatch(line.rstrip("\n")):
                missing.pop(0)
                if not missing:
                    process.send_signal(signal.SIGTERM)
    return printed, missing, process.returncode


@pytest.mark.parametrize("example", [pytest.param(example, id=example.place) for example in _examples()])
@pytest.mark.usefixtures("local_directory")
def test_example_in_the_docs_runs(example: Example, node: ClusterNode, tmp_path: Path) -> None:
    """A reader who copies it sees what the page shows."""
    printed, missing, status = run(example, node, tmp_path)
    assert missing == [], "".join(printed)
    ended = {0, -signal.SIGTERM, 128 + signal.SIGTERM} if example.output else {0}
    assert status in ended, "".join(printed)
    assert "Traceback" not in "".join(printed)


@pytest.mark.parametrize(
    ("code", "output"),
    [
        ("print('other')", ["promised"]),
        ("raise ValueError", []),
        ("import asyncio\nawait asyncio.sleep(0)\nprint('1:7 here')", ["1:4242 there"]),
    ],
)
def test_wrong_example_is_noticed(code: str, output: list[str], node: ClusterNode, tmp_path: Path) -> None:
    """A program that fails, or prints something else, does not pass."""
    _, missing, status = run(Example("here", code, output), node, tmp_path)
    assert missing or status


def test_readme_has_an_example() -> None:
    """The pattern above finds what it is meant to find."""
    assert [example for example in _examples() if example.place.startswith("README.md")]


@pytest.mark.parametrize("url", ["local://tutorial", "corosync://"])
def test_tutorial_shows_what_one_sees(
    url: str, node: ClusterNode, local_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two terminals, then Ctrl-C in the second: the transcripts of the page, but for the pids."""
    monkeypatch.setenv("AIOCPG_URL", url)
    page = (DOCS / "tutorial" / "first-group.md").read_text()
    begins, other, goes_on, ends = (text.splitlines() for text in TEXT.findall(page))
    with stage() as play:
        first = play.start(node, "hello")
        first.until(lambda lines: len(lines) >= len(begins))
        second = play.start(node, "hello")
        second.until(lambda lines: len(lines) >= len(other))
        first.until(lambda lines: len(lines) >= len(begins + goes_on))
        second.interrupt()
        first.until(lambda lines: len(lines) >= len(begins + goes_on + ends))
        first.interrupt()

        def shown(lines: list[str]) -> list[str]:
            names = {first.address: "1:4242", second.address: "1:4250"}
            return [re.sub(r"\d+:\d+", lambda found: names[found[0]], line) for line in lines]

        assert shown(first.lines) == begins + goes_on + ends
        assert shown(second.lines) == other


@pytest.mark.parametrize("number", [0, 1])
def test_corosync_accepts_the_configuration(number: int, tmp_path: Path) -> None:
    """Both files of the page on installing are read by the daemon without complaint."""
    conf = TEXT.findall((DOCS / "howto" / "install.md").read_text())[number]
    corosync = shutil.which("corosync", path="/usr/sbin:/sbin:/usr/bin")
    assert corosync is not None
    # A cipher makes it look for the cluster's key.
    (tmp_path / "authkey").write_bytes(bytes(128))
    (tmp_path / "corosync.conf").write_text(conf.replace("totem {", f"totem {{\n    keyfile: {tmp_path}/authkey"))
    done = subprocess.run(
        [corosync, "-t", "-c", tmp_path / "corosync.conf"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
