import os
import signal

import pytest

from pneumo_jax.training import interrupt


@pytest.mark.parametrize('first', interrupt.StopRequest.SIGNALS)
@pytest.mark.parametrize('signum', interrupt.StopRequest.SIGNALS)
def test_the_first_signal_is_noted_and_the_second_acts(first: int, signum: int) -> None:
    acted = []
    before = signal.signal(signum, lambda *_: acted.append(signum))
    try:
        with interrupt.StopRequest() as stop:
            stop.poll(1)
            assert not stop.signum
            os.kill(os.getpid(), first)
            assert (stop.signum, acted) == (first, [])
            os.kill(os.getpid(), signum)
            assert acted == [signum]
        os.kill(os.getpid(), signum)
        assert acted == [signum, signum]
    finally:
        signal.signal(signum, before)
