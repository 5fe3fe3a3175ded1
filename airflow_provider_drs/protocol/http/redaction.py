"""Secrets that a server echoes: found in every usual spelling, and replaced by ``***``."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import quote

MASK = "***"


def redact(text: str, secrets: Iterable[str]) -> str:
    """Return ``text`` with every spelling of the secrets masked; empty secrets are ignored."""
    for secret in sorted(secrets, key=len, reverse=True):  # one secret may be the beginning of another
        if secret:
            text = _pattern(secret).sub(MASK, text)
    return text


def redact_bytes(data: bytes, secrets: Iterable[str]) -> bytes:
    """Return ``data`` with every spelling of the secrets masked; bytes that are no UTF-8 stay as they are."""
    return redact(data.decode("utf-8", "surrogateescape"), secrets).encode("utf-8", "surrogateescape")


def may_contain(secret: str, body: bytes, headers: Iterable[str]) -> bool:
    """Tell whether a secret may be in a response; far cheaper than a search for all its spellings."""
    if not secret:
        return False
    part = _invariant_part(secret)
    return part.encode() in body or part in "\n".join(headers)


@lru_cache(maxsize=16)
def _invariant_part(secret: str) -> str:
    """Return the longest part of a secret that every spelling leaves as it is."""
    parts: list[str] = re.findall("[A-Za-z0-9]*", secret)
    return max(parts, key=len)


@lru_cache(maxsize=16)
def _pattern(secret: str) -> re.Pattern[str]:
    """Return the pattern of a secret as it is and as JSON, HTML and URLs spell it."""
    return re.compile("".join(_spellings(character) for character in secret))


def _spellings(character: str) -> str:
    if character.isascii() and character.isalnum():  # has one spelling only
        return character
    escaped = json.dumps(character)[1:-1]
    code = f"\\u{ord(character):04x}"
    ways = {character, escaped, escaped.upper().replace("U", "u"), code, code.upper().replace("U", "u")}
    ways |= {f"\\{character}", html.escape(character), quote(character, safe="", errors="replace")}
    ways |= {"+"} if character == " " else set()
    return f"(?:{'|'.join(map(re.escape, sorted(ways, key=len, reverse=True)))})"
