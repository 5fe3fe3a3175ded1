"""Somebody at a browser: what they open, type and click, and how many clicks it takes them."""

from __future__ import annotations

import contextlib
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Locator, Page, Playwright, expect

ROOT = Path(__file__).parents[2]
# Milliseconds in which something is seen that must be seen, on a busy machine too; only a failure takes so long.
PATIENCE = 120_000
# How wide the window is in which a message must be readable.
WINDOW = {"width": 1440, "height": 900}
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
)  # fmt: skip

expect.set_options(timeout=PATIENCE)


def launch(playwright: Playwright) -> Browser:
    """Start the machine's Chromium; one of Playwright's own is not fetched."""
    program = subprocess.run([ROOT / ".ci" / "chromium"], capture_output=True, text=True, check=True).stdout.strip()
    return playwright.chromium.launch(executable_path=program, args=list(FLAGS))


class Person:
    """Somebody at a window of a browser.

    :param browser: where the window is opened.
    :param url: the Airflow they look at.
    :param kept: what a browser keeps of an earlier log-in.
    :param more: further settings of the window, such as ``color_scheme``.
    """

    def __init__(self, browser: Browser, url: str, kept: Any = None, **more: Any) -> None:
        settings: dict[str, Any] = {"viewport": WINDOW, "locale": "en-US", "timezone_id": "UTC"}
        self.context = browser.new_context(storage_state=kept, **{**settings, **more})
        self.context.set_default_timeout(PATIENCE)
        self.page: Page = self.context.new_page()
        self.url = url
        self.clicks = 0

    def open(self, path: str = "/") -> None:
        """Go to an address, as from a bookmark."""
        self.page.goto(f"{self.url}{path}")

    def click(self, what: Locator) -> None:
        """Click, and count it."""
        what.click()
        self.clicks += 1

    @contextlib.contextmanager
    def at_most(self, clicks: int) -> Iterator[None]:
        """Fail where what is done takes more clicks than that."""
        before = self.clicks
        yield
        taken = self.clicks - before
        assert taken <= clicks, f"it took {taken} clicks"

    def button(self, name: str | re.Pattern[str], **more: Any) -> Locator:
        """The button of a name."""
        return self.page.get_by_role("button", name=name, **more)

    def sees(self, text: str | re.Pattern[str]) -> Locator:
        """Wait until the text is there to be read; return where."""
        found = self.page.get_by_text(text).filter(visible=True).first
        expect(found).to_be_visible()
        return found

    def log_in(self, name: str, password: str, path: str = "/auth/login/") -> None:
        """Type name and password into the log-in page of FAB."""
        self.open(path)
        self.page.locator("input[name=username]").fill(name)
        self.page.locator("input[name=password]").fill(password)
        self.page.locator("input[type=submit]").click()
        self.page.wait_for_url(lambda url: "/login" not in url)


def is_readable(where: Locator, text: str) -> bool:
    """Tell whether a text within an element can be read somewhere: neither beside the window nor clipped."""
    return bool(
        where.evaluate(
            """(element, text) => {
                const walker = document.createTreeWalker(element, NodeFilter.SHOW_TEXT);
                const isShown = node => {
                    const range = document.createRange();
                    range.setStart(node, node.data.indexOf(text));
                    range.setEnd(node, node.data.indexOf(text) + text.length);
                    const boxes = [...range.getClientRects()];
                    const within = outer => boxes.length > 0 && boxes.every(
                        box => box.width > 0 && box.left >= outer.left - 1 && box.right <= outer.right + 1);
                    if (!within({left: 0, right: innerWidth})) return false;
                    for (let outer = node.parentElement; outer; outer = outer.parentElement) {
                        const style = getComputedStyle(outer);
                        const clips = style.overflowX !== "visible" && style.display !== "contents";
                        if (clips && !within(outer.getBoundingClientRect())) return false;
                    }
                    return true;
                };
                for (let node = walker.nextNode(); node; node = walker.nextNode()) {
                    if (node.data.includes(text) && isShown(node)) return true;
                }
                return false;
            }""",
            text,
        )
    )
