"""Where the sockets are: one place per user, whatever the environment says, and nobody else's to look into."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from aiocpg.engine.local import _directory
from aiocpg.errors import EngineUnavailableError, UsageError


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory that is not made yet."""
    monkeypatch.setenv(_directory.VARIABLE, str(tmp_path / "here"))
    return tmp_path / "here"


@pytest.mark.parametrize("variable", ["XDG_RUNTIME_DIR", "TMPDIR"])
def test_directory_is_the_same_with_and_without_a_login(variable: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a login sets, a service has not."""
    monkeypatch.delenv(_directory.VARIABLE, raising=False)
    monkeypatch.delenv(variable, raising=False)
    bare = _directory.directory()
    monkeypatch.setenv(variable, "/elsewhere")
    assert _directory.directory() == bare
    assert bare.name.endswith(str(os.geteuid()))


def test_relative_directory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """It would be another one in each place."""
    monkeypatch.setenv(_directory.VARIABLE, "here")
    with pytest.raises(UsageError, match="absolute"):
        _directory.files("demo")


def test_path_that_no_socket_can_have_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the way out, not with the kernel's words."""
    monkeypatch.setenv(_directory.VARIABLE, "/" + "x" * 100)
    with pytest.raises(UsageError, match="107 bytes"):
        _directory.files("demo")


def test_directory_is_made_for_us_alone(given: Path) -> None:
    """And is good again when it is there."""
    _directory.prepare()
    _directory.prepare()
    assert given.stat().st_mode & 0o777 == 0o700


def _link(given: Path) -> None:
    given.with_name("there").mkdir(mode=0o700)
    given.symlink_to(given.with_name("there"))


def _open_to_others(given: Path) -> None:
    given.mkdir()
    given.chmod(0o710)


def _of_another_user(given: Path) -> None:
    given.mkdir(mode=0o700)
    os.chown(given, 65534, 65534)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_link, "is a link"),
        (Path.touch, "is a link or a file"),
        (_open_to_others, "is open to others"),
        (_of_another_user, "belongs to uid 65534"),
    ],
)
def test_directory_that_others_may_have_made_is_refused(given: Path, spoil: Callable[[Path], None], words: str) -> None:
    """Whoever can write there can take our clients from us."""
    spoil(given)
    with pytest.raises(EngineUnavailableError, match=words):
        _directory.prepare()


def test_directory_that_cannot_be_made_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the cure."""
    monkeypatch.setenv(_directory.VARIABLE, str(tmp_path / "not" / "there"))
    with pytest.raises(EngineUnavailableError, match=_directory.VARIABLE) as caught:
        _directory.prepare()
    assert not caught.value.transient
