"""
Blocks of the docs that are no Python: commands exist and have these options, units are accepted by systemd.

Programs are run by ``test_docs.py``, which takes the fences named ``python``; here is seen to it that nothing that
should be run hides behind another name.
"""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.pages import BLOCKS, ROOT, Block

SHELL = {"", "sh", "console"}
"""Blocks of commands. An indented one has no name."""
ELSEWHERE = {
    "text",
    "none",
    "python",
    "bash",
    "ini",
    "c",
    "yaml",
    "toml",
    "json",
    "html",
    "javascript",
    "css",
    "dockerfile",
}
"""What is run or read by another test, or is of another language and only shown."""
FOREIGN = {"curl", "dnf", "docker", "gunicorn", "kubectl", "podman", "uvicorn", "firefox", "chromium"}
"""Programs of other systems, and of the reader's choice."""
SOURCES = [*(ROOT / "scripts").iterdir(), *(ROOT / "benchmarks").glob("*.py"), *(ROOT / "releasing").glob("*.py")]


@dataclass(frozen=True)
class Command:
    """One command, without what stands around it: variables, ``sudo``, a prompt, a comment."""

    place: str
    words: tuple[str, ...]

    @property
    def program(self) -> str:
        """Its first word."""
        return self.words[0]

    @property
    def options(self) -> list[str]:
        """Its long options, up to a program of its own that it runs."""
        own = self.words[: self.words.index("--")] if "--" in self.words else self.words
        return [word.partition("=")[0] for word in own if re.match(r"--\w", word)]


def commands(block: Block) -> list[Command]:
    """Return the commands of a block; of one for a terminal, the lines with a prompt."""
    lines = block.text.replace("\\\n", " ").splitlines()
    if block.language == "console":
        lines = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    parsed = (shlex.split(_bare(line), comments=True) for line in lines)
    return [Command(str(block), tuple(words)) for words in parsed if words]


def _bare(line: str) -> str:
    """A command without sudo and variables before it, and without what it does, which stands two spaces behind it."""
    line = re.sub(r"^ *((sudo( -u \S+)?|env|export|\w+=\S+)( +|$))*", "", line)
    return re.sub(r" {2,}.*", "", line)


UNITS = [block for block in BLOCKS if block.language == "ini" and "[Service]" in block.text]
COMMANDS = [command for block in BLOCKS if block.language in SHELL for command in commands(block)]


def test_every_block_is_of_a_known_kind() -> None:
    """A fence with another name would be neither run nor looked at; ``{...}`` is Sphinx's."""
    strange = [f"{one}: {one.language}" for one in BLOCKS if not one.language.startswith("{")]
    assert [line for line in strange if line.rpartition(": ")[2] not in SHELL | ELSEWHERE] == []


def test_text_blocks_are_no_programs_in_hiding() -> None:
    """What would run as Python is called that, so that it is run."""
    hidden = [str(block) for block in BLOCKS if block.language in {"text", "none"} and "import aiocpg" in block.text]
    assert hidden == []


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: f"{command.place} {command.program}")
def test_command_exists(command: Command) -> None:
    """Its program is in this checkout, this environment or a Debian with Corosync, and has those options."""
    name = Path(command.program).name
    if command.program.startswith("scripts/"):
        _check_script(command)
    elif name == "aiocpg":
        _check_cli(command)
    elif name not in FOREIGN:
        path = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin"
        assert shutil.which(name, path=path), f"{command.place}: no {name} here"
        for file in (word for word in command.words[1:] if word.startswith("examples/")):
            assert (ROOT / file).exists(), f"{command.place}: no {file}"


def _check_script(command: Command) -> None:
    script = ROOT / command.program
    assert script.stat().st_mode & 0o111, f"{command.place}: {script} cannot be run"
    known = "".join(path.read_text() for path in SOURCES if path.is_file())
    assert [option for option in command.options if option not in known] == []


def _check_cli(command: Command) -> None:
    words = [word for word in command.words[1:3] if re.fullmatch(r"[a-z]+", word)]
    names = words[:2] if words[:1] == ["cluster"] else words[:1]
    done = subprocess.run(
        [sys.executable, "-m", "aiocpg", *names, "--help"], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, f"{command.place}: {done.stderr}"
    assert [option for option in command.options if option not in done.stdout] == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("scripts/bench --quick     how fast it is", ("scripts/bench", "--quick")),
        ("AIOCPG_URL=corosync://  python hello.py    # every node", ("python", "hello.py")),
        ("sudo -u orders /opt/bin/aiocpg doctor", ("/opt/bin/aiocpg", "doctor")),
        ("sudo env A=1 python x.py", ("python", "x.py")),
        ("export AIOCPG_URL=local://x", None),
    ],
)
def test_command_is_found_behind_what_stands_around_it(text: str, words: tuple[str, ...] | None) -> None:
    """Variables, sudo and remarks are none of it."""
    assert [command.words for command in commands(Block("page", 1, "", text))] == ([words] if words else [])


@pytest.mark.parametrize(
    "wrong", ["scripts/nothing", "scripts/bench --nothing", "aiocpg nothing", "no-such-program -x"]
)
def test_command_that_does_not_exist_is_noticed(wrong: str) -> None:
    """A script, an option, a subcommand, a program."""
    (command,) = commands(Block("page", 1, "", wrong))
    with pytest.raises((AssertionError, FileNotFoundError)):
        test_command_exists(command)


def verified(unit: str, directory: Path) -> str:
    """Have systemd read a unit, with a program that exists in place of the service's own; return its complaints."""
    unit = re.sub(r"^ExecStart=\S+", f"ExecStart={sys.executable}", unit, flags=re.MULTILINE)
    if "ExecStart=" not in unit:
        unit = unit.replace("[Service]", f"[Service]\nExecStart={sys.executable}")
    (directory / "page.service").write_text(unit)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", directory / "page.service"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=60,
    )
    # It also reads units of the system, about which it may have its own opinion.
    return "\n".join(line for line in done.stdout.splitlines() if "page.service" in line)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language == "ini" and "[Service]" in block.text], ids=str
)
def test_systemd_accepts_the_unit(block: Block, tmp_path: Path) -> None:
    """Every setting is one, in its section."""
    assert verified(block.text, tmp_path) == ""


def test_systemd_notices_a_wrong_unit(tmp_path: Path) -> None:
    """Silence means something."""
    assert "TimeoutStpSec" in verified("[Service]\nTimeoutStpSec=3\n", tmp_path)
