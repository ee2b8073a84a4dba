"""The console in headless Chromium against a real service: `make test-console`."""
