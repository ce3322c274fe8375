"""What a real browser makes of the servers: Chromium, driven by Playwright."""
