"""The tests: one folder for each room or kind of proof, and the few things that they share."""
