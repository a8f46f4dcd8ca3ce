"""Speed, side by side with torch: one process for every measured thing, asked in turn."""
