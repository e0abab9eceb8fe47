"""The dashboard's pages in a real browser, and what people get of a page."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from .dashboards import PATIENCE

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PICTURES = os.environ.get("AIOCPG_PICTURES")
"""A directory for pictures of the pages; ``scripts/dashboard --pictures`` sets it."""


@contextmanager
def started_browser() -> Iterator[Browser]:
    """Start the system's Chromium; nothing is downloaded."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    if program is None:
        pytest.skip("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program)
        yield browser
        browser.close()


@contextmanager
def opened(browser: Browser, *urls: str, tolerated: str = "", **options: Any) -> Iterator[list[Page]]:
    """
    Open a page at each URL, in windows of their own.

    What a page complains of on its console is a failure, unless it has `tolerated` in it.
    """
    options = {"viewport": {"width": 900, "height": 800}, **options}
    contexts = [browser.new_context(**options) for _ in urls]
    complaints: list[str] = []

    def hear(message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"} and not (tolerated and tolerated in message.text):
            complaints.append(message.text)

    pages = []
    for url, context in zip(urls, contexts, strict=True):
        context.set_default_timeout(PATIENCE * 1000)
        page = context.new_page()
        page.on("console", hear)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(url)
        pages.append(page)
    for page in pages:
        page.locator("#members tr").nth(len(urls) - 1).wait_for()
    yield pages
    for context in contexts:
        context.close()
    assert complaints == []


def send(page: Page, text: str) -> None:
    """Send a line as somebody with a mouse does; returns when the page says that it is ordered."""
    page.get_by_label("Message", exact=True).fill(text)
    page.get_by_role("button", name="Send", exact=True).click()
    page.locator("#sent", has_text="Ordered").wait_for()


def until_shown(page: Page, text: str) -> None:
    """Wait until the list has this text, and no more is on its way into it."""
    page.locator("#order li", has_text=text).last.wait_for()


def listed(page: Page, *, since_last_view: bool = False) -> list[str]:
    """Return the lines as they stand in the list."""
    items = page.locator("#order li").evaluate_all("items => items.map(item => [item.className, item.textContent])")
    views = [number for number, (kind, _) in enumerate(items) if kind == "view"]
    start = views[-1] if since_last_view else 0
    return [text for kind, text in items[start:] if kind == "line"]


NAMES = """() => [...document.querySelectorAll("#members tr")]
    .map((row) => (row.className === "gone" ? "-" : "") + row.textContent.split(" ")[0])"""


def until_members(page: Page, *wanted: str) -> None:
    """Wait until the table has these names; a dash in front stands for one that has gone."""
    page.wait_for_function(f"wanted => String(({NAMES})().sort()) === wanted", arg=",".join(sorted(wanted)))


def picture(page: Page, name: str, **options: Any) -> None:
    """Take a picture for the docs, if somebody asked for one."""
    if PICTURES:
        page.screenshot(path=Path(PICTURES) / f"{name}.png", animations="disabled", caret="hide", **options)


NAMED = {"button", "textbox", "link", "image", "region", "form", "group", "table"}
"""Roles whose elements people must be able to tell apart."""


def unnamed(page: Page) -> list[str]:
    """Return the roles of what a screen reader could not name, by the browser's own accessibility tree."""
    session = page.context.new_cdp_session(page)
    nodes = session.send("Accessibility.getFullAXTree")["nodes"]
    session.detach()
    seen = [node for node in nodes if not node["ignored"] and node["role"]["value"] in NAMED]
    assert {"button", "textbox", "image", "region", "table"} <= {node["role"]["value"] for node in seen}
    return [node["role"]["value"] for node in seen if not node.get("name", {}).get("value")]


# Contrast as WCAG 2 has it, between a text's colour and the first background behind it that is not transparent.
CONTRASTS = """() => {
    const parts = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (colour) => parts(colour).slice(0, 3)
        .map((part) => part / 255)
        .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4))
        .reduce((sum, part, index) => sum + part * [0.2126, 0.7152, 0.0722][index], 0);
    const ratio = (one, other) => (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    const behind = (element) => {
        for (let at = element; at; at = at.parentElement) {
            const colour = getComputedStyle(at).backgroundColor;
            if (parts(colour)[3] !== 0) return colour;
        }
        return "rgb(255, 255, 255)";
    };
    const hasText = (element) => [...element.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
    return [...document.body.querySelectorAll("*")]
        .filter((element) => hasText(element) && element.getClientRects().length && element.tagName !== "NOSCRIPT")
        .map((element) => {
            const style = getComputedStyle(element);
            const colour = element.namespaceURI.endsWith("svg") ? style.fill : style.color;
            return [element.textContent.trim().slice(0, 40), ratio(light(colour), light(behind(element)))];
        });
}"""


def too_faint(page: Page) -> list[Any]:
    """Return the texts whose contrast is below 4.5, with it."""
    contrasts = page.evaluate(CONTRASTS)
    assert len(contrasts) > 20
    return [found for found in contrasts if found[1] < 4.5]
