"""What is public is in ``aiocpg.__all__``, documented in the reference, and nothing else is."""

from __future__ import annotations

import enum
import inspect
import re
from pathlib import Path

import pytest

import aiocpg
from aiocpg import errors

REFERENCE = Path(__file__).parent.parent / "docs" / "reference"
DIRECTIVE = re.compile(r"^\.\. (?:py:)?(?:auto)?(?:class|data|exception|function):: aiocpg\.(\w+)$", re.MULTILINE)

# Not objects with a docstring of their own: their text stands in the reference.
PLAIN = {"Buffer", "Event", "__version__"}
DOCUMENTED = sorted(set(aiocpg.__all__) - PLAIN)


def test_reference_has_exactly_the_public_names() -> None:
    """A name in ``__all__`` without documentation, and documentation of a name that is not there, both fail."""
    pages = "\n".join(page.read_text() for page in REFERENCE.glob("*.md"))
    assert sorted(DIRECTIVE.findall(pages)) == sorted(aiocpg.__all__)


def test_every_public_name_is_there() -> None:
    """``from aiocpg import *`` works, and imports no private name."""
    assert [name for name in aiocpg.__all__ if not hasattr(aiocpg, name)] == []
    assert [name for name in aiocpg.__all__ if name.startswith("_")] == ["__version__"]


def test_nothing_else_looks_public() -> None:
    """What the root has and ``__all__`` has not is a module or begins with an underscore."""
    names = {name for name, value in vars(aiocpg).items() if not name.startswith("_") and not inspect.ismodule(value)}
    assert names - {"annotations"} == set(aiocpg.__all__) - {"__version__"}


def test_all_errors_are_in_the_root() -> None:
    """Whoever catches errors needs one import."""
    assert set(errors.__all__) <= set(aiocpg.__all__)
    defined = {
        name for name, value in vars(errors).items() if inspect.isclass(value) and value.__module__ == errors.__name__
    }
    assert set(errors.__all__) == defined


@pytest.mark.parametrize("name", DOCUMENTED)
def test_public_name_has_a_docstring(name: str) -> None:
    """The docstring is its own, not inherited."""
    own = (
        vars(getattr(aiocpg, name)).get("__doc__")
        if inspect.isclass(getattr(aiocpg, name))
        else inspect.getdoc(aiocpg.connect)
    )
    assert own
    assert not own.startswith(f"{name}(")  # what dataclass and NamedTuple write where nobody did


def _public_methods() -> list[str]:
    classes = {name: getattr(aiocpg, name) for name in DOCUMENTED if inspect.isclass(getattr(aiocpg, name))}
    return sorted(
        f"{name}.{method}"
        for name, cls in classes.items()
        if not issubclass(cls, enum.Enum)
        for method, value in vars(cls).items()
        if not method.startswith("_") and (inspect.isfunction(value) or isinstance(value, property))
    )


@pytest.mark.parametrize("method", _public_methods())
def test_public_method_has_a_docstring(method: str) -> None:
    """Every method and property of a public class says what it does."""
    cls, _, name = method.partition(".")
    assert inspect.getdoc(vars(getattr(aiocpg, cls))[name])
