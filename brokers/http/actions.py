"""AWS's services of the RPC kind, whose GET acts like their POST: what a call does, by its operation's name. Pure.

The name stands in `Action` (the Query protocol, in query or form), behind the dot of `x-amz-target` (AWS JSON), or in
the path (Smithy's RPC v2). After "AWS Query protocol", "AWS JSON protocol" and "Smithy RPC v2" of Smithy's pages, and
the API references of IAM, STS, EC2, KMS, SSM, Secrets Manager and Cognito.

Rules of this file
- A call names one operation in one place; one that names two is refused, since only the service knows which counts.
- A read matches to the letter; what asks for more matches in any case of letters.
- Only at a service of this kind, where it looks for its operations, a name makes a call a read. Elsewhere names add.
- What names no operation in a way that has one reading is unknown.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

from brokers.arguments import refuse
from brokers.contract import Effect

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from brokers.contract import Connection
    from brokers.http.arguments import Draft

    Verdict = tuple[Effect, str]

# Services that do nothing but what an operation is named for. (SES has paths beside its Actions: see `_is_exact`.)
_RPC = frozenset(
    {
        *("acm", "acm-pca", "application-autoscaling", "athena", "autoscaling", "ce", "cloudformation", "cloudhsm"),
        *("cloudsearch", "cloudtrail", "codebuild", "codecommit", "codedeploy", "codepipeline", "cognito-identity"),
        *("cognito-idp", "comprehend", "config", "dms", "ds", "dynamodb", "ec2", "ecr", "ecs", "elasticache"),
        *("elasticbeanstalk", "elasticloadbalancing", "email", "events", "firehose", "fsx", "glue", "iam"),
        *("identitystore", "kinesis", "kms", "lightsail", "logs", "memorydb", "monitoring", "organizations"),
        *("rds", "redshift", "rekognition", "route53domains", "route53resolver", "sagemaker", "sdb"),
        *("secretsmanager", "servicecatalog", "servicediscovery", "ses", "sns", "sqs", "ssm", "sso", "states", "sts"),
        *("support", "swf", "tagging", "textract", "transcribe", "transfer", "translate", "waf", "wafv2", "workspaces"),
    }
)
# Of these the ones that read `Action` alone: an x-amz-target says nothing to them.
_QUERY = frozenset(
    {
        *("autoscaling", "cloudformation", "cloudsearch", "ec2", "elasticache", "elasticbeanstalk", "email", "iam"),
        *("elasticloadbalancing", "rds", "redshift", "sdb", "ses", "sns", "sts"),
    }
)
# What is signed for these are requests to APIs of people's own, or to S3: an `Action` there is a parameter like any.
_NOT_AWS = frozenset(
    {
        *("s3", "s3-object-lambda", "s3-outposts", "s3express", "execute-api", "lambda", "appsync", "aoss", "es"),
        *("vpc-lattice-svcs", "neptune-db", "iotdata"),
    }
)
_NAMES: Mapping[Effect, tuple[str, ...]] = {
    Effect.READ: ("Get*", "List*", "Describe*", "BatchGet*", "Query", "Scan"),
    Effect.DESTROY: (
        *("Delete*", "BatchDelete*", "Terminate*", "Remove*", "Purge*", "Deregister*", "Destroy*", "Release*"),
        *("Revoke*", "ScheduleKeyDeletion"),
    ),
    Effect.MINT: (
        # handed out
        *("Assume*", "Get*Token*", "Get*Credential*", "Get*Password*", "GetParameter*", "*SecretValue*"),
        *("GenerateDataKey*", "GetInstanceAccessDetails", "GetVpnConnection*", "DescribeVpnConnections"),
        *("GetConnection*", "*IdentityProvider*", "GetDecryptedAPIKey*", "GetDownloadUrl*", "GetActivityTask"),
        *("DescribeUserPoolClient", "ExportCertificate", "DownloadDefaultKeyPair", "StartSession"),
        # made
        *("Create*Key", "Create*Keys", "*KeyPair", "*LoginProfile", "Create*Credential*", "Reset*Credential*"),
        *(
            "Create*Token*",
            "Create*Presigned*",
            "CreateActivation",
            "CreateGrant",
            "IssueCertificate",
            "ChangePassword",
        ),
        *("UpdateAccessKey", "Upload*Key", "Upload*Certificate", "CreateUserPoolClient", "Subscribe"),
        # let in
        *("CreateUser", "CreateRole", "CreateServiceLinkedRole", "Create*Provider", "Update*Provider*"),
        *("AddUserToGroup", "AddRoleTo*", "AddPermission", "Attach*Policy", "Put*Policy", "Create*Policy*"),
        *("SetDefaultPolicyVersion", "UpdateAssumeRolePolicy", "Create*MFADevice", "*MFADevice"),
    ),
}
_OPERATION = re.compile(r"[A-Za-z0-9]{1,128}")
_TARGET = re.compile(r"[A-Za-z0-9_.]{1,256}\.([A-Za-z0-9]{1,128})")
_FORM = re.compile(r'application/x-www-form-urlencoded *(; *charset="?utf-8"? *)?', re.IGNORECASE)
_ODD = ""  # an operation whose name cannot be read in exactly one way
_MOST_FIELDS = 4096  # of a form: what `overrides` lets through


def classify(connection: Connection, draft: Draft, headers: Mapping[str, str], before: Verdict) -> Verdict:
    """The effect of a call whose connection signs for AWS; `before` is what method and pack make of it.

    Raises `BrokerError("argument")` for a call that names more than one operation.
    """
    service = connection.options.get("service", "")
    if connection.scheme != "sigv4" or service in _NOT_AWS:
        return before
    actions, elsewhere = _operations(draft, headers)
    if len(actions) + len(elsewhere) > 1:
        refuse("Action", "a call names one operation, in one place")
    for name in (*actions, *elsewhere):
        verdict = _named(name)
        before = verdict if _is_exact(service, draft) else _worse(before, verdict)
    if service in _RPC and draft.body and not _is_plain(headers):
        before = _worse(before, (Effect.UNKNOWN, "an AWS service, and a body of no kind that it takes"))
    if service in _QUERY and draft.body and not actions:
        before = _worse(before, (Effect.UNKNOWN, "an AWS service that looks for Action in a form, where there is none"))
    return before


def operation(connection: Connection, draft: Draft, headers: Mapping[str, str]) -> str:
    """The operation that a call names; "" where it names none, or its connection does not sign for AWS."""
    if connection.scheme != "sigv4" or connection.options.get("service", "") in _NOT_AWS:
        return ""
    actions, elsewhere = _operations(draft, headers)
    return next(iter((*actions, *elsewhere)), "")


def _operations(draft: Draft, headers: Mapping[str, str]) -> tuple[list[str], list[str]]:
    """What stands in `Action`, and what is named in another place."""
    actions = [*_actions([*draft.query, *_form(draft, headers)])]
    return actions, [*_targets(headers, draft.query), *_in_path(draft.segments)]


def _is_exact(service: str, draft: Draft) -> bool:
    """Whether the operation's name alone says what the call does, by its method and place."""
    if draft.method != "POST" or service not in _RPC:
        return False
    return draft.segments == ("",) or service == "sqs" or bool(list(_in_path(draft.segments)))


def _form(draft: Draft, headers: Mapping[str, str]) -> Sequence[tuple[str, str]]:
    """The fields of a form; of a body that is nearly one, an odd `Action` where any is in it."""
    if not draft.body:
        return ()
    plain = _FORM.fullmatch(headers.get("content-type", "")) and b";" not in draft.body
    if plain:
        try:
            return parse_qsl(draft.body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
        except ValueError:
            pass
    elif "urlencoded" not in headers.get("content-type", "").lower():
        return ()
    return (("Action", _ODD),)


def _is_plain(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").lower()
    return "urlencoded" in kind or "json" in kind or "cbor" in kind


def _actions(pairs: Sequence[tuple[str, str]]) -> Iterator[str]:
    """What `Action` says, each time; `_ODD` for a name that only some would take for `Action`."""
    for name, value in pairs:
        if name == "Action":
            yield value
        elif name.partition("\0")[0].partition("[")[0].strip().casefold() == "action":
            yield _ODD


def _targets(headers: Mapping[str, str], query: Sequence[tuple[str, str]]) -> Iterator[str]:
    for name, value in headers.items():
        if name.replace("_", "-") == "x-amz-target":
            found = _TARGET.fullmatch(value) if name == "x-amz-target" else None
            yield found[1] if found else _ODD
    for name, _ in query:
        if name.strip().casefold().replace("_", "-") == "x-amz-target":
            yield _ODD


def _in_path(segments: Sequence[str]) -> Iterator[str]:
    """The operation in `/service/NAME/operation/NAME`."""
    if len(segments) == 4 and (segments[0], segments[2]) == ("service", "operation"):  # noqa: PLR2004 - as written
        yield segments[3]


def _named(operation: str) -> Verdict:
    """What an operation of this name does: of several patterns the most severe one counts."""
    verdict = Effect.UNKNOWN, "an AWS operation whose name says nothing certain"
    if not _OPERATION.fullmatch(operation):
        return Effect.UNKNOWN, "an AWS operation that cannot be read in exactly one way"
    found = [
        (effect, f"an AWS operation named like {pattern}")
        for effect, patterns in _NAMES.items()
        for pattern in patterns
        if _matches(effect, pattern, operation)
    ]
    return max(found, key=lambda verdict: verdict[0].severity) if found else verdict


def _matches(effect: Effect, pattern: str, operation: str) -> bool:
    if effect is Effect.READ:
        return fnmatchcase(operation, pattern)
    return fnmatchcase(operation.lower(), pattern.lower())


def _worse(one: Verdict, other: Verdict) -> Verdict:
    return max(one, other, key=lambda verdict: verdict[0].severity)
