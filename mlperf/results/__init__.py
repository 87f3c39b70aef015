"""Results: runs as they are measured, publishing and reading, provenance, what moved since, comparison."""
