"""The order of work: settings, manifest, the slide job, atomic outputs and re-scoring."""
