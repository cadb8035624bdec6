"""How to fetch: each field is an option of the command."""

from __future__ import annotations

from functools import cached_property

from pydantic import Field, field_validator

from pipeline.core.settings import Size, Table

_ALWAYS_DISALLOWED = frozenset({"noai", "noimageai"})


class FetchSettings(Table):
    """Options of `python -m pipeline.fetch`. Times are in seconds, sizes in bytes."""

    connections: int = Field(256, ge=1, le=10_000, description="Requests at once.")
    per_host: int = Field(8, ge=1, description="Requests at once to one host.")
    per_host_rate: float | None = Field(
        None, gt=0, description="Requests per second to one host.  [default: no bound]", json_schema_extra={"metavar": "R"}
    )
    timeout: float = Field(
        15.0, gt=0, description="Seconds for one try, redirects and body included.", json_schema_extra={"metavar": "S"}
    )
    max_bytes: Size = Field(20_000_000, description="Size of the largest image.", json_schema_extra={"metavar": "N"})
    retries: int = Field(2, ge=0, le=100, description="Further tries after timeouts, broken connections, 429 and 5xx.")
    retry_failed: bool = Field(
        False,
        description="Ask again, in finished shards, for what failed in such a way, or with --allow-private for its address. "
        "A 404 stays.",
    )
    shard_size: int = Field(10_000, ge=1, description="URLs per shard.", json_schema_extra={"metavar": "N"})
    user_agent: str = Field(
        "Mozilla/5.0 (compatible; seimai/0.1; fetcher of training images)",
        description="Name yourself, and how to reach you.",
    )
    disallowed: tuple[str, ...] = Field(
        ("noindex", "noimageindex", "none"),  # `none` is short for noindex and nofollow
        description="What in X-Robots-Tag forbids the use, beside noai and noimageai; repeatable.",
        json_schema_extra={"metavar": "DIRECTIVE"},
    )
    allow_private: bool = Field(False, description="Also fetch from loopback and private networks.")

    @field_validator("user_agent")
    @classmethod
    def _check_user_agent(cls, value: str) -> str:
        if not (value.isprintable() and value.isascii() and value.strip()):
            raise ValueError("a line of printable ASCII")
        return value

    @cached_property
    def directives(self) -> frozenset[str]:
        """The directives in X-Robots-Tag that forbid the use of an image."""
        return _ALWAYS_DISALLOWED | {directive.strip().lower() for directive in self.disallowed}
