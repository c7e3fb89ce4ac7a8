"""Translation of AWS's error codes: Capa's type for each, and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from capa_core.errors import (
    CapaError,
    ConflictError,
    ExhaustedError,
    InvalidArgumentError,
    NotFoundError,
    PermissionDeniedError,
    SettingsError,
    UnavailableError,
    UnknownError,
)

_KINDS: dict[type[CapaError], str] = {
    PermissionDeniedError: "AccessDenied AccessDeniedException AuthorizationError UnauthorizedOperation "
    "InvalidSecurity ExpiredToken ExpiredTokenException InvalidClientTokenId UnrecognizedClientException "
    "SignatureDoesNotMatch InvalidAccessKeyId MissingAuthenticationToken IncompleteSignature "
    "InvalidSignatureException KmsAccessDenied DecryptionFailure "
    "OptInRequired RequestExpired RequestTimeTooSkewed",
    ExhaustedError: "Throttling ThrottlingException RequestThrottled TooManyRequestsException RequestLimitExceeded "
    "SlowDown KmsThrottled OverLimit PurgeQueueInProgress Throttled BatchLimitExceeded TooManyUpdates "
    "ParameterLimitExceeded",
    NotFoundError: "NonExistentQueue QueueDoesNotExist NotFound NotFoundException NoSuchKey "
    "ResourceNotFoundException ParameterNotFound",
    ConflictError: "QueueNameExists QueueAlreadyExists ParameterAlreadyExists ParameterMaxVersionLimitExceeded",
    InvalidArgumentError: "InvalidParameterValue InvalidParameter ValidationError BatchRequestTooLong "
    "InvalidMessageContents InvalidAttributeName InvalidAttributeValue MissingParameter UnsupportedOperation "
    "MessageTooLong EntityTooLarge InvalidRequestException InvalidParameterException "
    "ParameterPatternMismatchException HierarchyLevelLimitExceededException HierarchyTypeMismatchException "
    "UnsupportedParameterType BadRequestException KeyTooLongError MetadataTooLarge InvalidArgument InvalidRequest",
    SettingsError: "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException InvalidKeyId "
    "NoSuchBucket",  # not NotFoundError: the file that is asked for may well be in the right bucket
    UnavailableError: "ServiceUnavailable InternalError InternalFailure InternalServerError RequestTimeout "
    "QueueDeletedRecently InternalErrorException InternalServiceError "
    "InternalServerException",
}
_BY_STATUS = {
    **dict.fromkeys((301, 302, 303, 307, 308, 407), SettingsError),
    **dict.fromkeys((401, 403), PermissionDeniedError),
    408: UnavailableError,
    429: ExhaustedError,
}
"""Kinds of answers without a code: to a HEAD, which has no body, and from what is between."""
_BY_CODE = {code: kind for kind, codes in _KINDS.items() for code in codes.split()}

_MISSING = frozenset(("NonExistentQueue", "QueueDoesNotExist", "NotFound", "NotFoundException"))
_STALE = frozenset(("ExpiredToken", "ExpiredTokenException", "RequestExpired"))
_NEXT: dict[str, str] = {
    **dict.fromkeys(
        _STALE,
        "The credentials have expired: sign in again (`aws sso login`), or leave out `session_token`, so that boto3's "
        "own chain renews them.",
    ),
    **dict.fromkeys(
        ("SignatureDoesNotMatch", "InvalidSignatureException"),
        "Correct `secret_access_key`; a clock that is minutes off is refused in the same words.",
    ),
    "RequestTimeTooSkewed": "Set the clock of this machine: AWS refuses what is signed 15 minutes early or late.",
    "QueueNameExists": "It exists with other attributes, as an operator may have made it: give this component a "
    "`prefix` of its own, or delete the queue once it is empty.",
    "QueueDeletedRecently": "SQS lets nobody make a queue again within 60 s of its end: try again after that.",
    "PurgeQueueInProgress": "SQS empties a queue once in 60 s: try again after that.",
    "ParameterMaxVersionLimitExceeded": "The oldest of its 100 versions has a label: move the label to a newer one.",
    "InvalidKeyId": "Correct `kms_key_id`, and allow this identity to use the key.",
    "ParameterLimitExceeded": "The account has as many parameters as its tier allows: set `tier`, or remove some.",
    "OverLimit": "Too many messages of this queue are in flight: acknowledge sooner, or use more groups.",
    "NoSuchBucket": "Correct `bucket`, or make the bucket in the region of this component.",
    **dict.fromkeys(
        ("PermanentRedirect", "AuthorizationHeaderMalformed"),
        "It is in another region: correct `region` of this component.",
    ),
    **dict.fromkeys(
        ("301", "302", "303", "307", "308"),
        "It sends the request elsewhere: correct `region` and `endpoint_url` of this component, or the proxy between.",
    ),
    "404": "Is `endpoint_url` of this component the address of the service?",
    "407": "Give the proxy the name and password that it asks for, in HTTPS_PROXY.",
}

_IN_POLICY = {
    **dict.fromkeys(("CompleteMultipartUpload", "CreateMultipartUpload", "UploadPart"), "PutObject"),
    **dict.fromkeys(("CopyObject", "UploadPartCopy"), "PutObject, and s3:GetObject of the source,"),
    "DeleteObjects": "DeleteObject",
    "HeadObject": "GetObject",
    "ListObjectsV2": "ListBucket",
}
"""Calls of S3 that a policy has by another name:
https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazons3.html
"""


class AwsError(Exception):
    """An error of a call with the next step; *kind* is Capa's type for it, *code* AWS's own."""

    def __init__(self, kind: type[CapaError], text: str, code: str = "") -> None:
        super().__init__(text)
        self.kind = kind
        self.code = code

    @property
    def is_missing(self) -> bool:
        """Whether AWS said that a queue, or a topic of SNS, is not there."""
        return self.code in _MISSING


def name_error(error: Exception) -> type[CapaError] | None:
    """Return Capa's type for *error*; `None` if it is not one of AWS."""
    if isinstance(error, AwsError):
        return error.kind
    return _of_boto(error)


def on_call(error: Exception, action: str, place: str) -> AwsError:
    """Return *error*, met on calling *action* (such as `sqs:SendMessage`) at *place*, with the next step."""
    if (answer := _answer(error)) is not None:
        told = answer.get("Error", {})
        return of_code(
            str(told.get("Code", "")), str(told.get("Message", "")), action, place, _status(answer)
        )
    kind = _of_boto(error) or UnknownError
    reason = " ".join(str(error).split()).rstrip(".")  # boto3 lists what is wrong with a request in lines
    return AwsError(kind, f"{place}: {action}: {reason}{_step_of_boto(error, kind)}")


def of_code(code: str, message: str, action: str, place: str, status: int = 400) -> AwsError:
    """Return the error that AWS's *code* stands for, with the next step."""
    code = code.rpartition(".")[2]
    kind = _of_code(code, status)
    step = _NEXT.get(code, "")
    if not step and kind is PermissionDeniedError:
        step = f"Allow {_permission(action)} to this identity there, or correct its credentials."
    words = [f"{place} answers {action} with {code or status}"]
    words += [f": {message.rstrip('.')}"] if message else []
    return AwsError(kind, "".join(words) + f". {step}".rstrip(), code)


def _permission(action: str) -> str:
    """Return the action as a policy has it, which knows no batches."""
    service, _, name = action.removesuffix("Batch").partition(":")
    if service == "s3":
        return f"s3:{_IN_POLICY.get(name, name)}"
    return f"{service.removesuffix('data')}:{name}"


def _answer(error: Exception) -> Mapping[str, Any] | None:
    """Return the answer that is an error; `None` where *error* is no answer."""
    from botocore.exceptions import ClientError

    return error.response if isinstance(error, ClientError) else None


def _status(answer: Mapping[str, Any]) -> int:
    return int(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400))


def _of_code(code: str, status: int) -> type[CapaError]:
    unnamed = UnavailableError if status >= 500 else _BY_STATUS.get(status, UnknownError)
    return _BY_CODE.get(code, UnknownError if code and not code.isdecimal() and status < 500 else unnamed)


def _of_boto(error: Exception) -> type[CapaError] | None:
    if (answer := _answer(error)) is not None:
        code = str(answer.get("Error", {}).get("Code", "")).rpartition(".")[2]
        return _of_code(code, _status(answer))
    by_type = _by_type()
    return next((by_type[kind] for kind in type(error).__mro__ if kind in by_type), None)


def _step_of_boto(error: Exception, kind: type[CapaError]) -> str:
    if kind is SettingsError and type(error).__name__ == "NoRegionError":
        return ". Set `region` of this component, such as `eu-central-1`."
    if kind is PermissionDeniedError:
        return (
            ". Give credentials: a role of this machine, AWS_ACCESS_KEY_ID, or `profile` of this component."
        )
    return ". Set `region`, `profile` and `endpoint_url` of this component." if kind is SettingsError else ""


@cache
def _by_type() -> dict[type[Exception], type[CapaError]]:
    """Return Capa's type for each of botocore, which is not imported before there is an error."""
    from botocore import exceptions
    from botocore.parsers import ResponseParserError

    return {
        exceptions.EndpointConnectionError: UnavailableError,
        exceptions.ConnectionError: UnavailableError,
        exceptions.HTTPClientError: UnavailableError,
        exceptions.ResponseStreamingError: UnavailableError,
        exceptions.IncompleteReadError: UnavailableError,
        ResponseParserError: UnavailableError,  # a proxy's page in place of an answer
        exceptions.NoRegionError: SettingsError,
        exceptions.ProfileNotFound: SettingsError,
        exceptions.InvalidRegionError: SettingsError,
        exceptions.UnknownEndpointError: SettingsError,
        exceptions.ConfigParseError: SettingsError,
        exceptions.NoCredentialsError: PermissionDeniedError,
        exceptions.PartialCredentialsError: PermissionDeniedError,
        exceptions.CredentialRetrievalError: PermissionDeniedError,
        exceptions.TokenRetrievalError: PermissionDeniedError,
        exceptions.SSOError: PermissionDeniedError,
        exceptions.ParamValidationError: InvalidArgumentError,
        exceptions.BotoCoreError: UnknownError,
    }
