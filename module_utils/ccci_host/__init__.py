"""Code that modules share on the node: standard library only, plus PyYAML from the distribution for compose files."""
