"""The side that owns a device: takes jobs, encodes them, writes parts."""
