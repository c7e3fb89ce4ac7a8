"""Locks in a PostgreSQL database: one row for each name, leases by the server's clock."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from capa_core.abilities import NATIVE
from capa_core.blocks.lock.driver import LockDriver, LockFeature, LockStatus
from capa_core.components.postgres._driver import PostgresDriver
from capa_core.components.postgres._settings import PostgresSettings
from capa_core.components.postgres._timed import Row

# Names are bytes: text cannot hold every character.
_TABLE = """
CREATE TABLE capa.lock (
    name bytea PRIMARY KEY,
    token bigint NOT NULL,
    owner bytea NOT NULL,
    expires_at timestamptz NOT NULL
) WITH (fillfactor = 50); -- renewals find room on their page
"""

# Waiting owners try repeatedly: where another one holds the lock, nothing is written.
_ACQUIRE = """
INSERT INTO capa.lock AS held (name, token, owner, expires_at)
SELECT %(name)b, (extract(epoch FROM clock_timestamp()) * 1000)::bigint, %(owner)b,
    clock_timestamp() + %(lease_s)s * interval '1 s'
WHERE NOT EXISTS (
    SELECT FROM capa.lock WHERE name = %(name)b AND owner <> %(owner)b AND expires_at > clock_timestamp()
)
ON CONFLICT (name) DO UPDATE SET
    token = held.token
        + CASE WHEN held.owner = excluded.owner AND held.expires_at > clock_timestamp() THEN 0 ELSE 1 END,
    owner = excluded.owner,
    expires_at = clock_timestamp() + %(lease_s)s * interval '1 s'
WHERE held.owner = excluded.owner OR held.expires_at <= clock_timestamp()
RETURNING token
"""
_RENEW = """
UPDATE capa.lock SET expires_at = clock_timestamp() + %(lease_s)s * interval '1 s'
WHERE name = %(name)b AND owner = %(owner)b AND expires_at > clock_timestamp() RETURNING name
"""
_HELD = """
SELECT name, owner, token, extract(epoch FROM expires_at - clock_timestamp())::float8
FROM capa.lock WHERE name > %(after)b AND expires_at > clock_timestamp() ORDER BY name LIMIT %(most)s
"""
_PAGE = 500


class PostgresLock(PostgresDriver[PostgresSettings], LockDriver[PostgresSettings]):
    """Locks in the table `lock`, one row for each name; it stays when the lock is free, since it counts the tokens."""

    block = "lock"
    steps: Sequence[str] = (_TABLE,)
    settings_type = PostgresSettings
    features = dict.fromkeys(LockFeature, NATIVE)

    def acquire(self, name: str, owner: str, lease_s: float) -> int | None:
        """See `LockDriver.acquire`."""
        rows = self._run(_ACQUIRE, name, owner, lease_s)
        return int(rows[0][0]) if rows else None

    def renew(self, name: str, owner: str, lease_s: float) -> bool:
        """See `LockDriver.renew`."""
        return bool(self._run(_RENEW, name, owner, lease_s))

    def release(self, name: str, owner: str) -> bool:
        """See `LockDriver.release`."""
        return self.renew(name, owner, 0.0)

    def inspect(self) -> Iterator[LockStatus]:
        """See `LockDriver.inspect`: some at a time, by name."""
        after = b""
        while page := self.database.run(_HELD, after=after, most=_PAGE):
            for name, owner, token, left_s in page:
                yield LockStatus(name=name.decode(), owner=owner.decode(), token=token, left_s=left_s)
            after = page[-1][0]

    def _run(self, query: str, name: str, owner: str, lease_s: float) -> list[Row]:
        return self.database.run(query, name=name.encode(), owner=owner.encode(), lease_s=float(lease_s))
