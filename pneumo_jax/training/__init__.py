"""Learning: the step, the loop around it, and what is kept."""
