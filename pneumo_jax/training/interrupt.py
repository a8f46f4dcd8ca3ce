"""Stopping in good order: Ctrl-C and SIGTERM end a run after the step under way."""

import signal
from types import FrameType
from typing import Any

from pneumo_jax import runtime


class StopRequest:
    """Within the block, the first signal is noted in `signum`, and a second one, of either kind,
    acts as ever."""

    SIGNALS = (signal.SIGINT, signal.SIGTERM)

    def __init__(self) -> None:
        self.signum = 0
        self._handlers: dict[int, Any] = {}

    def __enter__(self) -> 'StopRequest':
        if not runtime.is_job():  # whose SIGTERM jax's own handler takes, for `should_stop`
            self._handlers = {signum: signal.signal(signum, self._note) for signum in self.SIGNALS}
        return self

    def __exit__(self, *exception: object) -> None:
        for signum, handler in self._handlers.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self.signum = signum
        self.__exit__()

    def poll(self, step: int) -> None:
        """Let the processes of a job agree, after every step, on whether to stop at it."""
        if runtime.is_job() and runtime.should_stop(step):
            self.signum = signal.SIGTERM
