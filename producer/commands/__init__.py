"""The command line, one file per group of commands. Reads arguments, prints, and leaves the work to the rest."""
