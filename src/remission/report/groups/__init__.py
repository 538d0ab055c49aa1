"""Records grouped into the rows and columns that people compare."""
