"""The links of Markdown pages, read from their text: where they lead within the checkout, and whether that is there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FENCE = re.compile(r"^(```+|~~~+|::::*)[^\n]*\n.*?^\1$", re.MULTILINE | re.DOTALL)
_CODE = re.compile(r"(`+)[^`\n]+\1")
_LINK = re.compile(r"!?\[[^\]\n]*(?:\n[^\]\n]*)?\]\((?P<target>[^)\s]+)\)")
_ROLE = re.compile(r"\{doc\}`(?:[^`<]*<)?(?P<target>[^`>]+)>?`")
_HEADING = re.compile(r"^#{1,6} (?P<title>.+)$", re.MULTILINE)
_ANCHOR = re.compile(r"^\((?P<name>[\w-]+)\)=$", re.MULTILINE)


@dataclass(frozen=True)
class Link:
    """One link of one page."""

    page: Path
    line: int
    target: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line} -> {self.target}"

    @property
    def is_external(self) -> bool:
        """It leads out of the checkout."""
        return re.match(r"[a-z]+:", self.target) is not None


def links(page: Path, docs: Path) -> Iterator[Link]:
    """
    Read the links of a page, those of Sphinx's role ``doc`` as paths among them.

    Args:
        page: The file.
        docs: Where paths with a slash in front begin.
    """
    text = page.read_text()
    plain = _blanked(_blanked(text, _FENCE), _CODE)
    for found in _LINK.finditer(plain):
        yield Link(page, _line(text, found), found["target"])
    for found in _ROLE.finditer(_blanked(text, _FENCE)):
        target = found["target"]
        yield Link(page, _line(text, found), f"{docs}{target}.md" if target.startswith("/") else f"{target}.md")


def problem(link: Link) -> str | None:
    """Tell what is wrong with a link, if anything; pages of the web are not asked."""
    if link.is_external:
        return None if link.target.startswith(("https://", "mailto:")) else f"{link}: https, please"
    path, _, anchor = link.target.partition("#")
    file = (link.page.parent / path) if path else link.page
    if not file.exists():
        return f"{link}: no such file"
    if anchor and anchor not in anchors(file.read_text()):
        return f"{link}: no such heading"
    return None


def anchors(text: str) -> set[str]:
    """Return what a link can name in a page: its headings, as GitHub and MyST spell them, and its targets."""
    plain = _blanked(text, _FENCE)
    names = [_slug(found["title"]) for found in _HEADING.finditer(plain)]
    again = [f"{name}-{names[:place].count(name)}" for place, name in enumerate(names) if name in names[:place]]
    return {*names, *again, *(found["name"] for found in _ANCHOR.finditer(plain))}


def _slug(title: str) -> str:
    return re.sub(r"[^\w\- ]", "", title.strip().lower()).replace(" ", "-")


def _blanked(text: str, pattern: re.Pattern[str]) -> str:
    """Put spaces where the pattern is, so that places stay."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", " ", found[0]), text)


def _line(text: str, found: re.Match[str]) -> int:
    return text[: found.start()].count("\n") + 1
