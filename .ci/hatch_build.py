"""What the metadata says that the repository cannot know by itself: addresses, and a README that stands on its own.

The two addresses are set in ``pyproject.toml``, below this hook, and nowhere else. One that is empty is not claimed.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

_PICTURE = re.compile(r"!\[[^\]]*\]\((?!\w+:)[^)]*\)\n*")
_LINK = re.compile(r"\[([^\]]*)\]\((?!\w+:)([^)#]*)(#[^)]*)?\)")


def absolute(text: str, site: str, repository: str) -> str:
    """Return Markdown without relative links: a page of the site, a folder of the repository, else the words alone.

    A picture of the repository is left out.

    :param site: the address of what ``make docs`` makes, "" for none.
    :param repository: the address of the repository, "" for none.
    """

    def link(found: re.Match[str]) -> str:
        words, path, anchor = found[1], found[2], found[3] or ""
        if path.endswith(".md") and site:
            return f"[{words}]({site.rstrip('/')}/{path.removesuffix('.md')}.html{anchor})"
        if path and not path.endswith(".md") and repository:
            return f"[{words}]({repository.rstrip('/')})"
        page = re.fullmatch(r"docs/(\w+)\.md", path)
        if page and words == path:
            return f"`airflow-drs docs {page[1]}`"
        return f"{words} (`airflow-drs docs {page[1]}`)" if page else words

    return _LINK.sub(link, _PICTURE.sub("", text))


def urls(site: str, repository: str) -> dict[str, str]:
    """Return the addresses of the project that are known."""
    found = {}
    if site:
        found |= {"Documentation": site, "Changelog": f"{site.rstrip('/')}/CHANGELOG.html"}
    if repository:
        found["Source"] = repository
    return found


class AddressHook(MetadataHookInterface):
    """Sets ``urls`` and ``readme`` of the metadata."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Fill in what ``pyproject.toml`` calls dynamic."""
        site, repository = str(self.config["site"]), str(self.config["repository"])
        text = Path(self.root, "README.md").read_text(encoding="utf-8")
        metadata["urls"] = urls(site, repository)
        metadata["readme"] = {"content-type": "text/markdown", "text": absolute(text, site, repository)}
