"""How ccci_exec and ccci_sidecar answer: what a command left behind, or why there is no answer."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Iterator
from typing import Any, NoReturn

from .answer import Answer
from .docker_errors import LimitReached, NoService
from .docker_exec import ExecResult

OUTPUT = 256 * 1024  # bytes of each stream that travel; the end is kept


@contextlib.contextmanager
def failures(module: Any) -> Iterator[None]:
    """A command that hangs and a service that does not exist are the test's business and have names."""
    try:
        yield
    except LimitReached as error:
        module.fail_json(msg=str(error), failure_id="interactive-hang")
    except NoService as error:
        module.fail_json(msg=str(error), failure_id="wrong-service")


def leave(module: Any, answer: Answer, done: ExecResult) -> NoReturn:
    """Ends the module with the return code, and with both outputs in base64."""
    output = {name: base64.b64encode(getattr(done, name)[-OUTPUT:]).decode() for name in ("stdout", "stderr")}
    told = {"results": answer.results, "waits": answer.waits, "facts": answer.facts}
    module.exit_json(changed=True, ccci=told, ccci_exec={"rc": done.rc, **output})
    raise AssertionError("a module goes on after its end")
