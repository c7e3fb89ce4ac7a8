"""The prefork pool: processes that take tasks from one socket, whichever is free first.

    worker ──jobs──▶ child, child, …      one SEQPACKET socket: each packet goes to exactly one child
       ▲               │
       └──reports──────┘                  one SEQPACKET socket: finished tasks, and processes that came or went
    worker ──orders──▶ zygote ──fork──▶ children

The worker process alone speaks to the broker. It can take back jobs that no child has taken, by reading their socket
itself. Children are forked by a zygote, a process without threads, forked before the worker starts any: a
child that must be replaced later never inherits a lock that some thread held. The jobs of each child are noted in
memory shared with the worker (`_slots`), so that the worker knows those that a dead child leaves behind.
"""

from capa_celery._worker.prefork._pool import PreforkPool

__all__ = ["PreforkPool"]
