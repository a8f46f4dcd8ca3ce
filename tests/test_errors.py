import signal

from pneumo_jax import errors


def test_the_nearest_name_is_suggested() -> None:
    told = str(errors.unknown('model', 'resnt18', ['resnet18', 'vit']))
    assert told == "unknown model 'resnt18': did you mean 'resnet18'? Allowed: resnet18, vit."


def test_nothing_is_suggested_where_nothing_is_near() -> None:
    assert 'did you mean' not in str(errors.unknown('model', 'xyzzy', ['resnet18', 'vit']))


def test_the_exit_code_of_a_stop_is_the_shells() -> None:
    stopped = errors.Stopped(signal.SIGTERM, 3, 9)
    assert stopped.code == 143
    assert 'after step 3 of 9' in str(stopped)
