"""How long the stages of a computation take."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest import mock


class Stages:
    """Seconds of the processor by stage, which other programs disturb little.

    Attributes:
        seconds: by the name of the stage.
    """

    def __init__(self, names: Iterable[str]) -> None:
        self.seconds = dict.fromkeys(names, 0.0)

    @contextmanager
    def time(self, stage: str) -> Iterator[None]:
        """What happens inside counts for ``stage``."""
        start = time.process_time()
        try:
            yield
        finally:
            self.seconds[stage] += time.process_time() - start

    def watch(self, stack: ExitStack, stage: str, owner: Any, name: str) -> None:
        """Let calls of ``owner.name`` count for ``stage`` until ``stack`` is left."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            with self.time(stage):
                return function(*args, **kwargs)

        stack.enter_context(mock.patch.object(owner, name, timed))
