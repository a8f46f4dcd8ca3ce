"""python -m pneumo_jax VERB ..."""

import sys

from pneumo_jax import cli, doors

sys.exit(doors.enter(cli.main, sys.argv[1:]))
