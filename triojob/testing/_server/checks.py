"""The checks of a scripted app before a call is in its queue, with Gradio's error messages."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ...gradio.protocol.messages import is_object
from .description import AppEndpoint
from .http import ServerRequest, ServerResponse


def parsed(request: ServerRequest) -> Any:
    """Parse a JSON body; return it as text if it is not JSON."""
    try:
        return request.json
    except ValueError:
        return request.body.decode(errors="replace")


def invalid_fields(
    body: Any, required: Mapping[str, type], optional: Mapping[str, type] | None = None
) -> list[dict[str, Any]]:
    """List the problems of a body, as pydantic does."""
    if not is_object(body):
        text = "Input should be a valid dictionary or object to extract fields from"
        return [{"type": "model_attributes_type", "loc": ["body"], "msg": text, "input": body}]
    words = {list: "list", str: "string", int: "integer"}
    invalid: list[dict[str, Any]] = []
    for name, kind in {**required, **(optional or {})}.items():
        value = body.get(name)
        if name not in body and name in required:
            problem, text, value = "missing", "Field required", body
        elif not (isinstance(value, kind) or (value is None and name not in required)):
            problem, text = f"{words[kind]}_type", f"Input should be a valid {words[kind]}"
        else:
            continue
        invalid.append({"type": problem, "loc": ["body", name], "msg": text, "input": value})
    return invalid


def validate(endpoint: AppEndpoint, data: list[Any]) -> ServerResponse | None:
    """Call an endpoint's validator; return the refusal, if there is one."""
    assert endpoint.validator is not None
    try:
        verdicts = endpoint.validator(*data)
    except Exception as error:  # noqa: BLE001 - whatever it raises, Gradio says it in a 400
        return ServerResponse(400, {"detail": str(error)})
    details: list[dict[str, Any]] = []
    for name, verdict in zip(endpoint.parameter_names, verdicts, strict=False):
        if verdict is None:
            details.append({"is_valid": True, "message": ""})
        else:
            is_valid, message = verdict
            details.append(
                {
                    "__type__": "validate",
                    "is_valid": is_valid,
                    "message": message,
                    "parameter_name": name,
                }
            )
    if all(detail["is_valid"] for detail in details):
        return None
    return ServerResponse(422, {"detail": details})


# --- Opening one ---
