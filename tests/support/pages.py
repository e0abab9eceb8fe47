"""The blocks of the pages that people read: README.md, its neighbours and docs/, parsed as Markdown, not by pattern."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from markdown_it import MarkdownIt

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *(page for page in sorted(DOCS.rglob("*.md")) if "_build" not in page.parts)]


@dataclass(frozen=True)
class Block:
    """One block of code, with what its fence calls it; an indented one has no name."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"


def blocks(page: Path) -> Iterator[Block]:
    """Read the blocks of a page."""
    for token in MarkdownIt("commonmark").parse(page.read_text()):
        if token.type in {"fence", "code_block"}:
            first = (token.map or [0])[0] + 1
            yield Block(str(page.relative_to(ROOT)), first, token.info.strip(), token.content)


BLOCKS = [block for page in PAGES for block in blocks(page)]
