"""Labs that are signed in to the portal: a session is a row, and its secret is in a cookie alone.

A session has the rights of the token that opened it, and ends with it.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy import Connection, delete, insert, select

from general_level.errors import NotAuthenticated
from services.gateway import identity
from services.gateway.identity import Identity
from services.gateway.storage.database import serialise
from services.gateway.storage.tables import tokens, web_sessions
from services.kit.settings import Secret

#: How long a session lasts, whatever is done in it.
SESSION_MAX: Final = timedelta(hours=12)
#: Sessions of one token at once; a further one ends the oldest.
SESSIONS_PER_TOKEN_MAX: Final = 10
#: Rows of one round of clearing up.
EXPIRED_PER_ROUND: Final = 500
_SECRET_BYTES: Final = 32
_SECRET: Final = re.compile(r"[0-9a-f]{64}")


def sign_in(connection: Connection, now: datetime, token: str, replaced: str = "") -> Secret:
    """Opens a session; its secret is random and new, whatever the browser sent before.

    ``replaced`` is the secret of the session that the browser had, which ends. NotAuthenticated,
    in the same words for each, for what is no live token of a lab.
    """
    try:
        found = identity.identify(connection, token)
    except NotAuthenticated:
        found = None
    if found is None or found.kind != "lab":
        # Which of them was wrong is nobody's business.
        raise NotAuthenticated("This token was not accepted.")
    serialise(connection, f"sessions/{found.token_id}")
    if replaced:
        sign_out(connection, replaced)
    kept = connection.scalars(
        select(web_sessions.c.session_sha256)
        .where(web_sessions.c.token_id == found.token_id)
        .order_by(web_sessions.c.create_time.desc(), web_sessions.c.session_sha256)
    ).all()
    ended = kept[SESSIONS_PER_TOKEN_MAX - 1 :]
    connection.execute(delete(web_sessions).where(web_sessions.c.session_sha256.in_(ended)))
    secret = secrets.token_hex(_SECRET_BYTES)
    connection.execute(
        insert(web_sessions).values(
            session_sha256=_digest(secret),
            token_id=found.token_id,
            create_time=now,
            expire_time=now + SESSION_MAX,
        )
    )
    return Secret(secret)


def find(connection: Connection, now: datetime, secret: str) -> Identity:
    """Whose session it is; NotAuthenticated if it ended, by time, by hand or with its token."""
    row = None
    if _SECRET.fullmatch(secret):
        row = connection.execute(
            select(tokens.c.kind, tokens.c.token_id, tokens.c.lab_id, tokens.c.label)
            .join(web_sessions, web_sessions.c.token_id == tokens.c.token_id)
            .where(
                web_sessions.c.session_sha256 == _digest(secret),
                web_sessions.c.expire_time > now,
                tokens.c.revoke_time.is_(None),
            )
        ).one_or_none()
    if row is None:
        raise NotAuthenticated("Sign in first.")
    return Identity(row.kind, row.token_id, row.lab_id or "", "", row.label)


def sign_out(connection: Connection, secret: str) -> None:
    """Ends a session; nothing happens if there is none."""
    connection.execute(delete(web_sessions).where(web_sessions.c.session_sha256 == _digest(secret)))


def prune(connection: Connection, now: datetime, limit: int = EXPIRED_PER_ROUND) -> int:
    """Removes rows of sessions whose time is over, ``limit`` at most; how many it were."""
    over = connection.scalars(
        select(web_sessions.c.session_sha256)
        .where(web_sessions.c.expire_time <= now)
        .order_by(web_sessions.c.expire_time)
        .limit(limit)
    ).all()
    connection.execute(delete(web_sessions).where(web_sessions.c.session_sha256.in_(over)))
    return len(over)


def _digest(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
