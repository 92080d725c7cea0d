"""Door: reads the settings file, the environment and the secrets they name.

Precedence: environment, file, defaults. A nested setting is spelled with two underscores in the environment
(``REMIT_AUDIT__FILE``). Relative paths are relative to the folder of the settings file.
"""

from __future__ import annotations

import difflib
import os
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final, Union, get_args, get_origin

import yaml
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails
from pydantic_settings import SettingsError

from remit.credential import Credential
from remit.errors import SettingsInvalid
from remit.settings.fields import SecretRef
from remit.settings.models import Settings

#: The file looked for when no other is named.
DEFAULT_FILE: Final = Path("remit.yaml")
_MAX_FILE_BYTES: Final = 1 << 20
_MAX_SECRET_BYTES: Final = 64 * 1024
_FIELD: Final = re.compile(r'field "(\w+)"')
_Location = tuple[int | str, ...]


def environment() -> Mapping[str, str]:
    """The process's environment as it is now."""
    return dict(os.environ)


@dataclass(frozen=True, slots=True)
class Survey:
    """What a settings file comes to, mistakes and all.

    ``settings`` are ``None`` where nothing could be read. Where there are ``problems`` they hold defaults in place of
    the ``mistaken`` sections: fit to look for further problems elsewhere, never to be served.
    """

    settings: Settings | None
    problems: tuple[SettingsInvalid, ...] = ()
    mistaken: frozenset[str] = frozenset()


def load_settings(path: Path | None = None) -> Settings:
    """Settings from ``path``, or from ``remit.yaml`` here where there is one, or the defaults.

    Raises ``SettingsInvalid``; ``problems`` of it lists every mistake with ``file:line:column``.
    """
    survey = _read_survey(path)
    if survey.settings is None or survey.problems:
        first = survey.problems[0]
        raise SettingsInvalid(first.message, where=first.where, hint=first.hint, problems=survey.problems)
    return survey.settings


def survey_settings(path: Path | None = None) -> Survey:
    """Like ``load_settings`` for somebody who looks for mistakes: raises nothing."""
    try:
        return _read_survey(path)
    except SettingsInvalid as error:
        return Survey(None, error.problems)


def _read_survey(path: Path | None) -> Survey:
    if path is None and not DEFAULT_FILE.exists():
        return _build({}, Path.cwd(), _Marks(None, ""))
    file = path or DEFAULT_FILE
    text = _read(file)
    document, marks = _parse(text, str(file))
    if "subject_token" in document:
        where = marks.find(("subject_token",))
        raise SettingsInvalid(
            "subject_token is a secret and has no place in a file",
            where=where,
            hint="name a file with subject_token_file, or set REMIT_SUBJECT_TOKEN",
        )
    survey = _build(document, file.resolve().parent, marks)
    return replace(survey, settings=survey.settings and survey.settings.read_from(file.resolve()))


def listening_on(settings: Settings, address: str) -> Settings:
    """The same settings with another ``listen``, checked as if it stood in the file."""
    try:
        Settings.model_validate({"listen": address, "public_url": settings.public_url})
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        told = first["msg"].removeprefix("Value error, ") if first["type"] == "value_error" else "not HOST:PORT"
        raise SettingsInvalid(told, where=f"--http {address}") from None
    return settings.model_copy(update={"listen": address})


def read_secret(ref: SecretRef, what: str) -> Credential:
    """The secret a setting names. ``what`` is that setting's path, for the error."""
    if ref.env is not None:
        value = os.environ.get(ref.env, "").strip()
        source = f"environment variable {ref.env}"
    else:
        source = f"file {ref.file}"
        try:
            with Path(ref.file or "").open(encoding="utf-8") as file:
                value = file.read(_MAX_SECRET_BYTES).strip()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsInvalid(
                f"{source} cannot be read: {error}", where=what, hint=f"put the secret into {source}"
            ) from error
    if not value:
        raise SettingsInvalid(f"{source} is empty or not set", where=what, hint=f"put the secret into {source}")
    return Credential(value)


def effective(settings: Settings) -> dict[str, Any]:
    """The settings in force, for people to read. A subject token is masked; other secrets are references only."""
    document = settings.model_dump(mode="json", exclude_none=True)
    if document.get("subject_token"):
        document["subject_token"] = "********"
    return document


def _read(file: Path) -> str:
    try:
        with file.open("rb") as source:
            raw = source.read(_MAX_FILE_BYTES + 1)
    except OSError as error:
        raise SettingsInvalid(
            f"cannot read the settings file: {error.strerror or error}",
            where=str(file),
            hint="name one with --config, or write one with `remit init`",
        ) from error
    if len(raw) > _MAX_FILE_BYTES:
        raise SettingsInvalid(f"the settings file is larger than {_MAX_FILE_BYTES} bytes", where=str(file))
    try:
        return raw.decode("utf-8")
    except UnicodeDecodeError as error:
        raise SettingsInvalid("the settings file is not UTF-8", where=str(file)) from error


class _Marks:
    """Where each setting stands in the file."""

    def __init__(self, root: yaml.Node | None, file: str) -> None:
        self._root = root
        self._file = file

    def find(self, location: _Location) -> str:
        """``file:line:column`` of the setting, or of the nearest thing around it that is in the file."""
        node, mark = self._root, None
        for step in location:
            found = next(_entries(node, step), None)
            if found is None:
                break
            mark, node = found
        if mark is None:
            return self._file or ".".join(map(str, location))
        return f"{self._file}:{mark.line + 1}:{mark.column + 1}"


def _entries(node: yaml.Node | None, step: int | str) -> Iterator[tuple[Any, yaml.Node]]:
    if isinstance(node, yaml.MappingNode):
        yield from ((key.start_mark, value) for key, value in node.value if key.value == step)
    elif isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        yield node.value[step].start_mark, node.value[step]


def _parse(text: str, file: str) -> tuple[dict[str, Any], _Marks]:
    try:
        root = yaml.compose(text, yaml.SafeLoader)
        document = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"{file}:{mark.line + 1}:{mark.column + 1}" if mark else file
        raise SettingsInvalid(f"not YAML: {error.problem or error}", where=where) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise SettingsInvalid(f"not YAML: {error}", where=file) from error
    if document is None:
        document = {}
    if not isinstance(document, dict) or not all(isinstance(key, str) for key in document):
        raise SettingsInvalid("the settings file is not a mapping of names to values", where=file)
    return document, _Marks(root, file)


def _build(document: dict[str, Any], folder: Path, marks: _Marks) -> Survey:
    try:
        return Survey(_absolute(Settings(**document), folder))
    except SettingsError as error:
        raise _not_json(error) from None
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)
    mistaken = frozenset(str(each["loc"][0]) for each in details if each["loc"])
    sound = {name: value for name, value in document.items() if name not in mistaken}
    try:
        settings = _absolute(Settings(**sound), folder)
    except ValidationError:  # the mistake is in the environment
        settings = None
    return Survey(settings, tuple(_problem(each, marks) for each in details), mistaken)


def _not_json(error: SettingsError) -> SettingsInvalid:
    """A list or mapping in the environment that is no JSON; its text is not repeated."""
    field = _FIELD.search(str(error))
    variable = f"REMIT_{field[1].upper()}" if field else "REMIT_*"
    return SettingsInvalid(
        f"the environment variable {variable}, or one that begins so, is not JSON",
        where=variable,
        hint="""write lists and mappings as JSON, for example REMIT_TOOLS='["tools"]'""",
    )


def _problem(details: ErrorDetails, marks: _Marks) -> SettingsInvalid:
    location = details["loc"]
    name = ".".join(map(str, location))
    hint = ""
    if details["type"] == "extra_forbidden":
        close = difflib.get_close_matches(str(location[-1]), _names_at(location[:-1]), n=1)
        hint = f"did you mean {close[0]}?" if close else ""
        return SettingsInvalid(f"{name} is not a setting", where=marks.find(location), hint=hint)
    message = details["msg"].removeprefix("Value error, ")
    return SettingsInvalid(f"{name}: {message}", where=marks.find(location), hint=hint)


def _names_at(location: _Location) -> list[str]:
    """The settings there are at ``location``: walks the models, through mappings and lists."""
    model: Any = Settings
    for step in location:
        field = model.model_fields.get(str(step)) if isinstance(model, type) and issubclass(model, BaseModel) else None
        if field is not None:
            model = _model_in(field.annotation)
    return list(model.model_fields) if isinstance(model, type) and issubclass(model, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    if get_origin(annotation) in {Union, types.UnionType, tuple} or get_args(annotation):
        return next((found for part in get_args(annotation) if (found := _model_in(part)) is not None), None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None


def _absolute(value: Any, folder: Path) -> Any:
    """The same settings with every relative path made absolute."""
    if isinstance(value, Path):
        return folder / _expanded(value)
    if isinstance(value, BaseModel):
        changed = {name: _absolute(getattr(value, name), folder) for name in type(value).model_fields}
        return value.model_copy(update=changed)
    if isinstance(value, tuple):
        return tuple(_absolute(item, folder) for item in value)
    if isinstance(value, Mapping):
        return {key: _absolute(item, folder) for key, item in value.items()}
    return value


def _expanded(path: Path) -> Path:
    if "\0" in str(path):  # which no call of the system takes, and each fails on in its own way
        raise SettingsInvalid(f"{str(path)!r} is no path", hint="take the null byte out of it")
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise SettingsInvalid(
            f"{path}: nobody's home folder is found there", hint="write the whole path instead of ~"
        ) from error
