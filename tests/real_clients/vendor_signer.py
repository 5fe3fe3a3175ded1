"""Signs requests as the vendor's SDK does, in the SDK's own environment.

Reads a JSON object from standard input: ``requests``, each with ``method``, ``host``, ``path``, ``query``, ``headers``,
``body``, ``access_key`` and ``secret_key``. Prints a JSON object: ``signed``, the header Authorization of each.
"""

from __future__ import annotations

import json
import sys

from huaweicloudsdkcore.auth.credentials import BasicCredentials
from huaweicloudsdkcore.sdk_request import SdkRequest
from huaweicloudsdkcore.signer.signer import Signer


def signed(given: dict[str, object]) -> str:
    """Return the header Authorization of one request."""
    headers = dict(given["headers"])  # type: ignore[call-overload]
    request = SdkRequest(
        method=given["method"],
        schema="https",
        host=given["host"],
        resource_path=given["path"],
        query_params=[tuple(pair) for pair in given["query"]],  # type: ignore[attr-defined]
        header_params=headers,
        body=given["body"] or None,
    )
    Signer(BasicCredentials(given["access_key"], given["secret_key"])).sign(request)
    return str(request.header_params["Authorization"])


given = json.load(sys.stdin)
print(json.dumps({"signed": [signed(one) for one in given["requests"]]}))
