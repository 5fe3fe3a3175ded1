"""Comparisons of source and target: ``create-compare-task`` and ``query-compare-result``."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Final

from airflow_provider_drs.simulator.drs.bodies import RefusedError, milliseconds, number, one_of, text
from airflow_provider_drs.simulator.drs.state import JobStore
from airflow_provider_drs.simulator.jobs import Job
from airflow_provider_drs.simulator.responses import Response, json_response, refusal

_CONSISTENT: Final = "CONSISTENT"
_INCONSISTENT: Final = "INCONSISTENT"
_NO_KEY: Final = "CAN_NOT_COMPARE"
_DATA_KINDS: Final = ("lines", "contents")
_QUICK: Final = "quick_comparison"
#: What the list of comparisons calls a kind, where it differs from the request.
_LISTED_KIND: Final = {"objects": "object_comparison"}
_WAITING: Final = "WAITING_FOR_RUNNING"
_RUNNING: Final = "RUNNING"
_SUCCESSFUL: Final = "SUCCESSFUL"


@dataclass
class _Comparison:
    task_id: str
    job: Job
    kind: str  # objects, lines, contents
    begins: float
    tables: frozenset[str] | None  # "database" and "database.table"; None for all there are
    cancelled: bool = False

    def status(self, now: float) -> str:
        if self.cancelled:
            return "CANCELLED"
        if now < self.begins:
            return _WAITING
        return _RUNNING if now < self.begins + self.job.compare_seconds else self.job.compare_final

    def results(self, now: float) -> dict[str, str]:
        """Table -> result, as far as it is known."""
        wanted = {
            table: result
            for table, result in self.job.compare_results.items()
            if self.tables is None or table in self.tables or table.partition(".")[0] in self.tables
        }
        status = self.status(now)
        if status == _SUCCESSFUL:
            return wanted
        so_far = {_WAITING: "WAITING_FOR_COMPARISON", _RUNNING: "COMPARING"}.get(status, "FAILED_TO_COMPARE")
        return dict.fromkeys(wanted, so_far)


class Comparisons:
    """The comparisons that were created, and the two calls about them."""

    def __init__(self, jobs: JobStore) -> None:
        self._jobs = jobs
        self._made: dict[str, _Comparison] = {}

    def create(self, body: dict[str, Any], language: str) -> Response:
        """``create-compare-task``, 200: the id of the comparison of objects, of data, or of both."""
        job = self._job(body)
        objects, info = body.get("object_level_compare_type"), body.get("data_level_compare_info")
        if objects not in (None, "", "objects"):
            raise RefusedError("DRS.M00202", "object_level_compare_type")
        wanted: list[tuple[str, str, float, frozenset[str] | None, str]] = []
        if objects:
            wanted.append(("object_level_compare_create_result", "objects", 0.0, None, "cancel"))
        if info is not None:
            if not isinstance(info, dict):
                raise RefusedError("DRS.M00202", "data_level_compare_info")
            policy = one_of(info, "conflict_policy", ("cancel", "keep"))
            kind, begins = one_of(info, "compare_type", _DATA_KINDS), milliseconds(info, "start_time")
            wanted.append(("data_level_compare_create_result", kind, begins, _tables(info), policy))
        if job.compare_refused is not None and not job.compare_refused_inside:
            raise RefusedError(job.compare_refused, text=job.compare_refused_msg)
        reply: dict[str, Any] = {"job_id": job.job_id}
        for field, kind, begins, tables, policy in wanted:
            reply[field] = self._make(job, kind, begins, tables, policy, language)
        return json_response(reply)

    def result(self, body: dict[str, Any], language: str) -> Response:
        """``query-compare-result``, 200: the results asked for and the list of this job's comparisons."""
        job = self._job(body)
        page, per_page = number(body, "current_page", 1), number(body, "per_page", 1)
        now = self._jobs.clock()
        listed = [made for made in self._made.values() if made.job.job_id == job.job_id]
        reply: dict[str, Any] = {"job_id": job.job_id}
        for asked, field, kind, shape in (
            ("object_level_compare_id", "object_level_compare_results", "objects", _objects),
            ("line_compare_id", "line_compare_results", "lines", _data),
            ("content_compare_id", "content_compare_results", "contents", _data),
        ):
            if body.get(asked) in (None, ""):
                continue
            made = self._made.get(text(body, asked))
            if made is None or made.job.job_id != job.job_id or made.kind != kind:
                reply[field] = {"compare_task_id": body[asked], **refusal("DRS.M00002", language)}
            else:
                reply[field] = {"compare_task_id": made.task_id, **shape(made, now, page, per_page)}
        reply["compare_task_list_results"] = {
            "compare_task_list": [_listed(made, now) for made in _page(listed, page, per_page)],
            "compare_task_list_count": len(listed),
        }
        return json_response(reply)

    def _job(self, body: dict[str, Any]) -> Job:
        job_id = text(body, "job_id")
        job = self._jobs.get(job_id)
        if job is None:
            raise RefusedError(self._jobs.gone(job_id))
        return job

    def _make(
        self, job: Job, kind: str, begins: float, tables: frozenset[str] | None, policy: str, language: str
    ) -> dict[str, str]:
        if job.compare_refused is not None:
            return refusal(job.compare_refused, language, text=job.compare_refused_msg)
        now = self._jobs.clock()
        # A job has one unfinished comparison of data, whether of lines or of contents.
        kinds = _DATA_KINDS if kind in _DATA_KINDS else (kind,)
        same = [made for made in self._made.values() if made.job.job_id == job.job_id and made.kind in kinds]
        unfinished = [made for made in same if made.status(now) in (_WAITING, _RUNNING)]
        if unfinished and policy == "keep":
            return refusal("DRS.M01504", language)
        for made in unfinished:
            made.cancelled = True
        task_id = str(uuid.uuid4())
        self._made[task_id] = _Comparison(task_id, job, kind, max(now, begins), tables)
        return {"compare_task_id": task_id}


def _tables(info: dict[str, Any]) -> frozenset[str] | None:
    """The tables to compare; None for all, which only a quick comparison may ask for."""
    mode = info.get("compare_mode") or None
    if mode not in (None, _QUICK):
        raise RefusedError("DRS.M00202", "compare_mode")
    objects = info.get("compare_object_infos")
    if not objects:
        if mode is None:
            raise RefusedError("DRS.M00201", "compare_object_infos")
        return None
    names: set[str] = set()
    for wanted in objects if isinstance(objects, list) else [objects]:
        if not isinstance(wanted, dict):
            raise RefusedError("DRS.M00202", "compare_object_infos")
        database, tables = text(wanted, "db_name"), wanted.get("table_name") or []
        if not isinstance(tables, list) or not all(isinstance(table, str) for table in tables):
            raise RefusedError("DRS.M00202", "table_name")
        names |= {f"{database}.{table}" for table in tables} or {database}
    return frozenset(names)


def _overall(results: Iterable[str]) -> str:
    """The result of a whole: that of its parts, and of the worst of them where they differ."""
    found = set(results)
    return next(iter(found - {_CONSISTENT}), _CONSISTENT) if len(found - {_CONSISTENT}) < 2 else _INCONSISTENT


def _by_database(results: dict[str, str]) -> dict[str, dict[str, str]]:
    databases: dict[str, dict[str, str]] = {}
    for table, result in results.items():
        database, _, name = table.partition(".")
        databases.setdefault(database, {})[name] = result
    return databases


def _objects(made: _Comparison, now: float, page: int, per_page: int) -> dict[str, Any]:
    results = made.results(now)
    differing = [table for table, result in results.items() if result == _INCONSISTENT]
    return {
        "object_compare_overview": [
            {
                "object_type": "TABLE",
                "object_compare_result": _overall(results.values()),
                "source_count": len(results),
                "target_count": len(results) - len(differing),
                "diff_count": len(differing),
            }
        ],
        "object_compare_details": {
            "TABLE": [
                {
                    "source_db_name": table.partition(".")[0],
                    "target_db_name": table.partition(".")[0],
                    "source_db_value": table.partition(".")[2],
                    "target_db_value": "" if table in differing else table.partition(".")[2],
                }
                for table in _page(list(results), page, per_page)
            ]
        },
    }


def _data(made: _Comparison, now: float, page: int, per_page: int) -> dict[str, Any]:
    what = "line" if made.kind == "lines" else "content"
    databases = _by_database(made.results(now))
    shown = {name: databases[name] for name in _page(list(databases), page, per_page)}
    reply: dict[str, Any] = {
        f"{what}_compare_overview": [
            {"source_db_name": name, "target_db_name": name, f"{what}_compare_result": _overall(tables.values())}
            for name, tables in shown.items()
        ],
        f"{what}_compare_overview_count": len(databases),
    }
    if made.kind == "lines":
        return reply | {"line_compare_details": [_lines(name, tables) for name, tables in shown.items()]}
    return reply | {
        "content_compare_details": [_contents(name, tables) for name, tables in shown.items()],
        "content_compare_diffs": [
            _difference(name, table)
            for name, tables in shown.items()
            for table, result in tables.items()
            if result == _INCONSISTENT
        ],
    }


def _lines(database: str, tables: dict[str, str]) -> dict[str, Any]:
    details = [{**_rows(table, result), "line_compare_result": result} for table, result in tables.items()]
    return {"source_db_name": database, "line_compare_detail": details, "line_compare_detail_count": len(details)}


def _contents(database: str, tables: dict[str, str]) -> dict[str, Any]:
    # Contents can be compared by key only: the tables that have none are listed separately.
    compared = [_content(database, table, result) for table, result in tables.items() if result != _NO_KEY]
    uncompared = [_content(database, table, result) for table, result in sorted(tables.items()) if result == _NO_KEY]
    return {
        "source_db_name": database,
        "content_compare_detail": compared,
        "content_compare_detail_count": len(compared),
        "content_uncompare_detail": uncompared,
        "content_uncompare_detail_count": len(uncompared),
    }


def _content(database: str, table: str, result: str) -> dict[str, Any]:
    names = {"source_db_name": database, "target_db_name": database}
    return {**names, **_rows(table, result), "line_compare_result": result, "content_compare_result": result}


def _rows(table: str, result: str) -> dict[str, Any]:
    differing = 1 if result == _INCONSISTENT else 0
    return {
        "source_table_name": table,
        "target_table_name": table,
        "source_row_num": 100,
        "target_row_num": 100 - differing,
        "diff_row_num": differing,
    }


def _difference(database: str, table: str) -> dict[str, Any]:
    return {
        "source_db_name": database,
        "source_table_name": table,
        "content_compare_diff": [{"source_key_value": ["5"]}],
        "content_compare_diff_count": 1,
    }


def _listed(made: _Comparison, now: float) -> dict[str, str]:
    status = made.status(now)
    ended = made.begins + made.job.compare_seconds if status not in (_WAITING, _RUNNING) else None
    return {
        "compare_task_id": made.task_id,
        "compare_type": _LISTED_KIND.get(made.kind, made.kind),
        "compare_task_status": status,
        "create_time": str(int(made.begins * 1000)),
        "end_time": "" if ended is None else str(int(ended * 1000)),
    }


def _page(items: list[Any], page: int, per_page: int) -> list[Any]:
    return items[(page - 1) * per_page : page * per_page]
