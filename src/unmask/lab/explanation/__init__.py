"""Heat maps and how good they are."""
