"""Servers that tests talk to: stand-ins for a fleet, and a proxy that fails on purpose."""
