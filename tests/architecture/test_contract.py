"""The wire contract keeps its habits and its promises.

`contract.json` holds every service, message and enum as published. It may be added to and never
changed: an older client still speaks it. After an addition, write it anew:

    python -m tests.architecture.test_contract
"""

from __future__ import annotations

import importlib
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.descriptor import (
    Descriptor,
    EnumDescriptor,
    FieldDescriptor,
    FileDescriptor,
    ServiceDescriptor,
)

ROOT = Path(__file__).parents[2]
PACKAGE = "general_level.v1"
FOLDER = Path("general_level/v1")
SNAPSHOT = Path(__file__).with_name("contract.json")
_UPPER_SNAKE = re.compile(r"[A-Z][A-Z0-9]*(_[A-Z0-9]+)*")
_LOWER_SNAKE = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")


def files() -> list[FileDescriptor]:
    """Every proto file, by its stub."""
    names = sorted(path.stem for path in (ROOT / "proto" / FOLDER).glob("*.proto"))
    return [importlib.import_module(f"{PACKAGE}.{name}_pb2").DESCRIPTOR for name in names]


def messages() -> Iterator[Descriptor]:
    def with_nested(message: Descriptor) -> Iterator[Descriptor]:
        yield message
        for inner in message.nested_types:
            yield from with_nested(inner)

    for file in files():
        for message in file.message_types_by_name.values():
            yield from with_nested(message)


def enums() -> Iterator[EnumDescriptor]:
    for file in files():
        yield from file.enum_types_by_name.values()
    for message in messages():
        yield from message.enum_types


def services() -> Iterator[ServiceDescriptor]:
    for file in files():
        yield from file.services_by_name.values()


def _kind(field: FieldDescriptor) -> str:
    if field.message_type is not None:
        kind = field.message_type.full_name
    elif field.enum_type is not None:
        kind = field.enum_type.full_name
    else:
        kind = next(
            name.removeprefix("TYPE_").lower()
            for name, value in vars(FieldDescriptor).items()
            if name.startswith("TYPE_") and value == field.type
        )
    if field.is_repeated:
        return f"repeated {kind}"
    if field.has_presence and field.message_type is None and field.containing_oneof is not None:
        return f"optional {kind}"
    return kind


def contract() -> dict[str, dict[str, dict[str, str]]]:
    """Everything that a client relies on: names, numbers, types, who streams."""
    return {
        "services": {
            service.full_name: {
                method.name: " ".join(
                    (
                        "stream" if method.client_streaming else "unary",
                        method.input_type.full_name,
                        "->",
                        "stream" if method.server_streaming else "unary",
                        method.output_type.full_name,
                    )
                )
                for method in service.methods
            }
            for service in services()
        },
        "messages": {
            message.full_name: {
                str(field.number): f"{field.name}: {_kind(field)}" for field in message.fields
            }
            for message in messages()
        },
        "enums": {
            enum.full_name: {str(value.number): value.name for value in enum.values}
            for enum in enums()
        },
    }


@pytest.mark.parametrize("file", files(), ids=lambda file: Path(file.name).stem)
def test_the_package_is_the_path(file):
    assert file.package == PACKAGE
    assert Path(file.name).parent == FOLDER


@pytest.mark.parametrize("enum", list(enums()), ids=lambda enum: enum.name)
def test_zero_of_an_enum_means_that_nothing_was_said(enum):
    prefix = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", enum.name).upper()
    assert enum.values_by_number[0].name == f"{prefix}_UNSPECIFIED"
    for value in enum.values:
        assert value.name.startswith(f"{prefix}_")
        assert _UPPER_SNAKE.fullmatch(value.name)


@pytest.mark.parametrize("service", list(services()), ids=lambda service: service.name)
def test_each_call_has_a_request_and_a_response_of_its_own(service):
    assert service.name.endswith("Service")
    for method in service.methods:
        assert method.input_type.name == f"{method.name}Request"
        assert method.output_type.name == f"{method.name}Response"


def test_no_request_or_response_serves_two_calls():
    used = [
        kind.full_name
        for service in services()
        for method in service.methods
        for kind in (method.input_type, method.output_type)
    ]
    assert len(used) == len(set(used))


def test_fields_are_in_lower_snake_case_and_numbered_without_a_gap():
    for message in messages():
        assert all(_LOWER_SNAKE.fullmatch(field.name) for field in message.fields)
        numbers = sorted(field.number for field in message.fields)
        assert numbers == list(range(1, len(numbers) + 1)), message.full_name


def test_times_are_timestamps_named_so():
    for message in messages():
        for field in message.fields:
            is_time = field.message_type is not None and field.message_type.name == "Timestamp"
            named = field.name.endswith("_time") or field.name == "state_deadline"
            assert is_time == named, f"{message.full_name}.{field.name}"


def test_a_create_is_idempotent_by_its_request_id():
    creates = [method for s in services() for method in s.methods if "Create" in method.name]
    assert creates
    for method in creates:
        assert method.input_type.fields_by_name["request_id"].type == FieldDescriptor.TYPE_STRING


def test_what_was_published_is_still_there_and_still_the_same():
    published, now = json.loads(SNAPSHOT.read_text(encoding="utf-8")), contract()
    for sort, things in published.items():
        for name, entries in things.items():
            assert name in now[sort], f"{name} is gone"
            for key, meaning in entries.items():
                assert now[sort][name].get(key) == meaning, f"{name}, {key}"


def test_the_stored_contract_is_whole():
    """An addition is stored, too, so that the next change cannot take it away."""
    published, now = json.loads(SNAPSHOT.read_text(encoding="utf-8")), contract()
    assert now == published, "run: python -m tests.architecture.test_contract"


if __name__ == "__main__":
    SNAPSHOT.write_text(json.dumps(contract(), indent=1, sort_keys=True) + "\n", encoding="utf-8")
