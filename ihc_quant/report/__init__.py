"""Results to pages, pictures and text. Values in, values out: nothing here writes a file."""
