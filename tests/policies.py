"""Policies of IAM judged as AWS judges them, as far as ours go: a deny anywhere wins, else an allow must be found."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Document = Mapping[str, Any]


@dataclass(frozen=True)
class Asked:
    """A request: who asks to do what with which resource; `context` holds the condition keys it carries."""

    action: str
    resource: str
    principal: str = "arn:aws:iam::123456789012:role/imageyard-worker"
    context: Mapping[str, str] = field(default_factory=dict)


def allowed(asked: Asked, *, identity: Iterable[Document], resource: Document) -> bool:
    """Whether a principal with these policies may, at a resource with that one."""
    own = [statement for document in identity for statement in document["Statement"]]
    bucket = [statement for statement in resource["Statement"] if _concerns(statement, asked)]
    every = [statement for statement in (*own, *bucket) if _applies(statement, asked)]
    if any(statement["Effect"] == "Deny" for statement in every):
        return False
    return any(statement["Effect"] == "Allow" for statement in every)


def listed(value: object) -> list[Any]:
    """What IAM lets be written as one thing or as a list."""
    return list(value) if isinstance(value, list) else [value]


def _concerns(statement: Document, asked: Asked) -> bool:
    principal = statement["Principal"]
    return bool(principal == "*" or asked.principal in listed(principal.get("AWS", [])))


def _applies(statement: Document, asked: Asked) -> bool:
    unknown = set(statement) - {"Sid", "Effect", "Principal", "Action", "Resource", "Condition"}
    if unknown:
        raise ValueError(f"not understood: {unknown}")
    return (
        any(_like(asked.action.lower(), one.lower()) for one in listed(statement["Action"]))
        and any(_like(asked.resource, one) for one in listed(statement["Resource"]))
        and all(
            _holds(operator, asked, key, listed(values))
            for operator, members in statement.get("Condition", {}).items()
            for key, values in members.items()
        )
    )


def _holds(operator: str, asked: Asked, key: str, values: list[str]) -> bool:
    present = {"aws:SecureTransport": "true", "aws:PrincipalArn": asked.principal, **asked.context}
    value = present.get(key)
    if operator == "Null":
        return values == [str(value is None).lower()]
    if operator == "ArnNotEquals":
        return value is None or not any(_like(value, one) for one in values)
    if operator not in ("Bool", "StringEquals", "StringLike", "ArnEquals"):
        raise ValueError(f"not understood: {operator}")
    if value is None:
        return False
    return value in values if operator in ("Bool", "StringEquals") else any(_like(value, one) for one in values)


def _like(value: str, pattern: str) -> bool:
    """As IAM: `*` is any run of characters, slashes too, `?` is one."""
    shape = "".join({"*": ".*", "?": "."}.get(character, re.escape(character)) for character in pattern)
    return re.fullmatch(shape, value, re.DOTALL) is not None
