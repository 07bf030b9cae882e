"""What the words mean: geometry, slide facts, tiles, stains, cells, scores, provenance. Values only."""
