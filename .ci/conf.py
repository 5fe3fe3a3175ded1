"""How Sphinx makes the site of the docs: ``make docs``. The pages are README, the files beside it and those in here."""

import re
from typing import Any

from airflow_provider_drs import __version__

project = "airflow-provider-drs"
release = version = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinxcontrib.mermaid"]
myst_fence_as_directive = ["mermaid"]
root_doc = "docs/index"
source_suffix = {".md": "markdown"}
include_patterns = ["*.md", "docs/*.md"]
html_theme = "furo"
html_show_copyright = False
html_title = f"airflow-provider-drs {release}"
myst_heading_anchors = 4
autodoc_typehints = "none"  # the docstrings name the types that matter
autodoc_default_options = {"members": True, "show-inheritance": True}


def _link_pages(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """A docstring names a page as a file of the repository."""
    lines[:] = [re.sub(r"``docs/(\w+)\.md``", r":doc:`\1`", line) for line in lines]


def _folders_are_no_pages(app: Any, name: str, source: list[str]) -> None:
    """The site has no page for a folder of the repository."""
    source[0] = source[0].replace("[example_dags/](example_dags/)", "`example_dags/`")


def setup(app: Any) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _folders_are_no_pages)
    app.connect("autodoc-process-docstring", _link_pages)
