"""From published data sets to face crops: manifests, readers, splits, near-duplicates."""
