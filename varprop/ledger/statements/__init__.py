"""The claims, one file a theme."""
