"""The members of pydantic models, by path, as documentation names them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, TypeAdapter
from pydantic.fields import FieldInfo

from remit.catalog.document import read_document


@dataclass(frozen=True)
class Member:
    """A field at ``path``: ``identity.issuers[].issuer``, ``sts.users.<id>.name``. ``model``: what is below it."""

    path: str
    field: FieldInfo
    model: type[BaseModel] | None

    @property
    def is_section(self) -> bool:
        """Whether it is a model that is always there, and so nothing but the place of others."""
        return self.model is not None and self.field.annotation is self.model and not self.field.is_required()

    def has_default(self, written: str) -> bool:
        """Whether ``written`` (``required``, ``none`` or YAML) is the default."""
        if self.field.is_required():
            return written == "required"
        default = self.field.get_default(call_default_factory=True, validated_data={})
        if default is None:
            return written == "none"
        kind: Any = self.field.annotation
        if self.field.metadata:
            kind = Annotated[(kind, *self.field.metadata)]
        adapter: TypeAdapter[Any] = TypeAdapter(kind)
        return bool(adapter.validate_python(read_document(written).data) == default)


def members(model: type[BaseModel], prefix: str = "") -> Iterator[Member]:
    """Every field of ``model`` and of what is below it, by the name a file has for it."""
    for name, field in model.model_fields.items():
        path = prefix + (field.alias or name)
        below = _model_in(field.annotation)
        yield Member(path, field, below)
        if below is not None:
            yield from members(below, path + _joint(field.annotation))


def _joint(annotation: Any) -> str:
    origin = get_origin(annotation)
    if origin in (list, tuple):
        return "[]."
    return ".<id>." if isinstance(origin, type) and issubclass(origin, Mapping) else "."


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((found for part in get_args(annotation) if (found := _model_in(part))), None)
