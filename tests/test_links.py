"""
No link within the checkout leads nowhere: files, headings, pages of the docs, in all Markdown that people read.

Sphinx sees to what is below docs/; README.md and its neighbours are not its pages, and GitHub follows plain paths only.
Pages of the web are asked by ``scripts/docs --linkcheck``, where there is a web.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from support.links import Link, anchors, links, problem
from support.pages import DOCS, PAGES, ROOT


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Each file is there, and in it the heading that is named."""
    assert [found for link in links(page, DOCS) if (found := problem(link))] == []


@pytest.mark.parametrize("page", ["README.md", "CHANGELOG.md", "CONTRIBUTING.md", "SECURITY.md", "docs/howto/index.md"])
def test_page_that_people_look_for_is_there(page: str) -> None:
    """What a stranger opens first exists, and is among the pages that are looked at."""
    assert ROOT / page in PAGES


def test_every_page_of_the_docs_is_reached() -> None:
    """The indexes take up whatever lies beside them, so nothing is left out; a folder without one would be."""
    folders = {page.parent for page in PAGES if page.is_relative_to(DOCS)}
    without = {folder for folder in folders if not (folder / "index.md").exists()}
    assert {str(folder.relative_to(DOCS)) for folder in without} <= {"reference/benchmarks"}


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("see [there](other.md)", None),
        ("see [there](other.md#a-heading-with-code)", None),
        ("see [here](#here)\n\n## Here", None),
        ("see {doc}`other`", None),
        ("see `[this](is-code.md)`", None),
        ("```text\n[this](is-code.md)\n```", None),
        ("see [a\nlong one](missing.md)", "no such file"),
        ("see [there](other.md#elsewhere)", "no such heading"),
        ("see [here](#there)\n\n```text\n## There\n```", "no such heading"),
        ("see {doc}`words <missing>`", "no such file"),
        ("see [them](http://example.org)", "https, please"),
    ],
)
def test_wrong_link_is_noticed(text: str, wrong: str | None, tmp_path: Path) -> None:
    """A file or a heading that is not there is told, and what is only code is not a link."""
    (tmp_path / "other.md").write_text("# Other\n\n## A heading, with `code`\n")
    (tmp_path / "page.md").write_text(text)
    found = [problem(link) for link in links(tmp_path / "page.md", tmp_path)]
    assert [told.rpartition(": ")[2] for told in found if told] == ([wrong] if wrong else [])


def test_headings_of_one_name_are_told_apart() -> None:
    """The second of a name has a number, as on GitHub."""
    assert anchors("# One\n## Two\n## Two\n(three)=\n") == {"one", "two", "two-1", "three"}


def test_link_says_where_it_stands(tmp_path: Path) -> None:
    """Page, line, target: what one needs to mend it."""
    page = tmp_path / "page.md"
    page.write_text("\n\nsee [there](gone.md)")
    assert list(links(page, tmp_path)) == [Link(page, 3, "gone.md")]
