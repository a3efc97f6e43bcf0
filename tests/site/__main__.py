"""Look at the built documentation in a real Chromium: ``python tests/site docs/_build/html``.

The rule: what is checked is what a reader meets. Each page is loaded as it would be on a desk, on a
laptop and on a phone, in the light and in the dark: no error in the console, no request that fails, nothing wider than the
window, no code that is cut. Each link to a page of the site leads to a page, and to a place in it that
exists. The search finds something. ``--shots FOLDER`` keeps pictures of the pages.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urljoin, urlsplit

from playwright.sync_api import Browser, Page, TimeoutError, sync_playwright  # noqa: A004

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
SIZES = {
    "desktop": {"width": 1440, "height": 900},
    "laptop": {"width": 1280, "height": 720},
    "phone": {"width": 390, "height": 844},
}
# Colours differ by scheme and not by size: what is between the ends is looked at in the light alone.
VIEWS = [("desktop", "light"), ("desktop", "dark"), ("laptop", "light"), ("phone", "light"), ("phone", "dark")]
SEARCHED = "interrupt"

# The first words of what stands in a block, a picture or a page that is wider than its frame.
CUT = """() => {
    const cut = [...document.querySelectorAll("article pre")].filter(block => block.scrollWidth > block.clientWidth);
    const wide = document.documentElement.scrollWidth > window.innerWidth ? ["the page itself"] : [];
    return [...cut.map(block => block.textContent.trim().slice(0, 60)), ...wide];
}"""
LINKS = "() => [...document.querySelectorAll('a[href]')].map(link => link.href)"
PLACES = "() => [...document.querySelectorAll('[id]')].map(place => place.id)"


class Quiet(SimpleHTTPRequestHandler):
    """Serves the site and logs nothing."""

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    """The address of the site while it is served."""
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder))) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/"
        finally:
            server.shutdown()
            thread.join()


class Faults(list[str]):
    """What is wrong, each with where it was seen."""

    def watch(self, page: Page, view: str) -> None:
        """Note what goes wrong in a page, from now on."""

        def note(what: object) -> None:
            self.append(f"{urlsplit(page.url).path} ({view}): {what}")

        page.on("console", lambda message: note(message.text) if message.type in {"error", "warning"} else None)
        page.on("pageerror", note)
        # What a page that is left was still fetching is aborted, and no fault.
        page.on("requestfailed", lambda request: note(request.url) if request.failure != "net::ERR_ABORTED" else None)
        page.on("response", lambda answer: note(f"{answer.url} is {answer.status}") if answer.status >= 400 else None)


def look(browser: Browser, site: str, names: list[str], faults: Faults, shots: Path | None) -> None:
    """Load each page in each view; note what is cut, and the links that lead nowhere."""
    links: dict[str, set[str]] = {}
    places: dict[str, set[str]] = {}
    for size, scheme in VIEWS:
        page = browser.new_context(viewport=SIZES[size], color_scheme=scheme).new_page()
        view = f"{size}, {scheme}"
        faults.watch(page, view)
        for name in names:
            page.goto(site + name)
            faults += [f"/{name} ({view}): cut: {what!r}" for what in page.evaluate(CUT)]
            links[name] = set(page.evaluate(LINKS))
            places[name] = set(page.evaluate(PLACES))
            if shots is not None:
                path = shots / f"{name.removesuffix('.html').replace('/', '-')}-{size}-{scheme}.png"
                page.screenshot(path=path, full_page=True)
        page.context.close()
    for name, targets in links.items():
        faults += [f"/{name}: leads nowhere: {to}" for to in sorted(targets) if leads_nowhere(to, site, name, places)]


def leads_nowhere(target: str, site: str, name: str, places: dict[str, set[str]]) -> bool:
    """Whether a link to the site has no page, or no place in it."""
    parts = urlsplit(urljoin(site + name, target))
    if not target.startswith(site):
        return False
    path = parts.path.lstrip("/") or "index.html"
    if path not in places:
        return not path.startswith("_") and path not in {"search.html", "genindex.html", "py-modindex.html"}
    return bool(parts.fragment) and unquote(parts.fragment) not in places[path]


def search(browser: Browser, site: str, faults: Faults) -> None:
    """Search as a reader would, and open what is found first."""
    page = browser.new_page()
    faults.watch(page, "search")
    page.goto(site)
    page.get_by_placeholder("Search").first.fill(SEARCHED)
    page.get_by_placeholder("Search").first.press("Enter")
    found = page.locator("#search-results li a")
    try:
        found.first.wait_for(timeout=20_000)
    except TimeoutError:
        faults.append(f"the search for {SEARCHED!r} finds nothing")
        return
    page.wait_for_load_state("networkidle")  # it fetches what it shows of each page
    found.first.click()
    if SEARCHED not in page.content().lower():
        faults.append(f"the search for {SEARCHED!r} leads to {page.url}, which says nothing of it")


def main() -> int:
    """Look at the site; the exit code is 1 if something is wrong, and 0 if all is well."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("site", type=Path, help="the folder that Sphinx has built")
    parser.add_argument("--shots", type=Path, help="a folder for pictures of the pages")
    options = parser.parse_args()
    executable = next(filter(None, map(shutil.which, BROWSERS)), None)
    if executable is None:
        print(f"SKIPPED: none of {', '.join(BROWSERS)} is installed")
        return 0
    names = sorted(str(path.relative_to(options.site)) for path in options.site.rglob("*.html"))
    names = [name for name in names if not name.startswith("_") and name != "search.html"]
    faults = Faults()
    # Chromium has no sandbox for root.
    arguments = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    with served(options.site) as site, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=arguments)
        look(browser, site, names, faults, options.shots)
        search(browser, site, faults)
        browser.close()
    print(*faults, f"{len(names)} pages, {len(faults)} faults", sep="\n")
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())
