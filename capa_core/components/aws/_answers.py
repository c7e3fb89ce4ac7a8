"""Whether an answer is one of AWS: proxies and portals between answer too, and in ways that boto3 believes.

A page of a portal has no parameters and no files: taken for AWS's word, it would empty a configuration.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

_ALWAYS = {
    "s3:CompleteMultipartUpload": "ETag",
    "s3:CopyObject": "CopyObjectResult",
    "s3:CreateMultipartUpload": "UploadId",
    "s3:GetObject": "ETag",
    "s3:HeadObject": "ETag",
    "s3:ListObjectsV2": "IsTruncated",
    "s3:PutObject": "ETag",
    "s3:UploadPart": "ETag",
    "s3:UploadPartCopy": "CopyPartResult",
    "ssm:GetParameters": "Parameters",
    "ssm:GetParametersByPath": "Parameters",
    "ssm:PutParameter": "Version",
    "appconfigdata:GetLatestConfiguration": "NextPollConfigurationToken",
    "appconfigdata:StartConfigurationSession": "InitialConfigurationToken",
    "secretsmanager:GetSecretValue": "ARN",
    "secretsmanager:ListSecrets": "SecretList",
    "sqs:CreateQueue": "QueueUrl",
    "sqs:GetQueueUrl": "QueueUrl",
    "sqs:SendMessage": "MessageId",
    "sns:CreateTopic": "TopicArn",
    "sns:Publish": "MessageId",
}
"""A part of each answer to an action, also of one that found nothing."""

_UNREADABLE = (AttributeError, LookupError, RecursionError, TypeError, ValueError)
"""Raised by chance in botocore: on JSON that is no object, bytes that are no text, or redirections for ever."""


def ask(method: Callable[..., Any], request: dict[str, Any]) -> Any:
    """Return the answer of a client's *method* to *request*.

    Raises:
        Exception: botocore's own, or its ResponseParserError for an answer that it cannot read.
    """
    try:
        return method(**request)
    except _UNREADABLE as error:
        from botocore.parsers import ResponseParserError  # as `_client` does, late

        raise ResponseParserError("the answer is none of AWS: is a proxy between?") from error


def fault(action: str, answer: Any) -> str:
    """Return what the answer to *action* (such as `sqs:SendMessage`) lacks, for a person; `""` if nothing."""
    told = answer["ResponseMetadata"]
    needed = _ALWAYS.get(action, "")
    lacks = bool(needed) and answer.get(needed) is None
    is_empty = answer.keys() == {"ResponseMetadata"} and told.get("HTTPStatusCode") != 204
    if (lacks or is_empty) and told["HTTPHeaders"].get("content-type", "").startswith("text/html"):
        return "with a web page"
    return f"without {needed}" if lacks else ""


def drop(answer: Any) -> None:
    """End the connection of an answer whose content is not read."""
    for each in answer.values():
        if hasattr(each, "close"):
            each.close()
