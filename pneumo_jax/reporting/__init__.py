"""A finished run as a report in one HTML file, and as a model card."""
