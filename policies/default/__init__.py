"""The default bundle's YAML files."""
