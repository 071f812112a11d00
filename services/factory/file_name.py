"""Names of artifacts and ids as names of files: readable where they can be, never a way out of a directory."""

import hashlib

NAME_BYTES_MAX = 120


def file_name(name: str) -> str:
    """A file name for any text; different texts get different names."""
    safe = "".join(each if each.isalnum() or each in "._-" else f"%{ord(each):x}%" for each in name)
    if safe.startswith("."):
        safe = f"%2e%{safe[1:]}"
    if not safe or len(safe.encode(errors="replace")) > NAME_BYTES_MAX:
        return f"%{hashlib.sha256(name.encode(errors='replace')).hexdigest()}"
    return safe
