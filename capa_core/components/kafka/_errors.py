"""Translation of librdkafka's errors, by their codes."""

from __future__ import annotations

from confluent_kafka import KafkaError, KafkaException

from capa_core.errors import (
    AlreadyExistsError,
    CapaError,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
    UnknownError,
    UnsupportedError,
)

OLDEST = "2.1"
"""The first version that supports all requests, those of `capa doctor` and of inspection too."""

MISSING = frozenset({KafkaError.UNKNOWN_TOPIC_OR_PART, KafkaError._UNKNOWN_TOPIC, KafkaError._NOENT})
"""A topic, or a partition of it, is not there."""
EXPELLED = frozenset(
    {KafkaError.UNKNOWN_MEMBER_ID, KafkaError.FENCED_INSTANCE_ID, KafkaError.GROUP_ID_NOT_FOUND}
)
"""The group goes on without this member."""
REBALANCING = frozenset({KafkaError.ILLEGAL_GENERATION, KafkaError.REBALANCE_IN_PROGRESS})
"""The group is sharing out its partitions anew; the member may keep its own."""

_KINDS: dict[type[CapaError], tuple[int, ...]] = {
    PermissionDeniedError: (
        KafkaError._AUTHENTICATION,
        KafkaError.SASL_AUTHENTICATION_FAILED,
        KafkaError.UNSUPPORTED_SASL_MECHANISM,
        KafkaError.TOPIC_AUTHORIZATION_FAILED,
        KafkaError.GROUP_AUTHORIZATION_FAILED,
        KafkaError.CLUSTER_AUTHORIZATION_FAILED,
        KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
    ),
    InvalidArgumentError: (
        KafkaError.MSG_SIZE_TOO_LARGE,
        KafkaError.RECORD_LIST_TOO_LARGE,
        KafkaError.INVALID_TIMESTAMP,
        KafkaError.TOPIC_EXCEPTION,
        KafkaError.INVALID_PARTITIONS,
        KafkaError.INVALID_REPLICATION_FACTOR,
        KafkaError.INVALID_CONFIG,
        KafkaError.INVALID_SESSION_TIMEOUT,
        KafkaError.OFFSET_METADATA_TOO_LARGE,
        KafkaError.POLICY_VIOLATION,
        KafkaError._UNKNOWN_PARTITION,
        KafkaError._INVALID_ARG,
    ),
    NotFoundError: tuple(MISSING),
    AlreadyExistsError: (KafkaError.TOPIC_ALREADY_EXISTS,),
    ConflictError: (
        KafkaError.INVALID_RECORD,
        *EXPELLED,
        KafkaError.ILLEGAL_GENERATION,
        KafkaError.NON_EMPTY_GROUP,
    ),
    UnsupportedError: (
        KafkaError._UNSUPPORTED_FEATURE,
        KafkaError.UNSUPPORTED_VERSION,
        KafkaError.UNSUPPORTED_FOR_MESSAGE_FORMAT,
    ),
    ExhaustedError: (KafkaError._QUEUE_FULL, KafkaError.THROTTLING_QUOTA_EXCEEDED),
    UnavailableError: (
        KafkaError._TRANSPORT,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._RESOLVE,
        KafkaError._SSL,
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._MSG_TIMED_OUT,
        KafkaError._WAIT_COORD,
        KafkaError._STATE,
        KafkaError._DESTROY,
        KafkaError.REBALANCE_IN_PROGRESS,
        KafkaError.NOT_ENOUGH_REPLICAS,
        KafkaError.NOT_ENOUGH_REPLICAS_AFTER_APPEND,
        KafkaError.NOT_LEADER_FOR_PARTITION,
        KafkaError.LEADER_NOT_AVAILABLE,
        KafkaError.FENCED_LEADER_EPOCH,
        KafkaError.UNKNOWN_LEADER_EPOCH,
        KafkaError.REPLICA_NOT_AVAILABLE,
        KafkaError.OFFSET_NOT_AVAILABLE,
        KafkaError.NOT_COORDINATOR,
        KafkaError.COORDINATOR_NOT_AVAILABLE,
        KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
        KafkaError.BROKER_NOT_AVAILABLE,
        KafkaError.NETWORK_EXCEPTION,
        KafkaError.REQUEST_TIMED_OUT,
        KafkaError.KAFKA_STORAGE_ERROR,
    ),
}
_BY_CODE = {code: kind for kind, codes in _KINDS.items() for code in codes}

_SILENCE = frozenset({KafkaError._TIMED_OUT, KafkaError._ALL_BROKERS_DOWN})
_CREDENTIALS = (
    "Correct `user`, `password` and `mechanism`, or `token`; where the brokers ask for none, remove them"
)
_NEXT_STEP = {
    **dict.fromkeys(
        _SILENCE,
        "Check that the brokers run, and host and port of `url`; where the port takes TLS alone, write kafkas://, and"
        " where it asks who you are, set `user` or `token`",
    ),
    KafkaError._AUTHENTICATION: _CREDENTIALS,
    KafkaError.SASL_AUTHENTICATION_FAILED: _CREDENTIALS,
    KafkaError.UNSUPPORTED_SASL_MECHANISM: "Set `mechanism` to one that the brokers have",
    KafkaError._SSL: "Correct `ca_file`, `certificate_file` and `key_file`; for a broker without TLS, write kafka://",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: (
        "Have the user allowed to describe, read, write and create the topic (`kafka-acls.sh`)"
    ),
    KafkaError.GROUP_AUTHORIZATION_FAILED: "Have the user allowed to read the group (`kafka-acls.sh`)",
    KafkaError.CLUSTER_AUTHORIZATION_FAILED: (
        "Have the user allowed to create topics, or the topic made (`kafka-topics.sh --create`)"
    ),
    KafkaError.MSG_SIZE_TOO_LARGE: (
        "Store the body elsewhere and send where; or raise the topic's `max.message.bytes` or the brokers' "
        "`message.max.bytes`, and `max_record_bytes` of this component to 28,588 less"
    ),
    KafkaError.INVALID_TIMESTAMP: (
        "Give a time nearer to now, or raise the topic's `message.timestamp.after.max.ms`"
    ),
    KafkaError.INVALID_REPLICATION_FACTOR: "Set `replicas` to at most the number of brokers",
    KafkaError.INVALID_RECORD: (
        "A compacted topic takes no record without a key, and loses all but the last of each: set its `cleanup.policy` "
        "to delete"
    ),
    KafkaError.TOPIC_EXCEPTION: (
        "Kafka takes `.` and `_` for the same in names: rename one of the two topics, or set another `prefix`"
    ),
    KafkaError._MSG_TIMED_OUT: (
        "Check that the brokers run, and that as many replicas are in sync as the topic's `min.insync.replicas`"
        " (`kafka-topics.sh --describe --under-min-isr-partitions`)"
    ),
    KafkaError.NOT_ENOUGH_REPLICAS: (
        "Brokers with its replicas are down: start them, as fewer than the topic's `min.insync.replicas` are left"
    ),
    **dict.fromkeys(_KINDS[UnsupportedError], f"Use brokers of version {OLDEST} or later, or another engine"),
}


class RefusedError(Exception):
    """An error of Kafka, with the next step; *kind* is Capa's type for it, *code* librdkafka's."""

    def __init__(self, kind: type[CapaError], text: str, code: int = 0) -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code


def refusal(
    error: KafkaError, subject: str = "", *, because: KafkaError | None = None, servers: str = ""
) -> RefusedError:
    """Return *error* with the next step.

    Args:
        subject: The topic or group that it is about.
        because: An error of a connection that may be its reason, where it says only that nothing came.
        servers: The addresses from which nothing came if there was no such error.
    """
    if because is not None and because.code() in _BY_CODE and kind_of(error) is UnavailableError:
        error, said = because, f"{because.str()} ({error.str()})"
    elif servers and error.code() in _SILENCE:
        said = f"no answer from {servers}, or not one of Kafka ({error.str()})"
    elif servers and error.code() == KafkaError._MSG_TIMED_OUT:
        said = f"not stored in time by {servers} ({error.str()})"
    else:
        said = error.str()
    is_tls = (
        "SSL handshake" in said or "SSL_HANDSHAKE" in said
    )  # the latter where the other side hung up in it
    step = _NEXT_STEP.get(KafkaError._SSL if is_tls else error.code(), "")
    text = (f"{subject}: {said}" if subject else said).rstrip(".")
    return RefusedError(kind_of(error), f"{text}. {step}." if step else text, error.code())


def kind_of(error: KafkaError) -> type[CapaError]:
    """Return Capa's type for *error*."""
    return _BY_CODE.get(error.code()) or (UnavailableError if error.retriable() else UnknownError)


def error_in(exception: KafkaException) -> KafkaError:
    """Return the error that *exception* carries."""
    error = exception.args[0]
    return error if isinstance(error, KafkaError) else KafkaError(KafkaError._FAIL, str(error))


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not Kafka's."""
    if isinstance(error, RefusedError):
        return error.kind
    return kind_of(error_in(error)) if isinstance(error, KafkaException) else None
