"""
What is handed out: one wheel for every CPython from 3.11 on, free of Corosync's libraries, and an sdist that makes it.

Both are made by ``support.packages``. That the wheel runs on every interpreter is in ``test_interpreters.py``.
"""

from __future__ import annotations

import email
import re
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

import aiocpg
from aiocpg.testing import ClusterNode
from support.imports import PACKAGE, imports
from support.packages import ROOT, run

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

pytestmark = pytest.mark.slow


def test_wheel_is_for_every_cpython_from_3_11_on(wheel: Path) -> None:
    """The tag of the file and the name of the extension both say the stable ABI, and the tag an old C library."""
    assert re.fullmatch(rf"aiocpg-{re.escape(aiocpg.__version__)}-cp311-abi3-manylinux_2_\d+_\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        assert [name for name in archive.namelist() if name.endswith(".so")] == ["aiocpg/engine/_libcpg/_shim.abi3.so"]


def test_extension_uses_nothing_but_the_stable_abi(wheel: Path) -> None:
    """No symbol of CPython is newer than 3.11's limited API, whatever headers it was compiled with."""
    run("abi3audit", "--strict", wheel)


def test_wheel_has_the_marker_of_types_and_no_sources_in_c(wheel: Path) -> None:
    """Type checkers believe our annotations; nobody needs C sources beside a built extension."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert "aiocpg/py.typed" in names
    assert [name for name in names if name.endswith((".c", ".h", ".o"))] == []
    tops = {name.split("/")[0] for name in names}
    assert tops == {"aiocpg", "_aiocpg_pytest.py", f"aiocpg-{aiocpg.__version__}.dist-info"}


def test_wheel_has_every_module_of_the_checkout(wheel: Path) -> None:
    """No package is forgotten by the list of packages."""
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if name.endswith(".py")}
    assert names == {str(path.relative_to(ROOT / "src")) for path in (ROOT / "src").rglob("*.py")}


def test_wheel_names_its_licence_and_its_dependencies(wheel: Path) -> None:
    """The metadata is what pyproject.toml says; only cffi and anyio are needed to run."""
    with zipfile.ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = email.message_from_bytes(archive.read(name))
    needed = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert sorted(re.match(r"[\w-]+", line)[0] for line in needed) == ["anyio", "cffi"]  # type: ignore[index]
    assert metadata["License-Expression"] == "BSD-3-Clause"
    assert metadata["Requires-Python"] == ">=3.11"


def test_sdist_has_every_file_of_the_checkout(sdist: Path, checkout: Path) -> None:
    """Whoever packages it for a distribution can run the tests, build the docs and read the licence."""
    top = sdist.name.removesuffix(".tar.gz")
    names = {name.removeprefix(f"{top}/") for name in run("tar", "--list", "--file", sdist).splitlines()}
    files = {str(path.relative_to(checkout)) for path in checkout.rglob("*") if path.is_file()}
    assert sorted(files - names) == []


def test_version_stands_in_one_place(checkout: Path) -> None:
    """The sources have one literal that a release changes; metadata, docs and command line take it from there."""
    literal = re.compile(rf"""["']v?{re.escape(aiocpg.__version__)}["']""")
    config = [checkout / name for name in ("pyproject.toml", "setup.py", "docs/conf.py")]
    places = [path for path in [*config, *(checkout / "src").rglob("*.py")] if literal.search(path.read_text())]
    assert places == [checkout / "src" / "aiocpg" / "__init__.py"]


def test_extension_is_linked_to_nothing_of_corosync(wheel: Path, tmp_path: Path) -> None:
    """Only parts of the C library are needed to load it, so no repair of a wheel ever has a libqb to bundle."""
    with zipfile.ZipFile(wheel) as archive:
        extension = archive.extract("aiocpg/engine/_libcpg/_shim.abi3.so", tmp_path)
    needed = re.findall(r"NEEDED.*\[(.+)\]", run("readelf", "--dynamic", extension))
    assert [name for name in needed if not re.match(r"(ld-linux|libc|libdl|libm|libpthread)\b", name)] == []


def test_package_imports_where_there_is_no_corosync(python: Path, node: ClusterNode, tmp_path: Path) -> None:
    """All modules import without libcpg in sight; only connecting needs it, and says so, daemon or not."""
    program = """
import asyncio, sys
import aiocpg, aiocpg.lowlevel, aiocpg.testing
assert not {"trio", "uvloop", "pytest"} & set(sys.modules)
async def main():
    try:
        await aiocpg.connect("corosync://")
    except aiocpg.EngineUnavailableError as error:
        print(aiocpg.__file__, error, sep="|")
asyncio.run(main())
"""
    nothing = tmp_path / "nothing"
    nothing.touch()
    libraries = re.findall(r"=> (/.*/lib(?:cpg|qb|corosync_common)\.so.*)", run("/sbin/ldconfig", "-p"))
    hide = "".join(f"mount --bind {nothing} {library} && " for library in libraries)
    # The mounts of a node are private already, so those of a copy stay where they are made.
    alone = ("unshare", "--mount", "--propagation=unchanged", "sh", "-c", f'{hide}exec "$@"', "sh")
    with node.spawn([*alone, python, "-I", "-c", program], cwd=tmp_path, stdout=subprocess.PIPE, text=True) as process:
        where, _, error = process.communicate(timeout=60)[0].partition("|")
    assert process.returncode == 0
    assert Path(where).is_relative_to(python.parent.parent)
    assert "libcpg" in error


def test_sources_import_what_is_declared_and_no_more() -> None:
    """Third-party imports are the dependencies, or an extra's in the module of that extra."""
    # trio is imported where it is running already, and only there: see the test above.
    always = {"anyio", "cffi", "_cffi_backend", "trio"}
    extras = {
        "aiocpg.aiohttp": {"aiohttp"},
        "aiocpg.cli": {"typer", "rich"},
        "aiocpg.otel": {"opentelemetry"},
        "aiocpg.prometheus": {"prometheus_client"},
    }
    assert {re.match(r"[\w-]+", line)[0] for line in PROJECT["dependencies"]} == {"anyio", "cffi"}  # type: ignore[index]
    foreign = {
        (one.importer, top)
        for one in imports(ROOT / "src" / PACKAGE)
        if (top := one.target.split(".")[0]) not in {*sys.stdlib_module_names, PACKAGE, *always}
    }
    allowed = {(module, top) for module, top in foreign if top in extras.get(".".join(module.split(".")[:2]), ())}
    assert foreign - allowed == set()
