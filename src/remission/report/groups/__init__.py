"""Records in groups, with the rows and columns that people compare."""
