"""The pictures of the README: pages of the demo, as a browser shows them (`make pictures`).

Belongs here: which pages, how large. Does not belong here: the pages (`dashboard.site`).
"""

import shutil
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright

PICTURES = Path(__file__).parents[1] / "docs" / "pictures"
SHOWN = {"check-in.png": "index.html", "cause-and-effect.png": "causes.html"}
WIDTH, HEIGHT = 1000, 1250


def main(home: Path) -> None:
    chromium = shutil.which("chromium")
    if not chromium:
        sys.exit("pictures are taken in Chromium: install Debian's package `chromium`")
    PICTURES.mkdir(exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for picture, name in SHOWN.items():
            page.goto((home / "published" / "current" / "site" / name).resolve().as_uri())
            page.wait_for_selector(".chart svg")
            page.wait_for_timeout(500)
            page.screenshot(path=PICTURES / picture)
        browser.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
