"""The HTTP door: publishes asks, streams records, keeps blobs; everything behind one key."""
