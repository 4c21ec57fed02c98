"""Long texts in pieces: where to cut them, kept beside the run, and a source of pieces. Knows no queue and no table."""
