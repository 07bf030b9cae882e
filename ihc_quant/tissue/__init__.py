"""Where to look: tissue mask, fragments and the plan of tiles."""
