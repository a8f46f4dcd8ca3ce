"""How good a classifier is: numbers, report, figures and result files. Imports no jax."""
