"""A private Redis and workers on this machine, for a run that was given no broker. The run itself is no different."""
