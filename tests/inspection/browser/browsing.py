"""What the browser tests ask of a page."""

from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

# Its preloading asks for the style sheet by XMLHttpRequest, which pages from disk may not.
OPTIONS = {"preload": False}
GRAVE = ("serious", "critical")


def axe(page: Page) -> list[str]:
    """axe-core's serious and critical violations on `page` as it stands: "rule (impact): where"."""
    found = Axe().run(page, options=OPTIONS).response["violations"]
    grave = [violation for violation in found if violation["impact"] in GRAVE]
    return [f"{one['id']} ({one['impact']}): {_where(one['nodes'])}" for one in grave]


def _where(nodes: list[dict[str, Any]]) -> str:
    return ", ".join(str(node["target"][0]) for node in nodes)
