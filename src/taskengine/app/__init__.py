"""The composition root: settings to adapters to an engine. The only place that names adapters."""
