"""The tools that a model is offered, all of them about files of its workspace, and how its calls are answered."""

import json
from collections.abc import Mapping
from typing import Any

from services.factory.agents.model.workspace import Workspace, WorkspaceBroken

_PATH = {"type": "string", "description": "A path relative to the workspace."}


def _tool(name: str, description: str, required: list[str], **properties: Mapping[str, str]) -> dict[str, Any]:
    parameters = {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": parameters}}


TOOLS = [
    _tool("list_files", "List the files and directories in a directory of the workspace.", [], path=_PATH),
    _tool(
        "read_file",
        "Read a text file of the workspace; long ones in parts.",
        ["path"],
        path=_PATH,
        offset={"type": "integer", "description": "The byte to start at."},
    ),
    _tool(
        "write_file",
        "Write a text file of the workspace, in place of what it held.",
        ["path", "content"],
        path=_PATH,
        content={"type": "string"},
    ),
]


def answer_call(workspace: Workspace, name: str, arguments: str) -> str:
    """What the call came to; what went wrong is told to the model, which may do better."""
    try:
        given = json.loads(arguments or "{}")
        if not isinstance(given, dict):
            raise WorkspaceBroken("the arguments must be an object")
        return _do(workspace, name, given)
    except (ValueError, RecursionError) as error:
        return f"error: the arguments are no JSON: {error}"
    except WorkspaceBroken as error:
        return f"error: {error}"
    except OSError as error:
        return f"error: {error.strerror}"


def _do(workspace: Workspace, name: str, given: Mapping[str, Any]) -> str:
    path, offset, content = given.get("path", "."), given.get("offset", 0), given.get("content", "")
    if not isinstance(path, str) or not isinstance(content, str) or not isinstance(offset, int):
        raise WorkspaceBroken("the path and the content must be texts, the offset a whole number")
    match name:
        case "list_files":
            return workspace.show(path)
        case "read_file":
            return workspace.read(path, offset)
        case "write_file":
            return workspace.write(path, content)
    known = ", ".join(tool["function"]["name"] for tool in TOOLS)
    raise WorkspaceBroken(f"there is no tool {name!r}; there are: {known}")
