"""The pages of the documentation, as whoever has only installed the package can read them.

Messages point to a page by the command that prints it: an address on the web may be out of reach at night.
"""

from __future__ import annotations

import re
from pathlib import Path

# What only the site of the docs can show.
_OF_THE_SITE = frozenset({"api", "howto", "index"})


def see(page: str, part: str | None = None) -> str:
    """Return how a message points to a page, such as ``runbook``, or to a section: the command that prints it."""
    return f"airflow-drs docs {page}" + (f" --section {part}" if part else "")


def pages() -> dict[str, Path]:
    """Return where the text of each page is, by its name."""
    # In the wheel they lie in the package, in a clone beside it.
    folder = next((above / "docs" for above in Path(__file__).parents[:2] if (above / "docs").is_dir()), None)
    found = sorted(folder.glob("*.md")) if folder else []
    return {path.stem: path for path in found if path.stem not in _OF_THE_SITE}


def section(text: str, heading: str) -> str | None:
    """Return the part of a page below the first heading that has ``heading`` in it, with it; None for none.

    :param heading: words of it, or the name of the section in an address.
    """
    lines = text.splitlines(keepends=True)
    in_code, begin, depth = False, None, 0
    for at, line in enumerate(lines):
        if line.startswith("```"):
            in_code = not in_code
        if in_code or not line.startswith("#"):
            continue
        level = len(line) - len(line.lstrip("#"))
        if begin is not None and level <= depth:
            return "".join(lines[begin:at])
        if begin is None and _slug(heading) in _slug(line):
            begin, depth = at, level
    return None if begin is None else "".join(lines[begin:])


def _slug(text: str) -> str:
    """Return a heading as an address names it."""
    return re.sub(r"\W+", "-", text.lower()).strip("-")
