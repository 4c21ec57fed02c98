"""The side that knows the corpus and the table; needs no torch."""
