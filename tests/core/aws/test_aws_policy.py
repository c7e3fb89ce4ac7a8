"""The policy of the how-to page: the actions that it allows are those of the calls that are made."""

import json
from pathlib import Path

import pytest

from capa_core.blocks.configuration import Configuration
from capa_core.blocks.files import Files
from capa_core.blocks.secrets import Secrets
from capa_core.components.aws.appconfig import AppConfigConfiguration, AppConfigSettings
from capa_core.components.aws.s3 import S3Files, S3FilesSettings
from capa_core.components.aws.secretsmanager import SecretsManager, SecretsManagerSettings
from capa_core.components.aws.ssm import SsmConfiguration, SsmConfigurationSettings
from capa_core.conformance._pubsub.suite import drain, receive
from capa_core.errors import NotFoundError

pytestmark = [pytest.mark.server("aws"), pytest.mark.timeout(60)]

POLICY = Path(__file__).parents[3] / "docs/how-to/aws-policy.json"


PERMISSIONS = {
    **dict.fromkeys(("CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart"), "PutObject"),
    **dict.fromkeys(("CopyObject", "UploadPartCopy"), "PutObject"),  # and the GetObject of the source
    "DeleteObjects": "DeleteObject",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
}
"""The permissions for calls of S3: https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html"""


def allowed():
    statements = json.loads(POLICY.read_text(encoding="utf-8"))["Statement"]
    return {action for statement in statements for action in statement["Action"]}


def action_of(model):
    """Return the action that a call needs: IAM knows no batches."""
    name = model.name.removesuffix("Batch")
    return f"{model.service_model.signing_name}:{PERMISSIONS.get(name, name)}"


@pytest.fixture
def called(monkeypatch):
    """Give the actions of all calls from now on."""
    from botocore.client import BaseClient

    found, make = set(), BaseClient._make_api_call

    def noted(self, operation, request):
        found.add(action_of(self.meta.service_model.operation_model(operation)))
        return make(self, operation, request)

    monkeypatch.setattr(BaseClient, "_make_api_call", noted)
    return found


def everything(pubsub):
    """Make each kind of call."""
    consumer, other = (pubsub.consumer("t", name, raw=True) for name in ("default", "other"))
    with pubsub.consumer("t", broadcast=True) as listener:
        pubsub.publish_many("t", [b"1", b"x" * 1_100_000], raw=True)
        receive(listener, 1)
    consumer.nack(receive(consumer, 1))
    drain(consumer, 2)
    consumer.extend([])
    drain(other, 2)
    for look in (pubsub.inspect, pubsub.depth, pubsub.purge):
        look("t")
    list(pubsub.topics())
    list(pubsub.risks())


def store_files(settings):
    def broken():
        yield bytes(settings.part_bytes + 1)
        raise LookupError

    with Files(S3Files(settings)) as files:
        with pytest.raises(LookupError):
            files.put("k", broken())
        files.put("k", b"x")
        files.copy("k", "other")
        files.delete_many(each.key for each in files.scan())


def test_the_policy_allows_what_is_called_and_no_more(
    opened, aws, bucket, prefix, called, moto_url, appconfig
):
    aws("sqs").create_queue(QueueName=f"{prefix}t")  # by an operator, whose queue gets a policy
    called.clear()
    everything(opened("sns", bucket=bucket))
    silent = opened().consumer("other", broadcast=True)
    publisher = opened()
    publisher.publish("other", b"x")
    with Secrets(SecretsManager(SecretsManagerSettings(endpoint_url=moto_url, prefix=prefix))) as secrets:
        secrets.names()
        with pytest.raises(NotFoundError):
            secrets.get("unknown")
    parameters = SsmConfigurationSettings(endpoint_url=moto_url, prefix=f"/{prefix}/")
    with Configuration(SsmConfiguration(parameters)) as configuration:
        configuration.save({"a": "1", "b": "1"})
        configuration.delete(["a"])
    appconfig.release("application", "{}")
    deployed = AppConfigSettings(endpoint_url=appconfig.url, application="app", environment="test")
    with Configuration(AppConfigConfiguration(deployed)) as configuration:
        configuration.get()

    store_files(S3FilesSettings(endpoint_url=moto_url, bucket=bucket))

    assert allowed() == called
    assert silent is not None


def test_a_refused_action_is_named_as_the_policy_has_it(opened):
    from capa_core.components.aws._errors import of_code

    error = of_code("AccessDenied", "", "sqs:SendMessageBatch", "orders in eu-central-1")

    assert "Allow sqs:SendMessage to" in str(error)
