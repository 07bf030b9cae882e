"""Maps to cells: instances, measurements of each cell, ownership across the seams of tiles."""
