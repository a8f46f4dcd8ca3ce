"""Studies: grids of runs declared in a file, run, kept, compared and shown. Imports no jax."""

from pneumo_jax.sweep.study import Row, Study

__all__ = ['Row', 'Study']
