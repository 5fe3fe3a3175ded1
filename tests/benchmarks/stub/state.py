"""What the stub knows: settings, tokens, jobs, and counts of all that was asked."""

from __future__ import annotations

import secrets
import time
from collections import Counter
from typing import Any

PROJECT_ID = "0a1b2c3d4e5f60718293a4b5c6d7e8f9"
NEVER = float("inf")


class Job:
    """One job: when its switchover is complete, and how it was polled."""

    __slots__ = ("finish_at", "largest_gap", "last_poll", "polls")

    def __init__(self) -> None:
        self.finish_at = NEVER
        self.polls = 0
        self.last_poll = 0.0
        self.largest_gap = 0.0


class State:
    """All that a control command can set or read."""

    def __init__(self) -> None:
        self.delay = 0.02  # seconds before each response
        self.token_life = 86400.0
        self.fault: int | None = None  # HTTP status of every status call, instead of the response
        self.tokens: dict[str, float] = {}
        self.reset()

    def reset(self) -> None:
        """Begin counting anew; all jobs are in progress again. Tokens and settings stay."""
        self.tls = 0
        self.requests: Counter[str] = Counter()
        self.refused_tokens = 0
        self.jobs: dict[str, Job] = {}
        self.times: dict[str, list[float]] = {}

    def new_token(self, life: float | None = None) -> tuple[str, float, float]:
        """Return a token with the times at which it was issued and expires."""
        now = time.time()
        # As long as a real token of a small account: several hundred characters go out with each poll.
        token, expires = "gAAAAA" + secrets.token_urlsafe(600), now + (life or self.token_life)
        self.tokens[token] = expires
        return token, now, expires

    def token_is_good(self, token: str) -> bool:
        """Tell whether a token was issued here and has not expired; count it if not."""
        if self.tokens.get(token, 0.0) > time.time():
            return True
        self.refused_tokens += 1
        return False

    def asked(self, kind: str) -> None:
        """Count a request."""
        self.requests[kind] += 1
        self.times.setdefault(kind, []).append(time.time())

    def polled(self, job_id: str) -> Job:
        """Count a poll of a job; return the job."""
        now = time.time()
        job = self.jobs.get(job_id)
        if job is None:
            job = self.jobs[job_id] = Job()
        if job.last_poll:
            job.largest_gap = max(job.largest_gap, now - job.last_poll)
        job.polls += 1
        job.last_poll = now
        return job

    def counts(self) -> dict[str, Any]:
        """Return the counts so far."""
        own = {"at": time.time(), "cpu": time.process_time(), "tls": self.tls, "refused_tokens": self.refused_tokens}
        return {**own, **self.requests}

    def gaps(self) -> dict[str, Any]:
        """Return how evenly the jobs were polled; a job's last poll counts as a gap up to now."""
        now = time.time()
        gaps = [max(job.largest_gap, now - job.last_poll) for job in self.jobs.values()]
        return {
            "jobs": len(gaps),
            "largest_gap": max(gaps, default=0.0),
            "fewest_polls": min((job.polls for job in self.jobs.values()), default=0),
        }

    def finish(self, times: dict[str, float]) -> None:
        """Set when switchovers are complete, in seconds since the epoch."""
        for job_id, at in times.items():
            self.jobs.setdefault(job_id, Job()).finish_at = at
