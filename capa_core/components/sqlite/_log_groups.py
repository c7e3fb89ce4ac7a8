"""The SQL of a log's groups: positions, owners of partitions, and live members.

Times of members are those of `_uptime`, so that setting the clock ends no session. After a restart of the machine
no member is live. Each function is one part of a transaction that the caller has begun.
"""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Collection, Mapping

from capa_core.blocks.log.driver import Bounds, Commit, Partition, Record, Start
from capa_core.blocks.log.membership import GRACE_S, Outcome, Ownership, Share, Turn, share
from capa_core.components.sqlite import _log_records, _uptime

SCHEMA = """
CREATE TABLE IF NOT EXISTS place (
    topic TEXT NOT NULL,
    team TEXT NOT NULL,  -- the group
    number INTEGER NOT NULL,  -- of the partition
    committed INTEGER NOT NULL,
    note TEXT NOT NULL DEFAULT '',
    owner TEXT,  -- a member
    position INTEGER NOT NULL,  -- the next offset that the owner reads
    PRIMARY KEY (topic, team, number)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS member (
    topic TEXT NOT NULL,
    team TEXT NOT NULL,
    name TEXT NOT NULL,
    boot TEXT NOT NULL,
    idle_at REAL NOT NULL,
    dead_at REAL NOT NULL,
    PRIMARY KEY (topic, team, name)
) WITHOUT ROWID;
"""

_CREATE = "INSERT INTO place (topic, team, number, committed, position) VALUES (?, ?, ?, ?, ?)"
_TEAMS = "SELECT DISTINCT team FROM place WHERE topic = ? ORDER BY team"
_COMMITTED = "SELECT number, committed, note FROM place WHERE topic = ? AND team = ?"
_PLACES = "SELECT number, owner, position > committed, position FROM place WHERE topic = ? AND team = ?"
_CLAIM = "UPDATE place SET owner = ?, position = committed WHERE topic = ? AND team = ? AND number = ?"
_MOVE = "UPDATE place SET position = ? WHERE topic = ? AND team = ? AND number = ? AND owner = ?"
_COMMIT = "UPDATE place SET committed = ?, note = ? WHERE topic = ? AND team = ? AND number = ? AND owner = ?"
_GIVE_UP = "UPDATE place SET owner = NULL WHERE topic = ? AND team = ? AND number = ? AND owner = ?"
_GIVE_UP_ALL = "UPDATE place SET owner = NULL WHERE topic = ? AND team = ? AND owner = ?"
_POSITION = "SELECT position FROM place WHERE topic = ? AND team = ? AND number = ? AND owner = ?"
_MEMBERS = "SELECT name, boot, idle_at, dead_at FROM member WHERE topic = ? AND team = ?"
_LIVE = "INSERT OR REPLACE INTO member (topic, team, name, boot, idle_at, dead_at) VALUES (?, ?, ?, ?, ?, ?)"
_LEAVE = "DELETE FROM member WHERE topic = ? AND team = ? AND name = ?"


class NotOwnerError(Exception):
    """A partition is not owned by the member; undoes the transaction's changes."""


def create(
    connection: sqlite3.Connection, topic: str, group: str, start: Start, found: Mapping[Partition, Bounds]
) -> None:
    """Store the position of *start*, unless the group exists."""
    teams = groups(connection, topic)
    if group in teams:
        return
    at_end = start is Start.END or (start is Start.KEPT and bool(teams))
    for partition, bounds in found.items():
        offset = bounds.end if at_end else bounds.first
        connection.execute(_CREATE, (topic, group, partition.number, offset, offset))


def groups(connection: sqlite3.Connection, topic: str) -> list[str]:
    """Return the groups of *topic*."""
    return [team for (team,) in connection.execute(_TEAMS, (topic,))]


def committed(connection: sqlite3.Connection, topic: str, group: str) -> dict[Partition, Commit]:
    """Return the committed position of each partition."""
    rows = connection.execute(_COMMITTED, (topic, group))
    return {Partition(topic, number): Commit(offset, note) for number, offset, note in rows}


def take_turn(connection: sqlite3.Connection, turn: Turn) -> tuple[Outcome, bool]:
    """See `LogStore.turn`; also return whether the member has joined."""
    now = _uptime.seconds()
    views = [_View(connection, topic, turn, now) for topic in turn.topics]
    claimed = frozenset(partition for view in views for partition in view.share.claims)
    surplus = [partition for view in views for partition in view.share.surplus]
    owned = frozenset(partition for view in views for partition in view.mine)
    readable = (owned & frozenset(turn.fetch)) - claimed - frozenset(surplus)
    positions = {p: view.positions[p] for view in views for p in view.mine if p in readable}
    records = _fetch_owned(connection, turn, positions)
    at = now + (0.0 if records else turn.waits_s)
    for view in views:
        values = (view.topic, turn.group, turn.member, _uptime.boot(), at + GRACE_S, at + turn.session_s)
        connection.execute(_LIVE, values)
    outcome = Outcome(
        records=records,
        claimed=claimed,
        owned=owned,
        surplus=surplus,
        draining=[partition for view in views for partition in view.share.draining],
        again_s=min(view.next_change_s for view in views),
    )
    return outcome, any(view.joins for view in views)


class _View:
    """The group of one topic as a member sees it after its claims."""

    def __init__(self, connection: sqlite3.Connection, topic: str, turn: Turn, now: float) -> None:
        self.topic = topic
        self._connection = connection
        self._turn = turn
        idle_at = self._live_members(now)
        self.joins = turn.member not in idle_at
        self.positions: dict[Partition, int] = {}
        owned = self._ownerships(idle_at)
        active = {name for name, (idle, _) in idle_at.items() if idle > now} | {turn.member}
        self.share: Share = share(turn.member, active, owned)
        for partition in self.share.claims:
            connection.execute(_CLAIM, (turn.member, topic, turn.group, partition.number))
        self.mine = [p for p, o in owned.items() if o.owner == turn.member] + self.share.claims
        others = (times for name, times in idle_at.items() if name != turn.member)
        self.next_change_s = min((at - now for times in others for at in times if at > now), default=3600.0)

    def _live_members(self, now: float) -> dict[str, tuple[float, float]]:
        """Return the times until which each live member is active and alive; remove dead members."""
        live = {}
        key = (self.topic, self._turn.group)
        for name, boot, idle_at, dead_at in self._connection.execute(_MEMBERS, key).fetchall():
            if boot == _uptime.boot() and dead_at > now:
                live[name] = idle_at, dead_at
            else:
                remove(self._connection, self.topic, self._turn.group, name)
        return live

    def _ownerships(self, live: Collection[str]) -> dict[Partition, Ownership]:
        owned = {}
        rows = self._connection.execute(_PLACES, (self.topic, self._turn.group))
        for number, owner, busy, position in rows:
            partition = Partition(self.topic, number)
            self.positions[partition] = position
            owned[partition] = Ownership(owner if owner in live else None, bool(busy) and owner in live)
        return owned


def _fetch_owned(
    connection: sqlite3.Connection, turn: Turn, positions: Mapping[Partition, int]
) -> list[Record]:
    records: list[Record] = []
    order = list(positions)
    random.shuffle(order)  # a full partition must not starve the others
    for partition in order:
        if len(records) >= turn.max_records:
            break
        found = _log_records.read(
            connection, partition, positions[partition], turn.max_records - len(records)
        )
        if found:
            move(connection, turn.group, turn.member, partition, found[-1].offset + 1)
            records += found
    return records


def move(connection: sqlite3.Connection, group: str, member: str, partition: Partition, offset: int) -> bool:
    """Set the position of a partition; return whether the member owns it."""
    values = (offset, partition.topic, group, partition.number, member)
    return connection.execute(_MOVE, values).rowcount == 1


def position(connection: sqlite3.Connection, group: str, member: str, partition: Partition) -> int | None:
    """Return the position of a partition; `None` if the member does not own it."""
    values = (partition.topic, group, partition.number, member)
    row = connection.execute(_POSITION, values).fetchone()
    return None if row is None else row[0]


def commit(
    connection: sqlite3.Connection, group: str, member: str, offsets: Mapping[Partition, Commit]
) -> None:
    """Store positions.

    Raises:
        NotOwnerError: The member does not own a partition.
    """
    for partition, (offset, note) in offsets.items():
        values = (offset, note, partition.topic, group, partition.number, member)
        if connection.execute(_COMMIT, values).rowcount != 1:
            raise NotOwnerError


def give_up(
    connection: sqlite3.Connection, group: str, member: str, partitions: Collection[Partition]
) -> None:
    """Release those of *partitions* that the member owns."""
    for topic, number in partitions:
        connection.execute(_GIVE_UP, (topic, group, number, member))


def remove(connection: sqlite3.Connection, topic: str, group: str, member: str) -> None:
    """Remove a member and release its partitions."""
    connection.execute(_GIVE_UP_ALL, (topic, group, member))
    connection.execute(_LEAVE, (topic, group, member))
