"""The dashboard as people meet it: in a browser, with a keyboard, on a phone, in the dark, and in a partition."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from support.clusters_up import free_ports

from .browsing import (
    listed,
    opened,
    picture,
    send,
    started_browser,
    too_faint,
    unnamed,
    until_members,
    until_shown,
)
from .dashboards import dashboard, stage, until_it_listens

SAME = "All have read the same"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One browser for all tests; each opens windows of its own."""
    with started_browser() as browser:
        yield browser


@pytest.fixture(scope="module")
def urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three instances at local://."""
    with stage("--local", tmp_path_factory.mktemp("local")) as urls:
        yield urls


@pytest.fixture(scope="module")
def cluster_urls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[str]]:
    """Three instances on a Corosync of three nodes."""
    with stage("--cluster", tmp_path_factory.mktemp("none")) as urls:
        yield urls


def test_three_pages_show_one_order(browser: Browser, urls: list[str]) -> None:
    """Each sends a hundred lines at once; all three pages show them alike, and say so."""
    with opened(browser, *urls) as pages:
        for page in pages:
            until_members(page, "alice", "bob", "carol")
            page.get_by_role("button", name="Send 100 lines").click()
        for page in pages:
            page.locator("#sent", has_text="100 lines are ordered").wait_for()
        send(pages[0], "the last word")
        for page in pages:
            until_shown(page, "the last word")
            page.locator("#check", has_text=SAME).wait_for()
            assert page.get_by_role("group", name="Network").count() == 0  # nobody can cut this network
        lists = [listed(page) for page in pages]
        assert lists[0] == lists[1] == lists[2]
        assert len(lists[0]) > 250
        pages[0].locator("#rate-text", has_text=re.compile("at most [1-9]")).wait_for()


def test_keyboard_alone_is_enough(browser: Browser, urls: list[str]) -> None:
    """From the top of the page: one link to the field, type, Enter; the button is the next stop, and focus shows."""
    with opened(browser, urls[0]) as [page]:
        page.keyboard.press("Tab")
        page.keyboard.press("Enter")
        page.keyboard.type("typed and entered")
        page.keyboard.press("Enter")
        until_shown(page, "typed and entered")
        page.keyboard.type("typed and pressed")
        for control in ("text", "submit", "burst"):
            focused = "getComputedStyle(document.activeElement)"
            assert page.evaluate(f"{focused}.outlineStyle") == "solid", control
            if control == "submit":
                page.keyboard.press("Space")
            page.keyboard.press("Tab")
        until_shown(page, "typed and pressed")
        assert page.evaluate("document.activeElement.id") == "scroll"  # the list can be scrolled from the keyboard


def test_new_lines_are_announced_in_few_words(browser: Browser, urls: list[str]) -> None:
    """A live region says who said what, and of many lines their number."""
    with opened(browser, urls[0]) as [page]:
        assert page.locator("#news").get_attribute("aria-live") == "polite"
        send(page, "good evening")
        page.locator("#news", has_text="alice says good evening").wait_for(state="attached")
        page.get_by_role("button", name="Send 100 lines").click()
        page.locator("#news", has_text="new lines").wait_for(state="attached")


def test_what_others_send_stays_text(browser: Browser, urls: list[str]) -> None:
    """Markup in a line is shown and does nothing."""
    with opened(browser, *urls[:2]) as pages:
        send(pages[0], "<img src=x onerror=\"document.title='taken over'\"><b>bold</b>")
        for page in pages:
            until_shown(page, "<b>bold</b>")
            assert page.locator("#order img, #order b").count() == 0
            assert "taken over" not in page.title()


def test_page_fits_a_phone(browser: Browser, urls: list[str]) -> None:
    """At 360 pixels nothing is wider than the page, whatever was sent, and fingers hit what they aim at."""
    with opened(browser, urls[1], viewport={"width": 360, "height": 740}) as [page]:
        send(page, "word" * 75)
        until_shown(page, "word" * 75)
        assert page.evaluate("document.documentElement.scrollWidth") <= 360
        for button in page.get_by_role("button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 44
            assert box["x"] + box["width"] <= 360


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_can_be_read(scheme: str, browser: Browser, urls: list[str]) -> None:
    """In both schemes every text has a contrast of 4.5, and everything that can be used has a name."""
    with opened(browser, *urls, color_scheme=scheme) as [page, *_]:
        send(page, "readable")
        page.locator("#check", has_text=SAME).wait_for()
        page.locator("#status", has_text="Live").wait_for()
        assert too_faint(page) == []
        assert unnamed(page) == []
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert background == {"light": "rgb(244, 245, 247)", "dark": "rgb(18, 22, 28)"}[scheme]


def test_page_finds_its_server_again(browser: Browser, tmp_path: Path) -> None:
    """A service that is started anew needs no new page; meanwhile the page says that it has no connection."""
    port = free_ports(1)  # none that the browser could be given while it tries to connect
    arguments = ("--url", "local://again", "--name", "dave", "--port", str(port))
    with ExitStack() as stack:
        with dashboard(tmp_path, *arguments) as process:
            until_it_listens(process)
            [page] = stack.enter_context(
                opened(browser, f"http://127.0.0.1:{port}/", tolerated="ERR_CONNECTION_REFUSED")
            )
            send(page, "before")
        page.locator("#status", has_text="No connection").wait_for()
        with dashboard(tmp_path, *arguments) as process:
            until_it_listens(process)
            page.locator("#status", has_text="Live").wait_for()
            send(page, "after")
            until_shown(page, "after")


def test_what_cannot_be_read_is_found(browser: Browser, urls: list[str]) -> None:
    """The two checks above do find a faint text and a button without a name."""
    with opened(browser, urls[0]) as [page]:
        page.evaluate("""() => {
            document.querySelector("h1").style.color = "#888";
            document.querySelector("form").append(document.createElement("button"));
        }""")
        assert [text for text, _ in too_faint(page)] == ["aiocpg dashboard"]
        assert unnamed(page) == ["button"]


def test_partition_shows_and_heals(browser: Browser, cluster_urls: list[str]) -> None:
    """Cut off, a node is seen to leave and goes on alone; healed, it is back, and all show one order again."""
    with opened(browser, *cluster_urls) as pages:
        alice, bob, carol = pages
        for page in pages:
            until_members(page, "alice", "bob", "carol")
        bob.get_by_role("button", name="Send 100 lines").click()
        bob.locator("#sent", has_text="100 lines are ordered").wait_for()
        send(alice, "good morning")
        send(carol, "is it?")
        until_shown(alice, "is it?")
        for page in pages:
            page.locator("#check", has_text=SAME).wait_for()
        picture(alice, "dashboard", full_page=True)
        alice.set_viewport_size({"width": 360, "height": 740})
        picture(alice, "dashboard-phone")

        alice.get_by_role("button", name="Cut off node 3").click()
        for page in (alice, bob):
            until_members(page, "alice", "bob", "-carol")
            page.locator("#ring-text", has_text="cut off: 3; this is the larger side").wait_for()
        until_members(carol, "carol", "-alice", "-bob")
        carol.locator("#ring-text", has_text="cut off: 1, 2; this is not a majority").wait_for()
        send(carol, "anybody there?")
        send(bob, "carol is gone")
        until_shown(alice, "carol is gone")
        assert listed(carol, since_last_view=True) == ["1carolanybody there?"]
        assert "1carolanybody there?" not in listed(alice)
        for page, verdict in zip(pages, (SAME, SAME, "Alone, with 1 line"), strict=True):
            page.locator("#check", has_text=verdict).wait_for()
            assert too_faint(page) == []
        carol.emulate_media(color_scheme="dark")
        picture(carol, "dashboard-partition", full_page=True)

        carol.get_by_role("button", name="Heal").click()
        for page in pages:
            until_members(page, "alice", "bob", "carol")
        for page in pages:
            send(page, "together again")
        send(alice, "the last word")
        for page in pages:
            until_shown(page, "the last word")
            page.locator("#check", has_text=SAME).wait_for()
        lists = [listed(page, since_last_view=True) for page in pages]
        assert lists[0] == lists[1] == lists[2]
        assert len(lists[0]) == 4
