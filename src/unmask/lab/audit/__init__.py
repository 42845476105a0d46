"""What a data set would teach besides faces: leakage between splits, shortcuts in the files."""
