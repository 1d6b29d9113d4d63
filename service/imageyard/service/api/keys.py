"""Who calls: a bearer key, looked up by its digest in constant time."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass

from imageyard.service.deployment import SCOPES, Deployment, Key, Scope, Tenant, digest_of

LONGEST = 256
"""Characters of a bearer key; ours have 46."""
DEV_KEY = "dev"


@dataclass(frozen=True)
class Caller:
    """The key that a request came with, and the tenant that it belongs to."""

    tenant: Tenant
    key: str
    """Its name, never itself."""
    scopes: tuple[Scope, ...]

    @property
    def name(self) -> str:
        """As records and audit events say it: tenant/key."""
        return f"{self.tenant.name}/{self.key}"

    def may(self, scope: Scope) -> bool:
        """Whether one of the scopes is `scope` or more."""
        return any(SCOPES.index(one) >= SCOPES.index(scope) for one in self.scopes)


class Keyring:
    """The keys of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._keys: tuple[tuple[bytes, Tenant, Key], ...] = tuple(
            (key.sha256.encode(), tenant, key) for tenant in deployment.tenants for key in tenant.keys
        )
        self._open: Caller | None = None
        if deployment.dev and not self._keys:
            self._open = Caller(deployment.tenants[0], DEV_KEY, SCOPES)

    @property
    def open(self) -> bool:
        """Whether everybody may come in: --dev on loopback, without keys."""
        return self._open is not None

    def caller(self, authorization: Iterable[str]) -> Caller | None:
        """Who sent these Authorization headers, None if there is not exactly one, or no such key.

        Every key is compared, and each wholly, so that the time says nothing. Without any key, which only --dev on
        loopback allows, everybody is the first tenant.
        """
        if self._open is not None:
            return self._open
        token = bearer(authorization)
        asked = digest_of(token or "").encode()
        found: Caller | None = None
        for digest, tenant, key in self._keys:
            if hmac.compare_digest(digest, asked):
                found = Caller(tenant, key.name, key.scopes)
        return found if token is not None else None


def bearer(authorization: Iterable[str]) -> str | None:
    """The token of exactly one `Authorization: Bearer` header, else None."""
    values = tuple(authorization)
    if len(values) != 1:
        return None
    scheme, _, token = values[0].partition(" ")
    token = token.strip()
    return token if scheme.lower() == "bearer" and 0 < len(token) <= LONGEST else None
