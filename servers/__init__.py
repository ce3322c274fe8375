"""The subjects: one live feed, served over one transport per module, by the ordinary library for it."""
