"""HTTP responses as plain values, and the error texts of DRS."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

LANGUAGES: Final = ("en-us", "zh-cn")

#: error code -> (HTTP status, text in English, text in Chinese), after the page "Error Codes" of the DRS API reference.
_DRS_ERRORS: Final[dict[str, tuple[int, str, str]]] = {
    "DRS.M00002": (422, "The returned result is empty.", "服务返回结果为空。"),
    "DRS.M00004": (500, "Service is abnormal. Check logs.", "服务异常,需要查看日志。"),
    "DRS.M00100": (403, "Invalid token.", "IAM 鉴权不合法。"),
    "DRS.M00103": (
        401,
        "You do not have operation permissions. Check account permissions on IAM.",
        "当前用户没有操作权限,请通过IAM检查账号权限。",
    ),
    "DRS.M00200": (400, "Parameter error.", "参数错误。"),
    "DRS.M00201": (400, "The parameter {detail} is empty.", "{detail} 参数为空。"),
    "DRS.M00202": (400, "The value of parameter {detail} is invalid.", "{detail} 取值不合法。"),
    "DRS.M00210": (400, "The value of Page is invalid, {detail}.", "无效的Page值,{detail}。"),
    "DRS.M00261": (403, "Invalid project ID.", "无效的项目ID。"),
    "DRS.M00304": (
        400,
        "This API cannot be called in the current task status.",
        "当前任务状态不支持此操作。",
    ),
    "DRS.M01503": (400, "Operation too frequent. Try again later.", "操作过于频繁,请稍后重试。"),
    "DRS.M01504": (
        202,
        "Another operation is being performed on the migration task or the migration task is abnormal.",
        "任务正在执行其他操作或任务异常。",
    ),
    "DRS.M05003": (400, "Task information not found.", "任务信息不存在。"),
    "DRS.M05004": (400, "The task has been deleted or the resource has been released.", "任务已删除或资源已释放。"),
    # The gateway in front of DRS, not DRS itself, sends these.
    "APIG.0101": (404, "The API does not exist or has not been published in the environment.", "API不存在或未发布。"),
    "APIG.0301": (
        401,
        "Incorrect IAM authentication information: {detail}",
        "不正确的IAM认证信息: {detail}",
    ),
    "APIG.0308": (429, "The throttling threshold has been reached.", "请求超过流控限制。"),
}
#: For any other code, which only a script can ask for.
_OTHER_ERROR: Final = (400, "The operation failed.", "操作失败。")


@dataclass(frozen=True)
class Response:
    """One HTTP response: status, body, and the headers besides Content-Length and Date."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A response whose body is ``value`` as JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    return Response(status, body, {"Content-Type": "application/json", **(headers or {})})


def drs_error_text(code: str, language: str = "en-us", detail: str = "") -> str:
    """The text that DRS gives with ``code``; ``detail`` is the parameter the text speaks of."""
    _, english, chinese = _DRS_ERRORS.get(code, _OTHER_ERROR)
    return (chinese if language == "zh-cn" else english).format(detail=detail)


def drs_error(
    code: str, language: str = "en-us", *, detail: str = "", status: int | None = None, text: str | None = None
) -> Response:
    """The refusal of a DRS call: ``{"error_code", "error_msg"}`` with the HTTP status documented for ``code``.

    :param text: in place of the text that goes with the code
    """
    body = {"error_code": code, "error_msg": drs_error_text(code, language, detail) if text is None else text}
    return json_response(body, _DRS_ERRORS.get(code, _OTHER_ERROR)[0] if status is None else status)


def refusal(code: str, language: str, field: str = "error_msg", text: str | None = None) -> dict[str, str]:
    """The code and text of one item of a response; ``field`` is what that response calls the text."""
    return {"error_code": code, field: drs_error_text(code, language) if text is None else text}


def present(**values: str | None) -> dict[str, str]:
    """The fields that have a value."""
    return {name: value for name, value in values.items() if value is not None}
