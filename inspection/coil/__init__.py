"""A coil: where its strips lie, who it is for, and what repeats along it."""
