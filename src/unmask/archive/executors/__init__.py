"""Who does the work of an archive scan: processes of this machine, or a Ray cluster."""
