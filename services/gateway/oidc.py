"""People who come with a token of an OpenID provider instead of a key of ours."""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from bus.errors import Refused, Unavailable
from services.gateway.caller import EVERYWHERE, Caller
from services.records.permission import ROLES
from services.settings import Settings

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")
"""What a token may be signed with: keys of which the provider publishes only one half."""

TOKEN_BYTES_MAX = 16 * 1024
ANSWER_BYTES_MAX = 1024 * 1024
FETCH_S_MAX = 10
FETCH_AGAIN_S = 30.0
"""How soon the keys may be asked for again when a token names one that is not known."""

KEYS_VALID_S = 3600.0
LEEWAY_S = 30
"""How far the provider's clock and ours may differ."""

TITLES = ("role:", "profession:")


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Whose tokens are taken: those of this issuer for this audience."""

    issuer: str
    audience: str
    claim: str  # that lists what its holder is: ROLE, WORKSPACE/ROLE, `role:TITLE`, `profession:ID`
    ca_file: Path | None = None

    @classmethod
    def of(cls, settings: Settings) -> Provider | None:
        """None where no issuer is set; raises Refused for settings that would let in the wrong people."""
        if not settings.oidc_issuer:
            return None
        url = urlsplit(settings.oidc_issuer)
        if url.scheme != "https" and url.hostname not in ("127.0.0.1", "::1", "localhost"):
            raise Refused(f"CLAWX_OIDC_ISSUER must be an https:// URL, found {settings.oidc_issuer!r}")
        if not settings.oidc_audience:
            raise Refused("CLAWX_OIDC_ISSUER wants CLAWX_OIDC_AUDIENCE beside it: whom tokens must be made for")
        try:
            import jwt  # noqa: F401 — said now and not when the first person comes
        except ModuleNotFoundError as error:
            raise Refused("CLAWX_OIDC_ISSUER needs the extra: pip install 'openclaw-x[oidc]'") from error
        return cls(
            issuer=settings.oidc_issuer,
            audience=settings.oidc_audience,
            claim=settings.oidc_claim,
            ca_file=settings.oidc_ca_file,
        )


class Tokens:
    """Checks tokens with the keys that the provider publishes."""

    def __init__(self, provider: Provider) -> None:
        self._provider = provider
        self._keys: dict[str, Any] = {}
        self._asked_at = self._kept_at = -KEYS_VALID_S
        self._asking = asyncio.Lock()

    async def find(self, token: str) -> Caller | None:
        """Whose token this is, if it is a good one. Raises Unavailable while the provider cannot be asked."""
        import jwt

        if token.count(".") != 2 or len(token) > TOKEN_BYTES_MAX:
            return None
        try:
            key = await self._key(str(jwt.get_unverified_header(token).get("kid", "")))
            if key is None:
                return None
            claims = jwt.decode(
                token,
                key,
                algorithms=ALGORITHMS,
                audience=self._provider.audience,
                issuer=self._provider.issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "sub", "aud", "iss"]},
            )
        except jwt.PyJWTError as error:
            logger.info("a token was refused: %s", error)
            return None
        return caller_of_claims(claims, self._provider.claim)

    async def _key(self, key_id: str) -> Any:
        """The key of this name, asked for anew when it is not known or known for too long."""
        if key_id not in self._keys or time.monotonic() - self._kept_at > KEYS_VALID_S:
            async with self._asking:
                if key_id not in self._keys or time.monotonic() - self._kept_at > KEYS_VALID_S:
                    await self._ask()
        return self._keys.get(key_id)

    async def _ask(self) -> None:
        if time.monotonic() - self._asked_at < FETCH_AGAIN_S:
            return
        self._asked_at = time.monotonic()
        import jwt

        try:
            found = await _fetch_keys(self._provider)
            self._keys = {str(key.key_id or ""): key for key in jwt.PyJWKSet.from_dict(dict(found)).keys}
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError, KeyError, jwt.PyJWTError) as error:
            self._asked_at = -KEYS_VALID_S
            logger.warning("the keys of %s cannot be had: %r", self._provider.issuer, error)
            raise Unavailable(f"the keys of {self._provider.issuer} cannot be had") from error
        self._kept_at = time.monotonic()


async def _fetch_keys(provider: Provider) -> Mapping[str, Any]:
    """As OpenID Connect Discovery 1.0 says where they are."""
    context = ssl.create_default_context(cafile=provider.ca_file) if provider.ca_file else True
    timeout = aiohttp.ClientTimeout(total=FETCH_S_MAX)
    async with aiohttp.ClientSession(timeout=timeout, connector=aiohttp.TCPConnector(ssl=context)) as http:
        said = await _fetch(http, f"{provider.issuer.rstrip('/')}/.well-known/openid-configuration")
        if said.get("issuer") != provider.issuer:
            raise ValueError(f"it says that it is {said.get('issuer')!r}")
        return await _fetch(http, str(said["jwks_uri"]))


async def _fetch(http: aiohttp.ClientSession, url: str) -> Mapping[str, Any]:
    async with http.get(url, allow_redirects=False) as response:
        response.raise_for_status()
        answer = b""
        async for chunk in response.content.iter_any():
            answer += chunk
            if len(answer) > ANSWER_BYTES_MAX:
                raise ValueError(f"{url} answers with more than {ANSWER_BYTES_MAX} bytes")
        found = json.loads(answer)
    if not isinstance(found, dict):
        raise ValueError(f"{url} does not answer with an object")
    return found


def caller_of_claims(claims: Mapping[str, Any], name: str) -> Caller:
    """What the claims of a checked token say of their holder; words that mean nothing here give nothing."""
    listed = claims.get(name, ())
    words = [word for word in (listed if isinstance(listed, list) else str(listed).split()) if isinstance(word, str)]
    roles: dict[str, frozenset[str]] = {}
    for word in words:
        workspace, slash, role = word.rpartition("/")
        if role in ROLES and (workspace or not slash):
            held = workspace or EVERYWHERE
            roles[held] = roles.get(held, frozenset()) | {role}
    return Caller(
        name=str(claims["sub"]),
        key_id=f"oidc {claims['sub']}",
        roles=roles,
        titles=frozenset(word for word in words if word.startswith(TITLES)),
        expires_at_ms=int(claims["exp"]) * 1000,
    )
