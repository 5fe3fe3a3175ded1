"""The table, and the file with all that was measured."""

from __future__ import annotations

import json
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.benchmarks.goals import Row


def machine() -> dict[str, Any]:
    """Return what the figures depend on besides the code."""
    others = [f"apache-airflow-providers-{name}" for name in ("http", "dbt-cloud")]
    return {
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load_at_the_end": round(os.getloadavg()[0], 2),
        **{name: version(name) for name in ("apache-airflow", "aiohttp", "requests", *others)},
    }


def show(rows: list[Row], facts: dict[str, Any], quick: bool) -> None:
    """Print the table."""
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if name not in ("runs", "system"))
    title = f"{facts['runs']} round(s), medians. {told}"
    if quick:
        title = f"QUICK: too short to judge by. {title}"
    table = Table(title=title, title_justify="left")
    for heading in ("group", "figure", "median", "goal", "", "kind", "rounds"):
        table.add_column(heading, overflow="fold")
    for row in rows:
        goal = "" if row.limit is None else f"{'=' if row.exactly else '<='} {_number(row.limit)}{row.unit}"
        table.add_row(
            row.group,
            row.figure + (f"\n[dim]{row.note}[/dim]" if row.note else ""),
            "none" if row.value is None else _number(row.value) + row.unit,
            goal,
            _judgement(row, quick),
            row.kind.value if row.limit is not None else "",
            " ".join("none" if value is None else _number(value) for value in row.values),
        )
    # A log file has no width of its own; a narrow one would break each cell into pieces.
    Console(width=None if sys.stdout.isatty() else 150).print(table)


def write(path: Path, rows: list[Row], raw: dict[str, Any], facts: dict[str, Any], quick: bool) -> None:
    """Write all rounds and the medians as JSON."""
    path.parent.mkdir(exist_ok=True)
    document = {"quick": quick, "machine": facts, "rows": [row.to_dict() for row in rows], "raw": raw}
    path.write_text(json.dumps(document, indent=1, default=str) + "\n")


def _judgement(row: Row, quick: bool) -> str:
    if row.met is None or quick:
        return ""
    if row.met:
        return "[green]pass[/green]"
    return "[red]FAIL[/red]" if row.fails else "[yellow]miss[/yellow]"


def _number(value: float) -> str:
    """Return three or four digits that count, and no exponent."""
    if value == int(value) and abs(value) < 1e6:
        return str(int(value))
    digits = 4 if abs(value) < 0.1 else 3 if abs(value) < 1 else 2 if abs(value) < 100 else 0
    return f"{value:.{digits}f}"
