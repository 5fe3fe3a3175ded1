"""Makes every call that the simulator and the vendor's SDK know, in the SDK's own environment.

Reads a JSON object from standard input: the simulator's address, CA file and account, and ids of jobs. Prints a JSON
object: for each call, how the response differs from the SDK's models, and some of what the SDK read.
"""

from __future__ import annotations

import json
import re
import sys
import warnings
from typing import Any

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.exceptions.exceptions import ClientRequestException
from huaweicloudsdkcore.http.http_config import HttpConfig
from huaweicloudsdkdrs.v3 import (
    BatchDeleteJobReq,
    BatchDeleteJobsRequest,
    BatchListJobDetailsRequest,
    BatchListJobStatusRequest,
    BatchListProgressesRequest,
    BatchPauseJobReq,
    BatchQueryJobReqPage,
    BatchQueryProgressReq,
    BatchRestoreTaskRequest,
    BatchRetryReq,
    BatchStartJobReq,
    BatchStartJobsRequest,
    BatchStopJobsRequest,
    CompareObjectInfo,
    CreateCompareTaskReq,
    CreateCompareTaskRequest,
    CreateDataLevelCompareReq,
    DeleteJobReq,
    DrsClient,
    ListCompareResultRequest,
    PageReq,
    PauseInfo,
    QueryCompareResultReq,
    QueryJobsReq,
    RetryInfo,
    ShowJobListRequest,
    StartInfo,
    model,
)

PRIMITIVES = {"str": str, "int": int, "bool": bool}


def differences(value: Any, kind: str, path: str = "$") -> list[str]:
    """How a JSON value differs from a type of the SDK, which itself converts what it can and drops the rest."""
    if value is None:
        return []
    if match := re.fullmatch(r"list\[(.*)\]", kind):
        if not isinstance(value, list):
            return [f"{path} is no list"]
        return [line for n, item in enumerate(value) for line in differences(item, match[1], f"{path}[{n}]")]
    if match := re.fullmatch(r"dict\(str, (.*)\)", kind):
        if not isinstance(value, dict):
            return [f"{path} is no object"]
        return [line for name, item in value.items() for line in differences(item, match[1], f"{path}.{name}")]
    if kind in PRIMITIVES:
        return [] if type(value) is PRIMITIVES[kind] else [f"{path} is no {kind}: {value!r}"]
    if not isinstance(value, dict):
        return [f"{path} is no {kind}"]
    known = {name: attribute for attribute, name in getattr(model, kind).attribute_map.items()}
    types = getattr(model, kind).openapi_types
    lines = [f"{path}.{name} is unknown to {kind}" for name in value if name not in known]
    for name in value.keys() & known.keys():
        lines += differences(value[name], types[known[name]], f"{path}.{name}")
    return lines


class Calls:
    def __init__(self, given: dict[str, Any]) -> None:
        credentials = BasicCredentials(given["access_key"], given["secret_key"], given["project_id"])
        if given["security_token"]:
            credentials.with_security_token(given["security_token"])
        config = HttpConfig(ssl_ca_cert=given["ca_file"], timeout=(10, 30))
        builder = DrsClient.new_builder().with_credentials(credentials).with_http_config(config)
        self.client = builder.with_endpoints([given["url"]]).build()
        self.told: dict[str, Any] = {}

    def make(self, name: str, method: str, request: object) -> Any:
        """Make a call; returns the SDK's response, or the error that it raised."""
        try:
            response = getattr(self.client, method)(request)
        except ClientRequestException as error:
            self.told[name] = {"status": error.status_code, "code": error.error_code, "text": error.error_msg}
            return error
        kind = type(response).__name__
        raw = json.loads(response.raw_content)
        read = {"status": response.status_code, "read": str(response)}
        self.told[name] = {**read, "differences": differences(raw, kind)}
        return response

    def compare(self, name: str, job_id: str, kind: str, task_id: str) -> Any:
        query = QueryCompareResultReq(job_id=job_id, current_page=1, per_page=10, **{kind: task_id})
        return self.make(name, "list_compare_result", ListCompareResultRequest(body=query))


def main() -> None:
    warnings.simplefilter("ignore", DeprecationWarning)
    given = json.load(sys.stdin)
    running, waiting, failing, ended, nobody = given["jobs"]
    calls = Calls(given)
    ids = [running, failing, nobody]
    calls.make(
        "list",
        "show_job_list",
        ShowJobListRequest(body=QueryJobsReq(cur_page=1, per_page=10, db_use_type="sync", engine_type="mysql")),
    )
    page = PageReq(cur_page=1, per_page=10)
    body = BatchQueryJobReqPage(jobs=ids, page_req=page)
    calls.make("status", "batch_list_job_status", BatchListJobStatusRequest(body=body))
    calls.make("detail", "batch_list_job_details", BatchListJobDetailsRequest(body=body))
    calls.make("progress", "batch_list_progresses", BatchListProgressesRequest(body=BatchQueryProgressReq(jobs=ids)))

    tables = [CompareObjectInfo(db_name="shop", table_name=["orders", "items", "log"])]
    created = {}
    for kind in ("lines", "contents"):
        info = CreateDataLevelCompareReq(conflict_policy="cancel", compare_type=kind, compare_object_infos=tables)
        task = CreateCompareTaskReq(
            job_id=running,
            object_level_compare_type="objects" if kind == "lines" else None,
            data_level_compare_info=info,
        )
        response = calls.make(f"create {kind}", "create_compare_task", CreateCompareTaskRequest(body=task))
        created[kind] = response.data_level_compare_create_result.compare_task_id
        if kind == "lines":
            created["objects"] = response.object_level_compare_create_result.compare_task_id
    calls.compare("result of objects", running, "object_level_compare_id", created["objects"])
    calls.compare("result of lines", running, "line_compare_id", created["lines"])
    calls.compare("result of contents", running, "content_compare_id", created["contents"])
    calls.compare("result of nothing", running, "line_compare_id", "nothing")
    without = CreateDataLevelCompareReq(conflict_policy="cancel", compare_type="lines")
    task = CreateCompareTaskReq(job_id=running, data_level_compare_info=without)
    calls.make("create without tables", "create_compare_task", CreateCompareTaskRequest(body=task))
    calls.compare("result for nobody", nobody, "line_compare_id", "nothing")

    jobs = [StartInfo(job_id=job_id) for job_id in (waiting, nobody)]
    calls.make("start", "batch_start_jobs", BatchStartJobsRequest(body=BatchStartJobReq(jobs=jobs)))
    jobs = [PauseInfo(job_id=job_id, pause_mode="target") for job_id in (running, nobody)]
    calls.make("pause", "batch_stop_jobs", BatchStopJobsRequest(body=BatchPauseJobReq(jobs=jobs)))
    jobs = [RetryInfo(job_id=running), RetryInfo(job_id=failing, is_sync_re_edit=True)]
    calls.make("retry", "batch_restore_task", BatchRestoreTaskRequest(body=BatchRetryReq(jobs=jobs)))
    jobs = [
        DeleteJobReq(job_id=running, delete_type="terminate"),
        DeleteJobReq(job_id=ended, delete_type="delete"),
        DeleteJobReq(job_id=nobody, delete_type="delete"),
    ]
    calls.make("delete", "batch_delete_jobs", BatchDeleteJobsRequest(body=BatchDeleteJobReq(jobs=jobs)))

    wrong = Calls({**given, "secret_key": "wrong"})
    body = BatchQueryJobReqPage(jobs=ids)
    wrong.make("wrong key", "batch_list_job_status", BatchListJobStatusRequest(body=body))
    print(json.dumps({**calls.told, **wrong.told}))


main()
