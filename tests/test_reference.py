"""The tables of the reference say what is so: every man page of libcpg has its line, every limit its value."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import aiocpg
from aiocpg import evs, lowlevel
from aiocpg.testing import ClusterNode
from support.imports import modules

ROOT = Path(__file__).parent.parent
REFERENCE = ROOT / "docs" / "reference"
MAN_PAGES = Path("/usr/share/man/man3")

CALL = re.compile(r"^cpg_(?P<name>\w+)(?P<page>\(3\)| \(no page\))$")
CONSTANT = re.compile(r"`(?P<module>[a-z_][\w.]*)\.(?P<name>_?[A-Z][A-Z_]+)`")
GRAIN = {
    "seconds": float,
    "bytes": int,
    "messages": int,
    "events": int,
    "calls": int,
    "listings": int,
    "brokers": int,
    "buffers": int,
    "groups": int,
    "sets": int,
    "answers": int,
    "frames": int,
    "pieces": int,
    "values": int,
    "excuses": int,
    "configurations": int,
}
"""Units that ``limits.md`` uses for what the source decides, and what a value in them is."""


NO_LIMITS = {
    "_service._probes.OK",
    "_service._probes.UNAVAILABLE",
    "evs._wire.data.HEAD_SIZE",
    "evs._wire.data.KEY_SIZE",
    "evs._wire.data.RECORD_SIZE",
    "evs._wire.header.FLAG_CRC",
    "evs._wire.header.FLAG_REQUEST",
    "evs._wire.header.FLAG_SAFE",
    "evs._wire.header.FLAG_STRICT",
    "evs._wire.header.HEADER_SIZE",
    "evs._wire.header.VERSION",
    "evs._wire.meta.ABORTED",
    "evs._wire.meta.CHUNK",
    "evs._wire.meta.TRACE",
    "cli._cluster.LAST_PORT",
    "engine._sequencer.FIRST_SEQ",
    "engine.corosync._listing.ALL_GROUPS",
    "engine.corosync._raw.DELIVER_INITIAL_TOTEM_CONF",
    "engine.local._wire.HEADER_SIZE",
    "engine.local._wire.VERSION",
    "engine.local.broker._client.NODEID",
}
"""Numbers that are names: of HTTP and TCP, a flag and a kind of libcpg's, those of a ring, two protocols, a node."""


class Limit(NamedTuple):
    """One line of a table in ``limits.md``."""

    text: str
    value: str
    unit: str
    where: str
    because: str = ""

    @property
    def number(self) -> float:
        return float(self.value.replace(" ", ""))


def rows(page: str, heading: str = "") -> list[list[str]]:
    """Return the cells of the first table behind a heading of a page of the reference, without the two lines on top."""
    text = (REFERENCE / page).read_text()
    _, found, text = text.partition(f"## {heading}\n") if heading else ("", "yes", text)
    assert found, f"{page} has no heading {heading!r}"
    table = re.search(r"^\|.*(?:\n\|.*)*", text, re.MULTILINE)
    assert table, f"{page} has no table behind {heading!r}"
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table[0].splitlines()[2:]]


def limits(heading: str) -> list[Limit]:
    """Return the lines of a table of limits."""
    return [Limit(*row) for row in rows("limits.md", heading)]


def numbers() -> list[str]:
    """Return the places of all numbers with a public name in capitals, those of the test clusters aside."""
    return [
        f"{module.removeprefix('aiocpg.')}.{target.id}"
        for module, path in modules(ROOT / "src" / "aiocpg").items()
        if not module.startswith("aiocpg.testing")
        for statement in ast.parse(path.read_text()).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and target.id.isupper() and not target.id.startswith("_")
        if type(getattr(importlib.import_module(module), target.id)) in (int, float)
    ]


def man_pages() -> set[str]:
    """Return the names of libcpg's installed man pages."""
    return {path.name.partition(".")[0] for path in MAN_PAGES.glob("cpg_*.3*")}


def test_table_of_calls_has_every_man_page_once() -> None:
    """Who comes from a man page finds it; a page that upstream adds fails here."""
    calls = [CALL.fullmatch(row[0]) for row in rows("lowlevel.md")]
    assert all(calls), [row[0] for row, call in zip(rows("lowlevel.md"), calls, strict=True) if not call]
    with_page = [f"cpg_{call['name']}" for call in calls if call and call["page"] == "(3)"]
    assert len(man_pages()) >= 19, "the man pages of libcpg-dev are not installed"
    assert sorted(with_page) == sorted(man_pages())


def test_table_of_calls_has_every_function_once() -> None:
    """A function without a man page is marked so, and each line names the call of the same name here."""
    functions = {name for name in lowlevel.__all__ if inspect.isfunction(getattr(lowlevel, name))}
    named = {row[0]: row[1] for row in rows("lowlevel.md") if row[0] != "cpg_overview(3)"}
    assert len(named) == len(functions) == 20
    assert {here.strip("`") for here in named.values()} == functions
    for there, here in named.items():
        call = CALL.fullmatch(there)
        assert call
        assert f"`{call['name']}`" == here
    without = {there.split()[0] for there in named if there.endswith("(no page)")}
    assert without == {f"cpg_{name}" for name in functions} - man_pages()


def test_table_of_calls_names_what_exists() -> None:
    """The public names in its last column are there."""
    last = " ".join(row[-1] for row in rows("lowlevel.md"))
    names = re.findall(r"`((?:Connection|Group)\.\w+|\w+Error)`", last)
    assert len(names) > 5
    for name in names:
        owner, _, member = name.partition(".")
        assert hasattr(getattr(aiocpg, owner), member or "__doc__"), name


@pytest.mark.parametrize("limit", limits("Ours"), ids=lambda limit: limit.where.strip("`"))
def test_limit_in_the_docs_is_the_one_in_the_code(limit: Limit) -> None:
    """The value is the constant's, in a unit that its kind fits."""
    place = CONSTANT.search(limit.where)
    assert place, f"{limit.where} names no constant"
    constant = getattr(importlib.import_module(f"aiocpg.{place['module']}"), place["name"])
    assert constant == limit.number
    assert isinstance(constant, GRAIN[limit.unit])


def test_every_limit_of_the_code_is_told_once() -> None:
    """A number with a public name in the source is a limit, and has its line with a reason."""
    places = [limit.where.strip("`") for limit in limits("Ours")]
    assert sorted(places) == sorted(set(numbers()) - NO_LIMITS)
    assert all(limit.because for limit in limits("Ours"))


def test_default_timeouts_in_the_docs_are_those_of_connect() -> None:
    """They are no constants, so they stand in a sentence."""
    defaults = inspect.signature(aiocpg.connect).parameters
    promised = " ".join((REFERENCE / "limits.md").read_text().split())
    connect, close = (defaults[name].default for name in ("connect_timeout", "close_timeout"))
    assert f"`connect_timeout` is {connect} seconds unless given, `close_timeout` {close}." in promised


@pytest.mark.anyio
@pytest.mark.parametrize("anyio_backend", ["asyncio"])
async def test_limits_of_corosync_are_what_the_daemon_says(node: ClusterNode) -> None:
    """The size of a message is what a stock daemon's library answers."""
    told = {limit.text.partition(",")[0]: limit for limit in limits("Corosync's")}
    async with node.connect() as cpg:
        assert cpg.max_message_size == told["message"].number


def test_table_of_errors_has_every_class_with_its_cure() -> None:
    """Whoever catches an error finds in one line what to do; the three that only gather others need none."""
    told = {name: row[1] for row in rows("errors.md") for name in re.findall(r"`(\w+)`", row[0])}
    assert all(told.values())
    assert set(told) == set(aiocpg.errors.__all__) - {"CPGError", "EngineError"}


EVS_H = [
    "evs_initialize",
    "evs_finalize",
    "evs_fd_get",
    "evs_dispatch",
    "evs_context_get",
    "evs_context_set",
    "evs_join",
    "evs_leave",
    "evs_mcast_joined",
    "evs_mcast_groups",
    "evs_membership_get",
    "evs_deliver_fn_t",
    "evs_confchg_fn_t",
]
"""What ``corosync/evs.h`` declared, in the last release that had it: functions, then the two callbacks."""

OWN_TESTS = [
    "test_initialize_",
    "test_finalize_",
    "test_fd_",
    "test_dispatch_",
    "test_context_",
    "test_join_",
    "test_leave_",
    "test_mcast_joined_",
    "test_mcast_groups_",
    "test_membership_get_",
    "test_configurations_",
]
"""How the tests begin that are about one function, or about the callback of configurations."""


def test_table_of_the_old_interface_has_every_function_once() -> None:
    """Who comes from ``corosync/evs.h`` finds each call, what is the same and what is not."""
    table = rows("evs.md", "The old interface")
    assert [row[0].strip("`") for row in table] == EVS_H
    assert all(row[3] for row in table), "a row does not say what differs"


def test_table_of_the_old_interface_names_the_tests_of_each_function() -> None:
    """What a row says is shown by tests, all of which are there; none that begins as a function does is left out."""
    named = {row[0].strip("`"): re.findall(r"`(\w+)`", row[4]) for row in rows("evs.md", "The old interface")}
    tests = _functions(ROOT / "tests" / "evs" / "test_handle.py")
    for function, names in named.items():
        assert len(names) == len(set(names)) > 0, f"{function} has no test, or one twice"
        assert set(names) <= tests, f"{function} names a test that is not there"
    told = {name for names in named.values() for name in names}
    own = {name for name in tests if name.startswith(tuple(OWN_TESTS))}
    assert len(own) > len(EVS_H)
    assert own <= told, "the table does not name a test of one of its functions"


def _functions(path: Path) -> set[str]:
    found = [
        node for node in ast.parse(path.read_text()).body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))
    ]
    return {node.name for node in found if node.name.startswith("test_")}


def test_table_of_the_old_interface_names_what_exists() -> None:
    """Each twin is there, and each class named beside it; two functions have no twin, and it says why."""
    table = rows("evs.md", "The old interface")
    without = {row[0].strip("`") for row in table if "no twin to call" in row[3]}
    assert without == {row[0].strip("`") for row in table if row[1] == "none"} == {"evs_fd_get", "evs_dispatch"}
    named = [name for row in table if row[1] != "none" for name in re.findall(r"`([\w.]+)`", row[1])]
    named += re.findall(r"`([A-Z]\w*[a-z]\w*(?:\.\w+)?)`", " ".join(cell for row in table for cell in row))
    assert len(named) > len(EVS_H)
    for name in named:
        _assert_is_of_evs(name)


def _assert_is_of_evs(name: str) -> None:
    owner, _, member = name.partition(".")
    found = getattr(evs, owner, None) or getattr(aiocpg, owner)
    if owner == "Evs" and member == "context":
        return  # made in the constructor
    assert hasattr(found, member or "__doc__"), name


def test_table_of_options_is_that_of_connect() -> None:
    """Each option with a unit or a limit has its line, and its default is the one in the signature."""
    told = {row[0].strip("`"): row[2] for row in rows("evs.md", "Opening")}
    defaults = {name: parameter.default for name, parameter in inspect.signature(evs.connect).parameters.items()}
    assert defaults.keys() - told.keys() == {"url", "connection", "reconnect", "daemon_uid", "context"}
    for name, text in told.items():
        given = text.strip('`"').replace(" ", "").partition(",")[0]
        assert given == str(defaults[name]) or float(given) == defaults[name], name
