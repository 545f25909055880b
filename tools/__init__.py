"""The house's own checks: what no linter knows. They read the sources and never import the product."""
