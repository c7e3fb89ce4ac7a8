"""The flat client: all blocks behind one object, with the method names that Dapr and Layotto share.

Each method calls one method of a block, whose docstring is the contract: ranges, errors, retries.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Self

from capa_core.blocks.configuration import ConfigurationItem, Listener
from capa_core.blocks.configuration import Subscription as ConfigurationSubscription
from capa_core.blocks.database import Statement, Transaction
from capa_core.blocks.files import Content, FileInfo, FilePage
from capa_core.blocks.invocation import Call, InvocationResponse, Served, Service
from capa_core.blocks.pubsub import Draft, PublishResult, Subscription
from capa_core.blocks.pubsub import Message as PubSubMessage
from capa_core.blocks.schedule import Job, Registration, Run
from capa_core.blocks.secrets import Secret
from capa_core.blocks.state import Delete, Put, StateItem
from capa_core.runtime import Runtime, default_runtime

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Tracer

Duration = timedelta | float


class Capa:
    """A flat client over a runtime. Safe for many threads.

    Args:
        service: The service name of this process, for `register_method` and `serve`.
        runtime: The runtime to use; `None` for the default one of the process.

    The store, lock and pub/sub names that come first are logical names, as in capa.toml.
    """

    def __init__(self, service: str = "default", *, runtime: Runtime | None = None) -> None:
        self.runtime = runtime or default_runtime()
        self.service = Service(service)

    # Pub/sub

    def publish_event(self, pubsub_name: str, topic: str, data: Any, **options: Any) -> str:
        """Publish one message and return its id: `PubSub.publish`, which lists the options."""
        return self.runtime.pubsub(pubsub_name).publish(topic, data, **options)

    def publish_events(
        self, pubsub_name: str, topic: str, messages: Sequence[Draft | Any], *, raw: bool = False
    ) -> list[PublishResult]:
        """Publish several messages: `PubSub.publish_many`."""
        return self.runtime.pubsub(pubsub_name).publish_many(topic, messages, raw=raw)

    def subscribe_events(
        self, pubsub_name: str, topic: str, handler: Callable[[PubSubMessage], Any], **options: Any
    ) -> Subscription:
        """Call *handler* with each message until the subscription is closed: `PubSub.subscribe`."""
        return self.runtime.pubsub(pubsub_name).subscribe(topic, handler, **options)

    # Invocation

    def invoke_method(
        self, service: str, method: str, data: Any = b"", *, http_verb: str = "POST", **options: Any
    ) -> InvocationResponse:
        """Call *method* of *service*: `Invocation.invoke`."""
        return self.runtime.invocation(service).invoke(method, data, verb=http_verb, **options)

    def register_method(self, method: str, handler: Callable[[Call], Any] | None = None) -> Any:
        """Answer *method* with *handler*, or decorate: `Service.register`. The service is callable in this process."""
        self.runtime.host(self.service, name=self.service.name)
        return self.service.register(method, handler)

    def serve(self, *, host: str = "127.0.0.1", port: int = 0) -> Served:
        """Serve the registered methods over HTTP: `Service.serve`."""
        return self.service.serve(host=host, port=port)

    # Configuration

    def get_configuration(
        self, store_name: str, keys: Collection[str] | None = None, **scope: str
    ) -> dict[str, ConfigurationItem]:
        """Read items; *scope* is application, group, label: `Configuration.get`."""
        return self.runtime.configuration(store_name).get(keys, **scope)

    def subscribe_configuration(
        self, store_name: str, listener: Listener, **options: Any
    ) -> ConfigurationSubscription:
        """Call *listener* on each change: `Configuration.watch`."""
        return self.runtime.configuration(store_name).watch(listener, **options)

    def save_configuration(self, store_name: str, values: Mapping[str, str], **scope: str) -> str:
        """Write items: `Configuration.save`."""
        return self.runtime.configuration(store_name).save(values, **scope)

    def delete_configuration(self, store_name: str, keys: Iterable[str], **scope: str) -> str:
        """Remove items: `Configuration.delete`."""
        return self.runtime.configuration(store_name).delete(list(keys), **scope)

    # State

    def get_state(self, store_name: str, key: str) -> StateItem | None:
        """Return a value with its etag: `State.get_item`."""
        return self.runtime.state(store_name).get_item(key)

    def get_bulk_state(self, store_name: str, keys: Iterable[str]) -> dict[str, StateItem]:
        """Return the existing values of *keys* with their etags: `State.get_items`."""
        return self.runtime.state(store_name).get_items(keys)

    def save_state(self, store_name: str, key: str, value: bytes, **options: Any) -> str:
        """Store a value and return its etag: `State.put`."""
        return self.runtime.state(store_name).put(key, value, **options)

    def save_bulk_state(
        self, store_name: str, values: Mapping[str, bytes], *, ttl: Duration | None = None
    ) -> dict[str, str]:
        """Store several values: `State.put_many`."""
        return self.runtime.state(store_name).put_many(values, ttl=ttl)

    def delete_state(self, store_name: str, key: str, *, if_etag: str | None = None) -> bool:
        """Delete a value: `State.delete`."""
        return self.runtime.state(store_name).delete(key, if_etag=if_etag)

    def execute_state_transaction(self, store_name: str, operations: Sequence[Put | Delete]) -> None:
        """Do all operations or none: `State.transact`."""
        self.runtime.state(store_name).transact(operations)

    # Lock

    def try_lock(self, store_name: str, resource_id: str, lock_owner: str, expiry: Duration) -> int | None:
        """Acquire a lock and return its fencing token; `None` if another owner holds it: `Locks.try_lock`."""
        return self.runtime.lock(store_name).try_lock(resource_id, lock_owner, lease=expiry)

    def unlock(self, store_name: str, resource_id: str, lock_owner: str) -> None:
        """Release a lock: `Locks.unlock`."""
        self.runtime.lock(store_name).unlock(resource_id, lock_owner)

    # Sequencer

    def get_next_id(self, store_name: str, key: str) -> int:
        """Take the next number of a sequence: `Sequencer.next`."""
        return self.runtime.sequencer(store_name).next(key)

    # Schedule

    def schedule_job(
        self, store_name: str, job_name: str, handler: Callable[[Run], Any], **options: Any
    ) -> Registration:
        """Run *handler* at times, with `cron`, `every` or `at`, from now on: `Schedule.add` and `start`."""
        schedule = self.runtime.schedule(store_name)
        registration = schedule.add(job_name, handler, **options)
        schedule.start()
        return registration

    def get_job(self, store_name: str, job_name: str) -> Job | None:
        """Return a job with its next run and its history: `Schedule.get`."""
        return self.runtime.schedule(store_name).get(job_name)

    def delete_job(self, store_name: str, job_name: str) -> bool:
        """Remove a job and its history: `Schedule.remove`."""
        return self.runtime.schedule(store_name).remove(job_name)

    # Telemetry

    def build_tracer(self, name: str, *, telemetry_name: str = "default") -> Tracer:
        """Return OpenTelemetry's tracer for the spans of *name*: `Telemetry.tracer`."""
        return self.runtime.telemetry(telemetry_name).tracer(name)

    def build_meter(self, name: str, *, telemetry_name: str = "default") -> Meter:
        """Return OpenTelemetry's meter for the metrics of *name*: `Telemetry.meter`."""
        return self.runtime.telemetry(telemetry_name).meter(name)

    # Database

    def query_database(self, store_name: str, statement: Statement, **options: Any) -> list[dict[str, Any]]:
        """Return the rows of a statement, with its `parameters`: `Database.query`."""
        return self.runtime.database(store_name).query(statement, **options)

    def execute_database(self, store_name: str, statement: Statement, **options: Any) -> int:
        """Execute a statement, with its `parameters`, and commit: `Database.execute`."""
        return self.runtime.database(store_name).execute(statement, **options)

    def begin_transaction(self, store_name: str, **options: Any) -> Transaction:
        """Open a transaction for a `with` block: `Database.transaction`."""
        return self.runtime.database(store_name).transaction(**options)

    # Files

    def put_file(self, store_name: str, name: str, content: Content, **options: Any) -> str:
        """Store a file and return its etag: `Files.put`, which lists the options."""
        return self.runtime.files(store_name).put(name, content, **options)

    def get_file(self, store_name: str, name: str, *, offset: int = 0, length: int | None = None) -> bytes:
        """Return the content of a file, or a part of it: `Files.get`."""
        return self.runtime.files(store_name).get(name, offset=offset, length=length)

    def list_file(self, store_name: str, prefix: str = "", **options: Any) -> FilePage:
        """Return a page of the files whose names begin with *prefix*: `Files.page`."""
        return self.runtime.files(store_name).page(prefix, **options)

    def del_file(self, store_name: str, name: str) -> None:
        """Delete a file: `Files.delete`."""
        self.runtime.files(store_name).delete(name)

    def get_file_meta(self, store_name: str, name: str) -> FileInfo | None:
        """Return size, etag, time, content type and metadata of a file: `Files.stat`."""
        return self.runtime.files(store_name).stat(name)

    # Secrets

    def get_secret(self, store_name: str, key: str, **options: Any) -> Secret:
        """Return a secret: `Secrets.get`."""
        return self.runtime.secrets(store_name).get(key, **options)

    def get_bulk_secret(self, store_name: str) -> Mapping[str, Mapping[str, Secret]]:
        """Return all readable secrets: `Secrets.get_all`."""
        return self.runtime.secrets(store_name).get_all()

    # Life cycle

    def close(self) -> None:
        """Close the runtime and all its components: `Runtime.close`."""
        self.runtime.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
