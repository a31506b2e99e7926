"""Who is calling: tokens, stored only as digests, shown once when they are made.

A token reads ``glt_<token id>_<secret>``. The id finds the row, the secret is compared as SHA-256
in constant time: it has 256 random bits, so a slow password hash would add nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Protocol, TypeVar

from sqlalchemy import Connection, func, insert, select, update

from general_level.errors import AlreadyExists, NotAuthenticated, NotFound, NotPermitted
from general_level.identifiers import new_id
from services.gateway.storage.database import Database, serialise
from services.gateway.storage.tables import labs, submissions, tokens
from services.kit.clock import Clock
from services.kit.settings import Secret

T = TypeVar("T")

KINDS: Final = ("lab", "grader", "ranker", "operator")
#: A call that lasts reads its token again this often: a revoked one ends it at most this much
#: later, and the second between two turns of its loop.
RECHECK: Final = timedelta(seconds=10)
_POLL_SECONDS: Final = 1.0
_TOKEN: Final = re.compile(r"glt_(tok_[0-9a-z]{26})_([0-9a-f]{64})")
_SECRET_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class Identity:
    """The owner of a valid token. ``modality`` is set for a grader, ``lab_id`` for a lab.

    ``label`` is the token's note; of an operator it is the name in the audit log.
    """

    kind: str
    token_id: str
    lab_id: str
    modality: str
    label: str = ""


class RpcContext(Protocol):
    """What of a gRPC context is needed to know the caller."""

    def invocation_metadata(self) -> object: ...

    def auth_context(self) -> Mapping[str, Sequence[bytes]]: ...


#: Refuses a call whose connection does not fit the owner of its token.
Check = Callable[[RpcContext, "Identity", datetime], None]


def create_lab(connection: Connection, now: datetime, name: str) -> str:
    """Registers a lab; AlreadyExists if the name is taken. Returns its id."""
    serialise(connection, "labs")
    if connection.scalar(select(labs.c.lab_id).where(labs.c.name == name)) is not None:
        raise AlreadyExists("Choose another name for the lab.", name=name)
    lab_id = new_id("lab", now)
    connection.execute(insert(labs).values(lab_id=lab_id, name=name, create_time=now))
    return lab_id


def find_lab(connection: Connection, name: str) -> str:
    """The id of a lab by its name; NotFound."""
    lab_id = connection.scalar(select(labs.c.lab_id).where(labs.c.name == name))
    if lab_id is None:
        raise NotFound("No lab of this name is registered.", name=name)
    return str(lab_id)


@dataclass(frozen=True, slots=True)
class LabFacts:
    """A registered lab, and how much it has of what an operator looks for."""

    lab_id: str
    name: str
    create_time: datetime
    live_tokens: int
    submissions: int


def list_labs(connection: Connection) -> list[LabFacts]:
    """All labs, the oldest first."""
    live = (
        select(func.count())
        .where(tokens.c.lab_id == labs.c.lab_id, tokens.c.revoke_time.is_(None))
        .scalar_subquery()
    )
    made = select(func.count()).where(submissions.c.lab_id == labs.c.lab_id).scalar_subquery()
    rows = connection.execute(
        select(labs.c.lab_id, labs.c.name, labs.c.create_time, live, made).order_by(
            labs.c.create_time, labs.c.lab_id
        )
    )
    return [LabFacts(*row) for row in rows]


def create_token(
    connection: Connection,
    now: datetime,
    kind: str,
    *,
    lab_id: str = "",
    modality: str = "",
    label: str = "",
) -> Secret:
    """Makes a token; the secret is not stored and cannot be shown again."""
    token_id = new_id("tok", now)
    secret = secrets.token_hex(_SECRET_BYTES)
    connection.execute(
        insert(tokens).values(
            token_id=token_id,
            kind=kind,
            lab_id=lab_id or None,
            modality=modality or None,
            secret_sha256=_digest(secret),
            label=label,
            create_time=now,
        )
    )
    return Secret(f"glt_{token_id}_{secret}")


def revoke_token(connection: Connection, now: datetime, token_id: str) -> None:
    """Ends a token at once; NotFound if there is no such live token."""
    ended = connection.execute(
        update(tokens)
        .where(tokens.c.token_id == token_id, tokens.c.revoke_time.is_(None))
        .values(revoke_time=now)
    )
    if ended.rowcount == 0:
        raise NotFound("No live token has this id.", token_id=token_id)


@dataclass(frozen=True, slots=True)
class TokenFacts:
    """What may be listed of a token."""

    token_id: str
    kind: str
    lab_name: str
    modality: str
    label: str
    create_time: datetime
    revoke_time: datetime | None


def list_tokens(connection: Connection) -> list[TokenFacts]:
    """All tokens ever made, oldest first."""
    rows = connection.execute(
        select(
            tokens.c.token_id,
            tokens.c.kind,
            labs.c.name,
            tokens.c.modality,
            tokens.c.label,
            tokens.c.create_time,
            tokens.c.revoke_time,
        )
        .select_from(tokens.outerjoin(labs, labs.c.lab_id == tokens.c.lab_id))
        .order_by(tokens.c.token_id)
    )
    return [
        TokenFacts(row[0], row[1], row[2] or "", row[3] or "", row[4], row[5], row[6])
        for row in rows
    ]


def identify(connection: Connection, token: str) -> Identity:
    """The identity behind a token; NotAuthenticated for an unknown, revoked or malformed one."""
    match = _TOKEN.fullmatch(token)
    if match is None:
        raise NotAuthenticated("This is not a token of this platform.")
    row = connection.execute(select(tokens).where(tokens.c.token_id == match[1])).one_or_none()
    if row is None or not hmac.compare_digest(row.secret_sha256, _digest(match[2])):
        raise NotAuthenticated("The token is unknown.")
    if row.revoke_time is not None:
        raise NotAuthenticated("The token was revoked.")
    return Identity(row.kind, row.token_id, row.lab_id or "", row.modality or "", row.label)


class Authenticator:
    """Reads ``authorization: Bearer <token>`` of a call; ``check`` is asked besides."""

    def __init__(self, database: Database, clock: Clock, check: Check | None = None) -> None:
        self._database = database
        self._clock = clock
        self._check = check

    async def require(self, context: RpcContext, kind: str) -> Identity:
        """The caller, who must have a token of this kind; else NotAuthenticated, NotPermitted."""
        return await self._identify(context, _bearer(context), kind)

    async def follow(self, context: RpcContext, kind: str) -> Caller:
        """As `require`, for a call that lasts: its token may be revoked meanwhile, its certificate
        may end."""
        token = _bearer(context)

        def read() -> Awaitable[Identity]:
            return self._identify(context, token, kind)

        return Caller(await read(), read, self._clock)

    async def _identify(self, context: RpcContext, token: str, kind: str) -> Identity:
        identity = await self._database.run_read(identify, token)
        if identity.kind != kind:
            raise NotPermitted(f"This call needs a token of kind {kind}.", kind=identity.kind)
        if self._check is not None:
            self._check(context, identity, self._clock.now())
        return identity


class Caller:
    """Who made a call that lasts. ``recheck`` belongs into each turn of the call's loop."""

    def __init__(
        self,
        identity: Identity,
        read: Callable[[], Awaitable[Identity]],
        clock: Clock,
        every: timedelta = RECHECK,
    ) -> None:
        self.identity = identity
        self._read = read
        self._clock = clock
        self._every = every
        self._checked = clock.now()

    async def recheck(self) -> None:
        """Checks again if that was ``every`` ago; NotAuthenticated for a token that was revoked."""
        now = self._clock.now()
        if now - self._checked >= self._every:
            await self._read()
            self._checked = now

    async def messages(self, requests: AsyncIterator[T]) -> AsyncIterator[T]:
        """The caller's messages, rechecked also while none comes."""
        source = aiter(requests)
        while True:
            coming: asyncio.Future[T | None] = asyncio.ensure_future(anext(source, None))
            try:
                while not coming.done():
                    await self.recheck()
                    await asyncio.wait({coming}, timeout=_POLL_SECONDS)
            finally:
                coming.cancel()
            message = coming.result()
            if message is None:
                return
            yield message


def _bearer(context: RpcContext) -> str:
    metadata = context.invocation_metadata() or ()
    for key, value in metadata:  # type: ignore[attr-defined]
        if key == "authorization":
            text = value if isinstance(value, str) else value.decode("latin-1")
            scheme, _, token = text.partition(" ")
            if scheme.lower() == "bearer":
                return token.strip()
    raise NotAuthenticated("Send the metadata `authorization: Bearer <token>`.")


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
