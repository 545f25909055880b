"""What others need to test what they build on the engine. ``conformance`` needs pytest and is imported only by who asks for it."""
