"""
The house: every module has a floor, imports go down, and every module has its test file.

A new module that stands in no row fails here: decide where it belongs, then write it into the table.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable
from pathlib import Path

import pytest

from support.imports import PACKAGE, Import, imports, modules

TESTS = Path(__file__).parent
SOURCE = TESTS.parent / "src" / PACKAGE

# From the top floor to the ground. A name stands for a module or a package with all that is in it; the packages that
# only gather (the root and engine) stand for their __init__.py alone. Names of one row do not import one another.
FLOORS: tuple[tuple[str, ...], ...] = (
    ("__main__",),
    ("cli", "aiohttp", "asgi", "otel", "prometheus"),
    ("_exported", "_service"),
    ("testing",),
    ("evs",),
    ("",),
    ("_connection",),
    ("_session",),
    ("_link",),
    ("_group",),
    ("engine", "lowlevel"),
    ("engine.corosync", "engine.local", "engine.memory"),
    ("engine._claims", "engine._libcpg", "engine._sequencer", "engine._url"),
    ("_hub", "_quorum"),
    ("_comeback", "_lag", "_place", "_pulse", "_quorum_watch", "_stream", "_threads", "engine._base"),
    ("_health", "_loop", "_names", "_opening", "_payload", "_state"),
    ("_statistics",),
    ("_events",),
    ("errors",),
)
GATHERING = {"", "engine"}

# Upstairs, being below is not enough: these use what any user can use, and what stands here.
PUBLIC = {"", "errors", "evs", "lowlevel"}
ONLY: dict[str, set[str]] = {
    "__main__": {"cli"},
    # Being a broker is what no other program does, so there is no public name for it.
    "cli": PUBLIC | {"testing", "engine.local"},
    "aiohttp": PUBLIC | {"_service"},
    "asgi": PUBLIC | {"_service"},
    "otel": PUBLIC | {"_exported"},
    "prometheus": PUBLIC | {"_exported"},
    # What counts in memberships that have ended is added up in one way.
    "_exported": PUBLIC | {"_state"},
    "_service": PUBLIC,
    "testing": PUBLIC | {"engine._base", "engine.memory", "_connection"},
    # What it builds of is what groups are built of: buffers and streams, loops, places. Groups it uses by public names.
    "evs": PUBLIC - {"evs"} | {"_events", "_loop", "_names", "_opening", "_payload", "_place", "_state", "_stream"},
}

# Imports of ours inside functions: who, whom, and why not at the top.
LAZY: dict[tuple[str, str], str] = {
    ("engine", "engine.corosync"): "an engine is loaded when its URL asks for it",
    ("engine", "engine.local"): "an engine is loaded when its URL asks for it",
    ("engine", "engine.memory"): "an engine is loaded when its URL asks for it",
    ("cli", "testing"): "clusters are for one command, and every command would start the later for them",
}

# Modules whose promises are tested elsewhere than in the file of their name.
TESTED_ELSEWHERE: dict[str, str] = {
    "": "test_public_names.py",
    "__main__": "test_main.py",
    "cli": "test_main.py",
    "cli._app": "test_main.py",
    # What handlers find is there between a start and an end.
    "asgi._handlers": "asgi/test_lifespan.py",
    # A command, its copies on the nodes and the signals to them show in the whole program.
    "cli._everywhere": "cli/test_cluster.py",
    "cli._signals": "cli/test_cluster.py",
    "cli._ports": "cli/test_cluster_from_outside.py",
    "cli._typed": "cli/test_cluster_from_outside.py",
    # What commands share shows in them.
    "cli._aside": "cli/test_running.py",
    "cli._checks": "cli/test_doctor.py",
    "cli._input": "cli/test_send.py",
    "cli._listing": "cli/test_top.py",
    "cli._options": "cli/test_running.py",
    "cli._output": "cli/test_running.py",
    # The broker shows in what its clients get.
    "engine.local.broker._client": "engine/local/broker/test_broker.py",
    "engine.local.broker._limits": "engine/local/broker/test_broker.py",
    # What a port promises is kept on each loop, so it is tested once, on all of them.
    "_loop._asyncio": "loop/test_port.py",
    "_loop._trio": "loop/test_port.py",
    # What an endpoint hands out and counts shows in it.
    "evs._endpoint.happenings": "evs/endpoint/test_endpoint.py",
    "evs._endpoint.statistics": "evs/endpoint/test_endpoint.py",
    # How a span is the current one, and how it ends, shows in those that read and send.
    "otel._spans": "otel/test_reading.py",
    # What holds a cluster up shows in the cluster alone: namespaces, daemons, and that nothing is left of them.
    "testing._control": "testing/test_cluster.py",
    "testing._daemon": "testing/test_cluster.py",
    "testing._entrance": "testing/test_cluster.py",
    "testing._errors": "testing/test_cluster.py",
    "testing._keeper": "testing/test_ending.py",
    "testing._memory_node": "testing/test_memory.py",
    "testing._node": "testing/test_cluster.py",
    "testing._sweep": "testing/test_ending.py",
    "testing._syscalls": "testing/test_cluster.py",
    "testing.__main__": "testing/test_userns.py",
    # What a check is worth shows on the faulty engines that it finds.
    **{
        f"testing.conformance.{module}": "testing/test_conformance_faults.py"
        for module in (
            "_calling",
            "_cancelling",
            "_joining",
            "_leaving",
            "_losing",
            "_ordering",
            "_quorum",
            "_refusing",
        )
    },
    "testing.conformance._reading": "testing/test_conformance_reading.py",
    **{
        f"testing.conformance.{module}": "testing/test_conformance.py"
        for module in ("_call", "_check", "_leftovers", "_member", "_report", "_room", "_run", "_table", "_world")
    },
}


def unit(module: str) -> str | None:
    """Return the name in the table that a module belongs to, None for a module that has no floor."""
    inner = module.removeprefix(PACKAGE).removeprefix(".")
    names = {name for row in FLOORS for name in row}
    if inner in names:
        return inner
    while "." in inner:
        inner = inner.rpartition(".")[0]
        if inner in names:
            return None if inner in GATHERING else inner
    return None


def floor(name: str) -> int:
    """Return how high a name of the table stands; ``errors`` is 0."""
    return next(height for height, row in enumerate(reversed(FLOORS)) if name in row)


def violations(found: Iterable[Import]) -> list[str]:
    """Return what is wrong with these imports, one line each."""
    ours = (one for one in found if one.target.split(".")[0] == PACKAGE)
    return [f"{one}: {wrong}" for one in ours if (wrong := _judge(one))]


def _judge(one: Import) -> str:
    importer, target = unit(one.importer), unit(one.target)
    if importer is None or target is None:
        return "one of them has no floor"
    if importer == target:
        return ""
    rules = {
        f"floor {floor(importer)} to {floor(target)} does not go down": floor(target) < floor(importer),
        f"{importer} may use {sorted(ONLY.get(importer, ()))} only": target in ONLY.get(importer, {target}),
        "it is hidden in a function": not one.lazy or (importer, target) in LAZY,
    }
    return "; ".join(rule for rule, kept in rules.items() if not kept)


def test_every_module_has_a_floor() -> None:
    """A module nobody placed would be free to import anything."""
    assert [module for module in modules(SOURCE) if unit(module) is None] == []


def test_imports_go_down() -> None:
    """No module imports from its own floor or from above, also not in a function or for its types."""
    assert violations(imports(SOURCE)) == []


def test_modules_of_a_package_import_one_another_without_a_circle() -> None:
    """Inside one name of the table there are no floors, so at least there are no circles."""
    graph: dict[str, set[str]] = {module: set() for module in modules(SOURCE)}
    for one in imports(SOURCE):
        if one.target in graph and one.target != one.importer:
            graph[one.importer].add(one.target)
    graphlib.TopologicalSorter(graph).prepare()


def test_errors_imports_nothing_of_ours() -> None:
    """The ground floor stands on nothing."""
    ours = [one for one in imports(SOURCE) if one.importer == f"{PACKAGE}.errors" and one.target.startswith(PACKAGE)]
    assert ours == []


@pytest.mark.parametrize(
    ("importer", "target", "lazy", "complaint"),
    [
        ("aiocpg._stream", "aiocpg._group", False, "does not go down"),
        ("aiocpg._stream", "aiocpg._group", True, "does not go down"),
        ("aiocpg.engine.local.broker", "aiocpg.engine.memory", False, "does not go down"),
        ("aiocpg._new", "aiocpg.errors", False, "has no floor"),
        ("aiocpg.engine._new", "aiocpg.errors", False, "has no floor"),
        ("aiocpg.cli.run", "aiocpg._events", False, "may use"),
        ("aiocpg._group", "aiocpg._stream", True, "hidden in a function"),
    ],
)
def test_wrong_import_is_reported(importer: str, target: str, lazy: bool, complaint: str) -> None:
    """The table holds: each kind of wrong import is found and named."""
    (line,) = violations([Import(importer, target, 7, lazy)])
    assert f"{importer}:7 imports {target}" in line
    assert complaint in line


@pytest.mark.parametrize(
    ("importer", "target", "lazy"),
    [
        ("aiocpg._group", "aiocpg._stream", False),
        ("aiocpg._group", "anyio", True),
        ("aiocpg.engine", "aiocpg.engine.memory", True),
        ("aiocpg.engine.local.broker", "aiocpg.engine.local.wire", False),
    ],
)
def test_good_import_is_not_reported(importer: str, target: str, lazy: bool) -> None:
    """The rule is not stricter than the house."""
    assert violations([Import(importer, target, 7, lazy)]) == []


def test_every_spelling_of_an_import_is_read(tmp_path: Path) -> None:
    """Absolute, relative, of a module, of a name, in a function, under TYPE_CHECKING."""
    (tmp_path / "inner").mkdir()
    (tmp_path / "__init__.py").write_text("from . import low\n")
    (tmp_path / "low.py").write_text("import os.path\n")
    (tmp_path / "inner" / "__init__.py").write_text("from .one import name\nfrom .. import low\n")
    (tmp_path / "inner" / "one.py").write_text(
        "import aiocpg.low\nif TYPE_CHECKING:\n    from ..low import name\ndef f():\n    from aiocpg import low\n"
    )
    assert {(one.importer, one.target, one.lazy) for one in imports(tmp_path)} == {
        ("aiocpg", "aiocpg.low", False),
        ("aiocpg.low", "os.path", False),
        ("aiocpg.inner", "aiocpg.inner.one", False),
        ("aiocpg.inner", "aiocpg.low", False),
        ("aiocpg.inner.one", "aiocpg.low", False),
        ("aiocpg.inner.one", "aiocpg.low", True),
    }


def _plain(path: Path) -> str:
    return "/".join(part.lstrip("_") for part in path.parts)


def _test_file(module: str, path: Path) -> str:
    relative = path.relative_to(SOURCE)
    if path.name == "__init__.py":
        relative = relative.parent / relative.parent.name
    return _plain(relative.parent / f"test_{relative.stem.lstrip('_')}.py")


def _says_something(path: Path) -> bool:
    # An __init__.py of a docstring and imports promises nothing that the modules behind it do not.
    return path.name != "__init__.py" or "\ndef " in path.read_text() or "\nclass " in path.read_text()


def test_every_module_has_its_test_file() -> None:
    """``src/aiocpg/x/_y.py`` is tested in ``tests/x/test_y.py``, unless the table above says where."""
    present = {_plain(path.relative_to(TESTS)) for path in TESTS.rglob("test_*.py")}
    expected = {
        module: TESTED_ELSEWHERE.get(module.removeprefix(PACKAGE).removeprefix("."), _test_file(module, path))
        for module, path in modules(SOURCE).items()
        if _says_something(path)
    }
    assert {module: file for module, file in expected.items() if file not in present} == {}
