"""The marker is a stored credential: a file in the volume would not tell whether n8n can still decrypt what it stores.

The value is in the encrypted part alone, as the name of a header: n8n shows that decrypted, and blanks for secrets.
"""

import hashlib
from typing import Any

from n8n_client import owner


def seed(app: Any, value: str) -> None:
    owner(app).store_credential(_name(value), _header(value), value)


def check(app: Any, value: str) -> bool:
    n8n = owner(app)
    known = n8n.credentials().get(_name(value))
    if known is None:
        return False
    data = n8n.decrypted(known)
    if not data:
        raise AssertionError(
            f"the credential {_name(value)!r} is stored, but n8n cannot decrypt it: it has another encryption key"
        )
    return data.get("name") == _header(value)


def destroy(app: Any, value: str) -> None:
    n8n = owner(app)
    known = n8n.credentials().get(_name(value))
    if known is not None:
        n8n.call("DELETE", f"credentials/{known}")


def _name(value: str) -> str:
    """What it is found by; says nothing of the value."""
    return f"marker {hashlib.sha256(value.encode()).hexdigest()[:12]}"


def _header(value: str) -> str:
    return f"x-{value}"
