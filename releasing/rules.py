"""What must hold of a release, decided from texts alone. Each rule returns what is wrong, a sentence each."""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_VERSION = re.compile(r"\d+\.\d+\.\d+((a|b|rc)\d+)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_HEADING = re.compile(r"^## \[(?P<name>[^]]+)\](?: - (?P<date>.+))?$", re.MULTILINE)


@dataclass(frozen=True)
class Section:
    """One release in the changelog."""

    name: str
    date: str
    text: str


def sections(changelog: str) -> list[Section]:
    """Return the releases of a changelog in the order of the file, the newest first."""
    headings = list(_HEADING.finditer(changelog))
    ends = [*(heading.start() for heading in headings[1:]), len(changelog)]
    return [
        Section(heading["name"], heading["date"] or "", changelog[heading.end() : end].strip())
        for heading, end in zip(headings, ends, strict=False)
    ]


def changelog_problems(changelog: str, version: str) -> list[str]:
    """The newest section is this version's, has a date and says something; nothing is left unreleased."""
    found = sections(changelog)
    problems = [
        f"CHANGELOG.md has entries under [{section.name}]: they belong under [{version}] now"
        for section in found
        if section.name == "Unreleased" and section.text
    ]
    released = [section for section in found if section.name != "Unreleased"]
    if not released or released[0].name != version:
        newest = released[0].name if released else "none"
        return [*problems, f"the newest release in CHANGELOG.md is {newest}, not {version}"]
    if not _DATE.fullmatch(released[0].date):
        problems.append(f"CHANGELOG.md gives {version} no date: ## [{version}] - YYYY-MM-DD")
    if not released[0].text:
        problems.append(f"CHANGELOG.md says nothing about {version}")
    return problems


def version_problems(version: str, tags: Collection[str], tags_here: Collection[str]) -> list[str]:
    """It is a version that sorts, and its tag is on this commit or not given yet."""
    problems = []
    if not _VERSION.fullmatch(version):
        problems.append(f"{version} is no version of the form 1.2.3, 1.2.3a1, 1.2.3b1 or 1.2.3rc1")
    tag = f"v{version}"
    if tag in tags and tag not in tags_here:
        problems.append(f"the tag {tag} is on another commit: this version is out already")
    return problems


def name_problems(names: Collection[str], version: str) -> list[str]:
    """What is uploaded is one sdist and one wheel, for every CPython from 3.11 on and an old C library."""
    wanted = {
        "an sdist": rf"aiocpg-{re.escape(version)}\.tar\.gz",
        "a wheel": rf"aiocpg-{re.escape(version)}-cp311-abi3-manylinux_2_\d+_\w+\.whl",
    }
    problems = [
        f"there is not just one file that is {what}: {sorted(names)}"
        for what, pattern in wanted.items()
        if len([name for name in names if re.fullmatch(pattern, name)]) != 1
    ]
    if len(names) > len(wanted):
        problems.append(f"there is more than that: {sorted(names)}")
    return problems
