"""The suspect: the network in its file, its classes, how its images are normalised."""
