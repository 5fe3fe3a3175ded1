"""Comparing source and target of a job: what is asked of DRS, and what it says.

A comparison is created, runs for a while, and then shows a result for each database and table.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from airflow_provider_drs.protocol.arguments import mapping
from airflow_provider_drs.protocol.codes import NO_RESULT
from airflow_provider_drs.protocol.errors import DrsArgumentError, DrsInvalidResponseError, Json, one_line
from airflow_provider_drs.protocol.http.request import Call, checked_job_id, describe_job
from airflow_provider_drs.protocol.http.response import JsonObject, compare_text, display_text, fault_class
from airflow_provider_drs.protocol.jobs.replies import errors_of

KINDS = ("objects", "lines", "contents")
QUICK = "quick_comparison"
PER_PAGE = 100

_ASKED_AS = {"objects": "object_level_compare_id", "lines": "line_compare_id", "contents": "content_compare_id"}
_SHOWN_IN = {
    "objects": "object_level_compare_results",
    "lines": "line_compare_results",
    "contents": "content_compare_results",
}


@dataclass(frozen=True)
class ComparedItem:
    """One thing that was compared.

    :param name: a type of object, a database, or ``database.table``.
    :param result: as sent, such as CONSISTENT; None where there is none.
    """

    name: str
    result: str | None


@dataclass(frozen=True)
class ComparePage:
    """One page of what ``query-compare-result`` says about a comparison.

    :param status: the status of the comparison in the list of all of them, None where this page of it has it not.
    :param items: what was compared, as far as it is on this page.
    :param differing: names of objects that are not alike; only a comparison of objects has them.
    :param more: there is another page.
    """

    status: str | None
    items: tuple[ComparedItem, ...] = ()
    differing: tuple[str, ...] = ()
    more: bool = False


def checked_kind(compare: object) -> str:
    """Return what is to be compared; raise ``DrsArgumentError`` for all but objects, lines and contents."""
    if not isinstance(compare, str) or compare not in KINDS:
        raise DrsArgumentError(f"compare must be one of {', '.join(KINDS)}, not {one_line(repr(compare), 80)}")
    return compare


def checked_tables(tables: object) -> dict[str, list[str]] | None:
    """Return the names of tables by database; None for no value.

    :param tables: a mapping, or one written as text in JSON or Python.
    :raises DrsArgumentError: it is no mapping of lists of names.
    """
    found = mapping("tables", tables)
    named: dict[str, list[str]] = {}
    for database, names in (found or {}).items():
        listed = list(names) if isinstance(names, (list, tuple, set, frozenset)) else [None]
        if not isinstance(database, str) or not all(isinstance(name, str) and name for name in listed):
            wrong = one_line(repr({database: names}), 60)
            raise DrsArgumentError(f'tables must be like {{"database": ["table"]}}, [] for all of it, not {wrong}')
        named[database] = [str(name) for name in listed]
    return None if found is None else named


def create_compare_task(
    job_id: str,
    compare: str,
    *,
    conflict_policy: str = "cancel",
    tables: Mapping[str, list[str]] | None = None,
    compare_mode: str | None = None,
) -> Call[str]:
    """Create a comparison; the reply is its id.

    DRS API, "Creating a Comparison Task": ``POST /v3/{project_id}/jobs/create-compare-task``. A refusal can stand in
    the part of a 2xx that is about this comparison.

    :param compare: ``objects``, ``lines`` or ``contents``.
    :param conflict_policy: where a comparison of the job's data is running: ``cancel`` that one, or ``keep`` it.
    :param tables: what to compare, tables by database, an empty list for all of a database. DRS compares ``lines`` and
        ``contents`` of these only; ``objects`` are all compared.
    :param compare_mode: ``quick_comparison`` compares all there is, without ``tables``: for accounts that DRS has
        listed for it. None: by ``tables``.
    :raises DrsArgumentError: an argument cannot be sent.
    """
    body: Json = {"job_id": checked_job_id(job_id)}
    if checked_kind(compare) == "objects":
        if tables or compare_mode:
            raise DrsArgumentError("a comparison of objects is of all of them: leave out tables and compare_mode")
        field = "object_level_compare_create_result"
        body["object_level_compare_type"] = "objects"
    else:
        if conflict_policy not in ("cancel", "keep"):
            raise DrsArgumentError(f"conflict_policy must be 'cancel' or 'keep', not {conflict_policy!r}")
        if compare_mode not in (None, QUICK):
            raise DrsArgumentError(f"compare_mode must be {QUICK!r} or None, not {one_line(repr(compare_mode), 80)}")
        if not tables and not compare_mode:
            raise DrsArgumentError(
                f"tables is missing: DRS compares {compare} of the tables it is told. "
                'Give tables={"database": ["table"]}, with [] for all of a database'
            )
        field = "data_level_compare_create_result"
        info: Json = {"conflict_policy": conflict_policy, "compare_type": compare}
        body["data_level_compare_info"] = info
        if compare_mode:
            info["compare_mode"] = compare_mode
        if tables:
            info["compare_object_infos"] = [{"db_name": db, "table_name": list(names)} for db, names in tables.items()]

    def parse(response: JsonObject) -> str:
        return _created(response, field, compare)

    return Call("create-compare-task", describe_job(job_id), "POST", "/create-compare-task", parse, body)


def query_compare_result(job_id: str, compare: str, compare_id: str, page: int = 1) -> Call[ComparePage]:
    """Ask how a comparison stands and what it found.

    DRS API, "Querying Comparison Results": ``POST /v3/{project_id}/jobs/query-compare-result``.

    :param page: which page of the results, from 1.
    """
    body = {
        "job_id": checked_job_id(job_id),
        _ASKED_AS[checked_kind(compare)]: compare_id,
        "current_page": page,
        "per_page": PER_PAGE,
    }

    def parse(response: JsonObject) -> ComparePage:
        return _page(response, compare, compare_id, page)

    return Call("query-compare-result", describe_job(job_id), "POST", "/query-compare-result", parse, body, safe=True)


def _created(response: JsonObject, field: str, compare: str) -> str:
    created = response.get(field)
    if not isinstance(created, Mapping):
        raise DrsInvalidResponseError(f"DRS responded without a result for the comparison of {compare}")
    code, text = errors_of(created)
    if code:
        why = ": ".join(x for x in (code, text) if x)
        message = f"DRS refuses a comparison of {compare}: {why}"
        raise fault_class(code, 200)(message, error_code=code, error_msg=text, http_status=200)
    compare_id = compare_text(created.get("compare_task_id"))
    if not compare_id:
        raise DrsInvalidResponseError(f"DRS responded without an id of the comparison of {compare}")
    return compare_id


def _page(response: JsonObject, compare: str, compare_id: str, page: int) -> ComparePage:
    results = response.get(_SHOWN_IN[compare])
    results = results if isinstance(results, Mapping) else {}
    code, text = errors_of(results)
    if code and code != NO_RESULT:  # nothing found so far
        why = ": ".join(x for x in (code, text) if x)
        message = f"DRS does not tell the result of the comparison of {compare}: {why}"
        raise fault_class(code, 200)(message, error_code=code, error_msg=text, http_status=200)
    listed = response.get("compare_task_list_results")
    listed = listed if isinstance(listed, Mapping) else {}
    tasks = list(_objects(listed.get("compare_task_list")))
    status = next(
        (compare_text(x.get("compare_task_status")) for x in tasks if x.get("compare_task_id") == compare_id), None
    )
    parse = _objects_page if compare == "objects" else _data_page
    items, differing, longest, count = parse(results, compare)
    seen = page * PER_PAGE
    more = bool(items or tasks) and (longest >= PER_PAGE or len(tasks) >= PER_PAGE or count > seen)
    return ComparePage(status or None, items, differing, more)


def _objects_page(results: JsonObject, _: str) -> tuple[tuple[ComparedItem, ...], tuple[str, ...], int, int]:
    overview = list(_objects(results.get("object_compare_overview")))
    items = tuple(
        ComparedItem(_name(x.get("object_type")), compare_text(x.get("object_compare_result"))) for x in overview
    )
    details = results.get("object_compare_details")
    by_type = details if isinstance(details, Mapping) else {}
    lists = [(kind, list(_objects(found))) for kind, found in by_type.items()]
    differing = tuple(
        f"{one_line(kind, 80)} {_name(x.get('source_db_name'))}.{_name(source or target)}"
        for kind, found in lists
        for x in found
        if (source := x.get("source_db_value")) != (target := x.get("target_db_value"))
    )
    return items, differing, max((len(found) for _, found in lists), default=0), 0


def _data_page(results: JsonObject, compare: str) -> tuple[tuple[ComparedItem, ...], tuple[str, ...], int, int]:
    what = "line" if compare == "lines" else "content"
    overview = list(_objects(results.get(f"{what}_compare_overview")))
    field = f"{what}_compare_result"
    items = [ComparedItem(_name(x.get("source_db_name")), compare_text(x.get(field))) for x in overview]
    longest, counts = len(overview), [_count(results.get(f"{what}_compare_overview_count"))]
    for database in _objects(results.get(f"{what}_compare_details")):
        name = _name(database.get("source_db_name"))
        for part in (f"{what}_compare_detail", f"{what}_uncompare_detail"):
            tables = list(_objects(database.get(part)))
            items += [
                ComparedItem(f"{name}.{_name(x.get('source_table_name'))}", compare_text(x.get(field))) for x in tables
            ]
            longest = max(longest, len(tables))
            counts.append(_count(database.get(f"{part}_count")))
    return tuple(items), (), longest, max(counts)


def _objects(value: object) -> Iterator[JsonObject]:
    yield from (item for item in value if isinstance(item, Mapping)) if isinstance(value, list) else ()


def _name(value: object) -> str:
    return display_text(value) or "?"


def _count(value: object) -> int:
    text = display_text(value) or ""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0
