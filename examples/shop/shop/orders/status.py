"""How far an order is."""

from enum import Enum


class Status(str, Enum):
    NEW = "new"
    RESERVED = "reserved"
    BACKORDERED = "backordered"
    PACKED = "packed"
    DONE = "done"
    REJECTED = "rejected"
    EXPIRED = "expired"


# A closed order stays closed, whichever late task comes along.
OPEN = (Status.NEW, Status.RESERVED, Status.BACKORDERED, Status.PACKED)
