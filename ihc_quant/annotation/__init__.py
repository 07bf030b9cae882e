"""What people drew: GeoJSON and point tables to typed regions and points, and back."""
