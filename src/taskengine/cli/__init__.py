"""The command line: parse, call the engine, render. stdout is data, everything else goes to stderr."""
