"""What a data set hides: duplicates, shared patients, and how test differs from val."""
