"""moto's application on a port of loopback: python _moto.py PORT.

Its queues, topics and parameters are made safe for threads, which it does not promise: two receivers got one message,
and a message that was sent during a deletion was lost. And it shall not count all messages of a queue for each one that
it gives.
"""

import functools
import sys
import threading
import time
from urllib.parse import unquote

from moto.server import DomainDispatcherApplication, create_backend_app
from moto.sns.models import SNSBackend
from moto.sqs.models import SQSBackend
from moto.ssm.models import SimpleSystemManagerBackend
from waitress import serve

_LOOK_EVERY_S = 0.05
_one_by_one = threading.RLock()


def _alone(method):
    @functools.wraps(method)
    def call(*args, **kwargs):
        with _one_by_one:
            return method(*args, **kwargs)

    return call


def _without_waiting(receive):
    """Wait for messages without the lock."""

    def receive_message(self, queue_name, count, wait_seconds_timeout, *rest, **more):
        end = time.monotonic() + int(wait_seconds_timeout or 0)
        while not (found := receive(self, queue_name, count, 0, *rest, **more)) and time.monotonic() < end:
            time.sleep(_LOOK_EVERY_S)
        return found

    return receive_message


for backend in (SNSBackend, SQSBackend, SimpleSystemManagerBackend):
    for name, method in list(vars(backend).items()):
        if callable(method) and not name.startswith("_"):
            setattr(backend, name, _alone(method))
SQSBackend.receive_message = _without_waiting(SQSBackend.receive_message)
SQSBackend.is_message_valid_based_on_retention_period = lambda *_: True


def _s3_one_by_one(application):
    """Serve one request to S3 after the other: moto stores an object first and its metadata then, S3 both at once."""

    def serve_one(environ, start_response):
        signed = environ.get("HTTP_AUTHORIZATION", "") + unquote(environ.get("QUERY_STRING", ""))
        if "/s3/aws4_request" not in signed:
            return application(environ, start_response)
        with _one_by_one:
            return list(application(environ, start_response))

    return serve_one


serve(
    _s3_one_by_one(DomainDispatcherApplication(create_backend_app)),
    listen=f"127.0.0.1:{sys.argv[1]}",
    threads=64,
    max_request_body_size=64 * 1024**2,
)
