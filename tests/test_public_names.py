"""What is public is in ``aiocpg.__all__``, documented in the reference, and nothing else is."""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path
from types import ModuleType

import pytest

import aiocpg
from aiocpg import aiohttp, asgi, errors, evs, otel, prometheus

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(
    r"^\.\. (?:py:)?(?:auto)?(?:class|data|exception|function):: "
    r"(aiocpg(?:\.aiohttp|\.asgi|\.evs|\.otel|\.prometheus)?)\.(\w+)$",
    re.MULTILINE,
)

PACKAGES: dict[str, ModuleType] = {
    "aiocpg": aiocpg,
    "aiocpg.aiohttp": aiohttp,
    "aiocpg.asgi": asgi,
    "aiocpg.evs": evs,
    "aiocpg.otel": otel,
    "aiocpg.prometheus": prometheus,
}
"""Those whose names are all in ``__all__``, and all in the reference."""

# Not objects with a docstring of their own: their text stands in the reference.
PLAIN = {
    "aiocpg": {"Buffer", "Event", "GroupState", "QuorumState", "__version__"},
    "aiocpg.aiohttp": {"CONNECTION"},
    "aiocpg.asgi": {"liveness", "readiness"},
    "aiocpg.evs": {"Configuration", "EvsEvent", "GroupLike"},
    "aiocpg.otel": set(),
    "aiocpg.prometheus": set(),
}
DOCUMENTED = [
    (package, name) for package, module in PACKAGES.items() for name in sorted(set(module.__all__) - PLAIN[package])
]


@pytest.mark.parametrize("package", PACKAGES)
def test_reference_has_exactly_the_public_names(package: str) -> None:
    """A name in ``__all__`` without documentation, and documentation of a name that is not there, both fail."""
    pages = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    documented = sorted(name for where, name in DIRECTIVE.findall(pages) if where == package)
    assert documented == sorted(PACKAGES[package].__all__)


@pytest.mark.parametrize("package", PACKAGES)
def test_every_public_name_is_there(package: str) -> None:
    """``from aiocpg import *`` works, and imports no private name."""
    module = PACKAGES[package]
    assert [name for name in module.__all__ if not hasattr(module, name)] == []
    assert {name for name in module.__all__ if name.startswith("_")} <= {"__version__"}


@pytest.mark.parametrize("package", PACKAGES)
def test_nothing_else_looks_public(package: str) -> None:
    """What a package has and ``__all__`` has not is a module or begins with an underscore."""
    module = PACKAGES[package]
    names = {name for name, value in vars(module).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert names - {"annotations"} == set(module.__all__) - {"__version__"}


def test_all_errors_are_in_the_root() -> None:
    """Whoever catches errors needs one import."""
    assert set(errors.__all__) <= set(aiocpg.__all__)
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert set(errors.__all__) == defined


@pytest.mark.parametrize(("package", "name"), DOCUMENTED)
def test_public_name_has_a_docstring(package: str, name: str) -> None:
    """The docstring is its own, not inherited."""
    found = getattr(PACKAGES[package], name)
    own = vars(found).get("__doc__") if inspect.isclass(found) else inspect.getdoc(found)
    assert own
    assert not own.startswith(f"{name}(")  # what dataclass and NamedTuple write where nobody did


def _public_methods() -> list[tuple[str, str, str]]:
    return sorted(
        (package, name, method)
        for package, name in DOCUMENTED
        if inspect.isclass(cls := getattr(PACKAGES[package], name)) and not issubclass(cls, enum.Enum)
        for method, value in vars(cls).items()
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    )


@pytest.mark.parametrize(("package", "cls", "method"), _public_methods())
def test_public_method_has_a_docstring(package: str, cls: str, method: str) -> None:
    """Every method and property of a public class says what it does."""
    assert inspect.getdoc(vars(getattr(PACKAGES[package], cls))[method])
