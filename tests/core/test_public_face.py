"""The public names: adding or removing one is a decision that changes the lists here."""

import ast
import importlib
import inspect
from types import ModuleType

import pytest

FACE = {
    "capa_core": "Capa CapaError Configuration Database Files Invocation Locks Log Message PubSub Run Runtime Schedule"
    " Secret Secrets Sequencer Service State Telemetry add_trace_fields default_runtime use_runtime",
    "capa_core.runtime": "ComponentReport Need Runtime Scattered default_runtime is_used pin_runtime"
    " problems table_to_add unserved use_runtime",
    "capa_core.blocks.configuration": "BLOCK Change ChangeEvent ChangeKind Configuration ConfigurationDriver"
    " ConfigurationFeature ConfigurationItem ConfigurationLimits ConfigurationView"
    " Edit GroupStatus Listener Revision Scope Snapshot Subscription",
    "capa_core.blocks.database": "BLOCK Database DatabaseDriver DatabaseFeature DatabaseLimits PoolStatus Statement"
    " Transaction",
    "capa_core.blocks.files": "BLOCK Content FileEntry FileInfo FilePage FilePut FileReader FileStream Files"
    " FilesDriver FilesFeature FilesLimits FilesStatus",
    "capa_core.blocks.invocation": "Application BLOCK Call EndpointStatus HOP_BY_HOP Invocation InvocationDriver"
    " InvocationFeature InvocationLimits InvocationRequest InvocationResponse Served"
    " Service",
    "capa_core.blocks.lock": "BLOCK Held Lock LockDriver LockFeature LockLimits LockStatus Locks",
    "capa_core.blocks.log": "AppendResult AssignmentListener BLOCK Bounds Commit GroupStatus Log LogConsumer"
    " LogConsumerDriver LogDriver LogFeature LogLimits LogReader OutgoingRecord"
    " Partition PartitionStatus PartitionsHandler Position Record Start TopicStatus",
    "capa_core.blocks.pubsub": "BLOCK Consumer ConsumerDriver DeadLetter Delivery Draft GroupStatus Handler"
    " Intake Message MessageState OutgoingMessage PeekedMessage PubSub PubSubDriver"
    " PubSubFeature PubSubLimits PublishResult Subscription TopicStatus in_layout",
    "capa_core.blocks.schedule": "At BLOCK Concurrency Cron Every Handler Job JobSpec Misfire Outcome Registration"
    " Request Run RunStatus Schedule ScheduleDriver ScheduleFeature ScheduleLimits StoredJob Trigger",
    "capa_core.blocks.secrets": "BLOCK Secret Secrets SecretsDriver SecretsFeature SecretsLimits",
    "capa_core.blocks.sequencer": "BLOCK SequenceStatus Sequencer SequencerDriver SequencerFeature SequencerLimits",
    "capa_core.blocks.state": "BLOCK Delete Put State StateDriver StateFeature StateItem StateLimits"
    " StateStatus",
    "capa_core.blocks.telemetry": "BLOCK Telemetry TelemetryDriver TelemetryFeature TelemetryLimits"
    " TelemetryStatus add_trace_fields start",
}
ALIASES = {
    "Application",
    "BLOCK",
    "Concurrency",
    "Content",
    "HOP_BY_HOP",
    "Handler",
    "Listener",
    "Misfire",
    "PartitionsHandler",
    "Statement",
    "Trigger",
}
"""Names of types and values, which cannot have a docstring."""
modules = pytest.mark.parametrize("module", FACE)


@modules
def test_the_face_is_what_is_listed(module):
    assert FACE[module].split() == sorted(importlib.import_module(module).__all__)


@modules
def test_no_other_name_is_public(module):
    face = importlib.import_module(module)
    seen = {
        name
        for name, value in inspect.getmembers(face)
        if not name.startswith("_") and not isinstance(value, ModuleType)
    }

    assert set() == seen - set(face.__all__) - {
        "annotations",
        "import_module",
        "Block",
        "Closing",
        "TYPE_CHECKING",
    }


@modules
def test_each_name_has_a_docstring(module):
    face = importlib.import_module(module)

    assert [] == [name for name in set(face.__all__) - ALIASES if not getattr(face, name).__doc__]


@modules
def test_each_public_method_has_a_docstring(module):
    face = importlib.import_module(module)
    silent = [
        f"{name}.{method}"
        for name in set(face.__all__) - ALIASES
        for method, value in vars(getattr(face, name)).items()
        if not method.startswith("_") and callable(value) and not value.__doc__
    ]

    assert [] == silent


def test_lazily_imported_names_are_those_of_type_checkers():
    import capa_core

    tree = ast.parse(inspect.getsource(capa_core))
    early = [node for each in tree.body if isinstance(each, ast.If) for node in each.body]
    seen = {name.name: node.module for node in early for name in node.names}

    assert seen == capa_core._HOMES
    assert set(capa_core.__all__) == set(seen)


def test_a_missing_name_is_an_attribute_error():
    import capa_core

    with pytest.raises(AttributeError, match="module 'capa_core' has no attribute 'Sate'"):
        capa_core.Sate  # noqa: B018 - the read raises
