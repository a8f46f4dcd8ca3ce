"""What a finished run is for: predictions for image files, and files for other programs."""
