"""The drivers of old protocols and of the ways around the queue, against small scripted peers."""
