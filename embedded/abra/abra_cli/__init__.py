"""The embedded abra: the subset of the Co-op Cloud client that ccci and recipe maintainers need on a machine that can
reach package registries only. It behaves as abra 0.10 and later does; tests/contract/abra runs against both."""
