"""Each example does on a real cluster what it says it does, and Ctrl-C ends it in order."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from aiocpg.testing import CorosyncCluster
from examples.programs import EXAMPLES, Program, Stage, stage

STAGED = {"demo.py", "member.py"}
"""Run by scripts/demo and tested with it."""


@pytest.fixture
def play() -> Iterator[Stage]:
    """Start programs here."""
    with stage() as it:
        yield it


@pytest.fixture
def three(cluster: CorosyncCluster) -> CorosyncCluster:
    """Three nodes on one ring."""
    cluster.heal()
    cluster.wait_formed()
    return cluster


def texts(program: Program, word: str) -> list[str]:
    """What stands behind a word at the beginning of the lines."""
    return [line.removeprefix(f"{word} ") for line in program.lines if line.startswith(f"{word} ")]


def test_every_example_is_tested() -> None:
    """A new example needs a test."""
    here = "\n".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    names = {path.name for path in EXAMPLES.glob("*.py")} - STAGED
    assert names
    assert [name for name in sorted(names) if not re.search(rf'"{name.removesuffix(".py")}(\.py)?"', here)] == []


def test_hello_greets_everybody(three: CorosyncCluster, play: Stage) -> None:
    """Each sees the greetings of those who came after it, and its own; Ctrl-C is a leave."""
    first = play.start(three.node(1), "hello")
    first.until_line(f"{first.address} says hello")
    second = play.start(three.node(2), "hello")
    first.until_line(f"{second.address} says hello")
    second.until_line(f"{second.address} says hello")
    second.interrupt()
    first.until_line(f"members: {first.address} gone: {second.address}")
    first.interrupt()


def test_chat_shows_all_the_same_talk(three: CorosyncCluster, play: Stage) -> None:
    """Two terminals see one conversation in one order; who closes or crashes is seen to go."""
    ann, bob, eve = (
        play.start(three.node(nodeid), "chat", name) for nodeid, name in enumerate(("ann", "bob", "eve"), 1)
    )
    for chatter in (ann, bob, eve):
        chatter.until_line(r"\* 3 here.*")
    ann.type("hello", "anybody there?")
    bob.type("yes", "I am")
    for chatter in (ann, bob, eve):
        chatter.until_line("ann: anybody there\\?")
        chatter.until_line("bob: I am")
    talk = [[line for line in chatter.lines if ": " in line] for chatter in (ann, bob, eve)]
    assert talk[0] == talk[1] == talk[2]
    eve.send(signal.SIGKILL)
    ann.until_line(rf"\* 2 here, {eve.address} went \(PROCDOWN\)")
    bob.interrupt()
    ann.until_line(rf"\* 1 here, {bob.address} went \(LEAVE\)")
    ann.interrupt()


def test_watch_tells_who_and_why(three: CorosyncCluster, play: Stage) -> None:
    """A join, a leave and a crash, each with its reason."""
    watch = play.start(three.node(1), "watch", "hello")
    watch.until_line(rf"ring .*: {watch.address} \(\+{watch.address} JOIN\)")
    one, other = (play.start(three.node(nodeid), "hello") for nodeid in (2, 3))
    for guest in (one, other):
        watch.until_line(rf"ring .* \(\+{guest.address} JOIN\)")
        guest.until_line(f"{guest.address} says hello")  # a join that is interrupted ends hard
    one.interrupt()
    watch.until_line(rf"ring .*: {watch.address} {other.address} \(-{one.address} LEAVE\)")
    other.send(signal.SIGKILL)
    watch.until_line(rf"ring .*: {watch.address} \(-{other.address} PROCDOWN\)")
    watch.interrupt()


def test_worker_drains_when_it_is_told_to_end(three: CorosyncCluster, play: Stage) -> None:
    """A worker gets SIGTERM in the middle of the stream: every job that anybody accepted is done, once."""
    workers = [play.start(node, "worker") for node in three.nodes]
    for number, worker in enumerate(workers):
        worker.type(f"warm-up {number}")
    for worker in workers:
        worker.until(lambda lines: len(lines) > 0, "its first line")
    for number in range(300):
        for name, worker in zip("abc", workers, strict=True):
            if not (name == "b" and number >= 150):
                worker.type(f"{name}{number}")
        if number == 149:
            # The names are fixed, and so is that some of these are its own.
            workers[1].until(lambda lines: any(line.startswith("done") for line in lines), "its first job")
            workers[1].send(signal.SIGTERM)
    assert workers[1].ended() == 0, str(workers[1])
    for name, worker in zip("ac", (workers[0], workers[2]), strict=True):
        worker.until_line(f"accepted {name}299")
        worker.interrupt()
    accepted = [job for worker in workers for job in texts(worker, "accepted")]
    done = [job for worker in workers for job in texts(worker, "done")]
    assert Counter(done) == Counter(accepted)
    assert len([job for job in accepted if job.startswith(("a", "c"))]) == 600
    assert all(texts(worker, "done") for worker in workers)


def test_ask_hears_from_all_or_of_their_end(three: CorosyncCluster, play: Stage) -> None:
    """Those who can answer do; one that is stopped, then killed, is reported gone and keeps nobody waiting."""
    servers = [play.start(node, "ask") for node in three.nodes]
    watch = play.start(three.node(1), "watch", "questions")
    watch.until(lambda lines: bool(lines) and all(server.address in lines[-1] for server in servers), "all servers")
    watch.interrupt()
    servers[2].send(signal.SIGSTOP)
    asker = play.start(three.node(2), "ask", "who is there")
    for server in servers[:2]:
        server.until_line(f"{asker.address} asks: who is there")
    servers[2].send(signal.SIGKILL)
    assert asker.ended() == 0, str(asker)
    assert sorted(asker.lines) == sorted(
        [f"{server.address} answers: who is there? I am process {server.address[2:]}" for server in servers[:2]]
        + [f"{servers[2].address} is gone"]
    )
    for server in servers[:2]:
        server.interrupt()


def test_leader_does_the_jobs_and_its_death_loses_none(three: CorosyncCluster, play: Stage) -> None:
    """The lowest address leads; killed in the middle it is replaced, and a newcomer with a lower one takes over."""
    workers = [play.start(node, "leader") for node in (three.node(2), three.node(3))]
    second, third = workers
    second.until_line("I lead")
    third.until_line("I follow|I lead")
    first = play.start(three.node(1), "leader")
    first.until_line("I lead")
    second.until_line("I follow")
    third.type(*(f"job {number}" for number in range(100)))
    first.until_line("doing job 10")
    first.send(signal.SIGKILL)
    second.until_line("I lead", count=2)
    third.type("last")
    second.until_line("doing last")
    first.ended()
    assert {*texts(first, "doing"), *texts(second, "doing")} == {*(f"job {number}" for number in range(100)), "last"}
    assert texts(third, "doing") == []
    for worker in workers:
        worker.interrupt()


@pytest.mark.usefixtures("local_directory")
@pytest.mark.parametrize(("name", "number"), [("test_partition", 1), ("test_split_brain", 1), ("test_every_engine", 3)])
def test_test_of_ones_own_passes(name: str, number: int, tmp_path: Path) -> None:
    """With pytest alone, away from our own configuration."""
    argv = [
        sys.executable,
        "-m",
        "pytest",
        "-W",
        "error",
        f"--rootdir={tmp_path}",
        EXAMPLES / f"{name}.py",
    ]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert f"{number} passed" in done.stdout, done.stdout + done.stderr


def test_register_takes_no_writes_in_a_minority(three: CorosyncCluster, play: Stage) -> None:
    """The side that is cut off refuses them and still answers; the majority goes on; both take them when it healed."""
    cut_off, other = (play.start(three.node(nodeid), "register") for nodeid in (1, 2))
    for register in (cut_off, other):
        register.until_line("writes are taken")
    cut_off.type("colour red")
    other.until_line("colour is red")
    three.partition({1}, {2, 3})
    cut_off.until_line("writes are refused: there are only nodes 1")
    cut_off.type("colour blue", "colour")
    cut_off.until_line("refused: colour blue")
    cut_off.until_line("colour is red", 2)
    three.wait_formed({1}, {2, 3})
    other.type("colour green")
    other.until_line("colour is green")
    three.heal()
    cut_off.until_line("writes are taken", 2)
    cut_off.type("colour white")
    other.until_line("colour is white")
    assert texts(other, "colour is") == ["red", "green", "white"]
    for register in (cut_off, other):
        register.interrupt()
