"""Which of its forms an operation has, in a program for one platform and in a portable one."""

import contextlib

import jax
import jax.numpy as jnp
import pytest

from pneumo_jax import forms, runtime


def three(x: jax.Array) -> jax.Array:
    kinds = {'cpu': jnp.sin, 'default': jnp.cos, 'converted': jnp.tanh}
    return forms.choose(x, **kinds)


@pytest.mark.parametrize(
    ('platform', 'traced'),
    [('cpu', {'sin'}), ('gpu', {'cos'}), (forms.CONVERSION, {'tanh'}), ('', {'sin', 'cos'})],
)
def test_only_the_form_of_a_known_platform_is_traced(platform: str, traced: set[str]) -> None:
    with forms.tracing_for(platform):
        words = str(jax.make_jaxpr(lambda x: three(x))(1.0)).split()
    assert {'sin', 'cos', 'tanh'} & {*words} == traced


@pytest.mark.parametrize(('platform', 'form'), [('cpu', 'sine'), ('cuda', 'cosine')])
def test_a_portable_program_has_the_form_of_what_it_is_lowered_for(
    platform: str, form: str
) -> None:
    lowered = jax.jit(three).trace(1.0).lower(lowering_platforms=(platform,)).as_text()
    assert f'stablehlo.{form} ' in lowered


def test_a_program_for_this_machine_has_one_form_whatever_becomes_of_tracing() -> None:
    def broken(x: jax.Array) -> jax.Array:
        raise RuntimeError

    with contextlib.suppress(RuntimeError):
        runtime.jit(broken)(1.0)
    assert 'cos' not in str(runtime.jit(three).trace(1.0).jaxpr)
    assert 'cos' in str(jax.jit(three).trace(1.0).jaxpr), 'the context is over'


@pytest.mark.parametrize(('platform', 'kept'), [('cpu', 3), ('gpu', 1)])
def test_for_a_gpu_a_gradient_keeps_the_arguments_alone(platform: str, kept: int) -> None:
    def wave(x: jax.Array) -> jax.Array:
        return jnp.sin(x) * jnp.exp(x)

    with forms.tracing_for(platform):
        _, pull = jax.vjp(lambda x: forms.unkept(wave)(x), jnp.float32(0.3))
    assert len(jax.tree.leaves(pull)) == kept
    assert float(pull(jnp.float32(1))[0]) == pytest.approx(float(jax.grad(wave)(0.3)), rel=1e-6)
